// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"fmt"
	"slices"
	"time"

	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// SuspendAccounting withholds disclosures from the patients' accounting until a
// time, on the statement of an authority, or lifts that. The caller is an
// administrator of the records' hospital or of a regulator, and never of the
// organisation that has read: nobody withholds the own readings.
//
// It leaves an entry in the log of the caller's organisation and none in the
// patient's, whom it would tell what the authority asked not to be told.
func SuspendAccounting(s State, args ledgerapi.SuspendAccountingArgs) (*ledgerapi.Receipt, error) {
	org, err := callingMember(s)
	if err != nil {
		return nil, err
	}
	if err := checkSuspension(&args, s.Now()); err != nil {
		return nil, err
	}
	for _, id := range args.Disclosures {
		if err := checkSuspendable(s, org, id); err != nil {
			return nil, err
		}
		suspension := emr.Suspension{
			V: emr.DocumentVersion, Disclosure: id, Org: org.ID, Ground: args.Ground, Written: args.Written, At: s.Now(),
			Until: max(args.Until, s.Now()),
		}
		if err := put(s, ledgerapi.SuspensionKey(id), suspension); err != nil {
			return nil, err
		}
		entry := &emr.AuditEntry{
			V: emr.DocumentVersion, TxID: s.TxID(), At: s.Now(), Kind: emr.AuditSuspension, Actor: emr.ActorAdmin, Org: org.ID,
			Decision: emr.Deny, Ref: string(id),
		}
		if args.Until == 0 {
			entry.Decision = emr.Permit
		}
		if err := putEntry(s, entry); err != nil {
			return nil, err
		}
	}
	return receipt(s, string(args.Disclosures[0])), nil
}

func checkSuspension(args *ledgerapi.SuspendAccountingArgs, now emr.Time) error {
	if n := len(args.Disclosures); n == 0 || n > ledgerapi.MaxSuspended || !rising(args.Disclosures) {
		return emr.Invalid("disclosures", fmt.Sprintf("must be 1 to %d disclosures, sorted, none twice", ledgerapi.MaxSuspended))
	}
	if !args.Ground.Valid() {
		return emr.Invalid("ground", "must be law-enforcement or health-oversight")
	}
	days := ledgerapi.MaxOralDays
	if args.Written {
		days = ledgerapi.MaxWrittenDays
	}
	longest := now.Add(time.Duration(days) * 24 * time.Hour)
	if args.Until != 0 && (args.Until <= now || args.Until > longest) {
		return emr.Invalid("until", fmt.Sprintf("must be in the next %d days, or empty", days))
	}
	return nil
}

// checkSuspendable checks that an organisation may suspend a disclosure.
func checkSuspendable(s Lookup, org *emr.Organisation, id emr.DisclosureID) error {
	if err := emr.CheckID("disclosures", id); err != nil {
		return err
	}
	d, err := require(s, ledgerapi.DisclosureKey(id), versionOfDisclosure)
	if err != nil {
		return err
	}
	record, err := require(s, ledgerapi.RecordKey(d.Record), versionOfRecord)
	switch {
	case err != nil:
		return err
	case record.Hospital != org.ID && org.Kind != emr.KindRegulator:
		return emr.E(emr.CodeForbidden, "the record is another hospital's")
	case d.Org == org.ID:
		return emr.E(emr.CodeForbidden, "no organisation withholds its own readings")
	case d.Decision != emr.Permit || d.Is(emr.AccountIndividual):
		return &emr.Error{Code: emr.CodeRule, Field: "disclosures", Message: "only what was disclosed to somebody else can be withheld"}
	default:
		return refuseOthersSuspension(s, org, id)
	}
}

