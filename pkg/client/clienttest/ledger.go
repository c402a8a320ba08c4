// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package clienttest

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"slices"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/pkg/api"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
	"github.com/emrys-health/emrys/pkg/manifest"
	"github.com/emrys-health/emrys/pkg/pre"
	"github.com/emrys-health/emrys/pkg/signature"
)

// actorOf is the name under which a caller signs. The caller holds mu.
func (w *World) actorOf(who caller) string {
	if !who.isPatient() {
		return who.id
	}
	if view, ok := w.patients[emr.PatientID(who.id)]; ok {
		return string(view.Patient.Handle)
	}
	return ""
}

// act performs a signed action. The caller holds mu.
func (w *World) act(op api.Operation, q *request) (any, error) {
	if err := json.NewDecoder(q.r.Body).Decode(&q.signed); err != nil {
		return nil, emr.E(emr.CodeInvalid, "body")
	}
	action, err := q.signed.Parse()
	if err != nil {
		return nil, err
	}
	now := emr.TimeOf(time.Now())
	if action.Function != op.Function || action.Channel != Channel || action.Contract != Contract || action.Expires <= now {
		return nil, emr.Invalid("action", "is not for this")
	}
	q.action = action
	if err := w.verify(q); err != nil {
		return nil, err
	}
	if op.Function == ledgerapi.OpenTicket {
		return w.openTicket(q)
	}
	digest := q.signed.Digest()
	if spent, ok := w.spent[digest]; ok {
		return nil, &emr.Error{Code: emr.CodeExists, Message: "action was spent", TxID: spent.TxID}
	}
	receipt := ledgerapi.Receipt{TxID: w.nextTransaction(), At: now}
	answer, err := w.transact(op.Function, q, &receipt)
	if err != nil {
		return nil, err
	}
	w.spent[digest] = ledgerapi.SpentAction{TxID: receipt.TxID, ID: receipt.ID}
	return answer, nil
}

// verify checks the action's signature by the key that is pinned, or is about to be.
func (w *World) verify(q *request) error {
	key, err := w.signer(q)
	if err != nil {
		return err
	}
	if err := signature.VerifyAction(&q.signed, key); err != nil {
		return emr.E(emr.CodeForbidden, "signature does not hold")
	}
	return nil
}

func (w *World) signer(q *request) (emr.PinnedKey, error) {
	if q.action.Function == ledgerapi.RegisterPatient {
		var args ledgerapi.RegisterPatientArgs
		err := json.Unmarshal(q.action.Args, &args)
		return args.Consent, err
	}
	if q.action.Actor != w.actorOf(q.who) {
		return emr.PinnedKey{}, emr.Invalid("actor", "is not the caller")
	}
	if view, ok := w.patients[emr.PatientID(q.who.id)]; ok {
		return view.Patient.Consent, nil
	}
	key, err := pre.PublicKeyOf(q.who.key)
	if err != nil {
		return emr.PinnedKey{}, err
	}
	return emr.PinnedKey{Kind: emr.SignatureP256, Key: key.Bytes()}, nil
}

// decode reads an action's arguments; they are known to be canonical JSON.
func decode[T any](q *request) (T, error) {
	var args T
	err := emr.DecodeCanonical(q.action.Args, &args)
	return args, err
}

func (w *World) transact(function string, q *request, receipt *ledgerapi.Receipt) (any, error) {
	switch function {
	case ledgerapi.RegisterPatient:
		return w.registerPatient(q, receipt)
	case ledgerapi.RegisterClinician:
		return w.registerClinician(q, receipt)
	case ledgerapi.PublishScopes:
		return w.publishScopes(q, receipt)
	case ledgerapi.ProposeRelationship, ledgerapi.AnswerRelationship:
		return w.relate(function, q, receipt)
	case ledgerapi.RegisterRecord:
		return w.registerRecord(q, receipt)
	case ledgerapi.RequestAccess:
		return w.requestAccess(q, receipt)
	case ledgerapi.RefuseAccess:
		args, err := decode[ledgerapi.RefuseAccessArgs](q)
		receipt.ID = string(args.Request)
		w.settle(args.Request, emr.RequestRefused, "")
		return receipt, err
	case ledgerapi.GrantAccess:
		return w.grantAccess(q, receipt)
	case ledgerapi.RevokeAccess:
		return w.revokeAccess(q, receipt)
	case ledgerapi.Disclose:
		return w.disclose(q, receipt)
	case ledgerapi.PutConsent:
		return w.putConsent(q, receipt)
	case ledgerapi.WithdrawConsent:
		return w.withdrawConsent(q, receipt)
	case ledgerapi.EraseRecord:
		return w.eraseRecord(q, receipt)
	default:
		return w.refine(function, q, receipt)
	}
}

