// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package client

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/emrys-health/emrys/pkg/atomicfile"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/fabricca"
	"github.com/emrys-health/emrys/pkg/keystore"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// firstEpoch is the epoch of the scopes made at the join.
const firstEpoch = 1

// JoinStep names a step of a join, for whoever watches.
type JoinStep string

// Steps of a join, in order. A resumed join reports only those it performs.
const (
	StepKeys     JoinStep = "made keys on this device"
	StepEnrol    JoinStep = "enrolled at the hospital's certificate authority"
	StepRegister JoinStep = "registered on the ledger"
	StepPublish  JoinStep = "published the keys that authors encrypt to"
)

// Join makes a person a member: it creates keys in dir, enrols at the
// hospital's CA, and registers on the ledger; a patient also publishes one
// scope per security level. passphrase seals the keys; nil leaves them unsealed.
//
// A join that was interrupted is run again with the same invitation and goes on
// where it stopped. The enrolment secret is good for one enrolment: when the CA
// refuses it, the registrar has to issue another. step, which may be nil, is
// called after each step. Joining a directory that belongs to somebody else is
// an exists error.
func Join(ctx context.Context, dir string, inv *Invitation, passphrase []byte, o Options, step func(JoinStep)) (*Client, error) {
	j := &joining{dir: dir, invitation: inv, report: step}
	if step == nil {
		j.report = func(JoinStep) {}
	}
	if err := j.prepare(passphrase); err != nil {
		return nil, err
	}
	certificate, err := j.enrol(ctx)
	if err != nil {
		return nil, err
	}
	c, err := newClient(j.profile, j.keys, certificate, o)
	if err != nil {
		return nil, err
	}
	if err := j.onLedger(ctx, c); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

type joining struct {
	dir        string
	invitation *Invitation
	profile    *Profile
	keys       keystore.Keys
	report     func(JoinStep)
}

// prepare finds or makes profile and keys.
func (j *joining) prepare(passphrase []byte) error {
	p, err := LoadProfile(j.dir)
	switch {
	case emr.CodeOf(err) == emr.CodeNotFound:
		p = j.invitation.profile()
		if err := os.MkdirAll(j.dir, 0o700); err != nil {
			return emr.Wrap(emr.CodeInvalid, "cannot make the profile's directory "+j.dir, err)
		}
	case err != nil:
		return err
	case p.ID != j.invitation.ID || p.Org != j.invitation.Org:
		return emr.E(emr.CodeExists, j.dir+" holds the profile of somebody else; choose another with --profile")
	}
	j.profile = p
	if err := j.makeKeys(passphrase); err != nil {
		return err
	}
	return j.plan()
}

func (j *joining) makeKeys(passphrase []byte) error {
	keys, err := keystore.Open(j.dir, passphrase)
	if errors.Is(err, keystore.ErrNotFound) {
		if keys, err = keystore.Create(j.dir, passphrase, rand.Reader); err == nil {
			j.report(StepKeys)
		}
	}
	if err != nil {
		return keyError(err)
	}
	j.keys = keys
	return nil
}

// plan draws the names that will stand on the ledger and saves them before
// anything uses them, so that a join that is run again uses the same.
func (j *joining) plan() error {
	p := j.profile
	if p.IsPatient() && p.Handle == "" {
		handle, err := emr.GenerateID[emr.Handle](rand.Reader)
		if err != nil {
			return err
		}
		p.Handle = handle
	}
	if p.IsPatient() && len(p.Scopes) == 0 {
		for _, level := range emr.Levels() {
			id, err := emr.GenerateID[emr.ScopeID](rand.Reader)
			if err != nil {
				return err
			}
			p.Scopes = append(p.Scopes, ProfileScope{ID: id, Level: level, Epoch: firstEpoch})
		}
	}
	return p.save(j.dir)
}

// enrol returns the certificate, asking the CA for one when there is none yet.
func (j *joining) enrol(ctx context.Context) ([]byte, error) {
	certificate, err := loadCertificate(j.dir, j.keys)
	if err == nil || emr.CodeOf(err) != emr.CodeNotFound {
		return certificate, err
	}
	inv := j.invitation
	ca, err := fabricca.New(inv.CA.URL, []byte(inv.CA.Roots), inv.CA.Name)
	if err != nil {
		return nil, emr.Wrap(emr.CodeInvalid, "the invitation's certificate authority cannot be used", err)
	}
	defer ca.Close()
	request, err := fabricca.NewRequest(j.keys.Enrolment(), inv.ID)
	if err != nil {
		return nil, fmt.Errorf("make certificate request: %w", err)
	}
	certificate, _, err = ca.Enroll(ctx, inv.ID, inv.Secret, request)
	if err != nil {
		return nil, enrolmentError(err)
	}
	if err := atomicfile.Write(filepath.Join(j.dir, certificateName), certificate, ownerOnly); err != nil {
		return nil, err
	}
	j.report(StepEnrol)
	return certificate, nil
}

func enrolmentError(err error) error {
	if _, ok := errors.AsType[*fabricca.Error](err); ok {
		return emr.Wrap(emr.CodeUnauthenticated,
			"the certificate authority refused the invitation; its secret is good once: ask the registrar for a new one", err)
	}
	return emr.Wrap(emr.CodeUnavailable, "the certificate authority cannot be reached; run the same command again", err)
}

// onLedger performs the registrations that are not committed yet.
func (j *joining) onLedger(ctx context.Context, c *Client) error {
	n, err := c.Network(ctx)
	if err != nil {
		return err
	}
	p := j.profile
	p.Channel, p.Contract = n.Channel, n.Contract
	if err := p.save(j.dir); err != nil {
		return err
	}
	if !p.Registered {
		if err := c.register(ctx); err != nil {
			return err
		}
		p.Registered = true
		if err := p.save(j.dir); err != nil {
			return err
		}
		j.report(StepRegister)
	}
	if !p.IsPatient() || p.Published {
		return nil
	}
	if _, err := c.publish(ctx, p.Scopes); err != nil {
		return err
	}
	p.Published = true
	if err := p.save(j.dir); err != nil {
		return err
	}
	j.report(StepPublish)
	return nil
}

// register pins the person's keys. An entry that exists already is accepted
// only when it holds the keys of this device: it is then an earlier attempt's.
func (c *Client) register(ctx context.Context) error {
	if c.profile.IsPatient() {
		return c.registerPatient(ctx)
	}
	return c.registerClinician(ctx)
}

func (c *Client) registerPatient(ctx context.Context) error {
	args := ledgerapi.RegisterPatientArgs{
		Patient: emr.PatientID(c.profile.ID), Handle: c.profile.Handle, Home: c.profile.Org, Certificate: c.certPEM,
		Consent: emr.PinnedKey{Kind: emr.SignatureP256, Key: c.keys.Consent().Pinned()},
		Hybrid:  c.keys.Hybrid().Public().Bytes(),
	}
	_, err := c.submit(ctx, "patient.register", ledgerapi.RegisterPatient, &args, &ledgerapi.Receipt{}, nil)
	if emr.CodeOf(err) != emr.CodeExists {
		return err
	}
	view, lookErr := c.ResolvePatient(ctx, args.Patient)
	if lookErr != nil {
		return errors.Join(err, lookErr)
	}
	if view.Patient.Handle != args.Handle || !bytes.Equal(view.Patient.Consent.Key, args.Consent.Key) {
		return emr.E(emr.CodeExists, "this pseudonym is registered with other keys; ask the registrar")
	}
	return nil
}

func (c *Client) registerClinician(ctx context.Context) error {
	args := ledgerapi.RegisterClinicianArgs{
		Clinician: emr.ClinicianID(c.profile.ID), Org: c.profile.Org, Certificate: c.certPEM,
		Reading: c.keys.Reading().Public().Bytes(), Hybrid: c.keys.Hybrid().Public().Bytes(),
	}
	_, err := c.submit(ctx, "clinician.register", ledgerapi.RegisterClinician, &args, &ledgerapi.Receipt{}, nil)
	if emr.CodeOf(err) != emr.CodeExists {
		return err
	}
	entry, lookErr := c.Clinician(ctx, args.Clinician)
	if lookErr != nil {
		return errors.Join(err, lookErr)
	}
	if !bytes.Equal(entry.Reading, args.Reading) || !bytes.Equal(entry.Hybrid, args.Hybrid) {
		return emr.E(emr.CodeExists, "this identity is registered with other keys; ask the registrar")
	}
	return nil
}

func published(scopes []emr.Scope, want ledgerapi.NewScope) bool {
	for _, s := range scopes {
		if s.ID == want.ID && bytes.Equal(s.Delegating, want.Delegating) && bytes.Equal(s.Fragment, want.Fragment) {
			return true
		}
	}
	return false
}
