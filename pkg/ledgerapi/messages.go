// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledgerapi

import "github.com/emrys-health/emrys/pkg/emr"

// RegisterOrganisationArgs registers or updates the caller's own organisation.
// The organisation's id is the caller's MSP id. CACert must be the certificate
// that issued the caller's; the first registration fixes it.
type RegisterOrganisationArgs struct {
	Name       string      `json:"name"`
	Kind       emr.OrgKind `json:"kind"`
	CACert     string      `json:"caCert"`
	GatewayURL string      `json:"gatewayUrl"`
	Keys       emr.OrgKeys `json:"keys"`
	IPFS       []string    `json:"ipfs"`
}

// RegisterPatientArgs pins a patient's keys under a new handle. The action is
// signed by Consent, which proves its possession. Certificate (PEM) is the
// enrolment certificate of Patient, by the home hospital's CA.
type RegisterPatientArgs struct {
	Patient     emr.PatientID `json:"patient"`
	Handle      emr.Handle    `json:"handle"`
	Home        emr.OrgID     `json:"home"`
	Certificate string        `json:"certificate"`
	Consent     emr.PinnedKey `json:"consent"`
	Hybrid      []byte        `json:"hybrid"`
}

// RegisterClinicianArgs registers a professional. Role and level are read from
// Certificate, whose key signs the action.
type RegisterClinicianArgs struct {
	Clinician   emr.ClinicianID `json:"clinician"`
	Org         emr.OrgID       `json:"org"`
	Certificate string          `json:"certificate"`
	Reading     []byte          `json:"reading"`
	Hybrid      []byte          `json:"hybrid"`
}

// NewScope is one scope to publish.
type NewScope struct {
	ID         emr.ScopeID `json:"id"`
	Epoch      uint32      `json:"epoch"`
	Level      emr.Level   `json:"level"`
	Delegating []byte      `json:"delegating"`
	Fragment   []byte      `json:"fragment"`
}

// PublishScopesArgs publishes scopes of the signer.
type PublishScopesArgs struct {
	Patient emr.Handle `json:"patient"`
	Scopes  []NewScope `json:"scopes"`
}

// ProposeRelationshipArgs proposes a treatment relationship with the signer's hospital.
type ProposeRelationshipArgs struct {
	Patient  emr.Handle `json:"patient"`
	Hospital emr.OrgID  `json:"hospital"`
}

// AnswerRelationshipArgs accepts or refuses a proposed relationship; refusing an accepted one ends it.
type AnswerRelationshipArgs struct {
	Patient  emr.Handle `json:"patient"`
	Hospital emr.OrgID  `json:"hospital"`
	Accept   bool       `json:"accept"`
}

// RequestAccessArgs asks for one record. Note is free text for the patient, kept in private data.
type RequestAccessArgs struct {
	Request emr.RequestID `json:"request"`
	Record  emr.RecordID  `json:"record"`
	Purpose emr.Purpose   `json:"purpose"`
	Note    string        `json:"note"`
	// Onward declares that it is not for the signer's own use.
	Onward emr.Onward `json:"onward,omitempty"`
	// Wish is what is asked for besides.
	Wish *emr.Wish `json:"wish,omitempty"`
}

// RefuseAccessArgs refuses a pending request.
type RefuseAccessArgs struct {
	Patient emr.Handle    `json:"patient"`
	Request emr.RequestID `json:"request"`
}

// GrantAccessArgs gives access. Fragments are in the order of Terms.Gateways. Of a
// direct grant they are an empty list, and Direct is in the order of Terms.Records.
type GrantAccessArgs struct {
	Terms     emr.GrantTerms       `json:"terms"`
	Request   emr.RequestID        `json:"request"` // it answers; may be empty
	Fragments []emr.SealedFragment `json:"fragments"`
	Direct    []emr.SealedKey      `json:"direct,omitempty"`
}

// RevokeAccessArgs takes a grant back.
type RevokeAccessArgs struct {
	Patient emr.Handle  `json:"patient"`
	Grant   emr.GrantID `json:"grant"`
}

