// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package seal

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"io"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"
)

// A broken connection is often reported as an error that wraps io.EOF. It must
// not pass for the end of the stream.
func TestASourceFailureThatWrapsEOFIsNoEnd(t *testing.T) {
	t.Parallel()
	key, err := GenerateDataKey(rand.Reader)
	require.NoError(t, err)
	failure := fmt.Errorf("connection: %w", io.EOF)
	content := make([]byte, 2*SegmentPlainSize)
	var sealed bytes.Buffer
	_, err = NewSealingReader(bytes.NewReader(content), key, [FileIDSize]byte{}).WriteTo(&sealed)
	require.NoError(t, err)

	broken := io.MultiReader(bytes.NewReader(sealed.Bytes()[:SegmentSize]), iotest.ErrReader(failure))
	_, err = NewReader(broken, key, [FileIDSize]byte{}, uint64(len(content))).WriteTo(io.Discard)
	require.ErrorIs(t, err, failure)
	broken = io.MultiReader(bytes.NewReader(content[:SegmentPlainSize]), iotest.ErrReader(failure))
	_, err = NewSealingReader(broken, key, [FileIDSize]byte{}).WriteTo(io.Discard)
	require.ErrorIs(t, err, failure)
}
