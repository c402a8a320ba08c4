// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package recovery

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/fxamacker/cbor/v2"

	"github.com/emrys-health/emrys/pkg/pre"
)

// Every object begins with these (R3).
const (
	version = 1

	kindStatement = "recovery statement"
	kindShare     = "recovery share"
	kindRequest   = "recovery request"
	kindAnswer    = "recovery answer"
)

// Labels of hashes, derivations and seals (R2).
const (
	labelPackage = "recovery package"
	labelKey     = "recovery key"
	labelSecret  = "recovery secret"
	labelWords   = "recovery words"
)

// joined is the labelled, length-prefixed join of pre.md P4.1.
func joined(label string, parts ...[]byte) []byte {
	var b []byte
	for _, p := range append([][]byte{[]byte(pre.Suite), []byte(label)}, parts...) {
		b = binary.BigEndian.AppendUint32(b, uint32(len(p))) //nolint:gosec // parts are short
		b = append(b, p...)
	}
	return b
}

func hash(label string, parts ...[]byte) [HashSize]byte {
	return sha256.Sum256(joined(label, parts...))
}

// HashSize is the length in bytes of hashes, backup ids and check values.
const HashSize = sha256.Size

// header is what every object begins with.
type header struct {
	_       struct{} `cbor:",toarray"`
	Version uint8
	Suite   string
	Kind    string
}

func headerOf(kind string) header { return header{Version: version, Suite: pre.Suite, Kind: kind} }

type modes struct {
	enc cbor.EncMode
	dec cbor.DecMode
}

var cborModes = sync.OnceValues(func() (modes, error) {
	opts := cbor.CoreDetEncOptions()
	opts.NilContainers = cbor.NilContainerAsEmpty
	enc, err := opts.EncMode()
	if err != nil {
		return modes{}, err
	}
	dec, err := cbor.DecOptions{
		DupMapKey: cbor.DupMapKeyEnforcedAPF, IndefLength: cbor.IndefLengthForbidden, TagsMd: cbor.TagsForbidden,
		UTF8: cbor.UTF8RejectInvalid, MaxNestedLevels: 4, MaxArrayElements: 256, MaxMapPairs: 16,
	}.DecMode()
	return modes{enc, dec}, err
})

func encode(v any) ([]byte, error) {
	m, err := cborModes()
	if err != nil {
		return nil, fmt.Errorf("prepare CBOR: %w", err)
	}
	b, err := m.enc.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encode CBOR: %w", err)
	}
	return b, nil
}

// decode accepts the one deterministic encoding of an object of this version, suite and kind.
func decode(b []byte, kind string, v any, head *header) error {
	m, err := cborModes()
	if err != nil {
		return fmt.Errorf("prepare CBOR: %w", err)
	}
	if err := m.dec.Unmarshal(b, v); err != nil {
		return malformed("%s: not the CBOR of one", kind)
	}
	if *head != headerOf(kind) {
		return malformed("%s: another version, suite or kind", kind)
	}
	again, err := encode(v)
	if err != nil {
		return err
	}
	defer clear(again)
	if !bytes.Equal(again, b) {
		return malformed("%s: not deterministic CBOR", kind)
	}
	return nil
}

func malformed(format string, args ...any) error {
	return fmt.Errorf(format+": %w", append(args, pre.ErrMalformed)...)
}

func parameter(format string, args ...any) error {
	return fmt.Errorf(format+": %w", append(args, pre.ErrParameter)...)
}

const maxText = 128

// text reports whether s is 1 to maxText bytes of UTF-8 that a terminal shows as it is (R3).
func text(s string) bool {
	return s != "" && len(s) <= maxText && utf8.ValidString(s) && !strings.ContainsFunc(s, hidden)
}

// hidden reports whether r is a control, or changes what people see of the text around it while it has no width of its own: a name
// must not pass for another one.
func hidden(r rune) bool {
	switch {
	case r < ' ', r >= 0x7f && r <= 0x9f: // C0, DEL, C1
		return true
	case r == 0x00ad, r == 0x061c, r == 0x180e, r == 0xfeff:
		return true
	case r == 0x200b, r >= 0x200e && r <= 0x200f: // not 200C and 200D, which some scripts need inside of words
		return true
	case r >= 0x2028 && r <= 0x202e, r >= 0x2060 && r <= 0x206f:
		return true
	}
	return false
}
