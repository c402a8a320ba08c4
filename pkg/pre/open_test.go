// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package pre

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/pkg/pre/internal/algebra"
)

func TestALiarIsNamedAndDoesNotBlock(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 2, 3)
	frags := w.cfrags()
	z, err := randomScalar(nil)
	require.NoError(t, err)
	liar := *frags[1]
	liar.z = z
	frags[1] = &liar

	got, refused, err := OpenReport(w.reader, w.capsule, 2, w.params, frags)
	require.NoError(t, err)
	require.Equal(t, w.kPre, got)
	require.Len(t, refused, 1)
	require.Equal(t, "Hospital2MSP", refused[0].Gateway)
	require.ErrorIs(t, refused[0], ErrProof)

	_, err = w.open(frags[:2]...)
	require.ErrorIs(t, err, ErrTooFewFragments)
	require.ErrorIs(t, err, ErrProof)
	var ge *GatewayError
	require.ErrorAs(t, err, &ge)
	require.Equal(t, "Hospital2MSP", ge.Gateway)
}

func TestFragmentsOfAnotherRunDoNotMixAndAreNamed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 2, 3)
	first := w.cfrags()
	w.kfrags = w.rekey() // the patient renews the fragments of the same grant
	second := w.cfrags()

	_, err := w.open(first[0], second[1])
	require.ErrorIs(t, err, ErrTooFewFragments)
	require.ErrorIs(t, err, ErrProof)

	got, refused, err := OpenReport(w.reader, w.capsule, 2, w.params, []*CapsuleFragment{first[2], second[0], second[1]})
	require.NoError(t, err)
	require.Equal(t, w.kPre, got)
	require.Len(t, refused, 1)
	require.Equal(t, "Hospital3MSP", refused[0].Gateway)
}

func TestDuplicatesDoNotCount(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 2, 3)
	f := w.reencrypt(w.kfrags[0])
	again := w.reencrypt(w.kfrags[0])
	require.NotEqual(t, f.Bytes(), again.Bytes(), "the proof is fresh")
	_, err := w.open(f, f, again, nil)
	require.ErrorIs(t, err, ErrTooFewFragments)

	got, err := w.open(f, f, again, nil, w.reencrypt(w.kfrags[2]))
	require.NoError(t, err)
	require.Equal(t, w.kPre, got)
}

func TestAThresholdBelowThePatientsIsNoticed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 3, 4)
	_, err := Open(w.reader, w.capsule, 2, w.params, w.cfrags())
	require.ErrorIs(t, err, ErrProof, "no wrong key is returned")
	got, err := Open(w.reader, w.capsule, 4, w.params, w.cfrags())
	require.NoError(t, err, "more than needed is no mistake")
	require.Equal(t, w.kPre, got)
}

func TestAPatientsInconsistentFragmentsAreNoticed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 2, 2)
	// A faulty device signs a fragment that is not on the polynomial: each one verifies, together they open nothing.
	k := *w.kfrags[1]
	rk, err := randomScalar(nil)
	require.NoError(t, err)
	k.rk = rk
	k.u1 = algebra.PointOf(suite(), suite().Mul(rk, suite().U.Element))
	digest := k.digest(w.params.names())
	sig, err := SignP256(nil, w.signer.Signer(), digest[:])
	require.NoError(t, err)
	k.sig = [SignatureSize]byte(sig)
	require.NoError(t, k.Verify(w.params.Delegating, w.params.Reader, w.params.Signer, k.Gateway(), w.params.Grant))

	_, err = w.open(w.reencrypt(w.kfrags[0]), w.reencrypt(&k))
	require.ErrorIs(t, err, ErrProof)
}

func TestARepeatingRandomSourceDoesNotGiveTheKeyFragmentAway(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1, 1)
	k := w.kfrags[0]
	entropy := randomBytes(t, wideSize)
	one, err := Reencrypt(bytes.NewReader(entropy), w.capsule, k, w.at(k.Gateway()))
	require.NoError(t, err)
	w.params.Request = sha256.Sum256([]byte("request 2"))
	two, err := Reencrypt(bytes.NewReader(entropy), w.capsule, k, w.at(k.Gateway()))
	require.NoError(t, err)
	require.NoError(t, two.Verify(w.capsule, w.at(k.Gateway())))

	w.capsule, _, err = Encapsulate(nil, w.params.Delegating, w.params.Context)
	require.NoError(t, err)
	three, err := Reencrypt(bytes.NewReader(entropy), w.capsule, k, w.at(k.Gateway()))
	require.NoError(t, err)

	// With one w in both proofs, z1 - z2 = (h1 - h2)·rk.
	for _, pair := range [][2]*CapsuleFragment{{one, two}, {two, three}, {one, three}} {
		guess := pair[0].z.Sub(pair[1].z).Mul(pair[0].h.Sub(pair[1].h).Inv())
		require.False(t, guess.Equal(k.rk))
	}
}

func TestARepeatingRandomSourceDoesNotGiveCapsulesAway(t *testing.T) {
	t.Parallel()
	pk, entropy := newKey(t).Public(), randomBytes(t, wideSize)
	one, key1, err := Encapsulate(bytes.NewReader(entropy), pk, [HashSize]byte{1})
	require.NoError(t, err)
	two, key2, err := Encapsulate(bytes.NewReader(entropy), pk, [HashSize]byte{2})
	require.NoError(t, err)
	require.NotEqual(t, one.parts.E.Bytes(), two.parts.E.Bytes())
	require.NotEqual(t, one.parts.V.Bytes(), two.parts.V.Bytes())
	require.NotEqual(t, key1, key2)
}

