// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledger_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/chaincode/ledger"
	"github.com/emrys-health/emrys/chaincode/ledger/ledgertest"
	"github.com/emrys-health/emrys/pkg/consent"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

func (s *scene) replay(t testing.TB, id emr.DisclosureID) *ledgerapi.ReplayView {
	t.Helper()
	view, err := ledger.ReplayDecision(s.Query(s.Orgs[ledgertest.Regulator]), ledgerapi.DisclosureQuery{Disclosure: id})
	require.NoError(t, err)
	return view
}

// player takes a scene through random readings and everything that they are decided from.
type player struct {
	*scene
	dice     *rand.Rand
	readers  []*ledgertest.Clinician
	records  []*emr.Manifest
	grants   []emr.GrantID
	sessions []playedSession
	made     []emr.DisclosureID
	reasons  map[emr.Reason]int
	plan     uint32 // version of the emergency plan
}

// playedSession is an emergency session and who opened it.
type playedSession struct {
	id emr.SessionID
	by *ledgertest.Clinician
}

func pick[T any](p *player, of []T) T { return of[p.dice.IntN(len(of))] }

// discloseSome reads some record on some ground, or on one that does not exist.
func (p *player) discloseSome(t testing.TB) {
	args := p.read("")
	args.Record = pick(p, p.records).Record
	args.Purpose = pick(p, emr.Purposes())
	if p.dice.IntN(6) == 0 {
		args.Onward = pick(p, []emr.Onward{emr.OnwardExport, emr.OnwardOnBehalf})
	}
	by := ledgertest.Member(pick(p, p.readers))
	switch p.dice.IntN(12) {
	case 0:
		by, args.Onward = p.patient, ""
		args.Purpose = pick(p, []emr.Purpose{emr.PurposePatient, emr.PurposePatient, emr.PurposeTreatment})
	case 1:
		args.Grant = ledgertest.ID[emr.GrantID](emr.GrantPrefix)
	case 2:
		args.Session = ledgertest.ID[emr.SessionID](emr.SessionPrefix)
	case 3, 4, 5:
		session := p.sessions[max(0, len(p.sessions)-1-p.dice.IntN(4))]
		args.Session, args.Purpose = session.id, p.glass().Purpose
		if p.dice.IntN(5) > 0 {
			by = session.by
		}
	case 6: // on nothing
	default:
		args.Grant, args.Purpose = p.grants[max(0, len(p.grants)-1-p.dice.IntN(6))], emr.PurposeTreatment
	}
	receipt := p.disclose(t, by, args)
	p.made = append(p.made, args.Disclosure)
	p.reasons[receipt.Reason]++
}