// refuseOthersSuspension refuses to change what another organisation withholds now:
// nobody tells the patient, in its place, what an authority asked not to be told.
func refuseOthersSuspension(s Lookup, org *emr.Organisation, id emr.DisclosureID) error {
	running, err := find(s, ledgerapi.SuspensionKey(id), versionOfSuspension)
	if err == nil && running != nil && running.Org != org.ID && s.Now() < running.Until {
		err = emr.E(emr.CodeForbidden, "another organisation withholds the disclosure")
	}
	return err
}

// AccountDisclosures lists what of a patient's records was disclosed, to whom, what
// for and in which class, newest first. What is suspended is withheld.
func AccountDisclosures(r Reader, q ledgerapi.AccountQuery) (*ledgerapi.AccountPage, error) {
	a, err := newAccount(r, &q)
	if err != nil {
		return nil, err
	}
	list, err := within(entriesOf(ledgerapi.TypeAuditByPatient, string(q.Patient), q.Limit, q.Bookmark), a.from, a.to)
	if err != nil {
		return nil, err
	}
	items, bookmark, err := page(r, list, a.item)
	if err != nil {
		return nil, err
	}
	if q.Series {
		items = series(items)
	}
	return &ledgerapi.AccountPage{From: a.from, To: a.to, Items: items, Bookmark: bookmark}, nil
}

// account is one accounting in the making.
type account struct {
	r        Reader
	exclude  []emr.AccountingClass
	from, to emr.Time
	gateway  *emr.Organisation
	// inspected tells that it is made for an inspector and not for the patient.
	inspected bool
	names     map[emr.OrgID]string
}

func newAccount(r Reader, q *ledgerapi.AccountQuery) (*account, error) {
	gateway, err := requireGateway(r)
	if err != nil {
		return nil, err
	}
	if err := emr.CheckID("patient", q.Patient); err != nil {
		return nil, err
	}
	for _, class := range q.Exclude {
		if !class.Valid() {
			return nil, emr.Invalid("exclude", "must hold tpo, individual, authorised or emergency")
		}
	}
	a := &account{r: r, exclude: q.Exclude, from: q.From, to: q.To, gateway: gateway, names: map[emr.OrgID]string{}}
	if a.to == 0 {
		a.to = r.Now() + 1
	}
	if a.from == 0 {
		a.from = max(emr.TimeOf(a.to.Std().AddDate(-ledgerapi.AccountYears, 0, 0)), 0)
	}
	if q.Inspection == "" {
		return a, nil
	}
	inspection, err := liveInspection(r, q.Inspection)
	switch {
	case err != nil:
		return nil, err
	case inspection.Subject.Patient != q.Patient:
		return nil, emr.E(emr.CodeForbidden, "the inspection is of another log")
	}
	a.inspected = true
	a.from, a.to = max(a.from, inspection.From), min(a.to, inspection.To)
	return a, nil
}

// item makes an item of an audit entry, or skips what is no disclosure to be accounted for.
func (a *account) item(e Entry) (*ledgerapi.AccountItem, step, error) {
	entry, err := decode(e.Key.Type, e.Value, versionOfAudit)
	if err != nil {
		return nil, stop, err
	}
	if step := ofPeriod(entry.At, a.from, a.to); step != keep {
		return nil, step, nil
	}
	if entry.Kind != emr.AuditDisclosure || entry.Decision != emr.Permit {
		return nil, skip, nil
	}
	d, err := require(a.r, ledgerapi.DisclosureKey(emr.DisclosureID(entry.Ref)), versionOfDisclosure)
	if err != nil {
		return nil, stop, err
	}
	if slices.ContainsFunc(a.exclude, d.Is) {
		return nil, skip, nil
	}
	suspension, err := find(a.r, ledgerapi.SuspensionKey(d.ID), versionOfSuspension)
	if err != nil {
		return nil, stop, err
	}
	if suspension != nil && a.r.Now() >= suspension.Until {
		suspension = nil
	}
	if suspension != nil && !a.sees(suspension) {
		return nil, skip, nil
	}
	item, err := a.describe(d)
	if err != nil {
		return nil, stop, err
	}
	item.Sealed = suspension
	return item, keep, nil
}