func (w *World) registerPatient(q *request, receipt *ledgerapi.Receipt) (any, error) {
	args, err := decode[ledgerapi.RegisterPatientArgs](q)
	if err != nil {
		return nil, err
	}
	if string(args.Patient) != q.who.id || q.action.Actor != string(args.Handle) || len(args.Certificate) == 0 {
		return nil, emr.Invalid("args", "not the caller")
	}
	if _, ok := w.patients[args.Patient]; ok {
		return nil, emr.E(emr.CodeExists, "patient is registered")
	}
	w.patients[args.Patient] = &ledgerapi.PatientView{Patient: emr.Patient{
		V: 1, Handle: args.Handle, Home: args.Home, Consent: args.Consent, Hybrid: args.Hybrid, Registered: receipt.At,
	}, Scopes: []emr.Scope{}}
	w.people[args.Handle] = args.Patient
	receipt.ID = string(args.Handle)
	w.note(q, receipt, emr.AuditEntry{Kind: emr.AuditRegistered, Patient: args.Handle})
	return receipt, nil
}

func (w *World) registerClinician(q *request, receipt *ledgerapi.Receipt) (any, error) {
	args, err := decode[ledgerapi.RegisterClinicianArgs](q)
	if err != nil {
		return nil, err
	}
	if _, ok := w.clinicians[args.Clinician]; ok {
		return nil, emr.E(emr.CodeExists, "clinician is registered")
	}
	key, err := pre.PublicKeyOf(q.who.key)
	if err != nil {
		return nil, err
	}
	w.clinicians[args.Clinician] = &emr.Clinician{
		V: 1, ID: args.Clinician, Org: args.Org, Role: q.who.role, Level: q.who.level,
		Signing: emr.PinnedKey{Kind: emr.SignatureP256, Key: key.Bytes()}, Reading: args.Reading, Hybrid: args.Hybrid,
		NotAfter: receipt.At.Add(12 * time.Hour), Registered: receipt.At,
	}
	receipt.ID = string(args.Clinician)
	return receipt, nil
}

func (w *World) publishScopes(q *request, receipt *ledgerapi.Receipt) (any, error) {
	args, err := decode[ledgerapi.PublishScopesArgs](q)
	if err != nil {
		return nil, err
	}
	view := w.patients[emr.PatientID(q.who.id)]
	for _, s := range args.Scopes {
		if slices.ContainsFunc(view.Scopes, func(have emr.Scope) bool { return have.ID == s.ID }) {
			return nil, emr.E(emr.CodeExists, "scope is published")
		}
		view.Scopes = append(view.Scopes, emr.Scope{
			V: 1, ID: s.ID, Patient: args.Patient, Epoch: s.Epoch, Level: s.Level, Delegating: s.Delegating, Fragment: s.Fragment,
			Published: receipt.At,
		})
	}
	return receipt, nil
}

func (w *World) relate(function string, q *request, receipt *ledgerapi.Receipt) (any, error) {
	if function == ledgerapi.ProposeRelationship {
		args, err := decode[ledgerapi.ProposeRelationshipArgs](q)
		w.relations = append(w.relations, emr.Relationship{
			V: 1, Patient: args.Patient, Hospital: args.Hospital, By: emr.ClinicianID(q.who.id),
			Status: emr.RelationshipProposed, Proposed: receipt.At,
		})
		receipt.ID = string(args.Hospital)
		return receipt, err
	}
	args, err := decode[ledgerapi.AnswerRelationshipArgs](q)
	for i := range w.relations {
		r := &w.relations[i]
		if r.Patient == args.Patient && r.Hospital == args.Hospital {
			r.Status, r.Answered = emr.RelationshipRefused, receipt.At
			if args.Accept {
				r.Status = emr.RelationshipAccepted
			}
			receipt.ID = string(args.Hospital)
			return receipt, err
		}
	}
	return nil, emr.E(emr.CodeNotFound, "no such relationship")
}

