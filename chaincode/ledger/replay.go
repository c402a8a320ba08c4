// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"slices"
	"time"

	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// replaySkew is how far apart the times of two transactions may lie that were
// committed in the other order: their gateways choose them.
const replaySkew = ledgerapi.ReplaySkewMinutes * time.Minute

// ReplayDecision puts together again what a disclosure was decided from, as it was
// then, checks it against the digest that was committed with the decision and
// against the documents' own history, and decides anew by the same function.
func ReplayDecision(r Reader, q ledgerapi.DisclosureQuery) (*ledgerapi.ReplayView, error) {
	if _, err := requireGateway(r); err != nil {
		return nil, err
	}
	d, err := GetDisclosure(r, q)
	if err != nil {
		return nil, err
	}
	if d.Inputs.IsZero() {
		return &ledgerapi.ReplayView{Disclosure: *d, Verdict: emr.ReplayImpossible, Fault: emr.FaultNoInputs}, nil
	}
	p := &replay{r: r, d: d, in: &ledgerapi.DecisionInputs{V: emr.DocumentVersion, At: d.At, Purpose: d.Purpose}}
	for _, part := range p.parts() {
		if err := part(); err != nil {
			return nil, err
		}
		if p.missing != "" {
			return &ledgerapi.ReplayView{Disclosure: *d, Verdict: emr.ReplayImpossible, Fault: emr.FaultMissing, About: p.missing}, nil
		}
	}
	return p.judge()
}

// replay is one decision on its way to be made again.
type replay struct {
	r  Reader
	d  *emr.Disclosure
	in *ledgerapi.DecisionInputs
	// missing is what is not there, history what was in another state than the disclosure says.
	missing, history string
	hybrid           []byte // the reader's key of then, and the certificate's serial number
	serial           string
}

// parts are the steps that put the inputs together, in their order.
func (p *replay) parts() []func() error {
	if p.d.Is(emr.AccountIndividual) {
		p.in.Own, p.in.Reader.ID = true, p.d.Reader
		return []func() error{p.record}
	}
	p.in.Onward, p.in.SignOff = p.d.Onward, p.d.SignOff
	if p.in.Emergency = p.d.Session != ""; p.in.Emergency {
		return []func() error{p.record, p.reader, p.status, p.consent, p.signOff, p.session, p.plan}
	}
	return []func() error{p.record, p.reader, p.status, p.consent, p.signOff, p.grant, p.use}
}

// judge compares digest, decision and history, in this order.
func (p *replay) judge() (*ledgerapi.ReplayView, error) {
	digest, err := p.in.Digest()
	if err != nil {
		return nil, err
	}
	v := decideInputs(p.in)
	view := &ledgerapi.ReplayView{
		Disclosure: *p.d, Verdict: emr.ReplayDiverged, Inputs: p.in, Decision: v.decision, Reason: v.reason,
	}
	switch {
	case digest != p.d.Inputs:
		view.Fault = emr.FaultInputs
	case v.decision != p.d.Decision || v.reason != p.d.Reason:
		view.Fault = emr.FaultDecision
	case p.history != "":
		view.Fault, view.About = emr.FaultHistory, p.history
	default:
		view.Verdict = emr.ReplaySame
	}
	return view, nil
}

// lack notes what is not there; contradict what a document's history speaks against.
func (p *replay) lack(what string) { p.missing = what }

func (p *replay) contradict(what string, contradicts bool) {
	if contradicts && p.history == "" {
		p.history = what
	}
}

// before tells that something is too old, and after that it is too new, to be seen
// otherwise than it is by a transaction of the disclosure's time. Zero is never.
func (p *replay) before(at emr.Time) bool { return at != 0 && at.Add(replaySkew) < p.d.At }
func (p *replay) after(at emr.Time) bool  { return at.Add(-replaySkew) > p.d.At }

func (p *replay) record() error {
	record, err := find(p.r, ledgerapi.RecordKey(p.d.Record), versionOfRecord)
	if err != nil || record == nil {
		p.lack("record")
		return err
	}
	p.in.Record = recordInputs(record)
	p.in.Record.Status = p.d.From.Record
	p.contradict("record", p.after(record.Registered))
	return p.ending()
}

// ending holds the status in which the version was found against the order that
// ended it, if any: a version does not come back.
func (p *replay) ending() error {
	record, err := recordOf(p.r, p.d.Record)
	if err != nil {
		return err
	}
	claimed := p.d.From.Record
	p.contradict("record", claimed != emr.RecordLive && record.Status != claimed && record.Status != emr.RecordErased)
	if record.Order == "" {
		return nil
	}
	order, err := require(p.r, ledgerapi.ErasureKey(record.Order), versionOfErasure)
	if err != nil {
		return err
	}
	p.contradict("record", claimed == emr.RecordLive && p.before(order.Ordered) || claimed == record.Status && p.after(order.Ordered))
	return nil
}

