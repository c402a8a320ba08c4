// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

// Package trail verifies a patient's audit trail without asking anybody: that the
// entries which are chained (emr.AuditKind.Chained) are all there, unaltered and
// in one line, up to a head. A patient's device feeds it what one gateway has
// answered, or what two have, and learns whether the answers are complete, partial
// or in conflict (docs/spec/audit.md).
//
// The package imports the vocabulary and nothing else of ours, and does no I/O.
package trail

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/emrys-health/emrys/pkg/emr"
)

// Verdict is what can be said of a trail as a whole.
type Verdict string

// Verdicts.
const (
	// Complete: every chained entry from the first to the newest head is there, once,
	// and each names the one before it.
	Complete Verdict = "complete"
	// Partial: nothing speaks against what is there, but something is missing, or
	// there is no head to hold it against.
	Partial Verdict = "partial"
	// Conflicting: what is there cannot all be true. Somebody has altered, replaced or
	// made up an entry or a head.
	Conflicting Verdict = "conflicting"
)

// FaultKind tells what is wrong at one place of a trail.
type FaultKind string

// Kinds of fault. The first three make a trail partial, the others make it conflicting.
const (
	// FaultMissing: entries From to To are not there.
	FaultMissing FaultKind = "missing"
	// FaultHeadBehind: entries From to To are newer than every head; ask for the head again.
	FaultHeadBehind FaultKind = "head-behind"
	// FaultNoHead: no head was given.
	FaultNoHead FaultKind = "no-head"
	// FaultFork: two entries, or two heads, claim the place From.
	FaultFork FaultKind = "fork"
	// FaultAltered: entry From is not the one that the entry or head To names.
	FaultAltered FaultKind = "altered"
	// FaultForeign: an entry or head is another patient's.
	FaultForeign FaultKind = "foreign"
	// FaultLoose: an entry of a chained kind has no place in the chain, or one of
	// another kind has.
	FaultLoose FaultKind = "loose"
)

// Fault is one thing that is wrong, at the sequence numbers From to To.
type Fault struct {
	Kind     FaultKind
	From, To uint64
}

// String tells the fault in a few words, for people.
func (f Fault) String() string {
	if f.From == f.To {
		return fmt.Sprintf("%s at entry %d", f.Kind, f.From)
	}
	return fmt.Sprintf("%s at entries %d to %d", f.Kind, f.From, f.To)
}

func (k FaultKind) verdict() Verdict {
	if k == FaultMissing || k == FaultHeadBehind || k == FaultNoHead {
		return Partial
	}
	return Conflicting
}

// Report is what Verify found.
type Report struct {
	Verdict Verdict
	// Faults are in the order of their places.
	Faults []Fault
	// Chain holds the chained entries, each once, by sequence. At a fork it holds every claimant.
	Chain []emr.AuditEntry
}

// link is one distinct chained entry with its hash.
type link struct {
	entry emr.AuditEntry
	hash  emr.Digest
}

// verifier collects the faults of one trail.
type verifier struct {
	patient emr.Handle
	faults  []Fault
	chain   []link // distinct, by sequence
}

// Verify checks one patient's entries against the heads that gateways have told.
// Entries may be in any order, may come from several answers, and may hold entries
// of kinds that are not chained, of which it can say nothing. The newest head
// tells where the chain ends; the others must lie on it. All must be of the
// patient of the first head or, without one, of the first entry.
//
// The error is that of an entry which cannot be encoded; entries that were decoded
// from JSON always can.
func Verify(entries []emr.AuditEntry, heads ...emr.AuditHead) (*Report, error) {
	v := &verifier{}
	switch {
	case len(heads) > 0:
		v.patient = heads[0].Patient
	case len(entries) > 0:
		v.patient = entries[0].Patient
	}
	if err := v.collect(entries); err != nil {
		return nil, err
	}
	v.checkLinks()
	v.checkHeads(heads)
	return v.report(), nil
}

