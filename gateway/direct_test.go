// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package gateway_test

import (
	"bytes"
	"crypto/sha256"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/chaincode/ledger/ledgertest"
	"github.com/emrys-health/emrys/pkg/api"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
	"github.com/emrys-health/emrys/pkg/manifest"
	"github.com/emrys-health/emrys/pkg/pre"
)

// contextOf is what a record's keys are bound to.
func (c *care) contextOf(t *testing.T, m *emr.Manifest) [32]byte {
	t.Helper()
	author := &emr.Clinician{
		ID: c.author.ID, Signing: emr.PinnedKey{Kind: emr.SignatureP256, Key: c.author.Key.Public().Bytes()},
	}
	ctx, err := manifest.Context(ledgertest.Channel, m, author, c.scope).Hash()
	require.NoError(t, err)
	return ctx
}

// giveDirect gives the reader records by their own keys, as the patient's device does.
func (c *care) giveDirect(t *testing.T, records ...*emr.Manifest) *ledgerapi.GrantAccessArgs {
	t.Helper()
	ids := make([]emr.RecordID, len(records))
	for i, m := range records {
		ids[i] = m.Record
	}
	args := c.Grant(c.scope, c.reader, ids...)
	args.Terms.Direct, args.Terms.Threshold, args.Terms.Gateways = true, 0, []emr.OrgID{}
	args.Terms.ReaderHybrid = sha256.Sum256(c.reader.Hybrid.Public().Bytes())
	args.Fragments = []emr.SealedFragment{}
	hash, err := args.Terms.Hash()
	require.NoError(t, err)
	for _, id := range args.Terms.Records {
		m := records[slices.Index(ids, id)]
		ctx := c.contextOf(t, m)
		capsule, err := pre.ParseCapsule(m.Capsule)
		require.NoError(t, err)
		kPre, err := pre.Decapsulate(c.scopeKey, capsule, ctx)
		require.NoError(t, err)
		one := emr.SealedKey{Record: id}
		one.Sealed, err = pre.SealDirectKey(c.reader.Hybrid.Public(), ctx, hash, kPre)
		require.NoError(t, err)
		one.Commitment, err = one.Commit(args.Terms.Grant)
		require.NoError(t, err)
		args.Direct = append(args.Direct, one)
	}
	c.atPatient.post("/v1/grants", c.sign(t, c.patient, ledgerapi.GrantAccess, args)).into(t, &ledgerapi.Receipt{})
	c.grant = args.Terms.Grant
	return args
}

// unlockDirect opens the data key under a direct grant as the reader's device does.
func (c *care) unlockDirect(t *testing.T, o *api.Opening) []byte {
	t.Helper()
	ctx := c.contextOf(t, c.manifest)
	grant, err := o.Grant.Terms.Hash()
	require.NoError(t, err)
	request, err := o.Disclosure.Hash()
	require.NoError(t, err)
	envelope, err := pre.ParseEnvelope(c.manifest.Envelope)
	require.NoError(t, err)
	var shares []pre.Share
	for _, f := range o.Fragments {
		require.Empty(t, f.Capsule, "there is nothing to re-encrypt with")
		require.NotEqual(t, ledgertest.HospitalB, f.Gateway, "the reader's own gives no share")
		require.True(t, o.Grant.CommitsTo(c.manifest.Record, f.Direct))
		sealed, ok := envelope.Shares.ShareOf(string(f.Gateway))
		require.True(t, ok)
		share, err := pre.OpenReSealedShare(c.reader.Hybrid, ctx, request, sealed, f.Share)
		require.NoError(t, err)
		shares = append(shares, share)
	}
	kPre, err := pre.OpenDirectKey(c.reader.Hybrid, ctx, grant, o.Fragments[0].Direct)
	require.NoError(t, err)
	kShare, err := pre.CombineShares(int(c.manifest.Threshold), shares)
	require.NoError(t, err)
	key, err := pre.UnwrapKey(ctx, kShare, kPre, envelope.Wrapped)
	require.NoError(t, err)
	return key
}

// another is a second record of the patient's, in the same scope.
func (c *care) another(t *testing.T) *emr.Manifest {
	t.Helper()
	first, content := c.manifest, c.content
	c.put(t)
	second := c.manifest
	c.manifest, c.content = first, content
	return second
}

var dataKey = bytes.Repeat([]byte{7}, 32)

