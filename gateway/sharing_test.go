// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package gateway_test

import (
	"bytes"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/chaincode/ledger/ledgertest"
	"github.com/emrys-health/emrys/pkg/api"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

func TestARecordIsSharedAcrossHospitalsAndTakenBack(t *testing.T) {
	t.Parallel()
	c := newCare(t)
	c.put(t)

	var found ledgerapi.RecordPage
	c.atReader.post("/v1/records/search", api.Search{Patient: c.patient.ID, Class: emr.ClassMedicalImaging}).into(t, &found)
	require.Len(t, found.Items, 1)
	require.Equal(t, c.manifest.Record, found.Items[0].ID)

	var asked ledgerapi.DecisionReceipt
	signed := c.sign(t, c.reader, ledgerapi.RequestAccess, ledgerapi.RequestAccessArgs{
		Request: ledgertest.ID[emr.RequestID](emr.RequestPrefix), Record: c.manifest.Record, Purpose: emr.PurposeTreatment,
		Note: "second opinion",
	})
	c.atReader.post("/v1/requests", signed).into(t, &asked)
	require.Equal(t, emr.Ask, asked.Decision)
	var requests ledgerapi.RequestPage
	c.atPatient.get("/v1/requests?limit=10").into(t, &requests)
	require.Len(t, requests.Items, 1)
	for _, s := range []*session{c.atPatient, c.atReader} {
		var view ledgerapi.RequestView
		s.get("/v1/requests/"+asked.ID).into(t, &view)
		require.Equal(t, requests.Items[0], view.Request)
		require.Equal(t, signed.Digest(), view.Signed.Digest())
	}

	c.give(t)
	var grants ledgerapi.GrantPage
	c.atReader.get("/v1/grants").into(t, &grants)
	require.Len(t, grants.Items, 1)

	ticket := c.disclose(t, emr.Permit)
	var opening api.Opening
	c.open(t, ticket.ID).into(t, &opening)
	require.GreaterOrEqual(t, len(opening.Fragments), 2)
	require.Equal(t, bytes.Repeat([]byte{7}, 32), c.unlock(t, &opening), "the data key that the author wrapped")

	content := c.atReader.get("/v1/disclosures/" + ticket.ID + "/content")
	require.Equal(t, http.StatusOK, content.status)
	require.Equal(t, c.content, content.body)
	require.Equal(t, `"`+c.manifest.Digest.String()+`"`, content.header.Get("ETag"))

	var revocation api.Revocation
	c.atPatient.post("/v1/grants/revoke", c.sign(t, c.patient, ledgerapi.RevokeAccess,
		ledgerapi.RevokeAccessArgs{Patient: c.patient.Handle, Grant: c.grant})).into(t, &revocation)
	require.Len(t, revocation.Read, 1, "who has read under the grant")
	require.Equal(t, string(c.reader.ID), revocation.Read[0].Reader)

	c.open(t, ticket.ID).refused(t, emr.CodeRule)
	c.atReader.get("/v1/disclosures/"+ticket.ID+"/content").refused(t, emr.CodeRule)
	c.disclose(t, emr.Deny)

	var audit ledgerapi.AuditPage
	c.atPatient.get("/v1/audit?limit=100").into(t, &audit)
	kinds := map[emr.AuditKind]int{}
	for _, entry := range audit.Items {
		kinds[entry.Kind]++
	}
	require.Equal(t, 2, kinds[emr.AuditDisclosure], "the reading and the refusal")
	require.Equal(t, 1, kinds[emr.AuditAttempt], "the ticket that no longer held")
}

func TestThePatientReadsAnOwnRecordWithoutProxies(t *testing.T) {
	t.Parallel()
	c := newCare(t)
	c.put(t)
	var receipt ledgerapi.DecisionReceipt
	c.atPatient.post("/v1/disclosures", c.sign(t, c.patient, ledgerapi.Disclose, ledgerapi.DiscloseArgs{
		Disclosure: ledgertest.ID[emr.DisclosureID](emr.DisclosurePrefix), Record: c.manifest.Record, Purpose: emr.PurposePatient,
	})).into(t, &receipt)
	require.Equal(t, emr.Permit, receipt.Decision)
	var opening api.Opening
	c.atPatient.post("/v1/disclosures/open", c.sign(t, c.patient, ledgerapi.OpenTicket,
		ledgerapi.OpenTicketArgs{Disclosure: emr.DisclosureID(receipt.ID)})).into(t, &opening)
	require.Empty(t, opening.Fragments)
	require.Equal(t, c.manifest.Record, opening.Manifest.Record.ID)
	require.Equal(t, c.content, c.atPatient.get("/v1/disclosures/"+receipt.ID+"/content").body)
}

func TestOneProxyMayBeDown(t *testing.T) {
	t.Parallel()
	c := newCare(t)
	c.put(t)
	c.give(t)
	ticket := c.disclose(t, emr.Permit)
	for _, tt := range []struct {
		name     string
		sabotage func()
	}{
		{"a proxy that cannot ask its peer is named", func() { c.gateways[ledgertest.HospitalC].ledger.fail(down) }},
		{"a proxy that is not there at all is named", func() { c.gateways[ledgertest.HospitalC].stop() }},
	} {
		tt.sabotage()
		var opening api.Opening
		c.open(t, ticket.ID).into(t, &opening)
		require.Len(t, opening.Fragments, 2, tt.name)
		require.Len(t, opening.Faults, 1, tt.name)
		require.Equal(t, ledgertest.HospitalC, opening.Faults[0].Gateway)
		require.Equal(t, emr.CodeUnavailable, opening.Faults[0].Code)
		require.Equal(t, bytes.Repeat([]byte{7}, 32), c.unlock(t, &opening))
	}
	c.gateways[ledgertest.HospitalA].stop()
	lost := c.open(t, ticket.ID)
	lost.refused(t, emr.CodeUnavailable)
	require.Contains(t, lost.problem.Detail, string(ledgertest.HospitalA))
	require.Contains(t, lost.problem.Detail, string(ledgertest.HospitalC))
}

func TestALyingProxyIsNamedAndAnotherIsUsed(t *testing.T) {
	t.Parallel()
	c := newCare(t)
	c.put(t)
	c.give(t)
	earlier := c.disclose(t, emr.Permit)
	ticket := c.disclose(t, emr.Permit)
	var kept api.Opening
	c.open(t, earlier.ID).into(t, &kept)
	liar := c.impersonate(t, ledgertest.HospitalC)
	for _, tt := range []struct {
		name string
		code emr.Code
		lie  func(f *api.Fragment)
	}{
		{"a fragment with an altered octet", emr.CodeCorrupt, func(f *api.Fragment) { f.Capsule[40] ^= 1; c.sealReceipt(t, ticket.ID, f) }},
		{"a fragment that is cut short", emr.CodeCorrupt, func(f *api.Fragment) { f.Capsule = f.Capsule[:90]; c.sealReceipt(t, ticket.ID, f) }},
		{"another share than the receipt says", emr.CodeCorrupt, func(f *api.Fragment) { f.Share[0] ^= 1 }},
		{"no share", emr.CodeCorrupt, func(f *api.Fragment) { f.Share = nil; c.sealReceipt(t, ticket.ID, f) }},
		{"no receipt", emr.CodeCorrupt, func(f *api.Fragment) { f.Receipt = nil }},
		{"another gateway's name", emr.CodeCorrupt, func(f *api.Fragment) { f.Gateway = ledgertest.HospitalA }},
		{"the answer to an earlier ticket", emr.CodeCorrupt, func(f *api.Fragment) {
			at := slices.IndexFunc(kept.Fragments, func(k api.Fragment) bool { return k.Gateway == ledgertest.HospitalC })
			if at < 0 { // it was not among those waited for
				f.Capsule = kept.Fragments[0].Capsule
			} else {
				f.Capsule = kept.Fragments[at].Capsule
			}
			c.sealReceipt(t, ticket.ID, f)
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			liar.set(tt.lie)
			var opening api.Opening
			c.open(t, ticket.ID).into(t, &opening)
			require.Len(t, opening.Fragments, 2)
			require.Len(t, opening.Faults, 1)
			require.Equal(t, ledgertest.HospitalC, opening.Faults[0].Gateway)
			require.Equal(t, bytes.Repeat([]byte{7}, 32), c.unlock(t, &opening))
		})
	}
	t.Run("when too few are honest the liar is named", func(t *testing.T) {
		c.gateways[ledgertest.Regulator].stop()
		liar.set(func(f *api.Fragment) { f.Receipt[0] ^= 1 })
		a := c.open(t, ticket.ID)
		a.refused(t, emr.CodeUnavailable)
		require.Contains(t, a.problem.Detail, "HospitalCMSP: corrupt")
	})
}

func TestASlowProxyIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	c := newCare(t)
	c.put(t)
	c.give(t)
	ticket := c.disclose(t, emr.Permit)
	liar := c.impersonate(t, ledgertest.HospitalC)
	release := make(chan struct{})
	defer close(release)
	liar.set(func(*api.Fragment) { <-release })
	var opening api.Opening
	c.open(t, ticket.ID).into(t, &opening)
	require.Len(t, opening.Fragments, 2)
	require.Equal(t, emr.CodeTimeout, opening.Faults[0].Code)
	require.Equal(t, ledgertest.HospitalC, opening.Faults[0].Gateway)
}

