// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"time"

	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// OpenEmergency breaks the glass: a clinician opens a session for one patient, for
// a short time, for a stated reason. A refusal is committed as a fact of the
// patient's trail. Where the rules of the clinician's hospital or of the patient's
// home ask for two persons, the session waits for the second and gives nothing.
func OpenEmergency(s State, raw []byte) (*ledgerapi.DecisionReceipt, error) {
	var args ledgerapi.OpenEmergencyArgs
	st, err := open(s, raw, ledgerapi.OpenEmergency, &args)
	if err != nil {
		return nil, err
	}
	clinician, err := st.byOwnClinician(s)
	if err != nil {
		return nil, err
	}
	if err := checkOpening(s, &args); err != nil {
		return nil, err
	}
	patient, err := requirePatient(s, args.Patient)
	if err != nil {
		return nil, err
	}
	rules, err := rulesBetween(s, clinician.Org, patient.Home)
	if err != nil {
		return nil, err
	}
	o := opening{clinician: clinician, args: &args, issued: st.action.Issued, twoPerson: rules.TwoPerson}
	if o.duty, err = dutyOf(s, clinician.ID); err != nil {
		return nil, err
	}
	if o.plan, err = planOf(s, args.Patient); err != nil {
		return nil, err
	}
	session := newSession(s, st, &o, rules, o.decide(s.Now()))
	return st.openSession(s, &o, session, patient.Home)
}

// checkOpening checks what is wrong with the request itself and no fact about anybody.
func checkOpening(s Lookup, args *ledgerapi.OpenEmergencyArgs) error {
	if err := emr.CheckID("session", args.Session); err != nil {
		return err
	}
	if err := emr.CheckID("patient", args.Patient); err != nil {
		return err
	}
	if _, err := emr.ParsePurpose("purpose", string(args.Purpose)); err != nil {
		return err
	}
	if args.Minutes > ledgerapi.MaxEmergencyMinutes {
		return emr.Invalid("minutes", "must be at most 1440: a session lives for a day at most")
	}
	if err := checkPresence(&args.Presence); err != nil {
		return err
	}
	if err := checkStatement(args.Text); err != nil {
		return err
	}
	existing, err := s.Get(ledgerapi.EmergencyKey(args.Session))
	if err != nil {
		return err
	}
	if existing != nil {
		return emr.E(emr.CodeExists, "session is already opened, or was refused")
	}
	return nil
}

func checkPresence(presence *emr.Presence) error {
	if !presence.Method.Valid() {
		return emr.Invalid("presence.method", "must be passkey, card or password")
	}
	return nil
}

func checkStatement(text string) error {
	if len(text) > ledgerapi.MaxStatement {
		return &emr.Error{Code: emr.CodeTooLarge, Field: "text", Message: "must be at most 4000 bytes"}
	}
	return nil
}

func newSession(s Lookup, st *statement, o *opening, rules *emr.EmergencyRules, v verdict) *emr.Emergency {
	session := &emr.Emergency{
		V: emr.DocumentVersion, ID: o.args.Session, Patient: o.args.Patient, By: o.clinician.ID, Org: o.clinician.Org,
		Purpose: o.args.Purpose, Decision: v.decision, Reason: v.reason, Status: emr.EmergencyDenied,
		Opened: s.Now(), Until: s.Now(), Reviews: []emr.EmergencyReview{}, Action: st.digest,
	}
	if v.decision == emr.Deny {
		return session
	}
	session.Status = emr.EmergencyOpen
	if v.decision == emr.Ask {
		session.Status = emr.EmergencyWaiting
	}
	minutes := o.args.Minutes
	if minutes == 0 {
		minutes = ledgerapi.DefaultEmergencyMinutes
	}
	session.Until = s.Now().Add(time.Duration(min(minutes, rules.MaxMinutes)) * time.Minute)
	session.ReviewBy = session.Until.Add(reviewTime(rules))
	return session
}

func reviewTime(rules *emr.EmergencyRules) time.Duration {
	return time.Duration(rules.ReviewDays) * 24 * time.Hour
}

