// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledger_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/chaincode/ledger"
	"github.com/emrys-health/emrys/chaincode/ledger/ledgertest"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// array makes the JSON array of a batch.
func array(elements ...[]byte) []byte {
	return append(append([]byte("["), bytes.Join(elements, []byte(","))...), ']')
}

// part is one signed reading as it stands in a batch.
func (s *scene) part(t testing.TB, by ledgertest.Actor, args ledgerapi.DiscloseArgs) []byte {
	t.Helper()
	return ledgertest.Raw(t, s.Sign(t, by, ledgerapi.Disclose, args))
}

// batch submits a batch through the reader's gateway and requires that it commits.
func (s *scene) batch(t testing.TB, parts ...[]byte) *ledgerapi.BatchReceipt {
	t.Helper()
	answer, err := s.SubmitRaw(s.reader.Org.Gateway, ledgerapi.DiscloseBatch, array(parts...))
	require.NoError(t, err)
	return answer.(*ledgerapi.BatchReceipt)
}

// TestABatchOfOneWritesWhatTheSingleTransactionWrites compares the two on the same
// state, with the same action, for a permit, a denial and an emergency.
func TestABatchOfOneWritesWhatTheSingleTransactionWrites(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	grant := s.Grant(s.scope, s.reader, s.record.Record)
	grant.Terms.MaxUses = 1
	s.Do(t, s.patient, ledgerapi.GrantAccess, grant)
	for name, args := range map[string]ledgerapi.DiscloseArgs{
		"a permit": s.read(grant.Terms.Grant), "a denial": s.read(""), "an emergency": s.under(s.broken(t)),
	} {
		t.Run(name, func(t *testing.T) {
			signed := s.part(t, s.reader, args)
			single := s.Begin(s.Facts(s.reader.Org.Gateway))
			batched := single.Again()
			receipt, err := ledger.Disclose(single, signed)
			require.NoError(t, err)
			answer, err := ledger.DiscloseBatch(batched, array(signed))
			require.NoError(t, err)
			require.Len(t, answer.Outcomes, 1)
			require.Equal(t, receipt, answer.Of(0))
			require.Empty(t, answer.Outcomes[0].Receipt.TxID, "every peer would store it for each reading")
			one, many := single.Effects(), batched.Effects()
			require.NotEmpty(t, one.Writes)
			require.Equal(t, one.Writes, many.Writes)
			require.Equal(t, one.Reads, many.Reads)
			require.Equal(t, one.Private, many.Private)
			require.Equal(t, ledgerapi.EventDisclosedBatch, many.Event.Name)
			require.JSONEq(t, strings.Replace(strings.Replace(string(one.Event.Payload), `"id":"`+receipt.ID+`"`, `"id":""`, 1),
				`"record":"`+string(args.Record)+`"`, `"record":"","ids":["`+receipt.ID+`"]`, 1), string(many.Event.Payload))
		})
	}
}

// TestABatchOfSeveralIsTheSumOfItsParts: the trail and the disclosures are those
// of single transactions, one by one, two of them of one record included.
func TestABatchOfSeveralIsTheSumOfItsParts(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	grant := s.give(t)
	other := s.Clinician(t, ledgertest.HospitalB, emr.RolePhysician, emr.LevelPrivate)
	second := s.Record(t, s.author, s.scope, emr.ClassPrescription)
	elsewhere := s.read("")
	elsewhere.Record = second.Record
	all := []struct {
		by     *ledgertest.Clinician
		args   ledgerapi.DiscloseArgs
		reason emr.Reason
	}{
		{s.reader, s.read(grant.Terms.Grant), emr.ReasonGrant},
		{s.reader, s.read(grant.Terms.Grant), emr.ReasonGrant},
		{other, s.read(grant.Terms.Grant), emr.ReasonNotGrantee},
		{s.reader, elsewhere, emr.ReasonNoGrant},
		{s.reader, s.under(s.broken(t)), emr.ReasonEmergency},
	}
	var parts [][]byte
	for _, one := range all {
		parts = append(parts, s.part(t, one.by, one.args))
	}
	before := len(s.trail(t, s.patient.Handle))
	answer := s.batch(t, parts...)
	trail := s.trail(t, s.patient.Handle)
	require.Len(t, trail, before+len(all), "two readings of one record are two entries")
	for i, one := range all {
		require.Empty(t, answer.Outcomes[i].Code)
		require.Equal(t, one.reason, answer.Outcomes[i].Receipt.Reason)
		require.Equal(t, string(one.args.Disclosure), answer.Outcomes[i].Receipt.ID)
		d, err := ledger.GetDisclosure(s.Query(s.Orgs[ledgertest.HospitalC]), ledgerapi.DisclosureQuery{Disclosure: one.args.Disclosure})
		require.NoError(t, err)
		require.Equal(t, one.reason, d.Reason)
		require.Equal(t, answer.Outcomes[i].Action, d.Action)
		view, err := ledger.GetAction(s.Query(s.Orgs[ledgertest.HospitalC]), ledgerapi.ActionQuery{Action: d.Action})
		require.NoError(t, err)
		require.Equal(t, &ledgerapi.ActionView{Committed: true, TxID: answer.TxID, ID: string(d.ID)}, view)
		require.True(t, contains(trail[:len(all)], func(e emr.AuditEntry) bool {
			return e.Ref == string(d.ID) && e.Reason == one.reason && e.Actor == string(one.by.ID) && e.TxID == answer.TxID
		}))
		ticket := s.check(t, ledgertest.HospitalA, s.open(t, one.by, d.ID))
		require.Equal(t, one.reason, ticket.Reason)
	}
	byRecord, err := ledger.AuditByRecord(s.Query(s.Orgs[ledgertest.HospitalC]), ledgerapi.PageQuery{Record: s.record.Record})
	require.NoError(t, err)
	disclosed := 0
	for _, e := range byRecord.Items {
		if e.Kind == emr.AuditDisclosure {
			disclosed++
		}
	}
	require.Equal(t, 4, disclosed)
}

