// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"strings"

	ref "github.com/emrys-health/emrys/pkg/vectors/internal/reference"
)

// contextFields is the order of pre.md P6 from element 3 on.
func contextFields() []string {
	return []string{
		"channel", "record", "patient", "scope", "epoch", "scope_key", "author", "author_key", "class", "level", "policy_hash",
		"file_id", "cid", "plain_size", "cipher_size", "segment_size", "cipher_digest", "key_commitment", "version", "previous", "threshold",
	}
}

func encodeContext(c in) []byte {
	items := [][]byte{ref.Uint(1), ref.Text(ref.Suite), ref.Text("record context")}
	for _, name := range contextFields() {
		switch v := c[name].(type) {
		case string:
			items = append(items, ref.Text(v))
		case []byte:
			items = append(items, ref.Bytes(v))
		case ref.Point:
			items = append(items, ref.Bytes(v))
		case int:
			items = append(items, ref.Uint(uint64(v))) //nolint:gosec // not negative
		case uint64:
			items = append(items, ref.Uint(v))
		default:
			panic("no such kind of field: " + name)
		}
	}
	return ref.Array(items...)
}

func contextHash(c in) []byte { h := sha256.Sum256(encodeContext(c)); return h[:] }

func sampleContext(scopeKey ref.Point) in {
	return in{
		"channel": "emrys", "record": "rec-0001", "patient": "pat-7f3a", "scope": "private", "epoch": 3, "scope_key": scopeKey,
		"author": "Hospital1MSP:dr-k", "author_key": bytes.Repeat([]byte{4}, 65), "class": "imaging", "level": "private",
		"policy_hash": digest("policy"), "file_id": digest("file"), "cid": "bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi",
		"plain_size": uint64(1000000), "cipher_size": uint64(1000112), "segment_size": 262144,
		"cipher_digest": digest("ciphertext"), "key_commitment": digest("commitment"), "version": 2, "previous": "rec-0000", "threshold": 2,
	}
}

func contexts(m *maker) {
	good := sampleContext(ref.Base(m.random.Scalar()))
	ok := func(why string, changes ...any) {
		c := with(good, changes...)
		m.ok("P6", "context_hash", why, in{"context": c}, in{"ctx": contextHash(c)}, in{"cbor": encodeContext(c)})
	}
	bad := func(why string, changes ...any) {
		m.bad("P6", "context_hash", why, in{"context": with(good, changes...)}, "context")
	}
	ok("a full context")
	ok("all that may be absent is absent", "class", "", "level", "", "policy_hash", []byte{}, "previous", "")
	ok("numbers are zero where they may be", "epoch", 0, "plain_size", uint64(0), "cipher_size", uint64(0), "version", 0)
	ok("numbers are as large as they may be", "epoch", 1<<32-1, "plain_size", ^uint64(0), "cipher_size", ^uint64(0),
		"segment_size", 1<<32-1, "version", 1<<32-1, "threshold", 255)
	ok("numbers are at each border of CBOR's lengths", "epoch", 23, "plain_size", uint64(24), "cipher_size", uint64(255),
		"segment_size", 256, "version", 65535, "threshold", 24)
	ok("and just above them", "epoch", 65536, "plain_size", uint64(1<<32-1), "cipher_size", uint64(1<<32), "segment_size", 1, "version", 1, "threshold", 1)
	ok("the longest texts and key", "channel", strings.Repeat("c", 512), "previous", strings.Repeat("p", 512), "author_key", bytes.Repeat([]byte{1}, 2048))
	ok("texts beyond ASCII", "patient", "päuline-ß", "class", "影像", "level", "é")
	ok("a combining accent is another text than the composed letter", "level", "e\u0301")
	for _, name := range contextFields() {
		switch good[name].(type) {
		case string:
			bad(name+" of 513 bytes", name, strings.Repeat("t", 513))
			bad(name+" is not UTF-8", name, in{"hex": []byte("ab\xff")})
			bad(name+" has half a surrogate pair", name, in{"hex": []byte("\xed\xa0\x80")})
			bad(name+" of 513 bytes in fewer letters", name, strings.Repeat("é", 256)+"t")
		}
	}
	for _, name := range []string{"channel", "record", "patient", "scope", "author", "cid"} {
		bad("no "+name, name, "")
	}
	for _, name := range []string{"file_id", "cipher_digest", "key_commitment", "policy_hash"} {
		for _, size := range []int{0, 1, 31, 33} {
			if name != "policy_hash" || size != 0 {
				bad(fmt.Sprintf("%s of %d bytes", name, size), name, bytes.Repeat([]byte{1}, size))
			}
		}
	}
	for _, b := range brokenPoints(good["scope_key"].(ref.Point)) { //nolint:forcetypeassert // set above
		bad("the scope key is "+b.why, "scope_key", b.bytes)
	}
	for _, name := range []string{"epoch", "segment_size", "version"} {
		bad(name+" of 2^32", name, 1<<32)
	}
	bad("threshold 256", "threshold", 256)
	bad("plain_size of 2^64", "plain_size", "18446744073709551616")
	bad("cipher_size of 2^64", "cipher_size", "18446744073709551616")
	bad("no author key", "author_key", []byte{})
	bad("an author key of 2049 bytes", "author_key", bytes.Repeat([]byte{1}, 2049))
	bad("segment size zero", "segment_size", 0)
	bad("threshold zero", "threshold", 0)
}
