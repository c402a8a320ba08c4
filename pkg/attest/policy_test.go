// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package attest_test

import (
	"crypto/elliptic"
	"encoding/pem"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/pkg/attest"
	"github.com/emrys-health/emrys/pkg/emr"
)

func TestAPolicyThatProtectsNobodyIsInvalid(t *testing.T) {
	t.Parallel()
	c := newConsortium(t)
	other := newConsortium(t)
	cases := map[string]struct {
		change func(*attest.Question, *attest.Policy)
		field  string
	}{
		"empty policy":              {func(_ *attest.Question, p *attest.Policy) { *p = attest.Policy{} }, "quorum"},
		"quorum of one":             {func(_ *attest.Question, p *attest.Policy) { p.Quorum = 1 }, "quorum"},
		"negative quorum":           {func(_ *attest.Question, p *attest.Policy) { p.Quorum = -1 }, "quorum"},
		"quorum of more than exist": {func(_ *attest.Question, p *attest.Policy) { p.Quorum = 4 }, "quorum"},
		"quorum of more than count": {func(_ *attest.Question, p *attest.Policy) { p.Exclude = []emr.OrgID{hospA, hospB} }, "quorum"},
		"no age":                    {func(_ *attest.Question, p *attest.Policy) { p.MaxAge = 0 }, "maxAge"},
		"negative age":              {func(_ *attest.Question, p *attest.Policy) { p.MaxAge = -1 }, "maxAge"},
		"no roots":                  {func(_ *attest.Question, p *attest.Policy) { p.Roots = nil }, "quorum"},
		"roots of nobody":           {func(_ *attest.Question, p *attest.Policy) { p.Roots[""] = p.Roots[hospA] }, "roots"},
		"organisation of no root":   {func(_ *attest.Question, p *attest.Policy) { p.Roots[hospA] = " \n" }, "roots"},
		"roots of noise":            {func(_ *attest.Question, p *attest.Policy) { p.Roots[hospA] += "noise" }, "roots"},
		"roots that cannot be read": {func(_ *attest.Question, p *attest.Policy) {
			p.Roots[hospA] = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte{1}}))
		}, "roots"},
		"a key among the roots": {func(_ *attest.Question, p *attest.Policy) {
			p.Roots[hospA] = strings.ReplaceAll(p.Roots[hospA], "CERTIFICATE", "PUBLIC KEY")
		}, "roots"},
		"a peer among the roots": {func(_ *attest.Question, p *attest.Policy) {
			p.Roots[hospA] = pemOf(c.certificate(t, c.cas[hospA], newKey(t, elliptic.P256()), nil, "peer"))
		}, "roots"},
		"one authority for two": {func(_ *attest.Question, p *attest.Policy) {
			p.Roots[hospB] = pemOf(other.cas[hospB].Cert) + p.Roots[hospA]
		}, "roots"},
		"question without channel":    {func(q *attest.Question, _ *attest.Policy) { q.Channel = "" }, "question"},
		"question without chaincode":  {func(q *attest.Question, _ *attest.Policy) { q.Chaincode = "" }, "question"},
		"question without a function": {func(q *attest.Question, _ *attest.Policy) { q.Function = "" }, "question"},
	}
	for name, test := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			q, p := question(), c.policy()
			test.change(&q, &p)
			got, err := c.draft().build(t).Verify(q, p, c.now)
			require.Nil(t, got)
			require.Equal(t, emr.CodeInvalid, emr.CodeOf(err))
			require.Equal(t, test.field, emr.Public(err).Field)
			if test.field == "roots" {
				require.Equal(t, emr.CodeInvalid, emr.CodeOf(p.Roots.Validate()))
			}
		})
	}
	require.NoError(t, c.roots().Validate())
}
