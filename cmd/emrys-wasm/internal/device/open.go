// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package device

import (
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"slices"

	"github.com/emrys-health/emrys/pkg/pre"
)

// layout is one of the container's two layouts, each with labels of its own (docs/spec/container.md, C2).
type layout struct {
	padded          bool
	payload, commit string
}

func layouts() [2]layout {
	return [2]layout{
		{false, "EMRYS-PRE-V1 payload", "EMRYS-PRE-V1 commit"},
		{true, "EMRYS-PRE-V1 payload padded", "EMRYS-PRE-V1 commit padded"},
	}
}

// answer is what one gateway sent for one reading.
type answer struct {
	gateway        string
	capsule, share []byte
}

// sealedRecord is a record's key material and what its data key must match.
type sealedRecord struct {
	context    [pre.HashSize]byte
	capsule    *pre.Capsule
	envelope   *pre.Envelope
	fileID     [pre.HashSize]byte
	commitment [pre.HashSize]byte
}

// record takes the arguments that both ways of opening share, but the context.
func (a *arguments) record() sealedRecord {
	return sealedRecord{
		capsule: a.capsule("capsule"), envelope: a.envelope("envelope"),
		fileID: a.hash("fileId"), commitment: a.hash("keyCommitment"),
	}
}

// reader takes the reading key: a handle, or public key and agree, a key operation outside of this program.
func (a *arguments) reader(name string) pre.ECDHer {
	if _, ok := a.fields[name].(Fields); !ok {
		h := secret[readingHolder](a, name)
		if h == nil {
			return nil
		}
		return h.key
	}
	inner := a.object(name)
	k := foreignKey{device: a.device, public: inner.publicKey("public"), agree: value[Agree](inner, "agree", "a function")}
	a.err = inner.end()
	return k
}

// foreignKey is a reading key outside of this program.
type foreignKey struct {
	device *Device
	public *pre.PublicKey
	agree  Agree
}

var _ pre.ECDHer = foreignKey{}

func (k foreignKey) Public() *pre.PublicKey { return k.public }

func (k foreignKey) ECDH(peer *pre.PublicKey) ([]byte, error) {
	point, err := peer.ECDH()
	if err != nil {
		return nil, fmt.Errorf("encode peer: %w", err)
	}
	var x []byte
	k.device.outside(func() { x, err = k.agree(point.Bytes()) })
	if err != nil {
		return nil, failed(CodeKeyOperation, "the reading key's operation failed")
	}
	if len(x) != pre.KeySize {
		return nil, failed(CodeKeyOperation, "the reading key's operation did not return 32 bytes")
	}
	return x, nil
}

// openShared opens a record from the gateways' answers. They are verified in their order, as many as it takes: those that fail
// are set aside, named, and do not hurt as long as enough remain. (reader: handle, or {public, agree}; hybrid: handle; capsule, envelope, delegating, signer,
// context, grant, request, threshold: of the grant; answers: gateway, capsule, share; fileId,
// keyCommitment) -> handle: of the data key; refused.
func (d *Device) openShared(a *arguments) (Fields, error) {
	reader := a.reader("reader")
	hybrid := secret[hybridHolder](a, "hybrid")
	p := a.binding()
	record := a.record()
	record.context = p.Context
	threshold := int(a.number("threshold", 1, pre.MaxGateways))
	answers := a.answers("answers")
	if err := a.end(); err != nil {
		return nil, err
	}
	p.Reader = reader.Public()
	preKey, liars, err := preKeyOf(reader, &record, threshold, p, answers)
	defer clear(preKey)
	if err != nil {
		return nil, withRefused(err, liars)
	}
	shareKey, more, err := shareKeyOf(hybrid.key, &record, p.Request, answers)
	defer clear(shareKey)
	liars = append(liars, more...)
	if err != nil {
		return nil, withRefused(err, liars)
	}
	h, err := record.dataKey(shareKey, preKey)
	if err != nil {
		return nil, withRefused(err, liars)
	}
	return d.keep(h, Fields{"refused": refusals(liars)})
}

