// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"crypto/sha256"
	"fmt"
	"slices"

	"github.com/emrys-health/emrys/pkg/api"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
	"github.com/emrys-health/emrys/pkg/pre"
)

// checkDirect refuses a direct grant that the ledger would refuse, before anything is asked or made.
func (g *Giving) checkDirect() error {
	if !g.Direct {
		return nil
	}
	if g.WholeScope {
		return emr.Invalid("direct", "a direct grant is of single records, and not of a whole scope")
	}
	if n := len(slices.Compact(slices.Sorted(slices.Values(g.Records)))); n > ledgerapi.MaxDirectRecords {
		return emr.Invalid("records", fmt.Sprintf("at most %d in one direct grant", ledgerapi.MaxDirectRecords))
	}
	return nil
}

// directKeys seals the key of each record of a direct grant to the grantee, in the order of the terms.
func (c *Client) directKeys(
	ctx context.Context, n *api.Network, t *emr.GrantTerms, to *emr.Clinician,
) ([]emr.SealedKey, error) {
	hash, err := t.Hash()
	if err != nil {
		return nil, err
	}
	reader, err := pre.ParseHybridPublicKey(to.Hybrid)
	if err != nil {
		return nil, corrupt("the reader's hybrid key is not a key", err)
	}
	keys := make([]emr.SealedKey, len(t.Records))
	for i, record := range t.Records {
		v, err := c.ownRecord(ctx, record)
		if err != nil {
			return nil, fmt.Errorf("open %s to share it: %w", record, err)
		}
		if err := v.canBeGiven(n, t); err != nil {
			return nil, err
		}
		if keys[i], err = v.sealDirect(reader, t.Grant, hash); err != nil {
			return nil, err
		}
	}
	return keys, nil
}

// ownRecord reads the manifest of a record of the calling patient by a reading of
// the patient's own, which is committed, and verifies it.
func (c *Client) ownRecord(ctx context.Context, record emr.RecordID) (*verifier, error) {
	reading, err := c.Disclose(ctx, record, "", emr.PurposePatient)
	if err != nil {
		return nil, err
	}
	v, err := c.present(ctx, emr.DisclosureID(reading.ID))
	if err != nil {
		return nil, err
	}
	if err := v.check(emr.DisclosureID(reading.ID)); err != nil {
		return nil, err
	}
	if v.manifest.Record != record { // else a gateway could choose which record is given
		return nil, corrupt("the gateway answered with another record than the one asked for", nil)
	}
	return v, nil
}

// canBeGiven refuses a record that a direct grant of these terms cannot open.
func (v *verifier) canBeGiven(n *api.Network, t *emr.GrantTerms) error {
	if v.manifest.Scope != t.Scope || v.manifest.Epoch != t.Epoch {
		return corrupt("the record's manifest names another scope or epoch than the grant", nil)
	}
	holders := 0
	for i := range v.envelope.Shares.Shares {
		id := emr.OrgID(v.envelope.Shares.Shares[i].Gateway)
		if _, err := organisation(n, id); err == nil && id != t.Org {
			holders++
		}
	}
	if holders < int(v.manifest.Threshold) {
		return errTooFewOthers
	}
	return nil
}

// sealDirect opens the record's capsule and seals what is inside to the reader,
// under this record and this grant and no other.
func (v *verifier) sealDirect(reader *pre.HybridPublicKey, grant emr.GrantID, terms emr.Digest) (emr.SealedKey, error) {
	one := emr.SealedKey{Record: v.manifest.Record}
	preKey, err := v.ownPreKey()
	if err != nil {
		return one, err
	}
	defer clear(preKey)
	if one.Sealed, err = pre.SealDirectKey(reader, v.context, terms, preKey); err != nil {
		return one, fmt.Errorf("seal direct key: %w", err)
	}
	one.Commitment, err = one.Commit(grant)
	return one, err
}

// hybridHash is how a direct grant names this device's hybrid key.
func (c *Client) hybridHash() emr.Digest { return sha256.Sum256(c.keys.Hybrid().Public().Bytes()) }

// givenKeys recovers both keys under a direct grant: K_pre from what the patient
// sealed, and K_share from the proxies' shares. What fails verification is set aside
// and its proxy named; the rest may be enough.
func (v *verifier) givenKeys() (shareKey, preKey []byte, err error) {
	v.faults = slices.Clone(v.opening.Faults)
	request, err := v.opening.Disclosure.Hash()
	if err != nil {
		return nil, nil, err
	}
	grant, err := v.opening.Grant.Terms.Hash()
	if err != nil {
		return nil, nil, err
	}
	answers := v.answers(request)
	sealed, shares := v.sealedKey(answers), v.shares(answers, request)
	if sealed == nil {
		return nil, nil, v.tooFew(fmt.Errorf("no sealed key among %d answers: %w", len(answers), pre.ErrTooFewFragments))
	}
	if preKey, err = pre.OpenDirectKey(v.client.keys.Hybrid(), v.context, grant, sealed); err != nil {
		return nil, nil, corrupt("the key that the grant commits to was not sealed for this record, grant and reader", err)
	}
	if shareKey, err = pre.CombineShares(int(v.manifest.Threshold), shares); err != nil {
		return nil, preKey, v.tooFew(err)
	}
	return shareKey, preKey, nil
}

// sealedKey returns the record's sealed key, which every proxy hands out alike, or
// nil. Each that is not the one that the grant commits to names its proxy.
func (v *verifier) sealedKey(answers []*api.Fragment) []byte {
	var sealed []byte
	for _, f := range answers {
		switch {
		case len(f.Capsule) != 0:
			v.accuse(f.Gateway, "it answered with a fragment, and the grant has none")
		case len(f.Direct) == 0:
			v.accuse(f.Gateway, "its answer holds no sealed key")
		case !v.opening.Grant.CommitsTo(v.manifest.Record, f.Direct):
			v.accuse(f.Gateway, "its sealed key is not the one that the grant commits to")
		default:
			sealed = f.Direct
		}
	}
	return sealed
}
