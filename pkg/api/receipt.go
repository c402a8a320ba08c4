// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package api

import (
	"crypto/sha256"

	"github.com/emrys-health/emrys/pkg/emr"
)

// fragmentLabel separates receipts from everything else that is signed.
const fragmentLabel = "EMRYS-FRAGMENT-V1"

// Digest is what the receipt key signs: the SHA-256 of the label
// "EMRYS-FRAGMENT-V1", a zero byte and the canonical encoding.
func (r *FragmentReceipt) Digest() (emr.Digest, error) {
	encoded, err := emr.Canonical(r)
	if err != nil {
		return emr.Digest{}, err
	}
	h := sha256.New()
	h.Write(append([]byte(fragmentLabel), 0))
	h.Write(encoded)
	return emr.Digest(h.Sum(nil)), nil
}

// ReceiptOf is the receipt that belongs to a fragment of a disclosure. request
// is the hash of that disclosure.
func ReceiptOf(disclosure emr.DisclosureID, request emr.Digest, f *Fragment) *FragmentReceipt {
	receipt := &FragmentReceipt{
		Gateway: f.Gateway, Disclosure: disclosure, Request: request,
		Capsule: sha256.Sum256(f.Capsule), Share: sha256.Sum256(f.Share),
	}
	if len(f.Direct) > 0 {
		receipt.Direct = sha256.Sum256(f.Direct)
	}
	return receipt
}
