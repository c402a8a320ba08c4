// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledgerapi

import "github.com/emrys-health/emrys/pkg/emr"

// The accounting of disclosures (docs/spec/audit.md).
const (
	// SuspendAccounting: SuspendAccountingArgs -> Receipt, by an admin of the records' hospital or of a regulator.
	SuspendAccounting = "SuspendAccounting"
	// AccountDisclosures: AccountQuery -> AccountPage, newest first; gateways only.
	AccountDisclosures = "AccountDisclosures"
)

// Limits of the accounting.
const (
	// AccountYears is how far an accounting reaches back when it names no beginning.
	AccountYears = 6
	// MaxSuspended is the number of disclosures that one call suspends.
	MaxSuspended = 64
	// MaxOralDays and MaxWrittenDays bound a suspension by an oral and by a written statement; it can be renewed.
	MaxOralDays    = 30
	MaxWrittenDays = 365
)

// TypeSuspension is of suspensions: value is emr.Suspension.
const TypeSuspension = "suspension"

// SuspensionKey is the key of the suspension of a disclosure.
func SuspensionKey(id emr.DisclosureID) Key { return key(TypeSuspension, string(id)) }

// SuspendAccountingArgs withholds disclosures from the accounting of their patients
// until a time, or lists them again at once when Until is empty.
type SuspendAccountingArgs struct {
	Disclosures []emr.DisclosureID   `json:"disclosures"` // 1 to MaxSuspended, sorted, none twice
	Ground      emr.SuspensionGround `json:"ground"`
	Written     bool                 `json:"written"`
	Until       emr.Time             `json:"until"`
}

// AccountQuery asks for a patient's accounting of disclosures. Without From it
// reaches AccountYears back from its end, without To up to now. Exclude leaves
// classes of disclosures out. Series makes one item of those on the page that went
// to one reader, of one hospital's records, for one purpose, of one class of record.
// Under an Inspection of the patient, and nowhere else, suspended disclosures are
// listed, sealed, for a regulator and for the organisation that suspended them.
type AccountQuery struct {
	Patient    emr.Handle            `json:"patient"`
	From       emr.Time              `json:"from"`
	To         emr.Time              `json:"to"`
	Exclude    []emr.AccountingClass `json:"exclude"`
	Series     bool                  `json:"series"`
	Inspection emr.InspectionID      `json:"inspection"`
	Limit      int                   `json:"limit"`
	Bookmark   string                `json:"bookmark"`
}

// AccountPage is a page of an accounting, newest first. It may be short, or empty,
// and still have a bookmark. A series that goes on appears on each of its pages.
type AccountPage struct {
	From     emr.Time      `json:"from"`
	To       emr.Time      `json:"to"`
	Items    []AccountItem `json:"items"`
	Bookmark string        `json:"bookmark"`
}

// AccountItem is one disclosure, or a series of them (45 CFR 164.528(b)).
type AccountItem struct {
	// Disclosure and Record are those of the newest, at Last; First is the time of the oldest of Count.
	Disclosure emr.DisclosureID `json:"disclosure"`
	Record     emr.RecordID     `json:"record"`
	First      emr.Time         `json:"first"`
	Last       emr.Time         `json:"last"`
	Count      uint32           `json:"count"`
	// Org is the recipient, Name its registered name, Reader the person; for the patient's own reading Org is empty.
	Org    emr.OrgID `json:"org"`
	Name   string    `json:"name"`
	Reader string    `json:"reader"`
	// Hospital is the discloser: whose record it is. Class is the brief description of what was disclosed.
	Hospital   emr.OrgID   `json:"hospital"`
	Class      emr.Class   `json:"class"`
	Restricted bool        `json:"restricted"` // the record bears a sensitivity label
	Purpose    emr.Purpose `json:"purpose"`
	// Classes are those that it could be left out by.
	Classes []emr.AccountingClass `json:"classes"`
	// Emergency is set for a disclosure in an emergency session.
	Emergency *AccountedEmergency `json:"emergency,omitempty"`
	// Sealed is set for a disclosure that is withheld from the patient.
	Sealed *emr.Suspension `json:"sealed,omitempty"`
}

// AccountedEmergency is what 42 CFR 2.51(c) asks to be recorded of a disclosure in
// an emergency, besides its time, recipient and discloser.
type AccountedEmergency struct {
	Session      emr.SessionID   `json:"session"`
	By           emr.ClinicianID `json:"by"`
	Org          emr.OrgID       `json:"org"` // affiliation
	ConfirmedBy  emr.ClinicianID `json:"confirmedBy"`
	ConfirmedOrg emr.OrgID       `json:"confirmedOrg"`
	Opened       emr.Time        `json:"opened"`
	Ended        emr.Time        `json:"ended"`
	// Nature is the coded ground, which is private: empty when it is destroyed, or not on the peer that answers.
	Nature emr.EmergencyGround `json:"nature"`
}
