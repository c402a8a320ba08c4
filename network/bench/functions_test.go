//go:build e2e

// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"fmt"
	"math"
	"os"
	"slices"
	"sync/atomic"
	"testing"
	"text/tabwriter"
	"time"

	fabric "github.com/hyperledger/fabric-gateway/pkg/client"
	"golang.org/x/sync/errgroup"

	"github.com/emrys-health/emrys/network/e2e/testnet"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

const (
	// inTurn is how many transactions of a function follow one another, after one that is not counted; inCrowd how many are made by 16 clients at once.
	inTurn  = 16
	inCrowd = 64
	// wardsOfCourse is how many patients there are, so that no two transactions of one function are about the same one.
	wardsOfCourse = 1 + inTurn + inCrowd
	// rawInCrowd is how many bare puts are made at once, before the first and then every rawEvery-th function.
	rawInCrowd = 80
	rawEvery   = 4
)

// call submits one transaction that has been prepared.
type call func(ctx context.Context) error

// step measures one function of the contract. The steps are in the order in which a patient's life needs them: what one writes the next stands on.
type step struct {
	function string
	// before prepares what no other step has written; nil when nothing is missing.
	before func(*course) error
	// of prepares the transaction of one ward. Signing and the like is not measured.
	of func(*course, *ward) (call, error)
	// after takes back what would stand in anybody's way; nil when nothing does.
	after func(*course) error
	// alone tells that any two of them would write one key, so that they only follow one another.
	alone bool
	// crowd is how many are made at once in the place of inCrowd; no later step stands on the others.
	crowd int
	// units is how many things one transaction is about; 0 stands for one.
	units int
	// unmeasured tells why a function cannot be measured here.
	unmeasured string
}

// sampled is what was measured of one function.
type sampled struct {
	name   string
	turn   []time.Duration // one after the other
	crowd  []time.Duration // each of 16 at once
	took   time.Duration   // all of the crowd together
	beside *sampled        // the bare puts of the same minute: in turn with the function's, and the latest crowd
	reason string          // why nothing was measured
}

// each is the crowd's time for one transaction, in seconds.
func (s *sampled) each() float64 { return s.took.Seconds() / float64(len(s.crowd)) }

// BenchmarkFunctions measures every transaction of the contract by bare clients beside a put of one key by the least chaincode there can be: its
// time when transactions follow one another, and how many there are a second with 16 clients at once. It fails when a function of the contract
// has no step, so that none stays unmeasured unseen.
func BenchmarkFunctions(b *testing.B) {
	steps := everyStep()
	for _, function := range slices.Concat(ledgerapi.SignedTransactions(), ledgerapi.OrganisationTransactions()) {
		if !slices.ContainsFunc(steps, func(s step) bool { return s.function == function }) {
			b.Fatalf("%s has no step in this benchmark: add one to everyStep", function)
		}
	}
	c := newCourse(b)
	bare, err := deployRaw(b.Context(), c.net)
	if err != nil {
		b.Fatal(err)
	}
	defer bare.stop()
	for b.Loop() {
		var all []sampled
		var latest sampled
		measured := 0
		for _, s := range steps {
			if s.unmeasured == "" {
				if measured%rawEvery == 0 {
					latest = sampled{}
					c.inCrowd("put of one key", &latest, slices.Repeat([]call{c.put(bare)}, rawInCrowd))
				}
				measured++
			}
			all = append(all, c.measure(s, c.put(bare), latest))
		}
		printFunctions(all)
	}
}

// put submits a bare put of a key of its own.
func (c *course) put(bare *raw) call {
	return func(ctx context.Context) error {
		key := fmt.Sprintf("f%d-%d", time.Now().UnixNano(), c.serial.Add(1))
		_, err := testnet.Submit(ctx, bare.contract, "put", fabric.WithArguments(key, "v"))
		return err
	}
}

