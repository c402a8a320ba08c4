// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"strconv"

	"github.com/emrys-health/emrys/pkg/vectors"
	ref "github.com/emrys-health/emrys/pkg/vectors/internal/reference"
)

// maxPlain is the longest plaintext (container.md C10).
const maxPlain = uint64(1) << 32 * ref.SegmentPlain

// packer adds cases of container.md over payloads that it registers.
type packer struct {
	*maker
	dek, fileID []byte
	recipes     []ref.Recipe
	stored      [][]byte
}

func containers(m *maker) {
	p := &packer{maker: m, dek: m.random.Bytes(32), fileID: m.random.Bytes(32)}
	p.keysAndLengths()
	p.whole()
	p.cut()
	p.confused()
	p.padding()
	p.ranges()
}

// recipe is a payload of n counting bytes under the usual key.
func (p *packer) recipe(l ref.Layout, n int, nonce byte) ref.Recipe {
	return ref.Recipe{DEK: p.dek, FileID: p.fileID, Layout: l, Content: ref.Counting(n), Nonce: nonce, Length: -1}
}

// payload registers a recipe and returns its number.
func (p *packer) payload(r ref.Recipe) int {
	stored := r.Bytes()
	sum := sha256.Sum256(stored)
	f := in{"dek": r.DEK, "file_id": r.FileID, "layout": string(r.Layout), "nonce": int(r.Nonce), "stored_length": len(stored), "sha256": sum[:]}
	if string(r.Content) == string(ref.Counting(len(r.Content))) {
		f["length"] = len(r.Content)
	} else {
		f["content"] = r.Content
	}
	if r.Length >= 0 {
		f["plaintext_length"] = r.Length
	}
	if len(r.Patches) > 0 {
		var list []in
		for offset, b := range r.Patches { // never more than one
			list = append(list, in{"offset": offset, "bytes": b})
		}
		f["patches"] = list
	}
	if len(r.Relabel) > 0 {
		var list []in
		for segment, label := range r.Relabel { // never more than one
			list = append(list, in{"segment": int(segment), "number": int(label.Number), "final": map[bool]int{true: 1}[label.Final]}) //nolint:gosec // small
		}
		f["relabel"] = list
	}
	p.file.Payloads = append(p.file.Payloads, f.Encode())
	p.recipes, p.stored = append(p.recipes, r), append(p.stored, stored)
	return len(p.recipes) - 1
}

// plainSize is P of a payload.
func (p *packer) plainSize(k int) uint64 {
	r := p.recipes[k]
	if r.Length >= 0 {
		return uint64(r.Length) //nolint:gosec // not negative
	}
	return uint64(len(r.Layout.Plaintext(r.Content)))
}

// all is the whole of a payload, as pieces.
func (p *packer) all(k int) []any { return []any{p.piece(k, 0, len(p.stored[k]))} }

func (p *packer) piece(k, from, to int) in { return in{"payload": k, "from": from, "to": to} }

// segment is one segment of a payload, as a piece.
func (p *packer) segment(k, i int) in {
	return p.piece(k, i*ref.Segment, min((i+1)*ref.Segment, len(p.stored[k])))
}

func (p *packer) inputs(k int, changes ...any) in {
	r := p.recipes[k]
	return with(in{
		"dek": r.DEK, "file_id": r.FileID, "commitment": r.Layout.Commitment(r.DEK, r.FileID), "plain_size": p.plainSize(k),
		"pieces": p.all(k), "flips": []any{},
	}, changes...)
}

func (p *packer) outputs(k int, content []byte) in {
	sum := sha256.Sum256(content)
	return in{"layout": string(p.recipes[k].Layout), "length": uint64(len(content)), "sha256": sum[:]}
}

func (p *packer) read(why string, k int, changes ...any) {
	p.ok("C6", "read", why, p.inputs(k, changes...), p.outputs(k, p.recipes[k].Content))
}

