// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledgerapi

import "github.com/emrys-health/emrys/pkg/emr"

// Transactions of emergency sessions (docs/spec/emergency.md). All but
// SetEmergencyRules are signed actions of people.
const (
	SetEmergencyPlan = "SetEmergencyPlan" // SetEmergencyPlanArgs -> Receipt, by the patient
	OpenEmergency    = "OpenEmergency"    // OpenEmergencyArgs -> DecisionReceipt, by a clinician
	ConfirmEmergency = "ConfirmEmergency" // ConfirmEmergencyArgs -> DecisionReceipt, by somebody of another organisation
	CloseEmergency   = "CloseEmergency"   // EmergencyArgs -> Receipt, by the clinician, the patient or a privacy officer
	ReviewEmergency  = "ReviewEmergency"  // ReviewEmergencyArgs -> DecisionReceipt, by a privacy officer
	ContestEmergency = "ContestEmergency" // ContestEmergencyArgs -> Receipt, by the patient
	// SetEmergencyRules: SetEmergencyRulesArgs -> Receipt, by an admin of the organisation.
	SetEmergencyRules = "SetEmergencyRules"
)

// Queries of emergency sessions.
const (
	GetEmergency       = "GetEmergency"       // EmergencyArgs -> emr.Emergency
	GetEmergencyAction = "GetEmergencyAction" // EmergencyArgs -> EmergencyView; gateways only
	ListEmergencies    = "ListEmergencies"    // EmergenciesQuery -> EmergencyPage
	GetEmergencyPlan   = "GetEmergencyPlan"   // HandleQuery -> emr.EmergencyPlan
	GetEmergencyRules  = "GetEmergencyRules"  // EmergencyRulesQuery -> emr.EmergencyRules
	GetEmergencyDuty   = "GetEmergencyDuty"   // ClinicianQuery -> emr.EmergencyDuty
)

func emergencyTransactions() []string {
	return []string{SetEmergencyPlan, OpenEmergency, ConfirmEmergency, CloseEmergency, ReviewEmergency, ContestEmergency}
}

func emergencyQueries() []string {
	return []string{GetEmergency, GetEmergencyAction, ListEmergencies, GetEmergencyPlan, GetEmergencyRules, GetEmergencyDuty}
}

// Events of emergency sessions. The event's ID is the session's; that of a plan
// has none, since an event names no patient.
const (
	EventEmergencyDenied    = "emergency.denied"    // a session was refused
	EventEmergencyOpened    = "emergency.opened"    // a session was opened
	EventEmergencyConfirmed = "emergency.confirmed" // the second person confirmed a session
	EventEmergencyClosed    = "emergency.closed"    // a session was closed before its time
	EventEmergencyReviewed  = "emergency.reviewed"  // a session was reviewed
	EventEmergencyContested = "emergency.contested" // the patient contested a session
	EventEmergencyPlan      = "emergency.plan"      // a patient changed the emergency plan
)

// Limits of emergency sessions.
const (
	// DefaultEmergencyMinutes is the life of a session that asks for none, MaxEmergencyMinutes the longest.
	DefaultEmergencyMinutes = 4 * 60
	MaxEmergencyMinutes     = 24 * 60
	// DefaultReviewDays is the time for a review after a session's end, MaxReviewDays the longest that an organisation may set.
	DefaultReviewDays = 7
	MaxReviewDays     = 7
	// PresenceSeconds is how old an authentication, and the action that states it, may be.
	PresenceSeconds = 120
	// MinEmergencyText is the least number of characters of the free text, space around it not counted.
	MinEmergencyText = 20
	// MaxStatement bounds every free text of a session in bytes.
	MaxStatement = 4000
	// MaxOpenEmergencies bounds one clinician's sessions that are open or wait,
	// MaxOwedEmergencies those that are not reviewed.
	MaxOpenEmergencies = 3
	// MaxDeclined bounds the scopes that a plan names.
	MaxDeclined        = 64
	MaxOwedEmergencies = 10
	// MaxReviews bounds the reviews of one session.
	MaxReviews = 4
)

// Object types of public state, and the private one of free texts.
const (
	TypeEmergency            = "emergency"
	TypeEmergencyPlan        = "emergency-plan"
	TypeEmergencyRules       = "emergency-rules"
	TypeEmergencyDuty        = "emergency-duty"
	TypeEmergencyByPatient   = "patient-emergency"
	TypeEmergencyByClinician = "clinician-emergency"
	TypeEmergencyByOrg       = "org-emergency" // of the clinician, and of the patient's home

	// TypeStatement is private: by the digest of the signed action that makes it.
	TypeStatement = "statement"
)

