// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

// Package vectors reads, writes and checks the vectors of the specification: docs/spec/vectors/*.json, whose README.md defines
// every field. The tests of this package run every vector through every public entry of pkg/pre, pkg/seal and
// pkg/pre/recovery that could meet it; pkg/vectors/generate makes the files; pkg/vectors/interop exchanges whole stories with
// other implementations.
package vectors

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
)

// Suite is the suite that the vectors are of.
const Suite = "EMRYS-PRE-V1"

// File is one vector file: the cases of one subject.
type File struct {
	Suite   string `json:"suite"`
	Subject string `json:"subject"`
	// Payloads are the recipes that cases of containers.json cut their stored bytes from.
	Payloads []Fields `json:"payloads,omitempty"`
	Cases    []Case   `json:"cases"`
}

// Case is one vector. It has either outputs or a failure.
type Case struct {
	Name      string   `json:"name"`              // a sentence
	Section   string   `json:"section"`           // of the specification, such as "P7.2" or "C6"
	Operation string   `json:"operation"`         // README.md defines each
	Inputs    Fields   `json:"inputs"`            //
	Outputs   Fields   `json:"outputs,omitzero"`  // what the operation must give
	Failure   *Failure `json:"failure,omitempty"` // how it must refuse
	// Working holds intermediate values of the specification's formulas, for whoever looks for a mistake. No test depends on
	// them being known.
	Working Fields `json:"working,omitzero"`
}

// Failure is a refusal.
type Failure struct {
	Class   string `json:"class"`             // pre.md P3, container.md C11, recovery.md
	Gateway string `json:"gateway,omitempty"` // the gateway that is to be named, where one is
	Refused []Fine `json:"refused,omitempty"` // of operation open: every fragment that was refused
	// Released is, of operation read, how many bytes of content came before the failure, as a decimal text.
	Released string `json:"released,omitempty"`
}

// Fine is one refused fragment or share.
type Fine struct {
	Gateway string `json:"gateway"`
	Class   string `json:"class"`
}

// Load reads a vector file. Unknown fields of a case are an error, so that a misspelled one cannot hide.
func Load(path string) (*File, error) {
	b, err := os.ReadFile(path) //nolint:gosec // the caller's own file
	if err != nil {
		return nil, fmt.Errorf("read vectors: %w", err)
	}
	f := &File{}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.UseNumber()
	dec.DisallowUnknownFields()
	if err := dec.Decode(f); err != nil {
		return nil, fmt.Errorf("read vectors %s: %w", path, err)
	}
	if f.Suite != Suite {
		return nil, fmt.Errorf("read vectors %s: suite %q", path, f.Suite)
	}
	return f, nil
}

// Fields are named values of a case: hexadecimal texts, texts, integers, decimal texts for integers of 64 bits, and lists and
// objects of those.
type Fields map[string]any

// errField says that a field is missing or of another type.
var errField = errors.New("no such field")

func field[T any](f Fields, name string) (T, error) {
	v, ok := f[name].(T)
	if !ok {
		return v, fmt.Errorf("field %s is %T: %w", name, f[name], errField)
	}
	return v, nil
}

// Hex returns the bytes of a hexadecimal field.
func (f Fields) Hex(name string) ([]byte, error) {
	s, err := field[string](f, name)
	if err != nil {
		return nil, err
	}
	b, err := hex.DecodeString(s)
	if err != nil {
		return nil, fmt.Errorf("field %s: %w", name, err)
	}
	return b, nil
}

// Text returns a text field.
func (f Fields) Text(name string) (string, error) { return field[string](f, name) }

// Uint returns an integer field, given as a number or as a decimal text.
func (f Fields) Uint(name string) (uint64, error) {
	var digits string
	switch v := f[name].(type) {
	case json.Number:
		digits = v.String()
	case string:
		digits = v
	default:
		return 0, fmt.Errorf("field %s is %T: %w", name, f[name], errField)
	}
	n, err := strconv.ParseUint(digits, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("field %s: %w", name, err)
	}
	return n, nil
}

// Int returns a small integer field, which may be negative.
func (f Fields) Int(name string) (int, error) {
	v, err := field[json.Number](f, name)
	if err != nil {
		return 0, err
	}
	n, err := strconv.Atoi(v.String())
	if err != nil {
		return 0, fmt.Errorf("field %s: %w", name, err)
	}
	return n, nil
}

// Object returns a field that has fields.
func (f Fields) Object(name string) (Fields, error) {
	v, err := field[map[string]any](f, name)
	return v, err
}

// Objects returns a list of objects.
func (f Fields) Objects(name string) ([]Fields, error) {
	list, err := field[[]any](f, name)
	if err != nil {
		return nil, err
	}
	out := make([]Fields, len(list))
	for i, v := range list {
		object, ok := v.(map[string]any)
		if !ok {
			return nil, fmt.Errorf("field %s[%d] is %T: %w", name, i, v, errField)
		}
		out[i] = object
	}
	return out, nil
}

// Texts returns a list of texts.
func (f Fields) Texts(name string) ([]string, error) {
	list, err := field[[]any](f, name)
	if err != nil {
		return nil, err
	}
	out := make([]string, len(list))
	for i, v := range list {
		s, ok := v.(string)
		if !ok {
			return nil, fmt.Errorf("field %s[%d] is %T: %w", name, i, v, errField)
		}
		out[i] = s
	}
	return out, nil
}

// Hexes returns a list of byte strings.
func (f Fields) Hexes(name string) ([][]byte, error) {
	list, err := f.Texts(name)
	if err != nil {
		return nil, err
	}
	out := make([][]byte, len(list))
	for i, s := range list {
		if out[i], err = hex.DecodeString(s); err != nil {
			return nil, fmt.Errorf("field %s[%d]: %w", name, i, err)
		}
	}
	return out, nil
}
