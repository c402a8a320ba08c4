// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package keystore_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"testing/iotest"

	"github.com/lestrrat-go/jwx/v3/jwa"
	"github.com/lestrrat-go/jwx/v3/jws"
	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/pkg/keystore"
	"github.com/emrys-health/emrys/pkg/pre"
)

func create(t testing.TB, dir string, passphrase []byte) *keystore.Store {
	t.Helper()
	s, err := keystore.Create(dir, passphrase, rand.Reader)
	require.NoError(t, err)
	return s
}

// requireSameKeys demands that two stores hold the same keys.
func requireSameKeys(t *testing.T, a, b *keystore.Store) {
	t.Helper()
	require.True(t, a.Roots().Equal(b.Roots()))
	require.Equal(t, a.Consent().Public(), b.Consent().Public())
	require.Equal(t, a.Enrolment().Public(), b.Enrolment().Public())
	require.True(t, a.Reading().Public().Equal(b.Reading().Public()))
	require.True(t, a.Hybrid().Public().Equal(b.Hybrid().Public()))
}

func requireMode(t *testing.T, path string, want fs.FileMode) {
	t.Helper()
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, want, info.Mode().Perm())
}

func TestAStoreOpensAgainWithTheSameKeys(t *testing.T) {
	t.Parallel()
	for name, passphrase := range map[string][]byte{"unsealed": nil, "sealed": []byte("correct horse battery staple")} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "new", "keys")
			s := create(t, dir, passphrase)
			require.Equal(t, passphrase != nil, s.Sealed())
			requireMode(t, dir, 0o700)
			requireMode(t, s.Path(), 0o600)

			again, err := keystore.Open(dir, passphrase)
			require.NoError(t, err)
			requireSameKeys(t, s, again)
			entries, err := os.ReadDir(dir)
			require.NoError(t, err)
			require.Len(t, entries, 1, "no temporary file may stay")

			_, err = keystore.Create(dir, passphrase, rand.Reader)
			require.ErrorIs(t, err, keystore.ErrExists)
			_, err = keystore.Create(dir, nil, rand.Reader)
			require.ErrorIs(t, err, keystore.ErrExists)
		})
	}
}

func TestASealedFileNamesItsAlgorithmsAndHoldsNoKeyInClear(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := create(t, dir, []byte("p"))
	require.Equal(t, filepath.Join(dir, "keys.jwe"), s.Path())
	raw, err := os.ReadFile(s.Path())
	require.NoError(t, err)
	encoded, _, _ := bytes.Cut(raw, []byte("."))
	var header struct {
		Alg, Enc string
		P2c      int
	}
	decoded, err := base64.RawURLEncoding.DecodeString(string(encoded))
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(decoded, &header))
	require.Equal(t, "PBES2-HS512+A256KW", header.Alg)
	require.Equal(t, "A256CBC-HS512", header.Enc)
	require.GreaterOrEqual(t, header.P2c, 600_000)
	require.NotContains(t, string(raw), base64.RawURLEncoding.EncodeToString(seedOf(s)))
}

func TestAWrongPassphraseOpensNothing(t *testing.T) {
	t.Parallel()
	sealed, plain := t.TempDir(), t.TempDir()
	create(t, sealed, []byte("right"))
	create(t, plain, nil)
	for _, wrong := range []string{"wrong", "right ", "Right"} {
		_, err := keystore.Open(sealed, []byte(wrong))
		require.ErrorIs(t, err, keystore.ErrPassphrase)
		require.NotContains(t, err.Error(), wrong+"\"")
	}
	for _, none := range [][]byte{nil, {}} {
		_, err := keystore.Open(sealed, none)
		require.ErrorIs(t, err, keystore.ErrPassphrase)
	}
	_, err := keystore.Open(plain, []byte("right"))
	require.ErrorIs(t, err, keystore.ErrNotSealed, "a file in clear must not pass for the sealed one")
	_, err = keystore.Create(t.TempDir(), []byte{}, rand.Reader)
	require.ErrorIs(t, err, keystore.ErrPassphrase)
	_, err = keystore.Open(t.TempDir(), nil)
	require.ErrorIs(t, err, keystore.ErrNotFound)
	_, err = keystore.Open(filepath.Join(t.TempDir(), "absent"), nil)
	require.ErrorIs(t, err, keystore.ErrNotFound)
}

func TestThePassphraseCanBeChangedSetAndRemoved(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := create(t, dir, nil)
	for _, passphrase := range [][]byte{[]byte("one"), []byte("two"), nil} {
		require.NoError(t, s.ChangePassphrase(passphrase))
		require.Equal(t, passphrase != nil, s.Sealed())
		again, err := keystore.Open(dir, passphrase)
		require.NoError(t, err)
		requireSameKeys(t, s, again)
		requireMode(t, s.Path(), 0o600)
		entries, err := os.ReadDir(dir)
		require.NoError(t, err)
		require.Len(t, entries, 1)
	}
	require.ErrorIs(t, s.ChangePassphrase([]byte{}), keystore.ErrPassphrase)
	_, err := keystore.Open(dir, nil)
	require.NoError(t, err, "a refused change leaves the file alone")
}

