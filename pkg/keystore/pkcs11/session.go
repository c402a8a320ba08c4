//go:build pkcs11

// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package pkcs11

import (
	"crypto/elliptic"
	"encoding/asn1"
	"errors"
	"fmt"
	"strings"

	"github.com/miekg/pkcs11"

	"github.com/emrys-health/emrys/pkg/keystore"
)

// ErrToken says that the token could not do what it was asked: it is missing, was removed, or refused. The text says which.
var ErrToken = errors.New("the token cannot be used")

// Names of the objects in the token, their CKA_LABEL and CKA_ID.
const (
	consentName   = "emrys-consent"
	enrolmentName = "emrys-enrolment"
	readingName   = "emrys-reading"
	sealName      = "emrys-seal"
)

// session is one logged-in session. Its owner serialises its use.
type session struct {
	ctx    *pkcs11.Ctx
	handle pkcs11.SessionHandle
}

// login loads the module, finds the token by its label and logs in. A wrong PIN is tried once: tokens lock themselves.
func login(c Config) (s *session, err error) {
	ctx := pkcs11.New(c.Module)
	if ctx == nil {
		return nil, fmt.Errorf("%w: the module %s cannot be loaded", ErrToken, c.Module)
	}
	defer func() {
		if err != nil {
			ctx.Destroy()
		}
	}()
	if err := ctx.Initialize(); err != nil && !is(err, pkcs11.CKR_CRYPTOKI_ALREADY_INITIALIZED) {
		return nil, fmt.Errorf("%w: initialise the module: %w", ErrToken, err)
	}
	slot, err := findSlot(ctx, c.Token)
	if err != nil {
		return nil, err
	}
	handle, err := ctx.OpenSession(slot, pkcs11.CKF_SERIAL_SESSION|pkcs11.CKF_RW_SESSION)
	if err != nil {
		return nil, fmt.Errorf("%w: open a session: %w", ErrToken, err)
	}
	if err := logIn(ctx, handle, c.PIN); err != nil {
		return nil, errors.Join(err, ctx.CloseSession(handle))
	}
	return &session{ctx, handle}, nil
}

func logIn(ctx *pkcs11.Ctx, handle pkcs11.SessionHandle, ask func() ([]byte, error)) error {
	if ask == nil {
		return fmt.Errorf("%w: no PIN", keystore.ErrPassphrase)
	}
	pin, err := ask()
	if err != nil {
		return fmt.Errorf("ask for the PIN: %w", err)
	}
	defer clear(pin)
	err = ctx.Login(handle, pkcs11.CKU_USER, string(pin))
	switch {
	case err == nil, is(err, pkcs11.CKR_USER_ALREADY_LOGGED_IN):
		return nil
	case is(err, pkcs11.CKR_PIN_INCORRECT), is(err, pkcs11.CKR_PIN_INVALID), is(err, pkcs11.CKR_PIN_LEN_RANGE):
		return fmt.Errorf("%w: the token refused the PIN; a few more wrong ones lock it", keystore.ErrPassphrase)
	case is(err, pkcs11.CKR_PIN_LOCKED):
		return fmt.Errorf("%w: its PIN is locked; unlock it with the token's own tool", ErrToken)
	}
	return fmt.Errorf("%w: log in: %w", ErrToken, err)
}

func is(err error, code uint) bool {
	var e pkcs11.Error
	return errors.As(err, &e) && uint(e) == code
}

func findSlot(ctx *pkcs11.Ctx, label string) (uint, error) {
	slots, err := ctx.GetSlotList(true)
	if err != nil {
		return 0, fmt.Errorf("%w: list slots: %w", ErrToken, err)
	}
	var found []uint
	for _, slot := range slots {
		info, err := ctx.GetTokenInfo(slot)
		if err == nil && strings.TrimRight(info.Label, " \x00") == label {
			found = append(found, slot)
		}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return 0, fmt.Errorf("%w: no token is labelled %q; is it plugged in?", ErrToken, label)
	}
	return 0, fmt.Errorf("%w: %d tokens are labelled %q", ErrToken, len(found), label)
}

func (s *session) close() error {
	err := s.ctx.CloseSession(s.handle)
	s.ctx.Destroy()
	return err
}

// find returns the one object of a class with a name. None is keystore.ErrNotFound; two are keystore.ErrMalformed.
func (s *session) find(class uint, name string) (pkcs11.ObjectHandle, error) {
	objects, err := s.list(class, name)
	switch {
	case err != nil:
		return 0, err
	case len(objects) == 0:
		return 0, fmt.Errorf("%w: the token holds no object %q", keystore.ErrNotFound, name)
	case len(objects) > 1:
		return 0, fmt.Errorf("%w: the token holds several objects %q", keystore.ErrMalformed, name)
	}
	return objects[0], nil
}

