// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package keystore

import (
	"fmt"
	"io"
	"os"

	"github.com/emrys-health/emrys/pkg/atomicfile"
)

const (
	storeName    = "keys"
	storeKind    = "emrys-keys"
	storeVersion = 2
)

// Store is a person's [Keys] in a file. It is immutable but for [Store.ChangePassphrase], and all other methods are safe for
// concurrent use.
type Store struct {
	*ring
	vault    vault
	document storeDocument
	sealed   bool
}

var _ Keys = (*Store)(nil)

// storeDocument is the file's content, in the order of the file.
type storeDocument struct {
	Version int    `json:"v"`
	Kind    string `json:"kind"`
	ringSecrets
}

// storeDocumentV1 is the content of files of version 1, which had one seed.
type storeDocumentV1 struct {
	Version   int     `json:"v"`
	Kind      string  `json:"kind"`
	Root      *secret `json:"root"`
	Consent   *secret `json:"consent"`
	Enrolment *secret `json:"enrolment"`
	Reading   *secret `json:"reading"`
}

func (d *storeDocumentV1) next() storeDocument {
	return storeDocument{Version: storeVersion, Kind: d.Kind, ringSecrets: ringSecrets{
		Roots:   []root{{From: firstEpoch, Seed: d.Root}},
		Consent: d.Consent, Enrolment: d.Enrolment, Reading: d.Reading,
	}}
}

// Create makes new keys from rand (crypto/rand.Reader) and writes them to dir, which is created with mode 0700 when it is
// missing. With a passphrase the file is sealed; nil leaves it unsealed, and an empty passphrase is refused.
// It never replaces a key file: [ErrExists].
func Create(dir string, passphrase []byte, rand io.Reader) (*Store, error) {
	roots, err := NewRoots(rand)
	if err != nil {
		return nil, err
	}
	return Restore(dir, passphrase, roots, rand)
}

// Restore is [Create] with the seed generations of a backup ([Store.Roots]). Scope keys and the hybrid key follow from them and
// are those of the lost store; the consent, enrolment and reading keys are new and must be registered anew.
func Restore(dir string, passphrase []byte, roots Roots, rand io.Reader) (*Store, error) {
	if err := roots.check(); err != nil {
		return nil, err
	}
	secrets, err := generateRing(roots, rand)
	if err != nil {
		return nil, err
	}
	d := storeDocument{Version: storeVersion, Kind: storeKind, ringSecrets: secrets}
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

// Open reads the keys in dir. passphrase is nil for an unsealed file.
//
// Errors: [ErrNotFound], [ErrPassphrase], [ErrNotSealed], [ErrInsecure], [ErrMalformed]. Opening a sealed file takes some
// hundred milliseconds of key derivation.
func Open(dir string, passphrase []byte) (*Store, error) {
	v := vault{dir: dir, name: storeName}
	content, err := v.read(passphrase)
	if err != nil {
		return nil, err
	}
	defer clear(content)
	d, err := decodeStore(content)
	if err != nil {
		return nil, err
	}
	return newStore(v, d, passphrase != nil)
}

// decodeStore decodes a document of this version or of version 1. The next write is in this version.
func decodeStore(content []byte) (storeDocument, error) {
	var d storeDocument
	err := decodeDocument(content, &d)
	if err == nil {
		return d, checkDocument(d.Version, storeVersion, d.Kind, storeKind, d.Consent, d.Enrolment, d.Reading)
	}
	var old storeDocumentV1
	if decodeDocument(content, &old) != nil {
		return storeDocument{}, err
	}
	if err := checkDocument(old.Version, 1, old.Kind, storeKind, old.Root, old.Consent, old.Enrolment, old.Reading); err != nil {
		return storeDocument{}, err
	}
	return old.next(), nil
}

func newStore(v vault, d storeDocument, sealed bool) (*Store, error) {
	r, err := newRing("Store", d.ringSecrets)
	if err != nil {
		return nil, err
	}
	return &Store{ring: r, vault: v, document: d, sealed: sealed}, nil
}

// checkDocument refuses a document of another version or kind, or one that lacks a key.
func checkDocument(version, wantVersion int, kind, wantKind string, secrets ...*secret) error {
	switch {
	case version != wantVersion:
		return fmt.Errorf("%w: version %d, this program knows %d", ErrMalformed, version, wantVersion)
	case kind != wantKind:
		return fmt.Errorf("%w: it is not of the kind %q", ErrMalformed, wantKind)
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

// Rotate returns the store with a new seed generation, made from rand, for all scope epochs from from on, and writes it in place of
// the old file. Keys of earlier epochs stay what they were. The passphrase must be the file's ([ErrPassphrase]); from must be
// above the newest generation's first epoch ([ErrEpoch]). A crash leaves the old file or the new one. Backups made before do
// not hold the new seed.
func (s *Store) Rotate(passphrase []byte, from uint32, rand io.Reader) (*Store, error) {
	current, err := Open(s.vault.dir, passphrase)
	if err != nil {
		return nil, err
	}
	if !current.roots.Equal(s.roots) {
		return nil, fmt.Errorf("%w: the key file has changed since it was opened", ErrMalformed)
	}
	roots, err := current.roots.next(from, rand)
	if err != nil {
		return nil, err
	}
	d := current.document
	d.Roots = roots.list
	rotated, err := newStore(s.vault, d, current.sealed)
	if err != nil {
		return nil, err
	}
	if err := s.vault.write(&d, passphrase, true); err != nil {
		return nil, err
	}
	return rotated, nil
}

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
	return atomicfile.SyncDir(s.vault.dir)
}
