// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledgermodel_test

import (
	"flag"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/emrys-health/emrys/chaincode/ledger/ledgermodel"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// Sequences and their length, unless the flags say otherwise (make model). Together
// they are what every function needs to be committed and refused at least once.
const (
	sequences = 24
	length    = 120
	more      = 100

	liveLength = 200 // as many steps as the sequence on real peers has
)

func TestMain(m *testing.M) {
	flag.Parse()
	given := map[string]bool{}
	flag.Visit(func(f *flag.Flag) { given[f.Name] = true })
	for name, value := range map[string]int{"rapid.checks": sequences, "rapid.steps": length} {
		if !given[name] {
			_ = flag.Set(name, strconv.Itoa(value))
		}
	}
	os.Exit(m.Run())
}

func TestEverySequenceOfTheWholeContractIsWhatTheModelSays(t *testing.T) {
	orgs := ledgermodel.Orgs(t)
	counts := map[string]ledgermodel.Count{}
	steps := 0
	rapid.Check(t, func(rt *rapid.T) {
		m := ledgermodel.New(rt, ledgermodel.Rapid{T: rt}, ledgermodel.NewMemory(t, orgs))
		m.Found()
		m.Counts = counts
		rt.Repeat(map[string]func(*rapid.T){"step": func(*rapid.T) { m.Step() }})
		m.Finish()
		steps += m.Steps()
	})
	// What is rare may need a few sequences more.
	for seed := uint64(1); len(ledgermodel.Missing(counts)) > 0 && seed <= more && !t.Failed(); seed++ {
		m := ledgermodel.New(t, ledgermodel.NewSeeded(seed), ledgermodel.NewMemory(t, orgs))
		m.Found()
		m.Counts, m.Hunt = counts, true
		for range length {
			m.Step()
		}
		m.Finish()
		steps += m.Steps()
	}
	total := ledgermodel.Count{}
	for _, function := range ledgermodel.Functions() {
		c := counts[function]
		total.Committed, total.Refused = total.Committed+c.Committed, total.Refused+c.Refused
		t.Logf("%-22s committed %5d, refused %5d", function, c.Committed, c.Refused)
	}
	require.Empty(t, ledgermodel.Missing(counts))
	t.Logf("%d transactions, %d of them drawn: %d committed, %d refused", steps, total.Committed+total.Refused, total.Committed, total.Refused)
}

// network is a ledger in memory that is like one of peers to its driver: time passes
// by itself, the driver's clock is a little behind, nobody can wait, and nobody sees
// what a transaction has written.
type network struct {
	*ledgermodel.Memory
	calls int
}

func (d *network) Now() emr.Time { return d.Memory.Now() - 2 }

func (d *network) Wait(time.Duration) bool { return false }

func (d *network) Digest() (uint64, bool) { return 0, false }

func (d *network) Submit(call ledgermodel.Call) ledgermodel.Outcome {
	if d.calls++; d.calls%16 == 0 {
		d.Consortium.Wait(time.Second)
	}
	out := d.Memory.Submit(call)
	return ledgermodel.Outcome{Answer: out.Answer, Err: out.Err}
}

// What the sequences of the live network draw, and how they are judged, is tried here
// first, where a fault of the model itself costs no network.
func TestEverySequenceForALiveNetworkIsWhatTheModelSays(t *testing.T) {
	orgs := ledgermodel.Orgs(t)
	delete(orgs, ledgermodel.Newcomer)
	checks, err := strconv.ParseUint(flag.Lookup("rapid.checks").Value.String(), 10, 64)
	require.NoError(t, err)
	for seed := range checks {
		t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) {
			m := ledgermodel.New(t, ledgermodel.NewSeeded(seed), &network{Memory: ledgermodel.NewMemory(t, orgs)})
			m.Shared = true
			m.Found()
			m.Counts, m.Hunt = map[string]ledgermodel.Count{}, true
			for range liveLength {
				m.Step()
			}
			m.Finish()
			m.Restore()
		})
	}
}

// A function that is new on the ledger has to join the model.
func TestTheModelKnowsEveryTransaction(t *testing.T) {
	t.Parallel()
	all := slices.Concat(ledgerapi.SignedTransactions(), ledgerapi.OrganisationTransactions())
	require.ElementsMatch(t, all, ledgermodel.Functions())
}
