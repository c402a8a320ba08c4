// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledger_test

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/emrys-health/emrys/chaincode/ledger"
	"github.com/emrys-health/emrys/chaincode/ledger/ledgertest"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
	"github.com/emrys-health/emrys/pkg/trail"
)

// unsealed returns everything of an organisation that is under no seal, newest first.
func (s *scene) unsealed(t testing.TB, org emr.OrgID) []ledgerapi.UnsealedEntry {
	t.Helper()
	var all []ledgerapi.UnsealedEntry
	q := ledgerapi.UnsealedQuery{Org: org, Limit: 40}
	for {
		page, err := ledger.ListUnsealed(s.Query(s.Orgs[org]), q)
		require.NoError(t, err)
		all = append(all, page.Items...)
		if page.Bookmark == "" {
			return all
		}
		q.Bookmark = page.Bookmark
	}
}

func namesOf(entries []ledgerapi.UnsealedEntry) []ledgerapi.EntryName {
	var names []ledgerapi.EntryName
	for _, e := range entries {
		names = append(names, e.Name)
	}
	return names
}

// seal runs SealReadings twice, as two peers do, and commits it.
func (s *scene) seal(t testing.TB, org emr.OrgID, names ...ledgerapi.EntryName) (*ledgerapi.Receipt, error) {
	t.Helper()
	args := ledgerapi.SealReadingsArgs{Entries: names}
	tx := s.Begin(s.Facts(s.Orgs[org].Gateway))
	again := tx.Again()
	answer, err := ledger.SealReadings(tx, args)
	second, secondErr := ledger.SealReadings(again, args)
	if err != nil {
		require.Equal(t, ledgerapi.EncodeError(err), ledgerapi.EncodeError(secondErr))
		return nil, err
	}
	require.NoError(t, secondErr)
	require.Equal(t, answer, second)
	require.Equal(t, tx.Effects(), again.Effects())
	return answer, tx.Commit()
}

// seals returns an organisation's seals and their head, verified.
func (s *scene) seals(t testing.TB, org emr.OrgID) ([]emr.Seal, emr.SealHead) {
	t.Helper()
	var all []emr.Seal
	q := ledgerapi.SealsQuery{Org: org, Limit: 5}
	for {
		page, err := ledger.ListSeals(s.Query(s.Orgs[ledgertest.HospitalC]), q)
		require.NoError(t, err)
		all = append(all, page.Items...)
		if page.Bookmark == "" {
			report, err := trail.VerifySeals(all, page.Head)
			require.NoError(t, err)
			require.Equal(t, trail.Complete, report.Verdict, "%v", report.Faults)
			return all, page.Head
		}
		q.Bookmark = page.Bookmark
	}
}

func proofOf(e *emr.AuditEntry) ledgerapi.SealedQuery {
	return ledgerapi.SealedQuery{Org: e.Org, TxID: e.TxID, Record: e.Record, Ref: e.Ref}
}

func (s *scene) prove(t testing.TB, e *emr.AuditEntry) *emr.Inclusion {
	t.Helper()
	p, err := ledger.ProveSealed(s.Query(s.Orgs[ledgertest.HospitalC]), proofOf(e))
	require.NoError(t, err)
	return p
}

// TestAReadingIsProvenAloneUnderASeal: a patient takes one entry of the own trail
// and learns from any gateway that the reader's hospital has sealed it.
func TestAReadingIsProvenAloneUnderASeal(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	grant := s.give(t)
	for range 5 {
		s.disclose(t, s.reader, s.read(grant.Terms.Grant))
	}
	s.Do(t, s.reader, ledgerapi.RequestAccess, s.ask(s.record.Record))
	waiting := s.unsealed(t, ledgertest.HospitalB)
	require.Len(t, waiting, 7, "five readings, a request, and the reader's registration")
	receipt, err := s.seal(t, ledgertest.HospitalB, namesOf(waiting)...)
	require.NoError(t, err)
	require.Equal(t, "1", receipt.ID)
	require.Empty(t, s.unsealed(t, ledgertest.HospitalB))
	seals, head := s.seals(t, ledgertest.HospitalB)
	require.Equal(t, uint64(7), head.Entries)
	require.Equal(t, uint32(7), seals[0].Count)
	proven := 0
	for _, e := range s.trail(t, s.patient.Handle) {
		if e.Org != ledgertest.HospitalB {
			continue
		}
		p := s.prove(t, &e)
		require.Equal(t, e, p.Entry)
		require.Equal(t, seals[0], p.Seal)
		require.NoError(t, trail.VerifyInclusion(p))
		proven++
		p.Entry.Reason = emr.ReasonOwner
		require.Error(t, trail.VerifyInclusion(p))
	}
	require.Equal(t, 6, proven)
	seal, err := ledger.GetSeal(s.Query(s.Orgs[ledgertest.HospitalA]), ledgerapi.SealQuery{Org: ledgertest.HospitalB, Sequence: 1})
	require.NoError(t, err)
	require.Equal(t, seals[0], *seal)
	require.Equal(t, ledgerapi.EventReadingsSealed, s.Events[len(s.Events)-1].Name)
}

