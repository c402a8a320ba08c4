// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package emr

import "slices"

// SuspensionGround is why a disclosure is withheld from the patient's accounting
// for a time (45 CFR 164.528(a)(2)). The zero value is invalid.
type SuspensionGround string

// Grounds of a suspension.
const (
	// SuspendLawEnforcement: a law enforcement official states that the accounting would impede an activity.
	SuspendLawEnforcement SuspensionGround = "law-enforcement"
	// SuspendOversight: a health oversight agency states it.
	SuspendOversight SuspensionGround = "health-oversight"
)

// Valid tells whether the ground is on the list.
func (g SuspensionGround) Valid() bool { return g == SuspendLawEnforcement || g == SuspendOversight }

// Suspension withholds one disclosure from the patient's accounting until its time
// is over, and from nothing else. Key: DisclosureID.
type Suspension struct {
	V          int              `json:"v"`
	Disclosure DisclosureID     `json:"disclosure"`
	Org        OrgID            `json:"org"` // that suspended it, or lifted it, last
	Ground     SuspensionGround `json:"ground"`
	// Written tells that the statement is a written one. An oral one holds for 30 days.
	Written bool `json:"written"`
	At      Time `json:"at"`
	Until   Time `json:"until"` // exclusive
}

// AccountingClass is why a disclosure may be left out of an accounting
// (45 CFR 164.528(a)(1)). The zero value is invalid.
type AccountingClass string

// Classes of disclosures. One disclosure may be of several.
const (
	// AccountTPO: for treatment, payment or health care operations; emergencies are a class of their own.
	AccountTPO AccountingClass = "tpo"
	// AccountIndividual: to the patient.
	AccountIndividual AccountingClass = "individual"
	// AccountAuthorised: under a grant that the patient has signed.
	AccountAuthorised AccountingClass = "authorised"
	// AccountEmergency: in an emergency session.
	AccountEmergency AccountingClass = "emergency"
)

// AccountingClasses returns every class.
func AccountingClasses() []AccountingClass {
	return []AccountingClass{AccountTPO, AccountIndividual, AccountAuthorised, AccountEmergency}
}

// Valid tells whether the class is on the list.
func (c AccountingClass) Valid() bool { return slices.Contains(AccountingClasses(), c) }

// Is tells whether the disclosure is of a class.
func (d *Disclosure) Is(c AccountingClass) bool {
	switch c {
	case AccountTPO:
		return d.Purpose == PurposeTreatment || d.Purpose == PurposePayment || d.Purpose == PurposeOperations
	case AccountIndividual:
		return d.Org == ""
	case AccountAuthorised:
		return d.Grant != ""
	case AccountEmergency:
		return d.Session != ""
	default:
		return false
	}
}
