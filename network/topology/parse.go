// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package topology

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"go.yaml.in/yaml/v3"
)

// maxBytes bounds a topology file; the default one has about 3 kB.
const maxBytes = 1 << 20

// Problem is one thing wrong with a topology, and where.
type Problem struct {
	Path    string // such as organisations[1].peers[0].port; empty for syntax
	Message string
}

func (p Problem) String() string {
	if p.Path == "" {
		return p.Message
	}
	return p.Path + ": " + p.Message
}

// InvalidError lists everything that is wrong with a topology.
type InvalidError struct{ Problems []Problem }

func (e *InvalidError) Error() string {
	lines := make([]string, 0, len(e.Problems)+1)
	lines = append(lines, fmt.Sprintf("the topology has %d problem(s)", len(e.Problems)))
	for _, p := range e.Problems {
		lines = append(lines, "  "+p.String())
	}
	return strings.Join(lines, "\n")
}

// Parse reads a topology in YAML. Unknown fields, a second document and
// values of the wrong type are refused. The error of bad content is an
// [*InvalidError] that names every problem, not only the first.
func Parse(data []byte) (*Topology, error) {
	if len(data) > maxBytes {
		return nil, syntaxError(fmt.Sprintf("the file has more than %d bytes", maxBytes))
	}
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	decoder.KnownFields(true)
	var t Topology
	if err := decoder.Decode(&t); err != nil {
		var mismatch *yaml.TypeError
		if errors.As(err, &mismatch) {
			return nil, syntaxError(mismatch.Errors...)
		}
		if errors.Is(err, io.EOF) {
			return nil, syntaxError("the file is empty")
		}
		return nil, syntaxError(err.Error())
	}
	if err := decoder.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return nil, syntaxError("the file holds more than one document")
	}
	if err := t.Validate(); err != nil {
		return nil, err
	}
	return &t, nil
}

func syntaxError(messages ...string) error {
	invalid := &InvalidError{}
	for _, message := range messages {
		invalid.Problems = append(invalid.Problems, Problem{Message: message})
	}
	return invalid
}
