// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package keystore_test

import (
	"bytes"
	"crypto/fips140"
	"crypto/rand"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/lestrrat-go/jwx/v3/jwa"
	"github.com/lestrrat-go/jwx/v3/jwe"
	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/pkg/keystore"
)

var rootsInDocument = regexp.MustCompile(`(?s)"roots": \[\s*\{\s*"from": 1,\s*"seed": ("[^"]*")\s*\}\s*\]`)

// version1 rewrites a document with one seed into the form of version 1.
func version1(document string) string {
	return strings.Replace(rootsInDocument.ReplaceAllString(document, `"root": $1`), `"v": 2,`, `"v": 1,`, 1)
}

func TestAFileOfVersion1OpensAndIsWrittenAnew(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := create(t, dir, nil)
	raw, err := os.ReadFile(s.Path())
	require.NoError(t, err)
	old := version1(string(raw))
	require.Contains(t, old, `"root": "`)
	require.NoError(t, os.WriteFile(s.Path(), []byte(old), 0o600))

	opened, err := keystore.Open(dir, nil)
	require.NoError(t, err)
	requireSameKeys(t, s, opened)
	require.Equal(t, []uint32{1}, opened.Roots().Generations())
	require.NoError(t, opened.ChangePassphrase(nil))
	again, err := os.ReadFile(s.Path())
	require.NoError(t, err)
	require.Equal(t, raw, again, "the next write is of this version")

	for name, bad := range map[string]string{
		"version 2 in the old form": strings.Replace(old, `"v": 1`, `"v": 2`, 1),
		"version 1 in the new form": strings.Replace(string(raw), `"v": 2`, `"v": 1`, 1),
		"another kind":              strings.Replace(old, "emrys-keys", "emrys-key", 1),
		"a null seed":               regexp.MustCompile(`"root": "[^"]*"`).ReplaceAllString(old, `"root": null`),
	} {
		require.NoError(t, os.WriteFile(s.Path(), []byte(bad), 0o600))
		_, err = keystore.Open(dir, nil)
		require.ErrorIs(t, err, keystore.ErrMalformed, name)
	}
}

func TestAFileSealedWithGCMOpensUnlessTheStrictModeRefuses(t *testing.T) {
	t.Parallel()
	if fips140.Enforced() {
		t.Skip("the strict FIPS 140-3 mode cannot make such a file")
	}
	dir := t.TempDir()
	sealed, err := jwe.Encrypt([]byte(document(t)), jwe.WithKey(jwa.PBES2_HS512_A256KW(), []byte("p")),
		jwe.WithContentEncryption(jwa.A256GCM()), jwe.WithPBES2Count(600_000))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "keys.jwe"), sealed, 0o600))
	s, err := keystore.Open(dir, []byte("p"))
	require.NoError(t, err)
	require.NoError(t, s.ChangePassphrase([]byte("p")))
	raw, err := os.ReadFile(s.Path())
	require.NoError(t, err)
	require.NotEqual(t, sealed[:60], raw[:60], "the next write has the new form")
	again, err := keystore.Open(dir, []byte("p"))
	require.NoError(t, err)
	requireSameKeys(t, s, again)
}

