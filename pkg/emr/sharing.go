// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package emr

import (
	"crypto/sha256"
	"slices"
)

// RequestStatus is the state of an access request.
type RequestStatus string

// States of a request. A denied request is closed from the start.
const (
	RequestPending RequestStatus = "pending"
	RequestGranted RequestStatus = "granted"
	RequestRefused RequestStatus = "refused"
	RequestClosed  RequestStatus = "closed"
)

// Request is one request for access. Key: RequestID.
type Request struct {
	V        int           `json:"v"`
	ID       RequestID     `json:"id"`
	Patient  Handle        `json:"patient"`
	Record   RecordID      `json:"record"`
	By       ClinicianID   `json:"by"`
	Org      OrgID         `json:"org"`
	Purpose  Purpose       `json:"purpose"`
	Decision Decision      `json:"decision"`
	Reason   Reason        `json:"reason"`
	Status   RequestStatus `json:"status"`
	Grant    GrantID       `json:"grant"` // that answers it, or covers it already
	Made     Time          `json:"made"`
	Answered Time          `json:"answered"`
	// Consent is the version of the standing consent at the time it was made; absent without one.
	Consent uint32 `json:"consent,omitempty"`
	// ByKeys is the version of the maker's keys that signed it.
	ByKeys uint32 `json:"byKeys,omitempty"`
	// Onward is what the maker declared; absent for the own use.
	Onward Onward `json:"onward,omitempty"`
	// Wish is what was asked for besides the record and purpose.
	Wish *Wish `json:"wish,omitempty"`
	// LeftOut is what the grant that answers it does not give; absent when it gives everything.
	LeftOut *LeftOut `json:"leftOut,omitempty"`
}

// GrantTerms are what a patient signs when giving access. Their digest is bound
// into every key fragment and re-encryption proof.
type GrantTerms struct {
	Channel string      `json:"channel"`
	Grant   GrantID     `json:"grant"`
	Patient Handle      `json:"patient"`
	Scope   ScopeID     `json:"scope"`
	Epoch   uint32      `json:"epoch"`
	Grantee ClinicianID `json:"grantee"`
	// Org is the grantee's organisation: it is never one of Gateways.
	Org OrgID `json:"org"`
	// Reader is the grantee's reading key (P-256, compressed).
	Reader []byte `json:"reader"`
	// Records lists the records covered, sorted; empty means the whole scope.
	Records   []RecordID `json:"records"`
	Purposes  []Purpose  `json:"purposes"` // sorted, at least one
	NotBefore Time       `json:"notBefore"`
	Until     Time       `json:"until"`   // exclusive
	MaxUses   uint32     `json:"maxUses"` // disclosures; 0 means no limit
	Threshold uint8      `json:"threshold"`
	Gateways  []OrgID    `json:"gateways"` // that hold a fragment, sorted
	// NoOnward forbids the grantee to share on what is read.
	NoOnward bool `json:"noOnward,omitempty"`
	// SignedOff gives those records alone which all their signers have signed.
	SignedOff bool `json:"signedOff,omitempty"`
	// Direct gives the records named by keys sealed to the grantee's hybrid key, whose
	// SHA-256 is ReaderHybrid. There are no fragments: Threshold is 0, Gateways empty.
	Direct       bool   `json:"direct,omitempty"`
	ReaderHybrid Digest `json:"readerHybrid,omitzero"`
}

// Hash is the SHA-256 of the label "EMRYS-GRANT-V1", a zero byte and the
// canonical encoding of the terms.
func (t *GrantTerms) Hash() (Digest, error) { return labelled("EMRYS-GRANT-V1", t) }

// Covers tells whether the terms cover a record of the scope.
func (t *GrantTerms) Covers(r RecordID) bool {
	return len(t.Records) == 0 || slices.Contains(t.Records, r)
}

// GrantStatus is the stored state of a grant; expiry follows from the terms.
type GrantStatus string

// States of a grant.
const (
	GrantLive    GrantStatus = "live"
	GrantRevoked GrantStatus = "revoked"
	// GrantWaiting: by the patient's rule it needs a confirmation, and gives nothing before.
	GrantWaiting GrantStatus = "waiting"
	// GrantEnded: its records were erased, or its scope's epoch ended.
	GrantEnded GrantStatus = "ended"
)

