// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledgermodel

import (
	"crypto/sha256"
	"slices"

	"github.com/emrys-health/emrys/chaincode/ledger/ledgertest"
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

// endings is what an order is told to end besides.
type endings struct {
	grants     []*grant
	requests   []*request
	grantIDs   []emr.GrantID
	requestIDs []emr.RequestID
	form       bool // not sorted, or one twice
	unknown    bool
}

// endings chooses what may end with versions that are closed, or are closed by the
// transaction itself, and now and then what may not.
func (m *Model) endings(p *patient, gone func(*record) bool) *endings {
	e := &endings{grantIDs: []emr.GrantID{}, requestIDs: []emr.RequestID{}}
	for _, g := range m.grants {
		if g.owner == p && g.onlyGives(gone) && len(e.grants) < 4 && m.mostly(3, "end this grant") {
			e.grants = append(e.grants, g)
		}
	}
	if len(m.grants) > 0 && m.seldom(12, "any grant") {
		e.grants = append(e.grants, pick(m, m.grants, "which"))
	}
	for _, q := range m.requests {
		if q.record.owner == p && gone(q.record) && len(e.requests) < 4 && m.mostly(3, "end this request") {
			e.requests = append(e.requests, q)
		}
	}
	if len(m.requests) > 0 && m.seldom(12, "any request") {
		e.requests = append(e.requests, pick(m, m.requests, "which"))
	}
	for _, g := range e.grants {
		e.grantIDs = append(e.grantIDs, g.id)
	}
	for _, q := range e.requests {
		e.requestIDs = append(e.requestIDs, q.id)
	}
	if e.unknown = m.seldom(30, "a grant that nobody gave"); e.unknown {
		e.grantIDs = append(e.grantIDs, ledgertest.ID[emr.GrantID](emr.GrantPrefix))
	}
	slices.Sort(e.grantIDs)
	slices.Sort(e.requestIDs)
	e.grantIDs, e.requestIDs = slices.Compact(e.grantIDs), slices.Compact(e.requestIDs)
	if e.form = len(e.requestIDs) > 0 && m.seldom(20, "a request twice"); e.form {
		e.requestIDs = append(e.requestIDs, e.requestIDs[0])
	}
	return e
}

// onlyGives tells whether a grant, as it was signed, names records and none but such.
func (g *grant) onlyGives(gone func(*record) bool) bool {
	return len(g.signedRecords) > 0 && !slices.ContainsFunc(g.signedRecords, func(r *record) bool { return !gone(r) })
}

// faults tells why the endings cannot be: somebody else's, or of something that is not gone.
func (e *endings) faults(s *step, p *patient, gone func(*record) bool) {
	s.fault(e.unknown, emr.CodeNotFound)
	for _, g := range e.grants {
		s.fault(g.owner != p, emr.CodeNotFound)
		s.fault(!g.onlyGives(gone), emr.CodeRule)
	}
	for _, q := range e.requests {
		s.fault(q.record.owner != p, emr.CodeNotFound)
		s.fault(!gone(q.record), emr.CodeRule)
	}
}

// purges is how many private values the endings destroy.
func (e *endings) purges() int {
	n := 0
	for i, g := range e.grants {
		if g.lives() && !slices.Contains(e.grants[:i], g) {
			n++
		}
	}
	for i, q := range e.requests {
		if !q.purged && !slices.Contains(e.requests[:i], q) {
			n++
		}
	}
	return n
}

func (g *grant) lives() bool { return !g.revoked && !g.ended }

// end ends what is named; what a request learns is why its record is gone.
func (e *endings) end(why emr.Reason) {
	for _, g := range e.grants {
		g.ended = g.ended || g.lives()
	}
	for _, q := range e.requests {
		if q.pending {
			q.pending, q.ended = false, why
		}
		q.purged = true
	}
}

// capsuleOf is the digest by which a capsule is known.
func (r *record) capsuleOf() emr.Digest { return sha256.Sum256(r.capsule) }
