// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package pre

import (
	"bytes"
	"encoding/hex"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestEveryFieldOfTheContextIsBound(t *testing.T) {
	t.Parallel()
	scope := newKey(t).Public()
	base := sampleContext(t, scope)
	want, err := base.Hash()
	require.NoError(t, err)
	again, err := base.Hash()
	require.NoError(t, err)
	require.Equal(t, want, again)

	fields := reflect.TypeFor[RecordContext]()
	require.Equal(t, fields.NumField(), reflect.TypeFor[contextWire]().NumField()-4, "a field that is not encoded is not bound")
	seen := map[[HashSize]byte]string{want: "unchanged"}
	for i := range fields.NumField() {
		name := fields.Field(i).Name
		c := *base
		alter(t, reflect.ValueOf(&c).Elem().Field(i), name)
		got, err := c.Hash()
		require.NoError(t, err, name)
		require.Empty(t, seen[got], "%s changes nothing", name)
		seen[got] = name
	}
}

// alter gives a field of a valid context another valid value.
func alter(t *testing.T, f reflect.Value, name string) {
	t.Helper()
	switch {
	case name == "ScopeKey":
		f.SetBytes(newKey(t).Public().Bytes())
	case f.Kind() == reflect.String:
		f.SetString(f.String() + "x")
	case f.Kind() == reflect.Slice:
		b := bytes.Clone(f.Bytes())
		b[len(b)-1] ^= 1
		f.SetBytes(b)
	default:
		f.SetUint(f.Uint() + 1)
	}
}

func TestTextCannotMoveBetweenFieldsOfTheContext(t *testing.T) {
	t.Parallel()
	c := sampleContext(t, newKey(t).Public())
	c.Record, c.Patient = "ab", "c"
	one, err := c.Hash()
	require.NoError(t, err)
	c.Record, c.Patient = "a", "bc"
	two, err := c.Hash()
	require.NoError(t, err)
	require.NotEqual(t, one, two)

	c.PolicyHash = nil
	three, err := c.Hash()
	require.NoError(t, err)
	c.PolicyHash = []byte{}
	four, err := c.Hash()
	require.NoError(t, err)
	require.Equal(t, three, four, "no policy is no policy")
}

func TestIncompleteContextsHaveNoHash(t *testing.T) {
	t.Parallel()
	scope := newKey(t).Public()
	for name, change := range map[string]func(*RecordContext){
		"no channel":                 func(c *RecordContext) { c.Channel = "" },
		"no record":                  func(c *RecordContext) { c.Record = "" },
		"no patient":                 func(c *RecordContext) { c.Patient = "" },
		"no scope":                   func(c *RecordContext) { c.Scope = "" },
		"no author":                  func(c *RecordContext) { c.Author = "" },
		"no content id":              func(c *RecordContext) { c.CID = "" },
		"text that is not UTF-8":     func(c *RecordContext) { c.Class = "\xff" },
		"text that is too long":      func(c *RecordContext) { c.Level = strings.Repeat("x", maxText+1) },
		"no scope key":               func(c *RecordContext) { c.ScopeKey = nil },
		"scope key uncompressed":     func(c *RecordContext) { c.ScopeKey = scope.pt.Element.Bytes() },
		"scope key off the curve":    func(c *RecordContext) { c.ScopeKey = make([]byte, 33) },
		"no author key":              func(c *RecordContext) { c.AuthorKey = nil },
		"author key too long":        func(c *RecordContext) { c.AuthorKey = make([]byte, maxBytes+1) },
		"policy hash of 20 bytes":    func(c *RecordContext) { c.PolicyHash = make([]byte, 20) },
		"file id of 16 bytes":        func(c *RecordContext) { c.FileID = make([]byte, 16) },
		"no ciphertext digest":       func(c *RecordContext) { c.CipherDigest = nil },
		"key commitment of 33 bytes": func(c *RecordContext) { c.KeyCommitment = make([]byte, 33) },
		"segment size zero":          func(c *RecordContext) { c.SegmentSize = 0 },
		"threshold zero":             func(c *RecordContext) { c.Threshold = 0 },
	} {
		c := sampleContext(t, scope)
		change(c)
		_, err := c.Hash()
		require.ErrorIs(t, err, ErrContext, name)
	}
	_, err := (*RecordContext)(nil).Hash()
	require.ErrorIs(t, err, ErrContext)
}

func TestTheContextEncodingIsPinned(t *testing.T) {
	t.Parallel()
	c := &RecordContext{
		Channel: "c", Record: "r", Patient: "p", Scope: "s", Epoch: 1, ScopeKey: suite().U.Bytes(), Author: "a",
		AuthorKey: []byte{1}, FileID: make([]byte, 32), CID: "i", SegmentSize: 262144,
		CipherDigest: make([]byte, 32), KeyCommitment: make([]byte, 32), Threshold: 2,
	}
	got, err := c.Hash()
	require.NoError(t, err)
	require.Equal(t, "e8d12bb49f4579447b3ca80dbcde9c3f3fcd1c4a3af3d5db7f26256748073fcb", hex.EncodeToString(got[:]))
}
