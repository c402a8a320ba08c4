// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package attest_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"testing"
	"time"

	"github.com/hyperledger/fabric-protos-go-apiv2/common"
	"github.com/hyperledger/fabric-protos-go-apiv2/gateway"
	"github.com/hyperledger/fabric-protos-go-apiv2/ledger/rwset"
	"github.com/hyperledger/fabric-protos-go-apiv2/ledger/rwset/kvrwset"
	"github.com/hyperledger/fabric-protos-go-apiv2/peer"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/emrys-health/emrys/pkg/attest"
	"github.com/emrys-health/emrys/pkg/attest/attesttest"
	"github.com/emrys-health/emrys/pkg/emr"
)

const (
	hospA, hospB, regulator = emr.OrgID("HospAMSP"), emr.OrgID("HospBMSP"), emr.OrgID("RegulatorMSP")

	channel, chaincode, function = "emrys", "emrys", "GetClinician"
	argument                     = `{"clinician":"c"}`
	answer                       = `{"id":"c","reading":"the right key"}`
)

// What attestations are made of is shared with the tests of other packages.
type (
	authority = attesttest.Authority
	endorser  = attesttest.Endorser
)

// consortium is three organisations with two peers each.
type consortium struct {
	now   time.Time
	cas   map[emr.OrgID]*authority
	peers map[emr.OrgID][]*endorser
}

func newConsortium(t testing.TB) *consortium {
	t.Helper()
	c := &consortium{
		now: time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC), cas: map[emr.OrgID]*authority{}, peers: map[emr.OrgID][]*endorser{},
	}
	for _, org := range []emr.OrgID{hospA, hospB, regulator} {
		c.cas[org] = attesttest.NewAuthority(t, org, c.now)
		c.peers[org] = []*endorser{c.enrol(t, org, org, "peer"), c.enrol(t, org, org, "peer")}
	}
	return c
}

func newKey(t testing.TB, curve elliptic.Curve) *ecdsa.PrivateKey { return attesttest.NewKey(t, curve) }

func pemOf(cert *x509.Certificate) string { return attesttest.PEM(cert) }

func identity(t testing.TB, says emr.OrgID, cert []byte) []byte {
	return attesttest.Identity(t, says, cert)
}

func encode(t testing.TB, m proto.Message) []byte { return attesttest.Encode(t, m) }

func (c *consortium) roots() attest.Roots {
	roots := attest.Roots{}
	for org, ca := range c.cas {
		roots[org] = pemOf(ca.Cert)
	}
	return roots
}

func (c *consortium) certificate(t testing.TB, ca *authority, key *ecdsa.PrivateKey, change func(*x509.Certificate), units ...string) *x509.Certificate {
	t.Helper()
	return ca.Certify(t, c.now, key, change, units...)
}

// enrol makes somebody who says to be of one organisation with a certificate of another's authority.
func (c *consortium) enrol(t testing.TB, says, issuer emr.OrgID, units ...string) *endorser {
	t.Helper()
	return c.enrolWith(t, says, c.cas[issuer], elliptic.P256(), nil, units...)
}

func (c *consortium) enrolWith(
	t testing.TB, says emr.OrgID, ca *authority, curve elliptic.Curve, change func(*x509.Certificate), units ...string,
) *endorser {
	t.Helper()
	key := newKey(t, curve)
	return &endorser{ID: identity(t, says, []byte(pemOf(c.certificate(t, ca, key, change, units...)))), Key: key}
}

// draft is an attestation in the making, before anything is encoded or signed.
type draft struct {
	channel   *common.ChannelHeader
	extension *peer.ChaincodeHeaderExtension
	signature *common.SignatureHeader
	spec      *peer.ChaincodeSpec
	transient map[string][]byte
	action    *peer.ChaincodeAction
	model     rwset.TxReadWriteSet_DataModel
	public    *kvrwset.KVRWSet
	private   *kvrwset.HashedRWSet
	endorsers []*endorser
	// tail is appended to the bytes of the channel header, the signature header, the
	// payload, the response and its action, before they are hashed or signed.
	tail struct{ channel, signature, payload, response, action []byte }
	// hash is the proposal hash, when it is not the right one; txID likewise.
	hash []byte
	txID string
}