// EmergencyKey is the key of an emergency session.
func EmergencyKey(id emr.SessionID) Key { return key(TypeEmergency, string(id)) }

// EmergencyPlanKey is the key of a patient's plan.
func EmergencyPlanKey(h emr.Handle) Key { return key(TypeEmergencyPlan, string(h)) }

// EmergencyRulesKey is the key of an organisation's rules.
func EmergencyRulesKey(id emr.OrgID) Key { return key(TypeEmergencyRules, string(id)) }

// EmergencyDutyKey is the key of what a clinician owes.
func EmergencyDutyKey(id emr.ClinicianID) Key { return key(TypeEmergencyDuty, string(id)) }

// StatementKey is the private key of a signed action with a free text.
func StatementKey(action emr.Digest) Key { return key(TypeStatement, action.String()) }

// OpenEmergencyArgs breaks the glass: it opens a session for one patient. Minutes
// of 0 asks for the default. Ground and Text tell what happens; they are private.
type OpenEmergencyArgs struct {
	Session  emr.SessionID       `json:"session"`
	Patient  emr.Handle          `json:"patient"`
	Purpose  emr.Purpose         `json:"purpose"`
	Ground   emr.EmergencyGround `json:"ground"`
	Text     string              `json:"text"`
	Minutes  uint32              `json:"minutes"`
	Presence emr.Presence        `json:"presence"`
}

// ConfirmEmergencyArgs is the second person's word for a session.
type ConfirmEmergencyArgs struct {
	Session  emr.SessionID `json:"session"`
	Presence emr.Presence  `json:"presence"`
}

// EmergencyArgs names an emergency session.
type EmergencyArgs struct {
	Session emr.SessionID `json:"session"`
}

// ReviewEmergencyArgs reviews a session that has ended. Text is private.
type ReviewEmergencyArgs struct {
	Session emr.SessionID     `json:"session"`
	Outcome emr.ReviewOutcome `json:"outcome"`
	Text    string            `json:"text"`
}

// ContestEmergencyArgs is the patient's statement about a session. Text is private.
type ContestEmergencyArgs struct {
	Patient emr.Handle    `json:"patient"`
	Session emr.SessionID `json:"session"`
	Text    string        `json:"text"`
}

// SetEmergencyPlanArgs replaces the patient's plan. Version is that of the plan it
// replaces, 0 for none. Declined is sorted.
type SetEmergencyPlanArgs struct {
	Patient    emr.Handle    `json:"patient"`
	DeclineAll bool          `json:"declineAll"`
	Declined   []emr.ScopeID `json:"declined"`
	Version    uint32        `json:"version"`
}

// SetEmergencyRulesArgs replaces the caller's organisation's rules.
type SetEmergencyRulesArgs struct {
	TwoPerson  bool   `json:"twoPerson"`
	MaxMinutes uint32 `json:"maxMinutes"`
	ReviewDays uint32 `json:"reviewDays"`
}

// EmergencyRulesQuery names an organisation.
type EmergencyRulesQuery struct {
	Org emr.OrgID `json:"org"`
}

// EmergenciesQuery lists emergency sessions: exactly one of the ids is set. By
// organisation it lists those of its clinicians and those of its patients.
type EmergenciesQuery struct {
	Patient   emr.Handle      `json:"patient"`
	Clinician emr.ClinicianID `json:"clinician"`
	Org       emr.OrgID       `json:"org"`
	Limit     int             `json:"limit"`
	Bookmark  string          `json:"bookmark"`
}

// EmergencyPage is a page of emergency sessions, newest first.
type EmergencyPage struct {
	Items    []emr.Emergency `json:"items"`
	Bookmark string          `json:"bookmark"`
}

// EmergencyView is a session with the action that opened it, those of its reviews
// in their order, and the patient's complaint when there is one, free texts
// included. That of a refused session is not kept.
type EmergencyView struct {
	Emergency emr.Emergency      `json:"emergency"`
	Signed    emr.SignedAction   `json:"signed"`
	Reviews   []emr.SignedAction `json:"reviews"`
	Complaint emr.SignedAction   `json:"complaint,omitzero"`
}