func TestASealIsRefused(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.disclose(t, s.reader, s.read(""))
	s.disclose(t, s.reader, s.read(""))
	mine := s.unsealed(t, ledgertest.HospitalB)
	theirs := s.unsealed(t, ledgertest.HospitalA)
	require.NotEmpty(t, theirs)
	_, err := s.seal(t, ledgertest.HospitalB, mine[2].Name)
	require.NoError(t, err)
	granted := s.give(t)
	chained := ledgerapi.EntryName{}
	for _, e := range s.trail(t, s.patient.Handle) {
		if e.Ref == string(granted.Terms.Grant) {
			chained = ledgerapi.EntryName{Moment: s.momentOf(t, ledgertest.HospitalA, &e), ID: ledgerapi.EntryID(e.TxID, e.Record, e.Ref)}
		}
	}
	unknown := mine[0].Name
	unknown.Moment = ledgerapi.Inverted(1, 0)
	many := make([]ledgerapi.EntryName, ledgerapi.MaxSealed+1)
	for i := range many {
		many[i] = ledgerapi.EntryName{Moment: ledgerapi.Inverted(emr.Time(i+1), 0), ID: "x"}
	}
	before := s.Dump()
	for name, c := range map[string]struct {
		org   emr.OrgID
		names []ledgerapi.EntryName
		code  emr.Code
	}{
		"nothing":                        {ledgertest.HospitalB, nil, emr.CodeInvalid},
		"too many":                       {ledgertest.HospitalB, many, emr.CodeInvalid},
		"one twice":                      {ledgertest.HospitalB, []ledgerapi.EntryName{mine[0].Name, mine[1].Name, mine[0].Name}, emr.CodeInvalid},
		"one that does not exist":        {ledgertest.HospitalB, []ledgerapi.EntryName{unknown}, emr.CodeNotFound},
		"another organisation's":         {ledgertest.HospitalB, []ledgerapi.EntryName{theirs[0].Name}, emr.CodeNotFound},
		"a hospital's, by the regulator": {ledgertest.Regulator, []ledgerapi.EntryName{mine[0].Name}, emr.CodeNotFound},
		"one sealed already":             {ledgertest.HospitalB, []ledgerapi.EntryName{mine[0].Name, mine[2].Name}, emr.CodeExists},
		"one of a patient's chain":       {ledgertest.HospitalA, []ledgerapi.EntryName{theirs[0].Name, chained}, emr.CodeRule},
		"a moment that is none":          {ledgertest.HospitalB, []ledgerapi.EntryName{{Moment: "1", ID: "x"}}, emr.CodeInvalid},
		"a separator in a moment":        {ledgertest.HospitalB, []ledgerapi.EntryName{{Moment: strings.Repeat("\x00", 28), ID: "x"}}, emr.CodeInvalid},
		"an empty id":                    {ledgertest.HospitalB, []ledgerapi.EntryName{{Moment: mine[0].Name.Moment}}, emr.CodeInvalid},
		"an id with a separator":         {ledgertest.HospitalB, []ledgerapi.EntryName{{Moment: mine[0].Name.Moment, ID: "a\x00b"}}, emr.CodeInvalid},
		"an id longer than any":          {ledgertest.HospitalB, []ledgerapi.EntryName{{Moment: mine[0].Name.Moment, ID: strings.Repeat("a", 200)}}, emr.CodeInvalid},
	} {
		_, err := s.seal(t, c.org, c.names...)
		require.Equal(t, c.code, emr.CodeOf(err), "%s: %v", name, err)
	}
	for name, caller := range map[string]*ledger.Caller{
		"an administrator": s.Orgs[ledgertest.HospitalB].Admin,
		"a clinician":      {MSP: ledgertest.HospitalB, Certificate: s.reader.Cert},
		"another's CA":     {MSP: ledgertest.HospitalB + "x", Certificate: s.Orgs[ledgertest.HospitalB].Gateway.Certificate},
	} {
		_, err := ledger.SealReadings(s.Begin(s.Facts(caller)), ledgerapi.SealReadingsArgs{Entries: namesOf(mine[:1])})
		require.Equal(t, emr.CodeForbidden, emr.CodeOf(err), name)
	}
	require.Equal(t, before, s.Dump())
}

