// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

// Package gatewaytest is the other side of a patient's and a reader's device, for tests: an author who seals records and
// gateways that hold shares and fragments, all real, behind a small HTTP server. There is no ledger: it believes whoever asks.
package gatewaytest

import (
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"sync"

	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
	"github.com/emrys-health/emrys/pkg/manifest"
	"github.com/emrys-health/emrys/pkg/pre"
	"github.com/emrys-health/emrys/pkg/seal"
)

// Names of the ledger that the records are for.
const (
	Channel  = "emrys"
	Contract = "emrys"
)

// gateway is one organisation's proxy.
type gateway struct {
	id  string
	key *pre.HybridPrivateKey
}

// record is one sealed record with what only its author knows.
type record struct {
	view   ledgerapi.ManifestView
	key    *seal.DataKey
	fileID [seal.FileIDSize]byte
	size   uint64 // of the content
	padded bool
	bytes  []byte // the stored payload, or nothing where it is sealed on the way out
}

// Consortium is a set of gateways and the records that they have shares of. It is safe for concurrent use.
type Consortium struct {
	gateways []gateway
	author   *pre.PrivateKey
	mu       sync.Mutex
	records  map[emr.RecordID]*record
}

// New returns a consortium of n gateways named Hospital1MSP and so on.
func New(n int) (*Consortium, error) {
	c := &Consortium{records: map[emr.RecordID]*record{}}
	for i := range n {
		key, err := pre.GenerateHybridKey()
		if err != nil {
			return nil, fmt.Errorf("make gateway: %w", err)
		}
		c.gateways = append(c.gateways, gateway{fmt.Sprintf("Hospital%dMSP", i+1), key})
	}
	var err error
	if c.author, err = pre.GeneratePrivateKey(nil); err != nil {
		return nil, fmt.Errorf("make author: %w", err)
	}
	return c, nil
}

// Keys gives id and public key of each gateway, in order.
func (c *Consortium) Keys() iter.Seq2[string, []byte] {
	return func(yield func(string, []byte) bool) {
		for _, g := range c.gateways {
			if !yield(g.id, g.key.Public().Bytes()) {
				return
			}
		}
	}
}

// Order says what record to seal for which patient.
type Order struct {
	Scope     emr.Scope `json:"scope"`
	Hybrid    []byte    `json:"hybrid"` // the patient's
	Size      uint64    `json:"size"`   // of the content
	Threshold int       `json:"threshold"`
	Padded    bool      `json:"padded"`
	// Stream seals the payload each time it is fetched, so that its size costs no memory. Its digest is then not that of the bytes.
	Stream bool `json:"stream"`
}

// Seal seals a record and registers it.
func (c *Consortium) Seal(o *Order) (*ledgerapi.ManifestView, error) {
	key, err := seal.GenerateDataKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("seal record: %w", err)
	}
	r := &record{key: key, size: o.Size, padded: o.Padded}
	m, err := c.payload(r, o)
	if err != nil {
		return nil, fmt.Errorf("seal record: %w", err)
	}
	r.view.Scope = o.Scope
	r.view.Author = emr.Clinician{
		V: emr.DocumentVersion, ID: "cli_0123456789abcdef0123456789abcdef", Org: emr.OrgID(c.gateways[0].id), Role: emr.RolePhysician,
		Level: emr.LevelPrivate, Signing: emr.PinnedKey{Kind: emr.SignatureP256, Key: c.author.Public().Bytes()},
		Reading: []byte{}, Hybrid: []byte{},
	}
	if err := c.encapsulate(r, m, o); err != nil {
		return nil, fmt.Errorf("seal record: %w", err)
	}
	if err := c.register(r, m); err != nil {
		return nil, fmt.Errorf("register record: %w", err)
	}
	return &r.view, nil
}

