// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"encoding/json"
	"time"

	"github.com/emrys-health/emrys/pkg/api"
	"github.com/emrys-health/emrys/pkg/attest"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

const (
	// proofQuorum is how many organisations beside the gateway's own must have
	// endorsed a registry entry: a gateway that lies needs as many accomplices as
	// it would to open records by itself.
	proofQuorum = 2
	// proofAge is how old a proof may be, either way: clocks of devices differ.
	proofAge = 5 * time.Minute
)

// proven asks a query of the registry and believes the answer only when peers of
// enough organisations other than the gateway's own have endorsed it, under the
// authorities that were pinned at the join. Which key somebody has decides who
// can read: a gateway's word is not enough for that. A refusal (not found,
// forbidden) cannot be proven and stands as the gateway's word.
func proven[T any](ctx context.Context, c *Client, function string, query any) (*T, error) {
	return provenOn[T](ctx, c, c.profile.Channel, function, query)
}

// provenOn is proven for a channel that the profile may not have pinned yet.
func provenOn[T any](ctx context.Context, c *Client, channel, function string, query any) (*T, error) {
	argument, err := emr.Canonical(query)
	if err != nil {
		return nil, err
	}
	var proof api.Proof
	k := call{operation: "registry.prove", json: &api.ProofRequest{Function: function, Argument: argument}}
	if err := c.query(ctx, k, &proof); err != nil {
		return nil, err
	}
	answer, err := c.verifyProof(&proof, channel, function, argument)
	if err != nil {
		return nil, err
	}
	var out T
	if err := json.Unmarshal(answer, &out); err != nil {
		return nil, corrupt("the registry's answer cannot be read", err)
	}
	return &out, nil
}

func (c *Client) verifyProof(proof *api.Proof, channel, function string, argument []byte) ([]byte, error) {
	attestation := attest.Attestation{Proposal: proof.Proposal, Response: proof.Response}
	for _, e := range proof.Endorsements {
		attestation.Endorsements = append(attestation.Endorsements, attest.Endorsement(e))
	}
	question := attest.Question{
		Channel: channel, Chaincode: ledgerapi.ChaincodeName, Function: function, Argument: argument,
	}
	policy := attest.Policy{
		Roots: c.profile.Consortium, Quorum: proofQuorum, Exclude: []emr.OrgID{c.profile.Org}, MaxAge: proofAge,
	}
	return attestation.Verify(question, policy, c.now())
}
