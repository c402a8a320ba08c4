// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package contract

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hyperledger/fabric-chaincode-go/v2/shim"
	"github.com/hyperledger/fabric-protos-go-apiv2/msp"
	"github.com/hyperledger/fabric-protos-go-apiv2/peer"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/emrys-health/emrys/chaincode/ledger"
	"github.com/emrys-health/emrys/chaincode/ledger/ledgertest"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// rig is the chaincode on a fabric whose organisations are registered.
type rig struct {
	*ledgertest.Consortium
	t      testing.TB
	fabric *fabric
	cc     shim.Chaincode
}

// contract is one for all tests, as a peer has one for all calls: it holds no
// state, and the framework takes a second to compile its schemas.
var contract = sync.OnceValues(func() (shim.Chaincode, error) { return New("test") })

func newRig(t testing.TB) *rig {
	t.Helper()
	cc, err := contract()
	require.NoError(t, err)
	r := &rig{Consortium: ledgertest.NewConsortium(t), t: t, fabric: newFabric(), cc: cc}
	for _, org := range r.Orgs {
		args, err := emr.Canonical(org.Args())
		require.NoError(t, err)
		stub := r.fabric.stub(identity(t, org.Admin), r.Now, ledgerapi.RegisterOrganisation, string(args))
		r.succeeds(stub)
	}
	return r
}

func (r *rig) succeeds(stub *fakeStub) []byte {
	r.t.Helper()
	response := r.cc.Invoke(stub)
	require.Equal(r.t, int32(shim.OK), response.GetStatus(), response.GetMessage())
	require.NoError(r.t, stub.commit())
	return response.GetPayload()
}

func (r *rig) fails(stub *fakeStub) *emr.Error {
	r.t.Helper()
	response := r.cc.Invoke(stub)
	require.GreaterOrEqual(r.t, response.GetStatus(), int32(shim.ERRORTHRESHOLD))
	require.True(r.t, strings.HasPrefix(response.GetMessage(), ledgerapi.EnvelopePrefix), response.GetMessage())
	e, err := ledgerapi.DecodeError(response.GetMessage())
	require.NoError(r.t, err)
	return e
}

// call makes a stub of a hospital's gateway.
func (r *rig) call(function string, args ...string) *fakeStub {
	return r.fabric.stub(identity(r.t, r.Orgs[ledgertest.HospitalA].Gateway), r.Now, function, args...)
}

func (r *rig) signed(actor ledgertest.Member, function string, args any) *fakeStub {
	r.t.Helper()
	stub := r.fabric.stub(identity(r.t, actor.Home().Gateway), r.Now, function)
	stub.transient = map[string][]byte{
		ledgerapi.TransientAction: ledgertest.Raw(r.t, r.Sign(r.t, actor, function, args)),
	}
	return stub
}

func (r *rig) query(function string, q, answer any) {
	r.t.Helper()
	b, err := emr.Canonical(q)
	require.NoError(r.t, err)
	require.NoError(r.t, emr.Decode(r.succeeds(r.call(function, string(b))), answer))
}

