// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ipfs_test

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/pkg/blob"
	"github.com/emrys-health/emrys/pkg/blob/blobtest"
	"github.com/emrys-health/emrys/pkg/blob/ipfs"
)

const swarmKey = "/key/swarm/psk/1.0.0/\n/base16/\n" +
	"2f1e7ac6d0b94d1c8f0e5b3a69d7c2481f0e9d8c7b6a5948372615f4e3d2c1b0\n"

func TestTheIPFSStoreKeepsTheContract(t *testing.T) {
	t.Parallel()
	blobtest.Run(t, blobtest.Config{
		Pair: func(t *testing.T) (blobtest.Node, blobtest.Node) {
			t.Helper()
			near, far := start(t, swarmKey), start(t, swarmKey)
			near.connect(t, far)
			return near.node(t), far.node(t)
		},
		Down: func(t *testing.T) blob.Store {
			t.Helper()
			s, err := ipfs.New(ipfs.Config{Endpoint: "/ip4/127.0.0.1/tcp/1"})
			require.NoError(t, err)
			return s
		},
	})
}

func TestIDsAreThoseOfTheDocumentedTree(t *testing.T) {
	t.Parallel()
	s := start(t, "").store(t)
	ref, err := s.Put(t.Context(), bytes.NewReader(nil))
	require.NoError(t, err)
	require.Equal(t, "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku", ref.CID, "the raw block of no bytes")
}
