// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

// Package httpx is how the gateway speaks HTTP: the one writer of errors, the
// middleware around every request, and the server with its limits.
package httpx

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"

	"github.com/emrys-health/emrys/pkg/api"
	"github.com/emrys-health/emrys/pkg/emr"
)

// statuses is the one table from codes to HTTP status codes.
func statuses() map[emr.Code]int {
	return map[emr.Code]int{
		emr.CodeInvalid:         http.StatusBadRequest,
		emr.CodeUnauthenticated: http.StatusUnauthorized,
		emr.CodeForbidden:       http.StatusForbidden,
		emr.CodeNotFound:        http.StatusNotFound,
		emr.CodeGone:            http.StatusGone,
		emr.CodeExists:          http.StatusConflict,
		emr.CodeConflict:        http.StatusConflict,
		emr.CodeStale:           http.StatusPreconditionFailed,
		emr.CodeRule:            http.StatusUnprocessableEntity,
		emr.CodeTooLarge:        http.StatusRequestEntityTooLarge,
		emr.CodeRateLimited:     http.StatusTooManyRequests,
		emr.CodeUnsupported:     http.StatusNotImplemented,
		emr.CodeCorrupt:         http.StatusBadGateway,
		emr.CodeUnavailable:     http.StatusServiceUnavailable,
		emr.CodeTimeout:         http.StatusGatewayTimeout,
		emr.CodeUnknownOutcome:  http.StatusGatewayTimeout,
		emr.CodeInternal:        http.StatusInternalServerError,
	}
}

// Status returns the HTTP status code of an error code.
func Status(code emr.Code) int {
	if s, ok := statuses()[code]; ok {
		return s
	}
	return http.StatusInternalServerError
}

// retryAfter is the value of Retry-After, in seconds, where trying again makes sense.
const retryAfter = "1"

// problemType is the media type of errors (RFC 9457).
const problemType = "application/problem+json"

// Fail writes an error as a problem and notes it for the access log.
func Fail(w http.ResponseWriter, r *http.Request, err error) {
	FailStatus(w, r, 0, err)
}

// FailStatus is Fail with a status of the protocol's own, such as 405; 0 takes
// that of the code.
func FailStatus(w http.ResponseWriter, r *http.Request, status int, err error) {
	shown := emr.Public(bodyError(err))
	if status == 0 {
		status = Status(shown.Code)
	}
	call := callOf(r.Context())
	call.code, call.err, call.txID = shown.Code, err, shown.TxID
	header := w.Header()
	switch shown.Code {
	case emr.CodeUnauthenticated:
		header.Set("WWW-Authenticate", `Bearer realm="emrys"`)
	case emr.CodeRateLimited, emr.CodeUnavailable:
		header.Set("Retry-After", retryAfter)
	}
	header.Set("Content-Type", problemType)
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(api.Problem{ // the caller has gone: nobody to tell
		Type: api.ProblemBase + string(shown.Code), Title: http.StatusText(status), Status: status, Detail: shown.Message,
		Code: shown.Code, Field: shown.Field, Reason: shown.Reason, RequestID: call.id, TransactionID: shown.TxID,
	})
}

// bodyError gives errors of reading a request their codes.
func bodyError(err error) error {
	var tooLarge *http.MaxBytesError
	switch {
	case emr.CodeOf(err) != emr.CodeInternal:
		return err
	case errors.As(err, &tooLarge):
		return emr.Wrap(emr.CodeTooLarge, "the body is larger than allowed", err)
	case errors.Is(err, context.DeadlineExceeded):
		return emr.Wrap(emr.CodeTimeout, "the call took too long", err)
	default:
		return err
	}
}

// JSON writes a successful answer.
func JSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // the caller has gone: nobody to tell
}
