// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

// Package service holds the use cases of the gateway: one method for each
// operation of the API. It relays what people have signed, asks the ledger, and
// moves ciphertext. It decides nothing that the ledger decides: its own checks
// only refuse early what the ledger would refuse, and show a caller no more than
// that caller may know. It knows neither HTTP nor Fabric.
package service

import (
	"context"
	"io"
	"time"

	"github.com/emrys-health/emrys/pkg/api"
	"github.com/emrys-health/emrys/pkg/emr"
)

// Principal is an authenticated person: what a token stands for.
type Principal struct {
	// Subject is a PatientID or a ClinicianID.
	Subject string
	Role    emr.Role
	// Org is the organisation whose authority certified the person.
	Org emr.OrgID
	// Level is a professional's security level; empty where the certificate has none.
	Level emr.Level
}

// IsPatient tells whether the person is a patient; everybody else is a professional.
func (p Principal) IsPatient() bool { return p.Role == emr.RolePatient }

// Ledger is the contract as the use cases see it.
type Ledger interface {
	// Submit commits a transaction that a person has signed and decodes its result.
	// It fails with an *emr.Error, with TxID set where a transaction was sent.
	Submit(ctx context.Context, function string, signed *emr.SignedAction, result any) error
	// Query asks the own organisation's peer. It sees what Submit has committed.
	Query(ctx context.Context, function string, argument, result any) error
	// Reach asks a peer of the given organisation, to see whether it answers.
	Reach(ctx context.Context, org emr.OrgID) error
}

// Content is the hospital's store of ciphertext.
type Content interface {
	Get(ctx context.Context, cid string, offset, length int64) (io.ReadCloser, error)
	// Probe tells whether the store answers.
	Probe(ctx context.Context) error
}

// Uploads is ciphertext that waits for its record.
type Uploads interface {
	Create(ctx context.Context, owner string, body io.Reader, expect Expect) (api.Upload, error)
	Delete(ctx context.Context, owner, id string) error
	// Claim binds an upload to the action that registers its record.
	Claim(ctx context.Context, owner, id string, m *emr.Manifest, action emr.Digest, expires emr.Time) error
	// Commit tells that the record stands; Release that the ledger refused it.
	Commit(ctx context.Context, id string) error
	Release(ctx context.Context, id string) error
}

// Expect is what a caller says of an upload beforehand. Size is -1 and Digest
// zero when nothing was said.
type Expect struct {
	Size   int64
	Digest emr.Digest
}

// Proxies are the gateways of other organisations.
type Proxies interface {
	// Ask presents a ticket to one gateway and returns its unverified answer.
	Ask(ctx context.Context, org emr.Organisation, signed *emr.SignedAction) (api.Fragment, error)
}

// Verifier checks a proxy's answer against a ticket: proof, commitment and receipt.
type Verifier interface {
	Verify(ticket *Opened, org emr.Organisation, fragment *api.Fragment) error
}

// Settings are the service's own values.
type Settings struct {
	Organisation emr.OrgID
	Channel      string
	Contract     string
	Threshold    uint8
	Replicas     int
	// Grace is how long further fragments are waited for once enough are in.
	Grace time.Duration
	// ProxyTimeout bounds one proxy's answer.
	ProxyTimeout time.Duration
}

// Ports are what the service stands on. Content and Uploads are nil where the
// organisation keeps no content.
type Ports struct {
	Ledger   Ledger
	Prover   Prover
	Content  Content
	Uploads  Uploads
	Proxies  Proxies
	Verifier Verifier
	Now      func() time.Time
}

// Service is the gateway's use cases. It is safe for concurrent use.
type Service struct {
	Settings
	ports   Ports
	handles *handles
	orgs    *organisations
}

// New makes a service.
func New(settings Settings, ports Ports) *Service {
	s := &Service{Settings: settings, ports: ports, handles: newHandles()}
	s.orgs = newOrganisations(ports.Ledger, ports.Now)
	return s
}

func (s *Service) now() emr.Time { return emr.TimeOf(s.ports.Now()) }
