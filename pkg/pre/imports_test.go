// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package pre_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// variableTime are packages, with all below them, whose arithmetic depends on the values in its timing, and what may import them
// nevertheless.
func variableTime() map[string][]string {
	return map[string][]string{
		"math/big":                        {"internal/dudect/control.go"}, // what the timing tool must find
		"crypto/elliptic":                 {"keys.go", "sign.go"},         // names the curve of a key of crypto/ecdsa
		"github.com/cloudflare/circl":     nil,
		"github.com/decred/dcrd":          nil,
		"github.com/btcsuite/btcd":        nil,
		"github.com/consensys/gnark":      nil,
		"github.com/bytemare/secp256k1":   nil,
		"github.com/lestrrat-go/dsig":     nil,
		"github.com/ethereum/go-ethereum": nil,
	}
}

// productionFiles parses every Go file of this folder and below that is not a test.
func productionFiles(t *testing.T) (*token.FileSet, map[string]*ast.File) {
	t.Helper()
	set, files := token.NewFileSet(), map[string]*ast.File{}
	require.NoError(t, filepath.WalkDir(".", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") {
			return err
		}
		f, err := parser.ParseFile(set, path, nil, parser.SkipObjectResolution)
		files[filepath.ToSlash(path)] = f
		return err
	}))
	require.Contains(t, files, "internal/algebra/field.go", "the walk reaches what is below")
	require.Contains(t, files, "rekey.go")
	return set, files
}

func TestNoProductionCodeComputesInVariableTime(t *testing.T) {
	t.Parallel()
	_, files := productionFiles(t)
	for name, f := range files {
		for _, spec := range f.Imports {
			path, err := strconv.Unquote(spec.Path.Value)
			require.NoError(t, err)
			for forbidden, exceptions := range variableTime() {
				within := path == forbidden || strings.HasPrefix(path, forbidden+"/") || strings.HasPrefix(path, forbidden+"-")
				require.False(t, within && !slices.Contains(exceptions, name), "%s imports %s", name, path)
			}
		}
	}
}

func TestTheCurvePackageOnlyNamesTheCurve(t *testing.T) {
	t.Parallel()
	set, files := productionFiles(t)
	uses := 0
	for _, name := range variableTime()["crypto/elliptic"] {
		ast.Inspect(files[name], func(n ast.Node) bool {
			selector, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			if pkg, ok := selector.X.(*ast.Ident); ok && pkg.Name == "elliptic" {
				uses++
				require.Equal(t, "P256", selector.Sel.Name, set.Position(n.Pos()))
			}
			// elliptic.P256().Params() would lead to big integers, and .ScalarMult to deprecated arithmetic.
			if call, ok := selector.X.(*ast.CallExpr); ok {
				if inner, ok := call.Fun.(*ast.SelectorExpr); ok {
					pkg, isName := inner.X.(*ast.Ident)
					require.False(t, isName && pkg.Name == "elliptic", set.Position(n.Pos()))
				}
			}
			return true
		})
	}
	require.NotZero(t, uses)
}
