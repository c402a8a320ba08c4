// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestWhatIsMadeIsAccepted(t *testing.T) {
	t.Parallel()
	var made, said bytes.Buffer
	require.NoError(t, run([]string{"make"}, nil, &made))
	require.NoError(t, run([]string{"check"}, bytes.NewReader(made.Bytes()), &said))
	require.Equal(t, "1 stories hold together\n", said.String())

	altered := strings.Replace(made.String(), `"K_pre": "`, `"K_pre": "00`, 1)
	require.ErrorContains(t, run([]string{"check"}, strings.NewReader(altered), &said), "K_pre")
	require.Error(t, run([]string{"check"}, strings.NewReader("{}"), &said))
	require.Error(t, run([]string{"destroy"}, nil, &said))
	require.Error(t, run(nil, nil, &said))
}
