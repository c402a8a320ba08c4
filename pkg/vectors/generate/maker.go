// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"maps"

	"github.com/emrys-health/emrys/pkg/vectors"
	"github.com/emrys-health/emrys/pkg/vectors/internal/reference"
)

// in is how inputs and outputs are written here: values of Go, which Encode turns into those of the files.
type in = vectors.Fields

// maker fills one file.
type maker struct {
	file   vectors.File
	random *reference.Random
	names  map[string]bool
}

func newMaker(subject string) *maker {
	return &maker{
		file:   vectors.File{Suite: vectors.Suite, Subject: subject},
		random: reference.NewRandom("vectors of " + reference.Suite + ": " + subject),
		names:  map[string]bool{},
	}
}

// begin starts the random stream of a group of cases, so that a case that is added to one group changes no other.
func (m *maker) begin(group string) {
	*m.random = *reference.NewRandom("vectors of " + reference.Suite + ": " + m.file.Subject + ": " + group)
}

func (m *maker) add(c vectors.Case) {
	if m.names[c.Name] {
		panic("two cases are named: " + c.Name)
	}
	m.names[c.Name] = true
	m.file.Cases = append(m.file.Cases, c)
}

// ok adds a case that succeeds.
func (m *maker) ok(section, operation, name string, inputs, outputs in, working ...in) {
	c := vectors.Case{Name: name, Section: section, Operation: operation, Inputs: inputs.Encode(), Outputs: outputs.Encode()}
	if len(working) > 0 {
		c.Working = working[0].Encode()
	}
	m.add(c)
}

// bad adds a case that is refused.
func (m *maker) bad(section, operation, name string, inputs in, class string) {
	m.refuse(section, operation, name, inputs, vectors.Failure{Class: class})
}

// badBy adds a case that is refused and names a gateway.
func (m *maker) badBy(section, operation, name string, inputs in, class, gateway string) {
	m.refuse(section, operation, name, inputs, vectors.Failure{Class: class, Gateway: gateway})
}

func (m *maker) refuse(section, operation, name string, inputs in, f vectors.Failure) {
	m.add(vectors.Case{Name: name, Section: section, Operation: operation, Inputs: inputs.Encode(), Failure: &f})
}

// with returns inputs with some of them replaced: name, value, name, value.
func with(inputs in, changes ...any) in {
	out := maps.Clone(inputs)
	for i := 0; i < len(changes); i += 2 {
		out[changes[i].(string)] = changes[i+1] //nolint:forcetypeassert // names are texts
	}
	return out
}