// sees tells whether a suspended disclosure is listed: to inspectors, of a
// regulator or of the organisation that suspended it.
func (a *account) sees(suspension *emr.Suspension) bool {
	return a.inspected && (a.gateway.Kind == emr.KindRegulator || a.gateway.ID == suspension.Org)
}

func (a *account) describe(d *emr.Disclosure) (*ledgerapi.AccountItem, error) {
	record, err := require(a.r, ledgerapi.RecordKey(d.Record), versionOfRecord)
	if err != nil {
		return nil, err
	}
	item := &ledgerapi.AccountItem{
		Disclosure: d.ID, Record: d.Record, First: d.At, Last: d.At, Count: 1, Org: d.Org, Reader: d.Reader, Hospital: record.Hospital,
		Class: record.Class, Restricted: record.Restricted, Purpose: d.Purpose, Classes: []emr.AccountingClass{},
	}
	for _, class := range emr.AccountingClasses() {
		if d.Is(class) {
			item.Classes = append(item.Classes, class)
		}
	}
	if item.Name, err = a.nameOf(d.Org); err != nil || d.Session == "" {
		return item, err
	}
	item.Emergency, err = a.emergency(d.Session)
	return item, err
}

// nameOf returns the registered name of an organisation; none of nobody's.
func (a *account) nameOf(id emr.OrgID) (string, error) {
	if name, known := a.names[id]; known || id == "" {
		return name, nil
	}
	org, err := organisation(a.r, id)
	if err != nil || org == nil {
		return "", err
	}
	a.names[id] = org.Name
	return org.Name, nil
}

// emergency tells of the session of a disclosure. Its ground is private data: where
// it is gone, or this peer does not hold it, the rest is told without it.
func (a *account) emergency(id emr.SessionID) (*ledgerapi.AccountedEmergency, error) {
	session, err := knownSession(a.r, id)
	if err != nil {
		return nil, err
	}
	told := &ledgerapi.AccountedEmergency{
		Session: id, By: session.By, Org: session.Org, ConfirmedBy: session.ConfirmedBy, ConfirmedOrg: session.ConfirmedOrg,
		Opened: session.Opened, Ended: session.Ended(),
	}
	_, action, err := privateAction(a.r, ledgerapi.StatementKey(session.Action))
	if emr.CodeOf(err) == emr.CodeUnavailable {
		return told, nil
	}
	if err != nil {
		return nil, err
	}
	var args ledgerapi.OpenEmergencyArgs
	if err := emr.DecodeCanonical(action.Args, &args); err != nil {
		return nil, fmt.Errorf("ledger: stored session cannot be read: %s", err.Error())
	}
	told.Nature = args.Ground
	return told, nil
}

// series makes one item of those that differ in nothing but record and time. The
// items come newest first, and stay in that order of their newest.
func series(items []ledgerapi.AccountItem) []ledgerapi.AccountItem {
	out := []ledgerapi.AccountItem{}
	for i := range items {
		at := slices.IndexFunc(out, func(o ledgerapi.AccountItem) bool { return sameSeries(&o, &items[i]) })
		if at < 0 {
			out = append(out, items[i])
			continue
		}
		out[at].First = items[i].First
		out[at].Count++
	}
	return out
}

func sameSeries(a, b *ledgerapi.AccountItem) bool {
	sameSession := (a.Emergency == nil) == (b.Emergency == nil) && (a.Emergency == nil || a.Emergency.Session == b.Emergency.Session)
	return sameSession && a.Sealed == nil && b.Sealed == nil && a.Org == b.Org && a.Reader == b.Reader && a.Hospital == b.Hospital &&
		a.Purpose == b.Purpose && a.Class == b.Class && a.Restricted == b.Restricted && slices.Equal(a.Classes, b.Classes)
}

func versionOfSuspension(s *emr.Suspension) int { return s.V }
