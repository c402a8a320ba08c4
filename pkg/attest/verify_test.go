// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package attest_test

import (
	"bytes"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hyperledger/fabric-protos-go-apiv2/common"
	"github.com/hyperledger/fabric-protos-go-apiv2/ledger/rwset/kvrwset"
	"github.com/hyperledger/fabric-protos-go-apiv2/peer"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/emrys-health/emrys/pkg/attest"
	"github.com/emrys-health/emrys/pkg/attest/attesttest"
	"github.com/emrys-health/emrys/pkg/emr"
)

func TestAnAnswerThatTwoOrganisationsEndorsedIsTheAnswer(t *testing.T) {
	t.Parallel()
	c := newConsortium(t)
	cases := map[string]func(*draft, *attest.Question, *attest.Policy){
		"of two organisations": func(*draft, *attest.Question, *attest.Policy) {},
		"of three organisations": func(d *draft, _ *attest.Question, _ *attest.Policy) {
			d.endorsers = append(d.endorsers, c.peers[regulator][0])
		},
		"of three, all required": func(d *draft, _ *attest.Question, p *attest.Policy) {
			d.endorsers, p.Quorum = append(d.endorsers, c.peers[regulator][0]), 3
		},
		"of two beside an excluded one": func(d *draft, _ *attest.Question, p *attest.Policy) {
			d.endorsers, p.Exclude = append(d.endorsers, c.peers[regulator][0]), []emr.OrgID{hospA}
		},
		"of two beside a stranger": func(d *draft, _ *attest.Question, _ *attest.Policy) {
			d.endorsers = append(d.endorsers, c.enrol(t, "XMSP", hospA, "peer"))
		},
		"of two beside a bad signature": func(d *draft, _ *attest.Question, _ *attest.Policy) {
			d.endorsers = append([]*endorser{{ID: c.peers[regulator][0].ID, Key: c.peers[hospA][0].Key}}, d.endorsers...)
		},
		"at the oldest that is accepted": func(d *draft, _ *attest.Question, p *attest.Policy) {
			d.channel.Timestamp = timestamppb.New(c.now.Add(-p.MaxAge))
		},
		"at the newest that is accepted": func(d *draft, _ *attest.Question, p *attest.Policy) {
			d.channel.Timestamp = timestamppb.New(c.now.Add(p.MaxAge))
		},
		"to the challenge":                func(d *draft, q *attest.Question, _ *attest.Policy) { q.Challenge = d.signature.GetNonce() },
		"asked by a client that tells Go": func(d *draft, _ *attest.Question, _ *attest.Policy) { d.spec.Type = peer.ChaincodeSpec_GOLANG },
		"by peers with an OU of the site": func(d *draft, _ *attest.Question, _ *attest.Policy) {
			d.endorsers[0] = c.enrol(t, hospA, hospA, "site-7", "peer")
		},
		"from an empty state": func(d *draft, _ *attest.Question, _ *attest.Policy) {
			d.public, d.private = &kvrwset.KVRWSet{}, &kvrwset.HashedRWSet{}
		},
		"while an authority is renewed": func(_ *draft, _ *attest.Question, p *attest.Policy) {
			p.Roots[hospA] = pemOf(attesttest.NewAuthority(t, hospA, c.now).Cert) + "\n" + p.Roots[hospA]
		},
	}
	for name, change := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d, q, p := c.draft(), question(), c.policy()
			change(d, &q, &p)
			got, err := d.build(t).Verify(q, p, c.now)
			require.NoError(t, err)
			require.Equal(t, answer, string(got))
		})
	}
}

type refusal struct {
	before func(*draft)
	after  func(*attest.Attestation)
	want   string // a part of the message
}

func requireRefusals(t *testing.T, c *consortium, cases map[string]refusal) {
	t.Helper()
	for name, r := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := c.draft()
			if r.before != nil {
				r.before(d)
			}
			a := d.build(t)
			if r.after != nil {
				r.after(a)
			}
			requireCorrupt(t, a, question(), c.policy(), c.now, r.want)
		})
	}
}

