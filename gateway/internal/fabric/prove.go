// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package fabric

import (
	"context"
	"fmt"

	"github.com/hyperledger/fabric-gateway/pkg/client"

	"github.com/emrys-health/emrys/gateway/internal/service"
	"github.com/emrys-health/emrys/pkg/api"
	"github.com/emrys-health/emrys/pkg/attest"
	"github.com/emrys-health/emrys/pkg/emr"
)

var _ service.Prover = (*Ledger)(nil)

// Prove implements service.Prover: the query is endorsed like a transaction, by
// a majority of the organisations, and never submitted.
func (l *Ledger) Prove(ctx context.Context, function string, argument any) (api.Proof, error) {
	text, err := emr.Canonical(argument)
	if err != nil {
		return api.Proof{}, err
	}
	tx, _, err := l.endorse(ctx, function, client.WithBytesArguments(text))
	if err != nil {
		return api.Proof{}, err
	}
	prepared, err := tx.Bytes()
	if err != nil {
		return api.Proof{}, fmt.Errorf("encode endorsed query: %w", err)
	}
	attestation, err := attest.FromPrepared(prepared)
	if err != nil {
		return api.Proof{}, err
	}
	proof := api.Proof{Proposal: attestation.Proposal, Response: attestation.Response}
	for _, e := range attestation.Endorsements {
		proof.Endorsements = append(proof.Endorsements, api.ProofEndorsement(e))
	}
	return proof, nil
}