// momentOf finds the inverted time under which an entry stands, by looking for it among the moments of the test.
func (s *scene) momentOf(t testing.TB, org emr.OrgID, e *emr.AuditEntry) string {
	t.Helper()
	for nanos := range int32(200) {
		moment := ledgerapi.Inverted(e.At, nanos)
		key := ledgerapi.Key{Type: ledgerapi.TypeAuditByOrg, Attributes: []string{string(org), moment, ledgerapi.EntryID(e.TxID, e.Record, e.Ref)}}
		if value, err := s.Query(s.Orgs[org]).Get(key); err == nil && value != nil {
			return moment
		}
	}
	t.Fatal("no such entry")
	return ""
}

// TestTwoSealsAtOnceAreOne: of two that seal one entry, or continue one chain, one commits.
func TestTwoSealsAtOnceAreOne(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.disclose(t, s.reader, s.read(""))
	s.disclose(t, s.reader, s.read(""))
	mine, theirs := s.unsealed(t, ledgertest.HospitalB), s.unsealed(t, ledgertest.HospitalA)
	begin := func(org emr.OrgID, names ...ledgerapi.EntryName) *ledgertest.Tx {
		tx := s.Begin(s.Facts(s.Orgs[org].Gateway))
		_, err := ledger.SealReadings(tx, ledgerapi.SealReadingsArgs{Entries: names})
		require.NoError(t, err)
		return tx
	}
	first, same := begin(ledgertest.HospitalB, mine[0].Name), begin(ledgertest.HospitalB, mine[0].Name)
	next, other := begin(ledgertest.HospitalB, mine[1].Name), begin(ledgertest.HospitalA, theirs[0].Name)
	require.NoError(t, first.Commit())
	require.ErrorIs(t, same.Commit(), ledgertest.ErrConflict)
	require.ErrorIs(t, next.Commit(), ledgertest.ErrConflict)
	require.NoError(t, other.Commit(), "another organisation's chain is another key")
	_, err := s.seal(t, ledgertest.HospitalB, mine[0].Name)
	require.Equal(t, emr.CodeExists, emr.CodeOf(err))
}

// TestSealingNeverConflictsWithReading: who reads waits for no seal, and no seal for a reading.
func TestSealingNeverConflictsWithReading(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.disclose(t, s.reader, s.read(""))
	names := namesOf(s.unsealed(t, ledgertest.HospitalB))
	sealing := s.Begin(s.Facts(s.Orgs[ledgertest.HospitalB].Gateway))
	_, err := ledger.SealReadings(sealing, ledgerapi.SealReadingsArgs{Entries: names})
	require.NoError(t, err)
	var readings []*ledgertest.Tx
	for range 3 {
		tx := s.Begin(s.Facts(s.reader.Org.Gateway))
		_, err := ledgertest.Run(tx, ledgerapi.Disclose, ledgertest.Raw(t, s.Sign(t, s.reader, ledgerapi.Disclose, s.read(""))))
		require.NoError(t, err)
		readings = append(readings, tx)
	}
	require.NoError(t, readings[0].Commit())
	require.NoError(t, sealing.Commit())
	require.NoError(t, readings[1].Commit())
	require.NoError(t, readings[2].Commit())
	require.Len(t, s.unsealed(t, ledgertest.HospitalB), 3)
}

