// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package testnet

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hyperledger/fabric-gateway/pkg/client"

	"github.com/emrys-health/emrys/network/render"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// Act submits a person's transaction and reads its answer into out.
func (m *Member) Act(ctx context.Context, function string, signed *emr.SignedAction, out any) error {
	raw, err := emr.Canonical(signed)
	if err != nil {
		return err
	}
	return m.Transient(ctx, function, ledgerapi.TransientAction, raw, out)
}

// Transient submits a transaction with one transient field and reads its answer into out.
func (m *Member) Transient(ctx context.Context, function, field string, raw []byte, out any) error {
	answer, err := Submit(ctx, m.Contract(ledgerapi.ChaincodeName), function, client.WithTransient(map[string][]byte{field: raw}))
	if err != nil {
		return err
	}
	return json.Unmarshal(answer, out)
}

// alreadyProcessed is what an orderer says of a transaction that it has been given before, as Fabric's gateway does while it looks for one that
// answers: it is no failure.
const alreadyProcessed = "request already processed"

// Submit endorses and submits a transaction, waits until it is committed, and returns its answer. Of one that the orderers say they have been
// given already it does not wait for the commit.
func Submit(ctx context.Context, contract *client.Contract, function string, options ...client.ProposalOption) ([]byte, error) {
	proposal, err := contract.NewProposal(function, options...)
	if err != nil {
		return nil, err
	}
	transaction, err := proposal.EndorseWithContext(ctx)
	if err != nil {
		return nil, Decoded(err)
	}
	commit, err := transaction.SubmitWithContext(ctx)
	if err != nil {
		if strings.Contains(fmt.Sprint(err, details(err)), alreadyProcessed) {
			return transaction.Result(), nil
		}
		return nil, err
	}
	outcome, err := commit.StatusWithContext(ctx)
	if err != nil {
		return nil, err
	}
	if !outcome.Successful {
		return nil, fmt.Errorf("transaction %s is invalid: %s", outcome.TransactionID, outcome.Code)
	}
	return transaction.Result(), nil
}

// Level waits until every peer has the same height, as each tells by its metrics.
func (n *Net) Level(ctx context.Context) error {
	for {
		heights, err := n.heights(ctx)
		if err != nil {
			return err
		}
		if slices.Min(heights) == slices.Max(heights) {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the peers' heights differ: %v: %w", heights, ctx.Err())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func (n *Net) heights(ctx context.Context) ([]int, error) {
	site := n.Network.Site()
	var all []int
	for _, process := range site.Processes(n.Topology, nil) {
		url, shown := site.MetricsURL(process)
		if !shown || process.Kind != render.KindPeer {
			continue
		}
		height, err := heightAt(ctx, url, n.Topology.Channel.Name)
		if err != nil {
			return nil, fmt.Errorf("read height of %s: %w", process.Name, err)
		}
		all = append(all, height)
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("no peer shows its height")
	}
	return all, nil
}

func heightAt(ctx context.Context, url, channel string) (int, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	metric := fmt.Sprintf("ledger_blockchain_height{channel=%q} ", channel)
	lines := bufio.NewScanner(response.Body)
	for lines.Scan() {
		if value, found := strings.CutPrefix(lines.Text(), metric); found {
			height, err := strconv.ParseFloat(value, 64)
			return int(height), err
		}
	}
	return 0, fmt.Errorf("no metric %s: %w", metric, lines.Err())
}