func (p *packer) refuseRead(section, why string, k int, class string, released uint64, changes ...any) {
	p.refuse(section, "read", why, p.inputs(k, changes...), vectors.Failure{Class: class, Released: strconv.FormatUint(released, 10)})
}

// intact marks the case added last as one whose content is all there and only what follows it is not.
func (p *packer) intact() {
	p.file.Cases[len(p.file.Cases)-1].Working = in{"intact": true}
}

func flipAt(offset int) []any { return []any{in{"offset": offset, "mask": 1}} }

func (p *packer) keysAndLengths() {
	var dek, fileID [32]byte
	for i := range dek {
		dek[i], fileID[i] = byte(i), byte(255-i)
	}
	for _, c := range []struct {
		why         string
		dek, fileID []byte
	}{{"the keys of container.md C14", dek[:], fileID[:]}, {"the keys of most payloads here", p.dek, p.fileID}} {
		p.ok("C2 C14", "container_keys", c.why, in{"dek": c.dek, "file_id": c.fileID}, in{
			"plain_key": ref.Plain.PayloadKey(c.dek, c.fileID), "plain_commitment": ref.Plain.Commitment(c.dek, c.fileID),
			"padded_key": ref.Padded.PayloadKey(c.dek, c.fileID), "padded_commitment": ref.Padded.Commitment(c.dek, c.fileID),
		})
	}
	stored := func(n uint64) uint64 { return n + 28*max(1, (n+ref.SegmentPlain-1)/ref.SegmentPlain) }
	for _, n := range []uint64{0, 1, 262115, 262116, 262117, 524232, 524233, 1000000000, maxPlain - 1, maxPlain} {
		p.ok("C5", "stored_length", fmt.Sprintf("%d bytes are stored", n), in{"plain_size": n}, in{"stored": stored(n)})
		p.ok("C5", "plain_length", fmt.Sprintf("%d bytes were stored", n), in{"stored": stored(n)}, in{"plain_size": n})
	}
	for _, n := range []uint64{maxPlain + 1, maxPlain + ref.SegmentPlain, 1 << 63, ^uint64(0)} {
		p.bad("C10", "stored_length", fmt.Sprintf("%d bytes are too many for one key", n), in{"plain_size": n}, "size")
	}
	for _, n := range []uint64{0, 1, 27, 262145, 262172, 524289, 524316, 1<<50 + 1, 1<<50 + 28, 1<<50 + 29, 1<<50 + 262144, 1 << 63, ^uint64(0)} {
		p.bad("C5", "plain_length", fmt.Sprintf("no payload is stored in %d bytes", n), in{"stored": n}, "size")
	}
	for _, n := range []uint64{0, 1, 2, 8, 9, 13, 100, 1000, 262108, 600000, 8388601, 1000000000, 1117103813820408} {
		p.ok("C4", "padme", fmt.Sprintf("%d bytes are padded", n), in{"length": n}, in{"plain_size": ref.Padme(n + 8)})
	}
	for _, n := range []uint64{1117103813820409, maxPlain - 8, maxPlain, 1 << 63, ^uint64(0) - 8, ^uint64(0) - 7, ^uint64(0)} {
		p.bad("C10", "padme", fmt.Sprintf("%d bytes are too many to be padded", n), in{"length": n}, "size")
	}
}

