// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"bytes"
	"fmt"
	"slices"
	"time"

	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
	"github.com/emrys-health/emrys/pkg/signature"
)

// A patient may rule that wide grants need somebody else's confirmation, so that
// whoever gets hold of the one consent key cannot give everything away.

// SetGrantRule sets the signer's rule about wide grants. The first one, and one that
// is at least as tight in every respect, holds at once. A looser one waits for the
// confirmation of those whom the present rule names. Setting what holds already
// drops a looser one that waits.
func SetGrantRule(s State, raw []byte) (*ledgerapi.DecisionReceipt, error) {
	var args ledgerapi.SetGrantRuleArgs
	st, err := open(s, raw, ledgerapi.SetGrantRule, &args)
	if err != nil {
		return nil, err
	}
	patient, err := st.byPatient(s, args.Patient)
	if err != nil {
		return nil, err
	}
	current, err := grantRuleOf(s, patient.Handle)
	if err != nil {
		return nil, err
	}
	if current == nil && args.Version != 0 || current != nil && args.Version != current.Version {
		return nil, &emr.Error{Code: emr.CodeStale, Field: "version", Message: "the patient's rule is of another version"}
	}
	if err := checkRule(s, patient, current, &args); err != nil {
		return nil, err
	}
	if args.Terms.WaitHours == 0 && !noBound(args.Terms.Bounds) {
		args.Terms.WaitHours = ledgerapi.DefaultConfirmHours
	}
	next := &emr.GrantRule{V: emr.DocumentVersion, Patient: patient.Handle, Since: s.Now(), Terms: args.Terms}
	v := verdict{decision: emr.Permit}
	if current != nil {
		*next = *current
		next.Next = nil
		switch {
		case noBound(current.Terms.Bounds): // a rule that was lifted binds nobody
			next.Terms, next.Since = args.Terms, s.Now()
		case tightens(&current.Terms, &args.Terms):
			next.Terms = args.Terms
		default:
			next.Next = &args.Terms
			v = verdict{emr.Ask, emr.ReasonGrantWaiting}
		}
	}
	return st.putNextRule(s, patient, next, st.entry(patient, emr.AuditGrantRule, ""), v)
}

// putNextRule writes the next version of a patient's rule with its audit entry and event.
func (st *statement) putNextRule(
	s State, patient *emr.Patient, rule *emr.GrantRule, entry emr.AuditEntry, v verdict,
) (*ledgerapi.DecisionReceipt, error) {
	rule.Version, rule.Set, rule.Action = rule.Version+1, s.Now(), st.digest
	if err := putRule(s, patient, rule); err != nil {
		return nil, err
	}
	id := number(rule.Version)
	entry.Ref, entry.Decision, entry.Reason = id, v.decision, v.reason
	if err := audit(s, entry); err != nil {
		return nil, err
	}
	if err := emit(s, ledgerapi.EventGrantRule, ledgerapi.Event{ID: st.digest.String()}); err != nil {
		return nil, err
	}
	return &ledgerapi.DecisionReceipt{
		TxID: s.TxID(), At: s.Now(), ID: id, Decision: v.decision, Reason: v.reason,
	}, st.spend(s, id)
}

func noBound(b emr.GrantBounds) bool { return b == emr.GrantBounds{} }

// checkRule checks a rule by itself, that the people it names are registered, and
// that somebody holds a second key which is new.
func checkRule(s Lookup, patient *emr.Patient, current *emr.GrantRule, args *ledgerapi.SetGrantRuleArgs) error {
	if err := checkRuleTerms(&args.Terms); err != nil {
		return err
	}
	for _, id := range args.Terms.Confirmers {
		if err := checkConfirmer(s, patient, id); err != nil {
			return err
		}
	}
	return checkSecond(s, patient, current, args)
}

// checkRuleTerms checks what can be told from a rule alone.
func checkRuleTerms(terms *emr.GrantRuleTerms) error {
	if terms.Bounds.Level != "" {
		if _, err := emr.ParseLevel("terms.bounds.level", string(terms.Bounds.Level)); err != nil {
			return err
		}
	}
	people := terms.Confirmers
	switch {
	case people == nil || len(people) > ledgerapi.MaxConfirmers || !rising(people):
		return emr.Invalid("terms.confirmers",
			fmt.Sprintf("must be a list of at most %d people, sorted, none twice", ledgerapi.MaxConfirmers))
	case terms.WaitHours > ledgerapi.MaxConfirmHours:
		return emr.Invalid("terms.waitHours", fmt.Sprintf("must be at most %d", ledgerapi.MaxConfirmHours))
	case noBound(terms.Bounds) && (len(people) != 0 || terms.Second != nil || terms.WaitHours != 0):
		return emr.Invalid("terms.bounds", "must call some grants wide where anything else is set")
	case !noBound(terms.Bounds) && len(people) == 0 && terms.Second == nil:
		return emr.Invalid("terms.confirmers", "must name somebody, or a second key: nobody could confirm")
	}
	return nil
}

