// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package keystore_test

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lestrrat-go/jwx/v3/jwa"
	"github.com/lestrrat-go/jwx/v3/jwe"
	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/pkg/keystore"
)

func TestAFileThatOthersCanReachIsRefusedWithTheCure(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := create(t, dir, nil).Path()
	for _, mode := range []os.FileMode{0o640, 0o604, 0o644, 0o620, 0o660, 0o602, 0o666, 0o700, 0o601} {
		require.NoError(t, os.Chmod(path, mode))
		_, err := keystore.Open(dir, nil)
		require.ErrorIs(t, err, keystore.ErrInsecure, "%04o", mode)
		require.Contains(t, err.Error(), "chmod 600 "+path)
	}
	require.NoError(t, os.Chmod(path, 0o400))
	_, err := keystore.Open(dir, nil)
	require.NoError(t, err)

	require.NoError(t, os.Chmod(path, 0o600))
	for _, mode := range []os.FileMode{0o770, 0o707, 0o777} {
		require.NoError(t, os.Chmod(dir, mode)) //nolint:gosec // the wrong mode is the point
		_, err := keystore.Open(dir, nil)
		require.ErrorIs(t, err, keystore.ErrInsecure)
		require.Contains(t, err.Error(), "chmod 700 "+dir)
		_, err = keystore.CreateGateway(dir, nil, rand.Reader)
		require.ErrorIs(t, err, keystore.ErrInsecure)
	}
}

func TestOnlyARegularFileIsOpened(t *testing.T) {
	t.Parallel()
	real := create(t, t.TempDir(), nil).Path()
	linked := t.TempDir()
	require.NoError(t, os.Symlink(real, filepath.Join(linked, "keys.json")))
	_, err := keystore.Open(linked, nil)
	require.ErrorIs(t, err, keystore.ErrInsecure)
	_, err = keystore.Create(linked, nil, rand.Reader)
	require.ErrorIs(t, err, keystore.ErrExists)

	dangling := t.TempDir()
	victim := filepath.Join(dangling, "victim")
	require.NoError(t, os.Symlink(victim, filepath.Join(dangling, "keys.json")))
	_, err = keystore.Create(dangling, nil, rand.Reader)
	require.ErrorIs(t, err, keystore.ErrExists)
	_, err = os.Stat(victim)
	require.ErrorIs(t, err, os.ErrNotExist, "nothing may be written through a link")

	folder := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(folder, "keys.json"), 0o700))
	_, err = keystore.Open(folder, nil)
	require.ErrorIs(t, err, keystore.ErrInsecure)

	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	_, err = keystore.Create(file, nil, rand.Reader)
	require.Error(t, err)
}

func TestTwoFormsOfTheFileAreRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := create(t, dir, nil).Path()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "keys.jwe"), []byte("x"), 0o600))
	_, err := keystore.Open(dir, nil)
	require.ErrorIs(t, err, keystore.ErrMalformed)
	require.Contains(t, err.Error(), path)
}

// document is a good document, to make bad ones from.
func document(t testing.TB) string {
	t.Helper()
	raw, err := os.ReadFile(create(t, t.TempDir(), nil).Path())
	require.NoError(t, err)
	return string(raw)
}

