// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package fabric_test

import (
	"context"
	"log/slog"
	"testing"

	gw "github.com/hyperledger/fabric-protos-go-apiv2/gateway"
	"github.com/hyperledger/fabric-protos-go-apiv2/peer"
	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/gateway/internal/pin"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

func TestEventsOfOrdersToDestroyNameTheOrder(t *testing.T) {
	t.Parallel()
	b := newBench(t, 1)
	var blocks []*gw.ChaincodeEventsResponse
	for n, e := range []struct{ name, payload string }{
		{ledgerapi.EventErasureOrdered, `{"v":1,"id":"ers_1"}`},
		{ledgerapi.EventErasureContinued, `{"v":1,"id":"ers_2"}`},
		{ledgerapi.EventRecordRegistered, `{"v":1,"id":"rec_1","erasure":"ers_3"}`},
		{ledgerapi.EventDisclosed, `of no concern`},
	} {
		blocks = append(blocks, &gw.ChaincodeEventsResponse{BlockNumber: uint64(n + 1), Events: []*peer.ChaincodeEvent{{
			TxId: "t", ChaincodeId: "emrys", EventName: e.name, Payload: []byte(e.payload),
		}}})
	}
	b.peers[0].streams = [][]*gw.ChaincodeEventsResponse{blocks}
	ctx, cancel := context.WithCancel(t.Context())
	seen := make(chan pin.Event)
	done := make(chan error, 1)
	go func() {
		done <- b.Events(ctx, slog.New(slog.DiscardHandler), pin.Place{}, func(e pin.Event) error { seen <- e; return nil })
	}()
	require.Equal(t, "ers_1", (<-seen).ID)
	require.Equal(t, "ers_2", (<-seen).ID)
	require.Equal(t, emr.ErasureID("ers_3"), (<-seen).Erasure)
	last := <-seen
	require.Equal(t, ledgerapi.EventDisclosed, last.Name)
	require.Empty(t, last.ID)
	cancel()
	require.ErrorIs(t, <-done, context.Canceled)
}
