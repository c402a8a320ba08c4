// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package pre

import (
	"crypto/sha256"
	"fmt"
	"sync"
	"unicode/utf8"

	"github.com/fxamacker/cbor/v2"
)

// contextVersion is the version of RecordContext's encoding.
const contextVersion = 1

// maxText and maxBytes bound the text and opaque fields of a RecordContext, in bytes.
const (
	maxText  = 512
	maxBytes = 2048
)

// RecordContext is everything that a record's key is bound to. Its hash goes into the capsule's proof, into every
// re-encryption proof and into every derivation of the record's keys, so that none of them can be moved to another record,
// patient, policy or payload.
type RecordContext struct {
	Channel  string // ledger channel
	Record   string // record id
	Patient  string // patient's pseudonym
	Scope    string // scope id
	Epoch    uint32 // epoch of the scope key
	ScopeKey []byte // the scope's public key, 33 bytes

	Author    string // author's id
	AuthorKey []byte // author's public key, at most 2048 bytes
	Class     string // record class
	Level     string // security level

	PolicyHash []byte // hash of the policy, 32 bytes, or empty where there is none

	FileID        []byte // payload file id, 32 bytes
	CID           string // content id of the ciphertext
	PlainSize     uint64 // bytes of plaintext
	CipherSize    uint64 // bytes of ciphertext
	SegmentSize   uint32 // bytes of one ciphertext segment
	CipherDigest  []byte // SHA-256 of the ciphertext, 32 bytes
	KeyCommitment []byte // commitment to the data key, 32 bytes

	Version   uint32 // version of the record
	Previous  string // the record version this one replaces, or empty
	Threshold uint8  // gateways needed to open, at least 1
}

// contextWire is the encoding: an array, so that field names cost nothing and their order is the specification.
type contextWire struct {
	_             struct{} `cbor:",toarray"`
	FormatVersion uint8
	Suite         string
	Label         string
	Channel       string
	Record        string
	Patient       string
	Scope         string
	Epoch         uint32
	ScopeKey      []byte
	Author        string
	AuthorKey     []byte
	Class         string
	Level         string
	PolicyHash    []byte
	FileID        []byte
	CID           string
	PlainSize     uint64
	CipherSize    uint64
	SegmentSize   uint32
	CipherDigest  []byte
	KeyCommitment []byte
	Version       uint32
	Previous      string
	Threshold     uint8
}

// Hash returns the SHA-256 of the context's deterministic CBOR (RFC 8949, 4.2.1), an array that begins with version and
// suite. A context that is incomplete or out of bounds is ErrContext.
func (c *RecordContext) Hash() ([HashSize]byte, error) {
	if err := c.validate(); err != nil {
		return [HashSize]byte{}, err
	}
	b, err := encodeCBOR(contextWire{
		FormatVersion: contextVersion, Suite: Suite, Label: labelRecordContext,
		Channel: c.Channel, Record: c.Record, Patient: c.Patient, Scope: c.Scope, Epoch: c.Epoch, ScopeKey: c.ScopeKey,
		Author: c.Author, AuthorKey: c.AuthorKey, Class: c.Class, Level: c.Level, PolicyHash: c.PolicyHash,
		FileID: c.FileID, CID: c.CID, PlainSize: c.PlainSize, CipherSize: c.CipherSize, SegmentSize: c.SegmentSize,
		CipherDigest: c.CipherDigest, KeyCommitment: c.KeyCommitment,
		Version: c.Version, Previous: c.Previous, Threshold: c.Threshold,
	})
	if err != nil {
		return [HashSize]byte{}, err
	}
	return sha256.Sum256(b), nil
}

func (c *RecordContext) validate() error {
	if c == nil {
		return fmt.Errorf("no context: %w", ErrContext)
	}
	if err := c.validateText(); err != nil {
		return err
	}
	if _, err := parsePoint(c.ScopeKey); err != nil {
		return fmt.Errorf("scope key is not a public key: %w", ErrContext)
	}
	if len(c.AuthorKey) == 0 || len(c.AuthorKey) > maxBytes {
		return fmt.Errorf("author key of %d bytes: %w", len(c.AuthorKey), ErrContext)
	}
	if n := len(c.PolicyHash); n != 0 && n != HashSize {
		return fmt.Errorf("policy hash of %d bytes: %w", n, ErrContext)
	}
	for _, f := range []struct {
		name  string
		value []byte
	}{{"file id", c.FileID}, {"ciphertext digest", c.CipherDigest}, {"key commitment", c.KeyCommitment}} {
		if len(f.value) != HashSize {
			return fmt.Errorf("%s of %d bytes: %w", f.name, len(f.value), ErrContext)
		}
	}
	if c.SegmentSize == 0 || c.Threshold == 0 {
		return fmt.Errorf("segment size and threshold must not be zero: %w", ErrContext)
	}
	return nil
}

func (c *RecordContext) validateText() error {
	for _, f := range []struct {
		name, value string
		optional    bool
	}{
		{"channel", c.Channel, false},
		{"record", c.Record, false},
		{"patient", c.Patient, false},
		{"scope", c.Scope, false},
		{"author", c.Author, false},
		{"content id", c.CID, false},
		{"class", c.Class, true},
		{"level", c.Level, true},
		{"previous version", c.Previous, true},
	} {
		if f.value == "" && !f.optional {
			return fmt.Errorf("no %s: %w", f.name, ErrContext)
		}
		if len(f.value) > maxText || !utf8.ValidString(f.value) {
			return fmt.Errorf("%s is too long or not UTF-8: %w", f.name, ErrContext)
		}
	}
	return nil
}

// cborModes are the one way this package writes and reads CBOR: deterministic out, strict in.
type cborModes struct {
	enc cbor.EncMode
	dec cbor.DecMode
}

var cborMode = sync.OnceValues(func() (cborModes, error) {
	opts := cbor.CoreDetEncOptions()
	opts.NilContainers = cbor.NilContainerAsEmpty
	enc, err := opts.EncMode()
	if err != nil {
		return cborModes{}, err
	}
	dec, err := cbor.DecOptions{
		DupMapKey:        cbor.DupMapKeyEnforcedAPF,
		IndefLength:      cbor.IndefLengthForbidden,
		TagsMd:           cbor.TagsForbidden,
		UTF8:             cbor.UTF8RejectInvalid,
		MaxNestedLevels:  4,
		MaxArrayElements: 256,
		MaxMapPairs:      16,
	}.DecMode()
	return cborModes{enc, dec}, err
})

func encodeCBOR(v any) ([]byte, error) {
	m, err := cborMode()
	if err != nil {
		return nil, fmt.Errorf("prepare CBOR: %w", err)
	}
	b, err := m.enc.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encode CBOR: %w", err)
	}
	return b, nil
}

func decodeCBOR(b []byte, v any) error {
	m, err := cborMode()
	if err != nil {
		return fmt.Errorf("prepare CBOR: %w", err)
	}
	if err := m.dec.Unmarshal(b, v); err != nil {
		return malformed("decode CBOR: %v", err)
	}
	return nil
}