// TestAShareThroughTheAdapter runs a share from end to end over the stub, with
// every transaction and every query of the contract.
func TestAShareThroughTheAdapter(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	called := map[string]bool{ledgerapi.RegisterOrganisation: true}
	do := func(actor ledgertest.Member, function string, args any) {
		t.Helper()
		called[function] = true
		r.succeeds(r.signed(actor, function, args))
	}
	ask := func(function string, q, answer any) {
		t.Helper()
		called[function] = true
		r.query(function, q, answer)
	}
	p := r.NewPatient(t, ledgertest.HospitalA)
	do(p, ledgerapi.RegisterPatient, p.Args())
	wish := ledgertest.Wish{Role: string(emr.RolePhysician), Level: string(emr.LevelPrivate)}
	author, reader := r.NewClinician(t, ledgertest.HospitalA, wish), r.NewClinician(t, ledgertest.HospitalB, wish)
	do(author, ledgerapi.RegisterClinician, author.Args())
	do(reader, ledgerapi.RegisterClinician, reader.Args())
	do(author, ledgerapi.ProposeRelationship, ledgerapi.ProposeRelationshipArgs{Patient: p.Handle, Hospital: author.Org.ID})
	do(p, ledgerapi.AnswerRelationship,
		ledgerapi.AnswerRelationshipArgs{Patient: p.Handle, Hospital: author.Org.ID, Accept: true})
	fresh := ledgertest.NewScope(t, emr.LevelPrivate)
	do(p, ledgerapi.PublishScopes, ledgerapi.PublishScopesArgs{Patient: p.Handle, Scopes: []ledgerapi.NewScope{fresh}})

	var patient ledgerapi.PatientView
	ask(ledgerapi.ResolvePatient, ledgerapi.ResolvePatientQuery{Patient: p.ID}, &patient)
	require.Equal(t, p.Handle, patient.Patient.Handle)
	scope := patient.Scopes[0]
	ask(ledgerapi.GetPatient, ledgerapi.HandleQuery{Patient: p.Handle}, &patient)
	require.Equal(t, []emr.Scope{scope}, patient.Scopes)

	m := r.Manifest(t, author, &scope, emr.ClassMedicalImaging)
	do(author, ledgerapi.RegisterRecord, m)
	request := ledgerapi.RequestAccessArgs{
		Request: ledgertest.ID[emr.RequestID](emr.RequestPrefix), Record: m.Record, Purpose: emr.PurposeTreatment,
	}
	do(reader, ledgerapi.RequestAccess, request)
	do(p, ledgerapi.RefuseAccess, ledgerapi.RefuseAccessArgs{Patient: p.Handle, Request: request.Request})
	grant := r.Grant(&scope, reader, m.Record)
	do(p, ledgerapi.GrantAccess, grant)
	read := ledgerapi.DiscloseArgs{
		Disclosure: ledgertest.ID[emr.DisclosureID](emr.DisclosurePrefix), Record: m.Record, Grant: grant.Terms.Grant,
		Purpose: emr.PurposeTreatment,
	}
	do(reader, ledgerapi.Disclose, read)
	open := r.Sign(t, reader, ledgerapi.OpenTicket, ledgerapi.OpenTicketArgs{Disclosure: read.Disclosure})
	var ticket ledgerapi.Ticket
	ask(ledgerapi.CheckTicket, ledgerapi.CheckTicketQuery{Signed: *open}, &ticket)
	require.Equal(t, emr.Permit, ticket.Decision)
	require.Equal(t, grant.Fragments[0], ticket.Fragment)
	do(p, ledgerapi.RevokeAccess, ledgerapi.RevokeAccessArgs{Patient: p.Handle, Grant: grant.Terms.Grant})
	ask(ledgerapi.CheckTicket, ledgerapi.CheckTicketQuery{Signed: *open}, &ticket)
	require.Equal(t, emr.ReasonRevoked, ticket.Reason)
	attempt := r.call(ledgerapi.RecordAttempt)
	attempt.transient = map[string][]byte{ledgerapi.TransientAction: ledgertest.Raw(t, open)}
	called[ledgerapi.RecordAttempt] = true
	r.succeeds(attempt)

	var orgs ledgerapi.OrganisationList
	ask(ledgerapi.GetOrganisations, ledgerapi.Empty{}, &orgs)
	require.Len(t, orgs.Items, 4)
	ask(ledgerapi.GetClinician, ledgerapi.ClinicianQuery{Clinician: reader.ID}, &emr.Clinician{})
	ask(ledgerapi.GetRecord, ledgerapi.RecordQuery{Record: m.Record}, &emr.Record{})
	ask(ledgerapi.GetManifest, ledgerapi.RecordQuery{Record: m.Record}, &ledgerapi.ManifestView{})
	var records ledgerapi.RecordPage
	ask(ledgerapi.SearchRecords, ledgerapi.SearchQuery{Patient: p.Handle}, &records)
	require.Len(t, records.Items, 1)
	var relationships ledgerapi.RelationshipPage
	ask(ledgerapi.ListRelationships, ledgerapi.PageQuery{Patient: p.Handle}, &relationships)
	require.Len(t, relationships.Items, 1)
	var requests ledgerapi.RequestPage
	ask(ledgerapi.ListRequests, ledgerapi.PageQuery{Clinician: reader.ID}, &requests)
	require.Equal(t, emr.RequestRefused, requests.Items[0].Status)
	ask(ledgerapi.GetRequest, ledgerapi.RequestQuery{Request: request.Request}, &emr.Request{})
	var asked ledgerapi.RequestView
	ask(ledgerapi.GetRequestAction, ledgerapi.RequestQuery{Request: request.Request}, &asked)
	require.Equal(t, reader.ID, asked.Request.By)
	require.NotEmpty(t, asked.Signed.Signature)
	var grants ledgerapi.GrantPage
	ask(ledgerapi.ListGrants, ledgerapi.PageQuery{Patient: p.Handle}, &grants)
	require.Equal(t, emr.GrantRevoked, grants.Items[0].Status)
	ask(ledgerapi.GetGrant, ledgerapi.GrantQuery{Grant: grant.Terms.Grant}, &emr.Grant{})
	ask(ledgerapi.GetDisclosure, ledgerapi.DisclosureQuery{Disclosure: read.Disclosure}, &emr.Disclosure{})
	var action ledgerapi.ActionView
	ask(ledgerapi.GetAction, ledgerapi.ActionQuery{Action: open.Digest()}, &action)
	require.True(t, action.Committed)
	var trail ledgerapi.AuditPage
	ask(ledgerapi.AuditByPatient, ledgerapi.PageQuery{Patient: p.Handle, Limit: 3}, &trail)
	require.Len(t, trail.Items, 3)
	require.NotEmpty(t, trail.Bookmark)
	ask(ledgerapi.AuditByRecord, ledgerapi.PageQuery{Record: m.Record}, &trail)
	require.NotEmpty(t, trail.Items)

	emergencyThroughTheAdapter(t, r, p, reader, do, ask)
	called[ledgerapi.SetEmergencyRules] = true
	batchThroughTheAdapter(t, r, reader, m.Record)
	called[ledgerapi.DiscloseBatch] = true
	amendmentThroughTheAdapter(t, r, p, author, m.Record, do, ask)
	called[ledgerapi.HoldRecord] = true
	grantingThroughTheAdapter(t, r, p, author, &scope, m.Record, do, ask)
	erasureThroughTheAdapter(t, r, called, p, author, &scope, do, ask)
	auditThroughTheAdapter(t, r, p, m.Record, read.Disclosure, do, ask)
	called[ledgerapi.SealReadings], called[ledgerapi.SuspendAccounting] = true, true
	shareConsent(t, p, r.NewPatient(t, ledgertest.HospitalB), reader, do, ask)
	r.governs(called, ask)
	for _, function := range functions() {
		if !slices.Contains(lifeFunctions(), function) {
			require.True(t, called[function], function)
		}
	}
	require.Equal(t, []string{
		ledgerapi.EventRecordRegistered, ledgerapi.EventAccessRequested, ledgerapi.EventAccessGranted,
		ledgerapi.EventDisclosed, ledgerapi.EventAccessRevoked,
		// Emergency sessions.
		ledgerapi.EventEmergencyPlan, ledgerapi.EventEmergencyOpened, ledgerapi.EventEmergencyConfirmed,
		ledgerapi.EventEmergencyClosed, ledgerapi.EventEmergencyContested, ledgerapi.EventEmergencyReviewed,
		ledgerapi.EventDisclosedBatch,
		ledgerapi.EventAmendmentAsked, ledgerapi.EventAmendmentAnswered, ledgerapi.EventAmendmentDisputed, ledgerapi.EventRecordHeld,
		// Asking, granting and signing off.
		ledgerapi.EventGrantRule, ledgerapi.EventGrantsGiven, ledgerapi.EventAccessNarrowed, ledgerapi.EventAccessGranted,
		ledgerapi.EventGrantRule, ledgerapi.EventGrantRule, ledgerapi.EventRecordRegistered, ledgerapi.EventSignedOff,
		// Erasure.
		ledgerapi.EventScopeRolled, ledgerapi.EventRecordRegistered, ledgerapi.EventRecordRegistered, ledgerapi.EventIntegrity,
		ledgerapi.EventErasureDenied, ledgerapi.EventAccessRequested, ledgerapi.EventAmendmentAsked, ledgerapi.EventErasureOrdered,
		ledgerapi.EventErasureContinued, ledgerapi.EventErasureConfirmed,
		ledgerapi.EventReadingsSealed, ledgerapi.EventLogInspected,
		// Standing consent, and governance.
		ledgerapi.EventConsentChanged, ledgerapi.EventConsentChanged,
		ledgerapi.EventDelegationChanged, ledgerapi.EventDelegationChanged, ledgerapi.EventProposed, ledgerapi.EventDecided,
	}, r.fabric.events)
	for key, value := range r.fabric.public {
		require.NotContains(t, key+string(value), emr.PatientPrefix)
	}
}

