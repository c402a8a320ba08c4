//go:build pkcs11

// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package pkcs11

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"math/big"
	"os"
	"path/filepath"
	"sync"

	"github.com/miekg/pkcs11"

	"github.com/emrys-health/emrys/pkg/keystore"
	"github.com/emrys-health/emrys/pkg/pre"
)

const (
	fileName    = "roots.sealed"
	fileVersion = 1
	fileMode    = 0o600
	maxFile     = 64 << 10
)

// fileLabel is authenticated with the seed's file.
var fileLabel = []byte("EMRYS-PRE-V1 roots in token") //nolint:gochecknoglobals // a constant

// Config says where the keys are.
type Config struct {
	Module string                 // path of the token's PKCS#11 library
	Token  string                 // label of the token
	PIN    func() ([]byte, error) // asked once; what it returns is cleared
	Dir    string                 // directory of the file that holds the seed, encrypted by the token
}

// Token is a person's keys with the signing and reading keys in a token. Close it when done. It is safe for concurrent use; the token
// works on one thing at a time.
type Token struct {
	mu        sync.Mutex
	session   *session
	roots     keystore.Roots
	hybrid    *keystore.HybridKey
	consent   *signer
	enrolment *signer
	reading   *readingKey
}

var _ keystore.Keys = (*Token)(nil)

// Create makes new keys in the token, and writes the seed generations to c.Dir, encrypted by the token. keystore.ErrExists when the token
// or the directory holds keys already; nothing is changed then.
func Create(c Config, roots keystore.Roots) (*Token, error) {
	s, err := login(c)
	if err != nil {
		return nil, err
	}
	if err := create(s, c, roots); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return open(s, c)
}

func create(s *session, c Config, roots keystore.Roots) error {
	if _, err := os.Lstat(filepath.Join(c.Dir, fileName)); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w in %s", keystore.ErrExists, c.Dir)
	}
	for _, name := range []string{consentName, enrolmentName, readingName} {
		if found, err := s.list(pkcs11.CKO_PRIVATE_KEY, name); err != nil || len(found) > 0 {
			return errors.Join(err, fmt.Errorf("%w in the token %q", keystore.ErrExists, c.Token))
		}
	}
	if found, err := s.list(pkcs11.CKO_SECRET_KEY, sealName); err != nil || len(found) > 0 {
		return errors.Join(err, fmt.Errorf("%w in the token %q", keystore.ErrExists, c.Token))
	}
	if err := makeAll(s, c.Dir, roots); err != nil {
		return errors.Join(err, s.remove())
	}
	return nil
}

func makeAll(s *session, dir string, roots keystore.Roots) error {
	for name, use := range map[string]uint{consentName: pkcs11.CKA_SIGN, enrolmentName: pkcs11.CKA_SIGN, readingName: pkcs11.CKA_DERIVE} {
		if err := s.generatePair(name, use); err != nil {
			return err
		}
	}
	if err := s.generateSeal(); err != nil {
		return err
	}
	nonce := make([]byte, nonceSize)
	if _, err := io.ReadFull(rand.Reader, nonce); err != nil {
		return fmt.Errorf("read randomness: %w", err)
	}
	plain := roots.InsecureMarshal()
	defer clear(plain)
	box, err := s.seal(nonce, fileLabel, plain)
	if err != nil {
		return err
	}
	return writeRoots(dir, append(append([]byte{fileVersion}, nonce...), box...))
}

func writeRoots(dir string, content []byte) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("create key directory: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(dir, fileName), os.O_WRONLY|os.O_CREATE|os.O_EXCL, fileMode)
	if err != nil {
		return fmt.Errorf("create key file: %w", err)
	}
	_, err = f.Write(content)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return errors.Join(fmt.Errorf("write key file: %w", err), os.Remove(f.Name()))
	}
	return nil
}

// Open opens the keys in a token and the seed beside it, and checks that every private key of the token belongs to its public key.
func Open(c Config) (*Token, error) {
	s, err := login(c)
	if err != nil {
		return nil, err
	}
	return open(s, c)
}

func open(s *session, c Config) (*Token, error) {
	t := &Token{session: s}
	if err := t.load(c.Dir); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return t, nil
}

