// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

//go:build oracle

package algebra

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"
)

// These tests run the npm package itself, which `npm ci --ignore-scripts` in folder umbral installs.

var writeUmbral = flag.Bool("write-umbral-vectors", false, "write new stored vectors of the package")

// node runs a script of folder umbral.
func node(t *testing.T, script string, in any) []byte {
	t.Helper()
	stdin, err := json.Marshal(in)
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), "node", script)
	cmd.Dir, cmd.Stdin = "umbral", bytes.NewReader(stdin)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	require.NoError(t, err, "install the package first: %s", stderr.String())
	return out
}

// verdict is what the package found.
type verdict struct {
	Name                                    string
	KeyFragments, CapsuleFragments          int
	Refused                                 []string
	ByOwner, ByReader, ByReaderAfterPackage hexBytes
}

func judge(t *testing.T, exchanges ...exchange) []verdict {
	t.Helper()
	var out []verdict
	require.NoError(t, json.Unmarshal(node(t, "interop.mjs", exchanges), &out))
	require.Len(t, out, len(exchanges))
	return out
}

func TestOracleThePackageMakesWhatWeOpen(t *testing.T) {
	t.Parallel()
	var made []exchange
	require.NoError(t, json.Unmarshal(node(t, "make.mjs", nil), &made))
	require.NotEmpty(t, made)
	for _, x := range made {
		t.Run(x.Name, func(t *testing.T) { t.Parallel(); checkExchange(t, x) })
	}
	if *writeUmbral {
		v := umbralVectors{Package: umbralPackage, Made: made, Ours: ourExchanges(t), Forged: forge(t, made[1])}
		b, err := json.MarshalIndent(v, "", "  ")
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(umbralFile(), append(b, '\n'), 0o644)) //nolint:gosec // public
	}
}

func TestOracleThePackageOpensWhatWeMake(t *testing.T) {
	t.Parallel()
	exchanges := append(ourExchanges(t), makeExchange(t, fmt.Sprint(rand.Uint64()), 4, 6)) // the last is new each time
	for i, v := range judge(t, exchanges...) {
		x := exchanges[i]
		require.Equal(t, x.Name, v.Name)
		require.Empty(t, v.Refused)
		require.Equal(t, x.Shares, v.KeyFragments)
		require.Equal(t, x.Shares, v.CapsuleFragments)
		require.Equal(t, x.Plaintext, v.ByOwner)
		require.Equal(t, x.Plaintext, v.ByReader)
		require.Equal(t, x.Plaintext, v.ByReaderAfterPackage)
	}
}

func TestOracleThePackageRefusesWhatWeAlter(t *testing.T) {
	t.Parallel()
	x := ourExchanges(t)[1]
	for _, list := range [][]hexBytes{x.KeyFragments, x.CapsuleFragments} {
		list[0] = bytes.Clone(list[0])
		list[0][100] ^= 1
	}
	v := judge(t, x)[0]
	require.Equal(t, 2, v.KeyFragments)
	require.Equal(t, 2, v.CapsuleFragments)
	require.Len(t, v.Refused, 2)
	require.Equal(t, x.Plaintext, v.ByReader, "the others open")
}

func TestOracleAttackC_ThePackageAcceptsTheForgedKeyFragment(t *testing.T) {
	t.Parallel()
	v := judge(t, forge(t, ourExchanges(t)[1]), loadUmbral(t).Forged)
	for _, verdict := range v {
		require.Equal(t, 1, verdict.KeyFragments, "if it ever refuses, this flaw is no longer the package's")
		require.Empty(t, verdict.Refused)
	}
}
