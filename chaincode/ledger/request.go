// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// maxNote bounds the free text of a request in bytes.
const maxNote = 2000

// RequestAccess asks for one record. The decision, permit, ask or deny, is
// committed: a denial is a fact of the patient's trail and not an error. Only a
// record that does not exist is an error, and leaves nothing.
func RequestAccess(s State, raw []byte) (*ledgerapi.DecisionReceipt, error) {
	var args ledgerapi.RequestAccessArgs
	st, err := open(s, raw, ledgerapi.RequestAccess, &args)
	if err != nil {
		return nil, err
	}
	clinician, err := st.byOwnClinician(s)
	if err != nil {
		return nil, err
	}
	if err := checkRequest(s, &args); err != nil {
		return nil, err
	}
	record, err := recordOf(s, args.Record)
	if err != nil {
		return nil, err
	}
	standing, err := standingConsent(s, record.Patient)
	if err != nil {
		return nil, err
	}
	v, grant, err := decideWish(s, clinician, record, &args, standing)
	if err != nil {
		return nil, err
	}
	request := newRequest(s, clinician, record, &args, v)
	request.Grant, request.Consent = grant, numberOf(standing)
	if err := st.putRequest(s, clinician, request); err != nil {
		return nil, err
	}
	return &ledgerapi.DecisionReceipt{
		TxID: s.TxID(), At: s.Now(), ID: string(request.ID), Decision: v.decision, Reason: v.reason, Grant: request.Grant,
		Consent: request.Consent,
	}, st.spend(s, string(request.ID))
}

func checkRequest(s Lookup, args *ledgerapi.RequestAccessArgs) error {
	if err := emr.CheckID("request", args.Request); err != nil {
		return err
	}
	if err := emr.CheckID("record", args.Record); err != nil {
		return err
	}
	if _, err := emr.ParsePurpose("purpose", string(args.Purpose)); err != nil {
		return err
	}
	if err := emr.CheckOnward("onward", args.Onward); err != nil {
		return err
	}
	if err := checkWish(s, args); err != nil {
		return err
	}
	if len(args.Note) > maxNote {
		return &emr.Error{Code: emr.CodeTooLarge, Field: "note", Message: "must be at most 2000 bytes"}
	}
	existing, err := s.Get(ledgerapi.RequestKey(args.Request))
	if err != nil {
		return err
	}
	if existing != nil {
		return emr.E(emr.CodeExists, "request is already made")
	}
	return nil
}

func newRequest(
	s Lookup, clinician *emr.Clinician, record *emr.Record, args *ledgerapi.RequestAccessArgs, v verdict,
) *emr.Request {
	status := emr.RequestClosed
	switch v.decision {
	case emr.Permit:
		status = emr.RequestGranted
	case emr.Ask:
		status = emr.RequestPending
	}
	return &emr.Request{
		V: emr.DocumentVersion, ID: args.Request, Patient: record.Patient, Record: record.ID, By: clinician.ID,
		Org: clinician.Org, Purpose: args.Purpose, Decision: v.decision, Reason: v.reason, Status: status, Made: s.Now(),
		ByKeys: clinician.KeyVersion, Onward: args.Onward, Wish: args.Wish,
	}
}

// putRequest writes the request, its indexes, its private note, its audit entry and its event.
func (st *statement) putRequest(s State, clinician *emr.Clinician, request *emr.Request) error {
	id := string(request.ID)
	if err := put(s, ledgerapi.RequestKey(request.ID), request); err != nil {
		return err
	}
	byPatient := ledgerapi.Index(ledgerapi.TypeRequestByPatient, string(request.Patient), s.Now(), s.Nanos(), id)
	if err := putID(s, byPatient, id); err != nil {
		return err
	}
	byClinician := ledgerapi.Index(ledgerapi.TypeRequestByClinician, string(request.By), s.Now(), s.Nanos(), id)
	if err := putID(s, byClinician, id); err != nil {
		return err
	}
	if err := st.putSigned(s, ledgerapi.NoteKey(request.ID)); err != nil {
		return err
	}
	entry := byTheClinician(clinician, request.Patient, emr.AuditRequest, id)
	entry.Purpose = request.Purpose
	entry.Decision, entry.Reason, entry.Consent = request.Decision, request.Reason, request.Consent
	if err := auditEach(s, wishedRecords(request.Record, request.Wish), entry); err != nil {
		return err
	}
	return emit(s, ledgerapi.EventAccessRequested, ledgerapi.Event{ID: id, Record: request.Record})
}

// namingGrants returns the latest grants to the clinician that name the record
// and the record's whole scope, as far as they have a use left. Whether one of
// them gives the record is for the decision.
func namingGrants(s Lookup, record *emr.Record, clinician emr.ClinicianID) ([]*emr.Grant, error) {
	var grants []*emr.Grant
	for _, named := range []string{string(record.ID), string(record.Scope)} {
		id, err := s.Get(ledgerapi.CoveringKey(named, clinician))
		if err != nil {
			return nil, err
		}
		if id == nil {
			continue
		}
		grant, err := require(s, ledgerapi.GrantKey(emr.GrantID(id)), versionOfGrant)
		if err != nil {
			return nil, err
		}
		_, free, err := freeUse(s, grant)
		if err != nil {
			return nil, err
		}
		if free {
			grants = append(grants, grant)
		}
	}
	return grants, nil
}

// RefuseAccess refuses a pending request.
func RefuseAccess(s State, raw []byte) (*ledgerapi.Receipt, error) {
	var args ledgerapi.RefuseAccessArgs
	st, err := open(s, raw, ledgerapi.RefuseAccess, &args)
	if err != nil {
		return nil, err
	}
	patient, err := st.forPatient(s, args.Patient)
	if err != nil {
		return nil, err
	}
	request, err := pendingRequest(s, patient.Handle, args.Request)
	if err != nil {
		return nil, err
	}
	request.Status, request.Decision, request.Reason = emr.RequestRefused, emr.Deny, emr.ReasonRefused
	request.Answered = s.Now()
	if err := put(s, ledgerapi.RequestKey(request.ID), request); err != nil {
		return nil, err
	}
	entry := st.entry(patient, emr.AuditRefusal, string(request.ID))
	entry.Record, entry.Purpose, entry.Decision, entry.Reason = request.Record, request.Purpose, request.Decision, request.Reason
	if err := audit(s, entry); err != nil {
		return nil, err
	}
	return receipt(s, string(request.ID)), st.spend(s, string(request.ID))
}

// pendingRequest returns a patient's own pending request. Another patient's is not found.
func pendingRequest(s Lookup, patient emr.Handle, id emr.RequestID) (*emr.Request, error) {
	if err := emr.CheckID("request", id); err != nil {
		return nil, err
	}
	request, err := require(s, ledgerapi.RequestKey(id), versionOfRequest)
	if err != nil {
		return nil, err
	}
	if request.Patient != patient {
		return nil, missing(ledgerapi.TypeRequest)
	}
	if request.Status != emr.RequestPending {
		return nil, &emr.Error{Code: emr.CodeRule, Field: "request", Message: "request is not pending: it is " + string(request.Status)}
	}
	return request, nil
}
