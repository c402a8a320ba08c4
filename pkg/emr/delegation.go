// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package emr

// DelegationKind tells why somebody may sign for a patient.
type DelegationKind string

// Kinds. A guardian here is the legal guardian of a minor, and has nothing to do
// with the guardians who keep shares of a lost key.
const (
	// DelegationChosen: the patient chose the delegate and may end it alone.
	DelegationChosen DelegationKind = "chosen"
	// DelegationGuardian: the home hospital has seen the guardianship. It ends by
	// itself at the date named, when the minor comes of age.
	DelegationGuardian DelegationKind = "guardian"
)

// DelegationStatus is the stored state of a delegation; its end follows from Until.
type DelegationStatus string

// States of a delegation.
const (
	DelegationLive  DelegationStatus = "live"
	DelegationEnded DelegationStatus = "ended"
)

// Delegation lets another registered patient sign for a patient until a time.
// Key: Patient, Delegate.
type Delegation struct {
	V        int              `json:"v"`
	Patient  Handle           `json:"patient"`
	Delegate Handle           `json:"delegate"`
	Kind     DelegationKind   `json:"kind"`
	Until    Time             `json:"until"` // exclusive
	Status   DelegationStatus `json:"status"`
	Action   Digest           `json:"action"` // that named the delegate
	Named    Time             `json:"named"`
	Ended    Time             `json:"ended"`
}

// Holds tells whether the delegate may sign at a moment.
func (d *Delegation) Holds(now Time) bool { return d.Status == DelegationLive && now < d.Until }
