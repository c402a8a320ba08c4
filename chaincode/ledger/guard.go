// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"fmt"
	"slices"

	"github.com/emrys-health/emrys/pkg/consent"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
	"github.com/emrys-health/emrys/pkg/signature"
)

// Guard says whose endorsement a later change of a value needs: that of Home, and
// of Need of the Others, who are sorted. It takes the place of the contract's own
// policy for the value, so that it must ask for as many organisations as that does.
type Guard struct {
	Home   emr.OrgID
	Others []emr.OrgID
	Need   int
}

// guardFor makes the guard of a home hospital: with the home, a majority of the members.
func guardFor(home emr.OrgID, members []emr.OrgID) Guard {
	others := slices.DeleteFunc(slices.Clone(members), func(member emr.OrgID) bool { return member == home })
	return Guard{Home: home, Others: others, Need: len(members) / 2}
}

// putGuarded writes a value of a patient that cannot be changed any more without
// the patient's home. What the home's policy was may be out of date: it is brought
// up to date with each write. A home that the members have removed is no member,
// and the guard stays what it was.
func putGuarded(s State, home emr.OrgID, key ledgerapi.Key, document any) error {
	if err := put(s, key, document); err != nil {
		return err
	}
	members, err := roster(s)
	if err != nil || !slices.Contains(members, home) {
		return err
	}
	if err := s.Guard(key, guardFor(home, members)); err != nil {
		return fmt.Errorf("ledger: guard %s: %w", key.Type, err)
	}
	return nil
}

func putPatient(s State, patient *emr.Patient) error {
	return putGuarded(s, patient.Home, ledgerapi.PatientKeyAt(patient.Handle, patient.Generation), patient)
}

func putStanding(s State, patient *emr.Patient, document *consent.Consent) error {
	return putGuarded(s, patient.Home, ledgerapi.ConsentKeyAt(patient.Handle, patient.Generation), document)
}

func putGuardians(s State, patient *emr.Patient, set *emr.GuardianSet) error {
	return putGuarded(s, patient.Home, ledgerapi.GuardiansKeyAt(patient.Handle, patient.Generation), set)
}

// putRule writes a patient's rule about wide grants, with the looser one that waits
// in it: under a key of its own that nobody guards, somebody could put one there, and
// a confirmer, who sees that something waits, would let it take effect.
func putRule(s State, patient *emr.Patient, rule *emr.GrantRule) error {
	return putGuarded(s, patient.Home, ledgerapi.GrantRuleKeyAt(patient.Handle, patient.Generation), rule)
}

// noConsent, noGuardians and noRule are a patient's guarded values before there are any,
// as version 0: a key that does not exist has no guard, and who creates it would need no home.
func noConsent(patient *emr.Patient) *consent.Consent {
	return &consent.Consent{V: emr.DocumentVersion, Patient: patient.Handle, Status: consent.Active, Document: consent.Nothing()}
}

func noGuardians(patient *emr.Patient) *emr.GuardianSet {
	return &emr.GuardianSet{V: emr.DocumentVersion, Patient: patient.Handle, Guardians: []emr.Guardian{}}
}

func noRule(patient emr.Handle) *emr.GrantRule {
	return &emr.GrantRule{V: emr.DocumentVersion, Patient: patient, Terms: emr.GrantRuleTerms{Confirmers: []string{}}}
}

// putAllGuarded writes a patient's guarded values; nil stands for none.
func putAllGuarded(
	s State, patient *emr.Patient, current *consent.Consent, set *emr.GuardianSet, rule *emr.GrantRule,
) error {
	if current == nil {
		current = noConsent(patient)
	}
	if set == nil {
		set = noGuardians(patient)
	}
	if rule == nil {
		rule = noRule(patient.Handle)
	}
	if err := putPatient(s, patient); err != nil {
		return err
	}
	if err := putStanding(s, patient, current); err != nil {
		return err
	}
	if err := putGuardians(s, patient, set); err != nil {
		return err
	}
	return putRule(s, patient, rule)
}

// decodeIf is decode for a value that may be absent.
func decodeIf[T any](kind string, value []byte, version func(*T) int) (*T, error) {
	if value == nil {
		return nil, nil
	}
	return decode(kind, value, version)
}

// findGuarded reads a guarded value of a patient in the generation that counts, and beside it values that have none.
func findGuarded(
	s Lookup, patient emr.Handle, at func(emr.Handle, uint32) ledgerapi.Key, beside ...ledgerapi.Key,
) (value []byte, others [][]byte, err error) {
	keys := append([]ledgerapi.Key{ledgerapi.HomeMoveKey(patient, 1), at(patient, 0)}, beside...)
	values, err := s.GetAll(keys)
	if err != nil {
		return nil, nil, fmt.Errorf("ledger: read %s: %w", keys[1].Type, err)
	}
	if values[0] == nil {
		return values[1], values[2:], nil
	}
	generation, err := generationOf(s, patient)
	if err != nil {
		return nil, nil, err
	}
	if value, err = s.Get(at(patient, generation)); err != nil {
		return nil, nil, fmt.Errorf("ledger: read %s: %w", keys[1].Type, err)
	}
	return value, values[2:], nil
}