func TestARestoredStoreDerivesTheSameScopeKeys(t *testing.T) {
	t.Parallel()
	old := create(t, t.TempDir(), nil)
	restored, err := keystore.Restore(t.TempDir(), nil, old.Roots(), rand.Reader)
	require.NoError(t, err)
	a, err := old.ScopeKey("private", 3)
	require.NoError(t, err)
	b, err := restored.ScopeKey("private", 3)
	require.NoError(t, err)
	require.True(t, a.Public().Equal(b.Public()))
	direct, err := pre.DeriveScopeKey(seedOf(old), "private", 3)
	require.NoError(t, err)
	require.True(t, a.Public().Equal(direct.Public()))
	signer, err := old.ScopeSigner("private", 3)
	require.NoError(t, err)
	require.False(t, a.Public().Equal(signer.Public()))
	other, err := old.ScopeKey("private", 4)
	require.NoError(t, err)
	require.False(t, a.Public().Equal(other.Public()))
	require.True(t, old.Hybrid().Public().Equal(restored.Hybrid().Public()))
	require.NotEqual(t, old.Consent().Public(), restored.Consent().Public())

	_, err = keystore.Restore(t.TempDir(), nil, keystore.Roots{}, rand.Reader)
	require.ErrorIs(t, err, keystore.ErrMalformed)
	seedOf(old)[0] ^= 1
	again, err := old.ScopeKey("private", 3)
	require.NoError(t, err)
	require.True(t, a.Public().Equal(again.Public()), "the returned seed is a copy")
}

// seedOf returns the first seed of a store.
func seedOf(s *keystore.Store) []byte { return s.Roots().InsecureList()[0].Seed[:] }

func TestTheKeysDoTheirWork(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	create(t, dir, nil)
	s, err := keystore.Open(dir, nil)
	require.NoError(t, err)
	digest := sha256.Sum256([]byte("an action"))

	der, err := s.Consent().Sign(rand.Reader, digest[:], crypto.SHA256)
	require.NoError(t, err)
	public, ok := s.Consent().Public().(*ecdsa.PublicKey)
	require.True(t, ok)
	require.True(t, ecdsa.VerifyASN1(public, digest[:], der))

	raw, err := s.Consent().SignDigest(digest)
	require.NoError(t, err)
	require.Len(t, raw, 64)
	pinned, err := pre.ParsePublicKey(s.Consent().Pinned())
	require.NoError(t, err)
	verifier, err := pinned.ECDSA()
	require.NoError(t, err)
	require.True(t, public.Equal(verifier))
	require.NoError(t, pre.VerifyP256(pinned, digest[:], raw))

	csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, s.Enrolment())
	require.NoError(t, err)
	request, err := x509.ParseCertificateRequest(csr)
	require.NoError(t, err)
	require.NoError(t, request.CheckSignature())

	token, err := jws.Sign([]byte("{}"), jws.WithKey(jwa.ES256(), s.Enrolment()))
	require.NoError(t, err)
	_, err = jws.Verify(token, jws.WithKey(jwa.ES256(), s.Enrolment().Public()))
	require.NoError(t, err)

	peer, err := pre.GeneratePrivateKey(rand.Reader)
	require.NoError(t, err)
	mine, err := s.Reading().ECDH(peer.Public())
	require.NoError(t, err)
	theirs, err := peer.ECDH(s.Reading().Public())
	require.NoError(t, err)
	require.Equal(t, theirs, mine)

	sealed, err := pre.SealTo(s.Hybrid().Public(), []byte("info"), []byte("share"))
	require.NoError(t, err)
	opened, err := s.Hybrid().OpenFrom([]byte("info"), sealed)
	require.NoError(t, err)
	require.Equal(t, []byte("share"), opened)

	ids := map[string]bool{s.Consent().KeyID(): true, s.Enrolment().KeyID(): true}
	require.Len(t, ids, 2)
	require.Regexp(t, regexp.MustCompile("^[0-9a-f]{32}$"), s.Consent().KeyID())
}

