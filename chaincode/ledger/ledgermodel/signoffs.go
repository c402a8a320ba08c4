// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledgermodel

import (
	"slices"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/chaincode/ledger/ledgertest"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
	"github.com/emrys-health/emrys/pkg/pre"
)

// Ordered sign-offs (docs/spec/granting.md, G7).

// signer is somebody who is to sign, in the organisation and role that the author names.
type signer struct {
	*clinician
	in emr.OrgID
	as emr.Role
}

// signing is the sign-off of one version of a record.
type signing struct {
	signers []signer
	answers []signature // in the order of signers
	refused emr.SignOffGround
}

type signature struct {
	digest  emr.Digest
	key     *pre.PrivateKey
	version uint32
}

// signed tells how far the sign-off of a record has come; nothing when there is none.
func (r *record) signed() emr.SignOffStatus {
	switch s := r.signing; {
	case s == nil:
		return ""
	case s.refused != "":
		return emr.SignOffRefused
	case len(s.answers) == len(s.signers):
		return emr.SignOffSigned
	case len(s.answers) > 0:
		return emr.SignOffPartly
	default:
		return emr.SignOffDraft
	}
}

// turn is whose turn it is; nil when it is nobody's any more.
func (r *record) turn() *signer {
	if over := r.signed(); over == "" || over == emr.SignOffSigned || over == emr.SignOffRefused {
		return nil
	}
	return &r.signing.signers[len(r.signing.answers)]
}

// drawSigners names signers of a record, now and then such as cannot be.
func (m *Model) drawSigners(wish *recordWish) {
	dropped := wish.previous == nil || wish.previous.signing == nil || m.seldom(4, "a version drops its signers")
	if dropped && m.mostly(2, "nobody is to sign") {
		return
	}
	for range 1 + m.c.Choose(3, "signers") {
		c := pick(m, m.writers(), "signer")
		if reaches(c.level, levelOf(wish.class)) || m.seldom(6, "below the level") {
			wish.signers = append(wish.signers, signer{c, c.org, c.role})
		}
	}
	if len(wish.signers) == 0 {
		return
	}
	last := &wish.signers[len(wish.signers)-1]
	switch m.c.Choose(12, "who else") {
	case 8:
		last.as = other(last.role)
	case 9:
		last.in = pick(m, m.orgIDs, "organisation")
	case 10:
		c := pick(m, m.clinicians, "anybody")
		for _, idle := range m.clinicians {
			if idle.registered && writes(idle.role) && idle.state() != emr.ClinicianActive && m.mostly(2, "one who does not act") {
				c = idle
			}
		}
		*last = signer{c, c.org, c.role}
	case 11:
		wish.signers = append(wish.signers, wish.signers[0])
	}
}

// foundSigning registers the draft of a record with which a sequence begins.
func (m *Model) foundSigning(p *patient, author *clinician) {
	wish := recordWish{scope: p.scopes[0], class: emr.ClassMedicalImaging}
	for _, c := range []*clinician{author, m.clinicians[3], m.clinicians[0]} { // the first two are alike but for the order
		wish.signers = append(wish.signers, signer{c, c.org, c.role})
	}
	m.run(m.write(p, author.actor, author.org, wish))
	m.run(m.write(p, author.actor, author.org, recordWish{scope: p.scopes[0], class: emr.ClassMedicine})) // of another level
}

// other is another role of those who may sign.
func other(role emr.Role) emr.Role {
	if role == emr.RolePhysician {
		return emr.RoleNurse
	}
	return emr.RolePhysician
}

// roleOf is the role in which somebody registers, now and then another one than before.
func (m *Model) roleOf(c *clinician) emr.Role {
	if c.registered && writes(c.role) && m.seldom(6, "in another role") {
		return other(c.role)
	}
	return c.role
}