func TestAProofIsRefused(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.disclose(t, s.reader, s.read(""))
	entry := s.trail(t, s.patient.Handle)[0]
	via := s.Orgs[ledgertest.HospitalA]
	_, err := ledger.ProveSealed(s.Query(via), proofOf(&entry))
	require.Equal(t, emr.CodeNotFound, emr.CodeOf(err), "it is under no seal yet")
	_, err = s.seal(t, ledgertest.HospitalB, namesOf(s.unsealed(t, ledgertest.HospitalB))...)
	require.NoError(t, err)
	for name, c := range map[string]struct {
		change func(*ledgerapi.SealedQuery)
		code   emr.Code
	}{
		"another organisation": {func(q *ledgerapi.SealedQuery) { q.Org = ledgertest.HospitalA }, emr.CodeNotFound},
		"another record":       {func(q *ledgerapi.SealedQuery) { q.Record = "" }, emr.CodeNotFound},
		"another transaction":  {func(q *ledgerapi.SealedQuery) { q.TxID = strings.Repeat("0", 64) }, emr.CodeNotFound},
		"no organisation":      {func(q *ledgerapi.SealedQuery) { q.Org = "" }, emr.CodeInvalid},
		"a separator":          {func(q *ledgerapi.SealedQuery) { q.Ref += "\x00" }, emr.CodeNotFound},
	} {
		q := proofOf(&entry)
		c.change(&q)
		_, err := ledger.ProveSealed(s.Query(via), q)
		require.Equal(t, c.code, emr.CodeOf(err), name)
	}
	_, err = ledger.ProveSealed(s.View(s.Facts(via.Admin)), proofOf(&entry))
	require.Equal(t, emr.CodeForbidden, emr.CodeOf(err))
	s.Overwrite(ledgerapi.SealLeavesKey(ledgertest.HospitalB, 1), []byte(`{"v":1,"leaves":"AA=="}`))
	_, err = ledger.ProveSealed(s.Query(via), proofOf(&entry))
	require.Equal(t, emr.CodeCorrupt, emr.CodeOf(err))
}

func TestWhatIsUnsealedIsForTheOrganisationAndTheRegulator(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.disclose(t, s.reader, s.read(""))
	q := ledgerapi.UnsealedQuery{Org: ledgertest.HospitalB}
	page, err := ledger.ListUnsealed(s.Query(s.Orgs[ledgertest.Regulator]), q)
	require.NoError(t, err)
	require.Len(t, page.Items, 2)
	for name, c := range map[string]struct {
		caller *ledger.Caller
		q      ledgerapi.UnsealedQuery
		code   emr.Code
	}{
		"another hospital":  {s.Orgs[ledgertest.HospitalA].Gateway, q, emr.CodeForbidden},
		"an administrator":  {s.Orgs[ledgertest.HospitalB].Admin, q, emr.CodeForbidden},
		"nobody's entries":  {s.Orgs[ledgertest.Regulator].Gateway, ledgerapi.UnsealedQuery{}, emr.CodeInvalid},
		"an end before":     {s.Orgs[ledgertest.Regulator].Gateway, ledgerapi.UnsealedQuery{Org: q.Org, From: 2, To: 2}, emr.CodeInvalid},
		"a negative page":   {s.Orgs[ledgertest.Regulator].Gateway, ledgerapi.UnsealedQuery{Org: q.Org, Limit: -1}, emr.CodeInvalid},
		"a forged bookmark": {s.Orgs[ledgertest.Regulator].Gateway, ledgerapi.UnsealedQuery{Org: q.Org, Bookmark: "x"}, emr.CodeInvalid},
	} {
		_, err := ledger.ListUnsealed(s.View(s.Facts(c.caller)), c.q)
		require.Equal(t, c.code, emr.CodeOf(err), name)
	}
	for _, bounds := range []struct {
		from, to emr.Time
		want     int
	}{{s.Now, 0, 2}, {s.Now + 1, 0, 0}, {0, s.Now, 0}, {0, s.Now + 1, 2}, {1, math.MaxInt64, 2}} {
		page, err := ledger.ListUnsealed(s.Query(s.Orgs[ledgertest.HospitalB]),
			ledgerapi.UnsealedQuery{Org: q.Org, From: bounds.from, To: bounds.to})
		require.NoError(t, err)
		require.Len(t, page.Items, bounds.want, "%v", bounds)
	}
}

