// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package pin

import (
	"context"
	"sync"
	"time"
)

// attempts are the attempts under way, at most one for each content. The zero value is ready.
type attempts struct {
	mu    sync.Mutex
	known map[string]*attempt
}

type attempt struct {
	cancel context.CancelFunc
	ended  chan struct{}
}

// begin waits for an earlier attempt with the same content to end. The caller calls
// end, also when its context has ended.
func (a *attempts) begin(ctx context.Context, cid string, timeout time.Duration) (within context.Context, end func()) {
	within, cancel := context.WithTimeout(ctx, timeout)
	mine := &attempt{cancel: cancel, ended: make(chan struct{})}
	for {
		a.mu.Lock()
		other := a.known[cid]
		if other == nil {
			break
		}
		a.mu.Unlock()
		<-other.ended
	}
	defer a.mu.Unlock()
	if a.known == nil {
		a.known = make(map[string]*attempt)
	}
	a.known[cid] = mine
	return within, func() {
		cancel()
		a.mu.Lock()
		defer a.mu.Unlock()
		delete(a.known, cid)
		close(mine.ended)
	}
}

// stop ends an attempt and waits until it has ended.
func (a *attempts) stop(ctx context.Context, cid string) error {
	a.mu.Lock()
	other := a.known[cid]
	a.mu.Unlock()
	if other == nil {
		return nil
	}
	other.cancel()
	select {
	case <-other.ended:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
