// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package manifest_test

import (
	"crypto/sha256"
	"encoding/hex"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/manifest"
	"github.com/emrys-health/emrys/pkg/pre"
	"github.com/emrys-health/emrys/pkg/seal"
)

// generator is the base point of P-256, compressed: a public key that never changes.
const generator = "036b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"

func example(t testing.TB) (*emr.Manifest, *emr.Clinician, *emr.Scope) {
	t.Helper()
	point, err := hex.DecodeString(generator)
	require.NoError(t, err)
	digest := func(text string) emr.Digest { return sha256.Sum256([]byte(text)) }
	size, err := manifest.CipherSize(1000)
	require.NoError(t, err)
	m := &emr.Manifest{
		Record: "rec_00000000000000000000000000000001", Patient: "hnd_00000000000000000000000000000002",
		Scope: "scp_00000000000000000000000000000003", Epoch: 4, Class: emr.ClassMedicalImaging, Level: emr.LevelPrivate,
		Previous: "rec_00000000000000000000000000000005", Version: 6, ContentType: "application/dicom",
		CID: "bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy", Digest: digest("digest"), PlainSize: 1000,
		CipherSize: size, SegmentSize: manifest.SegmentSize, FileID: digest("file"), KeyCommitment: digest("key"), Threshold: 2,
	}
	author := &emr.Clinician{
		ID: "cli_00000000000000000000000000000007", Signing: emr.PinnedKey{Kind: emr.SignatureP256, Key: point},
	}
	return m, author, &emr.Scope{ID: m.Scope, Delegating: point}
}

// TestTheContextOfAManifestIsPinned fails when the context of a manifest changes:
// capsules that are registered would not verify any more.
func TestTheContextOfAManifestIsPinned(t *testing.T) {
	t.Parallel()
	m, author, scope := example(t)
	hash, err := manifest.Context("emrys", m, author, scope).Hash()
	require.NoError(t, err)
	require.Equal(t, "4097db9d2537ee4438ab15c30f519da6c96fbbe4b25d8f130cdd9423053fe397", hex.EncodeToString(hash[:]))
}

func TestEveryFieldOfTheContextIsBound(t *testing.T) {
	t.Parallel()
	of := func(channel string, change func(*emr.Manifest, *emr.Clinician, *emr.Scope)) string {
		m, author, scope := example(t)
		change(m, author, scope)
		hash, err := manifest.Context(channel, m, author, scope).Hash()
		require.NoError(t, err)
		return hex.EncodeToString(hash[:])
	}
	same := func(*emr.Manifest, *emr.Clinician, *emr.Scope) {}
	other := sha256.Sum256([]byte("other"))
	seen := map[string]string{of("emrys", same): "nothing", of("other", same): "channel"}
	require.Len(t, seen, 2)
	for name, change := range map[string]func(*emr.Manifest, *emr.Clinician, *emr.Scope){
		"record":         func(m *emr.Manifest, _ *emr.Clinician, _ *emr.Scope) { m.Record = "x" },
		"patient":        func(m *emr.Manifest, _ *emr.Clinician, _ *emr.Scope) { m.Patient = "x" },
		"scope":          func(m *emr.Manifest, _ *emr.Clinician, _ *emr.Scope) { m.Scope = "x" },
		"epoch":          func(m *emr.Manifest, _ *emr.Clinician, _ *emr.Scope) { m.Epoch++ },
		"class":          func(m *emr.Manifest, _ *emr.Clinician, _ *emr.Scope) { m.Class = "x" },
		"level":          func(m *emr.Manifest, _ *emr.Clinician, _ *emr.Scope) { m.Level = "x" },
		"previous":       func(m *emr.Manifest, _ *emr.Clinician, _ *emr.Scope) { m.Previous = "" },
		"version":        func(m *emr.Manifest, _ *emr.Clinician, _ *emr.Scope) { m.Version++ },
		"content id":     func(m *emr.Manifest, _ *emr.Clinician, _ *emr.Scope) { m.CID = "x" },
		"digest":         func(m *emr.Manifest, _ *emr.Clinician, _ *emr.Scope) { m.Digest = other },
		"plain size":     func(m *emr.Manifest, _ *emr.Clinician, _ *emr.Scope) { m.PlainSize++ },
		"cipher size":    func(m *emr.Manifest, _ *emr.Clinician, _ *emr.Scope) { m.CipherSize++ },
		"segment size":   func(m *emr.Manifest, _ *emr.Clinician, _ *emr.Scope) { m.SegmentSize++ },
		"file id":        func(m *emr.Manifest, _ *emr.Clinician, _ *emr.Scope) { m.FileID = other },
		"key commitment": func(m *emr.Manifest, _ *emr.Clinician, _ *emr.Scope) { m.KeyCommitment = other },
		"threshold":      func(m *emr.Manifest, _ *emr.Clinician, _ *emr.Scope) { m.Threshold++ },
		"author":         func(_ *emr.Manifest, a *emr.Clinician, _ *emr.Scope) { a.ID = "x" },
		"author's key":   func(_ *emr.Manifest, a *emr.Clinician, _ *emr.Scope) { a.Signing.Key[0] ^= 1 },
		"scope's key":    func(_ *emr.Manifest, _ *emr.Clinician, s *emr.Scope) { s.Delegating = newKey(t).Bytes() },
	} {
		hash := of("emrys", change)
		require.Empty(t, seen[hash], name)
		seen[hash] = name
	}
}

