// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package contract

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/hyperledger/fabric-protos-go-apiv2/common"
	"github.com/hyperledger/fabric-protos-go-apiv2/msp"
	"google.golang.org/protobuf/proto"

	"github.com/emrys-health/emrys/chaincode/ledger"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// Guard implements ledger.State by a key's validation parameter. Reading the
// parameter reads the key, which the rules that write a guarded value read anyway;
// writing it only where it changes keeps two transactions of one block from failing
// on each other's parameter.
func (s *submission) Guard(key ledgerapi.Key, guard ledger.Guard) error {
	name, err := s.name(key)
	if err != nil {
		return err
	}
	want, err := endorsementPolicy(guard)
	if err != nil {
		return err
	}
	present, err := s.stub.GetStateValidationParameter(name)
	if err != nil || bytes.Equal(present, want) {
		return err
	}
	return s.stub.SetStateValidationParameter(name, want)
}

// endorsementPolicy is "a peer of the home, and peers of so many of the others". All
// endorsers must arrive at the same bytes. The statebased package of the shim can
// only say "all of them".
func endorsementPolicy(guard ledger.Guard) ([]byte, error) {
	members := append([]emr.OrgID{guard.Home}, guard.Others...)
	if guard.Need > len(guard.Others) || slices.Contains(guard.Others, guard.Home) {
		return nil, fmt.Errorf("contract: guard of %s cannot be satisfied", guard.Home)
	}
	envelope := &common.SignaturePolicyEnvelope{}
	signed := make([]*common.SignaturePolicy, len(members))
	for i, member := range members {
		role, err := proto.MarshalOptions{Deterministic: true}.Marshal(
			&msp.MSPRole{MspIdentifier: string(member), Role: msp.MSPRole_PEER})
		if err != nil {
			return nil, fmt.Errorf("contract: make principal: %w", err)
		}
		envelope.Identities = append(envelope.Identities, &msp.MSPPrincipal{
			PrincipalClassification: msp.MSPPrincipal_ROLE, Principal: role,
		})
		signed[i] = &common.SignaturePolicy{Type: &common.SignaturePolicy_SignedBy{SignedBy: int32(i)}} //nolint:gosec // few members
	}
	envelope.Rule = signed[0]
	if guard.Need > 0 {
		envelope.Rule = outOf(2, signed[0], outOf(guard.Need, signed[1:]...))
	}
	policy, err := proto.MarshalOptions{Deterministic: true}.Marshal(envelope)
	if err != nil {
		return nil, fmt.Errorf("contract: make endorsement policy: %w", err)
	}
	return policy, nil
}

func outOf(n int, rules ...*common.SignaturePolicy) *common.SignaturePolicy {
	return &common.SignaturePolicy{Type: &common.SignaturePolicy_NOutOf_{
		NOutOf: &common.SignaturePolicy_NOutOf{N: int32(n), Rules: rules}, //nolint:gosec // few members
	}}
}
