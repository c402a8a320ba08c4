// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package device_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/cmd/emrys-wasm/internal/device"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/signature"
	"github.com/emrys-health/emrys/pkg/signature/signaturetest"
)

func TestAPasskeysAssertionIsWhatTheLedgerVerifies(t *testing.T) {
	t.Parallel()
	d := device.New()
	action := do(t, d, "prepareAction", device.Fields{
		"channel": "emrys", "contract": "emrys", "function": "RevokeAccess", "actor": patientID, "issued": 1.8e9, "expires": 1.8e9 + 60,
		"args": `{"patient":"` + patientID + `","grant":"gra_33333333333333333333333333333333"}`,
	})
	passkey := signaturetest.New(t, "emrys.example", "https://patient.emrys.example")
	pinned, err := emr.Canonical(passkey.Pinned(t))
	require.NoError(t, err)
	raw, err := emr.Canonical(emr.PinnedKey{Kind: emr.SignatureP256, Key: passkey.Pinned(t).Key})
	require.NoError(t, err)
	fields := func(s *emr.SignedAction) device.Fields {
		return device.Fields{
			"body": s.Body, "signature": s.Signature, "authenticatorData": s.AuthenticatorData, "clientData": s.ClientData,
			"pinned": string(pinned),
		}
	}
	good := passkey.Sign(t, action["body"].([]byte), nil)
	out := do(t, d, "finishAssertion", fields(good))
	var signed emr.SignedAction
	require.NoError(t, emr.DecodeCanonical([]byte(out["signed"].(string)), &signed))
	_, err = signed.Parse()
	require.NoError(t, err)
	require.NoError(t, signature.VerifyAction(&signed, passkey.Pinned(t)))

	unverified := passkey.Sign(t, good.Body, func(a *signaturetest.Answer) { a.AuthenticatorData[32] = 1 })
	for name, test := range map[string]struct {
		change func(device.Fields)
		of     *emr.SignedAction
		code   device.Code
	}{
		"without user verification": {func(device.Fields) {}, unverified, device.CodeProof},
		"by another passkey":        {func(device.Fields) {}, signaturetest.New(t, "emrys.example", "https://patient.emrys.example").Sign(t, good.Body, nil), device.CodeProof},
		"under no pinned key":       {func(f device.Fields) { f["pinned"] = `{"kind":"webauthn","key":""}` }, good, device.CodeDocument},
		"under a raw key":           {func(f device.Fields) { f["pinned"] = string(raw) }, good, device.CodeProof},
		"of a body that is none":    {func(f device.Fields) { f["body"] = []byte("{}") }, good, device.CodeDocument},
		"without client data":       {func(f device.Fields) { delete(f, "clientData") }, good, device.CodeParameter},
	} {
		f := fields(test.of)
		test.change(f)
		_, failure := d.Call("finishAssertion", f)
		require.NotNil(t, failure, name)
		require.Equal(t, test.code, failure.Code, "%s: %s", name, failure.Message)
	}
}
