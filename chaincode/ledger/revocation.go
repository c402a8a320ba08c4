// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"strings"

	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// RevokeCertificates revokes certificates of the caller's organisation for good.
// From the next block on they open nothing: nobody registers or renews with one, a
// gateway's or an administrator's carries nothing, and the clinician who is
// registered with one acts as a suspended one does, until a later certificate is
// registered. A patient's pinned key does not hang on a certificate and stays.
//
// Who is an administrator the channel's MSPs know and the contract does not. That
// nobody revokes the own certificate keeps at least one administrator: each
// revocation leaves the one who made it, and of two who revoke each other at the
// same time one loses, since each reads what the other writes.
func RevokeCertificates(s State, args ledgerapi.RevokeCertificatesArgs) (*ledgerapi.Receipt, error) {
	member, err := callingMember(s)
	if err != nil {
		return nil, err
	}
	if err := checkRevocations(s, member, &args); err != nil {
		return nil, err
	}
	for _, certificate := range args.Certificates {
		key := ledgerapi.RevokedCertificateKey(member.ID, certificate.Serial)
		existing, err := s.Get(key)
		if err != nil {
			return nil, fmt.Errorf("ledger: read revocation: %w", err)
		}
		if existing != nil {
			return nil, &emr.Error{Code: emr.CodeExists, Field: "certificates", Message: "certificate is revoked already"}
		}
		revoked := emr.RevokedCertificate{
			V: emr.DocumentVersion, Org: member.ID, Serial: certificate.Serial, Certificate: certificate.Digest, Ground: args.Ground,
			At: s.Now(),
		}
		if err := put(s, key, revoked); err != nil {
			return nil, err
		}
	}
	return receipt(s, string(member.ID)), emit(s, ledgerapi.EventCertificatesRevoked, ledgerapi.Event{ID: string(member.ID)})
}

func checkRevocations(s Lookup, member *emr.Organisation, args *ledgerapi.RevokeCertificatesArgs) error {
	authority, err := parseCertificate("caCert", member.CACert)
	if err != nil {
		return fmt.Errorf("ledger: stored CA certificate cannot be read: %s", err.Error())
	}
	switch {
	case args.Authority != emr.Digest(sha256.Sum256(authority.Raw)):
		return &emr.Error{Code: emr.CodeForbidden, Field: "authority", Message: "is not the CA that the caller's organisation has registered"}
	case !args.Ground.Valid():
		return emr.Invalid("ground", "is not a ground of revocation")
	case len(args.Certificates) == 0 || len(args.Certificates) > ledgerapi.MaxRevocations:
		return emr.Invalid("certificates", fmt.Sprintf("must be 1 to %d", ledgerapi.MaxRevocations))
	}
	own := serialOf(s.Caller().Certificate)
	for i, certificate := range args.Certificates {
		switch {
		case !serialUsable(certificate.Serial):
			return emr.Invalid("certificates.serial", "must be a serial number in lower-case hexadecimal digits")
		case certificate.Digest.IsZero():
			return emr.Invalid("certificates.digest", "must be the SHA-256 of the certificate")
		case i > 0 && certificate.Serial <= args.Certificates[i-1].Serial:
			return emr.Invalid("certificates", "must be sorted by serial number, none twice")
		case certificate.Serial == own:
			return &emr.Error{
				Code: emr.CodeRule, Field: "certificates",
				Message: "nobody revokes the own certificate; another administrator of the organisation does",
			}
		}
	}
	return nil
}

// serialOf writes a certificate's serial number as revocations do.
func serialOf(certificate *x509.Certificate) string { return certificate.SerialNumber.Text(16) }

func serialUsable(serial string) bool {
	return serial != "" && len(serial) <= emr.MaxSerial && serial[0] != '0' && strings.Trim(serial, "0123456789abcdef") == ""
}

// checkNotRevoked refuses a certificate that its organisation has revoked.
func checkNotRevoked(s Lookup, field string, org emr.OrgID, certificate *x509.Certificate) error {
	revoked, err := isRevoked(s, org, serialOf(certificate))
	if err == nil && revoked {
		err = &emr.Error{
			Code: emr.CodeForbidden, Reason: emr.ReasonRevokedCertificate, Field: field, Message: "certificate is revoked",
		}
	}
	return err
}

func isRevoked(s Lookup, org emr.OrgID, serial string) (bool, error) {
	found, err := s.Get(ledgerapi.RevokedCertificateKey(org, serial))
	if err != nil {
		return false, fmt.Errorf("ledger: read revocation: %w", err)
	}
	return found != nil, nil
}

// findClinician returns a clinician's entry with the status that the clinician has
// in effect, nil when there is none. What is written back must not come from here.
func findClinician(s Lookup, id emr.ClinicianID) (*emr.Clinician, error) {
	clinician, err := find(s, ledgerapi.ClinicianKey(id), versionOfClinician)
	if err != nil || clinician == nil || clinician.Serial == "" || clinician.Status != emr.ClinicianActive {
		return clinician, err
	}
	revoked, err := isRevoked(s, clinician.Org, clinician.Serial)
	if err != nil {
		return nil, err
	}
	if revoked {
		clinician.Status = emr.ClinicianRevoked
	}
	return clinician, nil
}

// requireClinician is findClinician that refuses an absent clinician as not found.
func requireClinician(s Lookup, id emr.ClinicianID) (*emr.Clinician, error) {
	clinician, err := findClinician(s, id)
	if err == nil && clinician == nil {
		return nil, missing(ledgerapi.TypeClinician)
	}
	return clinician, err
}

// ListRevocations lists what an organisation has revoked, by serial number.
func ListRevocations(r Reader, q ledgerapi.RevocationQuery) (*ledgerapi.RevocationPage, error) {
	if _, err := emr.ParseOrgID("org", string(q.Org)); err != nil {
		return nil, err
	}
	list := byOwner(ledgerapi.TypeRevokedCertificate, string(q.Org), q.Limit, q.Bookmark)
	list.tail = 1 // the serial number
	items, bookmark, err := page(r, list, func(e Entry) (*emr.RevokedCertificate, step, error) {
		found, err := decode(e.Key.Type, e.Value, versionOfRevocation)
		return found, keep, err
	})
	if err != nil {
		return nil, err
	}
	return &ledgerapi.RevocationPage{Items: items, Bookmark: bookmark}, nil
}

func versionOfRevocation(r *emr.RevokedCertificate) int { return r.V }
