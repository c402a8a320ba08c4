// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledger_test

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/chaincode/ledger"
	"github.com/emrys-health/emrys/chaincode/ledger/ledgertest"
	"github.com/emrys-health/emrys/pkg/consent"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// worldsOfHidden is how many random worlds absent and hidden are compared in.
const worldsOfHidden = 1000

// hidingQueries are the queries that hide what they know from somebody: each is asked for an id, here of the kind that is named.
func hidingQueries(t *testing.T, s *scene) map[string]func(ledger.Reader, string) error {
	t.Helper()
	drop := func(_ any, err error) error { return err }
	return map[string]func(ledger.Reader, string) error{
		ledgerapi.ResolvePatient: func(r ledger.Reader, id string) error {
			return drop(ledger.ResolvePatient(r, ledgerapi.ResolvePatientQuery{Patient: emr.PatientID(id)}))
		},
		ledgerapi.GetManifest: func(r ledger.Reader, id string) error {
			return drop(ledger.GetManifest(r, ledgerapi.RecordQuery{Record: emr.RecordID(id)}))
		},
		ledgerapi.GetRequestAction: func(r ledger.Reader, id string) error {
			return drop(ledger.GetRequestAction(r, ledgerapi.RequestQuery{Request: emr.RequestID(id)}))
		},
		ledgerapi.GetEmergencyAction: func(r ledger.Reader, id string) error {
			return drop(ledger.GetEmergencyAction(r, ledgerapi.EmergencyArgs{Session: emr.SessionID(id)}))
		},
		ledgerapi.GetAmendmentAction: func(r ledger.Reader, id string) error {
			return drop(ledger.GetAmendmentAction(r, ledgerapi.AmendmentQuery{Amendment: emr.AmendmentID(id)}))
		},
		ledgerapi.ProveSealed: func(r ledger.Reader, id string) error {
			return drop(ledger.ProveSealed(r, ledgerapi.SealedQuery{Org: ledgertest.HospitalB, TxID: strings.Repeat("0", 64), Record: emr.RecordID(id)}))
		},
		ledgerapi.ReadLog: func(r ledger.Reader, id string) error {
			return drop(ledger.ReadLog(r, ledgerapi.ReadLogQuery{Inspection: emr.InspectionID(id)}))
		},
		ledgerapi.AccountDisclosures: func(r ledger.Reader, id string) error {
			return drop(ledger.AccountDisclosures(r, ledgerapi.AccountQuery{Patient: emr.Handle(id), Exclude: []emr.AccountingClass{}}))
		},
		ledgerapi.ReplayDecision: func(r ledger.Reader, id string) error {
			return drop(ledger.ReplayDecision(r, ledgerapi.DisclosureQuery{Disclosure: emr.DisclosureID(id)}))
		},
		ledgerapi.ListUnsealed: func(r ledger.Reader, id string) error {
			return drop(ledger.ListUnsealed(r, ledgerapi.UnsealedQuery{Org: emr.OrgID(id), To: s.Now + 1}))
		},
		ledgerapi.GetSignOffAction: func(r ledger.Reader, id string) error {
			return drop(ledger.GetSignOffAction(r, ledgerapi.RecordQuery{Record: emr.RecordID(id)}))
		},
		ledgerapi.CheckIntegrity: func(r ledger.Reader, id string) error {
			return drop(ledger.CheckIntegrity(r, ledgerapi.IntegrityQuery{Record: emr.RecordID(id)}))
		},
		ledgerapi.CheckTicket: func(r ledger.Reader, id string) error {
			signed := s.open(t, s.reader, emr.DisclosureID(id))
			return drop(ledger.CheckTicket(r, ledgerapi.CheckTicketQuery{Signed: *signed}))
		},
	}
}

