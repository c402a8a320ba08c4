// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package seal

import (
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"log/slog"
)

const redactedKey = "seal.DataKey(redacted)"

// DataKey is the secret key of one payload version. It is immutable and safe for concurrent use. It prints as a fixed
// text, never as key bytes, and refuses to be encoded as JSON or text.
type DataKey struct {
	key [DataKeySize]byte
}

// GenerateDataKey makes a data key from rand, which must be a cryptographic source (crypto/rand.Reader).
func GenerateDataKey(rand io.Reader) (*DataKey, error) {
	k := new(DataKey)
	if _, err := io.ReadFull(rand, k.key[:]); err != nil {
		return nil, fmt.Errorf("generate data key: %w", err)
	}
	return k, nil
}

// ParseDataKey copies a data key from its DataKeySize bytes.
func ParseDataKey(b []byte) (*DataKey, error) {
	if len(b) != DataKeySize {
		return nil, fmt.Errorf("parse data key: have %d bytes, want %d", len(b), DataKeySize)
	}
	k := new(DataKey)
	copy(k.key[:], b)
	return k, nil
}

// NewFileID makes a random file id from rand, which must be a cryptographic source. The id is not secret.
func NewFileID(rand io.Reader) ([FileIDSize]byte, error) {
	var id [FileIDSize]byte
	if _, err := io.ReadFull(rand, id[:]); err != nil {
		return [FileIDSize]byte{}, fmt.Errorf("generate file id: %w", err)
	}
	return id, nil
}

// InsecureBytes returns a copy of the key's DataKeySize secret bytes, for the one place that wraps the key for its
// readers. Every other use needs a security review.
func (k *DataKey) InsecureBytes() []byte {
	b := make([]byte, DataKeySize)
	copy(b, k.key[:])
	return b
}

// Equal compares two keys in constant time.
func (k *DataKey) Equal(other *DataKey) bool {
	return other != nil && subtle.ConstantTimeCompare(k.key[:], other.key[:]) == 1
}

// Commitment returns the key commitment for a file id and a layout (specification C2). It is public: it reveals nothing
// about the key, and no second key or layout with the same commitment can be found. For a layout that does not exist it
// is all zeros, which nothing accepts.
func (k *DataKey) Commitment(fileID [FileIDSize]byte, layout Layout) [CommitmentSize]byte {
	var kc [CommitmentSize]byte
	_, label, err := layout.labels()
	if err != nil {
		return kc
	}
	// HKDF with these fixed lengths has no failing input: the error exists for short keys and overlong outputs.
	if out, err := k.derive(fileID, label, CommitmentSize); err == nil {
		copy(kc[:], out)
	}
	return kc
}

// Layout tells which layout a payload has from its key commitment, and that this is the key which the commitment was made
// from. It returns [ErrCommitment] when it is not. Both layouts are compared, in constant time. Whoever was given a data
// key by somebody else must call this before reading. Concurrency: safe.
func (k *DataKey) Layout(fileID [FileIDSize]byte, kc [CommitmentSize]byte) (Layout, error) {
	plain, padded := k.Commitment(fileID, Plain), k.Commitment(fileID, Padded)
	isPlain := subtle.ConstantTimeCompare(plain[:], kc[:])
	isPadded := subtle.ConstantTimeCompare(padded[:], kc[:])
	if isPlain|isPadded != 1 {
		return Plain, ErrCommitment
	}
	return Layout(subtle.ConstantTimeSelect(isPadded, int(Padded), int(Plain))), nil //nolint:gosec // 0 or 1
}

func (k *DataKey) derive(fileID [FileIDSize]byte, label string, size int) ([]byte, error) {
	out, err := hkdf.Key(sha256.New, k.key[:], fileID[:], label, size)
	if err != nil {
		return nil, fmt.Errorf("derive from data key: %w", err)
	}
	return out, nil
}

// String returns a fixed text.
func (k *DataKey) String() string { return redactedKey }

// GoString returns a fixed text.
func (k *DataKey) GoString() string { return redactedKey }

// Format writes a fixed text for every verb.
func (k *DataKey) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, redactedKey) }

// LogValue returns a fixed text.
func (k *DataKey) LogValue() slog.Value { return slog.StringValue(redactedKey) }

// MarshalText always fails: a data key leaves the process only wrapped.
func (k *DataKey) MarshalText() ([]byte, error) {
	return nil, errors.New("a data key cannot be marshalled")
}