func (t *Token) load(dir string) error {
	var errs [3]error
	t.consent, errs[0] = t.signer(consentName)
	t.enrolment, errs[1] = t.signer(enrolmentName)
	t.reading, errs[2] = t.readingKey()
	if err := errors.Join(errs[:]...); err != nil {
		return err
	}
	if err := t.loadRoots(dir); err != nil {
		return err
	}
	var err error
	if t.hybrid, err = t.roots.Hybrid(); err != nil {
		return err
	}
	return t.test()
}

func (t *Token) loadRoots(dir string) error {
	f, err := os.Open(filepath.Join(dir, fileName))
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w in %s", keystore.ErrNotFound, dir)
	}
	if err != nil {
		return fmt.Errorf("open key file: %w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return fmt.Errorf("read key file: %w", err)
	}
	if len(b) < 1+nonceSize || len(b) > maxFile || b[0] != fileVersion {
		return fmt.Errorf("%w: %s is not one of this version", keystore.ErrMalformed, fileName)
	}
	plain, err := t.session.unseal(b[1:1+nonceSize], fileLabel, b[1+nonceSize:])
	if err != nil {
		return fmt.Errorf("%w: %s was not encrypted by this token, or was altered: %w", keystore.ErrMalformed, fileName, err)
	}
	defer clear(plain)
	t.roots, err = keystore.ParseRoots(plain)
	return err
}

// test uses every private key once, so that objects that were exchanged are noticed now and not when they are needed.
func (t *Token) test() error {
	digest := sha256.Sum256([]byte("self-test"))
	for _, s := range []*signer{t.consent, t.enrolment} {
		pinned, err := pre.PublicKeyOf(s.public)
		if err != nil {
			return err
		}
		raw, err := s.SignDigest(digest)
		if err != nil {
			return err
		}
		if pre.VerifyP256(pinned, digest[:], raw) != nil {
			return fmt.Errorf("%w: private and public key of %s do not belong together", keystore.ErrMalformed, s.name)
		}
	}
	peer, err := pre.GeneratePrivateKey(nil)
	if err != nil {
		return err
	}
	mine, err := t.reading.ECDH(peer.Public())
	if err != nil {
		return err
	}
	theirs, err := peer.ECDH(t.reading.public)
	if err != nil {
		return err
	}
	if !bytes.Equal(mine, theirs) {
		return fmt.Errorf("%w: private and public key of %s do not belong together", keystore.ErrMalformed, readingName)
	}
	return nil
}

// Close ends the session. The keys cannot be used afterwards.
func (t *Token) Close() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.session == nil {
		return nil
	}
	s := t.session
	t.session = nil
	return s.close()
}

// with runs one operation of the token at a time.
func (t *Token) with(do func(s *session) ([]byte, error)) ([]byte, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.session == nil {
		return nil, fmt.Errorf("%w: it was closed", ErrToken)
	}
	return do(t.session)
}

// Consent implements keystore.Keys.
func (t *Token) Consent() keystore.Signer { return t.consent }

// Enrolment implements keystore.Keys.
func (t *Token) Enrolment() keystore.Signer { return t.enrolment }

// Reading implements keystore.Keys.
func (t *Token) Reading() pre.ECDHer { return t.reading }

// Hybrid implements keystore.Keys. The key is in this process's memory.
func (t *Token) Hybrid() *keystore.HybridKey { return t.hybrid }

// ScopeKey implements keystore.Keys.
func (t *Token) ScopeKey(scopeID string, epoch uint32) (*pre.PrivateKey, error) {
	return t.roots.ScopeKey(scopeID, epoch)
}

// ScopeSigner implements keystore.Keys.
func (t *Token) ScopeSigner(scopeID string, epoch uint32) (*pre.PrivateKey, error) {
	return t.roots.ScopeSigner(scopeID, epoch)
}

// Roots returns the seed generations, for a backup.
func (t *Token) Roots() keystore.Roots { return t.roots }

// String returns the fingerprint of the consent key.
func (t *Token) String() string { return "pkcs11.Token(" + t.consent.id + ")" }

// GoString is String.
func (t *Token) GoString() string { return t.String() }

// Format writes String for every verb.
func (t *Token) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, t.String()) }

// LogValue is String.
func (t *Token) LogValue() slog.Value { return slog.StringValue(t.String()) }

// MarshalText refuses.
func (t *Token) MarshalText() ([]byte, error) { return nil, errors.New("a token cannot be marshalled") }

