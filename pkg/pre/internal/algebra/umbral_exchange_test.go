// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package algebra

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"math/big"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

type hexBytes []byte

func (h hexBytes) MarshalText() ([]byte, error) { return []byte(hex.EncodeToString(h)), nil }

func (h *hexBytes) UnmarshalText(text []byte) (err error) {
	*h, err = hex.DecodeString(string(text))
	return err
}

// exchange is one record from owner to reader, with every secret in it.
type exchange struct {
	Name             string     `json:"name"`
	Threshold        int        `json:"threshold"`
	Shares           int        `json:"shares"`
	DelegatingKey    hexBytes   `json:"delegatingKey"`
	ReceivingKey     hexBytes   `json:"receivingKey"`
	SigningKey       hexBytes   `json:"signingKey"`
	Plaintext        hexBytes   `json:"plaintext"`
	Capsule          hexBytes   `json:"capsule"`
	Ciphertext       hexBytes   `json:"ciphertext,omitempty"`
	KeyFragments     []hexBytes `json:"keyFragments"`
	CapsuleFragments []hexBytes `json:"capsuleFragments,omitempty"`
}

// umbralVectors is the stored file.
type umbralVectors struct {
	Package string     `json:"package"`
	Made    []exchange `json:"made"` // by the package
	Ours    []exchange `json:"ours"` // by our code from fixed randomness; the package checked and opened them
	Forged  exchange   `json:"forged"`
}

const umbralPackage = "@nucypher/umbral-pre 0.10.0"

func umbralFile() string { return filepath.Join("testdata", "umbral-pre-0.10.0.json") }

func loadUmbral(t *testing.T) umbralVectors {
	t.Helper()
	b, err := os.ReadFile(umbralFile())
	require.NoError(t, err)
	var v umbralVectors
	require.NoError(t, json.Unmarshal(b, &v))
	require.Equal(t, umbralPackage, v.Package)
	return v
}

// umbralKeys are an exchange's keys, taken apart.
type umbralKeys struct {
	a, b, signing       Scalar
	pkA, pkB, verifying k1Point
}

func (x exchange) keys(t *testing.T, u umbral) umbralKeys {
	t.Helper()
	parse := func(b []byte) Scalar { s, err := u.Field().Parse(b); require.NoError(t, err); return s }
	k := umbralKeys{a: parse(x.DelegatingKey), b: parse(x.ReceivingKey), signing: parse(x.SigningKey)}
	k.pkA, k.pkB, k.verifying = u.public(k.a), u.public(k.b), u.public(k.signing)
	return k
}

// checkExchange checks and opens an exchange in every way there is, and repeats the re-encryption.
func checkExchange(t *testing.T, x exchange) {
	t.Helper()
	u := newUmbral(t)
	k := x.keys(t, u)
	c, err := u.parseCapsule(x.Capsule)
	require.NoError(t, err)
	require.Equal(t, []byte(x.Capsule), packCapsule(c))
	requireOpens := func(secret k1Point, err error) {
		t.Helper()
		require.NoError(t, err)
		plaintext, err := umbralUnseal(secret, c, x.Ciphertext)
		require.NoError(t, err)
		require.Equal(t, []byte(x.Plaintext), plaintext)
	}
	requireOpens(u.times(k.a, u.Sum(c)), nil)

	require.Len(t, x.KeyFragments, x.Shares)
	require.Len(t, x.CapsuleFragments, x.Shares)
	var theirs, ours []umbralFragment
	for i, b := range x.KeyFragments {
		kf, err := u.parseKey(b)
		require.NoError(t, err)
		require.Equal(t, []byte(b), kf.pack([]byte(umbralU)))
		require.NoError(t, u.checkKey(kf, k.verifying, k.pkA, k.pkB))
		f, err := u.reencrypt(rand.NewChaCha8([32]byte{byte(i)}), c, kf)
		require.NoError(t, err)
		require.NoError(t, u.checkFragment(c, f, k.verifying, k.pkA, k.pkB))
		ours = append(ours, f)

		f, err = u.parseFragment(x.CapsuleFragments[i])
		require.NoError(t, err)
		require.Equal(t, []byte(x.CapsuleFragments[i]), f.pack())
		require.NoError(t, u.checkFragment(c, f, k.verifying, k.pkA, k.pkB))
		theirs = append(theirs, f)
	}
	for _, frags := range [][]umbralFragment{theirs, ours, append(theirs[:1:1], ours[1:]...)} {
		requireOpens(u.open(k.b, k.pkA, c, frags[:x.Threshold]))
		requireOpens(u.open(k.b, k.pkA, c, frags[len(frags)-x.Threshold:]))
		if x.Threshold > 1 {
			_, err := u.open(k.b, k.pkA, c, frags[:x.Threshold-1])
			require.Error(t, err, "one fragment less")
		}
	}
	_, err = u.open(k.a, k.pkA, c, theirs[:x.Threshold])
	require.Error(t, err, "another reader")
}

