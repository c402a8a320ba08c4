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
)

// Reasons returns every reason.
func Reasons() []Reason {
	return []Reason{
		ReasonGrant, ReasonOwner, ReasonNoGrant, ReasonRole, ReasonLevel, ReasonPurpose, ReasonNotGrantee,
		ReasonNotCovered, ReasonRevoked, ReasonExpired, ReasonNotYet, ReasonExhausted, ReasonRefused,
		ReasonNoRelationship, ReasonNotReader, ReasonTicketExpired, ReasonSuperseded, ReasonReaderKey,
	}
}

// Valid tells whether the reason is on the list.
func (r Reason) Valid() bool { return slices.Contains(Reasons(), r) }

// Explain returns one plain sentence for people.
func (r Reason) Explain() string {
	switch r {
	case ReasonGrant:
		return "a grant of the patient covers it"
	case ReasonOwner:
		return "it is the patient's own record"
	case ReasonNoGrant:
		return "no grant of the patient covers it; ask for access first"
	case ReasonRole:
		return "the role in the certificate does not allow it"
	case ReasonLevel:
		return "the record's security level is above the reader's"
	case ReasonPurpose:
		return "the purpose is not one that the reader's role or the grant allows"
	case ReasonNotGrantee:
		return "the grant was given to somebody else"
	case ReasonNotCovered:
		return "the grant does not cover this record"
	case ReasonRevoked:
		return "the patient has revoked the grant"
	case ReasonExpired:
		return "the grant has expired"
	case ReasonNotYet:
		return "the grant is not valid yet"
	case ReasonExhausted:
		return "every use that the grant allows has been made"
	case ReasonRefused:
		return "the patient has refused this request"
	case ReasonNoRelationship:
		return "the patient has not accepted a treatment relationship with the hospital"
	case ReasonNotReader:
		return "the ticket was issued to somebody else"
	case ReasonTicketExpired:
		return "the ticket has expired; start the reading again"
	case ReasonSuperseded:
		return "a newer version of the record exists"
	case ReasonReaderKey:
		return "the reader's key is not the one that the grant names"
	default:
		return "no reason is recorded"
	}
}
