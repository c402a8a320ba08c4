// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/emrys-health/emrys/pkg/client"
	"github.com/emrys-health/emrys/pkg/emr"
)

// result writes what a command found: the value as JSON, or the text for people.
func (a *app) result(value any, text func(w io.Writer)) error {
	if !a.json {
		text(a.stdout)
		return nil
	}
	return writeJSON(a.stdout, value)
}

func writeJSON(w io.Writer, value any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(value); err != nil {
		return fmt.Errorf("write result: %w", err)
	}
	return nil
}

// note tells people something beside the result; with --json it is silent.
func (a *app) note(format string, args ...any) {
	if !a.json {
		fmt.Fprintf(a.stderr, format+"\n", args...)
	}
}

// fields writes names and values in two aligned columns; empty values are left out.
func fields(w io.Writer, pairs ...string) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			fmt.Fprintf(t, "%s\t%s\n", pairs[i], pairs[i+1])
		}
	}
	_ = t.Flush()
}

// table writes aligned columns under a heading.
func table(w io.Writer, heading []string, rows [][]string) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, row := range append([][]string{heading}, rows...) {
		for i, cell := range row {
			if i > 0 {
				fmt.Fprint(t, "\t")
			}
			if cell == "" {
				cell = "-"
			}
			fmt.Fprint(t, cell)
		}
		fmt.Fprintln(t)
	}
	_ = t.Flush()
}

// when writes a moment for people: in the local zone.
func when(t emr.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Std().Local().Format("2006-01-02 15:04:05 MST")
}

// size writes a number of bytes for people.
func size(n uint64) string {
	const unit = 1024
	if n < unit {
		return fmt.Sprintf("%d B", n)
	}
	value, prefix := float64(n)/unit, 0
	for value >= unit && prefix < 4 {
		value /= unit
		prefix++
	}
	return fmt.Sprintf("%.1f %ciB", value, "KMGTP"[prefix])
}

// failure is the JSON form of an error.
type failure struct {
	Code      emr.Code   `json:"code"`
	Message   string     `json:"message"`
	Field     string     `json:"field,omitempty"`
	Reason    emr.Reason `json:"reason,omitempty"`
	TxID      string     `json:"txId,omitempty"`
	RequestID string     `json:"requestId,omitempty"`
	Next      string     `json:"next,omitempty"`
}

// report writes an error and what to do about it. Causes stay inside: they may
// hold addresses and paths that are nobody's business in a log of errors.
func (a *app) report(err error) {
	f := a.describe(err)
	if a.json {
		_ = writeJSON(a.stderr, map[string]failure{"error": f})
		return
	}
	fmt.Fprintf(a.stderr, "emrys: %s\n", f.Message)
	pairs := []string{
		"  field", f.Field, "  reason", string(f.Reason), "  transaction", f.TxID, "  request", f.RequestID, "  next", f.Next,
	}
	fields(a.stderr, pairs...)
}

func (a *app) describe(err error) failure {
	p := emr.Public(err)
	f := failure{
		Code: p.Code, Message: p.Message, Field: p.Field, Reason: p.Reason, TxID: p.TxID,
		RequestID: client.RequestID(err), Next: a.advice(p),
	}
	if errors.Is(err, context.Canceled) && p.Code == emr.CodeInternal {
		f.Message, f.Next = "interrupted", ""
	}
	if f.Message == "" {
		f.Message = "refused: " + string(p.Code)
		if p.Reason != "" {
			f.Message = "refused: " + p.Reason.Explain()
		}
	}
	return f
}

// advice says what a person can do about an error.
func (a *app) advice(e *emr.Error) string {
	record, purpose := "RECORD", "PURPOSE"
	if a.record != "" {
		record = string(a.record)
	}
	if a.purpose != "" {
		purpose = string(a.purpose)
	}
	switch e.Reason {
	case emr.ReasonPurpose:
		return "name a purpose that your role may have and the patient agreed to"
	case emr.ReasonNoGrant, emr.ReasonNotCovered, emr.ReasonRevoked, emr.ReasonExpired, emr.ReasonExhausted, emr.ReasonNotGrantee:
		return "ask the patient: emrys access request " + record + " --purpose " + purpose
	case emr.ReasonNoRelationship:
		return "a physician proposes one: emrys relationship propose --patient PATIENT"
	case emr.ReasonConsentDenies, emr.ReasonConsentWithdrawn:
		return "only the patient can change it: emrys consent show, emrys consent set"
	case emr.ReasonTicketExpired:
		return "read again: emrys record get " + record + " -o FILE"
	}
	switch e.Code {
	case emr.CodeConflict, emr.CodeRateLimited, emr.CodeUnavailable, emr.CodeTimeout:
		return "nothing was changed; run the same command again in a moment"
	case emr.CodeUnknownOutcome:
		return "look first: emrys access list, emrys audit log or emrys record search tell whether it happened"
	case emr.CodeCorrupt:
		return "do not rely on the answer; tell the hospital's administrators, with the lines above"
	case emr.CodeUnauthenticated:
		return "check the passphrase, the certificate's end (emrys whoami) and this device's clock"
	case emr.CodeInternal:
		return "tell the hospital's administrators, with the request id if there is one"
	default:
		return ""
	}
}
