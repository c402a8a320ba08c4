// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledger_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/chaincode/ledger"
	"github.com/emrys-health/emrys/chaincode/ledger/ledgertest"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

func TestAPatientIsFoundByPseudonymAndByHandle(t *testing.T) {
	t.Parallel()
	c := ledgertest.NewConsortium(t)
	p := c.Patient(t, ledgertest.HospitalA)
	r := c.Query(c.Orgs[ledgertest.HospitalB])
	byPseudonym, err := ledger.ResolvePatient(r, ledgerapi.ResolvePatientQuery{Patient: p.ID})
	require.NoError(t, err)
	byHandle, err := ledger.GetPatient(r, ledgerapi.HandleQuery{Patient: p.Handle})
	require.NoError(t, err)
	require.Equal(t, byHandle, byPseudonym)
	require.Equal(t, emr.Patient{
		V: 1, Handle: p.Handle, Home: ledgertest.HospitalA, Registered: c.Now, Hybrid: p.Hybrid.Public().Bytes(),
		Consent: emr.PinnedKey{Kind: emr.SignatureP256, Key: p.Consent.Public().Bytes()},
	}, byHandle.Patient)
	require.NotNil(t, byHandle.Scopes)
}

func TestRegisteringAPatientIsRefused(t *testing.T) {
	t.Parallel()
	c := ledgertest.NewConsortium(t)
	type args = ledgerapi.RegisterPatientArgs
	certify := func(org emr.OrgID, w ledgertest.Wish) func(*testing.T, *ledgertest.Patient, *args) {
		return func(t *testing.T, p *ledgertest.Patient, x *args) {
			if w.CN == "" {
				w.CN = string(p.ID)
			}
			certificate, _ := c.Orgs[org].Issue(t, w)
			x.Certificate = ledgertest.PEM(certificate)
		}
	}
	registered := c.Patient(t, ledgertest.HospitalA)
	for name, test := range map[string]struct {
		change func(*testing.T, *ledgertest.Patient, *args)
		via    emr.OrgID
		code   emr.Code
		text   string
	}{
		"through another hospital's gateway":    {via: ledgertest.HospitalB, code: emr.CodeForbidden, text: "home"},
		"with a certificate by another CA":      {change: certify(ledgertest.HospitalB, ledgertest.Wish{Role: "patient"}), code: emr.CodeForbidden, text: "CA"},
		"with somebody else's certificate":      {change: certify(ledgertest.HospitalA, ledgertest.Wish{CN: string(registered.ID), Role: "patient"}), code: emr.CodeForbidden, text: "somebody else"},
		"with a certificate of another role":    {change: certify(ledgertest.HospitalA, ledgertest.Wish{Role: "physician"}), code: emr.CodeForbidden, text: "patient"},
		"with a certificate without a role":     {change: certify(ledgertest.HospitalA, ledgertest.Wish{}), code: emr.CodeForbidden, text: "patient"},
		"with an expired certificate":           {change: certify(ledgertest.HospitalA, ledgertest.Wish{Role: "patient", Until: c.Now.Std()}), code: emr.CodeForbidden, text: "expired"},
		"with a certificate not valid yet":      {change: certify(ledgertest.HospitalA, ledgertest.Wish{Role: "patient", From: c.Now.Std().Add(time.Second)}), code: emr.CodeForbidden, text: "not valid yet"},
		"with no certificate":                   {change: func(_ *testing.T, _ *ledgertest.Patient, x *args) { x.Certificate = "" }, code: emr.CodeInvalid, text: "certificate"},
		"with a pseudonym of another form":      {change: func(_ *testing.T, _ *ledgertest.Patient, x *args) { x.Patient = "Jane Doe" }, code: emr.CodeInvalid, text: "patient"},
		"with a handle of another form":         {change: func(_ *testing.T, _ *ledgertest.Patient, x *args) { x.Handle = "hnd_1" }, code: emr.CodeInvalid, text: "handle"},
		"with another handle than the signer's": {change: func(_ *testing.T, _ *ledgertest.Patient, x *args) { x.Handle = ledgertest.ID[emr.Handle]("hnd_") }, code: emr.CodeForbidden, text: "handle"},
		"with a key that did not sign": {change: func(t *testing.T, _ *ledgertest.Patient, x *args) {
			x.Consent.Key = ledgertest.NewKey(t).Public().Bytes()
		}, code: emr.CodeUnauthenticated, text: "signature"},
		"with a key of a kind not offered": {change: func(_ *testing.T, _ *ledgertest.Patient, x *args) { x.Consent.Kind = "ed25519" }, code: emr.CodeUnsupported, text: "consent"},
		"with a key off the curve":         {change: func(_ *testing.T, _ *ledgertest.Patient, x *args) { x.Consent.Key = make([]byte, 33) }, code: emr.CodeInvalid, text: "consent"},
		"with a hybrid key that is none":   {change: func(_ *testing.T, _ *ledgertest.Patient, x *args) { x.Hybrid = nil }, code: emr.CodeInvalid, text: "hybrid"},
		"under a pseudonym registered already": {change: func(_ *testing.T, p *ledgertest.Patient, x *args) {
			p.ID, p.Cert = registered.ID, registered.Cert
			*x = p.Args()
		}, code: emr.CodeExists, text: "under a handle"},
		"under a handle registered already": {change: func(_ *testing.T, p *ledgertest.Patient, x *args) { p.Handle = registered.Handle; *x = p.Args() }, code: emr.CodeExists, text: "handle is"},
	} {
		t.Run(name, func(t *testing.T) {
			p := c.NewPatient(t, ledgertest.HospitalA)
			x := p.Args()
			if test.change != nil {
				test.change(t, p, &x)
			}
			via := p.Org
			if test.via != "" {
				via = c.Orgs[test.via]
			}
			before := c.Dump()
			_, err := c.Submit(t, via, ledgerapi.RegisterPatient, c.Sign(t, p, ledgerapi.RegisterPatient, x))
			refuses(t, err, test.code, test.text)
			require.Equal(t, before, c.Dump())
		})
	}
}

