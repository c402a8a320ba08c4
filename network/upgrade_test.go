// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package network

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/network/topology"
)

func TestWhatAnUpgradeMayChange(t *testing.T) {
	t.Parallel()
	base, err := topology.Parse(topology.Default())
	require.NoError(t, err)
	three := []string{"hospa", "hospb", "hospc"}
	for name, c := range map[string]struct {
		present, next func(*topology.Topology)
		refusal       string
	}{
		"another version": {next: func(to *topology.Topology) { to.Chaincode.Version = "2.0" }},
		"a member more": {
			present: func(to *topology.Topology) { to.Chaincode.Collections[0].Members = three },
			next: func(to *topology.Topology) {
				to.Chaincode.Collections[0].Members = append(slices.Clone(three), "regulator")
			},
		},
		"a member less": {
			next:    func(to *topology.Topology) { to.Chaincode.Collections[0].Members = three },
			refusal: "RegulatorMSP cannot leave",
		},
		"a collection more": {next: func(to *topology.Topology) {
			to.Chaincode.Collections = append(to.Chaincode.Collections, topology.Collection{Name: "other", MaxPeerCount: 1})
		}},
		"a collection less":      {next: func(to *topology.Topology) { to.Chaincode.Collections = nil }, refusal: "cannot be removed"},
		"a collection renamed":   {next: func(to *topology.Topology) { to.Chaincode.Collections[0].Name = "other" }, refusal: "cannot be removed"},
		"the same sequence":      {next: func(to *topology.Topology) { to.Chaincode.Sequence-- }, refusal: "must be 2"},
		"a sequence left out":    {next: func(to *topology.Topology) { to.Chaincode.Sequence++ }, refusal: "must be 2"},
		"another chaincode":      {next: func(to *topology.Topology) { to.Chaincode.Name = "other" }, refusal: "differs in more"},
		"another organisation":   {next: func(to *topology.Topology) { to.Organisations[0].Name = "Other" }, refusal: "differs in more"},
		"other ordering":         {next: func(to *topology.Topology) { to.Channel.Ordering.MaxMessages++ }, refusal: "differs in more"},
		"another proxies' quota": {next: func(to *topology.Topology) { to.Proxies.Threshold++ }, refusal: "differs in more"},
	} {
		copied := func() *topology.Topology {
			to := *base
			to.Organisations = slices.Clone(base.Organisations)
			to.Chaincode.Collections = slices.Clone(base.Chaincode.Collections)
			if c.present != nil {
				c.present(&to)
			}
			return &to
		}
		present, next := copied(), copied()
		next.Chaincode.Sequence++
		c.next(next)
		err := upgradable(present, next)
		if c.refusal == "" {
			require.NoError(t, err, name)
			continue
		}
		require.ErrorContains(t, err, c.refusal, name)
	}
}
