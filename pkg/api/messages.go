// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package api

import (
	"encoding/json"

	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// TokenResponse answers a token request (RFC 6749 section 5.1). The assertion is
// a JWT (RFC 7523) signed ES256 by the caller's enrolment key, with the
// certificate in the header x5c, claims iss = sub = the certificate's common
// name, aud = the gateway's URL followed by /v1/token, exp at most 5 minutes
// ahead, and a jti that is used once.
type TokenResponse struct {
	AccessToken string `json:"access_token"`
	TokenType   string `json:"token_type"`
	ExpiresIn   int    `json:"expires_in"` // seconds
}

// AssertionType is the client_assertion_type of RFC 7523.
const AssertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// Network describes the consortium to a client.
type Network struct {
	Channel       string             `json:"channel"`
	Contract      string             `json:"contract"`
	Organisation  emr.OrgID          `json:"organisation"` // of this gateway
	Threshold     uint8              `json:"threshold"`    // t for new records and grants
	Replicas      int                `json:"replicas"`     // hospitals that pin a record
	Organisations []emr.Organisation `json:"organisations"`
}

// ProofRequest asks for a registry query's answer with its proof. Function is
// one of ledgerapi.GetOrganisations, GetClinician, ResolvePatient and GetRecord;
// Argument is the canonical encoding of its argument.
type ProofRequest struct {
	Function string          `json:"function"`
	Argument json.RawMessage `json:"argument"`
}

// Proof is an answer of the ledger as several organisations' peers have endorsed
// it. Package attest verifies it: a gateway cannot make one by itself.
type Proof struct {
	Proposal     []byte             `json:"proposal"`
	Response     []byte             `json:"response"`
	Endorsements []ProofEndorsement `json:"endorsements"`
}

// ProofEndorsement is one peer's signature.
type ProofEndorsement struct {
	Endorser  []byte `json:"endorser"`
	Signature []byte `json:"signature"`
}

// Upload is ciphertext that the gateway has stored and pinned, waiting for its
// record. It is discarded after Expires when no record names it.
type Upload struct {
	ID      string     `json:"id"` // unguessable
	CID     string     `json:"cid"`
	Digest  emr.Digest `json:"digest"` // SHA-256 of the octets received
	Size    uint64     `json:"size"`   // octets
	Expires emr.Time   `json:"expires"`
}

// UploadHeader is the request header that names the upload which a
// record.register call completes.
const UploadHeader = "Emrys-Upload"

// Search asks for a patient's records by the CA's pseudonym, which must not
// stand in a URL. Empty fields do not filter.
type Search struct {
	Patient emr.PatientID `json:"patient"`
	Class   emr.Class     `json:"class"`
	From    emr.Time      `json:"from"` // inclusive
	To      emr.Time      `json:"to"`   // exclusive
	All     bool          `json:"all"`
	Limit   int           `json:"limit"`
	Cursor  string        `json:"cursor"`
}

// Fragment is one proxy's answer to a ticket. It holds either Capsule or Direct, as
// the grant is one of fragments or a direct one, and never both.
type Fragment struct {
	Gateway emr.OrgID `json:"gateway"`
	// Capsule is the re-encrypted capsule fragment (pkg/pre); absent under a direct grant.
	Capsule []byte `json:"capsule,omitempty"`
	// Direct is the record's key that the patient sealed to the reader (docs/spec/pre.md,
	// P14.4), as it stands on the ledger; absent but under a direct grant.
	Direct []byte `json:"direct,omitempty"`
	// Share is the gateway's share of K_share, re-sealed to the reader's hybrid key.
	Share []byte `json:"share"`
	// Receipt is the gateway's signature by its receipt key over FragmentReceipt.
	Receipt []byte `json:"receipt"`
}

// FragmentReceipt is what a proxy signs of its answer, in canonical encoding
// under the label "EMRYS-FRAGMENT-V1" and a zero byte: it makes a false answer
// provable to others.
type FragmentReceipt struct {
	Gateway    emr.OrgID        `json:"gateway"`
	Disclosure emr.DisclosureID `json:"disclosure"`
	Request    emr.Digest       `json:"request"` // hash of the disclosure
	Capsule    emr.Digest       `json:"capsule"` // SHA-256 of Fragment.Capsule
	Share      emr.Digest       `json:"share"`   // SHA-256 of Fragment.Share
	// Direct is the SHA-256 of Fragment.Direct; absent where that is, so that receipts
	// of fragments keep their bytes.
	Direct emr.Digest `json:"direct,omitzero"`
}

// Fault names a proxy that did not serve, and why.
type Fault struct {
	Gateway emr.OrgID  `json:"gateway"`
	Code    emr.Code   `json:"code"`
	Reason  emr.Reason `json:"reason"`
	Message string     `json:"message"`
}

// Opening is what a reader needs to open a record: the ticket, the author's
// signed manifest, and the proxies' fragments. For a patient's own reading there
// are no fragments. Everything in it is to be verified by the reader.
type Opening struct {
	Disclosure emr.Disclosure         `json:"disclosure"`
	Grant      emr.Grant              `json:"grant"`
	Manifest   ledgerapi.ManifestView `json:"manifest"`
	Fragments  []Fragment             `json:"fragments"`
	Faults     []Fault                `json:"faults"`
}

// Reading is one past reading under a grant.
type Reading struct {
	Reader  string       `json:"reader"`
	Org     emr.OrgID    `json:"org"`
	Record  emr.RecordID `json:"record"`
	Purpose emr.Purpose  `json:"purpose"`
	At      emr.Time     `json:"at"`
}

// Revocation answers a revocation, honestly: what was read stays read.
type Revocation struct {
	Receipt ledgerapi.Receipt `json:"receipt"`
	Read    []Reading         `json:"read"`
}

// Problem is the body of every error (RFC 9457), media type
// application/problem+json. Type is ProblemBase followed by the code.
type Problem struct {
	Type      string     `json:"type"`
	Title     string     `json:"title"`
	Status    int        `json:"status"`
	Detail    string     `json:"detail"`
	Code      emr.Code   `json:"code"`
	Field     string     `json:"field,omitempty"`
	Reason    emr.Reason `json:"reason,omitempty"`
	RequestID string     `json:"requestId"`
	// TransactionID is set when the outcome is unknown, or the action was already spent.
	TransactionID string `json:"transactionId,omitempty"`
}

// ProblemBase begins the type URI of every problem.
const ProblemBase = "https://emrys.health/problems/"

// RequestIDHeader carries the request id both ways.
const RequestIDHeader = "X-Request-Id"

// Readiness is the body of /readyz: one line per dependency.
type Readiness struct {
	Ready  bool    `json:"ready"`
	Checks []Check `json:"checks"`
}

// Check is the state of one dependency.
type Check struct {
	Name  string `json:"name"`
	OK    bool   `json:"ok"`
	Error string `json:"error,omitempty"`
}
