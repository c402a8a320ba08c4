// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package attesttest

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"time"

	"github.com/hyperledger/fabric-protos-go-apiv2/common"
	"github.com/hyperledger/fabric-protos-go-apiv2/ledger/rwset"
	"github.com/hyperledger/fabric-protos-go-apiv2/ledger/rwset/kvrwset"
	"github.com/hyperledger/fabric-protos-go-apiv2/peer"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/emrys-health/emrys/pkg/attest"
	"github.com/emrys-health/emrys/pkg/emr"
)

// Prove has the peers of the named organisations endorse an answer to a
// question that was asked at the time now. Whether the answer is true is the
// test's affair.
func (c *Consortium) Prove(
	channel, chaincode, function string, argument, answer []byte, now time.Time, orgs ...emr.OrgID,
) *attest.Attestation {
	c.tb.Helper()
	header, payload := c.ask(channel, chaincode, function, argument, now)
	hash := sha256.Sum256(slices.Concat(header.GetChannelHeader(), header.GetSignatureHeader(), payload))
	response := Encode(c.tb, &peer.ProposalResponsePayload{ProposalHash: hash[:], Extension: Encode(c.tb, &peer.ChaincodeAction{
		ChaincodeId: &peer.ChaincodeID{Name: chaincode, Version: "1.0"},
		Response:    &peer.Response{Status: 200, Payload: answer},
		Results:     c.reads(chaincode),
	})})
	a := &attest.Attestation{
		Proposal: Encode(c.tb, &peer.Proposal{Header: Encode(c.tb, header), Payload: payload}), Response: response,
		Endorsements: []attest.Endorsement{},
	}
	for _, org := range orgs {
		e, ok := c.peers[org]
		require.True(c.tb, ok, "no organisation %s", org)
		a.Endorsements = append(a.Endorsements, e.Endorse(c.tb, response))
	}
	return a
}

// ask makes the header and the payload of a proposal.
func (c *Consortium) ask(channel, chaincode, function string, argument []byte, now time.Time) (*common.Header, []byte) {
	creator, nonce := []byte("the gateway"), make([]byte, 24)
	_, err := rand.Read(nonce)
	require.NoError(c.tb, err)
	txID := sha256.Sum256(slices.Concat(nonce, creator))
	id := &peer.ChaincodeID{Name: chaincode}
	header := &common.Header{
		ChannelHeader: Encode(c.tb, &common.ChannelHeader{
			Type: int32(common.HeaderType_ENDORSER_TRANSACTION), ChannelId: channel, Timestamp: timestamppb.New(now),
			TxId: hex.EncodeToString(txID[:]), Extension: Encode(c.tb, &peer.ChaincodeHeaderExtension{ChaincodeId: id}),
		}),
		SignatureHeader: Encode(c.tb, &common.SignatureHeader{Creator: creator, Nonce: nonce}),
	}
	invocation := &peer.ChaincodeInvocationSpec{ChaincodeSpec: &peer.ChaincodeSpec{
		ChaincodeId: id, Input: &peer.ChaincodeInput{Args: [][]byte{[]byte(function), argument}},
	}}
	return header, Encode(c.tb, &peer.ChaincodeProposalPayload{Input: Encode(c.tb, invocation)})
}

// reads is the read-write set of a query.
func (c *Consortium) reads(chaincode string) []byte {
	public := &kvrwset.KVRWSet{Reads: []*kvrwset.KVRead{{Key: "entry", Version: &kvrwset.Version{BlockNum: 7}}}}
	return Encode(c.tb, &rwset.TxReadWriteSet{NsRwset: []*rwset.NsReadWriteSet{
		{Namespace: chaincode, Rwset: Encode(c.tb, public)},
	}})
}

// Substitute returns a response whose answer was changed by somebody on its way
// who cannot make the peers sign again. The error is that of a response that
// cannot be read.
func Substitute(response []byte, change func(answer []byte) []byte) ([]byte, error) {
	payload, action := &peer.ProposalResponsePayload{}, &peer.ChaincodeAction{}
	if err := proto.Unmarshal(response, payload); err != nil {
		return nil, err
	}
	if err := proto.Unmarshal(payload.GetExtension(), action); err != nil {
		return nil, err
	}
	action.Response.Payload = change(action.GetResponse().GetPayload())
	var err error
	if payload.Extension, err = proto.Marshal(action); err != nil {
		return nil, err
	}
	return proto.Marshal(payload)
}
