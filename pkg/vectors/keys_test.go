// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package vectors

import (
	"bytes"
	"fmt"
	"math/big"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/pkg/pre"
	ref "github.com/emrys-health/emrys/pkg/vectors/internal/reference"
)

// primitiveEntries check the vectors of functions that no package exports against the plain formulas. That the packages
// compute the same follows from every other file.
func primitiveEntries() map[string][]entry {
	one := func(f func(in inputs) Fields) []entry {
		return []entry{{"formula", func(_ *testing.T, in inputs) (Fields, error) { return f(in), nil }}}
	}
	return map[string][]entry{
		"parts":  one(func(in inputs) Fields { return Fields{"bytes": ref.Parts(in.hexes("parts")...)} }),
		"joined": one(func(in inputs) Fields { return Fields{"bytes": ref.Joined(in.text("label"), in.hexes("parts")...)} }),
		"hash":   one(func(in inputs) Fields { return Fields{"hash": ref.H(in.text("label"), in.hexes("parts")...)} }),
		"expand": one(func(in inputs) Fields {
			return Fields{"bytes": ref.Expand(in.hex("message"), in.text("dst"), in.int("size"))}
		}),
		"reduce": one(func(in inputs) Fields { return Fields{"scalar": ref.Reduce(in.hex("bytes"))} }),
		"hash_to_scalar": one(func(in inputs) Fields {
			return Fields{"scalar": ref.HashToScalar(in.text("label"), in.hexes("parts")...)}
		}),
		"kdf": one(func(in inputs) Fields {
			return Fields{"key": ref.KDF(in.hex("secret"), in.hex("salt"), in.int("size"), in.text("label"), in.hexes("parts")...)}
		}),
		"second_generator": one(func(inputs) Fields { return Fields{"point": ref.U()} }),
		"gateway_hash":     one(func(in inputs) Fields { return Fields{"hash": ref.Gateway(in.text("gateway"))} }),
	}
}

func keyEntries() map[string][]entry {
	return map[string][]entry{
		"decode_point":  pointEntries(),
		"decode_scalar": scalarEntries(),
		"verify_signature": {{"VerifyP256", func(_ *testing.T, in inputs) (Fields, error) {
			pub, err := pre.ParsePublicKey(in.hex("public"))
			if err != nil {
				return nil, err
			}
			return Fields{}, pre.VerifyP256(pub, in.hex("hash"), in.hex("signature"))
		}}},
		"derive_scope_key":    {{"DeriveScopeKey", deriveEntry(pre.DeriveScopeKey)}},
		"derive_scope_signer": {{"DeriveScopeSigner", deriveEntry(pre.DeriveScopeSigner)}},
		"derive_hybrid_key": {{"DeriveHybridKey", func(t *testing.T, in inputs) (Fields, error) {
			k, err := pre.DeriveHybridKey(in.hex("seed"), in.text("name"), in.uint32("epoch"))
			if err != nil {
				return nil, err
			}
			return Fields{"private": insecure(t, k), "public": k.Public().Bytes()}, nil
		}}},
		"decode_hybrid_private": {{"ParseHybridPrivateKey", func(t *testing.T, in inputs) (Fields, error) {
			k, err := pre.ParseHybridPrivateKey(in.hex("private"))
			if err != nil {
				return nil, err
			}
			require.Equal(t, in.hex("private"), insecure(t, k))
			return Fields{"public": k.Public().Bytes(), "key_id": k.Public().ID().String()}, nil
		}}},
		"decode_hybrid_public": {{"ParseHybridPublicKey", func(t *testing.T, in inputs) (Fields, error) {
			k, err := pre.ParseHybridPublicKey(in.hex("public"))
			if err != nil {
				return nil, err
			}
			require.Equal(t, in.hex("public"), k.Bytes())
			return Fields{"key_id": k.ID().String()}, nil
		}}},
		"context_hash": {{"RecordContext.Hash", func(_ *testing.T, in inputs) (Fields, error) {
			if c := in.object("context"); c.tooLarge() { // RecordContext has no room for it
				return nil, fmt.Errorf("build context: %w", pre.ErrContext)
			}
			ctx, err := contextOf(in.object("context")).Hash()
			return Fields{"ctx": ctx[:]}, err
		}}},
	}
}

func insecure(t *testing.T, k *pre.HybridPrivateKey) []byte {
	t.Helper()
	b, err := k.InsecureBytes()
	require.NoError(t, err)
	return b
}

