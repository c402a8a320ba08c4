// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledger_test

import (
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/emrys-health/emrys/chaincode/ledger"
	"github.com/emrys-health/emrys/chaincode/ledger/ledgertest"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// ends is a model of the end of records, in the simplest terms: which versions
// there are of which record, who holds which, what is to be destroyed, and what
// each holder last said of each thing.
type ends struct {
	*scene
	t      *testing.T
	series [][]*version
	orders []*modelOrder
	gone   emr.OrgID // the organisation that the members have removed
	wide   emr.GrantID
	all    map[emr.OrgID]*ledgertest.Org // the removed one, too
}

type version struct {
	manifest *emr.Manifest
	backup   []byte // of the private manifest
	held     map[emr.OrgID]bool
	rekeyed  bool
	erased   bool
	born     emr.Time
}

type modelOrder struct {
	id       emr.ErasureID
	holders  []emr.OrgID
	versions []*version
	// done holds what is destroyed at present, failed what its holder could not destroy.
	done, failed map[spot]bool
}

type spot struct {
	org    emr.OrgID
	record emr.RecordID
	thing  emr.ErasureThing
}

func (m *ends) any(rt *rapid.T) []*version { return rapid.SampledFrom(m.series).Draw(rt, "series") }

func (m *ends) version(rt *rapid.T) *version { return rapid.SampledFrom(m.any(rt)).Draw(rt, "version") }

func head(series []*version) *version { return series[len(series)-1] }

func (m *ends) add(series int, manifest *emr.Manifest) {
	v := &version{manifest: manifest, held: map[emr.OrgID]bool{}, born: m.Now, backup: m.Private(ledgerapi.ManifestKey(manifest.Record))}
	m.series[series] = append(m.series[series], v)
}

// admin is one of the organisations that may hold a record: its hospital and the regulator.
func (m *ends) hold(rt *rapid.T) {
	v := m.version(rt)
	org := rapid.SampledFrom([]emr.OrgID{ledgertest.HospitalA, ledgertest.Regulator}).Draw(rt, "holder")
	args := ledgerapi.HoldRecordArgs{Record: v.manifest.Record, Hold: !v.held[org]}
	if args.Hold {
		args.Ground = emr.HoldLitigation
	}
	err := m.scene.hold(m.Orgs[org].Admin, args)
	if v.erased || v.rekeyed {
		refuses(m.t, err, emr.CodeGone, "")
		return
	}
	require.NoError(m.t, err)
	v.held[org] = args.Hold
}

func heldAny(versions ...*version) bool {
	return slices.ContainsFunc(versions, func(v *version) bool { return v.held[ledgertest.HospitalA] || v.held[ledgertest.Regulator] })
}

func (m *ends) ordered(id emr.ErasureID, versions []*version) {
	o := &modelOrder{id: id, versions: versions, done: map[spot]bool{}, failed: map[spot]bool{}}
	o.holders = slices.DeleteFunc(holders(), func(org emr.OrgID) bool { return org == m.gone && org != ledgertest.HospitalA })
	m.orders = append(m.orders, o)
}

func (m *ends) erase(rt *rapid.T) {
	series := m.any(rt)
	args := m.scene.erase(rapid.SampledFrom(series).Draw(rt, "named").manifest.Record)
	answer, err := m.Try(m.t, m.patient, ledgerapi.EraseRecord, args)
	m.judge(args.Erasure, series, answer, err, m.Now >= head(series).born.Add(2*day))
}

// expire is the same by a gateway, after the longest time.
func (m *ends) expire(rt *rapid.T) {
	series := m.any(rt)
	args := m.expired(head(series).manifest.Record)
	answer, err := told(m.t, m.scene, m.Orgs[ledgertest.Regulator].Gateway, ledger.EraseExpired, args)
	m.judge(args.Erasure, series, answer, err, m.Now >= head(series).born.Add(4*day))
}

func (m *ends) judge(id emr.ErasureID, series []*version, answer any, err error, time bool) {
	if head(series).erased {
		refuses(m.t, err, emr.CodeGone, "erased")
		return
	}
	require.NoError(m.t, err)
	permitted := answer.(*ledgerapi.DecisionReceipt).Decision == emr.Permit
	require.Equal(m.t, !heldAny(series...) && time, permitted)
	if !permitted {
		return
	}
	for _, v := range series {
		v.erased = true
	}
	m.ordered(id, series)
}

func (m *ends) rekey(rt *rapid.T) {
	at := rapid.IntRange(0, len(m.series)-1).Draw(rt, "series")
	old := head(m.series[at])
	next := m.rekeyOf(m.t, m.author, old.manifest, nil)
	answer, err := m.Try(m.t, m.author, ledgerapi.RekeyRecord, next)
	if old.erased {
		refuses(m.t, err, emr.CodeGone, "erased")
		return
	}
	require.NoError(m.t, err)
	permitted := answer.(*ledgerapi.DecisionReceipt).Decision == emr.Permit
	require.Equal(m.t, !heldAny(old), permitted)
	if permitted {
		old.rekeyed = true
		m.add(at, next)
		m.ordered(m.getRecord(m.t, old.manifest.Record).Order, []*version{old})
	}
}

func (m *ends) register(rt *rapid.T) {
	at := rapid.IntRange(0, len(m.series)-1).Draw(rt, "series")
	next := m.next(m.t, head(m.series[at]).manifest, nil)
	_, err := m.Try(m.t, m.author, ledgerapi.RegisterRecord, next)
	if head(m.series[at]).erased {
		refuses(m.t, err, emr.CodeGone, "erased")
		return
	}
	require.NoError(m.t, err)
	m.add(at, next)
}

// confirm has any organisation say something about one thing, or about everything, of any order.
func (m *ends) confirmSome(rt *rapid.T) {
	if len(m.orders) == 0 {
		return
	}
	o := rapid.SampledFrom(m.orders).Draw(rt, "order")
	org := rapid.SampledFrom(holders()).Draw(rt, "org")
	part := m.erasure(m.t, o.id).Parts[0]
	args := everything(&part)
	whole := rapid.Bool().Draw(rt, "everything")
	v := rapid.SampledFrom(o.versions).Draw(rt, "of")
	thing := rapid.SampledFrom(emr.ErasureThings()).Draw(rt, "thing")
	fails := !whole && rapid.Bool().Draw(rt, "fails")
	switch {
	case fails:
		args.Destroyed = []emr.Destroyed{}
		args.Failed = []emr.Undestroyed{{Record: v.manifest.Record, Thing: thing, Cause: emr.CauseRestored}}
	case !whole:
		args.Destroyed = []emr.Destroyed{{Record: v.manifest.Record, CID: v.manifest.CID, Things: []emr.ErasureThing{thing}}}
	}
	_, err := told(m.t, m.scene, m.all[org].Gateway, ledger.ConfirmErasure, args)
	if org == m.gone || !slices.Contains(o.holders, org) {
		refuses(m.t, err, emr.CodeForbidden, "")
		return
	}
	require.NoError(m.t, err)
	for _, each := range o.versions {
		for _, one := range emr.ErasureThings() {
			if whole || each == v && one == thing {
				o.done[spot{org, each.manifest.Record, one}] = !fails
				o.failed[spot{org, each.manifest.Record, one}] = fails
			}
		}
	}
}

// remove takes the last hospital from the consortium, once.
func (m *ends) remove(*rapid.T) {
	if m.gone != "" {
		return
	}
	a := &assembly{m.Consortium, m.t}
	a.pass(removal(ledgertest.HospitalC), ledgertest.HospitalA, ledgertest.HospitalB)
	m.gone = ledgertest.HospitalC
	delete(m.Orgs, m.gone) // it gets no share and no fragment any more
}

// restore brings back, at the peer that is asked, the private data of a closed version.
func (m *ends) restore(rt *rapid.T) {
	v := m.version(rt)
	if v.erased || v.rekeyed {
		m.OverwritePrivate(ledgerapi.ManifestKey(v.manifest.Record), v.backup)
	}
	again := m.Manifest(m.t, m.author, m.scope, v.manifest.Class)
	again.CID = v.manifest.CID
	m.Complete(m.t, again, m.author, m.scope)
	_, err := m.Try(m.t, m.author, ledgerapi.RegisterRecord, again)
	require.Contains(m.t, []emr.Code{emr.CodeExists, emr.CodeGone}, emr.CodeOf(err))
}

// read reads any version by anybody on any ground.
func (m *ends) readAny(rt *rapid.T) {
	v := m.version(rt)
	args := m.read(m.wide)
	args.Record = v.manifest.Record
	var by ledgertest.Member = m.reader
	if rapid.Bool().Draw(rt, "by the patient") {
		by, args.Grant, args.Purpose = m.patient, "", emr.PurposePatient
	}
	answer := m.disclose(m.t, by, args)
	open := !v.erased && !v.rekeyed
	require.Equal(m.t, open, answer.Decision == emr.Permit, "%s", answer.Reason)
	ticket := m.check(m.t, ledgertest.Regulator, m.open(m.t, by, args.Disclosure))
	require.Equal(m.t, open, ticket.Decision == emr.Permit)
	require.Equal(m.t, open, len(ticket.Manifest.Signed.Body) != 0)
}

// agree keeps the invariants: an order is complete exactly when everybody whom it
// names has destroyed everything, and what is missing is named.
func (m *ends) agree(*rapid.T) {
	for _, o := range m.orders {
		view := m.erasure(m.t, o.id)
		require.Equal(m.t, o.holders, view.Erasure.Holders, "nobody leaves the list")
		missing, failed := map[emr.OrgID]bool{}, map[emr.OrgID]bool{}
		for _, org := range o.holders {
			for _, v := range o.versions {
				for _, thing := range emr.ErasureThings() {
					missing[org] = missing[org] || !o.done[spot{org, v.manifest.Record, thing}]
					failed[org] = failed[org] || o.failed[spot{org, v.manifest.Record, thing}]
				}
			}
		}
		maps.DeleteFunc(missing, func(_ emr.OrgID, is bool) bool { return !is })
		maps.DeleteFunc(failed, func(_ emr.OrgID, is bool) bool { return !is })
		require.ElementsMatch(m.t, slices.Collect(maps.Keys(missing)), view.Missing)
		require.ElementsMatch(m.t, slices.Collect(maps.Keys(failed)), view.Failed)
		require.Equal(m.t, len(missing) == 0, view.State == emr.ErasureComplete)
	}
	for _, series := range m.series {
		for _, v := range series {
			record := m.getRecord(m.t, v.manifest.Record)
			require.Equal(m.t, v.erased, record.Status == emr.RecordErased)
			require.Equal(m.t, v.rekeyed && !v.erased, record.Status == emr.RecordRekeyed)
			require.False(m.t, v.erased && heldAny(v), "what is held is never erased")
		}
	}
}

func TestRandomSequencesEndRecordsTruthfully(t *testing.T) {
	t.Parallel()
	base := newScene(t)
	base.Check = nil
	wide := base.Grant(base.scope, base.reader)
	wide.Terms.Until = base.Now.Add(300 * day)
	base.Do(t, base.patient, ledgerapi.GrantAccess, wide)
	base.keeps(t, emr.RetentionRule{Class: base.record.Class, MinDays: 2, MaxDays: 4})
	second := base.Record(t, base.author, base.scope, base.record.Class)
	rapid.Check(t, func(rt *rapid.T) {
		copied := *base
		consortium := *base.Consortium
		consortium.World, consortium.Orgs = base.Clone(), maps.Clone(base.Orgs)
		copied.Consortium = &consortium
		m := &ends{scene: &copied, t: t, series: make([][]*version, 2), wide: wide.Terms.Grant, all: base.Orgs}
		m.add(0, base.record)
		m.add(1, second)
		rt.Repeat(map[string]func(*rapid.T){
			"erase": m.erase, "expire": m.expire, "hold": m.hold, "rekey": m.rekey, "register": m.register, "remove": m.remove,
			"restore": m.restore, "read": m.readAny, "read again": m.readAny,
			"confirm": m.confirmSome, "confirm more": m.confirmSome, "confirm again": m.confirmSome,
			"wait": func(rt *rapid.T) { m.Wait(time.Duration(rapid.IntRange(1, 60).Draw(rt, "hours")) * time.Hour) },
			"":     m.agree,
		})
	})
}
