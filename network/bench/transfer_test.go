//go:build e2e

// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"encoding/json"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/emrys-health/emrys/network/e2e/testnet"
	"github.com/emrys-health/emrys/pkg/client"
	"github.com/emrys-health/emrys/pkg/emr"
)

// BenchmarkTransfer measures put and get of whole files, in turn with the bare
// thing: ipfs add at the author's hospital, ipfs cat at the reader's. A first
// reading fetches from another hospital what the reader's does not hold yet; a
// further one, and the bare cat beside it, read the same content where it is.
func BenchmarkTransfer(b *testing.B) {
	s := with(b)
	for b.Loop() {
		for _, c := range []struct {
			name   string
			size   uint64
			rounds int
		}{{"1 MB", 1_000_000, 10}, {"100 MB", 100_000_000, 5}, {"1 GiB", 1 << 30, 3}} {
			s.transfer(b, c.name, c.size, c.rounds)
		}
	}
}

func (s *setting) transfer(b *testing.B, name string, size uint64, rounds int) {
	b.Helper()
	var add, put, firstCat, firstGet, cat, get []time.Duration
	for range rounds {
		seed := uint64(time.Now().UnixNano())
		cid, took := s.rawAdd(b, testnet.Content(seed, size))
		add = append(add, took)
		began := time.Now()
		stored, err := s.author.PutRecord(b.Context(), testnet.Content(seed+1, size), client.Upload{
			Patient: s.pseudonym, Class: emr.ClassMedicalImaging, Size: int64(size),
		})
		if err != nil {
			b.Fatal(err)
		}
		put = append(put, time.Since(began))
		firstCat = append(firstCat, s.rawCat(b, cid, size))
		firstGet = append(firstGet, s.get(b, stored.Record, size))
		cat = append(cat, s.rawCat(b, stored.CID, stored.CipherSize))
		get = append(get, s.get(b, stored.Record, size))
	}
	record(b, s, "ipfs add "+name, "", add)
	record(b, s, "put "+name, "ipfs add "+name, put)
	record(b, s, "first ipfs cat "+name, "", firstCat)
	record(b, s, "first get "+name, "first ipfs cat "+name, firstGet)
	record(b, s, "ipfs cat "+name, "", cat)
	record(b, s, "get "+name, "ipfs cat "+name, get)
}

func (s *setting) get(b *testing.B, id emr.RecordID, size uint64) time.Duration {
	b.Helper()
	given, err := s.patient.Grant(b.Context(), client.Giving{
		Records: []emr.RecordID{id}, To: emr.ClinicianID(s.reader.Profile().ID),
		Purposes: []emr.Purpose{emr.PurposeTreatment}, Until: time.Now().Add(time.Hour),
	})
	if err != nil {
		b.Fatal(err)
	}
	began := time.Now()
	ticket, err := s.reader.Disclose(b.Context(), id, given.Terms.Grant, emr.PurposeTreatment)
	if err != nil {
		b.Fatal(err)
	}
	opened, err := s.reader.OpenTicket(b.Context(), emr.DisclosureID(ticket.ID))
	if err != nil {
		b.Fatal(err)
	}
	var n counting
	if err := opened.Stream(b.Context(), &n, nil); err != nil {
		b.Fatal(err)
	}
	if uint64(n) != size {
		b.Fatalf("%d bytes came of %d", n, size)
	}
	return time.Since(began)
}

type counting uint64

func (c *counting) Write(p []byte) (int, error) { *c += counting(len(p)); return len(p), nil }

// rpc calls a hospital's IPFS daemon as its administrator would.
func (s *setting) rpc(b *testing.B, hospital, call string, body io.Reader, contentType string) io.ReadCloser {
	b.Helper()
	org, _ := s.net.Topology.Organisation(hospital)
	site := s.net.Network.Site()
	secret, err := os.ReadFile(site.IPFSAuthorization(org))
	if err != nil {
		b.Fatal(err)
	}
	request, err := http.NewRequestWithContext(b.Context(), http.MethodPost, site.IPFSAPIURL(org)+"/api/v0/"+call, body)
	if err != nil {
		b.Fatal(err)
	}
	request.Header.Set("Authorization", strings.TrimSpace(string(secret)))
	if contentType != "" {
		request.Header.Set("Content-Type", contentType)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		b.Fatal(err)
	}
	if response.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(response.Body)
		b.Fatalf("ipfs %s: %s: %s", call, response.Status, text)
	}
	return response.Body
}

func (s *setting) rawAdd(b *testing.B, content io.Reader) (string, time.Duration) {
	b.Helper()
	began := time.Now()
	reader, writer := io.Pipe()
	form := multipart.NewWriter(writer)
	go func() {
		part, err := form.CreateFormFile("file", "")
		if err == nil {
			_, err = io.CopyBuffer(struct{ io.Writer }{part}, content, make([]byte, 1<<20))
		}
		if err == nil {
			err = form.Close()
		}
		_ = writer.CloseWithError(err)
	}()
	answer := s.rpc(b, "HospAMSP", "add?cid-version=1&raw-leaves=true&chunker=size-262144&pin=true&progress=false", reader, form.FormDataContentType())
	defer answer.Close()
	var added struct{ Hash string }
	if err := json.NewDecoder(answer).Decode(&added); err != nil {
		b.Fatal(fmt.Errorf("ipfs add: %w", err))
	}
	return added.Hash, time.Since(began)
}

func (s *setting) rawCat(b *testing.B, cid string, size uint64) time.Duration {
	b.Helper()
	began := time.Now()
	answer := s.rpc(b, "HospBMSP", "cat?arg="+cid, nil, "")
	defer answer.Close()
	n, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, answer, make([]byte, 1<<20))
	if err != nil {
		b.Fatal(err)
	}
	if uint64(n) != size {
		b.Fatalf("ipfs cat: %d bytes came of %d", n, size)
	}
	return time.Since(began)
}
