// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package emr

import "slices"

// RevocationGround is why an organisation revokes a certificate: the reasons of
// RFC 5280, section 5.3.1, that are for good.
type RevocationGround string

// Grounds of a revocation.
const (
	RevokedUnspecified   RevocationGround = "unspecified"
	RevokedKeyCompromise RevocationGround = "keyCompromise"
	RevokedAffiliation   RevocationGround = "affiliationChanged"
	RevokedSuperseded    RevocationGround = "superseded"
	RevokedCessation     RevocationGround = "cessationOfOperation"
	RevokedPrivilege     RevocationGround = "privilegeWithdrawn"
)

// RevocationGrounds returns every ground.
func RevocationGrounds() []RevocationGround {
	return []RevocationGround{
		RevokedUnspecified, RevokedKeyCompromise, RevokedAffiliation, RevokedSuperseded, RevokedCessation, RevokedPrivilege,
	}
}

// Valid tells whether the ground is on the list.
func (g RevocationGround) Valid() bool { return slices.Contains(RevocationGrounds(), g) }

// MaxSerial bounds a certificate's serial number in hexadecimal digits (RFC 5280: 20 octets).
const MaxSerial = 40

// RevokedCertificate says that a certificate of an organisation's CA counts no
// more. It is never taken back. Key: Org and Serial.
type RevokedCertificate struct {
	V      int    `json:"v"`
	Org    OrgID  `json:"org"`
	Serial string `json:"serial"` // lower-case hexadecimal digits, the first not zero
	// Certificate is the SHA-256 of the certificate (DER), for who holds one and
	// compares; what is refused is the serial number.
	Certificate Digest           `json:"certificate"`
	Ground      RevocationGround `json:"ground"`
	At          Time             `json:"at"`
}

// ClinicianRevoked is the status of a clinician whose certificate is revoked. It is
// nowhere stored: a later certificate ends it, as a suspension does not.
const ClinicianRevoked ClinicianStatus = "certificate-revoked"

// ReasonRevokedCertificate says that the certificate that the clinician is registered with is revoked.
const ReasonRevokedCertificate Reason = "certificate-revoked"
