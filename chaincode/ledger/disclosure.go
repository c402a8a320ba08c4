// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"time"

	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// Disclose begins a reading. The decision is committed before anything is
// released: a permit is the ticket that the proxies ask for, a denial is a fact of
// the patient's trail. The grant and the standing consent are read here, so that a
// revocation or a change of consent which commits first invalidates the transaction.
func Disclose(s State, raw []byte) (*ledgerapi.DecisionReceipt, error) {
	var args ledgerapi.DiscloseArgs
	st, err := open(s, raw, ledgerapi.Disclose, &args)
	if err != nil {
		return nil, err
	}
	if st.fromPatient() {
		return st.discloseToPatient(s, &args)
	}
	return st.discloseToClinician(s, &args)
}

func (st *statement) discloseToPatient(s State, args *ledgerapi.DiscloseArgs) (*ledgerapi.DecisionReceipt, error) {
	patient, err := st.byPatient(s, emr.Handle(st.action.Actor))
	if err != nil {
		return nil, err
	}
	if err := checkDisclosure(s, args); err != nil {
		return nil, err
	}
	if args.Onward != "" {
		return nil, emr.Invalid("onward", "must be absent for a patient's own reading, which is the patient's to share")
	}
	if args.Grant != "" || args.Session != "" {
		return nil, emr.Invalid("grant", "grant and session must be empty for a patient's own reading")
	}
	record, err := recordOf(s, args.Record)
	if err != nil {
		return nil, err
	}
	if record.Patient != patient.Handle {
		return nil, missing(ledgerapi.TypeRecord)
	}
	in := ownInputs(patient.Handle, record, args.Purpose, s.Now())
	d := newDisclosure(s, st, record, args, decideInputs(in))
	d.Reader, d.From.Record = string(patient.Handle), record.Status
	signOff, err := signOffOf(s, record.ID)
	if err != nil {
		return nil, err
	}
	d.SignOff = statusOf(signOff)
	if d.Inputs, err = in.Digest(); err != nil {
		return nil, err
	}
	return st.commit(s, d, byThePatient(patient, emr.AuditDisclosure, string(d.ID)))
}

func (st *statement) discloseToClinician(s State, args *ledgerapi.DiscloseArgs) (*ledgerapi.DecisionReceipt, error) {
	clinician, err := st.byOwnClinician(s)
	if err != nil {
		return nil, err
	}
	if err := checkDisclosure(s, args); err != nil {
		return nil, err
	}
	record, err := recordOf(s, args.Record)
	if err != nil {
		return nil, err
	}
	on, err := basisOf(s, record, args.Grant, args.Session, args.Onward)
	if err != nil {
		return nil, err
	}
	in := inputsOf(clinician, record, args.Purpose, on, s.Now())
	v, err := decideAndTake(s, in, on, args.Disclosure)
	if err != nil {
		return nil, err
	}
	d := newDisclosure(s, st, record, args, v)
	d.Reader, d.Org, d.Grant, d.Session = string(clinician.ID), clinician.Org, args.Grant, args.Session
	d.Consent, d.Onward, d.SignOff = numberOf(on.standing), args.Onward, statusOf(on.signOff)
	d.From = fromOf(clinician, record, args, on)
	if d.Inputs, err = in.Digest(); err != nil {
		return nil, err
	}
	if v.decision == emr.Permit {
		d.NoOnward = on.noOnward(record)
		d.Until = min(d.Until, on.until())
	}
	return st.commit(s, d, byTheClinician(clinician, record.Patient, emr.AuditDisclosure, string(d.ID)))
}

func checkDisclosure(s Lookup, args *ledgerapi.DiscloseArgs) error {
	if err := emr.CheckID("disclosure", args.Disclosure); err != nil {
		return err
	}
	if err := emr.CheckID("record", args.Record); err != nil {
		return err
	}
	if err := emr.CheckOnward("onward", args.Onward); err != nil {
		return err
	}
	if args.Session != "" {
		if args.Grant != "" {
			return emr.Invalid("session", "a reading rests on a grant or on a session, not on both")
		}
		if err := emr.CheckID("session", args.Session); err != nil {
			return err
		}
	}
	if args.Grant != "" {
		if err := emr.CheckID("grant", args.Grant); err != nil {
			return err
		}
	}
	if _, err := emr.ParsePurpose("purpose", string(args.Purpose)); err != nil {
		return err
	}
	existing, err := s.Get(ledgerapi.DisclosureKey(args.Disclosure))
	if err != nil {
		return err
	}
	if existing != nil {
		return emr.E(emr.CodeExists, "disclosure is already made")
	}
	return nil
}