func (a *arguments) answers(name string) []answer {
	var out []answer
	a.list(name, func(e *arguments) {
		next := answer{gateway: e.name("gateway"), capsule: e.bytes("capsule"), share: e.bytes("share")}
		for _, other := range out {
			if other.gateway == next.gateway {
				e.fail("gateway", "has answered already")
			}
		}
		out = append(out, next)
	})
	return out
}

func withRefused(err error, liars []Refusal) error {
	f := *failureOf(err)
	f.Refused = liars
	return &f
}

// preKeyOf recovers K_pre from capsule fragments.
func preKeyOf(
	reader pre.ECDHer, r *sealedRecord, threshold int, p pre.ReencryptParams, answers []answer,
) ([]byte, []Refusal, error) {
	var liars []Refusal
	var fragments []*pre.CapsuleFragment
	for _, ans := range answers {
		f, err := pre.ParseCapsuleFragment(ans.capsule)
		switch {
		case err != nil:
			liars = append(liars, Refusal{ans.gateway, CodeMalformed, "its capsule fragment is not one"})
		case f.Gateway() != ans.gateway:
			liars = append(liars, Refusal{ans.gateway, CodeProof, "its capsule fragment is another gateway's"})
		default:
			fragments = append(fragments, f)
		}
	}
	key, wrong, err := openFirst(reader, r.capsule, threshold, p, fragments)
	liars = append(liars, refused(wrong)...)
	if err != nil {
		return nil, liars, fmt.Errorf("open capsule fragments: %w", err)
	}
	return key, liars, nil
}

// openFirst is pre.OpenReport with no more fragments than it takes, since verifying one costs more than all the rest: first
// threshold of them, and others in the place of refused ones. Only when that is not enough are all tried together, since
// those of the larger run of Rekey may have been refused for the sake of a smaller one.
func openFirst(
	reader pre.ECDHer, c *pre.Capsule, threshold int, p pre.ReencryptParams, fragments []*pre.CapsuleFragment,
) ([]byte, []*pre.GatewayError, error) {
	n := min(threshold, len(fragments))
	candidates, rest := slices.Clone(fragments[:n]), fragments[n:]
	var liars []*pre.GatewayError
	for len(rest) > 0 {
		key, wrong, err := pre.OpenReport(reader, c, threshold, p, candidates)
		liars = append(liars, wrong...)
		if err == nil || !errors.Is(err, pre.ErrTooFewFragments) {
			return key, liars, err
		}
		candidates = slices.DeleteFunc(candidates, func(f *pre.CapsuleFragment) bool {
			return slices.ContainsFunc(wrong, func(e *pre.GatewayError) bool { return e.Gateway == f.Gateway() })
		})
		n = min(max(1, threshold-len(candidates)), len(rest))
		candidates, rest = append(candidates, rest[:n]...), rest[n:]
	}
	key, wrong, err := pre.OpenReport(reader, c, threshold, p, candidates)
	if err == nil || len(candidates) == len(fragments) || !errors.Is(err, pre.ErrTooFewFragments) {
		return key, append(liars, wrong...), err
	}
	return pre.OpenReport(reader, c, threshold, p, fragments)
}

// shareKeyOf recovers K_share from re-sealed shares.
func shareKeyOf(
	hybrid *pre.HybridPrivateKey, r *sealedRecord, request [pre.HashSize]byte, answers []answer,
) ([]byte, []Refusal, error) {
	var liars []Refusal
	var shares []pre.Share
	for _, ans := range answers {
		if len(shares) == r.envelope.Shares.Threshold {
			break
		}
		entry, ok := r.envelope.Shares.ShareOf(ans.gateway)
		if !ok {
			liars = append(liars, Refusal{ans.gateway, CodeShare, "it holds no share of this record"})
			continue
		}
		s, err := pre.OpenReSealedShare(hybrid, r.context, request, entry, ans.share)
		if err != nil {
			liars = append(liars, Refusal{ans.gateway, failureOf(err).Code, "its share is not the one that the author committed to"})
			continue
		}
		shares = append(shares, s)
	}
	key, err := pre.CombineShares(r.envelope.Shares.Threshold, shares)
	if err != nil {
		return nil, liars, fmt.Errorf("combine shares: %w", err)
	}
	return key, liars, nil
}

