// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledgerapi

import (
	"encoding/hex"
	"fmt"

	"github.com/emrys-health/emrys/pkg/emr"
)

// The life of keys and people: docs/spec/ledger-keys.md.

// Transactions of people, as in functions.go.
const (
	RotatePatientKeys   = "RotatePatientKeys"   // RotatePatientKeysArgs -> Receipt, by the patient's current key
	RotateClinicianKeys = "RotateClinicianKeys" // RotateClinicianKeysArgs -> Receipt, by the clinician
	SetGuardians        = "SetGuardians"        // SetGuardiansArgs -> Receipt, by the patient
	ProposeRecovery     = "ProposeRecovery"     // ProposeRecoveryArgs -> Receipt, by a guardian, as the first approval
	ApproveRecovery     = "ApproveRecovery"     // ApproveRecoveryArgs -> DecisionReceipt, by another guardian
	VetoRecovery        = "VetoRecovery"        // RecoveryArgs -> DecisionReceipt, by the patient's current key
	CompleteRecovery    = "CompleteRecovery"    // RecoveryArgs -> DecisionReceipt, by the recovery's new key
)

// Transactions of organisations. They take one JSON argument, ClinicianStatusArgs
// -> Receipt, by an administrator of the clinician's own organisation.
const (
	SuspendClinician   = "SuspendClinician"   // ClinicianStatusArgs -> Receipt, by an admin of the clinician's organisation
	ReinstateClinician = "ReinstateClinician" // ClinicianStatusArgs -> Receipt, by an admin of the clinician's organisation
	OffboardClinician  = "OffboardClinician"  // ClinicianStatusArgs -> Receipt, by an admin of the clinician's organisation, for good
)

// ProveKey is not a transaction: it is the Function of the signed action by which
// a key that is to be pinned shows that somebody holds it (ProveKeyArgs). It
// travels inside the arguments of the transaction that pins the key.
const ProveKey = "ProveKey"

// Queries.
const (
	GetPatientKeys   = "GetPatientKeys"   // PatientKeysQuery -> emr.PatientKeys, of any version
	GetClinicianKeys = "GetClinicianKeys" // ClinicianKeysQuery -> emr.Clinician, as it was in any version
	AuditByClinician = "AuditByClinician" // PageQuery by clinician -> AuditPage, newest first
	GetGuardians     = "GetGuardians"     // HandleQuery -> emr.GuardianSet
	GetRecovery      = "GetRecovery"      // RecoveryQuery -> emr.Recovery, expiry included
	ListRecoveries   = "ListRecoveries"   // PageQuery by patient -> RecoveryPage, newest first
)

// Events. No event names a patient: the id is a clinician's, a recovery's, or the
// digest of the patient's action (GetAction).
const (
	EventKeysReplaced    = "keys.replaced"    // somebody replaced pinned keys
	EventClinicianStatus = "clinician.status" // a clinician was suspended, reinstated or off-boarded
	EventGuardiansSet    = "guardians.set"    // a patient named guardians
	// EventRecoveryApproved is one approval more, EventRecoveryWaiting the last that was needed.
	EventRecoveryProposed  = "recovery.proposed"  // new keys were proposed
	EventRecoveryApproved  = "recovery.approved"  // a guardian approved, and more are needed
	EventRecoveryWaiting   = "recovery.waiting"   // enough guardians approved: the waiting period began
	EventRecoveryVetoed    = "recovery.vetoed"    // the patient vetoed
	EventRecoveryCompleted = "recovery.completed" // the new keys were pinned
	EventRecoveryEnded     = "recovery.ended"     // it had expired, or another one was completed first
)

// Limits of a recovery.
const (
	// MinGuardianQuorum is the least threshold of a guardian set, MaxGuardians its largest size.
	MinGuardianQuorum = 2
	MaxGuardians      = 16
	// Hours that a recovery waits for a veto; a set that says 0 gets the default.
	MinWaitHours     = 24
	DefaultWaitHours = 72
	MaxWaitHours     = 30 * 24
	// RecoveryDays is how long a recovery stays open: for approvals after its
	// proposal, and for its completion after its waiting period.
	RecoveryDays = 30
)

func lifeTransactions() []string {
	return []string{
		RotatePatientKeys, RotateClinicianKeys, SetGuardians, ProposeRecovery, ApproveRecovery, VetoRecovery, CompleteRecovery,
	}
}

func lifeOrganisationTransactions() []string {
	return []string{SuspendClinician, ReinstateClinician, OffboardClinician}
}

func lifeQueries() []string {
	return []string{GetPatientKeys, GetClinicianKeys, AuditByClinician, GetGuardians, GetRecovery, ListRecoveries}
}

// Object types of public state.
const (
	// TypePatientKeys and TypeClinicianKeys hold what was replaced, by person and
	// version: emr.PatientKeys, emr.Clinician.
	TypePatientKeys   = "patient-keys"
	TypeClinicianKeys = "clinician-keys"
	// TypeRetiredKey marks a public key that a person has replaced: it never comes
	// back. The value is the version of which it was.
	TypeRetiredKey = "retired-key"
	// TypeAuditByClinician is the index of entries about a clinician.
	TypeAuditByClinician = "clinician-audit"

	TypeGuardians = "guardians" // by patient: emr.GuardianSet
	TypeRecovery  = "recovery"
	// TypeRecoveryByProposer points from a patient and a guardian to the latest
	// recovery that the guardian proposed: value is the RecoveryID.
	TypeRecoveryByProposer = "proposer-recovery"
	TypeRecoveryByPatient  = "patient-recovery" // index
)