// signer is a keystore.Signer whose private key is in the token.
type signer struct {
	token  *Token
	name   string
	object pkcs11.ObjectHandle
	public *ecdsa.PublicKey
	id     string
}

func (t *Token) signer(name string) (*signer, error) {
	object, err := t.session.find(pkcs11.CKO_PRIVATE_KEY, name)
	if err != nil {
		return nil, err
	}
	point, err := t.session.public(name)
	if err != nil {
		return nil, err
	}
	public, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point)
	if err != nil {
		return nil, fmt.Errorf("%w: the key %s is not on P-256", keystore.ErrMalformed, name)
	}
	spki, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return nil, fmt.Errorf("encode public key: %w", err)
	}
	sum := sha256.Sum256(spki)
	return &signer{t, name, object, public, hex.EncodeToString(sum[:16])}, nil
}

// Public implements crypto.Signer.
func (s *signer) Public() crypto.PublicKey { return s.public }

// Sign implements crypto.Signer for SHA-256 digests. The token takes its own randomness.
func (s *signer) Sign(_ io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	if err := keystore.CheckDigest(digest, opts); err != nil {
		return nil, err
	}
	raw, err := s.token.with(func(session *session) ([]byte, error) { return session.sign(s.object, digest) })
	if err != nil {
		return nil, err
	}
	if len(raw) != pre.SignatureSize {
		return nil, fmt.Errorf("%w: it returned a signature of %d bytes", ErrToken, len(raw))
	}
	half := len(raw) / 2
	return asn1.Marshal(struct{ R, S *big.Int }{new(big.Int).SetBytes(raw[:half]), new(big.Int).SetBytes(raw[half:])})
}

// KeyID implements keystore.Signer.
func (s *signer) KeyID() string { return s.id }

// Pinned implements keystore.Signer.
func (s *signer) Pinned() []byte {
	key, err := pre.PublicKeyOf(s.public)
	if err != nil { // cannot be: the key was parsed on P-256
		return nil
	}
	return key.Bytes()
}

// SignDigest implements keystore.Signer.
func (s *signer) SignDigest(digest [sha256.Size]byte) ([]byte, error) {
	return pre.SignP256(nil, s, digest[:])
}

func (s *signer) String() string               { return "pkcs11.Signer(" + s.id + ")" }
func (s *signer) GoString() string             { return s.String() }
func (s *signer) Format(f fmt.State, _ rune)   { _, _ = io.WriteString(f, s.String()) }
func (s *signer) LogValue() slog.Value         { return slog.StringValue(s.String()) }
func (s *signer) MarshalText() ([]byte, error) { return nil, errors.New("a key cannot be marshalled") }

// readingKey is a pre.ECDHer whose private key is in the token.
type readingKey struct {
	token  *Token
	object pkcs11.ObjectHandle
	public *pre.PublicKey
}

func (t *Token) readingKey() (*readingKey, error) {
	object, err := t.session.find(pkcs11.CKO_PRIVATE_KEY, readingName)
	if err != nil {
		return nil, err
	}
	point, err := t.session.public(readingName)
	if err != nil {
		return nil, err
	}
	public, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point)
	if err != nil {
		return nil, fmt.Errorf("%w: the key %s is not on P-256", keystore.ErrMalformed, readingName)
	}
	key, err := pre.PublicKeyOf(public)
	if err != nil {
		return nil, fmt.Errorf("read the public key: %w", err)
	}
	return &readingKey{t, object, key}, nil
}

// Public implements pre.ECDHer.
func (k *readingKey) Public() *pre.PublicKey { return k.public }

// ECDH implements pre.ECDHer.
func (k *readingKey) ECDH(peer *pre.PublicKey) ([]byte, error) {
	other, err := peer.ECDH()
	if err != nil {
		return nil, err
	}
	return k.token.with(func(s *session) ([]byte, error) { return s.agree(k.object, other.Bytes()) })
}

func (k *readingKey) String() string             { return "pkcs11.ReadingKey(" + k.public.ID().String() + ")" }
func (k *readingKey) GoString() string           { return k.String() }
func (k *readingKey) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, k.String()) }
func (k *readingKey) LogValue() slog.Value       { return slog.StringValue(k.String()) }
func (k *readingKey) MarshalText() ([]byte, error) {
	return nil, errors.New("a key cannot be marshalled")
}
