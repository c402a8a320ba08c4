// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package recovery

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"sort"
	"time"

	"github.com/emrys-health/emrys/pkg/pre"
	"github.com/emrys-health/emrys/pkg/pre/internal/algebra"
)

// MaxRequestLife is the longest time for which a request may be answered.
const MaxRequestLife = 30 * 24 * time.Hour

// Request asks guardians for their shares, sealed to a key that a new device made for this purpose only (R7). It holds no secret.
type Request struct {
	Owner   string               // whose secret is asked for
	Backup  []byte               // the backup's id, or empty for whichever a guardian holds of this owner
	Key     *pre.HybridPublicKey // the new device's one-time key
	Device  string               // what the device calls itself, for the guardian to read; may be empty
	Created time.Time            // in seconds
	Expires time.Time            // in seconds, at most MaxRequestLife later
	nonce   [HashSize]byte       // random
	hash    [HashSize]byte       // of the encoding
	encoded []byte
}

type requestWire struct {
	_       struct{} `cbor:",toarray"`
	Header  header
	Owner   string
	Backup  []byte
	Key     []byte
	Device  string
	Created uint64
	Expires uint64
	Nonce   []byte
}

// NewRequest completes a request of which all exported fields are set. A nil source means crypto/rand.
func NewRequest(source io.Reader, r Request) (*Request, error) {
	if source == nil {
		source = rand.Reader
	}
	if r.Key == nil {
		return nil, parameter("make request: no key")
	}
	if problem := r.problem(); problem != "" {
		return nil, parameter("make request: %s", problem)
	}
	if _, err := io.ReadFull(source, r.nonce[:]); err != nil {
		return nil, fmt.Errorf("make request: read randomness: %w", err)
	}
	b, err := encode(requestWire{
		Header: headerOf(kindRequest), Owner: r.Owner, Backup: r.Backup, Key: r.Key.Bytes(), Device: r.Device,
		Created: uint64(r.Created.Unix()), Expires: uint64(r.Expires.Unix()), Nonce: r.nonce[:], //nolint:gosec // checked
	})
	if err != nil {
		return nil, fmt.Errorf("make request: %w", err)
	}
	return ParseRequest(b)
}

// ParseRequest decodes a request. Anything but the one encoding of a possible request is pre.ErrMalformed.
func ParseRequest(b []byte) (*Request, error) {
	var w requestWire
	if err := decode(b, kindRequest, &w, &w.Header); err != nil {
		return nil, err
	}
	key, err := pre.ParseHybridPublicKey(w.Key)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", kindRequest, err)
	}
	if len(w.Nonce) != HashSize || w.Created > maxTime || w.Expires > maxTime {
		return nil, malformed("%s: nonce or time", kindRequest)
	}
	r := &Request{
		Owner: w.Owner, Backup: w.Backup, Key: key, Device: w.Device, nonce: [HashSize]byte(w.Nonce),
		Created: time.Unix(int64(w.Created), 0).UTC(), Expires: time.Unix(int64(w.Expires), 0).UTC(),
		encoded: bytes.Clone(b), hash: hash(kindRequest, b),
	}
	if problem := r.problem(); problem != "" {
		return nil, malformed("%s: %s", kindRequest, problem)
	}
	return r, nil
}

// maxTime is the last second of the year 9999.
const maxTime = 253402300799

func (r *Request) problem() string {
	switch {
	case !text(r.Owner):
		return "owner"
	case len(r.Backup) != 0 && len(r.Backup) != HashSize:
		return "backup id"
	case r.Device != "" && !text(r.Device):
		return "device"
	case r.Created.Unix() < 0 || r.Expires.Unix() > maxTime || r.Expires.Unix() <= r.Created.Unix():
		return "times"
	case r.Expires.Unix()-r.Created.Unix() > int64(MaxRequestLife/time.Second):
		return "it lives too long"
	}
	return ""
}

// Bytes returns the encoding.
func (r *Request) Bytes() []byte { return bytes.Clone(r.encoded) }

// Hash names the request: every answer is bound to it.
func (r *Request) Hash() [HashSize]byte { return r.hash }

// Words returns six words, 66 bits, that guardian and owner compare by voice (R7): equal words mean an equal request, and so an equal key.
func (r *Request) Words() []string {
	bits := hash(labelWords, r.hash[:])
	list := wordList()
	words := make([]string, authenticationWords)
	for i := range words {
		n := 0
		for j := range bitsPerWord {
			at := i*bitsPerWord + j
			n = n<<1 | int(bits[at/8]>>(7-at%8)&1)
		}
		words[i] = list[n]
	}
	return words
}

