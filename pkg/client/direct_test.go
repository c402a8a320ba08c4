// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package client_test

import (
	"bytes"
	"crypto/sha256"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/pkg/api"
	"github.com/emrys-health/emrys/pkg/client"
	"github.com/emrys-health/emrys/pkg/client/clienttest"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
	"github.com/emrys-health/emrys/pkg/manifest"
	"github.com/emrys-health/emrys/pkg/pre"
)

// direct gives records to the reader by keys of their own.
func (s *scene) direct(t testing.TB, records ...emr.RecordID) *client.Given {
	t.Helper()
	g := s.giving(records[0])
	g.Records, g.Direct = records, true
	given, err := s.patient.Grant(t.Context(), g)
	require.NoError(t, err)
	return given
}

func TestADirectGrantIsMadeAndOpened(t *testing.T) {
	t.Parallel()
	s, ctx := newScene(t), t.Context()
	first, second, third := s.put(t, []byte("first")), s.put(t, []byte("second")), s.put(t, []byte("third"))
	given := s.direct(t, second.Record, first.Record, second.Record)
	terms := &given.Terms
	require.True(t, terms.Direct)
	require.Zero(t, terms.Threshold)
	require.Equal(t, []emr.OrgID{}, terms.Gateways, "nobody holds a fragment")
	require.Equal(t, sha256.Sum256(s.Professional(terms.Grantee).Hybrid), [32]byte(terms.ReaderHybrid))
	require.Len(t, terms.Records, 2)
	require.True(t, slices.IsSorted(terms.Records))

	for record, want := range map[emr.RecordID]string{first.Record: "first", second.Record: "second"} {
		got, opened, err := read(t, s.reader, s.ticket(t, record, terms.Grant))
		require.NoError(t, err)
		require.Equal(t, want, string(got))
		require.Empty(t, opened.Faults)
	}
	_, err := s.reader.Disclose(ctx, third.Record, terms.Grant, emr.PurposeTreatment)
	require.Equal(t, emr.ReasonNotCovered, emr.Public(err).Reason, "a record of the same scope that was not named")

	late := s.ticket(t, first.Record, terms.Grant)
	_, err = s.patient.Revoke(ctx, terms.Grant)
	require.NoError(t, err)
	_, err = s.reader.Disclose(ctx, first.Record, terms.Grant, emr.PurposeTreatment)
	require.Equal(t, emr.ReasonRevoked, emr.Public(err).Reason)
	_, err = s.reader.OpenTicket(ctx, late)
	requireCode(t, emr.CodeCorrupt, err) // the sealed keys are gone
}

func TestADirectGrantAnswersARequestAndThePatientSeesWhatWasOpened(t *testing.T) {
	t.Parallel()
	s, ctx := newScene(t), t.Context()
	record := s.put(t, []byte("content")).Record
	asked, err := s.reader.RequestAccess(ctx, record, emr.PurposeTreatment, "")
	require.NoError(t, err)
	g := client.Giving{Request: emr.RequestID(asked.ID), Until: s.giving(record).Until, Direct: true}
	given, err := s.patient.Grant(ctx, g)
	require.NoError(t, err)
	require.Equal(t, []emr.RecordID{record}, given.Terms.Records)
	got, _, err := read(t, s.reader, s.ticket(t, record, given.Terms.Grant))
	require.NoError(t, err)
	require.Equal(t, "content", string(got))
	trail, err := s.patient.AuditOfRecord(ctx, record, client.Page{})
	require.NoError(t, err)
	require.True(t, slices.ContainsFunc(trail.Items, func(e emr.AuditEntry) bool {
		return e.Kind == emr.AuditDisclosure && e.Purpose == emr.PurposePatient && e.Decision == emr.Permit
	}), "the device's own reading of the record")
}

