// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledgertest

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/chaincode/ledger"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
	"github.com/emrys-health/emrys/pkg/manifest"
	"github.com/emrys-health/emrys/pkg/pre"
)

// Channel is the channel of a test consortium.
const Channel = "emrys"

// Names of the organisations of a test consortium.
const (
	HospitalA = emr.OrgID("HospitalAMSP")
	HospitalB = emr.OrgID("HospitalBMSP")
	HospitalC = emr.OrgID("HospitalCMSP")
	Regulator = emr.OrgID("RegulatorMSP")
)

// Consortium is three hospitals and a regulator on one ledger, with a clock that
// a test moves.
type Consortium struct {
	*World
	Now  emr.Time
	Orgs map[emr.OrgID]*Org
	seq  int
	// Check, when set, is called with every transaction before its commit, and with
	// what it was: a test looks at its effects or runs it again.
	Check func(tx *Tx, function string, raw []byte, answer any, err error)
}

// NewConsortium returns a consortium with its organisations registered.
func NewConsortium(t testing.TB) *Consortium {
	t.Helper()
	start := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	c := &Consortium{World: NewWorld(Channel), Now: emr.TimeOf(start), Orgs: map[emr.OrgID]*Org{}}
	from, until := start.AddDate(-1, 0, 0), start.AddDate(10, 0, 0)
	for _, id := range []emr.OrgID{HospitalC, HospitalA, Regulator, HospitalB} {
		kind := emr.KindHospital
		if id == Regulator {
			kind = emr.KindRegulator
		}
		c.Orgs[id] = NewOrg(t, id, kind, from, until)
		_, err := c.RegisterOrg(c.Orgs[id].Admin, c.Orgs[id].Args())
		require.NoError(t, err)
	}
	return c
}

// Args are the arguments by which an organisation registers.
func (o *Org) Args() ledgerapi.RegisterOrganisationArgs {
	args := ledgerapi.RegisterOrganisationArgs{
		Name: "The " + string(o.ID), Kind: o.Kind, CACert: PEM(o.CA.Certificate),
		GatewayURL: "https://" + strings.ToLower(string(o.ID)) + ".example:8443", IPFS: []string{},
		Keys: emr.OrgKeys{
			Proxy: o.Proxy.Public().Bytes(), Record: o.Record.Public().Bytes(), Receipt: o.Receipt.Public().Bytes(),
		},
	}
	if o.Kind == emr.KindHospital {
		args.IPFS = []string{"/ip4/127.0.0.1/tcp/4001/p2p/12D3KooWGzBCmFe7vdj5yH1Wd9E5aSiB2z2VhSgn6uYCVfFv3HDe"}
	}
	return args
}

// Facts are those of the next transaction of a caller.
func (c *Consortium) Facts(caller *ledger.Caller) Facts {
	c.seq++
	return Facts{Caller: caller, At: c.Now, TxID: fmt.Sprintf("%064x", c.seq)}
}

// Wait moves the clock.
func (c *Consortium) Wait(d time.Duration) { c.Now = c.Now.Add(d) }

// RegisterOrg runs and commits RegisterOrganisation.
func (c *Consortium) RegisterOrg(caller *ledger.Caller, args ledgerapi.RegisterOrganisationArgs) (*ledgerapi.Receipt, error) {
	return Order(c, caller, ledger.RegisterOrganisation, args)
}

// Order runs and commits a transaction of an organisation.
func Order[A any](
	c *Consortium, caller *ledger.Caller, rule func(ledger.State, A) (*ledgerapi.Receipt, error), args A,
) (*ledgerapi.Receipt, error) {
	tx := c.Begin(c.Facts(caller))
	answer, err := rule(tx, args)
	if err != nil {
		return nil, err
	}
	return answer, tx.Commit()
}

// Actor is somebody who signs: an id and the key.
type Actor interface {
	ActorID() string
	ActorKey() *pre.PrivateKey
}

// Action returns an action of the actor as it stands before it is signed.
func (c *Consortium) Action(t testing.TB, actor Actor, function string, args any) *emr.Action {
	t.Helper()
	b, err := emr.Canonical(args)
	require.NoError(t, err)
	nonce := make([]byte, 16)
	_, err = rand.Read(nonce)
	require.NoError(t, err)
	return &emr.Action{
		V: emr.DocumentVersion, Channel: Channel, Contract: ledgerapi.ContractName, Function: function, Actor: actor.ActorID(),
		Nonce: nonce, Issued: c.Now, Expires: c.Now.Add(5 * time.Minute), Args: b,
	}
}

