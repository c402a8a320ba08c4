// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package contract

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/hyperledger/fabric-chaincode-go/v2/shim"
	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/chaincode/ledger/ledgertest"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// The tests of this file refuse defects that are known from other ledgers of health records: docs/abuse.md lists them.

// TestKeysCannotCollide makes every key that there is of many ids and compares their names on the ledger: different facts have different names.
func TestKeysCannotCollide(t *testing.T) {
	t.Parallel()
	names := map[string]ledgerapi.Key{}
	add := func(key ledgerapi.Key) {
		name, err := shim.CreateCompositeKey(key.Type, key.Attributes)
		require.NoError(t, err)
		if other, taken := names[name]; taken {
			require.Equal(t, other, key, "two facts under one key")
		}
		names[name] = key
	}
	// Ids whose texts, put one after the other, are the same.
	pairs := [][2]string{{"hnd_a", "bc"}, {"hnd_ab", "c"}, {"hnd_abc", ""}, {"hnd_a", "b"}, {"hnd_", "ab"}, {"h", "nd_ab"}, {"cli_1", "11"}, {"cli_11", "1"}}
	for _, p := range pairs {
		add(ledgerapi.RelationshipKey(emr.Handle(p[0]), emr.OrgID(p[1])))
		add(ledgerapi.CoveringKey(p[0], emr.ClinicianID(p[1])))
		add(ledgerapi.DelegationKey(emr.Handle(p[0]), emr.Handle(p[1])))
		add(ledgerapi.ProposerKey(emr.Handle(p[0]), p[1]))
		add(ledgerapi.RetiredKey(p[0], []byte(p[1])))
		for _, typ := range []string{ledgerapi.TypeAuditByPatient, ledgerapi.TypeAuditByRecord, ledgerapi.TypeRecordByPatient} {
			for _, at := range []emr.Time{0, 1, 11, 1 << 40} {
				for _, nanos := range []int32{0, 1, 11, 999_999_999} {
					add(ledgerapi.Index(typ, p[0], at, nanos, p[1]))
				}
			}
		}
		for _, n := range []uint32{0, 1, 11, 111} {
			add(ledgerapi.GrantUseKey(emr.GrantID(p[0]), n))
			add(ledgerapi.ConsentVersionKey(emr.Handle(p[0]), n))
			add(ledgerapi.PatientKeysKey(emr.Handle(p[0]), n))
		}
	}
	require.Greater(t, len(names), len(pairs)*(5+3*16+3*4)-40)
}

// FuzzKeysCannotCollide holds any two composite keys against each other: they have one name exactly when type and attributes are the same.
func FuzzKeysCannotCollide(f *testing.F) {
	f.Add("grant", "gra_1", "", "grant", "gra_", "1")
	f.Add("a", "b", "c", "ab", "", "c")
	f.Add("a\x00", "b", "", "a", "\x00b", "")
	f.Add("use", "x", "\U0010FFFF", "use", "x\U0010FFFF", "")
	f.Fuzz(func(t *testing.T, typ1, a1, b1, typ2, a2, b2 string) {
		first, err1 := shim.CreateCompositeKey(typ1, []string{a1, b1})
		second, err2 := shim.CreateCompositeKey(typ2, []string{a2, b2})
		if err1 != nil || err2 != nil {
			return // no key at all
		}
		same := typ1 == typ2 && a1 == a2 && b1 == b2
		require.Equal(t, same, first == second)
	})
}

// TestNoQueryDumpsTheLedger asks every query for nothing in particular: none lists patients, and none answers for more than one owner.
func TestNoQueryDumpsTheLedger(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	p := r.NewPatient(t, ledgertest.HospitalA)
	r.succeeds(r.signed(p, ledgerapi.RegisterPatient, p.Args()))
	contract := reflect.TypeFor[*Contract]()
	for _, function := range ledgerapi.Queries() {
		method, found := contract.MethodByName(function)
		require.True(t, found, function)
		for _, argument := range append(selectors(t, method.Type.In(method.Type.NumIn()-1)), "{}", "null", "[]", `"*"`, `{"selector":{}}`) {
			stub := r.call(function, argument)
			response := r.cc.Invoke(stub)
			require.NotContains(t, string(response.GetPayload()), string(p.Handle), "%s(%s)", function, argument)
			require.NotContains(t, response.GetMessage(), string(p.Handle), "%s(%s)", function, argument)
		}
	}
}

