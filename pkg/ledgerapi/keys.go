// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledgerapi

import (
	"fmt"
	"math"

	"github.com/emrys-health/emrys/pkg/emr"
)

// Key is a composite key: an object type and its attributes. The contract turns
// it into a Fabric composite key (U+0000-separated), which no choice of
// attributes can make ambiguous.
type Key struct {
	Type       string
	Attributes []string
}

// Object types of public state. Types are never renamed.
const (
	TypeOrganisation = "org"
	TypePatient      = "patient"
	TypeClinician    = "clinician"
	TypeScope        = "scope"
	TypeRelationship = "relationship"
	TypeRecord       = "record"
	TypeRequest      = "request"
	TypeGrant        = "grant"
	TypeGrantUse     = "use"
	TypeDisclosure   = "disclosure"
	TypeAction       = "action" // spent actions: value is SpentAction
	// TypeRoster has one key: value is Roster.
	TypeRoster = "roster"
	// TypeCovering points from a record or a scope, and a clinician, to the latest
	// grant that names them: value is the GrantID. A transaction that may not scan
	// finds a covering grant by it; the grant itself decides.
	TypeCovering = "covering"
	// TypeAuditHead is the end of a patient's audit chain: value is emr.AuditHead.
	TypeAuditHead = "audit-head"

	// Indexes. The value of an audit index is the entry itself, of the others the id.
	TypeScopeByPatient     = "patient-scope"
	TypeRecordByPatient    = "patient-record"
	TypeRequestByPatient   = "patient-request"
	TypeRequestByClinician = "clinician-request"
	TypeGrantByPatient     = "patient-grant"
	TypeGrantByClinician   = "clinician-grant"
	TypeAuditByPatient     = "patient-audit"
	TypeAuditByRecord      = "record-audit"
)

// Object types of governance.
const (
	// TypeConstitution has one key: value is emr.Constitution.
	TypeConstitution = "constitution"
	TypeProposal     = "proposal"
	TypeAdmission    = "admission"
	TypeRelease      = "release"
	TypeProposals    = "proposals" // index of every proposal; the owner is "all"
)

// ConstitutionKey is the key of the constitution.
func ConstitutionKey() Key { return key(TypeConstitution, "all") }

// ProposalKey is the key of a proposal.
func ProposalKey(id emr.ProposalID) Key { return key(TypeProposal, string(id)) }

// AdmissionKey is the key of the admission of an organisation.
func AdmissionKey(id emr.OrgID) Key { return key(TypeAdmission, string(id)) }

// ReleaseKey is the key of a published release.
func ReleaseKey(digest emr.Digest) Key { return key(TypeRelease, digest.String()) }

// Object types of private data in Collection. Values are signed actions (JSON).
const (
	TypePatientLink = "link"     // by PatientID: RegisterPatient
	TypeManifest    = "manifest" // by RecordID: RegisterRecord
	TypeGrantSecret = "fragment" // by GrantID: GrantAccess, purged on revocation
	TypeRequestNote = "note"     // by RequestID: RequestAccess
)

// SpentAction is the value of a TypeAction key.
type SpentAction struct {
	TxID string `json:"txId"`
	ID   string `json:"id"`
}

// Roster lists every registered organisation, sorted. It changes only when an
// organisation joins, so that transactions may read it without conflicts.
type Roster struct {
	V             int         `json:"v"`
	Organisations []emr.OrgID `json:"organisations"`
}

// RosterKey is the key of the roster.
func RosterKey() Key { return key(TypeRoster, "all") }

// CoveringKey is the key of the latest grant to a clinician that names what,
// which is a RecordID, or a ScopeID for a grant of the whole scope.
func CoveringKey(what string, grantee emr.ClinicianID) Key {
	return key(TypeCovering, what, string(grantee))
}

// AuditHeadKey is the key of the end of a patient's audit chain.
func AuditHeadKey(h emr.Handle) Key { return key(TypeAuditHead, string(h)) }

// LinkKey is the private key of a patient's registration.
func LinkKey(id emr.PatientID) Key { return key(TypePatientLink, string(id)) }

// ManifestKey is the private key of a record's signed manifest.
func ManifestKey(id emr.RecordID) Key { return key(TypeManifest, string(id)) }

// FragmentKey is the private key of a grant's sealed fragments.
func FragmentKey(id emr.GrantID) Key { return key(TypeGrantSecret, string(id)) }

// NoteKey is the private key of a request's signed action, note included.
func NoteKey(id emr.RequestID) Key { return key(TypeRequestNote, string(id)) }

// OrganisationKey is the key of an organisation.
func OrganisationKey(id emr.OrgID) Key { return key(TypeOrganisation, string(id)) }

// PatientKey is the key of a patient's registry entry.
func PatientKey(h emr.Handle) Key { return key(TypePatient, string(h)) }

// ClinicianKey is the key of a clinician.
func ClinicianKey(id emr.ClinicianID) Key { return key(TypeClinician, string(id)) }

// ScopeKey is the key of a scope.
func ScopeKey(id emr.ScopeID) Key { return key(TypeScope, string(id)) }

// RelationshipKey is the key of the relationship of a patient and a hospital.
func RelationshipKey(h emr.Handle, hospital emr.OrgID) Key {
	return key(TypeRelationship, string(h), string(hospital))
}

// RecordKey is the key of a record.
func RecordKey(id emr.RecordID) Key { return key(TypeRecord, string(id)) }

// RequestKey is the key of a request.
func RequestKey(id emr.RequestID) Key { return key(TypeRequest, string(id)) }

// GrantKey is the key of a grant.
func GrantKey(id emr.GrantID) Key { return key(TypeGrant, string(id)) }

// GrantUseKey is the key of the n-th use of a grant with a limit, from 0.
func GrantUseKey(id emr.GrantID, n uint32) Key {
	return key(TypeGrantUse, string(id), fmt.Sprintf("%05d", n))
}

// DisclosureKey is the key of a disclosure.
func DisclosureKey(id emr.DisclosureID) Key { return key(TypeDisclosure, string(id)) }

// ActionKey is the key that marks an action as spent.
func ActionKey(d emr.Digest) Key { return key(TypeAction, d.String()) }

// Index makes a key of an index of type typ: owner, then newest first, then id.
// The nanoseconds within the second keep what happened in one second in its order.
func Index(typ, owner string, at emr.Time, nanos int32, id string) Key {
	return key(typ, owner, Inverted(at, nanos), id)
}

// lastNano is the last nanosecond of a second.
const lastNano = 999_999_999

// Inverted writes a moment so that later ones sort first: 19 decimal digits of
// the largest int64 less the seconds, and 9 of the last nanosecond less nanos.
func Inverted(at emr.Time, nanos int32) string {
	return fmt.Sprintf("%019d%09d", int64(math.MaxInt64)-int64(at), lastNano-min(max(nanos, 0), lastNano))
}

func key(typ string, attributes ...string) Key { return Key{Type: typ, Attributes: attributes} }
