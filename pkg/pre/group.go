// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package pre

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/emrys-health/emrys/pkg/pre/internal/algebra"
)

// Lengths in bytes of encoded group elements and integers.
const (
	ScalarSize = algebra.ScalarSize // 32: big-endian, reduced, so there is one encoding per value
	PointSize  = algebra.PointSize  // 33: SEC 1 compressed, the only form this package reads or writes
)

// wideSize is how many uniform bytes are reduced to one scalar. 48 bytes leave a bias of about 2^-128. Reducing a bare
// SHA-256 output instead, as Umbral does, would leave about 2^-32 on P-256, whose order is 2^224 away from 2^256.
const wideSize = algebra.WideSize

// uBytes is U, the second generator that key fragments are committed to: hash_to_curve of RFC 9380, suite
// P256_XMD:SHA-256_SSWU_RO_, of the message and domain tag below, so that nobody knows its logarithm. It is a constant
// and never read from the wire: a fragment that brings its own U can be made to verify for any key.
const (
	uMessage = "POINT_U"
	uDomain  = "EMRYS-PRE-V1-P256_XMD:SHA-256_SSWU_RO_"
	uBytes   = "\x03\x24\x3a\x30\x5c\xeb\x21\x4b\x51\xcb\xa1\xa3\x5e\xad\xd3\x55\x4e" +
		"\x57\x82\xd5\x05\x6a\x02\x6d\x3d\xc0\x96\x14\x48\xb8\x4b\xfc\x90"
)

// The algebra of the suite, over P-256.
type (
	scalar       = algebra.Scalar
	point        = algebra.Point[algebra.P256Element]
	scheme       = algebra.Scheme[algebra.P256Element]
	capsuleParts = algebra.Capsule[algebra.P256Element]
	image        = algebra.Image[algebra.P256Element]
	firstMessage = algebra.First[algebra.P256Element]
)

var suite = sync.OnceValue(func() scheme {
	group := algebra.P256()
	return scheme{Group: group, U: algebra.Must(algebra.ParsePoint(group, []byte(uBytes)))}
})

// parseScalar decodes 32 bytes, refusing zero and anything not below n: no scalar of the protocol may be either.
func parseScalar(b []byte) (scalar, error) {
	s, err := suite().Field().Parse(b)
	if err != nil {
		return scalar{}, malformed("%v", err)
	}
	return s, nil
}

// parsePoint decodes a compressed point.
func parsePoint(b []byte) (point, error) {
	p, err := algebra.ParsePoint(suite(), b)
	if err != nil {
		return point{}, malformed("%v", err)
	}
	return p, nil
}

// basePoint returns k·G for k other than zero.
func basePoint(k scalar) point { return algebra.PointOf(suite(), suite().BaseMul(k)) }

// randomScalar returns a uniform non-zero scalar. A nil source means crypto/rand.
func randomScalar(source io.Reader) (scalar, error) {
	s, err := suite().Field().Random(randomOr(source))
	return s, degenerate(err)
}

// degenerate gives an error of the algebra the class of the caller's fault it is: of the random source.
func degenerate(err error) error {
	if errors.Is(err, algebra.ErrDegenerate) {
		return fmt.Errorf("%w: %w", err, ErrParameter)
	}
	return err
}

func randomOr(source io.Reader) io.Reader {
	if source == nil {
		return rand.Reader
	}
	return source
}