// openSession writes a session, refused or not, with all that goes with it.
func (st *statement) openSession(
	s State, o *opening, session *emr.Emergency, home emr.OrgID,
) (*ledgerapi.DecisionReceipt, error) {
	if err := putNewSession(s, session, home); err != nil {
		return nil, err
	}
	event := ledgerapi.EventEmergencyDenied
	if session.Decision != emr.Deny {
		event = ledgerapi.EventEmergencyOpened
		o.duty.Owed = append(o.duty.Owed, emr.OwedEntry{Session: session.ID, Until: session.Until, ReviewBy: session.ReviewBy})
		if err := put(s, ledgerapi.EmergencyDutyKey(session.By), o.duty); err != nil {
			return nil, err
		}
		if err := st.putSigned(s, ledgerapi.StatementKey(st.digest)); err != nil {
			return nil, err
		}
	}
	entry := byTheClinician(o.clinician, session.Patient, emr.AuditEmergencyOpened, string(session.ID))
	return st.step(s, session, entry, verdict{session.Decision, session.Reason}, event)
}

// putNewSession writes a session and its indexes: by patient, by clinician, by the
// clinician's organisation and by the patient's home.
func putNewSession(s State, session *emr.Emergency, home emr.OrgID) error {
	id := string(session.ID)
	if err := put(s, ledgerapi.EmergencyKey(session.ID), session); err != nil {
		return err
	}
	indexes := []struct{ typ, owner string }{
		{ledgerapi.TypeEmergencyByPatient, string(session.Patient)},
		{ledgerapi.TypeEmergencyByClinician, string(session.By)},
		{ledgerapi.TypeEmergencyByOrg, string(session.Org)},
		{ledgerapi.TypeEmergencyByOrg, string(home)},
	}
	for _, index := range indexes {
		if err := putID(s, ledgerapi.Index(index.typ, index.owner, s.Now(), s.Nanos(), id), id); err != nil {
			return err
		}
	}
	return nil
}

// step ends every transaction about a session: audit entry, event, receipt, spent action.
func (st *statement) step(
	s State, session *emr.Emergency, entry emr.AuditEntry, v verdict, event string,
) (*ledgerapi.DecisionReceipt, error) {
	entry.Purpose, entry.Decision, entry.Reason = session.Purpose, v.decision, v.reason
	if err := audit(s, entry); err != nil {
		return nil, err
	}
	if err := emit(s, event, ledgerapi.Event{ID: string(session.ID), Hospital: session.Org}); err != nil {
		return nil, err
	}
	answer := &ledgerapi.DecisionReceipt{
		TxID: s.TxID(), At: s.Now(), ID: string(session.ID), Decision: v.decision, Reason: v.reason,
	}
	if v.decision == emr.Permit && session.Status == emr.EmergencyOpen {
		answer.Until = session.Until
	}
	return answer, st.spend(s, string(session.ID))
}

// ConfirmEmergency is the second person's word for a session that waits for one.
// The person is of another organisation than the clinician, so that no hospital
// breaks the glass alone.
func ConfirmEmergency(s State, raw []byte) (*ledgerapi.DecisionReceipt, error) {
	var args ledgerapi.ConfirmEmergencyArgs
	st, err := open(s, raw, ledgerapi.ConfirmEmergency, &args)
	if err != nil {
		return nil, err
	}
	second, err := st.byOwnClinician(s)
	if err != nil {
		return nil, err
	}
	if err := checkPresence(&args.Presence); err != nil {
		return nil, err
	}
	session, err := knownSession(s, args.Session)
	if err != nil {
		return nil, err
	}
	if session.Status != emr.EmergencyWaiting {
		return nil, emr.E(emr.CodeRule, "session does not wait for a second person: it is "+string(session.Status))
	}
	first, err := requireClinician(s, session.By)
	if err != nil {
		return nil, err
	}
	v := decideConfirmation(session, first, second, &args.Presence, st.action.Issued, s.Now())
	entry := byTheClinician(second, session.Patient, emr.AuditEmergencyConfirmed, string(session.ID))
	if v.decision == emr.Deny {
		return st.step(s, session, entry, v, ledgerapi.EventEmergencyDenied)
	}
	session.Status, session.Decision, session.Reason = emr.EmergencyOpen, v.decision, v.reason
	session.ConfirmedBy, session.ConfirmedOrg, session.Confirmed = second.ID, second.Org, s.Now()
	if err := put(s, ledgerapi.EmergencyKey(session.ID), session); err != nil {
		return nil, err
	}
	return st.step(s, session, entry, v, ledgerapi.EventEmergencyConfirmed)
}

