// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledgermodel

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
	"github.com/emrys-health/emrys/pkg/pre"
)

// step is one transaction before it is sent, with what the model expects of it.
type step struct {
	function string
	by       *actor // who signs; nil for an order
	via      emr.OrgID
	as       As
	args     any
	trick    string
	// faults are the codes with which it may be refused: one for each thing that is
	// wrong with it, in no order. Without any it must be committed.
	faults []emr.Code
	// tolerates are codes with which it may be refused though nothing is wrong with
	// it: somebody else on a network that is shared may have been there first.
	tolerates []emr.Code
	// any allows every code of a refusal: what is wrong cannot be told exactly.
	any bool
	// says is what a deciding transaction must decide.
	says *verdict
	// event is the event that a committed one must emit.
	event string
	// purges is how many private values a committed one must destroy.
	purges int
	// then changes the model after a commit, and returns the audit entries that the
	// transaction must have written: these and no others.
	then func(a *answer) []emr.AuditEntry

	// about and aboutOrg are whose log an entry stands in besides, when it is no patient's.
	about    *clinician
	aboutOrg emr.OrgID

	// How it is signed, where it is not as it should be.
	key      *pre.PrivateKey
	spoil    func(*emr.Action)
	spoilRaw func([]byte) []byte
	spoilSig func(*emr.SignedAction)
	// sent is the action as it was sent.
	sent *emr.SignedAction
	call *Call // given for a replay, which sends what was sent before
}

// verdict is what must be decided, for one of the reasons.
type verdict struct {
	decision emr.Decision
	reasons  []emr.Reason
}

func (s *step) fault(when bool, code emr.Code) {
	if when {
		s.faults = append(s.faults, code)
	}
}

// signed begins a step that somebody signs, with what is wrong whatever the function.
func (m *Model) signed(function string, by *actor, via emr.OrgID, args any) *step {
	s := &step{function: function, by: by, via: via, args: args}
	s.fault(!m.orgs[via].member, emr.CodeForbidden)
	s.fault(m.stopped[stopName(function)], emr.CodeUnsupported)
	s.fault(!by.registered, emr.CodeUnauthenticated)
	if c := by.clinician; c != nil {
		s.fault(m.now() >= c.notAfter, emr.CodeUnauthenticated)
		s.fault(via != c.org && function != ledgerapi.RecordAttempt, emr.CodeForbidden)
	}
	return s
}

// stopName is the name under which the members stop a function.
func stopName(function string) string {
	if function == ledgerapi.RecordAttempt {
		return ledgerapi.OpenTicket
	}
	return function
}

// order begins a step of an organisation's administrator.
func (m *Model) order(function string, org emr.OrgID, args any) *step {
	s := &step{function: function, via: org, as: AsAdmin, args: args}
	s.fault(!m.orgs[org].member && function != ledgerapi.RegisterOrganisation, emr.CodeForbidden)
	return s
}

// action is what the step's signer signs.
func (m *Model) action(s *step) *emr.Action {
	args, err := emr.Canonical(s.args)
	require.NoError(m.t, err)
	a := &emr.Action{
		V: emr.DocumentVersion, Channel: m.d.Channel(), Contract: ledgerapi.ContractName, Function: stopName(s.function),
		Actor: s.by.id, Nonce: random(16), Issued: m.now(), Expires: m.now().Add(5 * time.Minute), Args: args,
	}
	if s.spoil != nil {
		s.spoil(a)
	}
	return a
}

// sign signs an action by a key.
func (m *Model) sign(a *emr.Action, key *pre.PrivateKey) *emr.SignedAction {
	body, err := emr.Canonical(a)
	require.NoError(m.t, err)
	signed := &emr.SignedAction{Kind: emr.SignatureP256, Body: body}
	digest := signed.Digest()
	signed.Signature, err = pre.SignP256(nil, key.Signer(), digest[:])
	require.NoError(m.t, err)
	return signed
}

func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	return b
}

