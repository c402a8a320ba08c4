// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledger_test

import (
	"encoding/json"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/chaincode/ledger/ledgertest"
	"github.com/emrys-health/emrys/pkg/consent"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// The tests of the files field_*_test.go each refuse a defect or an abuse that is known from other ledgers of health records:
// docs/abuse.md lists them. Those of this file hold for every transaction of a person there is.

// transaction is one transaction of a person, before its commit.
type transaction struct {
	tx       *ledgertest.Tx
	function string
	raw      []byte
	action   *emr.Action
	answer   any
}

// everyTransaction runs every transaction of people once at least and shows each to see. It fails when a function is never run.
func everyTransaction(t *testing.T, see func(transaction)) {
	t.Helper()
	seen := map[string]bool{}
	check := func(tx *ledgertest.Tx, function string, raw []byte, answer any, err error) {
		require.NoError(t, err, function)
		var signed emr.SignedAction
		require.NoError(t, emr.Decode(raw, &signed), function)
		action, err := signed.Parse()
		require.NoError(t, err, function)
		seen[function] = true
		see(transaction{tx, function, raw, action, answer})
	}
	lives(t, check)
	for _, function := range append(ledgerapi.SignedTransactions(), ledgerapi.RecordAttempt) {
		require.True(t, seen[function], "%s is run nowhere: run it in one of the lives", function)
	}
}

// write is one key and value that a transaction writes to public state.
type write struct {
	key   ledgerapi.Key
	value string
}

func writesOf(t *testing.T, tx *ledgertest.Tx) []write {
	t.Helper()
	var all []write
	for _, text := range tx.Effects().Writes {
		name, value, found := strings.Cut(text, `"=`)
		require.True(t, found, text)
		name, err := strconv.Unquote(name + `"`)
		require.NoError(t, err)
		parts := strings.Split(strings.Trim(name, "\x00"), "\x00")
		all = append(all, write{ledgerapi.Key{Type: parts[0], Attributes: parts[1:]}, value})
	}
	return all
}

// entriesOf returns the audit entries that a transaction writes, in whosever trail.
func entriesOf(t *testing.T, tx *ledgertest.Tx) []emr.AuditEntry {
	t.Helper()
	written := map[string]string{}
	for _, w := range writesOf(t, tx) {
		written[w.key.Type+strings.Join(w.key.Attributes, "/")] = w.value
	}
	var all []emr.AuditEntry
	for _, w := range writesOf(t, tx) {
		if strings.HasSuffix(w.key.Type, "-audit") {
			if patient := w.value; strings.HasPrefix(patient, emr.HandlePrefix) { // stands in the patient's trail, at the same place
				w.value = written[ledgerapi.TypeAuditByPatient+patient+"/"+strings.Join(w.key.Attributes[1:], "/")]
			}
			var entry emr.AuditEntry
			require.NoError(t, emr.Decode([]byte(w.value), &entry), w.key.Type)
			all = append(all, entry)
		}
	}
	return all
}

// TestNobodyActsInAnothersName signs every transaction there is by a key that is not its actor's: the pinned key decides, and nothing is left behind.
func TestNobodyActsInAnothersName(t *testing.T) {
	t.Parallel()
	thief := ledgertest.NewKey(t)
	everyTransaction(t, func(of transaction) {
		again := of.tx.Again()
		_, err := ledgertest.Run(again, of.function, ledgertest.Raw(t, ledgertest.Seal(t, of.action, thief)))
		refuses(t, err, emr.CodeUnauthenticated, "signature")
		require.Empty(t, again.Effects().Writes, of.function)
		require.Empty(t, again.Effects().Private, of.function)
		require.Nil(t, again.Effects().Event, of.function)
	})
}

// TestNobodyGrantsInAnothersName puts another registered person in the actor's place, who signs with the own key: what names the victim is not theirs to sign.
func TestNobodyGrantsInAnothersName(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	mallory := s.Patient(t, ledgertest.HospitalB)
	a, grant := s.patient.Handle, s.give(t).Terms.Grant
	request, amendment := s.ask(s.record.Record), s.asked(t)
	s.Do(t, s.author, ledgerapi.RequestAccess, request)
	session := s.broken(t)
	for function, args := range map[string]any{
		ledgerapi.GrantAccess:        s.Grant(s.scope, s.reader, s.record.Record),
		ledgerapi.RevokeAccess:       ledgerapi.RevokeAccessArgs{Patient: a, Grant: grant},
		ledgerapi.RefuseAccess:       ledgerapi.RefuseAccessArgs{Patient: a, Request: request.Request},
		ledgerapi.AnswerRelationship: ledgerapi.AnswerRelationshipArgs{Patient: a, Hospital: ledgertest.HospitalA},
		ledgerapi.PublishScopes:      ledgerapi.PublishScopesArgs{Patient: a, Scopes: []ledgerapi.NewScope{ledgertest.NewScope(t, emr.LevelLow)}},
		ledgerapi.PutConsent:         s.consentArgs(t, document(emr.Permit)),
		ledgerapi.WithdrawConsent:    ledgerapi.WithdrawConsentArgs{Patient: a},
		ledgerapi.NameDelegate:       ledgerapi.NameDelegateArgs{Patient: a, Delegate: mallory.Handle, Kind: emr.DelegationChosen, Until: s.Now + 60},
		ledgerapi.SetGuardians:       ledgerapi.SetGuardiansArgs{Patient: a, Guardians: []string{string(s.author.ID), string(s.reader.ID)}, Threshold: 2},
		ledgerapi.RotatePatientKeys:  rotation(t, s.Consortium, rekeyed(t, s.patient), 0),
		ledgerapi.SetEmergencyPlan:   ledgerapi.SetEmergencyPlanArgs{Patient: a, Declined: []emr.ScopeID{}},
		ledgerapi.ContestEmergency:   ledgerapi.ContestEmergencyArgs{Patient: a, Session: session, Text: "not I"},
		ledgerapi.AskAmendment:       s.askAmendment(),
		ledgerapi.DisputeAmendment:   ledgerapi.DisputeAmendmentArgs{Patient: a, Amendment: amendment, Text: "not I"},
		ledgerapi.EraseRecord:        s.erase(s.record.Record),
		ledgerapi.RollScope:          s.roll(t, s.scope),
		ledgerapi.VetoRecovery:       ledgerapi.RecoveryArgs{Patient: a, Recovery: ledgertest.ID[emr.RecoveryID](emr.RecoveryPrefix)},
		ledgerapi.CompleteRecovery:   ledgerapi.RecoveryArgs{Patient: a, Recovery: ledgertest.ID[emr.RecoveryID](emr.RecoveryPrefix)},
	} {
		for _, thief := range []ledgertest.Member{mallory, s.reader} {
			before := s.Dump()
			_, err := s.Try(t, thief, function, args)
			refuses(t, err, emr.CodeForbidden, "")
			require.Equal(t, before, s.Dump(), function)
		}
	}
}

// TestTheAuditActorIsTheSignerAndTheTimeIsTheTransactions reads the entries that every transaction writes: whoever signed is the actor, the
// transaction's time the time, and no argument is either.
func TestTheAuditActorIsTheSignerAndTheTimeIsTheTransactions(t *testing.T) {
	t.Parallel()
	everyTransaction(t, func(of transaction) {
		entries := entriesOf(t, of.tx)
		require.NotEmpty(t, entries, "%s leaves no entry", of.function)
		for _, entry := range entries {
			want := of.action.Actor
			if want == string(entry.Patient) {
				want = emr.ActorPatient
			}
			require.Equal(t, want, entry.Actor, of.function)
			require.Equal(t, of.tx.Now(), entry.At, of.function)
			require.Equal(t, of.tx.TxID(), entry.TxID, of.function)
			if strings.HasPrefix(entry.Actor, emr.ClinicianPrefix) && of.function != ledgerapi.RecordAttempt {
				require.Equal(t, of.tx.Caller().MSP, entry.Org, of.function)
			}
		}
	})
}

// TestEveryDecisionStandsInThePatientsTrail: permitted or denied, what was decided and why is an entry, and not an error message that nobody keeps.
func TestEveryDecisionStandsInThePatientsTrail(t *testing.T) {
	t.Parallel()
	decided := map[emr.Decision]int{}
	everyTransaction(t, func(of transaction) {
		receipt, decides := of.answer.(*ledgerapi.DecisionReceipt)
		if !decides {
			return
		}
		decided[receipt.Decision]++
		require.True(t, slices.ContainsFunc(entriesOf(t, of.tx), func(e emr.AuditEntry) bool {
			ofAPatient := e.Patient != "" || of.function == ledgerapi.InspectLog // whose log may be a clinician's or a hospital's
			return ofAPatient && e.Decision == receipt.Decision && e.Reason == receipt.Reason
		}), "%s decided %s for %s", of.function, receipt.Decision, receipt.Reason)
	})
	for _, decision := range []emr.Decision{emr.Permit, emr.Ask, emr.Deny} {
		require.NotZero(t, decided[decision], decision)
	}
}

// opaque are the shapes of what public state may hold: random ids, digests and keys, organisations' ids, words of a fixed list. A name, a birth
// date, a number of an insurance, a file name or a sentence has none of them.
var opaque = regexp.MustCompile(`^(` + strings.Join([]string{
	`|[a-z]{3}_[0-9a-f]{32}`,                  // an id, or none
	`[0-9a-f]{64}`,                            // a digest or a transaction
	`[0-9a-f]{8,40}`,                          // a certificate's serial number, which is random
	`[0-9a-f]{66}`,                            // a public key in a key's name
	`[A-Za-z0-9+/]{44,}={0,2}`,                // a public key
	`bafkrei[a-z2-7]{52}`,                     // a content id
	`[A-Z][A-Za-z]{2,15}MSP`,                  // an organisation
	`[A-Z]{3,8}`,                              // a purpose
	`[a-z0-9]{1,12}([-.][a-z0-9]{1,12}){0,2}`, // a status, reason, class, level or kind
	`\d{1,10}`,                                // a version
	`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ`,         // the transaction's time, or one that somebody set
	`\d{28}`,                                  // an inverted time
	`rec_[0-9a-f]{32}gra_[0-9a-f]{32}`,
	`[A-Za-z0-9_-]{43}`, // what an audit key ends in: a digest
}, "|") + `)$`)

// entryIDLength is that of ledgerapi.EntryID, which one time in three thousand has no digit.
const entryIDLength = 43

// word is the shape of what could be a name: it must be of a fixed list.
var word = regexp.MustCompile(`^[A-Za-z.-]+$`)

// kind is the form of what an audit entry or event is about.
var kind = regexp.MustCompile(`^(access|amendment|clinician|consent|delegate|delegation|emergency|erasure|grant|guardians|home|keys|log|patient|record|recovery|scope|scopes|ticket)\.[a-z]+$`)

// words are the fixed lists. A shape alone would let a first name through.
func words() map[string]bool {
	known := map[string]bool{}
	for _, w := range []string{
		"", "all", emr.ActorPatient, emr.ActorAdmin, "medical-imaging", string(emr.RolePhysician), string(emr.RolePrivacyOfficer), "relationship", string(emr.AuditDisclosure), ledgertest.Channel,
	} {
		known[w] = true
	}
	for _, list := range []string{ // statuses, decisions, outcomes and kinds of things
		"permit ask deny live revoked ended chosen guardian active withdrawn proposed accepted refused pending granted closed waiting vetoed",
		"completed asked denied open justified superseded",
		"complaint incident patient-request routine legal-duty",
		"draft partly-signed signed incomplete", // of a sign-off
		"erasure rekey cid digest capsule",
	} {
		for _, w := range strings.Fields(list) {
			known[w] = true
		}
	}
	for _, level := range emr.Levels() {
		known[string(level)] = true
	}
	for _, purpose := range emr.Purposes() {
		known[string(purpose)] = true
	}
	for _, reason := range emr.Reasons() {
		known[string(reason)] = true
	}
	return known
}

// TestPublicStateHoldsNothingThatIdentifies looks at every text that every transaction writes to public state, in keys and values, and at every
// event: each is an opaque id, digest or key, or a word of a fixed list. What people write and what identifies them is not among it.
func TestPublicStateHoldsNothingThatIdentifies(t *testing.T) {
	t.Parallel()
	known := words()
	checkText := func(function, text string) {
		require.Regexp(t, opaque, text, function)
		if word.MatchString(text) && len(text) != entryIDLength && !strings.HasSuffix(text, "MSP") {
			require.True(t, known[text] || kind.MatchString(text), "%s writes the word %q: is it of a fixed list?", function, text)
		}
		require.NotContains(t, text, emr.PatientPrefix, function)
	}
	everyTransaction(t, func(of transaction) {
		for _, w := range writesOf(t, of.tx) {
			for _, attribute := range w.key.Attributes {
				checkText(of.function, attribute)
			}
			eachText(t, w.value, func(text string) { checkText(of.function, text) })
		}
		if event := of.tx.Effects().Event; event != nil {
			eachText(t, string(event.Payload), func(text string) { checkText(of.function, text) })
		}
	})
}

// eachText shows every text of a JSON value; a value that is none is an id.
func eachText(t *testing.T, value string, see func(string)) {
	t.Helper()
	var decoded any
	if err := json.Unmarshal([]byte(value), &decoded); err != nil {
		see(value)
		return
	}
	var walk func(v any)
	walk = func(v any) {
		switch v := v.(type) {
		case string:
			see(v)
		case []any:
			for _, item := range v {
				walk(item)
			}
		case map[string]any:
			for _, item := range v {
				walk(item)
			}
		}
	}
	walk(decoded)
}

// TestADocumentHasNoPlaceForMore adds a field to what is signed: nothing carries a name, a file name or a remark onto the ledger beside what it is made for.
func TestADocumentHasNoPlaceForMore(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	for function, test := range map[string]struct {
		by   ledgertest.Member
		args any
	}{
		ledgerapi.RegisterRecord: {s.author, s.Manifest(t, s.author, s.scope, emr.ClassMedicalImaging)},
		ledgerapi.RequestAccess:  {s.reader, s.ask(s.record.Record)},
		ledgerapi.GrantAccess:    {s.patient, s.Grant(s.scope, s.reader, s.record.Record)},
		ledgerapi.PutConsent:     {s.patient, s.consentArgs(t, consent.Document{Base: emr.Ask})},
		ledgerapi.OpenEmergency:  {s.reader, s.glass()},
		ledgerapi.PublishScopes:  {s.patient, ledgerapi.PublishScopesArgs{Patient: s.patient.Handle, Scopes: []ledgerapi.NewScope{ledgertest.NewScope(t, emr.LevelLow)}}},
	} {
		for _, field := range []string{"fileName", "name", "actor", "time", "org"} {
			action := s.Action(t, test.by, function, test.args)
			action.Args = []byte(`{"` + field + `":"Anna",` + string(action.Args[1:]))
			before := s.Dump()
			_, err := s.Submit(t, test.by.Home(), function, ledgertest.Seal(t, action, test.by.ActorKey()))
			refuses(t, err, emr.CodeInvalid, "")
			require.Equal(t, before, s.Dump(), function)
		}
		s.Do(t, test.by, function, test.args)
	}
}
