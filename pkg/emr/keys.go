// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package emr

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
