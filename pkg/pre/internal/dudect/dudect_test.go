// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestWelchOfKnownSamples(t *testing.T) {
	t.Parallel()
	// Worked by hand: means 2 and 4, variances 1 and 4, three values each.
	require.InDelta(t, -2/math.Sqrt(1.0/3+4.0/3), welch([]float64{1, 2, 3}, []float64{2, 4, 6}), 1e-12)
	require.InDelta(t, 0, welch([]float64{1, 2, 3}, []float64{3, 2, 1}), 1e-12)
	require.Zero(t, welch([]float64{1}, []float64{1, 2}), "too short")
	require.Zero(t, welch([]float64{1, 1}, []float64{2, 2}), "no spread")
	require.InDeltaSlice(t, []float64{1, 0, 1}, squares([]float64{1, 2, 3}), 1e-12)
	require.InDelta(t, 2, median([]float64{3, 1, 2}), 0)
	require.Zero(t, median(nil))
}

// draw returns samples with times of the given mean and spread for each class, and outliers such as an interrupt makes.
func draw(source *rand.Rand, n int, fixed, random [2]float64) []sample {
	out := make([]sample, n)
	for i := range out {
		class := random
		if out[i].fixed = source.IntN(2) == 0; out[i].fixed {
			class = fixed
		}
		out[i].ns = class[0] + class[1]*source.NormFloat64()
		if source.IntN(50) == 0 {
			out[i].ns += 100000 * source.Float64()
		}
	}
	return out
}

func TestDifferencesAreFoundAmongOutliers(t *testing.T) {
	t.Parallel()
	source := rand.New(rand.NewPCG(1, 2))
	require.Less(t, analyse(draw(source, 20000, [2]float64{1000, 10}, [2]float64{1000, 10})).t, 6.0, "none")
	r := analyse(draw(source, 20000, [2]float64{1000, 10}, [2]float64{1003, 10}))
	require.Greater(t, r.t, float64(threshold), "3 ns in 1000, which the outliers hide from the plain test")
	require.Less(t, r.kept, 1.0)
	require.InDelta(t, 1000, r.fixed, 2)
	require.InDelta(t, 1003, r.random, 2)
	require.Greater(t, analyse(draw(source, 20000, [2]float64{1000, 10}, [2]float64{1000, 20})).t, float64(threshold), "spread alone")
}

func TestTheControlsComeOutAsTheyMust(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, run([]string{"-n", "3000", "-only", "control"}, &out), out.String())
	require.Equal(t, 3, strings.Count(out.String(), "leaks, as it must"), out.String())
	require.Equal(t, 1, strings.Count(out.String(), "no difference found"), out.String())
}

func TestEveryOperationCanBeMeasured(t *testing.T) {
	targets, err := operations()
	require.NoError(t, err)
	names := map[string]bool{}
	for _, target := range targets {
		require.Len(t, measure(target, 4), 4)
		require.False(t, names[target.name], target.name)
		names[target.name] = true
	}
	require.NotEmpty(t, names)
}

func TestVerdicts(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		leaky bool
		t     float64
		ok    bool
	}{{true, 100, true}, {true, 1, false}, {false, 100, false}, {false, 1, true}} {
		_, ok := judge(target{leaky: tc.leaky}, result{t: tc.t})
		require.Equal(t, tc.ok, ok)
	}
	require.Error(t, run([]string{"-unknown"}, &bytes.Buffer{}))
}
