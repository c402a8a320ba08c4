//go:build e2e

// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	fabric "github.com/hyperledger/fabric-gateway/pkg/client"
	"golang.org/x/sync/errgroup"

	"github.com/emrys-health/emrys/network/e2e/testnet"
	"github.com/emrys-health/emrys/pkg/client"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/keystore"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

const (
	crowd        = 16      // clients at once
	departments  = 8       // people who read through one gateway
	trailEntries = 100_000 // of one patient
)

// signer signs readings with the reader's key, as the reader's own device would.
type signer struct {
	keys    *keystore.Store
	profile *client.Profile
	record  emr.RecordID
	grant   emr.GrantID
}

// disclosure is a signed action that begins a reading.
func (s *signer) disclosure() (*emr.SignedAction, error) {
	id, err := emr.GenerateID[emr.DisclosureID](rand.Reader)
	if err != nil {
		return nil, err
	}
	args, err := emr.Canonical(ledgerapi.DiscloseArgs{Disclosure: id, Record: s.record, Grant: s.grant, Purpose: emr.PurposeTreatment})
	if err != nil {
		return nil, err
	}
	nonce := make([]byte, 16)
	_, _ = rand.Read(nonce) // never fails
	now := emr.TimeOf(time.Now())
	body, err := emr.Canonical(emr.Action{
		V: emr.DocumentVersion, Channel: s.profile.Channel, Contract: s.profile.Contract, Function: ledgerapi.Disclose,
		Actor: s.profile.Actor(), Nonce: nonce, Issued: now - 5, Expires: now + 300, Args: args,
	})
	if err != nil {
		return nil, err
	}
	signature, err := s.keys.Enrolment().SignDigest(emr.ActionDigest(body))
	return &emr.SignedAction{Kind: emr.SignatureP256, Body: body, Signature: signature}, err
}

// batch is a JSON array of disclosures.
func (s *signer) batch(n int) ([]byte, error) {
	parts := make([]*emr.SignedAction, n)
	for i := range parts {
		var err error
		if parts[i], err = s.disclosure(); err != nil {
			return nil, err
		}
	}
	return json.Marshal(parts)
}

// signer registers a record and gives the reader a grant without a limit.
func (s *setting) signer(b *testing.B) *signer {
	b.Helper()
	keys, err := keystore.Open(filepath.Join(s.dir, "reader"), nil)
	if err != nil {
		b.Fatal(err)
	}
	stored, err := s.author.PutRecord(b.Context(), strings.NewReader("read again and again"), client.Upload{
		Patient: s.pseudonym, Class: emr.ClassPrescription, Size: -1,
	})
	if err != nil {
		b.Fatal(err)
	}
	given, err := s.patient.Grant(b.Context(), client.Giving{
		Records: []emr.RecordID{stored.Record}, To: emr.ClinicianID(s.reader.Profile().ID), Purposes: []emr.Purpose{emr.PurposeTreatment},
		Until: time.Now().Add(24 * time.Hour),
	})
	if err != nil {
		b.Fatal(err)
	}
	return &signer{keys: keys, profile: s.reader.Profile(), record: stored.Record, grant: given.Terms.Grant}
}

// readingClient is a person with a grant.
type readingClient struct {
	*client.Client
	grant emr.GrantID
}

// readers joins people who may read a record: a gateway answers one person a hundred requests a second and no more.
func (s *setting) readers(b *testing.B, record emr.RecordID) [departments]readingClient {
	b.Helper()
	var all [departments]readingClient
	for i := range all {
		person, err := s.net.Join(b.Context(), filepath.Join(b.TempDir(), "reader"), "HospBMSP", emr.RolePhysician, emr.LevelPrivate)
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(person.Close)
		given, err := s.patient.Grant(b.Context(), client.Giving{
			Records: []emr.RecordID{record}, To: emr.ClinicianID(person.Profile().ID), Purposes: []emr.Purpose{emr.PurposeTreatment},
			Until: time.Now().Add(24 * time.Hour),
		})
		if err != nil {
			b.Fatal(err)
		}
		all[i] = readingClient{person, given.Terms.Grant}
	}
	return all
}

