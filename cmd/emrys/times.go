// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/emrys-health/emrys/pkg/emr"
)

const day = 24 * time.Hour

// parseUntil reads the end of a permission: how long from now (90m, 2h, 30d) or
// a moment (RFC 3339, or a date, which means its beginning in the local zone).
func parseUntil(field, text string, now time.Time) (time.Time, error) {
	if d, ok := parseSpan(text); ok {
		if d <= 0 {
			return time.Time{}, emr.Invalid(field, "must be longer than nothing")
		}
		return now.Add(d), nil
	}
	return parseMoment(field, text)
}

// parseSpan reads a Go duration, or whole days as in 30d.
func parseSpan(text string) (time.Duration, bool) {
	if digits, ok := strings.CutSuffix(text, "d"); ok {
		n, err := strconv.ParseUint(digits, 10, 32)
		if err != nil || n > uint64(math.MaxInt64/day) {
			return 0, false
		}
		return time.Duration(n) * day, true //nolint:gosec // bounded above
	}
	d, err := time.ParseDuration(text)
	return d, err == nil
}

// parseMoment reads RFC 3339 or a date in the local zone.
func parseMoment(field, text string) (time.Time, error) {
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return t, nil
	}
	if t, err := time.ParseInLocation(time.DateOnly, text, time.Local); err == nil {
		return t, nil
	}
	return time.Time{}, emr.Invalid(field, "must be a time like 2026-12-31T18:00:00+01:00, a date like 2026-12-31, or where it fits a span like 2h or 30d")
}

// optionalMoment is parseMoment for a flag that may be left out.
func optionalMoment(field, text string) (emr.Time, error) {
	if text == "" {
		return 0, nil
	}
	t, err := parseMoment(field, text)
	if err != nil {
		return 0, err
	}
	if t.Unix() <= 0 {
		return 0, emr.Invalid(field, "must be after 1970")
	}
	return emr.TimeOf(t), nil
}
