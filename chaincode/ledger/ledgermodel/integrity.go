// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledgermodel

import (
	"crypto/sha256"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/chaincode/ledger/ledgertest"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// Copies that are lost, altered and whole again.

func (m *Model) drawReport() *step {
	if len(m.records) == 0 {
		return nil
	}
	r := pick(m, m.records, "record")
	via := pick(m, m.orgIDs, "who reports")
	args := ledgerapi.ReportIntegrityArgs{Record: r.id, Finding: emr.FindingMissing}
	kind := m.c.Choose(13, "finding")
	switch kind {
	case 3, 4:
		args.Finding, args.Digest, args.Size = emr.FindingAltered, sha256.Sum256(random(8)), 5
	case 5: // cut short in nothing but the length
		args.Finding, args.Digest, args.Size = emr.FindingAltered, r.digest, r.size-1
	case 6, 7:
		args.Finding, args.Digest, args.Size = emr.FindingWhole, r.digest, r.size
	}
	s := m.report(r, via, args)
	m.contradict(s, kind, r)
	return s
}

// contradict makes a finding that cannot be.
func (m *Model) contradict(s *step, kind int, r *record) {
	args := s.args.(ledgerapi.ReportIntegrityArgs)
	switch kind {
	case 8:
		args.Digest = r.digest
	case 9:
		args.Finding, args.Size = emr.FindingAltered, 5
	case 10:
		args.Finding, args.Digest, args.Size = emr.FindingAltered, r.digest, r.size
	case 11:
		args.Finding, args.Digest, args.Size = emr.FindingWhole, r.digest, r.size+1
		if m.seldom(2, "of another digest") {
			args.Digest, args.Size = sha256.Sum256(random(8)), r.size
		}
	case 12:
		if m.seldom(2, "no such record") {
			args.Record = ledgertest.ID[emr.RecordID](emr.RecordPrefix)
			s.args = args
			s.fault(true, emr.CodeNotFound)
			return
		}
		args.Finding = "lost"
	default:
		return
	}
	s.args = args
	s.fault(true, emr.CodeInvalid)
}

func (m *Model) report(r *record, via emr.OrgID, args ledgerapi.ReportIntegrityArgs) *step {
	s := &step{function: ledgerapi.ReportIntegrity, via: via, args: args, event: ledgerapi.EventIntegrity}
	s.fault(!m.orgs[via].member, emr.CodeForbidden)
	s.fault(r.closed() != "", emr.CodeGone)
	last, said := r.findings[via]
	s.fault(args.Finding == emr.FindingWhole && (!said || last.Finding == emr.FindingWhole), emr.CodeRule)
	s.then = func(*answer) []emr.AuditEntry {
		r.findings[via] = args
		e := byTheGateway(emr.AuditIntegrity, r, via, string(via))
		e.Record, e.Decision = r.id, emr.Deny
		if args.Finding == emr.FindingWhole {
			e.Decision = emr.Permit
		}
		m.urge = func() *step { // whole, and a second time nothing to report
			return m.report(r, via, ledgerapi.ReportIntegrityArgs{Record: r.id, Finding: emr.FindingWhole, Digest: r.digest, Size: r.size})
		}
		return []emr.AuditEntry{e}
	}
	return s
}

// finishIntegrity: the last findings of the present members are listed, and a copy is told from what it should be.
func (m *Model) finishIntegrity(r *record) {
	m.t.Helper()
	var list ledgerapi.IntegrityList
	m.ask(ledgerapi.GetIntegrity, ledgerapi.RecordQuery{Record: r.id}, &list)
	var want, got []string
	for _, id := range m.members() {
		if f, said := r.findings[id]; said {
			want = append(want, string(id)+" "+string(f.Finding)+" "+f.Digest.String())
		}
	}
	for _, item := range list.Items {
		got = append(got, string(item.Org)+" "+string(item.Finding)+" "+item.Digest.String())
	}
	require.Equal(m.t, want, got, "findings about %s", r.id)
	m.check(r, nil, ledgerapi.IntegrityQuery{Record: r.id, CID: r.cid, Digest: r.digest, Size: r.size})
	m.check(r, []string{"digest", "size"}, ledgerapi.IntegrityQuery{Record: r.id, CID: r.cid, Digest: sha256.Sum256([]byte("other")), Size: r.size - 1})
	m.check(r, []string{"cid"}, ledgerapi.IntegrityQuery{Record: r.id, CID: "x" + r.cid, Digest: r.digest, Size: r.size})
}

// check asks about what somebody has fetched, of which some fields differ.
func (m *Model) check(r *record, differs []string, q ledgerapi.IntegrityQuery) {
	m.t.Helper()
	var view ledgerapi.IntegrityView
	m.ask(ledgerapi.CheckIntegrity, q, &view)
	verdict := ledgerapi.VerdictMatches
	switch {
	case r.closed() != "":
		verdict = ledgerapi.VerdictErased
	case len(differs) > 0:
		verdict = ledgerapi.VerdictDiffers
	case r.next != nil:
		verdict = ledgerapi.VerdictSuperseded
	}
	require.Equal(m.t, verdict, view.Verdict, "of %s", r.id)
	require.ElementsMatch(m.t, differs, view.Differs)
	if m.Shared { // what is private reaches a peer, and leaves it, a little later
		return
	}
	private := ledgerapi.ManifestMatches
	switch {
	case r.restored:
		private = ledgerapi.ManifestDiffers
	case r.purged():
		private = ledgerapi.ManifestPurged
	}
	require.Equal(m.t, private, view.Manifest, "the manifest of %s", r.id)
}

// purged tells whether the private manifest is: as soon as a part of an order names the version.
func (r *record) purged() bool {
	if r.rekeyed != nil {
		return true
	}
	if r.erased == nil {
		return false
	}
	for _, left := range r.erased.rest {
		if left == r {
			return false
		}
	}
	return true
}

// restoreBackup brings back, now and then, the private manifest of a version whose manifest was purged.
func (m *Model) restoreBackup() {
	d, is := m.d.(*Memory)
	if !is || len(m.records) == 0 || m.mostly(6, "no backup") {
		return
	}
	r := pick(m, m.records, "what is restored")
	if r.purged() {
		d.OverwritePrivate(ledgerapi.ManifestKey(r.id), r.backup)
		r.restored = true
	}
}