func (p *replay) reader() error {
	clinician, err := clinicianOf(p.r, emr.ClinicianID(p.d.Reader), p.d.From.Reader)
	if emr.CodeOf(err) == emr.CodeNotFound {
		p.lack("reader")
		return nil
	}
	if err != nil {
		return err
	}
	p.in.Reader = ledgerapi.DecisionReader{
		ID: p.d.Reader, Org: clinician.Org, Role: clinician.Role, Level: clinician.Level, Status: p.d.From.Status, Key: clinician.Reading,
	}
	p.hybrid, p.serial = clinician.Hybrid, clinician.Serial
	p.contradict("reader", p.after(clinician.KeysFrom))
	next, err := find(p.r, ledgerapi.ClinicianKeysKey(clinician.ID, clinician.KeyVersion+1), versionOfClinician)
	if err == nil && next == nil {
		next, err = requireClinician(p.r, clinician.ID)
	}
	if err == nil && next != nil && next.KeyVersion > clinician.KeyVersion {
		p.contradict("reader", p.before(next.KeysFrom))
	}
	return err
}

// status checks the reader's status against what an administrator has set, which
// stands in the clinician's log, newest first.
func (p *replay) status() error {
	current, err := requireClinician(p.r, emr.ClinicianID(p.d.Reader))
	if err != nil {
		return err
	}
	if p.d.From.Status == emr.ClinicianRevoked { // by a list that has no time; an administrator's word comes before it
		revoked, err := isRevoked(p.r, p.d.Org, p.serial)
		p.contradict("reader", !revoked)
		return err
	}
	if current.StatusFrom == 0 {
		p.contradict("reader", p.d.From.Status != emr.ClinicianActive)
		return nil
	}
	could, settled := false, false
	bookmark := ""
	for !settled {
		log, err := trail(p.r, entriesOf(ledgerapi.TypeAuditByClinician, p.d.Reader, ledgerapi.MaxPageSize, bookmark))
		if err != nil {
			return err
		}
		for i := range log.Items {
			entry := &log.Items[i]
			if entry.Kind != emr.AuditStatus || p.after(entry.At) {
				continue
			}
			could = could || statusSet(entry) == p.d.From.Status
			if settled = p.before(entry.At); settled {
				break
			}
		}
		if bookmark = log.Bookmark; bookmark == "" {
			break
		}
	}
	if !settled { // nothing was set before: active
		could = could || p.d.From.Status == emr.ClinicianActive
	}
	p.contradict("reader", !could)
	return nil
}

// statusSet returns the status that an entry tells of.
func statusSet(entry *emr.AuditEntry) emr.ClinicianStatus {
	for _, status := range []emr.ClinicianStatus{emr.ClinicianSuspended, emr.ClinicianOffboarded} {
		if entry.Reason == status.Denial() {
			return status
		}
	}
	return emr.ClinicianActive
}

func (p *replay) consent() error {
	patient := p.in.Record.Patient
	if p.d.Consent != 0 {
		found, err := find(p.r, ledgerapi.ConsentVersionKey(patient, p.d.Consent), versionOfConsent)
		if err != nil || found == nil {
			p.lack("consent")
			return err
		}
		p.in.Consent = found
		p.contradict("consent", p.after(found.At))
	}
	next, err := find(p.r, ledgerapi.ConsentVersionKey(patient, p.d.Consent+1), versionOfConsent)
	if err == nil && next != nil {
		p.contradict("consent", p.before(next.At))
	}
	return err
}

func (p *replay) grant() error {
	if p.d.Grant == "" {
		return nil
	}
	found, err := namedGrant(p.r, p.d.Grant)
	if err != nil {
		return err
	}
	claimed := p.d.From.Grant
	if claimed == emr.Absent {
		p.contradict("grant", found != nil && p.before(found.Given))
		return nil
	}
	if found == nil {
		p.lack("grant")
		return nil
	}
	if claimed == "" {
		claimed = emr.GrantLive
	}
	p.in.Grant = &ledgerapi.DecisionGrant{Terms: found.Terms, Status: claimed, Limits: p.d.From.Limits, Ready: p.d.From.Ready}
	if found.Terms.Direct {
		p.in.Reader.Hybrid = p.hybrid
	}
	p.contradict("grant", p.after(found.Given) || !p.grantCould(found, claimed) || !p.limitsCould(found.Limits))
	return nil
}

