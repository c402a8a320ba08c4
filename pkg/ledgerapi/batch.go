// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledgerapi

import "github.com/emrys-health/emrys/pkg/emr"

// DiscloseBatch takes a JSON array of signed Disclose actions of one gateway's
// clinicians in TransientActions: -> BatchReceipt. It is submitted by that gateway.
const DiscloseBatch = "DiscloseBatch"

// TransientActions is the transient field that carries a JSON array of emr.SignedAction.
const TransientActions = "actions"

// EventDisclosedBatch tells of the disclosures of a batch, by their ids in Event.IDs.
const EventDisclosedBatch = "disclosed.batch"

// Limits of a batch.
const (
	// MaxBatch is the number of actions of one batch.
	MaxBatch = 64
	// MaxBatchedAction bounds the JSON of each in bytes.
	MaxBatchedAction = 8 << 10
)

// BatchReceipt is the result of a batch: one outcome for each action, in their order.
type BatchReceipt struct {
	TxID     string         `json:"txId"`
	At       emr.Time       `json:"at"`
	Outcomes []BatchOutcome `json:"outcomes"`
}

// BatchOutcome is what became of one action. With a Code it was refused and left
// nothing on the ledger; without one Receipt is what the single transaction's would be.
type BatchOutcome struct {
	Action  emr.Digest      `json:"action"` // zero when the action cannot be read
	Code    emr.Code        `json:"code"`
	Message string          `json:"msg"`
	Field   string          `json:"field"`
	Reason  emr.Reason      `json:"reason"`
	SpentBy string          `json:"spentBy"` // the transaction that spent the action before
	Receipt DecisionReceipt `json:"receipt"`
}
