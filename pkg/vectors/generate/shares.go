// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"fmt"
	"math/big"

	ref "github.com/emrys-health/emrys/pkg/vectors/internal/reference"
)

// sealedShare is one share in all its states.
type sealedShare struct {
	gateway       string
	index         uint8
	y, salt       []byte
	ctx, request  []byte
	commitment    []byte
	toGateway     *ref.Hybrid
	toReader      *ref.Hybrid
	random        *ref.Random
	plaintext     []byte // what is sealed; y ‖ salt unless set
	commitmentFor []byte // what commitment claims; of y and salt unless set
}

func (s sealedShare) finish() sealedShare {
	if s.plaintext == nil {
		s.plaintext = ref.Join(s.y, s.salt)
	}
	s.commitment = s.commitmentFor
	if s.commitment == nil {
		s.commitment = ref.ShareCommitment(s.ctx, s.gateway, s.index, s.y, s.salt)
	}
	return s
}

// entry is the share's line in the envelope.
func (s sealedShare) entry() in {
	sealed := ref.Seal(s.toGateway.Public(), ref.ShareInfo(s.ctx, s.gateway, s.index, s.commitment), s.plaintext, ref.NewSealing(s.random))
	return in{"gateway": s.gateway, "index": int(s.index), "sealed": sealed, "commitment": s.commitment}
}

func (s sealedShare) resealed() []byte {
	return ref.Seal(s.toReader.Public(), ref.ReShareInfo(s.ctx, s.gateway, s.index, s.commitment, s.request), s.plaintext, ref.NewSealing(s.random))
}

func shares(m *maker) {
	good := sealedShare{
		gateway: "Hospital1MSP", index: 1, y: ref.B32(m.random.Scalar()), salt: m.random.Bytes(32), ctx: digest("record 1"), request: digest("request 1"),
		toGateway: ref.NewHybrid(m.random.Bytes(32)), toReader: ref.NewHybrid(m.random.Bytes(32)), random: m.random,
	}
	m.splits(good.ctx)
	m.openShares(good)
	m.openResealed(good)
	m.combinations(good.ctx)
}

func (m *maker) splits(ctx []byte) {
	m.begin("splits")
	gateways := []string{"Hospital1MSP", "Hospital2MSP", "Regulator"}
	for t := 1; t <= 3; t++ {
		f := ref.Polynomial{m.random.Scalar()}
		for len(f) < t {
			f = append(f, m.random.Scalar())
		}
		var values []*big.Int
		var salts, commitments [][]byte
		for i, g := range gateways {
			y, salt := f.At(big.NewInt(int64(i+1))), m.random.Bytes(32)
			values, salts = append(values, y), append(salts, salt)
			commitments = append(commitments, ref.ShareCommitment(ctx, g, uint8(i+1), ref.B32(y), salt)) //nolint:gosec // small
		}
		m.ok("P12.1", "split", fmt.Sprintf("shares for three gateways with threshold %d", t),
			in{"ctx": ctx, "y_0": f[0], "coefficients": []*big.Int(f[1:]), "gateways": gateways, "salts": salts},
			in{"K_share": f[0], "values": values, "commitments": commitments})
	}
}

func (m *maker) openShares(good sealedShare) {
	m.begin("openShares")
	s := good.finish()
	share := s.entry()
	inputs := in{"private": s.toGateway.Private, "ctx": s.ctx, "share": share}
	ok := func(why string, s sealedShare) {
		m.ok("P12.2 P12.3", "open_share", why, with(inputs, "share", s.entry()), in{"y": s.y, "salt": s.salt})
	}
	bad := func(why, class string, changes ...any) {
		m.badBy("P12.2 P12.3", "open_share", why, with(inputs, changes...), class, s.gateway)
	}
	ok("a gateway's share", s)
	last := good
	last.index = 255
	ok("a share with index 255", last.finish())
	zero := good
	zero.y = make([]byte, 32)
	ok("a share of value zero: the gateway only checks the commitment", zero.finish())
	for _, c := range lyingShares(good) {
		bad("a share "+c.why, c.class, "share", c.share.entry())
	}
	bad("a share opened with another gateway's key", "decrypt", "private", s.toReader.Private)
	bad("a share of another record", "decrypt", "ctx", digest("record 2"))
	for _, c := range changedShares(s) {
		m.badBy("P12.2 P12.3", "open_share", "a share whose entry has "+c.why, with(inputs, "share", with(share, c.changes...)), "decrypt", c.gateway)
	}
	sealed := share["sealed"].([]byte) //nolint:forcetypeassert // set by entry
	for _, b := range brokenSeals(sealed) {
		bad("a sealed share "+b.why, b.class, "share", with(share, "sealed", b.bytes))
	}
	bad("a share that is sealed for the reader", "decrypt", "private", s.toReader.Private, "share", with(share, "sealed", s.resealed()))
}

// lyingShare is a share that was sealed like that.
type lyingShare struct {
	why, class string
	share      sealedShare
}