// whole adds payloads that read, and those that differ from them in what a reader is told.
func (p *packer) whole() {
	for _, l := range []ref.Layout{ref.Plain, ref.Padded} {
		for _, n := range []int{0, 1, 13, 262108, 262109, 262116, 262117, 524232, 600000} {
			p.read(fmt.Sprintf("%d bytes, %s", n, l), p.payload(p.recipe(l, n, 0xa0)))
		}
		r := p.recipe(l, 0, 0x10)
		r.Content = []byte("vital signs: ")
		p.read(fmt.Sprintf("a text, %s", l), p.payload(r))
	}
	k := p.payload(p.recipe(ref.Plain, 600000, 0xa1))
	again := p.payload(p.recipe(ref.Plain, 600000, 0xb1))
	p.ok("C9.2", "read", "segments of two attempts to seal the same content, one per place",
		p.inputs(k, "pieces", []any{p.segment(k, 0), p.segment(again, 1), p.segment(k, 2)}), p.outputs(k, p.recipes[k].Content))
	for _, c := range []struct {
		why, class string
		released   uint64
		changes    []any
	}{
		{"another data key", "commitment", 0, []any{"dek", p.random.Bytes(32)}},
		{"another file id", "commitment", 0, []any{"file_id", p.random.Bytes(32)}},
		{"another commitment", "commitment", 0, []any{"commitment", p.random.Bytes(32)}},
		{"a commitment of zero bytes", "commitment", 0, []any{"commitment", make([]byte, 32)}},
		{"the payload key as commitment", "commitment", 0, []any{"commitment", ref.Plain.PayloadKey(p.dek, p.fileID)}},
		{"data key and file id exchanged", "commitment", 0, []any{"dek", p.fileID, "file_id", p.dek}},
		{"an impossible length and a wrong commitment: the commitment is checked first", "commitment", 0,
			[]any{"plain_size", maxPlain + 1, "commitment", make([]byte, 32)}},
		{"a length above the limit", "size", 0, []any{"plain_size", maxPlain + 1}},
		{"the greatest length there is", "size", 0, []any{"plain_size", ^uint64(0)}},
		{"a length one too small", "authentication", 524232, []any{"plain_size", uint64(599999)}},
		{"a length one too large", "truncated", 524232, []any{"plain_size", uint64(600001)}},
		{"a length of one segment less", "authentication", 262116, []any{"plain_size", uint64(524232)}},
		{"a length of one segment", "authentication", 0, []any{"plain_size", uint64(262116)}},
		{"a length of one byte in the next segment", "authentication", 262116, []any{"plain_size", uint64(262117)}},
		{"a length of three full segments", "truncated", 524232, []any{"plain_size", uint64(786348)}},
		{"a length of nothing", "authentication", 0, []any{"plain_size", uint64(0)}},
	} {
		p.refuseRead("C6", "read with "+c.why, k, c.class, c.released, c.changes...)
		if c.why == "a length of nothing" {
			p.intact()
		}
	}
	other := p.random.Bytes(32)
	p.refuseRead("C2", "another data key with its own commitment", k, "authentication", 0, "dek", other, "commitment", ref.Plain.Commitment(other, p.fileID))
	p.refuseRead("C3", "another file id with its own commitment", k, "authentication", 0, "file_id", other, "commitment", ref.Plain.Commitment(p.dek, other))
}

