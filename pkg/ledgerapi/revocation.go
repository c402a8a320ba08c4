// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledgerapi

import "github.com/emrys-health/emrys/pkg/emr"

// Revocation of certificates. Transactions take one JSON argument.
const (
	// RevokeCertificates: RevokeCertificatesArgs -> Receipt, by an admin of the organisation whose CA has issued them; for good.
	RevokeCertificates = "RevokeCertificates"
)

// Queries of revocation.
const (
	ListRevocations = "ListRevocations" // RevocationQuery -> RevocationPage, by serial number
)

// Events of revocation. The id is the organisation's.
const (
	EventCertificatesRevoked = "certificates.revoked" // an organisation revoked certificates of its CA
)

// MaxRevocations is the number of certificates of one call.
const MaxRevocations = 100

// Object types of public state.
const (
	TypeRevokedCertificate = "revoked-certificate" // by organisation and serial number: emr.RevokedCertificate
)

// RevokedCertificateKey is the key of a revocation. The serial number is written as emr.RevokedCertificate says.
func RevokedCertificateKey(org emr.OrgID, serial string) Key {
	return key(TypeRevokedCertificate, string(org), serial)
}

// RevokeCertificatesArgs revokes certificates of the caller's own organisation.
// Authority is the SHA-256 of its registered CA certificate (DER): serial numbers
// mean nothing without the CA that gave them.
type RevokeCertificatesArgs struct {
	Authority    emr.Digest    `json:"authority"`
	Certificates []Certificate `json:"certificates"`
	// Ground applies to all of them.
	Ground emr.RevocationGround `json:"ground"`
}

// Certificate names a certificate by its serial number and the SHA-256 of its DER.
type Certificate struct {
	Serial string     `json:"serial"`
	Digest emr.Digest `json:"digest"`
}

// RevocationQuery asks what an organisation has revoked.
type RevocationQuery struct {
	Org      emr.OrgID `json:"org"`
	Limit    int       `json:"limit"`
	Bookmark string    `json:"bookmark"`
}

// RevocationPage is a page of revocations, by serial number.
type RevocationPage struct {
	Items    []emr.RevokedCertificate `json:"items"`
	Bookmark string                   `json:"bookmark"`
}
