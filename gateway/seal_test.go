// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package gateway_test

import (
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/chaincode/ledger"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
	"github.com/emrys-health/emrys/pkg/trail"
)

func TestAGatewaySealsWhatItsPeopleHaveRead(t *testing.T) {
	t.Parallel()
	c := newCare(t)
	c.put(t)
	c.give(t)
	ticket := c.disclose(t, emr.Permit)

	node := c.gateways[c.reader.Org.ID]
	node.stop()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", strings.TrimPrefix(node.url, "https://"))
	require.NoError(t, err)
	node.cfg.Policy.SealEvery = time.Millisecond
	c.run(t, node, listener)

	for sealed := false; !sealed; {
		c.mu.Lock()
		changed := c.changed
		left, err := ledger.ListUnsealed(c.Query(node.org), ledgerapi.UnsealedQuery{Org: node.org.ID})
		require.NoError(t, err)
		sealed = len(left.Items) == 0
		c.mu.Unlock()
		if !sealed {
			<-changed
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	proof, err := ledger.ProveSealed(c.Query(node.org), ledgerapi.SealedQuery{
		Org: node.org.ID, TxID: ticket.TxID, Record: c.manifest.Record, Ref: ticket.ID,
	})
	require.NoError(t, err)
	require.NoError(t, trail.VerifyInclusion(proof))
	require.Equal(t, emr.AuditDisclosure, proof.Entry.Kind)
	require.Equal(t, string(c.reader.ID), proof.Entry.Actor)
}
