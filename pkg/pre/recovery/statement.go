// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package recovery

import (
	"fmt"

	"github.com/emrys-health/emrys/pkg/pre"
	"github.com/emrys-health/emrys/pkg/pre/internal/algebra"
)

// MaxSecret is the greatest length of a secret in bytes.
const MaxSecret = 16384

type commitment = algebra.Point[algebra.P256Element]

// statement is what all packages of one backup have in common (R5). It is secret: its commitments hide the sharing key only from
// who cannot take discrete logarithms.
type statement struct {
	backup      [HashSize]byte
	owner       string
	check       [HashSize]byte
	created     uint64
	threshold   int
	members     []Member
	commitments []commitment
	wrapped     []byte
	encoded     []byte
}

type statementWire struct {
	_           struct{} `cbor:",toarray"`
	Header      header
	Backup      []byte
	Owner       string
	Check       []byte
	Created     uint64
	Threshold   uint8
	Members     []memberWire
	Commitments [][]byte
	Wrapped     []byte
}

type memberWire struct {
	_            struct{} `cbor:",toarray"`
	ID           string
	Organisation string
	KeyID        []byte
}

func (s *statement) wire() statementWire {
	w := statementWire{
		Header: headerOf(kindStatement), Backup: s.backup[:], Owner: s.owner, Check: s.check[:], Created: s.created,
		Threshold: uint8(s.threshold), //nolint:gosec // checked
		Wrapped:   s.wrapped,
	}
	for _, m := range s.members {
		w.Members = append(w.Members, memberWire{ID: m.ID, Organisation: m.Organisation, KeyID: m.KeyID[:]})
	}
	for _, c := range s.commitments {
		w.Commitments = append(w.Commitments, c.Bytes())
	}
	return w
}

// associated is what the wrapped secret is bound to: the whole statement but itself.
func (s *statement) associated() ([]byte, error) {
	w := s.wire()
	w.Wrapped = nil
	b, err := encode(w)
	if err != nil {
		return nil, err
	}
	return joined(labelSecret, b), nil
}

// seal encodes the statement when it is complete.
func (s *statement) seal() (err error) {
	s.encoded, err = encode(s.wire())
	return err
}

func (s *statement) digest() [HashSize]byte { return hash(kindStatement, s.encoded) }

func parseStatement(b []byte) (*statement, error) {
	var w statementWire
	if err := decode(b, kindStatement, &w, &w.Header); err != nil {
		return nil, err
	}
	s := &statement{owner: w.Owner, created: w.Created, threshold: int(w.Threshold), wrapped: w.Wrapped, encoded: b}
	switch {
	case len(w.Backup) != HashSize || len(w.Check) != HashSize:
		return nil, malformed("%s: backup id or check value", kindStatement)
	case !text(w.Owner) || w.Created > maxTime:
		return nil, malformed("%s: owner or time of creation", kindStatement)
	case len(w.Wrapped) <= gcmOverhead || len(w.Wrapped) > MaxSecret+gcmOverhead:
		return nil, malformed("%s: wrapped secret of %d bytes", kindStatement, len(w.Wrapped))
	case len(w.Commitments) != s.threshold:
		return nil, malformed("%s: %d commitments for a threshold of %d", kindStatement, len(w.Commitments), s.threshold)
	}
	s.backup, s.check = [HashSize]byte(w.Backup), [HashSize]byte(w.Check)
	for _, m := range w.Members {
		if len(m.KeyID) != len(pre.KeyID{}) {
			return nil, malformed("%s: key id", kindStatement)
		}
		s.members = append(s.members, Member{m.ID, m.Organisation, pre.KeyID(m.KeyID)})
	}
	for _, c := range w.Commitments {
		p, err := algebra.ParsePoint(algebra.P256(), c)
		if err != nil {
			return nil, malformed("%s: commitment", kindStatement)
		}
		s.commitments = append(s.commitments, p)
	}
	return s, nil
}

// share is one guardian's value of the sharing key's polynomial, with its statement (R5).
type share struct {
	statement *statement
	index     uint8 // from 1, the guardian's place in the list
	y         algebra.Scalar
}

type shareWire struct {
	_         struct{} `cbor:",toarray"`
	Header    header
	Statement []byte
	Index     uint8
	Y         []byte
}

func (s *share) encode() ([]byte, error) {
	return encode(shareWire{Header: headerOf(kindShare), Statement: s.statement.encoded, Index: s.index, Y: s.y.Bytes()})
}

// parseShare decodes a share and checks all that can be checked of it alone (R6): the rule, and that the value lies on the polynomial
// that the statement commits to.
func parseShare(b []byte) (*share, error) {
	var w shareWire
	if err := decode(b, kindShare, &w, &w.Header); err != nil {
		return nil, err
	}
	st, err := parseStatement(w.Statement)
	if err != nil {
		return nil, err
	}
	if err := checkMembers(st.threshold, st.members); err != nil {
		return nil, fmt.Errorf("%s: %w", kindStatement, err)
	}
	y, err := algebra.P256().Field().Parse(w.Y)
	if err != nil {
		return nil, malformed("%s: value", kindShare)
	}
	if w.Index == 0 || int(w.Index) > len(st.members) {
		return nil, malformed("%s: index %d", kindShare, w.Index)
	}
	if !algebra.CheckShare(algebra.P256(), st.commitments, algebra.Share{X: w.Index, Y: y}) {
		return nil, fmt.Errorf("%s: value is not the one committed to: %w", kindShare, pre.ErrProof)
	}
	return &share{st, w.Index, y}, nil
}

func (s *share) member() Member { return s.statement.members[s.index-1] }