func deriveEntry(derive func([]byte, string, uint32) (*pre.PrivateKey, error)) func(*testing.T, inputs) (Fields, error) {
	return func(_ *testing.T, in inputs) (Fields, error) {
		k, err := derive(in.hex("seed"), in.text("name"), in.uint32("epoch"))
		if err != nil {
			return nil, err
		}
		return Fields{"private": k.InsecureBytes(), "public": k.Public().Bytes()}, nil
	}
}

// pointEntries put the bytes in the place of every point that a decoder reads.
func pointEntries() []entry {
	entries := []entry{{"ParsePublicKey", func(t *testing.T, in inputs) (Fields, error) {
		k, err := pre.ParsePublicKey(in.hex("point"))
		if err != nil {
			return nil, err
		}
		require.Equal(t, in.hex("point"), k.Bytes())
		return Fields{"key_id": k.ID().String()}, nil
	}}}
	return append(entries, placed("point", 'p')...)
}

func scalarEntries() []entry {
	entries := []entry{{"ParsePrivateKey", func(t *testing.T, in inputs) (Fields, error) {
		k, err := pre.ParsePrivateKey(in.hex("scalar"))
		if err != nil {
			return nil, err
		}
		require.Equal(t, in.hex("scalar"), k.InsecureBytes())
		return Fields{"public": k.Public().Bytes()}, nil
	}}}
	return append(entries, placed("scalar", 's')...)
}

// placed puts an input where each object has a value of its kind, and decodes the object.
func placed(name string, kind byte) []entry {
	var out []entry
	for _, object := range []struct {
		name  string
		form  string // of each field: 'p'oint, 's'calar, 'h'ash, 'g'ateway
		parse func([]byte) ([]byte, error)
	}{
		{"ParseCapsule", "pps", func(b []byte) ([]byte, error) { c, err := pre.ParseCapsule(b); return c.Bytes(), err }},
		{"ParseKeyFragment", "hspphhhg", func(b []byte) ([]byte, error) { k, err := pre.ParseKeyFragment(b); return k.Bytes(), err }},
		{"ParseCapsuleFragment", "pphppsshhhg", func(b []byte) ([]byte, error) { f, err := pre.ParseCapsuleFragment(b); return f.Bytes(), err }},
	} {
		for i := range object.form {
			if object.form[i] != kind {
				continue
			}
			out = append(out, entry{object.name + " at field " + string(rune('0'+i)), func(t *testing.T, in inputs) (Fields, error) {
				b := fill(object.form, i, in.hex(name))
				again, err := object.parse(b)
				if err == nil {
					require.Equal(t, b, again)
				}
				return nil, err
			}})
		}
	}
	return out
}

// fill makes an object of valid fields but the i-th.
func fill(form string, at int, value []byte) []byte {
	good := map[rune][]byte{
		'p': ref.Base(big.NewInt(5)), 's': ref.B32(big.NewInt(7)), 'h': bytes.Repeat([]byte{9}, 32), 'g': []byte("\x03Org"),
	}
	var out []byte
	for i, kind := range form {
		if i == at {
			out = append(out, value...)
		} else {
			out = append(out, good[kind]...)
		}
	}
	return out
}

func contextOf(in inputs) *pre.RecordContext {
	return &pre.RecordContext{
		Channel: in.rawText("channel"), Record: in.rawText("record"), Patient: in.rawText("patient"), Scope: in.rawText("scope"),
		Epoch: in.uint32("epoch"), ScopeKey: in.hex("scope_key"), Author: in.rawText("author"), AuthorKey: in.hex("author_key"),
		Class: in.rawText("class"), Level: in.rawText("level"), PolicyHash: in.hex("policy_hash"), FileID: in.hex("file_id"),
		CID: in.rawText("cid"), PlainSize: in.uint("plain_size"), CipherSize: in.uint("cipher_size"), SegmentSize: in.uint32("segment_size"),
		CipherDigest: in.hex("cipher_digest"), KeyCommitment: in.hex("key_commitment"), Version: in.uint32("version"),
		Previous: in.rawText("previous"), Threshold: uint8(in.uint("threshold")), //nolint:gosec // of the file
	}
}

// tooLarge reports whether a number of a context does not fit its field: the types refuse it, so there is nothing to run.
func (in inputs) tooLarge() bool {
	for name, bits := range map[string]int{"epoch": 32, "segment_size": 32, "version": 32, "threshold": 8, "plain_size": 64, "cipher_size": 64} {
		if _, err := strconv.ParseUint(fmt.Sprint(in.fields[name]), 10, bits); err != nil {
			return true
		}
	}
	return false
}

// rawText is a text, or the bytes of one that is not UTF-8.
func (in inputs) rawText(name string) string {
	if _, ok := in.fields[name].(map[string]any); ok {
		return string(in.object(name).hex("hex"))
	}
	return in.text(name)
}