func requireCorrupt(t *testing.T, a *attest.Attestation, q attest.Question, p attest.Policy, now time.Time, want string) {
	t.Helper()
	got, err := a.Verify(q, p, now)
	require.Nil(t, got)
	require.Equal(t, emr.CodeCorrupt, emr.CodeOf(err), "%v", err)
	require.Contains(t, emr.Public(err).Message, want)
}

func TestTheAnswerToAnotherQuestionIsRefused(t *testing.T) {
	t.Parallel()
	c := newConsortium(t)
	requireRefusals(t, c, map[string]refusal{
		"another channel":             {before: func(d *draft) { d.channel.ChannelId = "other" }, want: "another channel"},
		"no channel":                  {before: func(d *draft) { d.channel.ChannelId = "" }, want: "another channel"},
		"another chaincode":           {before: func(d *draft) { d.extension.ChaincodeId.Name = "other" }, want: "for another chaincode"},
		"no chaincode":                {before: func(d *draft) { d.extension.ChaincodeId = nil }, want: "for another chaincode"},
		"a version of the chaincode":  {before: func(d *draft) { d.extension.ChaincodeId.Version = "2" }, want: "for another chaincode"},
		"invocation of another":       {before: func(d *draft) { d.spec.ChaincodeId.Name = "other" }, want: "invocation is of another chaincode"},
		"another function":            {before: func(d *draft) { d.spec.Input.Args[0] = []byte("GetPatient") }, want: "another function"},
		"the function, spelt in full": {before: func(d *draft) { d.spec.Input.Args[0] = []byte("emrys:" + function) }, want: "another function"},
		"another argument":            {before: func(d *draft) { d.spec.Input.Args[1] = []byte(`{"clinician":"d"}`) }, want: "another argument"},
		"argument spelt differently":  {before: func(d *draft) { d.spec.Input.Args[1] = []byte(`{ "clinician":"c"}`) }, want: "another argument"},
		"one argument too many":       {before: func(d *draft) { d.spec.Input.Args = append(d.spec.Input.Args, nil) }, want: "number of arguments"},
		"no argument":                 {before: func(d *draft) { d.spec.Input.Args = d.spec.Input.Args[:1] }, want: "number of arguments"},
		"no input":                    {before: func(d *draft) { d.spec.Input = nil }, want: "number of arguments"},
		"initialisation":              {before: func(d *draft) { d.spec.Input.IsInit = true }, want: "not a plain one"},
		"decorations":                 {before: func(d *draft) { d.spec.Input.Decorations = map[string][]byte{"a": nil} }, want: "not a plain one"},
		"transient data":              {before: func(d *draft) { d.transient = map[string][]byte{"a": []byte("b")} }, want: "transient"},
		"a configuration":             {before: func(d *draft) { d.channel.Type = int32(common.HeaderType_CONFIG) }, want: "not that of a transaction"},
		"another epoch":               {before: func(d *draft) { d.channel.Epoch = 1 }, want: "another epoch"},
		"another transaction id":      {before: func(d *draft) { d.txID = strings.Repeat("0", 64) }, want: "transaction id"},
		"no creator":                  {before: func(d *draft) { d.signature.Creator = nil }, want: "no creator"},
		"no nonce":                    {before: func(d *draft) { d.signature.Nonce = nil }, want: "no nonce"},
	})
}

func TestAnAnswerOfAnotherTimeIsRefused(t *testing.T) {
	t.Parallel()
	c := newConsortium(t)
	at := func(d time.Duration) func(*draft) {
		return func(draft *draft) { draft.channel.Timestamp = timestamppb.New(c.now.Add(d)) }
	}
	requireRefusals(t, c, map[string]refusal{
		"stale":                {before: at(-time.Minute - 1), want: "too old"},
		"from the future":      {before: at(time.Minute + 1), want: "future"},
		"without a time":       {before: func(d *draft) { d.channel.Timestamp = nil }, want: "no valid time"},
		"with an invalid time": {before: func(d *draft) { d.channel.Timestamp.Nanos = -1 }, want: "no valid time"},
	})
	t.Run("replayed to a new challenge", func(t *testing.T) {
		t.Parallel()
		q := question()
		q.Challenge = []byte("another nonce")
		requireCorrupt(t, c.draft().build(t), q, c.policy(), c.now, "another challenge")
	})
}

