// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

// Package quota bounds how often something may be done for one key.
package quota

import (
	"math"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// maxKeys bounds the keys that are remembered.
const maxKeys = 10_000

// idle is how long a key is remembered at least once the table is full.
const idle = time.Minute

// Limiter lets each key act at a rate, with bursts of two seconds' worth. It is
// safe for concurrent use.
type Limiter struct {
	rate rate.Limit
	now  func() time.Time

	mu   sync.Mutex
	keys map[string]*bucket
}

type bucket struct {
	limiter *rate.Limiter
	used    time.Time
}

// New makes a limiter of perSecond actions for each key.
func New(perSecond float64, now func() time.Time) *Limiter {
	return &Limiter{rate: rate.Limit(perSecond), now: now, keys: make(map[string]*bucket)}
}

// Allow tells whether the key may act now. When more keys act at once than can
// be remembered, new ones are refused.
func (l *Limiter) Allow(key string) bool {
	now := l.now()
	l.mu.Lock()
	defer l.mu.Unlock()
	b, ok := l.keys[key]
	if !ok {
		if len(l.keys) >= maxKeys && !l.purge(now) {
			return false
		}
		burst := max(1, int(math.Ceil(2*float64(l.rate))))
		b = &bucket{limiter: rate.NewLimiter(l.rate, burst)}
		l.keys[key] = b
	}
	b.used = now
	return b.limiter.AllowN(now, 1)
}

// purge forgets idle keys and reports whether there is room. The caller holds mu.
func (l *Limiter) purge(now time.Time) bool {
	for key, b := range l.keys {
		if now.Sub(b.used) > idle {
			delete(l.keys, key)
		}
	}
	return len(l.keys) < maxKeys
}
