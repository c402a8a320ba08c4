// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledger_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/chaincode/ledger"
	"github.com/emrys-health/emrys/chaincode/ledger/ledgertest"
	"github.com/emrys-health/emrys/pkg/consent"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// writeState keeps what this version of the contract writes. A file that is there
// is never written again: it stands for ledgers that exist. When a schema changes,
// the new version gets a file of its own, and the old ones stay.
//
//	go test ./chaincode/ledger -run TestStateOfEveryKindIsKept -write-state testdata/state-2.json
var writeState = flag.String("write-state", "", "a new file for what this version writes, below chaincode/ledger")

func TestStateOfEveryKindIsKept(t *testing.T) {
	if *writeState == "" {
		t.Skip("writes a file of state; see -write-state")
	}
	worlds := everyKind(t)
	raw, err := json.MarshalIndent(worlds, "", " ")
	require.NoError(t, err)
	file, err := os.OpenFile(*writeState, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	require.NoError(t, err)
	defer file.Close()
	_, err = file.Write(append(raw, '\n'))
	require.NoError(t, err)
}

// everyKind makes state of every kind, in worlds of their own.
func everyKind(t *testing.T) map[string]ledgertest.Snapshot {
	t.Helper()
	worlds := map[string]ledgertest.Snapshot{}
	share, life := share(t, nil), live(t, nil)
	emergency, _ := emergency(t, nil)
	amendments, _, _ := amendments(t, nil)
	require.NoError(t, govern(&assembly{amendments.Consortium, t}, amendments.Orgs[ledgertest.HospitalA].Admin, ledger.HoldRecord,
		ledgerapi.HoldRecordArgs{Record: amendments.record.Record, Hold: true, Ground: emr.HoldLitigation}))
	amendments.give(t)
	for name, s := range map[string]*scene{"share": share, "life": life, "emergency": emergency, "amendments": amendments, "granting": granting(t, nil)} {
		worlds[name] = s.Snapshot()
	}
	worlds["governance"] = governed(t).Snapshot()
	worlds["audit"] = overseen(t).Snapshot()
	worlds["erasure"] = ended(t).Snapshot()
	return worlds
}

// overseen is a patient whose disclosures are accounted for, sealed, inspected and one withheld.
func overseen(t *testing.T) *scene {
	t.Helper()
	s, _, first, _, _ := accounted(t)
	require.NoError(t, s.suspend(t, ledgertest.HospitalA, s.suspension(first.Disclosure)))
	_, err := s.seal(t, ledgertest.HospitalB, namesOf(s.unsealed(t, ledgertest.HospitalB))...)
	require.NoError(t, err)
	require.Equal(t, emr.Permit, s.inspect(t, s.auditor(t), inspecting(emr.LogSubject{Patient: s.patient.Handle})).Decision)
	return s
}

// ended is a scene in which records were re-keyed and erased, a scope was rolled, a
// rule of retention set and a copy reported.
func ended(t *testing.T) *scene {
	t.Helper()
	s := erasures(t, nil)
	s.keeps(t, emr.RetentionRule{Class: emr.ClassOmics, MinDays: 1, MaxDays: 2})
	first := s.Record(t, s.author, s.scope, emr.ClassMedicalImaging)
	last := s.rekeyed(t, first)
	_, err := told(t, s, s.Orgs[ledgertest.HospitalB].Gateway, ledger.ReportIntegrity,
		ledgerapi.ReportIntegrityArgs{Record: last.Record, Finding: emr.FindingMissing})
	require.NoError(t, err)
	return s
}

// governed is a consortium in which everything has happened that its members decide,
// a patient has moved, another has withdrawn and delegated, and a certificate is revoked.
func governed(t *testing.T) *ledgertest.Consortium {
	t.Helper()
	m := newMover(t)
	m.Check = nil
	m.found()
	_, admit := m.newcomer("HospitalDMSP")
	voters := []emr.OrgID{ledgertest.HospitalB, ledgertest.HospitalC, ledgertest.Regulator}
	m.pass(admit, voters...)
	m.pass(emr.Subject{Kind: emr.ProposeRelease, Release: emr.Release{Product: "portal", Version: "1", Digest: emr.Digest{1}}}, voters...)
	m.pass(emr.Subject{Kind: emr.ProposeStop, Function: ledgerapi.NameDelegate}, voters...)
	m.pass(emr.Subject{Kind: emr.ProposeResume, Function: ledgerapi.NameDelegate}, voters...)
	m.pass(homeRelease(m.patient.Handle, ledgertest.HospitalA), voters[:2]...)
	m.Do(t, m.at(ledgertest.HospitalB), ledgerapi.MoveHome, m.to(ledgertest.HospitalB, 1))
	other := m.Patient(t, ledgertest.HospitalC)
	m.Do(t, other, ledgerapi.NameDelegate, ledgerapi.NameDelegateArgs{
		Patient: other.Handle, Delegate: m.patient.Handle, Kind: emr.DelegationChosen, Until: m.Now.Add(day),
	})
	m.Do(t, other, ledgerapi.WithdrawConsent, ledgerapi.WithdrawConsentArgs{Patient: other.Handle})
	clinician := m.Clinician(t, ledgertest.HospitalC, emr.RolePhysician, emr.LevelPrivate)
	require.NoError(t, govern(m.assembly, clinician.Org.Admin, ledger.RevokeCertificates, revoking(clinician.Org, clinician.Cert)))
	return m.Consortium
}

func goldenStates(t *testing.T) map[string]map[string]ledgertest.Snapshot {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", "state-*.json"))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	states := map[string]map[string]ledgertest.Snapshot{}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		require.NoError(t, err)
		worlds := map[string]ledgertest.Snapshot{}
		require.NoError(t, json.Unmarshal(raw, &worlds))
		states[file] = worlds
	}
	return states
}

