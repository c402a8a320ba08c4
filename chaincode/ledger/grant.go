// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"fmt"

	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// GrantAccess gives access. The terms stand in public with the commitments of the
// key fragments; the fragments, sealed each to one gateway, go to private data
// inside the patient's signed action, to be purged on revocation. A grant that the
// patient's own rule calls wide waits for its confirmation.
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
	rule, err := grantRuleOf(s, patient.Handle)
	if err != nil {
		return nil, err
	}
	grant, err := st.give(s, &args, rule, len(args.Terms.Records))
	if err != nil {
		return nil, err
	}
	if err := st.putSigned(s, ledgerapi.FragmentKey(grant.ID)); err != nil {
		return nil, err
	}
	if err := auditEach(s, grant.Terms.Records, st.grantEntry(patient, grant, emr.AuditGrant)); err != nil {
		return nil, err
	}
	event := ledgerapi.EventAccessGranted
	if grant.Status == emr.GrantWaiting {
		event = ledgerapi.EventGrantWaiting
	}
	if err := emit(s, event, ledgerapi.Event{ID: string(grant.ID)}); err != nil {
		return nil, err
	}
	return receipt(s, string(grant.ID)), st.spend(s, string(grant.ID))
}

// give checks one grant and writes its public part. records is the number of
// records that the signed action gives in all. A wide grant answers its request
// when it is confirmed, and is not found by new requests before.
func (st *statement) give(
	s State, args *ledgerapi.GrantAccessArgs, rule *emr.GrantRule, records int,
) (*emr.Grant, error) {
	scope, err := checkGrant(s, args)
	if err != nil {
		return nil, err
	}
	grant := newGrant(s, st, args)
	wide, err := isWide(s, rule, &args.Terms, scope, records)
	if err != nil {
		return nil, err
	}
	request, err := answeredRequest(s, grant)
	if err != nil {
		return nil, err
	}
	if wide {
		grant.Status = emr.GrantWaiting
		if err := putWaiting(s, grant, rule); err != nil {
			return nil, err
		}
		return grant, putGrant(s, grant)
	}
	if request != nil {
		if err := put(s, ledgerapi.RequestKey(request.ID), request); err != nil {
			return nil, err
		}
	}
	if err := putCovering(s, grant); err != nil {
		return nil, err
	}
	return grant, putGrant(s, grant)
}

// checkGrant checks terms and fragments by themselves and against the ledger. It
// returns the scope.
func checkGrant(s Lookup, args *ledgerapi.GrantAccessArgs) (*emr.Scope, error) {
	if err := checkTerms(&args.Terms, s.Channel(), s.Now()); err != nil {
		return nil, err
	}
	if err := checkFragments(args.Fragments, args.Terms.Gateways); err != nil {
		return nil, err
	}
	if err := checkDirect(args); err != nil {
		return nil, err
	}
	existing, err := s.Get(ledgerapi.GrantKey(args.Terms.Grant))
	if err != nil {
		return nil, err
	}
	if existing != nil {
		return nil, emr.E(emr.CodeExists, "grant is already given")
	}
	if err := checkGateways(s, args.Terms.Gateways); err != nil {
		return nil, err
	}
	grantee, err := checkGrantee(s, &args.Terms)
	if err != nil {
		return nil, err
	}
	scope, err := checkCoverage(s, &args.Terms, grantee)
	if err != nil {
		return nil, err
	}
	return scope, checkStanding(s, &args.Terms, grantee)
}

func newGrant(s Lookup, st *statement, args *ledgerapi.GrantAccessArgs) *emr.Grant {
	commitments := make([]emr.Digest, 0, len(args.Fragments)+len(args.Direct))
	for i := range args.Fragments {
		commitments = append(commitments, args.Fragments[i].Commitment)
	}
	for i := range args.Direct {
		commitments = append(commitments, args.Direct[i].Commitment)
	}
	grant := &emr.Grant{
		V: emr.DocumentVersion, ID: args.Terms.Grant, Terms: args.Terms, Commitments: commitments, Request: args.Request,
		Action: st.digest, Status: emr.GrantLive, Given: s.Now(),
		Apart: st.apart,
	}
	if st.delegate != nil {
		grant.By = st.delegate.Handle
	}
	return grant
}

// putGrant writes the grant and its indexes.
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
	return putID(s, byClinician, id)
}

// putCovering writes the pointers by which a request finds the grant.
func putCovering(s State, grant *emr.Grant) error {
	id := string(grant.ID)
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

func (st *statement) grantEntry(patient *emr.Patient, grant *emr.Grant, kind emr.AuditKind) emr.AuditEntry {
	entry := st.entry(patient, kind, string(grant.ID))
	if len(grant.Terms.Purposes) == 1 {
		entry.Purpose = grant.Terms.Purposes[0]
	}
	if kind == emr.AuditGrant && grant.Status == emr.GrantWaiting {
		entry.Decision, entry.Reason = emr.Ask, emr.ReasonGrantWaiting
	}
	return entry
}

// RevokeAccess takes a grant back and purges its key fragments. From this
// transaction on no disclosure is permitted under it and no open ticket holds. A
// waiting grant is taken back alike.
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

// ownGrant returns a patient's own grant that is not revoked, be it live or waiting. Another patient's is not found.
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
	if grant.Status == emr.GrantRevoked {
		return nil, &emr.Error{Code: emr.CodeGone, Reason: emr.ReasonRevoked, Message: "grant is already revoked"}
	}
	return grant, nil
}
