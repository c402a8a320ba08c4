// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package emr

import "slices"

// Decision is the outcome of a rule of sharing. All three are committed facts.
type Decision string

// Decisions.
const (
	// Permit: the ground named with it covers the request.
	Permit Decision = "permit"
	// Ask: nothing forbids it and nothing covers it yet; the patient is asked.
	Ask Decision = "ask"
	// Deny: refused, with a reason.
	Deny Decision = "deny"
)

// Reason is the coded ground of a decision. The list is append-only.
type Reason string

// Reasons.
const (
	// ReasonGrant: a live grant covers it.
	ReasonGrant Reason = "grant"
	// ReasonOwner: the patient reads an own record.
	ReasonOwner Reason = "owner"
	// ReasonNoGrant: no grant covers it.
	ReasonNoGrant Reason = "no-grant"
	// ReasonRole: the caller's role may not do this.
	ReasonRole Reason = "role"
	// ReasonLevel: the caller's level is below the record's.
	ReasonLevel Reason = "level"
	// ReasonPurpose: the purpose is not the caller's role's, or not the grant's.
	ReasonPurpose Reason = "purpose"
	// ReasonNotGrantee: the grant names somebody else.
	ReasonNotGrantee Reason = "not-grantee"
	// ReasonNotCovered: the grant does not cover the record.
	ReasonNotCovered Reason = "record-not-covered"
	// ReasonRevoked: the patient has taken the grant back.
	ReasonRevoked Reason = "grant-revoked"
	// ReasonExpired: the grant's time is over.
	ReasonExpired Reason = "grant-expired"
	// ReasonNotYet: the grant's time has not begun.
	ReasonNotYet Reason = "grant-not-yet-valid"
	// ReasonExhausted: every use that the grant allows has been made.
	ReasonExhausted Reason = "grant-exhausted"
	// ReasonRefused: the patient has refused this request.
	ReasonRefused Reason = "patient-refused"
	// ReasonNoRelationship: no accepted treatment relationship.
	ReasonNoRelationship Reason = "no-relationship"
	// ReasonNotReader: the ticket was issued to somebody else.
	ReasonNotReader Reason = "not-the-reader"
	// ReasonTicketExpired: the ticket is too old; disclose again.
	ReasonTicketExpired Reason = "ticket-expired"
	// ReasonSuperseded: a newer version of the record exists.
	ReasonSuperseded Reason = "superseded"
	// ReasonReaderKey: the reader's key is not the one the grant names.
	ReasonReaderKey Reason = "reader-key"

	// Governance.

	// ReasonOrganisation: the reader's organisation is not a member any more.
	ReasonOrganisation Reason = "organisation-removed"
	// Standing consent.

	// ReasonConsentDenies: the patient's standing consent denies it.
	ReasonConsentDenies Reason = "consent-denied"
	// ReasonConsentWithdrawn: the patient has withdrawn the standing consent.
	ReasonConsentWithdrawn Reason = "consent-withdrawn"
	// ReasonConsentPermits: the standing consent permits it; the patient's device gives the keys.
	ReasonConsentPermits Reason = "consent-permits"
	// ReasonConsentAsks: the standing consent leaves it to the patient.
	ReasonConsentAsks Reason = "consent-asks"
	// ReasonConsentRestricted: the record is restricted, and what was given in general does not extend to it.
	ReasonConsentRestricted Reason = "consent-restricted"
	// ReasonNoConsent: the patient has put no standing consent.
	ReasonNoConsent Reason = "no-consent"
	// The life of keys and people.

	// ReasonSuspended: the clinician's own organisation has suspended the clinician.
	ReasonSuspended Reason = "clinician-suspended"
	// ReasonOffboarded: the clinician has left the organisation for good.
	ReasonOffboarded Reason = "clinician-offboarded"
	// Reasons of emergency sessions.

	// ReasonEmergency: an open emergency session covers it.
	ReasonEmergency Reason = "emergency"
	// ReasonNoSession: there is no such emergency session.
	ReasonNoSession Reason = "no-session"
	// ReasonNotSession: the session is another clinician's.
	ReasonNotSession Reason = "session-not-yours"
	// ReasonSessionPatient: the session is for another patient.
	ReasonSessionPatient Reason = "session-other-patient"
	// ReasonSessionDenied: the session was refused.
	ReasonSessionDenied Reason = "session-denied"
	// ReasonUnconfirmed: the second person has not confirmed.
	ReasonUnconfirmed Reason = "session-unconfirmed"
	// ReasonSessionClosed: the session was closed.
	ReasonSessionClosed Reason = "session-closed"
	// ReasonSessionExpired: the session's time is over.
	ReasonSessionExpired Reason = "session-expired"
	// ReasonDeclined: the patient has declined emergency access to the scope.
	ReasonDeclined Reason = "emergency-declined"
	// ReasonNoGround: no ground of the list is given.
	ReasonNoGround Reason = "emergency-no-ground"
	// ReasonShortText: the free text says too little.
	ReasonShortText Reason = "emergency-text-too-short"
	// ReasonStalePresence: the authentication is not fresh.
	ReasonStalePresence Reason = "reauthenticate"
	// ReasonEmergencyLimit: too many sessions of one clinician.
	ReasonEmergencyLimit Reason = "emergency-limit"
	// ReasonReviewOverdue: an earlier session's review is overdue.
	ReasonReviewOverdue Reason = "review-overdue"
	// ReasonSelfConfirmed: the second person is the first.
	ReasonSelfConfirmed Reason = "confirmer-self"
	// ReasonOrgConfirmed: the second person is of the first one's organisation.
	ReasonOrgConfirmed Reason = "confirmer-same-organisation"
	// ReasonSelfReviewed: the reviewer took part in the session.
	ReasonSelfReviewed Reason = "reviewer-self"
	// ReasonReviewStanding: the reviewer's organisation has no standing in the session.
	ReasonReviewStanding Reason = "reviewer-no-standing"
	// ReasonNotGuardian: the recovery's guardian set does not name the signer.
	ReasonNotGuardian Reason = "not-a-guardian"
	// ReasonOneOrganisation: one organisation's people alone would be a quorum of guardians.
	ReasonOneOrganisation Reason = "one-organisation"
	// ReasonApprovals: the recovery lacks approvals of guardians.
	ReasonApprovals Reason = "recovery-approvals"
	// ReasonWaiting: the recovery has its approvals, and its waiting period is not over.
	ReasonWaiting Reason = "recovery-waiting"
	// ReasonVetoed, ReasonCompleted, ReasonLapsed, ReasonOtherRecovery: the recovery
	// is over: vetoed by the patient, completed, expired, or another one was completed.
	ReasonVetoed        Reason = "recovery-vetoed"
	ReasonCompleted     Reason = "recovery-completed"
	ReasonLapsed        Reason = "recovery-expired"
	ReasonOtherRecovery Reason = "recovery-superseded"

	// Inspections of the log.

	// ReasonInspector: the role gives the right to read this log.
	ReasonInspector Reason = "inspector"
	// ReasonInspectorOrg: a privacy officer reads the logs of the own organisation alone.
	ReasonInspectorOrg Reason = "inspector-other-organisation"

	// Asking, granting and signing off.

	// ReasonNoOnward: onward use was declared, and the grant or the record's label forbids it.
	ReasonNoOnward Reason = "no-onward"
	// ReasonNarrowed: the patient gave a part of what was asked for.
	ReasonNarrowed Reason = "narrowed"
	// ReasonGrantWaiting: by the patient's own rule the grant needs a confirmation, or the time after it.
	ReasonGrantWaiting Reason = "grant-waiting"
	// ReasonNotConfirmer: the signer is not one who may confirm this.
	ReasonNotConfirmer Reason = "not-a-confirmer"
	// ReasonNotSignedOff: the grant gives records that are signed off, and this one is not.
	ReasonNotSignedOff Reason = "not-signed-off"
	// ReasonSignOffOrder: it is another clinician's turn to sign.
	ReasonSignOffOrder Reason = "sign-off-order"
	// ReasonSignOffOver: the sign-off was refused by somebody, or is complete.
	ReasonSignOffOver Reason = "sign-off-over"
)