// pointers are the types whose values are ids, versions or marks, and no documents.
func pointers() []string {
	return []string{
		ledgerapi.TypeGrantUse, ledgerapi.TypeCovering, ledgerapi.TypeScopeByPatient, ledgerapi.TypeRecordByPatient,
		ledgerapi.TypeRequestByPatient, ledgerapi.TypeRequestByClinician, ledgerapi.TypeGrantByPatient, ledgerapi.TypeGrantByClinician,
		ledgerapi.TypeProposals, ledgerapi.TypeRetiredKey, ledgerapi.TypeRecoveryByProposer, ledgerapi.TypeRecoveryByPatient,
		ledgerapi.TypeEmergencyByPatient, ledgerapi.TypeEmergencyByClinician, ledgerapi.TypeEmergencyByOrg,
		ledgerapi.TypeAmendmentByPatient, ledgerapi.TypeAmendmentByRecord,
		ledgerapi.TypeWaitingGrant, ledgerapi.TypeSignOffTurn,
		ledgerapi.TypeSeriesEnd, ledgerapi.TypeUsed, ledgerapi.TypeScopeKey, ledgerapi.TypeErasureByPatient, ledgerapi.TypeErasureByHolder,
	}
}

// TestEveryVersionsStateIsRead: state that a version of the contract has written is
// read by this one, document by document. A change that fails here breaks ledgers
// that exist: give the schema a new version and lift the old one (schema.go).
func TestEveryVersionsStateIsRead(t *testing.T) {
	t.Parallel()
	for file, worlds := range goldenStates(t) {
		kinds := map[string]int{}
		for name, world := range worlds {
			trail := map[string]bool{}
			for _, v := range world.Public {
				if v.Type == ledgerapi.TypeAuditByPatient {
					trail[strings.Join(v.Attributes, "/")] = true
				}
			}
			for _, v := range world.Public {
				kinds[v.Type]++
				if strings.HasSuffix(v.Type, "-audit") && strings.HasPrefix(v.Value, emr.HandlePrefix) { // the entry stands in the patient's trail
					require.True(t, trail[v.Value+"/"+strings.Join(v.Attributes[1:], "/")], "%s: %s: %s leads nowhere", file, name, v.Type)
					continue
				}
				if slices.Contains(pointers(), v.Type) {
					require.NotEmpty(t, v.Value)
					continue
				}
				document, err := ledger.Read(v.Type, []byte(v.Value))
				require.NoError(t, err, "%s: %s: %s", file, name, v.Type)
				again, err := emr.Canonical(document)
				require.NoError(t, err)
				requireKept(t, v.Type, v.Value, string(again))
			}
			for _, v := range world.Private {
				kinds[v.Type]++
				readPrivate(t, &v)
			}
		}
		require.NotEmpty(t, kinds, file)
	}
}

// requireKept requires that a document was read whole: what is encoded again says
// everything that was stored. Fields that are new may stand beside it.
func requireKept(t *testing.T, kind, stored, again string) {
	t.Helper()
	var before, after map[string]any
	require.NoError(t, json.Unmarshal([]byte(stored), &before), kind)
	require.NoError(t, json.Unmarshal([]byte(again), &after), kind)
	for field, value := range before {
		require.Equal(t, value, after[field], "%s: %s", kind, field)
	}
}

