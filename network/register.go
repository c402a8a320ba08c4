// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package network

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"time"

	"github.com/emrys-health/emrys/network/kubo"
	"github.com/emrys-health/emrys/network/lifecycle"
	"github.com/emrys-health/emrys/network/render"
	"github.com/emrys-health/emrys/network/topology"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

const (
	// submitTimeout bounds one attempt to register an organisation.
	submitTimeout = 15 * time.Second
	retryInterval = 100 * time.Millisecond
)

// register makes every organisation known on the ledger, with the public
// keys of its gateway. It goes one by one: the contract keeps a list of
// organisations, and concurrent writers of one key would conflict. When all are
// there the founding is over: whoever joins later is admitted by the members.
func (n *Network) register(ctx context.Context) error {
	for _, org := range n.t.Organisations {
		wanted, err := n.registration(ctx, org)
		if err != nil {
			return fmt.Errorf("organisation %s: %w", org.ID, err)
		}
		if err := n.registerOrganisation(ctx, org, wanted); err != nil {
			return err
		}
	}
	return n.closeFounding(ctx)
}

// registration is what the ledger is to hold of an organisation. The gateway
// program makes its own keys and shows their public parts only.
func (n *Network) registration(ctx context.Context, org topology.Organisation) (*ledgerapi.RegisterOrganisationArgs, error) {
	root, err := os.ReadFile(path.Join(n.site.MSP(org), render.RootFile))
	if err != nil {
		return nil, fmt.Errorf("read identity CA's certificate: %w", err)
	}
	keys, err := n.gatewayKeys(ctx, org)
	if err != nil {
		return nil, err
	}
	args := &ledgerapi.RegisterOrganisationArgs{
		Name: org.Name, Kind: emr.OrgKind(org.Kind), CACert: string(root),
		GatewayURL: n.site.GatewayURL(org), Keys: keys, IPFS: []string{},
	}
	if org.IPFS != nil {
		address, err := kubo.Address(n.site, org)
		if err != nil {
			return nil, err
		}
		args.IPFS = append(args.IPFS, address)
	}
	return args, nil
}

func (n *Network) gatewayKeys(ctx context.Context, org topology.Organisation) (emr.OrgKeys, error) {
	var keys emr.OrgKeys
	var stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, filepath.Join(n.options.Bin, "emrys-gateway"),
		"init", "--config", n.site.GatewayConfig(org), "--json")
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return keys, fmt.Errorf("make the gateway's keys: %w: %s", err, bytes.TrimSpace(stderr.Bytes()))
	}
	if err := json.Unmarshal(out, &keys); err != nil {
		return keys, fmt.Errorf("read the gateway's public keys: %w", err)
	}
	if len(keys.Proxy) == 0 || len(keys.Record) == 0 || len(keys.Receipt) == 0 {
		return keys, errors.New("the gateway showed no public keys")
	}
	return keys, nil
}

// registerOrganisation submits the registration unless the ledger holds it.
func (n *Network) registerOrganisation(ctx context.Context, org topology.Organisation, wanted *ledgerapi.RegisterOrganisationArgs) error {
	member, err := lifecycle.Open(n.site, n.t, org)
	if err != nil {
		return err
	}
	defer member.Close()
	argument, err := json.Marshal(wanted)
	if err != nil {
		return fmt.Errorf("encode registration: %w", err)
	}
	for {
		err := n.tryRegister(ctx, member, org, wanted, string(argument))
		if err == nil {
			return nil
		}
		if refused := contractError(err); refused != nil && refused.Code != emr.CodeInternal {
			return fmt.Errorf("register %s: %w", org.ID, refused)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("register %s: %w (last: %w)", org.ID, ctx.Err(), err)
		case <-time.After(retryInterval):
		}
	}
}

// contractError returns the contract's refusal in err, or nil when the
// failure lies elsewhere, such as a peer that does not see the others yet.
func contractError(err error) *emr.Error {
	if refusal, decodeErr := ledgerapi.DecodeError(err.Error()); decodeErr == nil {
		return refusal
	}
	return nil
}

func (n *Network) tryRegister(ctx context.Context, member *lifecycle.Organisation, org topology.Organisation,
	wanted *ledgerapi.RegisterOrganisationArgs, argument string,
) error {
	ctx, cancel := context.WithTimeout(ctx, submitTimeout)
	defer cancel()
	raw, err := member.Evaluate(ctx, ledgerapi.GetOrganisations, "{}")
	if err != nil {
		return err
	}
	var list ledgerapi.OrganisationList
	if err := json.Unmarshal(raw, &list); err != nil {
		return fmt.Errorf("read organisations: %w", err)
	}
	for _, present := range list.Items {
		if string(present.ID) == org.MSP && sameRegistration(present, wanted) {
			return nil
		}
	}
	_, err = member.Submit(ctx, ledgerapi.RegisterOrganisation, argument)
	return err
}

func sameRegistration(present emr.Organisation, wanted *ledgerapi.RegisterOrganisationArgs) bool {
	return present.Name == wanted.Name && present.Kind == wanted.Kind &&
		present.CACert == wanted.CACert && present.GatewayURL == wanted.GatewayURL &&
		bytes.Equal(present.Keys.Proxy, wanted.Keys.Proxy) &&
		bytes.Equal(present.Keys.Record, wanted.Keys.Record) &&
		bytes.Equal(present.Keys.Receipt, wanted.Keys.Receipt) &&
		slices.Equal(present.IPFS, wanted.IPFS)
}

// hopelessRestarts is how often a process may die during a start before the
// start gives up on it: its log says more than waiting would.
const hopelessRestarts = 3

// startGateways starts the gateways and waits until each is ready.
func (n *Network) startGateways(ctx context.Context) error {
	before, err := n.restarts(ctx)
	if err != nil {
		return err
	}
	if err := n.start(ctx, nil, render.KindGateway); err != nil {
		return err
	}
	return n.each(ctx, func(ctx context.Context, org topology.Organisation) error {
		name := render.GatewayName(org)
		for {
			_, err := n.probeGateway(ctx, org)
			if err == nil {
				return nil
			}
			now, statusErr := n.restarts(ctx)
			if statusErr == nil && now[name]-before[name] >= hopelessRestarts {
				return fmt.Errorf("%s keeps dying: see emrysctl logs %s", name, name)
			}
			select {
			case <-ctx.Done():
				return fmt.Errorf("wait for %s: %w (last: %w)", name, ctx.Err(), err)
			case <-time.After(retryInterval):
			}
		}
	})
}

func (n *Network) restarts(ctx context.Context) (map[string]int, error) {
	statuses, err := n.client.Status(ctx)
	if err != nil {
		return nil, err
	}
	counts := map[string]int{}
	for _, s := range statuses {
		counts[s.Name] = s.Restarts
	}
	return counts, nil
}
