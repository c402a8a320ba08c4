// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package vectors

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"fmt"

	"github.com/emrys-health/emrys/pkg/pre"
	"github.com/emrys-health/emrys/pkg/seal"
)

// NewStory makes a story with fresh random secrets, through the public functions of pkg/pre and pkg/seal, with n gateways of
// which threshold are needed, and a content of size random bytes.
func NewStory(name string, threshold, n, size int, layout seal.Layout) (*Story, error) {
	s := &Story{Name: name, Threshold: threshold, Layout: layout.String(), Grant: random(32), Request: random(32), Content: random(size)}
	for _, step := range []func() error{
		s.makePatient, func() error { return s.makeOthers(n) }, func() error { return s.makePayload(layout) }, s.makeContext, s.makeFragments, s.makeEnvelope,
	} {
		if err := step(); err != nil {
			return nil, fmt.Errorf("make story: %w", err)
		}
	}
	return s, nil
}

func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	return b
}

func (s *Story) makePatient() error {
	p := StoryPatient{Seed: random(pre.SeedSize), Scope: fmt.Sprintf("scope-%x", random(4)), Epoch: 7, Purpose: "records", PurposeEpoch: 1}
	a, err := pre.DeriveScopeKey(p.Seed, p.Scope, p.Epoch)
	if err != nil {
		return err
	}
	signer, err := pre.DeriveScopeSigner(p.Seed, p.Scope, p.Epoch)
	if err != nil {
		return err
	}
	own, err := pre.DeriveHybridKey(p.Seed, p.Purpose, p.PurposeEpoch)
	if err != nil {
		return err
	}
	p.A, p.PKA, p.Signer, p.PKS = a.InsecureBytes(), a.Public().Bytes(), signer.InsecureBytes(), signer.Public().Bytes()
	p.StoryHybrid, err = newStoryHybrid(own)
	s.Patient = p
	return err
}

func newStoryHybrid(k *pre.HybridPrivateKey) (StoryHybrid, error) {
	private, err := k.InsecureBytes()
	return StoryHybrid{private, k.Public().Bytes()}, err
}

func freshHybrid() (StoryHybrid, error) {
	k, err := pre.GenerateHybridKey()
	if err != nil {
		return StoryHybrid{}, err
	}
	return newStoryHybrid(k)
}

func (s *Story) makeOthers(n int) error {
	b, err := pre.GeneratePrivateKey(nil)
	if err != nil {
		return err
	}
	s.Reader.B, s.Reader.PKB = b.InsecureBytes(), b.Public().Bytes()
	hybrids := []*StoryHybrid{&s.Reader.StoryHybrid, &s.Hospital}
	s.Gateways = make([]StoryGateway, n)
	for i := range s.Gateways {
		s.Gateways[i].ID = fmt.Sprintf("Hospital%dMSP", i+1)
		hybrids = append(hybrids, &s.Gateways[i].StoryHybrid)
	}
	for _, h := range hybrids {
		if *h, err = freshHybrid(); err != nil {
			return err
		}
	}
	return nil
}

func (s *Story) makePayload(layout seal.Layout) error {
	key, err := seal.GenerateDataKey(rand.Reader)
	if err != nil {
		return err
	}
	fileID, err := seal.NewFileID(rand.Reader)
	if err != nil {
		return err
	}
	var opts []seal.WriteOption
	plain := uint64(len(s.Content))
	if layout == seal.Padded {
		opts = append(opts, seal.Pad(plain))
		if plain, err = seal.PaddedSize(plain); err != nil {
			return err
		}
	}
	var payload bytes.Buffer
	w := seal.NewWriter(&payload, key, fileID, opts...)
	if _, err := w.Write(s.Content); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	kc, sum := key.Commitment(fileID, layout), sha256.Sum256(payload.Bytes())
	s.DEK, s.FileID, s.Payload = key.InsecureBytes(), fileID[:], payload.Bytes()
	s.Context = StoryContext{
		FileID: fileID[:], PlainSize: U64(plain), CipherSize: U64(payload.Len()), SegmentSize: seal.SegmentSize, CipherDigest: sum[:], KeyCommitment: kc[:], //nolint:gosec // a length
	}
	return nil
}

