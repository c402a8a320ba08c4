// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package rest

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/gateway/internal/service"
	"github.com/emrys-health/emrys/pkg/api"
	"github.com/emrys-health/emrys/pkg/emr"
)

func TestEveryOperationHasAHandlerAndEveryHandlerAnOperation(t *testing.T) {
	t.Parallel()
	d := &Door{service: service.New(service.Settings{}, service.Ports{})}
	handlers := d.handlers()
	for _, op := range api.Operations() {
		require.Contains(t, handlers, op.Name)
		delete(handlers, op.Name)
	}
	require.Empty(t, handlers)
	_, err := New(d.service, nil, nil, Limits{})
	require.NoError(t, err)
}

func FuzzRange(f *testing.F) {
	for _, seed := range []string{"bytes=0-1", "bytes=-1", "bytes=5-", "bytes=9-1", "bytes=--", "bytes=0-18446744073709551615", "x", "bytes=+1-2"} {
		f.Add(seed, int64(100))
	}
	f.Fuzz(func(t *testing.T, header string, size int64) {
		if size < 0 {
			return
		}
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
		r.Header["Range"] = []string{header}
		part, err := rangeOf(r, `"e"`, size)
		if err != nil {
			return
		}
		require.GreaterOrEqual(t, part.offset, int64(0))
		require.GreaterOrEqual(t, part.length, int64(0))
		require.LessOrEqual(t, part.offset+part.length, size)
		require.True(t, part.partial || part.length == size)
	})
}

func FuzzDigestField(f *testing.F) {
	for _, seed := range []string{"sha-256=:AA==:", "sha-256=", "sha-512=:x:, sha-256=::", ",,", "sha-256=:" + "A"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		digest, ok, err := parseDigest("Repr-Digest", value)
		require.False(t, ok && err != nil)
		require.True(t, ok || digest == emr.Digest{})
	})
}
