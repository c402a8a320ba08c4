// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package emr

// RecoveryID is one recovery of a patient's keys by guardians ("rcv_").
type RecoveryID string

// RecoveryPrefix begins a RecoveryID.
const RecoveryPrefix = "rcv_"

func (RecoveryID) prefix() string { return RecoveryPrefix }

// Guardian is a person who may help a patient to new keys: a patient by Handle or
// a professional by ClinicianID. Org is the professional's organisation, and empty
// for a patient, who counts alone.
type Guardian struct {
	ID  string `json:"id"`
	Org OrgID  `json:"org"`
}

// GuardianSet is whom a patient trusts with a recovery. Key: Patient. Version
// counts from 1; a set without guardians allows no recovery.
type GuardianSet struct {
	V         int        `json:"v"`
	Patient   Handle     `json:"patient"`
	Version   uint32     `json:"version"`
	Guardians []Guardian `json:"guardians"` // sorted by id
	Threshold uint8      `json:"threshold"`
	// WaitHours is how long a recovery waits for a veto once it has its approvals.
	WaitHours uint32 `json:"waitHours"`
	Set       Time   `json:"set"`
}

// Find returns the guardian of an id, and whether the set names one.
func (s *GuardianSet) Find(id string) (Guardian, bool) {
	for _, g := range s.Guardians {
		if g.ID == id {
			return g, true
		}
	}
	return Guardian{}, false
}

// RecoveryStatus is the state of a recovery.
type RecoveryStatus string

// States: proposed, then waiting; either may end as vetoed, expired or superseded,
// and a waiting one as completed.
const (
	// RecoveryProposed: approvals are missing.
	RecoveryProposed RecoveryStatus = "proposed"
	// RecoveryWaiting: it has its approvals, and waits for a veto or its time.
	RecoveryWaiting   RecoveryStatus = "waiting"
	RecoveryCompleted RecoveryStatus = "completed"
	RecoveryVetoed    RecoveryStatus = "vetoed"
	RecoveryExpired   RecoveryStatus = "expired"
	// RecoverySuperseded: another recovery of the patient was completed first.
	RecoverySuperseded RecoveryStatus = "superseded"
)

// Open tells whether the recovery may still become something else.
func (s RecoveryStatus) Open() bool { return s == RecoveryProposed || s == RecoveryWaiting }

// Approval is one guardian's signed yes.
type Approval struct {
	Guardian string `json:"guardian"`
	Action   Digest `json:"action"`
	At       Time   `json:"at"`
}

// Recovery is one attempt to pin new keys for a patient without the old ones. Key: RecoveryID.
type Recovery struct {
	V       int        `json:"v"`
	ID      RecoveryID `json:"id"`
	Patient Handle     `json:"patient"`
	// Set is the guardian set under which it was proposed. A later one changes nothing in it.
	Set GuardianSet `json:"set"`
	// After is how many recoveries of the patient were completed before it was proposed.
	After   uint32    `json:"after"`
	Consent PinnedKey `json:"consent"`
	Hybrid  []byte    `json:"hybrid"`
	// Claim is the digest of the ProveKey action by Consent; guardians approve it by name.
	Claim     Digest         `json:"claim"`
	Approvals []Approval     `json:"approvals"`
	Status    RecoveryStatus `json:"status"`
	Proposed  Time           `json:"proposed"`
	// Ready is when it may be completed; absent while approvals are missing.
	Ready Time `json:"ready"`
	// Expires is when it ends unless it has moved on.
	Expires Time `json:"expires"`
	Ended   Time `json:"ended"`
}
