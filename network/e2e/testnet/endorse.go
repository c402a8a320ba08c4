// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package testnet

import (
	"context"

	"github.com/hyperledger/fabric-gateway/pkg/client"
	"github.com/hyperledger/fabric-protos-go-apiv2/peer"

	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// SubmitEndorsed submits a person's transaction with the endorsements of the named
// organisations and of no others, and returns how the peers validated it.
func (m *Member) SubmitEndorsed(
	ctx context.Context, function string, signed *emr.SignedAction, orgs ...string,
) (peer.TxValidationCode, error) {
	raw, err := emr.Canonical(signed)
	if err != nil {
		return 0, err
	}
	proposal, err := m.Contract(ledgerapi.ChaincodeName).NewProposal(function,
		client.WithTransient(map[string][]byte{ledgerapi.TransientAction: raw}), client.WithEndorsingOrganizations(orgs...))
	if err != nil {
		return 0, err
	}
	transaction, err := proposal.EndorseWithContext(ctx)
	if err != nil {
		return 0, Decoded(err)
	}
	commit, err := transaction.SubmitWithContext(ctx)
	if err != nil {
		return 0, Decoded(err)
	}
	status, err := commit.StatusWithContext(ctx)
	if err != nil {
		return 0, Decoded(err)
	}
	return status.Code, nil
}
