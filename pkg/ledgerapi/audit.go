// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledgerapi

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"

	"github.com/emrys-health/emrys/pkg/emr"
)

// Transactions of the audit trail (docs/spec/audit.md).
const (
	// SealReadings: SealReadingsArgs -> Receipt, by the gateway of the organisation whose entries are sealed; the receipt's ID is the seal's number.
	SealReadings = "SealReadings"
)

// Transactions of people.
const (
	InspectLog = "InspectLog" // InspectLogArgs -> DecisionReceipt, by an auditor or a privacy officer, before anything is read
)

// Queries of the audit trail.
const (
	GetInspection = "GetInspection" // InspectionQuery -> emr.Inspection
	ReadLog       = "ReadLog"       // ReadLogQuery -> AuditPage, newest first, under an inspection; for the gateway of the inspector's organisation
	GetSeal       = "GetSeal"       // SealQuery -> emr.Seal
	ListSeals     = "ListSeals"     // SealsQuery -> SealPage, newest first
	ProveSealed   = "ProveSealed"   // SealedQuery -> emr.Inclusion; gateways only
	ListUnsealed  = "ListUnsealed"  // UnsealedQuery -> UnsealedPage, newest first; for the organisation's own gateway and a regulator's
)

// Events of the audit trail. Hospital is the organisation.
const (
	EventReadingsSealed = "readings.sealed" // an organisation sealed entries; the ID is the seal's number
	EventLogInspected   = "log.inspected"   // an inspector asked to read a log, whatever was decided; the ID is the inspection's
)

func auditOrganisationTransactions() []string { return []string{SealReadings, SuspendAccounting} }

func auditTransactions() []string { return []string{InspectLog} }

func auditQueries() []string {
	return []string{GetInspection, ReadLog, GetSeal, ListSeals, ProveSealed, ListUnsealed, AccountDisclosures, ReplayDecision}
}

// Limits of the audit trail.
const (
	// MaxSealed is the number of entries under one seal.
	MaxSealed = 256
	// InspectionMinutes is how long an inspection may be read by.
	InspectionMinutes = 30
)

// Object types of the audit trail.
const (
	// TypeAuditByActor and TypeAuditByOrg are further indexes of every entry: by who
	// acted, a ClinicianID or a Handle, and by the organisation that vouches for the
	// actor. Here and in TypeAuditByRecord the value is the handle of the patient whom
	// the entry is about, in whose trail it stands with the same moment and id; that of
	// an entry about nobody is the entry itself.
	TypeAuditByActor = "actor-audit"
	TypeAuditByOrg   = "org-audit"
	// TypeEmergencyPlanVersion: every emr.EmergencyPlan there was.
	TypeEmergencyPlanVersion = "emergency-plan-version"
	// TypeInspection: value is emr.Inspection.
	TypeInspection = "inspection"
	// TypeSeal: value is emr.Seal.
	TypeSeal = "seal"
	// TypeSealHead: value is emr.SealHead.
	TypeSealHead = "seal-head"
	// TypeSealLeaves: value is SealLeaves.
	TypeSealLeaves = "seal-leaves"
	// TypeSealed: value is Sealed.
	TypeSealed = "sealed"
)

// EmergencyPlanVersionKey is the key of one version of a patient's plan.
func EmergencyPlanVersionKey(h emr.Handle, version uint32) Key {
	return key(TypeEmergencyPlanVersion, string(h), fmt.Sprintf("%010d", version))
}

// InspectionKey is the key of an inspection.
func InspectionKey(id emr.InspectionID) Key { return key(TypeInspection, string(id)) }

// SealKey is the key of an organisation's seal.
func SealKey(org emr.OrgID, sequence uint64) Key {
	return key(TypeSeal, string(org), fmt.Sprintf("%020d", sequence))
}

// SealHeadKey is the key of the end of an organisation's chain of seals.
func SealHeadKey(org emr.OrgID) Key { return key(TypeSealHead, string(org)) }

// SealLeavesKey is the key of the leaf hashes under a seal.
func SealLeavesKey(org emr.OrgID, sequence uint64) Key {
	return key(TypeSealLeaves, string(org), fmt.Sprintf("%020d", sequence))
}