// Grant is one grant of access. Key: GrantID. The key fragments stand in the
// private data collection until the grant is revoked.
type Grant struct {
	V     int        `json:"v"`
	ID    GrantID    `json:"id"`
	Terms GrantTerms `json:"terms"`
	// Commitments holds the commitment of each gateway's fragment, in the order of
	// Terms.Gateways; of a direct grant, that of each record's sealed key, in the order of Terms.Records.
	Commitments []Digest    `json:"commitments"`
	Request     RequestID   `json:"request"` // it answers; may be empty
	Action      Digest      `json:"action"`  // the patient's signed action
	Status      GrantStatus `json:"status"`
	Given       Time        `json:"given"`
	Revoked     Time        `json:"revoked"` // or ended
	// Limits is what a later narrowing left; absent while the terms hold as signed.
	Limits *Limits `json:"limits,omitempty"`
	// By is the delegate who signed it; absent when the patient did.
	By Handle `json:"by,omitempty"`
	// Apart tells that the private part is a GrantSecret, and not the signed action.
	Apart bool `json:"apart,omitempty"`
	// Confirmed is when somebody else confirmed it, and ConfirmedBy who: a handle, the
	// patient's own for the second key, or a clinician id. Before Ready it gives nothing.
	Confirmed   Time   `json:"confirmed,omitempty"`
	ConfirmedBy string `json:"confirmedBy,omitempty"`
	Ready       Time   `json:"ready,omitempty"`
}

// SealedFragment is one gateway's key fragment, sealed to its proxy key.
type SealedFragment struct {
	Gateway    OrgID  `json:"gateway"`
	Commitment Digest `json:"commitment"`
	Sealed     []byte `json:"sealed"`
}

// Disclosure is a committed decision to read: with Permit, the ticket that the
// proxies ask for. Key: DisclosureID.
type Disclosure struct {
	V       int          `json:"v"`
	ID      DisclosureID `json:"id"`
	Patient Handle       `json:"patient"`
	Record  RecordID     `json:"record"`
	Grant   GrantID      `json:"grant"` // empty for the patient's own reading
	// Session is the emergency session that takes the place of a grant.
	Session SessionID `json:"session,omitzero"`
	// Reader is the clinician, or the patient's handle for the patient's own reading.
	Reader   string   `json:"reader"`
	Org      OrgID    `json:"org"` // empty for the patient
	Purpose  Purpose  `json:"purpose"`
	Decision Decision `json:"decision"`
	Reason   Reason   `json:"reason"`
	Action   Digest   `json:"action"` // the reader's signed action
	At       Time     `json:"at"`
	Until    Time     `json:"until"` // of the ticket, exclusive
	// Consent is the version of the standing consent that it was decided from; absent without one.
	Consent uint32 `json:"consent,omitempty"`
	// Onward is what the reader declared; absent for the own use.
	Onward Onward `json:"onward,omitempty"`
	// NoOnward tells that what is read may not be shared on.
	NoOnward bool `json:"noOnward,omitempty"`
	// SignOff is how far the record's sign-off had come; absent when it has none.
	SignOff SignOffStatus `json:"signOff,omitempty"`
	// Inputs is the digest of everything that it was decided from, and From tells in
	// which state that was: so it can be decided again.
	Inputs Digest      `json:"inputs,omitzero"`
	From   DecidedFrom `json:"from,omitzero"`
}

// Hash is what a proxy binds its proof to: the SHA-256 of the label
// "EMRYS-DISCLOSURE-V1", a zero byte and the canonical encoding.
func (d *Disclosure) Hash() (Digest, error) { return labelled("EMRYS-DISCLOSURE-V1", d) }

func labelled(label string, document any) (Digest, error) {
	b, err := Canonical(document)
	if err != nil {
		return Digest{}, err
	}
	h := sha256.New()
	h.Write(append([]byte(label), 0))
	h.Write(b)
	return Digest(h.Sum(nil)), nil
}