// payload makes the manifest but for the sealed keys.
func (c *Consortium) payload(r *record, o *Order) (*emr.Manifest, error) {
	id, err := emr.GenerateID[emr.RecordID](rand.Reader)
	if err != nil {
		return nil, err
	}
	if r.fileID, err = seal.NewFileID(rand.Reader); err != nil {
		return nil, err
	}
	layout, plain := seal.Plain, o.Size
	if o.Padded {
		layout = seal.Padded
		if plain, err = seal.PaddedSize(o.Size); err != nil {
			return nil, err
		}
	}
	m := &emr.Manifest{
		Record: id, Patient: o.Scope.Patient, Scope: o.Scope.ID, Epoch: o.Scope.Epoch, Class: emr.ClassMedicalImaging,
		Level: o.Scope.Level, Version: 1, ContentType: "application/dicom", CID: "bafkqaaa", PlainSize: plain,
		SegmentSize: seal.SegmentSize, FileID: r.fileID, KeyCommitment: r.key.Commitment(r.fileID, layout),
		Threshold: uint8(o.Threshold), //nolint:gosec // checked by SplitShares
	}
	if m.CipherSize, err = manifest.CipherSize(plain); err != nil {
		return nil, err
	}
	if !o.Stream {
		if r.bytes, err = io.ReadAll(r.sealed()); err != nil {
			return nil, err
		}
		m.Digest = sha256.Sum256(r.bytes)
	}
	return m, nil
}

// encapsulate seals the data key for the patient and the gateways.
func (c *Consortium) encapsulate(r *record, m *emr.Manifest, o *Order) error {
	ctx, err := manifest.Context(Channel, m, &r.view.Author, &r.view.Scope).Hash()
	if err != nil {
		return err
	}
	delegating, err := pre.ParsePublicKey(o.Scope.Delegating)
	if err != nil {
		return err
	}
	capsule, kPre, err := pre.Encapsulate(nil, delegating, ctx)
	if err != nil {
		return err
	}
	to := make([]pre.Recipient, len(c.gateways))
	for i, g := range c.gateways {
		to[i] = pre.Recipient{ID: g.id, Key: g.key.Public()}
	}
	kShare, shares, err := pre.SplitShares(nil, ctx, o.Threshold, to)
	if err != nil {
		return err
	}
	patient, err := pre.ParseHybridPublicKey(o.Hybrid)
	if err != nil {
		return err
	}
	env := pre.Envelope{Shares: *shares}
	if env.PatientCopy, err = pre.SealPatientCopy(patient, ctx, kShare); err != nil {
		return err
	}
	if env.Wrapped, err = pre.WrapKey(ctx, kShare, kPre, r.key.InsecureBytes()); err != nil {
		return err
	}
	m.Capsule = capsule.Bytes()
	m.Envelope, err = env.Marshal()
	return err
}