// selectors are arguments of a query's own type with nothing, wildcards and operators in the place of every text.
func selectors(t *testing.T, of reflect.Type) []string {
	t.Helper()
	var all []string
	for _, text := range []string{"", "*", "%", `{"$gt":null}`, "hnd_", "hnd_*", "\x00", "\U0010FFFF", ".*", "' OR 1=1 --", "../"} {
		value := reflect.New(of).Elem()
		for i := range value.NumField() {
			switch field := value.Field(i); field.Kind() {
			case reflect.String:
				field.SetString(text)
			case reflect.Int:
				field.SetInt(1 << 30)
			default: // a document, digest or number of its own form
			}
		}
		b, err := emr.Canonical(value.Interface())
		require.NoError(t, err)
		all = append(all, string(b))
	}
	return all
}

// TestTheAdapterNeitherDeletesNorSelects reads the adapter's source: it calls what a rule's interface has, and nothing by which public state could be
// deleted, selected by a text of the caller's, or looked for in its history.
func TestTheAdapterNeitherDeletesNorSelects(t *testing.T) {
	t.Parallel()
	called := map[string]bool{}
	names, err := filepath.Glob("*.go")
	require.NoError(t, err)
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		require.NoError(t, err)
		ast.Inspect(file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			if selector, ok := call.Fun.(*ast.SelectorExpr); ok {
				called[selector.Sel.Name] = true
			}
			return true
		})
	}
	require.True(t, called["PutState"] && called["PurgePrivateData"], "the test looks at the adapter")
	stub := reflect.TypeFor[shim.ChaincodeStubInterface]()
	for i := range stub.NumMethod() {
		name := stub.Method(i).Name
		for _, bad := range []string{"Del", "Query", "History", "InvokeChaincode", "GetStateByRange"} {
			if strings.HasPrefix(name, bad) || strings.Contains(name, bad) {
				require.False(t, called[name], "the adapter calls %s", name)
			}
		}
	}
}

// TestPrivateDataIsShownToGatewaysAlone asks who a pseudonym is, by people, administrators and strangers; the ledger's own tests ask the other
// queries of private data (TestAbsentAndHiddenAreTheSame).
func TestPrivateDataIsShownToGatewaysAlone(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	p := r.NewPatient(t, ledgertest.HospitalA)
	r.succeeds(r.signed(p, ledgerapi.RegisterPatient, p.Args()))
	clinician, _ := r.Orgs[ledgertest.HospitalA].Issue(t, ledgertest.Wish{CN: "cli_x", Role: string(emr.RolePhysician), Level: string(emr.LevelPrivate)})
	org := r.Orgs[ledgertest.HospitalA]
	argument, err := emr.Canonical(ledgerapi.ResolvePatientQuery{Patient: p.ID})
	require.NoError(t, err)
	ask := func(creator []byte) *emr.Error {
		return r.fails(r.fabric.stub(creator, r.Now, ledgerapi.ResolvePatient, string(argument)))
	}
	asClinician := *org.Gateway
	asClinician.Certificate = clinician
	for name, caller := range map[string][]byte{
		"an administrator": identity(t, org.Admin), "a clinician": identity(t, &asClinician), "nobody": nil, "noise": []byte("noise"),
	} {
		e := ask(caller)
		require.True(t, slices.Contains([]emr.Code{emr.CodeForbidden, emr.CodeUnauthenticated}, e.Code), "%s: %s", name, e.Code)
		require.NotContains(t, fmt.Sprint(e), string(p.Handle))
	}
	var view ledgerapi.PatientView
	r.query(ledgerapi.ResolvePatient, ledgerapi.ResolvePatientQuery{Patient: p.ID}, &view)
	require.Equal(t, p.Handle, view.Patient.Handle, "a gateway is answered")
}