func TestADocumentIsAcceptedInOneFormOnly(t *testing.T) {
	t.Parallel()
	good := document(t)
	line := func(name string) string { // one line of the document
		for l := range strings.Lines(good) {
			if strings.Contains(l, `"`+name+`"`) {
				return l
			}
		}
		return ""
	}
	value := func(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }
	set := func(name, v string) string {
		end := ",\n"
		if name == "seed" {
			end = "\n"
		}
		return strings.Replace(good, line(name), strings.Split(line(name), `"`)[0]+fmt.Sprintf("%q: %q", name, v)+end, 1)
	}
	roots := func(v string) string {
		before, rest, _ := strings.Cut(good, `"roots": `)
		_, after, _ := strings.Cut(rest, "],")
		return before + `"roots": ` + v + "," + after
	}
	require.Equal(t, good, set("seed", strings.Split(line("seed"), `"`)[3]), "the helper changes nothing else")
	order := bytes.Repeat([]byte{0xff}, 32)
	cases := map[string]string{
		"nothing":                       "",
		"null":                          "null\n",
		"an empty object":               "{}\n",
		"an array":                      "[]\n",
		"cut off":                       good[:len(good)/2],
		"an unknown version":            strings.Replace(good, `"v": 2`, `"v": 3`, 1),
		"version zero":                  strings.Replace(good, `"v": 2`, `"v": 0`, 1),
		"another kind":                  strings.Replace(good, "emrys-keys", "emrys-gateway-keys", 1),
		"an unknown field":              strings.Replace(good, line("kind"), line("kind")+"  \"extra\": 1,\n", 1),
		"a repeated field":              strings.Replace(good, line("consent"), line("consent")+line("consent"), 1),
		"a missing key":                 strings.Replace(good, line("reading"), "", 1),
		"a null key":                    strings.Replace(good, line("consent"), "  \"consent\": null,\n", 1),
		"null for the seeds":            roots("null"),
		"no seed":                       roots("[]"),
		"a null seed":                   roots("[\n    {\n      \"from\": 1,\n      \"seed\": null\n    }\n  ]"),
		"another case":                  strings.Replace(good, `"roots"`, `"Roots"`, 1),
		"other white space":             strings.Replace(good, "\n", "\n ", 1),
		"another order":                 strings.Replace(strings.Replace(good, line("consent"), "", 1), line("kind"), line("consent")+line("kind"), 1),
		"something after the end":       good + "{}",
		"a bracket after the end":       good + "}",
		"a short key":                   set("seed", value(make([]byte, 31))),
		"a long key":                    set("seed", value(make([]byte, 33))),
		"a key that is not base64url":   set("seed", "!"),
		"padded base64":                 set("seed", base64.URLEncoding.EncodeToString(make([]byte, 32))),
		"unused bits set":               set("seed", value(make([]byte, 32))[:42]+"B"),
		"a consent scalar of zero":      set("consent", value(make([]byte, 32))),
		"a consent scalar too large":    set("consent", value(order)),
		"a reading scalar of zero":      set("reading", value(make([]byte, 32))),
		"a reading scalar too large":    set("reading", value(order)),
		"an enrolment scalar too large": set("enrolment", value(order)),
		"a number for a key":            strings.Replace(good, line("consent"), "  \"consent\": 7,\n", 1),
		"a first seed of epoch 2":       strings.Replace(good, `"from": 1`, `"from": 2`, 1),
		"a first seed of epoch 0":       strings.Replace(good, `"from": 1`, `"from": 0`, 1),
		"an epoch that is no number":    strings.Replace(good, `"from": 1`, `"from": "1"`, 1),
		"a very long file":              good + strings.Repeat(" ", 1<<17),
	}
	for name, content := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.NotEqual(t, good, content)
			dir := t.TempDir()
			require.NoError(t, os.WriteFile(filepath.Join(dir, "keys.json"), []byte(content), 0o600))
			_, err := keystore.Open(dir, nil)
			require.ErrorIs(t, err, keystore.ErrMalformed)
			for _, secret := range strings.Fields(good) {
				if len(secret) > 30 {
					require.NotContains(t, err.Error(), strings.Trim(secret, `",`))
				}
			}
		})
	}
}

func TestASealedFileCannotAskForOtherWork(t *testing.T) {
	t.Parallel()
	passphrase := []byte("p")
	plain := []byte(document(t))
	encrypt := func(options ...jwe.EncryptOption) []byte {
		sealed, err := jwe.Encrypt(plain, options...)
		require.NoError(t, err)
		return sealed
	}
	password := jwe.WithKey(jwa.PBES2_HS512_A256KW(), passphrase)
	cbc := jwe.WithContentEncryption(jwa.A256CBC_HS512())
	good := encrypt(password, cbc, jwe.WithPBES2Count(600_000))
	header, rest, _ := strings.Cut(string(good), ".")
	decoded, err := base64.RawURLEncoding.DecodeString(header)
	require.NoError(t, err)
	withHeader := func(from, to string) []byte {
		changed := strings.Replace(string(decoded), from, to, 1)
		require.NotEqual(t, string(decoded), changed)
		return []byte(base64.RawURLEncoding.EncodeToString([]byte(changed)) + "." + rest)
	}
	cases := map[string][]byte{
		"few iterations":           encrypt(password, cbc, jwe.WithPBES2Count(599_999)),
		"endless iterations":       withHeader(`"p2c":600000`, `"p2c":2147483647`),
		"negative iterations":      withHeader(`"p2c":600000`, `"p2c":-1`),
		"fractional iterations":    withHeader(`"p2c":600000`, `"p2c":600000.5`),
		"another key wrap":         encrypt(jwe.WithKey(jwa.PBES2_HS256_A128KW(), passphrase), cbc, jwe.WithPBES2Count(600_000)),
		"another cipher":           encrypt(password, jwe.WithContentEncryption(jwa.A128CBC_HS256()), jwe.WithPBES2Count(600_000)),
		"direct encryption":        encrypt(jwe.WithKey(jwa.DIRECT(), make([]byte, 64)), cbc),
		"compressed content":       withHeader(`{`, `{"zip":"DEF",`),
		"a critical extension":     withHeader(`{`, `{"crit":["x"],`),
		"a header that is no JSON": []byte(base64.RawURLEncoding.EncodeToString([]byte("{")) + "." + rest),
		"a header that is no text": []byte("!!!." + rest),
		"too few parts":            []byte(header + "." + "a.b"),
		"too many parts":           append(bytes.Clone(good), ".a"...),
		"the JSON form of JWE":     encrypt(password, cbc, jwe.WithPBES2Count(600_000), jwe.WithJSON()),
		"the document in clear":    plain,
		"nothing":                  nil,
		"a salt that is too short": encryptSalt(t, withHeader),
	}
	for name, content := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			require.NoError(t, os.WriteFile(filepath.Join(dir, "keys.jwe"), content, 0o600))
			begin := time.Now()
			_, err := keystore.Open(dir, passphrase)
			require.ErrorIs(t, err, keystore.ErrMalformed)
			require.Less(t, time.Since(begin), 5*time.Second)
		})
	}
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "keys.jwe"), good, 0o600))
	_, err = keystore.Open(dir, passphrase)
	require.NoError(t, err, "the unchanged one opens")
}

