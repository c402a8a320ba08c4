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
)

// Events. No event names a patient: the id is a clinician's, a recovery's, or the
// digest of the patient's action (GetAction).
const (
	EventKeysReplaced    = "keys.replaced"    // somebody replaced pinned keys
	EventClinicianStatus = "clinician.status" // a clinician was suspended, reinstated or off-boarded
)

func lifeTransactions() []string { return []string{RotatePatientKeys, RotateClinicianKeys} }

func lifeOrganisationTransactions() []string {
	return []string{SuspendClinician, ReinstateClinician, OffboardClinician}
}

func lifeQueries() []string { return []string{GetPatientKeys, GetClinicianKeys, AuditByClinician} }

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
)

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
