// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"strings"
	"time"

	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// InspectLog asks to read the log of a patient, a record, an actor or an
// organisation. The decision is committed before anything is shown, permitted or
// denied, into the log that is to be read: whoever it is about finds it there. A
// permit lives for half an hour.
func InspectLog(s State, raw []byte) (*ledgerapi.DecisionReceipt, error) {
	var args ledgerapi.InspectLogArgs
	st, err := open(s, raw, ledgerapi.InspectLog, &args)
	if err != nil {
		return nil, err
	}
	inspector, err := st.byOwnClinician(s)
	if err != nil {
		return nil, err
	}
	if err := checkInspection(s, &args); err != nil {
		return nil, err
	}
	about, err := subjectOf(s, &args.Subject)
	if err != nil {
		return nil, err
	}
	v := decideInspection(inspector, about.org)
	inspection := &emr.Inspection{
		V: emr.DocumentVersion, ID: args.Inspection, By: inspector.ID, Org: inspector.Org, Subject: args.Subject, From: args.From, To: args.To,
		Ground: args.Ground, Decision: v.decision, Reason: v.reason, Action: st.digest, At: s.Now(), Until: s.Now(),
	}
	answer := &ledgerapi.DecisionReceipt{
		TxID: s.TxID(), At: s.Now(), ID: string(inspection.ID), Decision: v.decision, Reason: v.reason,
	}
	if v.decision == emr.Permit {
		inspection.Until = s.Now().Add(ledgerapi.InspectionMinutes * time.Minute)
		answer.Until = inspection.Until
	}
	if err := put(s, ledgerapi.InspectionKey(inspection.ID), inspection); err != nil {
		return nil, err
	}
	entry := byTheClinician(inspector, about.patient, emr.AuditLogRead, string(inspection.ID))
	entry.Record, entry.Decision, entry.Reason = args.Subject.Record, v.decision, v.reason
	if err := about.audit(s, entry); err != nil {
		return nil, err
	}
	if err := emit(s, ledgerapi.EventLogInspected, ledgerapi.Event{ID: string(inspection.ID), Hospital: inspector.Org}); err != nil {
		return nil, err
	}
	return answer, st.spend(s, string(inspection.ID))
}

// checkInspection checks what is wrong with the request itself and no fact about anybody.
func checkInspection(s Lookup, args *ledgerapi.InspectLogArgs) error {
	if err := emr.CheckID("inspection", args.Inspection); err != nil {
		return err
	}
	if args.From < 0 || args.To <= args.From {
		return emr.Invalid("to", "must be after from")
	}
	if !args.Ground.Valid() {
		return emr.Invalid("ground", "must be complaint, incident, patient-request, routine or legal-duty")
	}
	existing, err := s.Get(ledgerapi.InspectionKey(args.Inspection))
	if err != nil {
		return err
	}
	if existing != nil {
		return emr.E(emr.CodeExists, "inspection is already decided")
	}
	return nil
}

// subject is whose log is to be read: the patient in whose trail it is written, if
// any, the organisation whose privacy officers may, and where it is written besides.
type subject struct {
	patient emr.Handle
	org     emr.OrgID
	further []place
}

// subjectOf looks up whom an inspection is about. It is about somebody who exists.
func subjectOf(s Lookup, of *emr.LogSubject) (*subject, error) {
	named := 0
	for _, id := range []string{string(of.Patient), string(of.Record), of.Actor, string(of.Org)} {
		if id != "" {
			named++
		}
	}
	switch {
	case named != 1:
		return nil, emr.Invalid("subject", "exactly one of patient, record, actor and org must be set")
	case of.Patient != "":
		return subjectPatient(s, "subject.patient", of.Patient)
	case of.Record != "":
		return subjectRecord(s, of.Record)
	case strings.HasPrefix(of.Actor, emr.HandlePrefix):
		return subjectPatient(s, "subject.actor", emr.Handle(of.Actor))
	case of.Actor != "":
		return subjectClinician(s, emr.ClinicianID(of.Actor))
	default:
		return subjectOrg(s, of.Org)
	}
}

func subjectPatient(s Lookup, field string, handle emr.Handle) (*subject, error) {
	if err := emr.CheckID(field, handle); err != nil {
		return nil, err
	}
	patient, err := requirePatient(s, handle)
	if err != nil {
		return nil, err
	}
	return &subject{patient: handle, org: patient.Home}, nil
}

func subjectRecord(s Lookup, id emr.RecordID) (*subject, error) {
	if err := emr.CheckID("subject.record", id); err != nil {
		return nil, err
	}
	record, err := require(s, ledgerapi.RecordKey(id), versionOfRecord)
	if err != nil {
		return nil, err
	}
	return &subject{patient: record.Patient, org: record.Hospital}, nil
}

func subjectClinician(s Lookup, id emr.ClinicianID) (*subject, error) {
	if err := emr.CheckID("subject.actor", id); err != nil {
		return nil, err
	}
	clinician, err := requireClinician(s, id)
	if err != nil {
		return nil, err
	}
	return &subject{org: clinician.Org, further: []place{{ledgerapi.TypeAuditByClinician, string(id)}}}, nil
}