// openQueries answer every member of the channel: what they tell stands in public state, which every member's peers hold. Who of the people sees
// what of it the gateways decide, and their tests hold absent against hidden there.
func openQueries() []string {
	return []string{
		ledgerapi.GetOrganisations, ledgerapi.GetPatient, ledgerapi.GetClinician, ledgerapi.GetRecord, ledgerapi.SearchRecords, ledgerapi.ListRelationships,
		ledgerapi.ListRequests, ledgerapi.GetRequest, ledgerapi.ListGrants, ledgerapi.GetGrant, ledgerapi.GetDisclosure, ledgerapi.GetAction,
		ledgerapi.AuditByPatient, ledgerapi.AuditByRecord, ledgerapi.GetAuditHead, ledgerapi.GetConstitution, ledgerapi.GetProposal, ledgerapi.ListProposals,
		ledgerapi.GetRelease, ledgerapi.GetConsent, ledgerapi.ListConsents, ledgerapi.PreviewConsent, ledgerapi.ListDelegations, ledgerapi.GetPatientKeys,
		ledgerapi.GetClinicianKeys, ledgerapi.AuditByClinician, ledgerapi.GetGuardians, ledgerapi.GetRecovery, ledgerapi.ListRecoveries,
		ledgerapi.GetEmergency, ledgerapi.ListEmergencies, ledgerapi.GetEmergencyPlan, ledgerapi.GetEmergencyRules, ledgerapi.GetEmergencyDuty,
		ledgerapi.GetAmendment, ledgerapi.ListAmendments, ledgerapi.GetHold, ledgerapi.GetSeal, ledgerapi.ListSeals, ledgerapi.GetInspection,
		ledgerapi.ListRevocations, ledgerapi.GetContract,
		ledgerapi.GetGrantRule, ledgerapi.GetSignOff, ledgerapi.ListSignOffs, ledgerapi.GetInbox,
		ledgerapi.GetErasure, ledgerapi.ListErasures, ledgerapi.ListLeftovers, ledgerapi.IsErased, ledgerapi.WhoHasRead, ledgerapi.GetRetention,
		ledgerapi.GetIntegrity,
	}
}

// wanderer takes a scene through random states and remembers what there is of each kind.
type wanderer struct {
	*scene
	dice    *rand.Rand
	mallory *ledgertest.Patient // to whom all of it is hidden
	ids     map[string][]string
}

func (w *wanderer) add(prefix string, id string) { w.ids[prefix] = append(w.ids[prefix], id) }

func (w *wanderer) some(prefix string) string { return w.ids[prefix][w.dice.IntN(len(w.ids[prefix]))] }

// step does one random thing. A refusal is as good as a success: the world is another one either way.
func (w *wanderer) step(t *testing.T) {
	t.Helper()
	try := func(by ledgertest.Member, function string, args any) bool {
		_, err := w.Try(t, by, function, args)
		require.NotEqual(t, emr.CodeInternal, codeOf(err), "%s: %v", function, err)
		return err == nil
	}
	switch w.dice.IntN(10) {
	case 0:
		args := w.ask(emr.RecordID(w.some(emr.RecordPrefix)))
		if try(w.reader, ledgerapi.RequestAccess, args) {
			w.add(emr.RequestPrefix, string(args.Request))
		}
	case 1:
		args := w.Grant(w.scope, w.reader, w.record.Record)
		args.Terms.MaxUses = uint32(w.dice.IntN(3))
		if try(w.patient, ledgerapi.GrantAccess, args) {
			w.add(emr.GrantPrefix, string(args.Terms.Grant))
		}
	case 2:
		try(w.patient, ledgerapi.RevokeAccess, ledgerapi.RevokeAccessArgs{Patient: w.patient.Handle, Grant: emr.GrantID(w.some(emr.GrantPrefix))})
	case 3:
		args := w.read(emr.GrantID(w.some(emr.GrantPrefix)))
		if try(w.reader, ledgerapi.Disclose, args) {
			w.add(emr.DisclosurePrefix, string(args.Disclosure))
		}
	case 4:
		base := []emr.Decision{emr.Ask, emr.Deny, emr.Permit}[w.dice.IntN(3)]
		try(w.patient, ledgerapi.PutConsent, w.consentArgs(t, consent.Document{Base: base}))
	case 5:
		args := w.glass()
		if try(w.Clinician(t, ledgertest.HospitalB, emr.RoleNurse, emr.LevelLow), ledgerapi.OpenEmergency, args) {
			w.add(emr.SessionPrefix, string(args.Session))
		}
	case 6:
		args := w.askAmendment()
		if try(w.patient, ledgerapi.AskAmendment, args) {
			w.add(emr.AmendmentPrefix, string(args.Amendment))
		}
	case 7:
		m := w.Record(t, w.author, w.scope, emr.ClassMedicalImaging)
		w.add(emr.RecordPrefix, string(m.Record))
		if w.dice.IntN(2) == 0 { // a peer that lacks it
			w.DropPrivate(ledgerapi.ManifestKey(m.Record))
		}
	case 8:
		try(w.patient, ledgerapi.EraseRecord, w.erase(emr.RecordID(w.some(emr.RecordPrefix))))
	default:
		w.Wait(time.Duration(w.dice.IntN(3600)) * time.Second)
	}
}

