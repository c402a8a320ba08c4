// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package fabricca

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
)

// FuzzDecode holds the reader of answers to an error or a chain, never a panic.
func FuzzDecode(f *testing.F) {
	f.Add(200, []byte(`{"success":true,"result":{"CAName":"ca","CAChain":"aGVsbG8="}}`))
	f.Add(500, []byte(`{"success":false,"errors":[{"code":20,"message":"no"}]}`))
	f.Add(200, []byte(`null`))
	f.Fuzz(func(t *testing.T, status int, raw []byte) {
		var info serverInfo
		if err := decode(status, raw, &info); err != nil {
			var refusal *Error
			if errors.As(err, &refusal) {
				require.Equal(t, status, refusal.Status)
			}
			return
		}
		require.GreaterOrEqual(t, status, 200)
		require.Less(t, status, 300)
		if chain, err := info.chain("ca"); err == nil {
			_, err := parseCertificate(chain)
			require.NoError(t, err)
		}
	})
}