func TestDirectGrantsThatAreRefusedBeforeAnyKeyIsMade(t *testing.T) {
	t.Parallel()
	s, ctx := newScene(t), t.Context()
	record := s.put(t, []byte("private")).Record
	stranger := join(t, s.World, "HospAMSP", emr.RolePatient, "")
	many := make([]emr.RecordID, ledgerapi.MaxDirectRecords+1)
	for i := range many {
		id, err := emr.GenerateID[emr.RecordID](bytes.NewReader(random(t, 64)))
		require.NoError(t, err)
		many[i] = id
	}
	for name, c := range map[string]struct {
		who    *client.Client
		change func(*client.Giving)
		code   emr.Code
		field  string
	}{
		"of a whole scope":      {s.patient, func(g *client.Giving) { g.WholeScope = true }, emr.CodeInvalid, "direct"},
		"of no record":          {s.patient, func(g *client.Giving) { g.Records = nil }, emr.CodeInvalid, "records"},
		"of more than 32":       {s.patient, func(g *client.Giving) { g.Records = many }, emr.CodeInvalid, "records"},
		"by a physician":        {s.reader, func(*client.Giving) {}, emr.CodeRule, ""},
		"by another patient":    {stranger, func(*client.Giving) {}, emr.CodeForbidden, ""},
		"to somebody unknown":   {s.patient, func(g *client.Giving) { g.To = "cli_00000000000000000000000000000000" }, emr.CodeNotFound, ""},
		"of one record unknown": {s.patient, func(g *client.Giving) { g.Records = append(g.Records, many[0]) }, emr.CodeNotFound, ""},
	} {
		g := s.giving(record)
		g.Direct = true
		c.change(&g)
		before := s.Count("disclosure.create")
		_, err := c.who.Grant(ctx, g)
		requireCode(t, c.code, err)
		require.Equal(t, c.field, emr.Public(err).Field, name)
		require.Equal(t, before, s.Count("disclosure.create"), "%s: nothing was opened", name)
	}
	require.Zero(t, s.Grants())
}

// The gateway of a patient who gives one record would rather have another one given.
func TestAGatewayCannotHaveAnotherRecordGivenDirectly(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	asked, other := s.put(t, []byte("asked")).Record, s.put(t, []byte("other")).Record
	otherView := *s.View(other)
	g := s.giving(asked)
	g.Direct = true
	for name, c := range map[string]struct {
		change  func(*api.Opening)
		message string
	}{
		"another record, said openly": {func(o *api.Opening) { o.Manifest, o.Disclosure.Record = otherView, other }, "another record than the one asked for"},
		"another record's manifest":   {func(o *api.Opening) { o.Manifest = otherView }, ""},
		"another scope key": {func(o *api.Opening) {
			key, err := pre.GeneratePrivateKey(nil)
			require.NoError(t, err)
			o.Manifest.Scope.Delegating = key.Public().Bytes()
		}, "was not made for this record"},
		"another epoch":  {func(o *api.Opening) { o.Manifest.Scope.Epoch++ }, "another scope"},
		"another ticket": {func(o *api.Opening) { o.Disclosure.ID = "dis_00000000000000000000000000000000" }, "another ticket"},
	} {
		s.OnOpening = c.change
		_, err := s.patient.Grant(t.Context(), g)
		requireCode(t, emr.CodeCorrupt, err)
		require.Contains(t, err.Error(), c.message, name)
		require.Zero(t, s.Grants(), name)
	}
	s.OnOpening = nil
	_, err := s.patient.Grant(t.Context(), g)
	require.NoError(t, err, "told the truth, it works")
}

// The reader's hybrid key is what the record's secret is sealed to: a gateway that
// put its own there would read.
func TestALieAboutTheHybridKeyIsNotSealedTo(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	hybrid, err := pre.GenerateHybridKey()
	require.NoError(t, err)
	s.giving.Direct = true
	lie := rewritten(t, func(c *emr.Clinician) { c.Hybrid = hybrid.Public().Bytes() })
	for way, tell := range waysToLie(t, s, lie) {
		before := s.Count("grant.create")
		s.OnAnswer, s.OnProving = tell.onAnswer(ledgerapi.GetClinician), tell.onProving(ledgerapi.GetClinician)
		requireCode(t, emr.CodeCorrupt, s.grant(t))
		require.Equal(t, before, s.Count("grant.create"), way)
	}
	s.OnAnswer, s.OnProving = nil, nil
	require.NoError(t, s.grant(t))
}

