// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"fmt"
	"slices"

	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// GrantAccess gives access. The terms stand in public with the commitments of the
// key fragments; the fragments, sealed each to one gateway, go to private data
// inside the patient's signed action, to be purged on revocation.
func GrantAccess(s State, raw []byte) (*ledgerapi.Receipt, error) {
	var args ledgerapi.GrantAccessArgs
	st, err := open(s, raw, ledgerapi.GrantAccess, &args)
	if err != nil {
		return nil, err
	}
	patient, err := st.forPatient(s, args.Terms.Patient)
	if err != nil {
		return nil, err
	}
	if err := checkGrant(s, &args); err != nil {
		return nil, err
	}
	if err := answerRequest(s, &args); err != nil {
		return nil, err
	}
	grant := newGrant(s, st, &args)
	if err := putGrant(s, grant); err != nil {
		return nil, err
	}
	if err := st.putSigned(s, ledgerapi.FragmentKey(grant.ID)); err != nil {
		return nil, err
	}
	if err := auditEach(s, grant.Terms.Records, st.grantEntry(patient, grant, emr.AuditGrant)); err != nil {
		return nil, err
	}
	if err := emit(s, ledgerapi.EventAccessGranted, ledgerapi.Event{ID: string(grant.ID)}); err != nil {
		return nil, err
	}
	return receipt(s, string(grant.ID)), st.spend(s, string(grant.ID))
}

// checkGrant checks terms and fragments by themselves and against the ledger.
func checkGrant(s Lookup, args *ledgerapi.GrantAccessArgs) error {
	if err := checkTerms(&args.Terms, s.Channel(), s.Now()); err != nil {
		return err
	}
	if err := checkFragments(args.Fragments, args.Terms.Gateways); err != nil {
		return err
	}
	existing, err := s.Get(ledgerapi.GrantKey(args.Terms.Grant))
	if err != nil {
		return err
	}
	if existing != nil {
		return emr.E(emr.CodeExists, "grant is already given")
	}
	if err := checkGateways(s, args.Terms.Gateways); err != nil {
		return err
	}
	grantee, err := checkGrantee(s, &args.Terms)
	if err != nil {
		return err
	}
	if err := checkCoverage(s, &args.Terms, grantee); err != nil {
		return err
	}
	return checkStanding(s, &args.Terms, grantee)
}

func newGrant(s Lookup, st *statement, args *ledgerapi.GrantAccessArgs) *emr.Grant {
	commitments := make([]emr.Digest, len(args.Fragments))
	for i := range args.Fragments {
		commitments[i] = args.Fragments[i].Commitment
	}
	return &emr.Grant{
		V: emr.DocumentVersion, ID: args.Terms.Grant, Terms: args.Terms, Commitments: commitments, Request: args.Request,
		Action: st.digest, Status: emr.GrantLive, Given: s.Now(),
	}
}

// putGrant writes the grant, its indexes, and the pointers by which a request finds it.
func putGrant(s State, grant *emr.Grant) error {
	id := string(grant.ID)
	if err := put(s, ledgerapi.GrantKey(grant.ID), grant); err != nil {
		return err
	}
	byPatient := ledgerapi.Index(ledgerapi.TypeGrantByPatient, string(grant.Terms.Patient), s.Now(), s.Nanos(), id)
	if err := putID(s, byPatient, id); err != nil {
		return err
	}
	byClinician := ledgerapi.Index(ledgerapi.TypeGrantByClinician, string(grant.Terms.Grantee), s.Now(), s.Nanos(), id)
	if err := putID(s, byClinician, id); err != nil {
		return err
	}
	if len(grant.Terms.Records) == 0 {
		return putID(s, ledgerapi.CoveringKey(string(grant.Terms.Scope), grant.Terms.Grantee), id)
	}
	for _, record := range grant.Terms.Records {
		if err := putID(s, ledgerapi.CoveringKey(string(record), grant.Terms.Grantee), id); err != nil {
			return err
		}
	}
	return nil
}

