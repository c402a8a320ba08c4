// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledgerapi

import (
	"encoding/hex"

	"github.com/emrys-health/emrys/pkg/emr"
)

// Taking back, and the end of a record's life: docs/spec/erasure.md.

// Transactions of people, as in functions.go.
const (
	EraseRecord = "EraseRecord" // EraseRecordArgs -> DecisionReceipt, by the patient or a legal guardian
	RekeyRecord = "RekeyRecord" // emr.Manifest -> DecisionReceipt, by the patient or a clinician of the record's hospital
	RollScope   = "RollScope"   // RollScopeArgs -> Receipt, by the patient
)

// Transactions of organisations, by their gateways. They take one JSON argument.
const (
	EraseExpired    = "EraseExpired"    // EraseExpiredArgs -> DecisionReceipt, by any member's gateway, when the class's longest time is over
	ContinueErasure = "ContinueErasure" // ContinueErasureArgs -> Receipt, by any member's gateway: more versions, and what is left in private data
	ConfirmErasure  = "ConfirmErasure"  // ConfirmErasureArgs -> DecisionReceipt, by a holder's gateway: what it destroyed, and what it could not
	ReportIntegrity = "ReportIntegrity" // ReportIntegrityArgs -> Receipt, by any member's gateway: a copy is missing, altered or whole again
)

// Queries.
const (
	GetErasure     = "GetErasure"     // ErasureQuery -> ErasureView: how an order stands, holder by holder
	ListErasures   = "ListErasures"   // ErasuresQuery by patient, or by an organisation that still owes -> ErasurePage, newest first
	ListLeftovers  = "ListLeftovers"  // LeftoversQuery -> Leftovers: grants, requests and amendments whose private data an order has not purged yet
	IsErased       = "IsErased"       // IsErasedQuery -> ErasedList: what somebody who restored a backup must destroy before serving it
	WhoHasRead     = "WhoHasRead"     // WhoHasReadQuery by grant or record -> ReadingPage, newest first
	GetRetention   = "GetRetention"   // Empty -> RetentionList
	CheckIntegrity = "CheckIntegrity" // IntegrityQuery -> IntegrityView: whether what was fetched is what was registered
	GetIntegrity   = "GetIntegrity"   // RecordQuery -> IntegrityList: the members' last findings about a record
)

// Events. The ID is the order's, where there is one.
const (
	EventErasureOrdered   = "erasure.ordered"   // versions are to be destroyed by their holders
	EventErasureDenied    = "erasure.denied"    // an erasure or a re-key was denied
	EventErasureContinued = "erasure.continued" // an order names more versions, or more was purged
	EventErasureConfirmed = "erasure.confirmed" // a holder confirmed, or told what it could not destroy
	EventScopeRolled      = "scope.rolled"      // a scope's epoch ended; ID is the successor's
	EventIntegrity        = "record.integrity"  // a member found its copy missing, altered or whole again; Hospital is the member
)

// Limits of the end of a record.
const (
	// MaxErasedVersions is the number of versions that one transaction closes, and of one part of an order.
	MaxErasedVersions = 32
	// MaxSeriesVersions bounds the versions of a record.
	MaxSeriesVersions = 1024
	// MaxEnded bounds the grants, the requests, and the amendments, that one transaction ends; MaxEndedRecords the records that those grants name together.
	MaxEnded        = 32
	MaxEndedRecords = 256
	// MaxIsErased bounds what one query asks about.
	MaxIsErased = 100
	// MaxRetentionDays is the longest bound of a rule: 200 years.
	MaxRetentionDays = 73050
)

func erasureTransactions() []string { return []string{EraseRecord, RekeyRecord, RollScope} }

func erasureOrganisationTransactions() []string {
	return []string{EraseExpired, ContinueErasure, ConfirmErasure, ReportIntegrity}
}

func erasureQueries() []string {
	return []string{
		GetErasure, ListErasures, ListLeftovers, IsErased, WhoHasRead, GetRetention, CheckIntegrity, GetIntegrity,
	}
}

// Object types of public state.
const (
	TypeErasure        = "erasure"
	TypeErasurePart    = "erasure-part"
	TypeErasureReceipt = "erasure-receipt"
	// TypeSeriesEnd points from a record's first version to the order that erases the record: value is the ErasureID.
	TypeSeriesEnd        = "series-end"
	TypeErasureByPatient = "patient-erasure"
	TypeErasureByHolder  = "holder-erasure"
	// TypeUsed marks what a record was registered with as used, for ever: value is the RecordID.
	TypeUsed = "used"
	// TypeScopeKey marks a public key of a scope as published, for ever: value is the ScopeID.
	TypeScopeKey  = "scope-key"
	TypeRetention = "retention"
	TypeIntegrity = "integrity"
)

// UsedAs tells what of a record is used once only.
type UsedAs string

// What is used once only.
const (
	UsedContent UsedAs = "cid"
	UsedDigest  UsedAs = "digest"
	UsedCapsule UsedAs = "capsule"
)

