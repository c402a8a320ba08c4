// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package emr

// Absent stands in DecidedFrom for what was named and was not there.
const Absent = "absent"

// DecidedFrom tells in which state that changes a disclosure found what it was
// decided from. Every field is left out when it is the usual one.
type DecidedFrom struct {
	// Reader is the version of the reader's keys, Status the reader's when not active.
	Reader uint32          `json:"reader,omitempty"`
	Status ClinicianStatus `json:"status,omitempty"`
	// Record is the status of the version, absent when it could be read.
	Record RecordStatus `json:"record,omitempty"`
	// Grant is the status of the grant named when it was not live: GrantRevoked, GrantWaiting, or Absent.
	Grant GrantStatus `json:"grant,omitempty"`
	// Session is the status of the session named when it was not open, or Absent; Plan
	// the version of the patient's emergency plan, 0 when there was none.
	Session EmergencyStatus `json:"session,omitempty"`
	Plan    uint32          `json:"plan,omitempty"`
	// Limits is what a narrowing had left of the grant, Ready when a confirmed one begins to give; absent where neither was.
	Limits *Limits `json:"limits,omitempty"`
	Ready  Time    `json:"ready,omitempty"`
}

// ReplayVerdict is what came of deciding a disclosure again. The list is append-only.
type ReplayVerdict string

// Verdicts of a replay.
const (
	// ReplaySame: what it was decided from is there and unaltered, and gives the same decision for the same reason.
	ReplaySame ReplayVerdict = "same"
	// ReplayDiverged: what is there is not what it was decided from, or does not give the decision that was committed.
	ReplayDiverged ReplayVerdict = "diverged"
	// ReplayImpossible: what it was decided from is not there, or not told.
	ReplayImpossible ReplayVerdict = "not-reconstructable"
)

// ReplayFault is why a replay did not give the same. The list is append-only.
type ReplayFault string

// Faults of a replay. The first two make it impossible, the others make it diverge.
const (
	// FaultNoInputs: the disclosure was committed before digests of inputs were.
	FaultNoInputs ReplayFault = "no-inputs"
	// FaultMissing: a document that it was decided from is not there.
	FaultMissing ReplayFault = "missing"
	// FaultInputs: the inputs, put together again, have another digest: one of them is not what it was.
	FaultInputs ReplayFault = "inputs"
	// FaultDecision: the inputs give another decision, or another reason.
	FaultDecision ReplayFault = "decision"
	// FaultHistory: a document was at that time not in the state that the disclosure names.
	FaultHistory ReplayFault = "history"
)
