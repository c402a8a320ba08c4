// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// GetEmergency returns an emergency session.
func GetEmergency(r Reader, q ledgerapi.EmergencyArgs) (*emr.Emergency, error) {
	return knownSession(r, q.Session)
}

// GetEmergencyAction returns a session with the private actions that belong to it.
// It is for gateways only.
func GetEmergencyAction(r Reader, q ledgerapi.EmergencyArgs) (*ledgerapi.EmergencyView, error) {
	if _, err := requireGateway(r); err != nil {
		return nil, err
	}
	session, err := knownSession(r, q.Session)
	if err != nil {
		return nil, err
	}
	view := &ledgerapi.EmergencyView{Emergency: *session, Reviews: []emr.SignedAction{}}
	if session.Status != emr.EmergencyDenied {
		signed, _, err := privateAction(r, ledgerapi.StatementKey(session.Action))
		if err != nil {
			return nil, err
		}
		view.Signed = *signed
	}
	for _, review := range session.Reviews {
		signed, _, err := privateAction(r, ledgerapi.StatementKey(review.Action))
		if err != nil {
			return nil, err
		}
		view.Reviews = append(view.Reviews, *signed)
	}
	if session.Contested != 0 {
		signed, _, err := privateAction(r, ledgerapi.StatementKey(session.Complaint))
		if err != nil {
			return nil, err
		}
		view.Complaint = *signed
	}
	return view, nil
}

// ListEmergencies lists the sessions for a patient, of a clinician, or those that
// concern an organisation, newest first, refused ones included.
func ListEmergencies(r Reader, q ledgerapi.EmergenciesQuery) (*ledgerapi.EmergencyPage, error) {
	list, err := emergenciesOf(&q)
	if err != nil {
		return nil, err
	}
	items, bookmark, err := page(r, list, func(e Entry) (*emr.Emergency, step, error) {
		found, err := require(r, ledgerapi.EmergencyKey(emr.SessionID(e.Value)), versionOfEmergency)
		return found, keep, err
	})
	if err != nil {
		return nil, err
	}
	return &ledgerapi.EmergencyPage{Items: items, Bookmark: bookmark}, nil
}

func emergenciesOf(q *ledgerapi.EmergenciesQuery) (query, error) {
	named := 0
	for _, id := range []string{string(q.Patient), string(q.Clinician), string(q.Org)} {
		if id != "" {
			named++
		}
	}
	switch {
	case named != 1:
		return query{}, emr.Invalid("patient", "exactly one of patient, clinician and org must be set")
	case q.Patient != "":
		return byOwner(ledgerapi.TypeEmergencyByPatient, string(q.Patient), q.Limit, q.Bookmark), emr.CheckID("patient", q.Patient)
	case q.Clinician != "":
		return byOwner(ledgerapi.TypeEmergencyByClinician, string(q.Clinician), q.Limit, q.Bookmark),
			emr.CheckID("clinician", q.Clinician)
	default:
		_, err := emr.ParseOrgID("org", string(q.Org))
		return byOwner(ledgerapi.TypeEmergencyByOrg, string(q.Org), q.Limit, q.Bookmark), err
	}
}

// GetEmergencyPlan returns a patient's plan; an empty one, version 0, when there is none.
func GetEmergencyPlan(r Reader, q ledgerapi.HandleQuery) (*emr.EmergencyPlan, error) {
	if err := emr.CheckID("patient", q.Patient); err != nil {
		return nil, err
	}
	if _, err := requirePatient(r, q.Patient); err != nil {
		return nil, err
	}
	plan, err := planOf(r, q.Patient)
	if err == nil && plan == nil {
		plan = &emr.EmergencyPlan{V: emr.DocumentVersion, Patient: q.Patient, Declined: []emr.ScopeID{}}
	}
	return plan, err
}

// GetEmergencyRules returns an organisation's rules; the defaults, version 0, when it has set none.
func GetEmergencyRules(r Reader, q ledgerapi.EmergencyRulesQuery) (*emr.EmergencyRules, error) {
	if _, err := emr.ParseOrgID("org", string(q.Org)); err != nil {
		return nil, err
	}
	return rulesOf(r, q.Org)
}

// GetEmergencyDuty returns what a clinician owes.
func GetEmergencyDuty(r Reader, q ledgerapi.ClinicianQuery) (*emr.EmergencyDuty, error) {
	if err := emr.CheckID("clinician", q.Clinician); err != nil {
		return nil, err
	}
	return dutyOf(r, q.Clinician)
}
