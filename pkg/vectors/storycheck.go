// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package vectors

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"

	"github.com/emrys-health/emrys/pkg/pre"
	"github.com/emrys-health/emrys/pkg/seal"
)

// ErrStory says that a value of a story does not follow from the others.
var ErrStory = errors.New("the story does not hold together")

// teller checks a story and holds what it has found so far.
type teller struct {
	*Story
	a, signer, b *pre.PrivateKey
	own, reader  *pre.HybridPrivateKey
	hospital     *pre.HybridPrivateKey
	gateways     []*pre.HybridPrivateKey
	ctx, request [32]byte
	grant        [32]byte
	capsule      *pre.Capsule
	envelope     *pre.Envelope
	key          *seal.DataKey
	layout       seal.Layout
}

// Check checks every value of the story through the public functions of pkg/pre and pkg/seal: derivations, signatures, proofs, and
// that each quorum of gateways, the patient, the hospital and the direct key open the content. The first value that is wrong
// is named; values that do not follow from the others are ErrStory.
func (s *Story) Check() error {
	t := &teller{Story: s}
	for _, step := range []struct {
		name  string
		check func() error
	}{
		{"keys of the patient", t.checkPatient},
		{"keys of reader, hospital and gateways", t.checkOthers},
		{"payload", t.checkPayload},
		{"record context", t.checkContext},
		{"capsule", t.checkCapsule},
		{"key fragments", t.checkKeyFragments},
		{"capsule fragments", t.checkCapsuleFragments},
		{"envelope", t.checkEnvelope},
		{"shares", t.checkShares},
		{"copies", t.checkCopies},
	} {
		if err := step.check(); err != nil {
			return fmt.Errorf("check %s of %q: %w", step.name, s.Name, err)
		}
	}
	return nil
}

// same is an error unless a value is the one it must be.
func same(name string, got, want []byte) error {
	if !bytes.Equal(got, want) {
		return fmt.Errorf("%s is %x and should be %x: %w", name, got, want, ErrStory)
	}
	return nil
}

func (t *teller) checkPatient() error {
	p := t.Patient
	var err error
	if t.a, err = pre.DeriveScopeKey(p.Seed, p.Scope, p.Epoch); err != nil {
		return err
	}
	if t.signer, err = pre.DeriveScopeSigner(p.Seed, p.Scope, p.Epoch); err != nil {
		return err
	}
	if t.own, err = pre.DeriveHybridKey(p.Seed, p.Purpose, p.PurposeEpoch); err != nil {
		return err
	}
	private, err := t.own.InsecureBytes()
	return errors.Join(err,
		same("a", p.A, t.a.InsecureBytes()), same("pk_A", p.PKA, t.a.Public().Bytes()),
		same("signer", p.Signer, t.signer.InsecureBytes()), same("pk_S", p.PKS, t.signer.Public().Bytes()),
		same("hybrid_private", p.Private, private), same("hybrid_public", p.Public, t.own.Public().Bytes()))
}

func (h StoryHybrid) parse() (*pre.HybridPrivateKey, error) {
	k, err := pre.ParseHybridPrivateKey(h.Private)
	if err != nil {
		return nil, err
	}
	return k, same("hybrid_public", h.Public, k.Public().Bytes())
}

func (t *teller) checkOthers() error {
	var err error
	if t.b, err = pre.ParsePrivateKey(t.Reader.B); err != nil {
		return err
	}
	if t.reader, err = t.Reader.parse(); err != nil {
		return fmt.Errorf("reader: %w", err)
	}
	if t.hospital, err = t.Hospital.parse(); err != nil {
		return fmt.Errorf("hospital: %w", err)
	}
	for _, g := range t.Gateways {
		k, err := g.parse()
		if err != nil {
			return fmt.Errorf("gateway %s: %w", g.ID, err)
		}
		t.gateways = append(t.gateways, k)
	}
	n := len(t.Gateways)
	if len(t.Grant) != 32 || len(t.Request) != 32 || len(t.FileID) != 32 {
		return fmt.Errorf("grant, request and file id must have 32 bytes: %w", ErrStory)
	}
	if len(t.KeyFragments) != n || len(t.CapsuleFragments) != n || len(t.ReSealed) != n {
		return fmt.Errorf("%d gateways, but other numbers of fragments or shares: %w", n, ErrStory)
	}
	t.grant, t.request = [32]byte(t.Grant), [32]byte(t.Request)
	return same("pk_B", t.Reader.PKB, t.b.Public().Bytes())
}