// change changes something that readings are decided from. A refusal is as good as a success.
func (p *player) change(t testing.TB) {
	reader := pick(p, p.readers)
	try := func(by ledgertest.Member, function string, args any) bool {
		_, err := p.Try(t, by, function, args)
		return err == nil
	}
	status := func(rule func(ledger.State, ledgerapi.ClinicianStatusArgs) (*ledgerapi.Receipt, error)) {
		tx := p.Begin(p.Facts(reader.Org.Admin))
		if _, err := rule(tx, ledgerapi.ClinicianStatusArgs{Clinician: reader.ID}); err == nil {
			require.NoError(t, tx.Commit())
		}
	}
	switch p.dice.IntN(20) {
	case 0, 1, 2, 3, 16, 17, 18:
		args := p.Grant(p.scope, reader)
		args.Terms.Reader = p.keyOf(t, reader)
		if p.dice.IntN(2) == 0 {
			args.Terms.Records = []emr.RecordID{pick(p, p.records).Record}
		}
		args.Terms.MaxUses = uint32(p.dice.IntN(4))
		args.Terms.NotBefore = p.Now.Add(time.Duration(p.dice.IntN(60)) * time.Minute)
		args.Terms.Until = args.Terms.NotBefore.Add(time.Duration(1+p.dice.IntN(300)) * time.Minute)
		if try(p.patient, ledgerapi.GrantAccess, args) {
			p.grants = append(p.grants, args.Terms.Grant)
		}
	case 4:
		try(p.patient, ledgerapi.RevokeAccess, ledgerapi.RevokeAccessArgs{Patient: p.patient.Handle, Grant: pick(p, p.grants)})
	case 5, 6:
		base := pick(p, []emr.Decision{emr.Ask, emr.Ask, emr.Permit})
		try(p.patient, ledgerapi.PutConsent, p.consentArgs(t, document(base, exclude(person(reader.ID)))))
	case 7:
		try(p.patient, ledgerapi.WithdrawConsent, ledgerapi.WithdrawConsentArgs{Patient: p.patient.Handle})
	case 8:
		status(ledger.SuspendClinician)
	case 9, 14, 15:
		status(ledger.ReinstateClinician)
	case 10:
		declined := []emr.ScopeID{}
		if p.dice.IntN(2) == 0 {
			declined = append(declined, p.scope.ID)
		}
		if try(p.patient, ledgerapi.SetEmergencyPlan, ledgerapi.SetEmergencyPlanArgs{Patient: p.patient.Handle, Version: p.plan, Declined: declined}) {
			p.plan++
		}
	case 11:
		args := p.glass()
		by := p.Clinician(t, ledgertest.HospitalB, emr.RolePhysician, emr.LevelPrivate)
		if try(by, ledgerapi.OpenEmergency, args) {
			p.sessions = append(p.sessions, playedSession{args.Session, by})
		}
	case 12:
		try(p.patient, ledgerapi.CloseEmergency, ledgerapi.EmergencyArgs{Session: p.sessions[len(p.sessions)-1].id})
	case 19: // a narrowing, whatever is left
		id := p.grants[max(0, len(p.grants)-1-p.dice.IntN(6))]
		terms := p.getGrant(t, id).Effective()
		until := terms.NotBefore.Add(time.Duration(1+p.dice.IntN(60)) * time.Minute)
		try(p.patient, ledgerapi.NarrowGrant, ledgerapi.NarrowGrantArgs{
			Patient: p.patient.Handle, Grant: id, Records: terms.Records, Purposes: terms.Purposes, Until: min(terms.Until, until),
			MaxUses: terms.MaxUses, NoOnward: true, SignedOff: terms.SignedOff,
		})
	default:
		fresh := *reader
		fresh.Reading = ledgertest.NewKey(t)
		args := ledgerapi.RotateClinicianKeysArgs{
			Clinician: reader.ID, Version: p.entry(t, reader).KeyVersion, Reading: fresh.Reading.Public().Bytes(), Hybrid: reader.Hybrid.Public().Bytes(),
		}
		try(reader, ledgerapi.RotateClinicianKeys, args)
	}
	p.Wait(time.Duration(p.dice.IntN(900)) * time.Second)
}

func (p *player) entry(t testing.TB, reader *ledgertest.Clinician) *emr.Clinician {
	t.Helper()
	entry, err := ledger.GetClinician(p.Query(p.Orgs[ledgertest.HospitalA]), ledgerapi.ClinicianQuery{Clinician: reader.ID})
	require.NoError(t, err)
	return entry
}

func (p *player) keyOf(t testing.TB, reader *ledgertest.Clinician) []byte {
	return p.entry(t, reader).Reading
}

func newPlayer(t testing.TB, seed uint64) *player {
	t.Helper()
	s := newScene(t)
	s.Check = nil
	p := &player{
		scene: s, dice: rand.New(rand.NewPCG(seed, 1)), reasons: map[emr.Reason]int{}, //nolint:gosec // repeatable
		readers: []*ledgertest.Clinician{s.reader, s.author, s.Clinician(t, ledgertest.HospitalC, emr.RoleNurse, emr.LevelLow)},
		records: []*emr.Manifest{s.record, s.Record(t, s.author, s.scope, emr.ClassPrescription)},
	}
	p.grants = append(p.grants, s.give(t).Terms.Grant)
	p.sessions = append(p.sessions, playedSession{s.broken(t), s.reader})
	return p
}