// governs closes the founding, and publishes a release by the votes of three members.
func (r *rig) governs(called map[string]bool, ask func(function string, q, answer any)) {
	r.t.Helper()
	administer := func(org emr.OrgID, function string, args any) {
		argument, err := emr.Canonical(args)
		require.NoError(r.t, err)
		called[function] = true
		r.succeeds(r.fabric.stub(identity(r.t, r.Orgs[org].Admin), r.Now, function, string(argument)))
	}
	release := emr.Release{Product: "portal", Version: "1.0.0", Digest: sha256.Sum256([]byte("bundle"))}
	id := ledgertest.ID[emr.ProposalID](emr.ProposalPrefix)
	administer(ledgertest.HospitalA, ledgerapi.CloseFounding, ledgerapi.Empty{})
	administer(ledgertest.HospitalA, ledgerapi.Propose, ledgerapi.ProposeArgs{
		Proposal: id, Subject: emr.Subject{Kind: emr.ProposeRelease, Release: release}, Expires: r.Now.Add(48 * time.Hour),
	})
	for _, org := range []emr.OrgID{ledgertest.HospitalB, ledgertest.Regulator} {
		administer(org, ledgerapi.CastVote, ledgerapi.CastVoteArgs{Proposal: id, Accept: true})
	}
	var constitution ledgerapi.ConstitutionView
	ask(ledgerapi.GetConstitution, ledgerapi.Empty{}, &constitution)
	require.NotZero(r.t, constitution.Constitution.Founded)
	var proposal emr.Proposal
	ask(ledgerapi.GetProposal, ledgerapi.ProposalQuery{Proposal: id}, &proposal)
	require.Equal(r.t, emr.ProposalAccepted, proposal.Status)
	var page ledgerapi.ProposalPage
	ask(ledgerapi.ListProposals, ledgerapi.ListQuery{}, &page)
	require.Len(r.t, page.Items, 1)
	var published emr.PublishedRelease
	ask(ledgerapi.GetRelease, ledgerapi.ReleaseQuery{Digest: release.Digest}, &published)
	require.Len(r.t, published.Approvals, 3)
}

