// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package emr

// Governance of a patient's home.
const (
	// ProposeHomeRelease: a patient may move to another home hospital without the
	// endorsement of the present one.
	ProposeHomeRelease ProposalKind = "release-patient"
)

// AuditHome is the kind of the entry about a patient's move.
const (
	AuditHome AuditKind = "home.moved" // the patient moved to another home hospital
)

// HomeMove tells under which generation the guarded values of a patient are kept.
// Values of an earlier generation count no more: the hospital that they needed for
// a change was gone, or the members released the patient from it. Signed is the
// patient's MoveHome: whoever reads a move verifies it by the key of the generation
// before, so that no majority can make one up. Key: Handle and Generation.
type HomeMove struct {
	V          int          `json:"v"`
	Patient    Handle       `json:"patient"`
	Generation uint32       `json:"generation"` // from 1
	From       OrgID        `json:"from"`
	To         OrgID        `json:"to"`
	At         Time         `json:"at"`
	Signed     SignedAction `json:"signed"`
}

// HomeRelease is the members' word that a patient may leave a home hospital
// without its endorsement. It serves the patient as registered in one generation. Key: Handle.
type HomeRelease struct {
	V          int        `json:"v"`
	Patient    Handle     `json:"patient"`
	Generation uint32     `json:"generation"`
	From       OrgID      `json:"from"`
	Proposal   ProposalID `json:"proposal"`
	At         Time       `json:"at"`
}
