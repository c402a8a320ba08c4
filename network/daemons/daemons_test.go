// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package daemons

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/pkg/atomicfile"
)

func TestFindSourceLooksUpward(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	deep := filepath.Join(root, "a", "b")
	require.NoError(t, os.MkdirAll(deep, 0o700))
	_, err := FindSource(deep)
	require.ErrorIs(t, err, ErrNoSource)
	require.NoError(t, os.WriteFile(filepath.Join(deep, "go.mod"), []byte("module example.org/other\n"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(root, "go.mod"), []byte(modulePath+"\ngo 1.26\n"), 0o600))
	found, err := FindSource(deep)
	require.NoError(t, err, "another module on the way is passed")
	require.Equal(t, root, found)
}

func TestStampFollowsEveryInput(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	m := module{dir: "m", ldflags: "-s"}
	_, err := stampOf(dir, m)
	require.ErrorIs(t, err, os.ErrNotExist)
	seen := map[string]bool{}
	fresh := func(why string) {
		stamp, err := stampOf(dir, m)
		require.NoError(t, err)
		require.False(t, seen[string(stamp)], why)
		seen[string(stamp)] = true
	}
	require.NoError(t, os.WriteFile(filepath.Join(dir, "go.mod"), []byte("ab"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "go.sum"), []byte("c"), 0o600))
	fresh("the first")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "go.sum"), []byte("d"), 0o600))
	fresh("another go.sum")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "go.mod"), []byte("a"), 0o600))
	fresh("another go.mod")
	m.ldflags = "-w"
	fresh("other flags")
	again, err := stampOf(dir, m)
	require.NoError(t, err)
	require.True(t, seen[string(again)], "nothing changed")
}

func TestCheckNamesWhatIsMissing(t *testing.T) {
	t.Parallel()
	b := Builder{Bin: t.TempDir()}
	require.ErrorContains(t, b.Check(), "emrys-chaincode is missing")
	programs := []string{"emrys-chaincode", "emrys-gateway"}
	for _, m := range modules() {
		programs = append(programs, m.programs...)
	}
	for _, p := range programs[1:] {
		require.NoError(t, atomicfile.Write(filepath.Join(b.Bin, p), nil, 0o755))
	}
	require.ErrorContains(t, b.Check(), "emrys-chaincode is missing")
	require.NoError(t, atomicfile.Write(filepath.Join(b.Bin, programs[0]), nil, 0o755))
	require.NoError(t, b.Check())
	require.NoError(t, b.Check(), "a second time")
	for _, part := range []string{"detect", "build", "release"} {
		target, err := os.Readlink(filepath.Join(b.Bin, "ccaas", "bin", part))
		require.NoError(t, err)
		require.Equal(t, "../../ccaasbuilder", target)
	}
}

func TestEveryModuleIsInTheTree(t *testing.T) {
	t.Parallel()
	for _, m := range modules() {
		_, err := stampOf(m.dir, m)
		require.NoError(t, err)
	}
}
