// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package emr

import "slices"

// Level is a security level of PIE (Lee et al. 2022, table "Security levels").
// The zero value is invalid.
type Level string

// Levels in ascending order of protection.
const (
	LevelLow      Level = "low"
	LevelModerate Level = "moderate"
	LevelPrivate  Level = "private"
)

// Levels returns every level, lowest first.
func Levels() []Level { return []Level{LevelLow, LevelModerate, LevelPrivate} }

// ParseLevel takes text for a level.
func ParseLevel(field, text string) (Level, error) {
	if l := Level(text); slices.Contains(Levels(), l) {
		return l, nil
	}
	return "", Invalid(field, "must be low, moderate or private")
}

// Covers tells whether a holder of level l may see something at level other.
// An invalid level covers nothing and is covered by nothing.
func (l Level) Covers(other Level) bool {
	mine, theirs := slices.Index(Levels(), l), slices.Index(Levels(), other)
	return mine >= 0 && theirs >= 0 && mine >= theirs
}

// Class is a record class of PIE. The zero value is invalid.
type Class string

// Record classes, grouped by division: medical record, clinical trial, lifelog.
const (
	ClassMedicalInformation  Class = "medical-information"
	ClassAdmissionRecord     Class = "admission-record"
	ClassPrescription        Class = "prescription"
	ClassMedicalImaging      Class = "medical-imaging"
	ClassMedicalDevice       Class = "medical-device"
	ClassMedicine            Class = "medicine"
	ClassClinicalObservation Class = "clinical-observation"
	ClassOmics               Class = "omics"
	ClassLifelogSensor       Class = "lifelog-sensor"
)

// Classes returns every class in the order of PIE's table.
func Classes() []Class {
	return []Class{
		ClassMedicalInformation, ClassAdmissionRecord, ClassPrescription, ClassMedicalImaging,
		ClassMedicalDevice, ClassMedicine, ClassClinicalObservation, ClassOmics, ClassLifelogSensor,
	}
}

// ParseClass takes text for a class.
func ParseClass(field, text string) (Class, error) {
	if c := Class(text); slices.Contains(Classes(), c) {
		return c, nil
	}
	return "", Invalid(field, "is not a record class; one of medical-information, admission-record, prescription, "+
		"medical-imaging, medical-device, medicine, clinical-observation, omics, lifelog-sensor")
}

// Level is the level at which a class is kept. It follows PIE's table but for
// omics, which PIE keeps at low: a genome identifies, so it is private here.
// An invalid class has no level.
func (c Class) Level() Level {
	switch c {
	case ClassMedicalInformation, ClassAdmissionRecord, ClassPrescription, ClassMedicalImaging, ClassOmics:
		return LevelPrivate
	case ClassMedicalDevice, ClassMedicine, ClassClinicalObservation:
		return LevelLow
	case ClassLifelogSensor:
		return LevelModerate
	default:
		return ""
	}
}

// Purpose is a purpose of use, a code of HL7 v3 PurposeOfUse
// (http://terminology.hl7.org/CodeSystem/v3-ActReason). The zero value is invalid.
type Purpose string

// Purposes of use that the ledger knows.
const (
	PurposeTreatment  Purpose = "TREAT"
	PurposePayment    Purpose = "HPAYMT"
	PurposeOperations Purpose = "HOPERAT"
	PurposeResearch   Purpose = "HRESCH"
	PurposePatient    Purpose = "PATRQT"
	// Emergency treatment, and its specialisation "break the glass".
	PurposeEmergency  Purpose = "ETREAT"
	PurposeBreakGlass Purpose = "BTG"
)

// Purposes returns every purpose.
func Purposes() []Purpose {
	return []Purpose{
		PurposeTreatment, PurposePayment, PurposeOperations, PurposeResearch, PurposePatient, PurposeEmergency, PurposeBreakGlass,
	}
}

// ParsePurpose takes text for a purpose.
func ParsePurpose(field, text string) (Purpose, error) {
	if p := Purpose(text); slices.Contains(Purposes(), p) {
		return p, nil
	}
	return "", Invalid(field, "must be TREAT, HPAYMT, HOPERAT, HRESCH, PATRQT, ETREAT or BTG")
}

// Emergency tells whether the purpose is one of emergency sessions.
func (p Purpose) Emergency() bool { return p == PurposeEmergency || p == PurposeBreakGlass }

// Role is what an organisation's certificate authority asserts of a person, in
// the certificate attribute "emrys.role". A role means something only together
// with the organisation that asserts it. The zero value is invalid.
type Role string

// Roles.
const (
	RolePatient    Role = "patient"
	RolePhysician  Role = "physician"
	RoleNurse      Role = "nurse"
	RoleResearcher Role = "researcher"
	RoleInsurer    Role = "insurer"
	RoleAuditor    Role = "auditor"
	RoleGateway    Role = "gateway"
	// RolePrivacyOfficer reviews emergency sessions and reads no record.
	RolePrivacyOfficer Role = "privacy-officer"
)

// Certificate attributes of Fabric CA (extension 1.2.3.4.5.6.7.8.1) that Emrys reads.
const (
	AttributeRole  = "emrys.role"
	AttributeLevel = "emrys.level"
)

// Professions returns the roles that a hospital may assert of a professional
// and that may be registered as a clinician.
func Professions() []Role {
	return []Role{RolePhysician, RoleNurse, RoleResearcher, RoleInsurer, RoleAuditor, RolePrivacyOfficer}
}

// MayWrite tells whether a holder of the role may author records.
func (r Role) MayWrite() bool { return r == RolePhysician || r == RoleNurse }

// MayUse tells whether a holder of the role may ask for records for a purpose.
func (r Role) MayUse(p Purpose) bool {
	switch r {
	case RolePhysician, RoleNurse:
		return p == PurposeTreatment || p == PurposeOperations || p == PurposeResearch || p.Emergency()
	case RoleResearcher:
		return p == PurposeResearch
	case RoleInsurer:
		return p == PurposePayment
	case RolePatient:
		return p == PurposePatient
	default:
		return false
	}
}

// OrgKind tells hospitals from the neutral regulator.
type OrgKind string

// Kinds of organisation.
const (
	KindHospital  OrgKind = "hospital"
	KindRegulator OrgKind = "regulator"
)

// MayAssert tells whether an organisation of kind k may assert role r of its
// people: hospitals of patients and professionals but auditors, the regulator
// of auditors and privacy officers. Both run a gateway.
func (k OrgKind) MayAssert(r Role) bool {
	switch k {
	case KindHospital:
		return r != RoleAuditor && (r == RolePatient || r == RoleGateway || slices.Contains(Professions(), r))
	case KindRegulator:
		return r == RoleAuditor || r == RoleGateway || r == RolePrivacyOfficer
	default:
		return false
	}
}