func TestARotatedSeedServesTheNewEpochsAndTheOldOneTheOld(t *testing.T) {
	t.Parallel()
	for name, passphrase := range map[string][]byte{"unsealed": nil, "sealed": []byte("p")} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			before := create(t, dir, passphrase)
			after, err := before.Rotate(passphrase, 4, rand.Reader)
			require.NoError(t, err)
			reopened, err := keystore.Open(dir, passphrase)
			require.NoError(t, err)
			requireSameKeys(t, after, reopened)
			require.Equal(t, []uint32{1, 4}, after.Roots().Generations())
			for epoch, same := range map[uint32]bool{1: true, 3: true, 4: false, 9: false} {
				for _, derive := range []func(*keystore.Store) []byte{
					func(s *keystore.Store) []byte {
						k, err := s.ScopeKey("private", epoch)
						require.NoError(t, err)
						return k.Public().Bytes()
					},
					func(s *keystore.Store) []byte {
						k, err := s.ScopeSigner("private", epoch)
						require.NoError(t, err)
						return k.Public().Bytes()
					},
				} {
					require.Equal(t, same, bytes.Equal(derive(before), derive(reopened)), "epoch %d", epoch)
				}
			}
			require.True(t, before.Hybrid().Public().Equal(after.Hybrid().Public()), "old copies still open")
			require.Equal(t, before.Consent().Public(), after.Consent().Public())

			_, err = before.Rotate(passphrase, 5, rand.Reader)
			require.ErrorIs(t, err, keystore.ErrMalformed, "the file is not the one that was opened")
			for _, from := range []uint32{0, 1, 4} {
				_, err = reopened.Rotate(passphrase, from, rand.Reader)
				require.ErrorIs(t, err, keystore.ErrEpoch)
			}
			_, err = reopened.Rotate([]byte("other"), 5, rand.Reader)
			require.Error(t, err)
			boom := errors.New("boom")
			_, err = reopened.Rotate(passphrase, 5, iotest.ErrReader(boom))
			require.ErrorIs(t, err, boom)
			last, err := keystore.Open(dir, passphrase)
			require.NoError(t, err)
			requireSameKeys(t, reopened, last)
		})
	}
	s := create(t, t.TempDir(), nil)
	_, err := s.ScopeKey("private", 0)
	require.ErrorIs(t, err, keystore.ErrEpoch)
	_, err = s.ScopeSigner("private", 0)
	require.ErrorIs(t, err, keystore.ErrEpoch)
}

// generations makes roots with these first epochs.
func generations(t testing.TB, from ...uint32) keystore.Roots {
	t.Helper()
	list := make([]keystore.InsecureRoot, len(from))
	for i, f := range from {
		list[i] = keystore.InsecureRoot{From: f, Seed: [32]byte{byte(i + 1), 7}}
	}
	r, err := keystore.RootsOf(list)
	require.NoError(t, err)
	return r
}

func TestSeedGenerationsHaveOneEncoding(t *testing.T) {
	t.Parallel()
	many := make([]uint32, keystore.MaxRoots)
	for i := range many {
		many[i] = uint32(i + 1) //nolint:gosec // small
	}
	checks := map[string]bool{}
	for _, r := range []keystore.Roots{generations(t, 1), generations(t, 1, 5), generations(t, 1, 6), generations(t, many...)} {
		b := r.InsecureMarshal()
		require.Len(t, b, 2+36*len(r.Generations()))
		again, err := keystore.ParseRoots(b)
		require.NoError(t, err)
		require.True(t, r.Equal(again))
		back, err := keystore.RootsOf(r.InsecureList())
		require.NoError(t, err)
		require.True(t, r.Equal(back))
		check, err := again.Check()
		require.NoError(t, err)
		require.Len(t, check, 32)
		require.False(t, checks[string(check)])
		checks[string(check)] = true
	}
	good := generations(t, 1, 5).InsecureMarshal()
	change := func(at int, v byte) []byte { b := bytes.Clone(good); b[at] = v; return b }
	for name, b := range map[string][]byte{
		"nothing": nil, "a header": {1}, "none": {1, 0}, "another version": change(0, 2), "one more": change(1, 3), "one less": change(1, 1),
		"a byte short": good[:len(good)-1], "a byte left over": append(bytes.Clone(good), 0), "a first epoch of 2": change(5, 2),
		"an epoch that does not rise": change(41, 1), "a repeated seed": append(bytes.Clone(good[:42]), good[6:38]...),
	} {
		_, err := keystore.ParseRoots(b)
		require.ErrorIs(t, err, keystore.ErrMalformed, name)
	}
	_, err := keystore.RootsOf(nil)
	require.ErrorIs(t, err, keystore.ErrMalformed)
}

func FuzzParseRoots(f *testing.F) {
	f.Add(generations(f, 1).InsecureMarshal())
	f.Add(generations(f, 1, 9).InsecureMarshal())
	f.Add([]byte{1, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := keystore.ParseRoots(b)
		if err != nil {
			require.ErrorIs(t, err, keystore.ErrMalformed)
			return
		}
		require.Equal(t, b, r.InsecureMarshal())
	})
}