// measure prepares and runs one step.
func (c *course) measure(s step, put call, rawCrowd sampled) sampled {
	c.b.Helper()
	result := sampled{name: s.function, reason: s.unmeasured, beside: &rawCrowd}
	if s.units > 1 {
		result.name = fmt.Sprintf("%s of %d", s.function, s.units)
	}
	if s.unmeasured != "" {
		return result
	}
	began := time.Now()
	c.tell()
	if s.before != nil {
		c.must(s.function, s.before(c))
		c.level()
	}
	many := inCrowd
	if s.crowd != 0 {
		many = s.crowd
	}
	c.tell()
	calls := make([]call, 0, wardsOfCourse)
	for _, w := range c.wards {
		do, err := s.of(c, w)
		c.must(s.function, err)
		calls = append(calls, do)
	}
	if s.alone {
		calls = calls[:1+inTurn]
	}
	c.inTurn(s.function, &result, calls[:1+inTurn], put)
	rest := calls[1+inTurn:]
	c.inCrowd(s.function, &result, rest[:min(many, len(rest))])
	if s.after != nil {
		c.level()
		c.must(s.function, s.after(c))
	}
	c.level()
	c.b.Logf("%s: %s", s.function, time.Since(began).Round(time.Millisecond))
	return result
}

// inTurn runs calls one after the other, in turn with bare puts. The first of each is not counted.
func (c *course) inTurn(name string, into *sampled, calls []call, put call) {
	c.b.Helper()
	for i, do := range calls {
		began := time.Now()
		c.must("put of one key", put(c.b.Context()))
		between := time.Now()
		c.must(name, do(c.b.Context()))
		if i > 0 {
			into.beside.turn = append(into.beside.turn, between.Sub(began))
			into.turn = append(into.turn, time.Since(between))
		}
	}
}

// inCrowd runs calls, 16 at once.
func (c *course) inCrowd(name string, into *sampled, calls []call) {
	c.b.Helper()
	took := make([]time.Duration, len(calls))
	var next atomic.Int64
	group, ctx := errgroup.WithContext(c.b.Context())
	began := time.Now()
	for range min(crowd, len(calls)) {
		group.Go(func() error {
			for i := int(next.Add(1) - 1); i < len(calls); i = int(next.Add(1) - 1) {
				started := time.Now()
				if err := calls[i](ctx); err != nil {
					return err
				}
				took[i] = time.Since(started)
			}
			return nil
		})
	}
	c.must(name, group.Wait())
	into.took += time.Since(began)
	into.crowd = append(into.crowd, took...)
}

// printFunctions writes the table. A ratio is how many times the bare put's time it takes: medians in turn, time per transaction at once.
func printFunctions(all []sampled) {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "\nFUNCTION\tP50\tP95\tP99\tRATIO\t16 AT ONCE\tP50\tP95\tP99\tRATIO")
	raw := sampled{name: "put of one key"}
	raw.beside = &raw
	for i, s := range all {
		if s.reason != "" {
			continue
		}
		raw.turn = append(raw.turn, s.beside.turn...)
		if i == 0 || s.beside.took != all[i-1].beside.took { // another crowd than the function's before it
			raw.crowd, raw.took = append(raw.crowd, s.beside.crowd...), raw.took+s.beside.took
		}
	}
	for _, s := range slices.Concat([]sampled{raw}, all) {
		if s.reason != "" {
			continue
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%.2f", s.name, quantile(s.turn, .5), quantile(s.turn, .95), quantile(s.turn, .99),
			float64(quantile(s.turn, .5))/float64(quantile(s.beside.turn, .5)))
		if len(s.crowd) == 0 {
			fmt.Fprintln(w, "\tone key\t\t\t\t")
			continue
		}
		fmt.Fprintf(w, "\t%.0f/s\t%s\t%s\t%s\t%.2f\n", 1/s.each(), quantile(s.crowd, .5), quantile(s.crowd, .95), quantile(s.crowd, .99), s.each()/s.beside.each())
	}
	_ = w.Flush()
	for _, s := range all {
		if s.reason != "" {
			fmt.Fprintf(os.Stdout, "%s is not measured: %s\n", s.name, s.reason)
		}
	}
}

func quantile(took []time.Duration, q float64) time.Duration {
	sorted := slices.Sorted(slices.Values(took))
	return sorted[int(math.Ceil(q*float64(len(sorted)-1)))].Round(100 * time.Microsecond)
}