// lyingShares open, and are not what their commitment says.
func lyingShares(good sealedShare) []lyingShare {
	other := bytes.Clone(good.y)
	other[31] ^= 1
	change := func(why, class string, f func(*sealedShare)) lyingShare {
		s := good
		f(&s)
		return lyingShare{why, class, s.finish()}
	}
	return []lyingShare{
		change("with another value than the committed one", "share", func(s *sealedShare) { s.plaintext = ref.Join(other, s.salt) }),
		change("with another salt than the committed one", "share", func(s *sealedShare) { s.plaintext = ref.Join(s.y, other) }),
		change("with value and salt exchanged", "share", func(s *sealedShare) { s.plaintext = ref.Join(s.salt, s.y) }),
		change("committed for another record", "share", func(s *sealedShare) {
			s.commitmentFor = ref.ShareCommitment(digest("record 2"), s.gateway, s.index, s.y, s.salt)
		}),
		change("committed for another gateway", "share", func(s *sealedShare) {
			s.commitmentFor = ref.ShareCommitment(s.ctx, "Hospital2MSP", s.index, s.y, s.salt)
		}),
		change("committed for another index", "share", func(s *sealedShare) {
			s.commitmentFor = ref.ShareCommitment(s.ctx, s.gateway, 2, s.y, s.salt)
		}),
		change("committed without its salt", "share", func(s *sealedShare) {
			s.commitmentFor = ref.H("share commitment", s.ctx, ref.Gateway(s.gateway), []byte{s.index}, s.y)
		}),
		change("whose commitment is zero bytes", "share", func(s *sealedShare) { s.commitmentFor = make([]byte, 32) }),
		change("of 63 bytes", "malformed", func(s *sealedShare) { s.plaintext = ref.Join(s.y, s.salt[:31]) }),
		change("of 65 bytes", "malformed", func(s *sealedShare) { s.plaintext = ref.Join(s.y, s.salt, []byte{0}) }),
		change("of its value alone", "malformed", func(s *sealedShare) { s.plaintext = s.y }),
		change("of nothing", "malformed", func(s *sealedShare) { s.plaintext = []byte{} }),
	}
}

// changedShare is an envelope's entry with one field replaced.
type changedShare struct {
	why     string
	changes []any
	gateway string // that is then named
}

func changedShares(s sealedShare) []changedShare {
	return []changedShare{
		{"another gateway's name", []any{"gateway", "Hospital2MSP"}, "Hospital2MSP"},
		{"another index", []any{"index", 2}, s.gateway},
		{"index zero", []any{"index", 0}, s.gateway},
		{"another commitment", []any{"commitment", digest("another")}, s.gateway},
	}
}

// brokenSeal is a sealed object that cannot be opened, and the class for it.
type brokenSeal struct {
	broken
	class string
}

func brokenSeals(sealed []byte) []brokenSeal {
	flip := func(i int) []byte { return splice(sealed, i, 1, []byte{sealed[i] ^ 1}) }
	return []brokenSeal{
		{broken{"of no bytes", nil}, "malformed"},
		{broken{"of 1182 bytes", sealed[:sealMin-1]}, "malformed"},
		{broken{"with another KEM id", flip(1)}, "malformed"},
		{broken{"with its ML-KEM ciphertext altered", flip(atMLKEM + 7)}, "decrypt"},
		{broken{"with its ephemeral point off the curve", flip(atPoint + 7)}, "decrypt"},
		{broken{"with its nonce altered", flip(atNonce)}, "decrypt"},
		{broken{"with its ciphertext altered", flip(atBox)}, "decrypt"},
		{broken{"with its tag altered", flip(len(sealed) - 1)}, "decrypt"},
	}
}

func (m *maker) openResealed(good sealedShare) {
	m.begin("openResealed")
	s := good.finish()
	share, sealed := s.entry(), s.resealed()
	inputs := in{"private": s.toReader.Private, "ctx": s.ctx, "request": s.request, "share": share, "sealed": sealed}
	ok := func(why string, s sealedShare) {
		m.ok("P12.4", "open_resealed_share", why, with(inputs, "share", s.entry(), "sealed", s.resealed()), in{"y": s.y})
	}
	bad := func(why, class string, changes ...any) {
		m.badBy("P12.4", "open_resealed_share", why, with(inputs, changes...), class, s.gateway)
	}
	ok("a share re-sealed for the reader", s)
	most := good
	most.index, most.y = 255, ref.B32(new(big.Int).Sub(ref.Order(), big.NewInt(1)))
	ok("a share of value n - 1 with index 255", most.finish())
	for _, b := range brokenScalars32() {
		odd := good
		odd.y = b.bytes
		odd = odd.finish()
		bad("a committed share whose value is "+b.why, "malformed", "share", odd.entry(), "sealed", odd.resealed())
	}
	both := good
	both.y, both.commitmentFor = make([]byte, 32), digest("another")
	both = both.finish()
	bad("a share of value zero that is not the committed one: the commitment is checked first", "share", "share", both.entry(), "sealed", both.resealed())
	none := good
	none.index = 0
	none = none.finish()
	bad("a committed share with index zero", "malformed", "share", none.entry(), "sealed", none.resealed())
	for _, c := range lyingShares(good) {
		bad("re-sealed: a share "+c.why, c.class, "share", c.share.entry(), "sealed", c.share.resealed())
	}
	bad("a share re-sealed for another request, replayed", "decrypt", "request", digest("request 2"))
	bad("a share re-sealed for another record", "decrypt", "ctx", digest("record 2"))
	bad("a share re-sealed for another reader", "decrypt", "private", s.toGateway.Private)
	bad("the gateway's own sealed share instead of one for the reader", "decrypt", "private", s.toGateway.Private, "sealed", share["sealed"])
	for _, c := range changedShares(s) {
		m.badBy("P12.4", "open_resealed_share", "re-sealed: an entry with "+c.why, with(inputs, "share", with(share, c.changes...)), "decrypt", c.gateway)
	}
	for _, b := range brokenSeals(sealed) {
		bad("re-sealed: an answer "+b.why, b.class, "sealed", b.bytes)
	}
	second := good
	second.gateway, second.index = "Hospital2MSP", 2
	second = second.finish()
	m.badBy("P12.4", "open_resealed_share", "another gateway's answer for this entry", with(inputs, "sealed", second.resealed()), "decrypt", s.gateway)
}