// encryptSalt shortens the salt in a header.
func encryptSalt(t *testing.T, withHeader func(from, to string) []byte) []byte {
	t.Helper()
	return withHeader(`"p2s":"`, `"p2s":"AAAA","x":"`)
}

func TestAnAlteredSealedFileOpensNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := create(t, dir, []byte("p")).Path()
	good, err := os.ReadFile(path)
	require.NoError(t, err)
	parts := strings.Split(strings.TrimSpace(string(good)), ".")
	require.Len(t, parts, 5)
	for i := 1; i < len(parts); i++ { // wrapped key, nonce, ciphertext, tag
		changed := []byte(parts[i])
		changed[len(changed)/2] ^= 0x01 // stays base64url or not: refused either way
		bad := append([]string(nil), parts...)
		bad[i] = string(changed)
		require.NoError(t, os.WriteFile(path, []byte(strings.Join(bad, ".")), 0o600))
		_, err := keystore.Open(dir, []byte("p"))
		require.ErrorIs(t, err, keystore.ErrPassphrase, "part %d", i)
	}
}

func FuzzOpen(f *testing.F) {
	good := document(f)
	f.Add([]byte(good))
	f.Add([]byte(strings.Replace(good, `"v": 2`, `"v": 3`, 1)))
	f.Add([]byte("{}"))
	f.Add([]byte(`{"v":1,"kind":"emrys-keys","root":"","consent":"","enrolment":"","reading":""}`))
	f.Add([]byte(version1(good)))
	f.Fuzz(func(t *testing.T, content []byte) {
		dir := t.TempDir()
		path := filepath.Join(dir, "keys.json")
		require.NoError(t, os.WriteFile(path, content, 0o600))
		s, err := keystore.Open(dir, nil)
		if err != nil {
			require.ErrorIs(t, err, keystore.ErrMalformed)
			return
		}
		require.NoError(t, s.ChangePassphrase(nil))
		again, err := os.ReadFile(path)
		require.NoError(t, err)
		if strings.Contains(string(content), `"v": 1,`) {
			require.Equal(t, string(content), version1(string(again)), "one store has one encoding of version 1")
			return
		}
		require.Equal(t, content, again, "one store has one encoding")
	})
}

// FuzzOpenSealed never reaches the key derivation with more than the allowed work: the header decides before.
func FuzzOpenSealed(f *testing.F) {
	f.Add([]byte("a.b.c.d.e"))
	f.Add([]byte(base64.RawURLEncoding.EncodeToString([]byte(
		`{"alg":"PBES2-HS512+A256KW","enc":"A256GCM","p2c":2000000000,"p2s":"AAAAAAAAAAAAAAAA"}`)) + ".a.b.c.d"))
	f.Add([]byte(base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"dir","enc":"A256GCM"}`)) + "..b.c.d"))
	f.Fuzz(func(t *testing.T, content []byte) {
		dir := t.TempDir()
		require.NoError(t, os.WriteFile(filepath.Join(dir, "keys.jwe"), content, 0o600))
		_, err := keystore.Open(dir, []byte("p"))
		require.Error(t, err)
	})
}