// register signs the manifest and keeps the record.
func (c *Consortium) register(r *record, m *emr.Manifest) error {
	args, err := emr.Canonical(m)
	if err != nil {
		return err
	}
	const issued = emr.Time(1700000000)
	body, err := emr.Canonical(&emr.Action{
		V: emr.DocumentVersion, Channel: Channel, Contract: Contract, Function: ledgerapi.RegisterRecord,
		Actor: string(r.view.Author.ID), Nonce: make([]byte, 16), Issued: issued, Expires: issued + 60, Args: args,
	})
	if err != nil {
		return err
	}
	digest := emr.ActionDigest(body)
	signature, err := pre.SignP256(nil, c.author.Signer(), digest[:])
	if err != nil {
		return err
	}
	r.view.Signed = emr.SignedAction{Kind: emr.SignatureP256, Body: body, Signature: signature}
	r.view.Record = emr.Record{
		V: emr.DocumentVersion, ID: m.Record, Patient: m.Patient, Scope: m.Scope, Class: m.Class, Level: m.Level,
		Author: r.view.Author.ID, Hospital: r.view.Author.Org, CID: m.CID, Digest: m.Digest, CipherSize: m.CipherSize,
		Manifest: digest, Series: m.Record, Version: m.Version,
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.records[m.Record] = r
	return nil
}

var errNoRecord = errors.New("no such record")

func (c *Consortium) record(id emr.RecordID) (*record, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	r, ok := c.records[id]
	if !ok {
		return nil, errNoRecord
	}
	return r, nil
}

// Reading asks the gateways of a grant to serve one request.
type Reading struct {
	Record  emr.RecordID              `json:"record"`
	Grant   ledgerapi.GrantAccessArgs `json:"grant"`
	Hybrid  []byte                    `json:"hybrid"` // the reader's
	Request emr.Digest                `json:"request"`
	// Liars answer with the fragment and share of another request.
	Liars []emr.OrgID `json:"liars"`
}

// Answer is one gateway's answer.
type Answer struct {
	Gateway emr.OrgID `json:"gateway"`
	Capsule []byte    `json:"capsule"`
	Share   []byte    `json:"share"`
}

// Serve lets every gateway of the grant answer.
func (c *Consortium) Serve(q *Reading) ([]Answer, error) {
	r, err := c.record(q.Record)
	if err != nil {
		return nil, err
	}
	var out []Answer
	for _, f := range q.Grant.Fragments {
		i := slices.IndexFunc(c.gateways, func(g gateway) bool { return g.id == string(f.Gateway) })
		if i < 0 {
			return nil, fmt.Errorf("no gateway %q", f.Gateway)
		}
		request := q.Request
		if slices.Contains(q.Liars, f.Gateway) {
			request[0] ^= 1
		}
		a, err := c.gateways[i].answer(r, q, &f, request)
		if err != nil {
			return nil, fmt.Errorf("gateway %q: %w", f.Gateway, err)
		}
		out = append(out, *a)
	}
	return out, nil
}

func (g *gateway) answer(r *record, q *Reading, f *emr.SealedFragment, request emr.Digest) (*Answer, error) {
	terms := &q.Grant.Terms
	hash, err := terms.Hash()
	if err != nil {
		return nil, err
	}
	var m emr.Manifest
	action, err := r.view.Signed.Parse()
	if err != nil {
		return nil, err
	}
	if err := emr.DecodeCanonical(action.Args, &m); err != nil {
		return nil, err
	}
	p := pre.ReencryptParams{Grant: hash, Request: request, Gateway: g.id}
	if p.Context, err = manifest.Context(Channel, &m, &r.view.Author, &r.view.Scope).Hash(); err != nil {
		return nil, err
	}
	keys := []**pre.PublicKey{&p.Delegating, &p.Signer, &p.Reader}
	for i, b := range [][]byte{r.view.Scope.Delegating, r.view.Scope.Fragment, terms.Reader} {
		if *keys[i], err = pre.ParsePublicKey(b); err != nil {
			return nil, err
		}
	}
	kfrag, err := pre.OpenKeyFragment(g.key, g.id, hash, f.Sealed)
	if err != nil {
		return nil, err
	}
	if kfrag.Commitment() != f.Commitment {
		return nil, errors.New("fragment and commitment do not agree")
	}
	return g.reencrypt(&m, kfrag, p, q.Hybrid)
}

func (g *gateway) reencrypt(m *emr.Manifest, kfrag *pre.KeyFragment, p pre.ReencryptParams, hybrid []byte) (*Answer, error) {
	capsule, err := pre.ParseCapsule(m.Capsule)
	if err != nil {
		return nil, err
	}
	cfrag, err := pre.Reencrypt(nil, capsule, kfrag, p)
	if err != nil {
		return nil, err
	}
	env, err := pre.ParseEnvelope(m.Envelope)
	if err != nil {
		return nil, err
	}
	share, _ := env.Shares.ShareOf(g.id)
	reader, err := pre.ParseHybridPublicKey(hybrid)
	if err != nil {
		return nil, err
	}
	sealed, err := pre.ReSealShare(g.key, p.Context, p.Request, share, reader)
	if err != nil {
		return nil, err
	}
	return &Answer{emr.OrgID(g.id), cfrag.Bytes(), sealed}, nil
}
