// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package pre

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/asn1"
	"errors"
	"math/big"
	"testing"

	"github.com/stretchr/testify/require"
)

// wide returns 48 bytes that a random scalar is made of, for the scalar i.
func wide(i scalar) []byte { return append(make([]byte, wideSize-ScalarSize), i.Bytes()...) }

func TestASourceThatMakesAZeroShareIsRefused(t *testing.T) {
	t.Parallel()
	// f(x) = 5 - 5x has its zero at the first gateway's coordinate.
	five := suite().Field().Small(5)
	source := bytes.NewReader(append(wide(five), wide(negated(five))...))
	to := []Recipient{{"A", newHybrid(t).Public()}, {"B", newHybrid(t).Public()}}
	_, _, err := SplitShares(source, [HashSize]byte{}, 2, to)
	require.ErrorIs(t, err, ErrParameter)
	require.ErrorContains(t, err, "zero share")
}

func TestZeroBecomesOneWhereAHashMustNotBeZero(t *testing.T) {
	t.Parallel()
	one, two := suite().Field().Small(1), suite().Field().Small(2)
	require.True(t, nonZero(suite().Field().Small(0)).Equal(one))
	require.True(t, nonZero(two).Equal(two))
}

// A share whose author committed to something that is no scalar, which only the author can do.
func TestACommittedShareThatIsNoScalarNamesItsGateway(t *testing.T) {
	t.Parallel()
	gateway, reader := newHybrid(t), newHybrid(t)
	ctx, request := [HashSize]byte{1}, [HashSize]byte{2}
	for name, tc := range map[string]struct {
		y     []byte
		index uint8
	}{
		"zero":               {make([]byte, ScalarSize), 1},
		"not reduced":        {bytes.Repeat([]byte{0xff}, ScalarSize), 1},
		"at coordinate zero": {suite().Field().Small(3).Bytes(), 0},
	} {
		s := SealedShare{Gateway: "A", Index: tc.index}
		o := openedShare{y: tc.y, salt: make([]byte, saltSize)}
		s.Commitment = o.commitment(ctx, &s)
		var err error
		s.Sealed, err = SealTo(gateway.Public(), s.info(labelShare, ctx), o.bytes())
		require.NoError(t, err)
		sealed, err := ReSealShare(gateway, ctx, request, s, reader.Public())
		require.NoError(t, err, "the gateway passes on what was committed")
		_, err = OpenReSealedShare(reader, ctx, request, s, sealed)
		require.ErrorIs(t, err, ErrMalformed, name)
		var ge *GatewayError
		require.ErrorAs(t, err, &ge, name)
		require.Equal(t, "A", ge.Gateway)
	}
}

func TestSharesAreNotSealedToNoKey(t *testing.T) {
	t.Parallel()
	l := newLayer(t, 1, 1)
	_, err := ReSealShare(l.gateways[0], l.ctx, l.request, l.set.Shares[0], &HybridPublicKey{})
	require.ErrorIs(t, err, ErrParameter)
	_, err = RotateShare(l.gateways[0], l.ctx, l.set.Shares[0], &HybridPublicKey{})
	require.ErrorIs(t, err, ErrParameter)
	_, _, err = SplitShares(nil, l.ctx, 1, []Recipient{{"A", &HybridPublicKey{}}})
	require.ErrorIs(t, err, ErrParameter)
}

func TestRekeyReportsItsSigner(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1, 1)
	p := RekeyParams{Grant: w.params.Grant, Reader: w.params.Reader, Gateways: w.gateways, Threshold: 1}
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	require.NoError(t, err)
	_, err = Rekey(nil, w.delegating, p384, p)
	require.ErrorIs(t, err, ErrParameter, "a key on another curve")
	removed := errors.New("token removed")
	pub, err := w.signer.Public().ECDSA()
	require.NoError(t, err)
	_, err = Rekey(nil, w.delegating, token{pub: pub, err: removed}, p)
	require.ErrorIs(t, err, removed)
}

func TestASignerOfNoKeyAndOneThatIsTamperedWith(t *testing.T) {
	t.Parallel()
	s := newKey(t).Signer()
	_, err := (&PrivateKey{}).Signer().Sign(rand.Reader, make([]byte, 32), crypto.SHA256)
	require.ErrorIs(t, err, ErrParameter)
	require.Nil(t, (&PrivateKey{}).Signer().Public())
	pub, ok := s.Public().(*ecdsa.PublicKey)
	require.True(t, ok)
	*pub = ecdsa.PublicKey{}
	_, err = SignP256(nil, s, make([]byte, 32))
	require.NoError(t, err, "who changes the public key that was handed out changes a copy")
}

func TestKeysThatDoNotConvert(t *testing.T) {
	t.Parallel()
	for name, pub := range map[string]*ecdsa.PublicKey{
		"no coordinates":   {Curve: elliptic.P256()},
		"not on the curve": {Curve: elliptic.P256(), X: big.NewInt(1), Y: big.NewInt(1)},                        //nolint:staticcheck // a key that others built
		"too large":        {Curve: elliptic.P256(), X: new(big.Int).Lsh(big.NewInt(1), 300), Y: big.NewInt(1)}, //nolint:staticcheck // likewise
		"no curve":         {},
	} {
		_, err := PublicKeyOf(pub)
		require.ErrorIs(t, err, ErrParameter, name)
	}
	_, err := (&PublicKey{}).ECDSA()
	require.ErrorIs(t, err, ErrParameter)
	_, err = (*PublicKey)(nil).ECDH()
	require.ErrorIs(t, err, ErrParameter)
}