// checkPayload opens the content with the story's own data key, in sequence and at random.
func (t *teller) checkPayload() error {
	if len(t.Context.KeyCommitment) != 32 {
		return fmt.Errorf("key commitment of %d bytes: %w", len(t.Context.KeyCommitment), ErrStory)
	}
	var err error
	if t.key, err = seal.ParseDataKey(t.DEK); err != nil {
		return err
	}
	if t.layout, err = t.key.Layout([32]byte(t.FileID), [32]byte(t.Context.KeyCommitment)); err != nil {
		return err
	}
	if err := same("layout", []byte(t.Layout), []byte(t.layout.String())); err != nil {
		return err
	}
	return t.readContent(t.DEK)
}

// readContent opens the payload with a data key and compares the content.
func (t *teller) readContent(dek []byte) error {
	key, err := seal.ParseDataKey(dek)
	if err != nil {
		return err
	}
	fileID, plain := [32]byte(t.FileID), uint64(t.Context.PlainSize)
	content, err := io.ReadAll(seal.NewReader(bytes.NewReader(t.Payload), key, fileID, plain, t.layout))
	if err != nil {
		return err
	}
	if err := same("content", t.Content, content); err != nil {
		return err
	}
	at, err := seal.NewReaderAt(bytes.NewReader(t.Payload), key, fileID, plain, t.layout)
	if err != nil {
		return err
	}
	half, err := io.ReadAll(io.NewSectionReader(at, int64(len(content)/2), int64(len(content))))
	return errors.Join(err, same("second half of the content", t.Content[len(content)/2:], half))
}

func (t *teller) checkContext() error {
	ctx, err := t.Context.RecordContext().Hash()
	if err != nil {
		return err
	}
	t.ctx = ctx
	stored, err := seal.CipherSize(uint64(t.Context.PlainSize))
	sum := sha256.Sum256(t.Payload)
	if err != nil || stored != uint64(t.Context.CipherSize) || stored != uint64(len(t.Payload)) || t.Context.SegmentSize != seal.SegmentSize {
		return fmt.Errorf("sizes of the context and payload of %d bytes: %w", len(t.Payload), ErrStory)
	}
	if t.Context.Scope != t.Patient.Scope || t.Context.Epoch != t.Patient.Epoch || int(t.Context.Threshold) != t.Threshold {
		return fmt.Errorf("scope, epoch and threshold of the context: %w", ErrStory)
	}
	return errors.Join(same("ctx", t.Ctx, ctx[:]), same("scope_key", t.Context.ScopeKey, t.Patient.PKA),
		same("file_id", t.Context.FileID, t.FileID), same("cipher_digest", t.Context.CipherDigest, sum[:]))
}

func (t *teller) checkCapsule() error {
	var err error
	if t.capsule, err = pre.ParseCapsule(t.Capsule); err != nil {
		return err
	}
	if err := t.capsule.Verify(t.a.Public(), t.ctx); err != nil {
		return err
	}
	key, err := pre.Decapsulate(t.a, t.capsule, t.ctx)
	return errors.Join(err, same("K_pre", t.KPre, key))
}

func (t *teller) params(gateway string) pre.ReencryptParams {
	return pre.ReencryptParams{
		Delegating: t.a.Public(), Reader: t.b.Public(), Signer: t.signer.Public(), Context: t.ctx, Grant: t.grant, Request: t.request, Gateway: gateway,
	}
}

// checkKeyFragments also re-encrypts with them and opens.
func (t *teller) checkKeyFragments() error {
	fresh := make([]*pre.CapsuleFragment, len(t.Gateways))
	for i, g := range t.Gateways {
		f := t.KeyFragments[i]
		k, err := pre.OpenKeyFragment(t.gateways[i], g.ID, t.grant, f.Sealed)
		if err != nil {
			return fmt.Errorf("gateway %s: %w", g.ID, err)
		}
		if err := k.Verify(t.a.Public(), t.b.Public(), t.signer.Public(), g.ID, t.grant); err != nil {
			return fmt.Errorf("gateway %s: %w", g.ID, err)
		}
		commitment := k.Commitment()
		if err := errors.Join(same("fragment", f.Fragment, k.Bytes()), same("commitment", f.Commitment, commitment[:])); err != nil {
			return fmt.Errorf("gateway %s: %w", g.ID, err)
		}
		if fresh[i], err = pre.Reencrypt(nil, t.capsule, k, t.params(g.ID)); err != nil {
			return fmt.Errorf("gateway %s: %w", g.ID, err)
		}
	}
	return t.openQuorums(fresh)
}

// openQuorums opens with every choice of threshold fragments, of which there are few.
func (t *teller) openQuorums(frags []*pre.CapsuleFragment) error {
	for _, quorum := range choose(len(frags), t.Threshold) {
		chosen := make([]*pre.CapsuleFragment, len(quorum))
		for i, j := range quorum {
			chosen[i] = frags[j]
		}
		key, refused, err := pre.OpenReport(t.b, t.capsule, t.Threshold, t.params(""), chosen)
		if err != nil {
			return fmt.Errorf("quorum %v: %w", quorum, err)
		}
		if len(refused) != 0 {
			return fmt.Errorf("quorum %v: %d refused: %w", quorum, len(refused), ErrStory)
		}
		if err := same("K_pre of a quorum", key, t.KPre); err != nil {
			return err
		}
	}
	return nil
}