// ErasureKey is the key of an order to destroy versions of a record.
func ErasureKey(id emr.ErasureID) Key { return key(TypeErasure, string(id)) }

// ErasurePartKey is the key of a part of an order, from 1.
func ErasurePartKey(id emr.ErasureID, part uint32) Key {
	return key(TypeErasurePart, string(id), versioned(part))
}

// ErasureReceiptKey is the key of a holder's last word about a part of an order.
func ErasureReceiptKey(id emr.ErasureID, part uint32, holder emr.OrgID) Key {
	return key(TypeErasureReceipt, string(id), versioned(part), string(holder))
}

// SeriesEndKey is the key of the end of a record, by its first version.
func SeriesEndKey(series emr.RecordID) Key { return key(TypeSeriesEnd, string(series)) }

// UsedKey is the key of a content id, a ciphertext's digest or a capsule's that a record was registered with.
func UsedKey(as UsedAs, value string) Key { return key(TypeUsed, string(as), value) }

// ScopeKeyKey is the key of a public key, a compressed point, that a scope was published with.
func ScopeKeyKey(public []byte) Key { return key(TypeScopeKey, hex.EncodeToString(public)) }

// RetentionKey is the key of the rule for a class of records.
func RetentionKey(class emr.Class) Key { return key(TypeRetention, string(class)) }

// IntegrityKey is the key of an organisation's last finding about a record.
func IntegrityKey(record emr.RecordID, org emr.OrgID) Key {
	return key(TypeIntegrity, string(record), string(org))
}

// EraseRecordArgs erases a record, all versions, by any of them. Grants, Requests
// and Amendments name what else is to be purged now: grants that name erased
// records only, requests for them, and amendments about them; each list sorted.
// What is left out is purged later by ContinueErasure.
type EraseRecordArgs struct {
	Patient    emr.Handle        `json:"patient"`
	Erasure    emr.ErasureID     `json:"erasure"`
	Record     emr.RecordID      `json:"record"`
	Ground     emr.ErasureGround `json:"ground"`
	Grants     []emr.GrantID     `json:"grants"`
	Requests   []emr.RequestID   `json:"requests"`
	Amendments []emr.AmendmentID `json:"amendments"`
}

// EraseExpiredArgs erases a record for which the members' longest time is over.
type EraseExpiredArgs struct {
	Erasure    emr.ErasureID     `json:"erasure"`
	Record     emr.RecordID      `json:"record"`
	Grants     []emr.GrantID     `json:"grants"`
	Requests   []emr.RequestID   `json:"requests"`
	Amendments []emr.AmendmentID `json:"amendments"`
}

// ContinueErasureArgs names more versions of a long series, and purges what
// Grants, Requests and Amendments name. It decides nothing: the order has been
// given. An order of kind rekey ends no amendments.
type ContinueErasureArgs struct {
	Erasure    emr.ErasureID     `json:"erasure"`
	Grants     []emr.GrantID     `json:"grants"`
	Requests   []emr.RequestID   `json:"requests"`
	Amendments []emr.AmendmentID `json:"amendments"`
}

// ConfirmErasureArgs is a holder's word about a part of an order. The last word
// about a thing counts; a version or a thing that is not named stays as it was.
type ConfirmErasureArgs struct {
	Erasure   emr.ErasureID     `json:"erasure"`
	Part      uint32            `json:"part"`
	Destroyed []emr.Destroyed   `json:"destroyed"`
	Failed    []emr.Undestroyed `json:"failed"`
}

// RollScopeArgs ends a scope's epoch and publishes its successor: the next epoch,
// of the same level. Grants of the old epoch that are named end now; the others
// live on to their end. Sorted.
type RollScopeArgs struct {
	Patient emr.Handle    `json:"patient"`
	Scope   emr.ScopeID   `json:"scope"`
	Next    NewScope      `json:"next"`
	Grants  []emr.GrantID `json:"grants"`
}

// ReportIntegrityArgs is a finding about the caller's own copy. Digest and Size
// are zero for a missing one.
type ReportIntegrityArgs struct {
	Record  emr.RecordID         `json:"record"`
	Finding emr.IntegrityFinding `json:"finding"`
	Digest  emr.Digest           `json:"digest"`
	Size    uint64               `json:"size"`
}

// ErasureQuery names an order.
type ErasureQuery struct {
	Erasure emr.ErasureID `json:"erasure"`
}

// ErasureView is how an order stands.
type ErasureView struct {
	Erasure emr.Erasure       `json:"erasure"`
	Parts   []emr.ErasurePart `json:"parts"`
	State   emr.ErasureState  `json:"state"`
	// Holders are in the order of Erasure.Holders. Missing names those that have not
	// confirmed every part, Failed those that told of something that is not destroyed.
	Holders []HolderState `json:"holders"`
	Missing []emr.OrgID   `json:"missing"`
	Failed  []emr.OrgID   `json:"failed"`
}

// HolderState is how one holder stands. Receipts are in the order of the parts,
// those that there are.
type HolderState struct {
	Org      emr.OrgID            `json:"org"`
	Removed  bool                 `json:"removed"` // not a member any more
	Done     bool                 `json:"done"`
	Receipts []emr.ErasureReceipt `json:"receipts"`
}

