// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledgermodel

import (
	"crypto/sha256"
	"slices"

	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// What a version is registered with, and what ends with it.

// ending is what a record is known by when it is gone.
type ending struct {
	cid      string
	digest   emr.Digest
	size     uint64
	capsule  []byte
	key      emr.PinnedKey // by which it was signed
	patients bool          // the patient has signed it
	backup   []byte        // of the private manifest
	restored bool          // it was written back after the purge
	findings map[emr.OrgID]ledgerapi.ReportIntegrityArgs

	rekeyed, erased *order
}

// closed is why nobody reads a version, or "".
func (r *record) closed() emr.Reason {
	switch {
	case r.erased != nil:
		return emr.ReasonErased
	case r.rekeyed != nil:
		return emr.ReasonRekeyed
	default:
		return ""
	}
}

func (r *record) status() (emr.RecordStatus, emr.ErasureID) {
	switch {
	case r.erased != nil:
		return emr.RecordErased, r.erased.id
	case r.rekeyed != nil:
		return emr.RecordRekeyed, r.rekeyed.id
	default:
		return emr.RecordLive, ""
	}
}

// writer is who stands as the author.
func (r *record) writer() emr.ClinicianID {
	if r.patients {
		return emr.ClinicianID(r.owner.handle)
	}
	return r.author.cid
}

// seriesOf is every version of a record, the first one first.
func (m *Model) seriesOf(r *record) []*record {
	return slices.DeleteFunc(slices.Clone(m.records), func(other *record) bool { return other.series != r.series })
}

func (m *Model) newRecord(s *step, man *emr.Manifest, wish recordWish, hospital emr.OrgID) *record {
	r := &record{
		id: man.Record, owner: m.patientOf(man.Patient), scope: wish.scope, class: wish.class, author: s.by.clinician, hospital: hospital,
		restricted: wish.label, version: 1, series: man.Record, holders: map[emr.OrgID]emr.HoldGround{},
		ending: ending{
			cid: man.CID, digest: man.Digest, size: man.CipherSize, capsule: man.Capsule, key: pinned(s.by.key),
			patients: s.by.patient != nil, findings: map[emr.OrgID]ledgerapi.ReportIntegrityArgs{},
		},
	}
	if old := wish.previous; old != nil {
		r.version, r.series = old.version+1, old.series
		if r.patients {
			r.author, r.hospital = old.author, old.hospital
		}
	}
	return r
}

// faultsOfRecord is what can be wrong with a new version, whoever writes it and what for.
func (s *step) faultsOfRecord(p *patient, r *record, wish recordWish) {
	s.fault(wish.scope.owner != p, emr.CodeNotFound)
	s.fault(wish.scope.next != nil || wish.late, emr.CodeStale)
	s.fault(!reaches(wish.scope.Level, levelOf(wish.class)), emr.CodeRule)
	switch {
	case wish.as == "id":
		s.fault(true, emr.CodeExists)
	case wish.as == "capsule":
		s.fault(true, emr.CodeCorrupt)
	case wish.as != "" && wish.used.closed() != "":
		s.fault(true, emr.CodeGone)
	case wish.as != "":
		s.fault(true, emr.CodeExists)
	}
	old := wish.previous
	if old == nil {
		return
	}
	s.fault(old.owner != p, emr.CodeNotFound)
	s.fault(old.hospital != r.hospital, emr.CodeForbidden)
	s.fault(old.erased != nil, emr.CodeGone)
	s.fault(old.class != wish.class, emr.CodeInvalid)
	s.fault(old.restricted && !wish.label, emr.CodeRule)
	s.fault(old.next != nil, emr.CodeStale)
}

// registered puts a version at the end of its series.
func (m *Model) registered(s *step, r, previous *record, at emr.Time) {
	r.registered, r.manifest = at, s.sent.Digest()
	if previous != nil {
		previous.next = r
	}
	if d, is := m.d.(*Memory); is {
		r.backup = d.Private(ledgerapi.ManifestKey(r.id))
	}
	m.records = append(m.records, r)
}

// reuse makes a wish for what was registered before, living or not.
func (m *Model) reuse(wish *recordWish) {
	if len(m.records) == 0 || m.mostly(8, "new content") {
		return
	}
	r := pick(m, m.records, "what was registered before")
	for _, other := range m.records {
		if other.closed() != "" && m.mostly(2, "what is gone") {
			r = other
		}
	}
	wish.resurrects(r, pick(m, []string{"cid", "digest", "id", "capsule"}, "what of it"))
}

func (wish *recordWish) resurrects(r *record, as string) { wish.used, wish.as = r, as }

// claim puts what is used once more into a manifest, before the capsule is made for it.
func (wish *recordWish) claim(man *emr.Manifest) {
	switch wish.as {
	case "cid":
		man.CID = wish.used.cid
	case "digest":
		man.Digest = wish.used.digest
	}
	if wish.late {
		man.Epoch++
	}
}

// publishes adds a scope that the patient has published.
func (m *Model) publishes(p *patient, fresh *ledgerapi.NewScope, at emr.Time) *scope {
	of := &scope{owner: p, Scope: emr.Scope{
		V: emr.DocumentVersion, ID: fresh.ID, Patient: p.handle, Epoch: fresh.Epoch, Level: fresh.Level, Delegating: fresh.Delegating,
		Fragment: fresh.Fragment, Published: at,
	}}
	m.published[string(fresh.Delegating)], m.published[string(fresh.Fragment)] = true, true
	p.scopes = append(p.scopes, of)
	return of
}

// reuseKey makes a scope of a key that was published before, in either role, or of one key in both.
func (m *Model) reuseKey(s *step, fresh *ledgerapi.NewScope) {
	var all []*scope
	for _, p := range m.patients {
		all = append(all, p.scopes...)
	}
	if len(all) == 0 {
		return
	}
	of := pick(m, all, "whose key")
	switch m.c.Choose(5, "which key") {
	case 0:
		fresh.Delegating = of.Delegating
	case 1:
		fresh.Fragment = of.Fragment
	case 2:
		fresh.Delegating = of.Fragment
	case 3:
		fresh.Fragment = of.Delegating
	case 4:
		fresh.Fragment = fresh.Delegating
		s.fault(true, emr.CodeInvalid)
		return
	}
	s.fault(true, emr.CodeExists)
}

// capsuleOf is the digest by which a capsule is known.
func (r *record) capsuleOf() emr.Digest { return sha256.Sum256(r.capsule) }
