// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledger_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/chaincode/ledger"
	"github.com/emrys-health/emrys/chaincode/ledger/ledgertest"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

func TestOrganisationsAreListedByID(t *testing.T) {
	t.Parallel()
	c := ledgertest.NewConsortium(t)
	list, err := ledger.GetOrganisations(c.Query(c.Orgs[ledgertest.HospitalA]), ledgerapi.Empty{})
	require.NoError(t, err)
	var ids []emr.OrgID
	for _, org := range list.Items {
		ids = append(ids, org.ID)
		require.Equal(t, uint32(1), org.Version)
		require.Equal(t, c.Now, org.Updated)
	}
	require.Equal(t, []emr.OrgID{
		ledgertest.HospitalA, ledgertest.HospitalB, ledgertest.HospitalC, ledgertest.Regulator,
	}, ids)
	empty, err := ledger.GetOrganisations(ledgertest.NewWorld("c").View(ledgertest.Facts{}), ledgerapi.Empty{})
	require.NoError(t, err)
	require.NotNil(t, empty.Items)
}

func TestAnOrganisationMayChangeItsProfileAndKeys(t *testing.T) {
	t.Parallel()
	c := ledgertest.NewConsortium(t)
	org := c.Orgs[ledgertest.HospitalA]
	args := org.Args()
	args.Name, args.GatewayURL, args.IPFS = "New name", "https://10.0.0.1:8443/emrys", nil
	args.Keys.Receipt = ledgertest.NewKey(t).Public().Bytes()
	_, err := c.RegisterOrg(org.Admin, args)
	require.NoError(t, err)
	list, err := ledger.GetOrganisations(c.Query(org), ledgerapi.Empty{})
	require.NoError(t, err)
	require.Len(t, list.Items, 4)
	require.Equal(t, uint32(2), list.Items[0].Version)
	require.Equal(t, args.Keys, list.Items[0].Keys)
	require.Equal(t, []string{}, list.Items[0].IPFS, "a list is never null")
}