func TestARecordIsReadUnderADirectGrantAndTakenBack(t *testing.T) {
	t.Parallel()
	c := newCare(t)
	c.put(t)
	second := c.another(t)
	args := c.giveDirect(t, c.manifest, second)
	ticket := c.disclose(t, emr.Permit)
	var opening api.Opening
	c.open(t, ticket.ID).into(t, &opening)
	require.GreaterOrEqual(t, len(opening.Fragments), 2)
	require.Equal(t, dataKey, c.unlockDirect(t, &opening), "the data key that the author wrapped")
	own := args.Direct[slices.Index(args.Terms.Records, c.manifest.Record)]
	for _, f := range opening.Fragments {
		require.Equal(t, own.Sealed, f.Direct, "this record's key and no other's")
	}
	content := c.atReader.get("/v1/disclosures/" + ticket.ID + "/content")
	require.Equal(t, c.content, content.body)

	c.atPatient.post("/v1/grants/revoke", c.sign(t, c.patient, ledgerapi.RevokeAccess,
		ledgerapi.RevokeAccessArgs{Patient: c.patient.Handle, Grant: c.grant})).into(t, &api.Revocation{})
	refusal := c.open(t, ticket.ID)
	refusal.refused(t, emr.CodeRule)
	require.Equal(t, emr.ReasonRevoked, refusal.problem.Reason)
	c.atReader.get("/v1/disclosures/"+ticket.ID+"/content").refused(t, emr.CodeRule)
	require.Equal(t, emr.ReasonRevoked, c.disclose(t, emr.Deny).Reason)
}

func TestADirectGrantOfOneRecordOpensNoOther(t *testing.T) {
	t.Parallel()
	c := newCare(t)
	c.put(t)
	second := c.another(t)
	c.giveDirect(t, second)
	require.Equal(t, emr.ReasonNotCovered, c.disclose(t, emr.Deny).Reason)
}

func TestTheLargestDirectGrantFitsThroughTheGateway(t *testing.T) {
	t.Parallel()
	c := newCare(t)
	c.put(t)
	records := []*emr.Manifest{c.manifest}
	for len(records) < ledgerapi.MaxDirectRecords {
		records = append(records, c.another(t))
	}
	c.giveDirect(t, records...)
	var opening api.Opening
	c.open(t, c.disclose(t, emr.Permit).ID).into(t, &opening)
	require.Equal(t, dataKey, c.unlockDirect(t, &opening))
}

func TestOneProxyMayBeDownUnderADirectGrant(t *testing.T) {
	t.Parallel()
	c := newCare(t)
	c.put(t)
	c.giveDirect(t, c.manifest)
	ticket := c.disclose(t, emr.Permit)
	c.gateways[ledgertest.HospitalC].stop()
	var opening api.Opening
	c.open(t, ticket.ID).into(t, &opening)
	require.Len(t, opening.Fragments, 2)
	require.Equal(t, ledgertest.HospitalC, opening.Faults[0].Gateway)
	require.Equal(t, dataKey, c.unlockDirect(t, &opening))
	c.gateways[ledgertest.HospitalA].stop()
	c.open(t, ticket.ID).refused(t, emr.CodeUnavailable)
}

