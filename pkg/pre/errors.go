// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package pre

import (
	"errors"
	"fmt"
)

// The failures a caller branches on. Every error of this package satisfies errors.Is with exactly one of them, except
// those of a random source or of a key operation outside this process, which are wrapped as they are.
var (
	// ErrMalformed says that bytes are not the encoding of the object they were given as: wrong length, a point
	// that is not on the curve, a scalar that is zero or not reduced, a non-deterministic CBOR form, bytes left over.
	ErrMalformed = errors.New("malformed encoding")
	// ErrParameter says that the caller's own arguments are not allowed: a nil key, a threshold above the number of
	// gateways, a gateway named twice.
	ErrParameter = errors.New("invalid parameter")
	// ErrContext says that a RecordContext is incomplete or out of bounds, so that it has no hash.
	ErrContext = errors.New("invalid record context")
	// ErrProof says that a well-formed object is not what it claims to be: the proof of a capsule or fragment, or a
	// signature, does not hold for the keys, record, request, gateway and grant it was checked against.
	ErrProof = errors.New("proof or signature does not hold")
	// ErrTooFewFragments says that fewer valid fragments or shares of distinct gateways are at hand than the threshold.
	ErrTooFewFragments = errors.New("too few fragments")
	// ErrShare says that a share does not match the commitment its record was registered with.
	ErrShare = errors.New("share does not match its commitment")
	// ErrDecrypt says that authenticated decryption failed: wrong key, wrong context or altered bytes.
	ErrDecrypt = errors.New("decryption failed")
)

// GatewayError names the gateway whose fragment or share was refused. Reach it with errors.As; errors.Is sees through
// it to the sentinel.
type GatewayError struct {
	Gateway string // the gateway's id as it stands in the fragment or share
	Err     error  // what was wrong; wraps a sentinel of this package
}

// Error implements error.
func (e *GatewayError) Error() string { return fmt.Sprintf("gateway %q: %v", e.Gateway, e.Err) }

// Unwrap returns the cause.
func (e *GatewayError) Unwrap() error { return e.Err }

func malformed(format string, args ...any) error {
	return fmt.Errorf(format+": %w", append(args, ErrMalformed)...)
}

func parameter(format string, args ...any) error {
	return fmt.Errorf(format+": %w", append(args, ErrParameter)...)
}

func unproven(format string, args ...any) error {
	return fmt.Errorf(format+": %w", append(args, ErrProof)...)
}
