// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/emrys-health/emrys/pkg/api"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/keystore"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// Client is one person's access to the gateway of the person's organisation.
type Client struct {
	profile     *Profile
	keys        keystore.Keys
	certificate *x509.Certificate
	certPEM     string
	http        *http.Client
	tokens      tokens
	now         func() time.Time
	wait        func(context.Context, time.Duration) error
	observe     func(operation string, took time.Duration) // may be nil

	mu      sync.Mutex
	network *api.Network // once fetched
}

// Options change what a Client takes from its surroundings. The zero value is
// what all but tests want.
type Options struct {
	// Now is the clock, time.Now by default.
	Now func() time.Time
	// Wait pauses between attempts, and returns early with the context's error.
	Wait func(context.Context, time.Duration) error
	// Observe, which may be nil, is told how long the gateway took to answer each
	// operation (api.Operation.Name). It must be safe for concurrent use.
	Observe func(operation string, took time.Duration)
}

// Open opens the profile in dir. passphrase is nil when the keys are not
// sealed. A profile whose join was interrupted is a not_found error.
func Open(dir string, passphrase []byte, o Options) (*Client, error) {
	p, err := LoadProfile(dir)
	if err != nil {
		return nil, err
	}
	if !p.Joined() {
		return nil, emr.E(emr.CodeNotFound, "the join of this profile was interrupted; run it again: emrys join --invite FILE")
	}
	keys, err := keystore.Open(dir, passphrase)
	if err != nil {
		return nil, keyError(err)
	}
	certificate, err := loadCertificate(dir, keys)
	if err != nil {
		return nil, err
	}
	return newClient(p, keys, certificate, o)
}

func newClient(p *Profile, keys keystore.Keys, certPEM []byte, o Options) (*Client, error) {
	transport, err := newHTTP(p.GatewayRoots)
	if err != nil {
		return nil, err
	}
	certificate, err := parseCertificate(certPEM)
	if err != nil {
		return nil, err
	}
	c := &Client{
		profile: p, keys: keys, certificate: certificate, certPEM: string(certPEM), http: transport,
		now: o.Now, wait: o.Wait, observe: o.Observe,
	}
	if c.now == nil {
		c.now = time.Now
	}
	if c.wait == nil {
		c.wait = pause
	}
	return c, nil
}

// Profile returns a copy of the public profile.
func (c *Client) Profile() *Profile {
	p := *c.profile
	p.Scopes = slices.Clone(p.Scopes)
	return &p
}

// Certificate returns the person's enrolment certificate.
func (c *Client) Certificate() *x509.Certificate { return c.certificate }

// Close drops idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// keyError gives a failure of the keystore a code and a way out.
func keyError(err error) error {
	switch {
	case errors.Is(err, keystore.ErrNotFound):
		return emr.Wrap(emr.CodeNotFound, "the profile has no keys; join first: emrys join --invite FILE", err)
	case errors.Is(err, keystore.ErrPassphrase):
		return emr.Wrap(emr.CodeUnauthenticated, "the passphrase is missing or wrong", err)
	case errors.Is(err, keystore.ErrNotSealed), errors.Is(err, keystore.ErrInsecure):
		return emr.Wrap(emr.CodeForbidden, err.Error(), err)
	case errors.Is(err, keystore.ErrMalformed):
		return emr.Wrap(emr.CodeCorrupt, "the key file is damaged", err)
	case errors.Is(err, keystore.ErrExists):
		return emr.Wrap(emr.CodeExists, "there are keys already", err)
	default:
		return err
	}
}

