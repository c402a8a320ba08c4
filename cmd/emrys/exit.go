// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"

	"github.com/emrys-health/emrys/pkg/emr"
)

// exitInterrupted is what shells report of a program that a signal ended.
const exitInterrupted = 130

// exitCodes is this door's table from an error's code to the exit code. 0 is success.
func exitCodes() map[emr.Code]int {
	return map[emr.Code]int{
		emr.CodeInvalid: 2, emr.CodeTooLarge: 2, emr.CodeUnsupported: 2,
		emr.CodeUnauthenticated: 3,
		emr.CodeForbidden:       4,
		emr.CodeNotFound:        5, emr.CodeGone: 5,
		emr.CodeExists: 6, emr.CodeConflict: 6, emr.CodeStale: 6,
		emr.CodeRule:        7,
		emr.CodeRateLimited: 8, emr.CodeUnavailable: 8, emr.CodeTimeout: 8,
		emr.CodeCorrupt:        9,
		emr.CodeUnknownOutcome: 10,
		emr.CodeInternal:       1,
	}
}

func exitCode(err error) int {
	switch {
	case err == nil:
		return 0
	case errors.Is(err, context.Canceled) && emr.CodeOf(err) == emr.CodeInternal:
		return exitInterrupted
	}
	return exitCodes()[emr.CodeOf(err)]
}