func TestAResponseThatIsNotAQuerysIsRefused(t *testing.T) {
	t.Parallel()
	c := newConsortium(t)
	requireRefusals(t, c, map[string]refusal{
		"wrong proposal hash":       {before: func(d *draft) { h := sha256.Sum256(nil); d.hash = h[:] }, want: "another proposal"},
		"empty proposal hash":       {before: func(d *draft) { d.hash = []byte{} }, want: "another proposal"},
		"status 500":                {before: func(d *draft) { d.action.Response.Status = 500 }, want: "not that of a success"},
		"status 201":                {before: func(d *draft) { d.action.Response.Status = 201 }, want: "not that of a success"},
		"no response":               {before: func(d *draft) { d.action.Response = nil }, want: "not that of a success"},
		"no answer":                 {before: func(d *draft) { d.action.Response.Payload = nil }, want: "no answer"},
		"response of another":       {before: func(d *draft) { d.action.ChaincodeId.Name = "other" }, want: "response is of another chaincode"},
		"response of nobody":        {before: func(d *draft) { d.action.ChaincodeId = nil }, want: "response is of another chaincode"},
		"an event":                  {before: func(d *draft) { d.action.Events = []byte{1} }, want: "event"},
		"a write":                   {before: func(d *draft) { d.public.Writes = []*kvrwset.KVWrite{{Key: "k"}} }, want: "response writes"},
		"a write of metadata":       {before: func(d *draft) { d.public.MetadataWrites = []*kvrwset.KVMetadataWrite{{Key: "k"}} }, want: "response writes"},
		"a private write":           {before: func(d *draft) { d.private.HashedWrites = []*kvrwset.KVWriteHash{{IsPurge: true}} }, want: "writes private data"},
		"a private metadata write":  {before: func(d *draft) { d.private.MetadataWrites = []*kvrwset.KVMetadataWriteHash{{}} }, want: "writes private data"},
		"an unknown kind of state":  {before: func(d *draft) { d.model = 1 }, want: "unknown kind"},
		"a read-write set of noise": {before: func(d *draft) { d.action.Results = []byte{0xff} }, want: "read-write set cannot be read"},
	})
}

