// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledgerapi

import "github.com/emrys-health/emrys/pkg/emr"

// Transactions of asking, granting and signing off (docs/spec/granting.md), signed actions of people.
const (
	NarrowGrant      = "NarrowGrant"      // NarrowGrantArgs -> Receipt, by the patient
	GrantBatch       = "GrantBatch"       // GrantBatchArgs -> GrantBatchReceipt, by the patient
	SetGrantRule     = "SetGrantRule"     // SetGrantRuleArgs -> DecisionReceipt, by the patient; ask when a looser rule waits for its confirmation
	ConfirmGrantRule = "ConfirmGrantRule" // ConfirmGrantRuleArgs -> Receipt, by a confirmer or the second key
	ConfirmGrant     = "ConfirmGrant"     // ConfirmGrantArgs -> DecisionReceipt, by a confirmer or the second key; Grant takes effect at Until
	SignOff          = "SignOff"          // SignOffArgs -> DecisionReceipt, by the clinician whose turn it is
)

// ProveSecondKey is not a transaction: it is the Function of the signed action by
// which a second key shows that somebody holds it (ProveSecondKeyArgs). It travels
// inside the arguments of SetGrantRule.
const ProveSecondKey = "ProveSecondKey"

// Queries of asking, granting and signing off.
const (
	GetGrantRule     = "GetGrantRule"     // HandleQuery -> emr.GrantRule; of version 0 when there is none
	GetSignOff       = "GetSignOff"       // RecordQuery -> emr.SignOff
	GetSignOffAction = "GetSignOffAction" // RecordQuery -> SignOffView; gateways only
	ListSignOffs     = "ListSignOffs"     // PageQuery by clinician -> SignOffPage: what waits for the clinician
	GetInbox         = "GetInbox"         // PageQuery by patient or clinician -> InboxPage: what waits for an answer, newest first
)

func grantingTransactions() []string {
	return []string{NarrowGrant, GrantBatch, SetGrantRule, ConfirmGrantRule, ConfirmGrant, SignOff}
}

func grantingQueries() []string {
	return []string{GetGrantRule, GetSignOff, GetSignOffAction, ListSignOffs, GetInbox}
}

// Events of asking, granting and signing off.
const (
	EventAccessNarrowed = "access.narrowed" // a patient took back a part of a grant
	EventGrantsGiven    = "access.batch"    // a patient gave several grants, whose ids are in Event.IDs; some may wait
	EventGrantWaiting   = "access.waiting"  // a wide grant waits for its confirmation
	EventGrantRule      = "grant.rule"      // a rule about wide grants changed, or is to change. ID is the digest of the action: an event names no patient
	EventSignedOff      = "record.signed"   // a clinician signed a record off, or refused to
)

// Limits of asking, granting and signing off.
const (
	// MaxWishRecords bounds the further records of one request.
	MaxWishRecords = 15
	// MaxGrantBatch is the number of grants of one batch, MaxBatchRecords that of the records they name.
	MaxGrantBatch   = 16
	MaxBatchRecords = 100
	// MaxDirectRecords is the number of sealed keys of one direct grant.
	MaxDirectRecords = 32
	// MaxConfirmers bounds the people whom a rule about wide grants names.
	MaxConfirmers = 4
	// DefaultConfirmHours is how long a key counts as pinned recently when a rule says 0; MaxConfirmHours the most it may say.
	DefaultConfirmHours = 72
	MaxConfirmHours     = 30 * 24
	// MaxSigners bounds the signers of one record.
	MaxSigners = 8
	// InboxDays is how long an answered amendment or an emergency session stands in the inbox.
	InboxDays = 30
)

// Object types of public state.
const (
	TypeGrantRule = "grant-rule" // by patient: emr.GrantRule, with the looser one that waits
	// TypeWaitingGrant is an index by whoever may confirm, and by the patient.
	TypeWaitingGrant = "waiting-grant"
	TypeSignOff      = "sign-off"
	// TypeSignOffTurn is an index by clinician, written when the clinician's turn begins.
	TypeSignOffTurn = "sign-off-turn"
)

// GrantRuleKey is the key of a patient's rule about wide grants.
func GrantRuleKey(h emr.Handle) Key { return key(TypeGrantRule, string(h)) }

// SignOffKey is the key of a record's sign-off.
func SignOffKey(id emr.RecordID) Key { return key(TypeSignOff, string(id)) }

// NarrowGrantArgs leaves of a live or waiting grant what is named here, all of it:
// every field is at most what holds now, and one is less.
type NarrowGrantArgs struct {
	Patient   emr.Handle     `json:"patient"`
	Grant     emr.GrantID    `json:"grant"`
	Records   []emr.RecordID `json:"records"` // sorted; empty leaves a grant of a whole scope one
	Purposes  []emr.Purpose  `json:"purposes"`
	Until     emr.Time       `json:"until"`
	MaxUses   uint32         `json:"maxUses"`
	NoOnward  bool           `json:"noOnward"`
	SignedOff bool           `json:"signedOff"`
}

