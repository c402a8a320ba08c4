// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package render_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// credential is a name or password that stands where the program or a person puts one: "pass: adminpw", "PASSWORD=…", "Basic YWRtaW46…".
var credential = regexp.MustCompile(`(?i)(\bpass(word|wd)?|secret|token|authori[sz]ation|api_?key)["']?\s*[:=]\s*["']?[a-z0-9+/=_-]{4,}["']?\s*$|adminpw|changeme|hunter2`)

// TestNoDefaultCredentials renders a whole network and reads every file that is checked in of it: no password, token or key is the same for two networks,
// because none is written anywhere but where it was drawn.
func TestNoDefaultCredentials(t *testing.T) {
	t.Parallel()
	texts := map[string]string{}
	site := native()
	files, err := site.Files(defaultTopology(t))
	require.NoError(t, err)
	for _, f := range files {
		texts[f.Path] = string(f.Data)
	}
	for _, org := range defaultTopology(t).Organisations {
		const drawn = "DRAWN-BY-ENROLMENT"
		files, err := site.CAFiles(org, drawn)
		require.NoError(t, err)
		holds := 0
		for _, f := range files {
			holds += strings.Count(string(f.Data), drawn)
			texts[f.Path] = strings.ReplaceAll(string(f.Data), drawn, "")
		}
		require.Equal(t, len(files), holds, "the registrar's secret is the one that was drawn")
	}
	for _, pattern := range []string{"templates/*", "../../docker-compose.yaml", "../topology/*.yaml", "../../README.md", "../../docs/*.md"} {
		names, err := filepath.Glob(pattern)
		require.NoError(t, err)
		require.NotEmpty(t, names, pattern)
		for _, name := range names {
			text, err := os.ReadFile(name)
			require.NoError(t, err)
			texts[name] = string(text)
		}
	}
	for name, text := range texts {
		for line := range strings.Lines(text) {
			require.NotRegexp(t, credential, strings.TrimRight(line, "\n"), name)
		}
	}
	for _, known := range []string{"pass: adminpw", `  password: "secret12"`, "COUCHDB_PASSWORD=adminpw", "authorization: basic-abcd"} {
		require.Regexp(t, credential, known, "the test finds what it looks for")
	}
}
