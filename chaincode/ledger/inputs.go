// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// decideInputs is the decision about a reading, from its inputs and nothing else:
// when it is made, and whenever it is made again.
func decideInputs(in *ledgerapi.DecisionInputs) verdict {
	clinician, record, on := documentsOf(in)
	if in.Own {
		return decideOwnReading(record, in.Purpose)
	}
	v := decideReading(clinician, record, in.Purpose, on, in.At)
	if v.decision == emr.Permit && counted(in) && !in.UseLeft {
		return deny(emr.ReasonExhausted)
	}
	return v
}

// counted tells whether uses are counted.
func counted(in *ledgerapi.DecisionInputs) bool {
	return !in.Emergency && in.Grant != nil && usesOf(in) != 0
}

// usesOf is how many uses the grant allows, narrowed or not.
func usesOf(in *ledgerapi.DecisionInputs) uint32 { return grantOf(in.Grant).Effective().MaxUses }

// grantOf makes of a grant's inputs what a decision takes.
func grantOf(in *ledgerapi.DecisionGrant) *emr.Grant {
	return &emr.Grant{Terms: in.Terms, Status: in.Status, Limits: in.Limits, Ready: in.Ready}
}

// recordInputs takes of a record what a decision may know.
func recordInputs(record *emr.Record) ledgerapi.DecisionRecord {
	return ledgerapi.DecisionRecord{
		ID: record.ID, Patient: record.Patient, Scope: record.Scope, Class: record.Class, Level: record.Level, Author: record.Author,
		Restricted: record.Restricted, Status: record.Status,
	}
}

// inputsOf puts together what a clinician's reading is decided from.
func inputsOf(clinician *emr.Clinician, record *emr.Record, purpose emr.Purpose, on *basis, now emr.Time) *ledgerapi.DecisionInputs {
	in := &ledgerapi.DecisionInputs{
		V: emr.DocumentVersion, At: now, Purpose: purpose, Record: recordInputs(record), Consent: on.standing, Emergency: on.emergency,
		Onward: on.onward, SignOff: statusOf(on.signOff),
		Reader: ledgerapi.DecisionReader{
			ID: string(clinician.ID), Org: clinician.Org, Role: clinician.Role, Level: clinician.Level, Status: clinician.Status,
			Key: clinician.Reading,
		},
	}
	if on.grant != nil {
		in.Grant = &ledgerapi.DecisionGrant{Terms: on.grant.Terms, Status: on.grant.Status, Limits: on.grant.Limits, Ready: on.grant.Ready}
		if on.grant.Terms.Direct {
			in.Reader.Hybrid = clinician.Hybrid
		}
	}
	if s := on.session; s != nil {
		in.Session = &ledgerapi.DecisionSession{By: s.By, Org: s.Org, Patient: s.Patient, Purpose: s.Purpose, Status: s.Status, Until: s.Until}
	}
	if on.plan != nil {
		in.Plan = &ledgerapi.DecisionPlan{DeclineAll: on.plan.DeclineAll, Declined: on.plan.Declined}
	}
	return in
}

// documentsOf makes of the inputs what decideReading takes: documents that hold
// nothing that is not an input.
func documentsOf(in *ledgerapi.DecisionInputs) (*emr.Clinician, *emr.Record, *basis) {
	clinician := &emr.Clinician{
		ID: emr.ClinicianID(in.Reader.ID), Org: in.Reader.Org, Role: in.Reader.Role, Level: in.Reader.Level, Status: in.Reader.Status,
		Reading: in.Reader.Key, Hybrid: in.Reader.Hybrid,
	}
	record := &emr.Record{
		ID: in.Record.ID, Patient: in.Record.Patient, Scope: in.Record.Scope, Class: in.Record.Class, Level: in.Record.Level,
		Author: in.Record.Author, Restricted: in.Record.Restricted, Status: in.Record.Status,
	}
	on := &basis{emergency: in.Emergency, standing: in.Consent, onward: in.Onward}
	if in.SignOff != "" {
		on.signOff = &emr.SignOff{Status: in.SignOff}
	}
	if in.Grant != nil {
		on.grant = grantOf(in.Grant)
	}
	if s := in.Session; s != nil {
		on.session = &emr.Emergency{By: s.By, Org: s.Org, Patient: s.Patient, Purpose: s.Purpose, Status: s.Status, Until: s.Until}
	}
	if in.Plan != nil {
		on.plan = &emr.EmergencyPlan{DeclineAll: in.Plan.DeclineAll, Declined: in.Plan.Declined}
	}
	return clinician, record, on
}

// ownInputs is what a patient's own reading is decided from.
func ownInputs(patient emr.Handle, record *emr.Record, purpose emr.Purpose, now emr.Time) *ledgerapi.DecisionInputs {
	return &ledgerapi.DecisionInputs{
		V: emr.DocumentVersion, At: now, Purpose: purpose, Own: true, Reader: ledgerapi.DecisionReader{ID: string(patient)},
		Record: recordInputs(record),
	}
}

// fromOf tells in which state what a disclosure names was found, where it is not the usual one.
func fromOf(clinician *emr.Clinician, record *emr.Record, args *ledgerapi.DiscloseArgs, on *basis) emr.DecidedFrom {
	from := emr.DecidedFrom{Reader: clinician.KeyVersion, Status: clinician.Status, Record: record.Status}
	switch {
	case on.grant != nil && on.grant.Status != emr.GrantLive:
		from.Grant = on.grant.Status
	case on.grant == nil && args.Grant != "":
		from.Grant = emr.Absent
	case on.emergency && on.session == nil:
		from.Session = emr.Absent
	case on.session != nil && on.session.Status != emr.EmergencyOpen:
		from.Session = on.session.Status
	}
	if on.grant != nil {
		from.Limits, from.Ready = on.grant.Limits, on.grant.Ready
	}
	if on.plan != nil {
		from.Plan = on.plan.Version
	}
	return from
}
