// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

//go:build node || browser || benchwasm

package main_test

import (
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/cmd/emrys-wasm/internal/gatewaytest"
)

// serve starts the other side, five gateways, on loopback, and returns its address.
func serve(t testing.TB, dir string) string {
	t.Helper()
	c, err := gatewaytest.New(5)
	require.NoError(t, err)
	s := httptest.NewServer(c.Handler(http.Dir(dir)))
	t.Cleanup(func() {
		s.CloseClientConnections()
		s.Close()
	})
	return s.URL
}

// environment tells the scripts where the bundle and the other side are.
func environment(t testing.TB) []string {
	t.Helper()
	dir := bundle(t)
	vectors, err := filepath.Abs("../../pkg/pre/testdata/emrys-pre-v1.json")
	require.NoError(t, err)
	spec, err := filepath.Abs("../../docs/spec/vectors")
	require.NoError(t, err)
	return []string{
		"EMRYS_BUNDLE=" + dir, "EMRYS_SERVER=" + serve(t, dir), "EMRYS_VECTORS=" + vectors, "EMRYS_SPEC_VECTORS=" + spec,
	}
}
