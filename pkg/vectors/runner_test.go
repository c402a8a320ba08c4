// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package vectors

import (
	"encoding/json"
	"errors"
	"path/filepath"
	"sort"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/pkg/pre"
	"github.com/emrys-health/emrys/pkg/seal"
)

// entry is one public way to perform an operation. It returns the outputs that it can see, and nil when it only accepts.
type entry struct {
	name    string
	perform func(t *testing.T, in inputs) (Fields, error)
}

// operations are all public entries that could meet the inputs of an operation. The first gives all outputs.
func operations() map[string][]entry {
	all := map[string][]entry{}
	for _, group := range []map[string][]entry{
		primitiveEntries(), keyEntries(), capsuleEntries(), fragmentEntries(), openingEntries(),
		hybridEntries(), shareEntries(), envelopeEntries(), copyEntries(), containerEntries(),
	} {
		for name, entries := range group {
			all[name] = entries
		}
	}
	return all
}

func directory() string { return filepath.Join("..", "..", "docs", "spec", "vectors") }

// files loads every vector file but the stories.
func files(t *testing.T) map[string]*File {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(directory(), "*.json"))
	require.NoError(t, err)
	out := map[string]*File{}
	for _, path := range paths {
		subject := strings.TrimSuffix(filepath.Base(path), ".json")
		if subject == "story" {
			continue
		}
		f, err := Load(path)
		require.NoError(t, err)
		require.Equal(t, subject, f.Subject)
		out[subject] = f
	}
	require.NotEmpty(t, out)
	return out
}

func TestEveryVectorThroughEveryEntry(t *testing.T) {
	t.Parallel()
	entries := operations()
	for subject, f := range files(t) {
		t.Run(subject, func(t *testing.T) {
			t.Parallel()
			sealed := map[int][]byte{}
			for _, c := range f.Cases {
				require.NotEmpty(t, entries[c.Operation], "operation %s of %q", c.Operation, c.Name)
				for _, e := range entries[c.Operation] {
					t.Run(c.Name+": "+e.name, func(t *testing.T) { check(t, f, c, e, sealed) })
				}
			}
		})
	}
}

func check(t *testing.T, f *File, c Case, e entry, sealed map[int][]byte) {
	outputs, err := e.perform(t, inputs{t, c.Inputs, f, c, sealed})
	if c.Failure == nil {
		require.NoError(t, err)
		if outputs != nil {
			require.Equal(t, canonical(t, c.Outputs), canonical(t, outputs.Encode()))
		}
		return
	}
	require.Error(t, err)
	require.Equal(t, sorted(c.Failure), sorted(failureOf(t, err)), "%v", err)
}

func canonical(t *testing.T, f Fields) string {
	t.Helper()
	if list, ok := f["refused"].([]any); ok {
		sort.Slice(list, func(i, j int) bool { return texts(t, list[i]) < texts(t, list[j]) })
	}
	return texts(t, f)
}

func texts(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	require.NoError(t, err)
	return string(b)
}

func sorted(f *Failure) *Failure {
	sort.Slice(f.Refused, func(i, j int) bool { return f.Refused[i].Gateway < f.Refused[j].Gateway })
	return f
}

// classes are the failure classes of the specification, by the error that stands for each.
func classes() map[string]error {
	return map[string]error{
		"malformed": pre.ErrMalformed, "parameter": pre.ErrParameter, "context": pre.ErrContext, "proof": pre.ErrProof,
		"too few": pre.ErrTooFewFragments, "share": pre.ErrShare, "decrypt": pre.ErrDecrypt,
		"commitment": seal.ErrCommitment, "size": seal.ErrSize, "authentication": seal.ErrAuthentication,
		"truncated": seal.ErrTruncated, "trailing": seal.ErrTrailing, "padding": seal.ErrPadding,
	}
}

// refusal is a failure that an entry has already put together.
type refusal struct {
	error
	failure Failure
}

// failureOf says which class an error has, which must be exactly one, and which gateway it names.
func failureOf(t *testing.T, err error) *Failure {
	t.Helper()
	if r := (refusal{}); errors.As(err, &r) {
		return &r.failure
	}
	var found []string
	for name, sentinel := range classes() {
		if errors.Is(err, sentinel) {
			found = append(found, name)
		}
	}
	require.Len(t, found, 1, "%v has not exactly one class", err)
	f := &Failure{Class: found[0]}
	if ge := (*pre.GatewayError)(nil); errors.As(err, &ge) {
		f.Gateway = ge.Gateway
	}
	return f
}

// inputs reads the fields of a case, failing the test when one is missing.
type inputs struct {
	t        *testing.T
	fields   Fields
	file     *File
	expected Case
	sealed   map[int][]byte // payloads of the file that are sealed already
}

// within are the fields of an object of the case.
func (in inputs) within(fields Fields) inputs { in.fields = fields; return in }

func want[T any](in inputs, name string, get func(string) (T, error)) T {
	in.t.Helper()
	v, err := get(name)
	require.NoError(in.t, err)
	return v
}

func (in inputs) hex(name string) []byte     { return want(in, name, in.fields.Hex) }
func (in inputs) hexes(name string) [][]byte { return want(in, name, in.fields.Hexes) }
func (in inputs) text(name string) string    { return want(in, name, in.fields.Text) }
func (in inputs) texts(name string) []string { return want(in, name, in.fields.Texts) }
func (in inputs) uint(name string) uint64    { return want(in, name, in.fields.Uint) }
func (in inputs) int(name string) int        { return want(in, name, in.fields.Int) }
func (in inputs) uint32(name string) uint32  { return uint32(in.uint(name)) } //nolint:gosec // of the file
func (in inputs) object(name string) inputs {
	return in.within(want(in, name, in.fields.Object))
}
func (in inputs) hash(name string) [32]byte { return [32]byte(in.hex(name)) }
func (in inputs) objects(name string) []inputs {
	var out []inputs
	for _, f := range want(in, name, in.fields.Objects) {
		out = append(out, in.within(f))
	}
	return out
}
