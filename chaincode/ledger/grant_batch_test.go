// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledger_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/chaincode/ledger"
	"github.com/emrys-health/emrys/chaincode/ledger/ledgertest"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
	"github.com/emrys-health/emrys/pkg/pre"
)

func (s *scene) several(grants ...*ledgerapi.GrantAccessArgs) ledgerapi.GrantBatchArgs {
	args := ledgerapi.GrantBatchArgs{Patient: s.patient.Handle, Grants: []ledgerapi.GrantAccessArgs{}}
	for _, g := range grants {
		args.Grants = append(args.Grants, *g)
	}
	return args
}

// TestABatchOfGrantsIsThatOfEachAlone: what is decided from a grant does not tell
// how it was given, and each holds and ends by itself.
func TestABatchOfGrantsIsThatOfEachAlone(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	colleague := s.Clinician(t, ledgertest.HospitalC, emr.RolePhysician, emr.LevelPrivate)
	second := s.Record(t, s.author, s.scope, emr.ClassPrescription).Record
	request := s.ask(s.record.Record)
	s.Do(t, s.reader, ledgerapi.RequestAccess, request)
	first, ward, keys := s.Grant(s.scope, s.reader, s.record.Record, second), s.Grant(s.scope, colleague), s.direct(t, second)
	first.Request = request.Request
	for i := range first.Fragments {
		first.Fragments[i].Sealed = append(first.Fragments[i].Sealed, " of this grant alone"...)
	}
	before := s.head(t, s.patient.Handle).Sequence
	answer := s.Do(t, s.patient, ledgerapi.GrantBatch, s.several(first, ward, keys)).(*ledgerapi.GrantBatchReceipt)
	require.Equal(t, []emr.GrantID{first.Terms.Grant, ward.Terms.Grant, keys.Terms.Grant}, answer.IDs)
	require.Empty(t, answer.Waiting)
	require.Equal(t, before+4, s.head(t, s.patient.Handle).Sequence, "one entry for each record, or scope, of each grant")
	s.verified(t, s.patient.Handle)
	require.Equal(t, first.Terms.Grant, s.getRequest(t, request.Request).Grant)
	event := s.Events[len(s.Events)-1]
	require.Equal(t, ledgerapi.EventGrantsGiven, event.Name)
	require.Contains(t, string(event.Payload), fmt.Sprintf(`"ids":[%q,%q,%q]`, first.Terms.Grant, ward.Terms.Grant, keys.Terms.Grant))

	for _, by := range []struct {
		who   *ledgertest.Clinician
		grant *ledgerapi.GrantAccessArgs
	}{{s.reader, first}, {colleague, ward}} {
		read := s.read(by.grant.Terms.Grant)
		require.Equal(t, emr.Permit, s.disclose(t, by.who, read).Decision)
		ticket := s.check(t, ledgertest.HospitalA, s.open(t, by.who, read.Disclosure))
		require.Equal(t, by.grant.Fragments[0], ticket.Fragment)
		require.Equal(t, emr.ReasonNotGrantee, s.disclose(t, s.author, s.read(by.grant.Terms.Grant)).Reason)
	}
	asked := s.Do(t, colleague, ledgerapi.RequestAccess, s.ask(second)).(*ledgerapi.DecisionReceipt)
	require.Equal(t, ward.Terms.Grant, asked.Grant, "a request finds each of them")

	s.Do(t, s.patient, ledgerapi.RevokeAccess, ledgerapi.RevokeAccessArgs{Patient: s.patient.Handle, Grant: first.Terms.Grant})
	require.Empty(t, s.Private(ledgerapi.FragmentKey(first.Terms.Grant)))
	left := [][]byte{s.Private(ledgerapi.FragmentKey(ward.Terms.Grant)), s.Private(ledgerapi.FragmentKey(keys.Terms.Grant))}
	for _, value := range left {
		require.NotEmpty(t, value, "revoking one purges its own only")
		for i := range first.Fragments {
			encoded, err := emr.Canonical(&first.Fragments[i])
			require.NoError(t, err)
			require.NotContains(t, string(value), string(encoded), "and no other holds a copy of what was purged")
		}
	}
	require.Equal(t, emr.ReasonRevoked, s.disclose(t, s.reader, s.read(first.Terms.Grant)).Reason)
	require.Equal(t, emr.Permit, s.disclose(t, colleague, s.read(ward.Terms.Grant)).Decision)
}

