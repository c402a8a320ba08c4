// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"fmt"
	"math/big"
	"slices"

	"github.com/emrys-health/emrys/pkg/vectors"
	ref "github.com/emrys-health/emrys/pkg/vectors/internal/reference"
)

// opener adds cases of P10 over one world.
type opener struct {
	*maker
	w     *world
	frags []ref.CapsuleFragment
}

func opening(m *maker) {
	for _, size := range []struct{ t, n int }{{1, 1}, {1, 3}, {2, 3}, {3, 3}, {4, 5}} {
		o := newOpener(m, size.t, size.n)
		o.ok(fmt.Sprintf("%d of %d gateways, all answer", size.t, size.n), o.frags, nil)
		if size.t < size.n {
			o.ok(fmt.Sprintf("%d of %d gateways, only the last ones answer", size.t, size.n), o.frags[size.n-size.t:], nil)
		}
		o.tooFew(fmt.Sprintf("%d of %d gateways, one answer too few", size.t, size.n), o.frags[:size.t-1], nil)
	}
	o := newOpener(m, 2, 4)
	o.refusedFragments()
	o.runs()
	o.parameters()
	o.polynomials()
}

func newOpener(m *maker, t, n int) *opener {
	w := newWorld(m.random, t, n)
	return &opener{m, w, w.reencryptAll(w.keyFragments)}
}

func (o *opener) inputs(frags []ref.CapsuleFragment, changes ...any) in {
	encoded := make([][]byte, len(frags))
	for i, f := range frags {
		encoded[i] = f.Bytes()
	}
	return with(o.w.keys(
		"b", o.w.b, "capsule", o.w.capsule.Bytes(), "threshold", o.w.threshold, "ctx", o.w.ctx, "grant", o.w.grant, "request", o.w.request,
		"capsule_fragments", encoded), changes...)
}

func (o *opener) ok(why string, frags []ref.CapsuleFragment, refused []string, changes ...any) {
	o.maker.ok("P10", "open", why, o.inputs(frags, changes...), in{"K_pre": o.w.kPre, "refused": fines(refused)})
}

func fines(gateways []string) []in {
	out := make([]in, len(gateways))
	for i, g := range gateways {
		out[i] = in{"gateway": g, "class": "proof"}
	}
	return out
}

func (o *opener) tooFew(why string, frags []ref.CapsuleFragment, refused []string, changes ...any) {
	f := vectors.Failure{Class: "too few"}
	for _, g := range refused {
		f.Refused = append(f.Refused, vectors.Fine{Gateway: g, Class: "proof"})
	}
	o.refuse("P10", "open", why, o.inputs(frags, changes...), f)
}

func (o *opener) bad(why, class string, frags []ref.CapsuleFragment, changes ...any) {
	o.maker.bad("P10", "open", why, o.inputs(frags, changes...), class)
}

// refusedFragments adds liars, each once with enough honest answers beside it and once without.
func (o *opener) refusedFragments() {
	o.begin("refusedFragments")
	g := o.w.gateways
	both := func(why string, liar ref.CapsuleFragment) {
		o.ok(why+" does not hurt", []ref.CapsuleFragment{liar, o.frags[1], o.frags[2]}, []string{liar.Gateway})
		o.tooFew(why+" does not count", []ref.CapsuleFragment{liar, o.frags[3]}, []string{liar.Gateway})
	}
	for _, c := range o.alteredCapsuleFragments(o.w, o.frags[0])[:26] {
		both("a liar: "+c.why, c.fragment)
	}
	o.tooFew("no answer", nil, nil)
	o.tooFew("the same answer twice", []ref.CapsuleFragment{o.frags[0], o.frags[0]}, nil)
	again := o.w.reencrypt(o.w.keyFragments[0])
	o.tooFew("two answers of one gateway", []ref.CapsuleFragment{o.frags[0], again}, nil)
	o.ok("two answers of one gateway and one of another", []ref.CapsuleFragment{o.frags[0], again, o.frags[2]}, nil)
	spare := o.w.reencrypt(o.w.dealer.Fragment(g[0]))
	o.tooFew("one gateway with two key fragments of one run", []ref.CapsuleFragment{o.frags[0], spare}, nil)
	o.ok("one gateway with two key fragments of one run, and another gateway", []ref.CapsuleFragment{o.frags[0], spare, o.frags[2]}, nil)
	twin := o.w.dealer.FragmentWithID(g[1], o.w.keyFragments[0].ID)
	o.tooFew("two gateways with one fragment id", []ref.CapsuleFragment{o.frags[0], o.w.reencrypt(twin)}, nil)
	o.ok("two gateways with one fragment id, and a third", []ref.CapsuleFragment{o.frags[0], o.w.reencrypt(twin), o.frags[2]}, nil)
	o.tooFew("all answers are to another request", o.frags, g, "request", o.w.other)
	o.tooFew("all answers are under another grant", o.frags, g, "grant", o.w.other)
	o.tooFew("all answers are for another signer", o.frags, g, "pk_S", o.w.otherPublic())
	o.tooFew("the capsule is another one of the same record", o.frags, g, "capsule", o.w.otherCapsule.Bytes())
	o.tooFew("the record is another one with its own capsule", o.frags, g, "capsule", o.w.secondCapsule.Bytes(), "ctx", o.w.secondRecord)
}