func subjectOrg(s Lookup, id emr.OrgID) (*subject, error) {
	if _, err := emr.ParseOrgID("subject.org", string(id)); err != nil {
		return nil, err
	}
	org, err := organisation(s, id)
	if err != nil {
		return nil, err
	}
	if org == nil {
		return nil, missing(ledgerapi.TypeOrganisation)
	}
	return &subject{org: id}, nil
}

// audit writes the entry into the log that it is about: the patient's, chained; a
// clinician's; or that of an organisation, beside the inspector's own.
func (about *subject) audit(s State, entry emr.AuditEntry) error {
	if about.patient != "" {
		return audit(s, entry)
	}
	entry.V, entry.TxID, entry.At = emr.DocumentVersion, s.TxID(), s.Now()
	further := about.further
	if about.org != entry.Org {
		further = append(further, place{ledgerapi.TypeAuditByOrg, string(about.org)})
	}
	return putEntry(s, &entry, further...)
}

// decideInspection decides who may read a log: an auditor, whose role only a
// regulator asserts, any; a privacy officer that of the own organisation.
func decideInspection(inspector *emr.Clinician, org emr.OrgID) verdict {
	switch {
	case inspector.Status.Denial() != "":
		return deny(inspector.Status.Denial())
	case inspector.Role == emr.RoleAuditor:
		return verdict{emr.Permit, emr.ReasonInspector}
	case inspector.Role != emr.RolePrivacyOfficer:
		return deny(emr.ReasonRole)
	case inspector.Org != org:
		return deny(emr.ReasonInspectorOrg)
	default:
		return verdict{emr.Permit, emr.ReasonInspector}
	}
}

// GetInspection returns an inspection: who reads, what of, and why.
func GetInspection(r Reader, q ledgerapi.InspectionQuery) (*emr.Inspection, error) {
	if err := emr.CheckID("inspection", q.Inspection); err != nil {
		return nil, err
	}
	return require(r, ledgerapi.InspectionKey(q.Inspection), versionOfInspection)
}

// ReadLog lists what an inspection permits to read, newest first: the log of its
// subject in its period, or in a part of it. It is for the gateway of the
// inspector's organisation, while the inspection lives and the inspector may act.
func ReadLog(r Reader, q ledgerapi.ReadLogQuery) (*ledgerapi.AuditPage, error) {
	inspection, err := liveInspection(r, q.Inspection)
	if err != nil {
		return nil, err
	}
	from, to, err := narrowed(inspection, q.From, q.To)
	if err != nil {
		return nil, err
	}
	typ, owner := logOf(&inspection.Subject)
	list, err := within(entriesOf(typ, owner, q.Limit, q.Bookmark), from, to)
	if err != nil {
		return nil, err
	}
	items, bookmark, err := page(r, list, func(e Entry) (*emr.AuditEntry, step, error) {
		entry, err := decode(e.Key.Type, e.Value, versionOfAudit)
		if err != nil {
			return nil, stop, err
		}
		return entry, ofPeriod(entry.At, from, to), nil
	})
	if err != nil {
		return nil, err
	}
	return &ledgerapi.AuditPage{Items: items, Bookmark: bookmark}, nil
}

// logOf returns the index in which a subject's log stands.
func logOf(of *emr.LogSubject) (typ, owner string) {
	switch {
	case of.Patient != "":
		return ledgerapi.TypeAuditByPatient, string(of.Patient)
	case of.Record != "":
		return ledgerapi.TypeAuditByRecord, string(of.Record)
	case of.Actor != "":
		return ledgerapi.TypeAuditByActor, of.Actor
	default:
		return ledgerapi.TypeAuditByOrg, string(of.Org)
	}
}

// ofPeriod tells what to do with an entry of a list that is read newest first.
// What is newer than the period can only be there by a forged bookmark.
func ofPeriod(at, from, to emr.Time) step {
	switch {
	case at < from:
		return stop
	case to != 0 && at >= to:
		return skip
	default:
		return keep
	}
}

// narrowed returns the part of an inspection's period that is asked for.
func narrowed(inspection *emr.Inspection, from, to emr.Time) (emr.Time, emr.Time, error) {
	if from == 0 {
		from = inspection.From
	}
	if to == 0 {
		to = inspection.To
	}
	if from < inspection.From || to > inspection.To {
		return 0, 0, emr.E(emr.CodeForbidden, "the inspection is of another period")
	}
	return from, to, nil
}

// liveInspection returns an inspection by which the calling gateway may read now.
func liveInspection(r Lookup, id emr.InspectionID) (*emr.Inspection, error) {
	gateway, err := requireGateway(r)
	if err != nil {
		return nil, err
	}
	if err := emr.CheckID("inspection", id); err != nil {
		return nil, err
	}
	inspection, err := require(r, ledgerapi.InspectionKey(id), versionOfInspection)
	if err != nil {
		return nil, err
	}
	inspector, err := requireClinician(r, inspection.By)
	if err != nil {
		return nil, err
	}
	switch {
	case inspection.Org != gateway.ID:
		return nil, emr.E(emr.CodeForbidden, "the inspection is another organisation's")
	case inspection.Decision != emr.Permit:
		return nil, emr.Refused(inspection.Reason, inspection.Reason.Explain())
	case r.Now() >= inspection.Until:
		return nil, emr.E(emr.CodeGone, "the inspection is over; ask for another one")
	}
	return inspection, refuseInactive(inspector)
}

func versionOfInspection(i *emr.Inspection) int { return i.V }