// makeExchange makes an exchange from randomness that is fixed by its name.
func makeExchange(t *testing.T, name string, threshold, shares int) exchange {
	t.Helper()
	u := newUmbral(t)
	source := rand.NewChaCha8([32]byte([]byte((name + "................................")[:32])))
	scalar := func() []byte { s, err := u.Field().Random(source); require.NoError(t, err); return s.Bytes() }
	x := exchange{Name: name, Threshold: threshold, Shares: shares, Plaintext: []byte("record of " + name),
		DelegatingKey: scalar(), ReceivingKey: scalar(), SigningKey: scalar()}
	k := x.keys(t, u)
	c, secret, err := u.encapsulate(source, k.pkA)
	require.NoError(t, err)
	x.Capsule = packCapsule(c)
	x.Ciphertext, err = umbralSeal(source, secret, c, x.Plaintext)
	require.NoError(t, err)
	kfs, err := u.rekey(source, k.a, k.signing, k.pkB, threshold, shares)
	require.NoError(t, err)
	for _, kf := range kfs {
		f, err := u.reencrypt(source, c, kf)
		require.NoError(t, err)
		x.KeyFragments = append(x.KeyFragments, kf.pack([]byte(umbralU)))
		x.CapsuleFragments = append(x.CapsuleFragments, f.pack())
	}
	return x
}

func ourExchanges(t *testing.T) []exchange {
	t.Helper()
	return []exchange{makeExchange(t, "ours, 1 of 1", 1, 1), makeExchange(t, "ours, 2 of 3", 2, 3), makeExchange(t, "ours, 3 of 5", 3, 5)}
}

// forge is attack C: the exchange with another key in its first key fragment, and with the U for which that key has the signed
// commitment.
func forge(t *testing.T, x exchange) exchange {
	t.Helper()
	u := newUmbral(t)
	k, err := u.parseKey(x.KeyFragments[0])
	require.NoError(t, err)
	k.rk = u.Field().Small(7)
	injected := u.times(k.rk.Inv(), k.u1)
	x.Name, x.Threshold, x.Shares = "forged", 1, 1
	x.KeyFragments, x.CapsuleFragments, x.Ciphertext = []hexBytes{k.pack(injected.Bytes())}, nil, nil
	return x
}

func TestWhatThePackageMadeChecksAndOpensHere(t *testing.T) {
	t.Parallel()
	v := loadUmbral(t)
	shapes := map[[2]int]bool{}
	for _, x := range v.Made {
		t.Run(x.Name, func(t *testing.T) { t.Parallel(); checkExchange(t, x) })
		shapes[[2]int{x.Threshold, x.Shares}] = true
	}
	require.Equal(t, map[[2]int]bool{{1, 1}: true, {2, 3}: true, {3, 5}: true}, shapes)
}