// TestThousandsOfDecisionsAreTheSameWhenMadeAgain: random readings, on every ground,
// while everything that they are decided from changes around them.
func TestThousandsOfDecisionsAreTheSameWhenMadeAgain(t *testing.T) {
	t.Parallel()
	replayed, reasons := 0, map[emr.Reason]int{}
	for seed := range uint64(6) {
		p := newPlayer(t, seed)
		for range 100 {
			p.change(t)
			for range 5 {
				p.discloseSome(t)
			}
		}
		for _, id := range p.made {
			view := p.replay(t, id)
			require.Equal(t, emr.ReplaySame, view.Verdict, "%s %s: %+v", view.Fault, view.About, view.Disclosure)
			require.Equal(t, []any{view.Disclosure.Decision, view.Disclosure.Reason}, []any{view.Decision, view.Reason})
			replayed++
		}
		for reason, n := range p.reasons {
			reasons[reason] += n
		}
	}
	require.GreaterOrEqual(t, replayed, 3000)
	for _, reason := range []emr.Reason{
		emr.ReasonGrant, emr.ReasonOwner, emr.ReasonEmergency, emr.ReasonNoGrant, emr.ReasonNoSession, emr.ReasonPurpose, emr.ReasonNotGrantee,
		emr.ReasonNotCovered, emr.ReasonRevoked, emr.ReasonExpired, emr.ReasonNotYet, emr.ReasonExhausted, emr.ReasonSuspended, emr.ReasonConsentDenies,
		emr.ReasonConsentWithdrawn, emr.ReasonDeclined, emr.ReasonSessionClosed, emr.ReasonReaderKey, emr.ReasonLevel, emr.ReasonNotSession,
	} {
		require.NotZero(t, reasons[reason], "%s: %v", reason, reasons)
	}
}

// altered reads a stored document, changes it, and stores it beside every rule.
func altered[T any](t *testing.T, s *scene, key ledgerapi.Key, change func(*T)) {
	t.Helper()
	value, err := s.Query(s.Orgs[ledgertest.HospitalA]).Get(key)
	require.NoError(t, err)
	require.NotNil(t, value, key.Type)
	document := new(T)
	require.NoError(t, emr.Decode(value, document))
	change(document)
	b, err := emr.Canonical(document)
	require.NoError(t, err)
	s.Overwrite(key, b)
}

// decided is a scene in which a reading under a limited grant, with a consent, and
// one in an emergency, with a plan, were permitted a day ago.
func decided(t *testing.T) (s *scene, granted, emergency ledgerapi.DiscloseArgs) {
	t.Helper()
	s = newScene(t)
	s.put(t, consent.Document{Base: emr.Ask})
	grant := s.Grant(s.scope, s.reader, s.record.Record)
	grant.Terms.MaxUses = 1
	s.Do(t, s.patient, ledgerapi.GrantAccess, grant)
	s.Do(t, s.patient, ledgerapi.SetEmergencyPlan, ledgerapi.SetEmergencyPlanArgs{Patient: s.patient.Handle, Declined: []emr.ScopeID{}})
	granted, emergency = s.read(grant.Terms.Grant), s.under(s.broken(t))
	s.disclose(t, s.reader, granted)
	s.disclose(t, s.reader, emergency)
	require.Equal(t, emr.ReplaySame, s.replay(t, granted.Disclosure).Verdict)
	require.Equal(t, emr.ReplaySame, s.replay(t, emergency.Disclosure).Verdict)
	s.Wait(24 * time.Hour)
	return s, granted, emergency
}