func (s *Story) makeContext() error {
	c := &s.Context
	c.Channel, c.Record, c.Patient = "emrys", fmt.Sprintf("rec-%x", random(8)), fmt.Sprintf("pat-%x", random(8))
	c.Scope, c.Epoch, c.ScopeKey = s.Patient.Scope, s.Patient.Epoch, s.Patient.PKA
	c.Author, c.AuthorKey, c.Class, c.Level = "Hospital1MSP", random(65), "imaging", "private"
	c.PolicyHash, c.CID = random(32), fmt.Sprintf("cid-%x", random(16))
	c.Version, c.Threshold = 1, uint8(s.Threshold) //nolint:gosec // checked by Rekey
	ctx, err := c.RecordContext().Hash()
	s.Ctx = ctx[:]
	return err
}

func (s *Story) makeFragments() error {
	a, err := pre.ParsePrivateKey(s.Patient.A)
	if err != nil {
		return err
	}
	signer, err := pre.ParsePrivateKey(s.Patient.Signer)
	if err != nil {
		return err
	}
	reader, err := pre.ParsePublicKey(s.Reader.PKB)
	if err != nil {
		return err
	}
	capsule, kPre, err := pre.Encapsulate(nil, a.Public(), [32]byte(s.Ctx))
	if err != nil {
		return err
	}
	s.Capsule, s.KPre = capsule.Bytes(), kPre
	ids := make([]string, len(s.Gateways))
	for i, g := range s.Gateways {
		ids[i] = g.ID
	}
	ks, err := pre.Rekey(nil, a, signer.Signer(), pre.RekeyParams{Grant: [32]byte(s.Grant), Reader: reader, Gateways: ids, Threshold: s.Threshold})
	if err != nil {
		return err
	}
	for i, k := range ks {
		public, err := pre.ParseHybridPublicKey(s.Gateways[i].Public)
		if err != nil {
			return err
		}
		sealed, err := pre.SealKeyFragment(public, k)
		if err != nil {
			return err
		}
		f, err := pre.Reencrypt(nil, capsule, k, pre.ReencryptParams{
			Delegating: a.Public(), Reader: reader, Signer: signer.Public(), Context: [32]byte(s.Ctx), Grant: [32]byte(s.Grant),
			Request: [32]byte(s.Request), Gateway: ids[i],
		})
		if err != nil {
			return err
		}
		commitment := k.Commitment()
		s.KeyFragments = append(s.KeyFragments, StoryFragment{k.Bytes(), sealed, commitment[:]})
		s.CapsuleFragments = append(s.CapsuleFragments, f.Bytes())
	}
	return nil
}

func (s *Story) makeEnvelope() error {
	to := make([]pre.Recipient, len(s.Gateways))
	private := make([]*pre.HybridPrivateKey, len(s.Gateways))
	for i, g := range s.Gateways {
		k, err := pre.ParseHybridPrivateKey(g.Private)
		if err != nil {
			return err
		}
		to[i], private[i] = pre.Recipient{ID: g.ID, Key: k.Public()}, k
	}
	ctx := [32]byte(s.Ctx)
	kShare, set, err := pre.SplitShares(nil, ctx, s.Threshold, to)
	if err != nil {
		return err
	}
	s.KShare = kShare
	e := &pre.Envelope{Shares: *set}
	if e.Wrapped, err = pre.WrapKey(ctx, kShare, s.KPre, s.DEK); err != nil {
		return err
	}
	if err := s.makeCopies(e); err != nil {
		return err
	}
	if s.Envelope, err = e.Marshal(); err != nil {
		return err
	}
	reader, err := pre.ParseHybridPublicKey(s.Reader.Public)
	if err != nil {
		return err
	}
	for i, share := range set.Shares {
		sealed, err := pre.ReSealShare(private[i], ctx, [32]byte(s.Request), share, reader)
		if err != nil {
			return err
		}
		s.ReSealed = append(s.ReSealed, sealed)
	}
	return nil
}

func (s *Story) makeCopies(e *pre.Envelope) error {
	ctx := [32]byte(s.Ctx)
	patient, err := pre.ParseHybridPublicKey(s.Patient.Public)
	if err != nil {
		return err
	}
	hospital, err := pre.ParseHybridPublicKey(s.Hospital.Public)
	if err != nil {
		return err
	}
	reader, err := pre.ParseHybridPublicKey(s.Reader.Public)
	if err != nil {
		return err
	}
	if e.PatientCopy, err = pre.SealPatientCopy(patient, ctx, s.KShare); err != nil {
		return err
	}
	if e.HospitalCopy, err = pre.SealHospitalCopy(hospital, ctx, s.DEK); err != nil {
		return err
	}
	s.DirectKey, err = pre.SealDirectKey(reader, ctx, [32]byte(s.Grant), s.KPre)
	return err
}