func (s *session) list(class uint, name string) ([]pkcs11.ObjectHandle, error) {
	template := []*pkcs11.Attribute{pkcs11.NewAttribute(pkcs11.CKA_CLASS, class), pkcs11.NewAttribute(pkcs11.CKA_LABEL, name)}
	if err := s.ctx.FindObjectsInit(s.handle, template); err != nil {
		return nil, fmt.Errorf("%w: search: %w", ErrToken, err)
	}
	objects, _, err := s.ctx.FindObjects(s.handle, 3)
	if err := errors.Join(err, s.ctx.FindObjectsFinal(s.handle)); err != nil {
		return nil, fmt.Errorf("%w: search: %w", ErrToken, err)
	}
	return objects, nil
}

// generatePair makes a P-256 key that never leaves the token. use is CKA_SIGN or CKA_DERIVE.
func (s *session) generatePair(name string, use uint) error {
	curve, err := asn1.Marshal(asn1.ObjectIdentifier{1, 2, 840, 10045, 3, 1, 7}) // secp256r1
	if err != nil {
		return fmt.Errorf("encode curve: %w", err)
	}
	common := []*pkcs11.Attribute{
		pkcs11.NewAttribute(pkcs11.CKA_TOKEN, true), pkcs11.NewAttribute(pkcs11.CKA_LABEL, name), pkcs11.NewAttribute(pkcs11.CKA_ID, []byte(name)),
	}
	public := append([]*pkcs11.Attribute{pkcs11.NewAttribute(pkcs11.CKA_EC_PARAMS, curve), pkcs11.NewAttribute(pkcs11.CKA_PRIVATE, false)}, common...)
	if use == pkcs11.CKA_SIGN {
		public = append(public, pkcs11.NewAttribute(pkcs11.CKA_VERIFY, true))
	}
	private := append([]*pkcs11.Attribute{
		pkcs11.NewAttribute(pkcs11.CKA_PRIVATE, true), pkcs11.NewAttribute(pkcs11.CKA_SENSITIVE, true),
		pkcs11.NewAttribute(pkcs11.CKA_EXTRACTABLE, false), pkcs11.NewAttribute(use, true),
	}, common...)
	mechanism := []*pkcs11.Mechanism{pkcs11.NewMechanism(pkcs11.CKM_EC_KEY_PAIR_GEN, nil)}
	if _, _, err := s.ctx.GenerateKeyPair(s.handle, mechanism, public, private); err != nil {
		return fmt.Errorf("%w: generate %s: %w", ErrToken, name, err)
	}
	return nil
}

// generateSeal makes the AES-256 key that encrypts the seed's file.
func (s *session) generateSeal() error {
	_, err := s.ctx.GenerateKey(s.handle, []*pkcs11.Mechanism{pkcs11.NewMechanism(pkcs11.CKM_AES_KEY_GEN, nil)}, []*pkcs11.Attribute{
		pkcs11.NewAttribute(pkcs11.CKA_TOKEN, true), pkcs11.NewAttribute(pkcs11.CKA_LABEL, sealName), pkcs11.NewAttribute(pkcs11.CKA_ID, []byte(sealName)),
		pkcs11.NewAttribute(pkcs11.CKA_PRIVATE, true), pkcs11.NewAttribute(pkcs11.CKA_SENSITIVE, true), pkcs11.NewAttribute(pkcs11.CKA_EXTRACTABLE, false),
		pkcs11.NewAttribute(pkcs11.CKA_ENCRYPT, true), pkcs11.NewAttribute(pkcs11.CKA_DECRYPT, true), pkcs11.NewAttribute(pkcs11.CKA_VALUE_LEN, 32),
	})
	if err != nil {
		return fmt.Errorf("%w: generate %s: %w", ErrToken, sealName, err)
	}
	return nil
}

// remove destroys everything that create made, after a failure.
func (s *session) remove() error {
	var errs []error
	for _, class := range []uint{pkcs11.CKO_PRIVATE_KEY, pkcs11.CKO_PUBLIC_KEY, pkcs11.CKO_SECRET_KEY} {
		for _, name := range []string{consentName, enrolmentName, readingName, sealName} {
			objects, err := s.list(class, name)
			errs = append(errs, err)
			for _, o := range objects {
				errs = append(errs, s.ctx.DestroyObject(s.handle, o))
			}
		}
	}
	return errors.Join(errs...)
}