func functions() []string {
	return slices.Concat(ledgerapi.SignedTransactions(), ledgerapi.OrganisationTransactions(), ledgerapi.Queries())
}

func TestTheContractOffersWhatTheWireNamesAndNothingElse(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	var metadata struct {
		Contracts map[string]struct {
			Transactions []struct{ Name string }
		}
	}
	require.NoError(t, json.Unmarshal(r.succeeds(r.call(getMetadata)), &metadata))
	var offered []string
	for _, transaction := range metadata.Contracts[ledgerapi.ContractName].Transactions {
		offered = append(offered, transaction.Name)
	}
	require.ElementsMatch(t, functions(), offered)
	require.Len(t, metadata.Contracts, 2)
	require.Len(t, metadata.Contracts["org.hyperledger.fabric"].Transactions, 1)
}

func TestAFunctionIsKnownByItsExactNameOnly(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for _, function := range functions() {
		for _, variant := range []string{
			strings.ToLower(function[:1]) + function[1:], strings.ToUpper(function), function + " ", " " + function,
			ledgerapi.ContractName + ":" + function, ":" + function, "x:" + function, function + "\x00",
		} {
			e := r.fails(r.call(variant, "{}"))
			require.Equal(t, emr.CodeUnsupported, e.Code, variant)
		}
	}
	for _, other := range []string{
		"", ":", "GetMetadata", "org.hyperledger.fabric:getMetadata", "org.hyperledger.fabric:", "GetEvaluateTransactions",
		"GetName", "GetInfo", "GetTransactionContextHandler", "Init", "Invoke", ledgerapi.OpenTicket,
	} {
		require.Equal(t, emr.CodeUnsupported, r.fails(r.call(other)).Code, other)
	}
}

func TestTheNumberOfArgumentsIsExact(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for _, function := range append(functions(), getMetadata) {
		want, known := arity(function)
		require.True(t, known)
		for n := range 4 {
			if n != want {
				e := r.fails(r.call(function, slices.Repeat([]string{"{}"}, n)...))
				require.Equal(t, emr.CodeInvalid, e.Code, "%s with %d", function, n)
				require.Contains(t, e.Message, "exactly")
			}
		}
	}
}