func TestRegisteringAnOrganisationIsRefused(t *testing.T) {
	t.Parallel()
	c := ledgertest.NewConsortium(t)
	a, b := c.Orgs[ledgertest.HospitalA], c.Orgs[ledgertest.HospitalB]
	expert, _ := a.Issue(t, ledgertest.Wish{CN: "somebody", Unit: "client"})
	unused := emr.OrgID("bad id")
	for name, test := range map[string]struct {
		caller *ledger.Caller
		change func(*ledgerapi.RegisterOrganisationArgs)
		code   emr.Code
		text   string
	}{
		"to a caller who is no administrator": {caller: &ledger.Caller{MSP: a.ID, Certificate: expert}, code: emr.CodeForbidden},
		"to the gateway":                      {caller: a.Gateway, code: emr.CodeForbidden},
		"to a caller without a certificate":   {caller: &ledger.Caller{MSP: a.ID}, code: emr.CodeUnauthenticated},
		"to no caller":                        {caller: nil, code: emr.CodeUnauthenticated},
		"to an MSP id that cannot be a key":   {caller: &ledger.Caller{MSP: unused, Certificate: expert}, code: emr.CodeUnauthenticated},
		"with the CA of another organisation": {change: func(x *ledgerapi.RegisterOrganisationArgs) { x.CACert = b.Args().CACert }, code: emr.CodeForbidden, text: "caCert"},
		"with a certificate that is no CA's":  {change: func(x *ledgerapi.RegisterOrganisationArgs) { x.CACert = ledgertest.PEM(expert) }, code: emr.CodeInvalid, text: "caCert"},
		"with two certificates":               {change: func(x *ledgerapi.RegisterOrganisationArgs) { x.CACert += x.CACert }, code: emr.CodeInvalid, text: "caCert"},
		"with no certificate":                 {change: func(x *ledgerapi.RegisterOrganisationArgs) { x.CACert = "" }, code: emr.CodeInvalid, text: "caCert"},
		"with PEM of no certificate": {change: func(x *ledgerapi.RegisterOrganisationArgs) {
			x.CACert = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
		}, code: emr.CodeInvalid, text: "caCert"},
		"with a certificate too large":      {change: func(x *ledgerapi.RegisterOrganisationArgs) { x.CACert += strings.Repeat("\n", 17<<10) }, code: emr.CodeTooLarge, text: "caCert"},
		"when it would change its kind":     {change: func(x *ledgerapi.RegisterOrganisationArgs) { x.Kind, x.IPFS = emr.KindRegulator, nil }, code: emr.CodeRule, text: "kind"},
		"of an unknown kind":                {change: func(x *ledgerapi.RegisterOrganisationArgs) { x.Kind = "insurer" }, code: emr.CodeInvalid, text: "kind"},
		"without a name":                    {change: func(x *ledgerapi.RegisterOrganisationArgs) { x.Name = "" }, code: emr.CodeInvalid, text: "name"},
		"with a name too long":              {change: func(x *ledgerapi.RegisterOrganisationArgs) { x.Name = strings.Repeat("n", 129) }, code: emr.CodeInvalid, text: "name"},
		"with a control character":          {change: func(x *ledgerapi.RegisterOrganisationArgs) { x.Name = "a\nb" }, code: emr.CodeInvalid, text: "name"},
		"without TLS":                       {change: func(x *ledgerapi.RegisterOrganisationArgs) { x.GatewayURL = "http://a" }, code: emr.CodeInvalid, text: "gatewayUrl"},
		"with a URL without host":           {change: func(x *ledgerapi.RegisterOrganisationArgs) { x.GatewayURL = "https:///x" }, code: emr.CodeInvalid, text: "gatewayUrl"},
		"with a URL of a port alone":        {change: func(x *ledgerapi.RegisterOrganisationArgs) { x.GatewayURL = "https://:1" }, code: emr.CodeInvalid, text: "gatewayUrl"},
		"with a user in the URL":            {change: func(x *ledgerapi.RegisterOrganisationArgs) { x.GatewayURL = "https://u:p@a" }, code: emr.CodeInvalid, text: "gatewayUrl"},
		"with a query in the URL":           {change: func(x *ledgerapi.RegisterOrganisationArgs) { x.GatewayURL = "https://a/?x" }, code: emr.CodeInvalid, text: "gatewayUrl"},
		"with a fragment in the URL":        {change: func(x *ledgerapi.RegisterOrganisationArgs) { x.GatewayURL = "https://a/#x" }, code: emr.CodeInvalid, text: "gatewayUrl"},
		"with a URL too long":               {change: func(x *ledgerapi.RegisterOrganisationArgs) { x.GatewayURL += "/" + strings.Repeat("x", 512) }, code: emr.CodeInvalid, text: "gatewayUrl"},
		"with too many addresses":           {change: func(x *ledgerapi.RegisterOrganisationArgs) { x.IPFS = make([]string, 17) }, code: emr.CodeInvalid, text: "ipfs"},
		"with an address of another form":   {change: func(x *ledgerapi.RegisterOrganisationArgs) { x.IPFS = []string{"127.0.0.1:4001"} }, code: emr.CodeInvalid, text: "ipfs"},
		"with an address too long":          {change: func(x *ledgerapi.RegisterOrganisationArgs) { x.IPFS = []string{"/" + strings.Repeat("x", 256)} }, code: emr.CodeInvalid, text: "ipfs"},
		"with a proxy key too short":        {change: func(x *ledgerapi.RegisterOrganisationArgs) { x.Keys.Proxy = x.Keys.Proxy[1:] }, code: emr.CodeInvalid, text: "keys.proxy"},
		"with a record key that is none":    {change: func(x *ledgerapi.RegisterOrganisationArgs) { x.Keys.Record = make([]byte, 1249) }, code: emr.CodeInvalid, text: "keys.record"},
		"with one key for proxy and record": {change: func(x *ledgerapi.RegisterOrganisationArgs) { x.Keys.Record = x.Keys.Proxy }, code: emr.CodeInvalid, text: "keys.record"},
		"with a receipt key off the curve":  {change: func(x *ledgerapi.RegisterOrganisationArgs) { x.Keys.Receipt = make([]byte, 33) }, code: emr.CodeInvalid, text: "keys.receipt"},
	} {
		t.Run(name, func(t *testing.T) {
			args := a.Args()
			caller := a.Admin
			if test.change != nil {
				test.change(&args)
			} else {
				caller = test.caller
			}
			before := c.Dump()
			_, err := c.RegisterOrg(caller, args)
			refuses(t, err, test.code, test.text)
			require.Equal(t, before, c.Dump())
		})
	}
}

func TestARegulatorRunsNoContentStore(t *testing.T) {
	t.Parallel()
	c := ledgertest.NewConsortium(t)
	org := c.Orgs[ledgertest.Regulator]
	args := org.Args()
	args.IPFS = []string{"/ip4/127.0.0.1"}
	_, err := c.RegisterOrg(org.Admin, args)
	refuses(t, err, emr.CodeInvalid, "ipfs")
}

func TestTheCAOfAnOrganisationIsFixedByItsFirstRegistration(t *testing.T) {
	t.Parallel()
	c := ledgertest.NewConsortium(t)
	a := c.Orgs[ledgertest.HospitalA]
	other := ledgertest.NewOrg(t, a.ID, emr.KindHospital, a.CA.Certificate.NotBefore, a.CA.Certificate.NotAfter)
	_, err := c.RegisterOrg(other.Admin, other.Args())
	refuses(t, err, emr.CodeRule, "caCert")
}

func TestEveryPeerRegistersAnOrganisationAlike(t *testing.T) {
	t.Parallel()
	c := ledgertest.NewConsortium(t)
	a := c.Orgs[ledgertest.HospitalA]
	fresh := ledgertest.NewOrg(t, "HospitalDMSP", emr.KindHospital, a.CA.Certificate.NotBefore, a.CA.Certificate.NotAfter)
	for _, org := range []*ledgertest.Org{a, fresh} {
		tx := c.Begin(c.Facts(org.Admin))
		again := tx.Again()
		first, err := ledger.RegisterOrganisation(tx, org.Args())
		require.NoError(t, err)
		second, err := ledger.RegisterOrganisation(again, org.Args())
		require.NoError(t, err)
		require.Equal(t, first, second)
		require.Equal(t, tx.Effects(), again.Effects())
	}
}