// generationOf follows a patient's moves, each of which must be the patient's own word.
func generationOf(s Lookup, patient emr.Handle) (uint32, error) {
	for generation := uint32(0); ; generation++ {
		move, err := find(s, ledgerapi.HomeMoveKey(patient, generation+1), versionOfHomeMove)
		if err != nil || move == nil {
			return generation, err
		}
		before, err := require(s, ledgerapi.PatientKeyAt(patient, generation), versionOfPatient)
		if err != nil {
			return 0, err
		}
		if err := checkMove(s, before, move, generation+1); err != nil {
			return 0, err
		}
	}
}

// checkMove verifies that a patient has signed exactly the move that the ledger tells of.
func checkMove(s Lookup, before *emr.Patient, move *emr.HomeMove, generation uint32) error {
	forged := emr.E(emr.CodeCorrupt, "the ledger tells of a move that the patient did not sign")
	if signature.VerifyAction(&move.Signed, before.Consent) != nil {
		return forged
	}
	action, err := move.Signed.Parse()
	if err != nil {
		return forged
	}
	var args ledgerapi.MoveHomeArgs
	if err := emr.DecodeCanonical(action.Args, &args); err != nil {
		return forged
	}
	want := ledgerapi.MoveHomeArgs{Patient: before.Handle, Home: move.To, Generation: generation}
	if action.Channel != s.Channel() || action.Contract != s.Contract() || action.Function != ledgerapi.MoveHome ||
		action.Actor != string(before.Handle) || args != want {
		return forged
	}
	return nil
}

// findPatient returns a patient's entry, nil when there is none.
func findPatient(s Lookup, handle emr.Handle) (*emr.Patient, error) {
	value, _, err := findGuarded(s, handle, ledgerapi.PatientKeyAt)
	if err != nil {
		return nil, err
	}
	return decodeIf(ledgerapi.TypePatient, value, versionOfPatient)
}

// requirePatient is findPatient that refuses an absent patient as not found.
func requirePatient(s Lookup, handle emr.Handle) (*emr.Patient, error) {
	patient, err := findPatient(s, handle)
	if err == nil && patient == nil {
		return nil, missing(ledgerapi.TypePatient)
	}
	return patient, err
}

// standingConsent returns a patient's current consent, nil when there is none: what
// was put last, or withdrawn last. Both are read by their exact keys wherever it
// decides, so that a change which commits first invalidates what was decided before.
func standingConsent(s Lookup, patient emr.Handle) (*consent.Consent, error) {
	given, beside, err := findGuarded(s, patient, ledgerapi.ConsentKeyAt, ledgerapi.ConsentWithdrawalKey(patient))
	if err != nil {
		return nil, err
	}
	current, err := decodeIf(ledgerapi.TypeConsent, given, versionOfConsent)
	if err != nil {
		return nil, err
	}
	withdrawn, err := decodeIf(ledgerapi.TypeConsentWithdrawal, beside[0], versionOfConsent)
	if err != nil {
		return nil, err
	}
	if withdrawn != nil && withdrawn.Version > numberOf(current) {
		return withdrawn, nil
	}
	if numberOf(current) == 0 {
		return nil, nil
	}
	return current, nil
}

// guardiansOf returns a patient's guardian set, nil when none was ever named.
func guardiansOf(s Lookup, patient emr.Handle) (*emr.GuardianSet, error) {
	value, _, err := findGuarded(s, patient, ledgerapi.GuardiansKeyAt)
	if err != nil {
		return nil, err
	}
	set, err := decodeIf(ledgerapi.TypeGuardians, value, versionOfGuardians)
	if err != nil || set == nil || set.Version == 0 {
		return nil, err
	}
	return set, nil
}

// grantRuleOf returns a patient's rule about wide grants, nil when none was ever set.
func grantRuleOf(s Lookup, patient emr.Handle) (*emr.GrantRule, error) {
	value, _, err := findGuarded(s, patient, ledgerapi.GrantRuleKeyAt)
	if err != nil {
		return nil, err
	}
	rule, err := decodeIf(ledgerapi.TypeGrantRule, value, versionOfGrantRule)
	if err != nil || rule == nil || rule.Version == 0 {
		return nil, err
	}
	return rule, nil
}

func versionOfHomeMove(m *emr.HomeMove) int       { return m.V }
func versionOfHomeRelease(r *emr.HomeRelease) int { return r.V }
