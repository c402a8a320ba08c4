// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package pre

import (
	"bytes"
	"fmt"
)

// envelopeVersion is the version of Envelope's encoding.
const envelopeVersion = 1

// Envelope is a record's sealed key material, as it lies in the private data collection beside the capsule.
type Envelope struct {
	Wrapped      []byte   // the data key under KEK, WrappedKeySize bytes
	Shares       ShareSet // K_share for the gateways
	PatientCopy  []byte   // K_share sealed to the patient (SealPatientCopy); empty where the patient has no hybrid key
	HospitalCopy []byte   // the data key sealed to the author's hospital (SealHospitalCopy); empty where it keeps none
}

// envelopeWire is the encoding: deterministic CBOR arrays, version, suite and KEM first.
type envelopeWire struct {
	_            struct{} `cbor:",toarray"`
	Version      uint8
	Suite        string
	KEM          uint16
	Wrapped      []byte
	Threshold    uint8
	Shares       []shareWire
	PatientCopy  []byte
	HospitalCopy []byte
}

type shareWire struct {
	_          struct{} `cbor:",toarray"`
	Gateway    string
	Index      uint8
	Sealed     []byte
	Commitment []byte
}

// Marshal returns the deterministic CBOR encoding (RFC 8949, 4.2.1). An envelope that ParseEnvelope would refuse is
// ErrParameter.
func (e *Envelope) Marshal() ([]byte, error) {
	if e == nil {
		return nil, parameter("encode envelope: no envelope")
	}
	if problem := e.check(); problem != "" {
		return nil, parameter("encode envelope: %s", problem)
	}
	return encodeCBOR(e.wire())
}

func (e *Envelope) wire() envelopeWire {
	w := envelopeWire{
		Version: envelopeVersion, Suite: Suite, KEM: KEMID, Wrapped: e.Wrapped,
		Threshold:   uint8(e.Shares.Threshold), //nolint:gosec // checked
		Shares:      make([]shareWire, len(e.Shares.Shares)),
		PatientCopy: e.PatientCopy, HospitalCopy: e.HospitalCopy,
	}
	for i, s := range e.Shares.Shares {
		w.Shares[i] = shareWire{Gateway: s.Gateway, Index: s.Index, Sealed: s.Sealed, Commitment: s.Commitment[:]}
	}
	return w
}

// ParseEnvelope decodes an envelope. Anything but the one deterministic encoding of a valid envelope of this suite is
// ErrMalformed: unknown versions, indefinite lengths, tags, other integer widths, bytes left over, repeated gateways.
func ParseEnvelope(b []byte) (*Envelope, error) {
	var w envelopeWire
	if err := decodeCBOR(b, &w); err != nil {
		return nil, fmt.Errorf("parse envelope: %w", err)
	}
	if w.Version != envelopeVersion || w.Suite != Suite || w.KEM != KEMID {
		return nil, malformed("parse envelope: version %d of suite %q with KEM %#04x", w.Version, w.Suite, w.KEM)
	}
	e := &Envelope{
		Wrapped:     w.Wrapped,
		Shares:      ShareSet{Threshold: int(w.Threshold), Shares: make([]SealedShare, len(w.Shares))},
		PatientCopy: w.PatientCopy, HospitalCopy: w.HospitalCopy,
	}
	for i, s := range w.Shares {
		if len(s.Commitment) != HashSize {
			return nil, malformed("parse envelope: commitment of %d bytes", len(s.Commitment))
		}
		e.Shares.Shares[i] = SealedShare{s.Gateway, s.Index, s.Sealed, [HashSize]byte(s.Commitment)}
	}
	if problem := e.check(); problem != "" {
		return nil, malformed("parse envelope: %s", problem)
	}
	again, err := encodeCBOR(w)
	if err != nil {
		return nil, fmt.Errorf("parse envelope: %w", err)
	}
	if !bytes.Equal(again, b) {
		return nil, malformed("parse envelope: not deterministic CBOR")
	}
	return e, nil
}

// check returns what is wrong with the envelope's shape, or nothing.
func (e *Envelope) check() string {
	if len(e.Wrapped) != WrappedKeySize {
		return fmt.Sprintf("wrapped key of %d bytes", len(e.Wrapped))
	}
	for _, c := range [][]byte{e.PatientCopy, e.HospitalCopy} {
		if len(c) != 0 && len(c) != SealedKeySize {
			return fmt.Sprintf("copy of %d bytes", len(c))
		}
	}
	return e.Shares.check()
}

func (s *ShareSet) check() string {
	ids := make([]string, len(s.Shares))
	for i, share := range s.Shares {
		ids[i] = share.Gateway
		if len(share.Sealed) != SealedShareSize {
			return fmt.Sprintf("share of %d bytes", len(share.Sealed))
		}
		if share.Index == 0 || i > 0 && share.Index <= s.Shares[i-1].Index {
			return "share indices do not rise from 1"
		}
	}
	if err := validateThreshold(s.Threshold, ids); err != nil {
		return err.Error()
	}
	return ""
}

// ShareOf returns the share of a gateway, and whether it has one.
func (s *ShareSet) ShareOf(gateway string) (SealedShare, bool) {
	for _, share := range s.Shares {
		if share.Gateway == gateway {
			return share, true
		}
	}
	return SealedShare{}, false
}