func TestABatchOfGrantsIsAllOrNothing(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	other := s.Patient(t, ledgertest.HospitalA)
	given := s.give(t)
	request := s.ask(s.record.Record)
	request.Purpose = emr.PurposeResearch
	s.Do(t, s.reader, ledgerapi.RequestAccess, request)
	answering := func() *ledgerapi.GrantAccessArgs {
		g := s.Grant(s.scope, s.reader, s.record.Record)
		g.Request, g.Terms.Purposes = request.Request, []emr.Purpose{emr.PurposeResearch}
		return g
	}
	good := func() *ledgerapi.GrantAccessArgs { return s.Grant(s.scope, s.reader, s.record.Record) }
	changed := func(change func(*ledgerapi.GrantAccessArgs)) *ledgerapi.GrantAccessArgs {
		g := good()
		change(g)
		return g
	}
	twin := good()
	crowd := make([]*ledgerapi.GrantAccessArgs, ledgerapi.MaxGrantBatch+1)
	for i := range crowd {
		crowd[i] = good()
	}
	full := func(n int) *ledgerapi.GrantAccessArgs {
		return changed(func(g *ledgerapi.GrantAccessArgs) { g.Terms.Records = make([]emr.RecordID, n) })
	}
	for name, test := range map[string]struct {
		by     ledgertest.Member
		grants []*ledgerapi.GrantAccessArgs
		code   emr.Code
		field  string
	}{
		"none":                         {s.patient, nil, emr.CodeInvalid, "grants"},
		"17 grants":                    {s.patient, crowd, emr.CodeInvalid, "grants"},
		"a grant twice":                {s.patient, []*ledgerapi.GrantAccessArgs{twin, twin}, emr.CodeInvalid, "grants"},
		"a request answered twice":     {s.patient, []*ledgerapi.GrantAccessArgs{answering(), answering()}, emr.CodeInvalid, "grants"},
		"101 records in all":           {s.patient, []*ledgerapi.GrantAccessArgs{full(60), full(41)}, emr.CodeInvalid, "grants"},
		"another patient's among them": {s.patient, []*ledgerapi.GrantAccessArgs{good(), changed(func(g *ledgerapi.GrantAccessArgs) { g.Terms.Patient = other.Handle })}, emr.CodeForbidden, "one patient"},
		"in another patient's name":    {other, []*ledgerapi.GrantAccessArgs{good()}, emr.CodeForbidden, ""},
		"one that is given already":    {s.patient, []*ledgerapi.GrantAccessArgs{good(), given}, emr.CodeExists, "grants[1]"},
		"one that is over":             {s.patient, []*ledgerapi.GrantAccessArgs{good(), changed(func(g *ledgerapi.GrantAccessArgs) { g.Terms.Until = s.Now })}, emr.CodeInvalid, "grants[1].terms"},
		"one without a fragment":       {s.patient, []*ledgerapi.GrantAccessArgs{good(), changed(func(g *ledgerapi.GrantAccessArgs) { g.Fragments = g.Fragments[1:] })}, emr.CodeInvalid, "grants[1].fragments"},
		"one of an unknown record":     {s.patient, []*ledgerapi.GrantAccessArgs{good(), s.Grant(s.scope, s.reader, ledgertest.ID[emr.RecordID]("rec_"))}, emr.CodeNotFound, "grants[1]"},
		"one to a purpose too many":    {s.patient, []*ledgerapi.GrantAccessArgs{good(), changed(func(g *ledgerapi.GrantAccessArgs) { g.Terms.Purposes = []emr.Purpose{emr.PurposePayment} })}, emr.CodeRule, "grants[1].terms.purposes"},
		"one that answers otherwise":   {s.patient, []*ledgerapi.GrantAccessArgs{good(), changed(func(g *ledgerapi.GrantAccessArgs) { g.Request = request.Request })}, emr.CodeRule, "grants[1].request"},
	} {
		t.Run(name, func(t *testing.T) {
			before, private := s.Dump(), s.Private(ledgerapi.FragmentKey(twin.Terms.Grant))
			_, err := s.Try(t, test.by, ledgerapi.GrantBatch, s.several(test.grants...))
			refuses(t, err, test.code, test.field)
			require.Equal(t, before, s.Dump())
			require.Equal(t, private, s.Private(ledgerapi.FragmentKey(twin.Terms.Grant)))
		})
	}
	s.withdraw(t)
	_, err := s.Try(t, s.patient, ledgerapi.GrantBatch, s.several(good()))
	refuses(t, err, emr.CodeRule, "change the consent first")
	require.Equal(t, emr.ReasonConsentWithdrawn, emr.Public(err).Reason)
}

