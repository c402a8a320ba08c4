// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package device

import (
	"bytes"
	"math"
	"slices"
	"strconv"
	"unicode/utf8"

	"github.com/emrys-health/emrys/pkg/pre"
)

// Bounds of arguments.
const (
	maxBytes = 1 << 20 // of one byte string or text
	maxList  = 512     // elements
	// maxNumber is the largest number: beyond it those of JavaScript are not exact integers.
	maxNumber = 1<<53 - 1
)

// arguments takes an operation's arguments one by one. The first failure sticks, and end reports it, or a field that
// nothing asked for.
type arguments struct {
	fields Fields
	path   string // prefix of field names
	device *Device
	taken  []string
	err    error
}

func (a *arguments) fail(name, message string) {
	if a.err == nil {
		a.err = wrongField(a.path+name, message)
	}
}

func (a *arguments) failWith(name string, err error) {
	if a.err == nil && err != nil {
		f := *failureOf(err)
		f.Field = a.path + name
		a.err = &f
	}
}

// take returns a field's value; nil when it is absent.
func (a *arguments) take(name string) any {
	a.taken = append(a.taken, name)
	return a.fields[name]
}

// value takes a field of type T.
func value[T any](a *arguments, name, want string) (v T) {
	x := a.take(name)
	if x == nil {
		a.fail(name, "is missing")
		return v
	}
	v, ok := x.(T)
	if !ok {
		a.fail(name, "must be "+want)
	}
	return v
}

// end reports the first failure, or a field that is not known.
func (a *arguments) end() error {
	if a.err != nil {
		return a.err
	}
	for name := range a.fields {
		if !slices.Contains(a.taken, name) { // its name is the caller's and not repeated here
			return wrongField(a.path, "holds a field that is not known")
		}
	}
	return nil
}

// bytes takes a copy of bytes.
func (a *arguments) bytes(name string) []byte {
	b := value[[]byte](a, name, "bytes")
	if len(b) > maxBytes {
		a.fail(name, "is too long")
		return nil
	}
	return bytes.Clone(b)
}

// sized takes exactly size bytes.
func (a *arguments) sized(name string, size int) []byte {
	b := a.bytes(name)
	if a.err == nil && len(b) != size {
		a.fail(name, "must be "+strconv.Itoa(size)+" bytes")
	}
	if len(b) != size {
		return make([]byte, size)
	}
	return b
}

func (a *arguments) hash(name string) [pre.HashSize]byte {
	return [pre.HashSize]byte(a.sized(name, pre.HashSize))
}

// text takes a text that may be empty.
func (a *arguments) text(name string) string {
	s := value[string](a, name, "a string")
	if len(s) > maxBytes || !utf8.ValidString(s) {
		a.fail(name, "is too long or not text")
	}
	return s
}

// name takes a text that must not be empty.
func (a *arguments) name(name string) string {
	s := a.text(name)
	if s == "" {
		a.fail(name, "must not be empty")
	}
	return s
}

// number takes an integer from low to high.
func (a *arguments) number(name string, low, high uint64) uint64 {
	f := value[float64](a, name, "a number")
	if a.err != nil {
		return low
	}
	if math.IsNaN(f) || f < 0 || f > maxNumber || f != math.Trunc(f) || uint64(f) < low || uint64(f) > high {
		a.fail(name, "must be an integer from "+strconv.FormatUint(low, 10)+" to "+strconv.FormatUint(high, 10))
		return low
	}
	return uint64(f)
}

func (a *arguments) publicKey(name string) *pre.PublicKey {
	b := a.bytes(name)
	if a.err != nil {
		return nil
	}
	k, err := pre.ParsePublicKey(b)
	a.failWith(name, err)
	return k
}

func (a *arguments) hybridKey(name string) *pre.HybridPublicKey {
	b := a.bytes(name)
	if a.err != nil {
		return nil
	}
	k, err := pre.ParseHybridPublicKey(b)
	a.failWith(name, err)
	return k
}

func (a *arguments) capsule(name string) *pre.Capsule {
	b := a.bytes(name)
	if a.err != nil {
		return nil
	}
	c, err := pre.ParseCapsule(b)
	a.failWith(name, err)
	return c
}

func (a *arguments) envelope(name string) *pre.Envelope {
	b := a.bytes(name)
	if a.err != nil {
		return nil
	}
	e, err := pre.ParseEnvelope(b)
	a.failWith(name, err)
	return e
}

// list takes a list of fields and calls each for every element, which must take all of them.
func (a *arguments) list(name string, each func(*arguments)) {
	elements := value[[]any](a, name, "a list")
	if len(elements) > maxList {
		a.fail(name, "is too long")
	}
	for i, e := range elements {
		if a.err != nil {
			return
		}
		at := name + "[" + strconv.Itoa(i) + "]"
		fields, ok := e.(Fields)
		if !ok {
			a.fail(at, "must be an object")
			return
		}
		inner := &arguments{fields: fields, path: a.path + at + ".", device: a.device}
		each(inner)
		a.err = inner.end()
	}
}

// object takes a field that holds fields.
func (a *arguments) object(name string) *arguments {
	fields := value[Fields](a, name, "an object")
	return &arguments{fields: fields, path: a.path + name + ".", device: a.device, err: a.err}
}

// secret takes a handle of kind T.
func secret[T any, P interface {
	*T
	holder
}](a *arguments, name string) *T {
	n := a.number(name, 0, math.MaxUint32)
	if a.err != nil {
		return nil
	}
	h, ok := a.device.secrets.entries[uint32(n)]
	if !ok {
		a.err = &Error{Code: CodeHandle, Field: a.path + name, Message: "is closed or was never made"}
		return nil
	}
	kind, ok := h.(P)
	if !ok {
		a.err = &Error{Code: CodeHandle, Field: a.path + name, Message: "is a handle of another kind"}
		return nil
	}
	return (*T)(kind)
}
