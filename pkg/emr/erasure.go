// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package emr

import "slices"

// ErasureID is one order to destroy versions of a record ("ers_").
type ErasureID string

// ErasurePrefix begins every ErasureID.
const ErasurePrefix = "ers_"

func (ErasureID) prefix() string { return ErasurePrefix }

// RecordStatus tells whether a version of a record can still be read.
type RecordStatus string

// States of a version. None of them ends again.
const (
	RecordLive RecordStatus = ""
	// RecordRekeyed: a later version holds the same content under a new data key.
	RecordRekeyed RecordStatus = "rekeyed"
	RecordErased  RecordStatus = "erased"
)

// Denial returns why a version of the status gives nothing to anybody, or "" for a live one.
func (s RecordStatus) Denial() Reason {
	switch s {
	case RecordLive:
		return ""
	case RecordRekeyed:
		return ReasonRekeyed
	default:
		return ReasonErased
	}
}

// Reasons of the end of records, grants and scopes.
const (
	// ReasonErased: the record is erased, or is being erased.
	ReasonErased Reason = "erased"
	// ReasonRekeyed: a later version holds the same content under a new key.
	ReasonRekeyed Reason = "rekeyed"
	// ReasonGrantEnded: the grant ended with its records, or with its scope's epoch.
	ReasonGrantEnded Reason = "grant-ended"
	// ReasonScopeEnded: the scope's epoch is over.
	ReasonScopeEnded Reason = "scope-ended"
	// ReasonHeldLitigation, ReasonHeldInvestigation, ReasonHeldRetention: an
	// organisation demands by a hold that the record be kept.
	ReasonHeldLitigation    Reason = "held-litigation"
	ReasonHeldInvestigation Reason = "held-investigation"
	ReasonHeldRetention     Reason = "held-retention-duty"
	// ReasonRetention: the time for which records of the class must be kept is not over.
	ReasonRetention Reason = "retention"
	// ReasonRetentionOver: the time for which records of the class may be kept is over.
	ReasonRetentionOver Reason = "retention-over"
	// ReasonNotDue: it is not over, or there is none.
	ReasonNotDue Reason = "retention-not-over"
	// ReasonNotDestroyed: a holder could not destroy everything.
	ReasonNotDestroyed Reason = "not-destroyed"
)

func erasureExplanations() []explanation {
	return []explanation{
		{ReasonErased, "the record has been erased"},
		{ReasonRekeyed, "the version has been replaced by one under a new key"},
		{ReasonGrantEnded, "the grant ended with the records that it named, or with its scope's epoch"},
		{ReasonScopeEnded, "the scope's epoch is over; use its successor"},
		{ReasonHeldLitigation, "the record must be kept for litigation"},
		{ReasonHeldInvestigation, "the record must be kept for an investigation"},
		{ReasonHeldRetention, "the record must be kept by a duty of its holder"},
		{ReasonRetention, "records of this class must be kept for longer"},
		{ReasonRetentionOver, "the time for which records of this class may be kept is over"},
		{ReasonNotDue, "the time for which records of this class may be kept is not over"},
		{ReasonNotDestroyed, "the holder could not destroy everything yet"},
	}
}

// Denial returns the reason with which a hold of the ground denies an erasure.
func (g HoldGround) Denial() Reason {
	switch g {
	case HoldLitigation:
		return ReasonHeldLitigation
	case HoldInvestigation:
		return ReasonHeldInvestigation
	default:
		return ReasonHeldRetention
	}
}

// Kinds of audit entry of the end of records and scopes. Ref is the order's id,
// of a scope the successor's, of a report the organisation's.
const (
	AuditErasureOrdered   AuditKind = "erasure.ordered"   // a record was ordered to be erased, or that was denied; one entry for each version
	AuditErasureConfirmed AuditKind = "erasure.confirmed" // a holder confirmed what it destroyed (permit), or could not destroy something (deny)
	AuditRekeyed          AuditKind = "record.rekeyed"    // a version took another one's place under a new key, or that was denied
	AuditScopeRolled      AuditKind = "scope.rolled"      // the patient ended a scope's epoch
	AuditIntegrity        AuditKind = "record.integrity"  // an organisation found a copy missing or altered (deny), or whole again (permit)
)

