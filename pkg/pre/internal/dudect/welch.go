// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"math"
	"slices"
)

// threshold is the |t| above which a difference is taken for real. Among equal distributions 4.5 is passed once in 150,000
// tests; here the largest of several dozen dependent tests is taken, and neighbours on the machine are no independent noise, so it is
// set where dudect says "probably not constant time".
const threshold = 10

// sample is one measurement.
type sample struct {
	fixed bool
	ns    float64
}

// result is what the measurements of one operation say.
type result struct {
	fixed, random float64 // medians in ns
	t             float64 // largest |t| of all tests
	kept          float64 // which part of the fastest measurements that test looked at
}

// crops are the parts of the fastest measurements that a test of their own looks at. What disturbs a measurement only ever makes it
// longer, so a small difference shows among the fast ones first.
func crops() []float64 {
	out := []float64{1, 0.999, 0.99}
	for c := 0.95; c > 0.06; c -= 0.05 {
		out = append(out, c)
	}
	return out
}

// analyse tests whether fixed and random measurements differ in mean, for each crop, and in variance over all crops.
func analyse(samples []sample) result {
	times := make([]float64, len(samples))
	for i, s := range samples {
		times[i] = s.ns
	}
	slices.Sort(times)
	var r result
	for _, kept := range crops() {
		limit := times[int(kept*float64(len(times)-1))]
		fixed, random := split(samples, limit)
		if kept == 1 {
			r.fixed, r.random = median(fixed), median(random)
		}
		for _, t := range []float64{welch(fixed, random), welch(squares(fixed), squares(random))} {
			if math.Abs(t) > r.t {
				r.t, r.kept = math.Abs(t), kept
			}
		}
	}
	return r
}

func split(samples []sample, limit float64) (fixed, random []float64) {
	for _, s := range samples {
		switch {
		case s.ns > limit:
		case s.fixed:
			fixed = append(fixed, s.ns)
		default:
			random = append(random, s.ns)
		}
	}
	return fixed, random
}

// welch returns Welch's t of two lists, or 0 where they are too short or constant.
func welch(a, b []float64) float64 {
	if len(a) < 2 || len(b) < 2 {
		return 0
	}
	meanA, varianceA := moments(a)
	meanB, varianceB := moments(b)
	spread := math.Sqrt(varianceA/float64(len(a)) + varianceB/float64(len(b)))
	if spread == 0 {
		return 0
	}
	return (meanA - meanB) / spread
}

// moments returns mean and sample variance.
func moments(x []float64) (mean, variance float64) {
	for _, v := range x {
		mean += v
	}
	mean /= float64(len(x))
	for _, v := range x {
		variance += (v - mean) * (v - mean)
	}
	return mean, variance / float64(len(x)-1)
}

// squares returns the squared distances from the mean: the same test on them compares variances.
func squares(x []float64) []float64 {
	mean, _ := moments(x)
	out := make([]float64, len(x))
	for i, v := range x {
		out[i] = (v - mean) * (v - mean)
	}
	return out
}

func median(x []float64) float64 {
	if len(x) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(x))
	return sorted[len(sorted)/2]
}
