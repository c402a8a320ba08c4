// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package client

import (
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/emrys-health/emrys/pkg/atomicfile"
	"github.com/emrys-health/emrys/pkg/attest"
	"github.com/emrys-health/emrys/pkg/emr"
)

const (
	profileName     = "profile.json"
	certificateName = "certificate.pem"
	// formatVersion is that of invitations and profiles.
	formatVersion = 1
	// ownerOnly is the mode of every file that the client writes.
	ownerOnly = 0o600
	// maxPublicFile bounds an invitation and a profile, in bytes. Most of it is for the
	// revocation lists that they pin, which hold who was revoked of all people.
	maxPublicFile = 1 << 20
)

// Authority is a hospital's certificate authority.
type Authority struct {
	URL   string `json:"url"`
	Name  string `json:"name"`
	Roots string `json:"roots"` // PEM of its TLS roots
}

// Invitation is what a registrar hands to a person. It holds the secret of a
// single enrolment: keep the file until the join is done, then remove it. It
// prints without the secret.
type Invitation struct {
	V            int       `json:"v"`
	Gateway      string    `json:"gateway"`      // https URL
	GatewayRoots string    `json:"gatewayRoots"` // PEM
	CA           Authority `json:"ca"`
	Org          emr.OrgID `json:"org"`
	Role         emr.Role  `json:"role"`
	ID           string    `json:"id"` // a PatientID or ClinicianID
	Secret       string    `json:"secret"`
	// Consortium pins, for every organisation, the CA that issues its peers.
	Consortium attest.Roots `json:"consortium"`
}

// ParseInvitation reads an invitation and validates every field of it.
func ParseInvitation(data []byte) (*Invitation, error) {
	if len(data) > maxPublicFile {
		return nil, emr.E(emr.CodeTooLarge, "invitation is larger than 1 MiB")
	}
	var inv Invitation
	if err := emr.Decode(data, &inv); err != nil {
		return nil, emr.Wrap(emr.CodeInvalid, "invitation is not the JSON expected", err)
	}
	p := inv.profile()
	if err := p.Validate(); err != nil {
		return nil, err
	}
	if inv.Secret == "" || len(inv.Secret) > 256 || strings.ContainsAny(inv.Secret, "\r\n\x00") {
		return nil, emr.Invalid("secret", "must be the enrolment secret on one line")
	}
	return &inv, nil
}

// Format writes the invitation without its secret, for every verb.
func (inv Invitation) Format(s fmt.State, _ rune) {
	_, _ = io.WriteString(s, "client.Invitation("+inv.ID+" of "+string(inv.Org)+")")
}

func (inv *Invitation) profile() *Profile {
	return &Profile{
		V: inv.V, Gateway: inv.Gateway, GatewayRoots: inv.GatewayRoots, CA: inv.CA,
		Org: inv.Org, Role: inv.Role, ID: inv.ID, Scopes: []ProfileScope{}, Consortium: inv.Consortium,
	}
}

// ProfileScope is a scope that this device made. Its keys follow from the root
// seed, the id and the epoch.
type ProfileScope struct {
	ID    emr.ScopeID `json:"id"`
	Level emr.Level   `json:"level"`
	Epoch uint32      `json:"epoch"`
}

// Profile is the public part of a person's membership: whom to talk to and who
// one is. Keys and certificate lie beside it.
type Profile struct {
	V            int       `json:"v"`
	Gateway      string    `json:"gateway"`
	GatewayRoots string    `json:"gatewayRoots"`
	CA           Authority `json:"ca"`
	Org          emr.OrgID `json:"org"`
	Role         emr.Role  `json:"role"`
	ID           string    `json:"id"`
	// Channel and Contract are fixed at the first contact: a gateway cannot
	// later have actions signed for another ledger.
	Channel  string `json:"channel"`
	Contract string `json:"contract"`
	// Handle is the patient's name on the ledger; empty for professionals.
	Handle emr.Handle     `json:"handle"`
	Scopes []ProfileScope `json:"scopes"`
	// Pending are scopes of a rotation that are not known to be published. Running it again settles them.
	Pending []ProfileScope `json:"pending,omitempty"`
	// Registered tells that the registration is committed, Published that the scopes are.
	Registered bool `json:"registered"`
	Published  bool `json:"published"`
	// Consortium is pinned at the join: what the gateway says of the registry is
	// believed only with endorsements of peers that these authorities certify.
	Consortium attest.Roots `json:"consortium"`
}

