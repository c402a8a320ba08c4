// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledgertest_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/chaincode/ledger"
	"github.com/emrys-health/emrys/chaincode/ledger/ledgertest"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

type store struct{ world *ledgertest.World }

func (s store) Begin(t *testing.T) (ledger.State, func()) {
	tx := s.world.Begin(ledgertest.Facts{TxID: "tx"})
	return tx, func() { require.NoError(t, tx.Commit()) }
}

func (s store) View(*testing.T) ledger.Reader { return s.world.View(ledgertest.Facts{}) }

func TestWorldPassesTheSuite(t *testing.T) {
	t.Parallel()
	ledgertest.Suite(t, func(*testing.T) ledgertest.Store { return store{ledgertest.NewWorld("c")} })
}

func TestACommitConflictsWhenWhatWasReadHasChanged(t *testing.T) {
	t.Parallel()
	world := ledgertest.NewWorld("c")
	key := ledgerapi.Key{Type: "a", Attributes: []string{"1"}}
	first, second := world.Begin(ledgertest.Facts{}), world.Begin(ledgertest.Facts{})
	for _, tx := range []*ledgertest.Tx{first, second} {
		_, err := tx.Get(key)
		require.NoError(t, err)
		require.NoError(t, tx.Put(key, []byte("x")))
	}
	require.NoError(t, first.Commit())
	require.ErrorIs(t, second.Commit(), ledgertest.ErrConflict)
}