// strangers are callers from whom private data is hidden, known ids or not.
func (w *wanderer) strangers(t *testing.T) map[string]*ledger.Caller {
	t.Helper()
	a := w.Orgs[ledgertest.HospitalA]
	other := ledgertest.NewOrg(t, "ElsewhereMSP", emr.KindHospital, time.Unix(0, 0), time.Unix(1<<33, 0))
	return map[string]*ledger.Caller{
		"an administrator": a.Admin, "a clinician": {MSP: a.ID, Certificate: w.author.Cert}, "a patient": {MSP: a.ID, Certificate: w.patient.Cert},
		"a gateway of an organisation that is not registered": other.Gateway, "nobody": nil,
	}
}

// TestAbsentAndHiddenAreTheSame compares, in a thousand random worlds, what a caller learns of an id that exists and is hidden from the caller with
// what the same caller learns of an id that nobody has: code, message and size are equal, for every query that takes an id and hides anything,
// and for every transaction that may name another patient's thing.
func TestAbsentAndHiddenAreTheSame(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.Check = nil // one run of each is enough here
	queries := hidingQueries(t, s)
	for _, function := range ledgerapi.Queries() {
		_, hides := queries[function]
		require.True(t, hides != slices.Contains(openQueries(), function), "%s: does it hide anything? Add it to one of the two", function)
	}
	w := &wanderer{scene: s, dice: rand.New(rand.NewPCG(7, 9)), mallory: s.Patient(t, ledgertest.HospitalB), ids: map[string][]string{}} //nolint:gosec // repeatable
	w.Accept(t, w.mallory, s.author)
	mine := w.Scope(t, w.mallory, emr.LevelPrivate)
	w.add(emr.PatientPrefix, string(s.patient.ID))
	w.add(organisations, string(ledgertest.HospitalC))
	w.add(emr.HandlePrefix, string(s.patient.Handle))
	inspected := inspecting(emr.LogSubject{Patient: s.patient.Handle})
	s.inspect(t, s.auditor(t), inspected)
	w.add(emr.InspectionPrefix, string(inspected.Inspection))
	w.add(emr.RecordPrefix, string(s.record.Record))
	w.add(emr.GrantPrefix, string(s.give(t).Terms.Grant))
	w.add(emr.ScopePrefix, string(s.scope.ID))
	first := s.read(emr.GrantID(w.some(emr.GrantPrefix)))
	s.disclose(t, s.reader, first)
	w.add(emr.DisclosurePrefix, string(first.Disclosure))
	request := s.ask(s.record.Record)
	s.Do(t, s.reader, ledgerapi.RequestAccess, request)
	w.add(emr.RequestPrefix, string(request.Request))
	w.add(emr.SessionPrefix, string(s.broken(t)))
	w.add(emr.AmendmentPrefix, string(s.asked(t)))
	recovery := &ward{scene: s, friend: s.Patient(t, ledgertest.HospitalA)}
	recovery.all, recovery.next = []ledgertest.Member{recovery.friend, s.author, s.reader}, rekeyed(t, s.patient)
	s.Do(t, s.patient, ledgerapi.SetGuardians, recovery.guardians(0, 2, recovery.all...))
	w.add(emr.RecoveryPrefix, string(recovery.waiting(t).Recovery))

	strangers, naming := w.strangers(t), w.naming(t, mine)
	for range worldsOfHidden {
		w.step(t)
		w.queriesAgree(t, queries, strangers)
		w.transactionsAgree(t, naming)
	}
	for prefix, known := range w.ids {
		require.NotEmpty(t, known, prefix)
	}
}