// cut adds payloads whose stored bytes were cut, moved, mixed and altered.
func (p *packer) cut() {
	k := p.payload(p.recipe(ref.Plain, 600000, 0xa2))
	small := p.payload(p.recipe(ref.Plain, 13, 0xa3))
	empty := p.payload(p.recipe(ref.Plain, 0, 0xa4))
	foreign := p.recipe(ref.Plain, 600000, 0xa5)
	foreign.DEK = p.random.Bytes(32)
	otherKey := p.payload(foreign)
	foreign = p.recipe(ref.Plain, 600000, 0xa6)
	foreign.FileID = p.random.Bytes(32)
	otherFile := p.payload(foreign)
	shorter := p.payload(p.recipe(ref.Plain, 262120, 0xa7))
	end := len(p.stored[k])
	s := func(i int) in { return p.segment(k, i) }
	one := in{"bytes": []byte{0}}
	for _, c := range []struct {
		why, class string
		released   uint64
		pieces     []any
	}{
		{"nothing", "truncated", 0, []any{}},
		{"one byte", "truncated", 0, []any{p.piece(k, 0, 1)}},
		{"the first nonce", "truncated", 0, []any{p.piece(k, 0, 12)}},
		{"one byte less than the first segment", "truncated", 0, []any{p.piece(k, 0, ref.Segment-1)}},
		{"the first segment", "truncated", 262116, []any{s(0)}},
		{"the first segment and a byte", "truncated", 262116, []any{p.piece(k, 0, ref.Segment+1)}},
		{"the first two segments", "truncated", 524232, []any{s(0), s(1)}},
		{"one byte less than all", "truncated", 524232, []any{p.piece(k, 0, end-1)}},
		{"all but the last tag", "truncated", 524232, []any{p.piece(k, 0, end-16)}},
		{"without the first byte", "authentication", 0, []any{p.piece(k, 1, end)}},
		{"without the first segment", "authentication", 0, []any{s(1), s(2)}},
		{"without the second segment", "truncated", 262116, []any{s(0), s(2)}},
		{"a byte before it", "authentication", 0, []any{one, s(0), s(1), s(2)}},
		{"a byte between segments", "authentication", 262116, []any{s(0), one, s(1), s(2)}},
		{"a byte behind it", "trailing", 524232, []any{s(0), s(1), s(2), one}},
		{"a segment behind it", "trailing", 524232, []any{s(0), s(1), s(2), s(1)}},
		{"itself twice", "trailing", 524232, []any{s(0), s(1), s(2), s(0), s(1), s(2)}},
		{"the first two segments exchanged", "authentication", 0, []any{s(1), s(0), s(2)}},
		{"the last two segments exchanged", "authentication", 262116, []any{s(0), s(2), s(1)}},
		{"the first segment twice", "authentication", 262116, []any{s(0), s(0), s(2)}},
		{"the second segment twice", "authentication", 524232, []any{s(0), s(1), s(1), s(2)}},
		{"the first segment of another key", "authentication", 0, []any{p.segment(otherKey, 0), s(1), s(2)}},
		{"the second segment of another key", "authentication", 262116, []any{s(0), p.segment(otherKey, 1), s(2)}},
		{"the last segment of another key", "authentication", 524232, []any{s(0), s(1), p.segment(otherKey, 2)}},
		{"the second segment of another file under the same key", "authentication", 262116, []any{s(0), p.segment(otherFile, 1), s(2)}},
		{"the last segment of another file under the same key", "authentication", 524232, []any{s(0), s(1), p.segment(otherFile, 2)}},
		{"all of another file under the same key", "authentication", 0, p.all(otherFile)},
		{"the second segment of a shorter payload, where it is the last", "authentication", 262116,
			[]any{s(0), p.segment(shorter, 1), p.piece(k, ref.Segment+32, end)}},
		{"halves of two segments", "authentication", 262116,
			[]any{s(0), p.piece(k, ref.Segment, ref.Segment+ref.Segment/2), p.piece(otherFile, ref.Segment+ref.Segment/2, 2*ref.Segment), s(2)}},
		{"zero bytes", "authentication", 0, []any{in{"bytes": make([]byte, 1024)}, p.piece(k, 1024, end)}},
	} {
		p.refuseRead("C6", "stored: "+c.why, k, c.class, c.released, "pieces", c.pieces)
		if c.class == "trailing" {
			p.intact()
		}
	}
	for i, released := range []uint64{0, 262116, 524232} {
		from := i * ref.Segment
		to := min(from+ref.Segment, end)
		for _, c := range []struct {
			why string
			at  int
		}{
			{"nonce's first byte", from}, {"nonce's last byte", from + 11}, {"first byte", from + 12}, {"last byte", to - 17},
			{"tag's first byte", to - 16}, {"tag's last byte", to - 1},
		} {
			p.refuseRead("C3", fmt.Sprintf("altered in segment %d: the %s", i, c.why), k, "authentication", released, "flips", flipAt(c.at))
		}
	}
	for at := range len(p.stored[small]) {
		p.refuseRead("C3", fmt.Sprintf("a short payload altered at byte %d", at), small, "authentication", 0, "flips", flipAt(at))
	}
	p.refuseRead("C6", "a byte behind an empty payload", empty, "trailing", 0, "pieces", append(p.all(empty), one))
	p.intact()
	p.refuseRead("C6", "an empty payload is gone", empty, "truncated", 0, "pieces", []any{})
	p.intact()
	p.refuseRead("C6", "an empty payload altered", empty, "authentication", 0, "flips", flipAt(20))
	p.intact()
	p.refuseRead("C6", "an empty payload in place of one of 13 bytes", small, "truncated", 0, "pieces", p.all(empty))
}