// ActorGateway stands in the field Actor of an audit entry for the gateway of the organisation.
const ActorGateway = "gateway"

// ErasureKind tells why versions are to be destroyed.
type ErasureKind string

// Kinds of order.
const (
	// OrderErasure: the patient wants the record gone, with all its versions.
	OrderErasure ErasureKind = "erasure"
	// OrderRetention: the members keep records of the class no longer.
	OrderRetention ErasureKind = "retention"
	// OrderRekey: one version has been replaced by another under a new key.
	OrderRekey ErasureKind = "rekey"
)

// ErasureGround is the coded ground of an order (GDPR article 17(1)). The zero
// value is invalid; the list is append-only.
type ErasureGround string

// Grounds that a patient may give, then those of the other kinds of order.
const (
	EraseWithdrawn ErasureGround = "consent-withdrawn"
	EraseNeedless  ErasureGround = "no-longer-needed"
	EraseObjection ErasureGround = "objection"
	EraseUnlawful  ErasureGround = "unlawful-processing"
	EraseOther     ErasureGround = "other"
	EraseRetention ErasureGround = "retention-over"
	EraseRekeyed   ErasureGround = "rekeyed"
)

// PatientMayGive tells whether the ground is one that a patient gives.
func (g ErasureGround) PatientMayGive() bool {
	return slices.Contains([]ErasureGround{EraseWithdrawn, EraseNeedless, EraseObjection, EraseUnlawful, EraseOther}, g)
}

// Erasure is one order to destroy versions of a record at every holder. It says
// what is to be destroyed and by whom; whether it is destroyed follows from the
// receipts, and never from time. Key: ErasureID.
type Erasure struct {
	V       int         `json:"v"`
	ID      ErasureID   `json:"id"`
	Kind    ErasureKind `json:"kind"`
	Patient Handle      `json:"patient"`
	// Record is the version that was named; Series its first version.
	Record   RecordID      `json:"record"`
	Series   RecordID      `json:"series"`
	Hospital OrgID         `json:"hospital"` // of the record
	Ground   ErasureGround `json:"ground"`
	// By is ActorPatient, the Handle of a guardian, a ClinicianID or ActorGateway; Org vouches for it.
	By  string `json:"by"`
	Org OrgID  `json:"org"`
	// Action is the signed action; zero for an organisation's order.
	Action Digest `json:"action"`
	// Holders are the organisations that must confirm, sorted: every member of that
	// time, and whoever is named as hospital or gateway. Nobody leaves the list.
	Holders []OrgID `json:"holders"`
	// Parts counts the parts of the order, Versions the versions in them; Next is the
	// first version that no part names yet, empty when all are named.
	Parts    uint32   `json:"parts"`
	Versions uint32   `json:"versions"`
	Next     RecordID `json:"next"`
	// Successor is the version that took the place of a re-keyed one; else empty.
	Successor RecordID `json:"successor"`
	Ordered   Time     `json:"ordered"`
}

// ErasurePart names some of the versions that an order is about. Key: ErasureID, Part (from 1).
type ErasurePart struct {
	V       int             `json:"v"`
	Erasure ErasureID       `json:"erasure"`
	Part    uint32          `json:"part"`
	Records []ErasedVersion `json:"records"`
	At      Time            `json:"at"`
}

// ErasedVersion is one version to destroy.
type ErasedVersion struct {
	Record RecordID `json:"record"`
	CID    string   `json:"cid"`
	Digest Digest   `json:"digest"` // of the ciphertext
}

// ErasureThing is what a holder may have of a version. The list is append-only.
type ErasureThing string

// Things of a version.
const (
	// ThingContent: the ciphertext under its content id, pinned or copied.
	ThingContent ErasureThing = "content"
	// ThingFragments: key fragments and shares, wherever they were copied to from the private data.
	ThingFragments ErasureThing = "fragments"
	// ThingCache: whatever was derived and kept: opened keys, capsule fragments, plaintext, index rows.
	ThingCache ErasureThing = "cache"
)

// ErasureThings returns every thing of a version, sorted.
func ErasureThings() []ErasureThing {
	return []ErasureThing{ThingCache, ThingContent, ThingFragments}
}

// ErasureCause is the coded cause for which something could not be destroyed. The list is append-only.
type ErasureCause string

