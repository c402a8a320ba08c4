// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package pre_test

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"log"

	"github.com/emrys-health/emrys/pkg/pre"
)

// A whole share: a hospital writes a record while its patient is offline, the patient grants a reader, two of three gateways
// answer one request, and the reader has the data key. Every step stands where it would run.
func Example() {
	// The patient's device, once: one seed, from which everything else follows.
	seed := random(pre.SeedSize)
	scopeKey := must(pre.DeriveScopeKey(seed, "private", 1))
	scopeSigner := must(pre.DeriveScopeSigner(seed, "private", 1))
	patient := must(pre.DeriveHybridKey(seed, "copies", 1))

	// The gateways and the author's hospital have hybrid keys; their public halves are on the ledger.
	hospitals := []string{"AlderMSP", "BirchMSP", "RegulatorMSP"}
	keys := map[string]*pre.HybridPrivateKey{}
	var recipients []pre.Recipient
	for _, id := range hospitals {
		keys[id] = must(pre.GenerateHybridKey())
		recipients = append(recipients, pre.Recipient{ID: id, Key: keys[id].Public()})
	}
	recordKey := must(pre.GenerateHybridKey())

	// The author's gateway, patient offline: a data key for the payload, sealed twice over.
	dek := random(pre.KeySize)
	record := pre.RecordContext{
		Channel: "emrys", Record: "rec-7f3a", Patient: "pat-51c2", Scope: "private", Epoch: 1,
		ScopeKey: scopeKey.Public().Bytes(), Author: "AlderMSP", AuthorKey: recordKey.Public().Bytes(),
		Class: "medical imaging", Level: "private", FileID: random(32), CID: "bafybeiexample",
		PlainSize: 1 << 20, CipherSize: 1<<20 + 140, SegmentSize: 262144,
		CipherDigest: random(32), KeyCommitment: random(32), Version: 1, Threshold: 2,
	}
	ctx := must(record.Hash())
	capsule, kPre := must2(pre.Encapsulate(nil, scopeKey.Public(), ctx))
	kShare, shares := must2(pre.SplitShares(nil, ctx, 2, recipients))
	envelope := pre.Envelope{
		Wrapped:      must(pre.WrapKey(ctx, kShare, kPre, dek)),
		Shares:       *shares,
		PatientCopy:  must(pre.SealPatientCopy(patient.Public(), ctx, kShare)),
		HospitalCopy: must(pre.SealHospitalCopy(recordKey.Public(), ctx, dek)),
	}
	stored := must(envelope.Marshal())

	// The ledger, at registration: the capsule belongs to this record and no other.
	check(capsule.Verify(scopeKey.Public(), ctx))

	// The patient's device, at grant time: a fragment for each gateway, sealed to it.
	reader := must(pre.GeneratePrivateKey(nil))
	readerHybrid := must(pre.GenerateHybridKey())
	grant := sha256.Sum256([]byte("the signed grant"))
	fragments := must(pre.Rekey(nil, scopeKey, scopeSigner.Signer(), pre.RekeyParams{
		Grant: grant, Reader: reader.Public(), Gateways: hospitals, Threshold: 2,
	}))
	mailbox := map[string][]byte{}
	for _, k := range fragments {
		mailbox[k.Gateway()] = must(pre.SealKeyFragment(keys[k.Gateway()].Public(), k))
	}

	// Two gateways, each by itself, after finding the disclosure ticket on its own ledger.
	request := pre.ReencryptParams{
		Delegating: scopeKey.Public(), Reader: reader.Public(), Signer: scopeSigner.Public(),
		Context: ctx, Grant: grant, Request: sha256.Sum256([]byte("the disclosure ticket")),
	}
	answers, sealedShares := map[string][]byte{}, map[string][]byte{}
	for _, id := range []string{"BirchMSP", "RegulatorMSP"} {
		p := request
		p.Gateway = id
		k := must(pre.OpenKeyFragment(keys[id], id, grant, mailbox[id]))
		answers[id] = must(pre.Reencrypt(nil, capsule, k, p)).Bytes()
		share, _ := must(pre.ParseEnvelope(stored)).Shares.ShareOf(id)
		sealedShares[id] = must(pre.ReSealShare(keys[id], ctx, request.Request, share, readerHybrid.Public()))
	}

	// The reader.
	got := must(pre.ParseEnvelope(stored))
	var cfrags []*pre.CapsuleFragment
	var opened []pre.Share
	for id, b := range answers {
		cfrags = append(cfrags, must(pre.ParseCapsuleFragment(b)))
		share, _ := got.Shares.ShareOf(id)
		opened = append(opened, must(pre.OpenReSealedShare(readerHybrid, ctx, request.Request, share, sealedShares[id])))
	}
	threshold := int(record.Threshold)
	readPre := must(pre.Open(reader, capsule, threshold, request, cfrags))
	readShare := must(pre.CombineShares(threshold, opened))
	fmt.Println("reader has the data key:", bytes.Equal(dek, must(pre.UnwrapKey(ctx, readShare, readPre, got.Wrapped))))

	// One gateway alone is not enough.
	_, err := pre.Open(reader, capsule, threshold, request, cfrags[:1])
	fmt.Println(err)

	// The patient needs no gateway, and the author's hospital has its legal copy.
	ownPre := must(pre.Decapsulate(scopeKey, capsule, ctx))
	ownShare := must(pre.OpenPatientCopy(patient, ctx, got.PatientCopy))
	fmt.Println("patient has it:", bytes.Equal(dek, must(pre.UnwrapKey(ctx, ownShare, ownPre, got.Wrapped))))
	fmt.Println("author has it:", bytes.Equal(dek, must(pre.OpenHospitalCopy(recordKey, ctx, got.HospitalCopy))))

	// Output:
	// reader has the data key: true
	// open: 1 of 2: too few fragments
	// patient has it: true
	// author has it: true
}

func random(n int) []byte {
	b := make([]byte, n)
	_, err := rand.Read(b)
	check(err)
	return b
}

func must[T any](v T, err error) T {
	check(err)
	return v
}

func must2[T, U any](v T, u U, err error) (T, U) {
	check(err)
	return v, u
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