func TestARegulatorHasNoPatients(t *testing.T) {
	t.Parallel()
	c := ledgertest.NewConsortium(t)
	p := c.NewPatient(t, ledgertest.Regulator)
	_, err := c.Try(t, p, ledgerapi.RegisterPatient, p.Args())
	refuses(t, err, emr.CodeForbidden, "patient")
}

func TestRoleAndLevelOfAClinicianComeFromTheCertificate(t *testing.T) {
	t.Parallel()
	c := ledgertest.NewConsortium(t)
	for _, test := range []struct {
		org  emr.OrgID
		wish ledgertest.Wish
		want emr.Level
	}{
		{ledgertest.HospitalA, ledgertest.Wish{Role: "physician", Level: "private"}, emr.LevelPrivate},
		{ledgertest.HospitalA, ledgertest.Wish{Role: "nurse", Level: "moderate"}, emr.LevelModerate},
		{ledgertest.HospitalA, ledgertest.Wish{Role: "researcher"}, emr.LevelLow},
		{ledgertest.HospitalA, ledgertest.Wish{Role: "insurer", Level: "low"}, emr.LevelLow},
		{ledgertest.Regulator, ledgertest.Wish{Role: "auditor"}, emr.LevelLow},
	} {
		p := c.NewClinician(t, test.org, test.wish)
		c.Do(t, p, ledgerapi.RegisterClinician, p.Args())
		got, err := ledger.GetClinician(c.Query(p.Org), ledgerapi.ClinicianQuery{Clinician: p.ID})
		require.NoError(t, err)
		require.Equal(t, emr.Clinician{
			V: 1, ID: p.ID, Org: test.org, Role: emr.Role(test.wish.Role), Level: test.want,
			Serial: p.Cert.SerialNumber.Text(16), Signing: emr.PinnedKey{Kind: emr.SignatureP256, Key: p.Key.Public().Bytes()},
			Reading: p.Reading.Public().Bytes(), Hybrid: p.Hybrid.Public().Bytes(),
			NotAfter: emr.TimeOf(p.Cert.NotAfter), Registered: c.Now,
		}, *got)
	}
}

