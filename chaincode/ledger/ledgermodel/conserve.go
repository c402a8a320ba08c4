// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledgermodel

import (
	"crypto/ecdsa"
	"encoding/json"
	"math/big"
	"slices"
	"strings"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/chaincode/ledger"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
	"github.com/emrys-health/emrys/pkg/pre"
)

// keep adds the entries that a transaction must have written, and compares them
// with what it wrote: each once in the patient's trail, once in the record's, and
// nothing else, under keys that nobody has used before.
func (m *Model) keep(s *step, out *Outcome, entries []emr.AuditEntry) {
	m.t.Helper()
	var want []string
	for _, e := range entries {
		if e.Patient != "" && e.Chained() {
			p := m.patientOf(e.Patient)
			p.chain++
			e.Sequence = p.chain
		}
		m.entries = append(m.entries, e)
		want = append(want, places(&e)...)
		if s.about == nil && e.Patient == "" && e.Kind != emr.AuditSuspension {
			s.about = m.clinicianOf(e.Ref)
		}
		if s.about != nil && e.Patient == "" {
			want = append(want, placed(ledgerapi.TypeAuditByClinician, s.about.id, &e))
			m.about[s.about.id] = append(m.about[s.about.id], e)
		}
		if s.aboutOrg != "" && s.aboutOrg != e.Org {
			want = append(want, placed(ledgerapi.TypeAuditByOrg, string(s.aboutOrg), &e))
		}
	}
	if !out.Seen {
		return
	}
	var got []string
	for _, w := range out.Written {
		if !slices.Contains(auditTypes(), w.Key.Type) {
			continue
		}
		name := w.Key.Type + "/" + strings.Join(w.Key.Attributes, "/")
		require.False(m.t, m.auditKeys[name], "an audit entry is written twice: %s", s)
		m.auditKeys[name] = true
		var e emr.AuditEntry
		require.NoError(m.t, json.Unmarshal(m.entryAt(out, &w), &e))
		e.Previous = emr.Digest{} // the whole chain is verified in the end
		got = append(got, placed(w.Key.Type, w.Key.Attributes[0], &e))
		if w.Key.Type == ledgerapi.TypeAuditByOrg && w.Key.Attributes[0] == string(e.Org) {
			m.named = append(m.named, &named{
				org: e.Org, sealable: e.Sequence == 0, name: ledgerapi.EntryName{Moment: w.Key.Attributes[1], ID: w.Key.Attributes[2]},
			})
		}
	}
	slices.Sort(want)
	slices.Sort(got)
	require.Equal(m.t, want, got, "audit entries of %s", s)
}

// entryAt returns the entry that stands at a key: the value there or, where that is a patient's handle, the one written into the
// patient's trail with the same moment and id.
func (m *Model) entryAt(out *Outcome, w *ledger.Entry) []byte {
	m.t.Helper()
	if !strings.HasPrefix(string(w.Value), emr.HandlePrefix) {
		return w.Value
	}
	require.NotEqual(m.t, ledgerapi.TypeAuditByPatient, w.Key.Type, "a patient's trail holds the entries themselves")
	at := slices.IndexFunc(out.Written, func(o ledger.Entry) bool {
		return o.Key.Type == ledgerapi.TypeAuditByPatient && slices.Equal(o.Key.Attributes, append([]string{string(w.Value)}, w.Key.Attributes[1:]...))
	})
	require.NotEqual(m.t, -1, at, "%s leads to no entry", w.Key.Type)
	return out.Written[at].Value
}

func auditTypes() []string {
	return []string{
		ledgerapi.TypeAuditByPatient, ledgerapi.TypeAuditByRecord, ledgerapi.TypeAuditByClinician, ledgerapi.TypeAuditByActor,
		ledgerapi.TypeAuditByOrg,
	}
}

// places is everywhere that an entry must stand: with the patient and the record,
// or the professional, that it is about, with who acted, and with the organisation.
func places(e *emr.AuditEntry) []string {
	all := []string{placed(ledgerapi.TypeAuditByOrg, string(e.Org), e)}
	if e.Patient != "" {
		all = append(all, placed(ledgerapi.TypeAuditByPatient, string(e.Patient), e))
	}
	if e.Record != "" {
		all = append(all, placed(ledgerapi.TypeAuditByRecord, string(e.Record), e))
	}
	switch e.Actor {
	case emr.ActorAdmin, emr.ActorGateway: // no person
	case emr.ActorPatient:
		all = append(all, placed(ledgerapi.TypeAuditByActor, string(e.Patient), e))
	default:
		all = append(all, placed(ledgerapi.TypeAuditByActor, e.Actor, e))
	}
	return all
}

