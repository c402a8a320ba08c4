// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"fmt"
	"time"

	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// NameDelegate lets another registered patient sign for the signer until a time:
// what is asked, given and taken back, relationships and consent, but no keys and
// no delegation. A guardian of a minor is named through the home hospital, which
// has seen the guardianship, and ends by itself at the date named.
func NameDelegate(s State, raw []byte) (*ledgerapi.Receipt, error) {
	var args ledgerapi.NameDelegateArgs
	st, err := open(s, raw, ledgerapi.NameDelegate, &args)
	if err != nil {
		return nil, err
	}
	patient, err := st.byPatient(s, args.Patient)
	if err != nil {
		return nil, err
	}
	if err := checkDelegate(s, &args); err != nil {
		return nil, err
	}
	existing, err := find(s, ledgerapi.DelegationKey(args.Patient, args.Delegate), versionOfDelegation)
	if err != nil {
		return nil, err
	}
	if existing != nil && st.action.Issued < max(existing.Named, existing.Ended) {
		return nil, errOvertaken()
	}
	guarded := existing != nil && existing.Kind == emr.DelegationGuardian && existing.Holds(s.Now())
	if (guarded || args.Kind == emr.DelegationGuardian) && st.gateway.ID != patient.Home {
		return nil, errGuardian
	}
	delegation := emr.Delegation{
		V: emr.DocumentVersion, Patient: args.Patient, Delegate: args.Delegate, Kind: args.Kind, Until: args.Until,
		Status: emr.DelegationLive, Action: st.digest, Named: s.Now(),
	}
	return st.putDelegation(s, patient, &delegation, emr.AuditDelegation)
}

var errGuardian = emr.E(emr.CodeForbidden, "a guardianship is named and ended through the gateway of the patient's home hospital")

// errOvertaken refuses what somebody signed before a later word of the same person:
// a gateway that kept it back does not undo that word.
func errOvertaken() error {
	return &emr.Error{Code: emr.CodeStale, Field: "issued", Message: "was signed before what stands now; sign it anew"}
}

func checkDelegate(s Lookup, args *ledgerapi.NameDelegateArgs) error {
	if err := emr.CheckID("delegate", args.Delegate); err != nil {
		return err
	}
	if args.Delegate == args.Patient {
		return emr.Invalid("delegate", "must be somebody else")
	}
	days := ledgerapi.MaxDelegationDays
	switch args.Kind {
	case emr.DelegationChosen:
	case emr.DelegationGuardian:
		days = ledgerapi.MaxGuardianDays
	default:
		return emr.Invalid("kind", "must be chosen or guardian")
	}
	switch {
	case args.Until <= s.Now():
		return emr.Invalid("until", "is over already")
	case args.Until > s.Now().Add(time.Duration(days)*24*time.Hour):
		return emr.Invalid("until", fmt.Sprintf("must be at most %d days ahead", days))
	}
	_, err := requirePatient(s, args.Delegate)
	return err
}

// EndDelegation ends a delegation at once. The patient ends it, or the delegate,
// who may do so always; of a guardianship the patient's end comes through the home
// hospital. Ending what has ended is gone.
func EndDelegation(s State, raw []byte) (*ledgerapi.Receipt, error) {
	var args ledgerapi.EndDelegationArgs
	st, err := open(s, raw, ledgerapi.EndDelegation, &args)
	if err != nil {
		return nil, err
	}
	patient, err := st.byEither(s, &args)
	if err != nil {
		return nil, err
	}
	delegation, err := require(s, ledgerapi.DelegationKey(args.Patient, args.Delegate), versionOfDelegation)
	if err != nil {
		return nil, err
	}
	if !delegation.Holds(s.Now()) {
		return nil, emr.E(emr.CodeGone, "delegation has ended already")
	}
	if delegation.Kind == emr.DelegationGuardian && st.delegate == nil && st.gateway.ID != patient.Home {
		return nil, errGuardian
	}
	delegation.Status, delegation.Ended = emr.DelegationEnded, s.Now()
	return st.putDelegation(s, patient, delegation, emr.AuditDelegationEnd)
}

