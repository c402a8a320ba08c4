// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledgermodel

import (
	"bytes"
	"encoding/json"
	"time"

	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// A trick is what somebody hostile does to a step that is otherwise as it should
// be. It says with which codes the step must be refused; without any, with some.
type trick struct {
	name  string
	of    func(m *Model, s *step) bool // false when it makes no sense here
	codes []emr.Code
}

func tricks() []trick {
	unauthenticated, invalid := []emr.Code{emr.CodeUnauthenticated}, []emr.Code{emr.CodeInvalid}
	return []trick{
		{"signed by a stranger's key", func(m *Model, s *step) bool { s.key = m.newKey(); return true }, unauthenticated},
		{"signed by another person's key", func(m *Model, s *step) bool {
			other := m.anybody()
			s.key = other.key
			return other.key != s.by.key
		}, unauthenticated},
		{"in another person's name", func(m *Model, s *step) bool {
			other := m.anybody()
			s.spoil = func(a *emr.Action) { a.Actor = other.id }
			return other.key != s.by.key
		}, []emr.Code{emr.CodeUnauthenticated, emr.CodeForbidden}},
		{"made for another function", func(m *Model, s *step) bool {
			other := pick(m, ledgerapi.SignedTransactions(), "function")
			s.spoil = func(a *emr.Action) { a.Function = other }
			return other != s.function
		}, invalid},
		{"made for another channel", spoils(func(a *emr.Action) { a.Channel += "x" }), invalid},
		{"made for another contract", spoils(func(a *emr.Action) { a.Contract += "x" }), invalid},
		{"made for longer than allowed", spoils(func(a *emr.Action) { a.Expires = a.Issued.Add(16 * time.Minute) }), invalid},
		{"with a short nonce", spoils(func(a *emr.Action) { a.Nonce = a.Nonce[:15] }), invalid},
		{"expired this second", func(m *Model, s *step) bool {
			s.spoil = func(a *emr.Action) { a.Issued, a.Expires = a.Issued.Add(-time.Minute), a.Issued }
			return true
		}, unauthenticated},
		{"from the future", func(m *Model, s *step) bool {
			s.spoil = func(a *emr.Action) { a.Issued, a.Expires = a.Issued.Add(5*time.Minute), a.Expires.Add(5*time.Minute) }
			return true
		}, unauthenticated},
		{"with one more argument", spoils(func(a *emr.Action) {
			a.Args = append(bytes.TrimSuffix(bytes.Clone(a.Args), []byte("}")), []byte(`,"x":1}`)...)
		}), invalid},
		{"with a bit of the body flipped", flips(func(s *emr.SignedAction) []byte { return s.Body }), nil},
		{"with a bit of the signature flipped", flips(func(s *emr.SignedAction) []byte { return s.Signature }), unauthenticated},
		{"without a signature", func(_ *Model, s *step) bool {
			s.spoilSig = func(a *emr.SignedAction) { a.Signature = nil }
			return true
		}, nil},
		{"cut short", func(m *Model, s *step) bool {
			s.spoilRaw = func(raw []byte) []byte { return raw[:m.c.Choose(len(raw), "length")] }
			return true
		}, nil},
		{"through another hospital's gateway", func(m *Model, s *step) bool {
			other := pick(m, m.members(), "gateway")
			if s.by.clinician == nil || other == s.via || s.function == ledgerapi.RecordAttempt {
				return false
			}
			s.via = other
			return true
		}, []emr.Code{emr.CodeForbidden}},
		{"carried by an administrator", func(_ *Model, s *step) bool { s.as = AsAdmin; return true }, []emr.Code{emr.CodeForbidden}},
		{"carried by nobody's gateway", func(m *Model, s *step) bool {
			for _, id := range m.orgIDs {
				if !m.orgs[id].member {
					s.via = id
					return !m.Shared
				}
			}
			return false
		}, []emr.Code{emr.CodeForbidden}},
	}
}

func spoils(of func(*emr.Action)) func(*Model, *step) bool {
	return func(_ *Model, s *step) bool {
		s.spoil = of
		return true
	}
}

func flips(of func(*emr.SignedAction) []byte) func(*Model, *step) bool {
	return func(m *Model, s *step) bool {
		s.spoilSig = func(a *emr.SignedAction) {
			b := of(a)
			b[m.c.Choose(len(b), "byte")] ^= 1 << m.c.Choose(8, "bit")
		}
		return true
	}
}

// deceive turns an honest step into a hostile one.
func (m *Model) deceive(s *step) *step {
	if s.by == nil {
		return m.deceiveAsAdmin(s)
	}
	t := pick(m, tricks(), "trick")
	if !t.of(m, s) {
		return nil
	}
	s.trick, s.any, s.faults = t.name+" ", len(t.codes) == 0, append(s.faults, t.codes...)
	return s
}

func (m *Model) deceiveAsAdmin(s *step) *step {
	if _, batch := s.args.(batchArgs); batch {
		s.as, s.trick = AsAdmin, "carried by an administrator "
		s.faults = append(s.faults, emr.CodeForbidden)
		return s
	}
	if s.as == AsGateway {
		s.as, s.trick, s.faults = AsAdmin, "ordered by an administrator ", append(s.faults, emr.CodeForbidden)
		return s
	}
	s.as, s.trick = AsGateway, "ordered by a gateway "
	if !m.Shared && m.seldom(2, "forged") {
		s.as, s.trick = AsForgedAdmin, "ordered by a forged administrator "
	}
	s.faults = append(s.faults, emr.CodeForbidden)
	return s
}

// replay sends once more what was committed.
func (m *Model) replay() *step {
	if len(m.spent) == 0 {
		return nil
	}
	old := pick(m, m.spent, "what was sent")
	call := old.call
	if old.by.patient != nil && m.seldom(2, "through another gateway") {
		call.Org = pick(m, m.orgIDs, "gateway")
	}
	s := &step{function: call.Function, by: old.by, via: call.Org, call: &call, trick: "replayed ", args: json.RawMessage(`"as before"`)}
	s.fault(true, emr.CodeExists)
	s.fault(m.stopped[stopName(call.Function)], emr.CodeUnsupported)
	s.fault(!m.orgs[call.Org].member || call.Org != old.call.Org, emr.CodeForbidden)
	s.fault(old.by.key != old.key, emr.CodeUnauthenticated)
	s.fault(call.Function == ledgerapi.RegisterClinician, emr.CodeForbidden) // the certificate may be over
	return s
}