func TestRegisteringAClinicianIsRefused(t *testing.T) {
	t.Parallel()
	c := ledgertest.NewConsortium(t)
	type args = ledgerapi.RegisterClinicianArgs
	set := func(f func(*args)) func(*testing.T, *ledgertest.Clinician, *args) {
		return func(_ *testing.T, _ *ledgertest.Clinician, x *args) { f(x) }
	}
	for name, test := range map[string]struct {
		org    emr.OrgID
		wish   ledgertest.Wish
		via    emr.OrgID
		change func(*testing.T, *ledgertest.Clinician, *args)
		code   emr.Code
		text   string
	}{
		"when a hospital asserts an auditor":     {wish: ledgertest.Wish{Role: "auditor"}, code: emr.CodeForbidden, text: "role"},
		"when the regulator asserts a physician": {org: ledgertest.Regulator, wish: ledgertest.Wish{Role: "physician"}, code: emr.CodeForbidden, text: "role"},
		"as a patient":                           {wish: ledgertest.Wish{Role: "patient"}, code: emr.CodeForbidden, text: "role"},
		"as a gateway":                           {wish: ledgertest.Wish{Role: "gateway"}, code: emr.CodeForbidden, text: "role"},
		"without a role":                         {code: emr.CodeForbidden, text: "role"},
		"with an unknown role":                   {wish: ledgertest.Wish{Role: "Physician"}, code: emr.CodeForbidden, text: "role"},
		"with an unknown level":                  {wish: ledgertest.Wish{Role: "nurse", Level: "top"}, code: emr.CodeInvalid, text: "low, moderate or private"},
		"with an expired certificate":            {wish: ledgertest.Wish{Role: "nurse", Until: c.Now.Std()}, code: emr.CodeForbidden, text: "expired"},
		"through another hospital's gateway":     {wish: ledgertest.Wish{Role: "nurse"}, via: ledgertest.HospitalB, code: emr.CodeForbidden, text: "own organisation"},
		"for another organisation":               {wish: ledgertest.Wish{Role: "nurse"}, change: set(func(x *args) { x.Org = ledgertest.HospitalB }), code: emr.CodeForbidden, text: "own organisation"},
		"with another id than the signer's":      {wish: ledgertest.Wish{Role: "nurse"}, change: set(func(x *args) { x.Clinician = ledgertest.ID[emr.ClinicianID]("cli_") }), code: emr.CodeForbidden, text: "another clinician"},
		"with an id of another form":             {wish: ledgertest.Wish{Role: "nurse"}, change: set(func(x *args) { x.Clinician = "Dr. No" }), code: emr.CodeInvalid, text: "clinician"},
		"with a reading key off the curve":       {wish: ledgertest.Wish{Role: "nurse"}, change: set(func(x *args) { x.Reading = []byte{2} }), code: emr.CodeInvalid, text: "reading"},
		"with a hybrid key that is none":         {wish: ledgertest.Wish{Role: "nurse"}, change: set(func(x *args) { x.Hybrid = []byte{2} }), code: emr.CodeInvalid, text: "hybrid"},
		"with a colleague's certificate": {wish: ledgertest.Wish{Role: "nurse"}, change: func(t *testing.T, _ *ledgertest.Clinician, x *args) {
			x.Certificate = c.NewClinician(t, ledgertest.HospitalA, ledgertest.Wish{Role: "nurse"}).Args().Certificate
		}, code: emr.CodeForbidden, text: "somebody else"},
		"with a certificate whose key did not sign": {wish: ledgertest.Wish{Role: "nurse"}, change: func(t *testing.T, p *ledgertest.Clinician, _ *args) {
			p.Key = ledgertest.NewKey(t)
		}, code: emr.CodeUnauthenticated, text: "signature"},
		"with a certificate by another CA": {wish: ledgertest.Wish{Role: "nurse"}, change: func(t *testing.T, p *ledgertest.Clinician, x *args) {
			forged := c.Orgs[ledgertest.HospitalB].IssueFor(t, ledgertest.Wish{CN: string(p.ID), Role: "nurse"}, p.Key)
			x.Certificate = ledgertest.PEM(forged)
		}, code: emr.CodeForbidden, text: "CA"},
	} {
		t.Run(name, func(t *testing.T) {
			org := ledgertest.HospitalA
			if test.org != "" {
				org = test.org
			}
			p := c.NewClinician(t, org, test.wish)
			x := p.Args()
			if test.change != nil {
				test.change(t, p, &x)
			}
			via := p.Org
			if test.via != "" {
				via = c.Orgs[test.via]
			}
			before := c.Dump()
			_, err := c.Submit(t, via, ledgerapi.RegisterClinician, c.Sign(t, p, ledgerapi.RegisterClinician, x))
			refuses(t, err, test.code, test.text)
			require.Equal(t, before, c.Dump())
		})
	}
}

// renewed is the clinician with a certificate that ends at a time, and a new key.
func renewed(t *testing.T, p *ledgertest.Clinician, w ledgertest.Wish) *ledgertest.Clinician {
	t.Helper()
	next := *p
	w.CN = string(p.ID)
	next.Cert, next.Key = p.Org.Issue(t, w)
	return &next
}