// confused adds payloads that were sealed in a wrong way by someone who holds the key.
func (p *packer) confused() {
	label := func(why string, l ref.Layout, n int, segment, number uint64, final bool, released uint64) {
		r := p.recipe(l, n, 0x30)
		r.Relabel = map[uint64]ref.SegmentLabel{segment: {Number: number, Final: final}}
		p.refuseRead("C3", fmt.Sprintf("sealed in a wrong way, %s: %s", l, why), p.payload(r), "authentication", released)
	}
	for _, l := range []ref.Layout{ref.Plain, ref.Padded} {
		head := map[ref.Layout]uint64{ref.Padded: 8}[l]
		label("the last segment is not marked as the last", l, 600000, 2, 2, false, 524232-head)
		label("the middle segment is marked as the last", l, 600000, 1, 1, true, 262116-head)
		label("the first segment is marked as the last", l, 600000, 0, 0, true, 0)
		label("the only segment is not marked as the last", l, 13, 0, 0, false, 0)
		label("the segments count from one", l, 13, 0, 1, true, 0)
		label("the second segment has the number of the first", l, 600000, 1, 0, false, 262116-head)
		label("the second segment has the number of the third", l, 600000, 1, 2, false, 262116-head)
	}
	// A full segment that is not marked, and an empty one behind it that is.
	r := p.recipe(ref.Plain, 262116, 0x31)
	r.Relabel = map[uint64]ref.SegmentLabel{0: {Number: 0}}
	k := p.payload(r)
	r = p.recipe(ref.Plain, 0, 0x32)
	r.Relabel = map[uint64]ref.SegmentLabel{0: {Number: 1, Final: true}}
	tail := p.payload(r)
	p.refuseRead("C3", "an empty segment behind a full one", k, "authentication", 0, "pieces", append(p.all(k), p.all(tail)...))

	padded, plain := p.payload(p.recipe(ref.Padded, 600000, 0x33)), p.payload(p.recipe(ref.Plain, 606208, 0x34))
	p.refuseRead("C2", "a plain payload told to be padded", plain, "authentication", 0, "commitment", ref.Padded.Commitment(p.dek, p.fileID))
	p.refuseRead("C2", "a padded payload told to be plain", padded, "authentication", 0, "commitment", ref.Plain.Commitment(p.dek, p.fileID))
}