// GuardiansKey is the key of a patient's guardian set.
func GuardiansKey(h emr.Handle) Key { return key(TypeGuardians, string(h)) }

// RecoveryKey is the key of a recovery.
func RecoveryKey(id emr.RecoveryID) Key { return key(TypeRecovery, string(id)) }

// ProposerKey is the key of the latest recovery of a patient that a guardian proposed.
func ProposerKey(h emr.Handle, guardian string) Key {
	return key(TypeRecoveryByProposer, string(h), guardian)
}

// PatientKeysKey is the key of a version of a patient's keys that was replaced.
func PatientKeysKey(h emr.Handle, version uint32) Key {
	return key(TypePatientKeys, string(h), versioned(version))
}

// ClinicianKeysKey is the key of a clinician's entry as it was in a version that was replaced.
func ClinicianKeysKey(id emr.ClinicianID, version uint32) Key {
	return key(TypeClinicianKeys, string(id), versioned(version))
}

// RetiredKey is the key that marks a public key, a compressed point, as replaced
// by its person, a Handle or a ClinicianID.
func RetiredKey(person string, public []byte) Key {
	return key(TypeRetiredKey, person, hex.EncodeToString(public))
}

func versioned(version uint32) string { return fmt.Sprintf("%010d", version) }

// RotatePatientKeysArgs replaces the signer's pinned keys. Version is that of the
// keys that are replaced. Keys that stay are named too.
type RotatePatientKeysArgs struct {
	Patient emr.Handle    `json:"patient"`
	Version uint32        `json:"version"`
	Consent emr.PinnedKey `json:"consent"`
	Hybrid  []byte        `json:"hybrid"`
	// Proof is a ProveKey action of the patient signed by Consent; absent when the
	// consent key stays.
	Proof *emr.SignedAction `json:"proof,omitempty"`
}

// ProveKeyArgs is what a key states that is to be pinned: for whom, beside which
// hybrid key, and for which change: the rotation that replaces Version, or Recovery.
type ProveKeyArgs struct {
	Patient  emr.Handle     `json:"patient"`
	Version  uint32         `json:"version"`
	Recovery emr.RecoveryID `json:"recovery"`
	Consent  emr.PinnedKey  `json:"consent"`
	Hybrid   []byte         `json:"hybrid"`
}

// RotateClinicianKeysArgs replaces the keys by which the signer reads. Version is
// that of the keys that are replaced. A new signing key comes with a new
// certificate: RegisterClinician.
type RotateClinicianKeysArgs struct {
	Clinician emr.ClinicianID `json:"clinician"`
	Version   uint32          `json:"version"`
	Reading   []byte          `json:"reading"`
	Hybrid    []byte          `json:"hybrid"`
}

// ClinicianStatusArgs names a clinician of the caller's own organisation.
type ClinicianStatusArgs struct {
	Clinician emr.ClinicianID `json:"clinician"`
}

// SetGuardiansArgs replaces the signer's guardian set. Version is that of the set
// that is replaced, 0 when there is none. Guardians are handles and clinician ids,
// sorted. No guardians, with threshold and hours 0, allow no recovery any more.
type SetGuardiansArgs struct {
	Patient   emr.Handle `json:"patient"`
	Version   uint32     `json:"version"`
	Guardians []string   `json:"guardians"`
	Threshold uint8      `json:"threshold"`
	WaitHours uint32     `json:"waitHours"` // 0: DefaultWaitHours
}

// ProposeRecoveryArgs proposes new keys for a patient. Proof is a ProveKey action
// of the patient that names the recovery, signed by Consent.
type ProposeRecoveryArgs struct {
	Recovery emr.RecoveryID   `json:"recovery"`
	Patient  emr.Handle       `json:"patient"`
	Consent  emr.PinnedKey    `json:"consent"`
	Hybrid   []byte           `json:"hybrid"`
	Proof    emr.SignedAction `json:"proof"`
}

// ApproveRecoveryArgs is a guardian's approval. Claim is the recovery's: it names
// the new keys, so that the approval is of these and no others.
type ApproveRecoveryArgs struct {
	Recovery emr.RecoveryID `json:"recovery"`
	Patient  emr.Handle     `json:"patient"`
	Claim    emr.Digest     `json:"claim"`
}

// RecoveryArgs names a recovery of the signer.
type RecoveryArgs struct {
	Recovery emr.RecoveryID `json:"recovery"`
	Patient  emr.Handle     `json:"patient"`
}

// RecoveryQuery names a recovery.
type RecoveryQuery struct {
	Recovery emr.RecoveryID `json:"recovery"`
}

// RecoveryPage is a page of recoveries, newest first.
type RecoveryPage struct {
	Items    []emr.Recovery `json:"items"`
	Bookmark string         `json:"bookmark"`
}

// PatientKeysQuery names a version of a patient's keys, from 0.
type PatientKeysQuery struct {
	Patient emr.Handle `json:"patient"`
	Version uint32     `json:"version"`
}

// ClinicianKeysQuery names a version of a clinician's entry, from 0.
type ClinicianKeysQuery struct {
	Clinician emr.ClinicianID `json:"clinician"`
	Version   uint32          `json:"version"`
}
