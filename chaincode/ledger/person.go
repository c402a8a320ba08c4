// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"crypto/x509"
	"slices"

	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
	"github.com/emrys-health/emrys/pkg/signature"
)

// RegisterPatient pins a patient's keys under a new handle. The home hospital's
// gateway carries the action; the certificate is by that hospital's CA, and the
// signature is by the key that becomes pinned, which proves its possession. From
// then on no certificate speaks for the patient any more: the pinned key does.
//
// The pseudonym goes to private data alone: no public key, value or event holds it.
func RegisterPatient(s State, raw []byte) (*ledgerapi.Receipt, error) {
	var args ledgerapi.RegisterPatientArgs
	st, err := open(s, raw, ledgerapi.RegisterPatient, &args)
	if err != nil {
		return nil, err
	}
	if err := st.checkPatientArgs(s, &args); err != nil {
		return nil, err
	}
	if err := st.authenticate(s, args.Consent); err != nil {
		return nil, err
	}
	if err := checkNewPatient(s, &args); err != nil {
		return nil, err
	}
	patient := &emr.Patient{
		V: emr.DocumentVersion, Handle: args.Handle, Home: args.Home, Consent: args.Consent, Hybrid: args.Hybrid,
		Registered: s.Now(),
	}
	if err := putAllGuarded(s, patient, nil, nil, nil); err != nil {
		return nil, err
	}
	if err := st.putSigned(s, ledgerapi.LinkKey(args.Patient)); err != nil {
		return nil, err
	}
	if err := audit(s, byThePatient(patient, emr.AuditRegistered, "")); err != nil {
		return nil, err
	}
	return receipt(s, string(args.Handle)), st.spend(s, string(args.Handle))
}

func (st *statement) checkPatientArgs(s Lookup, args *ledgerapi.RegisterPatientArgs) error {
	if err := emr.CheckID("patient", args.Patient); err != nil {
		return err
	}
	if err := emr.CheckID("handle", args.Handle); err != nil {
		return err
	}
	if st.action.Actor != string(args.Handle) {
		return emr.E(emr.CodeForbidden, "action registers another handle than its signer")
	}
	if args.Home != st.gateway.ID {
		return emr.E(emr.CodeForbidden, "a patient registers through the gateway of the home hospital")
	}
	if err := signature.CheckKey("consent.key", args.Consent); err != nil {
		return err
	}
	if err := checkHybrid("hybrid", args.Hybrid); err != nil {
		return err
	}
	_, role, err := checkPerson(s, st.gateway, args.Certificate, string(args.Patient))
	if err != nil {
		return err
	}
	if role != emr.RolePatient || !st.gateway.Kind.MayAssert(role) {
		return emr.E(emr.CodeForbidden, "certificate is not a patient's")
	}
	return nil
}

func checkNewPatient(s State, args *ledgerapi.RegisterPatientArgs) error {
	existing, err := s.Get(ledgerapi.PatientKey(args.Handle))
	if err != nil {
		return err
	}
	if existing != nil {
		return emr.E(emr.CodeExists, "handle is already registered")
	}
	linked, err := s.HasPrivate(ledgerapi.LinkKey(args.Patient))
	if err != nil {
		return err
	}
	if linked {
		return emr.E(emr.CodeExists, "patient is already registered under a handle")
	}
	return nil
}

// checkPerson reads a person's certificate and checks that the organisation's CA
// issued it to name and that it is valid now. It returns the role asserted.
func checkPerson(s Lookup, org *emr.Organisation, text, name string) (*x509.Certificate, emr.Role, error) {
	certificate, err := parseCertificate("certificate", text)
	if err != nil {
		return nil, "", err
	}
	if err := checkIssued("certificate", certificate, org, s.Now()); err != nil {
		return nil, "", err
	}
	if err := checkNotRevoked(s, "certificate", org.ID, certificate); err != nil {
		return nil, "", err
	}
	if certificate.Subject.CommonName != name {
		return nil, "", emr.E(emr.CodeForbidden, "certificate was issued to somebody else")
	}
	role, err := attribute(certificate, emr.AttributeRole)
	return certificate, emr.Role(role), err
}