// organisations takes the place of a prefix for the ids of organisations.
const organisations = "organisation"

// absentID is an id that nobody has.
func absentID(prefix string) string {
	if prefix == organisations {
		return "NowhereMSP"
	}
	return ledgertest.ID[string](prefix)
}

// prefixOf tells what kind of id a query takes.
func prefixOf(function string) string {
	return map[string]string{
		ledgerapi.ResolvePatient: emr.PatientPrefix, ledgerapi.GetManifest: emr.RecordPrefix, ledgerapi.CheckIntegrity: emr.RecordPrefix, ledgerapi.GetRequestAction: emr.RequestPrefix,
		ledgerapi.ProveSealed: emr.RecordPrefix, ledgerapi.ListUnsealed: organisations, ledgerapi.GetEmergencyAction: emr.SessionPrefix, ledgerapi.GetAmendmentAction: emr.AmendmentPrefix, ledgerapi.CheckTicket: emr.DisclosurePrefix,
		ledgerapi.ReadLog: emr.InspectionPrefix, ledgerapi.AccountDisclosures: emr.HandlePrefix, ledgerapi.ReplayDecision: emr.DisclosurePrefix,
		ledgerapi.GetSignOffAction: emr.RecordPrefix,
	}[function]
}

func (w *wanderer) queriesAgree(t *testing.T, queries map[string]func(ledger.Reader, string) error, strangers map[string]*ledger.Caller) {
	t.Helper()
	for function, ask := range queries {
		prefix := prefixOf(function)
		for name, caller := range strangers {
			known := ask(w.View(w.Facts(caller)), w.some(prefix))
			absent := ask(w.View(w.Facts(caller)), absentID(prefix))
			require.Error(t, absent)
			require.Equal(t, ledgerapi.EncodeError(absent), ledgerapi.EncodeError(known), "%s tells %s what there is", function, name)
		}
	}
}