// runs mixes the fragments of two runs of P8.1.
func (o *opener) runs() {
	o.begin("runs")
	d := ref.NewDealer(o.random, o.w.a, o.w.signer, o.w.names.PKB, o.w.grant, 2)
	second := o.w.reencryptAll(o.w.deal(d))
	mix := func(list ...ref.CapsuleFragment) []ref.CapsuleFragment { return list }
	first := o.frags
	lower, upper, loser := first, second, second[1]
	if bytes.Compare(first[0].XA, second[0].XA) > 0 {
		lower, upper, loser = second, first, first[0]
	}
	o.tooFew("one fragment of each of two runs", mix(first[0], second[1]), []string{loser.Gateway})
	o.ok("two fragments of one run and one of another", mix(first[0], second[1], first[2]), []string{second[1].Gateway})
	o.ok("the larger run comes last", mix(first[0], second[1], second[2], second[3]), []string{first[0].Gateway})
	o.ok("two runs of equal size: that of the smaller X_A counts", mix(upper[0], upper[1], lower[2], lower[3]),
		[]string{upper[0].Gateway, upper[1].Gateway})
	o.ok("one gateway answers in two runs", mix(first[0], second[0], first[1]), []string{second[0].Gateway})

	// A run whose X_A is not the other's, but whose fragments name it, would have the right grouping and the wrong signature.
	moved := second[1]
	moved.XA = first[0].XA
	o.tooFew("a fragment moved into the other run", mix(first[0], moved), []string{moved.Gateway})
}

func (o *opener) parameters() {
	o.bad("threshold zero", "parameter", o.frags, "threshold", 0)
	o.bad("threshold minus one", "parameter", o.frags, "threshold", -1)
	o.bad("threshold 256", "parameter", o.frags, "threshold", 256)
	o.bad("the request is for another reader", "parameter", o.frags, "pk_B", o.w.otherPublic())
	o.bad("the private key is another reader's", "parameter", o.frags, "b", o.w.otherKey)
	o.bad("the private key is the patient's", "parameter", o.frags, "b", o.w.a)
	o.bad("the private key and the reader are another's", "too few", o.frags, "b", o.w.otherKey, "pk_B", o.w.otherPublic())
	last := &o.file.Cases[len(o.file.Cases)-1]
	for _, g := range o.w.gateways {
		last.Failure.Refused = append(last.Failure.Refused, vectors.Fine{Gateway: g, Class: "proof"})
	}
	o.bad("the capsule is another record's", "proof", o.frags, "capsule", o.w.secondCapsule.Bytes())
	o.bad("the capsule is checked for another record", "proof", o.frags, "ctx", o.w.secondRecord)
	o.bad("the capsule is checked for another scope key", "proof", o.frags, "pk_A", o.w.otherPublic())
	o.bad("the capsule proves nothing, and no fragment is there", "proof", nil, "capsule", o.w.secondCapsule.Bytes())
	o.bad("wrong reader and wrong capsule: the reader is checked first", "parameter", o.frags, "b", o.w.otherKey, "ctx", o.w.other)
	encoded := func(b []byte) []any { return []any{o.frags[0].Bytes(), b} }
	for _, b := range brokenObjects(o.frags[1].Bytes(), capsuleFragmentPlaces())[:4] {
		o.bad("a fragment does not decode: "+b.why, "malformed", nil, "capsule_fragments", encoded(b.bytes))
	}
	o.bad("the capsule does not decode", "malformed", o.frags, "capsule", o.w.capsule.Bytes()[:97])
}

// polynomials adds dealers who lie: what only opening shows (P10, step 7).
func (o *opener) polynomials() {
	o.begin("polynomials")
	w := o.w
	deal := func(change func(*ref.Dealer)) []ref.CapsuleFragment {
		d := ref.NewDealer(o.random, w.a, w.signer, w.names.PKB, w.grant, 2)
		change(d)
		return w.reencryptAll(w.deal(d))
	}
	higher := deal(func(d *ref.Dealer) { d.Polynomial = append(slices.Clone(d.Polynomial), o.random.Scalar()) })
	o.bad("a polynomial of a higher degree than the threshold says", "proof", higher)
	o.ok("the same fragments under the threshold that they were made for", higher, nil, "threshold", 3)
	o.bad("fragments for another delegating key than the signed one", "proof", deal(func(d *ref.Dealer) { d.Polynomial[0] = o.random.Scalar() }))
	o.bad("fragments whose constant term is a and not a/d", "proof", deal(func(d *ref.Dealer) { d.Polynomial[0] = w.a }))
	constant := deal(func(d *ref.Dealer) { d.Polynomial = d.Polynomial[:1] })
	o.ok("a polynomial of a lower degree opens too", constant, nil)

	// One fragment off the polynomial, signed like the others: the two good ones open, and with it none does.
	d := ref.NewDealer(o.random, w.a, w.signer, w.names.PKB, w.grant, 2)
	ks := w.deal(d)
	bent := ks[1]
	bent.RK = ref.PlusMod(bent.RK, big.NewInt(1))
	bent.U1 = ref.Mul(bent.RK, ref.U())
	bent = d.Resign(bent)
	o.bad("one of two fragments is off the polynomial", "proof", w.reencryptAll([]ref.KeyFragment{ks[0], bent}))
	o.ok("a fragment off the polynomial beyond the first t", w.reencryptAll([]ref.KeyFragment{ks[0], ks[2], bent}), nil)
	o.bad("threshold one for fragments of two", "proof", o.frags, "threshold", 1)
	o.bad("threshold one and a single fragment of two", "proof", o.frags[:1], "threshold", 1)
}
