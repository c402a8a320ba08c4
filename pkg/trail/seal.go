// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package trail

import (
	"math/bits"

	"github.com/emrys-health/emrys/pkg/emr"
)

// SealReport is what VerifySeals found.
type SealReport struct {
	Verdict Verdict
	// Faults are in the order of their places.
	Faults []Fault
	// Chain holds the seals, each once, by sequence. At a fork it holds every claimant.
	Chain []emr.Seal
}

// VerifySeals checks the seals of one organisation against the heads that gateways
// have told, as Verify does a patient's entries: in any order, of one answer or of
// several. All must be of the organisation of the first head or, without one, of
// the first seal. FaultLoose is a seal that cannot be one: without a place, over
// nothing, or ending before it begins.
//
// It says nothing of what is under the seals: see VerifyInclusion.
func VerifySeals(seals []emr.Seal, heads ...emr.SealHead) (*SealReport, error) {
	v := &verifier{}
	var org emr.OrgID
	switch {
	case len(heads) > 0:
		org = heads[0].Org
	case len(seals) > 0:
		org = seals[0].Org
	}
	for i := range seals {
		s := &seals[i]
		switch {
		case s.Org != org:
			v.fault(FaultForeign, s.Sequence, s.Sequence)
		case s.Sequence == 0 || s.Count == 0 || s.First > s.Last:
			v.fault(FaultLoose, s.Sequence, s.Sequence)
		default:
			hash, err := s.Hash()
			if err != nil {
				return nil, err
			}
			v.chain = append(v.chain, link{s.Sequence, s.Previous, hash, i})
		}
	}
	ends := make([]end, len(heads))
	for i, head := range heads {
		ends[i] = end{head.Sequence, head.Hash, head.Org != org}
	}
	r := &SealReport{Verdict: v.judge(ends), Faults: v.faults, Chain: make([]emr.Seal, len(v.chain))}
	for i, l := range v.chain {
		r.Chain[i] = seals[l.at]
	}
	return r, nil
}

// VerifyInclusion checks that an entry is under the seal beside it, by the path
// alone (RFC 9162 section 2.1.3.2, over the tree of RFC 6962). Whoever holds the
// seal needs nothing else. The error has code corrupt and says what does not hold.
// Whether the seal itself, count included, is the organisation's is for VerifySeals to tell.
func VerifyInclusion(p *emr.Inclusion) error {
	switch {
	case p.Entry.Org != p.Seal.Org:
		return corrupt("entry is of another organisation than the seal")
	case !p.Entry.Sealable():
		return corrupt("entry has a place in a chain and belongs under no seal")
	case p.Entry.At < p.Seal.First || p.Entry.At > p.Seal.Last:
		return corrupt("entry is not of the time that the seal covers")
	case p.Index >= p.Seal.Count:
		return corrupt("seal has no such place")
	case len(p.Path) != pathLength(p.Index, p.Seal.Count):
		return corrupt("path has not the length of its place")
	}
	hash, err := p.Entry.Leaf()
	if err != nil {
		return err
	}
	if climb(hash, p.Index, p.Seal.Count-1, p.Path) != p.Seal.Root {
		return corrupt("path does not lead to the root of the seal")
	}
	return nil
}

func corrupt(message string) error { return emr.E(emr.CodeCorrupt, message) }

// pathLength is the number of siblings between a leaf and the root: one for each
// level at which the leaf's way and the last leaf's differ, and below, in a part of
// the tree that is full to the right, one for each step to the right.
func pathLength(index, count uint32) int {
	inner := bits.Len32(index ^ (count - 1))
	return inner + bits.OnesCount32(index>>inner)
}

// climb goes from the leaf's hash up to the root. last is the index of the last leaf.
func climb(hash emr.Digest, index, last uint32, path []emr.Digest) emr.Digest {
	for _, sibling := range path {
		if index&1 == 0 && index != last {
			hash = emr.MerkleNode(hash, sibling)
		} else {
			hash = emr.MerkleNode(sibling, hash)
			for index&1 == 0 && index != 0 { // the tree is not full here: the way goes up without a sibling
				index, last = index>>1, last>>1
			}
		}
		index, last = index>>1, last>>1
	}
	return hash
}
