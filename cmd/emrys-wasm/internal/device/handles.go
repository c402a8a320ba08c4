// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package device

import "github.com/emrys-health/emrys/pkg/pre"

// maxHandles bounds how many secrets are held at once, so that a script that forgets to close them notices.
const maxHandles = 4096

// holder is a secret behind a handle. close clears what can be cleared and is called once.
type holder interface{ close() }

// table maps handles to secrets. Numbers rise from 1 and are never used twice. The device's lock guards it.
type table struct {
	last    uint32
	entries map[uint32]holder
}

func (t *table) put(h holder) (uint32, error) {
	if len(t.entries) >= maxHandles || t.last == ^uint32(0) {
		h.close()
		return 0, failed(CodeHandle, "too many handles are open; close those that are not needed")
	}
	t.last++
	t.entries[t.last] = h
	return t.last, nil
}

func (t *table) close(n uint32) bool {
	h, ok := t.entries[n]
	if ok {
		delete(t.entries, n)
		h.close()
	}
	return ok
}

func (t *table) closeAll() int {
	n := len(t.entries)
	for _, h := range t.entries {
		h.close()
	}
	clear(t.entries)
	return n
}

// The kinds of secrets. Those that are bytes of this package are cleared when their handle is closed. Keys of package pre
// cannot be cleared: they are dropped, and the runtime overwrites their memory when it uses it again.
type (
	seedHolder  struct{ seed [pre.SeedSize]byte }
	scopeHolder struct {
		id                 string
		epoch              uint32
		delegating, signer *pre.PrivateKey
	}
	hybridHolder  struct{ key *pre.HybridPrivateKey }
	readingHolder struct{ key *pre.PrivateKey }
	signingHolder struct{ key *pre.PrivateKey }
	dataHolder    struct {
		key    [pre.KeySize]byte
		fileID [pre.HashSize]byte
		layout layout
	}
)

func (h *seedHolder) close()    { clear(h.seed[:]) }
func (h *scopeHolder) close()   {}
func (h *hybridHolder) close()  {}
func (h *readingHolder) close() {}
func (h *signingHolder) close() {}
func (h *dataHolder) close()    { clear(h.key[:]) }
