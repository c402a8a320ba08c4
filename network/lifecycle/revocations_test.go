// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"encoding/pem"
	"testing"
	"time"

	"github.com/hyperledger/fabric-protos-go-apiv2/common"
	"github.com/hyperledger/fabric-protos-go-apiv2/msp"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/emrys-health/emrys/pkg/attest"
	"github.com/emrys-health/emrys/pkg/attest/attesttest"
	"github.com/emrys-health/emrys/pkg/emr"
)

func encoded(t testing.TB, m proto.Message) []byte {
	t.Helper()
	b, err := proto.Marshal(m)
	require.NoError(t, err)
	return b
}

func configBlock(t testing.TB, kind int32, members ...*msp.FabricMSPConfig) *common.Block {
	t.Helper()
	groups := map[string]*common.ConfigGroup{}
	for _, m := range members {
		groups["group of "+m.GetName()] = &common.ConfigGroup{Values: map[string]*common.ConfigValue{
			"MSP": {Value: encoded(t, &msp.MSPConfig{Type: kind, Config: encoded(t, m)})},
		}}
	}
	root := &common.ConfigGroup{Groups: map[string]*common.ConfigGroup{"Application": {Groups: groups}}}
	payload := encoded(t, &common.Payload{Data: encoded(t, &common.ConfigEnvelope{Config: &common.Config{ChannelGroup: root}})})
	return &common.Block{Data: &common.BlockData{Data: [][]byte{encoded(t, &common.Envelope{Payload: payload})}}}
}

func TestTheListsOfTheChannelsConfigurationCanBePinned(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)
	c := attesttest.New(t, now, "AMSP", "BMSP", "CMSP")
	a, peer := c.Authority("AMSP")
	b, other := c.Authority("BMSP")
	first, second := a.Revoke(t, now, peer.Certificate(t)), a.Revoke(t, now)
	inner, _ := pem.Decode([]byte(b.Revoke(t, now, other.Certificate(t))))
	lists, err := RevocationLists(configBlock(t, 0,
		&msp.FabricMSPConfig{Name: "AMSP", RevocationList: [][]byte{[]byte(first), []byte(second)}},
		&msp.FabricMSPConfig{Name: "BMSP", RevocationList: [][]byte{inner.Bytes}},
		&msp.FabricMSPConfig{Name: "CMSP"}))
	require.NoError(t, err)
	require.Equal(t, map[string]string{"AMSP": first + second, "BMSP": string(pem.EncodeToMemory(inner))}, lists)

	roots := c.Roots()
	for msp, list := range lists {
		roots[emr.OrgID(msp)] += list
	}
	require.NoError(t, roots.Validate())
	proof := c.Prove("ch", "cc", "Get", nil, []byte("answer"), now, "AMSP", "CMSP")
	_, err = proof.Verify(attest.Question{Channel: "ch", Chaincode: "cc", Function: "Get"},
		attest.Policy{Roots: roots, Quorum: 2, MaxAge: time.Minute}, now)
	require.ErrorContains(t, err, "is revoked")
}

func TestWhatIsNoConfigurationHasNoLists(t *testing.T) {
	t.Parallel()
	one := &msp.FabricMSPConfig{Name: "AMSP"}
	broken := configBlock(t, 0, one)
	broken.Data.Data[0] = []byte{0xff}
	twice := configBlock(t, 0, one)
	twice.Data.Data = append(twice.Data.Data, twice.Data.Data[0])
	for name, block := range map[string]*common.Block{
		"nothing":                nil,
		"an empty block":         {},
		"two transactions":       twice,
		"noise":                  broken,
		"no members":             configBlock(t, 0),
		"an MSP of another kind": configBlock(t, 1, one),
		"an MSP without a name":  configBlock(t, 0, &msp.FabricMSPConfig{}),
	} {
		_, err := RevocationLists(block)
		require.Error(t, err, name)
	}
}

func FuzzRevocationLists(f *testing.F) {
	f.Add(configBlock(f, 0, &msp.FabricMSPConfig{Name: "AMSP", RevocationList: [][]byte{[]byte("list")}}).GetData().GetData()[0])
	f.Add([]byte{0x0a, 0})
	f.Fuzz(func(t *testing.T, envelope []byte) {
		lists, err := RevocationLists(&common.Block{Data: &common.BlockData{Data: [][]byte{envelope}}})
		if err != nil {
			return
		}
		for msp, list := range lists {
			require.NotEmpty(t, msp)
			block, _ := pem.Decode([]byte(list))
			require.NotNil(t, block)
			require.Equal(t, "X509 CRL", block.Type)
		}
	})
}