func TestWhatWasAlteredAfterEndorsementIsRefused(t *testing.T) {
	t.Parallel()
	c := newConsortium(t)
	alter := func(old, new string) func(*attest.Attestation) {
		return func(a *attest.Attestation) { a.Response = bytes.Replace(a.Response, []byte(old), []byte(new), 1) }
	}
	requireRefusals(t, c, map[string]refusal{
		"altered answer":         {after: alter("the right key", "the wrong key"), want: "signature does not verify"},
		"altered read-write set": {after: alter("clinician", "clinicias"), want: "signature does not verify"},
		"altered question": {after: func(a *attest.Attestation) {
			a.Proposal = bytes.Replace(a.Proposal, []byte(channel), []byte("emrus"), 1)
		}, want: "another channel"},
		"altered creator": {after: func(a *attest.Attestation) {
			a.Proposal = bytes.Replace(a.Proposal, []byte("the gateway"), []byte("a gateway!!"), 1)
		}, want: "transaction id"},
		"signatures swapped": {after: func(a *attest.Attestation) {
			e := a.Endorsements
			e[0].Signature, e[1].Signature = e[1].Signature, e[0].Signature
		}, want: "signature does not verify"},
		"empty":             {after: func(a *attest.Attestation) { *a = attest.Attestation{} }, want: "empty"},
		"no endorsement":    {after: func(a *attest.Attestation) { a.Endorsements = nil }, want: "by 0 organisations"},
		"empty endorsement": {after: func(a *attest.Attestation) { a.Endorsements[0] = attest.Endorsement{} }, want: "by 1 organisations"},
		"too many endorsements": {after: func(a *attest.Attestation) {
			a.Endorsements = slices.Repeat(a.Endorsements, 33)
		}, want: "too large"},
		"too large":             {after: func(a *attest.Attestation) { a.Response = make([]byte, 8<<20+1) }, want: "too large"},
		"large endorser":        {after: func(a *attest.Attestation) { a.Endorsements[0].Endorser = make([]byte, 1<<20) }, want: "endorsement is too large"},
		"trailing signature":    {after: func(a *attest.Attestation) { e := &a.Endorsements[0]; e.Signature = append(e.Signature, 0) }, want: "cannot be read"},
		"signature of nothing":  {after: func(a *attest.Attestation) { a.Endorsements[0].Signature = nil }, want: "cannot be read"},
		"signature of zeroes":   {after: func(a *attest.Attestation) { a.Endorsements[0].Signature = []byte{0x30, 6, 2, 1, 0, 2, 1, 0} }, want: "does not verify"},
		"negative signature":    {after: func(a *attest.Attestation) { a.Endorsements[0].Signature = []byte{0x30, 6, 2, 1, 0xff, 2, 1, 0xff} }, want: "does not verify"},
		"trailing in proposal":  {after: func(a *attest.Attestation) { a.Proposal = append(a.Proposal, 0) }, want: "proposal cannot be read"},
		"unknown in proposal":   {after: func(a *attest.Attestation) { a.Proposal = append(a.Proposal, 0x78, 1) }, want: "canonical"},
		"extension of proposal": {after: func(a *attest.Attestation) { a.Proposal = append(a.Proposal, 0x1a, 1, 'x') }, want: "extension"},
		"trailing in response":  {after: func(a *attest.Attestation) { a.Response = append(a.Response, 0) }, want: "response cannot be read"},
	})
	t.Run("nothing at all", func(t *testing.T) {
		t.Parallel()
		requireCorrupt(t, nil, question(), c.policy(), c.now, "empty")
	})
}

// Encodings that peers would endorse, because Fabric ignores unknown and
// repeated fields, and that could be read in more than one way.
func TestAnAmbiguousEncodingIsRefusedAlthoughItIsEndorsed(t *testing.T) {
	t.Parallel()
	c := newConsortium(t)
	again := []byte{0x22, 5, 'o', 't', 'h', 'e', 'r'} // the channel's name, a second time
	requireRefusals(t, c, map[string]refusal{
		"unknown field in the channel header":   {before: func(d *draft) { d.tail.channel = []byte{0x78, 1} }, want: "channel header is not in its canonical"},
		"second channel in the channel header":  {before: func(d *draft) { d.tail.channel = again }, want: "channel header is not in its canonical"},
		"unknown field in the signature header": {before: func(d *draft) { d.tail.signature = []byte{0x78, 1} }, want: "signature header is not in its canonical"},
		"unknown field in the payload":          {before: func(d *draft) { d.tail.payload = []byte{0x78, 1} }, want: "payload of the proposal is not in its canonical"},
		"unknown field in the response":         {before: func(d *draft) { d.tail.response = []byte{0x78, 1} }, want: "response is not in its canonical"},
		"unknown field in the action":           {before: func(d *draft) { d.tail.action = []byte{0x78, 1} }, want: "action of the response is not in its canonical"},
	})
	t.Run("headers cut elsewhere to hide that another channel was asked", func(t *testing.T) {
		t.Parallel()
		d := c.draft()
		d.tail.channel = again // peers read the last one: they are asked on the channel "other"
		a := d.build(t)
		proposal, header := &peer.Proposal{}, &common.Header{}
		require.NoError(t, proto.Unmarshal(a.Proposal, proposal))
		require.NoError(t, proto.Unmarshal(proposal.GetHeader(), header))
		header.ChannelHeader = bytes.TrimSuffix(header.GetChannelHeader(), again)
		header.SignatureHeader = append(again, header.GetSignatureHeader()...)
		proposal.Header = encode(t, header)
		a.Proposal = encode(t, proposal)
		requireCorrupt(t, a, question(), c.policy(), c.now, "signature header is not in its canonical encoding")
	})
}