// TestAChangedInputIsFound alters each thing that a reading was decided from.
func TestAChangedInputIsFound(t *testing.T) {
	t.Parallel()
	type fault struct {
		fault emr.ReplayFault
		about string
	}
	for name, c := range map[string]struct {
		emergency bool
		change    func(t *testing.T, s *scene, d ledgerapi.DiscloseArgs)
		want      fault
	}{
		"the consent": {false, func(t *testing.T, s *scene, _ ledgerapi.DiscloseArgs) {
			altered(t, s, ledgerapi.ConsentVersionKey(s.patient.Handle, 1), func(c *consent.Consent) { c.Document.Base = emr.Permit })
		}, fault{emr.FaultInputs, ""}},
		"who signed the consent": {false, func(t *testing.T, s *scene, _ ledgerapi.DiscloseArgs) {
			altered(t, s, ledgerapi.ConsentVersionKey(s.patient.Handle, 1), func(c *consent.Consent) { c.By = string(s.reader.ID) })
		}, fault{emr.FaultInputs, ""}},
		"the grant's terms": {false, func(t *testing.T, s *scene, d ledgerapi.DiscloseArgs) {
			altered(t, s, ledgerapi.GrantKey(d.Grant), func(g *emr.Grant) { g.Terms.Until++ })
		}, fault{emr.FaultInputs, ""}},
		"the reader's level": {false, func(t *testing.T, s *scene, _ ledgerapi.DiscloseArgs) {
			altered(t, s, ledgerapi.ClinicianKey(s.reader.ID), func(c *emr.Clinician) { c.Level = emr.LevelLow })
		}, fault{emr.FaultInputs, ""}},
		"the reader's role": {true, func(t *testing.T, s *scene, _ ledgerapi.DiscloseArgs) {
			altered(t, s, ledgerapi.ClinicianKey(s.reader.ID), func(c *emr.Clinician) { c.Role = emr.RoleNurse })
		}, fault{emr.FaultInputs, ""}},
		"the record's level": {true, func(t *testing.T, s *scene, _ ledgerapi.DiscloseArgs) {
			altered(t, s, ledgerapi.RecordKey(s.record.Record), func(r *emr.Record) { r.Level = emr.LevelLow })
		}, fault{emr.FaultInputs, ""}},
		"the record's label": {false, func(t *testing.T, s *scene, _ ledgerapi.DiscloseArgs) {
			altered(t, s, ledgerapi.RecordKey(s.record.Record), func(r *emr.Record) { r.Restricted = true })
		}, fault{emr.FaultInputs, ""}},
		"whose use it was": {false, func(_ *testing.T, s *scene, d ledgerapi.DiscloseArgs) {
			s.Overwrite(ledgerapi.GrantUseKey(d.Grant, 0), []byte(ledgertest.ID[emr.DisclosureID](emr.DisclosurePrefix)))
		}, fault{emr.FaultInputs, ""}},
		"the session": {true, func(t *testing.T, s *scene, d ledgerapi.DiscloseArgs) {
			altered(t, s, ledgerapi.EmergencyKey(d.Session), func(e *emr.Emergency) { e.Until++ })
		}, fault{emr.FaultInputs, ""}},
		"the plan": {true, func(t *testing.T, s *scene, _ ledgerapi.DiscloseArgs) {
			altered(t, s, ledgerapi.EmergencyPlanVersionKey(s.patient.Handle, 1), func(p *emr.EmergencyPlan) { p.DeclineAll = true })
		}, fault{emr.FaultInputs, ""}},
		"the time of the reading": {false, func(t *testing.T, s *scene, d ledgerapi.DiscloseArgs) {
			altered(t, s, ledgerapi.DisclosureKey(d.Disclosure), func(d *emr.Disclosure) { d.At++ })
		}, fault{emr.FaultInputs, ""}},
		"the decision": {false, func(t *testing.T, s *scene, d ledgerapi.DiscloseArgs) {
			altered(t, s, ledgerapi.DisclosureKey(d.Disclosure), func(d *emr.Disclosure) { d.Decision, d.Reason = emr.Deny, emr.ReasonNoGrant })
		}, fault{emr.FaultDecision, ""}},
		"the reason": {false, func(t *testing.T, s *scene, d ledgerapi.DiscloseArgs) {
			altered(t, s, ledgerapi.DisclosureKey(d.Disclosure), func(d *emr.Disclosure) { d.Reason = emr.ReasonOwner })
		}, fault{emr.FaultDecision, ""}},
		"a revocation dated back": {false, func(t *testing.T, s *scene, d ledgerapi.DiscloseArgs) {
			altered(t, s, ledgerapi.GrantKey(d.Grant), func(g *emr.Grant) { g.Status, g.Revoked = emr.GrantRevoked, s.Now.Add(-25*time.Hour) })
		}, fault{emr.FaultHistory, "grant"}},
		"limits that nobody set": {false, func(t *testing.T, s *scene, d ledgerapi.DiscloseArgs) {
			altered(t, s, ledgerapi.DisclosureKey(d.Disclosure), func(d *emr.Disclosure) { d.From.Limits = &emr.Limits{} })
		}, fault{emr.FaultInputs, ""}},
		"a narrowing dated back": {false, func(t *testing.T, s *scene, d ledgerapi.DiscloseArgs) {
			altered(t, s, ledgerapi.GrantKey(d.Grant), func(g *emr.Grant) { g.Limits = &emr.Limits{At: s.Now.Add(-25 * time.Hour), Action: emr.Digest{1}} })
		}, fault{emr.FaultHistory, "grant"}},
		"a confirmation dated forward": {false, func(t *testing.T, s *scene, d ledgerapi.DiscloseArgs) {
			altered(t, s, ledgerapi.GrantKey(d.Grant), func(g *emr.Grant) { g.Confirmed = s.Now })
		}, fault{emr.FaultHistory, "grant"}},
		"a sign-off that was not there": {false, func(t *testing.T, s *scene, d ledgerapi.DiscloseArgs) {
			altered(t, s, ledgerapi.DisclosureKey(d.Disclosure), func(d *emr.Disclosure) { d.SignOff = emr.SignOffSigned })
		}, fault{emr.FaultInputs, ""}},
		"a grant dated forward": {false, func(t *testing.T, s *scene, d ledgerapi.DiscloseArgs) {
			altered(t, s, ledgerapi.GrantKey(d.Grant), func(g *emr.Grant) { g.Given = s.Now })
		}, fault{emr.FaultHistory, "grant"}},
		"a later consent dated back": {false, func(t *testing.T, s *scene, _ ledgerapi.DiscloseArgs) {
			s.put(t, consent.Document{Base: emr.Deny})
			altered(t, s, ledgerapi.ConsentVersionKey(s.patient.Handle, 2), func(c *consent.Consent) { c.At = s.Now.Add(-25 * time.Hour) })
		}, fault{emr.FaultHistory, "consent"}},
		"a session closed before": {true, func(t *testing.T, s *scene, d ledgerapi.DiscloseArgs) {
			altered(t, s, ledgerapi.EmergencyKey(d.Session), func(e *emr.Emergency) { e.Status, e.Closed = emr.EmergencyClosed, s.Now.Add(-25*time.Hour) })
		}, fault{emr.FaultHistory, "session"}},
		"a session that was denied": {true, func(t *testing.T, s *scene, d ledgerapi.DiscloseArgs) {
			altered(t, s, ledgerapi.EmergencyKey(d.Session), func(e *emr.Emergency) { e.Status = emr.EmergencyDenied })
		}, fault{emr.FaultHistory, "session"}},
		"a later plan dated back": {true, func(t *testing.T, s *scene, _ ledgerapi.DiscloseArgs) {
			s.Do(t, s.patient, ledgerapi.SetEmergencyPlan, ledgerapi.SetEmergencyPlanArgs{Patient: s.patient.Handle, Version: 1, Declined: []emr.ScopeID{}, DeclineAll: true})
			altered(t, s, ledgerapi.EmergencyPlanVersionKey(s.patient.Handle, 2), func(p *emr.EmergencyPlan) { p.Updated = s.Now.Add(-25 * time.Hour) })
		}, fault{emr.FaultHistory, "plan"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, granted, emergency := decided(t)
			d := granted
			if c.emergency {
				d = emergency
			}
			c.change(t, s, d)
			view := s.replay(t, d.Disclosure)
			require.Equal(t, emr.ReplayDiverged, view.Verdict)
			require.Equal(t, c.want, fault{view.Fault, view.About})
		})
	}
}

