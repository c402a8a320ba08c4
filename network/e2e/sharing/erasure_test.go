//go:build e2e

// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package sharing

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime/multipart"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ipfs/go-cid"
	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/network/e2e/testnet"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

func hospitals() []string { return []string{"HospAMSP", "HospBMSP", "HospCMSP"} }

// ordered is a record that its patient has had erased.
type ordered struct {
	*ward
	c      *carrier
	order  emr.Erasure
	record emr.ErasedVersion
}

// erase orders the erasure of a record as people do; what hangs on it is left to the gateways to end.
func (w *ward) erase(record emr.RecordID) *ordered {
	w.t.Helper()
	out, _ := emrys(w.t, w, "patient", "record", "erase", string(record), "--yes", "--json")
	var receipt ledgerapi.DecisionReceipt
	require.NoError(w.t, json.Unmarshal(out, &receipt))
	require.Equal(w.t, emr.Permit, receipt.Decision)
	o := &ordered{ward: w, c: newCarrier(w.t), order: emr.Erasure{ID: emr.ErasureID(receipt.ID), Record: record}}
	o.order.Patient = w.patient.Profile().Handle
	require.Eventually(w.t, func() bool { // hospital B's peer commits in its own time
		var found ledgerapi.ErasureView
		err := o.c.orgs["HospBMSP"].Query(w.t.Context(), ledgerapi.GetErasure, ledgerapi.ErasureQuery{Erasure: o.order.ID}, &found)
		return err == nil
	}, 20*time.Second, 100*time.Millisecond)
	view := o.view()
	o.order, o.record = view.Erasure, view.Parts[0].Records[0]
	return o
}

func (o *ordered) view() *ledgerapi.ErasureView {
	o.t.Helper()
	var found ledgerapi.ErasureView
	require.NoError(o.t, o.c.orgs["HospBMSP"].Query(o.t.Context(), ledgerapi.GetErasure, ledgerapi.ErasureQuery{Erasure: o.order.ID}, &found))
	return &found
}

// until waits until the order stands as wanted.
func (o *ordered) until(holds func(*ledgerapi.ErasureView) bool) *ledgerapi.ErasureView {
	o.t.Helper()
	var last *ledgerapi.ErasureView
	require.Eventually(o.t, func() bool { last = o.view(); return holds(last) }, time.Minute, 200*time.Millisecond)
	return last
}

func missing(orgs ...emr.OrgID) func(*ledgerapi.ErasureView) bool {
	return func(v *ledgerapi.ErasureView) bool { return slices.Equal(v.Missing, orgs) }
}

// kubo asks a hospital's IPFS daemon itself.
func kubo(t *testing.T, hospital, command string, query url.Values, contentType string, body io.Reader) []byte {
	t.Helper()
	org, found := net.Topology.Organisation(hospital)
	require.True(t, found)
	site := net.Network.Site()
	secret, err := os.ReadFile(site.IPFSAuthorization(org))
	require.NoError(t, err)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, site.IPFSAPIURL(org)+"/api/v0/"+command+"?"+query.Encode(), body)
	require.NoError(t, err)
	request.Header.Set("Authorization", strings.TrimSpace(string(secret)))
	if contentType != "" {
		request.Header.Set("Content-Type", contentType)
	}
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, response.StatusCode, "%s", answer)
	return answer
}

// refs lists blocks that a daemon names, by hash.
func refs(t *testing.T, hospital, command string, query url.Values) map[string]bool {
	t.Helper()
	all := map[string]bool{}
	for dec := json.NewDecoder(bytes.NewReader(kubo(t, hospital, command, query, "", nil))); ; {
		var link struct{ Ref, Err string }
		err := dec.Decode(&link)
		if errors.Is(err, io.EOF) {
			return all
		}
		require.NoError(t, err)
		require.Empty(t, link.Err)
		all[hashOf(t, link.Ref)] = true
	}
}

func hashOf(t *testing.T, id string) string {
	t.Helper()
	c, err := cid.Decode(id)
	require.NoError(t, err)
	return c.Hash().HexString()
}