func (c *consortium) draft() *draft {
	return &draft{
		channel: &common.ChannelHeader{
			Type: int32(common.HeaderType_ENDORSER_TRANSACTION), ChannelId: channel, Timestamp: timestamppb.New(c.now),
		},
		extension: &peer.ChaincodeHeaderExtension{ChaincodeId: &peer.ChaincodeID{Name: chaincode}},
		signature: &common.SignatureHeader{Creator: []byte("the gateway"), Nonce: []byte("24 bytes that were random")},
		spec: &peer.ChaincodeSpec{
			ChaincodeId: &peer.ChaincodeID{Name: chaincode},
			Input:       &peer.ChaincodeInput{Args: [][]byte{[]byte(function), []byte(argument)}},
		},
		action: &peer.ChaincodeAction{
			ChaincodeId: &peer.ChaincodeID{Name: chaincode, Version: "1.0"},
			Response:    &peer.Response{Status: 200, Payload: []byte(answer)},
		},
		public:    &kvrwset.KVRWSet{Reads: []*kvrwset.KVRead{{Key: "clinician", Version: &kvrwset.Version{BlockNum: 7}}}},
		private:   &kvrwset.HashedRWSet{HashedReads: []*kvrwset.KVReadHash{{KeyHash: []byte("h")}}},
		endorsers: []*endorser{c.peers[hospA][0], c.peers[hospB][0]},
	}
}

func (d *draft) results(t testing.TB) []byte {
	return encode(t, &rwset.TxReadWriteSet{DataModel: d.model, NsRwset: []*rwset.NsReadWriteSet{
		{Namespace: "_lifecycle", Rwset: encode(t, &kvrwset.KVRWSet{Reads: []*kvrwset.KVRead{{Key: "namespaces/fields/emrys/Sequence"}}})},
		{Namespace: chaincode, Rwset: encode(t, d.public), CollectionHashedRwset: []*rwset.CollectionHashedReadWriteSet{
			{CollectionName: "sealed", HashedRwset: encode(t, d.private)},
		}},
	}})
}

// headers encodes the three parts that the proposal hash covers.
func (d *draft) headers(t testing.TB) (channelHeader, signatureHeader, payload []byte) {
	h := sha256.Sum256(append(append([]byte{}, d.signature.GetNonce()...), d.signature.GetCreator()...))
	d.channel.TxId = hex.EncodeToString(h[:])
	if d.txID != "" {
		d.channel.TxId = d.txID
	}
	d.channel.Extension = encode(t, d.extension)
	channelHeader = append(encode(t, d.channel), d.tail.channel...)
	signatureHeader = append(encode(t, d.signature), d.tail.signature...)
	payload = append(encode(t, &peer.ChaincodeProposalPayload{
		Input: encode(t, &peer.ChaincodeInvocationSpec{ChaincodeSpec: d.spec}), TransientMap: d.transient,
	}), d.tail.payload...)
	return channelHeader, signatureHeader, payload
}

func (d *draft) build(t testing.TB) *attest.Attestation {
	t.Helper()
	channelHeader, signatureHeader, payload := d.headers(t)
	header := encode(t, &common.Header{ChannelHeader: channelHeader, SignatureHeader: signatureHeader})
	hash := sha256.Sum256(append(append(append([]byte{}, channelHeader...), signatureHeader...), payload...))
	if d.hash == nil {
		d.hash = hash[:]
	}
	if d.action.Results == nil {
		d.action.Results = d.results(t)
	}
	action := append(encode(t, d.action), d.tail.action...)
	response := append(encode(t, &peer.ProposalResponsePayload{ProposalHash: d.hash, Extension: action}), d.tail.response...)
	a := &attest.Attestation{Proposal: encode(t, &peer.Proposal{Header: header, Payload: payload}), Response: response}
	for _, e := range d.endorsers {
		a.Endorsements = append(a.Endorsements, e.Endorse(t, response))
	}
	return a
}

// prepared wraps an attestation as the gateway service of a peer does
// (Fabric v3.1, internal/pkg/gateway/submit.go, prepareTransaction).
func prepared(t testing.TB, a *attest.Attestation) *gateway.PreparedTransaction {
	t.Helper()
	proposal, header := &peer.Proposal{}, &common.Header{}
	require.NoError(t, proto.Unmarshal(a.Proposal, proposal))
	require.NoError(t, proto.Unmarshal(proposal.GetHeader(), header))
	action := &peer.ChaincodeEndorsedAction{ProposalResponsePayload: a.Response}
	for _, e := range a.Endorsements {
		action.Endorsements = append(action.Endorsements, &peer.Endorsement{Endorser: e.Endorser, Signature: e.Signature})
	}
	tx := &peer.Transaction{Actions: []*peer.TransactionAction{{
		Header:  header.GetSignatureHeader(),
		Payload: encode(t, &peer.ChaincodeActionPayload{ChaincodeProposalPayload: proposal.GetPayload(), Action: action}),
	}}}
	envelope := &common.Envelope{Payload: encode(t, &common.Payload{Header: header, Data: encode(t, tx)})}
	return &gateway.PreparedTransaction{TransactionId: "tx", Envelope: envelope}
}

func question() attest.Question {
	return attest.Question{Channel: channel, Chaincode: chaincode, Function: function, Argument: []byte(argument)}
}

func (c *consortium) policy() attest.Policy {
	return attest.Policy{Roots: c.roots(), Quorum: 2, MaxAge: time.Minute}
}
