// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package custodian

import (
	"context"
	"io"
	"sync"

	"github.com/emrys-health/emrys/gateway/internal/service"
	"github.com/emrys-health/emrys/pkg/emr"
)

// Readings are the streams from the content store to readers. A stream that began
// before an order would go on fetching blocks from hospitals that have not carried
// it out yet, and leave them here: Forget ends it. Safe for concurrent use.
type Readings struct {
	service.Content

	mu   sync.Mutex
	open map[string]map[*reading]struct{}
	shut map[string]bool
}

// NewReadings watches over the streams of a store.
func NewReadings(content service.Content) *Readings {
	return &Readings{Content: content, open: make(map[string]map[*reading]struct{}), shut: make(map[string]bool)}
}

// Get implements service.Content. It refuses what is forgotten.
func (r *Readings) Get(ctx context.Context, cid string, offset, length int64) (io.ReadCloser, error) {
	ctx, cancel := context.WithCancel(ctx)
	stream := &reading{end: cancel, of: r, cid: cid}
	if !r.enter(stream) {
		cancel()
		return nil, emr.Refused(emr.ReasonErased, emr.ReasonErased.Explain())
	}
	body, err := r.Content.Get(ctx, cid, offset, length)
	if err != nil {
		r.leave(stream)
		cancel()
		return nil, err
	}
	stream.ReadCloser = body
	return stream, nil
}

// Forget implements Keeper: streams of the content end with an error, and no other begins.
func (r *Readings) Forget(_ context.Context, cid string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.shut[cid] = true
	for stream := range r.open[cid] {
		stream.end()
	}
	return nil
}

func (r *Readings) enter(stream *reading) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.shut[stream.cid] {
		return false
	}
	if r.open[stream.cid] == nil {
		r.open[stream.cid] = make(map[*reading]struct{})
	}
	r.open[stream.cid][stream] = struct{}{}
	return true
}

func (r *Readings) leave(stream *reading) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.open[stream.cid], stream)
	if len(r.open[stream.cid]) == 0 {
		delete(r.open, stream.cid)
	}
}

// reading is one stream.
type reading struct {
	io.ReadCloser
	end context.CancelFunc
	of  *Readings
	cid string
}

// Close ends the stream.
func (s *reading) Close() error {
	s.of.leave(s)
	err := s.ReadCloser.Close()
	s.end()
	return err
}
