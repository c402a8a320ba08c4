// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package contract

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/chaincode/ledger/ledgertest"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// batchThroughTheAdapter commits one denial and one refusal over the stub.
func batchThroughTheAdapter(t *testing.T, r *rig, by *ledgertest.Clinician, record emr.RecordID) {
	t.Helper()
	args := ledgerapi.DiscloseArgs{
		Disclosure: ledgertest.ID[emr.DisclosureID](emr.DisclosurePrefix), Record: record, Purpose: emr.PurposeTreatment,
	}
	actions := append(append([]byte("["), ledgertest.Raw(t, r.Sign(t, by, ledgerapi.Disclose, args))...), []byte(",{}]")...)
	stub := r.fabric.stub(identity(t, by.Org.Gateway), r.Now, ledgerapi.DiscloseBatch)
	stub.transient = map[string][]byte{ledgerapi.TransientActions: actions}
	var answer ledgerapi.BatchReceipt
	require.NoError(t, emr.Decode(r.succeeds(stub), &answer))
	require.Equal(t, emr.ReasonNoGrant, answer.Outcomes[0].Receipt.Reason)
	require.Equal(t, emr.CodeUnsupported, answer.Outcomes[1].Code)
}

func TestABatchTravelsInItsOwnTransientField(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for name, transient := range map[string]map[string][]byte{
		"absent":            nil,
		"the single action": {ledgerapi.TransientAction: []byte("[{}]")},
		"both":              {ledgerapi.TransientAction: []byte("{}"), ledgerapi.TransientActions: []byte("[{}]")},
		"no array":          {ledgerapi.TransientActions: []byte("{}")},
	} {
		stub := r.call(ledgerapi.DiscloseBatch)
		stub.transient = transient
		require.Equal(t, emr.CodeInvalid, r.fails(stub).Code, name)
		require.Empty(t, stub.writes)
	}
	single := r.call(ledgerapi.Disclose)
	single.transient = map[string][]byte{ledgerapi.TransientActions: []byte("[{}]")}
	require.Equal(t, emr.CodeInvalid, r.fails(single).Code)
}
