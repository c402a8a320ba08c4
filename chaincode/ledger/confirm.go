// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"time"

	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// isWide tells whether a patient's rule calls a grant wide. records is the number of
// records that the signed action gives in all: many small grants in one batch are one wide one.
func isWide(s Lookup, rule *emr.GrantRule, terms *emr.GrantTerms, scope *emr.Scope, records int) (bool, error) {
	if rule == nil {
		return false, nil
	}
	whole, b := len(terms.Records) == 0, rule.Terms.Bounds
	if b.Scope && whole || b.Records != 0 && (whole || records > int(b.Records)) ||
		b.Days != 0 && terms.Until > s.Now().Add(time.Duration(b.Days)*24*time.Hour) {
		return true, nil
	}
	if b.Level == "" {
		return false, nil
	}
	if whole {
		return scope.Level.Covers(b.Level), nil
	}
	for _, id := range terms.Records {
		record, err := require(s, ledgerapi.RecordKey(id), versionOfRecord)
		if err != nil || record.Level.Covers(b.Level) {
			return err == nil, err
		}
	}
	return false, nil
}

// putWaiting tells those who may confirm a grant, and the patient, that it waits.
func putWaiting(s State, grant *emr.Grant, rule *emr.GrantRule) error {
	id := string(grant.ID)
	for _, owner := range append([]string{string(grant.Terms.Patient)}, rule.Terms.Confirmers...) {
		if err := putID(s, ledgerapi.Index(ledgerapi.TypeWaitingGrant, owner, s.Now(), s.Nanos(), id), id); err != nil {
			return err
		}
	}
	return nil
}

// ConfirmGrant lets a waiting grant take effect, by the patient's second key or by
// somebody whom the patient's rule names, and who neither receives nor signed it.
// While a key that takes part counts as pinned recently, the grant takes effect
// later, at the time that the receipt names; the patient may revoke it before.
func ConfirmGrant(s State, raw []byte) (*ledgerapi.DecisionReceipt, error) {
	var args ledgerapi.ConfirmGrantArgs
	st, err := open(s, raw, ledgerapi.ConfirmGrant, &args)
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
	grant, err := ownGrant(s, args.Patient, args.Grant)
	if err != nil {
		return nil, err
	}
	if err := st.checkConfirmation(s, grant, args.Terms); err != nil {
		return nil, err
	}
	grant.Status, grant.Confirmed, grant.ConfirmedBy = emr.GrantLive, s.Now(), st.action.Actor
	if by.ready > s.Now() {
		grant.Ready = by.ready
	}
	if err := putConfirmed(s, grant); err != nil {
		return nil, err
	}
	entry := by.entry
	entry.Kind, entry.Ref, entry.Decision = emr.AuditConfirmed, string(grant.ID), emr.Permit
	if err := auditEach(s, grant.Terms.Records, entry); err != nil {
		return nil, err
	}
	if err := emit(s, ledgerapi.EventAccessGranted, ledgerapi.Event{ID: string(grant.ID)}); err != nil {
		return nil, err
	}
	return &ledgerapi.DecisionReceipt{
		TxID: s.TxID(), At: s.Now(), ID: string(grant.ID), Decision: emr.Permit, Grant: grant.ID, Until: grant.Ready,
	}, st.spend(s, string(grant.ID))
}

// checkConfirmation refuses to confirm what does not wait, what was not shown, and
// the own doing.
func (st *statement) checkConfirmation(s Lookup, grant *emr.Grant, terms emr.Digest) error {
	hash, err := grant.Terms.Hash()
	if err != nil {
		return err
	}
	actor := st.action.Actor
	switch {
	case grant.Status != emr.GrantWaiting:
		return emr.E(emr.CodeExists, "grant is already confirmed")
	case hash != terms:
		return emr.Invalid("terms", "is not the hash of the grant's terms")
	case actor == string(grant.By) || actor == string(grant.Terms.Grantee):
		return errNoConfirmer()
	case s.Now() >= grant.Effective().Until:
		return emr.Refused(emr.ReasonExpired, emr.ReasonExpired.Explain())
	default:
		return nil
	}
}

// putConfirmed writes a grant that takes effect, with the pointers to it, and
// answers its request, unless that was answered otherwise, or what it asks for has
// gone, in the meantime: the grant was shown as it stands, and holds for the rest.
func putConfirmed(s State, grant *emr.Grant) error {
	if err := put(s, ledgerapi.GrantKey(grant.ID), grant); err != nil {
		return err
	}
	if err := putCovering(s, grant); err != nil {
		return err
	}
	request, err := answeredRequest(s, grant)
	if code := emr.CodeOf(err); code == emr.CodeRule || code == emr.CodeGone {
		return nil
	}
	if err != nil || request == nil {
		return err
	}
	return put(s, ledgerapi.RequestKey(request.ID), request)
}
