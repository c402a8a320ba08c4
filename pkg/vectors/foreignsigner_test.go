// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package vectors

import (
	"bytes"
	"crypto"
	"errors"
	"io"
	"math/big"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/pkg/pre"
	ref "github.com/emrys-health/emrys/pkg/vectors/internal/reference"
)

// hardware is a signing key that answers with these bytes.
type hardware struct {
	public crypto.PublicKey
	answer []byte
	err    error
}

func (h hardware) Public() crypto.PublicKey { return h.public }

func (h hardware) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) { return h.answer, h.err }

// der writes r and s as they are.
func der(r, s []byte) []byte {
	body := ref.Join([]byte{2, byte(len(r))}, r, []byte{2, byte(len(s))}, s)
	return append([]byte{0x30, byte(len(body))}, body...)
}

// unsigned is a number as ASN.1 writes it: with a zero byte before a high bit.
func unsigned(x *big.Int) []byte {
	if x.Sign() == 0 {
		return []byte{0}
	}
	if b := x.Bytes(); b[0] < 0x80 {
		return b
	}
	return append([]byte{0}, x.Bytes()...)
}

// TestAnswersOfForeignHardware holds SignP256 to one encoding of what a signing key outside of the process says (P5.3).
func TestAnswersOfForeignHardware(t *testing.T) {
	t.Parallel()
	key, digest, n := randomScalar(t), random(32), ref.Order()
	public, err := pre.ParsePublicKey(ref.Base(key))
	require.NoError(t, err)
	ecdsaKey, err := public.ECDSA()
	require.NoError(t, err)
	sig := ref.Sign(key, digest, randomScalar(t))
	r, s := new(big.Int).SetBytes(sig[:32]), new(big.Int).SetBytes(sig[32:])
	high := new(big.Int).Sub(n, s)

	for name, answer := range map[string][]byte{"the smaller s": der(unsigned(r), unsigned(s)), "the larger s": der(unsigned(r), unsigned(high))} {
		got, err := pre.SignP256(nil, hardware{public: ecdsaKey, answer: answer}, digest)
		require.NoError(t, err, name)
		require.Equal(t, sig, got, name)
		require.NoError(t, pre.VerifyP256(public, digest, got), name)
	}
	good := der(unsigned(r), unsigned(s))
	for name, answer := range map[string][]byte{
		"nothing":                  nil,
		"r and s without ASN.1":    sig,
		"a byte left over":         append(bytes.Clone(good), 0),
		"a byte too few":           good[:len(good)-1],
		"a zero byte too many":     der(append([]byte{0}, unsigned(r)...), unsigned(s)),
		"a length in two bytes":    append([]byte{0x30, 0x81, good[1]}, good[2:]...),
		"three integers":           append([]byte{0x30, good[1] + 3, 2, 1, 1}, good[2:]...),
		"r zero":                   der([]byte{0}, unsigned(s)),
		"s zero":                   der(unsigned(r), []byte{0}),
		"r of n":                   der(unsigned(n), unsigned(s)),
		"s of n":                   der(unsigned(r), unsigned(n)),
		"r negative":               der([]byte{0xff}, unsigned(s)),
		"s of 33 bytes":            der(unsigned(r), append([]byte{1}, make([]byte, 32)...)),
		"r an empty integer":       der(nil, unsigned(s)),
		"a set and no sequence":    append([]byte{0x31}, good[1:]...),
		"an indefinite length":     ref.Join([]byte{0x30, 0x80}, good[2:], []byte{0, 0}),
		"another signature as PEM": []byte("-----BEGIN SIGNATURE-----"),
	} {
		got, err := pre.SignP256(nil, hardware{public: ecdsaKey, answer: answer}, digest)
		require.Error(t, err, name)
		require.Equal(t, "malformed", failureOf(t, err).Class, name)
		require.Nil(t, got, name)
	}
	gone := errors.New("the card was removed")
	_, err = pre.SignP256(nil, hardware{public: ecdsaKey, err: gone}, digest)
	require.ErrorIs(t, err, gone)
	_, err = pre.SignP256(nil, hardware{answer: good}, digest)
	require.ErrorIs(t, err, pre.ErrParameter)
}
