// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package emr

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"time"
)

// Canonical returns the canonical encoding of a document: JSON as encoding/json
// writes it, with struct fields in their declared order, no white space and no
// HTML escaping. Documents hold no maps, no floating-point numbers and no
// optional fields, so that equal documents have equal bytes. A field that a
// document has gained since is left out when it is zero ("omitzero"), so that
// what was signed before keeps its bytes.
func Canonical(document any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(document); err != nil {
		return nil, fmt.Errorf("emr: encode: %w", err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte{'\n'}), nil
}

// Decode reads one JSON document into target and refuses unknown fields and
// anything after the document. The error is an invalid error.
func Decode(data []byte, target any) error {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(target); err != nil {
		return &Error{Code: CodeInvalid, Message: "document is not the JSON expected", Err: err}
	}
	if _, err := dec.Token(); err != io.EOF {
		return Invalid("", "document is followed by something else")
	}
	return nil
}

// DecodeCanonical is Decode that also refuses any encoding but the canonical
// one, so that a document has exactly one accepted sequence of bytes. target
// must be a pointer to a document type.
func DecodeCanonical(data []byte, target any) error {
	if err := Decode(data, target); err != nil {
		return err
	}
	again, err := Canonical(target)
	if err != nil {
		return err
	}
	if !bytes.Equal(again, data) {
		return Invalid("", "document is not in its canonical encoding")
	}
	return nil
}

// Digest is a SHA-256 value, written as 64 lower-case hexadecimal digits.
type Digest [32]byte

// String returns the hexadecimal form.
func (d Digest) String() string { return hex.EncodeToString(d[:]) }

// IsZero tells whether the digest is absent (all bytes zero).
func (d Digest) IsZero() bool { return d == Digest{} }

// MarshalText writes the hexadecimal form.
func (d Digest) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads exactly 64 lower-case hexadecimal digits.
func (d *Digest) UnmarshalText(text []byte) error {
	if len(text) != 2*len(d) || bytes.ContainsAny(text, "ABCDEF") {
		return Invalid("", "a digest must be 64 lower-case hexadecimal digits")
	}
	if _, err := hex.Decode(d[:], text); err != nil {
		return Invalid("", "a digest must be 64 lower-case hexadecimal digits")
	}
	return nil
}

// Time is a moment in whole seconds since the Unix epoch, written as RFC 3339 in
// UTC. On the ledger it always comes from the transaction's timestamp. Zero
// means absent and is written as the empty string.
type Time int64

// TimeOf truncates t to whole seconds.
func TimeOf(t time.Time) Time { return Time(t.Unix()) }

// Std returns the time as a time.Time in UTC.
func (t Time) Std() time.Time { return time.Unix(int64(t), 0).UTC() }

// IsZero tells whether the time is absent.
func (t Time) IsZero() bool { return t == 0 }

// Add returns the time shifted by d, truncated to seconds.
func (t Time) Add(d time.Duration) Time { return t + Time(d/time.Second) }

// String returns RFC 3339 in UTC, or "" when absent.
func (t Time) String() string {
	if t == 0 {
		return ""
	}
	return t.Std().Format(time.RFC3339)
}

// MarshalText writes RFC 3339 in UTC, or nothing when absent.
func (t Time) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// UnmarshalText reads RFC 3339 with the zone Z and whole seconds, or nothing.
func (t *Time) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*t = 0
		return nil
	}
	const layout = "2006-01-02T15:04:05Z" // time.Parse would take a fraction after it
	parsed, err := time.Parse(layout, string(text))
	if err != nil || len(text) != len(layout) {
		return Invalid("", "a time must be RFC 3339 in UTC with whole seconds")
	}
	*t = TimeOf(parsed)
	return nil
}