// ErasuresQuery lists orders: of a patient, or those that an organisation still
// owes something. Exactly one is set.
type ErasuresQuery struct {
	Patient  emr.Handle `json:"patient"`
	Org      emr.OrgID  `json:"org"`
	Limit    int        `json:"limit"`
	Bookmark string     `json:"bookmark"`
}

// ErasurePage is a page of orders, newest first.
type ErasurePage struct {
	Items    []emr.Erasure `json:"items"`
	Bookmark string        `json:"bookmark"`
}

// LeftoversQuery asks what an order has not purged yet. Bookmarks are those of the last answer.
type LeftoversQuery struct {
	Erasure           emr.ErasureID `json:"erasure"`
	GrantBookmark     string        `json:"grantBookmark"`
	RequestBookmark   string        `json:"requestBookmark"`
	AmendmentBookmark string        `json:"amendmentBookmark"`
}

// Leftovers are grants, requests and amendments for ContinueErasure to name, each list sorted.
type Leftovers struct {
	Grants            []emr.GrantID     `json:"grants"`
	Requests          []emr.RequestID   `json:"requests"`
	Amendments        []emr.AmendmentID `json:"amendments"`
	GrantBookmark     string            `json:"grantBookmark"`
	RequestBookmark   string            `json:"requestBookmark"`
	AmendmentBookmark string            `json:"amendmentBookmark"`
}

// IsErasedQuery names records by id, content id, or a digest: of the ciphertext,
// of the capsule or of the author's signed manifest. At most 100 altogether.
type IsErasedQuery struct {
	Records []emr.RecordID `json:"records"`
	CIDs    []string       `json:"cids"`
	Digests []emr.Digest   `json:"digests"`
}

// ErasedList answers in the order of the question: records, content ids, digests.
type ErasedList struct {
	Items []ErasedItem `json:"items"`
}

// ErasedItem tells what became of what was asked about. Known is false when no
// record was registered with it.
type ErasedItem struct {
	Asked   string           `json:"asked"`
	Known   bool             `json:"known"`
	Record  emr.RecordID     `json:"record"`
	Status  emr.RecordStatus `json:"status"`
	Order   emr.ErasureID    `json:"order"`
	Destroy bool             `json:"destroy"` // whoever holds it must destroy it
}

// WhoHasReadQuery asks who was given tickets, under a grant or of a record.
// Exactly one is set; it must be the patient's.
type WhoHasReadQuery struct {
	Patient  emr.Handle   `json:"patient"`
	Grant    emr.GrantID  `json:"grant"`
	Record   emr.RecordID `json:"record"`
	Limit    int          `json:"limit"`
	Bookmark string       `json:"bookmark"`
}

// ReadingPage is a page of disclosures that were permitted, newest first. Readers
// are those of the page, sorted, each once.
type ReadingPage struct {
	Items    []emr.Disclosure `json:"items"`
	Readers  []string         `json:"readers"`
	Bookmark string           `json:"bookmark"`
}

// RetentionList is the members' rules, in the order of the classes.
type RetentionList struct {
	Items []emr.Retention `json:"items"`
}

// IntegrityQuery is what somebody has fetched for a record.
type IntegrityQuery struct {
	Record emr.RecordID `json:"record"`
	CID    string       `json:"cid"`
	Digest emr.Digest   `json:"digest"`
	Size   uint64       `json:"size"`
}

// IntegrityVerdict is the answer to a check.
type IntegrityVerdict string

// Verdicts: the first that applies.
const (
	VerdictErased     IntegrityVerdict = "erased"     // nobody may hold it any more; neither a re-keyed version
	VerdictDiffers    IntegrityVerdict = "differs"    // in the fields that are named
	VerdictSuperseded IntegrityVerdict = "superseded" // it matches, and there is a newer version
	VerdictMatches    IntegrityVerdict = "matches"
)

// IntegrityView tells whether what was fetched is what was registered. Differs
// names cid, digest and size, in this order, as far as they differ. Manifest is
// about the private manifest: that of the calling peer against the record's digest
// and against the hash that the whole channel keeps.
type IntegrityView struct {
	Verdict  IntegrityVerdict `json:"verdict"`
	Differs  []string         `json:"differs"`
	Manifest ManifestVerdict  `json:"manifest"`
	Record   emr.Record       `json:"record"`
}

// ManifestVerdict is what a peer's private manifest is worth.
type ManifestVerdict string

// Verdicts about a manifest.
const (
	ManifestMatches ManifestVerdict = "matches"
	ManifestDiffers ManifestVerdict = "differs"
	ManifestAbsent  ManifestVerdict = "absent" // the channel knows its hash, this peer does not hold it
	ManifestPurged  ManifestVerdict = "purged" // nobody holds it
)

// IntegrityList is the members' last findings about a record, by organisation.
type IntegrityList struct {
	Items []emr.IntegrityReport `json:"items"`
}
