// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"bytes"
	"crypto/rand"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func content(t testing.TB) []byte {
	t.Helper()
	b := make([]byte, size)
	_, err := rand.Read(b)
	require.NoError(t, err)
	return b
}

func TestEveryContenderGivesBackWhatItWasGiven(t *testing.T) {
	content := content(t)
	for _, c := range contenders(t) {
		var stored, opened bytes.Buffer
		require.NoError(t, c.seal(&stored, content), c.name)
		require.Greater(t, stored.Len(), size)
		if c.open != nil {
			require.NoError(t, c.open(&opened, stored.Bytes()), c.name)
			require.True(t, bytes.Equal(content, opened.Bytes()), c.name)
		}
		if c.at == nil {
			continue
		}
		r, err := c.at(stored.Bytes())
		require.NoError(t, err, c.name)
		p := make([]byte, 4096)
		_, err = r.ReadAt(p, size/3)
		require.NoError(t, err, c.name)
		require.True(t, bytes.Equal(content[size/3:size/3+4096], p), c.name)
	}
}

// BenchmarkSeal and BenchmarkOpen measure 64 MiB from memory to nowhere, in MB/s (decimal). Each pass is followed by one of
// the bare AEAD with segments of 256 KiB on one core; "x-raw" is how many times its speed the contender has. On a busy
// machine that ratio says more than the MB/s, because both passes meet the same disturbance.
func BenchmarkSeal(b *testing.B) {
	content := content(b)
	all := contenders(b)
	for _, c := range all {
		b.Run(c.name, func(b *testing.B) {
			beside(b, func() error { return c.seal(io.Discard, content) }, func() error { return all[0].seal(io.Discard, content) })
		})
	}
}

// BenchmarkOpen: see BenchmarkSeal.
func BenchmarkOpen(b *testing.B) {
	content := content(b)
	all := contenders(b)
	var plain bytes.Buffer
	require.NoError(b, all[0].seal(&plain, content))
	for _, c := range all {
		if c.open == nil {
			continue
		}
		var stored bytes.Buffer
		require.NoError(b, c.seal(&stored, content))
		b.Run(c.name, func(b *testing.B) {
			beside(b, func() error { return c.open(sink{}, stored.Bytes()) }, func() error { return all[0].open(sink{}, plain.Bytes()) })
		})
	}
}

// sink discards like io.Discard, but takes no shortcut (io.Discard reads from the source with a small buffer of its own).
type sink struct{}

func (sink) Write(p []byte) (int, error) { return len(p), nil }

// BenchmarkRandom4KiB reads 4 KiB at places far apart; it reports the time of one access.
func BenchmarkRandom4KiB(b *testing.B) {
	content := content(b)
	for _, c := range contenders(b) {
		if c.at == nil {
			continue
		}
		var stored bytes.Buffer
		require.NoError(b, c.seal(&stored, content))
		b.Run(c.name, func(b *testing.B) {
			r, err := c.at(stored.Bytes())
			require.NoError(b, err)
			p, at := make([]byte, 4096), int64(0)
			b.ReportAllocs()
			for b.Loop() {
				at = (at + 7919*4096) % (size - 4096)
				if _, err := r.ReadAt(p, at); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkSections1MiB reads everything from front to back by random access, 1 MiB at a time.
func BenchmarkSections1MiB(b *testing.B) {
	content := content(b)
	all := contenders(b)
	var plain bytes.Buffer
	require.NoError(b, all[0].seal(&plain, content))
	for _, c := range all {
		if c.at == nil {
			continue
		}
		var stored bytes.Buffer
		require.NoError(b, c.seal(&stored, content))
		b.Run(c.name, func(b *testing.B) {
			r, err := c.at(stored.Bytes())
			require.NoError(b, err)
			p := make([]byte, 1<<20)
			sections := func() error {
				for at := int64(0); at < size; at += int64(len(p)) {
					if n, err := r.ReadAt(p, at); err != nil && n < len(p) {
						return err
					}
				}
				return nil
			}
			beside(b, sections, func() error { return all[0].open(sink{}, plain.Bytes()) })
		})
	}
}

// beside measures one pass of 64 MiB, each with a pass of the yardstick after it.
func beside(b *testing.B, pass, yardstick func() error) {
	b.Helper()
	b.SetBytes(size)
	var own, other time.Duration
	for b.Loop() {
		begin := time.Now()
		if err := pass(); err != nil {
			b.Fatal(err)
		}
		own += time.Since(begin)
		b.StopTimer()
		begin = time.Now()
		if err := yardstick(); err != nil {
			b.Fatal(err)
		}
		other += time.Since(begin)
		b.StartTimer()
	}
	b.ReportMetric(float64(other)/float64(own), "x-raw")
}
