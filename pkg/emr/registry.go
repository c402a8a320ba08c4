// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package emr

// DocumentVersion is the version of every ledger document of this package, in
// its field V. A reader refuses a version that it does not know.
const DocumentVersion = 1

// Sizes of public keys in bytes.
const (
	// PointSize is a P-256 point in SEC 1 compressed form.
	PointSize = 33
	// HybridKeySize is an MLKEM768-P256 HPKE public key (draft-ietf-hpke-pq).
	HybridKeySize = 1249
)

// SignatureKind tells how a signed action was signed.
type SignatureKind string

// Kinds of signature.
const (
	// SignatureP256 is ECDSA over P-256 and SHA-256 of the action's digest, r and s
	// as 64 bytes big-endian, low s.
	SignatureP256 SignatureKind = "p256"
	// SignatureWebAuthn is a WebAuthn assertion whose challenge is the action's
	// digest: ES256, in DER, with authenticator data and client data beside it.
	SignatureWebAuthn SignatureKind = "webauthn"
)

// PinnedKey is a public key that signs actions. Key is a compressed P-256 point.
// RelyingParty and Origins are of a SignatureWebAuthn key alone, and absent from
// the encoding of any other.
type PinnedKey struct {
	Kind SignatureKind `json:"kind"`
	Key  []byte        `json:"key"`
	// RelyingParty is the WebAuthn relying party id that the passkey belongs to.
	RelyingParty string `json:"relyingParty,omitempty"`
	// Origins are those whose pages may ask the passkey for an action, sorted.
	Origins []string `json:"origins,omitempty"`
}

// OrgKeys are the public keys of an organisation's gateway.
type OrgKeys struct {
	// Proxy receives shares and key fragments (hybrid HPKE).
	Proxy []byte `json:"proxy"`
	// Record receives the hospital's legal copy of data keys (hybrid HPKE).
	Record []byte `json:"record"`
	// Receipt verifies the receipts of the proxy (P-256, compressed).
	Receipt []byte `json:"receipt"`
}

// Organisation is a member of the consortium. Key: OrgID.
type Organisation struct {
	V          int     `json:"v"`
	ID         OrgID   `json:"id"`
	Name       string  `json:"name"`
	Kind       OrgKind `json:"kind"`
	CACert     string  `json:"caCert"` // PEM of the issuing CA certificate
	GatewayURL string  `json:"gatewayUrl"`
	Keys       OrgKeys `json:"keys"`
	// IPFS lists the multiaddrs of the hospital's Kubo daemon, peer id included; empty for a regulator.
	IPFS    []string `json:"ipfs"`
	Version uint32   `json:"version"`
	Updated Time     `json:"updated"`
	// Removed is when the members removed it; zero for a member.
	Removed Time `json:"removed,omitempty"`
}

// Patient is what the ledger knows of a patient: pinned keys under a handle. Key: Handle.
type Patient struct {
	V       int       `json:"v"`
	Handle  Handle    `json:"handle"`
	Home    OrgID     `json:"home"`
	Consent PinnedKey `json:"consent"`
	// Hybrid receives the patient's own copy of record shares (hybrid HPKE).
	Hybrid     []byte `json:"hybrid"`
	Registered Time   `json:"registered"`
	// KeyVersion counts how often the keys were replaced, KeysFrom is when they last were.
	KeyVersion uint32 `json:"keyVersion,omitempty"`
	KeysFrom   Time   `json:"keysFrom,omitempty"`
	// Recoveries counts how often guardians recovered the keys.
	Recoveries uint32 `json:"recoveries,omitempty"`
	// Generation is that of HomeMove in which the entry is kept.
	Generation uint32 `json:"generation,omitempty"`
}

// Clinician is a registered professional. Key: ClinicianID.
type Clinician struct {
	V     int         `json:"v"`
	ID    ClinicianID `json:"id"`
	Org   OrgID       `json:"org"`
	Role  Role        `json:"role"`
	Level Level       `json:"level"`
	// Signing is the enrolment key: it signs actions and gateway assertions.
	Signing PinnedKey `json:"signing"`
	// Reading is the key that fragments are made to (P-256, compressed).
	Reading []byte `json:"reading"`
	// Hybrid receives re-sealed shares (hybrid HPKE).
	Hybrid   []byte `json:"hybrid"`
	NotAfter Time   `json:"notAfter"` // of the certificate
	// Serial is the certificate's serial number, as in RevokedCertificate.
	Serial     string `json:"serial,omitempty"`
	Registered Time   `json:"registered"`
	// Status is set by an administrator of the organisation, at StatusFrom.
	Status     ClinicianStatus `json:"status,omitempty"`
	StatusFrom Time            `json:"statusFrom,omitempty"`
	// KeyVersion counts how often certificate or keys were replaced, KeysFrom is when they last were.
	KeyVersion uint32 `json:"keyVersion,omitempty"`
	KeysFrom   Time   `json:"keysFrom,omitempty"`
}

// Scope is what a patient delegates as one, in one epoch. Key: ScopeID.
type Scope struct {
	V       int     `json:"v"`
	ID      ScopeID `json:"id"`
	Patient Handle  `json:"patient"`
	Epoch   uint32  `json:"epoch"`
	Level   Level   `json:"level"`
	// Delegating is the public key that authors encrypt to; Fragment verifies
	// key fragments (both P-256, compressed).
	Delegating []byte `json:"delegating"`
	Fragment   []byte `json:"fragment"`
	Published  Time   `json:"published"`
	// Previous is the scope of the epoch before, Successor that of the epoch after,
	// which ended this one at Ended.
	Previous  ScopeID `json:"previous,omitempty"`
	Successor ScopeID `json:"successor,omitempty"`
	Ended     Time    `json:"ended,omitzero"`
}

// RelationshipStatus is the state of a treatment relationship.
type RelationshipStatus string

// States: proposed, then accepted or refused; an accepted one may be ended by the patient.
const (
	RelationshipProposed RelationshipStatus = "proposed"
	RelationshipAccepted RelationshipStatus = "accepted"
	RelationshipRefused  RelationshipStatus = "refused"
)

// Relationship is a treatment relationship of one patient and one hospital. Key: Patient, Hospital.
type Relationship struct {
	V        int                `json:"v"`
	Patient  Handle             `json:"patient"`
	Hospital OrgID              `json:"hospital"`
	By       ClinicianID        `json:"by"`
	Status   RelationshipStatus `json:"status"`
	Proposed Time               `json:"proposed"`
	Answered Time               `json:"answered"`
}