// TestTheLastUseIsGivenOnceInABatch: reads see committed state only, and still
// the second reading does not get what the first one took.
func TestTheLastUseIsGivenOnceInABatch(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	grant := s.Grant(s.scope, s.reader, s.record.Record)
	grant.Terms.MaxUses = 2
	s.Do(t, s.patient, ledgerapi.GrantAccess, grant)
	s.disclose(t, s.reader, s.read(grant.Terms.Grant))
	answer := s.batch(t, s.part(t, s.reader, s.read(grant.Terms.Grant)), s.part(t, s.reader, s.read(grant.Terms.Grant)))
	require.Equal(t, emr.ReasonGrant, answer.Outcomes[0].Receipt.Reason)
	require.Equal(t, emr.ReasonExhausted, answer.Outcomes[1].Receipt.Reason)
	require.Equal(t, emr.ReasonExhausted, s.disclose(t, s.reader, s.read(grant.Terms.Grant)).Reason)
}

func TestABatchAndASingleReadingDoNotShareTheLastUse(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	grant := s.Grant(s.scope, s.reader, s.record.Record)
	grant.Terms.MaxUses = 1
	s.Do(t, s.patient, ledgerapi.GrantAccess, grant)
	batch := s.Begin(s.Facts(s.reader.Org.Gateway))
	_, err := ledger.DiscloseBatch(batch, array(s.part(t, s.reader, s.read(grant.Terms.Grant))))
	require.NoError(t, err)
	s.disclose(t, s.reader, s.read(grant.Terms.Grant))
	require.ErrorIs(t, batch.Commit(), ledgertest.ErrConflict)
}