// DiscloseArgs begins a reading. Grant is empty for a patient's own reading and
// where the reader has none (the denial is committed). Session takes its place
// in an emergency; both together are invalid.
type DiscloseArgs struct {
	Disclosure emr.DisclosureID `json:"disclosure"`
	Record     emr.RecordID     `json:"record"`
	Grant      emr.GrantID      `json:"grant"`
	Purpose    emr.Purpose      `json:"purpose"`
	Session    emr.SessionID    `json:"session,omitzero"`
	// Onward declares that it is not for the signer's own use.
	Onward emr.Onward `json:"onward,omitempty"`
}

// OpenTicketArgs presents a ticket to the proxies.
type OpenTicketArgs struct {
	Disclosure emr.DisclosureID `json:"disclosure"`
}

// Receipt is the result of a transaction.
type Receipt struct {
	TxID string   `json:"txId"`
	At   emr.Time `json:"at"`
	ID   string   `json:"id"` // of what was made or changed
}

// DecisionReceipt is the result of a transaction that decides.
type DecisionReceipt struct {
	TxID     string       `json:"txId,omitempty"` // absent, as At is, in the outcomes of a batch
	At       emr.Time     `json:"at,omitzero"`
	ID       string       `json:"id"`
	Decision emr.Decision `json:"decision"`
	Reason   emr.Reason   `json:"reason"`
	Grant    emr.GrantID  `json:"grant"`
	Until    emr.Time     `json:"until"` // of the ticket, when one was issued
	// Consent is the version of the standing consent that it was decided from; absent without one.
	Consent uint32 `json:"consent,omitempty"`
	// NoOnward tells a reader that what is read may not be shared on.
	NoOnward bool `json:"noOnward,omitempty"`
	// SignOff tells a reader how far the record's sign-off has come: anything but signed
	// is not final. Absent when the record has none.
	SignOff emr.SignOffStatus `json:"signOff,omitempty"`
}

// Empty is the argument of a query that takes none.
type Empty struct{}

// ResolvePatientQuery finds a patient by the CA's pseudonym.
type ResolvePatientQuery struct {
	Patient emr.PatientID `json:"patient"`
}

// HandleQuery names a patient on the ledger.
type HandleQuery struct {
	Patient emr.Handle `json:"patient"`
}

// PatientView is a patient's registry entry and current scopes.
type PatientView struct {
	Patient emr.Patient `json:"patient"`
	Scopes  []emr.Scope `json:"scopes"`
}

// ClinicianQuery names a clinician.
type ClinicianQuery struct {
	Clinician emr.ClinicianID `json:"clinician"`
}

// RecordQuery names a record.
type RecordQuery struct {
	Record emr.RecordID `json:"record"`
}

// GrantQuery names a grant.
type GrantQuery struct {
	Grant emr.GrantID `json:"grant"`
}

// RequestQuery names a request.
type RequestQuery struct {
	Request emr.RequestID `json:"request"`
}

// DisclosureQuery names a disclosure.
type DisclosureQuery struct {
	Disclosure emr.DisclosureID `json:"disclosure"`
}

// ActionQuery names a signed action by its digest.
type ActionQuery struct {
	Action emr.Digest `json:"action"`
}

// ActionView tells whether an action has been committed, and as which transaction.
type ActionView struct {
	Committed bool   `json:"committed"`
	TxID      string `json:"txId"`
	ID        string `json:"id"`
}

// SearchQuery finds a patient's records. Empty fields do not filter. Level
// bounds what is returned: records above it are left out. From is inclusive,
// To exclusive.
type SearchQuery struct {
	Patient  emr.Handle `json:"patient"`
	Class    emr.Class  `json:"class"`
	Level    emr.Level  `json:"level"`
	From     emr.Time   `json:"from"`
	To       emr.Time   `json:"to"`
	All      bool       `json:"all"` // superseded versions too
	Limit    int        `json:"limit"`
	Bookmark string     `json:"bookmark"`
}

