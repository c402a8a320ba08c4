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

// Of returns what the single transaction would have answered to the action at i,
// which was not refused.
func (r *BatchReceipt) Of(i int) *DecisionReceipt {
	receipt := r.Outcomes[i].Receipt
	receipt.TxID, receipt.At = r.TxID, r.At
	return &receipt
}

// BatchOutcome is what became of one action. With a Code it was refused and left
// nothing on the ledger; without one there is a Receipt, but for transaction and
// time, which are the batch's: every peer stores the answer.
type BatchOutcome struct {
	Action  emr.Digest      `json:"action"` // zero when the action cannot be read
	Code    emr.Code        `json:"code,omitempty"`
	Message string          `json:"msg,omitempty"`
	Field   string          `json:"field,omitempty"`
	Reason  emr.Reason      `json:"reason,omitempty"`
	SpentBy string          `json:"spentBy,omitempty"` // the transaction that spent the action before
	Receipt DecisionReceipt `json:"receipt,omitzero"`
}