func TestGatewayKeysKeepTheSameRules(t *testing.T) {
	t.Parallel()
	for name, passphrase := range map[string][]byte{"unsealed": nil, "sealed": []byte("gateway")} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			g, err := keystore.CreateGateway(dir, passphrase, rand.Reader)
			require.NoError(t, err)
			again, err := keystore.OpenGateway(dir, passphrase)
			require.NoError(t, err)
			require.True(t, g.Proxy().Public().Equal(again.Proxy().Public()))
			require.True(t, g.Record().Public().Equal(again.Record().Public()))
			require.Equal(t, g.Receipt().Public(), again.Receipt().Public())
			require.False(t, g.Proxy().Public().Equal(g.Record().Public()))

			_, err = keystore.CreateGateway(dir, passphrase, rand.Reader)
			require.ErrorIs(t, err, keystore.ErrExists)
			_, err = keystore.OpenGateway(dir, []byte("other"))
			require.Error(t, err)
			_, err = keystore.Open(dir, passphrase)
			require.ErrorIs(t, err, keystore.ErrNotFound, "a person's keys are another file")
			create(t, dir, passphrase)
		})
	}
	dir := t.TempDir()
	_, err := keystore.CreateGateway(dir, nil, rand.Reader)
	require.NoError(t, err)
	requireMode(t, filepath.Join(dir, "gateway-keys.json"), 0o600)
	require.NoError(t, os.Rename(filepath.Join(dir, "gateway-keys.json"), filepath.Join(dir, "keys.json")))
	_, err = keystore.Open(dir, nil)
	require.ErrorIs(t, err, keystore.ErrMalformed)
}

func TestAFailingRandomSourceWritesNothing(t *testing.T) {
	t.Parallel()
	boom := errors.New("boom")
	dir := filepath.Join(t.TempDir(), "keys")
	_, err := keystore.Create(dir, nil, iotest.ErrReader(boom))
	require.ErrorIs(t, err, boom)
	_, err = keystore.CreateGateway(dir, nil, iotest.ErrReader(boom))
	require.ErrorIs(t, err, boom)
	_, err = os.Stat(dir)
	require.ErrorIs(t, err, fs.ErrNotExist)
}

func TestNothingPrintsAKey(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := create(t, dir, nil)
	g, err := keystore.CreateGateway(dir, nil, rand.Reader)
	require.NoError(t, err)
	scope, err := s.ScopeKey("private", 1)
	require.NoError(t, err)

	values := []any{s, *s, s.Consent(), s.Enrolment(), s.Reading(), s.Hybrid(), s.Roots(), scope, g, *g, g.Proxy(), g.Receipt()}
	var out bytes.Buffer
	loggers := []*slog.Logger{slog.New(slog.NewTextHandler(&out, nil)), slog.New(slog.NewJSONHandler(&out, nil))}
	for _, v := range values {
		for _, shown := range []any{v, struct{ K any }{v}, []any{v}, map[string]any{"k": v}} {
			for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
				fmt.Fprintf(&out, verb+"\n", shown)
			}
			for _, l := range loggers {
				l.LogAttrs(context.Background(), slog.LevelInfo, "m", slog.Any("k", shown))
			}
			if b, err := json.Marshal(shown); err == nil {
				out.Write(b)
			}
		}
	}
	for _, file := range []string{"keys.json", "gateway-keys.json"} {
		for _, secret := range secretsIn(t, filepath.Join(dir, file)) {
			requireAbsent(t, out.String(), secret)
		}
	}
	requireAbsent(t, out.String(), scope.InsecureBytes())
	require.Contains(t, out.String(), s.Consent().KeyID())
	for _, v := range []any{s, g, s.Consent(), s.Reading()} {
		_, err := json.Marshal(v)
		require.Error(t, err)
	}
}

// secretsIn returns every key that a file in clear holds.
func secretsIn(t *testing.T, path string) [][]byte {
	t.Helper()
	raw, err := os.ReadFile(path)
	require.NoError(t, err)
	fields := make(map[string]any)
	require.NoError(t, json.Unmarshal(raw, &fields))
	var secrets [][]byte
	for name, value := range fields {
		if name == "v" || name == "kind" {
			continue
		}
		text, ok := value.(string)
		if name == "roots" {
			text, ok = value.([]any)[0].(map[string]any)["seed"].(string)
		}
		require.True(t, ok)
		b, err := base64.RawURLEncoding.DecodeString(text)
		require.NoError(t, err)
		require.Len(t, b, 32)
		secrets = append(secrets, b)
	}
	require.NotEmpty(t, secrets)
	return secrets
}

// requireAbsent looks for a secret, or a part of it, in the ways that it could be printed.
func requireAbsent(t *testing.T, text string, secret []byte) {
	t.Helper()
	part := secret[8:24]
	decimal := fmt.Sprint(part)
	goSyntax := fmt.Sprintf("%#v", part)
	for _, form := range []string{
		hex.EncodeToString(part), fmt.Sprintf("%X", part), decimal[1 : len(decimal)-1], goSyntax[7 : len(goSyntax)-1],
		base64.StdEncoding.EncodeToString(secret)[:40], base64.RawURLEncoding.EncodeToString(secret)[:40], string(part),
	} {
		require.NotContains(t, text, form)
	}
}
