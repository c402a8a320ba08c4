// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package api_test

import (
	"crypto/sha256"
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/pkg/api"
	"github.com/emrys-health/emrys/pkg/emr"
)

func TestAReceiptOfAFragmentKeepsItsBytesAndOneOfASealedKeyIsAnother(t *testing.T) {
	t.Parallel()
	hash := func(text string) string {
		sum := emr.Digest(sha256.Sum256([]byte(text)))
		return sum.String()
	}
	f := api.Fragment{Gateway: "HospAMSP", Capsule: []byte("capsule"), Share: []byte("share")}
	plain := api.ReceiptOf("dis_1", emr.Digest{1}, &f)
	text, err := emr.Canonical(plain)
	require.NoError(t, err)
	require.JSONEq(t, `{"gateway":"HospAMSP","disclosure":"dis_1","request":"`+emr.Digest{1}.String()+
		`","capsule":"`+hash("capsule")+`","share":"`+hash("share")+`"}`, string(text))
	digest, err := plain.Digest()
	require.NoError(t, err)
	require.Equal(t, sha256.Sum256(append([]byte("EMRYS-FRAGMENT-V1\x00"), text...)), [32]byte(digest))

	f.Direct = []byte("sealed")
	beside, err := api.ReceiptOf("dis_1", emr.Digest{1}, &f).Digest()
	require.NoError(t, err)
	f.Capsule = nil
	direct := api.ReceiptOf("dis_1", emr.Digest{1}, &f)
	require.Equal(t, hash("sealed"), direct.Direct.String())
	alone, err := direct.Digest()
	require.NoError(t, err)
	f.Direct = []byte("sealed otherwise")
	other, err := api.ReceiptOf("dis_1", emr.Digest{1}, &f).Digest()
	require.NoError(t, err)
	all := map[emr.Digest]bool{digest: true, beside: true, alone: true, other: true}
	require.Len(t, all, 4, "what was answered cannot be exchanged under one receipt")
}

func TestAnAnswerHoldsTheFieldOfItsKindAlone(t *testing.T) {
	t.Parallel()
	for field, f := range map[string]api.Fragment{
		"direct":  {Gateway: "HospAMSP", Capsule: []byte("c"), Share: []byte("s"), Receipt: []byte("r")},
		"capsule": {Gateway: "HospAMSP", Direct: []byte("d"), Share: []byte("s"), Receipt: []byte("r")},
	} {
		text, err := json.Marshal(f)
		require.NoError(t, err)
		require.NotContains(t, string(text), `"`+field+`"`)
	}
}