// padding adds authentic payloads that are padded in a wrong way, and padded ones that were altered.
func (p *packer) padding() {
	r := p.recipe(ref.Padded, 100, 0x40)
	k := p.payload(r)
	for _, n := range []uint64{0, 7, 107, 109, 111, 113, 119} {
		p.refuseRead("C4", fmt.Sprintf("no padded plaintext has %d bytes", n), k, "size", 0, "plain_size", n)
	}
	p.refuseRead("C4", "a padded length above the limit", k, "size", 0, "plain_size", maxPlain+1)
	p.refuseRead("C4", "a padded length of the limit, which is none of Padmé's", k, "size", 0, "plain_size", maxPlain)
	p.refuseRead("C4", "the next smaller padded length", k, "authentication", 0, "plain_size", uint64(104))
	p.refuseRead("C4", "the next larger padded length", k, "truncated", 0, "plain_size", uint64(120))

	u64 := func(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }
	patched := func(why string, n, offset int, b []byte, released uint64) int {
		r := p.recipe(ref.Padded, n, 0x41)
		r.Patches = map[int][]byte{offset: b}
		k := p.payload(r)
		p.refuseRead("C4", "padded in a wrong way: "+why, k, "padding", released)
		return k
	}
	for _, n := range []uint64{0, 1, 95, 96, 105, 112, 1 << 32, 1 << 63, ^uint64(0) - 7, ^uint64(0) - 6, ^uint64(0)} {
		patched(fmt.Sprintf("the length field says %d of 100", n), 100, 0, u64(n), 0)
	}
	patched("the length field says 97 of 100, and the last three are not zero", 100, 0, u64(97), 0)
	patched("the first padding byte is one", 100, 108, []byte{1}, 0)
	patched("the last padding byte is 80", 100, 111, []byte{0x80}, 0)
	patched("an empty content of 10 bytes of plaintext", 1, 0, u64(0), 0)
	r = p.recipe(ref.Padded, 0, 0x42)
	r.Length = 10
	p.refuseRead("C4", "padded in a wrong way: more than Padmé says", p.payload(r), "padding", 0)
	patched("a padding byte in the segment where the content ends", 600000, 606207, []byte{1}, 524224)
	patched("the length field of a long payload is one too large for its padding", 606200, 0, u64(606201), 0)

	const n, before = 8388601, 32*ref.SegmentPlain - 8
	long := p.payload(p.recipe(ref.Padded, n, 0x43))
	end := len(p.stored[long])
	p.read("the padding is longer than a segment", long)
	far := patched("a byte in the segment behind the content", n, 8650751, []byte{1}, before)
	p.intact()
	cut := func(why, class string, changes ...any) {
		p.refuseRead("C6", "behind the content: "+why, long, class, before, changes...)
		p.intact()
	}
	cut("the last segment altered", "authentication", "flips", flipAt(end-1))
	cut("the last segment cut off", "truncated", "pieces", []any{p.piece(long, 0, 33*ref.Segment)})
	cut("the last byte cut off", "truncated", "pieces", []any{p.piece(long, 0, end-1)})
	cut("a byte left over", "trailing", "pieces", append(p.all(long), in{"bytes": []byte{0}}))
	p.refuseRead("C6", "the segment in which the content ends altered", long, "authentication", before, "flips", flipAt(32*ref.Segment+20))
	p.ok("C7 C8", "read_range", "the range is far from the padding that is wrong", p.inputs(far, "offset", uint64(1000), "length", uint64(1000)),
		p.outputs(far, ref.Counting(n)[1000:2000]))
	p.refuse("C7 C8", "read_range", "the segment in which the content ends is altered, a byte of it is wanted",
		p.inputs(long, "offset", uint64(n-1), "length", uint64(1), "flips", flipAt(32*ref.Segment+20)), vectors.Failure{Class: "authentication"})
}