// TestWhatChangesLaterChangesNothing: every change that comes by a transaction leaves the replay as it was.
func TestWhatChangesLaterChangesNothing(t *testing.T) {
	t.Parallel()
	s, granted, emergency := decided(t)
	s.Do(t, s.patient, ledgerapi.RevokeAccess, ledgerapi.RevokeAccessArgs{Patient: s.patient.Handle, Grant: granted.Grant})
	s.withdraw(t)
	s.Do(t, s.patient, ledgerapi.SetEmergencyPlan, ledgerapi.SetEmergencyPlanArgs{Patient: s.patient.Handle, Version: 1, Declined: []emr.ScopeID{}, DeclineAll: true})
	for range 3 {
		s.order(t, ledger.SuspendClinician, s.reader)
		s.Wait(time.Hour)
		suspended := s.read(granted.Grant)
		require.Equal(t, emr.ReasonSuspended, s.disclose(t, s.reader, suspended).Reason)
		s.order(t, ledger.ReinstateClinician, s.reader)
		s.Wait(time.Hour)
		require.Equal(t, emr.ReplaySame, s.replay(t, suspended.Disclosure).Verdict)
	}
	s.order(t, ledger.OffboardClinician, s.reader)
	for _, d := range []ledgerapi.DiscloseArgs{granted, emergency} {
		require.Equal(t, emr.ReplaySame, s.replay(t, d.Disclosure).Verdict)
	}
	altered(t, s, ledgerapi.DisclosureKey(granted.Disclosure), func(d *emr.Disclosure) {
		d.From.Status, d.Decision, d.Reason = emr.ClinicianSuspended, emr.Deny, emr.ReasonSuspended
	})
	require.Equal(t, emr.FaultInputs, s.replay(t, granted.Disclosure).Fault, "a status that the digest does not know")
}