// namedGrant returns the grant of an id, nil when the id is empty or nobody's.
func namedGrant(s Lookup, id emr.GrantID) (*emr.Grant, error) {
	if id == "" {
		return nil, nil
	}
	return find(s, ledgerapi.GrantKey(id), versionOfGrant)
}

// decideAndTake decides a reading, and takes a use where uses are counted and
// nothing else speaks against it.
func decideAndTake(s State, in *ledgerapi.DecisionInputs, on *basis, disclosure emr.DisclosureID) (verdict, error) {
	if !counted(in) {
		return decideInputs(in), nil
	}
	in.UseLeft = true
	if v := decideInputs(in); v.decision != emr.Permit {
		in.UseLeft = false
		return v, nil
	}
	return takeUse(s, on.grant, in, disclosure)
}

// takeUse takes the first free use of a grant with a limit, and decides whether one
// was left. Each use is a key of its own: two readings at once conflict instead of
// counting as one.
func takeUse(s State, grant *emr.Grant, in *ledgerapi.DecisionInputs, disclosure emr.DisclosureID) (verdict, error) {
	key, free, err := freeUse(s, grant)
	if err != nil {
		return verdict{}, err
	}
	in.UseLeft = free
	if !free {
		return decideInputs(in), nil
	}
	return decideInputs(in), putID(s, key, string(disclosure))
}

// freeUse returns the key of the first use that is left, and whether one is. A
// grant without a limit has one always, and needs no key.
func freeUse(s Lookup, grant *emr.Grant) (ledgerapi.Key, bool, error) {
	uses := grant.Effective().MaxUses
	if uses == 0 {
		return ledgerapi.Key{}, true, nil
	}
	for n := range uses {
		key := ledgerapi.GrantUseKey(grant.ID, n)
		taken, err := s.Get(key)
		if err != nil {
			return ledgerapi.Key{}, false, err
		}
		if taken == nil {
			return key, true, nil
		}
	}
	return ledgerapi.Key{}, false, nil
}

func newDisclosure(
	s Lookup, st *statement, record *emr.Record, args *ledgerapi.DiscloseArgs, v verdict,
) *emr.Disclosure {
	d := &emr.Disclosure{
		V: emr.DocumentVersion, ID: args.Disclosure, Patient: record.Patient, Record: record.ID, Purpose: args.Purpose,
		Decision: v.decision, Reason: v.reason, Action: st.digest, At: s.Now(),
	}
	if v.decision == emr.Permit {
		d.Until = s.Now().Add(ledgerapi.TicketSeconds * time.Second)
	}
	return d
}

// commit writes the disclosure with its audit entry and event.
func (st *statement) commit(s State, d *emr.Disclosure, entry emr.AuditEntry) (*ledgerapi.DecisionReceipt, error) {
	if err := put(s, ledgerapi.DisclosureKey(d.ID), d); err != nil {
		return nil, err
	}
	entry.Record, entry.Purpose, entry.Decision, entry.Reason = d.Record, d.Purpose, d.Decision, d.Reason
	entry.Consent = d.Consent
	if err := audit(s, entry); err != nil {
		return nil, err
	}
	if err := emit(s, ledgerapi.EventDisclosed, ledgerapi.Event{ID: string(d.ID), Record: d.Record}); err != nil {
		return nil, err
	}
	return &ledgerapi.DecisionReceipt{
		TxID: s.TxID(), At: s.Now(), ID: string(d.ID), Decision: d.Decision, Reason: d.Reason, Grant: d.Grant, Until: d.Until,
		Consent: d.Consent, NoOnward: d.NoOnward, SignOff: d.SignOff,
	}, st.spend(s, string(d.ID))
}
