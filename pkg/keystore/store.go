// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package keystore

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/emrys-health/emrys/pkg/pre"
)

const (
	storeName = "keys"
	storeKind = "emrys-keys"

	// The hybrid key follows from the root seed, so that a restored patient still opens the copies of old records.
	hybridPurpose = "copies"
	hybridEpoch   = 1
)

// Store holds one person's keys. Its methods offer operations; none of them hands out a private key, except those whose name
// begins with Insecure. It is immutable but for [Store.ChangePassphrase], and all other methods are safe for concurrent use.
type Store struct {
	label
	vault     vault
	document  storeDocument
	sealed    bool
	consent   *Signer
	enrolment *Signer
	reading   *ReadingKey
	hybrid    *HybridKey
}

// storeDocument is the file's content, in the order of the file.
type storeDocument struct {
	Version   int     `json:"v"`
	Kind      string  `json:"kind"`
	Root      *secret `json:"root"`
	Consent   *secret `json:"consent"`
	Enrolment *secret `json:"enrolment"`
	Reading   *secret `json:"reading"`
}

// Create makes new keys from rand (crypto/rand.Reader) and writes them to dir, which is created with mode 0700 when it is
// missing. With a passphrase the file is sealed; nil leaves it unsealed, and an empty passphrase is refused.
// It never replaces a key file: [ErrExists].
func Create(dir string, passphrase []byte, rand io.Reader) (*Store, error) {
	root, err := generateSecret(rand)
	if err != nil {
		return nil, err
	}
	return create(dir, passphrase, root, rand)
}

// Restore is [Create] with a root seed of 32 bytes that was backed up with [Store.InsecureRoot]. Scope keys and the hybrid
// key follow from it and are those of the lost store; the consent, enrolment and reading keys are new and must be registered
// anew.
func Restore(dir string, passphrase, root []byte, rand io.Reader) (*Store, error) {
	if len(root) != secretSize {
		return nil, fmt.Errorf("%w: root seed has %d bytes, want %d", ErrMalformed, len(root), secretSize)
	}
	return create(dir, passphrase, (*secret)(root), rand)
}

func create(dir string, passphrase []byte, root *secret, rand io.Reader) (*Store, error) {
	d := storeDocument{Version: documentVersion, Kind: storeKind, Root: new(*root)}
	if err := errors.Join(
		generateInto(&d.Consent, generateScalar, rand),
		generateInto(&d.Enrolment, generateScalar, rand),
		generateInto(&d.Reading, generateScalar, rand),
	); err != nil {
		return nil, err
	}
	v := vault{dir: dir, name: storeName}
	s, err := newStore(v, d, passphrase != nil)
	if err != nil {
		return nil, err
	}
	if err := v.create(&d, passphrase); err != nil {
		return nil, err
	}
	return s, nil
}

func generateInto(field **secret, generate func(io.Reader) (*secret, error), rand io.Reader) (err error) {
	*field, err = generate(rand)
	return err
}

// Open reads the keys in dir. passphrase is nil for an unsealed file.
//
// Errors: [ErrNotFound], [ErrPassphrase], [ErrNotSealed], [ErrInsecure], [ErrMalformed]. Opening a sealed file takes some
// hundred milliseconds of key derivation.
func Open(dir string, passphrase []byte) (*Store, error) {
	v := vault{dir: dir, name: storeName}
	var d storeDocument
	if err := v.open(&d, passphrase); err != nil {
		return nil, err
	}
	return newStore(v, d, passphrase != nil)
}

func newStore(v vault, d storeDocument, sealed bool) (*Store, error) {
	if err := checkDocument(d.Version, d.Kind, storeKind, d.Root, d.Consent, d.Enrolment, d.Reading); err != nil {
		return nil, err
	}
	s := &Store{vault: v, document: d, sealed: sealed}
	var errs [4]error
	s.consent, errs[0] = newSigner("ConsentKey", d.Consent)
	s.enrolment, errs[1] = newSigner("EnrolmentKey", d.Enrolment)
	s.reading, errs[2] = newReadingKey("ReadingKey", d.Reading)
	s.hybrid, errs[3] = pre.DeriveHybridKey(d.Root[:], hybridPurpose, hybridEpoch)
	if err := errors.Join(errs[:]...); err != nil {
		return nil, err
	}
	s.label = label("keystore.Store(" + s.consent.KeyID() + ")")
	return s, nil
}

// checkDocument refuses a document of another version or kind, or one that lacks a key.
func checkDocument(version int, kind, want string, secrets ...*secret) error {
	switch {
	case version != documentVersion:
		return fmt.Errorf("%w: version %d, this program knows %d", ErrMalformed, version, documentVersion)
	case kind != want:
		return fmt.Errorf("%w: it is not of the kind %q", ErrMalformed, want)
	}
	for _, s := range secrets {
		if s == nil {
			return fmt.Errorf("%w: a key is missing", ErrMalformed)
		}
	}
	return nil
}

// Sealed reports whether the file is under a passphrase.
func (s *Store) Sealed() bool { return s.sealed }

// Path returns the path of the key file.
func (s *Store) Path() string {
	if s.sealed {
		return s.vault.sealedPath()
	}
	return s.vault.plainPath()
}

// Consent returns the key that signs the person's actions on the ledger.
func (s *Store) Consent() *Signer { return s.consent }

// Enrolment returns the key of the person's certificate: it signs the certificate request and authenticates at gateways.
func (s *Store) Enrolment() *Signer { return s.enrolment }

// Reading returns the key agreement key that opens what is re-encrypted to this person.
func (s *Store) Reading() *ReadingKey { return s.reading }

// Hybrid returns the key that opens what is sealed to this person: a patient's copies, a reader's shares.
func (s *Store) Hybrid() *HybridKey { return s.hybrid }

// ScopeKey derives the delegating key of one scope and epoch: records are encapsulated to its public key, and grants are made
// with it. See [pre.DeriveScopeKey].
func (s *Store) ScopeKey(scopeID string, epoch uint32) (*pre.PrivateKey, error) {
	return pre.DeriveScopeKey(s.document.Root[:], scopeID, epoch)
}

// ScopeSigner derives the key that signs the key fragments of one scope and epoch. See [pre.DeriveScopeSigner].
func (s *Store) ScopeSigner(scopeID string, epoch uint32) (*pre.PrivateKey, error) {
	return pre.DeriveScopeSigner(s.document.Root[:], scopeID, epoch)
}

// InsecureRoot returns a copy of the 32-byte root seed from which every scope key follows: for a backup (guardians, paper)
// and nothing else. Whoever has it can read all records of the patient together with a threshold of gateways.
func (s *Store) InsecureRoot() []byte { return append([]byte(nil), s.document.Root[:]...) }

// ChangePassphrase seals the file under a new passphrase, or unseals it with nil. The keys stay the same. A crash leaves the
// old file, the new one, or both; [Open] refuses both and says so. Not safe for concurrent use.
func (s *Store) ChangePassphrase(passphrase []byte) error {
	before := s.Path()
	if err := s.vault.write(&s.document, passphrase, true); err != nil {
		return err
	}
	s.sealed = passphrase != nil
	if before == s.Path() {
		return nil
	}
	if err := os.Remove(before); err != nil {
		return fmt.Errorf("remove old key file: %w", err)
	}
	return syncDir(s.vault.dir)
}