func TestAnEndorserThatIsNotAPeerOfItsOrganisationDoesNotCount(t *testing.T) {
	t.Parallel()
	c := newConsortium(t)
	second := func(make func() *endorser) func(*draft) { return func(d *draft) { d.endorsers[1] = make() } }
	issued := func(change func(*x509.Certificate)) func(*draft) {
		return second(func() *endorser { return c.enrolWith(t, hospB, c.cas[hospB], elliptic.P256(), change, "peer") })
	}
	raw := func(cert []byte) func(*draft) {
		return second(func() *endorser { return &endorser{ID: identity(t, hospB, cert), Key: c.peers[hospB][0].Key} })
	}
	const chain = "does not chain"
	requireRefusals(t, c, map[string]refusal{
		"one organisation only":         {before: func(d *draft) { d.endorsers = d.endorsers[:1] }, want: "by 1 organisations and 2 are required"},
		"two peers of one organisation": {before: second(func() *endorser { return c.peers[hospA][1] }), want: "by 1 organisations and 2 are required"},
		"one peer twice":                {before: second(func() *endorser { return c.peers[hospA][0] }), want: "by 1 organisations and 2 are required"},
		"organisation without roots":    {before: second(func() *endorser { return c.enrol(t, "XMSP", hospB, "peer") }), want: "does not count"},
		"organisation of no name":       {before: second(func() *endorser { return c.enrol(t, "", hospB, "peer") }), want: "does not count"},
		"unknown authority": {before: second(func() *endorser {
			return c.enrolWith(t, hospB, attesttest.NewAuthority(t, hospB, c.now), elliptic.P256(), nil, "peer")
		}), want: chain},
		"authority of another organisation": {before: second(func() *endorser { return c.enrol(t, hospB, hospA, "peer") }), want: chain},
		"client":                            {before: second(func() *endorser { return c.enrol(t, hospB, hospB, "client") }), want: "not a peer"},
		"admin":                             {before: second(func() *endorser { return c.enrol(t, hospB, hospB, "admin") }), want: "not a peer"},
		"orderer":                           {before: second(func() *endorser { return c.enrol(t, hospB, hospB, "orderer") }), want: "not a peer"},
		"peer and client":                   {before: second(func() *endorser { return c.enrol(t, hospB, hospB, "peer", "client") }), want: "not a peer"},
		"no role":                           {before: second(func() *endorser { return c.enrol(t, hospB, hospB) }), want: "not a peer"},
		"role in other letters":             {before: second(func() *endorser { return c.enrol(t, hospB, hospB, "Peer") }), want: "not a peer"},
		"authority itself":                  {before: second(func() *endorser { return c.authorityAsPeer(t, hospB) }), want: "certificate authority"},
		"key of another curve":              {before: second(func() *endorser { return c.enrolWith(t, hospB, c.cas[hospB], elliptic.P384(), nil, "peer") }), want: "P-256"},
		"high S":                            {before: second(func() *endorser { e := *c.peers[hospB][0]; e.High = true; return &e }), want: "high S"},
		"somebody else's key":               {before: second(func() *endorser { e := *c.peers[hospB][0]; e.Key = c.peers[hospA][0].Key; return &e }), want: "signature does not verify"},
		"expired":                           {before: issued(func(x *x509.Certificate) { x.NotAfter = c.now.Add(-time.Second) }), want: chain},
		"not valid yet":                     {before: issued(func(x *x509.Certificate) { x.NotBefore = c.now.Add(time.Second) }), want: chain},
		"no certificate":                    {before: raw(nil), want: "not one PEM certificate"},
		"certificate of noise":              {before: raw(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte{1}})), want: "certificate cannot be read"},
		"key for a certificate":             {before: raw(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: []byte{1}})), want: "not one PEM certificate"},
		"two certificates":                  {before: raw([]byte(strings.Repeat(pemOf(c.cas[hospB].Cert), 2))), want: "not one PEM certificate"},
		"identity with an unknown field":    {before: second(func() *endorser { e := *c.peers[hospB][0]; e.ID = append(bytes.Clone(e.ID), 0x78, 1); return &e }), want: "endorser is not in its canonical"},
		"identity of noise":                 {before: second(func() *endorser { e := *c.peers[hospB][0]; e.ID = []byte{0xff}; return &e }), want: "endorser cannot be read"},
	})
	t.Run("excluded organisation", func(t *testing.T) {
		t.Parallel()
		p := c.policy()
		p.Exclude = []emr.OrgID{hospB}
		requireCorrupt(t, c.draft().build(t), question(), p, c.now, "does not count")
	})
	t.Run("quorum of three", func(t *testing.T) {
		t.Parallel()
		p := c.policy()
		p.Quorum = 3
		requireCorrupt(t, c.draft().build(t), question(), p, c.now, "by 2 organisations and 3 are required")
	})
	t.Run("issued below an intermediate that is not pinned", func(t *testing.T) {
		t.Parallel()
		below := &authority{Key: newKey(t, elliptic.P256())}
		below.Cert = c.certificate(t, c.cas[hospB], below.Key, func(x *x509.Certificate) {
			x.IsCA, x.BasicConstraintsValid, x.KeyUsage = true, true, x509.KeyUsageCertSign
		})
		d := c.draft()
		d.endorsers[1] = c.enrolWith(t, hospB, below, elliptic.P256(), nil, "peer")
		requireCorrupt(t, d.build(t), question(), c.policy(), c.now, chain)
	})
}