func TestArgumentsAreDecodedStrictly(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	id := string(ledgertest.ID[emr.RecordID](emr.RecordPrefix))
	for name, argument := range map[string]string{
		"empty":            ``,
		"not JSON":         `{`,
		"unknown field":    `{"record":"` + id + `","more":1}`,
		"wrong type":       `{"record":1}`,
		"a list":           `[]`,
		"two documents":    `{"record":"` + id + `"}{}`,
		"trailing text":    `{"record":"` + id + `"} x`,
		"deeply nested":    strings.Repeat(`{"record":`, 20000),
		"not an id":        `{"record":"rec_1"}`,
		"another kind":     `{"record":"` + strings.Replace(id, "rec_", "pat_", 1) + `"}`,
		"a null":           `null`,
		"not valid UTF-8":  "{\"record\":\"\xff\"}",
		"a separator":      `{"record":"rec_\u0000"}`,
		"a number too big": `{"record":1e999}`,
	} {
		require.Equal(t, emr.CodeInvalid, r.fails(r.call(ledgerapi.GetRecord, argument)).Code, name)
	}
	e := r.fails(r.call(ledgerapi.GetRecord, `{"record":"`+strings.Repeat("x", maxArgument)+`"}`))
	require.Equal(t, emr.CodeTooLarge, e.Code)
	e = r.fails(r.call(ledgerapi.GetRecord, `{"record":"`+id+`"}`))
	require.Equal(t, emr.CodeNotFound, e.Code)
	require.Equal(t, ledgerapi.GetRecord, e.Op)
}

func TestTheTransientFieldIsReadStrictly(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for name, c := range map[string]struct {
		transient map[string][]byte
		code      emr.Code
	}{
		"absent":        {nil, emr.CodeInvalid},
		"another field": {map[string][]byte{"x": []byte("{}")}, emr.CodeInvalid},
		"two fields":    {map[string][]byte{"x": nil, ledgerapi.TransientAction: []byte("{}")}, emr.CodeInvalid},
		"not JSON":      {map[string][]byte{ledgerapi.TransientAction: []byte("{")}, emr.CodeInvalid},
		"unknown field": {map[string][]byte{ledgerapi.TransientAction: []byte(`{"kind":"p256","x":1}`)}, emr.CodeInvalid},
		"too large": {
			map[string][]byte{ledgerapi.TransientAction: make([]byte, ledger.MaxSignedAction+1)}, emr.CodeTooLarge,
		},
	} {
		for _, function := range append(ledgerapi.SignedTransactions(), ledgerapi.RecordAttempt) {
			stub := r.call(function)
			stub.transient = c.transient
			require.Equal(t, c.code, r.fails(stub).Code, "%s: %s", function, name)
			require.Empty(t, stub.writes)
		}
	}
}