// seal makes the call of a step.
func (m *Model) seal(s *step) Call {
	call := Call{Function: s.function, Org: s.via, As: s.as}
	if s.call != nil {
		return *s.call
	}
	if batch, is := s.args.(batchArgs); is {
		call.Field, call.Transient = ledgerapi.TransientActions, batch.raw(m)
		return call
	}
	if s.by == nil {
		raw, err := emr.Canonical(s.args)
		require.NoError(m.t, err)
		call.Argument = raw
		return call
	}
	key := s.by.key
	if s.key != nil {
		key = s.key
	}
	s.sent = m.sign(m.action(s), key)
	if s.spoilSig != nil {
		s.spoilSig(s.sent)
	}
	raw, err := emr.Canonical(s.sent)
	require.NoError(m.t, err)
	if s.spoilRaw != nil {
		raw = s.spoilRaw(raw)
	}
	call.Field, call.Transient = ledgerapi.TransientAction, raw
	return call
}

func (s *step) String() string {
	who := "administrator"
	if s.by != nil {
		who = s.by.name
	}
	args, _ := json.Marshal(s.args)
	if len(args) > 600 {
		args = append(args[:600], "..."...)
	}
	return fmt.Sprintf("%s by %s through %s %s(faults %v) %s", s.function, who, s.via, s.trick, s.faults, args)
}

// run sends a step and holds what comes back against the model.
func (m *Model) run(s *step) {
	m.t.Helper()
	call := m.seal(s)
	before, counts := m.digest()
	out := m.d.Submit(call)
	m.steps++
	m.last = s.String()
	refused := s.any || len(s.faults) > 0
	m.record(s.function, refused)
	if refused {
		require.Error(m.t, out.Err, "must be refused: %s", s)
		if !s.any {
			require.Contains(m.t, s.faults, emr.CodeOf(out.Err), "%v: %s", out.Err, s)
		}
		require.NotEqual(m.t, emr.CodeInternal, emr.CodeOf(out.Err), "%v: %s", out.Err, s)
		if counts {
			after, _ := m.digest()
			require.Equal(m.t, before, after, "a refusal leaves nothing: %s", s)
		}
		return
	}
	if out.Err != nil && slices.Contains(s.tolerates, emr.CodeOf(out.Err)) {
		return
	}
	require.NoError(m.t, out.Err, "must be committed: %s", s)
	var a answer
	require.NoError(m.t, json.Unmarshal(out.Answer, &a), "%s", s)
	m.answer, m.latest = out.Answer, max(m.latest, a.At)
	if s.says != nil {
		require.Equal(m.t, s.says.decision, a.Decision, "%s: %s", a.Reason, s)
		require.Contains(m.t, s.says.reasons, a.Reason, "%s", s)
	}
	m.witness(s, &out)
	if s.sent != nil && len(m.spent) < maxSpent {
		m.spent = append(m.spent, spent{call, s.by, s.keyThen()})
	}
	entries := s.then(&a)
	for i := range entries {
		entries[i].V, entries[i].TxID, entries[i].At = emr.DocumentVersion, a.TxID, a.At
	}
	m.keep(s, &out, entries)
	m.guarded(s, &out)
	if out.Seen {
		require.Equal(m.t, s.event, out.Event, "%s", s)
		require.Equal(m.t, s.purges, out.Purged, "private values purged: %s", s)
	}
}

const maxSpent = 200

// spent is a call that was committed, with the key that signed it.
type spent struct {
	call Call
	by   *actor
	key  *pre.PrivateKey
}

func (s *step) keyThen() *pre.PrivateKey {
	if s.key != nil {
		return s.key
	}
	return s.by.key
}

func (m *Model) digest() (uint64, bool) { return m.d.Digest() }

// record counts what was exercised.
func (m *Model) record(function string, refused bool) {
	if m.Counts == nil {
		return
	}
	c := m.Counts[function]
	if refused {
		c.Refused++
	} else {
		c.Committed++
	}
	m.Counts[function] = c
}

// grounds is a set of reasons that speak against something.
type grounds []emr.Reason

func (g *grounds) add(when bool, reason emr.Reason) {
	if when && !slices.Contains(*g, reason) {
		*g = append(*g, reason)
	}
}

func denied(g grounds) *verdict { return &verdict{emr.Deny, g} }

func says(decision emr.Decision, reason emr.Reason) *verdict {
	return &verdict{decision, []emr.Reason{reason}}
}