// GrantBatchArgs gives several grants of one patient, all or none.
type GrantBatchArgs struct {
	Patient emr.Handle        `json:"patient"`
	Grants  []GrantAccessArgs `json:"grants"`
}

// GrantBatchReceipt is the result of a batch: the grants in their order.
type GrantBatchReceipt struct {
	TxID string        `json:"txId"`
	At   emr.Time      `json:"at"`
	IDs  []emr.GrantID `json:"ids"`
	// Waiting are those that wait for a confirmation.
	Waiting []emr.GrantID `json:"waiting"`
}

// SetGrantRuleArgs sets the signer's rule about wide grants. Version is that of the
// rule it replaces, 0 for none. Proof is the ProveSecondKey action, when the second key is new.
type SetGrantRuleArgs struct {
	Patient emr.Handle         `json:"patient"`
	Version uint32             `json:"version"`
	Terms   emr.GrantRuleTerms `json:"terms"`
	Proof   *emr.SignedAction  `json:"proof,omitempty"`
}

// ProveSecondKeyArgs is what a second key signs of its own pinning.
type ProveSecondKeyArgs struct {
	Patient emr.Handle    `json:"patient"`
	Version uint32        `json:"version"`
	Second  emr.PinnedKey `json:"second"`
}

// ConfirmGrantRuleArgs confirms the looser rule that waits; Version is that of the rule as it stands.
type ConfirmGrantRuleArgs struct {
	Patient emr.Handle `json:"patient"`
	Version uint32     `json:"version"`
}

// ConfirmGrantArgs confirms a waiting grant. Terms is the hash of its terms: who
// confirms names what was shown.
type ConfirmGrantArgs struct {
	Patient emr.Handle  `json:"patient"`
	Grant   emr.GrantID `json:"grant"`
	Terms   emr.Digest  `json:"terms"`
}

// SignOffArgs signs a record off, or refuses to on a ground, which ends it.
// Manifest is the digest of the author's manifest as the record names it.
type SignOffArgs struct {
	Record   emr.RecordID      `json:"record"`
	Manifest emr.Digest        `json:"manifest"`
	Refuse   bool              `json:"refuse"`
	Ground   emr.SignOffGround `json:"ground"`
}

// SignOffView is a sign-off with the signed actions, in the order of its
// signatures, and the signers' entries as they were when they signed.
type SignOffView struct {
	SignOff emr.SignOff        `json:"signOff"`
	Signed  []emr.SignedAction `json:"signed"`
	Signers []emr.Clinician    `json:"signers"`
}

// SignOffPage is a page of sign-offs, newest first.
type SignOffPage struct {
	Items    []emr.SignOff `json:"items"`
	Bookmark string        `json:"bookmark"`
}

// InboxKind tells what waits.
type InboxKind string

// Kinds of what waits. For a patient all but the last two; for a clinician the last two.
const (
	InboxRelationship InboxKind = "relationship"  // a hospital proposed one: AnswerRelationship
	InboxRequest      InboxKind = "request"       // somebody asks: GrantAccess or RefuseAccess
	InboxRecovery     InboxKind = "recovery"      // somebody recovers the patient's keys: VetoRecovery, or nothing
	InboxAmendment    InboxKind = "amendment"     // an amendment was answered: DisputeAmendment, or nothing
	InboxEmergency    InboxKind = "emergency"     // somebody broke the glass: ContestEmergency, or nothing
	InboxGrant        InboxKind = "waiting-grant" // a wide grant waits for its confirmation
	InboxGrantRule    InboxKind = "grant-rule"    // a looser rule waits for its confirmation
	InboxConfirm      InboxKind = "confirm-grant" // somebody's wide grant that the owner of the inbox may confirm: ConfirmGrant
	InboxSignOff      InboxKind = "sign-off"      // it is the clinician's turn: SignOff
)

// InboxItem is one thing that waits for its owner. ID is that of the request,
// recovery, amendment, session, grant or record; of a relationship the hospital, of
// a rule its version.
type InboxItem struct {
	Kind    InboxKind    `json:"kind"`
	ID      string       `json:"id"`
	Patient emr.Handle   `json:"patient"`
	Record  emr.RecordID `json:"record"` // where it is about one
	By      string       `json:"by"`     // who began it
	Org     emr.OrgID    `json:"org"`
	At      emr.Time     `json:"at"`
	Until   emr.Time     `json:"until"` // when it lapses; absent when it does not
}

// InboxPage is a page of what waits, newest first. It may be short, or empty, and
// still have a bookmark.
type InboxPage struct {
	Items    []InboxItem `json:"items"`
	Bookmark string      `json:"bookmark"`
}
