// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package vectors

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// What the vectors must be as a whole.

func TestRefusalsOutnumberPermissionsInEveryFile(t *testing.T) {
	t.Parallel()
	for subject, f := range files(t) {
		negative, names := 0, map[string]bool{}
		for _, c := range f.Cases {
			require.NotEqual(t, c.Failure == nil, c.Outputs == nil, "%s: either outputs or a failure", c.Name)
			require.False(t, names[c.Name], "two cases of %s are named %q", subject, c.Name)
			names[c.Name] = true
			if c.Failure != nil {
				negative++
			}
		}
		if subject == "primitives" { // functions that refuse nothing
			require.Zero(t, negative)
			continue
		}
		require.Greater(t, negative, len(f.Cases)-negative, subject)
	}
}

func TestEveryFailureClassHasAVector(t *testing.T) {
	t.Parallel()
	seen := map[string]int{}
	for _, f := range files(t) {
		for _, c := range f.Cases {
			if c.Failure != nil {
				require.Contains(t, classes(), c.Failure.Class, c.Name)
				seen[c.Failure.Class]++
			}
		}
	}
	for class := range classes() {
		require.NotZero(t, seen[class], class)
	}
	// The classes are those of the specification's tables.
	for _, table := range []struct{ document, from, to, pattern string }{
		{"pre.md", "## P3 Failure", "## P4 ", "(?m)^\\| `([a-z ]+)` \\|"}, {"container.md", "## C11 ", "## C12 ", "(?m)^\\| ([a-z]+) \\| .* `Err"},
	} {
		_, text, _ := strings.Cut(specification(t, table.document), table.from)
		text, _, _ = strings.Cut(text, table.to)
		found := regexp.MustCompile(table.pattern).FindAllStringSubmatch(text, -1)
		require.GreaterOrEqual(t, len(found), 6, table.document)
		for _, m := range found {
			require.Contains(t, classes(), m[1], table.document)
		}
	}
}

func specification(t *testing.T, document string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(directory(), "..", document))
	require.NoError(t, err)
	return string(b)
}

// exempt are sections that state no rule a vector could break, and why.
func exempt() map[string]string {
	return map[string]string{
		"P2": "says who holds what", "P3": "TestEveryFailureClassHasAVector", "P15": "the attack tests", "P18": "this page",
		"C1": "notation", "C9.1": "every case of read runs through a resuming reader", "C11": "TestEveryFailureClassHasAVector",
		"C12": "claims; the refusals of C6 hold them", "C13": "says that nothing is negotiated",
	}
}

func TestEverySectionHasAVector(t *testing.T) {
	t.Parallel()
	covered := map[string]bool{}
	for _, f := range files(t) {
		for _, c := range f.Cases {
			for section := range strings.FieldsSeq(c.Section) {
				covered[section] = true
				chapter, _, _ := strings.Cut(section, ".")
				covered[chapter] = true
			}
		}
	}
	heading := regexp.MustCompile(`(?m)^#{2,3} ([PCR]\d+(?:\.\d+)?) `)
	for _, document := range []string{"pre.md", "container.md"} {
		sections := heading.FindAllStringSubmatch(specification(t, document), -1)
		require.Greater(t, len(sections), 10, document)
		for _, m := range sections {
			chapter, _, _ := strings.Cut(m[1], ".")
			if exempt()[m[1]] == "" && exempt()[chapter] == "" {
				require.True(t, covered[m[1]], "no vector for %s of %s", m[1], document)
			}
		}
	}
}

func TestEveryOperationOfTheREADMEIsUsedAndDefined(t *testing.T) {
	t.Parallel()
	b, err := os.ReadFile(filepath.Join(directory(), "README.md"))
	require.NoError(t, err)
	used := map[string]bool{}
	for _, f := range files(t) {
		for _, c := range f.Cases {
			used[c.Operation] = true
			require.Contains(t, string(b), "`"+c.Operation+"`", "README.md does not define it")
			for _, fields := range []Fields{c.Inputs, c.Outputs} {
				for name := range fields {
					require.Contains(t, string(b), "`"+name+"`", "README.md does not say what %s of %s is", name, c.Operation)
				}
			}
		}
	}
	for operation := range operations() {
		require.True(t, used[operation], operation)
	}
}