const (
	authenticationWords = 6
	bitsPerWord         = 11
)

type answerWire struct {
	_        struct{} `cbor:",toarray"`
	Header   header
	Request  []byte
	Guardian string
	Sealed   []byte
}

// Answer seals the guardian's share to the key of a request. The guardian must be sure who asks: compare [Request.Words] by voice or
// face to face. now is the guardian's clock. ErrExpired outside of the request's time, ErrOtherBackup for another owner or backup.
func (p *Package) Answer(r *Request, now time.Time) ([]byte, error) {
	if p == nil || p.share == nil || r == nil || r.encoded == nil {
		return nil, parameter("answer request: package and request are required")
	}
	st := p.share.statement
	if r.Owner != st.owner || len(r.Backup) != 0 && !bytes.Equal(r.Backup, st.backup[:]) {
		return nil, fmt.Errorf("answer request: %w", ErrOtherBackup)
	}
	if now.Before(r.Created.Add(-clockSkew)) || !now.Before(r.Expires) {
		return nil, fmt.Errorf("answer request: %w", ErrExpired)
	}
	b, err := p.share.encode()
	if err != nil {
		return nil, fmt.Errorf("answer request: %w", err)
	}
	defer clear(b)
	sealed, err := pre.SealTo(r.Key, answerInfo(r, p.Self().ID), b)
	if err != nil {
		return nil, fmt.Errorf("answer request: %w", err)
	}
	return encode(answerWire{Header: headerOf(kindAnswer), Request: r.hash[:], Guardian: p.Self().ID, Sealed: sealed})
}

// clockSkew is how far a guardian's clock may be behind the device's.
const clockSkew = 10 * time.Minute

func answerInfo(r *Request, guardian string) []byte {
	return joined(kindAnswer, r.hash[:], []byte(guardian))
}

// Verifier says whether secret is the one that is wanted: whether it gives check, the value that stands in the packages it came from, and,
// since whoever makes up a backup makes up its check value too, the owner's public keys as the caller knows them from elsewhere. It gets
// a copy, which it may clear.
type Verifier = func(secret []byte, check [HashSize]byte) error

// Combine recovers the secret from the answers to a request, with the request's private key. Every answer is checked; those that are
// refused are returned with the guardians' names that they carry, and do no harm as long as enough good ones remain: ErrTooFewShares,
// joined with the refusals, when not.
//
// Anyone who has seen a request can seal answers to it, and so make up a whole backup with a quorum of its own. Only verify can tell it from
// the true one. It is asked about every backup of which a quorum answered; answers of those it refuses are refused under ErrCheck. If
// it accepts two, that is ErrConflict; if none, Combine fails with what was wrong with each. The last call of verify before Combine succeeds is
// about the secret that is returned.
func Combine(device *pre.HybridPrivateKey, r *Request, answers [][]byte, verify Verifier) ([]byte, []*GuardianError, error) {
	if device == nil || r == nil || r.encoded == nil || verify == nil || !device.Public().Equal(r.Key) {
		return nil, nil, parameter("recover: the request, its private key and a check are required")
	}
	groups, refused := sortAnswers(device, r, answers)
	groups, err := quorums(groups)
	if err != nil {
		errs := []error{fmt.Errorf("recover: %w", err)}
		for _, e := range refused {
			errs = append(errs, e)
		}
		return nil, refused, errors.Join(errs...)
	}
	secret, wrong, err := choose(groups, verify)
	refused = append(refused, wrong...)
	if err != nil {
		return nil, refused, fmt.Errorf("recover: %w", err)
	}
	return secret, refused, nil
}

// choose returns the secret of the one group that verify accepts, and refuses every share of the others.
func choose(groups [][]*share, verify Verifier) ([]byte, []*GuardianError, error) {
	var (
		refused  []*GuardianError
		failures []error
		accepted []*share
		secret   []byte
	)
	for _, g := range groups {
		s, err := unwrapVerified(g, verify)
		switch {
		case err != nil:
			failures = append(failures, err)
			for _, share := range g {
				refused = append(refused, &GuardianError{share.member().ID, err})
			}
		case accepted != nil:
			clear(s)
			clear(secret)
			return nil, refused, ErrConflict
		default:
			accepted, secret = g, s
		}
	}
	if accepted == nil {
		return nil, refused, errors.Join(failures...)
	}
	if len(groups) == 1 {
		return secret, refused, nil
	}
	clear(secret)
	secret, err := unwrapVerified(accepted, verify) // what verify may keep is of this secret and not of a refused one
	return secret, refused, err
}