// choose returns all choices of k numbers below n.
func choose(n, k int) [][]int {
	if k == 0 {
		return [][]int{{}}
	}
	if n < k {
		return nil
	}
	out := choose(n-1, k)
	for _, rest := range choose(n-1, k-1) {
		out = append(out, append(rest[:len(rest):len(rest)], n-1))
	}
	return out
}

func (t *teller) checkCapsuleFragments() error {
	frags := make([]*pre.CapsuleFragment, len(t.Gateways))
	for i, g := range t.Gateways {
		f, err := pre.ParseCapsuleFragment(t.CapsuleFragments[i])
		if err != nil {
			return fmt.Errorf("gateway %s: %w", g.ID, err)
		}
		if err := f.Verify(t.capsule, t.params(g.ID)); err != nil {
			return err
		}
		commitment := f.Commitment()
		if err := same("commitment of the capsule fragment", commitment[:], t.KeyFragments[i].Commitment); err != nil {
			return fmt.Errorf("gateway %s: %w", g.ID, err)
		}
		frags[i] = f
	}
	return t.openQuorums(frags)
}

func (t *teller) checkEnvelope() error {
	var err error
	if t.envelope, err = pre.ParseEnvelope(t.Envelope); err != nil {
		return err
	}
	if t.envelope.Shares.Threshold != t.Threshold || len(t.envelope.Shares.Shares) != len(t.Gateways) {
		return fmt.Errorf("%d shares with threshold %d: %w", len(t.envelope.Shares.Shares), t.envelope.Shares.Threshold, ErrStory)
	}
	for i, s := range t.envelope.Shares.Shares {
		if s.Gateway != t.Gateways[i].ID || int(s.Index) != i+1 {
			return fmt.Errorf("share %d is of gateway %q with index %d: %w", i, s.Gateway, s.Index, ErrStory)
		}
	}
	dek, err := pre.UnwrapKey(t.ctx, t.KShare, t.KPre, t.envelope.Wrapped)
	return errors.Join(err, same("dek", t.DEK, dek))
}

// checkShares opens the story's re-sealed shares, and those that the gateways would seal now, by every quorum.
func (t *teller) checkShares() error {
	var told, fresh []pre.Share
	for i, s := range t.envelope.Shares.Shares {
		again, err := pre.ReSealShare(t.gateways[i], t.ctx, t.request, s, t.reader.Public())
		if err != nil {
			return err
		}
		for sealed, list := range map[string]*[]pre.Share{string(again): &fresh, string(t.ReSealed[i]): &told} {
			share, err := pre.OpenReSealedShare(t.reader, t.ctx, t.request, s, []byte(sealed))
			if err != nil {
				return err
			}
			*list = append(*list, share)
		}
	}
	for _, shares := range [][]pre.Share{told, fresh} {
		if err := t.combineQuorums(shares); err != nil {
			return err
		}
	}
	return nil
}

func (t *teller) combineQuorums(shares []pre.Share) error {
	if _, err := pre.CombineShares(t.Threshold, shares); err != nil {
		return err
	}
	for _, quorum := range choose(len(shares), t.Threshold) {
		chosen := make([]pre.Share, len(quorum))
		for i, j := range quorum {
			chosen[i] = shares[j]
		}
		key, err := pre.CombineShares(t.Threshold, chosen)
		if err := errors.Join(err, same("K_share of a quorum", key, t.KShare)); err != nil {
			return fmt.Errorf("quorum %v: %w", quorum, err)
		}
	}
	return nil
}

func (t *teller) checkCopies() error {
	kShare, err := pre.OpenPatientCopy(t.own, t.ctx, t.envelope.PatientCopy)
	if err := errors.Join(err, same("K_share of the patient's copy", kShare, t.KShare)); err != nil {
		return err
	}
	dek, err := pre.OpenHospitalCopy(t.hospital, t.ctx, t.envelope.HospitalCopy)
	if err := errors.Join(err, same("data key of the hospital's copy", dek, t.DEK)); err != nil {
		return err
	}
	kPre, err := pre.OpenDirectKey(t.reader, t.ctx, t.grant, t.DirectKey)
	if err := errors.Join(err, same("K_pre of the direct key", kPre, t.KPre)); err != nil {
		return err
	}
	unwrapped, err := pre.UnwrapKey(t.ctx, kShare, kPre, t.envelope.Wrapped)
	if err := errors.Join(err, same("data key", unwrapped, t.DEK)); err != nil {
		return err
	}
	return t.readContent(unwrapped)
}