func (w *World) registerRecord(q *request, receipt *ledgerapi.Receipt) (any, error) {
	m, err := decode[emr.Manifest](q)
	if err != nil {
		return nil, err
	}
	author := w.clinicians[emr.ClinicianID(q.who.id)]
	view := w.patients[w.people[m.Patient]]
	at := slices.IndexFunc(view.Scopes, func(s emr.Scope) bool { return s.ID == m.Scope })
	if author == nil || at < 0 {
		return nil, emr.E(emr.CodeNotFound, "author or scope")
	}
	if err := manifest.VerifyCapsule(Channel, &m, author, &view.Scopes[at]); err != nil {
		return nil, err
	}
	data, ok := w.uploads[q.r.Header.Get(api.UploadHeader)]
	if !ok {
		return nil, emr.E(emr.CodeNotFound, "no such upload")
	}
	series := m.Record
	if m.Previous != "" {
		before := w.records[m.Previous]
		before.Record.SupersededBy = m.Record
		series = before.Record.Series
	}
	delete(w.uploads, q.r.Header.Get(api.UploadHeader))
	w.content[m.CID] = data
	w.records[m.Record] = &ledgerapi.ManifestView{
		Record: emr.Record{
			V: 1, ID: m.Record, Patient: m.Patient, Scope: m.Scope, Class: m.Class, Level: m.Level, Author: author.ID,
			Hospital: author.Org, CID: m.CID, Digest: m.Digest, CipherSize: m.CipherSize, Manifest: q.signed.Digest(),
			Series: series, Version: m.Version, Previous: m.Previous, Registered: receipt.At,
			Restricted: len(m.Labels) > 0,
		},
		Signed: q.signed, Author: *author, Scope: view.Scopes[at],
	}
	w.order, w.signers[m.Record] = append(w.order, m.Record), m.Signers
	receipt.ID = string(m.Record)
	w.note(q, receipt, emr.AuditEntry{Kind: emr.AuditRecord, Patient: m.Patient, Record: m.Record})
	return receipt, nil
}

func (w *World) requestAccess(q *request, receipt *ledgerapi.Receipt) (any, error) {
	args, err := decode[ledgerapi.RequestAccessArgs](q)
	if err != nil {
		return nil, err
	}
	view, ok := w.records[args.Record]
	if !ok {
		return nil, emr.E(emr.CodeNotFound, "no such record")
	}
	made := emr.Request{
		V: 1, ID: args.Request, Patient: view.Record.Patient, Record: args.Record, By: emr.ClinicianID(q.who.id), Org: q.who.org,
		Purpose: args.Purpose, Decision: emr.Ask, Reason: emr.ReasonNoGrant, Status: emr.RequestPending, Made: receipt.At,
	}
	if !q.who.role.MayUse(args.Purpose) {
		made.Decision, made.Reason, made.Status = emr.Deny, emr.ReasonPurpose, emr.RequestClosed
	}
	if said := w.say(made.By, &view.Record, made.Purpose); w.standing(made.Patient) != nil {
		made.Reason, made.Consent = said.Reason, said.Version
		if said.Decision == emr.Deny {
			made.Decision, made.Status = emr.Deny, emr.RequestClosed
		}
	}
	w.requests = append(w.requests, made)
	w.asked[made.ID] = q.signed
	receipt.ID = string(args.Request)
	w.note(q, receipt, emr.AuditEntry{
		Kind: emr.AuditRequest, Patient: made.Patient, Record: made.Record, Purpose: made.Purpose, Decision: made.Decision,
		Reason: made.Reason, Ref: string(made.ID),
	})
	return ledgerapi.DecisionReceipt{
		TxID: receipt.TxID, At: receipt.At, ID: receipt.ID, Decision: made.Decision, Reason: made.Reason,
	}, nil
}

func (w *World) settle(id emr.RequestID, status emr.RequestStatus, grant emr.GrantID) {
	for i := range w.requests {
		if w.requests[i].ID == id {
			w.requests[i].Status, w.requests[i].Grant = status, grant
		}
	}
}

func (w *World) grantAccess(q *request, receipt *ledgerapi.Receipt) (any, error) {
	args, err := decode[ledgerapi.GrantAccessArgs](q)
	if err != nil {
		return nil, err
	}
	return w.give(q, &args, receipt)
}

