// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledger_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/chaincode/ledger"
	"github.com/emrys-health/emrys/chaincode/ledger/ledgertest"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// TestNobodyChangesAnothersOrganisation: an organisation's address and keys are its administrator's alone, because no argument says whose they are.
func TestNobodyChangesAnothersOrganisation(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	a, b := s.Orgs[ledgertest.HospitalA], s.Orgs[ledgertest.HospitalB]
	entry := func() emr.Organisation {
		list, err := ledger.GetOrganisations(s.Query(b), ledgerapi.Empty{})
		require.NoError(t, err)
		for _, org := range list.Items {
			if org.ID == a.ID {
				return org
			}
		}
		t.Fatal("hospital A is gone")
		return emr.Organisation{}
	}
	before := entry()
	hijacked := a.Args()
	hijacked.GatewayURL = "https://mallory.example:8443"
	impostor, _ := b.Issue(t, ledgertest.Wish{CN: "admin", Unit: "admin"})
	for name, caller := range map[string]*ledger.Caller{
		"another organisation's administrator": b.Admin,
		"another organisation's gateway":       b.Gateway,
		"the own gateway":                      a.Gateway,
		"a certificate of another CA":          {MSP: a.ID, Certificate: impostor},
		"nobody":                               nil,
	} {
		_, err := s.RegisterOrg(caller, hijacked)
		require.Error(t, err, name)
		require.Equal(t, before, entry(), name)
	}
}

// TestAGranteeGivesNothingOn: who was given a record cannot pass it on, neither in the own name nor in the patient's, nor by a ticket.
func TestAGranteeGivesNothingOn(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	grant := s.give(t)
	colleague := s.Clinician(t, ledgertest.HospitalC, emr.RolePhysician, emr.LevelPrivate)
	onward := s.Grant(s.scope, colleague, s.record.Record)
	_, err := s.Try(t, s.reader, ledgerapi.GrantAccess, onward)
	refuses(t, err, emr.CodeForbidden, "another patient")
	_, err = s.Submit(t, s.reader.Org, ledgerapi.GrantAccess, ledgertest.Seal(t, s.Action(t, s.patient, ledgerapi.GrantAccess, onward), s.reader.Key))
	refuses(t, err, emr.CodeUnauthenticated, "signature")
	require.Equal(t, emr.ReasonNotGrantee, s.disclose(t, colleague, s.read(grant.Terms.Grant)).Reason)
	read := s.read(grant.Terms.Grant)
	require.Equal(t, emr.Permit, s.disclose(t, s.reader, read).Decision)
	require.Equal(t, emr.ReasonNotReader, s.check(t, ledgertest.HospitalA, s.open(t, colleague, read.Disclosure)).Reason)
}

// TestAnAuditorReadsMetadataAndNothingElse: an auditor's certificate opens nothing, widens nothing and ends nothing.
func TestAnAuditorReadsMetadataAndNothingElse(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	grant := s.give(t).Terms.Grant
	auditor := s.Clinician(t, ledgertest.Regulator, emr.RoleAuditor, emr.LevelPrivate)
	ask := s.ask(s.record.Record)
	receipt := s.Do(t, auditor, ledgerapi.RequestAccess, ask).(*ledgerapi.DecisionReceipt)
	require.Equal(t, emr.ReasonRole, receipt.Reason)
	read := s.read(grant)
	require.Equal(t, emr.ReasonRole, s.disclose(t, auditor, read).Reason)
	require.Equal(t, emr.Deny, s.check(t, ledgertest.HospitalA, s.open(t, auditor, read.Disclosure)).Decision)
	require.Equal(t, emr.ReasonRole, s.decides(t, auditor, ledgerapi.OpenEmergency, s.glass()).Reason)
	session := s.broken(t)
	reviewed := ledgerapi.ReviewEmergencyArgs{Session: session, Outcome: emr.ReviewJustified, Text: "fine"}
	s.Do(t, s.reader, ledgerapi.CloseEmergency, ledgerapi.EmergencyArgs{Session: session})
	require.Equal(t, emr.ReasonRole, s.decides(t, auditor, ledgerapi.ReviewEmergency, reviewed).Reason)
	for function, args := range map[string]any{
		ledgerapi.GrantAccess:         s.Grant(s.scope, s.reader),
		ledgerapi.RevokeAccess:        ledgerapi.RevokeAccessArgs{Patient: s.patient.Handle, Grant: grant},
		ledgerapi.RegisterRecord:      s.next(t, s.record, nil),
		ledgerapi.ProposeRelationship: ledgerapi.ProposeRelationshipArgs{Patient: s.patient.Handle, Hospital: ledgertest.Regulator},
		ledgerapi.AnswerAmendment:     ledgerapi.AnswerAmendmentArgs{Amendment: s.asked(t), Text: "no"},
	} {
		before := s.Dump()
		_, err := s.Try(t, auditor, function, args)
		require.Error(t, err, function)
		require.Equal(t, before, s.Dump(), function)
	}
	page, err := ledger.AuditByRecord(s.Query(s.Orgs[ledgertest.Regulator]), ledgerapi.PageQuery{Record: s.record.Record})
	require.NoError(t, err)
	require.NotEmpty(t, page.Items, "what an auditor is for stays possible")
}

