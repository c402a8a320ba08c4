// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"encoding/pem"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// Limits of an organisation's entry.
const (
	maxName       = 128 // bytes
	maxURL        = 512 // bytes
	maxAddresses  = 16
	maxAddress    = 256 // bytes
	gatewayScheme = "https://"
)

// RegisterOrganisation registers or updates the caller's own organisation. The
// caller must be an administrator of its MSP, and the CA certificate must have
// issued the caller's. CA certificate and kind are fixed by the first
// registration; everything else may change, which counts the version up.
//
// Until the founding is closed every member of the channel may register, as either
// kind. From then on, and after a removal at any time, the members have to have
// admitted the organisation, with its kind and CA certificate.
func RegisterOrganisation(s State, args ledgerapi.RegisterOrganisationArgs) (*ledgerapi.Receipt, error) {
	caller, err := requireAdmin(s)
	if err != nil {
		return nil, err
	}
	org, err := newOrganisation(s, caller, &args)
	if err != nil {
		return nil, err
	}
	previous, err := organisation(s, caller.MSP)
	if err != nil {
		return nil, err
	}
	if err := succeed(org, previous); err != nil {
		return nil, err
	}
	if previous == nil || previous.Removed != 0 {
		if err := requireAdmission(s, org, previous); err != nil {
			return nil, err
		}
		if err := enrol(s, org.ID); err != nil {
			return nil, err
		}
	}
	return receipt(s, string(org.ID)), put(s, ledgerapi.OrganisationKey(org.ID), org)
}

func organisation(s Lookup, id emr.OrgID) (*emr.Organisation, error) {
	return find(s, ledgerapi.OrganisationKey(id), versionOfOrganisation)
}

func newOrganisation(s Lookup, caller *Caller, args *ledgerapi.RegisterOrganisationArgs) (*emr.Organisation, error) {
	authority, err := parseCertificate("caCert", args.CACert)
	if err != nil {
		return nil, err
	}
	if err := checkAuthority(authority, caller); err != nil {
		return nil, err
	}
	if err := checkOrgKeys(&args.Keys); err != nil {
		return nil, err
	}
	if err := checkProfile(args); err != nil {
		return nil, err
	}
	return &emr.Organisation{
		V: emr.DocumentVersion, ID: caller.MSP, Name: args.Name, Kind: args.Kind,
		CACert:     string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: authority.Raw})),
		GatewayURL: args.GatewayURL, Keys: args.Keys, IPFS: append([]string{}, args.IPFS...),
		Version: 1, Updated: s.Now(),
	}, nil
}

func checkProfile(args *ledgerapi.RegisterOrganisationArgs) error {
	switch {
	case args.Name == "" || len(args.Name) > maxName || !printable(args.Name):
		return emr.Invalid("name", "must be 1 to 128 bytes of printable text")
	case args.Kind != emr.KindHospital && args.Kind != emr.KindRegulator:
		return emr.Invalid("kind", "must be hospital or regulator")
	case !gatewayURL(args.GatewayURL):
		return emr.Invalid("gatewayUrl", "must be an https URL of a host, without user, query or fragment")
	default:
		return checkAddresses(args)
	}
}

func checkAddresses(args *ledgerapi.RegisterOrganisationArgs) error {
	if len(args.IPFS) > maxAddresses {
		return emr.Invalid("ipfs", "must hold at most 16 addresses")
	}
	if args.Kind == emr.KindRegulator && len(args.IPFS) != 0 {
		return emr.Invalid("ipfs", "must be empty for a regulator")
	}
	for _, address := range args.IPFS {
		if !strings.HasPrefix(address, "/") || len(address) > maxAddress || !printable(address) {
			return emr.Invalid("ipfs", "must hold multiaddresses of at most 256 bytes")
		}
	}
	return nil
}

// printable refuses control characters by their fixed ranges: unicode.IsPrint
// depends on the Unicode version that a peer was built with.
func printable(text string) bool {
	control := func(r rune) bool { return r < 0x20 || r >= 0x7f && r < 0xa0 }
	return utf8.ValidString(text) && !strings.ContainsFunc(text, control)
}

// gatewayURL accepts https, a host with or without a port, and a plain path.
// Anything else that a URL may hold (user, query, fragment, escapes) is refused by
// its characters.
func gatewayURL(text string) bool {
	rest, found := strings.CutPrefix(text, gatewayScheme)
	if !found || len(text) > maxURL {
		return false
	}
	host, path, _ := strings.Cut(rest, "/")
	const name = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-."
	return host != "" && !strings.HasPrefix(host, ":") && strings.Trim(host, name+":[]") == "" &&
		strings.Trim(path, name+"_~/") == ""
}

// succeed makes org the next version of previous, when there is one.
func succeed(org, previous *emr.Organisation) error {
	if previous == nil {
		return nil
	}
	if org.CACert != previous.CACert {
		return &emr.Error{Code: emr.CodeRule, Field: "caCert", Message: "CA certificate was fixed by the first registration"}
	}
	if org.Kind != previous.Kind {
		return &emr.Error{Code: emr.CodeRule, Field: "kind", Message: "kind was fixed by the first registration"}
	}
	org.Version = previous.Version + 1
	return nil
}

// enrol adds an organisation to the roster.
func enrol(s State, id emr.OrgID) error {
	members, err := roster(s)
	if err != nil {
		return err
	}
	at, found := slices.BinarySearch(members, id)
	if found {
		return fmt.Errorf("ledger: roster names an organisation that is not registered")
	}
	return put(s, ledgerapi.RosterKey(), ledgerapi.Roster{
		V: emr.DocumentVersion, Organisations: slices.Insert(members, at, id),
	})
}

// roster returns every registered organisation, sorted.
func roster(s Lookup) ([]emr.OrgID, error) {
	r, err := find(s, ledgerapi.RosterKey(), versionOfRoster)
	if err != nil || r == nil {
		return nil, err
	}
	return r.Organisations, nil
}
