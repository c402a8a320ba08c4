// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledgertest

import (
	"crypto/x509"
	"testing"

	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
	"github.com/emrys-health/emrys/pkg/pre"
)

// Patient is a patient with keys.
type Patient struct {
	ID      emr.PatientID
	Handle  emr.Handle
	Org     *Org
	Consent *pre.PrivateKey
	Hybrid  *pre.HybridPrivateKey
	Cert    *x509.Certificate
}

// ActorID implements Actor.
func (p *Patient) ActorID() string { return string(p.Handle) }

// ActorKey implements Actor.
func (p *Patient) ActorKey() *pre.PrivateKey { return p.Consent }

// Home implements Member.
func (p *Patient) Home() *Org { return p.Org }

// NewPatient makes a patient who is not registered yet.
func (c *Consortium) NewPatient(t testing.TB, home emr.OrgID) *Patient {
	t.Helper()
	p := &Patient{
		ID: ID[emr.PatientID](emr.PatientPrefix), Handle: ID[emr.Handle](emr.HandlePrefix), Org: c.Orgs[home],
		Consent: NewKey(t), Hybrid: NewHybrid(t),
	}
	p.Cert, _ = p.Org.Issue(t, Wish{CN: string(p.ID), Role: string(emr.RolePatient)})
	return p
}

// Args are the arguments by which the patient registers.
func (p *Patient) Args() ledgerapi.RegisterPatientArgs {
	return ledgerapi.RegisterPatientArgs{
		Patient: p.ID, Handle: p.Handle, Home: p.Org.ID, Certificate: PEM(p.Cert),
		Consent: emr.PinnedKey{Kind: emr.SignatureP256, Key: p.Consent.Public().Bytes()}, Hybrid: p.Hybrid.Public().Bytes(),
	}
}

// Patient makes and registers a patient.
func (c *Consortium) Patient(t testing.TB, home emr.OrgID) *Patient {
	t.Helper()
	p := c.NewPatient(t, home)
	c.Do(t, p, ledgerapi.RegisterPatient, p.Args())
	return p
}

// Clinician is a professional with keys.
type Clinician struct {
	ID      emr.ClinicianID
	Org     *Org
	Key     *pre.PrivateKey
	Reading *pre.PrivateKey
	Hybrid  *pre.HybridPrivateKey
	Cert    *x509.Certificate
}

// ActorID implements Actor.
func (p *Clinician) ActorID() string { return string(p.ID) }

// ActorKey implements Actor.
func (p *Clinician) ActorKey() *pre.PrivateKey { return p.Key }

// Home implements Member.
func (p *Clinician) Home() *Org { return p.Org }

// NewClinician makes a professional who is not registered yet. The common name of
// the wish is replaced.
func (c *Consortium) NewClinician(t testing.TB, org emr.OrgID, w Wish) *Clinician {
	t.Helper()
	p := &Clinician{
		ID: ID[emr.ClinicianID](emr.ClinicianPrefix), Org: c.Orgs[org], Reading: NewKey(t), Hybrid: NewHybrid(t),
	}
	w.CN = string(p.ID)
	p.Cert, p.Key = p.Org.Issue(t, w)
	return p
}

// Args are the arguments by which the professional registers.
func (p *Clinician) Args() ledgerapi.RegisterClinicianArgs {
	return ledgerapi.RegisterClinicianArgs{
		Clinician: p.ID, Org: p.Org.ID, Certificate: PEM(p.Cert), Reading: p.Reading.Public().Bytes(),
		Hybrid: p.Hybrid.Public().Bytes(),
	}
}

// Clinician makes and registers a professional of a role and level.
func (c *Consortium) Clinician(t testing.TB, org emr.OrgID, role emr.Role, level emr.Level) *Clinician {
	t.Helper()
	p := c.NewClinician(t, org, Wish{Role: string(role), Level: string(level)})
	c.Do(t, p, ledgerapi.RegisterClinician, p.Args())
	return p
}