// byEither authenticates the patient, or the delegate as such, whom it keeps.
func (st *statement) byEither(s Lookup, args *ledgerapi.EndDelegationArgs) (*emr.Patient, error) {
	if err := emr.CheckID("delegate", args.Delegate); err != nil {
		return nil, err
	}
	if st.action.Actor != string(args.Delegate) {
		return st.byPatient(s, args.Patient)
	}
	if err := emr.CheckID("patient", args.Patient); err != nil {
		return nil, err
	}
	delegate, err := st.byPatient(s, args.Delegate)
	if err != nil {
		return nil, err
	}
	st.delegate = delegate
	return requirePatient(s, args.Patient)
}

func (st *statement) putDelegation(
	s State, patient *emr.Patient, d *emr.Delegation, kind emr.AuditKind,
) (*ledgerapi.Receipt, error) {
	if err := put(s, ledgerapi.DelegationKey(d.Patient, d.Delegate), d); err != nil {
		return nil, err
	}
	id := string(d.Delegate)
	if err := audit(s, st.entry(patient, kind, id)); err != nil {
		return nil, err
	}
	if err := emit(s, ledgerapi.EventDelegationChanged, ledgerapi.Event{ID: st.digest.String()}); err != nil {
		return nil, err
	}
	return receipt(s, id), st.spend(s, id)
}

// forPatient authenticates the action as the patient's own, or as that of a
// delegate whose delegation holds now. The delegation is read by its exact key, so
// that its end, when it commits first, invalidates what the delegate signed.
func (st *statement) forPatient(s Lookup, handle emr.Handle) (*emr.Patient, error) {
	if st.action.Actor == string(handle) || !st.fromPatient() {
		return st.byPatient(s, handle)
	}
	if err := emr.CheckID("patient", handle); err != nil {
		return nil, err
	}
	delegate, err := st.byPatient(s, emr.Handle(st.action.Actor))
	if err != nil {
		return nil, err
	}
	delegation, err := find(s, ledgerapi.DelegationKey(handle, delegate.Handle), versionOfDelegation)
	if err != nil {
		return nil, err
	}
	if delegation == nil || !delegation.Holds(s.Now()) {
		return nil, emr.E(emr.CodeForbidden, "action names another patient than its signer, who is no delegate")
	}
	st.delegate = delegate
	return requirePatient(s, handle)
}

// entry begins an audit entry about something that was done as the patient, by the
// patient or a delegate: it names both.
func (st *statement) entry(patient *emr.Patient, kind emr.AuditKind, ref string) emr.AuditEntry {
	e := byThePatient(patient, kind, ref)
	if st.delegate != nil {
		e.Actor, e.Org = string(st.delegate.Handle), st.delegate.Home
	}
	return e
}

// ListDelegations lists what a patient has delegated, by delegate, ended ones included.
func ListDelegations(r Reader, q ledgerapi.PageQuery) (*ledgerapi.DelegationPage, error) {
	if q.Clinician != "" || q.Record != "" {
		return nil, emr.Invalid("patient", "only the patient must be set")
	}
	if err := emr.CheckID("patient", q.Patient); err != nil {
		return nil, err
	}
	list := byOwner(ledgerapi.TypeDelegation, string(q.Patient), q.Limit, q.Bookmark)
	list.tail = 1 // the delegate
	items, bookmark, err := page(r, list, func(e Entry) (*emr.Delegation, step, error) {
		found, err := decode(e.Key.Type, e.Value, versionOfDelegation)
		return found, keep, err
	})
	if err != nil {
		return nil, err
	}
	return &ledgerapi.DelegationPage{Items: items, Bookmark: bookmark}, nil
}