// checkConfirmer refuses somebody who is not registered, and the patient, whose one key signs the grants.
func checkConfirmer(s Lookup, patient *emr.Patient, id string) error {
	if id == string(patient.Handle) {
		return emr.Invalid("terms.confirmers", "must not name the patient")
	}
	if err := checkActor(id); err != nil {
		return emr.Invalid("terms.confirmers", "must name patients by handle and professionals by id")
	}
	st := &statement{action: &emr.Action{Actor: id}}
	who, err := st.actor(s)
	switch {
	case emr.CodeOf(err) == emr.CodeUnauthenticated:
		return emr.Invalid("terms.confirmers", "names somebody who is not registered")
	case err != nil:
		return err
	}
	if who.clinician != nil {
		return refuseInactive(who.clinician)
	}
	return nil
}

// checkSecond checks the second key: another one than the consent key, and one that
// somebody holds, who has signed exactly this.
func checkSecond(s Lookup, patient *emr.Patient, current *emr.GrantRule, args *ledgerapi.SetGrantRuleArgs) error {
	second := args.Terms.Second
	known := current != nil && sameSecond(current.Terms.Second, second)
	switch {
	case (second == nil || known) && args.Proof != nil:
		return emr.Invalid("proof", "must be absent where no second key is new")
	case second == nil || known:
		return nil
	case args.Proof == nil:
		return emr.Invalid("proof", "must be present: the second key is new")
	}
	if err := signature.CheckKey("terms.second.key", *second); err != nil {
		return err
	}
	if bytes.Equal(second.Key, patient.Consent.Key) {
		return emr.Invalid("terms.second.key", "must differ from the consent key")
	}
	if err := refuseRetired(s, "terms.second.key", string(patient.Handle), second.Key); err != nil {
		return err
	}
	return proveSecond(s, patient, args)
}

// proveSecond checks that the second key has signed exactly this change, in time.
func proveSecond(s Lookup, patient *emr.Patient, args *ledgerapi.SetGrantRuleArgs) error {
	second := args.Terms.Second
	var said ledgerapi.ProveSecondKeyArgs
	st, err := openSigned(s, nil, args.Proof, ledgerapi.ProveSecondKey, &said)
	if err != nil {
		return err
	}
	if st.action.Actor != string(patient.Handle) {
		return emr.Invalid("proof", "is another person's")
	}
	b, err := emr.Canonical(&ledgerapi.ProveSecondKeyArgs{Patient: args.Patient, Version: args.Version, Second: *second})
	if err != nil {
		return err
	}
	if !bytes.Equal(b, st.action.Args) {
		return emr.Invalid("proof", "was signed for another change")
	}
	if err := st.verify(*second); err != nil {
		return err
	}
	return st.checkTime(s.Now())
}

func sameSecond(a, b *emr.PinnedKey) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Kind == b.Kind && bytes.Equal(a.Key, b.Key) && a.RelyingParty == b.RelyingParty && slices.Equal(a.Origins, b.Origins)
}

// tightens tells whether a rule is at least as tight as another one in every respect:
// no grant that was wide is not, nobody may confirm who might not before, and no wait is shorter.
func tightens(now, next *emr.GrantRuleTerms) bool {
	fewer := func(now, next uint32) bool { return now == 0 || next != 0 && next <= now }
	a, b := now.Bounds, next.Bounds
	bounds := (!a.Scope || b.Scope) && fewer(a.Days, b.Days) && fewer(a.Records, b.Records) &&
		(a.Level == "" || a.Level.Covers(b.Level))
	return bounds && next.WaitHours >= now.WaitHours && !addsConfirmer(now, next)
}

// addsConfirmer tells whether somebody may confirm under the next rule who may not now.
func addsConfirmer(now, next *emr.GrantRuleTerms) bool {
	if next.Second != nil && !sameSecond(now.Second, next.Second) {
		return true
	}
	return slices.ContainsFunc(next.Confirmers, func(id string) bool { return !slices.Contains(now.Confirmers, id) })
}

