// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledgerapi

import "github.com/emrys-health/emrys/pkg/emr"

// Transactions of amendments (docs/spec/amendment.md), signed actions of people,
// and of holds, by an administrator.
const (
	AskAmendment     = "AskAmendment"     // AskAmendmentArgs -> Receipt, by the patient
	AnswerAmendment  = "AnswerAmendment"  // AnswerAmendmentArgs -> Receipt, by a clinician of the record's hospital
	DisputeAmendment = "DisputeAmendment" // DisputeAmendmentArgs -> Receipt, by the patient
	// HoldRecord: HoldRecordArgs -> Receipt, by an admin of the record's hospital or of a regulator.
	HoldRecord = "HoldRecord"
)

// Queries of amendments and holds.
const (
	GetAmendment       = "GetAmendment"       // AmendmentQuery -> emr.Amendment
	GetAmendmentAction = "GetAmendmentAction" // AmendmentQuery -> AmendmentView; gateways only
	ListAmendments     = "ListAmendments"     // PageQuery by patient or record -> AmendmentPage
	GetHold            = "GetHold"            // RecordQuery -> emr.Hold
)

func amendmentTransactions() []string {
	return []string{AskAmendment, AnswerAmendment, DisputeAmendment}
}

func amendmentQueries() []string {
	return []string{GetAmendment, GetAmendmentAction, ListAmendments, GetHold}
}

// Events of amendments and holds. The ID is the amendment's or the record's.
const (
	EventAmendmentAsked    = "amendment.asked"    // a patient asked for a correction
	EventAmendmentAnswered = "amendment.answered" // the author answered
	EventAmendmentDisputed = "amendment.disputed" // the patient disagreed
	EventRecordHeld        = "record.held"        // a legal hold was put on a record
	EventRecordReleased    = "record.released"    // a legal hold was lifted
)

// AmendmentDays is the time for an answer (45 CFR 164.526(b)(2)).
const AmendmentDays = 60

// Object types of public state.
const (
	TypeAmendment          = "amendment"
	TypeAmendmentByPatient = "patient-amendment"
	TypeAmendmentByRecord  = "record-amendment"
	TypeHold               = "hold"
)

// AmendmentKey is the key of an amendment.
func AmendmentKey(id emr.AmendmentID) Key { return key(TypeAmendment, string(id)) }

// HoldKey is the key of who holds a record.
func HoldKey(id emr.RecordID) Key { return key(TypeHold, string(id)) }

// AskAmendmentArgs asks that a record be corrected. Text is private.
type AskAmendmentArgs struct {
	Patient   emr.Handle      `json:"patient"`
	Amendment emr.AmendmentID `json:"amendment"`
	Record    emr.RecordID    `json:"record"`
	Text      string          `json:"text"`
}

// AnswerAmendmentArgs answers: accepted with the later version that holds the
// correction, or denied with the reason in Text, which is private.
type AnswerAmendmentArgs struct {
	Amendment emr.AmendmentID `json:"amendment"`
	Accept    bool            `json:"accept"`
	Version   emr.RecordID    `json:"version"` // empty when denied
	Text      string          `json:"text"`
}

// DisputeAmendmentArgs is the patient's statement of disagreement with a denial. Text is private.
type DisputeAmendmentArgs struct {
	Patient   emr.Handle      `json:"patient"`
	Amendment emr.AmendmentID `json:"amendment"`
	Text      string          `json:"text"`
}

// HoldRecordArgs puts the caller's organisation's hold on a record, or takes it
// away: then Ground is empty.
type HoldRecordArgs struct {
	Record emr.RecordID   `json:"record"`
	Hold   bool           `json:"hold"`
	Ground emr.HoldGround `json:"ground"`
}

// AmendmentQuery names an amendment.
type AmendmentQuery struct {
	Amendment emr.AmendmentID `json:"amendment"`
}

// AmendmentPage is a page of amendments, newest first.
type AmendmentPage struct {
	Items    []emr.Amendment `json:"items"`
	Bookmark string          `json:"bookmark"`
}

// AmendmentView is an amendment with its signed actions, texts included; those
// that do not exist yet are zero.
type AmendmentView struct {
	Amendment emr.Amendment    `json:"amendment"`
	Asking    emr.SignedAction `json:"asking"`
	Answer    emr.SignedAction `json:"answer,omitzero"`
	Dispute   emr.SignedAction `json:"dispute,omitzero"`
}
