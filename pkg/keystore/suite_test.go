// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package keystore_test

import (
	"crypto/rand"
	"errors"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/pkg/keystore"
	"github.com/emrys-health/emrys/pkg/keystore/keystoretest"
)

func freshRoots(t *testing.T) keystore.Roots {
	t.Helper()
	r, err := keystore.NewRoots(rand.Reader)
	require.NoError(t, err)
	return r
}

func TestMemoryKeepsTheContract(t *testing.T) {
	t.Parallel()
	roots := freshRoots(t)
	m, err := keystore.NewMemory(roots, rand.Reader)
	require.NoError(t, err)
	require.True(t, roots.Equal(m.Roots()))
	keystoretest.Run(t, roots, func(*testing.T) keystore.Keys { return m })
	boom := errors.New("boom")
	_, err = keystore.NewMemory(roots, iotest.ErrReader(boom))
	require.ErrorIs(t, err, boom)
	_, err = keystore.NewMemory(keystore.Roots{}, rand.Reader)
	require.ErrorIs(t, err, keystore.ErrMalformed)
	_, err = keystore.NewRoots(iotest.ErrReader(boom))
	require.ErrorIs(t, err, boom)
}

func TestTheFileKeepsTheContract(t *testing.T) {
	t.Parallel()
	for name, passphrase := range map[string][]byte{"unsealed": nil, "sealed": []byte("p")} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			store := create(t, dir, passphrase)
			store, err := store.Rotate(passphrase, 7, rand.Reader)
			require.NoError(t, err)
			var opened []keystore.Keys // opening a sealed file costs most of a second
			keystoretest.Run(t, store.Roots(), func(t *testing.T) keystore.Keys {
				if len(opened) < 2 {
					s, err := keystore.Open(dir, passphrase)
					require.NoError(t, err)
					opened = append(opened, s)
				}
				opened[0], opened[len(opened)-1] = opened[len(opened)-1], opened[0]
				return opened[0]
			})
		})
	}
}