func newKey(t testing.TB) *pre.PublicKey {
	t.Helper()
	key, err := pre.GeneratePrivateKey(nil)
	require.NoError(t, err)
	return key.Public()
}

func TestTheContextSharesNoMemoryWithItsSources(t *testing.T) {
	t.Parallel()
	m, author, scope := example(t)
	c := manifest.Context("emrys", m, author, scope)
	before, err := c.Hash()
	require.NoError(t, err)
	m.Digest[0], author.Signing.Key[1], scope.Delegating[1] = 1, 1, 1
	after, err := c.Hash()
	require.NoError(t, err)
	require.Equal(t, before, after)
}

// TestSizesAreThoseOfTheContainer compares with the container's own arithmetic.
func TestSizesAreThoseOfTheContainer(t *testing.T) {
	t.Parallel()
	const plain = manifest.SegmentSize - manifest.SegmentOverhead
	require.EqualValues(t, seal.SegmentSize, manifest.SegmentSize)
	require.EqualValues(t, seal.SegmentOverhead, manifest.SegmentOverhead)
	limit := uint64(seal.MaxSegments) * seal.SegmentPlainSize
	for _, size := range []uint64{
		0, 1, plain - 1, plain, plain + 1, 2*plain - 1, 2 * plain, 2*plain + 1, 1 << 30, limit - 1, limit, limit + 1, 1<<64 - 1,
	} {
		want, wantErr := seal.CipherSize(size)
		got, err := manifest.CipherSize(size)
		require.Equal(t, wantErr == nil, err == nil, size)
		require.Equal(t, want, got, size)
		if err != nil {
			require.Equal(t, emr.CodeInvalid, emr.CodeOf(err))
		}
	}
}

func TestACapsuleVerifiesForItsRecordOnly(t *testing.T) {
	t.Parallel()
	m, author, scope := example(t)
	hash, err := manifest.Context("emrys", m, author, scope).Hash()
	require.NoError(t, err)
	key, err := pre.ParsePublicKey(scope.Delegating)
	require.NoError(t, err)
	capsule, _, err := pre.Encapsulate(nil, key, hash)
	require.NoError(t, err)
	m.Capsule = capsule.Bytes()
	require.NoError(t, manifest.VerifyCapsule("emrys", m, author, scope))
	require.Equal(t, emr.CodeCorrupt, emr.CodeOf(manifest.VerifyCapsule("other", m, author, scope)))
	for name, test := range map[string]struct {
		change func(*emr.Manifest, *emr.Scope)
		code   emr.Code
	}{
		"another record":        {func(m *emr.Manifest, _ *emr.Scope) { m.Record = "rec_x" }, emr.CodeCorrupt},
		"an altered capsule":    {func(m *emr.Manifest, _ *emr.Scope) { m.Capsule[97] ^= 1 }, emr.CodeCorrupt},
		"another scope's key":   {func(_ *emr.Manifest, s *emr.Scope) { s.Delegating = newKey(t).Bytes() }, emr.CodeCorrupt},
		"no capsule":            {func(m *emr.Manifest, _ *emr.Scope) { m.Capsule = nil }, emr.CodeInvalid},
		"an incomplete record":  {func(m *emr.Manifest, _ *emr.Scope) { m.Record = "" }, emr.CodeInvalid},
		"a scope without a key": {func(_ *emr.Manifest, s *emr.Scope) { s.Delegating = nil }, emr.CodeInternal},
	} {
		copied, scopeCopy := *m, *scope
		copied.Capsule = append([]byte{}, m.Capsule...)
		test.change(&copied, &scopeCopy)
		require.Equal(t, test.code, emr.CodeOf(manifest.VerifyCapsule("emrys", &copied, author, &scopeCopy)), name)
	}
}