// faultsOfSigners is what can be wrong with those who are to sign a version, and with there being none.
func (m *Model) faultsOfSigners(s *step, wish *recordWish) {
	s.fault(wish.previous != nil && wish.previous.signing != nil && len(wish.signers) == 0, emr.CodeRule)
	for i, of := range wish.signers {
		s.fault(!of.registered, emr.CodeNotFound)
		s.fault(of.in != of.org || of.as != of.role, emr.CodeInvalid)
		s.fault(!writes(of.role) || !reaches(of.level, levelOf(wish.class)) || of.state() != emr.ClinicianActive, emr.CodeRule)
		s.fault(slices.ContainsFunc(wish.signers[:i], func(o signer) bool { return o.clinician == of.clinician }), emr.CodeInvalid)
	}
}

// opensSigning begins the sign-off of a new record.
func (m *Model) opensSigning(r *record, wish *recordWish) {
	if len(wish.signers) == 0 {
		return
	}
	r.signing = &signing{signers: wish.signers}
	m.urge = func() *step {
		if old := wish.previous; old != nil && old.turn() != nil && m.mostly(2, "the version before") {
			return m.signOff(old, old.turn().actor)
		}
		return m.signOff(r, wish.signers[0].actor)
	}
}

// draftLike registers a record like another one, or its next version, for signers.
func (m *Model) draftLike(r, previous *record, signers []signer) *step {
	return m.write(r.owner, r.author.actor, r.author.org, recordWish{
		scope: r.scope, class: r.class, label: r.restricted, previous: previous, signers: signers,
	})
}

// nameSigner names somebody as a signer whose status has just changed.
func (m *Model) nameSigner(c *clinician) *step {
	for _, r := range m.records {
		if r.author.state() == emr.ClinicianActive && r.author != c && reaches(c.level, levelOf(r.class)) && m.mostly(2, "such a record") {
			return m.draftLike(r, nil, []signer{{c, c.org, c.role}})
		}
	}
	return nil
}

func (m *Model) drawSignOff() *step {
	open := func(r *record) bool { return r.turn() != nil && r.next == nil }
	if len(m.records) == 0 || idle(m, m.records, open) {
		return nil
	}
	r := pick(m, m.records, "record")
	for _, of := range m.records {
		if (open(of) || of.signing != nil && m.seldom(6, "one that is over")) && m.mostly(3, "one that fits") {
			r = of
		}
	}
	by := m.anybody()
	if r.signing != nil {
		by = pick(m, r.signing.signers, "signer").actor
	}
	if turn := r.turn(); turn != nil && m.mostly(3, "in turn") {
		by = turn.actor
	}
	return m.signOff(r, m.orAnybody(by))
}

// signOff signs a record, or refuses to.
func (m *Model) signOff(r *record, by *actor) *step {
	args := ledgerapi.SignOffArgs{Record: r.id, Manifest: r.manifest}
	if m.seldom(4, "refuse") {
		args.Refuse, args.Ground = true, pick(m, []emr.SignOffGround{
			emr.SignOffDisagree, emr.SignOffIncomplete, emr.SignOffWrongPatient, emr.SignOffNotMine,
		}, "ground")
	}
	var bad, unknown bool
	switch m.c.Choose(16, "what") {
	case 12: // signs something else
		args.Manifest = pick(m, m.records, "another record").manifest
		bad = args.Manifest != r.manifest
	case 13:
		args.Ground, bad = "mood", true
	case 14: // a refusal without a ground, or a ground without a refusal
		args.Refuse, bad = !args.Refuse, true
	case 15:
		args.Record, unknown = ledgertest.ID[emr.RecordID](emr.RecordPrefix), true
	}
	s := m.signed(ledgerapi.SignOff, by, m.carrier(by), args)
	s.fault(bad, emr.CodeInvalid)
	s.fault(unknown || r.signing == nil, emr.CodeNotFound)
	if !s.active() || r.signing == nil {
		return s
	}
	m.inTurn(s, r)
	s.fault(r.next != nil, emr.CodeRule)
	s.fault(r.closed() != "", emr.CodeGone)
	s.event, s.says = ledgerapi.EventSignedOff, says(emr.Permit, "")
	if args.Refuse {
		s.says = says(emr.Deny, "")
	}
	s.then = func(a *answer) []emr.AuditEntry {
		r.signing.answers = append(r.signing.answers, signature{s.sent.Digest(), s.keyThen(), by.clinician.version})
		r.signing.refused = args.Ground
		require.Equal(m.t, r.signed(), a.SignOff)
		m.urge = m.afterSigning(r, by)
		e := byTheClinician(emr.AuditSignOff, r.owner, by, string(r.id))
		e.Record, e.Decision = r.id, a.Decision
		return []emr.AuditEntry{e}
	}
	return s
}

