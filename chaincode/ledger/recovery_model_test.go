// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledger_test

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/emrys-health/emrys/chaincode/ledger/ledgertest"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// keyModel is what random sequences of a patient's, guardians' and thieves' calls
// must keep true, told in the simplest terms: which key counts, and for each
// recovery who has approved it, since when it waits, and whether it is over.
type keyModel struct {
	*ward
	t          *testing.T
	current    *ledgertest.Patient
	people     []ledgertest.Member // guardians of some set, and strangers
	set        []ledgertest.Member
	sets       uint32
	rotations  uint32
	completed  uint32
	recoveries []*modelRecovery
}

type modelRecovery struct {
	args     ledgerapi.ProposeRecoveryArgs
	keys     *ledgertest.Patient
	set      []ledgertest.Member
	approved []string
	ready    emr.Time // 0 while approvals are missing
	expires  emr.Time
	after    uint32
	over     bool
}

// open tells whether the recovery may still be approved, vetoed or completed.
func (m *keyModel) open(r *modelRecovery) bool {
	return !r.over && r.after == m.completed && m.Now < r.expires
}

func (m *keyModel) propose(rt *rapid.T) {
	by := rapid.SampledFrom(m.people).Draw(rt, "proposer")
	keys := rekeyed(m.t, m.patient)
	args := m.proposal(m.t, keys)
	_, err := m.Try(m.t, by, ledgerapi.ProposeRecovery, args)
	busy := slices.ContainsFunc(m.recoveries, func(r *modelRecovery) bool { return r.approved[0] == by.ActorID() && m.open(r) })
	if !slices.Contains(m.set, by) || busy {
		require.Error(m.t, err)
		return
	}
	require.NoError(m.t, err)
	m.recoveries = append(m.recoveries, &modelRecovery{
		args: args, keys: keys, set: m.set, approved: []string{by.ActorID()}, expires: m.Now.Add(30 * day), after: m.completed,
	})
}

func (m *keyModel) any(rt *rapid.T) *modelRecovery {
	if len(m.recoveries) == 0 {
		return nil
	}
	return rapid.SampledFrom(m.recoveries).Draw(rt, "recovery")
}

// done tells whether a decision was made as asked; a refusal and an end that is
// committed now are not.
func done(answer any, err error) bool {
	return err == nil && answer.(*ledgerapi.DecisionReceipt).Decision != emr.Deny
}

func (m *keyModel) approve(rt *rapid.T) {
	r := m.any(rt)
	if r == nil {
		return
	}
	by := rapid.SampledFrom(m.people).Draw(rt, "approver")
	want := m.open(r) && r.ready == 0 && slices.Contains(r.set, by) && !slices.Contains(r.approved, by.ActorID())
	require.Equal(m.t, want, done(m.Try(m.t, by, ledgerapi.ApproveRecovery, approval(&r.args))))
	if !want {
		return
	}
	if r.approved = append(r.approved, by.ActorID()); len(r.approved) == 2 {
		r.ready = m.Now.Add(72 * time.Hour)
		r.expires = r.ready.Add(30 * day)
	}
}

func (m *keyModel) veto(rt *rapid.T) {
	r := m.any(rt)
	if r == nil {
		return
	}
	by := rapid.SampledFrom([]*ledgertest.Patient{m.current, m.patient, r.keys}).Draw(rt, "by")
	want := m.open(r) && by.Consent == m.current.Consent
	require.Equal(m.t, want, done(m.Try(m.t, by, ledgerapi.VetoRecovery, named(&r.args))))
	r.over = r.over || want
}

func (m *keyModel) complete(rt *rapid.T) {
	r := m.any(rt)
	if r == nil {
		return
	}
	by := rapid.SampledFrom([]*ledgertest.Patient{r.keys, r.keys, m.current}).Draw(rt, "by")
	want := m.open(r) && r.ready != 0 && m.Now >= r.ready && by.Consent == r.keys.Consent
	require.Equal(m.t, want, done(m.Try(m.t, by, ledgerapi.CompleteRecovery, named(&r.args))))
	if want {
		r.over, m.current = true, r.keys
		m.completed++
	}
}

func (m *keyModel) rotate(rt *rapid.T) {
	by := rapid.SampledFrom([]*ledgertest.Patient{m.current, m.patient}).Draw(rt, "by")
	next := rekeyed(m.t, m.patient)
	_, err := m.Try(m.t, by, ledgerapi.RotatePatientKeys, rotation(m.t, m.Consortium, next, m.rotations+m.completed))
	require.Equal(m.t, by.Consent == m.current.Consent, err == nil)
	if err == nil {
		m.current = next
		m.rotations++
	}
}

func (m *keyModel) name(rt *rapid.T) {
	set := slices.Clone(rapid.SampledFrom([][]ledgertest.Member{m.people[:3], m.people[1:4], {m.people[0], m.people[3]}}).Draw(rt, "set"))
	m.Do(m.t, m.current, ledgerapi.SetGuardians, m.guardians(m.sets, 2, set...))
	m.set = set
	m.sets++
}

func (m *keyModel) pass(rt *rapid.T) {
	m.Wait(rapid.SampledFrom([]time.Duration{time.Second, 71 * time.Hour, 3*day - time.Second, 3 * day, 15 * day, 30 * day}).Draw(rt, "time"))
}

// agree requires that the ledger and the model agree on the key that counts, and
// on what is open.
func (m *keyModel) agree(*rapid.T) {
	keys, err := patientKeys(m.t, m.Consortium, m.patient, m.rotations+m.completed)
	require.NoError(m.t, err)
	require.Equal(m.t, pinned(m.current), keys.Consent)
	for _, r := range m.recoveries {
		stored := m.recovery(m.t, r.args.Recovery)
		require.Equal(m.t, m.open(r), stored.Status.Open())
		require.Len(m.t, stored.Approvals, len(r.approved))
	}
}

func TestRandomSequencesPinNoKeyWithoutItsRight(t *testing.T) {
	t.Parallel()
	base := newWard(t)
	base.Check = nil // newScene runs everything twice: once is enough here
	people := append(slices.Clone(base.all), base.Patient(t, ledgertest.HospitalC), base.Patient(t, ledgertest.HospitalB))
	rapid.Check(t, func(rt *rapid.T) {
		consortium := *base.Consortium
		consortium.World = base.Clone()
		copied := *base.scene
		copied.Consortium = &consortium
		w := *base
		w.scene = &copied
		m := &keyModel{ward: &w, t: t, current: base.patient, people: people, set: base.all, sets: 1}
		rt.Repeat(map[string]func(*rapid.T){
			"propose": m.propose, "propose again": m.propose, "approve": m.approve, "approve again": m.approve,
			"approve once more": m.approve, "veto": m.veto, "complete": m.complete, "complete again": m.complete,
			"rotate": m.rotate, "name": m.name, "wait": m.pass, "": m.agree,
		})
	})
}
