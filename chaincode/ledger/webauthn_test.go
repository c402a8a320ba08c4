// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledger_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/chaincode/ledger/ledgertest"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
	"github.com/emrys-health/emrys/pkg/signature/signaturetest"
)

// assertion signs an action of a patient by a passkey.
func assertion(t testing.TB, p *signaturetest.Passkey, action *emr.Action, change func(*signaturetest.Answer)) *emr.SignedAction {
	t.Helper()
	body, err := emr.Canonical(action)
	require.NoError(t, err)
	return p.Sign(t, body, change)
}

// passkeyPatient registers a patient whose pinned key is a passkey.
func passkeyPatient(t testing.TB, c *ledgertest.Consortium) (*ledgertest.Patient, *signaturetest.Passkey) {
	t.Helper()
	passkey := signaturetest.New(t, "emrys.example", "https://patient.emrys.example")
	p := c.NewPatient(t, ledgertest.HospitalA)
	args := p.Args()
	args.Consent = passkey.Pinned(t)
	signed := assertion(t, passkey, c.Action(t, p, ledgerapi.RegisterPatient, args), nil)
	_, err := c.Submit(t, p.Org, ledgerapi.RegisterPatient, signed)
	require.NoError(t, err)
	return p, passkey
}

func TestAPatientConsentsByPasskey(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	p, passkey := passkeyPatient(t, s.Consortium)
	args := ledgerapi.PublishScopesArgs{Patient: p.Handle, Scopes: []ledgerapi.NewScope{ledgertest.NewScope(t, emr.LevelLow)}}
	action := s.Action(t, p, ledgerapi.PublishScopes, args)
	before := s.Dump()

	_, err := s.Submit(t, p.Org, ledgerapi.PublishScopes, ledgertest.Seal(t, action, p.Consent))
	refuses(t, err, emr.CodeUnauthenticated, "kind")
	_, err = s.Submit(t, p.Org, ledgerapi.PublishScopes,
		assertion(t, passkey, action, func(a *signaturetest.Answer) { a.AuthenticatorData[32] = 1 }))
	refuses(t, err, emr.CodeUnauthenticated, "not verified")
	stranger := signaturetest.New(t, passkey.Party, passkey.Origin)
	_, err = s.Submit(t, p.Org, ledgerapi.PublishScopes, assertion(t, stranger, action, nil))
	refuses(t, err, emr.CodeUnauthenticated, "signature")
	require.Equal(t, before, s.Dump())

	signed := assertion(t, passkey, action, nil)
	_, err = s.Submit(t, s.Orgs[ledgertest.HospitalB], ledgerapi.PublishScopes, signed)
	require.NoError(t, err, "any gateway may carry it")
	// A second gesture over the same action spends nothing new.
	_, err = s.Submit(t, p.Org, ledgerapi.PublishScopes, assertion(t, passkey, action, nil))
	refuses(t, err, emr.CodeExists, "already spent")
}

func TestAPasskeyIsKnownToSeveralProxies(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	p, passkey := passkeyPatient(t, s.Consortium)
	own := s.read("")
	s.disclose(t, s.patient, own)
	open := assertion(t, passkey, s.Action(t, p, ledgerapi.OpenTicket, ledgerapi.OpenTicketArgs{Disclosure: own.Disclosure}), nil)
	for _, org := range []emr.OrgID{ledgertest.HospitalA, ledgertest.HospitalB} {
		require.Equal(t, emr.ReasonNotReader, s.check(t, org, open).Reason, "authenticated, and not the reader")
	}
}

func TestRegisteringAPasskeyIsRefused(t *testing.T) {
	t.Parallel()
	c := ledgertest.NewConsortium(t)
	passkey := signaturetest.New(t, "emrys.example", "https://patient.emrys.example")
	for name, test := range map[string]struct {
		change func(*emr.PinnedKey)
		code   emr.Code
	}{
		"without a relying party":        {func(k *emr.PinnedKey) { k.RelyingParty = "" }, emr.CodeInvalid},
		"without origins":                {func(k *emr.PinnedKey) { k.Origins = nil }, emr.CodeInvalid},
		"with an origin of another host": {func(k *emr.PinnedKey) { k.Origins = []string{"https://evil.example"} }, emr.CodeInvalid},
		"for a party it is not of":       {func(k *emr.PinnedKey) { k.RelyingParty = "patient.emrys.example" }, emr.CodeUnauthenticated},
		"as a raw key with a party":      {func(k *emr.PinnedKey) { k.Kind = emr.SignatureP256 }, emr.CodeInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			p := c.NewPatient(t, ledgertest.HospitalA)
			args := p.Args()
			args.Consent = passkey.Pinned(t)
			test.change(&args.Consent)
			before := c.Dump()
			_, err := c.Submit(t, p.Org, ledgerapi.RegisterPatient,
				assertion(t, passkey, c.Action(t, p, ledgerapi.RegisterPatient, args), nil))
			refuses(t, err, test.code, "")
			require.Equal(t, before, c.Dump())
		})
	}
}