func (m *maker) combinations(ctx []byte) {
	m.begin("combinations")
	f := ref.Polynomial{m.random.Scalar(), m.random.Scalar(), m.random.Scalar()}
	share := func(i int) in {
		return in{"ctx": ctx, "gateway": fmt.Sprintf("Hospital%dMSP", i), "index": i, "y": f.At(big.NewInt(int64(i)))}
	}
	pick := func(indices ...int) []any {
		out := make([]any, len(indices))
		for i, index := range indices {
			out[i] = share(index)
		}
		return out
	}
	ok := func(why string, t int, list []any, k *big.Int) {
		m.ok("P12.5", "combine", why, in{"threshold": t, "shares": list}, in{"K_share": k})
	}
	ok("three shares of a threshold of three", 3, pick(1, 2, 3), f[0])
	ok("in another order", 3, pick(3, 1, 2), f[0])
	ok("other indices", 3, pick(255, 7, 100), f[0])
	ok("more than the threshold", 3, pick(1, 2, 3, 4, 5), f[0])
	ok("a repeated index does not hurt", 3, pick(1, 1, 2, 3), f[0])
	ok("a threshold of one gives the one share", 1, pick(4), f.At(big.NewInt(4)))
	bad := func(why, class string, t int, list []any) {
		m.bad("P12.5", "combine", why, in{"threshold": t, "shares": list}, class)
	}
	bad("no shares", "too few", 1, nil)
	bad("two shares of a threshold of three", "too few", 3, pick(1, 2))
	bad("three shares, two with one index", "too few", 3, pick(1, 2, 2))
	bad("the same share three times", "too few", 3, pick(1, 1, 1))
	bad("254 too few", "too few", 255, pick(1))
	bad("threshold zero of shares", "parameter", 0, pick(1, 2, 3))
	bad("threshold minus one of shares", "parameter", -1, pick(1, 2, 3))
	bad("threshold 256 of shares", "parameter", 256, pick(1, 2, 3))
	bad("an empty share", "parameter", 2, append(pick(1, 2), nil))
	bad("only an empty share", "parameter", 1, []any{nil})
	bad("threshold too low for the polynomial, shown by the share beyond it", "share", 2, pick(1, 2, 3))
	bad("threshold one for shares that differ", "share", 1, pick(1, 2))
	bent := with(share(4), "y", ref.PlusMod(f.At(big.NewInt(4)), big.NewInt(1)))
	bad("a share beyond the threshold off the polynomial", "share", 3, append(pick(1, 2, 3), bent))
	bad("a share within the threshold off the polynomial", "share", 3, append([]any{bent}, pick(1, 2, 3)...))
	swapped := []any{with(share(1), "y", f.At(big.NewInt(2))), with(share(2), "y", f.At(big.NewInt(1))), share(3), share(4)}
	bad("two shares with their values exchanged", "share", 3, swapped)
	last := pick(1, 2, 3)
	last[2] = with(share(3), "ctx", digest("record 2"))
	m.badBy("P12.5", "combine", "the last share is of another record", in{"threshold": 3, "shares": last}, "share", "Hospital3MSP")
	first := pick(1, 2, 3)
	first[0] = with(share(1), "ctx", digest("record 2"))
	m.badBy("P12.5", "combine", "the first share is of another record than the rest", in{"threshold": 3, "shares": first}, "share", "Hospital2MSP")
	m.bad("P12.5", "combine", "threshold zero, and of two records: the threshold is checked first",
		in{"threshold": 0, "shares": []any{share(1), with(share(2), "ctx", digest("record 2"))}}, "parameter")
	m.badBy("P12.5", "combine", "too few, and of two records: the records are checked first",
		in{"threshold": 3, "shares": []any{share(1), with(share(2), "ctx", digest("record 2"))}}, "share", "Hospital2MSP")
}
