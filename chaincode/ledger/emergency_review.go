// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"slices"
	"strings"

	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// dutyOf returns what a clinician owes; an empty document when nothing is stored.
func dutyOf(s Lookup, clinician emr.ClinicianID) (*emr.EmergencyDuty, error) {
	duty, err := find(s, ledgerapi.EmergencyDutyKey(clinician), versionOfDuty)
	if err == nil && duty == nil {
		duty = &emr.EmergencyDuty{V: emr.DocumentVersion, Clinician: clinician, Owed: []emr.OwedEntry{}}
	}
	return duty, err
}

// owe replaces what is owed for a session.
func owe(duty *emr.EmergencyDuty, entry emr.OwedEntry) {
	for i := range duty.Owed {
		if duty.Owed[i].Session == entry.Session {
			duty.Owed[i] = entry
		}
	}
}

// hasStanding tells whether an organisation may look after a session: it is the
// clinician's, the patient's home, or a regulator.
func hasStanding(s Lookup, org *emr.Organisation, session *emr.Emergency) (bool, error) {
	if org.ID == session.Org || org.Kind == emr.KindRegulator {
		return true, nil
	}
	patient, err := requirePatient(s, session.Patient)
	if err != nil {
		return false, err
	}
	return patient.Home == org.ID, nil
}

// ReviewEmergency is a privacy officer's judgement of a session that has ended. An
// escalated session is judged again by an officer of another organisation; until
// the last word is spoken the clinician owes the review.
func ReviewEmergency(s State, raw []byte) (*ledgerapi.DecisionReceipt, error) {
	var args ledgerapi.ReviewEmergencyArgs
	st, err := open(s, raw, ledgerapi.ReviewEmergency, &args)
	if err != nil {
		return nil, err
	}
	reviewer, err := st.byOwnClinician(s)
	if err != nil {
		return nil, err
	}
	session, err := reviewable(s, &args)
	if err != nil {
		return nil, err
	}
	v, err := st.judge(s, session, reviewer)
	if err != nil {
		return nil, err
	}
	entry := byTheClinician(reviewer, session.Patient, emr.AuditEmergencyReviewed, string(session.ID))
	if v.decision == emr.Deny {
		return st.step(s, session, entry, v, ledgerapi.EventEmergencyDenied)
	}
	session.Reviews = append(session.Reviews, emr.EmergencyReview{
		By: reviewer.ID, Org: reviewer.Org, Outcome: args.Outcome, At: s.Now(), Action: st.digest,
	})
	if err := settle(s, session); err != nil {
		return nil, err
	}
	if err := st.putSigned(s, ledgerapi.StatementKey(st.digest)); err != nil {
		return nil, err
	}
	return st.step(s, session, entry, v, ledgerapi.EventEmergencyReviewed)
}

// reviewable returns the session when it can be reviewed by anybody at all.
func reviewable(s Lookup, args *ledgerapi.ReviewEmergencyArgs) (*emr.Emergency, error) {
	if !args.Outcome.Valid() {
		return nil, emr.Invalid("outcome", "must be justified, unjustified or escalated")
	}
	if err := checkStatement(args.Text); err != nil {
		return nil, err
	}
	session, err := knownSession(s, args.Session)
	if err != nil {
		return nil, err
	}
	switch {
	case session.Status == emr.EmergencyDenied:
		return nil, emr.E(emr.CodeRule, "session was refused: there is nothing to review")
	case s.Now() < session.Ended():
		return nil, emr.E(emr.CodeRule, "session is still open: it is reviewed when it has ended")
	case session.Reviewed():
		return nil, emr.E(emr.CodeExists, "session is already reviewed")
	case args.Outcome == emr.ReviewEscalated && len(session.Reviews) >= ledgerapi.MaxReviews-1:
		return nil, emr.E(emr.CodeRule, "session has been escalated often enough: this review must decide")
	}
	return session, nil
}

func (st *statement) judge(s Lookup, session *emr.Emergency, reviewer *emr.Clinician) (verdict, error) {
	opened, err := requireClinician(s, session.By)
	if err != nil {
		return verdict{}, err
	}
	var confirmed *emr.Clinician
	if session.ConfirmedBy != "" {
		if confirmed, err = requireClinician(s, session.ConfirmedBy); err != nil {
			return verdict{}, err
		}
	}
	stands, err := hasStanding(s, st.gateway, session)
	return decideReview(session, reviewer, opened, confirmed, stands), err
}

// settle writes a session after a review, and what its clinician owes now.
func settle(s State, session *emr.Emergency) error {
	duty, err := dutyOf(s, session.By)
	if err != nil {
		return err
	}
	if session.Reviewed() {
		duty.Owed = slices.DeleteFunc(duty.Owed, func(e emr.OwedEntry) bool { return e.Session == session.ID })
	} else {
		patient, err := requirePatient(s, session.Patient)
		if err != nil {
			return err
		}
		rules, err := rulesBetween(s, session.Org, patient.Home)
		if err != nil {
			return err
		}
		if s.Now() < session.ReviewBy { // what is overdue stays so until somebody decides
			session.ReviewBy = s.Now().Add(reviewTime(rules))
		}
		owe(duty, emr.OwedEntry{Session: session.ID, Until: session.Ended(), ReviewBy: session.ReviewBy})
	}
	if err := put(s, ledgerapi.EmergencyDutyKey(session.By), duty); err != nil {
		return err
	}
	return put(s, ledgerapi.EmergencyKey(session.ID), session)
}

// ContestEmergency is the patient's own statement about a session, once. It
// changes no state: it stands beside the reviews for whoever looks at them.
func ContestEmergency(s State, raw []byte) (*ledgerapi.Receipt, error) {
	var args ledgerapi.ContestEmergencyArgs
	st, err := open(s, raw, ledgerapi.ContestEmergency, &args)
	if err != nil {
		return nil, err
	}
	patient, err := st.byPatient(s, args.Patient)
	if err != nil {
		return nil, err
	}
	if strings.TrimSpace(args.Text) == "" {
		return nil, emr.Invalid("text", "must not be empty")
	}
	if err := checkStatement(args.Text); err != nil {
		return nil, err
	}
	session, err := ownSession(s, patient.Handle, args.Session)
	if err != nil {
		return nil, err
	}
	if session.Contested != 0 {
		return nil, emr.E(emr.CodeExists, "session is already contested")
	}
	session.Contested, session.Complaint = s.Now(), st.digest
	if err := put(s, ledgerapi.EmergencyKey(session.ID), session); err != nil {
		return nil, err
	}
	if err := st.putSigned(s, ledgerapi.StatementKey(st.digest)); err != nil {
		return nil, err
	}
	entry := byThePatient(patient, emr.AuditEmergencyContested, string(session.ID))
	_, err = st.step(s, session, entry, verdict{}, ledgerapi.EventEmergencyContested)
	return receipt(s, string(session.ID)), err
}
