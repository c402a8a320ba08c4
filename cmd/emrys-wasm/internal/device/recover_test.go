// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package device_test

import (
	"crypto/rand"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/cmd/emrys-wasm/internal/device"
	"github.com/emrys-health/emrys/pkg/keystore"
	"github.com/emrys-health/emrys/pkg/pre"
	"github.com/emrys-health/emrys/pkg/pre/recovery"
)

// sameKeys checks that recovered seeds derive the scope keys of the roots.
func sameKeys(t *testing.T, d *device.Device, roots keystore.Roots, seeds []any) {
	t.Helper()
	require.Len(t, seeds, len(roots.Generations()))
	for _, s := range seeds {
		from := s.(device.Fields)["from"].(uint32)
		out := do(t, d, "deriveScope", device.Fields{"seed": handle(s.(device.Fields)), "scope": scopeID, "epoch": float64(from)})
		key, err := roots.ScopeKey(scopeID, from)
		require.NoError(t, err)
		require.Equal(t, key.Public().Bytes(), out["delegating"])
	}
}

func TestPaperGivesTheSeedsBack(t *testing.T) {
	t.Parallel()
	roots, err := keystore.NewRoots(rand.Reader)
	require.NoError(t, err)
	check, err := roots.Check()
	require.NoError(t, err)
	paper := recovery.Paper{Owner: patientID, Check: recovery.PaperCheck([32]byte(check))}
	for _, r := range roots.InsecureList() {
		paper.Seeds = append(paper.Seeds, recovery.PaperSeed{From: r.From, Seed: r.Seed})
	}
	sheet, err := paper.Text()
	require.NoError(t, err)
	d := device.New()
	out := do(t, d, "recoverPaper", device.Fields{"sheet": sheet})
	require.Equal(t, patientID, out["owner"])
	sameKeys(t, d, roots, out["seeds"].([]any))

	paper.Check = "0123456789abcdef"
	wrong, err := paper.Text()
	require.NoError(t, err)
	for text, code := range map[string]device.Code{
		wrong: device.CodeProof, "": device.CodeMalformed, "1: abandon ability": device.CodeMalformed, sheet + "nonsense": device.CodeMalformed,
	} {
		_, failure := d.Call("recoverPaper", device.Fields{"sheet": text})
		require.NotNil(t, failure, text)
		require.Equal(t, code, failure.Code)
		require.NotContains(t, failure.Message, "nonsense")
	}
}

func TestGuardiansGiveTheSeedsBack(t *testing.T) {
	t.Parallel()
	roots, err := keystore.NewRoots(rand.Reader)
	require.NoError(t, err)
	check, err := roots.Check()
	require.NoError(t, err)
	now := time.Unix(1_800_000_000, 0)
	plan := recovery.Plan{Owner: patientID, Check: [32]byte(check), Threshold: 2, Created: now}
	keys := make([]*pre.HybridPrivateKey, 3)
	for i := range keys {
		keys[i], err = pre.GenerateHybridKey()
		require.NoError(t, err)
		plan.Guardians = append(plan.Guardians, recovery.Guardian{ID: fmt.Sprintf("guardian %d", i), Key: keys[i].Public()})
	}
	packages, err := recovery.Split(nil, roots.InsecureMarshal(), plan)
	require.NoError(t, err)
	d := device.New()
	asked := do(t, d, "requestRecovery", device.Fields{
		"owner": patientID, "backup": []byte{}, "device": "a new telephone", "created": 1.8e9, "expires": 1.8e9 + 3600,
	})
	request, err := recovery.ParseRequest(asked["request"].([]byte))
	require.NoError(t, err)
	var answers []any
	for i, p := range packages {
		opened, err := recovery.OpenPackage(keys[i], p.Sealed)
		require.NoError(t, err)
		answer, err := opened.Answer(request, now)
		require.NoError(t, err)
		answers = append(answers, device.Fields{"answer": answer})
	}
	hybrid, err := roots.Hybrid()
	require.NoError(t, err)
	expect := hybrid.Public().ID().String()
	bad := append([]byte(nil), answers[0].(device.Fields)["answer"].([]byte)...)
	bad[len(bad)-1] ^= 1
	out := do(t, d, "recoverFromGuardians", device.Fields{
		"recovery": handle(asked), "answers": []any{device.Fields{"answer": bad}, answers[1], answers[2]}, "expect": expect,
	})
	require.Len(t, out["refused"], 1)
	require.Equal(t, expect, out["hybrid"])
	sameKeys(t, d, roots, out["seeds"].([]any))

	_, failure := d.Call("recoverFromGuardians", device.Fields{"recovery": handle(asked), "answers": answers[:1], "expect": "none"})
	require.NotNil(t, failure)
	require.Equal(t, device.CodeTooFew, failure.Code)
	for missing, code := range map[string]device.Code{
		strings.Repeat("0", len(expect)): device.CodeProof, expect[1:]: device.CodeProof, "": device.CodeParameter,
	} {
		_, failure = d.Call("recoverFromGuardians", device.Fields{"recovery": handle(asked), "answers": answers, "expect": missing})
		require.NotNil(t, failure, missing)
		require.Equal(t, code, failure.Code, missing)
	}
	other := do(t, d, "requestRecovery", device.Fields{
		"owner": patientID, "backup": []byte{}, "device": "", "created": 1.8e9, "expires": 1.8e9 + 3600,
	})
	_, failure = d.Call("recoverFromGuardians", device.Fields{"recovery": handle(other), "answers": answers, "expect": expect})
	require.NotNil(t, failure)
	require.Equal(t, device.CodeTooFew, failure.Code)
	_, failure = d.Call("requestRecovery", device.Fields{
		"owner": patientID, "backup": []byte{}, "device": "", "created": 2.0, "expires": 1.0,
	})
	require.NotNil(t, failure)
	require.Equal(t, device.CodeParameter, failure.Code)
}
