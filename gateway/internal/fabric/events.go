// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package fabric

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/hyperledger/fabric-gateway/pkg/client"

	"github.com/emrys-health/emrys/gateway/internal/pin"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// checkpoint is a place in the stream of events: after Transaction in Block.
type checkpoint struct{ pin.Place }

func (c checkpoint) BlockNumber() uint64   { return c.Block }
func (c checkpoint) TransactionID() string { return c.Transaction }

// longestPause bounds the pause before events are asked for again.
const longestPause = 5 * time.Second

// Events follows the contract's events from a place on until ctx ends. handle
// gets each event once it is committed; when it fails, or the stream breaks, the
// stream is opened again after the last event that was handled, so that handle
// may see an event twice but never misses one.
func (l *Ledger) Events(ctx context.Context, log *slog.Logger, from pin.Place, handle func(pin.Event) error) error {
	wait := firstPause
	for ctx.Err() == nil {
		reached, err := l.stream(ctx, from, handle)
		if reached != from {
			from, wait = reached, firstPause
		}
		if ctx.Err() != nil {
			break
		}
		log.WarnContext(ctx, "events interrupted", slog.String("error", errText(err)))
		select {
		case <-time.After(wait):
			wait = min(2*wait, longestPause)
		case <-ctx.Done():
		}
	}
	return ctx.Err()
}

func errText(err error) string {
	if err == nil {
		return "the stream ended"
	}
	return err.Error()
}

// stream follows one stream until it breaks and returns the last place handled.
func (l *Ledger) stream(ctx context.Context, from pin.Place, handle func(pin.Event) error) (pin.Place, error) {
	ctx, cancel := context.WithCancel(ctx)
	var events <-chan *client.ChaincodeEvent
	err := l.each(ctx, func(n *node) error {
		var err error
		// A checkpoint of zero is ignored by the client, so that the start is given too.
		events, err = n.network.ChaincodeEvents(ctx, l.chaincode,
			client.WithStartBlock(0), client.WithCheckpoint(checkpoint{from}))
		return err
	})
	if err != nil {
		cancel()
		return from, fmt.Errorf("ask for events: %w", err)
	}
	// The client's goroutine blocks on a channel nobody reads.
	defer func() {
		cancel()
		for range events { //nolint:revive // drained
		}
	}()
	for event := range events {
		if err := deliver(event, handle); err != nil {
			return from, err
		}
		from = pin.Place{Block: event.BlockNumber, Transaction: event.TransactionID}
	}
	l.next()
	return from, nil
}

// next moves on to another node: a stream that broke says little about why.
func (l *Ledger) next() {
	if len(l.nodes) > 1 {
		at := l.current.Load()
		l.current.CompareAndSwap(at, (at+1)%int32(len(l.nodes))) //nolint:gosec // a short list
	}
}

func deliver(e *client.ChaincodeEvent, handle func(pin.Event) error) error {
	event := pin.Event{Place: pin.Place{Block: e.BlockNumber, Transaction: e.TransactionID}, Name: e.EventName}
	switch e.EventName {
	case ledgerapi.EventRecordRegistered, ledgerapi.EventErasureOrdered, ledgerapi.EventErasureContinued:
		if err := decode(e.Payload, &event.Event); err != nil {
			return err
		}
		if event.V != emr.DocumentVersion {
			return emr.E(emr.CodeUnsupported, "event version is not known")
		}
	}
	return handle(event)
}
