// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package recovery

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/emrys-health/emrys/pkg/pre"
	"github.com/emrys-health/emrys/pkg/pre/internal/algebra"
)

const (
	gcmOverhead = 12 + 16 // nonce and tag
	packageHead = HashSize + 1
)

// Plan says whose secret is split among whom.
type Plan struct {
	Owner     string         // the patient's id, 1 to 128 bytes; guardians see it
	Check     [HashSize]byte // a public value by which the caller recognises the secret; see [Combine]
	Threshold int            // how many guardians recover the secret, at least 2
	Guardians []Guardian
	Created   time.Time
}

// SealedPackage is what one guardian keeps: sealed to the guardian's key, so that nobody else can read it.
type SealedPackage struct {
	Guardian string
	Sealed   []byte // backup id 32 ‖ index 1 ‖ sealed object (R5)
}

// Split shares a secret of 1 to MaxSecret bytes among the guardians of the plan: any Threshold of them recover it, fewer learn nothing.
// It returns one package for each, in the plan's order. A plan in which the guardians of one organisation suffice is ErrRule; other
// impossible plans are pre.ErrParameter. A nil source means crypto/rand; sealing takes its randomness from there always.
func Split(source io.Reader, secret []byte, p Plan) ([]SealedPackage, error) {
	st, err := p.statement(secret)
	if err != nil {
		return nil, fmt.Errorf("split secret: %w", err)
	}
	if source == nil {
		source = rand.Reader
	}
	f, err := st.share(source, secret)
	if errors.Is(err, algebra.ErrDegenerate) {
		err = fmt.Errorf("%w: %w", err, pre.ErrParameter) // the random source is the caller's
	}
	if err != nil {
		return nil, fmt.Errorf("split secret: %w", err)
	}
	packages := make([]SealedPackage, len(p.Guardians))
	for i, g := range p.Guardians {
		index := uint8(i + 1) //nolint:gosec // at most MaxGuardians
		s := &share{st, index, f.At(algebra.P256().Field().Small(index))}
		sealed, err := s.sealTo(g.Key)
		if err != nil {
			return nil, fmt.Errorf("split secret: guardian %q: %w", g.ID, err)
		}
		packages[i] = SealedPackage{g.ID, sealed}
	}
	return packages, nil
}

func (p *Plan) statement(secret []byte) (*statement, error) {
	if len(secret) == 0 || len(secret) > MaxSecret {
		return nil, parameter("secret of %d bytes", len(secret))
	}
	if !text(p.Owner) {
		return nil, parameter("owner %q", p.Owner)
	}
	st := &statement{owner: p.Owner, check: p.Check, threshold: p.Threshold}
	if st.created = uint64(p.Created.Unix()); st.created > maxTime { //nolint:gosec // a time before 1970 becomes a great number
		return nil, parameter("time of creation")
	}
	for _, g := range p.Guardians {
		if g.Key == nil {
			return nil, parameter("guardian %q has no key", g.ID)
		}
		st.members = append(st.members, g.member())
	}
	return st, checkMembers(st.threshold, st.members)
}

// share draws the sharing key and its polynomial, and completes the statement: commitments and the wrapped secret (R5).
func (s *statement) share(source io.Reader, secret []byte) (algebra.Polynomial, error) {
	if _, err := io.ReadFull(source, s.backup[:]); err != nil {
		return nil, fmt.Errorf("read randomness: %w", err)
	}
	key, err := algebra.P256().Field().Random(source)
	if err != nil {
		return nil, err
	}
	f, err := algebra.NewPolynomial(source, key, s.threshold)
	if err != nil {
		return nil, err
	}
	if s.commitments, err = algebra.Commit(algebra.P256(), f); err != nil {
		return nil, err
	}
	associated, err := s.associated()
	if err != nil {
		return nil, err
	}
	aead, err := s.cipher(key)
	if err != nil {
		return nil, err
	}
	s.wrapped = aead.Seal(nil, nil, secret, associated)
	return f, s.seal()
}

