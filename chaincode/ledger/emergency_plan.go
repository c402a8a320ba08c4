// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"fmt"

	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// planOf returns a patient's plan, or nil when there is none.
func planOf(s Lookup, patient emr.Handle) (*emr.EmergencyPlan, error) {
	return find(s, ledgerapi.EmergencyPlanKey(patient), versionOfPlan)
}

// SetEmergencyPlan declines emergency access in advance, to everything or to
// single scopes, or takes that back. It takes effect at once, open sessions
// included: a disclosure reads the plan.
func SetEmergencyPlan(s State, raw []byte) (*ledgerapi.Receipt, error) {
	var args ledgerapi.SetEmergencyPlanArgs
	st, err := open(s, raw, ledgerapi.SetEmergencyPlan, &args)
	if err != nil {
		return nil, err
	}
	patient, err := st.byPatient(s, args.Patient)
	if err != nil {
		return nil, err
	}
	if err := checkPlan(s, &args); err != nil {
		return nil, err
	}
	plan := emr.EmergencyPlan{
		V: emr.DocumentVersion, Patient: patient.Handle, DeclineAll: args.DeclineAll, Declined: args.Declined,
		Version: args.Version + 1, Updated: s.Now(),
	}
	if err := put(s, ledgerapi.EmergencyPlanKey(patient.Handle), plan); err != nil {
		return nil, err
	}
	if err := put(s, ledgerapi.EmergencyPlanVersionKey(patient.Handle, plan.Version), plan); err != nil {
		return nil, err
	}
	entry := byThePatient(patient, emr.AuditEmergencyPlan, "")
	entry.Decision = emr.Permit
	if plan.DeclineAll || len(plan.Declined) > 0 {
		entry.Decision = emr.Deny
	}
	if err := audit(s, entry); err != nil {
		return nil, err
	}
	if err := emit(s, ledgerapi.EventEmergencyPlan, ledgerapi.Event{}); err != nil {
		return nil, err
	}
	return receipt(s, string(patient.Handle)), st.spend(s, string(patient.Handle))
}

// checkPlan checks the plan by itself, that it follows the current one, and that
// it names scopes of the patient.
func checkPlan(s Lookup, args *ledgerapi.SetEmergencyPlanArgs) error {
	if args.Declined == nil || len(args.Declined) > ledgerapi.MaxDeclined || !rising(args.Declined) {
		return emr.Invalid("declined", fmt.Sprintf("must be a list of at most %d scopes, sorted, none twice", ledgerapi.MaxDeclined))
	}
	current, err := planOf(s, args.Patient)
	if err != nil {
		return err
	}
	version := uint32(0)
	if current != nil {
		version = current.Version
	}
	if args.Version != version {
		return &emr.Error{Code: emr.CodeStale, Field: "version", Message: "the plan has changed; look at it first"}
	}
	for _, id := range args.Declined {
		if err := emr.CheckID("declined", id); err != nil {
			return err
		}
		scope, err := require(s, ledgerapi.ScopeKey(id), versionOfScope)
		if err != nil {
			return err
		}
		if scope.Patient != args.Patient {
			return missing(ledgerapi.TypeScope)
		}
	}
	return nil
}

// SetEmergencyRules sets what the caller's organisation demands of emergency
// sessions by its clinicians and for its patients. Rules only tighten the
// defaults, so that no organisation decides for another one's people.
func SetEmergencyRules(s State, args ledgerapi.SetEmergencyRulesArgs) (*ledgerapi.Receipt, error) {
	org, err := callingMember(s)
	if err != nil {
		return nil, err
	}
	switch {
	case args.MaxMinutes == 0 || args.MaxMinutes > ledgerapi.MaxEmergencyMinutes:
		return nil, emr.Invalid("maxMinutes", "must be 1 to 1440")
	case args.ReviewDays == 0 || args.ReviewDays > ledgerapi.MaxReviewDays:
		return nil, emr.Invalid("reviewDays", "must be 1 to 7")
	}
	previous, err := rulesOf(s, org.ID)
	if err != nil {
		return nil, err
	}
	return receipt(s, string(org.ID)), put(s, ledgerapi.EmergencyRulesKey(org.ID), emr.EmergencyRules{
		V: emr.DocumentVersion, Org: org.ID, TwoPerson: args.TwoPerson, MaxMinutes: args.MaxMinutes, ReviewDays: args.ReviewDays,
		Version: previous.Version + 1, Updated: s.Now(),
	})
}

// rulesOf returns an organisation's rules; the defaults, version 0, when it has set none.
func rulesOf(s Lookup, org emr.OrgID) (*emr.EmergencyRules, error) {
	rules, err := find(s, ledgerapi.EmergencyRulesKey(org), versionOfRules)
	if err == nil && rules == nil {
		rules = &emr.EmergencyRules{
			V: emr.DocumentVersion, Org: org, MaxMinutes: ledgerapi.MaxEmergencyMinutes, ReviewDays: ledgerapi.DefaultReviewDays,
		}
	}
	return rules, err
}

// rulesBetween returns the stricter of what two organisations demand, in every respect.
func rulesBetween(s Lookup, clinicians, patients emr.OrgID) (*emr.EmergencyRules, error) {
	a, err := rulesOf(s, clinicians)
	if err != nil {
		return nil, err
	}
	b, err := rulesOf(s, patients)
	if err != nil {
		return nil, err
	}
	a.TwoPerson = a.TwoPerson || b.TwoPerson
	a.MaxMinutes, a.ReviewDays = min(a.MaxMinutes, b.MaxMinutes), min(a.ReviewDays, b.ReviewDays)
	return a, nil
}
