// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package api_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/pkg/api"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

func TestOperationsAreDistinctAndComplete(t *testing.T) {
	t.Parallel()
	names, routes := map[string]bool{}, map[string]bool{}
	for _, op := range api.Operations() {
		require.False(t, names[op.Name], op.Name)
		require.False(t, routes[op.Method+op.Path], op.Path)
		names[op.Name], routes[op.Method+op.Path] = true, true
		require.True(t, strings.HasPrefix(op.Path, "/v1/"), op.Path)
		require.NotEmpty(t, op.Summary, op.Name)
		require.Equal(t, op.Shape == api.ShapeAction, op.Function != "", op.Name)
		require.NotContains(t, strings.Join(op.Query, " "), "patient", "a pseudonym must not stand in a URL")
	}
}

func TestEveryTransactionOfAPersonHasAnOperation(t *testing.T) {
	t.Parallel()
	var relayed []string
	for _, op := range api.Operations() {
		if op.Shape == api.ShapeAction && op.Function != ledgerapi.OpenTicket {
			relayed = append(relayed, op.Function)
		}
	}
	want := ledgerapi.SignedTransactions()
	slices.Sort(want)
	slices.Sort(relayed)
	require.Equal(t, want, relayed)
}
