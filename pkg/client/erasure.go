// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"crypto/rand"

	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// EraseRecord orders the destruction of a record of the patient's, all versions,
// at every holder (docs/spec/erasure.md). Nobody reads it from the commit on; what
// the holders have done tells [Client.Erasure], by the receipt's id. Grants and
// requests that hang on it alone, and the texts of what was asked to be corrected in
// it, are ended by the gateway of the record's hospital.
//
// A denial (a hold, a time for which the record must be kept) is a rule error with
// its reason and the transaction that holds it. After a lost answer the receipt has
// neither time nor decision; the order then tells by itself that it stands.
func (c *Client) EraseRecord(ctx context.Context, record emr.RecordID, ground emr.ErasureGround) (*ledgerapi.DecisionReceipt, error) {
	if err := c.onlyPatient(); err != nil {
		return nil, err
	}
	id, err := emr.GenerateID[emr.ErasureID](rand.Reader)
	if err != nil {
		return nil, err
	}
	args := ledgerapi.EraseRecordArgs{
		Patient: c.profile.Handle, Erasure: id, Record: record, Ground: ground,
		Grants: []emr.GrantID{}, Requests: []emr.RequestID{}, Amendments: []emr.AmendmentID{},
	}
	var receipt ledgerapi.DecisionReceipt
	done, err := c.submit(ctx, "record.erase", ledgerapi.EraseRecord, &args, &receipt, nil)
	switch {
	case err != nil:
		return nil, err
	case done.recovered:
		return &ledgerapi.DecisionReceipt{TxID: done.txID, ID: string(id)}, nil
	case receipt.Decision != emr.Permit:
		return nil, &emr.Error{
			Code: emr.CodeRule, Op: "record.erase", Reason: receipt.Reason, TxID: receipt.TxID,
			Message: "the erasure was refused: " + receipt.Reason.Explain(),
		}
	case receipt.ID != string(id):
		return nil, emr.E(emr.CodeCorrupt, "the gateway answered with another order")
	}
	return &receipt, nil
}

// Erasure returns how an order of the patient's stands, holder by holder, proven
// by several organisations: a gateway's word that everybody has destroyed
// something is not enough.
func (c *Client) Erasure(ctx context.Context, id emr.ErasureID) (*ledgerapi.ErasureView, error) {
	if err := c.onlyPatient(); err != nil {
		return nil, err
	}
	view, err := proven[ledgerapi.ErasureView](ctx, c, ledgerapi.GetErasure, &ledgerapi.ErasureQuery{Erasure: id})
	if err != nil {
		return nil, err
	}
	if view.Erasure.ID != id || view.Erasure.Patient != c.profile.Handle {
		return nil, emr.E(emr.CodeCorrupt, "the gateway answered with another order")
	}
	return view, nil
}

// Erasures lists the patient's orders, newest first. A list is the gateway's word.
func (c *Client) Erasures(ctx context.Context, p Page) (*ledgerapi.ErasurePage, error) {
	if err := c.onlyPatient(); err != nil {
		return nil, err
	}
	return list[ledgerapi.ErasurePage](ctx, c, "erasure.list", p)
}