// naming are the transactions of a patient that name a thing by its id, of the kind given: here somebody else's.
func (w *wanderer) naming(t *testing.T, mine *emr.Scope) []naming {
	t.Helper()
	me := w.mallory.Handle
	grant := func() *ledgerapi.GrantAccessArgs { return w.Grant(mine, w.reader) }
	own := w.Record(t, w.author, mine, emr.ClassMedicalImaging).Record
	return []naming{
		{ledgerapi.RefuseAccess, emr.RequestPrefix, func(id string) any { return ledgerapi.RefuseAccessArgs{Patient: me, Request: emr.RequestID(id)} }},
		{ledgerapi.RevokeAccess, emr.GrantPrefix, func(id string) any { return ledgerapi.RevokeAccessArgs{Patient: me, Grant: emr.GrantID(id)} }},
		{ledgerapi.GrantAccess, emr.ScopePrefix, func(id string) any {
			args := grant()
			args.Terms.Scope = emr.ScopeID(id)
			return args
		}},
		{ledgerapi.GrantAccess, emr.RecordPrefix, func(id string) any {
			args := grant()
			args.Terms.Records = []emr.RecordID{emr.RecordID(id)}
			return args
		}},
		{ledgerapi.GrantAccess, emr.RequestPrefix, func(id string) any {
			args := grant()
			args.Request = emr.RequestID(id)
			return args
		}},
		{ledgerapi.Disclose, emr.RecordPrefix, func(id string) any {
			args := w.read("")
			args.Record, args.Purpose = emr.RecordID(id), emr.PurposePatient
			return args
		}},
		{ledgerapi.AskAmendment, emr.RecordPrefix, func(id string) any {
			args := w.askAmendment()
			args.Patient, args.Record = me, emr.RecordID(id)
			return args
		}},
		{ledgerapi.EraseRecord, emr.RecordPrefix, func(id string) any {
			args := w.erase(emr.RecordID(id))
			args.Patient = me
			return args
		}},
		{ledgerapi.EraseRecord, emr.GrantPrefix, func(id string) any {
			args := w.erase(own)
			args.Patient, args.Grants = me, []emr.GrantID{emr.GrantID(id)}
			return args
		}},
		{ledgerapi.EraseRecord, emr.RequestPrefix, func(id string) any {
			args := w.erase(own)
			args.Patient, args.Requests = me, []emr.RequestID{emr.RequestID(id)}
			return args
		}},
		{ledgerapi.EraseRecord, emr.AmendmentPrefix, func(id string) any {
			args := w.erase(own)
			args.Patient, args.Amendments = me, []emr.AmendmentID{emr.AmendmentID(id)}
			return args
		}},
		{ledgerapi.RollScope, emr.ScopePrefix, func(id string) any {
			args := w.roll(t, mine)
			args.Patient, args.Scope = me, emr.ScopeID(id)
			return args
		}},
		{ledgerapi.DisputeAmendment, emr.AmendmentPrefix, func(id string) any {
			return ledgerapi.DisputeAmendmentArgs{Patient: me, Amendment: emr.AmendmentID(id), Text: "no"}
		}},
		{ledgerapi.ContestEmergency, emr.SessionPrefix, func(id string) any {
			return ledgerapi.ContestEmergencyArgs{Patient: me, Session: emr.SessionID(id), Text: "no"}
		}},
		{ledgerapi.CloseEmergency, emr.SessionPrefix, func(id string) any { return ledgerapi.EmergencyArgs{Session: emr.SessionID(id)} }},
		{ledgerapi.VetoRecovery, emr.RecoveryPrefix, func(id string) any { return ledgerapi.RecoveryArgs{Patient: me, Recovery: emr.RecoveryID(id)} }},
		{ledgerapi.CompleteRecovery, emr.RecoveryPrefix, func(id string) any { return ledgerapi.RecoveryArgs{Patient: me, Recovery: emr.RecoveryID(id)} }},
		{ledgerapi.SetEmergencyPlan, emr.ScopePrefix, func(id string) any {
			return ledgerapi.SetEmergencyPlanArgs{Patient: me, Declined: []emr.ScopeID{emr.ScopeID(id)}}
		}},
	}
}

type naming struct {
	function, prefix string
	args             func(id string) any
}

func (w *wanderer) transactionsAgree(t *testing.T, all []naming) {
	t.Helper()
	n := all[w.dice.IntN(len(all))]
	refusal := func(id string) string {
		tx := w.Begin(w.Facts(w.mallory.Org.Gateway))
		_, err := ledgertest.Run(tx, n.function, ledgertest.Raw(t, w.Sign(t, w.mallory, n.function, n.args(id))))
		require.Error(t, err, n.function)
		require.Empty(t, tx.Effects().Writes, n.function)
		return ledgerapi.EncodeError(err)
	}
	require.Equal(t, refusal(ledgertest.ID[string](n.prefix)), refusal(w.some(n.prefix)), "%s tells of another patient's %s", n.function, n.prefix)
}

// codeOf is the code of an error, "" when there is none.
func codeOf(err error) emr.Code {
	if err == nil {
		return ""
	}
	return emr.CodeOf(err)
}
