// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

// Package trail verifies a patient's audit trail without asking anybody: that the
// entries which are chained (emr.AuditEntry.Chained) are all there, unaltered and
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

// link is one distinct element of a chain, with its hash, and end a head of it.
type (
	link struct {
		sequence       uint64
		previous, hash emr.Digest
		at             int // in the input
	}
	end struct {
		sequence uint64
		hash     emr.Digest
		foreign  bool // of another chain
	}
)

// verifier collects the faults of one chain, of audit entries or of seals.
type verifier struct {
	faults []Fault
	chain  []link // distinct, by sequence
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
	var patient emr.Handle
	switch {
	case len(heads) > 0:
		patient = heads[0].Patient
	case len(entries) > 0:
		patient = entries[0].Patient
	}
	if err := v.collect(entries, patient); err != nil {
		return nil, err
	}
	ends := make([]end, len(heads))
	for i, head := range heads {
		ends[i] = end{head.Sequence, head.Hash, head.Patient != patient}
	}
	r := &Report{Verdict: v.judge(ends), Faults: v.faults, Chain: make([]emr.AuditEntry, len(v.chain))}
	for i, l := range v.chain {
		r.Chain[i] = entries[l.at]
	}
	return r, nil
}

// collect takes the distinct chained entries of the patient.
func (v *verifier) collect(entries []emr.AuditEntry, patient emr.Handle) error {
	for i := range entries {
		e := &entries[i]
		switch {
		case e.Patient != patient:
			v.fault(FaultForeign, e.Sequence, e.Sequence)
		case e.Chained() != (e.Sequence > 0), e.Sequence == 0 && !e.Previous.IsZero():
			v.fault(FaultLoose, e.Sequence, e.Sequence)
		case e.Sequence > 0:
			hash, err := e.Hash()
			if err != nil {
				return err
			}
			v.chain = append(v.chain, link{e.Sequence, e.Previous, hash, i})
		}
	}
	return nil
}

// judge puts the chain in order, holds it against its neighbours and the heads, and sums up.
func (v *verifier) judge(heads []end) Verdict {
	slices.SortFunc(v.chain, func(a, b link) int {
		return cmp.Or(cmp.Compare(a.sequence, b.sequence), slices.Compare(a.hash[:], b.hash[:]))
	})
	v.chain = slices.CompactFunc(v.chain, func(a, b link) bool { return a.hash == b.hash })
	v.checkLinks()
	v.checkHeads(heads)
	slices.SortStableFunc(v.faults, func(a, b Fault) int { return cmp.Or(cmp.Compare(a.From, b.From), cmp.Compare(a.To, b.To)) })
	verdict := Complete
	for _, f := range v.faults {
		if f.Kind.verdict() == Conflicting {
			return Conflicting
		}
		verdict = Partial
	}
	return verdict
}

// checkLinks compares every entry with its neighbours.
func (v *verifier) checkLinks() {
	for i := range v.chain {
		this := &v.chain[i]
		n := this.sequence
		if (n == 1) != this.previous.IsZero() {
			v.fault(FaultAltered, n, n)
		}
		if i == 0 {
			continue
		}
		switch before := &v.chain[i-1]; {
		case before.sequence == n:
			v.fault(FaultFork, n, n)
		case before.sequence+1 == n && !v.names(before.sequence, this.previous):
			v.fault(FaultAltered, before.sequence, n)
		}
	}
}

// at returns the claimants of a place.
func (v *verifier) at(sequence uint64) []link {
	first, found := slices.BinarySearchFunc(v.chain, sequence, func(l link, n uint64) int {
		return cmp.Compare(l.sequence, n)
	})
	if !found {
		return nil
	}
	last := first
	for last < len(v.chain) && v.chain[last].sequence == sequence {
		last++
	}
	return v.chain[first:last]
}

// names tells whether a hash is that of a claimant of a place.
func (v *verifier) names(sequence uint64, hash emr.Digest) bool {
	return slices.ContainsFunc(v.at(sequence), func(l link) bool { return l.hash == hash })
}

// checkHeads holds the chain against the heads, and finds what is missing up to the newest.
func (v *verifier) checkHeads(heads []end) {
	if len(heads) == 0 {
		v.fault(FaultNoHead, 0, 0)
		return
	}
	newest := heads[0]
	for i, head := range heads {
		v.checkHead(&head)
		if head.sequence > newest.sequence {
			newest = head
		}
		for _, other := range heads[:i] {
			if other.sequence == head.sequence && other.hash != head.hash {
				v.fault(FaultFork, head.sequence, head.sequence)
			}
		}
	}
	next := uint64(1)
	for i := range v.chain {
		n := v.chain[i].sequence
		v.missing(next, min(n-1, newest.sequence))
		next = n + 1
		if n > newest.sequence {
			v.fault(FaultHeadBehind, n, n)
		}
	}
	if len(v.chain) == 0 || v.chain[len(v.chain)-1].sequence < newest.sequence {
		v.missing(next, newest.sequence)
	}
}

func (v *verifier) checkHead(head *end) {
	switch {
	case head.foreign:
		v.fault(FaultForeign, head.sequence, head.sequence)
	case (head.sequence == 0) != head.hash.IsZero():
		v.fault(FaultAltered, head.sequence, head.sequence)
	case len(v.at(head.sequence)) > 0 && !v.names(head.sequence, head.hash):
		v.fault(FaultAltered, head.sequence, head.sequence)
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
