// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto/sha256"
	"fmt"
	"math/big"

	"github.com/emrys-health/emrys/pkg/vectors"
	ref "github.com/emrys-health/emrys/pkg/vectors/internal/reference"
)

func stories() vectors.Stories {
	random := ref.NewRandom("vectors of " + ref.Suite + ": story")
	out := vectors.Stories{Suite: vectors.Suite, Subject: "story"}
	out.Stories = append(out.Stories,
		story(random, "two of three gateways, a plain payload", 2, 3, ref.Plain, []byte("vital signs: ")),
		story(random, "three of five gateways, a padded payload", 3, 5, ref.Padded, ref.Counting(1000)),
		story(random, "a single gateway, an empty content", 1, 1, ref.Padded, nil))
	return out
}

// tale is a story while it is made.
type tale struct {
	vectors.Story
	random       *ref.Random
	layout       ref.Layout
	a, signer, b *big.Int
	names        ref.Names
}

func story(random *ref.Random, name string, t, n int, layout ref.Layout, content []byte) vectors.Story {
	s := &tale{random: random, layout: layout}
	s.Name, s.Threshold, s.Layout, s.Content = name, t, string(layout), content
	s.Grant, s.Request = random.Bytes(32), random.Bytes(32)
	s.people(n)
	s.record()
	s.fragments()
	s.envelope()
	return s.Story
}

func (s *tale) hybrid() vectors.StoryHybrid {
	h := ref.NewHybrid(s.random.Bytes(32))
	return vectors.StoryHybrid{Private: h.Private, Public: h.Public()}
}

func (s *tale) people(n int) {
	p := vectors.StoryPatient{Seed: s.random.Bytes(32), Scope: "private", Epoch: 3, Purpose: "records", PurposeEpoch: 1}
	s.a, s.signer = ref.DeriveScalar("scope key", p.Seed, p.Scope, p.Epoch), ref.DeriveScalar("scope signer", p.Seed, p.Scope, p.Epoch)
	s.b = s.random.Scalar()
	s.names = ref.Names{PKA: ref.Base(s.a), PKB: ref.Base(s.b), PKS: ref.Base(s.signer)}
	own := ref.NewHybrid(ref.DeriveHybrid(p.Seed, p.Purpose, p.PurposeEpoch))
	p.A, p.PKA, p.Signer, p.PKS = ref.B32(s.a), vectors.Hex(s.names.PKA), ref.B32(s.signer), vectors.Hex(s.names.PKS)
	p.StoryHybrid = vectors.StoryHybrid{Private: own.Private, Public: own.Public()}
	s.Patient = p
	s.Reader = vectors.StoryReader{B: ref.B32(s.b), PKB: vectors.Hex(s.names.PKB), StoryHybrid: s.hybrid()}
	s.Hospital = s.hybrid()
	for i := range n {
		s.Gateways = append(s.Gateways, vectors.StoryGateway{ID: fmt.Sprintf("Hospital%dMSP", i+1), StoryHybrid: s.hybrid()})
	}
}