// explanation is one plain sentence for people about a reason.
type explanation struct {
	reason Reason
	text   string
}

// explanations is the list of reasons, each with its sentence.
func explanations() []explanation {
	return append([]explanation{
		{ReasonGrant, "a grant of the patient covers it"},
		{ReasonOwner, "it is the patient's own record"},
		{ReasonNoGrant, "no grant of the patient covers it; ask for access first"},
		{ReasonRole, "the role in the certificate does not allow it"},
		{ReasonLevel, "the record's security level is above the reader's"},
		{ReasonPurpose, "the purpose is not one that the reader's role or the grant allows"},
		{ReasonNotGrantee, "the grant was given to somebody else"},
		{ReasonNotCovered, "the grant does not cover this record"},
		{ReasonRevoked, "the patient has revoked the grant"},
		{ReasonExpired, "the grant has expired"},
		{ReasonNotYet, "the grant is not valid yet"},
		{ReasonExhausted, "every use that the grant allows has been made"},
		{ReasonRefused, "the patient has refused this request"},
		{ReasonNoRelationship, "the patient has not accepted a treatment relationship with the hospital"},
		{ReasonNotReader, "the ticket was issued to somebody else"},
		{ReasonTicketExpired, "the ticket has expired; start the reading again"},
		{ReasonSuperseded, "a newer version of the record exists"},
		{ReasonReaderKey, "the reader's key is not the one that the grant names"},
		{ReasonOrganisation, "the members of the consortium have removed the reader's organisation"},
		// Standing consent.
		{ReasonConsentDenies, "the patient's standing consent denies it"},
		{ReasonConsentWithdrawn, "the patient has withdrawn the standing consent"},
		{ReasonConsentPermits, "the patient's standing consent permits it; the patient's device gives the keys"},
		{ReasonConsentAsks, "the patient's standing consent leaves it to the patient, who is asked"},
		{ReasonConsentRestricted, "the record is restricted: what the patient gave in general does not extend to it"},
		{ReasonNoConsent, "the patient has put no standing consent"},
		{ReasonSuspended, "the clinician's own organisation has suspended the clinician"},
		{ReasonOffboarded, "the clinician has left the organisation"},
		{ReasonRevokedCertificate, "the clinician's own organisation has revoked the clinician's certificate"},
		// Emergency sessions.
		{ReasonEmergency, "an open emergency session covers it; it will be reviewed"},
		{ReasonNoSession, "there is no such emergency session"},
		{ReasonNotSession, "the emergency session is another clinician's"},
		{ReasonSessionPatient, "the emergency session is for another patient"},
		{ReasonSessionDenied, "the emergency session was refused"},
		{ReasonUnconfirmed, "nobody of another organisation has confirmed the emergency session yet"},
		{ReasonSessionClosed, "the emergency session was closed"},
		{ReasonSessionExpired, "the emergency session has expired"},
		{ReasonDeclined, "the patient has declined emergency access to this part of the record"},
		{ReasonNoGround, "an emergency session needs a ground from the list"},
		{ReasonShortText, "an emergency session needs a description of at least 20 characters"},
		{ReasonStalePresence, "the authentication is older than two minutes; authenticate again"},
		{ReasonEmergencyLimit, "too many emergency sessions of this clinician are open or not reviewed"},
		{ReasonReviewOverdue, "the review of an earlier emergency session is overdue"},
		{ReasonSelfConfirmed, "nobody confirms an emergency session of the own"},
		{ReasonOrgConfirmed, "the person who confirms must be of another organisation"},
		{ReasonSelfReviewed, "nobody reviews an emergency session that the same person opened or confirmed"},
		{ReasonReviewStanding, "the reviewer's organisation is neither the clinician's, nor the patient's, nor the regulator"},
		{ReasonNotGuardian, "the patient has not named the signer as a guardian for this recovery"},
		{ReasonOneOrganisation, "the people of one organisation alone would be enough to recover"},
		{ReasonApprovals, "the recovery lacks approvals of guardians"},
		{ReasonWaiting, "the recovery has its approvals and waits, so that the patient can veto it"},
		{ReasonVetoed, "the patient has vetoed the recovery"},
		{ReasonCompleted, "the recovery is completed"},
		{ReasonLapsed, "the recovery has expired; propose a new one"},
		{ReasonOtherRecovery, "another recovery of the patient was completed first"},
		// Inspections of the log.
		{ReasonInspector, "the inspector's role gives the right to read this log"},
		{ReasonInspectorOrg, "a privacy officer reads the logs of the own organisation alone"},
		{ReasonNoOnward, "what is given here may not be shared on, or read for somebody else"},
		{ReasonNarrowed, "the patient has given a part of what was asked for"},
		{ReasonGrantWaiting, "the grant waits for its confirmation, as the patient's own rule demands"},
		{ReasonNotConfirmer, "the signer is not one who may confirm this"},
		{ReasonNotSignedOff, "the record has not been signed off by all who are to sign it"},
		{ReasonSignOffOrder, "it is another clinician's turn to sign the record off"},
		{ReasonSignOffOver, "the sign-off of the record is over"},
	}, erasureExplanations()...)
}

// Reasons returns every reason.
func Reasons() []Reason {
	var all []Reason
	for _, e := range explanations() {
		all = append(all, e.reason)
	}
	return all
}

// Valid tells whether the reason is on the list.
func (r Reason) Valid() bool { return slices.Contains(Reasons(), r) }

// Explain returns one plain sentence for people.
func (r Reason) Explain() string {
	for _, e := range explanations() {
		if e.reason == r {
			return e.text
		}
	}
	return "no reason is recorded"
}