// blocksOf lists the blocks of a content that a hospital holds whole.
func blocksOf(t *testing.T, hospital, id string) map[string]bool {
	t.Helper()
	all := refs(t, hospital, "refs", url.Values{"arg": {id}, "recursive": {"true"}})
	all[hashOf(t, id)] = true
	return all
}

// shared counts how many of some blocks a hospital's daemon has.
func shared(t *testing.T, hospital string, blocks map[string]bool) int {
	t.Helper()
	n := 0
	for block := range refs(t, hospital, "refs/local", url.Values{}) {
		if blocks[block] {
			n++
		}
	}
	return n
}

// restore puts octets into a daemon as a backup of its store does, pinned.
func restore(t *testing.T, hospital string, content []byte) string {
	t.Helper()
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	part, err := form.CreateFormFile("file", "restored")
	require.NoError(t, err)
	_, err = part.Write(content)
	require.NoError(t, err)
	require.NoError(t, form.Close())
	var added struct{ Hash string }
	query := url.Values{"cid-version": {"1"}, "raw-leaves": {"true"}, "chunker": {"size-262144"}, "pin": {"true"}, "progress": {"false"}}
	require.NoError(t, json.Unmarshal(kubo(t, hospital, "add", query, form.FormDataContentType(), &body), &added))
	return added.Hash
}

func start(t *testing.T, name string) {
	t.Helper()
	_, err := net.Control(t.Context(), "start", name)
	require.NoError(t, err)
}

// TestARecordIsErasedByEveryHoldersGateway has a patient erase a record while one
// hospital's gateway is stopped and another's IPFS daemon is down: both are named
// until they are back and have done their part, and then no daemon has a block of it.
func TestARecordIsErasedByEveryHoldersGateway(t *testing.T) {
	w := newWard(t)
	t.Cleanup(func() { settle(t) })
	const size = 3 << 20
	stored := w.put(testnet.Content(uint64(time.Now().UnixNano()), size)) //nolint:gosec // a seed
	other := w.put(strings.NewReader("to be kept"))
	grant := w.grant(time.Hour, stored.Record)
	_, n, _, err := w.read(w.reader, stored.Record, grant) // leaves a copy at hospital B that nothing pins
	require.NoError(t, err)
	require.EqualValues(t, size, n)
	blocks := blocksOf(t, "HospAMSP", stored.CID)
	require.Greater(t, len(blocks), size/(256<<10))
	require.Equal(t, len(blocks), shared(t, "HospBMSP", blocks))
	ciphertext := kubo(t, "HospAMSP", "cat", url.Values{"arg": {stored.CID}}, "", nil)
	require.Eventually(t, func() bool {
		return pins(t, "HospBMSP")[stored.CID] || pins(t, "HospCMSP")[stored.CID]
	}, 30*time.Second, 200*time.Millisecond, "a second hospital keeps it")

	disputed, open := w.says(stored.Record)

	stop(t, "gateway.hospc")
	stop(t, "ipfs.hospa")
	o := w.erase(stored.Record)
	require.Equal(t, []emr.OrgID{"HospAMSP", "HospBMSP", "HospCMSP", "RegulatorMSP"}, o.view().Erasure.Holders)
	view := o.until(missing("HospAMSP", "HospCMSP"))
	require.Equal(t, emr.ErasurePartial, view.State)
	require.Zero(t, shared(t, "HospBMSP", blocks), "what nothing pinned is gone, too")
	_, _, _, err = w.read(w.reader, stored.Record, grant)
	requireRefused(t, err, emr.CodeRule, emr.ReasonErased)
	view = o.until(func(v *ledgerapi.ErasureView) bool { return len(v.Failed) > 0 })
	require.Equal(t, []emr.OrgID{"HospAMSP"}, view.Failed)
	require.Equal(t, []emr.Undestroyed{
		{Record: stored.Record, Thing: emr.ThingContent, Cause: emr.CauseUnavailable},
	}, view.Holders[0].Receipts[0].Failed)

	start(t, "ipfs.hospa")
	o.until(missing("HospCMSP"))
	require.Zero(t, shared(t, "HospAMSP", blocks))
	start(t, "gateway.hospc")
	view = o.until(missing())
	require.Equal(t, emr.ErasureComplete, view.State)
	var shown ledgerapi.ErasureView
	out, _ := emrys(t, w, "patient", "record", "erasure", string(o.order.ID), "--wait", "30s", "--json")
	require.NoError(t, json.Unmarshal(out, &shown))
	require.Equal(t, emr.ErasureComplete, shown.State, "as other organisations endorse")
	for _, hospital := range hospitals() {
		require.Zero(t, shared(t, hospital, blocks), hospital)
		require.False(t, pins(t, hospital)[stored.CID], hospital)
	}
	require.True(t, pins(t, "HospAMSP")[other.CID], "another record is not concerned")
	o.requireForgotten()
	o.requireUnsaid(disputed, open)
	o.requireRestoredIsDestroyed(ciphertext, blocks)
}

