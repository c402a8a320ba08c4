//go:build e2e

// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

// Package bench measures Emrys on a running network beside the bare thing, in
// one run: a ledger step beside a submit of the least chaincode there can be, a
// transfer beside plain ipfs add and cat.
package bench

import (
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/emrys-health/emrys/network/e2e/testnet"
	"github.com/emrys-health/emrys/pkg/client"
	"github.com/emrys-health/emrys/pkg/emr"
)

// setting is the network and the people that all benchmarks share.
type setting struct {
	net                     *testnet.Net
	dir                     string
	patient, author, reader *client.Client
	pseudonym               emr.PatientID
	results                 *results
}

var shared = sync.OnceValues(func() (*setting, error) { return prepare(context.Background()) })

func prepare(ctx context.Context) (*setting, error) {
	home := os.Getenv("EMRYS_HOME")
	if home == "" {
		return nil, fmt.Errorf("EMRYS_HOME names no running network: use make bench")
	}
	net, err := testnet.Attach(home)
	if err != nil {
		return nil, err
	}
	s := &setting{net: net, results: &table}
	if s.dir, err = os.MkdirTemp(home, "bench-"); err != nil {
		return nil, err
	}
	for _, j := range []struct {
		into  **client.Client
		name  string
		org   string
		role  emr.Role
		level emr.Level
	}{
		{&s.patient, "patient", "HospAMSP", emr.RolePatient, ""},
		{&s.author, "author", "HospAMSP", emr.RolePhysician, emr.LevelPrivate},
		{&s.reader, "reader", "HospBMSP", emr.RolePhysician, emr.LevelPrivate},
	} {
		if *j.into, err = net.Join(ctx, filepath.Join(s.dir, j.name), j.org, j.role, j.level); err != nil {
			return nil, err
		}
	}
	s.pseudonym = emr.PatientID(s.patient.Profile().ID)
	if _, err := s.author.ProposeRelationship(ctx, s.pseudonym); err != nil {
		return nil, err
	}
	_, err = s.patient.AnswerRelationship(ctx, "HospAMSP", true)
	return s, err
}

func with(b *testing.B) *setting {
	b.Helper()
	s, err := shared()
	if err != nil {
		b.Fatal(err)
	}
	return s
}

// results gathers one line a measurement, in the order they were made.
type results struct {
	mu    sync.Mutex
	lines []line
}

type line struct {
	name, beside string
	value        float64 // seconds
	detail       string
}

// table is filled by the benchmarks and printed once at the end.
var table results

func (r *results) add(l line) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lines = append(r.lines, l)
}

// print writes the table; the ratio is how much longer than the bare thing it takes.
func (r *results) print() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.lines) == 0 { // the benchmark of every function prints a table of its own
		return
	}
	bare := map[string]line{}
	for _, l := range r.lines {
		bare[l.name] = l
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "\nMEASUREMENT\tMEDIAN\tDETAIL\tRATIO\tBESIDE")
	for _, l := range r.lines {
		ratio := ""
		if b, found := bare[l.beside]; found {
			ratio = fmt.Sprintf("%.2f", l.value/b.value)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", l.name, time.Duration(l.value*float64(time.Second)).Round(100*time.Microsecond), l.detail, ratio, l.beside)
	}
	_ = w.Flush()
}

func TestMain(m *testing.M) {
	code := m.Run()
	table.print()
	os.Exit(code)
}

// sample times n runs of an action, after one that is not counted, and records their median.
func sample(b *testing.B, s *setting, name, beside string, n int, action func(i int) error) {
	b.Helper()
	took := make([]time.Duration, 0, n)
	for i := range n + 1 {
		began := time.Now()
		if err := action(i); err != nil {
			b.Fatalf("%s: %v", name, err)
		}
		if i > 0 {
			took = append(took, time.Since(began))
		}
	}
	record(b, s, name, beside, took)
}

func record(b *testing.B, s *setting, name, beside string, took []time.Duration) {
	b.Helper()
	slices.Sort(took)
	at := func(q float64) time.Duration { return took[int(math.Ceil(q*float64(len(took)-1)))] }
	s.results.add(line{
		name: name, beside: beside, value: at(.5).Seconds(),
		detail: fmt.Sprintf("p95 %s, p99 %s, n %d", at(.95).Round(100*time.Microsecond), at(.99).Round(100*time.Microsecond), len(took)),
	})
	b.ReportMetric(float64(at(.5).Microseconds())/1000, "p50-ms/op")
	b.ReportMetric(float64(at(.95).Microseconds())/1000, "p95-ms/op")
}
