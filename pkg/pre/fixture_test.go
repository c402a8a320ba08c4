// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package pre

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

// world is one patient's scope, one record in it, one reader and n gateways: all that a share needs.
type world struct {
	tb         testing.TB
	threshold  int
	gateways   []string
	seed       []byte
	delegating *PrivateKey
	signer     *PrivateKey
	reader     *PrivateKey
	params     ReencryptParams // without Gateway
	capsule    *Capsule
	kPre       []byte
	kfrags     []*KeyFragment
}

func newWorld(tb testing.TB, threshold, n int) *world {
	tb.Helper()
	w := &world{tb: tb, threshold: threshold, seed: randomBytes(tb, SeedSize)}
	for i := range n {
		w.gateways = append(w.gateways, fmt.Sprintf("Hospital%dMSP", i+1))
	}
	var err error
	w.delegating, err = DeriveScopeKey(w.seed, "private", 1)
	require.NoError(tb, err)
	w.signer, err = DeriveScopeSigner(w.seed, "private", 1)
	require.NoError(tb, err)
	w.reader = newKey(tb)
	w.params = ReencryptParams{
		Delegating: w.delegating.Public(), Reader: w.reader.Public(), Signer: w.signer.Public(),
		Context: sha256.Sum256([]byte("record 1")),
		Grant:   sha256.Sum256([]byte("grant 1")),
		Request: sha256.Sum256([]byte("request 1")),
	}
	w.capsule, w.kPre, err = Encapsulate(nil, w.params.Delegating, w.params.Context)
	require.NoError(tb, err)
	w.kfrags = w.rekey()
	return w
}

func (w *world) rekey() []*KeyFragment {
	w.tb.Helper()
	kfrags, err := Rekey(nil, w.delegating, w.signer.Signer(), RekeyParams{
		Grant: w.params.Grant, Reader: w.params.Reader, Gateways: w.gateways, Threshold: w.threshold,
	})
	require.NoError(w.tb, err)
	require.Len(w.tb, kfrags, len(w.gateways))
	return kfrags
}

// at returns the parameters with a gateway.
func (w *world) at(gateway string) ReencryptParams {
	p := w.params
	p.Gateway = gateway
	return p
}

func (w *world) reencrypt(k *KeyFragment) *CapsuleFragment {
	w.tb.Helper()
	f, err := Reencrypt(nil, w.capsule, k, w.at(k.Gateway()))
	require.NoError(w.tb, err)
	return f
}

func (w *world) cfrags() []*CapsuleFragment {
	w.tb.Helper()
	out := make([]*CapsuleFragment, len(w.kfrags))
	for i, k := range w.kfrags {
		out[i] = w.reencrypt(k)
	}
	return out
}

func (w *world) open(frags ...*CapsuleFragment) ([]byte, error) {
	return Open(w.reader, w.capsule, w.threshold, w.params, frags)
}

func newKey(tb testing.TB) *PrivateKey {
	tb.Helper()
	k, err := GeneratePrivateKey(nil)
	require.NoError(tb, err)
	return k
}

func newHybrid(tb testing.TB) *HybridPrivateKey {
	tb.Helper()
	k, err := GenerateHybridKey()
	require.NoError(tb, err)
	return k
}

func randomBytes(tb testing.TB, n int) []byte {
	tb.Helper()
	b := make([]byte, n)
	_, err := rand.Read(b)
	require.NoError(tb, err)
	return b
}

// flipped calls try with b altered in each single byte, one after the other.
func flipped(b []byte, try func(i int, altered []byte)) {
	for i := range b {
		altered := bytes.Clone(b)
		altered[i] ^= 1 << (i % 8)
		try(i, altered)
	}
}

func sampleContext(tb testing.TB, scope *PublicKey) *RecordContext {
	tb.Helper()
	sum := func(s string) []byte { h := sha256.Sum256([]byte(s)); return h[:] }
	return &RecordContext{
		Channel: "emrys", Record: "rec-1", Patient: "pat-1", Scope: "private", Epoch: 3, ScopeKey: scope.Bytes(),
		Author: "Hospital1MSP", AuthorKey: newKey(tb).Public().Bytes(), Class: "imaging", Level: "private",
		PolicyHash: sum("policy"), FileID: sum("file"), CID: "bafkqaaa", PlainSize: 100, CipherSize: 128,
		SegmentSize: 262144, CipherDigest: sum("ciphertext"), KeyCommitment: sum("commitment"),
		Version: 2, Previous: "rec-0", Threshold: 2,
	}
}
