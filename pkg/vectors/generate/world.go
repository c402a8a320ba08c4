// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto/sha256"
	"math/big"

	ref "github.com/emrys-health/emrys/pkg/vectors/internal/reference"
)

// world is one scope, one record in it, one reader and some gateways.
type world struct {
	random        *ref.Random
	a, signer, b  *big.Int
	names         ref.Names
	ctx           []byte
	grant         []byte
	request       []byte
	capsule       ref.Capsule
	kPre          []byte
	threshold     int
	gateways      []string
	dealer        *ref.Dealer
	keyFragments  []ref.KeyFragment
	other         []byte // a hash that is none of the others
	otherKey      *big.Int
	otherCapsule  ref.Capsule // of the same scope and record
	secondRecord  []byte
	secondCapsule ref.Capsule // of the same scope, of secondRecord
}

func digest(s string) []byte { h := sha256.Sum256([]byte(s)); return h[:] }

func newWorld(random *ref.Random, threshold, n int) *world {
	w := &world{
		random: random, a: random.Scalar(), signer: random.Scalar(), b: random.Scalar(), otherKey: random.Scalar(),
		ctx: digest("record 1"), grant: digest("grant 1"), request: digest("request 1"), other: digest("something else"),
		secondRecord: digest("record 2"), threshold: threshold,
	}
	for i := range n {
		w.gateways = append(w.gateways, "Hospital"+string(rune('1'+i))+"MSP")
	}
	w.names = ref.Names{PKA: ref.Base(w.a), PKB: ref.Base(w.b), PKS: ref.Base(w.signer)}
	w.capsule, w.kPre = ref.Encapsulate(random.Scalar(), w.names.PKA, w.ctx)
	w.otherCapsule, _ = ref.Encapsulate(random.Scalar(), w.names.PKA, w.ctx)
	w.secondCapsule, _ = ref.Encapsulate(random.Scalar(), w.names.PKA, w.secondRecord)
	w.dealer = ref.NewDealer(random, w.a, w.signer, w.names.PKB, w.grant, threshold)
	w.keyFragments = w.deal(w.dealer)
	return w
}

func (w *world) deal(d *ref.Dealer) []ref.KeyFragment {
	out := make([]ref.KeyFragment, len(w.gateways))
	for i, g := range w.gateways {
		out[i] = d.Fragment(g)
	}
	return out
}

func (w *world) reencrypt(k ref.KeyFragment) ref.CapsuleFragment {
	return ref.Reencrypt(k, w.capsule, w.names, w.ctx, w.request, w.random.Scalar())
}

func (w *world) reencryptAll(ks []ref.KeyFragment) []ref.CapsuleFragment {
	out := make([]ref.CapsuleFragment, len(ks))
	for i, k := range ks {
		out[i] = w.reencrypt(k)
	}
	return out
}

// keys are the three public keys as inputs, with more inputs.
func (w *world) keys(more ...any) in {
	return with(in{"pk_A": w.names.PKA, "pk_B": w.names.PKB, "pk_S": w.names.PKS}, more...)
}

// otherPublic is a key that has nothing to do with anything.
func (w *world) otherPublic() ref.Point { return ref.Base(w.otherKey) }
