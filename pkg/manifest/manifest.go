// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

// Package manifest joins the vocabulary to the protocol: it says which record
// context an author's manifest stands for, and which stored length a payload
// must have. Author, contract, proxy and reader call the same code, so that a
// capsule means the same to all of them.
//
// It performs no I/O and keeps no state.
package manifest

import (
	"bytes"
	"fmt"

	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/pre"
)

// The container's layout, in bytes: a segment of ciphertext, and what of it is
// nonce and tag.
const (
	SegmentSize     = 262144
	SegmentOverhead = 28
	segmentPlain    = SegmentSize - SegmentOverhead
	// maxSegments is the number of segments that one data key may encrypt.
	maxSegments = 1 << 32
)

// Context returns everything that a record's key is bound to. channel is the
// ledger channel; author and scope are the registry entries that the manifest
// names, as they are when the record is registered. There is no policy hash in
// this version. The result's Hash fails when the manifest is incomplete.
func Context(channel string, m *emr.Manifest, author *emr.Clinician, scope *emr.Scope) *pre.RecordContext {
	return &pre.RecordContext{
		Channel:       channel,
		Record:        string(m.Record),
		Patient:       string(m.Patient),
		Scope:         string(m.Scope),
		Epoch:         m.Epoch,
		ScopeKey:      bytes.Clone(scope.Delegating),
		Author:        string(author.ID),
		AuthorKey:     bytes.Clone(author.Signing.Key),
		Class:         string(m.Class),
		Level:         string(m.Level),
		FileID:        bytes.Clone(m.FileID[:]),
		CID:           m.CID,
		PlainSize:     m.PlainSize,
		CipherSize:    m.CipherSize,
		SegmentSize:   m.SegmentSize,
		CipherDigest:  bytes.Clone(m.Digest[:]),
		KeyCommitment: bytes.Clone(m.KeyCommitment[:]),
		Version:       m.Version,
		Previous:      string(m.Previous),
		Threshold:     m.Threshold,
	}
}

// CipherSize returns the stored length in bytes of a payload of plain bytes: its
// segments, at least one, each with its overhead. It fails with an invalid error
// when the payload is too long for one data key.
func CipherSize(plain uint64) (uint64, error) {
	if plain > maxSegments*segmentPlain {
		return 0, emr.Invalid("plainSize", "is more than one data key may encrypt")
	}
	segments := plain / segmentPlain
	if plain%segmentPlain != 0 || segments == 0 {
		segments++
	}
	return plain + segments*SegmentOverhead, nil
}

// VerifyCapsule checks that the manifest's capsule was made for the scope's key
// and exactly this record by this author. It returns a corrupt error when it was not.
func VerifyCapsule(channel string, m *emr.Manifest, author *emr.Clinician, scope *emr.Scope) error {
	key, err := pre.ParsePublicKey(scope.Delegating)
	if err != nil {
		return fmt.Errorf("manifest: read the scope's key: %w", err)
	}
	capsule, err := pre.ParseCapsule(m.Capsule)
	if err != nil {
		return &emr.Error{Code: emr.CodeInvalid, Field: "capsule", Message: "is not a capsule", Err: err}
	}
	hash, err := Context(channel, m, author, scope).Hash()
	if err != nil {
		return &emr.Error{Code: emr.CodeInvalid, Message: "manifest is incomplete", Err: err}
	}
	if err := capsule.Verify(key, hash); err != nil {
		return &emr.Error{Code: emr.CodeCorrupt, Field: "capsule", Message: "capsule was not made for this record", Err: err}
	}
	return nil
}