func TestALyingProxyUnderADirectGrantIsNamedAndAnotherIsUsed(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		lie     func(f, others, ordinary *api.Fragment)
		message string
	}{
		"another record's sealed key": {func(f, others, _ *api.Fragment) { f.Direct = others.Direct }, "not the one that the grant commits to"},
		"an altered sealed key":       {func(f, _, _ *api.Fragment) { f.Direct = flip(f.Direct) }, "not the one that the grant commits to"},
		"a truncated sealed key":      {func(f, _, _ *api.Fragment) { f.Direct = f.Direct[:100] }, "not the one that the grant commits to"},
		"no sealed key":               {func(f, _, _ *api.Fragment) { f.Direct = nil }, "holds no sealed key"},
		"a fragment instead":          {func(f, _, o *api.Fragment) { f.Direct, f.Capsule = nil, o.Capsule }, "answered with a fragment"},
		"a fragment besides":          {func(f, _, o *api.Fragment) { f.Capsule = o.Capsule }, "answered with a fragment"},
		"another record's share":      {func(f, others, _ *api.Fragment) { f.Share = others.Share }, "its share"},
		"an altered share":            {func(f, _, _ *api.Fragment) { f.Share = flip(f.Share) }, "its share"},
		"nothing":                     {func(f, _, _ *api.Fragment) { f.Direct, f.Share = nil, nil }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t)
			record, other := s.put(t, []byte("content")).Record, s.put(t, []byte("other")).Record
			grant := s.direct(t, record, other).Terms.Grant
			fragments, err := s.patient.Grant(t.Context(), s.giving(record))
			require.NoError(t, err)
			var others, ordinary api.Fragment
			s.OnOpening = func(o *api.Opening) { others = o.Fragments[0] }
			_, _, err = read(t, s.reader, s.ticket(t, other, grant))
			require.NoError(t, err)
			s.OnOpening = func(o *api.Opening) { ordinary = o.Fragments[0] }
			_, _, err = read(t, s.reader, s.ticket(t, record, fragments.Terms.Grant))
			require.NoError(t, err)
			s.OnOpening = nil

			liars := []emr.OrgID{"HospAMSP"}
			s.OnFragment = func(f *api.Fragment) {
				if slices.Contains(liars, f.Gateway) {
					c.lie(f, &others, &ordinary)
				}
			}
			got, opened, err := read(t, s.reader, s.ticket(t, record, grant))
			require.NoError(t, err, "two honest proxies are enough")
			require.Equal(t, "content", string(got))
			require.NotEmpty(t, opened.Faults)
			for _, fault := range opened.Faults {
				require.Equal(t, emr.OrgID("HospAMSP"), fault.Gateway, "nobody else is accused")
				require.Equal(t, emr.CodeCorrupt, fault.Code)
			}
			require.Contains(t, opened.Faults[0].Message, c.message)

			liars = []emr.OrgID{"HospAMSP", "HospCMSP", "RegMSP"}
			_, _, err = read(t, s.reader, s.ticket(t, record, grant))
			requireCode(t, emr.CodeCorrupt, err)
			require.Contains(t, emr.Public(err).Message, "RegMSP")
		})
	}
}

func TestASealedKeyUnderAGrantOfFragmentsNamesItsProxy(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	record, grant := s.shared(t, []byte("content"))
	s.OnFragment = func(f *api.Fragment) {
		if f.Gateway == "HospAMSP" {
			f.Direct = make([]byte, pre.SealedKeySize)
		}
	}
	_, opened, err := read(t, s.reader, s.ticket(t, record, grant))
	require.NoError(t, err)
	require.Len(t, opened.Faults, 1)
	require.Equal(t, emr.OrgID("HospAMSP"), opened.Faults[0].Gateway)
}

