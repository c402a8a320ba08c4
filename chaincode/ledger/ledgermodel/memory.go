// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledgermodel

import (
	"hash/maphash"
	"testing"
	"time"

	"github.com/emrys-health/emrys/chaincode/ledger"
	"github.com/emrys-health/emrys/chaincode/ledger/ledgertest"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
	"github.com/emrys-health/emrys/pkg/pre"
)

// Newcomer is the organisation that is not there from the beginning.
const Newcomer = emr.OrgID("HospitalDMSP")

// Begin is when a sequence in memory begins.
func Begin() time.Time { return time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC) }

// Orgs makes the organisations of sequences in memory: three hospitals, a
// regulator, and a hospital that may join.
func Orgs(t testing.TB) map[emr.OrgID]*ledgertest.Org {
	t.Helper()
	orgs := map[emr.OrgID]*ledgertest.Org{}
	for _, id := range []emr.OrgID{ledgertest.HospitalA, ledgertest.HospitalB, ledgertest.HospitalC, ledgertest.Regulator, Newcomer} {
		kind := emr.KindHospital
		if id == ledgertest.Regulator {
			kind = emr.KindRegulator
		}
		orgs[id] = ledgertest.NewOrg(t, id, kind, Begin().AddDate(-1, 0, 0), Begin().AddDate(10, 0, 0))
	}
	return orgs
}

// Memory is a ledger in memory.
type Memory struct {
	*ledgertest.Consortium
	t    testing.TB
	seed maphash.Seed
}

// NewMemory returns an empty ledger of the organisations.
func NewMemory(t testing.TB, orgs map[emr.OrgID]*ledgertest.Org) *Memory {
	return &Memory{t: t, seed: maphash.MakeSeed(), Consortium: &ledgertest.Consortium{
		World: ledgertest.NewWorld(ledgertest.Channel), Now: emr.TimeOf(Begin()), Orgs: orgs,
	}}
}

// Channel implements Driver.
func (d *Memory) Channel() string { return ledgertest.Channel }

// Now implements Driver.
func (d *Memory) Now() emr.Time { return d.Consortium.Now }

// Wait implements Driver.
func (d *Memory) Wait(of time.Duration) bool {
	d.Consortium.Wait(of)
	return true
}

// Profiles implements Driver.
func (d *Memory) Profiles() map[emr.OrgID]ledgerapi.RegisterOrganisationArgs {
	all := map[emr.OrgID]ledgerapi.RegisterOrganisationArgs{}
	for id, org := range d.Orgs {
		all[id] = org.Args()
	}
	return all
}

// Issue implements Driver.
func (d *Memory) Issue(org emr.OrgID, wish ledgertest.Wish, key *pre.PrivateKey) (string, error) {
	return ledgertest.PEM(d.Orgs[org].IssueFor(d.t, wish, key)), nil
}

// CallerOf is the identity by which a call is made.
func CallerOf(orgs map[emr.OrgID]*ledgertest.Org, call *Call) *ledger.Caller {
	switch call.As {
	case AsAdmin:
		return orgs[call.Org].Admin
	case AsForgedAdmin:
		for id, org := range orgs {
			if id != call.Org {
				return &ledger.Caller{MSP: call.Org, Certificate: org.Admin.Certificate}
			}
		}
	}
	return orgs[call.Org].Gateway
}

// Submit implements Driver.
func (d *Memory) Submit(call Call) Outcome {
	tx := d.Begin(d.Facts(CallerOf(d.Orgs, &call)))
	run, raw := ledgertest.Run, call.Transient
	if call.Argument != nil {
		run, raw = ledgertest.RunOrder, call.Argument
	}
	found, err := run(tx, call.Function, raw)
	if err != nil {
		return Outcome{Err: err}
	}
	out := Outcome{Seen: true, Written: tx.Written(), Home: d.homeOf, Event: tx.Emitted(), Purged: tx.Purged()}
	if out.Err = tx.Commit(); out.Err == nil {
		out.Answer, out.Err = emr.Canonical(found)
	}
	return out
}

func (d *Memory) homeOf(key ledgerapi.Key) (emr.OrgID, bool) {
	guard, guarded := d.GuardOf(key)
	return guard.Home, guarded
}

// Ask implements Driver.
func (d *Memory) Ask(via emr.OrgID, function string, q, answer any) error {
	return ledgertest.Ask(d.Query(d.Orgs[via]), function, q, answer)
}

// Digest implements Driver.
func (d *Memory) Digest() (uint64, bool) { return d.World.Digest(d.seed), true }
