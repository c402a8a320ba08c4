// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"

	"github.com/emrys-health/emrys/network"
	"github.com/emrys-health/emrys/network/runner"
	"github.com/emrys-health/emrys/network/topology"
	"github.com/emrys-health/emrys/pkg/emr"
)

// Exit codes.
const (
	exitOK          = 0
	exitInternal    = 1
	exitUsage       = 2 // the command line or a file given by the user is wrong
	exitForbidden   = 4 // the administrator may not
	exitNotFound    = 5 // absent, or over
	exitExists      = 6 // there already, or changed at the same time
	exitRule        = 7 // a rule of the ledger refused
	exitUnavailable = 8 // something that is needed is not there now
)

// usageError marks a mistake in the command line.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// reportedError is an outcome that the output has told already.
type reportedError struct{ error }

func (e reportedError) Unwrap() error { return e.error }

type failure struct {
	Error string `json:"error"`
	Code  int    `json:"code"`
}

func exitCode(err error) int {
	var (
		usage   usageError
		invalid *topology.InvalidError
		port    *network.PortError
	)
	switch {
	case errors.As(err, &usage), errors.As(err, &invalid), errors.Is(err, runner.ErrUnknown):
		return exitUsage
	case errors.As(err, &port), errors.Is(err, network.ErrBusy), errors.Is(err, network.ErrNoNetwork), errors.Is(err, network.ErrUnreachable),
		errors.Is(err, runner.ErrNotRunning), errors.Is(err, errUnhealthy), errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return exitUnavailable
	default:
		return exitOf(emr.CodeOf(err))
	}
}

// exitOf is the exit code of a refusal by the ledger.
func exitOf(code emr.Code) int {
	switch code {
	case emr.CodeInvalid:
		return exitUsage
	case emr.CodeForbidden, emr.CodeUnauthenticated:
		return exitForbidden
	case emr.CodeNotFound, emr.CodeGone:
		return exitNotFound
	case emr.CodeExists, emr.CodeConflict, emr.CodeStale:
		return exitExists
	case emr.CodeRule, emr.CodeUnsupported:
		return exitRule
	default:
		return exitInternal
	}
}

func writeJSON(w io.Writer, value any) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	return encoder.Encode(value)
}