func TestSharesUnderADirectGrantComeFromOthersThanTheReadersOwn(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	record := s.put(t, []byte("content")).Record
	ticket := s.ticket(t, record, s.direct(t, record).Terms.Grant)
	for name, change := range map[string]func(*api.Opening){
		"the reader's own gateway": func(o *api.Opening) { o.Fragments[0].Gateway = "HospBMSP"; s.Resign(&o.Fragments[0], &o.Disclosure) },
		"an unknown gateway":       func(o *api.Opening) { o.Fragments[0].Gateway = "EvilMSP" },
		"a receipt of another":     func(o *api.Opening) { o.Fragments[0].Receipt = o.Fragments[1].Receipt },
		"no receipt":               func(o *api.Opening) { o.Fragments[0].Receipt = nil },
		"a key that was put in after signing": func(o *api.Opening) {
			o.Fragments[0].Direct = flip(o.Fragments[0].Direct)
		},
		"a key that was taken out after signing": func(o *api.Opening) { o.Fragments[0].Direct = nil },
	} {
		s.OnOpening = change
		_, opened, err := read(t, s.reader, ticket)
		require.NoError(t, err, "%s: two others are enough", name)
		require.Len(t, opened.Faults, 1, name)
		s.OnOpening = func(o *api.Opening) { change(o); o.Fragments = o.Fragments[:2] }
		_, _, err = read(t, s.reader, ticket)
		requireCode(t, emr.CodeCorrupt, err)
	}
	s.OnOpening = func(o *api.Opening) { o.Fragments = o.Fragments[:1] }
	_, _, err := read(t, s.reader, ticket)
	requireCode(t, emr.CodeUnavailable, err)
	s.OnOpening = func(o *api.Opening) { o.Fragments = nil }
	_, _, err = read(t, s.reader, ticket)
	requireCode(t, emr.CodeUnavailable, err)
}

// What the reader's gateway says of the grant is bound into the seal.
func TestAForgedDirectGrantOpensNothing(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	record, other := s.put(t, []byte("content")).Record, s.put(t, []byte("other")).Record
	given := s.direct(t, record, other)
	ticket := s.ticket(t, record, given.Terms.Grant)
	at := slices.Index(given.Terms.Records, record)
	for name, c := range map[string]struct {
		change func(*api.Opening)
		code   emr.Code
	}{
		"to another hybrid key": {func(o *api.Opening) { o.Grant.Terms.ReaderHybrid[0] ^= 1 }, emr.CodeRule},
		"with other terms":      {func(o *api.Opening) { o.Grant.Terms.MaxUses = 9 }, emr.CodeCorrupt},
		"with no commitments":   {func(o *api.Opening) { o.Grant.Commitments = nil }, emr.CodeCorrupt},
		"with commitments swapped": {func(o *api.Opening) {
			o.Grant.Commitments = []emr.Digest{o.Grant.Commitments[1], o.Grant.Commitments[0]}
		}, emr.CodeCorrupt},
		"called one of fragments": {func(o *api.Opening) {
			o.Grant.Terms.Direct, o.Grant.Terms.Threshold = false, 2
			o.Grant.Terms.Gateways = []emr.OrgID{"HospAMSP", "HospCMSP", "RegMSP"}
		}, emr.CodeCorrupt},
		"whose key for this record is another's, commitment and all": {func(o *api.Opening) {
			o.Grant.Commitments = slices.Clone(o.Grant.Commitments)
			one := emr.SealedKey{Record: record, Sealed: s.SealedKey(given.Terms.Grant, other)}
			var err error
			o.Grant.Commitments[at], err = one.Commit(o.Grant.ID)
			require.NoError(t, err)
			for i := range o.Fragments {
				o.Fragments[i].Direct = one.Sealed
				s.Resign(&o.Fragments[i], &o.Disclosure)
			}
		}, emr.CodeCorrupt},
	} {
		s.OnOpening = c.change
		_, _, err := read(t, s.reader, ticket)
		require.Error(t, err, name)
		require.Equal(t, c.code, emr.CodeOf(err), "%s: %v", name, err)
	}
	s.OnOpening = nil
	got, _, err := read(t, s.reader, ticket)
	require.NoError(t, err, "the same ticket, told honestly, opens")
	require.Equal(t, "content", string(got))
}

