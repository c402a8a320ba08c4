// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledgerapi

import (
	"fmt"

	"github.com/emrys-health/emrys/pkg/consent"
	"github.com/emrys-health/emrys/pkg/emr"
)

// Transactions of standing consent, by the patient.
const (
	PutConsent      = "PutConsent"      // PutConsentArgs -> Receipt, whose ID is the new version
	WithdrawConsent = "WithdrawConsent" // WithdrawConsentArgs -> Receipt, likewise
)

// Queries of standing consent.
const (
	GetConsent     = "GetConsent"     // ConsentQuery -> consent.Consent
	ListConsents   = "ListConsents"   // PageQuery by patient -> ConsentPage, newest first
	PreviewConsent = "PreviewConsent" // PreviewConsentQuery -> ConsentPreview
)

// EventConsentChanged tells that a consent was put or withdrawn. ID is the digest of the
// signed action: an event names no patient.
const EventConsentChanged = "consent.changed"

// Object types of public state for standing consent.
const (
	// TypeConsent is by Handle: the current consent.Consent, under its one exact
	// key, which every decision reads.
	TypeConsent = "consent"
	// TypeConsentVersion is by Handle and version: every consent.Consent there was.
	TypeConsentVersion = "consent-version"
)

// Limits of a preview.
const (
	// MaxPreviewPeople and MaxPreviewRecords bound what one preview looks at.
	MaxPreviewPeople  = 100
	MaxPreviewRecords = 100
	// DefaultPreviewPage and MaxPreviewPage bound the subjects of one page.
	DefaultPreviewPage = 25
	MaxPreviewPage     = 50
)

// ConsentKey is the key of a patient's current consent.
func ConsentKey(h emr.Handle) Key { return key(TypeConsent, string(h)) }

// ConsentVersionKey is the key of one version of a patient's consent.
func ConsentVersionKey(h emr.Handle, version uint32) Key {
	return key(TypeConsentVersion, string(h), fmt.Sprintf("%010d", version))
}

// PutConsentArgs puts the signer's consent. Replaces is the version that it
// follows, 0 for the first one: another one is stale.
type PutConsentArgs struct {
	Patient   emr.Handle       `json:"patient"`
	Replaces  uint32           `json:"replaces"`
	Document  consent.Document `json:"document"`
	Previewed Previewed        `json:"previewed"`
}

// Previewed is what the patient was shown before signing, as ConsentPreview told
// it. Without a preview At and Basis are zero and People is an empty list. With
// one, the consent is put only while a preview would still be computed from the same.
type Previewed struct {
	At     emr.Time          `json:"at"`
	People []emr.ClinicianID `json:"people"`
	Basis  emr.Digest        `json:"basis"`
}

// WithdrawConsentArgs withdraws the signer's consent, whichever version it is:
// a withdrawal is never stale.
type WithdrawConsentArgs struct {
	Patient emr.Handle `json:"patient"`
}

// ConsentQuery names a version of a patient's consent; 0 is the current one.
type ConsentQuery struct {
	Patient emr.Handle `json:"patient"`
	Version uint32     `json:"version"`
}

// ConsentPage is a page of versions, newest first.
type ConsentPage struct {
	Items    []consent.Consent `json:"items"`
	Bookmark string            `json:"bookmark"`
}

// PreviewConsentQuery asks what would change if the patient put a document now.
// Limit counts subjects.
type PreviewConsentQuery struct {
	Patient  emr.Handle       `json:"patient"`
	Document consent.Document `json:"document"`
	Limit    int              `json:"limit"`
	Bookmark string           `json:"bookmark"`
}

// ConsentPreview is a page of what would change. Replaces and Previewed go into
// PutConsentArgs as they are; they are the same on every page unless the world moves.
type ConsentPreview struct {
	Replaces  uint32    `json:"replaces"`
	Previewed Previewed `json:"previewed"`
	// Complete tells that everybody known and every current record were looked at.
	Complete bool            `json:"complete"`
	Changes  []ConsentChange `json:"changes"`
	Bookmark string          `json:"bookmark"`
}

// ConsentChange is what changes for somebody and a purpose. Person is empty for
// any professional of the hospital in the role whom nothing names.
type ConsentChange struct {
	Person   emr.ClinicianID `json:"person"`
	Hospital emr.OrgID       `json:"hospital"`
	Role     emr.Role        `json:"role"`
	Purpose  emr.Purpose     `json:"purpose"`
	// Gains tells a gain from a loss: After is more, or less, than Before.
	Gains  bool         `json:"gains"`
	Before emr.Decision `json:"before"`
	After  emr.Decision `json:"after"`
	Reason emr.Reason   `json:"reason"` // of After
	// Records are the records concerned, newest first; Open those of them that a
	// live grant gives the person now.
	Records []emr.RecordID `json:"records"`
	Open    []emr.RecordID `json:"open"`
}
