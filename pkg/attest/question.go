// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package attest

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"time"

	"github.com/hyperledger/fabric-protos-go-apiv2/common"
	"github.com/hyperledger/fabric-protos-go-apiv2/peer"
	"google.golang.org/protobuf/proto"

	"github.com/emrys-health/emrys/pkg/emr"
)

// Question is what the client asked.
type Question struct {
	// Channel, Chaincode and Function name the query. Function is the name as it
	// is sent, which for this project's contract is the bare name, for example
	// "GetClinician"; the contract answers to no other spelling.
	Channel   string
	Chaincode string
	Function  string
	// Argument is the query's one argument, to the byte: the canonical JSON
	// (emr.Canonical) of the query of package ledgerapi.
	Argument []byte
	// Challenge, when it is not empty, must be the nonce of the proposal. A client
	// that makes one up for each question knows that the answer is younger than
	// the question, whatever clocks say. Fabric's clients use 24 random bytes.
	Challenge []byte
}

func (q Question) validate() error {
	if q.Channel == "" || q.Chaincode == "" || q.Function == "" {
		return emr.Invalid("question", "must name channel, chaincode and function")
	}
	return nil
}

// matchProposal checks that the proposal asks the question, and when. It
// returns the proposal's hash.
func (q Question) matchProposal(data []byte, maxAge time.Duration, now time.Time) ([]byte, error) {
	proposal, header := &peer.Proposal{}, &common.Header{}
	if err := decode(data, proposal, "proposal"); err != nil {
		return nil, err
	}
	if len(proposal.GetExtension()) != 0 {
		return nil, corrupt("proposal has an extension")
	}
	if err := decode(proposal.GetHeader(), header, "header of the proposal"); err != nil {
		return nil, err
	}
	channel, err := q.matchChannel(header.GetChannelHeader())
	if err != nil {
		return nil, err
	}
	if err := matchTime(channel, maxAge, now); err != nil {
		return nil, err
	}
	if err := q.matchSignatureHeader(header.GetSignatureHeader(), channel.GetTxId()); err != nil {
		return nil, err
	}
	if err := q.matchInvocation(proposal.GetPayload()); err != nil {
		return nil, err
	}
	h := sha256.New()
	h.Write(header.GetChannelHeader())
	h.Write(header.GetSignatureHeader())
	h.Write(proposal.GetPayload())
	return h.Sum(nil), nil
}

func (q Question) matchChannel(data []byte) (*common.ChannelHeader, error) {
	channel, extension := &common.ChannelHeader{}, &peer.ChaincodeHeaderExtension{}
	if err := decode(data, channel, "channel header"); err != nil {
		return nil, err
	}
	if channel.GetType() != int32(common.HeaderType_ENDORSER_TRANSACTION) {
		return nil, corrupt("proposal is not that of a transaction")
	}
	if channel.GetEpoch() != 0 {
		return nil, corrupt("proposal is of another epoch")
	}
	if channel.GetChannelId() != q.Channel {
		return nil, corrupt("proposal is for another channel")
	}
	if err := decode(channel.GetExtension(), extension, "extension of the channel header"); err != nil {
		return nil, err
	}
	if !proto.Equal(extension.GetChaincodeId(), &peer.ChaincodeID{Name: q.Chaincode}) {
		return nil, corrupt("proposal is for another chaincode")
	}
	return channel, nil
}

func matchTime(channel *common.ChannelHeader, maxAge time.Duration, now time.Time) error {
	if err := channel.GetTimestamp().CheckValid(); err != nil {
		return emr.Wrap(emr.CodeCorrupt, "proposal has no valid time", err)
	}
	at := channel.GetTimestamp().AsTime()
	switch {
	case at.Before(now.Add(-maxAge)):
		return corrupt("answer is too old")
	case at.After(now.Add(maxAge)):
		return corrupt("answer is from the future")
	default:
		return nil
	}
}

func (q Question) matchSignatureHeader(data []byte, txID string) error {
	header := &common.SignatureHeader{}
	if err := decode(data, header, "signature header"); err != nil {
		return err
	}
	if len(header.GetCreator()) == 0 || len(header.GetNonce()) == 0 {
		return corrupt("proposal has no creator or no nonce")
	}
	h := sha256.New()
	h.Write(header.GetNonce())
	h.Write(header.GetCreator())
	if hex.EncodeToString(h.Sum(nil)) != txID {
		return corrupt("transaction id does not belong to the proposal")
	}
	if len(q.Challenge) > 0 && subtle.ConstantTimeCompare(header.GetNonce(), q.Challenge) != 1 {
		return corrupt("answer is to another challenge")
	}
	return nil
}

func (q Question) matchInvocation(data []byte) error {
	payload, spec := &peer.ChaincodeProposalPayload{}, &peer.ChaincodeInvocationSpec{}
	if err := decode(data, payload, "payload of the proposal"); err != nil {
		return err
	}
	if len(payload.GetTransientMap()) != 0 {
		return corrupt("proposal has transient data")
	}
	if err := decode(payload.GetInput(), spec, "invocation"); err != nil {
		return err
	}
	call := spec.GetChaincodeSpec()
	args := call.GetInput().GetArgs()
	switch {
	case !proto.Equal(call.GetChaincodeId(), &peer.ChaincodeID{Name: q.Chaincode}):
		return corrupt("invocation is of another chaincode")
	case call.GetInput().GetIsInit() || len(call.GetInput().GetDecorations()) != 0:
		return corrupt("invocation is not a plain one")
	case len(args) != 2:
		return corrupt("invocation has another number of arguments")
	case string(args[0]) != q.Function:
		return corrupt("invocation is of another function")
	case !bytes.Equal(args[1], q.Argument):
		return corrupt("invocation has another argument")
	default:
		return nil
	}
}