// ConfirmGrantRule puts a looser rule into force, by the second key or by somebody
// whom the present rule names, whose key must not have been pinned recently.
func ConfirmGrantRule(s State, raw []byte) (*ledgerapi.Receipt, error) {
	var args ledgerapi.ConfirmGrantRuleArgs
	st, err := open(s, raw, ledgerapi.ConfirmGrantRule, &args)
	if err != nil {
		return nil, err
	}
	rule, err := confirmableRule(s, args.Patient)
	if err != nil {
		return nil, err
	}
	by, err := st.byConfirmer(s, rule)
	if err != nil {
		return nil, err
	}
	switch {
	case args.Version != rule.Version:
		return nil, &emr.Error{Code: emr.CodeStale, Field: "version", Message: "the patient's rule is of another version"}
	case rule.Next == nil:
		return nil, emr.E(emr.CodeRule, "no looser rule waits for a confirmation")
	case by.ready > s.Now():
		return nil, emr.Refused(emr.ReasonGrantWaiting, "a key that takes part was pinned recently; the rule can be confirmed from "+by.ready.String())
	}
	if addsConfirmer(&rule.Terms, rule.Next) {
		rule.Since = s.Now()
	}
	rule.Terms, rule.Next = *rule.Next, nil
	by.entry.Kind = emr.AuditGrantRule
	decided, err := st.putNextRule(s, by.patient, rule, by.entry, verdict{decision: emr.Permit})
	if err != nil {
		return nil, err
	}
	return receipt(s, decided.ID), nil
}

// confirmableRule returns a patient's rule; without one nothing waits.
func confirmableRule(s Lookup, patient emr.Handle) (*emr.GrantRule, error) {
	if err := emr.CheckID("patient", patient); err != nil {
		return nil, err
	}
	rule, err := grantRuleOf(s, patient)
	if err == nil && rule == nil {
		return nil, missing(ledgerapi.TypeGrantRule)
	}
	return rule, err
}

// confirmation is what somebody who may confirm under a rule brings: whose rule it
// is, the audit entry as it begins, and from when no key that takes part counts as pinned recently.
type confirmation struct {
	patient *emr.Patient
	entry   emr.AuditEntry
	ready   emr.Time
}

// byConfirmer authenticates somebody who may confirm under a rule: the patient by
// the second key, or one whom the rule names.
func (st *statement) byConfirmer(s Lookup, rule *emr.GrantRule) (*confirmation, error) {
	patient, err := patientOf(s, rule.Patient)
	if err != nil {
		return nil, err
	}
	pinned := max(rule.Since, patient.Registered, patient.KeysFrom)
	entry := emr.AuditEntry{Patient: rule.Patient, Actor: st.action.Actor}
	var key emr.Time
	switch {
	case st.action.Actor == string(rule.Patient):
		entry, err = byThePatient(patient, "", ""), st.bySecondKey(s, rule, patient)
	case !slices.Contains(rule.Terms.Confirmers, st.action.Actor):
		// Who is not named learns it after the signature, as in every other rule.
		if err = st.anybody(s); err == nil {
			err = errNoConfirmer()
		}
	case st.fromPatient():
		var by *emr.Patient
		if by, err = st.byPatient(s, emr.Handle(st.action.Actor)); err == nil {
			entry.Org, key = by.Home, max(by.Registered, by.KeysFrom)
		}
	default:
		var by *emr.Clinician
		if by, err = st.byActiveClinician(s); err == nil {
			entry.Org, key = by.Org, max(by.Registered, by.KeysFrom)
		}
	}
	if err != nil {
		return nil, err
	}
	return &confirmation{patient, entry, max(pinned, key).Add(time.Duration(rule.Terms.WaitHours) * time.Hour)}, nil
}

func errNoConfirmer() error {
	return &emr.Error{Code: emr.CodeForbidden, Reason: emr.ReasonNotConfirmer, Message: emr.ReasonNotConfirmer.Explain()}
}

// anybody authenticates a registered person.
func (st *statement) anybody(s Lookup) error {
	who, err := st.actor(s)
	if err != nil {
		return err
	}
	return st.authenticate(s, who.key())
}

// bySecondKey authenticates the patient by the second key, which a rotation may not have made the first one.
func (st *statement) bySecondKey(s Lookup, rule *emr.GrantRule, patient *emr.Patient) error {
	second := rule.Terms.Second
	if second == nil || bytes.Equal(second.Key, patient.Consent.Key) {
		if err := st.authenticate(s, patient.Consent); err != nil {
			return err
		}
		return errNoConfirmer()
	}
	return st.authenticate(s, *second)
}

// GetGrantRule returns a patient's rule about wide grants; one of version 0 when there is none.
func GetGrantRule(r Reader, q ledgerapi.HandleQuery) (*emr.GrantRule, error) {
	if err := emr.CheckID("patient", q.Patient); err != nil {
		return nil, err
	}
	rule, err := grantRuleOf(r, q.Patient)
	if err == nil && rule == nil {
		rule = noRule(q.Patient)
	}
	return rule, err
}