// cipher encrypts the secret under a key derived from the sharing key and the backup's id.
func (s *statement) cipher(key algebra.Scalar) (cipher.AEAD, error) {
	secret := key.Bytes()
	defer clear(secret)
	derived, err := hkdf.Key(sha256.New, secret, s.backup[:], string(joined(labelKey)), 32)
	if err != nil {
		return nil, fmt.Errorf("derive key: %w", err)
	}
	defer clear(derived)
	block, err := aes.NewCipher(derived)
	if err != nil {
		return nil, fmt.Errorf("prepare AES: %w", err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, fmt.Errorf("prepare AES-GCM: %w", err)
	}
	return aead, nil
}

func (s *share) sealTo(key *pre.HybridPublicKey) ([]byte, error) {
	b, err := s.encode()
	if err != nil {
		return nil, err
	}
	defer clear(b)
	head := append(append([]byte(nil), s.statement.backup[:]...), s.index)
	sealed, err := pre.SealTo(key, packageInfo(head, key.ID()), b)
	if err != nil {
		return nil, err
	}
	return append(head, sealed...), nil
}

func packageInfo(head []byte, key pre.KeyID) []byte { return joined(labelPackage, head, key[:]) }

// Package is an opened and checked package: a guardian's share. It prints without its value, is immutable and safe for concurrent use.
type Package struct{ share *share }

// OpenPackage opens a package sealed to this guardian and checks everything about it (R6): that it is in its list under its own key,
// that the list keeps the rule (ErrRule), and that its share is the one the owner's device committed to (pre.ErrProof). A package that
// is refused should not be kept: it will not help the owner, and the owner should hear of it.
func OpenPackage(key *pre.HybridPrivateKey, sealed []byte) (*Package, error) {
	if key == nil {
		return nil, parameter("open package: no key")
	}
	if len(sealed) < packageHead {
		return nil, malformed("open package: %d bytes", len(sealed))
	}
	head := sealed[:packageHead]
	b, err := key.OpenFrom(packageInfo(head, key.Public().ID()), sealed[packageHead:])
	if err != nil {
		return nil, fmt.Errorf("open package: %w", err)
	}
	defer clear(b)
	s, err := parseShare(b)
	if err != nil {
		return nil, fmt.Errorf("open package: %w", err)
	}
	if s.statement.backup != [HashSize]byte(head[:HashSize]) || s.index != head[HashSize] || s.member().KeyID != key.Public().ID() {
		return nil, fmt.Errorf("open package: it is not this guardian's: %w", pre.ErrProof)
	}
	s.statement.encoded = append([]byte(nil), s.statement.encoded...) // b is cleared
	return &Package{s}, nil
}

// Backup returns the id of the backup: 32 random bytes, the same in all its packages.
func (p *Package) Backup() [HashSize]byte { return p.share.statement.backup }

// Owner returns whose secret it is, as the owner's device wrote it.
func (p *Package) Owner() string { return p.share.statement.owner }

// Created returns when the backup was made, as the owner's device wrote it.
func (p *Package) Created() time.Time { return time.Unix(int64(p.share.statement.created), 0).UTC() } //nolint:gosec // a time

// Threshold returns how many guardians recover the secret.
func (p *Package) Threshold() int { return p.share.statement.threshold }

// Guardians returns all guardians of the backup.
func (p *Package) Guardians() []Member { return append([]Member(nil), p.share.statement.members...) }

// Self returns this guardian's entry.
func (p *Package) Self() Member { return p.share.member() }

// Check returns the public value by which the secret is recognised.
func (p *Package) Check() [HashSize]byte { return p.share.statement.check }

// String returns owner and backup id, and nothing secret.
func (p *Package) String() string {
	if p == nil || p.share == nil {
		return "recovery.Package(nil)"
	}
	id := p.Backup()
	return "recovery.Package(" + p.Owner() + ", " + hex.EncodeToString(id[:8]) + ")"
}

// GoString is String.
func (p *Package) GoString() string { return p.String() }

// Format writes String for every verb.
func (p *Package) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, p.String()) }

// MarshalText refuses: a package travels sealed only.
func (p *Package) MarshalText() ([]byte, error) {
	return nil, parameter("an opened package has no text form")
}
