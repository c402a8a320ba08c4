// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package pre

import (
	"errors"
	"fmt"
	"sort"
)

// Open recovers K_pre from the fragments of at least threshold distinct gateways, with one operation of the reader's private
// key. Every fragment is verified; p.Gateway is ignored, since each fragment is checked against the gateway it names.
// Fragments that are wrong, repeat a gateway or come from another Rekey run do not count and do not hurt: as long as
// threshold good ones of one run remain the record opens, so no liar can block a reader. When too few remain the error
// is ErrTooFewFragments joined with one *GatewayError for each refused fragment. To name liars after a success too,
// use OpenReport.
func Open(reader ECDHer, c *Capsule, threshold int, p ReencryptParams, frags []*CapsuleFragment) ([]byte, error) {
	key, _, err := OpenReport(reader, c, threshold, p, frags)
	return key, err
}

// OpenReport is Open, and also returns one *GatewayError for each fragment it refused, whether or not enough remained.
func OpenReport(
	reader ECDHer, c *Capsule, threshold int, p ReencryptParams, frags []*CapsuleFragment,
) ([]byte, []*GatewayError, error) {
	if err := validateOpen(reader, c, threshold, p); err != nil {
		return nil, nil, fmt.Errorf("open: %w", err)
	}
	if err := c.Verify(p.Delegating, p.Context); err != nil {
		return nil, nil, fmt.Errorf("open: %w", err)
	}
	valid, refused := sortFragments(c, p, frags)
	if len(valid) < threshold {
		errs := []error{fmt.Errorf("open: %d of %d: %w", len(valid), threshold, ErrTooFewFragments)}
		for _, r := range refused {
			errs = append(errs, r)
		}
		return nil, refused, errors.Join(errs...)
	}
	key, err := combine(reader, c, p, valid[:threshold])
	if err != nil {
		return nil, refused, fmt.Errorf("open: %w", err)
	}
	return key, refused, nil
}

func validateOpen(reader ECDHer, c *Capsule, threshold int, p ReencryptParams) error {
	if reader == nil || !c.valid() {
		return parameter("reader key and capsule are required")
	}
	if err := p.names().validate(); err != nil {
		return err
	}
	if !p.Reader.Equal(reader.Public()) {
		return parameter("the request is for another reader")
	}
	if threshold < 1 || threshold > MaxGateways {
		return parameter("threshold %d", threshold)
	}
	return nil
}

// sortFragments verifies every fragment and returns the largest set of valid ones of one Rekey run with distinct gateways.
func sortFragments(c *Capsule, p ReencryptParams, frags []*CapsuleFragment) ([]*CapsuleFragment, []*GatewayError) {
	var refused []*GatewayError
	runs := map[[PointSize]byte][]*CapsuleFragment{}
	for _, f := range frags {
		if !f.valid() {
			continue
		}
		p.Gateway = f.gateway
		if err := f.verify(c, p); err != nil {
			refused = append(refused, &GatewayError{f.gateway, err})
			continue
		}
		if run := runs[f.xa.Encoding()]; !repeats(run, f) {
			runs[f.xa.Encoding()] = append(run, f)
		}
	}
	ordered := make([][]*CapsuleFragment, 0, len(runs))
	for _, run := range runs {
		ordered = append(ordered, run)
	}
	sort.Slice(ordered, func(i, j int) bool {
		if len(ordered[i]) != len(ordered[j]) {
			return len(ordered[i]) > len(ordered[j])
		}
		return string(ordered[i][0].xa.Bytes()) < string(ordered[j][0].xa.Bytes())
	})
	if len(ordered) == 0 {
		return nil, refused
	}
	for _, run := range ordered[1:] {
		for _, f := range run {
			err := unproven("fragment does not belong to the same key fragments as the others")
			refused = append(refused, &GatewayError{f.gateway, err})
		}
	}
	return ordered[0], refused
}

// repeats reports whether f adds nothing to run: its gateway, or its fragment, is already there.
func repeats(run []*CapsuleFragment, f *CapsuleFragment) bool {
	for _, other := range run {
		if other.gateway == f.gateway || other.id == f.id {
			return true
		}
	}
	return false
}

// combine interpolates the fragments into d·f(0) = a times E and V, whose sum's x coordinate is the one the author used. That
// fails if and only if the patient's key fragments do not lie on one polynomial of this delegating key.
func combine(reader ECDHer, c *Capsule, p ReencryptParams, frags []*CapsuleFragment) ([]byte, error) {
	dh, err := agree(reader, &PublicKey{frags[0].xa})
	if err != nil {
		return nil, err
	}
	ex := exchange{xa: frags[0].xa, reader: p.Reader.pt, dh: dh}
	xs, images := make([]scalar, len(frags)), make([]image, len(frags))
	for i, f := range frags {
		xs[i], images[i] = ex.coordinate(f.id), f.image()
	}
	secret, err := suite().Open(c.parts, p.Delegating.pt, c.challenge(p.Delegating, p.Context), ex.d(), xs, images)
	if err != nil {
		return nil, unproven("%v", err)
	}
	return c.key(secret.X(), p.Context)
}
