// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package network

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path"

	"github.com/emrys-health/emrys/network/lifecycle"
	"github.com/emrys-health/emrys/network/render"
	"github.com/emrys-health/emrys/network/topology"
	"github.com/emrys-health/emrys/pkg/attest"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/fabricca"
)

// Attributes of a person's certificate beyond those that the contract reads.
const (
	attributeLicence    = "emrys.licence"
	attributeDepartment = "emrys.department"
)

// maxAttribute bounds the value of an attribute in bytes.
const maxAttribute = 64

// Person is somebody whom an organisation invites. Names do not belong here:
// the map from person to pseudonym stays with the organisation.
type Person struct {
	Role       emr.Role
	Level      emr.Level // of professionals; empty takes the role's default
	Licence    string
	Department string
}

// Invitation is what an invited person needs to join. It holds a secret that
// is good for one enrolment.
type Invitation struct {
	V            int          `json:"v"`
	Gateway      string       `json:"gateway"`
	GatewayRoots string       `json:"gatewayRoots"`
	CA           InvitationCA `json:"ca"`
	Org          string       `json:"org"`
	Role         emr.Role     `json:"role"`
	ID           string       `json:"id"`
	Secret       string       `json:"secret"`
	// Consortium holds, by MSP id, the certificate of the CA that issues an
	// organisation's peers, and behind it the revocation lists of the organisation's
	// MSP: what the person's device trusts registry entries by.
	Consortium map[string]string `json:"consortium"`
}

// InvitationCA is the authority that enrols the person.
type InvitationCA struct {
	URL   string `json:"url"`
	Name  string `json:"name"`
	Roots string `json:"roots"`
}

// String keeps the secret out of messages.
func (i Invitation) String() string {
	return fmt.Sprintf("invitation of %s %s by %s", i.Role, i.ID, i.Org)
}

// GoString keeps the secret out of debug output.
func (i Invitation) GoString() string { return i.String() }

// Invite registers a person under a fresh pseudonym with the organisation's
// CA and returns the invitation. Only roles that an organisation of its kind
// may assert are accepted; a gateway is no person.
func (n *Network) Invite(ctx context.Context, organisation string, person Person) (*Invitation, error) {
	org, ok := n.t.Organisation(organisation)
	if !ok {
		return nil, emr.Invalid("org", fmt.Sprintf("%q is no organisation of this network", organisation))
	}
	attributes, err := person.attributes(org)
	if err != nil {
		return nil, err
	}
	id, err := person.pseudonym()
	if err != nil {
		return nil, err
	}
	roots, err := os.ReadFile(n.site.TLSRoots(org))
	if err != nil {
		return nil, fmt.Errorf("%w: %s has not been started yet", ErrNoNetwork, org.Name)
	}
	consortium, err := n.pins(ctx, org)
	if err != nil {
		return nil, err
	}
	secret, err := n.registerPerson(ctx, org, roots, fabricca.Registration{
		ID: id, Type: "client", Attrs: attributes, MaxEnrollments: 1,
	})
	if err != nil {
		return nil, err
	}
	return &Invitation{
		V: 1, Gateway: n.site.GatewayURL(org), GatewayRoots: string(roots),
		CA:  InvitationCA{URL: n.site.CAURL(org), Name: render.IdentityCA(org), Roots: string(roots)},
		Org: org.MSP, Role: person.Role, ID: id, Secret: secret, Consortium: consortium,
	}, nil
}

// pins returns what a person's device is to trust: every organisation's CA
// certificate and, as the channel's configuration has them today, its revocation
// lists. What the device would refuse is refused here.
func (n *Network) pins(ctx context.Context, org topology.Organisation) (map[string]string, error) {
	all, err := n.authorities()
	if err != nil {
		return nil, err
	}
	member, err := lifecycle.Open(n.site, n.t, org)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoNetwork, err)
	}
	defer member.Close()
	block, err := member.ConfigBlock(ctx)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	lists, err := lifecycle.RevocationLists(block)
	if err != nil {
		return nil, err
	}
	return all, pin(all, lists)
}

// pin adds revocation lists to the authorities of the same organisation.
func pin(all, lists map[string]string) error {
	roots := attest.Roots{}
	for msp := range all {
		all[msp] += lists[msp]
		roots[emr.OrgID(msp)] = all[msp]
	}
	if err := roots.Validate(); err != nil {
		return fmt.Errorf("no device can pin what the channel's configuration says of its members: %w", err)
	}
	return nil
}

