// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

// Command dudect looks for secrets in the timing of package pre, in the way of "Dude, is my code constant time?" (Reparaz, Balasch,
// Verbauwhede, 2017): it measures every operation many times, on a fixed secret and on random ones in random order, and asks by
// Welch's t-test whether the two kinds of measurement could be of one distribution.
//
//	go run ./pkg/pre/internal/dudect
//
// It prints a table, and fails if a control does not come out as it must or if an operation on secrets is flagged. A quiet machine
// helps: noise hides leaks, it does not make them up. That nothing is flagged proves nothing; docs/side-channels.md says what is
// claimed.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
)

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "dudect:", err)
		os.Exit(1)
	}
}

var errTimings = errors.New("timings are not what they must be")

func run(args []string, out io.Writer) error {
	flags := flag.NewFlagSet("dudect", flag.ContinueOnError)
	flags.SetOutput(out)
	n := flags.Int("n", 50000, "measurements of each operation")
	only := flags.String("only", "", "run only operations whose name contains this")
	if err := flags.Parse(args); err != nil {
		return err
	}
	targets, err := operations()
	if err != nil {
		return fmt.Errorf("prepare operations: %w", err)
	}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "operation\tmeasurements\tfixed ns\trandom ns\tmax |t|\tof the fastest\tverdict\t")
	wrong := 0
	for _, t := range append(controls(), targets...) {
		if !strings.Contains(t.name, *only) {
			continue
		}
		r := analyse(measure(t, *n))
		verdict, ok := judge(t, r)
		if !ok {
			wrong++
		}
		fmt.Fprintf(table, "%s\t%d\t%.0f\t%.0f\t%.1f\t%.0f %%\t%s\t\n", t.name, *n, r.fixed, r.random, r.t, 100*r.kept, verdict)
	}
	if err := table.Flush(); err != nil {
		return fmt.Errorf("print: %w", err)
	}
	if wrong != 0 {
		return fmt.Errorf("%d operations: %w", wrong, errTimings)
	}
	return nil
}

// judge puts a result into words, and reports whether it is what the target must give.
func judge(t target, r result) (string, bool) {
	leaks := r.t > threshold
	switch {
	case t.leaky && leaks:
		return "leaks, as it must", true
	case t.leaky:
		return "NOT FOUND: trust no other row", false
	case leaks:
		return "DEPENDS ON THE SECRET", false
	default:
		return "no difference found", true
	}
}
