// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package pre

import (
	"bytes"
	"crypto"
	"crypto/elliptic"
	"errors"
	"io"
	"math/big"
	"testing"
	"testing/iotest"

	"github.com/cloudflare/circl/expander"
	"github.com/cloudflare/circl/group"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestConstantsAreWhatTheyClaim(t *testing.T) {
	t.Parallel()
	require.GreaterOrEqual(t, len(uDomain), 16, "RFC 9380, 3.1")
	u, err := group.P256.HashToElement([]byte(uMessage), []byte(uDomain)).MarshalBinaryCompress()
	require.NoError(t, err)
	require.Equal(t, u, suite().U.Bytes(), "U is the hash to the curve it is said to be")
}

func TestExpandXMDAgreesWithAnotherImplementation(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		msg := rapid.SliceOfN(rapid.Byte(), 0, 200).Draw(t, "message")
		domain := rapid.SliceOfN(rapid.Byte(), 1, 255).Draw(t, "domain")
		size := rapid.IntRange(1, 200).Draw(t, "size")
		got := make([]byte, size)
		expandXMD(got, msg, string(domain))
		want := expander.NewExpanderMD(crypto.SHA256, domain).Expand(msg, uint(size))
		require.Equal(t, want, got)
	})
}

func TestScalarsThatAreRefused(t *testing.T) {
	t.Parallel()
	n := elliptic.P256().Params().N
	one := big.NewInt(1)
	for name, b := range map[string][]byte{
		"zero":           make([]byte, 32),
		"the order":      n.Bytes(),
		"above it":       new(big.Int).Add(n, one).Bytes(),
		"all ones":       bytes.Repeat([]byte{0xff}, 32),
		"empty":          nil,
		"one byte short": make([]byte, 31),
		"one byte more":  append([]byte{0}, one.FillBytes(make([]byte, 32))...),
	} {
		_, err := parseScalar(b)
		require.ErrorIs(t, err, ErrMalformed, name)
		_, err = ParsePrivateKey(b)
		require.ErrorIs(t, err, ErrMalformed, name)
	}
	last, err := ParsePrivateKey(new(big.Int).Sub(n, one).Bytes())
	require.NoError(t, err)
	g := basePoint(suite().Field().Small(1)).Bytes()
	require.Equal(t, g[1:], last.Public().Bytes()[1:], "n-1 gives -G, whose x is that of G")
	require.NotEqual(t, g[0], last.Public().Bytes()[0])
}

func TestPointsThatAreRefused(t *testing.T) {
	t.Parallel()
	k := newKey(t).Public()
	p := elliptic.P256().Params().P
	good := k.Bytes()
	with := func(prefix byte, x []byte) []byte { return append([]byte{prefix}, x...) }
	for name, b := range map[string][]byte{
		"the identity in one byte": {0},
		"uncompressed":             k.pt.Element.Bytes(),
		"empty":                    nil,
		"32 bytes":                 good[:32],
		"34 bytes":                 append(bytes.Clone(good), 0),
		"33 zero bytes":            make([]byte, 33),
		"prefix 0":                 with(0, good[1:]),
		"prefix 1":                 with(1, good[1:]),
		"prefix 4":                 with(4, good[1:]),
		"prefix 5":                 with(5, good[1:]),
		"prefix 6, a hybrid form":  with(6, good[1:]),
		"x equal to the prime":     with(2, p.Bytes()),
		"x above the prime":        with(2, new(big.Int).Add(p, big.NewInt(5)).Bytes()),
		"x without a y (x = 1)":    with(2, big.NewInt(1).FillBytes(make([]byte, 32))),
		"all ones":                 bytes.Repeat([]byte{0xff}, 33),
	} {
		_, err := ParsePublicKey(b)
		require.ErrorIs(t, err, ErrMalformed, name)
	}
}

func TestPartsOfAHashCannotShift(t *testing.T) {
	t.Parallel()
	require.NotEqual(t, hash32("a", []byte("bc"), []byte("d")), hash32("a", []byte("b"), []byte("cd")))
	require.NotEqual(t, hash32("a", []byte("b")), hash32("ab"))
	require.NotEqual(t, hash32("a"), hash32("a", nil))
	require.False(t, hashToScalar("a", []byte("bc"), []byte("d")).Equal(hashToScalar("a", []byte("b"), []byte("cd"))))
	require.False(t, hashToScalar("a", []byte("b")).Equal(hashToScalar("b", []byte("b"))), "the label separates")
}

func TestABadRandomSourceIsReportedNotUsed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 2, 3)
	broken := errors.New("no entropy")
	p := RekeyParams{Grant: w.params.Grant, Reader: w.params.Reader, Gateways: w.gateways, Threshold: 2}
	recipients := []Recipient{{"A", newHybrid(t).Public()}, {"B", newHybrid(t).Public()}}
	uses := map[string]func(io.Reader) error{
		"generate": func(r io.Reader) error { _, err := GeneratePrivateKey(r); return err },
		"encapsulate": func(r io.Reader) error {
			_, _, err := Encapsulate(r, w.params.Delegating, w.params.Context)
			return err
		},
		"rekey": func(r io.Reader) error { _, err := Rekey(r, w.delegating, w.signer.Signer(), p); return err },
		"re-encrypt": func(r io.Reader) error {
			_, err := Reencrypt(r, w.capsule, w.kfrags[0], w.at(w.gateways[0]))
			return err
		},
		"split": func(r io.Reader) error { _, _, err := SplitShares(r, w.params.Context, 2, recipients); return err },
	}
	for name, use := range uses {
		require.ErrorIs(t, use(iotest.ErrReader(broken)), broken, name)
		require.Error(t, use(bytes.NewReader(make([]byte, 20))), "%s: a source that ends", name)
		require.Error(t, use(zeros{}), "%s: a source of zeros", name)
	}
	// Running dry later than at the first draw is noticed as well.
	for n := wideSize; n < 4*wideSize; n += 16 {
		require.Error(t, uses["rekey"](io.LimitReader(randomOr(nil), int64(n))))
	}
	require.Error(t, uses["encapsulate"](io.LimitReader(randomOr(nil), wideSize-1)))
	require.Error(t, uses["split"](io.LimitReader(randomOr(nil), wideSize)))
	require.Error(t, uses["split"](io.LimitReader(randomOr(nil), 2*wideSize)))
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }
