// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package client

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/emrys-health/emrys/pkg/api"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
	"github.com/emrys-health/emrys/pkg/manifest"
	"github.com/emrys-health/emrys/pkg/pre"
	"github.com/emrys-health/emrys/pkg/seal"
)

// Progress is told of a transfer: octets done so far, of content. It is called
// often and from the goroutine that transfers.
type Progress func(done uint64)

// Upload says what is to be registered as a record.
type Upload struct {
	Patient emr.PatientID
	Class   emr.Class
	// ContentType is an IANA media type; empty lets the first bytes decide.
	ContentType string
	// Labels are the sensitivity labels, in any order. They stay in private data; the
	// ledger shows in public only that there are some.
	Labels []emr.Label
	// Signers are to sign the record off, in this order; at most 8.
	Signers []emr.ClinicianID
	// Previous is the version that this one replaces; empty for a first version.
	Previous emr.RecordID
	// Size is the length of the content in bytes, or -1 when it is not known.
	Size int64
	// Pad hides the exact length among others: the stored record is up to 12 %
	// longer, less so the longer it is. Size must be known.
	Pad      bool
	Progress Progress
}

// Stored is a registered record.
type Stored struct {
	Record      emr.RecordID `json:"record"`
	TxID        string       `json:"txId"`
	At          emr.Time     `json:"at"` // zero when the answer was lost and the ledger was asked
	CID         string       `json:"cid"`
	Digest      emr.Digest   `json:"digest"` // of the ciphertext
	PlainSize   uint64       `json:"plainSize"`
	CipherSize  uint64       `json:"cipherSize"`
	ContentType string       `json:"contentType"`
	Version     uint32       `json:"version"`
}

// PutRecord encrypts content while it is uploaded and registers it as a record
// of a patient, who need not be online. Only professionals who may write can do
// this. When the registration is refused the upload is discarded; when its
// outcome is unknown it is left to the gateway, which discards what no record
// names.
func (c *Client) PutRecord(ctx context.Context, content io.Reader, u Upload) (*Stored, error) {
	w, err := c.newWriting(ctx, u)
	if err != nil {
		return nil, err
	}
	buffered := bufio.NewReaderSize(content, streamBuffer)
	if w.manifest.ContentType == "" {
		head, err := buffered.Peek(sniffLength)
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, emr.Wrap(emr.CodeInvalid, "the content cannot be read", err)
		}
		w.manifest.ContentType = SniffMediaType(head)
	}
	upload, err := w.upload(ctx, buffered, u)
	if err != nil {
		return nil, err
	}
	stored, err := w.register(ctx, upload.ID)
	if err != nil && emr.CodeOf(err) != emr.CodeUnknownOutcome {
		w.discard(ctx, upload.ID)
	}
	return stored, err
}

// writing is one record on its way in.
type writing struct {
	client   *Client
	network  *api.Network
	patient  *ledgerapi.PatientView
	scope    emr.Scope
	layout   seal.Layout
	key      *seal.DataKey
	manifest emr.Manifest
}

func (c *Client) newWriting(ctx context.Context, u Upload) (*writing, error) {
	if !c.profile.Role.MayWrite() {
		return nil, emr.Refused(emr.ReasonRole, "only physicians and nurses author records")
	}
	if _, err := emr.ParseClass("class", string(u.Class)); err != nil {
		return nil, err
	}
	if u.Pad && u.Size < 0 {
		return nil, emr.Invalid("size", "must be known for a content that is to be padded")
	}
	n, err := c.Network(ctx)
	if err != nil {
		return nil, err
	}
	patient, err := c.ResolvePatient(ctx, u.Patient)
	if err != nil {
		return nil, err
	}
	scope, err := scopeForLevel(patient, u.Class.Level())
	if err != nil {
		return nil, err
	}
	w := &writing{client: c, network: n, patient: patient, scope: scope}
	if u.Pad {
		w.layout = seal.Padded
	}
	w.manifest = emr.Manifest{
		Patient: patient.Patient.Handle, Scope: scope.ID, Epoch: scope.Epoch, Class: u.Class, Level: u.Class.Level(),
		Version: 1, ContentType: u.ContentType, SegmentSize: seal.SegmentSize, Threshold: n.Threshold,
		Labels: labels(u.Labels),
	}
	if w.manifest.Signers, err = c.signers(ctx, u.Signers); err != nil {
		return nil, err
	}
	if err := w.follow(ctx, u.Previous); err != nil {
		return nil, err
	}
	return w, w.draw()
}

// labels returns a list in the form of a manifest: sorted, none twice, nil when empty.
func labels(list []emr.Label) []emr.Label {
	if len(list) == 0 {
		return nil
	}
	return slices.Compact(slices.Sorted(slices.Values(list)))
}

// scopeForLevel picks the newest epoch of the patient's scope for a level.
func scopeForLevel(view *ledgerapi.PatientView, level emr.Level) (emr.Scope, error) {
	var best emr.Scope
	for _, s := range view.Scopes {
		if s.Level == level && s.Patient == view.Patient.Handle && s.Epoch >= best.Epoch {
			best = s
		}
	}
	if best.ID == "" {
		return emr.Scope{}, emr.E(emr.CodeNotFound, "the patient has published no key for the level "+string(level)+
			"; the patient's join may not be finished")
	}
	return best, nil
}

// follow makes the manifest that of the version after previous.
func (w *writing) follow(ctx context.Context, previous emr.RecordID) error {
	if previous == "" {
		return nil
	}
	before, err := w.client.Record(ctx, previous)
	if err != nil {
		return err
	}
	if before.Patient != w.manifest.Patient {
		return emr.Invalid("previous", "is a record of another patient")
	}
	if before.SupersededBy != "" {
		return emr.Refused(emr.ReasonSuperseded, "a newer version exists: "+string(before.SupersededBy))
	}
	w.manifest.Previous, w.manifest.Version = previous, before.Version+1
	return nil
}

// draw makes the record's names and its data key.
func (w *writing) draw() error {
	var err error
	if w.manifest.Record, err = emr.GenerateID[emr.RecordID](rand.Reader); err != nil {
		return err
	}
	file, err := seal.NewFileID(rand.Reader)
	if err != nil {
		return err
	}
	w.manifest.FileID = file
	if w.key, err = seal.GenerateDataKey(rand.Reader); err != nil {
		return err
	}
	w.manifest.KeyCommitment = w.key.Commitment(file, w.layout)
	return nil
}

// upload streams the sealed content to the gateway and compares what arrived
// with what was sent.
func (w *writing) upload(ctx context.Context, content io.Reader, u Upload) (*api.Upload, error) {
	source := &meteredReader{source: content, size: u.Size, report: u.Progress}
	digest := sha256.New()
	sealing := seal.NewSealingReader(source, w.key, w.manifest.FileID, w.options(digest, u)...)
	ahead := newAheadReader(sealing)
	defer ahead.Close()
	k := call{operation: "upload.create", body: ahead, length: -1}
	if u.Size >= 0 {
		size, err := w.storedSize(uint64(u.Size))
		if err != nil {
			return nil, emr.Wrap(emr.CodeTooLarge, "the content is too large for one record", err)
		}
		k.length = int64(size) //nolint:gosec // at most 2^50
	}
	var stored api.Upload
	if err := w.client.exchange(ctx, k, &stored); err != nil {
		return nil, uploadError(ctx, source, err)
	}
	if !ahead.Finished() || !w.sent(&stored, digest.Sum(nil), sealing.Size()) {
		w.discard(ctx, stored.ID)
		return nil, emr.E(emr.CodeCorrupt, "the gateway stored something else than was sent; nothing was registered")
	}
	w.manifest.CID, w.manifest.Digest = stored.CID, stored.Digest
	w.manifest.PlainSize, w.manifest.CipherSize = sealing.Size(), stored.Size
	return &stored, nil
}

// options are those of the sealing. One worker is enough: the digest takes
// three times as long as the cipher, and best finds what it reads in the cache
// of the core that sealed it. What can be done meanwhile, reading and sending,
// is done meanwhile.
func (w *writing) options(digest io.Writer, u Upload) []seal.WriteOption {
	options := []seal.WriteOption{seal.Tee{Writer: digest}}
	if w.layout == seal.Padded {
		options = append(options, seal.Pad(u.Size))
	}
	return options
}

// storedSize returns the length in bytes that a content has when it is stored.
func (w *writing) storedSize(content uint64) (uint64, error) {
	if w.layout == seal.Padded {
		padded, err := seal.PaddedSize(content)
		if err != nil {
			return 0, err
		}
		content = padded
	}
	return seal.CipherSize(content)
}

// sent tells whether the gateway stored what was sealed.
func (w *writing) sent(stored *api.Upload, digest []byte, plain uint64) bool {
	size, err := seal.CipherSize(plain)
	return err == nil && stored.Size == size && bytes.Equal(stored.Digest[:], digest) && stored.CID != ""
}

// uploadError tells a source that failed from a gateway that did. A missing
// answer is no unknown outcome: the gateway discards an upload that no record names.
func uploadError(ctx context.Context, source *meteredReader, err error) error {
	if failed := source.failure(); failed != nil {
		return emr.Wrap(emr.CodeInvalid, "the content could not be read to its end; nothing was registered", failed)
	}
	if errors.Is(ctx.Err(), context.Canceled) {
		return interrupted()
	}
	if _, sent := errors.AsType[*sentError](err); sent {
		return emr.Wrap(emr.CodeUnavailable, "the connection broke during the upload; nothing was registered, try again", err)
	}
	return err
}

// register wraps the data key for those who may come to read, signs the
// manifest and registers the record.
func (w *writing) register(ctx context.Context, upload string) (*Stored, error) {
	if err := w.wrapKey(); err != nil {
		return nil, err
	}
	return w.submit(ctx, upload)
}

