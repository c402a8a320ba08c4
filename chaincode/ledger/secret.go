// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"crypto/sha256"
	"fmt"
	"slices"

	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
	"github.com/emrys-health/emrys/pkg/pre"
)

// hybridHash is how the terms of a direct grant name the reader's hybrid key.
func hybridHash(clinician *emr.Clinician) emr.Digest { return sha256.Sum256(clinician.Hybrid) }

// secretOf reads the private part of a grant: the sealed fragments, or the sealed keys of a direct one.
func secretOf(r Reader, grant *emr.Grant) (*emr.GrantSecret, error) {
	key := ledgerapi.FragmentKey(grant.ID)
	if !grant.Apart {
		_, action, err := privateAction(r, key)
		if err != nil {
			return nil, err
		}
		var args ledgerapi.GrantAccessArgs
		if err := emr.DecodeCanonical(action.Args, &args); err != nil {
			return nil, fmt.Errorf("ledger: stored grant cannot be read: %s", err.Error())
		}
		return &emr.GrantSecret{V: emr.DocumentVersion, Grant: args.Terms.Grant, Fragments: args.Fragments, Direct: args.Direct}, nil
	}
	value, err := r.GetPrivate(key)
	if err != nil {
		return nil, fmt.Errorf("ledger: read private %s: %w", key.Type, err)
	}
	if value == nil {
		return nil, emr.E(emr.CodeUnavailable, "this peer does not hold the private "+key.Type)
	}
	return decode(key.Type, value, versionOfSecret)
}

func versionOfSecret(g *emr.GrantSecret) int { return g.V }

// fillSecret adds what the ticket's grant holds for its record: the calling
// organisation's own fragment, or the record's key sealed to the reader.
func fillSecret(r Reader, ticket *ledgerapi.Ticket, org emr.OrgID) error {
	grant := &ticket.Grant
	at, found := slices.BinarySearch(grant.Terms.Gateways, org)
	if grant.Terms.Direct {
		at, found = slices.BinarySearch(grant.Terms.Records, ticket.Disclosure.Record)
	}
	if !found {
		return nil
	}
	secret, err := secretOf(r, grant)
	if err != nil {
		return err
	}
	if len(secret.Fragments) != len(grant.Terms.Gateways) || grant.Terms.Direct && len(secret.Direct) != len(grant.Terms.Records) {
		return fmt.Errorf("ledger: stored grant lacks fragments")
	}
	if grant.Terms.Direct {
		ticket.Direct = secret.Direct[at]
	} else {
		ticket.Fragment = secret.Fragments[at]
	}
	return nil
}

// checkDirect checks that there is one sealed key for each record of a direct grant,
// in their order, of the right form, and bound to the grant and record by its
// commitment. What is inside is for the reader to open.
func checkDirect(args *ledgerapi.GrantAccessArgs) error {
	if !args.Terms.Direct {
		if len(args.Direct) != 0 {
			return emr.Invalid("direct", "must be absent where the terms are not those of a direct grant")
		}
		return nil
	}
	if len(args.Direct) != len(args.Terms.Records) {
		return emr.Invalid("direct", "must hold one sealed key for each record")
	}
	for i := range args.Direct {
		field := fmt.Sprintf("direct[%d]", i)
		one := &args.Direct[i]
		if one.Record != args.Terms.Records[i] {
			return emr.Invalid(field+".record", "must be in the order of terms.records")
		}
		if len(one.Sealed) != pre.SealedKeySize || uint16(one.Sealed[0])<<8|uint16(one.Sealed[1]) != pre.KEMID {
			return emr.Invalid(field+".sealed", "is not a sealed key")
		}
		commitment, err := one.Commit(args.Terms.Grant)
		if err != nil {
			return err
		}
		if commitment != one.Commitment {
			return emr.Invalid(field+".commitment", "is not that of the sealed key")
		}
		for j := range i {
			if slices.Equal(args.Direct[j].Sealed, one.Sealed) {
				return emr.Invalid(field+".sealed", "must not be another record's")
			}
		}
	}
	return nil
}

// checkDirectTerms checks what is particular to the terms of a direct grant.
func checkDirectTerms(terms *emr.GrantTerms) error {
	switch {
	case !terms.Direct && !terms.ReaderHybrid.IsZero():
		return emr.Invalid("terms.readerHybrid", "must be absent where the grant is not direct")
	case !terms.Direct:
		return nil
	case len(terms.Records) == 0 || len(terms.Records) > ledgerapi.MaxDirectRecords:
		return emr.Invalid("terms.records", fmt.Sprintf("must name 1 to %d records: a direct grant is of single ones", ledgerapi.MaxDirectRecords))
	case terms.Threshold != 0:
		return emr.Invalid("terms.threshold", "must be 0: a direct grant has no fragments")
	case terms.Gateways == nil || len(terms.Gateways) != 0:
		return emr.Invalid("terms.gateways", "must be an empty list: a direct grant has no fragments")
	default:
		return nil
	}
}