// Signatures that a token might return, of which only the one DER form of values in range counts.
func TestForeignSignaturesHaveOneForm(t *testing.T) {
	t.Parallel()
	pub, err := newKey(t).Public().ECDSA()
	require.NoError(t, err)
	der := func(tag byte, integers ...[]byte) []byte {
		var body []byte
		for _, i := range integers {
			body = append(append(body, tag, byte(len(i))), i...)
		}
		return append([]byte{0x30, byte(len(body))}, body...)
	}
	integer := []byte{5}
	order := elliptic.P256().Params().N.Bytes()
	for name, out := range map[string][]byte{
		"r longer than the order": der(2, append([]byte{1}, make([]byte, 32)...), integer),
		"s longer than the order": der(2, integer, append([]byte{1}, make([]byte, 32)...)),
		"r the order":             der(2, append([]byte{0}, order...), integer),
		"r zero":                  der(2, []byte{0}, integer),
		"r empty":                 der(2, nil, integer),
		"r negative":              der(2, []byte{0x85}, integer),
		"a superfluous zero":      der(2, []byte{0, 5}, integer),
		"three integers":          der(2, integer, integer, integer),
		"one integer":             der(2, integer),
		"octet strings":           der(4, integer, integer),
		"a long form of length":   {0x30, 0x81, 6, 2, 1, 5, 2, 1, 5},
		"a set":                   append([]byte{0x31}, der(2, integer, integer)[1:]...),
		"bytes left over":         append(der(2, integer, integer), 0),
		"nothing":                 nil,
	} {
		_, err := SignP256(nil, token{pub: pub, out: out}, make([]byte, 32))
		require.ErrorIs(t, err, ErrMalformed, name)
	}
	got, err := SignP256(nil, token{pub: pub, out: der(2, integer, []byte{0, 0x80})}, make([]byte, 32))
	require.NoError(t, err)
	require.Equal(t, byte(5), got[31])
	require.Equal(t, byte(0x80), got[63])
}

// DER of every pair of values is what encoding/asn1 writes.
func FuzzSignatureForms(f *testing.F) {
	f.Add(make([]byte, 64))
	f.Add(bytes.Repeat([]byte{0x80}, 64))
	f.Add(append(make([]byte, 31), append([]byte{1}, bytes.Repeat([]byte{0x7f}, 32)...)...))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) != SignatureSize {
			return
		}
		r, rErr := parseScalar(b[:32])
		s, sErr := parseScalar(b[32:])
		if rErr != nil || sErr != nil {
			return
		}
		want, err := asn1.Marshal(struct{ R, S *big.Int }{new(big.Int).SetBytes(b[:32]), new(big.Int).SetBytes(b[32:])})
		require.NoError(t, err)
		require.Equal(t, want, derSignature(r, s))
		low, err := lowS(want)
		require.NoError(t, err)
		require.False(t, isHigh(must(parseScalar(low[32:]))))
		require.Equal(t, b[:32], low[:32])
	})
}

func must(s scalar, err error) scalar {
	if err != nil {
		panic(err)
	}
	return s
}

// FuzzForeignSignature feeds lowS what a token might return: it refuses, or the bytes were the one DER form.
func FuzzForeignSignature(f *testing.F) {
	f.Add([]byte{0x30, 6, 2, 1, 5, 2, 1, 5})
	f.Add([]byte{0x30, 0})
	f.Fuzz(func(t *testing.T, der []byte) {
		out, err := lowS(der)
		if err != nil {
			require.ErrorIs(t, err, ErrMalformed)
			return
		}
		require.Len(t, out, SignatureSize)
		var sig struct{ R, S *big.Int }
		_, err = asn1.Unmarshal(der, &sig)
		require.NoError(t, err)
		require.Equal(t, out[:32], sig.R.FillBytes(make([]byte, 32)))
	})
}

func TestAnEncodedFragmentIsCutAnywhere(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1, 1)
	b := w.kfrags[0].Bytes()
	for i := range b {
		_, err := ParseKeyFragment(b[:i])
		require.ErrorIs(t, err, ErrMalformed)
	}
}

// A key that is missing is the caller's mistake, and no gateway is blamed for it.
func TestAMissingKeyIsNobodysFault(t *testing.T) {
	t.Parallel()
	l, w := newLayer(t, 2, 3), newWorld(t, 1, 1)
	share := l.set.Shares[0]
	for name, call := range map[string]func() error{
		"rekey to no reader": func() error {
			_, err := Rekey(nil, w.delegating, w.signer.Signer(), RekeyParams{Grant: w.params.Grant, Gateways: w.gateways, Threshold: 1})
			return err
		},
		"re-encrypt nothing":        func() error { _, err := Reencrypt(nil, nil, w.kfrags[0], w.at(w.gateways[0])); return err },
		"re-encrypt with nothing":   func() error { _, err := Reencrypt(nil, w.capsule, nil, w.at(w.gateways[0])); return err },
		"split for nobody's key":    func() error { _, _, err := SplitShares(nil, l.ctx, 1, []Recipient{{ID: "A"}}); return err },
		"re-seal without a key":     func() error { _, err := ReSealShare(nil, l.ctx, l.request, share, l.reader.Public()); return err },
		"re-seal for nobody":        func() error { _, err := ReSealShare(l.gateways[0], l.ctx, l.request, share, nil); return err },
		"rotate from nothing":       func() error { _, err := RotateShare(nil, l.ctx, share, l.reader.Public()); return err },
		"rotate to nothing":         func() error { _, err := RotateShare(l.gateways[0], l.ctx, share, nil); return err },
		"open without a reader key": func() error { _, err := OpenReSealedShare(nil, l.ctx, l.request, share, l.reseal(0)); return err },
	} {
		err := call()
		require.ErrorIs(t, err, ErrParameter, name)
		var blamed *GatewayError
		require.NotErrorAs(t, err, &blamed, name)
	}
}