// Causes.
const (
	CauseUnavailable ErasureCause = "store-unavailable"
	CauseUnreadable  ErasureCause = "medium-unreadable"
	CauseBackup      ErasureCause = "in-backup"
	CauseRestored    ErasureCause = "restored" // it was destroyed, and a backup brought it back
	CauseDuty        ErasureCause = "duty-to-keep"
	CauseOther       ErasureCause = "other"
)

// Valid tells whether the cause is on the list.
func (c ErasureCause) Valid() bool {
	return slices.Contains([]ErasureCause{CauseUnavailable, CauseUnreadable, CauseBackup, CauseRestored, CauseDuty, CauseOther}, c)
}

// Destroyed is what a holder has destroyed of one version. Things it never had
// count: it states that it has them no more.
type Destroyed struct {
	Record RecordID `json:"record"`
	// CID is the content id that was unpinned: the version's own.
	CID    string         `json:"cid"`
	Things []ErasureThing `json:"things"` // sorted
}

// Undestroyed is what a holder could not destroy of one version.
type Undestroyed struct {
	Record RecordID     `json:"record"`
	Thing  ErasureThing `json:"thing"`
	Cause  ErasureCause `json:"cause"`
}

// ErasureReceipt is a holder's last word about one part of an order, version by
// version in the order of the part. Key: ErasureID, Part, OrgID.
type ErasureReceipt struct {
	V         int           `json:"v"`
	Erasure   ErasureID     `json:"erasure"`
	Part      uint32        `json:"part"`
	Org       OrgID         `json:"org"`
	Destroyed []Destroyed   `json:"destroyed"`
	Failed    []Undestroyed `json:"failed"`
	// Attempts counts the confirmations; TxID and At are those of the last.
	Attempts uint32 `json:"attempts"`
	TxID     string `json:"txId"`
	At       Time   `json:"at"`
}

// Fulfils tells whether the receipt, which may be nil, confirms that everything
// of a part is destroyed.
func (r *ErasureReceipt) Fulfils(part *ErasurePart) bool {
	if r == nil || len(r.Failed) != 0 || len(r.Destroyed) != len(part.Records) {
		return false
	}
	for i := range part.Records {
		if r.Destroyed[i].Record != part.Records[i].Record || !slices.Equal(r.Destroyed[i].Things, ErasureThings()) {
			return false
		}
	}
	return true
}

// ErasureState is how an order stands. It is derived, never stored.
type ErasureState string

// States of an order.
const (
	// ErasurePartial: a holder is missing, has failed, or has not been asked about every version yet.
	ErasurePartial ErasureState = "partial"
	// ErasureComplete: every holder has confirmed everything.
	ErasureComplete ErasureState = "complete"
)

// RetentionRule says how long records of a class are kept, in days from the
// registration of the youngest version. 0 means no bound.
type RetentionRule struct {
	Class Class `json:"class"`
	// MinDays: before it an erasure is denied, unless PatientOverrides.
	MinDays          uint32 `json:"minDays"`
	PatientOverrides bool   `json:"patientOverrides"`
	// MaxDays: after it any member's gateway may order the erasure.
	MaxDays uint32 `json:"maxDays"`
}

// Retention is a rule that the members have decided. Key: Class.
type Retention struct {
	V        int           `json:"v"`
	Rule     RetentionRule `json:"rule"`
	Proposal ProposalID    `json:"proposal"`
	Since    Time          `json:"since"`
}

// IntegrityFinding is what an organisation found of its copy of a record's ciphertext. The list is append-only.
type IntegrityFinding string

// Findings.
const (
	FindingMissing IntegrityFinding = "missing"
	FindingAltered IntegrityFinding = "altered"
	// FindingWhole: the copy is as registered again.
	FindingWhole IntegrityFinding = "whole"
)

// IntegrityReport is an organisation's last finding about a record. Key: RecordID, OrgID.
type IntegrityReport struct {
	V       int              `json:"v"`
	Record  RecordID         `json:"record"`
	Org     OrgID            `json:"org"`
	Finding IntegrityFinding `json:"finding"`
	// Digest and Size are what was found of the ciphertext; zero when it is missing.
	Digest Digest `json:"digest"`
	Size   uint64 `json:"size"`
	At     Time   `json:"at"`
	TxID   string `json:"txId"`
}
