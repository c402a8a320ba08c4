// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package emr

// RecoveryID is one recovery of a patient's keys by guardians ("rcv_").
type RecoveryID string

// RecoveryPrefix begins a RecoveryID.
const RecoveryPrefix = "rcv_"

func (RecoveryID) prefix() string { return RecoveryPrefix }