func TestAProxyRefusesWhatItsOwnPeerDoesNotPermit(t *testing.T) {
	t.Parallel()
	c := newCare(t)
	c.put(t)
	c.give(t)
	ticket := c.disclose(t, emr.Permit)
	cert := c.gateways[ledgertest.HospitalB].cert
	asGateway := &session{t: t, net: c.network, node: &node{
		url: c.gateways[ledgertest.HospitalC].url, http: c.client(&cert),
	}}
	present := func(actor ledgertest.Actor, id string) *answer {
		return asGateway.post("/v1/proxy/fragments", c.sign(t, actor, ledgerapi.OpenTicket,
			ledgerapi.OpenTicketArgs{Disclosure: emr.DisclosureID(id)}))
	}
	t.Run("a person cannot call a proxy", func(t *testing.T) {
		bare := &session{t: t, net: c.network, node: c.gateways[ledgertest.HospitalC], token: c.atReader.token}
		bare.post("/v1/proxy/fragments", c.sign(t, c.reader, ledgerapi.OpenTicket,
			ledgerapi.OpenTicketArgs{Disclosure: emr.DisclosureID(ticket.ID)})).refused(t, emr.CodeUnauthenticated)
	})
	t.Run("a ticket in order is served", func(t *testing.T) {
		var fragment api.Fragment
		present(c.reader, ticket.ID).into(t, &fragment)
		require.Equal(t, ledgertest.HospitalC, fragment.Gateway)
	})
	t.Run("a stolen ticket is refused with its reason", func(t *testing.T) {
		a := present(c.author, ticket.ID)
		a.refused(t, emr.CodeRule)
		require.Equal(t, emr.ReasonNotReader, a.problem.Reason)
	})
	t.Run("an unknown ticket is not found", func(t *testing.T) {
		present(c.reader, string(ledgertest.ID[emr.DisclosureID](emr.DisclosurePrefix))).refused(t, emr.CodeNotFound)
	})
	t.Run("another kind of action is no ticket", func(t *testing.T) {
		asGateway.post("/v1/proxy/fragments", c.sign(t, c.reader, ledgerapi.Disclose, ledgerapi.DiscloseArgs{})).
			refused(t, emr.CodeForbidden)
	})
	t.Run("an action with a false signature is refused", func(t *testing.T) {
		signed := c.sign(t, c.reader, ledgerapi.OpenTicket, ledgerapi.OpenTicketArgs{Disclosure: emr.DisclosureID(ticket.ID)})
		signed.Signature[3] ^= 1
		a := asGateway.post("/v1/proxy/fragments", signed)
		require.GreaterOrEqual(t, a.status, 400, "%s", a.body)
	})
	t.Run("an expired ticket is refused", func(t *testing.T) {
		c.wait(ledgerapi.TicketSeconds*time.Second + time.Second)
		a := present(c.reader, ticket.ID)
		a.refused(t, emr.CodeRule)
		require.Equal(t, emr.ReasonTicketExpired, a.problem.Reason)
	})
}