func (s *tale) record() {
	s.DEK, s.FileID = s.random.Bytes(32), s.random.Bytes(32)
	s.Payload = ref.Recipe{DEK: s.DEK, FileID: s.FileID, Layout: s.layout, Content: s.Content, Nonce: s.random.Bytes(1)[0], Length: -1}.Bytes()
	sum := sha256.Sum256(s.Payload)
	fields := sampleContext(s.names.PKA)
	plain := uint64(len(s.layout.Plaintext(s.Content)))
	fields = with(fields, "file_id", []byte(s.FileID), "plain_size", plain, "cipher_size", uint64(len(s.Payload)), "cipher_digest", sum[:],
		"key_commitment", s.layout.Commitment(s.DEK, s.FileID), "threshold", s.Threshold)
	s.Ctx = contextHash(fields)
	s.Context = vectors.StoryContext{
		Channel: fields["channel"].(string), Record: fields["record"].(string), Patient: fields["patient"].(string), Scope: s.Patient.Scope, //nolint:forcetypeassert // sampleContext's
		Epoch: s.Patient.Epoch, ScopeKey: s.Patient.PKA, Author: fields["author"].(string), AuthorKey: fields["author_key"].([]byte), //nolint:forcetypeassert // sampleContext's
		Class: fields["class"].(string), Level: fields["level"].(string), PolicyHash: fields["policy_hash"].([]byte), FileID: s.FileID, //nolint:forcetypeassert // sampleContext's
		CID: fields["cid"].(string), PlainSize: vectors.U64(plain), CipherSize: vectors.U64(len(s.Payload)), SegmentSize: ref.Segment, //nolint:forcetypeassert // sampleContext's
		CipherDigest: sum[:], KeyCommitment: s.layout.Commitment(s.DEK, s.FileID), Version: 2, Previous: fields["previous"].(string), //nolint:forcetypeassert // sampleContext's
		Threshold: uint8(s.Threshold), //nolint:gosec // small
	}
}

func (s *tale) fragments() {
	c, kPre := ref.Encapsulate(s.random.Scalar(), s.names.PKA, s.Ctx)
	s.Capsule, s.KPre = c.Bytes(), kPre
	d := ref.NewDealer(s.random, s.a, s.signer, s.names.PKB, s.Grant, s.Threshold)
	for _, g := range s.Gateways {
		k := d.Fragment(g.ID)
		info := ref.Joined("key fragment for gateway", s.Grant, ref.Gateway(g.ID))
		s.KeyFragments = append(s.KeyFragments, vectors.StoryFragment{
			Fragment: k.Bytes(), Sealed: ref.Seal(g.Public, info, k.Bytes(), ref.NewSealing(s.random)), Commitment: k.Commitment(),
		})
		w := k.Nonce(s.random.Scalar(), c, s.names, s.Ctx, s.Request)
		s.CapsuleFragments = append(s.CapsuleFragments, ref.Reencrypt(k, c, s.names, s.Ctx, s.Request, w).Bytes())
	}
}

func (s *tale) envelope() {
	f := ref.Polynomial{s.random.Scalar()}
	for len(f) < s.Threshold {
		f = append(f, s.random.Scalar())
	}
	s.KShare = ref.B32(f[0])
	e := &envelopeParts{}
	for i, g := range s.Gateways {
		index := uint8(i + 1) //nolint:gosec // small
		share := sealedShare{
			gateway: g.ID, index: index, y: ref.B32(f.At(big.NewInt(int64(index)))), salt: s.random.Bytes(32), ctx: s.Ctx, request: s.Request,
			toGateway: ref.NewHybrid(g.Private), toReader: ref.NewHybrid(s.Reader.Private), random: s.random,
		}.finish()
		e.shares = append(e.shares, envelopeShare{g.ID, uint64(index), share.entry()["sealed"].([]byte), share.commitment}) //nolint:forcetypeassert // set by entry
		s.ReSealed = append(s.ReSealed, share.resealed())
	}
	seal := func(public []byte, info, key []byte) []byte {
		return ref.Seal(public, info, key, ref.NewSealing(s.random))
	}
	e.items = [][]byte{
		ref.Uint(1), ref.Text(ref.Suite), ref.Uint(ref.KEM), ref.Bytes(ref.Wrap(s.Ctx, s.KShare, s.KPre, s.DEK, s.random.Bytes(12))),
		ref.Uint(uint64(s.Threshold)), e.shareList(), //nolint:gosec // small
		ref.Bytes(seal(s.Patient.Public, ref.Joined("patient copy", s.Ctx), s.KShare)),
		ref.Bytes(seal(s.Hospital.Public, ref.Joined("hospital copy", s.Ctx), s.DEK)),
	}
	s.Envelope = e.bytes()
	s.DirectKey = seal(s.Reader.Public, ref.Joined("direct key for reader", s.Ctx, s.Grant), s.KPre)
}