// collect takes the distinct chained entries of the patient.
func (v *verifier) collect(entries []emr.AuditEntry) error {
	for i := range entries {
		e := &entries[i]
		switch {
		case e.Patient != v.patient:
			v.fault(FaultForeign, e.Sequence, e.Sequence)
		case e.Kind.Chained() != (e.Sequence > 0), e.Sequence == 0 && !e.Previous.IsZero():
			v.fault(FaultLoose, e.Sequence, e.Sequence)
		case e.Sequence > 0:
			hash, err := e.Hash()
			if err != nil {
				return err
			}
			v.chain = append(v.chain, link{*e, hash})
		}
	}
	slices.SortFunc(v.chain, func(a, b link) int {
		return cmp.Or(cmp.Compare(a.entry.Sequence, b.entry.Sequence), slices.Compare(a.hash[:], b.hash[:]))
	})
	v.chain = slices.CompactFunc(v.chain, func(a, b link) bool { return a.hash == b.hash })
	return nil
}

// checkLinks compares every entry with its neighbours.
func (v *verifier) checkLinks() {
	for i := range v.chain {
		this := &v.chain[i]
		n := this.entry.Sequence
		if (n == 1) != this.entry.Previous.IsZero() {
			v.fault(FaultAltered, n, n)
		}
		if i == 0 {
			continue
		}
		switch before := &v.chain[i-1]; {
		case before.entry.Sequence == n:
			v.fault(FaultFork, n, n)
		case before.entry.Sequence+1 == n && !v.names(before.entry.Sequence, this.entry.Previous):
			v.fault(FaultAltered, before.entry.Sequence, n)
		}
	}
}

// at returns the claimants of a place.
func (v *verifier) at(sequence uint64) []link {
	first, found := slices.BinarySearchFunc(v.chain, sequence, func(l link, n uint64) int {
		return cmp.Compare(l.entry.Sequence, n)
	})
	if !found {
		return nil
	}
	last := first
	for last < len(v.chain) && v.chain[last].entry.Sequence == sequence {
		last++
	}
	return v.chain[first:last]
}

// names tells whether a hash is that of a claimant of a place.
func (v *verifier) names(sequence uint64, hash emr.Digest) bool {
	return slices.ContainsFunc(v.at(sequence), func(l link) bool { return l.hash == hash })
}

// checkHeads holds the chain against the heads, and finds what is missing up to the newest.
func (v *verifier) checkHeads(heads []emr.AuditHead) {
	if len(heads) == 0 {
		v.fault(FaultNoHead, 0, 0)
		return
	}
	newest := heads[0]
	for i, head := range heads {
		v.checkHead(&head)
		if head.Sequence > newest.Sequence {
			newest = head
		}
		for _, other := range heads[:i] {
			if other.Sequence == head.Sequence && other.Hash != head.Hash {
				v.fault(FaultFork, head.Sequence, head.Sequence)
			}
		}
	}
	next := uint64(1)
	for i := range v.chain {
		n := v.chain[i].entry.Sequence
		v.missing(next, min(n-1, newest.Sequence))
		next = n + 1
		if n > newest.Sequence {
			v.fault(FaultHeadBehind, n, n)
		}
	}
	if len(v.chain) == 0 || v.chain[len(v.chain)-1].entry.Sequence < newest.Sequence {
		v.missing(next, newest.Sequence)
	}
}

func (v *verifier) checkHead(head *emr.AuditHead) {
	switch {
	case head.Patient != v.patient:
		v.fault(FaultForeign, head.Sequence, head.Sequence)
	case (head.Sequence == 0) != head.Hash.IsZero():
		v.fault(FaultAltered, head.Sequence, head.Sequence)
	case len(v.at(head.Sequence)) > 0 && !v.names(head.Sequence, head.Hash):
		v.fault(FaultAltered, head.Sequence, head.Sequence)
	}
}

func (v *verifier) missing(from, to uint64) {
	if from <= to {
		v.fault(FaultMissing, from, to)
	}
}

func (v *verifier) fault(kind FaultKind, from, to uint64) {
	if f := (Fault{kind, from, to}); !slices.Contains(v.faults, f) {
		v.faults = append(v.faults, f)
	}
}

func (v *verifier) report() *Report {
	r := &Report{Verdict: Complete, Faults: v.faults, Chain: make([]emr.AuditEntry, len(v.chain))}
	for i := range v.chain {
		r.Chain[i] = v.chain[i].entry
	}
	slices.SortStableFunc(r.Faults, func(a, b Fault) int { return cmp.Or(cmp.Compare(a.From, b.From), cmp.Compare(a.To, b.To)) })
	for _, f := range r.Faults {
		if f.Kind.verdict() == Conflicting {
			r.Verdict = Conflicting
			return r
		}
		r.Verdict = Partial
	}
	return r
}