// authorities returns every organisation's CA certificate by MSP id.
func (n *Network) authorities() (map[string]string, error) {
	all := map[string]string{}
	for _, org := range n.t.Organisations {
		root, err := os.ReadFile(path.Join(n.site.MSP(org), render.RootFile))
		if err != nil {
			return nil, fmt.Errorf("%w: %s has not been started yet", ErrNoNetwork, org.Name)
		}
		all[org.MSP] = string(root)
	}
	return all, nil
}

func (p Person) pseudonym() (string, error) {
	if p.Role == emr.RolePatient {
		id, err := emr.GenerateID[emr.PatientID](rand.Reader)
		return string(id), err
	}
	id, err := emr.GenerateID[emr.ClinicianID](rand.Reader)
	return string(id), err
}

// attributes are what the CA is to vouch for.
func (p Person) attributes(org topology.Organisation) ([]fabricca.Attribute, error) {
	if p.Role == emr.RoleGateway || !emr.OrgKind(org.Kind).MayAssert(p.Role) {
		return nil, emr.Invalid("role", fmt.Sprintf("a %s cannot vouch for %q", org.Kind, p.Role))
	}
	level, err := p.level()
	if err != nil {
		return nil, err
	}
	var attributes []fabricca.Attribute
	for _, a := range []struct{ field, name, value string }{
		{"role", emr.AttributeRole, string(p.Role)},
		{"level", emr.AttributeLevel, string(level)},
		{"licence", attributeLicence, p.Licence},
		{"department", attributeDepartment, p.Department},
	} {
		if a.value == "" {
			continue
		}
		if !plain(a.value) {
			return nil, emr.Invalid(a.field, fmt.Sprintf("must be at most %d letters, digits, spaces and any of . _ / -", maxAttribute))
		}
		attributes = append(attributes, fabricca.Attribute{Name: a.name, Value: a.value, ECert: true})
	}
	return attributes, nil
}

// level is the highest security level that the person may ask for. Who treats
// patients needs the highest; others get the lowest unless told otherwise.
func (p Person) level() (emr.Level, error) {
	switch {
	case p.Role == emr.RolePatient && p.Level != "":
		return "", emr.Invalid("level", "is for professionals: a patient's own records need none")
	case p.Role == emr.RolePatient:
		return "", nil
	case p.Level != "":
		return emr.ParseLevel("level", string(p.Level))
	case p.Role == emr.RolePhysician, p.Role == emr.RoleNurse:
		return emr.LevelPrivate, nil
	default:
		return emr.LevelLow, nil
	}
}

// plain keeps attribute values to characters that need no escaping in any
// format they pass through.
func plain(value string) bool {
	if len(value) > maxAttribute {
		return false
	}
	for _, c := range []byte(value) {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !letter && c != ' ' && c != '.' && c != '_' && c != '/' && c != '-' {
			return false
		}
	}
	return true
}

func (n *Network) registerPerson(ctx context.Context, org topology.Organisation, roots []byte, r fabricca.Registration) (string, error) {
	dir := n.site.RegistrarMSP(org)
	cert, err := os.ReadFile(path.Join(dir, render.CertFile))
	if err != nil {
		return "", fmt.Errorf("read registrar's certificate: %w", err)
	}
	key, err := readKey(path.Join(dir, render.KeyFile))
	if err != nil {
		return "", fmt.Errorf("read registrar's key: %w", err)
	}
	client, err := fabricca.New(n.site.CAURL(org), roots, render.IdentityCA(org))
	if err != nil {
		return "", err
	}
	defer client.Close()
	secret, err := client.Register(ctx, key, cert, r)
	var refusal *fabricca.Error
	if err != nil && !errors.As(err, &refusal) {
		return "", fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	return secret, err
}

// ErrUnreachable means that a process of the network does not answer.
var ErrUnreachable = errors.New("the network does not answer: is it up?")

func readKey(file string) (crypto.Signer, error) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(raw)
	if block == nil {
		return nil, errors.New("no PEM block")
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("parse private key: %w", err)
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, errors.New("the key cannot sign")
	}
	return signer, nil
}
