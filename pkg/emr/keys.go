// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package emr

// ClinicianStatus tells whether a clinician's own organisation lets the clinician act.
type ClinicianStatus string

// States of a clinician. Off-boarding is final.
const (
	ClinicianActive     ClinicianStatus = ""
	ClinicianSuspended  ClinicianStatus = "suspended"
	ClinicianOffboarded ClinicianStatus = "offboarded"
)

// Denial returns why a clinician of the status may not act, or "" for an active one.
func (s ClinicianStatus) Denial() Reason {
	switch s {
	case ClinicianActive:
		return ""
	case ClinicianSuspended:
		return ReasonSuspended
	case ClinicianRevoked:
		return ReasonRevokedCertificate
	default:
		return ReasonOffboarded
	}
}

// PatientKeys is one version of a patient's pinned keys. Version 0 is what the
// patient registered with; every replacement counts one up.
type PatientKeys struct {
	V       int       `json:"v"`
	Patient Handle    `json:"patient"`
	Version uint32    `json:"version"`
	Consent PinnedKey `json:"consent"`
	Hybrid  []byte    `json:"hybrid"`
	// From is when the version was pinned, Until when it was replaced; absent while it is current.
	From  Time `json:"from"`
	Until Time `json:"until"`
}
