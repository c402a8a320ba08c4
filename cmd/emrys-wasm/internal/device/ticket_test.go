// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package device_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/cmd/emrys-wasm/internal/device"
	"github.com/emrys-health/emrys/pkg/api"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/pre"
)

func TestTicketIsHeldAgainstGrantRecordAndReader(t *testing.T) {
	t.Parallel()
	r := newReading(t, false)
	const who = "cli_44444444444444444444444444444444"
	ticket := emr.Disclosure{
		V: 1, ID: "dis_55555555555555555555555555555555", Patient: patientID, Record: r.view.Record.ID, Grant: r.terms.Grant,
		Reader: who, Org: "ReaderMSP", Purpose: emr.PurposeTreatment, Decision: emr.Permit, Reason: emr.ReasonGrant, At: 1, Until: 2,
	}
	verify := func(d emr.Disclosure, terms emr.GrantTerms, changes device.Fields) (device.Fields, *device.Error) {
		disclosure, err := json.Marshal(&d)
		require.NoError(t, err)
		encoded, err := json.Marshal(&terms)
		require.NoError(t, err)
		return r.device.Call("verifyTicket", with(device.Fields{
			"channel": "emrys", "disclosure": string(disclosure), "terms": string(encoded), "manifest": r.manifest, "who": who,
			"reader": r.reader["public"],
		}, changes))
	}
	out, failure := verify(ticket, r.terms, nil)
	require.Nil(t, failure)
	require.Equal(t, r.opening["grant"], out["grant"])
	require.Equal(t, threshold, out["threshold"])
	request, err := ticket.Hash()
	require.NoError(t, err)
	require.Equal(t, request[:], out["request"])

	other := ticket
	for what, change := range map[string]func(d *emr.Disclosure, g *emr.GrantTerms){
		"another reader":       func(d *emr.Disclosure, _ *emr.GrantTerms) { d.Reader = "cli_x" },
		"another grantee":      func(_ *emr.Disclosure, g *emr.GrantTerms) { g.Grantee = "cli_x" },
		"another record":       func(d *emr.Disclosure, _ *emr.GrantTerms) { d.Record = "rec_x" },
		"another patient":      func(d *emr.Disclosure, _ *emr.GrantTerms) { d.Patient = "hnd_x" },
		"another grant":        func(d *emr.Disclosure, _ *emr.GrantTerms) { d.Grant = "gra_x" },
		"another ledger":       func(_ *emr.Disclosure, g *emr.GrantTerms) { g.Channel = "other" },
		"a record not covered": func(_ *emr.Disclosure, g *emr.GrantTerms) { g.Records = []emr.RecordID{"rec_x"} },
		"another scope":        func(_ *emr.Disclosure, g *emr.GrantTerms) { g.Scope = "scp_x" },
		"another epoch":        func(_ *emr.Disclosure, g *emr.GrantTerms) { g.Epoch++ },
		"another key":          func(_ *emr.Disclosure, g *emr.GrantTerms) { g.Reader = r.scope["delegating"].([]byte) },
		"no threshold":         func(_ *emr.Disclosure, g *emr.GrantTerms) { g.Threshold = 0 },
	} {
		d, g := other, r.terms
		change(&d, &g)
		_, failure := verify(d, g, nil)
		require.NotNil(t, failure, what)
		require.Equal(t, device.CodeProof, failure.Code, what)
	}
	other.Decision, other.Reason = emr.Deny, emr.ReasonRevoked
	_, failure = verify(other, r.terms, nil)
	require.NotNil(t, failure)
	require.Equal(t, device.CodeDocument, failure.Code)
	require.Contains(t, failure.Message, emr.ReasonRevoked.Explain())
}

func TestReceiptIsOfOneAnswerOnly(t *testing.T) {
	t.Parallel()
	d := device.New()
	key, err := pre.GeneratePrivateKey(nil)
	require.NoError(t, err)
	f := api.Fragment{Gateway: "Hospital1MSP", Capsule: []byte{1}, Share: []byte{2}}
	digest, err := api.ReceiptOf("dis_5", emr.Digest{9}, &f).Digest()
	require.NoError(t, err)
	receipt, err := pre.SignP256(nil, key.Signer(), digest[:])
	require.NoError(t, err)
	args := device.Fields{
		"disclosure": "dis_5", "request": append([]byte{9}, make([]byte, 31)...), "receipt": receipt, "key": key.Public().Bytes(),
		"answer": device.Fields{"gateway": "Hospital1MSP", "capsule": []byte{1}, "share": []byte{2}},
	}
	do(t, d, "verifyReceipt", args)
	for name, bad := range map[string]any{
		"disclosure": "dis_6", "request": make([]byte, 32), "receipt": make([]byte, 64),
		"answer": device.Fields{"gateway": "Hospital1MSP", "capsule": []byte{1}, "share": []byte{3}},
	} {
		_, failure := d.Call("verifyReceipt", with(args, device.Fields{name: bad}))
		require.NotNil(t, failure, name)
		require.Equal(t, device.CodeProof, failure.Code, name)
	}
	_, failure := d.Call("verifyReceipt", with(args, device.Fields{"answer": nil}))
	require.NotNil(t, failure)
	require.Equal(t, device.CodeParameter, failure.Code)
}