// ParseProfile reads and validates a profile.
func ParseProfile(data []byte) (*Profile, error) {
	if len(data) > maxPublicFile {
		return nil, emr.E(emr.CodeTooLarge, "profile is larger than 1 MiB")
	}
	var p Profile
	if err := emr.Decode(data, &p); err != nil {
		return nil, emr.Wrap(emr.CodeInvalid, "profile is not the JSON expected", err)
	}
	if err := p.Validate(); err != nil {
		return nil, err
	}
	return &p, nil
}

// IsPatient tells whether the profile is a patient's.
func (p *Profile) IsPatient() bool { return p.Role == emr.RolePatient }

// Joined tells whether every step of the join is done.
func (p *Profile) Joined() bool { return p.Registered && (!p.IsPatient() || p.Published) }

// Actor is the name under which the person signs actions.
func (p *Profile) Actor() string {
	if p.IsPatient() {
		return string(p.Handle)
	}
	return p.ID
}

// Validate checks the form of every field.
func (p *Profile) Validate() error {
	if p.V != formatVersion {
		return emr.E(emr.CodeUnsupported, fmt.Sprintf("version %d is not known to this program", p.V))
	}
	checks := []func() error{
		func() error { return checkURL("gateway", p.Gateway) },
		func() error { return checkRoots("gatewayRoots", p.GatewayRoots) },
		func() error { return checkURL("ca.url", p.CA.URL) },
		func() error { return checkRoots("ca.roots", p.CA.Roots) },
		func() error { _, err := emr.ParseOrgID("org", string(p.Org)); return err },
		p.checkPerson,
		p.checkScopes,
		p.checkConsortium,
	}
	for _, check := range checks {
		if err := check(); err != nil {
			return err
		}
	}
	if p.CA.Name == "" {
		return emr.Invalid("ca.name", "must not be empty")
	}
	return nil
}

// checkConsortium demands enough pinned authorities for a proof to be possible.
func (p *Profile) checkConsortium() error {
	others := len(p.Consortium)
	if _, own := p.Consortium[p.Org]; own {
		others--
	}
	if others < proofQuorum {
		return emr.Invalid("consortium", "must hold the certificate authorities of at least two other organisations")
	}
	if err := p.Consortium.Validate(); err != nil {
		return &emr.Error{Code: emr.CodeInvalid, Field: "consortium", Message: "is not usable", Err: err}
	}
	return nil
}

func (p *Profile) checkPerson() error {
	if p.IsPatient() {
		if p.Handle != "" {
			if err := emr.CheckID("handle", p.Handle); err != nil {
				return err
			}
		}
		_, err := emr.ParseID[emr.PatientID]("id", p.ID)
		return err
	}
	if !slices.Contains(emr.Professions(), p.Role) {
		return emr.Invalid("role", "must be patient, physician, nurse, researcher, insurer, auditor or privacy-officer")
	}
	_, err := emr.ParseID[emr.ClinicianID]("id", p.ID)
	return err
}

func (p *Profile) checkScopes() error {
	for _, s := range slices.Concat(p.Scopes, p.Pending) {
		if err := emr.CheckID("scopes.id", s.ID); err != nil {
			return err
		}
		if _, err := emr.ParseLevel("scopes.level", string(s.Level)); err != nil {
			return err
		}
	}
	return nil
}

func checkURL(field, text string) error {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" ||
		strings.HasSuffix(text, "/") {
		return emr.Invalid(field, "must be an https address without a trailing slash")
	}
	return nil
}

func checkRoots(field, text string) error {
	if !x509.NewCertPool().AppendCertsFromPEM([]byte(text)) {
		return emr.Invalid(field, "must hold a PEM certificate")
	}
	return nil
}

// LoadProfile reads the profile in dir. A missing one is a not_found error.
func LoadProfile(dir string) (*Profile, error) {
	data, err := readPublic(filepath.Join(dir, profileName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, emr.Wrap(emr.CodeNotFound, "there is no profile in "+dir+"; join first: emrys join --invite FILE", err)
	}
	if err != nil {
		return nil, emr.Wrap(emr.CodeInvalid, "profile cannot be read", err)
	}
	p, err := ParseProfile(data)
	if err != nil {
		return nil, fmt.Errorf("read profile in %s: %w", dir, err)
	}
	return p, nil
}

func (p *Profile) save(dir string) error {
	data, err := json.MarshalIndent(p, "", "  ")
	if err != nil {
		return fmt.Errorf("encode profile: %w", err)
	}
	return atomicfile.Write(filepath.Join(dir, profileName), append(data, '\n'), ownerOnly)
}

func readPublic(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxPublicFile+1))
}