func (p *packer) ranges() {
	for _, l := range []ref.Layout{ref.Plain, ref.Padded} {
		k := p.payload(p.recipe(l, 600000, 0x50))
		content := p.recipes[k].Content
		end := len(p.stored[k])
		border := 262116 - int(map[ref.Layout]uint64{ref.Padded: 8}[l]) //nolint:gosec // small
		ok := func(why string, from, to uint64, length uint64, changes ...any) {
			p.ok("C7 C8", "read_range", fmt.Sprintf("%s, %s", why, l), p.inputs(k, append([]any{"offset", from, "length", length}, changes...)...),
				p.outputs(k, content[min(from, 600000):to]))
		}
		bad := func(why, class string, from, length uint64, changes ...any) {
			p.refuse("C7 C8", "read_range", fmt.Sprintf("%s, %s", why, l), p.inputs(k, append([]any{"offset", from, "length", length}, changes...)...),
				vectors.Failure{Class: class})
		}
		b := uint64(border) //nolint:gosec // positive
		ok("the first byte", 0, 1, 1)
		ok("the last byte", 599999, 600000, 1)
		ok("all", 0, 600000, 600000)
		ok("more than all", 0, 600000, ^uint64(0))
		ok("from the middle to beyond the end", 300000, 600000, ^uint64(0))
		ok("the last byte of a segment", b-1, b, 1)
		ok("the first byte of a segment", b, b+1, 1)
		ok("over the border of two segments", b-1, b+1, 2)
		ok("over three segments", b-1, 2*b+100, b+101)
		ok("nothing", 5, 5, 0)
		ok("nothing at the end", 600000, 600000, 1)
		ok("nothing beyond the end", 600001, 600000, 5)
		ok("nothing at the greatest offset", ^uint64(0), 600000, ^uint64(0))
		last := flipAt(2*ref.Segment + 20)
		ok("an altered segment outside of the range", 10, 20, 10, "flips", last)
		ok("truncated behind the range", 10, 20, 10, "pieces", []any{p.piece(k, 0, ref.Segment)})
		ok("bytes left over behind the payload", 599990, 600000, 10, "pieces", append(p.all(k), in{"bytes": []byte{0}}))
		bad("an altered segment in the range", "authentication", 599990, 5, "flips", last)
		bad("an altered byte of the segment, far from the byte that is wanted", "authentication", 2*b+10, 1, "flips", flipAt(end-1))
		bad("the second of two segments is altered", "authentication", b-1, 2, "flips", flipAt(ref.Segment+100))
		bad("truncated within the range", "truncated", 2*b+10, 1, "pieces", []any{p.piece(k, 0, end-1)})
		bad("the segment of the range is gone", "truncated", 2*b+10, 1, "pieces", []any{p.piece(k, 0, 2*ref.Segment)})
		bad("segments exchanged", "authentication", b, 1, "pieces", []any{p.segment(k, 1), p.segment(k, 0), p.segment(k, 2)})
		bad("another commitment", "commitment", 0, 1, "commitment", make([]byte, 32))
		bad("a range of a length above the limit", "size", 0, 1, "plain_size", maxPlain+1)
		if l == ref.Plain {
			bad("a range of a payload that is not as long as told", "authentication", 599990, 1, "plain_size", uint64(599999))
			ok("nothing of a payload that is gone", 5, 5, 0, "pieces", []any{})
			continue
		}
		bad("segment 0 is altered, which says how long the content is", "authentication", 599990, 1, "flips", flipAt(100))
		bad("an empty range, and segment 0 is altered", "authentication", 5, 0, "flips", flipAt(100))
		bad("an empty range, and the payload is gone", "truncated", 5, 0, "pieces", []any{})
		bad("a range of a payload that is not as long as told: the length field does not fit", "padding", 300000, 1, "plain_size", uint64(589824))
		bad("a length that is none of Padmé's", "size", 0, 1, "plain_size", uint64(606207))
		wrong := p.recipe(l, 600000, 0x51)
		wrong.Patches = map[int][]byte{0: binary.BigEndian.AppendUint64(nil, 700000)}
		w := p.payload(wrong)
		p.refuse("C7 C8", "read_range", "a range of a payload whose length field is wrong", p.inputs(w, "offset", uint64(300000), "length", uint64(1)), vectors.Failure{Class: "padding"})
		wrong = p.recipe(l, 600000, 0x52)
		wrong.Patches = map[int][]byte{606000: {1}}
		w = p.payload(wrong)
		p.refuse("C7 C8", "read_range", "a range in the segment whose padding is wrong", p.inputs(w, "offset", uint64(599990), "length", uint64(1)), vectors.Failure{Class: "padding"})
		p.ok("C7 C8", "read_range", "a range in another segment than that whose padding is wrong",
			p.inputs(w, "offset", uint64(300000), "length", uint64(1)), p.outputs(w, content[300000:300001]))
	}
}
