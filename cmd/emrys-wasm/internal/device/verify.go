// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package device

import (
	"fmt"
	"math"

	"github.com/emrys-health/emrys/pkg/pre"
)

// bounded takes a number of a record context, in which one that is too large is a fault of the context.
func (a *arguments) bounded(name string, high uint64) uint64 {
	n := a.number(name, 0, maxNumber)
	if n > high && a.err == nil {
		a.err = &Error{Code: CodeContext, Field: a.path + name, Message: "is out of bounds"}
	}
	return n
}

// contextHash returns what a record's keys are bound to. The arguments are the fields of pre.RecordContext. -> hash.
func contextHash(a *arguments) (Fields, error) {
	c := pre.RecordContext{
		Channel: a.text("channel"), Record: a.text("record"), Patient: a.text("patient"), Scope: a.text("scope"),
		Epoch:    uint32(a.bounded("epoch", math.MaxUint32)),
		ScopeKey: a.bytes("scopeKey"),
		Author:   a.text("author"), AuthorKey: a.bytes("authorKey"), Class: a.text("class"), Level: a.text("level"),
		PolicyHash: a.bytes("policyHash"),
		FileID:     a.bytes("fileId"), CID: a.text("cid"),
		PlainSize: a.bounded("plainSize", maxNumber), CipherSize: a.bounded("cipherSize", maxNumber),
		SegmentSize:  uint32(a.bounded("segmentSize", math.MaxUint32)),
		CipherDigest: a.bytes("cipherDigest"), KeyCommitment: a.bytes("keyCommitment"),
		Version:  uint32(a.bounded("version", math.MaxUint32)),
		Previous: a.text("previous"), Threshold: uint8(a.bounded("threshold", math.MaxUint8)),
	}
	if err := a.end(); err != nil {
		return nil, err
	}
	hash, err := c.Hash()
	if err != nil {
		return nil, fmt.Errorf("hash context: %w", err)
	}
	return Fields{"hash": hash[:]}, nil
}

// verifyCapsule checks a capsule's proof. (capsule, delegating, context) -> nothing.
func verifyCapsule(a *arguments) (Fields, error) {
	c, key, ctx := a.capsule("capsule"), a.publicKey("delegating"), a.hash("context")
	if err := a.end(); err != nil {
		return nil, err
	}
	if err := c.Verify(key, ctx); err != nil {
		return nil, fmt.Errorf("verify capsule: %w", err)
	}
	return Fields{}, nil
}

// verifyKeyFragment checks an opened key fragment, as a gateway does. (fragment, delegating, reader, signer, gateway, grant)
// -> commitment.
func verifyKeyFragment(a *arguments) (Fields, error) {
	encoded := a.bytes("fragment")
	defer clear(encoded)
	delegating, reader, signer := a.publicKey("delegating"), a.publicKey("reader"), a.publicKey("signer")
	gateway, grant := a.name("gateway"), a.hash("grant")
	if err := a.end(); err != nil {
		return nil, err
	}
	k, err := pre.ParseKeyFragment(encoded)
	if err != nil {
		return nil, fmt.Errorf("read key fragment: %w", err)
	}
	if err := k.Verify(delegating, reader, signer, gateway, grant); err != nil {
		return nil, fmt.Errorf("check key fragment: %w", err)
	}
	commitment := k.Commitment()
	return Fields{"commitment": commitment[:]}, nil
}

// binding takes everything that a capsule fragment is bound to but the gateway.
func (a *arguments) binding() pre.ReencryptParams {
	return pre.ReencryptParams{
		Delegating: a.publicKey("delegating"), Signer: a.publicKey("signer"), Context: a.hash("context"),
		Grant: a.hash("grant"), Request: a.hash("request"),
	}
}

// verifyCapsuleFragment checks one gateway's answer. (fragment, capsule, gateway, delegating, signer, reader: public key,
// context, grant, request) -> commitment: that of the key fragment it was made with.
func verifyCapsuleFragment(a *arguments) (Fields, error) {
	encoded, c := a.bytes("fragment"), a.capsule("capsule")
	p := a.binding()
	p.Reader, p.Gateway = a.publicKey("reader"), a.name("gateway")
	if err := a.end(); err != nil {
		return nil, err
	}
	f, err := pre.ParseCapsuleFragment(encoded)
	if err != nil {
		return nil, fmt.Errorf("read capsule fragment: %w", err)
	}
	if err := f.Verify(c, p); err != nil {
		return nil, fmt.Errorf("check capsule fragment: %w", err)
	}
	commitment := f.Commitment()
	return Fields{"commitment": commitment[:]}, nil
}

// inspectEnvelope reads an envelope and tells what it holds. (envelope) -> threshold, shares: gateway, index, commitment;
// patientCopy, hospitalCopy: whether there is one.
func inspectEnvelope(a *arguments) (Fields, error) {
	e := a.envelope("envelope")
	if err := a.end(); err != nil {
		return nil, err
	}
	shares := make([]any, len(e.Shares.Shares))
	for i, s := range e.Shares.Shares {
		shares[i] = Fields{"gateway": s.Gateway, "index": int(s.Index), "commitment": s.Commitment[:]}
	}
	return Fields{
		"threshold": e.Shares.Threshold, "shares": shares,
		"patientCopy": len(e.PatientCopy) > 0, "hospitalCopy": len(e.HospitalCopy) > 0,
	}, nil
}