func TestACreatorThatCannotBeReadIsRefusedAndHarmsNobody(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	serialised := func(mspID, cert string) []byte {
		b, err := proto.Marshal(&msp.SerializedIdentity{Mspid: mspID, IdBytes: []byte(cert)})
		require.NoError(t, err)
		return b
	}
	pem := ledgertest.PEM(r.Orgs[ledgertest.HospitalA].Gateway.Certificate)
	for name, creator := range map[string][]byte{
		"nil":                    nil,
		"empty":                  {},
		"not protobuf":           []byte("\xff\xff\xff"),
		"no certificate":         serialised("HospitalAMSP", ""),
		"not PEM":                serialised("HospitalAMSP", "certificate"),
		"PEM of something else":  serialised("HospitalAMSP", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
		"empty MSP id":           serialised("", pem),
		"MSP id with separators": serialised("a\x00b", pem),
		"MSP id too long":        serialised(strings.Repeat("a", 65), pem),
	} {
		for _, function := range functions() {
			n, _ := arity(function)
			stub := r.fabric.stub(creator, r.Now, function, slices.Repeat([]string{"{}"}, n)...)
			stub.transient = map[string][]byte{ledgerapi.TransientAction: []byte("{}")}
			response := r.cc.Invoke(stub)
			if slices.Contains(ledgerapi.Queries(), function) && strings.Contains(name, "MSP id") {
				continue // a query that needs no gateway takes whatever the peers took
			}
			require.GreaterOrEqual(t, response.GetStatus(), int32(shim.ERRORTHRESHOLD), "%s: %s", function, name)
			e, err := ledgerapi.DecodeError(response.GetMessage())
			require.NoError(t, err)
			require.Equal(t, emr.CodeUnauthenticated, e.Code, "%s: %s", function, name)
		}
	}
}

// panicking is a chaincode that fails in every way there is.
type panicking struct{ response *peer.Response }

func (p panicking) Init(shim.ChaincodeStubInterface) *peer.Response { panic("init") }
func (p panicking) Invoke(shim.ChaincodeStubInterface) *peer.Response {
	if p.response == nil {
		panic("secret of a patient")
	}
	return p.response
}

func TestAPanicBecomesAConstantError(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.cc = &guard{next: panicking{}}
	first := r.fails(r.call(ledgerapi.GetRecord, "{}"))
	require.Equal(t, &emr.Error{Code: emr.CodeInternal, Message: emr.InternalMessage}, first)
	require.Equal(t, int32(shim.OK), r.cc.Init(r.call("")).GetStatus(), "init reaches nothing")
}

func TestAStubThatPanicsIsContained(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	stub := r.call(ledgerapi.GetRecord, "{}")
	stub.fabric = nil // every read dereferences it
	stub.args = []string{`{"record":"` + string(ledgertest.ID[emr.RecordID](emr.RecordPrefix)) + `"}`}
	require.Equal(t, emr.CodeInternal, r.fails(stub).Code)
}

func TestAFrameworkErrorIsReducedToAnEnvelope(t *testing.T) {
	t.Parallel()
	inner := ledgerapi.EncodeError(emr.Invalid("x", "y"))
	for name, c := range map[string]struct {
		response *peer.Response
		want     *emr.Error
	}{
		"text without envelope": {shim.Error("Function SECRET not found"), &emr.Error{Code: emr.CodeInternal, Message: emr.InternalMessage}},
		"envelope inside":       {shim.Error("error managing parameter. " + inner), emr.Invalid("x", "y")},
	} {
		r := newRig(t)
		r.cc = &guard{next: panicking{c.response}}
		require.Equal(t, c.want, r.fails(r.call(ledgerapi.GetRecord, "{}")), name)
	}
	require.Equal(t, int32(shim.ERROR), normalise(nil).GetStatus())
}

func TestTheCauseOfAnErrorDoesNotCrossTheLedger(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	stub := r.call(ledgerapi.GetOrganisations, "{}")
	stub.failState = errors.New("disk of peer0 at 10.0.0.1")
	e := r.fails(stub)
	require.Equal(t, emr.CodeInternal, e.Code)
	require.NotContains(t, r.cc.Invoke(stub).GetMessage(), "10.0.0.1")
}

func TestATransactionWithoutATimeIsRefused(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	stub := r.call(ledgerapi.GetOrganisations, "{}")
	stub.at = nil
	require.Equal(t, emr.CodeInternal, r.fails(stub).Code)
}

func TestNoTransactionScans(t *testing.T) {
	t.Parallel()
	_, scans := any((*submission)(nil)).(interface {
		Scan(ledgerapi.Key, *ledgerapi.Key, int) ([]ledger.Entry, *ledgerapi.Key, error)
	})
	require.False(t, scans)
	_, writes := any((*view)(nil)).(interface {
		Put(ledgerapi.Key, []byte) error
	})
	require.False(t, writes)
	for i := range reflect.TypeFor[ledger.State]().NumMethod() {
		require.NotContains(t, strings.ToLower(reflect.TypeFor[ledger.State]().Method(i).Name), "scan")
	}
}

func FuzzInvoke(f *testing.F) {
	f.Add(ledgerapi.GetRecord, `{"record":"rec_00000000000000000000000000000000"}`, []byte(nil))
	f.Add(ledgerapi.Disclose, ``, []byte(`{"kind":"p256","body":"","signature":""}`))
	f.Add(ledgerapi.CheckTicket, `{"signed":{"kind":"p256","body":"e30=","signature":""}}`, []byte(nil))
	f.Add("getRecord", `{}`, []byte{})
	f.Add(ledgerapi.AuditByPatient, `{"patient":"hnd_00000000000000000000000000000000","bookmark":"YS9i"}`, []byte{})
	r := newRig(f)
	f.Fuzz(func(t *testing.T, function, argument string, transient []byte) {
		r.t = t
		stub := r.call(function)
		if n, _ := arity(function); n == 1 {
			stub.args = []string{argument}
		}
		stub.transient = map[string][]byte{ledgerapi.TransientAction: transient}
		response := r.cc.Invoke(stub)
		if response.GetStatus() == shim.OK {
			require.Empty(t, stub.writes, "a stranger's octets wrote something")
			return
		}
		_, err := ledgerapi.DecodeError(response.GetMessage())
		require.NoError(t, err)
	})
}