func knownSession(s Lookup, id emr.SessionID) (*emr.Emergency, error) {
	if err := emr.CheckID("session", id); err != nil {
		return nil, err
	}
	return require(s, ledgerapi.EmergencyKey(id), versionOfEmergency)
}

// CloseEmergency ends a session before its time. The clinician may, and so may
// the patient, who can speak again, and a privacy officer with standing.
func CloseEmergency(s State, raw []byte) (*ledgerapi.Receipt, error) {
	var args ledgerapi.EmergencyArgs
	st, err := open(s, raw, ledgerapi.CloseEmergency, &args)
	if err != nil {
		return nil, err
	}
	entry, session, err := st.closer(s, args.Session)
	if err != nil {
		return nil, err
	}
	if session.Status != emr.EmergencyOpen && session.Status != emr.EmergencyWaiting || s.Now() >= session.Until {
		return nil, &emr.Error{Code: emr.CodeGone, Reason: emr.ReasonSessionClosed, Message: "session has ended already"}
	}
	session.ReviewBy -= session.Until - s.Now() // the time for the review runs from the end
	session.Status, session.Closed = emr.EmergencyClosed, s.Now()
	if err := put(s, ledgerapi.EmergencyKey(session.ID), session); err != nil {
		return nil, err
	}
	duty, err := dutyOf(s, session.By)
	if err != nil {
		return nil, err
	}
	owe(duty, emr.OwedEntry{Session: session.ID, Until: session.Closed, ReviewBy: session.ReviewBy})
	if err := put(s, ledgerapi.EmergencyDutyKey(session.By), duty); err != nil {
		return nil, err
	}
	_, err = st.step(s, session, entry, verdict{}, ledgerapi.EventEmergencyClosed)
	return receipt(s, string(session.ID)), err
}

// closer authenticates who closes a session, and begins the audit entry.
func (st *statement) closer(s Lookup, id emr.SessionID) (entry emr.AuditEntry, session *emr.Emergency, err error) {
	if st.fromPatient() {
		patient, err := st.byPatient(s, emr.Handle(st.action.Actor))
		if err != nil {
			return entry, nil, err
		}
		session, err = ownSession(s, patient.Handle, id)
		return byThePatient(patient, emr.AuditEmergencyClosed, string(id)), session, err
	}
	clinician, err := st.byOwnClinician(s)
	if err != nil {
		return entry, nil, err
	}
	if session, err = knownSession(s, id); err != nil {
		return entry, nil, err
	}
	entry = byTheClinician(clinician, session.Patient, emr.AuditEmergencyClosed, string(id))
	if clinician.ID == session.By {
		return entry, session, nil
	}
	stands, err := hasStanding(s, st.gateway, session)
	if err == nil && (clinician.Role != emr.RolePrivacyOfficer || !stands) {
		err = emr.E(emr.CodeForbidden, "session is another clinician's")
	}
	if err == nil { // who closed it as the own one gives something back; this is an officer's act
		err = refuseInactive(clinician)
	}
	return entry, session, err
}

// ownSession returns a session for the patient. Another patient's is not found.
func ownSession(s Lookup, patient emr.Handle, id emr.SessionID) (*emr.Emergency, error) {
	session, err := knownSession(s, id)
	if err != nil {
		return nil, err
	}
	if session.Patient != patient {
		return nil, missing(ledgerapi.TypeEmergency)
	}
	return session, nil
}
