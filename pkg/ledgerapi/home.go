// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledgerapi

import "github.com/emrys-health/emrys/pkg/emr"

// The home hospital, and what cannot be changed without it: docs/spec/ledger.md, "Endorsement".

// Transactions of a patient's home, as in functions.go.
const (
	// MoveHome: MoveHomeArgs -> Receipt, by the patient, through the gateway of the new home.
	MoveHome = "MoveHome"
)

// Events of a patient's home. The id is the digest of the patient's action.
const (
	EventHomeMoved = "home.moved" // a patient moved to another home hospital
)

// Object types of public state.
const (
	TypeHomeMove    = "home-move"    // by patient and generation: emr.HomeMove
	TypeHomeRelease = "home-release" // by patient: emr.HomeRelease
	// TypeConsentWithdrawal is by patient: the latest withdrawal, a consent.Consent.
	// It counts when its version is above that of the current consent. It is a key of
	// its own, so that taking back needs nobody's endorsement in particular.
	TypeConsentWithdrawal = "consent-withdrawal"
)

// HomeMoveKey is the key of a patient's move that began a generation.
func HomeMoveKey(h emr.Handle, generation uint32) Key {
	return key(TypeHomeMove, string(h), versioned(generation))
}

// HomeReleaseKey is the key of a patient's release from a home hospital.
func HomeReleaseKey(h emr.Handle) Key { return key(TypeHomeRelease, string(h)) }

// ConsentWithdrawalKey is the key of a patient's latest withdrawal of consent.
func ConsentWithdrawalKey(h emr.Handle) Key { return key(TypeConsentWithdrawal, string(h)) }

// PatientKeyAt is the key of a patient's entry in a generation of [emr.HomeMove].
// Generation 0 has the key without one.
func PatientKeyAt(h emr.Handle, generation uint32) Key {
	return generated(PatientKey(h), generation)
}

// ConsentKeyAt is the key of a patient's current consent in a generation.
func ConsentKeyAt(h emr.Handle, generation uint32) Key {
	return generated(ConsentKey(h), generation)
}

// GuardiansKeyAt is the key of a patient's guardian set in a generation.
func GuardiansKeyAt(h emr.Handle, generation uint32) Key {
	return generated(GuardiansKey(h), generation)
}

// GrantRuleKeyAt is the key of a patient's rule about wide grants in a generation.
func GrantRuleKeyAt(h emr.Handle, generation uint32) Key {
	return generated(GrantRuleKey(h), generation)
}

func generated(k Key, generation uint32) Key {
	if generation > 0 {
		k.Attributes = append(k.Attributes, versioned(generation))
	}
	return k
}

// MoveHomeArgs makes another hospital the signer's home. Generation is the present
// one of the patient's entry, and one more when the patient leaves a home without its
// endorsement, since the members removed it or released the patient.
type MoveHomeArgs struct {
	Patient    emr.Handle `json:"patient"`
	Home       emr.OrgID  `json:"home"`
	Generation uint32     `json:"generation"`
}

func homeTransactions() []string { return []string{MoveHome} }

// GuardedTransactions lists the transactions that change values which need the
// endorsement of the patient's home hospital. Who submits one lets the peers find
// the endorsers, since they know the value's own policy.
func GuardedTransactions() []string {
	return []string{PutConsent, RotatePatientKeys, SetGuardians, CompleteRecovery, MoveHome, SetGrantRule, ConfirmGrantRule}
}
