// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package emr

import (
	"encoding/hex"
	"fmt"
	"io"
	"strings"
)

// Identifiers are a four-character prefix that names the kind and 32 lower-case
// hexadecimal digits of 128 random bits. They mean nothing and sort by nothing.
type (
	// PatientID is the pseudonym of a patient at the home hospital's CA ("pat_").
	// It is the common name of the patient's certificate and never stands in
	// public ledger state.
	PatientID string
	// Handle is a patient on the ledger ("hnd_").
	Handle string
	// ClinicianID is a professional: physician, nurse, researcher, auditor ("cli_").
	// It is the common name of the professional's certificate.
	ClinicianID string
	// RecordID is one version of one record ("rec_").
	RecordID string
	// ScopeID is what a patient delegates as one ("scp_").
	ScopeID string
	// GrantID is one grant of access ("gra_").
	GrantID string
	// RequestID is one request for access ("req_").
	RequestID string
	// DisclosureID is one disclosure, the ticket of one reading ("dis_").
	DisclosureID string
	// ProposalID is one question to the members of the consortium ("pro_").
	ProposalID string
	// SessionID is one emergency session ("eme_").
	SessionID string
	// AmendmentID is one request to correct a record ("amd_").
	AmendmentID string
	// InspectionID is one reading of an audit log by an inspector ("ins_").
	InspectionID string
	// OrgID is an organisation, named by its Fabric MSP id.
	OrgID string
)

// Prefixes of identifiers, one per kind.
const (
	PatientPrefix    = "pat_"
	HandlePrefix     = "hnd_"
	ClinicianPrefix  = "cli_"
	RecordPrefix     = "rec_"
	ScopePrefix      = "scp_"
	GrantPrefix      = "gra_"
	RequestPrefix    = "req_"
	DisclosurePrefix = "dis_"
	ProposalPrefix   = "pro_"
	SessionPrefix    = "eme_"
	AmendmentPrefix  = "amd_"
	InspectionPrefix = "ins_"
)

const (
	idRandomBytes = 16
	idLength      = len(PatientPrefix) + 2*idRandomBytes
	maxOrgLength  = 64
)

type prefixed interface {
	~string
	prefix() string
}

func (PatientID) prefix() string    { return PatientPrefix }
func (Handle) prefix() string       { return HandlePrefix }
func (ClinicianID) prefix() string  { return ClinicianPrefix }
func (RecordID) prefix() string     { return RecordPrefix }
func (ScopeID) prefix() string      { return ScopePrefix }
func (GrantID) prefix() string      { return GrantPrefix }
func (RequestID) prefix() string    { return RequestPrefix }
func (DisclosureID) prefix() string { return DisclosurePrefix }
func (ProposalID) prefix() string   { return ProposalPrefix }
func (SessionID) prefix() string    { return SessionPrefix }
func (AmendmentID) prefix() string  { return AmendmentPrefix }
func (InspectionID) prefix() string { return InspectionPrefix }

// GenerateID draws a new identifier of type T from random, which must be a
// cryptographic source. It fails only when the source does.
func GenerateID[T prefixed](random io.Reader) (T, error) {
	var zero T
	var b [idRandomBytes]byte
	if _, err := io.ReadFull(random, b[:]); err != nil {
		return zero, fmt.Errorf("emr: draw identifier: %w", err)
	}
	return T(zero.prefix() + hex.EncodeToString(b[:])), nil
}

// ParseID takes text for an identifier of type T. It returns an invalid error
// that names field when the text is anything but the prefix of T and 32
// lower-case hexadecimal digits.
func ParseID[T prefixed](field, text string) (T, error) {
	var zero T
	if !validID(zero.prefix(), text) {
		return zero, Invalid(field, fmt.Sprintf("must be %s and 32 lower-case hexadecimal digits", zero.prefix()))
	}
	return T(text), nil
}

// CheckID validates an identifier that came inside a document.
func CheckID[T prefixed](field string, id T) error {
	_, err := ParseID[T](field, string(id))
	return err
}

func validID(prefix, text string) bool {
	if len(text) != idLength || !strings.HasPrefix(text, prefix) {
		return false
	}
	for _, c := range []byte(text[len(prefix):]) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// ParseOrgID takes text for the MSP id of an organisation: 1 to 64 letters,
// digits, dots, hyphens and underscores.
func ParseOrgID(field, text string) (OrgID, error) {
	if text == "" || len(text) > maxOrgLength {
		return "", Invalid(field, "must be an MSP id of 1 to 64 characters")
	}
	for _, c := range []byte(text) {
		if !orgCharacter(c) {
			return "", Invalid(field, "must hold only letters, digits, '.', '-' and '_'")
		}
	}
	return OrgID(text), nil
}

func orgCharacter(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '.' || c == '-' || c == '_'
}
