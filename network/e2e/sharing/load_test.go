//go:build e2e

// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package sharing

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/emrys-health/emrys/network/render"
	"github.com/emrys-health/emrys/pkg/client"
	"github.com/emrys-health/emrys/pkg/emr"
)

// The load: 4 patients with an author each, and 6 readers each from two other hospitals. 32 clients.
const (
	wardsOfLoad   = 4
	readersOfWard = 6
	roundsOfLoad  = 6
)

// conflicts counts the transactions that the peers have found invalid because of what they read, by peer.
func conflicts(t *testing.T) map[string]int {
	t.Helper()
	site := net.Network.Site()
	found := map[string]int{}
	for _, process := range site.Processes(net.Topology, nil) {
		url, shown := site.MetricsURL(process)
		if !shown || process.Kind != render.KindPeer {
			continue
		}
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
		require.NoError(t, err)
		response, err := http.DefaultClient.Do(request)
		require.NoError(t, err)
		found[process.Name] = countOf(t, response)
		require.NoError(t, response.Body.Close())
	}
	require.NotEmpty(t, found)
	return found
}

// countOf sums the metric of transactions by their validation code over the codes of a conflict.
func countOf(t *testing.T, response *http.Response) int {
	t.Helper()
	require.Equal(t, http.StatusOK, response.StatusCode)
	sum, seen := 0, false
	lines := bufio.NewScanner(response.Body)
	for lines.Scan() {
		line := lines.Text()
		if !strings.HasPrefix(line, "ledger_transaction_count{") {
			continue
		}
		seen = true
		if strings.Contains(line, "READ_CONFLICT") {
			n, err := strconv.Atoi(line[strings.LastIndex(line, " ")+1:])
			require.NoError(t, err)
			sum += n
		}
	}
	require.NoError(t, lines.Err())
	require.True(t, seen, "the peer shows no count of transactions")
	return sum
}

// crowd is a ward with many readers, and what they have been given.
type crowd struct {
	*ward
	readers []*client.Client
	grants  []emr.GrantID // of the whole scope, by reader
	shared  emr.RecordID  // read by all readers at once
	side    emr.RecordID  // of which the patient gives and takes back meanwhile
}

func newCrowd(t *testing.T, n int) *crowd {
	t.Helper()
	c := &crowd{ward: newWard(t)}
	for i := range readersOfWard {
		org := []string{"HospBMSP", "HospCMSP"}[i%2]
		c.readers = append(c.readers, c.join(fmt.Sprintf("reader %d %d", n, i), org, emr.RolePhysician, emr.LevelPrivate))
	}
	c.shared, c.side = c.put(strings.NewReader("read by all")).Record, c.put(strings.NewReader("given and taken back")).Record
	for _, reader := range c.readers {
		given, err := c.patient.Grant(t.Context(), client.Giving{
			Records: []emr.RecordID{c.shared}, To: emr.ClinicianID(reader.Profile().ID),
			Purposes: []emr.Purpose{emr.PurposeTreatment}, Until: time.Now().Add(time.Hour),
		})
		require.NoError(t, err)
		c.grants = append(c.grants, given.Terms.Grant)
	}
	return c
}

// write registers records of the patient, one after the other.
func (c *crowd) write(ctx context.Context) error {
	for i := range roundsOfLoad {
		_, err := c.author.PutRecord(ctx, strings.NewReader("written under load"), client.Upload{
			Patient: c.pseudonym, Class: emr.ClassPrescription, Size: -1,
		})
		if err != nil {
			return fmt.Errorf("put %d: %w", i, err)
		}
	}
	return nil
}

// give grants the other record, to one reader after the other, and takes it back.
func (c *crowd) give(ctx context.Context) error {
	for i := range roundsOfLoad {
		given, err := c.patient.Grant(ctx, client.Giving{
			Records: []emr.RecordID{c.side}, To: emr.ClinicianID(c.readers[i%len(c.readers)].Profile().ID),
			Purposes: []emr.Purpose{emr.PurposeTreatment}, Until: time.Now().Add(time.Hour),
		})
		if err != nil {
			return fmt.Errorf("grant %d: %w", i, err)
		}
		if _, err := c.patient.Revoke(ctx, given.Terms.Grant); err != nil {
			return fmt.Errorf("revoke %d: %w", i, err)
		}
	}
	return nil
}

// ask asks for and reads the one record that everybody reads.
func (c *crowd) ask(ctx context.Context, reader int) error {
	for i := range roundsOfLoad {
		receipt, err := c.readers[reader].RequestAccess(ctx, c.shared, emr.PurposeTreatment, "")
		if err != nil {
			return fmt.Errorf("request %d: %w", i, err)
		}
		if receipt.Decision != emr.Permit {
			return fmt.Errorf("request %d: %s", i, receipt.Reason)
		}
		ticket, err := c.readers[reader].Disclose(ctx, c.shared, c.grants[reader], emr.PurposeTreatment)
		if err != nil {
			return fmt.Errorf("disclose %d: %w", i, err)
		}
		if _, err := c.readers[reader].OpenTicket(ctx, emr.DisclosureID(ticket.ID)); err != nil {
			return fmt.Errorf("open %d: %w", i, err)
		}
	}
	return nil
}

func TestThirtyTwoClientsAtOnceDoNotConflict(t *testing.T) {
	crowds := make([]*crowd, wardsOfLoad)
	for i := range crowds {
		crowds[i] = newCrowd(t, i)
	}
	before := conflicts(t)
	load, ctx := errgroup.WithContext(t.Context())
	clients := 0
	begin := func(of func(context.Context) error) {
		clients++
		load.Go(func() error { return of(ctx) })
	}
	for _, c := range crowds {
		begin(c.write)
		begin(c.give)
		for reader := range c.readers {
			begin(func(ctx context.Context) error { return c.ask(ctx, reader) })
		}
	}
	require.Equal(t, 32, clients)
	require.NoError(t, load.Wait())
	require.Equal(t, before, conflicts(t))
}

// TestTwoWritersOfOneFactAreToldApart is the other side: the patient refuses a request on one device and grants it on another.
func TestTwoWritersOfOneFactAreToldApart(t *testing.T) {
	w := newWard(t)
	stored := w.put(strings.NewReader("x"))
	asked, err := w.reader.RequestAccess(t.Context(), stored.Record, emr.PurposeTreatment, "")
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		_, err := w.patient.Request(t.Context(), emr.RequestID(asked.ID))
		return err == nil
	}, 20*time.Second, 50*time.Millisecond)
	before := conflicts(t)
	var refused, granted error
	both := errgroup.Group{}
	both.Go(func() error {
		_, refused = w.patient.RefuseAccess(t.Context(), emr.RequestID(asked.ID))
		return nil
	})
	both.Go(func() error {
		_, granted = w.patient.Grant(t.Context(), client.Giving{Request: emr.RequestID(asked.ID), Until: time.Now().Add(time.Hour)})
		return nil
	})
	require.NoError(t, both.Wait())
	require.True(t, (refused == nil) != (granted == nil), "refuse: %v; grant: %v", refused, granted)
	loser := errors.Join(refused, granted)
	require.Contains(t, []emr.Code{emr.CodeConflict, emr.CodeRule}, emr.CodeOf(loser), "%v", loser)
	if emr.CodeOf(loser) == emr.CodeConflict {
		require.NotEqual(t, before, conflicts(t), "the peers count what the load above must not have")
	}
}