// authorityAsPeer makes a certificate authority that has a peer's unit and is pinned itself.
func (c *consortium) authorityAsPeer(t testing.TB, org emr.OrgID) *endorser {
	t.Helper()
	ca := c.cas[org]
	e := c.enrolWith(t, org, ca, elliptic.P256(), func(x *x509.Certificate) {
		x.IsCA, x.BasicConstraintsValid, x.KeyUsage = true, true, x509.KeyUsageCertSign|x509.KeyUsageDigitalSignature
	}, "peer")
	return e
}

func TestEveryByteOfAnAttestationMatters(t *testing.T) {
	t.Parallel()
	c := newConsortium(t)
	a := c.draft().build(t)
	for _, part := range []*[]byte{&a.Proposal, &a.Response, &a.Endorsements[0].Endorser, &a.Endorsements[1].Signature} {
		whole := *part
		for i := range whole {
			*part = bytes.Clone(whole)
			(*part)[i] ^= 0x01
			_, err := a.Verify(question(), c.policy(), c.now)
			require.Equal(t, emr.CodeCorrupt, emr.CodeOf(err), "byte %d", i)
		}
		for n := range whole {
			*part = whole[:n]
			_, err := a.Verify(question(), c.policy(), c.now)
			require.Equal(t, emr.CodeCorrupt, emr.CodeOf(err), "length %d", n)
		}
		*part = whole
	}
	_, err := a.Verify(question(), c.policy(), c.now)
	require.NoError(t, err)
}

func TestTheAnswerIsTheCallersToKeep(t *testing.T) {
	t.Parallel()
	c := newConsortium(t)
	a := c.draft().build(t)
	got, err := a.Verify(question(), c.policy(), c.now)
	require.NoError(t, err)
	clear(got)
	got, err = a.Verify(question(), c.policy(), c.now)
	require.NoError(t, err)
	require.Equal(t, answer, string(got))
}

func TestAnAttestationTravelsAsJSON(t *testing.T) {
	t.Parallel()
	c := newConsortium(t)
	text, err := json.Marshal(c.draft().build(t))
	require.NoError(t, err)
	var a attest.Attestation
	require.NoError(t, emr.DecodeCanonical(text, &a))
	_, err = a.Verify(question(), c.policy(), c.now)
	require.NoError(t, err)

	text, err = json.Marshal(c.roots())
	require.NoError(t, err)
	var roots attest.Roots
	require.NoError(t, emr.DecodeCanonical(text, &roots))
	require.Equal(t, c.roots(), roots)
}