// grantCould tells whether a grant could be in a state at the disclosure's time.
func (p *replay) grantCould(grant *emr.Grant, claimed emr.GrantStatus) bool {
	switch claimed {
	case emr.GrantLive:
		return !p.before(grant.Revoked) && !p.after(grant.Confirmed)
	case emr.GrantWaiting:
		return !p.before(grant.Revoked) && !p.before(grant.Confirmed)
	default:
		return grant.Status == claimed && !p.after(grant.Revoked)
	}
}

// limitsCould tells whether the limits that the disclosure names could be those of
// the grant then: a narrowing that was made long before cannot be another one.
func (p *replay) limitsCould(found *emr.Limits) bool {
	claimed := p.d.From.Limits
	if claimed != nil && (found == nil || p.after(claimed.At)) {
		return false
	}
	if found == nil || !p.before(found.At) {
		return true
	}
	return claimed != nil && claimed.Action == found.Action
}

// signOff holds the state of the record's sign-off against its own dates.
func (p *replay) signOff() error {
	found, err := signOffOf(p.r, p.d.Record)
	if err != nil {
		return err
	}
	ended := p.d.SignOff == emr.SignOffSigned || p.d.SignOff == emr.SignOffRefused
	switch {
	case found == nil:
		p.contradict("sign-off", p.d.SignOff != "")
	case ended:
		p.contradict("sign-off", found.Status != p.d.SignOff || p.after(found.Ended))
	case p.d.SignOff == "":
		p.contradict("sign-off", p.before(found.Opened))
	default:
		p.contradict("sign-off", p.before(found.Ended))
	}
	return nil
}

// use finds which use of a limited grant the disclosure has taken, if any. One that
// was refused for want of a use must find all of them taken.
func (p *replay) use() error {
	if !counted(p.in) {
		return nil
	}
	taken := uint32(0)
	for n := range usesOf(p.in) {
		by, err := p.r.Get(ledgerapi.GrantUseKey(p.d.Grant, n))
		if err != nil {
			return err
		}
		if by == nil {
			break
		}
		taken++
		if string(by) == string(p.d.ID) {
			p.in.UseLeft = true
		}
	}
	p.contradict("use", p.d.Reason == emr.ReasonExhausted && taken < usesOf(p.in))
	return nil
}

func (p *replay) session() error {
	found, err := find(p.r, ledgerapi.EmergencyKey(p.d.Session), versionOfEmergency)
	if err != nil {
		return err
	}
	claimed := p.d.From.Session
	if claimed == emr.Absent {
		p.contradict("session", found != nil && p.before(found.Opened))
		return nil
	}
	if found == nil {
		p.lack("session")
		return nil
	}
	if claimed == "" {
		claimed = emr.EmergencyOpen
	}
	p.in.Session = &ledgerapi.DecisionSession{
		By: found.By, Org: found.Org, Patient: found.Patient, Purpose: found.Purpose, Status: claimed, Until: found.Until,
	}
	p.contradict("session", p.after(found.Opened) || !p.couldBe(found, claimed))
	return nil
}

// couldBe tells whether a session could be in a state at the disclosure's time.
func (p *replay) couldBe(session *emr.Emergency, claimed emr.EmergencyStatus) bool {
	switch claimed {
	case emr.EmergencyDenied:
		return session.Status == emr.EmergencyDenied
	case emr.EmergencyWaiting:
		return session.Status != emr.EmergencyDenied && !p.before(session.Confirmed) && !p.before(session.Closed)
	case emr.EmergencyClosed:
		return session.Closed != 0 && !p.after(session.Closed)
	case emr.EmergencyOpen:
		return !slices.Contains([]emr.EmergencyStatus{emr.EmergencyDenied, emr.EmergencyWaiting}, session.Status) &&
			!p.before(session.Closed) && !p.after(session.Confirmed)
	default:
		return false
	}
}

func (p *replay) plan() error {
	patient, version := p.in.Record.Patient, p.d.From.Plan
	if version != 0 {
		found, err := find(p.r, ledgerapi.EmergencyPlanVersionKey(patient, version), versionOfPlan)
		if err == nil && found == nil { // set before versions were kept
			found, err = planOf(p.r, patient)
		}
		if err != nil {
			return err
		}
		if found == nil || found.Version != version {
			p.lack("plan")
			return nil
		}
		p.in.Plan = &ledgerapi.DecisionPlan{DeclineAll: found.DeclineAll, Declined: found.Declined}
		p.contradict("plan", p.after(found.Updated))
	}
	next, err := find(p.r, ledgerapi.EmergencyPlanVersionKey(patient, version+1), versionOfPlan)
	if err == nil && next != nil {
		p.contradict("plan", p.before(next.Updated))
	}
	return err
}