func placed(where, owner string, e *emr.AuditEntry) string {
	b, _ := json.Marshal(e)
	return where + " of " + owner + ": " + string(b)
}

func (m *Model) clinicianOf(id string) *clinician {
	at := slices.IndexFunc(m.clinicians, func(c *clinician) bool { return c.id == id })
	if at < 0 {
		return nil
	}
	return m.clinicians[at]
}

func (m *Model) patientOf(handle emr.Handle) *patient {
	at := slices.IndexFunc(m.patients, func(p *patient) bool { return p.handle == handle })
	if at < 0 {
		return nil
	}
	return m.patients[at]
}

// witness verifies, by the signature and not by what anybody says, that what stands
// for a patient's mind was changed by the patient's key alone, by the key of a
// delegate where the patient has delegated it, or by a recovery where that is it.
func (m *Model) witness(s *step, out *Outcome) {
	m.t.Helper()
	for _, w := range out.Written {
		p := m.mindOf(w)
		if p == nil {
			continue
		}
		if s.sent == nil && m.onlyEnds(s, w) {
			continue
		}
		require.NotNil(m.t, s.sent, "%s of a patient is changed without a signature: %s", w.Key.Type, s)
		ok := m.signedBy(s.sent, p.key) ||
			s.function == ledgerapi.CompleteRecovery && m.signedBy(s.sent, s.key) ||
			w.Key.Type == ledgerapi.TypeDelegation && m.signedBy(s.sent, m.patientOf(emr.Handle(w.Key.Attributes[1])).key) ||
			s.function == ledgerapi.ProposeRelationship && onlyProposes(w) || m.mayConfirm(s, p, w.Key.Type)
		for to := range p.delegates {
			ok = ok || delegable(w.Key.Type) && m.delegated(p, to.actor) && m.signedBy(s.sent, to.key)
		}
		require.True(m.t, ok, "%s of a patient is changed by a key that is not the patient's: %s", w.Key.Type, s)
	}
}

func delegable(typ string) bool {
	return slices.Contains([]string{
		ledgerapi.TypeConsent, ledgerapi.TypeConsentVersion, ledgerapi.TypeConsentWithdrawal, ledgerapi.TypeGrant, ledgerapi.TypeRelationship,
	}, typ)
}

func onlyProposes(w ledger.Entry) bool {
	var r emr.Relationship
	return json.Unmarshal(w.Value, &r) == nil && r.Status == emr.RelationshipProposed
}

// mindOf returns the patient whose mind, keys or plan an entry holds; nil for anything else.
func (m *Model) mindOf(w ledger.Entry) *patient {
	switch w.Key.Type {
	case ledgerapi.TypeConsent, ledgerapi.TypeConsentVersion, ledgerapi.TypeConsentWithdrawal, ledgerapi.TypeHomeMove, ledgerapi.TypeDelegation, ledgerapi.TypeEmergencyPlan,
		ledgerapi.TypeGuardians, ledgerapi.TypeRelationship, ledgerapi.TypePatient, ledgerapi.TypePatientKeys, ledgerapi.TypeRetiredKey, ledgerapi.TypeGrantRule:
		return m.patientOf(emr.Handle(w.Key.Attributes[0]))
	case ledgerapi.TypeGrant:
		var g emr.Grant
		require.NoError(m.t, json.Unmarshal(w.Value, &g))
		return m.patientOf(g.Terms.Patient)
	case ledgerapi.TypeScope:
		var of emr.Scope
		require.NoError(m.t, json.Unmarshal(w.Value, &of))
		return m.patientOf(of.Patient)
	default:
		return nil
	}
}

// signedBy verifies a signature by crypto/ecdsa alone.
func (m *Model) signedBy(signed *emr.SignedAction, key *pre.PrivateKey) bool {
	if key == nil || len(signed.Signature) != 64 {
		return false
	}
	public, err := key.Public().ECDSA()
	require.NoError(m.t, err)
	digest := emr.ActionDigest(signed.Body)
	r, v := new(big.Int).SetBytes(signed.Signature[:32]), new(big.Int).SetBytes(signed.Signature[32:])
	return ecdsa.Verify(public, digest[:], r, v)
}
