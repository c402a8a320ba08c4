// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package attest_test

import (
	"bytes"
	"testing"

	"github.com/hyperledger/fabric-protos-go-apiv2/common"
	"github.com/hyperledger/fabric-protos-go-apiv2/gateway"
	"github.com/hyperledger/fabric-protos-go-apiv2/peer"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/emrys-health/emrys/pkg/attest"
	"github.com/emrys-health/emrys/pkg/emr"
)

func TestAPreparedTransactionHoldsWhatWasEndorsed(t *testing.T) {
	t.Parallel()
	c := newConsortium(t)
	want := c.draft().build(t)
	tx := prepared(t, want)

	got, err := attest.FromPrepared(encode(t, tx))
	require.NoError(t, err)
	require.Equal(t, want, got)
	got, err = attest.FromEnvelope(encode(t, tx.GetEnvelope()))
	require.NoError(t, err)
	require.Equal(t, want, got)
	answered, err := got.Verify(question(), c.policy(), c.now)
	require.NoError(t, err)
	require.Equal(t, answer, string(answered))

	tx.Envelope.Signature = []byte("a creator's signature changes nothing")
	got, err = attest.FromPrepared(encode(t, tx))
	require.NoError(t, err)
	require.Equal(t, want, got)
}

func TestWhatIsNoPreparedTransactionIsRefused(t *testing.T) {
	t.Parallel()
	c := newConsortium(t)
	payloadOf := func(change func(*common.Payload, *peer.Transaction)) []byte {
		tx := prepared(t, c.draft().build(t))
		payload, transaction := &common.Payload{}, &peer.Transaction{}
		require.NoError(t, proto.Unmarshal(tx.GetEnvelope().GetPayload(), payload))
		require.NoError(t, proto.Unmarshal(payload.GetData(), transaction))
		change(payload, transaction)
		payload.Data = encode(t, transaction)
		tx.Envelope.Payload = encode(t, payload)
		return encode(t, tx)
	}
	whole := encode(t, prepared(t, c.draft().build(t)))
	cases := map[string][]byte{
		"nothing":             nil,
		"noise":               {0xff, 0xff},
		"no envelope":         encode(t, &gateway.PreparedTransaction{TransactionId: "tx"}),
		"trailing bytes":      append(bytes.Clone(whole), 0x78, 1),
		"cut short":           whole[:len(whole)-1],
		"payload of noise":    encode(t, &gateway.PreparedTransaction{Envelope: &common.Envelope{Payload: []byte{0xff}}}),
		"no action":           payloadOf(func(_ *common.Payload, tx *peer.Transaction) { tx.Actions = nil }),
		"two actions":         payloadOf(func(_ *common.Payload, tx *peer.Transaction) { tx.Actions = append(tx.Actions, tx.Actions[0]) }),
		"another header":      payloadOf(func(_ *common.Payload, tx *peer.Transaction) { tx.Actions[0].Header = []byte("x") }),
		"no header":           payloadOf(func(p *common.Payload, _ *peer.Transaction) { p.Header = nil }),
		"action of noise":     payloadOf(func(_ *common.Payload, tx *peer.Transaction) { tx.Actions[0].Payload = []byte{0xff} }),
		"transaction, no tag": encode(t, &gateway.PreparedTransaction{Envelope: &common.Envelope{Payload: encode(t, &common.Payload{Data: []byte{0}})}}),
	}
	for name, data := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := attest.FromPrepared(data)
			require.Nil(t, got)
			require.Equal(t, emr.CodeCorrupt, emr.CodeOf(err))
		})
	}
	_, err := attest.FromEnvelope([]byte{0xff})
	require.Equal(t, emr.CodeCorrupt, emr.CodeOf(err))
}

func FuzzFromPrepared(f *testing.F) {
	c := newConsortium(f)
	f.Add(encode(f, prepared(f, c.draft().build(f))))
	f.Add([]byte{})
	f.Add([]byte{0x12, 0x02, 0x0a, 0x00})
	policy := c.policy()
	f.Fuzz(func(t *testing.T, data []byte) {
		a, err := attest.FromPrepared(data)
		if err != nil {
			require.Equal(t, emr.CodeCorrupt, emr.CodeOf(err))
			return
		}
		// What can be taken apart can be put together again, to the byte.
		original := &gateway.PreparedTransaction{}
		require.NoError(t, proto.Unmarshal(data, original))
		again := prepared(t, a)
		require.Equal(t, original.GetEnvelope().GetPayload(), again.GetEnvelope().GetPayload())
		_, _ = a.Verify(question(), policy, c.now)
	})
}

func FuzzVerify(f *testing.F) {
	c := newConsortium(f)
	good := c.draft().build(f)
	first := good.Endorsements[0]
	f.Add(good.Proposal, good.Response, first.Endorser, first.Signature)
	f.Add([]byte{0x0a, 0}, []byte{0x0a, 0}, []byte{0x0a, 0}, []byte{0x30, 0})
	for _, change := range []func(*draft){
		func(d *draft) { d.extension = nil },
		func(d *draft) { d.spec = nil },
		func(d *draft) { d.action = &peer.ChaincodeAction{} },
	} {
		d := c.draft()
		change(d)
		a := d.build(f)
		f.Add(a.Proposal, a.Response, a.Endorsements[0].Endorser, a.Endorsements[0].Signature)
	}
	policy := c.policy()
	f.Fuzz(func(t *testing.T, proposal, response, endorser, signature []byte) {
		a := &attest.Attestation{Proposal: proposal, Response: response, Endorsements: []attest.Endorsement{
			{Endorser: endorser, Signature: signature}, good.Endorsements[1],
		}}
		got, err := a.Verify(question(), policy, c.now)
		if err != nil {
			require.Equal(t, emr.CodeCorrupt, emr.CodeOf(err))
			return
		}
		// Nobody but the peers can make another one that verifies.
		require.Equal(t, good.Proposal, proposal)
		require.Equal(t, good.Response, response)
		require.Equal(t, first.Endorser, endorser)
		require.Equal(t, answer, string(got))
	})
}