func TestAProxyThatLiesUnderADirectGrantIsNamed(t *testing.T) {
	t.Parallel()
	c := newCare(t)
	c.put(t)
	second := c.another(t)
	c.give(t)
	var ordinary api.Opening
	c.open(t, c.disclose(t, emr.Permit).ID).into(t, &ordinary)
	args := c.giveDirect(t, c.manifest, second)
	others := args.Direct[slices.Index(args.Terms.Records, second.Record)].Sealed
	forged, err := pre.SealDirectKey(c.reader.Hybrid.Public(), c.contextOf(t, c.manifest), [32]byte{1}, dataKey)
	require.NoError(t, err)
	ticket := c.disclose(t, emr.Permit)
	liar := c.impersonate(t, ledgertest.HospitalC)
	t.Run("two honest ones are enough", func(t *testing.T) {
		liar.set(func(f *api.Fragment) { f.Direct = others; c.sealReceipt(t, ticket.ID, f) })
		var opening api.Opening
		c.open(t, ticket.ID).into(t, &opening)
		require.Len(t, opening.Fragments, 2)
		require.Len(t, opening.Faults, 1)
		require.Equal(t, ledgertest.HospitalC, opening.Faults[0].Gateway)
		require.Equal(t, dataKey, c.unlockDirect(t, &opening))
	})
	// With one of the others down the liar is waited for, and what is wrong is told.
	c.gateways[ledgertest.Regulator].stop()
	for _, tt := range []struct {
		name, message string
		lie           func(f *api.Fragment)
	}{
		{"another record's sealed key", "not the one that the grant commits to", func(f *api.Fragment) { f.Direct = others }},
		{"a sealed key of its own making", "not the one that the grant commits to", func(f *api.Fragment) { f.Direct = forged }},
		{"a sealed key with an altered octet", "not the one that the grant commits to", func(f *api.Fragment) { f.Direct[700] ^= 1 }},
		{"a sealed key that is cut short", "not the one that the grant commits to", func(f *api.Fragment) { f.Direct = f.Direct[:90] }},
		{"no sealed key", "holds no sealed key", func(f *api.Fragment) { f.Direct = nil }},
		{"a fragment instead of the key", "answered with a fragment", func(f *api.Fragment) {
			f.Direct, f.Capsule = nil, ordinary.Fragments[0].Capsule
		}},
		{"a fragment beside the key", "answered with a fragment", func(f *api.Fragment) { f.Capsule = ordinary.Fragments[0].Capsule }},
		{"no share", "holds no share", func(f *api.Fragment) { f.Share = nil }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			liar.set(func(f *api.Fragment) { tt.lie(f); c.sealReceipt(t, ticket.ID, f) })
			c.lied(t, ticket.ID, tt.message)
		})
	}
	t.Run("another key than its receipt says", func(t *testing.T) {
		liar.set(func(f *api.Fragment) { f.Direct = others })
		c.lied(t, ticket.ID, "receipt does not verify")
	})
	t.Run("told the truth, it opens", func(t *testing.T) {
		liar.set(func(*api.Fragment) {})
		var opening api.Opening
		c.open(t, ticket.ID).into(t, &opening)
		require.Equal(t, dataKey, c.unlockDirect(t, &opening))
	})
}

// lied requires that a ticket does not open because hospital C's proxy lied, as told.
func (c *care) lied(t *testing.T, ticket, message string) {
	t.Helper()
	a := c.open(t, ticket)
	a.refused(t, emr.CodeUnavailable)
	require.Regexp(t, "HospitalCMSP: corrupt: .*"+message, a.problem.Detail)
}

func TestASealedKeyUnderAGrantOfFragmentsIsALie(t *testing.T) {
	t.Parallel()
	c := newCare(t)
	c.put(t)
	direct := c.giveDirect(t, c.manifest)
	c.give(t)
	ticket := c.disclose(t, emr.Permit)
	liar := c.impersonate(t, ledgertest.HospitalC)
	c.gateways[ledgertest.Regulator].stop() // so that the liar is waited for
	for name, lie := range map[string]func(f *api.Fragment){
		"instead of the fragment": func(f *api.Fragment) { f.Capsule, f.Direct = nil, direct.Direct[0].Sealed },
		"beside the fragment":     func(f *api.Fragment) { f.Direct = direct.Direct[0].Sealed },
	} {
		t.Run(name, func(t *testing.T) {
			liar.set(func(f *api.Fragment) { lie(f); c.sealReceipt(t, ticket.ID, f) })
			c.lied(t, ticket.ID, "answered with a sealed key")
		})
	}
}

// asGateway presents tickets to one organisation's proxy with another's certificate.
func (c *care) asGateway(t *testing.T, from, to emr.OrgID) func(actor ledgertest.Actor, ticket string) *answer {
	t.Helper()
	cert := c.gateways[from].cert
	s := &session{t: t, net: c.network, node: &node{url: c.gateways[to].url, http: c.client(&cert)}}
	return func(actor ledgertest.Actor, ticket string) *answer {
		return s.post("/v1/proxy/fragments", c.sign(t, actor, ledgerapi.OpenTicket,
			ledgerapi.OpenTicketArgs{Disclosure: emr.DisclosureID(ticket)}))
	}
}