func TestAStolenTicketIsRefusedAndTheAttemptStandsInTheLog(t *testing.T) {
	t.Parallel()
	c := newCare(t)
	c.put(t)
	c.give(t)
	ticket := c.disclose(t, emr.Permit)
	thief, atThief := c.doctor(t, ledgertest.HospitalB, emr.RolePhysician)
	a := atThief.post("/v1/disclosures/open", c.sign(t, thief, ledgerapi.OpenTicket,
		ledgerapi.OpenTicketArgs{Disclosure: emr.DisclosureID(ticket.ID)}))
	a.refused(t, emr.CodeRule)
	require.Equal(t, emr.ReasonNotReader, a.problem.Reason)
	require.NotEmpty(t, a.problem.TransactionID)
	atThief.get("/v1/disclosures/"+ticket.ID+"/content").refused(t, emr.CodeNotFound)

	var audit ledgerapi.AuditPage
	c.atPatient.get("/v1/audit").into(t, &audit)
	at := slices.IndexFunc(audit.Items, func(e emr.AuditEntry) bool { return e.Kind == emr.AuditAttempt })
	require.GreaterOrEqual(t, at, 0)
	require.Equal(t, string(thief.ID), audit.Items[at].Actor)
}

func TestRangesOfContent(t *testing.T) {
	t.Parallel()
	c := newCare(t)
	c.put(t)
	c.give(t)
	path := "/v1/disclosures/" + c.disclose(t, emr.Permit).ID + "/content"
	size := len(c.content)
	for _, tt := range []struct {
		name, header string
		status       int
		want         []byte
	}{
		{"the first octets", "bytes=0-9", http.StatusPartialContent, c.content[:10]},
		{"from the middle on", "bytes=1000-", http.StatusPartialContent, c.content[1000:]},
		{"the last octets", "bytes=-5", http.StatusPartialContent, c.content[size-5:]},
		{"more than there is", "bytes=1000-99999", http.StatusPartialContent, c.content[1000:]},
		{"several ranges are not offered", "bytes=0-1,3-4", http.StatusOK, c.content},
		{"another unit", "lines=0-1", http.StatusOK, c.content},
		{"nonsense", "bytes=9-1", http.StatusOK, c.content},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := c.atReader.do(http.MethodGet, path, nil, map[string]string{"Range": tt.header})
			require.Equal(t, tt.status, a.status)
			require.Equal(t, tt.want, a.body)
		})
	}
	t.Run("outside of the content", func(t *testing.T) {
		a := c.atReader.do(http.MethodGet, path, nil, map[string]string{"Range": "bytes=5000-"})
		require.Equal(t, http.StatusRequestedRangeNotSatisfiable, a.status)
		require.Contains(t, a.header.Get("Content-Range"), "bytes */")
	})
	t.Run("a range of other content is the whole", func(t *testing.T) {
		a := c.atReader.do(http.MethodGet, path, nil, map[string]string{"Range": "bytes=0-1", "If-Range": `"other"`})
		require.Equal(t, http.StatusOK, a.status)
	})
	t.Run("a store that is down is an error with a body", func(t *testing.T) {
		c.gateways[ledgertest.HospitalB].store.SetDown(true)
		defer c.gateways[ledgertest.HospitalB].store.SetDown(false)
		c.atReader.get(path).refused(t, emr.CodeUnavailable)
	})
}
