// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package device_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/cmd/emrys-wasm/internal/device"
	"github.com/emrys-health/emrys/pkg/consent"
	"github.com/emrys-health/emrys/pkg/emr"
)

const somebody = "cli_00000000000000000000000000000001"

func text(t *testing.T, document any) string {
	t.Helper()
	b, err := emr.Canonical(document)
	require.NoError(t, err)
	return string(b)
}

func TestAConsentIsBroughtIntoTheFormThatIsSigned(t *testing.T) {
	t.Parallel()
	d := device.New()
	out := do(t, d, "checkConsent", device.Fields{
		"document": `{"provisions": [{"effect": "deny", "people": ["` + somebody + `", "` + somebody + `"]}], "base": "ask"}`, "now": 1000.0,
	})
	want := consent.Normal(consent.Document{Base: emr.Ask, Provisions: []consent.Provision{
		{Effect: emr.Deny, People: []emr.ClinicianID{somebody}},
	}})
	require.Equal(t, text(t, want), out["document"])
	hash, err := want.Hash()
	require.NoError(t, err)
	require.Equal(t, hash[:], out["hash"])
	for name, bad := range map[string]string{
		"no base": `{}`, "an unknown field": `{"base":"ask","also":1}`, "no JSON": `ask`, "a provision about everything": `{"base":"ask","provisions":[{"effect":"deny"}]}`,
	} {
		_, failure := d.Call("checkConsent", device.Fields{"document": bad, "now": 1000.0})
		require.NotNil(t, failure, name)
		require.Equal(t, device.CodeDocument, failure.Code, name)
	}
	_, failure := d.Call("checkConsent", device.Fields{"document": `{"base":"ask"}`})
	require.Equal(t, device.CodeParameter, failure.Code)
}

func TestTheDeviceDecidesAsTheLedgerDoes(t *testing.T) {
	t.Parallel()
	d := device.New()
	facts := consent.Facts{
		Person: somebody, Hospital: "HospitalAMSP", Role: emr.RolePhysician, Reach: emr.LevelPrivate, Purpose: emr.PurposeTreatment,
		Class: emr.ClassMedicine, Level: emr.LevelLow,
	}
	standing := &consent.Consent{V: 1, Version: 3, Status: consent.Active, Document: consent.Normal(consent.Document{
		Base: emr.Permit, Provisions: []consent.Provision{{Effect: emr.Deny, People: []emr.ClinicianID{somebody}}},
	})}
	for _, c := range []*consent.Consent{nil, standing} {
		given := ""
		if c != nil {
			given = text(t, c)
		}
		out := do(t, d, "decideConsent", device.Fields{"consent": given, "facts": text(t, facts), "now": 1000.0})
		var got consent.Outcome
		require.NoError(t, json.Unmarshal([]byte(out["outcome"].(string)), &got))
		require.Equal(t, consent.Decide(c, facts, 1000), got)
	}
	for name, args := range map[string]device.Fields{
		"no consent":       {"facts": text(t, facts), "now": 1.0},
		"consent a number": {"consent": 1.0, "facts": text(t, facts), "now": 1.0},
		"no facts":         {"consent": "", "now": 1.0},
		"facts incomplete": {"consent": "", "facts": `{"person":""}`, "now": 1.0},
		"consent invalid":  {"consent": "{}", "facts": text(t, facts), "now": 1.0},
		"no moment":        {"consent": "", "facts": text(t, facts)},
		"too much":         {"consent": "", "facts": text(t, facts), "now": 1.0, "more": 1.0},
	} {
		_, failure := d.Call("decideConsent", args)
		require.NotNil(t, failure, name)
		require.Contains(t, []device.Code{device.CodeParameter, device.CodeDocument}, failure.Code, name)
	}
}
