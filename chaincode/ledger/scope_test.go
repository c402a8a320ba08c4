// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledger_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/chaincode/ledger"
	"github.com/emrys-health/emrys/chaincode/ledger/ledgertest"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

func TestScopesArePublishedTogetherAndShownNewestFirst(t *testing.T) {
	t.Parallel()
	c := ledgertest.NewConsortium(t)
	p := c.Patient(t, ledgertest.HospitalA)
	var scopes []ledgerapi.NewScope
	for range ledgerapi.MaxScopesPerCall {
		scopes = append(scopes, ledgertest.NewScope(t, emr.LevelModerate))
	}
	c.Do(t, p, ledgerapi.PublishScopes, ledgerapi.PublishScopesArgs{Patient: p.Handle, Scopes: scopes})
	c.Wait(1e9)
	latest := c.Scope(t, p, emr.LevelPrivate)
	view, err := ledger.GetPatient(c.Query(p.Org), ledgerapi.HandleQuery{Patient: p.Handle})
	require.NoError(t, err)
	require.Len(t, view.Scopes, ledgerapi.MaxScopesPerCall+1)
	require.Equal(t, *latest, view.Scopes[0])
}

func TestPublishingScopesIsRefused(t *testing.T) {
	t.Parallel()
	c := ledgertest.NewConsortium(t)
	p, other := c.Patient(t, ledgertest.HospitalA), c.Patient(t, ledgertest.HospitalA)
	taken := c.Scope(t, other, emr.LevelLow)
	fresh := func() ledgerapi.NewScope { return ledgertest.NewScope(t, emr.LevelLow) }
	one := func(change func(*ledgerapi.NewScope)) []ledgerapi.NewScope {
		s := fresh()
		change(&s)
		return []ledgerapi.NewScope{s}
	}
	twice := fresh()
	shared := fresh()
	shared.Fragment = twice.Delegating
	for name, test := range map[string]struct {
		scopes []ledgerapi.NewScope
		code   emr.Code
		text   string
	}{
		"when there are none":              {[]ledgerapi.NewScope{}, emr.CodeInvalid, "scopes"},
		"when the list is null":            {nil, emr.CodeInvalid, "scopes"},
		"when there are too many":          {make([]ledgerapi.NewScope, ledgerapi.MaxScopesPerCall+1), emr.CodeInvalid, "scopes"},
		"with an id of another form":       {one(func(s *ledgerapi.NewScope) { s.ID = "scp_1" }), emr.CodeInvalid, "scopes[0].id"},
		"with an id that another has":      {one(func(s *ledgerapi.NewScope) { s.ID = taken.ID }), emr.CodeExists, "published"},
		"in epoch 0":                       {one(func(s *ledgerapi.NewScope) { s.Epoch = 0 }), emr.CodeInvalid, "epoch"},
		"at an unknown level":              {one(func(s *ledgerapi.NewScope) { s.Level = "" }), emr.CodeInvalid, "level"},
		"with a delegating key off curve":  {one(func(s *ledgerapi.NewScope) { s.Delegating = make([]byte, 33) }), emr.CodeInvalid, "delegating"},
		"with a fragment key off curve":    {one(func(s *ledgerapi.NewScope) { s.Fragment = nil }), emr.CodeInvalid, "fragment"},
		"with one key for both":            {one(func(s *ledgerapi.NewScope) { s.Fragment = s.Delegating }), emr.CodeInvalid, "key twice"},
		"with one scope twice":             {[]ledgerapi.NewScope{twice, twice}, emr.CodeInvalid, "scope twice"},
		"with a key of another scope":      {[]ledgerapi.NewScope{twice, shared}, emr.CodeInvalid, "key twice"},
		"when the second of two is broken": {append(one(func(*ledgerapi.NewScope) {}), one(func(s *ledgerapi.NewScope) { s.Epoch = 0 })...), emr.CodeInvalid, "scopes[1]"},
	} {
		t.Run(name, func(t *testing.T) {
			before := c.Dump()
			_, err := c.Try(t, p, ledgerapi.PublishScopes, ledgerapi.PublishScopesArgs{Patient: p.Handle, Scopes: test.scopes})
			refuses(t, err, test.code, test.text)
			require.Equal(t, before, c.Dump())
		})
	}
}
