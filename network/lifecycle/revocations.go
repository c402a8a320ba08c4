// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"context"
	"encoding/pem"
	"errors"
	"fmt"

	"github.com/hyperledger/fabric-admin-sdk/pkg/channel"
	"github.com/hyperledger/fabric-protos-go-apiv2/common"
	"github.com/hyperledger/fabric-protos-go-apiv2/msp"
	"google.golang.org/protobuf/proto"
)

// ConfigBlock returns the channel's newest configuration block. It asks the
// organisation's own first peer and believes it.
func (o *Organisation) ConfigBlock(ctx context.Context) (*common.Block, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	block, err := channel.GetConfigBlock(ctx, o.peers[0], o.admin, o.t.Channel.Name)
	if err != nil {
		return nil, fmt.Errorf("ask a peer of %s for the channel's configuration: %w", o.org.ID, err)
	}
	return block, nil
}

// RevocationLists returns, by MSP id, the PEM of the revocation lists of the members'
// MSPs as a configuration block has them: what peers honour. A member without one is
// absent. Who uses a list verifies who has signed it.
func RevocationLists(block *common.Block) (map[string]string, error) {
	group, err := applicationGroup(block)
	if err != nil {
		return nil, fmt.Errorf("read the channel's configuration: %w", err)
	}
	lists := map[string]string{}
	for name, member := range group.GetGroups() {
		outer, inner := &msp.MSPConfig{}, &msp.FabricMSPConfig{}
		if err := proto.Unmarshal(member.GetValues()["MSP"].GetValue(), outer); err != nil {
			return nil, fmt.Errorf("MSP of %s: %w", name, err)
		}
		if err := proto.Unmarshal(outer.GetConfig(), inner); err != nil {
			return nil, fmt.Errorf("MSP of %s: %w", name, err)
		}
		if outer.GetType() != 0 || inner.GetName() == "" {
			return nil, fmt.Errorf("MSP of %s: it is not one of X.509", name)
		}
		for _, list := range inner.GetRevocationList() {
			lists[inner.GetName()] += string(pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: derOf(list)}))
		}
	}
	return lists, nil
}

// applicationGroup is the part of a channel's configuration with the members' MSPs.
func applicationGroup(block *common.Block) (*common.ConfigGroup, error) {
	if len(block.GetData().GetData()) != 1 {
		return nil, errors.New("the block does not hold exactly one transaction")
	}
	envelope, payload, config := &common.Envelope{}, &common.Payload{}, &common.ConfigEnvelope{}
	if err := proto.Unmarshal(block.GetData().GetData()[0], envelope); err != nil {
		return nil, err
	}
	if err := proto.Unmarshal(envelope.GetPayload(), payload); err != nil {
		return nil, err
	}
	if err := proto.Unmarshal(payload.GetData(), config); err != nil {
		return nil, err
	}
	group := config.GetConfig().GetChannelGroup().GetGroups()["Application"]
	if len(group.GetGroups()) == 0 {
		return nil, errors.New("the channel has no members")
	}
	return group, nil
}

// derOf takes a list out of its PEM; peers take both.
func derOf(list []byte) []byte {
	if block, _ := pem.Decode(list); block != nil {
		return block.Bytes
	}
	return list
}