// requireForgotten asks the ledger what is left of the record.
func (o *ordered) requireForgotten() {
	o.t.Helper()
	for _, org := range o.view().Erasure.Holders {
		member, err := net.AsGateway(string(org))
		require.NoError(o.t, err)
		o.t.Cleanup(member.Close)
		var found ledgerapi.IntegrityView
		require.Eventually(o.t, func() bool {
			err := member.Query(o.t.Context(), ledgerapi.CheckIntegrity, ledgerapi.IntegrityQuery{Record: o.order.Record, CID: o.record.CID}, &found)
			return err == nil && found.Verdict == ledgerapi.VerdictErased && found.Manifest == ledgerapi.ManifestPurged
		}, 20*time.Second, 200*time.Millisecond, "%s: %+v", org, found)
	}
	at := o.c.orgs["HospBMSP"]
	var left ledgerapi.Leftovers
	require.NoError(o.t, at.Query(o.t.Context(), ledgerapi.ListLeftovers, ledgerapi.LeftoversQuery{Erasure: o.order.ID}, &left))
	require.Empty(o.t, left.Grants, "the gateway of the record's hospital has ended the grant that the patient left")
	var erased ledgerapi.ErasedList
	backup := ledgerapi.IsErasedQuery{Records: []emr.RecordID{}, CIDs: []string{o.record.CID}, Digests: []emr.Digest{o.record.Digest}}
	require.NoError(o.t, at.Query(o.t.Context(), ledgerapi.IsErased, backup, &erased))
	require.True(o.t, erased.Items[0].Destroy && erased.Items[1].Destroy)
	var readings ledgerapi.ReadingPage
	asked := ledgerapi.WhoHasReadQuery{Patient: o.order.Patient, Record: o.order.Record}
	require.NoError(o.t, at.Query(o.t.Context(), ledgerapi.WhoHasRead, asked, &readings))
	require.Equal(o.t, []string{string(o.readerID)}, readings.Readers)
}

// requireRestoredIsDestroyed brings the content back, as a backup of hospital B's
// store would, and starts its gateway again.
func (o *ordered) requireRestoredIsDestroyed(ciphertext []byte, blocks map[string]bool) {
	o.t.Helper()
	attempts := o.view().Holders[1].Receipts[0].Attempts
	stop(o.t, "gateway.hospb")
	require.Equal(o.t, o.record.CID, restore(o.t, "HospBMSP", ciphertext))
	require.Equal(o.t, len(blocks), shared(o.t, "HospBMSP", blocks))
	start(o.t, "gateway.hospb")
	view := o.until(func(v *ledgerapi.ErasureView) bool {
		return v.State == emr.ErasureComplete && v.Holders[1].Receipts[0].Attempts >= attempts+2
	})
	require.Equal(o.t, attempts+2, view.Holders[1].Receipts[0].Attempts, "once that it is back, once that it is destroyed")
	require.Zero(o.t, shared(o.t, "HospBMSP", blocks))
	require.False(o.t, pins(o.t, "HospBMSP")[o.record.CID])
}
