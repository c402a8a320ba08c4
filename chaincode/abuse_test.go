// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package chaincode_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// abusePage lists which test refuses which defect or abuse.
const abusePage = "../docs/abuse.md"

// named is a test as the page names it: `TestX` in a package, or `TestX/a case`.
var named = regexp.MustCompile("`((?:Test|Fuzz)[A-Za-z0-9_]+)(?:/([^`]+))?` \\(([a-z0-9/-]+)\\)")

// function is a test of the tree with the texts in its body.
type function struct{ texts map[string]bool }

// testsOf parses the test files of every package under root: by package, then name. Files of every build tag are read.
func testsOf(root string) (map[string]map[string]function, error) {
	all := map[string]map[string]function{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "node_modules" || d.Name() == ".cache" || d.Name() == ".git" || d.Name() == ".emrys") {
			return filepath.SkipDir
		}
		if !strings.HasSuffix(path, "_test.go") {
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		dir, err := filepath.Rel(root, filepath.Dir(path))
		if err != nil {
			return err
		}
		dir = filepath.ToSlash(dir)
		for _, declaration := range file.Decls {
			if f, ok := declaration.(*ast.FuncDecl); ok && f.Recv == nil && f.Body != nil {
				if all[dir] == nil {
					all[dir] = map[string]function{}
				}
				all[dir][f.Name.Name] = function{textsOf(f.Body)}
			}
		}
		return nil
	})
	return all, err
}

func textsOf(body *ast.BlockStmt) map[string]bool {
	texts := map[string]bool{}
	ast.Inspect(body, func(n ast.Node) bool {
		if literal, ok := n.(*ast.BasicLit); ok && literal.Kind == token.STRING {
			if text, err := strconv.Unquote(literal.Value); err == nil {
				texts[text] = true
			}
		}
		return true
	})
	return texts
}

// missingOf returns what is wrong with a page: tests and cases that the tree does not have, and lines of a table without a test.
func missingOf(page string, tests map[string]map[string]function) []string {
	var wrong []string
	for line := range strings.Lines(page) {
		if !strings.HasPrefix(line, "| ") || strings.HasPrefix(line, "| defect") || strings.HasPrefix(line, "| abuse") {
			continue
		}
		found := named.FindAllStringSubmatch(line, -1)
		if len(found) == 0 || len(found) != strings.Count(line, "`Test")+strings.Count(line, "`Fuzz") {
			wrong = append(wrong, "names no test, or one in another form: "+strings.TrimSpace(line))
		}
		for _, m := range found {
			test, exists := tests[m[3]][m[1]]
			switch {
			case !exists:
				wrong = append(wrong, fmt.Sprintf("%s has no test %s", m[3], m[1]))
			case m[2] != "" && !test.texts[m[2]]:
				wrong = append(wrong, fmt.Sprintf("%s of %s has no case %q", m[1], m[3], m[2]))
			}
		}
	}
	return wrong
}

// TestEveryAbuseOfThePageIsRefusedByItsTest fails when a test that docs/abuse.md names is not there: a line that nobody tests any more is no promise.
func TestEveryAbuseOfThePageIsRefusedByItsTest(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile(abusePage)
	require.NoError(t, err)
	tests, err := testsOf("..")
	require.NoError(t, err)
	require.Greater(t, strings.Count(string(page), "\n| "), 50, "the page has its tables")
	for _, problem := range missingOf(string(page), tests) {
		t.Error(problem)
	}
}

func TestAPageThatNamesWhatIsNotThereIsFound(t *testing.T) {
	t.Parallel()
	tests := map[string]map[string]function{"a/b": {"TestX": {texts: map[string]bool{"a case": true}}}}
	for line, want := range map[string]string{
		"| it | `TestX` (a/b) |":                       "",
		"| it | `TestX/a case` (a/b) |":                "",
		"| it | `TestX` (a/b), `TestX/a case` (a/b) |": "",
		"| it | `TestY` (a/b) |":                       "no test TestY",
		"| it | `TestX` (a/c) |":                       "no test TestX",
		"| it | `TestX/another` (a/b) |":               `no case "another"`,
		"| it | nothing |":                             "names no test",
		"| it | `TestX` |":                             "names no test",
		"| it | `TestX` (a/b), `TestY` |":              "names no test",
	} {
		got := strings.Join(missingOf(line+"\n", tests), "; ")
		if want == "" {
			require.Empty(t, got, line)
			continue
		}
		require.Contains(t, got, want, line)
	}
}
