// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"crypto/rand"
	"errors"

	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/keystore"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// Rotated tells what a rotation of the seed did.
type Rotated struct {
	Epoch  uint32         `json:"epoch"`  // from which on the new seed serves
	Scopes []ProfileScope `json:"scopes"` // of the new epoch, one for each level
	TxID   string         `json:"txId,omitempty"`
}

// Rotate makes a new generation of the root seed and publishes scopes of the next epoch with keys from it. Authors encrypt to the newest
// epoch, so records written from then on are out of reach of whoever has an older seed. Older records keep their keys, and grants of
// them go on; the new scopes need new grants; backups made before do not hold the new seed.
//
// A rotation that was interrupted is finished by running it again: the seed is rotated first, then the scopes are noted in the profile,
// then published, and only then used.
func Rotate(ctx context.Context, dir string, passphrase []byte, o Options) (*Rotated, error) {
	p, err := LoadProfile(dir)
	if err != nil {
		return nil, err
	}
	if !p.IsPatient() || !p.Joined() {
		return nil, emr.E(emr.CodeForbidden, "only a patient whose join is finished has a seed to rotate")
	}
	if err := rotateSeed(dir, p, passphrase); err != nil {
		return nil, err
	}
	if err := p.planScopes(dir); err != nil {
		return nil, err
	}
	c, err := Open(dir, passphrase, o)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	receipt, err := c.publish(ctx, p.Pending)
	if err != nil {
		return nil, err
	}
	out := &Rotated{Epoch: p.Pending[0].Epoch, Scopes: p.Pending, TxID: receipt.TxID}
	p.Scopes, p.Pending = append(p.Scopes, p.Pending...), nil
	return out, p.save(dir)
}

// newestEpoch is the highest epoch of the profile's published scopes.
func (p *Profile) newestEpoch() uint32 {
	var newest uint32
	for _, s := range p.Scopes {
		newest = max(newest, s.Epoch)
	}
	return newest
}

// rotateSeed adds a generation for the epoch after the newest, unless an interrupted rotation did.
func rotateSeed(dir string, p *Profile, passphrase []byte) error {
	keys, err := keystore.Open(dir, passphrase)
	if err != nil {
		return keyError(err)
	}
	generations := keys.Roots().Generations()
	if generations[len(generations)-1] > p.newestEpoch() {
		return nil
	}
	if _, err = keys.Rotate(passphrase, p.newestEpoch()+1, rand.Reader); err != nil {
		return keyError(err)
	}
	return nil
}

// planScopes draws the ids of the next epoch's scopes, one for each level, and saves them before anything uses them.
func (p *Profile) planScopes(dir string) error {
	if len(p.Pending) > 0 {
		return nil
	}
	seen := map[emr.Level]bool{}
	for _, s := range p.Scopes {
		if seen[s.Level] {
			continue
		}
		seen[s.Level] = true
		id, err := emr.GenerateID[emr.ScopeID](rand.Reader)
		if err != nil {
			return err
		}
		p.Pending = append(p.Pending, ProfileScope{ID: id, Level: s.Level, Epoch: p.newestEpoch() + 1})
	}
	return p.save(dir)
}

// publish publishes scopes of this device. Scopes that an interrupted attempt published already are accepted when they hold the
// keys of this device.
func (c *Client) publish(ctx context.Context, scopes []ProfileScope) (*ledgerapi.Receipt, error) {
	args := ledgerapi.PublishScopesArgs{Patient: c.profile.Handle, Scopes: []ledgerapi.NewScope{}}
	for _, s := range scopes {
		delegating, fragment, err := c.scopeKeys(s.ID, s.Epoch)
		if err != nil {
			return nil, err
		}
		args.Scopes = append(args.Scopes, ledgerapi.NewScope{
			ID: s.ID, Epoch: s.Epoch, Level: s.Level,
			Delegating: delegating.Public().Bytes(), Fragment: fragment.Public().Bytes(),
		})
	}
	receipt := &ledgerapi.Receipt{}
	_, err := c.submit(ctx, "scope.publish", ledgerapi.PublishScopes, &args, receipt, nil)
	if emr.CodeOf(err) != emr.CodeExists {
		return receipt, err
	}
	view, lookErr := c.ResolvePatient(ctx, emr.PatientID(c.profile.ID))
	if lookErr != nil {
		return nil, errors.Join(err, lookErr)
	}
	for _, s := range args.Scopes {
		if !published(view.Scopes, s) {
			return nil, err
		}
	}
	return receipt, nil
}