func TestSealsAreListedAndAGapIsTold(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	for range 3 {
		s.disclose(t, s.reader, s.read(""))
		_, err := s.seal(t, ledgertest.HospitalB, s.unsealed(t, ledgertest.HospitalB)[0].Name)
		require.NoError(t, err)
	}
	seals, head := s.seals(t, ledgertest.HospitalB)
	require.Len(t, seals, 3)
	require.Equal(t, uint64(3), head.Sequence)
	via := s.Query(s.Orgs[ledgertest.HospitalA])
	for _, bad := range []string{"0", "4", "01", "-1", "x", "99999999999999999999"} {
		_, err := ledger.ListSeals(via, ledgerapi.SealsQuery{Org: ledgertest.HospitalB, Bookmark: bad})
		require.Equal(t, emr.CodeInvalid, emr.CodeOf(err), bad)
	}
	_, err := ledger.ListSeals(via, ledgerapi.SealsQuery{})
	require.Equal(t, emr.CodeInvalid, emr.CodeOf(err))
	_, err = ledger.GetSeal(via, ledgerapi.SealQuery{Org: ledgertest.HospitalB, Sequence: 4})
	require.Equal(t, emr.CodeNotFound, emr.CodeOf(err))
	empty, err := ledger.ListSeals(via, ledgerapi.SealsQuery{Org: ledgertest.HospitalC})
	require.NoError(t, err)
	require.Equal(t, &ledgerapi.SealPage{Head: emr.SealHead{V: 1, Org: ledgertest.HospitalC}, Items: []emr.Seal{}}, empty)
	s.Overwrite(ledgerapi.SealKey(ledgertest.HospitalB, 2), nil)
	_, err = ledger.ListSeals(via, ledgerapi.SealsQuery{Org: ledgertest.HospitalB})
	require.Error(t, err)
}

func TestAFailingStoreFailsTheSeal(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.disclose(t, s.reader, s.read(""))
	names := namesOf(s.unsealed(t, ledgertest.HospitalB))
	for n := 1; ; n++ {
		left := n
		broken := ledgertest.Hooks{Fail: func(string) error {
			if left--; left == 0 {
				return errors.New("disk")
			}
			return nil
		}}
		tx := s.Begin(s.Facts(s.Orgs[ledgertest.HospitalB].Gateway)).With(broken)
		_, err := ledger.SealReadings(tx, ledgerapi.SealReadingsArgs{Entries: names})
		if left > 0 {
			require.NoError(t, err, "every operation was tried")
			return
		}
		require.Equal(t, emr.CodeInternal, emr.CodeOf(err), "operation %d", n)
	}
}

// sealModel is what random readings, requests and seals must keep true: every entry
// without a place in a chain is under one seal or under none, and nothing else is.
type sealModel struct {
	*model
	made   map[emr.OrgID]int // entries that can be sealed, as events happen
	sealed map[emr.OrgID]map[string]bool
}

func (m *sealModel) someone(rt *rapid.T) emr.OrgID {
	return rapid.SampledFrom([]emr.OrgID{ledgertest.HospitalA, ledgertest.HospitalB, ledgertest.HospitalC}).Draw(rt, "org")
}

func (m *sealModel) readAny(rt *rapid.T) {
	reader := rapid.SampledFrom(m.readers).Draw(rt, "reader")
	m.disclose(m.t, reader, m.read(""))
	m.made[reader.Org.ID]++
}

func (m *sealModel) readTogether(rt *rapid.T) {
	n := rapid.IntRange(1, 3).Draw(rt, "parts")
	reader := rapid.SampledFrom(m.readers).Draw(rt, "reader")
	var parts []string
	for range n {
		parts = append(parts, string(m.part(m.t, reader, m.read(""))))
	}
	_, err := m.SubmitRaw(reader.Org.Gateway, ledgerapi.DiscloseBatch, []byte("["+strings.Join(parts, ",")+"]"))
	require.NoError(m.t, err)
	m.made[reader.Org.ID] += n
}

func (m *sealModel) requestAny(rt *rapid.T) {
	reader := rapid.SampledFrom(m.readers).Draw(rt, "reader")
	m.Do(m.t, reader, ledgerapi.RequestAccess, m.ask(m.record.Record))
	m.made[reader.Org.ID]++
}

// chainOne makes an entry that must never be sealed.
func (m *sealModel) chainOne(*rapid.T) {
	m.Do(m.t, m.patient, ledgerapi.GrantAccess, m.Grant(m.scope, m.readers[0], m.record.Record))
}

