// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package pre

import (
	"encoding/hex"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// hexBytes are bytes that stand as hexadecimal digits in a vector file.
type hexBytes []byte

func (h hexBytes) MarshalText() ([]byte, error) { return []byte(hex.EncodeToString(h)), nil }

func (h *hexBytes) UnmarshalText(text []byte) error {
	b, err := hex.DecodeString(string(text))
	*h = b
	return err
}

// vectors is one whole share with every secret in it: what any implementation of the suite must reproduce or accept.
type vectors struct {
	Suite          string
	Seed           hexBytes
	ScopeID        string
	Epoch          uint32
	ScopeKey       hexBytes // derived
	ScopeSigner    hexBytes // derived
	HybridSeed     hexBytes // derived with ScopeID as purpose
	ReaderKey      hexBytes
	ReaderHybrid   hexBytes
	Gateways       []string
	GatewayHybrids []hexBytes
	Threshold      int
	Context        hexBytes
	Grant          hexBytes
	Request        hexBytes
	Capsule        hexBytes
	KPre           hexBytes
	KeyFragments   []hexBytes
	Commitments    []hexBytes // of the key fragments
	Fragments      []hexBytes // capsule fragments
	KShare         hexBytes
	DataKey        hexBytes
	Envelope       hexBytes
	ReSealed       []hexBytes
}

// regenerate rewrites the vectors: only for a new suite, since the old ones are the promise that stored records stay readable.
var regenerate = flag.Bool("regenerate-vectors", false, "write new vectors of the suite")

func vectorFile() string { return filepath.Join("testdata", "emrys-pre-v1.json") }

func loadVectors(t testing.TB) *vectors {
	t.Helper()
	if *regenerate {
		b, err := json.MarshalIndent(makeVectors(t), "", "  ")
		require.NoError(t, err)
		require.NoError(t, os.MkdirAll("testdata", 0o755))
		require.NoError(t, os.WriteFile(vectorFile(), append(b, '\n'), 0o600))
	}
	b, err := os.ReadFile(vectorFile())
	require.NoError(t, err)
	v := &vectors{}
	require.NoError(t, json.Unmarshal(b, v))
	require.Equal(t, Suite, v.Suite)
	return v
}

func makeVectors(t testing.TB) *vectors {
	t.Helper()
	w, l := newWorld(t, 2, 3), newLayer(t, 2, 3)
	l.ctx, l.request = w.params.Context, w.params.Request
	own, err := DeriveHybridKey(w.seed, "private", 1)
	require.NoError(t, err)
	l.patient, l.kPre = own, w.kPre
	to := make([]Recipient, 3)
	for i, g := range l.gateways {
		to[i] = Recipient{w.gateways[i], g.Public()}
	}
	l.kShare, l.set, err = SplitShares(nil, l.ctx, 2, to)
	require.NoError(t, err)
	env, err := l.envelope().Marshal()
	require.NoError(t, err)
	v := &vectors{
		Suite: Suite, Seed: w.seed, ScopeID: "private", Epoch: 1, ScopeKey: w.delegating.InsecureBytes(),
		ScopeSigner: w.signer.InsecureBytes(), HybridSeed: seedOf(t, own), ReaderKey: w.reader.InsecureBytes(),
		ReaderHybrid: seedOf(t, l.reader), Gateways: w.gateways, Threshold: 2, Context: w.params.Context[:],
		Grant: w.params.Grant[:], Request: w.params.Request[:], Capsule: w.capsule.Bytes(), KPre: w.kPre,
		KShare: l.kShare, DataKey: l.dek, Envelope: env,
	}
	for i, k := range w.kfrags {
		c := k.Commitment()
		v.GatewayHybrids = append(v.GatewayHybrids, seedOf(t, l.gateways[i]))
		v.KeyFragments = append(v.KeyFragments, k.Bytes())
		v.Commitments = append(v.Commitments, c[:])
		v.Fragments = append(v.Fragments, w.reencrypt(k).Bytes())
		v.ReSealed = append(v.ReSealed, l.reseal(i))
	}
	return v
}

func seedOf(t testing.TB, k *HybridPrivateKey) []byte {
	t.Helper()
	b, err := k.InsecureBytes()
	require.NoError(t, err)
	return b
}

func TestVectorsOfTheKeySchedule(t *testing.T) {
	t.Parallel()
	v := loadVectors(t)
	a, err := DeriveScopeKey(v.Seed, v.ScopeID, v.Epoch)
	require.NoError(t, err)
	require.Equal(t, []byte(v.ScopeKey), a.InsecureBytes())
	s, err := DeriveScopeSigner(v.Seed, v.ScopeID, v.Epoch)
	require.NoError(t, err)
	require.Equal(t, []byte(v.ScopeSigner), s.InsecureBytes())
	h, err := DeriveHybridKey(v.Seed, v.ScopeID, v.Epoch)
	require.NoError(t, err)
	require.Equal(t, []byte(v.HybridSeed), seedOf(t, h))
}

func TestVectorsOfTheWholeShare(t *testing.T) {
	t.Parallel()
	v := loadVectors(t)
	a, reader, p := v.keys(t)
	capsule, err := ParseCapsule(v.Capsule)
	require.NoError(t, err)
	own, err := Decapsulate(a, capsule, p.Context)
	require.NoError(t, err)
	require.Equal(t, []byte(v.KPre), own)

	frags := make([]*CapsuleFragment, len(v.Fragments))
	for i := range v.Fragments {
		k, err := ParseKeyFragment(v.KeyFragments[i])
		require.NoError(t, err)
		require.NoError(t, k.Verify(p.Delegating, p.Reader, p.Signer, v.Gateways[i], p.Grant))
		commitment := k.Commitment()
		require.Equal(t, []byte(v.Commitments[i]), commitment[:])
		frags[i], err = ParseCapsuleFragment(v.Fragments[i])
		require.NoError(t, err)
	}
	kPre, refused, err := OpenReport(reader, capsule, v.Threshold, p, frags)
	require.NoError(t, err)
	require.Empty(t, refused)
	require.Equal(t, []byte(v.KPre), kPre)

	dek, err := UnwrapKey(p.Context, v.openShares(t, p), kPre, v.envelope(t).Wrapped)
	require.NoError(t, err)
	require.Equal(t, []byte(v.DataKey), dek)
}

// keys returns the scope key, the reader's key and what the capsule fragments are bound to.
func (v *vectors) keys(t testing.TB) (*PrivateKey, *PrivateKey, ReencryptParams) {
	t.Helper()
	key := func(b []byte) *PrivateKey { k, err := ParsePrivateKey(b); require.NoError(t, err); return k }
	a, signer, reader := key(v.ScopeKey), key(v.ScopeSigner), key(v.ReaderKey)
	return a, reader, ReencryptParams{
		Delegating: a.Public(), Reader: reader.Public(), Signer: signer.Public(), Context: [HashSize]byte(v.Context),
		Grant: [HashSize]byte(v.Grant), Request: [HashSize]byte(v.Request), Gateway: v.Gateways[0],
	}
}

func (v *vectors) envelope(t testing.TB) *Envelope {
	t.Helper()
	e, err := ParseEnvelope(v.Envelope)
	require.NoError(t, err)
	return e
}

// openShares returns K_share by the gateways' keys, by the reader's, and by the patient's, which must agree.
func (v *vectors) openShares(t *testing.T, p ReencryptParams) []byte {
	t.Helper()
	hybrid := func(b []byte) *HybridPrivateKey {
		k, err := ParseHybridPrivateKey(b)
		require.NoError(t, err)
		return k
	}
	e, reader := v.envelope(t), hybrid(v.ReaderHybrid)
	shares := make([]Share, len(v.ReSealed))
	for i, s := range e.Shares.Shares {
		_, err := ReSealShare(hybrid(v.GatewayHybrids[i]), p.Context, p.Request, s, reader.Public())
		require.NoError(t, err)
		shares[i], err = OpenReSealedShare(reader, p.Context, p.Request, s, v.ReSealed[i])
		require.NoError(t, err)
	}
	kShare, err := CombineShares(v.Threshold, shares)
	require.NoError(t, err)
	require.Equal(t, []byte(v.KShare), kShare)
	own, err := OpenPatientCopy(hybrid(v.HybridSeed), p.Context, e.PatientCopy)
	require.NoError(t, err)
	require.Equal(t, kShare, own)
	return kShare
}
