// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"fmt"
	"slices"

	"github.com/emrys-health/emrys/pkg/consent"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// RollScope ends a scope's epoch and publishes the next. From this transaction on
// there is no new record and no new grant under the old epoch. Its public keys are
// published, and so never again, by anybody. The grants that the patient names end
// now; the others live on to their end. What the patient has declined for
// emergencies stays declined.
func RollScope(s State, raw []byte) (*ledgerapi.Receipt, error) {
	var args ledgerapi.RollScopeArgs
	st, err := open(s, raw, ledgerapi.RollScope, &args)
	if err != nil {
		return nil, err
	}
	patient, err := st.byPatient(s, args.Patient)
	if err != nil {
		return nil, err
	}
	old, err := checkRoll(s, &args)
	if err != nil {
		return nil, err
	}
	if err := publishScope(s, patient, &args.Next, old.ID); err != nil {
		return nil, err
	}
	if err := retireScope(s, old, args.Next.ID); err != nil {
		return nil, err
	}
	for _, id := range args.Grants {
		if err := endOfEpoch(s, old, id); err != nil {
			return nil, err
		}
	}
	if err := declineSuccessor(s, old, args.Next.ID); err != nil {
		return nil, err
	}
	if err := audit(s, byThePatient(patient, emr.AuditScopeRolled, string(args.Next.ID))); err != nil {
		return nil, err
	}
	if err := emit(s, ledgerapi.EventScopeRolled, ledgerapi.Event{ID: string(args.Next.ID)}); err != nil {
		return nil, err
	}
	return receipt(s, string(args.Next.ID)), st.spend(s, string(args.Next.ID))
}

// checkRoll checks the successor against the scope that it follows.
func checkRoll(s Lookup, args *ledgerapi.RollScopeArgs) (*emr.Scope, error) {
	if err := emr.CheckID("scope", args.Scope); err != nil {
		return nil, err
	}
	if err := checkScope("next", &args.Next); err != nil {
		return nil, err
	}
	if err := checkNamed("grants", args.Grants, emr.CheckID); err != nil {
		return nil, err
	}
	old, err := require(s, ledgerapi.ScopeKey(args.Scope), versionOfScope)
	if err != nil {
		return nil, err
	}
	switch {
	case old.Patient != args.Patient:
		return nil, missing(ledgerapi.TypeScope)
	case old.Ended != 0:
		return nil, &emr.Error{Code: emr.CodeGone, Reason: emr.ReasonScopeEnded, Field: "scope", Message: emr.ReasonScopeEnded.Explain()}
	case args.Next.Epoch != old.Epoch+1:
		return nil, emr.Invalid("next.epoch", "must be the next one")
	case args.Next.Level != old.Level:
		return nil, emr.Invalid("next.level", "must be that of the scope that is rolled")
	}
	return old, checkConsentFollows(s, old, args.Next.ID)
}

// checkConsentFollows refuses a roll that would slip from under the standing
// consent: a provision that names the scope must name its successor, too. The
// patient's device puts such a consent first; nobody else can write one.
func checkConsentFollows(s Lookup, old *emr.Scope, next emr.ScopeID) error {
	standing, err := standingConsent(s, old.Patient)
	if err != nil || standing == nil || standing.Status == consent.Withdrawn {
		return err
	}
	for i := range standing.Document.Provisions {
		scopes := standing.Document.Provisions[i].Scopes
		if slices.Contains(scopes, old.ID) && !slices.Contains(scopes, next) {
			return &emr.Error{
				Code: emr.CodeRule, Field: "next.id", Message: "the standing consent names the scope; put one first that names its successor, too",
			}
		}
	}
	return nil
}

// retireScope ends a scope's epoch. Its keys are marked again: a scope that was
// published before keys were marked is retired like any other.
func retireScope(s State, old *emr.Scope, next emr.ScopeID) error {
	old.Ended, old.Successor = s.Now(), next
	for _, public := range [][]byte{old.Delegating, old.Fragment} {
		if err := putID(s, ledgerapi.ScopeKeyKey(public), string(old.ID)); err != nil {
			return err
		}
	}
	return put(s, ledgerapi.ScopeKey(old.ID), old)
}

// endOfEpoch ends a grant of the old epoch.
func endOfEpoch(s State, old *emr.Scope, id emr.GrantID) error {
	grant, err := ownGrant(s, old.Patient, id)
	if err != nil {
		return err
	}
	if grant.Terms.Scope != old.ID {
		return &emr.Error{Code: emr.CodeRule, Field: "grants", Message: "a grant is of another scope"}
	}
	return endGrant(s, grant)
}

// declineSuccessor keeps declined for emergencies what was.
func declineSuccessor(s State, old *emr.Scope, next emr.ScopeID) error {
	plan, err := planOf(s, old.Patient)
	if err != nil || plan == nil || !slices.Contains(plan.Declined, old.ID) {
		return err
	}
	if len(plan.Declined) >= ledgerapi.MaxDeclined {
		return &emr.Error{
			Code: emr.CodeRule, Field: "scope", Message: fmt.Sprintf("the emergency plan declines %d scopes already; decline all, or fewer", ledgerapi.MaxDeclined),
		}
	}
	at, _ := slices.BinarySearch(plan.Declined, next)
	plan.Declined = slices.Insert(plan.Declined, at, next)
	plan.Version++
	plan.Updated = s.Now()
	if err := put(s, ledgerapi.EmergencyPlanVersionKey(old.Patient, plan.Version), plan); err != nil {
		return err
	}
	return put(s, ledgerapi.EmergencyPlanKey(old.Patient), plan)
}