// TestAStatusThatNobodySetIsFound: digest and decision agree, and the administrators' log speaks against both.
func TestAStatusThatNobodySetIsFound(t *testing.T) {
	t.Parallel()
	s, granted, _ := decided(t)
	forge := func(status emr.ClinicianStatus, reason emr.Reason) {
		in := s.replay(t, granted.Disclosure).Inputs
		in.Reader.Status, in.UseLeft = status, false
		digest, err := in.Digest()
		require.NoError(t, err)
		altered(t, s, ledgerapi.DisclosureKey(granted.Disclosure), func(d *emr.Disclosure) {
			d.From.Status, d.Decision, d.Reason, d.Inputs = status, emr.Deny, reason, digest
		})
		s.Overwrite(ledgerapi.GrantUseKey(granted.Grant, 0), []byte(ledgertest.ID[emr.DisclosureID](emr.DisclosurePrefix)))
	}
	forge(emr.ClinicianSuspended, emr.ReasonSuspended)
	view := s.replay(t, granted.Disclosure)
	require.Equal(t, []any{emr.ReplayDiverged, emr.FaultHistory, "reader"}, []any{view.Verdict, view.Fault, view.About}, "never suspended")
	s.order(t, ledger.SuspendClinician, s.reader)
	view = s.replay(t, granted.Disclosure)
	require.Equal(t, []any{emr.FaultHistory, "reader"}, []any{view.Fault, view.About}, "suspended a day later")
}

