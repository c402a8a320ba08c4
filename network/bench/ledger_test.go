//go:build e2e

// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emrys-health/emrys/pkg/client"
	"github.com/emrys-health/emrys/pkg/emr"
)

const (
	rawSubmit = "raw submit, bare client"
	rounds    = 40
)

// observed keeps how long the gateway took for each operation of a client.
type observed struct {
	mu   sync.Mutex
	took map[string][]time.Duration
}

func (o *observed) observe(operation string, took time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.took == nil {
		o.took = map[string][]time.Duration{}
	}
	o.took[operation] = append(o.took[operation], took)
}

// BenchmarkLedger measures each ledger step as its caller sees it, over REST and
// TLS, beside a bare Fabric client that puts one key under the same policy.
func BenchmarkLedger(b *testing.B) {
	s := with(b)
	bare, err := deployRaw(b.Context(), s.net)
	if err != nil {
		b.Fatal(err)
	}
	defer bare.stop()
	for b.Loop() {
		sample(b, s, rawSubmit, "", rounds, func(i int) error {
			_, err := bare.contract.SubmitTransaction("put", fmt.Sprintf("k%d-%d", time.Now().UnixNano(), i), "v")
			return err
		})
		s.steps(b)
	}
}

// steps shares one small record again and again and times every step.
func (s *setting) steps(b *testing.B) {
	b.Helper()
	var puts observed
	author, err := client.Open(s.dir+"/author", nil, client.Options{Observe: puts.observe})
	if err != nil {
		b.Fatal(err)
	}
	defer author.Close()
	var records []emr.RecordID
	for range rounds + 1 {
		stored, err := author.PutRecord(b.Context(), strings.NewReader("a small record"), client.Upload{
			Patient: s.pseudonym, Class: emr.ClassPrescription, Size: -1,
		})
		if err != nil {
			b.Fatal(err)
		}
		records = append(records, stored.Record)
	}
	record(b, s, "RegisterRecord", rawSubmit, puts.took["record.register"][1:])
	grants := make([]emr.GrantID, len(records))
	requests := make([]emr.RequestID, len(records))
	sample(b, s, "RequestAccess", rawSubmit, rounds, func(i int) error {
		receipt, err := s.reader.RequestAccess(b.Context(), records[i], emr.PurposeTreatment, "")
		if err == nil {
			requests[i] = emr.RequestID(receipt.ID)
		}
		return err
	})
	var gifts observed
	patient, err := client.Open(s.dir+"/patient", nil, client.Options{Observe: gifts.observe})
	if err != nil {
		b.Fatal(err)
	}
	defer patient.Close()
	for i := range records {
		given, err := patient.Grant(b.Context(), client.Giving{Request: requests[i], Until: time.Now().Add(time.Hour)})
		if err != nil {
			b.Fatal(err)
		}
		grants[i] = given.Terms.Grant
	}
	record(b, s, "GrantAccess", rawSubmit, gifts.took["grant.create"][1:])
	tickets := make([]emr.DisclosureID, len(records))
	sample(b, s, "Disclose", rawSubmit, rounds, func(i int) error {
		receipt, err := s.reader.Disclose(b.Context(), records[i], grants[i], emr.PurposeTreatment)
		if err == nil {
			tickets[i] = emr.DisclosureID(receipt.ID)
		}
		return err
	})
	sample(b, s, "re-encrypt and open (no ledger write)", "", rounds, func(i int) error {
		_, err := s.reader.OpenTicket(b.Context(), tickets[i])
		return err
	})
}

var errFirstByte = errors.New("the first byte is there")

// firstByte fails on the first write, which tells when the first plaintext came.
type firstByte struct{}

func (firstByte) Write([]byte) (int, error) { return 0, errFirstByte }

// BenchmarkWholeShare measures from the request to the reader's first plaintext
// byte: request, grant, disclosure, re-encryption by two proxies, first segment.
func BenchmarkWholeShare(b *testing.B) {
	s := with(b)
	stored, err := s.author.PutRecord(b.Context(), bytes.NewReader(make([]byte, 1<<20)), client.Upload{
		Patient: s.pseudonym, Class: emr.ClassMedicalImaging, Size: -1,
	})
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		sample(b, s, "whole share, to the first plaintext byte", "", 20, func(int) error { return s.share(b, stored.Record) })
	}
}

func (s *setting) share(b *testing.B, record emr.RecordID) error {
	receipt, err := s.reader.RequestAccess(b.Context(), record, emr.PurposeTreatment, "")
	if err != nil {
		return err
	}
	if receipt.Decision == emr.Permit { // a grant of an earlier round covers it: take it back and ask anew
		return fmt.Errorf("an earlier grant still stands")
	}
	given, err := s.patient.Grant(b.Context(), client.Giving{Request: emr.RequestID(receipt.ID), Until: time.Now().Add(time.Hour), MaxUses: 1})
	if err != nil {
		return err
	}
	ticket, err := s.reader.Disclose(b.Context(), record, given.Terms.Grant, emr.PurposeTreatment)
	if err != nil {
		return err
	}
	opened, err := s.reader.OpenTicket(b.Context(), emr.DisclosureID(ticket.ID))
	if err != nil {
		return err
	}
	if err := opened.Stream(b.Context(), firstByte{}, nil); !errors.Is(err, errFirstByte) {
		return fmt.Errorf("no plaintext came: %w", err)
	}
	return nil
}

var _ io.Writer = firstByte{}