func (w *World) give(q *request, args *ledgerapi.GrantAccessArgs, receipt *ledgerapi.Receipt) (any, error) {
	t := args.Terms
	to, ok := w.clinicians[t.Grantee]
	if !ok || !bytes.Equal(to.Reading, t.Reader) || to.Org != t.Org || string(t.Patient) != q.action.Actor ||
		slices.Contains(t.Gateways, t.Org) || len(args.Fragments) != len(t.Gateways) || !slices.IsSorted(t.Gateways) ||
		!slices.IsSorted(t.Records) || !slices.IsSorted(t.Purposes) || !t.Direct && t.Threshold < ledgerapi.MinThreshold ||
		!directHolds(args, to) {
		return nil, emr.Invalid("terms", "do not hold")
	}
	g := &emr.Grant{
		V: 1, ID: t.Grant, Terms: t, Commitments: []emr.Digest{}, Request: args.Request, Action: q.signed.Digest(),
		Status: emr.GrantLive, Given: receipt.At,
	}
	if len(w.Confirmers) > 0 && len(t.Records) == 0 {
		g.Status = emr.GrantWaiting
	}
	for _, f := range args.Fragments {
		g.Commitments = append(g.Commitments, f.Commitment)
	}
	for _, k := range args.Direct {
		g.Commitments = append(g.Commitments, k.Commitment)
	}
	w.grants = append(w.grants, g)
	w.fragments[t.Grant], w.direct[t.Grant] = args.Fragments, args.Direct
	w.settle(args.Request, emr.RequestGranted, t.Grant)
	receipt.ID = string(t.Grant)
	w.note(q, receipt, emr.AuditEntry{Kind: emr.AuditGrant, Patient: t.Patient, Ref: string(t.Grant)})
	return receipt, nil
}

// directHolds tells whether what is particular to a direct grant is in order.
func directHolds(args *ledgerapi.GrantAccessArgs, to *emr.Clinician) bool {
	t := &args.Terms
	if !t.Direct {
		return len(args.Direct) == 0 && t.ReaderHybrid.IsZero()
	}
	if t.Threshold != 0 || t.Gateways == nil || len(t.Gateways) != 0 || t.ReaderHybrid != sha256.Sum256(to.Hybrid) ||
		len(t.Records) == 0 || len(t.Records) > ledgerapi.MaxDirectRecords || len(args.Direct) != len(t.Records) {
		return false
	}
	for i := range args.Direct {
		k := &args.Direct[i]
		commitment, err := k.Commit(t.Grant)
		if err != nil || commitment != k.Commitment || k.Record != t.Records[i] || len(k.Sealed) != pre.SealedKeySize {
			return false
		}
	}
	return true
}

func (w *World) grant(id emr.GrantID) *emr.Grant {
	for _, g := range w.grants {
		if g.ID == id {
			return g
		}
	}
	return nil
}

func (w *World) revokeAccess(q *request, receipt *ledgerapi.Receipt) (any, error) {
	args, err := decode[ledgerapi.RevokeAccessArgs](q)
	if err != nil {
		return nil, err
	}
	g := w.grant(args.Grant)
	if g == nil || g.Status != emr.GrantLive {
		return nil, emr.E(emr.CodeNotFound, "no such live grant")
	}
	g.Status, g.Revoked = emr.GrantRevoked, receipt.At
	delete(w.fragments, args.Grant)
	delete(w.direct, args.Grant)
	receipt.ID = string(args.Grant)
	answer := api.Revocation{Receipt: *receipt, Read: []api.Reading{}}
	for _, d := range w.disclosures {
		if d.Grant == args.Grant && d.Decision == emr.Permit {
			answer.Read = append(answer.Read, api.Reading{Reader: d.Reader, Org: d.Org, Record: d.Record, Purpose: d.Purpose, At: d.At})
		}
	}
	return answer, nil
}

// note adds to the audit trail.
func (w *World) note(q *request, receipt *ledgerapi.Receipt, e emr.AuditEntry) {
	e.V, e.TxID, e.At, e.Actor, e.Org = 1, receipt.TxID, receipt.At, q.who.id, q.who.org
	if q.who.isPatient() {
		e.Actor = emr.ActorPatient
	}
	if e.Chained() {
		head := w.auditHead(e.Patient)
		e.Sequence, e.Previous = head.Sequence+1, head.Hash
	}
	w.audit = append(w.audit, e)
}

// auditHead is the end of a patient's chain.
func (w *World) auditHead(patient emr.Handle) *emr.AuditHead {
	head := &emr.AuditHead{V: emr.DocumentVersion, Patient: patient}
	for i := range w.audit {
		e := &w.audit[i]
		if e.Patient != patient || e.Sequence == 0 {
			continue
		}
		hash, err := e.Hash()
		require.NoError(w.tb, err)
		head.Sequence, head.Hash, head.TxID, head.At = e.Sequence, hash, e.TxID, e.At
	}
	return head
}
