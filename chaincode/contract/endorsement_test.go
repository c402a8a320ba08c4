// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package contract

import (
	"math/bits"
	"slices"
	"testing"

	"github.com/hyperledger/fabric-protos-go-apiv2/common"
	"github.com/hyperledger/fabric-protos-go-apiv2/msp"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/emrys-health/emrys/chaincode/ledger"
	"github.com/emrys-health/emrys/chaincode/ledger/ledgertest"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// satisfied evaluates a signature policy as a peer does, for endorsers of given organisations.
func satisfied(t testing.TB, policy []byte, by []emr.OrgID) bool {
	t.Helper()
	var envelope common.SignaturePolicyEnvelope
	require.NoError(t, proto.Unmarshal(policy, &envelope))
	var holds func(*common.SignaturePolicy) bool
	holds = func(rule *common.SignaturePolicy) bool {
		if among := rule.GetNOutOf(); among != nil {
			met := 0
			for _, r := range among.GetRules() {
				if holds(r) {
					met++
				}
			}
			return met >= int(among.GetN())
		}
		principal := envelope.GetIdentities()[rule.GetSignedBy()]
		require.Equal(t, msp.MSPPrincipal_ROLE, principal.GetPrincipalClassification())
		var role msp.MSPRole
		require.NoError(t, proto.Unmarshal(principal.GetPrincipal(), &role))
		require.Equal(t, msp.MSPRole_PEER, role.GetRole(), "a person's certificate endorses nothing")
		return slices.Contains(by, emr.OrgID(role.GetMspIdentifier()))
	}
	return holds(envelope.GetRule())
}

// principals returns the organisations that a signature policy names, in its order.
func principals(t testing.TB, policy []byte) []emr.OrgID {
	t.Helper()
	var envelope common.SignaturePolicyEnvelope
	require.NoError(t, proto.Unmarshal(policy, &envelope))
	var all []emr.OrgID
	for _, identity := range envelope.GetIdentities() {
		var role msp.MSPRole
		require.NoError(t, proto.Unmarshal(identity.GetPrincipal(), &role))
		all = append(all, emr.OrgID(role.GetMspIdentifier()))
	}
	return all
}

// The policy of a key takes the place of the channel's: a weaker one would let
// fewer organisations change the patient's keys than anything else.
func TestAGuardedKeyNeedsTheHomeAndAMajority(t *testing.T) {
	t.Parallel()
	for members := 1; members <= 7; members++ {
		orgs := []emr.OrgID{"Org1MSP", "Org2MSP", "Org3MSP", "Org4MSP", "Org5MSP", "Org6MSP", "Org7MSP"}[:members]
		for _, home := range orgs {
			guard := ledger.Guard{Home: home, Others: slices.DeleteFunc(slices.Clone(orgs), func(o emr.OrgID) bool { return o == home }), Need: members / 2}
			policy, err := endorsementPolicy(guard)
			require.NoError(t, err)
			for set := range uint(1) << members {
				var by []emr.OrgID
				for i, org := range orgs {
					if set&(1<<i) != 0 {
						by = append(by, org)
					}
				}
				majority := bits.OnesCount(set) >= members/2+1
				require.Equal(t, majority && slices.Contains(by, home), satisfied(t, policy, by), "%d members, home %s, by %v", members, home, by)
			}
		}
	}
}

func TestAGuardThatNobodyCouldSatisfyIsRefused(t *testing.T) {
	t.Parallel()
	for _, guard := range []ledger.Guard{
		{Home: "A", Others: []emr.OrgID{"B"}, Need: 2}, {Home: "A", Others: []emr.OrgID{"A", "B"}, Need: 1},
	} {
		_, err := endorsementPolicy(guard)
		require.Error(t, err)
	}
}

func TestAValidationParameterIsWrittenWithTheKeyAndOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	p := r.NewPatient(t, ledgertest.HospitalA)
	register := r.signed(p, ledgerapi.RegisterPatient, p.Args())
	again := *register
	again.writes, again.parameters = map[string][]byte{}, map[string][]byte{}
	require.EqualValues(t, 200, r.cc.Invoke(&again).GetStatus())
	r.succeeds(register)
	require.Len(t, register.parameters, 4)
	require.Equal(t, register.parameters, again.parameters, "every peer must endorse the same bytes")
	require.Equal(t, register.writes, again.writes)
	for key, policy := range register.parameters {
		require.Contains(t, register.writes, key)
		require.True(t, satisfied(t, policy, []emr.OrgID{ledgertest.HospitalA, ledgertest.HospitalB, ledgertest.Regulator}))
		require.False(t, satisfied(t, policy, []emr.OrgID{ledgertest.HospitalB, ledgertest.HospitalC, ledgertest.Regulator}), "the home is missing")
		require.False(t, satisfied(t, policy, []emr.OrgID{ledgertest.HospitalA, ledgertest.HospitalB}), "a majority is missing")
	}
	rotate := r.signed(p, ledgerapi.RotatePatientKeys, ledgerapi.RotatePatientKeysArgs{
		Patient: p.Handle, Consent: p.Args().Consent, Hybrid: ledgertest.NewHybrid(t).Public().Bytes(),
	})
	r.succeeds(rotate)
	require.Empty(t, rotate.parameters, "what does not change is not written")
}
