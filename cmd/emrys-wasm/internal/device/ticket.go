// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package device

import (
	"bytes"
	"fmt"

	"github.com/emrys-health/emrys/pkg/api"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/pre"
)

// verifyTicket checks that a committed disclosure permits this reader to read this record under this grant, and returns what the
// gateways' answers must be bound to. (channel, disclosure: JSON of emr.Disclosure, terms: JSON of emr.GrantTerms, manifest: of
// verifyManifest, who: the reader's id, reader: public key) -> request, grant: hashes; threshold.
//
// Disclosure and terms must come from the ledger by a way the caller trusts; gateways that hold others refuse or answer for
// those, and nothing opens.
func verifyTicket(a *arguments) (Fields, error) {
	channel, who, reader := a.name("channel"), a.name("who"), a.publicKey("reader")
	var d emr.Disclosure
	var t emr.GrantTerms
	var m emr.Manifest
	a.document("disclosure", &d)
	a.document("terms", &t)
	a.document("manifest", &m)
	if err := a.end(); err != nil {
		return nil, err
	}
	if err := checkTicket(channel, who, reader, &d, &t, &m); err != nil {
		return nil, err
	}
	request, err := d.Hash()
	if err != nil {
		return nil, documentError(err)
	}
	grant, err := t.Hash()
	if err != nil {
		return nil, documentError(err)
	}
	return Fields{"request": request[:], "grant": grant[:], "threshold": int(t.Threshold)}, nil
}

func checkTicket(channel, who string, reader *pre.PublicKey, d *emr.Disclosure, t *emr.GrantTerms, m *emr.Manifest) error {
	if d.Decision != emr.Permit {
		return failed(CodeDocument, "reading was refused: "+d.Reason.Explain())
	}
	problem := ""
	switch {
	case d.Reader != who || string(t.Grantee) != who:
		problem = "the ticket or its grant is somebody else's"
	case d.Record != m.Record || d.Patient != m.Patient:
		problem = "the ticket is for another record"
	case t.Grant != d.Grant || t.Patient != d.Patient || t.Channel != channel:
		problem = "the grant is not the ticket's"
	case !t.Covers(d.Record) || t.Scope != m.Scope || t.Epoch != m.Epoch:
		problem = "the grant does not cover the record"
	case !bytes.Equal(t.Reader, reader.Bytes()):
		problem = "the grant was made to another key than this device's"
	case t.Threshold == 0:
		problem = "the grant has no threshold"
	}
	if problem != "" {
		return failed(CodeProof, problem)
	}
	return nil
}

// verifyReceipt checks a gateway's signature over its answer, which makes a false answer provable to others.
// (disclosure: id, request: hash, answer: gateway, capsule, share; receipt: signature, key: the gateway's receipt key) -> nothing.
func verifyReceipt(a *arguments) (Fields, error) {
	disclosure, request, key := a.name("disclosure"), a.hash("request"), a.publicKey("key")
	inner := a.object("answer")
	f := api.Fragment{Gateway: emr.OrgID(inner.name("gateway")), Capsule: inner.bytes("capsule"), Share: inner.bytes("share")}
	a.err = inner.end()
	receipt := a.sized("receipt", pre.SignatureSize)
	if err := a.end(); err != nil {
		return nil, err
	}
	digest, err := api.ReceiptOf(emr.DisclosureID(disclosure), request, &f).Digest()
	if err != nil {
		return nil, documentError(err)
	}
	if err := pre.VerifyP256(key, digest[:], receipt); err != nil {
		return nil, fmt.Errorf("verify receipt: %w", err)
	}
	return Fields{}, nil
}