func TestALaterCertificateRenewsAClinician(t *testing.T) {
	t.Parallel()
	c := ledgertest.NewConsortium(t)
	until := c.Now.Std().Add(time.Hour)
	p := c.NewClinician(t, ledgertest.HospitalA, ledgertest.Wish{Role: "physician", Level: "private", Until: until})
	c.Do(t, p, ledgerapi.RegisterClinician, p.Args())
	first := c.Now
	c.Wait(10 * time.Minute)

	_, err := c.Try(t, p, ledgerapi.RegisterClinician, p.Args())
	refuses(t, err, emr.CodeExists, "already registered")
	same := renewed(t, p, ledgertest.Wish{Role: "physician", Level: "private", Until: until})
	_, err = c.Try(t, same, ledgerapi.RegisterClinician, same.Args())
	refuses(t, err, emr.CodeExists, "later certificate")

	next := renewed(t, p, ledgertest.Wish{Role: "nurse", Level: "low", Until: until.Add(time.Hour)})
	next.Reading = ledgertest.NewKey(t)
	c.Do(t, next, ledgerapi.RegisterClinician, next.Args())
	got, err := ledger.GetClinician(c.Query(p.Org), ledgerapi.ClinicianQuery{Clinician: p.ID})
	require.NoError(t, err)
	require.Equal(t, emr.RoleNurse, got.Role)
	require.Equal(t, emr.LevelLow, got.Level)
	require.Equal(t, next.Reading.Public().Bytes(), got.Reading)
	require.Equal(t, first, got.Registered)

	_, err = c.Try(t, p, ledgerapi.RegisterClinician, p.Args())
	refuses(t, err, emr.CodeExists, "later certificate")
	patient := c.Patient(t, ledgertest.HospitalA)
	propose := ledgerapi.ProposeRelationshipArgs{Patient: patient.Handle, Hospital: p.Org.ID}
	_, err = c.Try(t, p, ledgerapi.ProposeRelationship, propose)
	refuses(t, err, emr.CodeUnauthenticated, "signature")
	c.Do(t, next, ledgerapi.ProposeRelationship, propose)
}

func TestAnotherOrganisationCannotTakeAClinicianOver(t *testing.T) {
	t.Parallel()
	c := ledgertest.NewConsortium(t)
	p := c.NewClinician(t, ledgertest.HospitalA, ledgertest.Wish{Role: "nurse", Until: c.Now.Std().Add(time.Hour)})
	c.Do(t, p, ledgerapi.RegisterClinician, p.Args())
	thief := *p
	thief.Org = c.Orgs[ledgertest.HospitalB]
	taken := renewed(t, &thief, ledgertest.Wish{Role: "nurse"})
	_, err := c.Try(t, taken, ledgerapi.RegisterClinician, taken.Args())
	refuses(t, err, emr.CodeExists, "another organisation")
}

func TestAClinicianWithAnExpiredCertificateCanDoNothing(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	reader := s.NewClinician(t, ledgertest.HospitalB,
		ledgertest.Wish{Role: "physician", Level: "private", Until: s.Now.Std().Add(30 * time.Minute)})
	s.Do(t, reader, ledgerapi.RegisterClinician, reader.Args())
	s.reader = reader
	grant := s.give(t)
	s.Wait(25 * time.Minute)
	read := s.read(grant.Terms.Grant)
	require.Equal(t, emr.Permit, s.disclose(t, reader, read).Decision)
	s.Wait(5 * time.Minute)
	_, err := s.Try(t, reader, ledgerapi.Disclose, s.read(grant.Terms.Grant))
	refuses(t, err, emr.CodeUnauthenticated, "expired")
	_, err = s.Try(t, reader, ledgerapi.RequestAccess, s.ask(s.record.Record))
	refuses(t, err, emr.CodeUnauthenticated, "expired")
	signed := s.open(t, reader, read.Disclosure)
	_, err = ledger.CheckTicket(s.Query(s.Orgs[ledgertest.HospitalA]), ledgerapi.CheckTicketQuery{Signed: *signed})
	refuses(t, err, emr.CodeUnauthenticated, "expired")
	_, err = s.Submit(t, s.Orgs[ledgertest.HospitalA], ledgerapi.RecordAttempt, signed)
	refuses(t, err, emr.CodeUnauthenticated, "expired")
}

func TestNobodyRegistersUnderACAThatHasExpired(t *testing.T) {
	t.Parallel()
	c := ledgertest.NewConsortium(t)
	end := c.Orgs[ledgertest.HospitalA].CA.Certificate.NotAfter
	p := c.NewClinician(t, ledgertest.HospitalA, ledgertest.Wish{Role: "nurse", Until: end.AddDate(1, 0, 0)})
	c.Now = emr.TimeOf(end)
	_, err := c.Try(t, p, ledgerapi.RegisterClinician, p.Args())
	refuses(t, err, emr.CodeForbidden, "expired")
	c.Now--
	c.Do(t, p, ledgerapi.RegisterClinician, p.Args())
}
