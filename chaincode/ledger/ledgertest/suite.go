// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledgertest

import (
	"crypto/sha256"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/chaincode/ledger"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// Store is an implementation of the ledger's interfaces under test.
type Store interface {
	// Begin starts a transaction; commit makes its writes visible.
	Begin(t *testing.T) (s ledger.State, commit func())
	// View starts a query.
	View(t *testing.T) ledger.Reader
}

// Suite checks what the rules rely on: reads see committed state only, keys are
// unambiguous, private values can be purged and are known by their existence, and
// scans stay inside their prefix and can be continued.
func Suite(t *testing.T, open func(t *testing.T) Store) {
	t.Helper()
	t.Run("a transaction does not see its own writes", func(t *testing.T) { suiteIsolation(t, open(t)) })
	t.Run("keys that would collide when joined are different keys", func(t *testing.T) { suiteKeys(t, open(t)) })
	t.Run("a key with a separator inside is refused", func(t *testing.T) { suiteSeparator(t, open(t)) })
	t.Run("a private value can be put, is known to exist, and is purged", func(t *testing.T) { suitePrivate(t, open(t)) })
	t.Run("a scan returns the entries of its prefix in order", func(t *testing.T) { suiteScan(t, open(t)) })
	t.Run("a scan is continued from where it ended", func(t *testing.T) { suiteContinue(t, open(t)) })
}

func key(typ string, attributes ...string) ledgerapi.Key {
	return ledgerapi.Key{Type: typ, Attributes: attributes}
}

func write(t *testing.T, store Store, keys ...ledgerapi.Key) {
	t.Helper()
	s, commit := store.Begin(t)
	for _, k := range keys {
		require.NoError(t, s.Put(k, fmt.Appendf(nil, "%s %q", k.Type, k.Attributes)))
	}
	commit()
}

func suiteIsolation(t *testing.T, store Store) {
	s, commit := store.Begin(t)
	before, err := s.Get(key("a", "1"))
	require.NoError(t, err)
	require.Nil(t, before)
	require.NoError(t, s.Put(key("a", "1"), []byte("x")))
	within, err := s.Get(key("a", "1"))
	require.NoError(t, err)
	require.Nil(t, within)
	commit()
	after, err := store.View(t).Get(key("a", "1"))
	require.NoError(t, err)
	require.Equal(t, []byte("x"), after)
}

func suiteKeys(t *testing.T, store Store) {
	keys := []ledgerapi.Key{key("a", "b", "c"), key("ab", "c"), key("a", "bc"), key("a", "b"), key("abc", "")}
	write(t, store, keys...)
	for _, k := range keys {
		got, err := store.View(t).Get(k)
		require.NoError(t, err)
		require.Equal(t, fmt.Sprintf("%s %q", k.Type, k.Attributes), string(got))
	}
}

func suiteSeparator(t *testing.T, store Store) {
	s, _ := store.Begin(t)
	for _, bad := range []string{"x\x00y", "x\U0010FFFFy", "x\xffy"} {
		require.Error(t, s.Put(key("a", bad), []byte("x")))
		_, err := s.Get(key("a", bad))
		require.Error(t, err)
		require.Error(t, s.PutPrivate(key("a", bad), []byte("x")))
		_, err = s.HasPrivate(key("a", bad))
		require.Error(t, err)
		require.Error(t, s.PurgePrivate(key("a", bad)))
	}
}

func suitePrivate(t *testing.T, store Store) {
	k := key("secret", "1")
	has := func() bool {
		s, _ := store.Begin(t)
		found, err := s.HasPrivate(k)
		require.NoError(t, err)
		return found
	}
	require.False(t, has())
	s, commit := store.Begin(t)
	require.NoError(t, s.PutPrivate(k, []byte("hidden")))
	commit()
	require.True(t, has())
	got, err := store.View(t).GetPrivate(k)
	require.NoError(t, err)
	require.Equal(t, []byte("hidden"), got)
	hash, err := store.View(t).PrivateHash(k)
	require.NoError(t, err)
	want := sha256.Sum256([]byte("hidden"))
	require.Equal(t, want[:], hash)
	public, err := store.View(t).Get(k)
	require.NoError(t, err)
	require.Nil(t, public)
	s, commit = store.Begin(t)
	require.NoError(t, s.PurgePrivate(k))
	commit()
	require.False(t, has())
	got, err = store.View(t).GetPrivate(k)
	require.NoError(t, err)
	require.Nil(t, got)
	hash, err = store.View(t).PrivateHash(k)
	require.NoError(t, err)
	require.Nil(t, hash)
}

func suiteScan(t *testing.T, store Store) {
	write(t, store,
		key("i", "p", "3"), key("i", "p", "1"), key("i", "p", "2"),
		key("i", "o", "1"), key("i", "pp", "1"), key("i", "q", "1"), key("j", "p", "1"), key("ip", "1"))
	entries, next, err := store.View(t).Scan(key("i", "p"), nil, 10)
	require.NoError(t, err)
	require.Nil(t, next)
	var got []ledgerapi.Key
	for _, e := range entries {
		got = append(got, e.Key)
		require.Equal(t, fmt.Sprintf("%s %q", e.Key.Type, e.Key.Attributes), string(e.Value))
	}
	require.Equal(t, []ledgerapi.Key{key("i", "p", "1"), key("i", "p", "2"), key("i", "p", "3")}, got)
}

func suiteContinue(t *testing.T, store Store) {
	var keys []ledgerapi.Key
	for i := range 7 {
		keys = append(keys, key("i", "p", fmt.Sprintf("%02d", i)))
	}
	write(t, store, append(keys, key("i", "q", "00"))...)
	var got []ledgerapi.Key
	var from *ledgerapi.Key
	for range 4 {
		entries, next, err := store.View(t).Scan(key("i", "p"), from, 2)
		require.NoError(t, err)
		for _, e := range entries {
			got = append(got, e.Key)
		}
		from = next
	}
	require.Nil(t, from)
	require.Equal(t, keys, got)
	missing := key("i", "p", "035") // between two keys
	entries, _, err := store.View(t).Scan(key("i", "p"), &missing, 1)
	require.NoError(t, err)
	require.Equal(t, keys[4], entries[0].Key)
}