// answerRequest marks the request that the grant names as granted. It must be a
// pending request of the grantee to this patient, for a record and a purpose that
// the grant covers.
func answerRequest(s State, args *ledgerapi.GrantAccessArgs) error {
	if args.Request == "" {
		return nil
	}
	request, err := pendingRequest(s, args.Terms.Patient, args.Request)
	if err != nil {
		return err
	}
	if request.By != args.Terms.Grantee {
		return &emr.Error{Code: emr.CodeRule, Field: "request", Message: "request was made by somebody else than the grantee"}
	}
	record, err := liveRecord(s, request.Record)
	if err != nil {
		return err
	}
	if record.Scope != args.Terms.Scope || !args.Terms.Covers(record.ID) || !slices.Contains(args.Terms.Purposes, request.Purpose) {
		return &emr.Error{
			Code: emr.CodeRule, Field: "request", Message: "grant does not cover the record and purpose of the request it answers",
		}
	}
	request.Status, request.Decision, request.Reason = emr.RequestGranted, emr.Permit, emr.ReasonGrant
	request.Grant, request.Answered = args.Terms.Grant, s.Now()
	return put(s, ledgerapi.RequestKey(request.ID), request)
}

func (st *statement) grantEntry(patient *emr.Patient, grant *emr.Grant, kind emr.AuditKind) emr.AuditEntry {
	entry := st.entry(patient, kind, string(grant.ID))
	if len(grant.Terms.Purposes) == 1 {
		entry.Purpose = grant.Terms.Purposes[0]
	}
	return entry
}

// RevokeAccess takes a grant back and purges its key fragments. From this
// transaction on no disclosure is permitted under it and no open ticket holds.
// Revoking what is revoked is gone.
func RevokeAccess(s State, raw []byte) (*ledgerapi.Receipt, error) {
	var args ledgerapi.RevokeAccessArgs
	st, err := open(s, raw, ledgerapi.RevokeAccess, &args)
	if err != nil {
		return nil, err
	}
	patient, err := st.forPatient(s, args.Patient)
	if err != nil {
		return nil, err
	}
	grant, err := ownGrant(s, patient.Handle, args.Grant)
	if err != nil {
		return nil, err
	}
	grant.Status, grant.Revoked = emr.GrantRevoked, s.Now()
	if err := put(s, ledgerapi.GrantKey(grant.ID), grant); err != nil {
		return nil, err
	}
	if err := s.PurgePrivate(ledgerapi.FragmentKey(grant.ID)); err != nil {
		return nil, fmt.Errorf("ledger: purge fragments: %w", err)
	}
	if err := auditEach(s, grant.Terms.Records, st.grantEntry(patient, grant, emr.AuditRevocation)); err != nil {
		return nil, err
	}
	if err := emit(s, ledgerapi.EventAccessRevoked, ledgerapi.Event{ID: string(grant.ID)}); err != nil {
		return nil, err
	}
	return receipt(s, string(grant.ID)), st.spend(s, string(grant.ID))
}

// ownGrant returns a patient's own grant that is not revoked. Another patient's is not found.
func ownGrant(s Lookup, patient emr.Handle, id emr.GrantID) (*emr.Grant, error) {
	if err := emr.CheckID("grant", id); err != nil {
		return nil, err
	}
	grant, err := require(s, ledgerapi.GrantKey(id), versionOfGrant)
	if err != nil {
		return nil, err
	}
	if grant.Terms.Patient != patient {
		return nil, missing(ledgerapi.TypeGrant)
	}
	if grant.Status == emr.GrantEnded {
		return nil, &emr.Error{Code: emr.CodeGone, Reason: emr.ReasonGrantEnded, Message: "grant has ended already"}
	}
	if grant.Status != emr.GrantLive {
		return nil, &emr.Error{Code: emr.CodeGone, Reason: emr.ReasonRevoked, Message: "grant is already revoked"}
	}
	return grant, nil
}