// at runs an action n times by many clients at once. Each run does units of work; what is compared is units a second.
func at(b *testing.B, s *setting, name, beside string, n, clients, units int, action func(context.Context) error) {
	b.Helper()
	took := make([]time.Duration, n)
	var next atomic.Int64
	group, ctx := errgroup.WithContext(b.Context())
	began := time.Now()
	for range clients {
		group.Go(func() error {
			for i := next.Add(1) - 1; i < int64(n); i = next.Add(1) - 1 {
				started := time.Now()
				if err := action(ctx); err != nil {
					return err
				}
				took[i] = time.Since(started)
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		b.Fatalf("%s: %v", name, err)
	}
	perUnit := time.Since(began).Seconds() / float64(n*units)
	slices.Sort(took)
	q := func(q float64) time.Duration {
		return took[int(math.Ceil(q*float64(n-1)))].Round(100 * time.Microsecond)
	}
	s.results.add(line{
		name: name, beside: beside, value: perUnit,
		detail: fmt.Sprintf("%.0f/s; p50 %s, p95 %s, p99 %s, n %d, %d at once", 1/perUnit, q(.5), q(.95), q(.99), n, clients),
	})
	b.ReportMetric(1/perUnit, "units/s")
}

// BenchmarkThroughput measures readings begun a second: one a transaction and a full batch a transaction by bare clients, and by persons through
// a gateway, which gathers them, beside bare puts.
func BenchmarkThroughput(b *testing.B) {
	s := with(b)
	bare, err := deployRaw(b.Context(), s.net)
	if err != nil {
		b.Fatal(err)
	}
	defer bare.stop()
	carrier, err := s.net.AsGateway("HospBMSP")
	if err != nil {
		b.Fatal(err)
	}
	defer carrier.Close()
	reader := s.signer(b)
	readers := s.readers(b, reader.record)
	var turn atomic.Int64
	const rawMany, one = "raw submit, 16 at once", "Disclose, 16 at once"
	many := fmt.Sprintf("DiscloseBatch of %d, 16 at once", ledgerapi.MaxBatch)
	const gathered, persons = "Disclose through a gateway, 64 at once", 64
	for b.Loop() {
		at(b, s, rawMany, "", 320, crowd, 1, func(ctx context.Context) error {
			_, err := bare.contract.SubmitWithContext(ctx, "put", fabric.WithArguments(fmt.Sprintf("t%d", time.Now().UnixNano()), "v"))
			return err
		})
		at(b, s, one, rawMany, 320, crowd, 1, func(ctx context.Context) error {
			signed, err := reader.disclosure()
			if err != nil {
				return err
			}
			return carrier.SubmitAction(ctx, ledgerapi.Disclose, signed)
		})
		at(b, s, many, one, 192, crowd, ledgerapi.MaxBatch, func(ctx context.Context) error {
			return discloseBatch(ctx, carrier, reader)
		})
		at(b, s, gathered, one, 1280, persons, 1, func(ctx context.Context) error {
			by := readers[turn.Add(1)%departments]
			_, err := by.Disclose(ctx, reader.record, by.grant, emr.PurposeTreatment)
			return err
		})
	}
}

// discloseBatch submits a full batch of the reader's.
func discloseBatch(ctx context.Context, carrier *testnet.Member, reader *signer) error {
	raw, err := reader.batch(ledgerapi.MaxBatch)
	if err != nil {
		return err
	}
	return submitBatch(ctx, carrier, raw)
}

// submitBatch submits signed readings in one transaction, all of which must be permitted.
func submitBatch(ctx context.Context, carrier *testnet.Member, raw []byte) error {
	var receipt ledgerapi.BatchReceipt
	if err := carrier.Transient(ctx, ledgerapi.DiscloseBatch, ledgerapi.TransientActions, raw, &receipt); err != nil {
		return err
	}
	for _, outcome := range receipt.Outcomes {
		if outcome.Receipt.Decision != emr.Permit {
			return fmt.Errorf("a reading of the batch was not permitted: %s%s", outcome.Message, outcome.Receipt.Reason)
		}
	}
	return nil
}

// BenchmarkTrail pages through a hundred thousand entries of one patient.
func BenchmarkTrail(b *testing.B) {
	s := with(b)
	carrier, err := s.net.AsGateway("HospBMSP")
	if err != nil {
		b.Fatal(err)
	}
	defer carrier.Close()
	reader := s.signer(b)
	writing, ctx := errgroup.WithContext(b.Context())
	writing.SetLimit(4)
	for range trailEntries / ledgerapi.MaxBatch {
		writing.Go(func() error { return fill(ctx, carrier, reader) })
	}
	if err := writing.Wait(); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		sample(b, s, "first page of the trail, 100 of 100,000", "", rounds, func(int) error {
			page, err := s.patient.Audit(b.Context(), client.Page{Limit: ledgerapi.MaxPageSize})
			if err == nil && len(page.Items) != ledgerapi.MaxPageSize {
				err = fmt.Errorf("page of %d", len(page.Items))
			}
			return err
		})
		s.pageThrough(b, carrier)
	}
}

// fill submits a batch, and another one when the orderers say of it that they have seen it: a bare client cannot tell what became of it.
func fill(ctx context.Context, carrier *testnet.Member, reader *signer) error {
	var err error
	for range 5 {
		if err = discloseBatch(ctx, carrier, reader); err == nil || ctx.Err() != nil {
			return err
		}
	}
	return err
}

// pageThrough reads the whole trail from one peer, and tells how much memory the contract took more than before.
func (s *setting) pageThrough(b *testing.B, carrier *testnet.Member) {
	b.Helper()
	status, err := s.net.Status(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	pid := status["chaincode.hospb"].PID
	before, most := memoryOf(pid), 0
	began, entries, pages := time.Now(), 0, 0
	for bookmark := ""; ; {
		var page ledgerapi.AuditPage
		query := ledgerapi.PageQuery{Patient: s.patient.Profile().Handle, Limit: ledgerapi.MaxPageSize, Bookmark: bookmark}
		if err := carrier.Query(b.Context(), ledgerapi.AuditByPatient, query, &page); err != nil {
			b.Fatal(err)
		}
		entries, pages, most = entries+len(page.Items), pages+1, max(most, memoryOf(pid))
		if bookmark = page.Bookmark; bookmark == "" {
			break
		}
	}
	if entries < trailEntries-ledgerapi.MaxBatch {
		b.Fatalf("the trail has %d entries", entries)
	}
	s.results.add(line{
		name: "a page of the trail, over all of it", value: time.Since(began).Seconds() / float64(pages),
		detail: fmt.Sprintf("%d entries, %d pages; the contract's memory %d MiB before, at most %d", entries, pages, before>>20, most>>20),
	})
}

// memoryOf is the resident memory of a process in bytes, 0 when it cannot be read.
func memoryOf(pid int) int {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		return 0
	}
	var size, resident int
	if _, err := fmt.Sscan(string(text), &size, &resident); err != nil {
		return 0
	}
	return resident * os.Getpagesize()
}