// RegisterClinician registers a professional, or renews the registration with a
// later certificate of the same name by the same organisation. Role and level are
// what the certificate asserts, as far as the organisation's kind may assert it. A
// suspension outlasts the renewal, and who has been off-boarded renews nothing.
func RegisterClinician(s State, raw []byte) (*ledgerapi.Receipt, error) {
	var args ledgerapi.RegisterClinicianArgs
	st, err := open(s, raw, ledgerapi.RegisterClinician, &args)
	if err != nil {
		return nil, err
	}
	clinician, err := st.newClinician(s, &args)
	if err != nil {
		return nil, err
	}
	if err := st.authenticate(s, clinician.Signing); err != nil {
		return nil, err
	}
	previous, err := find(s, ledgerapi.ClinicianKey(clinician.ID), versionOfClinician)
	if err != nil {
		return nil, err
	}
	if err := renew(clinician, previous); err != nil {
		return nil, err
	}
	if err := succeedClinician(s, clinician, previous); err != nil {
		return nil, err
	}
	if err := auditClinician(s, aboutClinician(clinician, emr.AuditClinician)); err != nil {
		return nil, err
	}
	return receipt(s, string(clinician.ID)), st.spend(s, string(clinician.ID))
}

func (st *statement) newClinician(s Lookup, args *ledgerapi.RegisterClinicianArgs) (*emr.Clinician, error) {
	if err := emr.CheckID("clinician", args.Clinician); err != nil {
		return nil, err
	}
	if st.action.Actor != string(args.Clinician) {
		return nil, emr.E(emr.CodeForbidden, "action registers another clinician than its signer")
	}
	if args.Org != st.gateway.ID {
		return nil, emr.E(emr.CodeForbidden, "a clinician registers through the gateway of the own organisation")
	}
	if err := checkPoint("reading", args.Reading); err != nil {
		return nil, err
	}
	if err := checkHybrid("hybrid", args.Hybrid); err != nil {
		return nil, err
	}
	certificate, role, err := checkPerson(s, st.gateway, args.Certificate, string(args.Clinician))
	if err != nil {
		return nil, err
	}
	if !slices.Contains(emr.Professions(), role) || !st.gateway.Kind.MayAssert(role) {
		return nil, emr.E(emr.CodeForbidden, "the organisation may not assert the certificate's role of a professional")
	}
	level, err := certifiedLevel(certificate)
	if err != nil {
		return nil, err
	}
	key, err := signingKey(certificate)
	if err != nil {
		return nil, err
	}
	return &emr.Clinician{
		V: emr.DocumentVersion, ID: args.Clinician, Org: args.Org, Role: role, Level: level, Signing: key,
		Reading: args.Reading, Hybrid: args.Hybrid, NotAfter: emr.TimeOf(certificate.NotAfter), Registered: s.Now(),
		Serial: serialOf(certificate),
	}, nil
}

// certifiedLevel returns the level that the certificate asserts; low when it asserts none.
func certifiedLevel(certificate *x509.Certificate) (emr.Level, error) {
	text, err := attribute(certificate, emr.AttributeLevel)
	if err != nil {
		return "", err
	}
	if text == "" {
		return emr.LevelLow, nil
	}
	return emr.ParseLevel("certificate", text)
}

// renew checks that a registration may replace an earlier one. Only a certificate
// that ends later may: an old certificate cannot bring old keys back.
func renew(clinician, previous *emr.Clinician) error {
	if previous == nil {
		return nil
	}
	if previous.Org != clinician.Org {
		return emr.E(emr.CodeExists, "clinician is registered by another organisation")
	}
	if previous.Status == emr.ClinicianOffboarded {
		return refuseInactive(previous)
	}
	if clinician.NotAfter <= previous.NotAfter {
		return emr.E(emr.CodeExists, "clinician is already registered; only a later certificate renews it")
	}
	clinician.Registered = previous.Registered
	clinician.Status, clinician.StatusFrom = previous.Status, previous.StatusFrom
	return nil
}