// TestOneBadPartSpoilsNoOther puts every kind of bad part between two good ones.
func TestOneBadPartSpoilsNoOther(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	grant := s.give(t)
	foreign := s.Clinician(t, ledgertest.HospitalC, emr.RolePhysician, emr.LevelPrivate)
	stranger := s.NewClinician(t, ledgertest.HospitalB, ledgertest.Wish{Role: "physician"})
	good := func(t *testing.T) []byte { return s.part(t, s.reader, s.read(grant.Terms.Grant)) }
	spent := good(t)
	s.batch(t, spent)
	taken := s.read(grant.Terms.Grant)
	s.disclose(t, s.reader, taken)
	expired := s.Action(t, s.reader, ledgerapi.Disclose, s.read(grant.Terms.Grant))
	expired.Issued, expired.Expires = s.Now-100, s.Now
	unknown := s.read(grant.Terms.Grant)
	unknown.Record = ledgertest.ID[emr.RecordID](emr.RecordPrefix)
	own := s.read("")
	own.Purpose = emr.PurposePatient
	for name, test := range map[string]struct {
		part []byte
		code emr.Code
	}{
		"a number":                     {[]byte(`1`), emr.CodeInvalid},
		"a null":                       {[]byte(`null`), emr.CodeUnsupported},
		"an empty object":              {[]byte(`{}`), emr.CodeUnsupported},
		"an unknown field":             {[]byte(`{"kind":"p256","x":1}`), emr.CodeInvalid},
		"a body that is no action":     {[]byte(`{"kind":"p256","body":"e30=","signature":""}`), emr.CodeInvalid},
		"another function":             {ledgertest.Raw(t, s.Sign(t, s.reader, ledgerapi.RequestAccess, s.ask(s.record.Record))), emr.CodeInvalid},
		"a forged signature":           {ledgertest.Raw(t, ledgertest.Seal(t, s.Action(t, s.reader, ledgerapi.Disclose, s.read(grant.Terms.Grant)), s.author.Key)), emr.CodeUnauthenticated},
		"an expired action":            {ledgertest.Raw(t, ledgertest.Seal(t, expired, s.reader.Key)), emr.CodeUnauthenticated},
		"an action that was spent":     {spent, emr.CodeExists},
		"a disclosure that was made":   {s.part(t, s.reader, taken), emr.CodeExists},
		"an unknown record":            {s.part(t, s.reader, unknown), emr.CodeNotFound},
		"another gateway's clinician":  {s.part(t, foreign, s.read(grant.Terms.Grant)), emr.CodeForbidden},
		"somebody who is unregistered": {s.part(t, stranger, s.read(grant.Terms.Grant)), emr.CodeUnauthenticated},
		"a patient":                    {s.part(t, s.patient, own), emr.CodeForbidden},
	} {
		t.Run(name, func(t *testing.T) {
			first, last := s.read(grant.Terms.Grant), s.read(grant.Terms.Grant)
			before := len(s.trail(t, s.patient.Handle))
			answer := s.batch(t, s.part(t, s.reader, first), test.part, s.part(t, s.reader, last))
			require.Equal(t, test.code, answer.Outcomes[1].Code, answer.Outcomes[1].Message)
			require.Zero(t, answer.Outcomes[1].Receipt)
			require.Equal(t, test.code == emr.CodeExists && answer.Outcomes[1].SpentBy != "", name == "an action that was spent")
			for _, i := range []int{0, 2} {
				require.Empty(t, answer.Outcomes[i].Code)
				require.Equal(t, emr.Permit, answer.Outcomes[i].Receipt.Decision)
			}
			require.Len(t, s.trail(t, s.patient.Handle), before+2, "what is refused leaves nothing")
			event := s.Events[len(s.Events)-1]
			require.Contains(t, string(event.Payload), `"ids":["`+string(first.Disclosure)+`","`+string(last.Disclosure)+`"]`)
		})
	}
}

// TestADisclosureMadeInABatchIsNotMadeAgainInIt: two actions, one id.
func TestADisclosureMadeInABatchIsNotMadeAgainInIt(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	grant := s.give(t)
	args := s.read(grant.Terms.Grant)
	answer := s.batch(t, s.part(t, s.reader, args), s.part(t, s.reader, args))
	require.Equal(t, []emr.Code{"", emr.CodeExists}, []emr.Code{answer.Outcomes[0].Code, answer.Outcomes[1].Code})
}

func TestABatchOfRefusalsWritesNothing(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	before, events := s.Dump(), len(s.Events)
	answer := s.batch(t, []byte(`{}`), []byte(`1`))
	require.Len(t, answer.Outcomes, 2)
	require.Equal(t, before, s.Dump())
	require.Len(t, s.Events, events)
}

func TestABatchAsAWholeIsRefused(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	grant := s.give(t)
	one := s.part(t, s.reader, s.read(grant.Terms.Grant))
	var many [][]byte
	for range ledgerapi.MaxBatch + 1 {
		many = append(many, s.part(t, s.reader, s.read(grant.Terms.Grant)))
	}
	// The same action under another signature is the same action.
	action := s.Action(t, s.reader, ledgerapi.Disclose, s.read(grant.Terms.Grant))
	twin := [][]byte{
		ledgertest.Raw(t, ledgertest.Seal(t, action, s.reader.Key)), ledgertest.Raw(t, ledgertest.Seal(t, action, s.author.Key)),
	}
	for name, test := range map[string]struct {
		raw  []byte
		code emr.Code
	}{
		"nothing":                         {nil, emr.CodeInvalid},
		"no JSON":                         {[]byte("["), emr.CodeInvalid},
		"a single action":                 {one, emr.CodeInvalid},
		"a null":                          {[]byte("null"), emr.CodeInvalid},
		"an empty array":                  {[]byte("[]"), emr.CodeInvalid},
		"two arrays":                      {[]byte("[{}][{}]"), emr.CodeInvalid},
		"the same part twice":             {array(one, many[0], one), emr.CodeInvalid},
		"the same garbage twice":          {array([]byte("1"), []byte("1")), emr.CodeInvalid},
		"one action, two signatures":      {array(twin...), emr.CodeInvalid},
		"65 actions":                      {array(many...), emr.CodeTooLarge},
		"an action that is too large":     {array([]byte(`"` + strings.Repeat("x", ledgerapi.MaxBatchedAction) + `"`)), emr.CodeTooLarge},
		"an array that is much too large": {bytes.Repeat([]byte(" "), 1<<20), emr.CodeTooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			before := s.Dump()
			_, err := s.SubmitRaw(s.reader.Org.Gateway, ledgerapi.DiscloseBatch, test.raw)
			refuses(t, err, test.code, ledgerapi.TransientActions)
			require.Equal(t, before, s.Dump())
		})
	}
	_, err := s.SubmitRaw(s.reader.Org.Admin, ledgerapi.DiscloseBatch, array(one))
	refuses(t, err, emr.CodeForbidden, "gateway")
	answer, err := s.SubmitRaw(s.reader.Org.Gateway, ledgerapi.DiscloseBatch, array(many[:ledgerapi.MaxBatch]...))
	require.NoError(t, err)
	for _, outcome := range answer.(*ledgerapi.BatchReceipt).Outcomes {
		require.Equal(t, emr.Permit, outcome.Receipt.Decision)
	}
}