// openOwn opens a patient's own record without any gateway. (scope: handle, hybrid: handle, capsule, envelope, context,
// fileId, keyCommitment) -> handle: of the data key.
func (d *Device) openOwn(a *arguments) (Fields, error) {
	scope := secret[scopeHolder](a, "scope")
	hybrid := secret[hybridHolder](a, "hybrid")
	record := a.record()
	record.context = a.hash("context")
	if err := a.end(); err != nil {
		return nil, err
	}
	preKey, err := pre.Decapsulate(scope.delegating, record.capsule, record.context)
	if err != nil {
		return nil, fmt.Errorf("open capsule: %w", err)
	}
	defer clear(preKey)
	shareKey, err := pre.OpenPatientCopy(hybrid.key, record.context, record.envelope.PatientCopy)
	if err != nil {
		return nil, fmt.Errorf("open the patient's copy: %w", err)
	}
	defer clear(shareKey)
	h, err := record.dataKey(shareKey, preKey)
	if err != nil {
		return nil, err
	}
	return d.keep(h, Fields{})
}

// dataKey unwraps the data key and checks it against the author's commitment, which also tells the payload's layout.
func (r *sealedRecord) dataKey(shareKey, preKey []byte) (*dataHolder, error) {
	raw, err := pre.UnwrapKey(r.context, shareKey, preKey, r.envelope.Wrapped)
	if err != nil {
		return nil, fmt.Errorf("unwrap data key: %w", err)
	}
	defer clear(raw)
	h := &dataHolder{fileID: r.fileID}
	copy(h.key[:], raw)
	for _, l := range layouts() {
		commitment, err := h.derive(l.commit)
		if err != nil {
			return nil, err
		}
		if subtle.ConstantTimeCompare(commitment, r.commitment[:]) == 1 {
			h.layout = l
		}
	}
	if h.layout == (layout{}) {
		h.close()
		return nil, failed(CodeCommitment, "the data key is not the one that the author committed to")
	}
	return h, nil
}

func (h *dataHolder) derive(label string) ([]byte, error) {
	out, err := hkdf.Key(sha256.New, h.key[:], h.fileID[:], label, pre.KeySize)
	if err != nil {
		return nil, fmt.Errorf("derive from data key: %w", err)
	}
	return out, nil
}

// PayloadKey is the AES-256 key of one payload on its way into WebCrypto.
type PayloadKey struct{ key []byte }

// Use calls f with the key's 32 bytes and clears them when f returns.
func (k *PayloadKey) Use(f func(key []byte)) {
	defer clear(k.key)
	f(k.key)
}

// String returns a fixed text.
func (k *PayloadKey) String() string { return "device.PayloadKey(redacted)" }

// GoString returns a fixed text.
func (k *PayloadKey) GoString() string { return k.String() }

// Format writes a fixed text for every verb.
func (k *PayloadKey) Format(s fmt.State, _ rune) { _, _ = s.Write([]byte(k.String())) }

// payloadKey derives the key that the payload's segments are encrypted with. (key: handle of a data key) -> key, fileId,
// padded: the payload's layout.
func payloadKey(a *arguments) (Fields, error) {
	h := secret[dataHolder](a, "key")
	if err := a.end(); err != nil {
		return nil, err
	}
	key, err := h.derive(h.layout.payload)
	if err != nil {
		return nil, err
	}
	return Fields{"key": &PayloadKey{key}, "fileId": h.fileID[:], "padded": h.layout.padded}, nil
}
