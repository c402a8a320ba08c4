// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package device

import (
	"fmt"

	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
	"github.com/emrys-health/emrys/pkg/manifest"
	"github.com/emrys-health/emrys/pkg/signature"
)

// verifyManifest checks that a record's manifest is the one the ledger committed to, that its author signed it for this
// ledger, that it agrees with the public record and the scope, and that its capsule was made for exactly this record.
// (channel, contract, view: JSON of ledgerapi.ManifestView) -> manifest: canonical JSON, context, capsule, envelope,
// delegating, signer, fileId, keyCommitment, plainSize: the arguments of an opening.
//
// Record, author and scope in the view must come from the ledger by a way the caller trusts: who lies about all of them
// together can make up a record, though not open one.
func verifyManifest(a *arguments) (Fields, error) {
	channel, contract := a.name("channel"), a.name("contract")
	var view ledgerapi.ManifestView
	a.document("view", &view)
	if err := a.end(); err != nil {
		return nil, err
	}
	m, err := signedManifest(channel, contract, &view)
	if err != nil {
		return nil, err
	}
	if err := compare(m, &view); err != nil {
		return nil, err
	}
	hash, err := manifest.Context(channel, m, &view.Author, &view.Scope).Hash()
	if err != nil {
		return nil, fmt.Errorf("hash context: %w", err)
	}
	if err := manifest.VerifyCapsule(channel, m, &view.Author, &view.Scope); err != nil {
		return nil, failed(CodeProof, "the capsule was not made for this record")
	}
	encoded, err := emr.Canonical(m)
	if err != nil {
		return nil, documentError(err)
	}
	return Fields{
		"manifest": string(encoded), "context": hash[:], "capsule": m.Capsule, "envelope": m.Envelope,
		"delegating": view.Scope.Delegating, "signer": view.Scope.Fragment,
		"fileId": m.FileID[:], "keyCommitment": m.KeyCommitment[:], "plainSize": float64(m.PlainSize),
	}, nil
}

// signedManifest verifies the author's signature and returns what was signed.
func signedManifest(channel, contract string, view *ledgerapi.ManifestView) (*emr.Manifest, error) {
	action, err := view.Signed.Parse()
	if err != nil {
		return nil, documentError(err)
	}
	digest := view.Signed.Digest()
	switch {
	case digest != view.Record.Manifest:
		return nil, failed(CodeProof, "the manifest is not the one that the ledger holds the digest of")
	case action.Function != ledgerapi.RegisterRecord && action.Function != ledgerapi.RekeyRecord, action.Actor != string(view.Author.ID),
		action.Channel != channel, action.Contract != contract:
		return nil, failed(CodeProof, "the manifest was not signed for this ledger by the record's author")
	}
	if err := signature.VerifyAction(&view.Signed, view.Author.Signing); err != nil {
		return nil, authorError(err)
	}
	m := new(emr.Manifest)
	if err := emr.DecodeCanonical(action.Args, m); err != nil {
		return nil, documentError(err)
	}
	return m, nil
}

// authorError classifies why the author's signature does not hold. One of another kind than the author's key has no class of
// the protocol.
func authorError(err error) error {
	if f := failureOf(fmt.Errorf("verify the author's signature: %w", err)); f.Code != CodeInternal {
		return f
	}
	return failed(CodeProof, "the author's signature is not of the kind of the author's key")
}

// facts are what the author's manifest and the public record both say.
type facts struct {
	record, previous emr.RecordID
	patient          emr.Handle
	scope            emr.ScopeID
	class            emr.Class
	level            emr.Level
	author           emr.ClinicianID
	cid              string
	digest           emr.Digest
	cipherSize       uint64
	version          uint32
	restricted       bool
}

func compare(m *emr.Manifest, view *ledgerapi.ManifestView) error {
	r, s := &view.Record, &view.Scope
	public := facts{
		r.ID, r.Previous, r.Patient, r.Scope, r.Class, r.Level, r.Author, r.CID, r.Digest, r.CipherSize, r.Version,
		r.Restricted,
	}
	signed := facts{
		m.Record, m.Previous, m.Patient, m.Scope, m.Class, m.Level, view.Author.ID, m.CID, m.Digest, m.CipherSize, m.Version,
		len(m.Labels) > 0,
	}
	switch {
	case public != signed:
		return failed(CodeProof, "the author's manifest and the public record do not agree")
	case s.ID != m.Scope || s.Epoch != m.Epoch || s.Patient != m.Patient:
		return failed(CodeProof, "the scope is not the manifest's")
	case m.SegmentSize != manifest.SegmentSize:
		return failed(CodeSize, "the manifest's segment size is not offered")
	}
	if size, err := manifest.CipherSize(m.PlainSize); err != nil || size != m.CipherSize {
		return failed(CodeSize, "the manifest's sizes are impossible")
	}
	return nil
}