// Seal signs an action by a key.
func Seal(t testing.TB, action *emr.Action, key *pre.PrivateKey) *emr.SignedAction {
	t.Helper()
	body, err := emr.Canonical(action)
	require.NoError(t, err)
	signed := &emr.SignedAction{Kind: emr.SignatureP256, Body: body}
	digest := signed.Digest()
	signed.Signature, err = pre.SignP256(nil, key.Signer(), digest[:])
	require.NoError(t, err)
	return signed
}

// Sign makes and signs an action of the actor.
func (c *Consortium) Sign(t testing.TB, actor Actor, function string, args any) *emr.SignedAction {
	t.Helper()
	return Seal(t, c.Action(t, actor, function, args), actor.ActorKey())
}

// Raw is the form in which a signed action travels in the transient field.
func Raw(t testing.TB, signed *emr.SignedAction) []byte {
	t.Helper()
	b, err := emr.Canonical(signed)
	require.NoError(t, err)
	return b
}

// Submit runs a transaction through a caller's gateway, and commits it unless it fails.
func (c *Consortium) Submit(t testing.TB, via *Org, function string, signed *emr.SignedAction) (any, error) {
	t.Helper()
	return c.SubmitRaw(via.Gateway, function, Raw(t, signed))
}

// SubmitRaw is Submit of any octets by any caller.
func (c *Consortium) SubmitRaw(caller *ledger.Caller, function string, raw []byte) (any, error) {
	tx := c.Begin(c.Facts(caller))
	answer, err := Run(tx, function, raw)
	if c.Check != nil {
		c.Check(tx, function, raw, answer, err)
	}
	if err != nil {
		return nil, err
	}
	return answer, tx.Commit()
}

// Do signs, submits through the actor's own organisation, and requires success.
func (c *Consortium) Do(t testing.TB, actor Member, function string, args any) any {
	t.Helper()
	answer, err := c.Try(t, actor, function, args)
	require.NoError(t, err)
	return answer
}

// Try signs and submits through the actor's own organisation.
func (c *Consortium) Try(t testing.TB, actor Member, function string, args any) (any, error) {
	t.Helper()
	return c.Submit(t, actor.Home(), function, c.Sign(t, actor, function, args))
}

// Member is an actor of an organisation.
type Member interface {
	Actor
	Home() *Org
}

// Query starts a query of an organisation's gateway.
func (c *Consortium) Query(via *Org) *View { return c.View(c.Facts(via.Gateway)) }

// Scope publishes a scope of the patient.
func (c *Consortium) Scope(t testing.TB, p *Patient, level emr.Level) *emr.Scope {
	t.Helper()
	scope := NewScope(t, level)
	c.Do(t, p, ledgerapi.PublishScopes, ledgerapi.PublishScopesArgs{Patient: p.Handle, Scopes: []ledgerapi.NewScope{scope}})
	return &emr.Scope{
		V: emr.DocumentVersion, ID: scope.ID, Patient: p.Handle, Epoch: scope.Epoch, Level: scope.Level,
		Delegating: scope.Delegating, Fragment: scope.Fragment, Published: c.Now,
	}
}

// NewScope makes a scope that is not published yet.
func NewScope(t testing.TB, level emr.Level) ledgerapi.NewScope {
	t.Helper()
	return ledgerapi.NewScope{
		ID: ID[emr.ScopeID](emr.ScopePrefix), Epoch: 1, Level: level,
		Delegating: NewKey(t).Public().Bytes(), Fragment: NewKey(t).Public().Bytes(),
	}
}

// Accept makes an accepted relationship between the patient and the clinician's hospital.
func (c *Consortium) Accept(t testing.TB, p *Patient, by *Clinician) {
	t.Helper()
	c.Do(t, by, ledgerapi.ProposeRelationship, ledgerapi.ProposeRelationshipArgs{Patient: p.Handle, Hospital: by.Org.ID})
	c.Do(t, p, ledgerapi.AnswerRelationship,
		ledgerapi.AnswerRelationshipArgs{Patient: p.Handle, Hospital: by.Org.ID, Accept: true})
}

// Manifest makes a complete manifest of a first version, with a capsule and an
// envelope for the organisations that are registered.
func (c *Consortium) Manifest(t testing.TB, author *Clinician, scope *emr.Scope, class emr.Class) *emr.Manifest {
	t.Helper()
	id := ID[emr.RecordID](emr.RecordPrefix)
	plain := uint64(1000)
	cipher, err := manifest.CipherSize(plain)
	require.NoError(t, err)
	m := &emr.Manifest{
		Record: id, Patient: scope.Patient, Scope: scope.ID, Epoch: scope.Epoch, Class: class, Level: class.Level(), Version: 1,
		ContentType: "application/dicom", CID: CID(id), Digest: sha256.Sum256([]byte("digest " + id)),
		PlainSize: plain, CipherSize: cipher, SegmentSize: manifest.SegmentSize,
		FileID: sha256.Sum256([]byte("file " + id)), KeyCommitment: sha256.Sum256([]byte("commit " + id)), Threshold: 2,
	}
	c.Complete(t, m, author, scope)
	return m
}