// public returns the uncompressed point of a key pair, 65 bytes. Tokens give it as it is or in a DER OCTET STRING.
func (s *session) public(name string) ([]byte, error) {
	object, err := s.find(pkcs11.CKO_PUBLIC_KEY, name)
	if err != nil {
		return nil, err
	}
	attributes, err := s.ctx.GetAttributeValue(s.handle, object, []*pkcs11.Attribute{pkcs11.NewAttribute(pkcs11.CKA_EC_POINT, nil)})
	if err != nil || len(attributes) != 1 {
		return nil, fmt.Errorf("%w: read the public key %s: %w", ErrToken, name, err)
	}
	point := attributes[0].Value
	var inner []byte
	if rest, err := asn1.Unmarshal(point, &inner); err == nil && len(rest) == 0 {
		point = inner
	}
	if len(point) != 1+2*((elliptic.P256().Params().BitSize+7)/8) {
		return nil, fmt.Errorf("%w: the key %s is not on P-256", keystore.ErrMalformed, name)
	}
	return point, nil
}

func (s *session) sign(key pkcs11.ObjectHandle, digest []byte) ([]byte, error) {
	if err := s.ctx.SignInit(s.handle, []*pkcs11.Mechanism{pkcs11.NewMechanism(pkcs11.CKM_ECDSA, nil)}, key); err != nil {
		return nil, fmt.Errorf("%w: sign: %w", ErrToken, err)
	}
	raw, err := s.ctx.Sign(s.handle, digest)
	if err != nil {
		return nil, fmt.Errorf("%w: sign: %w", ErrToken, err)
	}
	return raw, nil
}

// agree returns the x coordinate of the shared point. The token hands it out as a session object that is destroyed at once.
func (s *session) agree(key pkcs11.ObjectHandle, point []byte) (x []byte, err error) {
	params := pkcs11.NewECDH1DeriveParams(pkcs11.CKD_NULL, nil, point)
	secret, err := s.ctx.DeriveKey(s.handle, []*pkcs11.Mechanism{pkcs11.NewMechanism(pkcs11.CKM_ECDH1_DERIVE, params)}, key, []*pkcs11.Attribute{
		pkcs11.NewAttribute(pkcs11.CKA_CLASS, pkcs11.CKO_SECRET_KEY), pkcs11.NewAttribute(pkcs11.CKA_KEY_TYPE, pkcs11.CKK_GENERIC_SECRET),
		pkcs11.NewAttribute(pkcs11.CKA_TOKEN, false), pkcs11.NewAttribute(pkcs11.CKA_SENSITIVE, false),
		pkcs11.NewAttribute(pkcs11.CKA_EXTRACTABLE, true), pkcs11.NewAttribute(pkcs11.CKA_VALUE_LEN, 32),
	})
	if err != nil {
		return nil, fmt.Errorf("%w: agree on a key: %w", ErrToken, err)
	}
	defer func() { err = errors.Join(err, s.ctx.DestroyObject(s.handle, secret)) }()
	attributes, err := s.ctx.GetAttributeValue(s.handle, secret, []*pkcs11.Attribute{pkcs11.NewAttribute(pkcs11.CKA_VALUE, nil)})
	if err != nil || len(attributes) != 1 || len(attributes[0].Value) != 32 {
		return nil, fmt.Errorf("%w: read the agreed key: %w", ErrToken, err)
	}
	return attributes[0].Value, nil
}

const (
	nonceSize = 12
	tagBits   = 128
)

// seal and unseal are AES-256-GCM inside of the token.
func (s *session) seal(nonce, aad, plaintext []byte) ([]byte, error) {
	return s.gcm(nonce, aad, plaintext, s.ctx.EncryptInit, s.ctx.Encrypt)
}

func (s *session) unseal(nonce, aad, box []byte) ([]byte, error) {
	return s.gcm(nonce, aad, box, s.ctx.DecryptInit, s.ctx.Decrypt)
}

func (s *session) gcm(
	nonce, aad, text []byte,
	start func(pkcs11.SessionHandle, []*pkcs11.Mechanism, pkcs11.ObjectHandle) error,
	run func(pkcs11.SessionHandle, []byte) ([]byte, error),
) ([]byte, error) {
	key, err := s.find(pkcs11.CKO_SECRET_KEY, sealName)
	if err != nil {
		return nil, err
	}
	params := pkcs11.NewGCMParams(nonce, aad, tagBits)
	defer params.Free()
	if err := start(s.handle, []*pkcs11.Mechanism{pkcs11.NewMechanism(pkcs11.CKM_AES_GCM, params)}, key); err != nil {
		return nil, fmt.Errorf("%w: use %s: %w", ErrToken, sealName, err)
	}
	return run(s.handle, text)
}
