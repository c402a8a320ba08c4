// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledgermodel

import (
	"crypto/sha256"
	"slices"
	"strings"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/chaincode/ledger/ledgertest"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/manifest"
	"github.com/emrys-health/emrys/pkg/pre"
)

// Manifests of records, and what can be wrong in one by itself.

type recordWish struct {
	scope    *scope
	class    emr.Class
	label    bool
	previous *record
	signers  []signer
	size     uint64 // of the content; 0: as usual
	late     bool   // names another epoch
	used     *record
	as       string // what of it is used once more
	bad      *badManifest
}

// badManifest is one thing that is wrong, in the manifest before its capsule is made
// for it, in who holds a share, or in the copies.
type badManifest struct {
	code    emr.Code
	make    func(*emr.Manifest)
	holders func([]emr.OrgID) []emr.OrgID
	copies  func(*pre.Envelope)
}

func (m *Model) badManifests() []badManifest {
	is := func(change func(*emr.Manifest)) badManifest { return badManifest{code: emr.CodeInvalid, make: change} }
	return []badManifest{
		is(func(man *emr.Manifest) { // as if less, or more, were needed to read it
			levels := slices.DeleteFunc(emr.Levels(), func(l emr.Level) bool { return l == levelOf(man.Class) })
			man.Level = pick(m, levels, "another level")
		}),
		is(func(man *emr.Manifest) { man.Class = "gossip" }),
		is(func(man *emr.Manifest) { man.Threshold = 1 }),
		is(func(man *emr.Manifest) { man.Threshold = 3 }),
		is(func(man *emr.Manifest) { man.ContentType = "image" }),
		is(func(man *emr.Manifest) { man.CID = strings.ToUpper(man.CID) }),
		is(func(man *emr.Manifest) { man.Digest = emr.Digest{} }),
		is(func(man *emr.Manifest) { man.KeyCommitment = emr.Digest{} }),
		is(func(man *emr.Manifest) { man.FileID = emr.Digest{} }),
		is(func(man *emr.Manifest) { man.SegmentSize /= 2 }),
		is(func(man *emr.Manifest) { man.CipherSize++ }),
		is(func(man *emr.Manifest) { man.Labels = []emr.Label{emr.LabelHIV, emr.LabelHIV} }),
		is(func(man *emr.Manifest) { man.Labels = []emr.Label{emr.LabelHIV, emr.LabelGenetic} }),
		is(func(man *emr.Manifest) { man.Labels = []emr.Label{"secret"} }),
		is(func(man *emr.Manifest) { man.Version++ }),
		{code: emr.CodeStale, holders: func(all []emr.OrgID) []emr.OrgID { return all[1:] }},
		{code: emr.CodeStale, holders: func(all []emr.OrgID) []emr.OrgID {
			for _, id := range m.orgIDs {
				if !slices.Contains(all, id) {
					return append(all, id)
				}
			}
			return all[1:]
		}},
		{code: emr.CodeInvalid, copies: func(e *pre.Envelope) { e.HospitalCopy = nil }},
		{code: emr.CodeInvalid, copies: func(e *pre.Envelope) { e.PatientCopy = nil }},
	}
}

// manifest makes a whole manifest with a capsule and an envelope for the members.
func (m *Model) manifest(p *patient, by *actor, wish recordWish) *emr.Manifest {
	id := ledgertest.ID[emr.RecordID](emr.RecordPrefix)
	if wish.as == "id" {
		id = wish.used.id
	}
	plain := max(wish.size, 1000)
	cipher, err := manifest.CipherSize(plain)
	require.NoError(m.t, err)
	man := &emr.Manifest{
		Record: id, Patient: p.handle, Scope: wish.scope.ID, Epoch: wish.scope.Epoch, Class: wish.class, Level: levelOf(wish.class), Version: 1,
		ContentType: "application/dicom", CID: ledgertest.CID(id), Digest: sha256.Sum256([]byte("digest " + id)),
		PlainSize: plain, CipherSize: cipher, SegmentSize: manifest.SegmentSize,
		FileID: sha256.Sum256([]byte("file " + id)), KeyCommitment: sha256.Sum256([]byte("commit " + id)), Threshold: 2,
	}
	if m.Content != nil {
		man.CID = m.Content()
	}
	for _, of := range wish.signers {
		man.Signers = append(man.Signers, emr.Signer{Clinician: of.cid, Org: of.in, Role: of.as})
	}
	man.Labels = m.labelsOf(&wish)
	if wish.previous != nil {
		man.Previous, man.Version = wish.previous.id, wish.previous.version+1
	}
	wish.claim(man)
	if wish.bad != nil && wish.bad.make != nil {
		wish.bad.make(man)
	}
	author := &emr.Clinician{ID: emr.ClinicianID(by.id), Signing: pinned(by.key)}
	hash, err := manifest.Context(m.d.Channel(), man, author, &wish.scope.Scope).Hash()
	require.NoError(m.t, err)
	delegating, err := pre.ParsePublicKey(wish.scope.Delegating)
	require.NoError(m.t, err)
	capsule, kPre, err := pre.Encapsulate(nil, delegating, hash)
	require.NoError(m.t, err)
	man.Capsule, man.Envelope = capsule.Bytes(), m.envelope(hash, kPre, by.org, wish.bad)
	if wish.as == "capsule" {
		man.Capsule = wish.used.capsule
	}
	return man
}

func (m *Model) envelope(ctx [32]byte, kPre []byte, hospital emr.OrgID, bad *badManifest) []byte {
	var to []pre.Recipient
	holders := m.members()
	if bad != nil && bad.holders != nil {
		holders = bad.holders(holders)
	}
	for _, id := range holders {
		key, err := pre.ParseHybridPublicKey(m.orgs[id].profile.Keys.Proxy)
		require.NoError(m.t, err)
		to = append(to, pre.Recipient{ID: string(id), Key: key})
	}
	slices.SortFunc(to, func(a, b pre.Recipient) int { return strings.Compare(a.ID, b.ID) })
	kShare, shares, err := pre.SplitShares(nil, ctx, 2, to)
	require.NoError(m.t, err)
	dek := slices.Repeat([]byte{7}, pre.KeySize)
	wrapped, err := pre.WrapKey(ctx, kShare, kPre, dek)
	require.NoError(m.t, err)
	own, err := pre.ParseHybridPublicKey(m.orgs[hospital].profile.Keys.Record)
	require.NoError(m.t, err)
	copied, err := pre.SealPatientCopy(own, ctx, kShare)
	require.NoError(m.t, err)
	legal, err := pre.SealHospitalCopy(own, ctx, dek)
	require.NoError(m.t, err)
	sealed := pre.Envelope{Wrapped: wrapped, Shares: *shares, PatientCopy: copied, HospitalCopy: legal}
	if bad != nil && bad.copies != nil {
		bad.copies(&sealed)
	}
	b, err := sealed.Marshal()
	require.NoError(m.t, err)
	return b
}