// sealSome seals a random choice, which may hold what is sealed already.
func (m *sealModel) sealSome(rt *rapid.T) {
	org := m.someone(rt)
	var names []ledgerapi.EntryName
	for _, e := range m.unsealed(m.t, org) {
		if rapid.Bool().Draw(rt, "take") {
			names = append(names, e.Name)
		}
	}
	if len(names) == 0 {
		return
	}
	_, err := m.seal(m.t, org, names...)
	require.NoError(m.t, err)
	for _, name := range names {
		require.False(m.t, m.sealed[org][name.ID], "sealed twice")
		m.sealed[org][name.ID] = true
	}
	_, err = m.seal(m.t, org, names[rapid.IntRange(0, len(names)-1).Draw(rt, "again")])
	require.Equal(m.t, emr.CodeExists, emr.CodeOf(err))
}

// conserved: count in is count out, and what is sealed can be proven.
func (m *sealModel) conserved(rt *rapid.T) {
	for _, org := range []emr.OrgID{ledgertest.HospitalA, ledgertest.HospitalB, ledgertest.HospitalC} {
		seals, head := m.seals(m.t, org)
		under := uint64(0)
		for _, seal := range seals {
			under += uint64(seal.Count)
		}
		require.Equal(m.t, under, head.Entries)
		require.Len(m.t, m.sealed[org], int(under)) //nolint:gosec // small
		waiting := m.unsealed(m.t, org)
		require.Equal(m.t, m.made[org], len(waiting)+len(m.sealed[org]), "%s", org)
		require.False(m.t, slices.ContainsFunc(waiting, func(e ledgerapi.UnsealedEntry) bool { return m.sealed[org][e.Name.ID] }))
	}
	e := rapid.SampledFrom(m.trail(m.t, m.patient.Handle)).Draw(rt, "entry")
	q := proofOf(&e)
	p, err := ledger.ProveSealed(m.Query(m.Orgs[ledgertest.Regulator]), q)
	if !m.sealed[e.Org][ledgerapi.EntryID(q.TxID, q.Record, q.Ref)] {
		require.Equal(m.t, emr.CodeNotFound, emr.CodeOf(err))
		return
	}
	require.NoError(m.t, err)
	require.NoError(m.t, trail.VerifyInclusion(p))
	require.True(m.t, e.Sequence == 0 && p.Entry == e)
}

func TestRandomSealsConserveEntries(t *testing.T) {
	t.Parallel()
	base := newScene(t)
	other := base.Clinician(t, ledgertest.HospitalC, emr.RolePhysician, emr.LevelPrivate)
	made := map[emr.OrgID]int{}
	for _, org := range []emr.OrgID{ledgertest.HospitalA, ledgertest.HospitalB, ledgertest.HospitalC} {
		made[org] = len(base.unsealed(t, org))
	}
	rapid.Check(t, func(rt *rapid.T) {
		copied := *base
		consortium := *base.Consortium
		consortium.World = base.Clone()
		copied.Consortium = &consortium
		m := &sealModel{
			model: &model{scene: &copied, t: t, readers: []*ledgertest.Clinician{base.reader, base.author, other}},
			made:  map[emr.OrgID]int{}, sealed: map[emr.OrgID]map[string]bool{},
		}
		for org, n := range made {
			m.made[org], m.sealed[org] = n, map[string]bool{}
		}
		rt.Repeat(map[string]func(*rapid.T){
			"read": m.readAny, "read together": m.readTogether, "request": m.requestAny, "chain": m.chainOne,
			"seal": m.sealSome, "wait": m.wait, "": m.conserved,
		})
	})
}

// FuzzSealReadings: no choice of names panics, seals another organisation's entry, or what is not there.
func FuzzSealReadings(f *testing.F) {
	s := newScene(f)
	s.disclose(f, s.reader, s.read(""))
	waiting := s.unsealed(f, ledgertest.HospitalB)
	f.Add(waiting[0].Name.Moment, waiting[0].Name.ID)
	f.Add(ledgerapi.Inverted(0, 0), "")
	f.Add(strings.Repeat("9", 28), fmt.Sprintf("%064x", 1))
	f.Fuzz(func(t *testing.T, moment, id string) {
		name := ledgerapi.EntryName{Moment: moment, ID: id}
		_, err := ledger.SealReadings(s.World.Clone().Begin(s.Facts(s.Orgs[ledgertest.HospitalB].Gateway)),
			ledgerapi.SealReadingsArgs{Entries: []ledgerapi.EntryName{name}})
		require.Equal(t, slices.Contains(namesOf(waiting), name), err == nil)
		if err != nil {
			require.Contains(t, []emr.Code{emr.CodeInvalid, emr.CodeNotFound}, emr.CodeOf(err))
		}
	})
}