func readCertificate(dir string) ([]byte, error) {
	data, err := readPublic(filepath.Join(dir, certificateName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, emr.Wrap(emr.CodeNotFound, "the profile has no certificate; join first: emrys join --invite FILE", err)
	}
	if err != nil {
		return nil, emr.Wrap(emr.CodeInvalid, "the certificate cannot be read", err)
	}
	return data, nil
}

// loadCertificate reads the certificate and checks that it is for the profile's key.
func loadCertificate(dir string, keys keystore.Keys) ([]byte, error) {
	data, err := readCertificate(dir)
	if err != nil {
		return nil, err
	}
	certificate, err := parseCertificate(data)
	if err != nil {
		return nil, err
	}
	mine, ok := keys.Enrolment().Public().(*ecdsa.PublicKey)
	if !ok || !mine.Equal(certificate.PublicKey) {
		return nil, emr.E(emr.CodeCorrupt, "the certificate is not for the profile's enrolment key")
	}
	return data, nil
}

func parseCertificate(data []byte) (*x509.Certificate, error) {
	block, _ := pem.Decode(data)
	if block == nil || block.Type != "CERTIFICATE" {
		return nil, emr.E(emr.CodeCorrupt, "the profile's certificate is not PEM")
	}
	certificate, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, emr.Wrap(emr.CodeCorrupt, "the profile's certificate cannot be read", err)
	}
	return certificate, nil
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Network returns the consortium, fetched once: policy as the gateway describes
// it, organisations and their keys as several organisations have endorsed them.
// A channel or contract other than the profile's is a corrupt error.
func (c *Client) Network(ctx context.Context) (*api.Network, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.network != nil {
		return c.network, nil
	}
	var n api.Network
	if err := c.query(ctx, call{operation: "network.get"}, &n); err != nil {
		return nil, err
	}
	if err := c.checkNetwork(&n); err != nil {
		return nil, err
	}
	members, err := provenOn[ledgerapi.OrganisationList](ctx, c, n.Channel, ledgerapi.GetOrganisations, &ledgerapi.Empty{})
	if err != nil {
		return nil, err
	}
	n.Organisations = members.Items
	c.network = &n
	return c.network, nil
}

func (c *Client) checkNetwork(n *api.Network) error {
	switch {
	case n.Organisation != c.profile.Org:
		return emr.E(emr.CodeCorrupt, "the gateway says that it belongs to another organisation than the profile's")
	case n.Threshold < ledgerapi.MinThreshold:
		return emr.E(emr.CodeCorrupt, "the gateway wants fewer proxies to suffice than the ledger allows")
	case n.Channel == "" || n.Contract == "":
		return emr.E(emr.CodeCorrupt, "the gateway does not name its channel and contract")
	case c.profile.Channel != "" && (n.Channel != c.profile.Channel || n.Contract != c.profile.Contract):
		return emr.E(emr.CodeCorrupt, "the gateway names another channel or contract than when this profile joined")
	}
	return nil
}

// organisation returns a member of the consortium.
func organisation(n *api.Network, id emr.OrgID) (*emr.Organisation, error) {
	for i := range n.Organisations {
		if n.Organisations[i].ID == id {
			return &n.Organisations[i], nil
		}
	}
	return nil, emr.E(emr.CodeNotFound, "the network has no organisation "+string(id))
}

// Keys tells how a profile's keys lie on the disk.
type Keys string

// States of keys.
const (
	KeysNone   Keys = "none"
	KeysPlain  Keys = "plain"
	KeysSealed Keys = "sealed"
)

// HasKeys tells whether there are keys in dir, and whether they are sealed. It
// opens nothing.
func HasKeys(dir string) (Keys, error) {
	for name, state := range map[string]Keys{"keys.json": KeysPlain, "keys.jwe": KeysSealed} {
		_, err := os.Lstat(filepath.Join(dir, name))
		if err == nil {
			return state, nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return KeysNone, emr.Wrap(emr.CodeInvalid, "the profile's directory cannot be read", err)
		}
	}
	return KeysNone, nil
}

// LoadCertificate reads the certificate in dir. A missing one is a not_found error.
func LoadCertificate(dir string) (*x509.Certificate, error) {
	data, err := readCertificate(dir)
	if err != nil {
		return nil, err
	}
	return parseCertificate(data)
}
