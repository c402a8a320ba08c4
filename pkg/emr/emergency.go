// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package emr

import "slices"

// EmergencyGround is the coded reason for which a clinician breaks the glass. The
// zero value is invalid; the list is append-only.
type EmergencyGround string

// Grounds of an emergency session.
const (
	// GroundUnconscious: the patient is unconscious.
	GroundUnconscious EmergencyGround = "unconscious"
	// GroundLifeThreat: life or limb is in danger and there is no time to ask.
	GroundLifeThreat EmergencyGround = "life-threatening"
	// GroundIncapacitated: the patient is awake and cannot decide.
	GroundIncapacitated EmergencyGround = "incapacitated"
	// GroundUnreachable: the patient cannot be reached and waiting does harm.
	GroundUnreachable EmergencyGround = "unreachable"
	// GroundOther: none of these; the free text tells.
	GroundOther EmergencyGround = "other"
)

// EmergencyGrounds returns every ground.
func EmergencyGrounds() []EmergencyGround {
	return []EmergencyGround{GroundUnconscious, GroundLifeThreat, GroundIncapacitated, GroundUnreachable, GroundOther}
}

// Valid tells whether the ground is on the list.
func (g EmergencyGround) Valid() bool { return slices.Contains(EmergencyGrounds(), g) }

// PresenceMethod is how a person proved to be present before an action was
// signed. The zero value is invalid; the list is append-only.
type PresenceMethod string

// Methods.
const (
	// PresencePasskey: a user-verifying authenticator (WebAuthn).
	PresencePasskey PresenceMethod = "passkey"
	// PresenceCard: a card or token, unlocked by its PIN.
	PresenceCard PresenceMethod = "card"
	// PresencePassword: a password typed anew.
	PresencePassword PresenceMethod = "password"
)

// Valid tells whether the method is on the list.
func (m PresenceMethod) Valid() bool {
	return m == PresencePasskey || m == PresenceCard || m == PresencePassword
}

// Presence is a signer's statement of a fresh authentication. The ledger cannot
// see it happen: it holds the statement against the transaction's time, and the
// signature makes a false one attributable.
type Presence struct {
	Method PresenceMethod `json:"method"`
	At     Time           `json:"at"`
}

// EmergencyStatus is the stored state of an emergency session; expiry follows
// from Until.
type EmergencyStatus string

// States: a session that was refused is denied from the start; one that needs a
// second person waits until it is confirmed; an open one is closed by its
// clinician, by the patient or by a privacy officer.
const (
	EmergencyDenied  EmergencyStatus = "denied"
	EmergencyWaiting EmergencyStatus = "waiting"
	EmergencyOpen    EmergencyStatus = "open"
	EmergencyClosed  EmergencyStatus = "closed"
)

// ReviewOutcome is what a reviewer found. The zero value is invalid.
type ReviewOutcome string

// Outcomes. An escalated session is reviewed again by another organisation.
const (
	ReviewJustified   ReviewOutcome = "justified"
	ReviewUnjustified ReviewOutcome = "unjustified"
	ReviewEscalated   ReviewOutcome = "escalated"
)

// Valid tells whether the outcome is on the list.
func (o ReviewOutcome) Valid() bool {
	return o == ReviewJustified || o == ReviewUnjustified || o == ReviewEscalated
}

// EmergencyReview is one review of a session. Its text is private.
type EmergencyReview struct {
	By      ClinicianID   `json:"by"`
	Org     OrgID         `json:"org"`
	Outcome ReviewOutcome `json:"outcome"`
	At      Time          `json:"at"`
	Action  Digest        `json:"action"` // the reviewer's signed action
}

// Emergency is one emergency session: one clinician, one patient, for a short
// time. Its ground and texts say something of the patient's health: they stand in
// private data, in the signed actions that are named here. Key: SessionID.
type Emergency struct {
	V        int             `json:"v"`
	ID       SessionID       `json:"id"`
	Patient  Handle          `json:"patient"`
	By       ClinicianID     `json:"by"`
	Org      OrgID           `json:"org"`
	Purpose  Purpose         `json:"purpose"`
	Decision Decision        `json:"decision"`
	Reason   Reason          `json:"reason"`
	Status   EmergencyStatus `json:"status"`
	Opened   Time            `json:"opened"`
	Until    Time            `json:"until"` // exclusive
	// ConfirmedBy is the second person, empty where the rules asked for none.
	ConfirmedBy  ClinicianID `json:"confirmedBy"`
	ConfirmedOrg OrgID       `json:"confirmedOrg"`
	Confirmed    Time        `json:"confirmed"`
	Closed       Time        `json:"closed"`
	// ReviewBy is when a review is overdue; absent when none is owed.
	ReviewBy  Time              `json:"reviewBy"`
	Reviews   []EmergencyReview `json:"reviews"`
	Contested Time              `json:"contested"` // by the patient, whose signed action is Complaint
	Complaint Digest            `json:"complaint"`
	Action    Digest            `json:"action"` // the clinician's signed action
}

// Ended returns when a session that was not denied stopped, or will stop, to give anything.
func (e *Emergency) Ended() Time {
	if e.Closed != 0 {
		return min(e.Closed, e.Until)
	}
	return e.Until
}

// Reviewed tells whether the last word of a review has been spoken.
func (e *Emergency) Reviewed() bool {
	n := len(e.Reviews)
	return n > 0 && e.Reviews[n-1].Outcome != ReviewEscalated
}

// EmergencyPlan is what a patient has declined in advance. Without one nothing is
// declined. Key: Handle.
type EmergencyPlan struct {
	V       int    `json:"v"`
	Patient Handle `json:"patient"`
	// DeclineAll declines every scope, later ones included; Declined names single ones, sorted.
	DeclineAll bool      `json:"declineAll"`
	Declined   []ScopeID `json:"declined"`
	Version    uint32    `json:"version"`
	Updated    Time      `json:"updated"`
}

// Declines tells whether the plan declines emergency access to a scope. A nil
// plan declines nothing.
func (p *EmergencyPlan) Declines(scope ScopeID) bool {
	return p != nil && (p.DeclineAll || slices.Contains(p.Declined, scope))
}

// EmergencyRules are what one organisation demands of emergency sessions of its
// own clinicians and into records of its own patients. Key: OrgID.
type EmergencyRules struct {
	V   int   `json:"v"`
	Org OrgID `json:"org"`
	// TwoPerson demands that somebody of another organisation confirms.
	TwoPerson bool `json:"twoPerson"`
	// MaxMinutes bounds a session; ReviewDays is the time for its review after its end.
	MaxMinutes uint32 `json:"maxMinutes"`
	ReviewDays uint32 `json:"reviewDays"`
	Version    uint32 `json:"version"`
	Updated    Time   `json:"updated"`
}

// EmergencyDuty is what one clinician still owes: every session that has not been
// reviewed. It is small, because it bounds itself. Key: ClinicianID.
type EmergencyDuty struct {
	V         int         `json:"v"`
	Clinician ClinicianID `json:"clinician"`
	Owed      []OwedEntry `json:"owed"` // in the order of opening
}

// OwedEntry is one session that has not been reviewed.
type OwedEntry struct {
	Session  SessionID `json:"session"`
	Until    Time      `json:"until"` // of the session, exclusive; its closing, once closed
	ReviewBy Time      `json:"reviewBy"`
}
