//go:build pkcs11

// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package pkcs11_test

import (
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/pkg/keystore"
	"github.com/emrys-health/emrys/pkg/keystore/keystoretest"
	"github.com/emrys-health/emrys/pkg/keystore/pkcs11"
	"github.com/emrys-health/emrys/pkg/pre"
)

const (
	module = "/usr/lib/softhsm/libsofthsm2.so"
	pin    = "648219"
)

// TestMain gives SoftHSM a folder of its own. The library reads it once in a process.
func TestMain(m *testing.M) {
	if _, err := os.Stat(module); err != nil {
		fmt.Fprintln(os.Stderr, "these tests need SoftHSM: install Debian's package softhsm2")
		os.Exit(1)
	}
	dir, err := os.MkdirTemp("", "softhsm")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	conf := filepath.Join(dir, "softhsm2.conf")
	content := "directories.tokendir = " + dir + "\nobjectstore.backend = file\nlog.level = ERROR\n"
	if err := errors.Join(os.WriteFile(conf, []byte(content), 0o600), os.Setenv("SOFTHSM2_CONF", conf)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// token makes an empty token.
func token(t *testing.T, label string) pkcs11.Config {
	t.Helper()
	out, err := exec.Command("softhsm2-util", "--init-token", "--free", "--label", label, "--pin", pin, "--so-pin", "12345678").CombinedOutput()
	require.NoError(t, err, string(out))
	return config(t, label, pin)
}

func config(t *testing.T, label, pin string) pkcs11.Config {
	t.Helper()
	return pkcs11.Config{Module: module, Token: label, Dir: t.TempDir(), PIN: func() ([]byte, error) { return []byte(pin), nil }}
}

func roots(t *testing.T) keystore.Roots {
	t.Helper()
	r, err := keystore.NewRoots(rand.Reader)
	require.NoError(t, err)
	return r
}

// The library lists the tokens that were there when it was initialised, so all of them are made first, and the tests run in order.
func TestToken(t *testing.T) {
	main, spare, empty := token(t, "main"), token(t, "spare"), token(t, "empty")
	r := roots(t)
	made, err := pkcs11.Create(main, r)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, made.Close()) })
	var again keystore.Keys
	keystoretest.Run(t, r, func(t *testing.T) keystore.Keys {
		if again == nil {
			opened, err := pkcs11.Open(main)
			require.NoError(t, err)
			again = opened
			return made
		}
		return again
	})
	t.Run("it keeps the seed", func(t *testing.T) { require.True(t, r.Equal(again.(*pkcs11.Token).Roots())) })
	t.Run("keys are never replaced", func(t *testing.T) { neverReplaced(t, main, spare) })
	t.Run("what is missing is said", func(t *testing.T) { missing(t, main, empty) })
	t.Run("a file of another token is refused", func(t *testing.T) { foreign(t, main, spare) })
	t.Run("a closed token does nothing", func(t *testing.T) { closed(t, main) })
	t.Run("a wrong PIN is tried once", func(t *testing.T) { wrongPIN(t) })
}

func neverReplaced(t *testing.T, main, spare pkcs11.Config) {
	before, err := os.ReadFile(filepath.Join(main.Dir, "roots.sealed"))
	require.NoError(t, err)
	_, err = pkcs11.Create(main, roots(t))
	require.ErrorIs(t, err, keystore.ErrExists)
	elsewhere := main
	elsewhere.Dir = t.TempDir()
	_, err = pkcs11.Create(elsewhere, roots(t))
	require.ErrorIs(t, err, keystore.ErrExists, "the token holds keys")
	beside := spare
	beside.Dir = main.Dir
	_, err = pkcs11.Create(beside, roots(t))
	require.ErrorIs(t, err, keystore.ErrExists, "the directory holds a seed")
	after, err := os.ReadFile(filepath.Join(main.Dir, "roots.sealed"))
	require.NoError(t, err)
	require.Equal(t, before, after)
	opened, err := pkcs11.Open(main)
	require.NoError(t, err)
	require.NoError(t, opened.Close())
}