// TestAFailingStoreFailsTheBatch: an outcome is a fact that every peer finds; a
// disk that fails at one of them is none.
func TestAFailingStoreFailsTheBatch(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	grant := s.give(t)
	raw := array(s.part(t, s.reader, s.read(grant.Terms.Grant)))
	for _, operation := range []string{"get", "put", "emit"} {
		for n := range 40 {
			left := n
			tx := s.Begin(s.Facts(s.reader.Org.Gateway)).With(ledgertest.Hooks{Fail: func(op string) error {
				if op != operation {
					return nil
				}
				left--
				if left < 0 {
					return errors.New("disk")
				}
				return nil
			}})
			answer, err := ledger.DiscloseBatch(tx, raw)
			if err == nil {
				require.Positive(t, n, operation)
				require.Equal(t, emr.Permit, answer.Outcomes[0].Receipt.Decision)
				break
			}
			require.Equal(t, emr.CodeInternal, emr.CodeOf(err), operation)
		}
	}
}

// TestTwoPeersComputeTheSameBatch runs a batch of good and bad parts many times.
func TestTwoPeersComputeTheSameBatch(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	grant := s.Grant(s.scope, s.reader, s.record.Record)
	grant.Terms.MaxUses = 3
	s.Do(t, s.patient, ledgerapi.GrantAccess, grant)
	var parts [][]byte
	for range 6 {
		parts = append(parts, s.part(t, s.reader, s.read(grant.Terms.Grant)))
	}
	raw := array(append(parts, []byte(`{}`))...)
	s.Wait(time.Second)
	first := s.Begin(s.Facts(s.reader.Org.Gateway))
	answer, err := ledger.DiscloseBatch(first, raw)
	require.NoError(t, err)
	for range 20 {
		again := first.Again()
		second, err := ledger.DiscloseBatch(again, raw)
		require.NoError(t, err)
		require.Equal(t, answer, second)
		require.Equal(t, first.Effects(), again.Effects())
	}
}

// TestBatchesOfDifferentGrantsDoNotConflict: disclosures are the hot path.
func TestBatchesOfDifferentGrantsDoNotConflict(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	grant := s.give(t)
	var txs []*ledgertest.Tx
	for range 3 {
		tx := s.Begin(s.Facts(s.reader.Org.Gateway))
		_, err := ledger.DiscloseBatch(tx, array(s.part(t, s.reader, s.read(grant.Terms.Grant)), s.part(t, s.reader, s.read(""))))
		require.NoError(t, err)
		txs = append(txs, tx)
	}
	for _, tx := range txs {
		require.NoError(t, tx.Commit())
	}
}

func FuzzDiscloseBatch(f *testing.F) {
	s := newScene(f)
	good := s.part(f, s.reader, s.read(""))
	f.Add([]byte(`[]`))
	f.Add([]byte(`[{},1,null,"x",[[]]]`))
	f.Add([]byte(`[{"kind":"p256","body":"e30=","signature":""}]`))
	f.Add(array(good))
	f.Fuzz(func(t *testing.T, raw []byte) {
		tx := s.Begin(s.Facts(s.reader.Org.Gateway))
		answer, err := ledger.DiscloseBatch(tx, raw)
		if err != nil {
			require.NotEqual(t, emr.CodeInternal, emr.CodeOf(err), "%v", err)
			require.Empty(t, tx.Effects().Writes)
			return
		}
		for _, outcome := range answer.Outcomes {
			require.True(t, outcome.Code.Valid() || outcome.Action != emr.Digest{})
		}
	})
}
