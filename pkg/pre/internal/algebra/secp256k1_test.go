// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package algebra

import (
	"testing"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	"github.com/stretchr/testify/require"
)

// k1Element is an element of secp256k1 in Jacobian coordinates.
type k1Element = *secp256k1.JacobianPoint

// k1Group is secp256k1. Its multiplication is not constant in time, which is one reason why it is in tests only.
type k1Group struct{ field *Field }

var _ Group[k1Element] = k1Group{}

func secp256k1Group(tb testing.TB) k1Group {
	tb.Helper()
	f, err := NewField(secp256k1.Params().N.Bytes())
	require.NoError(tb, err)
	return k1Group{f}
}

func (g k1Group) Field() *Field { return g.field }

func k1Scalar(k Scalar) *secp256k1.ModNScalar {
	var s secp256k1.ModNScalar
	s.SetByteSlice(k.Bytes())
	return &s
}

func (g k1Group) Mul(k Scalar, p k1Element) k1Element {
	var out secp256k1.JacobianPoint
	secp256k1.ScalarMultNonConst(k1Scalar(k), p, &out)
	return &out
}

func (g k1Group) BaseMul(k Scalar) k1Element {
	var out secp256k1.JacobianPoint
	secp256k1.ScalarBaseMultNonConst(k1Scalar(k), &out)
	return &out
}

func (g k1Group) Add(p, q k1Element) k1Element {
	var out secp256k1.JacobianPoint
	secp256k1.AddNonConst(p, q, &out)
	return &out
}

func (g k1Group) Sub(p, q k1Element) k1Element {
	negative := *q
	negative.Y.Normalize().Negate(1).Normalize()
	return g.Add(p, &negative)
}

func (g k1Group) Equal(p, q k1Element) bool { return g.IsIdentity(g.Sub(p, q)) }

func (g k1Group) IsIdentity(p k1Element) bool {
	z := p.Z
	x, y := p.X, p.Y
	return z.Normalize().IsZero() || x.Normalize().IsZero() && y.Normalize().IsZero()
}

func (g k1Group) Encode(p k1Element) [PointSize]byte {
	affine := *p
	affine.ToAffine()
	return [PointSize]byte(secp256k1.NewPublicKey(&affine.X, &affine.Y).SerializeCompressed())
}

func (g k1Group) Decode(b [PointSize]byte) (k1Element, error) {
	key, err := secp256k1.ParsePubKey(b[:])
	if err != nil {
		return nil, err
	}
	var p secp256k1.JacobianPoint
	key.AsJacobian(&p)
	return &p, nil
}
