// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledger_test

import (
	"crypto/sha256"
	"crypto/x509"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/chaincode/ledger"
	"github.com/emrys-health/emrys/chaincode/ledger/ledgertest"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// revoking is an order by an organisation's CA.
func revoking(org *ledgertest.Org, certificates ...*x509.Certificate) ledgerapi.RevokeCertificatesArgs {
	args := ledgerapi.RevokeCertificatesArgs{
		Authority: sha256.Sum256(org.CA.Certificate.Raw), Ground: emr.RevokedKeyCompromise, Certificates: []ledgerapi.Certificate{},
	}
	for _, c := range certificates {
		args.Certificates = append(args.Certificates, ledgerapi.Certificate{Serial: c.SerialNumber.Text(16), Digest: sha256.Sum256(c.Raw)})
	}
	slices.SortFunc(args.Certificates, func(a, b ledgerapi.Certificate) int { return strings.Compare(a.Serial, b.Serial) })
	return args
}

func (s *scene) revoke(t *testing.T, by *ledger.Caller, args ledgerapi.RevokeCertificatesArgs) error {
	t.Helper()
	return govern(&assembly{s.Consortium, t}, by, ledger.RevokeCertificates, args)
}

func TestAClinicianWhoseCertificateIsRevokedActsAsASuspendedOne(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	grant := s.give(t)
	read := s.read(grant.Terms.Grant)
	s.disclose(t, s.reader, read)
	signed := s.open(t, s.reader, read.Disclosure)
	require.Equal(t, emr.Permit, s.check(t, ledgertest.HospitalC, signed).Decision)

	require.NoError(t, s.revoke(t, s.reader.Org.Admin, revoking(s.reader.Org, s.reader.Cert)))

	ticket := s.check(t, ledgertest.HospitalC, signed)
	require.Equal(t, emr.Deny, ticket.Decision, "an open ticket too")
	require.Equal(t, emr.ReasonRevokedCertificate, ticket.Reason)
	denied := s.disclose(t, s.reader, s.read(grant.Terms.Grant))
	require.Equal(t, emr.ReasonRevokedCertificate, denied.Reason)
	asked := s.Do(t, s.reader, ledgerapi.RequestAccess, s.ask(s.record.Record)).(*ledgerapi.DecisionReceipt)
	require.Equal(t, emr.ReasonRevokedCertificate, asked.Reason)
	_, err := s.Try(t, s.reader, ledgerapi.RotateClinicianKeys, ledgerapi.RotateClinicianKeysArgs{
		Clinician: s.reader.ID, Reading: ledgertest.NewKey(t).Public().Bytes(), Hybrid: s.reader.Hybrid.Public().Bytes(),
	})
	require.Equal(t, emr.ReasonRevokedCertificate, emr.Public(err).Reason)
	_, err = s.Try(t, s.patient, ledgerapi.GrantAccess, s.Grant(s.scope, s.reader, s.record.Record))
	require.Equal(t, emr.ReasonRevokedCertificate, emr.Public(err).Reason, "nobody gives to a revoked certificate")
	shown, err := ledger.GetClinician(s.Query(s.Orgs[ledgertest.HospitalA]), ledgerapi.ClinicianQuery{Clinician: s.reader.ID})
	require.NoError(t, err)
	require.Equal(t, emr.ClinicianRevoked, shown.Status)
}

func TestALaterCertificateEndsARevocationAndARevokedOneDoesNot(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	org := s.reader.Org
	renew := func(c *x509.Certificate) error {
		args := s.reader.Args()
		args.Certificate = ledgertest.PEM(c)
		_, err := s.Try(t, s.reader, ledgerapi.RegisterClinician, args)
		return err
	}
	wish := ledgertest.Wish{
		CN: string(s.reader.ID), Role: string(emr.RolePhysician), Level: string(emr.LevelPrivate), From: s.Now.Std().AddDate(0, 0, -1),
	}
	wish.Until = s.reader.Cert.NotAfter.AddDate(0, 0, 1)
	bad := org.IssueFor(t, wish, s.reader.Key)
	require.NoError(t, s.revoke(t, org.Admin, revoking(org, s.reader.Cert, bad)))
	err := renew(bad)
	require.Equal(t, emr.ReasonRevokedCertificate, emr.Public(err).Reason)
	require.Equal(t, emr.CodeForbidden, emr.CodeOf(err))
	require.NoError(t, renew(org.IssueFor(t, wish, s.reader.Key)))
	shown, err := ledger.GetClinician(s.Query(org), ledgerapi.ClinicianQuery{Clinician: s.reader.ID})
	require.NoError(t, err)
	require.Equal(t, emr.ClinicianActive, shown.Status)
}

func TestARevocationDoesNotEndASuspension(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	org := s.reader.Org
	about := ledgerapi.ClinicianStatusArgs{Clinician: s.reader.ID}
	require.NoError(t, govern(&assembly{s.Consortium, t}, org.Admin, ledger.SuspendClinician, about))
	require.NoError(t, s.revoke(t, org.Admin, revoking(org, s.reader.Cert)))
	require.NoError(t, govern(&assembly{s.Consortium, t}, org.Admin, ledger.ReinstateClinician, about))
	shown, err := ledger.GetClinician(s.Query(org), ledgerapi.ClinicianQuery{Clinician: s.reader.ID})
	require.NoError(t, err)
	require.Equal(t, emr.ClinicianRevoked, shown.Status)
}

func TestARevokedGatewayOrAdministratorCarriesNothing(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	org := s.Orgs[ledgertest.HospitalB]
	second, _ := org.Issue(t, ledgertest.Wish{CN: "second", Unit: "admin"})
	require.NoError(t, s.revoke(t, org.Admin, revoking(org, org.Gateway.Certificate, second)))
	_, err := s.Try(t, s.reader, ledgerapi.RequestAccess, s.ask(s.record.Record))
	require.Equal(t, emr.ReasonRevokedCertificate, emr.Public(err).Reason)
	revoked := &ledger.Caller{MSP: org.ID, Certificate: second}
	a := &assembly{s.Consortium, t}
	for name, err := range map[string]error{
		"suspend":  govern(a, revoked, ledger.SuspendClinician, ledgerapi.ClinicianStatusArgs{Clinician: s.reader.ID}),
		"register": govern(a, revoked, ledger.RegisterOrganisation, org.Args()),
		"revoke":   s.revoke(t, revoked, revoking(org, org.Admin.Certificate)),
		"found":    govern(a, revoked, ledger.CloseFounding, ledgerapi.Empty{}),
	} {
		require.Equal(t, emr.ReasonRevokedCertificate, emr.Public(err).Reason, name)
	}
}

func TestAPatientsCertificateCountsAtTheRegistrationAlone(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	org := s.Orgs[ledgertest.HospitalA]
	late := s.NewPatient(t, ledgertest.HospitalA)
	require.NoError(t, s.revoke(t, org.Admin, revoking(org, s.patient.Cert, late.Cert)))
	_, err := s.Try(t, late, ledgerapi.RegisterPatient, late.Args())
	require.Equal(t, emr.ReasonRevokedCertificate, emr.Public(err).Reason)
	s.give(t)
}

func TestARevocationIsRefused(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	a, b := s.Orgs[ledgertest.HospitalA], s.Orgs[ledgertest.HospitalB]
	good := func() ledgerapi.RevokeCertificatesArgs { return revoking(a, s.author.Cert) }
	with := func(change func(*ledgerapi.RevokeCertificatesArgs)) ledgerapi.RevokeCertificatesArgs {
		args := good()
		change(&args)
		return args
	}
	many := with(func(args *ledgerapi.RevokeCertificatesArgs) {
		args.Certificates = slices.Repeat(args.Certificates, ledgerapi.MaxRevocations+1)
	})
	serial := func(text string) ledgerapi.RevokeCertificatesArgs {
		return with(func(args *ledgerapi.RevokeCertificatesArgs) { args.Certificates[0].Serial = text })
	}
	for name, c := range map[string]struct {
		by   *ledger.Caller
		args ledgerapi.RevokeCertificatesArgs
		code emr.Code
	}{
		"of another organisation's CA":      {a.Admin, revoking(b, s.reader.Cert), emr.CodeForbidden},
		"by another organisation":           {b.Admin, good(), emr.CodeForbidden},
		"by a gateway":                      {a.Gateway, good(), emr.CodeForbidden},
		"of the own certificate":            {a.Admin, revoking(a, a.Admin.Certificate), emr.CodeRule},
		"of the own among others":           {a.Admin, revoking(a, a.Admin.Certificate, s.author.Cert), emr.CodeRule},
		"of none":                           {a.Admin, revoking(a), emr.CodeInvalid},
		"of too many":                       {a.Admin, many, emr.CodeInvalid},
		"of one twice":                      {a.Admin, revoking(a, s.author.Cert, s.author.Cert), emr.CodeInvalid},
		"without a ground":                  {a.Admin, with(func(args *ledgerapi.RevokeCertificatesArgs) { args.Ground = "" }), emr.CodeInvalid},
		"on hold":                           {a.Admin, with(func(args *ledgerapi.RevokeCertificatesArgs) { args.Ground = "certificateHold" }), emr.CodeInvalid},
		"without a digest":                  {a.Admin, with(func(args *ledgerapi.RevokeCertificatesArgs) { args.Certificates[0].Digest = emr.Digest{} }), emr.CodeInvalid},
		"of a serial with a leading zero":   {a.Admin, serial("0" + s.author.Cert.SerialNumber.Text(16)), emr.CodeInvalid},
		"of a serial in capitals":           {a.Admin, serial("ABCDEF"), emr.CodeInvalid},
		"of a serial that is too long":      {a.Admin, serial(strings.Repeat("a", emr.MaxSerial+1)), emr.CodeInvalid},
		"of an empty serial":                {a.Admin, serial(""), emr.CodeInvalid},
		"of a serial that is no hex number": {a.Admin, serial("x/1"), emr.CodeInvalid},
	} {
		err := s.revoke(t, c.by, c.args)
		require.Equal(t, c.code, emr.CodeOf(err), "%s: %v", name, err)
	}
	require.NoError(t, s.revoke(t, a.Admin, good()))
	refuses(t, s.revoke(t, a.Admin, good()), emr.CodeExists, "already")
}

func TestOfTwoAdministratorsWhoRevokeEachOtherOneStays(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	org := s.Orgs[ledgertest.HospitalA]
	certificate, _ := org.Issue(t, ledgertest.Wish{CN: "second", Unit: "admin"})
	second := &ledger.Caller{MSP: org.ID, Certificate: certificate}
	one, two := s.Begin(s.Facts(org.Admin)), s.Begin(s.Facts(second))
	_, err := ledger.RevokeCertificates(one, revoking(org, certificate))
	require.NoError(t, err)
	_, err = ledger.RevokeCertificates(two, revoking(org, org.Admin.Certificate))
	require.NoError(t, err)
	require.NoError(t, one.Commit())
	require.ErrorIs(t, two.Commit(), ledgertest.ErrConflict)
}

func TestRevocationsAreListedByOrganisation(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	a := s.Orgs[ledgertest.HospitalA]
	args := revoking(a, s.author.Cert, s.patient.Cert)
	require.NoError(t, s.revoke(t, a.Admin, args))
	r := s.Query(s.Orgs[ledgertest.HospitalC])
	var got []string
	q := ledgerapi.RevocationQuery{Org: a.ID, Limit: 1}
	for range 2 {
		page, err := ledger.ListRevocations(r, q)
		require.NoError(t, err)
		require.Len(t, page.Items, 1)
		require.Equal(t, emr.RevokedKeyCompromise, page.Items[0].Ground)
		got, q.Bookmark = append(got, page.Items[0].Serial), page.Bookmark
	}
	require.Empty(t, q.Bookmark)
	require.Equal(t, []string{args.Certificates[0].Serial, args.Certificates[1].Serial}, got)
	none, err := ledger.ListRevocations(r, ledgerapi.RevocationQuery{Org: ledgertest.HospitalB})
	require.NoError(t, err)
	require.Empty(t, none.Items)
	_, err = ledger.ListRevocations(r, ledgerapi.RevocationQuery{Org: "a/b"})
	refuses(t, err, emr.CodeInvalid, "org")
}