func TestWhatIsMissingIsTold(t *testing.T) {
	t.Parallel()
	for about, c := range map[string]struct {
		emergency bool
		key       func(s *scene, d ledgerapi.DiscloseArgs) ledgerapi.Key
	}{
		"record": {false, func(s *scene, _ ledgerapi.DiscloseArgs) ledgerapi.Key { return ledgerapi.RecordKey(s.record.Record) }},
		"reader": {false, func(s *scene, _ ledgerapi.DiscloseArgs) ledgerapi.Key { return ledgerapi.ClinicianKey(s.reader.ID) }},
		"consent": {false, func(s *scene, _ ledgerapi.DiscloseArgs) ledgerapi.Key {
			return ledgerapi.ConsentVersionKey(s.patient.Handle, 1)
		}},
		"grant":   {false, func(_ *scene, d ledgerapi.DiscloseArgs) ledgerapi.Key { return ledgerapi.GrantKey(d.Grant) }},
		"session": {true, func(_ *scene, d ledgerapi.DiscloseArgs) ledgerapi.Key { return ledgerapi.EmergencyKey(d.Session) }},
	} {
		s, granted, emergency := decided(t)
		d := granted
		if c.emergency {
			d = emergency
		}
		s.Overwrite(c.key(s, d), nil)
		view := s.replay(t, d.Disclosure)
		require.Equal(t, []any{emr.ReplayImpossible, emr.FaultMissing, about}, []any{view.Verdict, view.Fault, view.About})
		require.Nil(t, view.Inputs)
	}
	s, _, emergency := decided(t)
	s.Overwrite(ledgerapi.EmergencyPlanVersionKey(s.patient.Handle, 1), nil)
	require.Equal(t, emr.ReplaySame, s.replay(t, emergency.Disclosure).Verdict, "the current plan is still that version")
	s.Do(t, s.patient, ledgerapi.SetEmergencyPlan, ledgerapi.SetEmergencyPlanArgs{Patient: s.patient.Handle, Version: 1, Declined: []emr.ScopeID{}})
	require.Equal(t, "plan", s.replay(t, emergency.Disclosure).About)
}

func TestADisclosureOfBeforeCannotBeDecidedAgain(t *testing.T) {
	t.Parallel()
	s, granted, _ := decided(t)
	altered(t, s, ledgerapi.DisclosureKey(granted.Disclosure), func(d *emr.Disclosure) { d.Inputs, d.From = emr.Digest{}, emr.DecidedFrom{} })
	view := s.replay(t, granted.Disclosure)
	require.Equal(t, []any{emr.ReplayImpossible, emr.FaultNoInputs}, []any{view.Verdict, view.Fault})
}

func TestAReplayIsRefused(t *testing.T) {
	t.Parallel()
	s, granted, _ := decided(t)
	_, err := ledger.ReplayDecision(s.View(s.Facts(s.Orgs[ledgertest.Regulator].Admin)), ledgerapi.DisclosureQuery{Disclosure: granted.Disclosure})
	require.Equal(t, emr.CodeForbidden, emr.CodeOf(err))
	via := s.Query(s.Orgs[ledgertest.Regulator])
	_, err = ledger.ReplayDecision(via, ledgerapi.DisclosureQuery{Disclosure: s.read("").Disclosure})
	require.Equal(t, emr.CodeNotFound, emr.CodeOf(err))
	_, err = ledger.ReplayDecision(via, ledgerapi.DisclosureQuery{Disclosure: "x"})
	require.Equal(t, emr.CodeInvalid, emr.CodeOf(err))
}

// TestABatchIsDecidedAgainPartByPart: what a batch took in one transaction is found in each of its parts.
func TestABatchIsDecidedAgainPartByPart(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	grant := s.Grant(s.scope, s.reader, s.record.Record)
	grant.Terms.MaxUses = 2
	s.Do(t, s.patient, ledgerapi.GrantAccess, grant)
	var ids []emr.DisclosureID
	var parts [][]byte
	for range 4 {
		args := s.read(grant.Terms.Grant)
		ids = append(ids, args.Disclosure)
		parts = append(parts, s.part(t, s.reader, args))
	}
	s.batch(t, parts...)
	var reasons []string
	for _, id := range ids {
		view := s.replay(t, id)
		require.Equal(t, emr.ReplaySame, view.Verdict)
		reasons = append(reasons, fmt.Sprint(view.Reason))
	}
	slices.Sort(reasons)
	require.Equal(t, []string{"grant", "grant", "grant-exhausted", "grant-exhausted"}, reasons)
}
