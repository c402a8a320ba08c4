// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package mem_test

import (
	"context"
	"testing"

	"github.com/emrys-health/emrys/pkg/blob"
	"github.com/emrys-health/emrys/pkg/blob/blobtest"
	"github.com/emrys-health/emrys/pkg/blob/mem"
)

func TestTheMemoryStoreKeepsTheContract(t *testing.T) {
	t.Parallel()
	node := func(s *mem.Store) blobtest.Node {
		return blobtest.Node{
			Store:   s,
			Pins:    func(context.Context) ([]string, error) { return s.Pins(), nil },
			Collect: func(context.Context) error { s.Collect(); return nil },
		}
	}
	blobtest.Run(t, blobtest.Config{
		Pair: func(*testing.T) (blobtest.Node, blobtest.Node) {
			near, far := mem.New(), mem.New()
			mem.Connect(near, far)
			return node(near), node(far)
		},
		Down: func(*testing.T) blob.Store {
			s := mem.New()
			s.SetDown(true)
			return s
		},
	})
}
