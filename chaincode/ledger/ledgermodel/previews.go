// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledgermodel

import (
	"crypto/sha256"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/pkg/consent"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// Consents that are put on the strength of a preview (docs/spec/consent.md, C7).

// shown is what a patient has seen before signing.
type shown struct {
	ledgerapi.Previewed
	doc      consent.Document
	replaces uint32
}

// preview shows a patient what a document would do, now, by a basis that is the model's own.
func (m *Model) preview(p *patient, doc consent.Document) *shown {
	var answer ledgerapi.ConsentPreview
	m.ask(ledgerapi.PreviewConsent, ledgerapi.PreviewConsentQuery{Patient: p.handle, Document: doc}, &answer)
	is := &shown{answer.Previewed, doc, answer.Replaces}
	require.Equal(m.t, p.standing.number(), is.replaces)
	require.Equal(m.t, m.basis(p, is), is.Basis, "what a preview is computed from")
	return is
}

// basis is what a preview would be computed from now.
func (m *Model) basis(p *patient, is *shown) emr.Digest {
	type tie struct {
		Hospital emr.OrgID              `json:"hospital"`
		Status   emr.RelationshipStatus `json:"status"`
	}
	type person struct {
		ID    emr.ClinicianID `json:"id"`
		Org   emr.OrgID       `json:"org"`
		Role  emr.Role        `json:"role"`
		Level emr.Level       `json:"level"`
	}
	ties, people := []tie{}, []person{}
	for _, id := range m.members() {
		ties = append(ties, tie{id, p.relations[id]})
	}
	for _, id := range is.People {
		if c := m.clinicianOf(string(id)); c != nil && c.registered {
			people = append(people, person{id, c.org, c.role, c.level})
		} else {
			people = append(people, person{ID: id})
		}
	}
	return m.labelled("EMRYS-PREVIEW-V1", struct {
		Channel       string     `json:"channel"`
		Patient       emr.Handle `json:"patient"`
		Replaces      uint32     `json:"replaces"`
		Candidate     emr.Digest `json:"candidate"`
		Relationships []tie      `json:"relationships"`
		People        []person   `json:"people"`
	}{m.d.Channel(), p.handle, is.replaces, m.labelled("EMRYS-CONSENT-V1", is.doc), ties, people})
}

func (m *Model) labelled(label string, document any) emr.Digest {
	b, err := emr.Canonical(document)
	require.NoError(m.t, err)
	return sha256.Sum256(append([]byte(label+"\x00"), b...))
}

// drawShown is a preview to put a consent by, now and then; nil for none.
func (m *Model) drawShown(p *patient, doc consent.Document, good bool) *shown {
	if p.shown != nil && m.seldom(2, "what was shown before") {
		return p.shown
	}
	if !good || m.mostly(4, "without a preview") {
		return nil
	}
	p.shown = m.preview(p, doc)
	if m.seldom(2, "put it later") {
		return nil
	}
	return p.shown
}

// faultsOfShown is what is wrong with a preview by the time that it is used: who and
// what it showed has changed, or a time of the documents has passed.
func (m *Model) faultsOfShown(s *step, p *patient, is *shown, args *ledgerapi.PutConsentArgs) {
	args.Previewed = is.Previewed
	s.fault(m.basis(p, is) != is.Basis || args.Replaces != is.replaces, emr.CodeStale)
	turned := turns(&is.doc, is.At, m.now()) || p.standing != nil && turns(&p.standing.doc, is.At, m.now())
	s.fault(turned, emr.CodeStale)
	s.fault(!m.sensible(&is.doc) || over(&is.doc, m.now()), emr.CodeInvalid)
	switch m.c.Choose(16, "what is wrong with the preview") {
	case 12:
		args.Previewed.Basis[0] ^= 1
		s.fault(true, emr.CodeStale)
	case 13:
		args.Previewed.Basis = emr.Digest{}
		s.fault(true, emr.CodeInvalid)
	case 14:
		args.Previewed.At = 0
		s.fault(true, emr.CodeInvalid)
	case 15:
		args.Previewed.People = nil
		s.fault(true, emr.CodeInvalid)
	}
}

func timesOf(d *consent.Document) (all []emr.Time) {
	for i := range d.Groups {
		all = append(all, d.Groups[i].Until)
	}
	for i := range d.Provisions {
		all = append(all, d.Provisions[i].From, d.Provisions[i].Until)
	}
	return all
}

// turns tells whether a time of a document has come since.
func turns(d *consent.Document, since, now emr.Time) bool {
	for _, t := range timesOf(d) {
		if t > since && t <= now {
			return true
		}
	}
	return false
}

// over tells whether something in a document has ended.
func over(d *consent.Document, now emr.Time) bool {
	for i := range d.Groups {
		if d.Groups[i].Until <= now {
			return true
		}
	}
	for i := range d.Provisions {
		if until := d.Provisions[i].Until; until != 0 && until <= now {
			return true
		}
	}
	return false
}