func TestWhatAProxyAnswersToADirectTicket(t *testing.T) {
	t.Parallel()
	c := newCare(t)
	c.put(t)
	args := c.giveDirect(t, c.manifest)
	ticket := c.disclose(t, emr.Permit)
	present := c.asGateway(t, ledgertest.HospitalB, ledgertest.HospitalC)
	t.Run("the sealed key and a share, and no fragment", func(t *testing.T) {
		a := present(c.reader, ticket.ID)
		var f api.Fragment
		a.into(t, &f)
		require.Equal(t, args.Direct[0].Sealed, f.Direct)
		require.NotEmpty(t, f.Share)
		require.NotContains(t, string(a.body), `"capsule"`)
	})
	t.Run("the reader's own gateway gives nothing", func(t *testing.T) {
		a := c.asGateway(t, ledgertest.HospitalC, ledgertest.HospitalB)(c.reader, ticket.ID)
		a.refused(t, emr.CodeRule)
		require.Equal(t, emr.ReasonNoGrant, a.problem.Reason)
	})
	t.Run("another reader is refused", func(t *testing.T) {
		a := present(c.author, ticket.ID)
		a.refused(t, emr.CodeRule)
		require.Equal(t, emr.ReasonNotReader, a.problem.Reason)
	})
	t.Run("another reader of the same hospital is refused, and it stands in the log", func(t *testing.T) {
		thief, atThief := c.doctor(t, ledgertest.HospitalB, emr.RolePhysician)
		a := atThief.post("/v1/disclosures/open", c.sign(t, thief, ledgerapi.OpenTicket,
			ledgerapi.OpenTicketArgs{Disclosure: emr.DisclosureID(ticket.ID)}))
		a.refused(t, emr.CodeRule)
		require.Equal(t, emr.ReasonNotReader, a.problem.Reason)
		require.NotEmpty(t, a.problem.TransactionID)
	})
	t.Run("after the ticket's time it is refused", func(t *testing.T) {
		c.wait(ledgerapi.TicketSeconds*time.Second + time.Second)
		a := present(c.reader, ticket.ID)
		a.refused(t, emr.CodeRule)
		require.Equal(t, emr.ReasonTicketExpired, a.problem.Reason)
	})
	t.Run("after the grant's time nothing is read", func(t *testing.T) {
		c.wait(2 * time.Hour)
		c.atReader = c.login(t, clinicianPerson(c.reader), ledgertest.HospitalB)
		require.Equal(t, emr.ReasonExpired, c.disclose(t, emr.Deny).Reason)
	})
}

// A record's own gateway may be told by a peer that is not its own master: what the
// proxy hands out is what the grant commits to in public, or nothing.
func TestAProxyWhosePeerHoldsAnotherKeyHandsOutNothing(t *testing.T) {
	t.Parallel()
	c := newCare(t)
	c.put(t)
	second := c.another(t)
	args := c.giveDirect(t, c.manifest, second)
	ticket := c.disclose(t, emr.Permit)
	at := slices.Index(args.Terms.Records, second.Record)
	for name, change := range map[string]func(*ledgerapi.Ticket){
		"another record's": func(k *ledgerapi.Ticket) { k.Direct = args.Direct[at] },
		"another record's under this one's name": func(k *ledgerapi.Ticket) {
			k.Direct = emr.SealedKey{Record: c.manifest.Record, Sealed: args.Direct[at].Sealed, Commitment: args.Direct[1-at].Commitment}
		},
		"an altered one":      func(k *ledgerapi.Ticket) { k.Direct.Sealed[99] ^= 1 },
		"with no commitments": func(k *ledgerapi.Ticket) { k.Grant.Commitments = nil },
	} {
		t.Run(name, func(t *testing.T) {
			c.gateways[ledgertest.HospitalC].ledger.retell(change)
			defer c.gateways[ledgertest.HospitalC].ledger.retell(nil)
			a := c.asGateway(t, ledgertest.HospitalB, ledgertest.HospitalC)(c.reader, ticket.ID)
			a.refused(t, emr.CodeCorrupt)
			require.NotContains(t, string(a.body), "direct")
		})
	}
	t.Run("none", func(t *testing.T) {
		c.gateways[ledgertest.HospitalC].ledger.retell(func(k *ledgerapi.Ticket) { k.Direct = emr.SealedKey{} })
		a := c.asGateway(t, ledgertest.HospitalB, ledgertest.HospitalC)(c.reader, ticket.ID)
		a.refused(t, emr.CodeRule)
		require.NotEqual(t, http.StatusOK, a.status)
	})
}
