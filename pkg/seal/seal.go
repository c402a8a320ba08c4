// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

// Package seal is the container of an encrypted record payload: a sequence of AES-256-GCM segments that can be written and
// read as a stream in constant memory, read at any place, continued after an interruption, and padded so that its length
// says little.
//
// # Format
//
// docs/spec/container.md specifies it; the tests cite its sections (C1, C2, …). In short: a payload version has a random
// 32-byte data key (DEK) and a random 32-byte file id. From them follow, for each [Layout] by labels of its own,
//
//	payload key    = HKDF-SHA-256(secret DEK, salt file id, info "EMRYS-PRE-V1 payload", 32 bytes)
//	key commitment = HKDF-SHA-256(secret DEK, salt file id, info "EMRYS-PRE-V1 commit",  32 bytes)
//
// The plaintext is cut into segments of [SegmentPlainSize] bytes; only the last may be shorter, and only the one segment
// of an empty plaintext is empty. Segment i is stored as
//
//	nonce (12 random bytes) || AES-256-GCM ciphertext || tag (16)
//
// under the payload key, with the additional data
//
//	"EMRYS-PRE-V1 seg" (16 bytes) || file id (32) || i (uint64, big-endian) || final (1 for the last segment, else 0)
//
// so a full segment is [SegmentSize] bytes: exactly one IPFS leaf of the chunker size-262144. Nothing precedes segment 0
// and nothing follows the last.
//
// # What it gives, and what it does not
//
// A reader that is given the data key, the file id and the plaintext length detects every change: altered, reordered,
// repeated, dropped or foreign segments, truncation and extension. No byte is released before its segment has been
// authenticated. AES-GCM does not commit to its key; whoever may receive a data key from an untrusted party must call
// [DataKey.Layout] before reading. The length of the payload is visible.
//
// Nonces come from the Go cryptographic module itself (cipher.NewGCMWithRandomNonce: NIST SP 800-38D section 8.2.2, RBG-based
// construction), which bounds a payload to 2^32 segments, about one pebibyte.
package seal

import "errors"

// Sizes of the format, in bytes.
const (
	// DataKeySize is the length of a data key (DEK).
	DataKeySize = 32
	// FileIDSize is the length of a file id.
	FileIDSize = 32
	// CommitmentSize is the length of a key commitment.
	CommitmentSize = 32
	// SegmentSize is the length of a full segment as stored.
	SegmentSize = 262144
	// SegmentOverhead is what a segment adds to its plaintext: nonce and tag.
	SegmentOverhead = nonceSize + tagSize
	// SegmentPlainSize is the plaintext length of a full segment.
	SegmentPlainSize = SegmentSize - SegmentOverhead
	// MaxSegments is the greatest number of segments under one data key (NIST SP 800-38D section 8.3, random nonces).
	MaxSegments = 1 << 32

	nonceSize = 12
	tagSize   = 16
)

// Errors a caller may branch on. All of them are permanent: the same bytes fail again.
var (
	// ErrAuthentication says that a segment is not what was sealed at this place of this file under this key.
	ErrAuthentication = errors.New("segment authentication failed")
	// ErrTruncated says that the ciphertext ended before the expected length.
	ErrTruncated = errors.New("ciphertext is truncated")
	// ErrTrailing says that the ciphertext goes on after the expected length.
	ErrTrailing = errors.New("ciphertext has trailing bytes")
	// ErrCommitment says that a data key is not the one the key commitment was made from.
	ErrCommitment = errors.New("data key does not match its commitment")
	// ErrSize says that a length is impossible in this format or too large for one data key.
	ErrSize = errors.New("impossible length")
	// ErrPadding says that the plaintext of a padded payload, though authentic, is not as it must be.
	ErrPadding = errors.New("padding is malformed")
	// ErrClosed says that a Writer or Reader was used after Close.
	ErrClosed = errors.New("stream is closed")
)