// TestARoleIsReadFromTheCertificateAndNothingElse: what a person, a gateway or another organisation says of a role or level is of no effect.
func TestARoleIsReadFromTheCertificateAndNothingElse(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	nurse := s.NewClinician(t, ledgertest.HospitalB, ledgertest.Wish{Role: string(emr.RoleNurse), Level: string(emr.LevelLow)})
	action := s.Action(t, nurse, ledgerapi.RegisterClinician, nurse.Args())
	action.Args = []byte(`{"role":"physician","level":"private",` + string(action.Args[1:]))
	_, err := s.Submit(t, nurse.Org, ledgerapi.RegisterClinician, ledgertest.Seal(t, action, nurse.Key))
	refuses(t, err, emr.CodeInvalid, "")
	s.Do(t, nurse, ledgerapi.RegisterClinician, nurse.Args())
	stored, err := ledger.GetClinician(s.Query(nurse.Org), ledgerapi.ClinicianQuery{Clinician: nurse.ID})
	require.NoError(t, err)
	require.Equal(t, emr.RoleNurse, stored.Role)
	require.Equal(t, emr.LevelLow, stored.Level)
	// An organisation of another kind may not assert the role at all.
	forged := s.NewClinician(t, ledgertest.Regulator, ledgertest.Wish{Role: string(emr.RolePhysician), Level: string(emr.LevelPrivate)})
	_, err = s.Try(t, forged, ledgerapi.RegisterClinician, forged.Args())
	refuses(t, err, emr.CodeForbidden, "role")
	// Hospital A's registrar cannot enrol for B: neither through the own gateway nor with the own CA.
	foreign := s.NewClinician(t, ledgertest.HospitalA, ledgertest.Wish{Role: string(emr.RolePhysician), Level: string(emr.LevelPrivate)})
	args := foreign.Args()
	args.Org = ledgertest.HospitalB
	for _, via := range []emr.OrgID{ledgertest.HospitalA, ledgertest.HospitalB} {
		_, err = s.Submit(t, s.Orgs[via], ledgerapi.RegisterClinician, s.Sign(t, foreign, ledgerapi.RegisterClinician, args))
		refuses(t, err, emr.CodeForbidden, "")
	}
}

// TestTimeIsTheTransactionsToTheSecond: a grant ends for a request, a reading and a ticket in the same second, whatever the signed action says of its time.
func TestTimeIsTheTransactionsToTheSecond(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	grant := s.give(t)
	s.Wait(2*time.Hour - time.Second)
	read := s.read(grant.Terms.Grant)
	require.Equal(t, emr.Permit, s.disclose(t, s.reader, read).Decision)
	early := s.Sign(t, s.reader, ledgerapi.Disclose, s.read(grant.Terms.Grant)) // signed while the grant held
	open := s.open(t, s.reader, read.Disclosure)
	require.Equal(t, emr.Permit, s.check(t, ledgertest.HospitalA, open).Decision)
	s.Wait(time.Second)
	answer, err := s.Submit(t, s.reader.Org, ledgerapi.Disclose, early)
	require.NoError(t, err)
	require.Equal(t, emr.ReasonExpired, answer.(*ledgerapi.DecisionReceipt).Reason)
	require.Equal(t, emr.Deny, s.check(t, ledgertest.HospitalA, open).Decision)
	require.Equal(t, emr.Ask, s.Do(t, s.reader, ledgerapi.RequestAccess, s.ask(s.record.Record)).(*ledgerapi.DecisionReceipt).Decision)
}

// TestNothingIsDeletedFromPublicState: a rule can put a public value and purge a private one. There is nothing by which it could delete a public one.
func TestNothingIsDeletedFromPublicState(t *testing.T) {
	t.Parallel()
	state := reflect.TypeFor[ledger.State]()
	allowed := map[string]bool{}
	for _, name := range []string{
		"Get", "GetAll", "HasPrivate", "Put", "Guard", "PutPrivate", "PurgePrivate", "Emit", "Now", "Nanos", "TxID", "Channel", "Contract", "Caller",
	} {
		allowed[name] = true
	}
	for i := range state.NumMethod() {
		name := state.Method(i).Name
		for _, ends := range []string{"Delete", "Del", "Remove", "Scan", "Query", "History"} {
			require.NotContains(t, name, ends)
		}
		require.True(t, allowed[name], "State has a new method, %s: does it delete, scan or choose?", name)
	}
}

// TestNoClockNoRandomnessNoMapOrderInRules holds the packages whose code the rules call to what the rules themselves are held to
// (TestTheRulesAreDeterministicByConstruction): nothing in them may differ between two peers.
func TestNoClockNoRandomnessNoMapOrderInRules(t *testing.T) {
	t.Parallel()
	harmless := []string{"clientdata.go:9:2: imports io", "serializer.go:8:2: imports reflect"} // the end of a text; the kind of a framework's value
	for _, dir := range []string{".", "../contract", "../../pkg/consent", "../../pkg/manifest", "../../pkg/signature", "../../pkg/ledgerapi"} {
		fset := token.NewFileSet()
		names, err := filepath.Glob(filepath.Join(dir, "*.go"))
		require.NoError(t, err)
		var files []*ast.File
		for _, name := range names {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			file, err := parser.ParseFile(fset, name, nil, 0)
			require.NoError(t, err)
			files = append(files, file)
		}
		require.NotEmpty(t, files)
		info := &types.Info{Types: map[ast.Expr]types.TypeAndValue{}}
		config := types.Config{Importer: hollow{}, Error: func(error) {}} // other packages' types are of no interest here
		_, _ = config.Check(dir, fset, files, info)
		for _, problem := range problems(fset, files, info) {
			require.Contains(t, harmless, filepath.Base(problem), dir)
		}
	}
}

// hollow imports every package as one that holds nothing.
type hollow struct{}

func (hollow) Import(path string) (*types.Package, error) {
	p := types.NewPackage(path, filepath.Base(path))
	p.MarkComplete()
	return p, nil
}