// TestAFailingStoreFailsTheBatchOfGrants and is not told as a fault of one of them.
func TestAFailingStoreFailsTheBatchOfGrants(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	raw := ledgertest.Raw(t, s.Sign(t, s.patient, ledgerapi.GrantBatch, s.several(s.Grant(s.scope, s.reader), s.direct(t, s.record.Record))))
	for _, operation := range []string{"get", "put", "putPrivate", "emit"} {
		for n := range 80 {
			left := n
			tx := s.Begin(s.Facts(s.patient.Org.Gateway)).With(ledgertest.Hooks{Fail: func(op string) error {
				if op == operation {
					left--
				}
				if left < 0 {
					return errors.New("disk")
				}
				return nil
			}})
			_, err := ledger.GrantBatch(tx, raw)
			if err == nil {
				require.Positive(t, n, operation)
				break
			}
			require.Equal(t, emr.CodeInternal, emr.CodeOf(err), operation)
		}
	}
}

// TestTheLargestBatchFitsIntoAnAction: 16 grants to six gateways each, with sealed
// fragments of their real size.
func TestTheLargestBatchFitsIntoAnAction(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	const gateways = 6
	sealed := bytes.Repeat([]byte{0xff}, pre.SealOverhead+227+len(ledgertest.HospitalA))
	var grants []*ledgerapi.GrantAccessArgs
	for range ledgerapi.MaxGrantBatch {
		g := s.Grant(s.scope, s.reader, s.record.Record)
		for len(g.Fragments) < gateways {
			g.Terms.Gateways = append(g.Terms.Gateways, ledgertest.HospitalA)
			g.Fragments = append(g.Fragments, emr.SealedFragment{})
		}
		for i := range g.Fragments {
			g.Fragments[i] = emr.SealedFragment{Gateway: ledgertest.HospitalA, Commitment: sha256.Sum256(sealed), Sealed: sealed}
		}
		grants = append(grants, g)
	}
	args := s.several(grants...)
	for i := range ledgerapi.MaxBatchRecords - ledgerapi.MaxGrantBatch {
		g := &args.Grants[i%ledgerapi.MaxGrantBatch]
		g.Terms.Records = append(g.Terms.Records, emr.RecordID("rec_"+strings.Repeat("0", 32)))
	}
	signed := s.Sign(t, s.patient, ledgerapi.GrantBatch, args)
	t.Logf("%d bytes of %d", len(signed.Body), emr.MaxActionSize)
	require.Less(t, len(signed.Body), emr.MaxActionSize)
	_, err := signed.Parse()
	require.NoError(t, err)
}

func TestADelegateMayGiveABatchAndIsNamedInEach(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	friend := s.Patient(t, ledgertest.HospitalB)
	args := s.several(s.Grant(s.scope, s.reader), s.Grant(s.scope, s.author))
	_, err := s.Try(t, friend, ledgerapi.GrantBatch, args)
	refuses(t, err, emr.CodeForbidden, "no delegate")
	s.Do(t, s.patient, ledgerapi.NameDelegate, ledgerapi.NameDelegateArgs{
		Patient: s.patient.Handle, Delegate: friend.Handle, Kind: emr.DelegationChosen, Until: s.Now.Add(time.Hour),
	})
	for _, id := range s.Do(t, friend, ledgerapi.GrantBatch, args).(*ledgerapi.GrantBatchReceipt).IDs {
		require.Equal(t, friend.Handle, s.getGrant(t, id).By)
	}
}
