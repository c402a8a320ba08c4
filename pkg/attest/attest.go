// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package attest

import (
	"bytes"

	"github.com/hyperledger/fabric-protos-go-apiv2/common"
	"github.com/hyperledger/fabric-protos-go-apiv2/gateway"
	"github.com/hyperledger/fabric-protos-go-apiv2/peer"
	"google.golang.org/protobuf/proto"

	"github.com/emrys-health/emrys/pkg/emr"
)

// Bounds of an attestation that is worth reading, in bytes unless said otherwise.
const (
	maxPart         = 8 << 20 // of the proposal and of the response
	maxEndorsements = 64      // endorsements
	maxEndorser     = 16 << 10
	maxSignature    = 128
)

// Attestation is the proof of a query's answer. It is JSON on the gateway's
// wire; its fields are what Fabric serialised, to the byte.
type Attestation struct {
	// Proposal is the peer.Proposal as endorsed: header and chaincode proposal
	// payload, without transient data.
	Proposal []byte `json:"proposal"`
	// Response is the peer.ProposalResponsePayload. It holds the answer.
	Response []byte `json:"response"`
	// Endorsements are the signatures over Response.
	Endorsements []Endorsement `json:"endorsements"`
}

// Endorsement is one peer's signature over the response followed by Endorser.
type Endorsement struct {
	// Endorser is the msp.SerializedIdentity of the peer.
	Endorser []byte `json:"endorser"`
	// Signature is ECDSA over P-256 and SHA-256, ASN.1 DER, low S.
	Signature []byte `json:"signature"`
}

// FromPrepared takes the attestation out of an endorsed transaction that was
// not submitted: a serialised gateway.PreparedTransaction, as Transaction.Bytes
// of the Fabric Gateway client returns it. It verifies nothing. The error is a
// corrupt error.
func FromPrepared(prepared []byte) (*Attestation, error) {
	p := &gateway.PreparedTransaction{}
	if err := decode(prepared, p, "prepared transaction"); err != nil {
		return nil, err
	}
	return fromEnvelope(p.GetEnvelope())
}

// FromEnvelope takes the attestation out of a serialised common.Envelope that
// holds one endorsed transaction, signed by its creator or not. It verifies
// nothing. The error is a corrupt error.
func FromEnvelope(envelope []byte) (*Attestation, error) {
	e := &common.Envelope{}
	if err := decode(envelope, e, "envelope"); err != nil {
		return nil, err
	}
	return fromEnvelope(e)
}

func fromEnvelope(envelope *common.Envelope) (*Attestation, error) {
	payload, tx, action := &common.Payload{}, &peer.Transaction{}, &peer.ChaincodeActionPayload{}
	if err := decode(envelope.GetPayload(), payload, "payload of the envelope"); err != nil {
		return nil, err
	}
	if err := decode(payload.GetData(), tx, "transaction"); err != nil {
		return nil, err
	}
	if len(tx.GetActions()) != 1 {
		return nil, corrupt("transaction does not hold exactly one action")
	}
	only := tx.GetActions()[0]
	if !bytes.Equal(only.GetHeader(), payload.GetHeader().GetSignatureHeader()) {
		return nil, corrupt("action of the transaction has another header than the transaction")
	}
	if err := decode(only.GetPayload(), action, "action of the transaction"); err != nil {
		return nil, err
	}
	header, err := proto.Marshal(payload.GetHeader())
	if err != nil {
		return nil, emr.Wrap(emr.CodeCorrupt, "header of the transaction cannot be encoded", err)
	}
	proposal, err := proto.Marshal(&peer.Proposal{Header: header, Payload: action.GetChaincodeProposalPayload()})
	if err != nil {
		return nil, emr.Wrap(emr.CodeCorrupt, "proposal cannot be encoded", err)
	}
	a := &Attestation{Proposal: proposal, Response: action.GetAction().GetProposalResponsePayload(), Endorsements: []Endorsement{}}
	for _, e := range action.GetAction().GetEndorsements() {
		a.Endorsements = append(a.Endorsements, Endorsement{Endorser: e.GetEndorser(), Signature: e.GetSignature()})
	}
	return a, nil
}

// decode reads a protocol buffer and refuses every encoding of it but one:
// unknown fields, fields twice or out of order, and anything behind them. name
// is for the error, which is a corrupt error.
func decode(data []byte, m proto.Message, name string) error {
	if err := (proto.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(data, m); err != nil {
		return emr.Wrap(emr.CodeCorrupt, name+" cannot be read", err)
	}
	again, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		return emr.Wrap(emr.CodeCorrupt, name+" cannot be read", err)
	}
	if !bytes.Equal(again, data) {
		return corrupt(name + " is not in its canonical encoding")
	}
	return nil
}

func corrupt(message string) *emr.Error { return emr.E(emr.CodeCorrupt, message) }