// inTurn: each signs once, in order, in the role in which the author named the
// signer, and nobody after the end.
func (m *Model) inTurn(s *step, r *record) {
	at := slices.IndexFunc(r.signing.signers, func(of signer) bool { return of.clinician == s.by.clinician })
	if at < 0 {
		s.fault(true, emr.CodeForbidden)
		return
	}
	answered := len(r.signing.answers)
	s.fault(at < answered, emr.CodeExists)
	s.fault(at > answered || at == answered && r.signing.refused != "", emr.CodeRule)
	of := r.signing.signers[at]
	s.fault(of.as != of.role || of.in != of.org, emr.CodeRule)
}

// afterSigning goes on with the next signer, with the same one again, or with a reading of what has just changed.
func (m *Model) afterSigning(r *record, by *actor) func() *step {
	return func() *step {
		switch m.c.Choose(5, "after a signature") {
		case 4:
			return m.draftLike(r, r, r.signing.signers)
		case 0, 1:
			if turn := r.turn(); turn != nil {
				return m.signOff(r, turn.actor)
			}
			return m.readAgain(func(g *grant) bool { return g.signedOff && g.scope == r.scope && g.names(r) })
		case 2:
			return m.signOff(r, by)
		default:
			return m.signOff(r, r.signing.signers[len(r.signing.signers)-1].actor)
		}
	}
}

// turnsOf are the records that wait for somebody's signature.
func (m *Model) turnsOf(c *clinician) []*record {
	return slices.DeleteFunc(slices.Clone(m.records), func(r *record) bool {
		turn := r.turn()
		return r.closed() != "" || turn == nil || turn.clinician != c || r.next != nil
	})
}

// finishSignOffs: every sign-off is as far as its signers have brought it, by their own signatures.
func (m *Model) finishSignOffs() {
	m.t.Helper()
	for _, r := range m.records {
		q := ledgerapi.RecordQuery{Record: r.id}
		if r.signing == nil {
			var none emr.SignOff
			require.Equal(m.t, emr.CodeNotFound, emr.CodeOf(m.d.Ask(m.members()[0], ledgerapi.GetSignOff, q, &none)))
			continue
		}
		var view ledgerapi.SignOffView
		m.ask(ledgerapi.GetSignOffAction, q, &view)
		found := &view.SignOff
		require.Equal(m.t, []any{r.signed(), r.signing.refused, r.manifest, r.owner.handle},
			[]any{found.Status, found.Ground, found.Manifest, found.Patient})
		require.Len(m.t, found.Signers, len(r.signing.signers))
		require.Len(m.t, view.Signed, len(r.signing.answers))
		for i, given := range r.signing.answers {
			require.Equal(m.t, r.signing.signers[i].cid, found.Signatures[i].By)
			require.Equal(m.t, given.version, found.Signatures[i].Keys)
			require.Equal(m.t, given.digest, view.Signed[i].Digest())
			require.True(m.t, m.signedBy(&view.Signed[i], given.key), "the evidence of a sign-off is by another key")
		}
	}
	for _, c := range knownClinicians(m) {
		var got []emr.RecordID
		q := ledgerapi.PageQuery{Clinician: c.cid, Limit: pick(m, []int{100, 2}, "sign-offs of a page")}
		for {
			var page ledgerapi.SignOffPage
			m.ask(ledgerapi.ListSignOffs, q, &page)
			for i := range page.Items {
				got = append(got, page.Items[i].Record)
			}
			if q.Bookmark = page.Bookmark; q.Bookmark == "" {
				break
			}
		}
		require.ElementsMatch(m.t, idsOf(m.turnsOf(c)), got, "what waits for the signature of %s", c.name)
	}
}