func TestOnlyTheReaderOpens(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 2, 3)
	frags := w.cfrags()
	_, err := Open(newKey(t), w.capsule, 2, w.params, frags)
	require.ErrorIs(t, err, ErrParameter, "the request is for another reader")

	impostor := fakeCard{pub: w.reader.Public(), key: newKey(t)}
	_, err = Open(impostor, w.capsule, 2, w.params, frags)
	require.ErrorIs(t, err, ErrProof, "claiming the reader's public key does not help")

	card := fakeCard{pub: w.reader.Public(), key: w.reader}
	got, err := Open(card, w.capsule, 2, w.params, frags)
	require.NoError(t, err, "a key that only computes ECDH is enough")
	require.Equal(t, w.kPre, got)

	broken := errors.New("card removed")
	_, err = Open(fakeCard{pub: w.reader.Public(), err: broken}, w.capsule, 2, w.params, frags)
	require.ErrorIs(t, err, broken)
	_, err = Open(fakeCard{pub: w.reader.Public(), short: true}, w.capsule, 2, w.params, frags)
	require.ErrorIs(t, err, ErrParameter)
	_, err = Decapsulate(fakeCard{pub: w.params.Delegating, err: broken}, w.capsule, w.params.Context)
	require.ErrorIs(t, err, broken)
}

// fakeCard is a key operation outside the process.
type fakeCard struct {
	pub   *PublicKey
	key   *PrivateKey
	err   error
	short bool
}

func (c fakeCard) Public() *PublicKey { return c.pub }

func (c fakeCard) ECDH(peer *PublicKey) ([]byte, error) {
	if c.err != nil {
		return nil, c.err
	}
	if c.short {
		return make([]byte, 31), nil
	}
	return c.key.ECDH(peer)
}

func TestRekeyRefusesBadParameters(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 2, 3)
	good := RekeyParams{Grant: w.params.Grant, Reader: w.params.Reader, Gateways: w.gateways, Threshold: 2}
	many := make([]string, 256)
	for i := range many {
		many[i] = string(rune('a'+i%26)) + string(rune('a'+i/26))
	}
	for name, change := range map[string]func(*RekeyParams){
		"threshold zero":           func(p *RekeyParams) { p.Threshold = 0 },
		"threshold negative":       func(p *RekeyParams) { p.Threshold = -1 },
		"threshold above n":        func(p *RekeyParams) { p.Threshold = 4 },
		"no gateways":              func(p *RekeyParams) { p.Gateways = nil },
		"256 gateways":             func(p *RekeyParams) { p.Gateways = many },
		"a gateway twice":          func(p *RekeyParams) { p.Gateways = []string{"A", "B", "A"} },
		"a gateway without a name": func(p *RekeyParams) { p.Gateways = []string{"A", ""} },
		"a gateway with a space":   func(p *RekeyParams) { p.Gateways = []string{"A", "B C"} },
		"a gateway beyond ASCII":   func(p *RekeyParams) { p.Gateways = []string{"A", "Hôpital"} },
		"a gateway too long":       func(p *RekeyParams) { p.Gateways = []string{"A", string(make([]byte, 129))} },
		"no reader":                func(p *RekeyParams) { p.Reader = nil },
		"an empty reader":          func(p *RekeyParams) { p.Reader = &PublicKey{} },
	} {
		p := good
		change(&p)
		_, err := Rekey(nil, w.delegating, w.signer.Signer(), p)
		require.ErrorIs(t, err, ErrParameter, name)
	}
	_, err := Rekey(nil, nil, w.signer.Signer(), good)
	require.ErrorIs(t, err, ErrParameter)
	_, err = Rekey(nil, w.delegating, nil, good)
	require.ErrorIs(t, err, ErrParameter)
}

func TestSealedKeyFragmentsOpenForTheirGatewayAndGrantOnly(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 2, 3)
	gw := newHybrid(t)
	sealed, err := SealKeyFragment(gw.Public(), w.kfrags[0])
	require.NoError(t, err)
	k, err := OpenKeyFragment(gw, w.gateways[0], w.params.Grant, sealed)
	require.NoError(t, err)
	require.Equal(t, w.kfrags[0].Bytes(), k.Bytes())

	_, err = OpenKeyFragment(gw, w.gateways[1], w.params.Grant, sealed)
	require.ErrorIs(t, err, ErrDecrypt)
	_, err = OpenKeyFragment(gw, w.gateways[0], sha256.Sum256(nil), sealed)
	require.ErrorIs(t, err, ErrDecrypt)
	_, err = OpenKeyFragment(newHybrid(t), w.gateways[0], w.params.Grant, sealed)
	require.ErrorIs(t, err, ErrDecrypt)

	// Sealed by someone else under the right names, around another fragment or none.
	info := fragmentInfo(w.gateways[0], w.params.Grant)
	misnamed, err := SealTo(gw.Public(), info, w.kfrags[1].Bytes())
	require.NoError(t, err)
	_, err = OpenKeyFragment(gw, w.gateways[0], w.params.Grant, misnamed)
	require.ErrorIs(t, err, ErrProof)
	empty, err := SealTo(gw.Public(), info, nil)
	require.NoError(t, err)
	_, err = OpenKeyFragment(gw, w.gateways[0], w.params.Grant, empty)
	require.ErrorIs(t, err, ErrMalformed)
}