// TestTheLatestKeptStateHasEverythingThatIsWritten: a type of key that no kept state
// has is a type that a later change could break unseen.
func TestTheLatestKeptStateHasEverythingThatIsWritten(t *testing.T) {
	t.Parallel()
	kept := map[string]bool{}
	for _, worlds := range goldenStates(t) {
		for _, world := range worlds {
			for _, v := range slices.Concat(world.Public, world.Private) {
				kept[v.Type] = true
			}
		}
	}
	for name, world := range everyKind(t) {
		for _, v := range slices.Concat(world.Public, world.Private) {
			require.True(t, kept[v.Type], "%s writes %s, which no file of testdata has: make one with -write-state", name, v.Type)
		}
	}
	for _, kind := range slices.Concat(ledgerapi.DocumentTypes(), pointers()) {
		require.True(t, kept[kind], "no file of testdata has a %s: make one with -write-state", kind)
	}
}

// readPrivate reads a private value, which is a signed action, and its argument.
func readPrivate(t *testing.T, v *ledgertest.Value) {
	t.Helper()
	var apart emr.GrantSecret // of a batch
	if v.Type == ledgerapi.TypeGrantSecret && emr.Decode([]byte(v.Value), &apart) == nil {
		require.NotEmpty(t, len(apart.Fragments)+len(apart.Direct))
		return
	}
	var signed emr.SignedAction
	require.NoError(t, emr.Decode([]byte(v.Value), &signed), v.Type)
	action, err := signed.Parse()
	require.NoError(t, err, v.Type)
	args, known := map[string]any{
		ledgerapi.RegisterPatient: &ledgerapi.RegisterPatientArgs{}, ledgerapi.RegisterRecord: &emr.Manifest{},
		ledgerapi.RekeyRecord: &emr.Manifest{},
		ledgerapi.GrantAccess: &ledgerapi.GrantAccessArgs{}, ledgerapi.RequestAccess: &ledgerapi.RequestAccessArgs{},
		ledgerapi.OpenEmergency: &ledgerapi.OpenEmergencyArgs{}, ledgerapi.ReviewEmergency: &ledgerapi.ReviewEmergencyArgs{},
		ledgerapi.ContestEmergency: &ledgerapi.ContestEmergencyArgs{}, ledgerapi.AskAmendment: &ledgerapi.AskAmendmentArgs{},
		ledgerapi.AnswerAmendment: &ledgerapi.AnswerAmendmentArgs{}, ledgerapi.DisputeAmendment: &ledgerapi.DisputeAmendmentArgs{},
		ledgerapi.SignOff: &ledgerapi.SignOffArgs{},
	}[action.Function]
	require.True(t, known, "%s holds a %s", v.Type, action.Function)
	require.NoError(t, emr.DecodeCanonical(action.Args, args), "%s: %s", v.Type, action.Function)
}

// TestEveryVersionsStateAnswersQueries asks old state as people would.
func TestEveryVersionsStateAnswersQueries(t *testing.T) {
	t.Parallel()
	for file, worlds := range goldenStates(t) {
		for name, snapshot := range worlds {
			world := ledgertest.Load(&snapshot)
			r := world.View(ledgertest.Facts{TxID: fmt.Sprintf("%064x", 1), At: 1 << 31, Caller: &ledger.Caller{}})
			patients, consents := 0, 0
			for _, v := range snapshot.Public {
				if v.Type != ledgerapi.TypePatient || len(v.Attributes) != 1 {
					continue
				}
				patients++
				handle := emr.Handle(v.Attributes[0])
				view, err := ledger.GetPatient(r, ledgerapi.HandleQuery{Patient: handle})
				require.NoError(t, err, "%s: %s", file, name)
				require.Equal(t, handle, view.Patient.Handle)
				trail, err := ledger.AuditByPatient(r, ledgerapi.PageQuery{Patient: handle, Limit: 100})
				require.NoError(t, err)
				require.NotEmpty(t, trail.Items)
				current, err := ledger.GetConsent(r, ledgerapi.ConsentQuery{Patient: handle})
				if emr.CodeOf(err) == emr.CodeNotFound {
					continue
				}
				require.NoError(t, err)
				consents++
				require.Contains(t, []consent.Status{consent.Active, consent.Withdrawn}, current.Status)
			}
			require.NotZero(t, patients, name)
			if name == "governance" {
				require.Equal(t, 2, consents, "one put and moved along, one withdrawn")
			}
			orgs, err := ledger.GetOrganisations(r, ledgerapi.Empty{})
			require.NoError(t, err)
			require.GreaterOrEqual(t, len(orgs.Items), 4)
		}
	}
}

func TestEveryTypeOfDocumentHasASchema(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	view, err := ledger.GetContract(s.Query(s.Orgs[ledgertest.HospitalA]), ledgerapi.Empty{})
	require.NoError(t, err)
	require.Equal(t, ledgerapi.ContractVersion, view.Version)
	require.Len(t, view.Schemas, len(ledgerapi.DocumentTypes()))
	for _, schema := range view.Schemas {
		require.Equal(t, emr.DocumentVersion, schema.Version, schema.Type)
	}
}