// Complete makes the capsule and envelope of a manifest, as an author does.
func (c *Consortium) Complete(t testing.TB, m *emr.Manifest, author *Clinician, scope *emr.Scope) {
	t.Helper()
	entry := &emr.Clinician{
		ID: author.ID, Signing: emr.PinnedKey{Kind: emr.SignatureP256, Key: author.Key.Public().Bytes()},
	}
	hash, err := manifest.Context(Channel, m, entry, scope).Hash()
	require.NoError(t, err)
	key, err := pre.ParsePublicKey(scope.Delegating)
	require.NoError(t, err)
	capsule, kPre, err := pre.Encapsulate(nil, key, hash)
	require.NoError(t, err)
	m.Capsule = capsule.Bytes()
	m.Envelope = Envelope(t, hash, kPre, int(m.Threshold), c.recipients(), c.Orgs[author.Org.ID])
}

func (c *Consortium) recipients() []pre.Recipient {
	var all []pre.Recipient
	for _, org := range c.Orgs {
		all = append(all, pre.Recipient{ID: string(org.ID), Key: org.Proxy.Public()})
	}
	slices.SortFunc(all, func(a, b pre.Recipient) int { return strings.Compare(a.ID, b.ID) })
	return all
}

// Envelope makes an envelope for the recipients.
func Envelope(
	t testing.TB, ctx [32]byte, kPre []byte, threshold int, to []pre.Recipient, hospital *Org,
) []byte {
	t.Helper()
	kShare, shares, err := pre.SplitShares(nil, ctx, threshold, to)
	require.NoError(t, err)
	dek := bytes.Repeat([]byte{7}, pre.KeySize)
	wrapped, err := pre.WrapKey(ctx, kShare, kPre, dek)
	require.NoError(t, err)
	patient, err := pre.SealPatientCopy(hospital.Record.Public(), ctx, kShare)
	require.NoError(t, err)
	legal, err := pre.SealHospitalCopy(hospital.Record.Public(), ctx, dek)
	require.NoError(t, err)
	envelope := pre.Envelope{Wrapped: wrapped, Shares: *shares, PatientCopy: patient, HospitalCopy: legal}
	b, err := envelope.Marshal()
	require.NoError(t, err)
	return b
}

// CID makes a content identifier of raw octets.
func CID[T ~string](content T) string {
	sum := sha256.Sum256([]byte(content))
	b := append([]byte{0x01, 0x55, 0x12, 0x20}, sum[:]...)
	return "b" + strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(b))
}

// Record registers a record by the author.
func (c *Consortium) Record(t testing.TB, author *Clinician, scope *emr.Scope, class emr.Class) *emr.Manifest {
	t.Helper()
	m := c.Manifest(t, author, scope, class)
	c.Do(t, author, ledgerapi.RegisterRecord, m)
	return m
}

// Grant makes the arguments of a grant of records of a scope, for treatment, for
// two hours, to 2 of the 3 gateways that are not the grantee's.
func (c *Consortium) Grant(scope *emr.Scope, to *Clinician, records ...emr.RecordID) *ledgerapi.GrantAccessArgs {
	gateways := make([]emr.OrgID, 0, len(c.Orgs))
	for id := range c.Orgs {
		if id != to.Org.ID {
			gateways = append(gateways, id)
		}
	}
	slices.Sort(gateways)
	records = slices.Sorted(slices.Values(append([]emr.RecordID{}, records...)))
	args := &ledgerapi.GrantAccessArgs{Terms: emr.GrantTerms{
		Channel: Channel, Grant: ID[emr.GrantID](emr.GrantPrefix), Patient: scope.Patient, Scope: scope.ID, Epoch: scope.Epoch,
		Grantee: to.ID, Org: to.Org.ID, Reader: to.Reading.Public().Bytes(),
		Records: append([]emr.RecordID{}, records...), Purposes: []emr.Purpose{emr.PurposeTreatment},
		NotBefore: c.Now, Until: c.Now.Add(2 * time.Hour), Threshold: 2, Gateways: gateways,
	}}
	for _, gateway := range gateways {
		sealed := []byte("sealed for " + gateway)
		args.Fragments = append(args.Fragments, emr.SealedFragment{
			Gateway: gateway, Commitment: sha256.Sum256(sealed), Sealed: sealed,
		})
	}
	return args
}

// ID draws an identifier with a prefix.
func ID[T ~string](prefix string) T {
	b := make([]byte, 16)
	_, _ = rand.Read(b) // never fails
	return T(fmt.Sprintf("%s%x", prefix, b))
}