// SealedKey is the key that marks an entry of an organisation as sealed, so that it is sealed once.
func SealedKey(org emr.OrgID, id string) Key { return key(TypeSealed, string(org), id) }

// SealLeaves are the leaf hashes under a seal, 32 octets each, in their order.
type SealLeaves struct {
	V      int    `json:"v"`
	Leaves []byte `json:"leaves"`
}

// Sealed tells under which seal of its organisation an entry is, and where its index entry stands.
type Sealed struct {
	V      int    `json:"v"`
	Seal   uint64 `json:"seal"`
	Index  uint32 `json:"index"` // among the leaves, from 0
	Moment string `json:"moment"`
}

// EntryName names an audit entry of an organisation exactly, by the two last
// attributes of its key in the index by organisation.
type EntryName struct {
	Moment string `json:"moment"` // the inverted time, 28 digits
	ID     string `json:"id"`     // EntryID
}

// EntryID is the last attribute of every key at which an entry stands: SHA-256 of
// what names the entry, each part ended by a zero octet, in base64url, 43
// characters. Joined as they are, the parts would be three times as long, in the
// keys of each reading's four places.
func EntryID(txID string, record emr.RecordID, ref string) string {
	name := sha256.Sum256([]byte(txID + "\x00" + string(record) + "\x00" + ref + "\x00"))
	return base64.RawURLEncoding.EncodeToString(name[:])
}

// SealReadingsArgs names the entries of the caller's organisation to be sealed, in any order.
type SealReadingsArgs struct {
	Entries []EntryName `json:"entries"` // 1 to MaxSealed, none twice
}

// SealQuery names a seal.
type SealQuery struct {
	Org      emr.OrgID `json:"org"`
	Sequence uint64    `json:"sequence"` // from 1
}

// SealsQuery lists an organisation's seals.
type SealsQuery struct {
	Org      emr.OrgID `json:"org"`
	Limit    int       `json:"limit"`
	Bookmark string    `json:"bookmark"`
}

// SealPage is a page of seals, newest first, with the end of their chain.
type SealPage struct {
	Head     emr.SealHead `json:"head"`
	Items    []emr.Seal   `json:"items"`
	Bookmark string       `json:"bookmark"`
}

// SealedQuery names an entry by its own fields.
type SealedQuery struct {
	Org    emr.OrgID    `json:"org"`
	TxID   string       `json:"txId"`
	Record emr.RecordID `json:"record"` // may be empty
	Ref    string       `json:"ref"`    // may be empty
}

// UnsealedQuery asks which entries of an organisation are under no seal yet. From
// is inclusive, To exclusive; zero does not bound.
type UnsealedQuery struct {
	Org      emr.OrgID `json:"org"`
	From     emr.Time  `json:"from"`
	To       emr.Time  `json:"to"`
	Limit    int       `json:"limit"`
	Bookmark string    `json:"bookmark"`
}

// UnsealedEntry is an entry that is under no seal yet.
type UnsealedEntry struct {
	Name EntryName     `json:"name"`
	Kind emr.AuditKind `json:"kind"`
	At   emr.Time      `json:"at"`
}

// UnsealedPage is a page of entries under no seal, newest first. It may be short,
// or empty, and still have a bookmark.
type UnsealedPage struct {
	Items    []UnsealedEntry `json:"items"`
	Bookmark string          `json:"bookmark"`
}

// InspectLogArgs names whose log is to be read, of which time and why.
type InspectLogArgs struct {
	Inspection emr.InspectionID     `json:"inspection"`
	Subject    emr.LogSubject       `json:"subject"` // exactly one of its fields is set
	From       emr.Time             `json:"from"`    // inclusive
	To         emr.Time             `json:"to"`      // exclusive
	Ground     emr.InspectionGround `json:"ground"`
}

// InspectionQuery names an inspection.
type InspectionQuery struct {
	Inspection emr.InspectionID `json:"inspection"`
}

// ReadLogQuery reads the log that an inspection names. From and To narrow its
// period; zero leaves it.
type ReadLogQuery struct {
	Inspection emr.InspectionID `json:"inspection"`
	From       emr.Time         `json:"from"`
	To         emr.Time         `json:"to"`
	Limit      int              `json:"limit"`
	Bookmark   string           `json:"bookmark"`
}
