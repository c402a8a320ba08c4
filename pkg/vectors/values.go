// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package vectors

import (
	"encoding/hex"
	"math/big"
	"strconv"

	"github.com/emrys-health/emrys/pkg/vectors/internal/reference"
)

// Encode returns fields as they stand in a file: bytes, points and scalars (big.Int) as hexadecimal texts, uint64 as decimal
// texts, and lists and objects of those.
func (f Fields) Encode() Fields {
	if f == nil {
		return nil
	}
	out := Fields{}
	for k, v := range f {
		out[k] = encode(v)
	}
	return out
}

func encode(v any) any {
	switch v := v.(type) {
	case []byte:
		return hex.EncodeToString(v)
	case reference.Point:
		return hex.EncodeToString(v)
	case *big.Int:
		return hex.EncodeToString(reference.B32(v))
	case uint64:
		return strconv.FormatUint(v, 10)
	case Fields:
		return v.Encode()
	case [][]byte:
		return list(v)
	case []*big.Int:
		return list(v)
	case []string:
		return list(v)
	case []Fields:
		return list(v)
	case []any:
		return list(v)
	default:
		return v
	}
}

func list[T any](items []T) []any {
	out := make([]any, len(items))
	for i, item := range items {
		out[i] = encode(item)
	}
	return out
}