func TestWeStillMakeTheBytesThatThePackageOpened(t *testing.T) {
	t.Parallel()
	ours := ourExchanges(t)
	require.Equal(t, loadUmbral(t).Ours, ours)
	for _, x := range ours {
		checkExchange(t, x)
	}
}

func TestNothingAlteredOfWhatThePackageMadeIsAccepted(t *testing.T) {
	t.Parallel()
	x, u := loadUmbral(t).Made[1], newUmbral(t)
	k := x.keys(t, u)
	c, err := u.parseCapsule(x.Capsule)
	require.NoError(t, err)
	for name, object := range map[string]struct {
		b      []byte
		accept func([]byte) error
	}{
		"capsule": {x.Capsule, func(b []byte) error { _, err := u.parseCapsule(b); return err }},
		"key fragment": {x.KeyFragments[0], func(b []byte) error {
			kf, err := u.parseKey(b)
			if err != nil {
				return err
			}
			if err := u.checkKey(kf, k.verifying, k.pkA, k.pkB); err != nil {
				return err
			}
			f, err := u.reencrypt(rand.NewChaCha8([32]byte{}), c, kf) // its other signature travels with what it makes
			require.NoError(t, err)
			return u.checkFragment(c, f, k.verifying, k.pkA, k.pkB)
		}},
		"capsule fragment": {x.CapsuleFragments[0], func(b []byte) error {
			f, err := u.parseFragment(b)
			if err != nil {
				return err
			}
			return u.checkFragment(c, f, k.verifying, k.pkA, k.pkB)
		}},
	} {
		require.NoError(t, object.accept(object.b), name)
		for i := range object.b {
			altered := bytes.Clone(object.b)
			altered[i] ^= 1 << (i % 8)
			require.Error(t, object.accept(altered), "%s, byte %d", name, i)
			require.ErrorIs(t, object.accept(object.b[:i]), errUmbralFormat, "%s cut to %d bytes", name, i)
		}
		require.ErrorIs(t, object.accept(append(bytes.Clone(object.b), 0)), errUmbralFormat, name)
	}
}

func TestAttackC_TheInjectedGeneratorThatThePackageAcceptsIsRefused(t *testing.T) {
	t.Parallel()
	v, u := loadUmbral(t), newUmbral(t)
	forged := forge(t, v.Made[1])
	require.Equal(t, v.Forged, forged, "these bytes are what the package's verify accepted")
	_, err := u.parseKey(forged.KeyFragments[0])
	require.ErrorIs(t, err, errUmbralFormat)

	// With the constant in its place the bytes parse, and the key does not fit its commitment.
	b := bytes.Clone(forged.KeyFragments[0])
	copy(b[4:], umbralU)
	kf, err := u.parseKey(b)
	require.NoError(t, err)
	k := forged.keys(t, u)
	require.ErrorIs(t, u.checkKey(kf, k.verifying, k.pkA, k.pkB), errUmbralProof)
}

func TestAttackD_UmbralsFragmentsServeEveryRecordOfAKey(t *testing.T) {
	t.Parallel()
	made := loadUmbral(t).Made
	one, other := made[1], made[len(made)-1]
	require.NotEqual(t, one.Capsule, other.Capsule)
	require.Equal(t, one.KeyFragments, other.KeyFragments)
	checkExchange(t, other) // nothing in the format tells the records apart: why our capsules, proofs and requests carry a context
}

func TestAttackH_UmbralsHashToScalarFitsItsOwnCurveOnly(t *testing.T) {
	t.Parallel()
	gap := func(order *big.Int) int {
		return new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 256), order).BitLen()
	}
	require.Equal(t, 129, gap(newUmbral(t).order), "bias 2^-128 on secp256k1")
	require.Equal(t, 224, gap(new(big.Int).SetBytes([]byte(p256Order))), "bias 2^-32 on P-256: 48 bytes are reduced there")
}
