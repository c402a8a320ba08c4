// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package clienttest

import (
	"encoding/json"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/pkg/api"
	"github.com/emrys-health/emrys/pkg/attest/attesttest"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// Proving is what an answer of the registry is about to be endorsed as. A test
// changes it to what a gateway and its accomplices would make of it.
type Proving struct {
	// Gateway is the organisation whose gateway was asked.
	Gateway emr.OrgID
	// Channel, Function and Argument are the question.
	Channel, Function string
	Argument          []byte
	// Answer is JSON.
	Answer []byte
	// At is when the question was asked.
	At time.Time
	// By are the organisations whose peers endorse, of Consortium.
	By         []emr.OrgID
	Consortium *attesttest.Consortium
}

// proof has it endorsed.
func (p *Proving) proof() *api.Proof {
	a := p.Consortium.Prove(p.Channel, ledgerapi.ChaincodeName, p.Function, p.Argument, p.Answer, p.At, p.By...)
	proof := &api.Proof{Proposal: a.Proposal, Response: a.Response, Endorsements: []api.ProofEndorsement{}}
	for _, e := range a.Endorsements {
		proof.Endorsements = append(proof.Endorsements, api.ProofEndorsement(e))
	}
	return proof
}

// prove serves registry.prove. As on a real channel a majority endorses: the
// gateway's own organisation and two others. The caller holds mu.
func (w *World) prove(q *request) (any, error) {
	var asked api.ProofRequest
	if err := json.NewDecoder(q.r.Body).Decode(&asked); err != nil {
		return nil, emr.E(emr.CodeInvalid, "body")
	}
	entry, err := w.entry(&asked)
	if err != nil {
		return nil, err
	}
	answer, err := emr.Canonical(entry)
	if err != nil {
		return nil, err
	}
	p := &Proving{
		Gateway: q.org.ID, Channel: Channel, Function: asked.Function, Argument: asked.Argument, Answer: answer,
		At: time.Now(), By: w.Endorsers, Consortium: w.consortium,
	}
	if p.By == nil {
		p.By = w.majority(q.org.ID)
	}
	if w.OnProving != nil {
		w.OnProving(p)
	}
	proof := p.proof()
	if w.OnAnswer != nil {
		proof.Response, err = attesttest.Substitute(proof.Response, func(answer []byte) []byte {
			return w.OnAnswer(asked.Function, answer)
		})
		require.NoError(w.tb, err)
	}
	if w.OnProof != nil {
		w.OnProof(asked.Function, proof)
	}
	return proof, nil
}

// majority is a gateway's own organisation and two others.
func (w *World) majority(own emr.OrgID) []emr.OrgID {
	by := []emr.OrgID{own}
	for _, o := range w.orgs {
		if o.ID != own && len(by) < 3 {
			by = append(by, o.ID)
		}
	}
	return by
}

// entry looks up what is asked.
func (w *World) entry(asked *api.ProofRequest) (any, error) {
	switch asked.Function {
	case ledgerapi.GetOrganisations:
		list := ledgerapi.OrganisationList{Items: []emr.Organisation{}}
		for _, o := range w.orgs {
			list.Items = append(list.Items, o.Entry)
		}
		return list, emr.DecodeCanonical(asked.Argument, &ledgerapi.Empty{})
	case ledgerapi.GetClinician:
		return find(asked, func(query ledgerapi.ClinicianQuery) (any, bool) {
			c, ok := w.clinicians[query.Clinician]
			return c, ok
		})
	case ledgerapi.ResolvePatient:
		return find(asked, func(query ledgerapi.ResolvePatientQuery) (any, bool) {
			view, ok := w.patients[query.Patient]
			return view, ok
		})
	case ledgerapi.GetRecord:
		return find(asked, func(query ledgerapi.RecordQuery) (any, bool) {
			view, ok := w.records[query.Record]
			if !ok {
				return nil, false
			}
			return view.Record, true
		})
	case ledgerapi.GetAuditHead:
		return find(asked, func(query ledgerapi.HandleQuery) (any, bool) { return w.auditHead(query.Patient), true })
	case ledgerapi.GetConsent:
		return find(asked, func(query ledgerapi.ConsentQuery) (any, bool) {
			c := w.version(query.Patient, query.Version)
			return c, c != nil
		})
	case ledgerapi.GetErasure:
		return find(asked, w.erasure)
	}
	return nil, emr.Invalid("function", "is not a query of the registry")
}

func find[Q any](asked *api.ProofRequest, look func(Q) (any, bool)) (any, error) {
	var query Q
	if err := emr.DecodeCanonical(asked.Argument, &query); err != nil {
		return nil, err
	}
	if entry, ok := look(query); ok {
		return entry, nil
	}
	return nil, emr.E(emr.CodeNotFound, "no such thing")
}

// Unproven counts the registry entries that were asked for without a proof.
func (w *World) Unproven() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.Calls["patient.resolve"] + w.Calls["clinician.get"] + w.Calls["record.get"]
}

// Grants returns how many grants stand.
func (w *World) Grants() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.grants)
}