// submit registers the record as its manifest stands.
func (w *writing) submit(ctx context.Context, upload string) (*Stored, error) {
	m := &w.manifest
	var receipt ledgerapi.Receipt
	header := map[string]string{api.UploadHeader: upload}
	done, err := w.client.submit(ctx, "record.register", ledgerapi.RegisterRecord, m, &receipt, header)
	if err != nil {
		return nil, err
	}
	if done.recovered {
		receipt.TxID = done.txID
	}
	return &Stored{
		Record: m.Record, TxID: receipt.TxID, At: receipt.At, CID: m.CID, Digest: m.Digest, PlainSize: m.PlainSize,
		CipherSize: m.CipherSize, ContentType: m.ContentType, Version: m.Version,
	}, nil
}

// wrapKey fills the manifest's capsule and envelope.
func (w *writing) wrapKey() error {
	author := &emr.Clinician{
		ID:      emr.ClinicianID(w.client.profile.ID),
		Signing: emr.PinnedKey{Kind: emr.SignatureP256, Key: w.client.keys.Enrolment().Pinned()},
	}
	hash, err := manifest.Context(w.client.profile.Channel, &w.manifest, author, &w.scope).Hash()
	if err != nil {
		return fmt.Errorf("bind record: %w", err)
	}
	scopeKey, err := pre.ParsePublicKey(w.scope.Delegating)
	if err != nil {
		return emr.Wrap(emr.CodeCorrupt, "the patient's scope key is not a key", err)
	}
	capsule, preKey, err := pre.Encapsulate(rand.Reader, scopeKey, hash)
	if err != nil {
		return fmt.Errorf("encapsulate to scope: %w", err)
	}
	defer clear(preKey)
	envelope, err := w.envelope(hash, preKey)
	if err != nil {
		return err
	}
	if w.manifest.Envelope, err = envelope.Marshal(); err != nil {
		return fmt.Errorf("encode envelope: %w", err)
	}
	w.manifest.Capsule = capsule.Bytes()
	return nil
}

// envelope seals the second layer: shares for every organisation's proxy, a
// copy of them for the patient, and the hospital's own copy of the data key.
func (w *writing) envelope(hash [pre.HashSize]byte, preKey []byte) (*pre.Envelope, error) {
	recipients, hospital, err := w.recipients()
	if err != nil {
		return nil, err
	}
	patient, err := pre.ParseHybridPublicKey(w.patient.Patient.Hybrid)
	if err != nil {
		return nil, emr.Wrap(emr.CodeCorrupt, "the patient's hybrid key is not a key", err)
	}
	shareKey, shares, err := pre.SplitShares(rand.Reader, hash, int(w.manifest.Threshold), recipients)
	if err != nil {
		return nil, fmt.Errorf("share the key: %w", err)
	}
	defer clear(shareKey)
	dataKey := w.key.InsecureBytes()
	defer clear(dataKey)
	e := &pre.Envelope{Shares: *shares}
	if e.Wrapped, err = pre.WrapKey(hash, shareKey, preKey, dataKey); err != nil {
		return nil, fmt.Errorf("wrap the data key: %w", err)
	}
	if e.PatientCopy, err = pre.SealPatientCopy(patient, hash, shareKey); err != nil {
		return nil, fmt.Errorf("seal the patient's copy: %w", err)
	}
	if e.HospitalCopy, err = pre.SealHospitalCopy(hospital, hash, dataKey); err != nil {
		return nil, fmt.Errorf("seal the hospital's copy: %w", err)
	}
	return e, nil
}

// recipients returns every organisation's proxy key and the own hospital's record key.
func (w *writing) recipients() ([]pre.Recipient, *pre.HybridPublicKey, error) {
	var all []pre.Recipient
	for i := range w.network.Organisations {
		o := &w.network.Organisations[i]
		key, err := pre.ParseHybridPublicKey(o.Keys.Proxy)
		if err != nil {
			return nil, nil, emr.Wrap(emr.CodeCorrupt, "the proxy key of "+string(o.ID)+" is not a key", err)
		}
		all = append(all, pre.Recipient{ID: string(o.ID), Key: key})
	}
	own, err := organisation(w.network, w.client.profile.Org)
	if err != nil {
		return nil, nil, err
	}
	hospital, err := pre.ParseHybridPublicKey(own.Keys.Record)
	if err != nil {
		return nil, nil, emr.Wrap(emr.CodeCorrupt, "the hospital's record key is not a key", err)
	}
	return all, hospital, nil
}

// discard removes an upload that no record names. It runs even when ctx has
// ended; a failure is left to the gateway's own expiry.
func (w *writing) discard(ctx context.Context, upload string) {
	if upload == "" {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	_ = w.client.do(ctx, call{operation: "upload.delete", path: []string{upload}}, nil)
}
