// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package attest

import (
	_ "embed"
	"testing"
	"time"

	"github.com/hyperledger/fabric-protos-go-apiv2/common"
	"github.com/hyperledger/fabric-protos-go-apiv2/peer"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/emrys-health/emrys/pkg/emr"
)

// The envelope of a transaction that peers of Fabric v3.1.1 endorsed for the Go
// client, out of a block of a network of the default topology: the commit of the
// contract's definition, by three organisations. It is the witness that the
// format here is Fabric's and not only that of this package's own tests.
//
//go:embed testdata/fabric-v3.1.1.json
var fabricEnvelope []byte

func TestTheFormatIsFabrics(t *testing.T) {
	t.Parallel()
	var recorded struct {
		Envelope []byte `json:"envelope"`
		Roots    Roots  `json:"roots"`
	}
	require.NoError(t, emr.Decode(fabricEnvelope, &recorded))
	a, err := FromEnvelope(recorded.Envelope)
	require.NoError(t, err)

	q, at := recordedQuestion(t, a)
	p := Policy{Roots: recorded.Roots, Quorum: 3, MaxAge: time.Minute}
	pinned, err := p.trusts()
	require.NoError(t, err)
	require.NoError(t, a.count(pinned, 3, at), "the endorsements hold")
	require.Error(t, a.count(pinned, 4, at))

	hash, err := q.matchProposal(a.Proposal, p.MaxAge, at)
	require.NoError(t, err)
	response := &peer.ProposalResponsePayload{}
	require.NoError(t, proto.Unmarshal(a.Response, response))
	require.Equal(t, response.GetProposalHash(), hash, "the proposal's hash is what the peers computed")

	action := &peer.ChaincodeAction{}
	require.NoError(t, decode(response.GetExtension(), action, "action"))
	require.EqualError(t, readsOnly(action.GetResults()), "corrupt: response writes, as no query does")
	_, err = a.Verify(q, p, at)
	require.ErrorContains(t, err, "response holds no answer", "it is a transaction, and nothing before that is against it")

	a.Response[len(a.Response)-1] ^= 1
	require.Error(t, a.count(pinned, MinQuorum, at))
}

// recordedQuestion returns what the recorded transaction asked, and when.
func recordedQuestion(t *testing.T, a *Attestation) (Question, time.Time) {
	t.Helper()
	proposal, header, channel := &peer.Proposal{}, &common.Header{}, &common.ChannelHeader{}
	require.NoError(t, decode(a.Proposal, proposal, "proposal"))
	require.NoError(t, decode(proposal.GetHeader(), header, "header"))
	require.NoError(t, decode(header.GetChannelHeader(), channel, "channel header"))
	payload, spec := &peer.ChaincodeProposalPayload{}, &peer.ChaincodeInvocationSpec{}
	require.NoError(t, decode(proposal.GetPayload(), payload, "payload"))
	require.NoError(t, decode(payload.GetInput(), spec, "invocation"))
	return Question{
		Channel: "emrys", Chaincode: "_lifecycle", Function: "CommitChaincodeDefinition",
		Argument: spec.GetChaincodeSpec().GetInput().GetArgs()[1],
	}, channel.GetTimestamp().AsTime()
}
