// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// ProposeRelationship proposes a treatment relationship between a patient and the
// signer's own hospital. A refused or ended one may be proposed again.
func ProposeRelationship(s State, raw []byte) (*ledgerapi.Receipt, error) {
	var args ledgerapi.ProposeRelationshipArgs
	st, err := open(s, raw, ledgerapi.ProposeRelationship, &args)
	if err != nil {
		return nil, err
	}
	clinician, err := st.byActiveClinician(s)
	if err != nil {
		return nil, err
	}
	if err := checkProposal(s, clinician, &args); err != nil {
		return nil, err
	}
	proposal := emr.Relationship{
		V: emr.DocumentVersion, Patient: args.Patient, Hospital: args.Hospital, By: clinician.ID,
		Status: emr.RelationshipProposed, Proposed: s.Now(),
	}
	if err := put(s, ledgerapi.RelationshipKey(args.Patient, args.Hospital), proposal); err != nil {
		return nil, err
	}
	entry := byTheClinician(clinician, args.Patient, emr.AuditRelationship, string(args.Hospital))
	entry.Decision = emr.Ask
	if err := audit(s, entry); err != nil {
		return nil, err
	}
	return receipt(s, string(args.Hospital)), st.spend(s, string(args.Hospital))
}

func checkProposal(s Lookup, clinician *emr.Clinician, args *ledgerapi.ProposeRelationshipArgs) error {
	if err := emr.CheckID("patient", args.Patient); err != nil {
		return err
	}
	if args.Hospital != clinician.Org {
		return emr.E(emr.CodeForbidden, "a clinician proposes for the own hospital only")
	}
	if !clinician.Role.MayWrite() {
		return emr.Refused(emr.ReasonRole, "the role does not allow to propose a relationship")
	}
	if _, err := requirePatient(s, args.Patient); err != nil {
		return err
	}
	existing, err := relationship(s, args.Patient, args.Hospital)
	if err != nil {
		return err
	}
	if existing != nil && existing.Status != emr.RelationshipRefused {
		return emr.E(emr.CodeExists, "relationship is already "+string(existing.Status))
	}
	return nil
}

func relationship(s Lookup, patient emr.Handle, hospital emr.OrgID) (*emr.Relationship, error) {
	return find(s, ledgerapi.RelationshipKey(patient, hospital), versionOfRelationship)
}

// AnswerRelationship accepts or refuses a proposed relationship. Refusing an
// accepted one ends it: the hospital can register no further record.
func AnswerRelationship(s State, raw []byte) (*ledgerapi.Receipt, error) {
	var args ledgerapi.AnswerRelationshipArgs
	st, err := open(s, raw, ledgerapi.AnswerRelationship, &args)
	if err != nil {
		return nil, err
	}
	patient, err := st.forPatient(s, args.Patient)
	if err != nil {
		return nil, err
	}
	if _, err := emr.ParseOrgID("hospital", string(args.Hospital)); err != nil {
		return nil, err
	}
	answered, err := require(s, ledgerapi.RelationshipKey(patient.Handle, args.Hospital), versionOfRelationship)
	if err != nil {
		return nil, err
	}
	if args.Accept && st.action.Issued.Add(emr.MaxActionSkew) < answered.Proposed { // of an earlier proposal
		return nil, errOvertaken()
	}
	entry := st.entry(patient, emr.AuditRelationship, string(args.Hospital))
	entry.Decision, err = answer(answered, args.Accept)
	if err != nil {
		return nil, err
	}
	answered.Answered = s.Now()
	if err := put(s, ledgerapi.RelationshipKey(patient.Handle, args.Hospital), answered); err != nil {
		return nil, err
	}
	if err := audit(s, entry); err != nil {
		return nil, err
	}
	return receipt(s, string(args.Hospital)), st.spend(s, string(args.Hospital))
}

// answer moves a relationship on: accept from proposed, refuse from proposed or accepted.
func answer(r *emr.Relationship, accept bool) (emr.Decision, error) {
	switch {
	case accept && r.Status == emr.RelationshipProposed:
		r.Status = emr.RelationshipAccepted
		return emr.Permit, nil
	case !accept && r.Status != emr.RelationshipRefused:
		r.Status = emr.RelationshipRefused
		return emr.Deny, nil
	default:
		return "", emr.E(emr.CodeRule, "relationship is "+string(r.Status)+" already")
	}
}

// requireAccepted refuses unless the patient has accepted the hospital.
func requireAccepted(s Lookup, patient emr.Handle, hospital emr.OrgID) error {
	r, err := relationship(s, patient, hospital)
	if err != nil {
		return err
	}
	if r == nil || r.Status != emr.RelationshipAccepted {
		return emr.Refused(emr.ReasonNoRelationship, emr.ReasonNoRelationship.Explain())
	}
	return nil
}
