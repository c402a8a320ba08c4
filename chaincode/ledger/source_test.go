// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledger_test

import (
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// forbidden are the imports with which two peers could compute different results.
var forbidden = []string{"os", "io", "net", "math/rand", "crypto/rand", "log", "sync", "runtime", "unsafe", "reflect"}

// TestTheRulesAreDeterministicByConstruction reads the rules' own source: no
// clock, no randomness, no goroutine, no ranging over a map, no floating point.
func TestTheRulesAreDeterministicByConstruction(t *testing.T) {
	t.Parallel()
	fset := token.NewFileSet()
	var files []*ast.File
	names, err := filepath.Glob("*.go")
	require.NoError(t, err)
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		source, err := os.ReadFile(name)
		require.NoError(t, err)
		file, err := parser.ParseFile(fset, name, source, 0)
		require.NoError(t, err)
		files = append(files, file)
	}
	require.NotEmpty(t, files)
	info := &types.Info{Types: map[ast.Expr]types.TypeAndValue{}}
	config := types.Config{Importer: importer.ForCompiler(fset, "source", nil)}
	_, err = config.Check("ledger", fset, files, info)
	require.NoError(t, err)
	for _, problem := range problems(fset, files, info) {
		t.Error(problem)
	}
}

func problems(fset *token.FileSet, files []*ast.File, info *types.Info) []string {
	var found []string
	for _, file := range files {
		for _, spec := range file.Imports {
			path := strings.Trim(spec.Path.Value, `"`)
			for _, bad := range forbidden {
				if path == bad || strings.HasPrefix(path, bad+"/") {
					found = append(found, fset.Position(spec.Pos()).String()+": imports "+path)
				}
			}
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if n != nil {
				if problem := problemOf(n, info); problem != "" {
					found = append(found, fset.Position(n.Pos()).String()+": "+problem)
				}
			}
			return true
		})
	}
	return found
}

func problemOf(n ast.Node, info *types.Info) string {
	switch n := n.(type) {
	case *ast.GoStmt:
		return "starts a goroutine"
	case *ast.SelectStmt, *ast.SendStmt, *ast.ChanType:
		return "uses a channel"
	case *ast.RangeStmt:
		if typ := info.TypeOf(n.X); typ != nil {
			if _, isMap := typ.Underlying().(*types.Map); isMap {
				return "ranges over a map"
			}
		}
	case *ast.SelectorExpr:
		if p, ok := n.X.(*ast.Ident); ok && p.Name == "time" && (n.Sel.Name == "Now" || n.Sel.Name == "Since" || n.Sel.Name == "Until") {
			return "reads a clock"
		}
	case ast.Expr:
		if typ := info.TypeOf(n); typ != nil {
			if basic, ok := typ.Underlying().(*types.Basic); ok && basic.Info()&types.IsFloat != 0 {
				return "uses floating point"
			}
		}
	}
	return ""
}

func TestTheSourceTestFindsWhatItLooksFor(t *testing.T) {
	t.Parallel()
	const source = `package p
import ("time"; "os")
var _ = os.Args
func f(m map[string]int) (x float64) {
	for range m { x += 1.5 }
	go f(nil)
	_ = time.Now()
	return
}`
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, "p.go", source, 0)
	require.NoError(t, err)
	info := &types.Info{Types: map[ast.Expr]types.TypeAndValue{}}
	config := types.Config{Importer: importer.ForCompiler(fset, "source", nil)}
	_, err = config.Check("p", fset, []*ast.File{file}, info)
	require.NoError(t, err)
	all := strings.Join(problems(fset, []*ast.File{file}, info), "\n")
	for _, want := range []string{"ranges over a map", "starts a goroutine", "reads a clock", "floating point", "imports os"} {
		require.Contains(t, all, want)
	}
}