// The reader's own hospital holds a share too. It must not count: with it, one
// organisation fewer than the threshold would open the record.
func TestTheReadersOwnHospitalMakesNoQuorum(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	record := s.put(t, []byte("content")).Record
	given := s.direct(t, record)
	ticket, hybrid := s.ticket(t, record, given.Terms.Grant), s.Professional(given.Terms.Grantee).Hybrid
	s.OnOpening = func(o *api.Opening) {
		own := api.Fragment{Gateway: "HospBMSP", Direct: o.Fragments[0].Direct, Share: s.ownShare(t, o, hybrid)}
		s.Resign(&own, &o.Disclosure)
		o.Fragments = []api.Fragment{own, o.Fragments[0]}
	}
	_, _, err := read(t, s.reader, ticket)
	requireCode(t, emr.CodeCorrupt, err)
	require.Contains(t, emr.Public(err).Message, "HospBMSP: it holds no part of this grant")
}

// ownShare is hospital B's share of an opening's record, re-sealed to the reader.
func (s *scene) ownShare(t *testing.T, o *api.Opening, to []byte) []byte {
	t.Helper()
	action, err := o.Manifest.Signed.Parse()
	require.NoError(t, err)
	var m emr.Manifest
	require.NoError(t, emr.DecodeCanonical(action.Args, &m))
	ctx, err := manifest.Context(clienttest.Channel, &m, &o.Manifest.Author, &o.Manifest.Scope).Hash()
	require.NoError(t, err)
	request, err := o.Disclosure.Hash()
	require.NoError(t, err)
	envelope, err := pre.ParseEnvelope(m.Envelope)
	require.NoError(t, err)
	sealed, ok := envelope.Shares.ShareOf("HospBMSP")
	require.True(t, ok)
	hybrid, err := pre.ParseHybridPublicKey(to)
	require.NoError(t, err)
	share, err := pre.ReSealShare(s.Org("HospBMSP").Proxy, ctx, request, sealed, hybrid)
	require.NoError(t, err)
	return share
}

// A record that the grant could not open is not given: its author made it so.
func TestARecordThatADirectGrantCannotOpenIsNotGiven(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		author  client.ManifestHook
		opening func(*api.Opening)
		code    emr.Code
		message string
	}{
		"too few hold shares besides the reader's own": {func(_ *emr.Manifest, e *pre.Envelope) {
			if e != nil {
				e.Shares.Shares = e.Shares.Shares[:2]
			}
		}, nil, emr.CodeUnavailable, "too few organisations"},
		"its epoch is another": {func(m *emr.Manifest, e *pre.Envelope) {
			if e == nil {
				m.Epoch++
			}
		}, func(o *api.Opening) { o.Manifest.Scope.Epoch++ }, emr.CodeCorrupt, "another scope or epoch"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t)
			stored, err := client.PutDishonestly(t.Context(), s.author, bytes.NewReader([]byte("content")), s.upload(7), c.author)
			require.NoError(t, err)
			s.OnOpening = c.opening
			g := s.giving(stored.Record)
			g.Direct = true
			_, err = s.patient.Grant(t.Context(), g)
			requireCode(t, c.code, err)
			require.Contains(t, err.Error(), c.message)
			require.Zero(t, s.Grants())
		})
	}
}
