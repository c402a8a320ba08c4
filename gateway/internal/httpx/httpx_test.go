// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package httpx_test

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/gateway/internal/httpx"
	"github.com/emrys-health/emrys/pkg/api"
	"github.com/emrys-health/emrys/pkg/emr"
)

func TestEveryCodeHasAStatus(t *testing.T) {
	t.Parallel()
	for _, code := range emr.Codes() {
		status := httpx.Status(code)
		require.GreaterOrEqual(t, status, 400, code)
		require.Equal(t, code == emr.CodeInternal, status == http.StatusInternalServerError, "%s has no row of its own", code)
	}
}

func serve(t *testing.T, h http.HandlerFunc, header map[string]string) (*httptest.ResponseRecorder, string) {
	t.Helper()
	var logs strings.Builder
	w := httptest.NewRecorder()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/secret-path?secret=1", nil)
	for name, value := range header {
		r.Header.Set(name, value)
	}
	httpx.Wrap(h, slog.New(slog.NewJSONHandler(&logs, nil))).ServeHTTP(w, r)
	return w, logs.String()
}

func TestProblems(t *testing.T) {
	t.Parallel()
	w, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		httpx.Fail(w, r, &emr.Error{Code: emr.CodeRule, Message: "refused", Field: "f", Reason: emr.ReasonRevoked, TxID: "tx", Err: errSecret})
	}, nil)
	var p api.Problem
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &p))
	require.Equal(t, api.Problem{
		Type: api.ProblemBase + "rule", Title: "Unprocessable Entity", Status: 422, Detail: "refused", Code: emr.CodeRule,
		Field: "f", Reason: emr.ReasonRevoked, RequestID: w.Header().Get(api.RequestIDHeader), TransactionID: "tx",
	}, p)
	w, _ = serve(t, func(w http.ResponseWriter, r *http.Request) { httpx.Fail(w, r, errSecret) }, nil)
	require.Equal(t, http.StatusInternalServerError, w.Code)
	require.NotContains(t, w.Body.String(), errSecret.Error(), "causes stay inside")
	w, _ = serve(t, func(w http.ResponseWriter, r *http.Request) { httpx.Fail(w, r, emr.E(emr.CodeUnavailable, "x")) }, nil)
	require.NotEmpty(t, w.Header().Get("Retry-After"))
}

type secretError struct{}

func (secretError) Error() string { return "secret cause" }

var errSecret = secretError{}

func TestRequestIDs(t *testing.T) {
	t.Parallel()
	ok := func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }
	for given, echoed := range map[string]bool{
		"abc-1.2_3": true, "": false, "with space": false, "line\nbreak": false, strings.Repeat("x", 65): false, "ümlaut": false,
	} {
		w, logs := serve(t, ok, map[string]string{api.RequestIDHeader: given})
		got := w.Header().Get(api.RequestIDHeader)
		require.Equal(t, echoed, got == given, "%q", given)
		require.NotEmpty(t, got)
		require.Contains(t, logs, got)
	}
}

func TestAPanicIsAnInternalErrorAndLogsNoValue(t *testing.T) {
	t.Parallel()
	w, logs := serve(t, func(http.ResponseWriter, *http.Request) { panic("secret value") }, nil)
	require.Equal(t, http.StatusInternalServerError, w.Code)
	require.Contains(t, w.Body.String(), emr.InternalMessage)
	require.NotContains(t, w.Body.String()+logs, "secret value")
	require.NotContains(t, logs, "secret-path")
	require.Panics(t, func() {
		_, _ = serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK); panic("late") }, nil)
	}, "an answer that has begun is broken off")
}

func FuzzReadJSON(f *testing.F) {
	for _, seed := range []string{`{}`, `{"kind":"p256","body":"","signature":""}`, `{"kind":1}`, `[`, `{}{}`, "\x00", `{"x":` + strings.Repeat("[", 100)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body string) {
		var signed emr.SignedAction
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", strings.NewReader(body))
		err := httpx.ReadJSON(httptest.NewRecorder(), r, &signed)
		if err != nil {
			require.Contains(t, []emr.Code{emr.CodeInvalid, emr.CodeTooLarge}, emr.CodeOf(err))
			return
		}
		_, _ = signed.Parse() // must not panic
	})
}
