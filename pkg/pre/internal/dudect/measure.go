// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto/rand"
	"runtime"
	"runtime/debug"
	"time"
)

// target is an operation to measure.
type target struct {
	name   string
	leaky  bool // a control that must be flagged
	repeat int  // how often one measurement runs the operation, so that the clock's grain of some ten ns is small beside it
	// prepare returns the operation on one secret: the fixed one, or a random one. Both come about in the same way, each in
	// memory of its own.
	prepare func(fixed bool) func()
}

// batch is how many operations are prepared before they are measured.
const batch = 500

// measure runs a target n times, fixed or random as a coin falls. Operations are prepared outside of what is measured, and the garbage
// collector waits until a batch is through.
func measure(t target, n int) []sample {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	samples := make([]sample, 0, n+batch)
	for warm := false; len(samples) < n; warm = true {
		coins := make([]byte, batch)
		_, _ = rand.Read(coins) // never fails
		operations := make([]func(), batch)
		for i, coin := range coins {
			operations[i] = t.prepare(coin&1 == 0)
		}
		runtime.GC()
		for i, run := range operations {
			start := time.Now()
			for range t.repeat {
				run()
			}
			took := time.Since(start)
			if warm { // the first batch only warms up
				samples = append(samples, sample{coins[i]&1 == 0, float64(took.Nanoseconds()) / float64(t.repeat)})
			}
		}
	}
	return samples[:n]
}