// PageQuery lists things of one owner: exactly one of the ids is set.
type PageQuery struct {
	Patient   emr.Handle      `json:"patient"`
	Clinician emr.ClinicianID `json:"clinician"`
	Record    emr.RecordID    `json:"record"`
	Limit     int             `json:"limit"`
	Bookmark  string          `json:"bookmark"`
}

// Pages. Bookmark is opaque and empty on the last page; items are never null.
type (
	// OrganisationList is every organisation, by id.
	OrganisationList struct {
		Items []emr.Organisation `json:"items"`
	}
	// RecordPage is a page of records, newest first.
	RecordPage struct {
		Items    []emr.Record `json:"items"`
		Bookmark string       `json:"bookmark"`
	}
	// RelationshipPage is a page of relationships.
	RelationshipPage struct {
		Items    []emr.Relationship `json:"items"`
		Bookmark string             `json:"bookmark"`
	}
	// RequestPage is a page of requests, newest first.
	RequestPage struct {
		Items    []emr.Request `json:"items"`
		Bookmark string        `json:"bookmark"`
	}
	// GrantPage is a page of grants, newest first.
	GrantPage struct {
		Items    []emr.Grant `json:"items"`
		Bookmark string      `json:"bookmark"`
	}
	// AuditPage is a page of audit entries, newest first.
	AuditPage struct {
		Items    []emr.AuditEntry `json:"items"`
		Bookmark string           `json:"bookmark"`
	}
)

// ManifestView is a record with its author's signed manifest. Author is the
// author's entry as it was when the manifest was signed.
type ManifestView struct {
	Record emr.Record       `json:"record"`
	Signed emr.SignedAction `json:"signed"`
	Author emr.Clinician    `json:"author"`
	Scope  emr.Scope        `json:"scope"`
}

// RequestView is a request with the RequestAccess action that its maker signed,
// the note to the patient included.
type RequestView struct {
	Request emr.Request      `json:"request"`
	Signed  emr.SignedAction `json:"signed"`
	// Maker is the entry of the maker as it was when the request was signed.
	Maker emr.Clinician `json:"maker,omitzero"`
}

// CheckTicketQuery asks whether a ticket holds now for the signer of the action
// (an OpenTicket action), and for what the calling gateway's organisation needs
// to serve it.
type CheckTicketQuery struct {
	Signed emr.SignedAction `json:"signed"`
}

// Ticket is everything that a proxy needs to serve a disclosure, or the reason
// why it must not. With any Decision but Permit every other field but
// Disclosure is zero.
type Ticket struct {
	Decision   emr.Decision   `json:"decision"`
	Reason     emr.Reason     `json:"reason"`
	Disclosure emr.Disclosure `json:"disclosure"`
	Grant      emr.Grant      `json:"grant"`
	// Session is the emergency session that takes the place of a grant.
	Session  emr.Emergency `json:"session,omitzero"`
	Manifest ManifestView  `json:"manifest"`
	// Reader is the clinician to re-seal to; zero for the patient's own reading.
	Reader emr.Clinician `json:"reader"`
	// Fragment is the calling organisation's own key fragment; zero when it holds none.
	Fragment emr.SealedFragment `json:"fragment"`
	// Direct is the record's key sealed to the reader; zero but for a direct grant.
	Direct emr.SealedKey `json:"direct,omitzero"`
	// Statements travel with the record: whoever hands it out shows their texts.
	Statements []emr.Statement `json:"statements,omitempty"`
	// SignOff is the record's sign-off as it stands now; zero when it has none.
	SignOff emr.SignOff `json:"signOff,omitzero"`
}

// Event is the payload of every chaincode event.
type Event struct {
	V      int          `json:"v"`
	ID     string       `json:"id"`
	Record emr.RecordID `json:"record"`
	// Hospital and CID are set for EventRecordRegistered.
	Hospital emr.OrgID `json:"hospital"`
	CID      string    `json:"cid"`
	At       emr.Time  `json:"at"`
	// IDs is set for EventDisclosedBatch and EventGrantsGiven in the place of ID.
	IDs []string `json:"ids,omitzero"`
	// Erasure is the order to destroy the version that a re-keyed record replaces.
	Erasure emr.ErasureID `json:"erasure,omitempty"`
}