func missing(t *testing.T, main, empty pkcs11.Config) {
	noModule := main
	noModule.Module = filepath.Join(t.TempDir(), "absent.so")
	_, err := pkcs11.Open(noModule)
	require.ErrorIs(t, err, pkcs11.ErrToken)
	require.ErrorContains(t, err, "absent.so")
	_, err = pkcs11.Open(config(t, "nobody", pin))
	require.ErrorIs(t, err, pkcs11.ErrToken)
	require.ErrorContains(t, err, `"nobody"`)
	_, err = pkcs11.Open(empty)
	require.ErrorIs(t, err, keystore.ErrNotFound)
	noFile := main
	noFile.Dir = t.TempDir()
	_, err = pkcs11.Open(noFile)
	require.ErrorIs(t, err, keystore.ErrNotFound)
	silent := main
	silent.PIN = nil
	_, err = pkcs11.Open(silent)
	require.ErrorIs(t, err, keystore.ErrPassphrase)
	boom := errors.New("boom")
	silent.PIN = func() ([]byte, error) { return nil, boom }
	_, err = pkcs11.Open(silent)
	require.ErrorIs(t, err, boom)

	unwritable := empty
	unwritable.Dir = filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(unwritable.Dir, nil, 0o600))
	_, err = pkcs11.Create(unwritable, roots(t))
	require.Error(t, err)
	made, err := pkcs11.Create(empty, roots(t))
	require.NoError(t, err, "a failure leaves no objects behind")
	require.NoError(t, made.Close())
}

func foreign(t *testing.T, main, spare pkcs11.Config) {
	made, err := pkcs11.Create(spare, roots(t))
	require.NoError(t, err)
	defer made.Close()
	path := filepath.Join(spare.Dir, "roots.sealed")
	good, err := os.ReadFile(path)
	require.NoError(t, err)
	other, err := os.ReadFile(filepath.Join(main.Dir, "roots.sealed"))
	require.NoError(t, err)
	flipped := append([]byte(nil), good...)
	flipped[len(flipped)-1] ^= 1
	newer := append([]byte(nil), good...)
	newer[0] = 2
	for name, content := range map[string][]byte{
		"another token's": other, "altered": flipped, "of another version": newer, "cut off": good[:len(good)-1], "nothing": nil, "a header": good[:13],
		"too long": append(good, make([]byte, 70<<10)...),
	} {
		require.NoError(t, os.WriteFile(path, content, 0o600))
		_, err := pkcs11.Open(spare)
		require.ErrorIs(t, err, keystore.ErrMalformed, name)
	}
}

func closed(t *testing.T, main pkcs11.Config) {
	opened, err := pkcs11.Open(main)
	require.NoError(t, err)
	require.NoError(t, opened.Close())
	require.NoError(t, opened.Close())
	_, err = opened.Consent().SignDigest(sha256.Sum256(nil))
	require.ErrorIs(t, err, pkcs11.ErrToken)
	peer, err := pre.GeneratePrivateKey(nil)
	require.NoError(t, err)
	_, err = opened.Reading().ECDH(peer.Public())
	require.ErrorIs(t, err, pkcs11.ErrToken)
}

// wrongPIN runs in another process, where nobody is logged in yet.
func wrongPIN(t *testing.T) {
	if os.Getenv("EMRYS_WRONG_PIN") == "" {
		command := exec.Command(os.Args[0], "-test.run", "^TestWrongPIN$")
		command.Env = append(os.Environ(), "EMRYS_WRONG_PIN=1")
		out, err := command.CombinedOutput()
		require.NoError(t, err, string(out))
		require.NotContains(t, string(out), "999999")
	}
}

func TestWrongPIN(t *testing.T) {
	if os.Getenv("EMRYS_WRONG_PIN") == "" {
		t.Skip("run by TestToken, in a process of its own")
	}
	asked := 0
	c := token(t, "guarded")
	c.PIN = func() ([]byte, error) { asked++; return []byte("999999"), nil }
	_, err := pkcs11.Open(c)
	require.ErrorIs(t, err, keystore.ErrPassphrase)
	require.NotContains(t, err.Error(), "999999")
	require.Equal(t, 1, asked)
}