func unwrapVerified(group []*share, verify Verifier) ([]byte, error) {
	secret, err := unwrap(group)
	if err != nil {
		return nil, err
	}
	if err := verify(bytes.Clone(secret), group[0].statement.check); err != nil {
		clear(secret)
		return nil, fmt.Errorf("%w: %w", ErrCheck, err)
	}
	return secret, nil
}

// sortAnswers opens every answer and groups the good ones by backup, one share for each guardian.
func sortAnswers(device *pre.HybridPrivateKey, r *Request, answers [][]byte) ([][]*share, []*GuardianError) {
	var refused []*GuardianError
	groups := map[[HashSize]byte][]*share{}
	for _, a := range answers {
		s, guardian, err := openAnswer(device, r, a)
		if err != nil {
			refused = append(refused, &GuardianError{guardian, err})
			continue
		}
		d := s.statement.digest()
		if !repeats(groups[d], s) {
			groups[d] = append(groups[d], s)
		}
	}
	sorted := make([][]*share, 0, len(groups))
	for _, g := range groups {
		sorted = append(sorted, g)
	}
	sort.Slice(sorted, func(i, j int) bool { // an order that does not depend on the map
		return bytes.Compare(sorted[i][0].statement.encoded, sorted[j][0].statement.encoded) < 0
	})
	return sorted, refused
}

func repeats(group []*share, s *share) bool {
	for _, other := range group {
		if other.index == s.index {
			return true
		}
	}
	return false
}

// openAnswer opens one answer and makes all checks of R8 on it. It returns the guardian that the answer names, as far as it can be read.
func openAnswer(device *pre.HybridPrivateKey, r *Request, b []byte) (*share, string, error) {
	var w answerWire
	if err := decode(b, kindAnswer, &w, &w.Header); err != nil {
		return nil, "", err
	}
	if !text(w.Guardian) {
		return nil, "", malformed("%s: guardian", kindAnswer)
	}
	if !bytes.Equal(w.Request, r.hash[:]) {
		return nil, w.Guardian, fmt.Errorf("answer is to another request: %w", pre.ErrProof)
	}
	opened, err := device.OpenFrom(answerInfo(r, w.Guardian), w.Sealed)
	if err != nil {
		return nil, w.Guardian, fmt.Errorf("open answer: %w", err)
	}
	defer clear(opened)
	s, err := parseShare(opened)
	if err != nil {
		return nil, w.Guardian, fmt.Errorf("open answer: %w", err)
	}
	switch {
	case s.member().ID != w.Guardian:
		return nil, w.Guardian, fmt.Errorf("share is of another guardian: %w", pre.ErrProof)
	case s.statement.owner != r.Owner || len(r.Backup) != 0 && !bytes.Equal(r.Backup, s.statement.backup[:]):
		return nil, w.Guardian, ErrOtherBackup
	}
	return s, w.Guardian, nil
}

// quorums returns the groups that reach their own thresholds, of which there must be one.
func quorums(groups [][]*share) ([][]*share, error) {
	var found [][]*share
	short := ""
	for _, g := range groups {
		if t := g[0].statement.threshold; len(g) < t {
			short = fmt.Sprintf("%d of %d: ", len(g), t)
			continue
		}
		found = append(found, g)
	}
	if found == nil {
		return nil, fmt.Errorf("%s%w", short, ErrTooFewShares)
	}
	return found, nil
}

// unwrap interpolates the sharing key and opens the secret with it (R8).
func unwrap(group []*share) ([]byte, error) {
	st := group[0].statement
	shares := make([]algebra.Share, len(group))
	for i, s := range group {
		shares[i] = algebra.Share{X: s.index, Y: s.y}
	}
	key, err := algebra.Combine(st.threshold, shares)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", err, pre.ErrProof) // cannot be: each share lies on the committed polynomial
	}
	aead, err := st.cipher(key)
	if err != nil {
		return nil, err
	}
	associated, err := st.associated()
	if err != nil {
		return nil, err
	}
	secret, err := aead.Open(nil, nil, st.wrapped, associated)
	if err != nil {
		return nil, fmt.Errorf("unwrap secret: %w", pre.ErrDecrypt)
	}
	return secret, nil
}
