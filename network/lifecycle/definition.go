// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"github.com/hyperledger/fabric-admin-sdk/pkg/chaincode"
	"github.com/hyperledger/fabric-protos-go-apiv2/common"
	"github.com/hyperledger/fabric-protos-go-apiv2/msp"
	"github.com/hyperledger/fabric-protos-go-apiv2/peer"
	"google.golang.org/protobuf/proto"

	"github.com/emrys-health/emrys/network/topology"
)

// endorsementPolicy is the channel's own: a majority of the organisations,
// however many they become.
const endorsementPolicy = "/Channel/Application/Endorsement"

func (o *Organisation) definition(packageID string) *chaincode.Definition {
	return &chaincode.Definition{
		ChannelName:       o.t.Channel.Name,
		Name:              o.t.Chaincode.Name,
		Version:           o.t.Chaincode.Version,
		Sequence:          o.t.Chaincode.Sequence,
		PackageID:         packageID,
		EndorsementPlugin: "escc",
		ValidationPlugin:  "vscc",
		ApplicationPolicy: &peer.ApplicationPolicy{Type: &peer.ApplicationPolicy_ChannelConfigPolicyReference{
			ChannelConfigPolicyReference: endorsementPolicy,
		}},
		Collections: collections(o.t),
	}
}

// collections describes the private data collections: only members read and
// write, nothing expires by itself. It is a pure function of the topology, the
// roster first of all: the same topology gives the same octets at every
// organisation, which approve them one by one, and one organisation more extends
// the members and changes nothing else.
func collections(t *topology.Topology) *peer.CollectionConfigPackage {
	if len(t.Chaincode.Collections) == 0 {
		return nil
	}
	configs := make([]*peer.CollectionConfig, 0, len(t.Chaincode.Collections))
	for i := range t.Chaincode.Collections {
		c := &t.Chaincode.Collections[i]
		configs = append(configs, &peer.CollectionConfig{Payload: &peer.CollectionConfig_StaticCollectionConfig{
			StaticCollectionConfig: &peer.StaticCollectionConfig{
				Name: c.Name,
				MemberOrgsPolicy: &peer.CollectionPolicyConfig{
					Payload: &peer.CollectionPolicyConfig_SignaturePolicy{SignaturePolicy: anyMember(t.MembersOf(c))},
				},
				RequiredPeerCount: c.RequiredPeerCount,
				MaximumPeerCount:  c.MaxPeerCount,
				MemberOnlyRead:    true,
				MemberOnlyWrite:   true,
			},
		}})
	}
	return &peer.CollectionConfigPackage{Config: configs}
}

// anyMember is the policy "a member of any of the organisations".
func anyMember(msps []string) *common.SignaturePolicyEnvelope {
	envelope := &common.SignaturePolicyEnvelope{}
	var rules []*common.SignaturePolicy
	for i, id := range msps {
		// Marshalling a role of two plain fields cannot fail.
		role, _ := proto.MarshalOptions{Deterministic: true}.Marshal(
			&msp.MSPRole{MspIdentifier: id, Role: msp.MSPRole_MEMBER})
		envelope.Identities = append(envelope.Identities, &msp.MSPPrincipal{
			PrincipalClassification: msp.MSPPrincipal_ROLE, Principal: role,
		})
		rules = append(rules, &common.SignaturePolicy{Type: &common.SignaturePolicy_SignedBy{SignedBy: int32(i)}})
	}
	envelope.Rule = &common.SignaturePolicy{Type: &common.SignaturePolicy_NOutOf_{
		NOutOf: &common.SignaturePolicy_NOutOf{N: 1, Rules: rules},
	}}
	return envelope
}
