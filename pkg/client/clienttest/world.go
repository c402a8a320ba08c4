// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

// Package clienttest is a consortium in memory for tests of clients: gateways
// over TLS with real keys, real fragments and real refusals, over a registry
// held in maps. Its decisions are the least that clients need to be tested; the
// rules of the ledger are not here.
package clienttest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/pkg/api"
	"github.com/emrys-health/emrys/pkg/attest/attesttest"
	"github.com/emrys-health/emrys/pkg/consent"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
	"github.com/emrys-health/emrys/pkg/pre"
)

// Names of the world's ledger.
const (
	Channel  = "emrys"
	Contract = "emrys"
)

// World is a consortium. Its methods are safe for concurrent use; its hooks must
// be set before the calls that they are to change.
type World struct {
	tb         testing.TB
	consortium *attesttest.Consortium

	mu          sync.Mutex
	orgs        []*Org
	patients    map[emr.PatientID]*ledgerapi.PatientView
	clinicians  map[emr.ClinicianID]*emr.Clinician
	people      map[emr.Handle]emr.PatientID
	records     map[emr.RecordID]*ledgerapi.ManifestView
	order       []emr.RecordID
	requests    []emr.Request
	asked       map[emr.RequestID]emr.SignedAction
	grants      []*emr.Grant
	fragments   map[emr.GrantID][]emr.SealedFragment
	direct      map[emr.GrantID][]emr.SealedKey
	disclosures map[emr.DisclosureID]*emr.Disclosure
	relations   []emr.Relationship
	consents    map[emr.Handle][]consent.Consent // by version
	erasures    []*ledgerapi.ErasureView
	rules       map[emr.Handle]emr.GrantRule
	signers     map[emr.RecordID][]emr.Signer // whose turn is to come
	audit       []emr.AuditEntry
	spent       map[emr.Digest]ledgerapi.SpentAction
	uploads     map[string][]byte
	content     map[string][]byte // by CID
	assertions  map[string]bool
	transaction int

	// Held has erasures denied, as of a record under a legal hold.
	Held bool
	// Intercept sees every request before it is served, and serves it itself when it returns true.
	Intercept func(operation string, w http.ResponseWriter, r *http.Request) bool
	// LoseAnswers counts, by operation, the answers that are lost after the operation was performed.
	LoseAnswers map[string]int
	// Misreport holds, by operation, an error that is answered once although the operation was performed.
	Misreport map[string]error
	// OnFragment may change a proxy's answer before the proxy signs its receipt, OnOpening the collected answers.
	OnFragment func(*api.Fragment)
	OnOpening  func(*api.Opening)
	// Confirmers, when there are any, have grants of a whole scope wait for one of them.
	Confirmers []string
	// OnGrant may change a grant on its way to whoever asks for it.
	OnGrant func(*emr.Grant)
	// OnRequest may change a request on its way to whoever asks for it.
	OnRequest func(*ledgerapi.RequestView)
	// OnContent may change the stored ciphertext as it is served, OnUpload the gateway's answer.
	OnContent func([]byte) []byte
	OnUpload  func(*api.Upload)
	// Endorsers are the organisations whose peers endorse answers of the registry; nil means
	// the asked gateway's own and two others.
	Endorsers []emr.OrgID
	// OnAudit lets the gateway change what it tells of an audit trail.
	OnAudit func([]emr.AuditEntry) []emr.AuditEntry
	// OnAnswer lets the gateway change an endorsed answer of the registry on its way.
	OnAnswer func(function string, answer []byte) []byte
	// OnProving may change what the registry's answers are endorsed as, OnProof the
	// proof on its way.
	OnProving func(*Proving)
	OnProof   func(function string, proof *api.Proof)
	// Threshold is what the gateways say of how many proxies must answer.
	Threshold uint8
	// Down lists the organisations whose proxies do not answer.
	Down map[emr.OrgID]bool
	// CutContentAfter breaks each download after so many octets, while CutContent is above zero.
	CutContentAfter, CutContent int
	// TokenLife is what tokens are issued for.
	TokenLife time.Duration
	// Calls counts the requests by operation.
	Calls map[string]int
}

// Org is an organisation of the world: a CA, a gateway and its keys.
type Org struct {
	ID      emr.OrgID
	Entry   emr.Organisation
	Proxy   *pre.HybridPrivateKey
	Record  *pre.HybridPrivateKey
	receipt *pre.PrivateKey

	Gateway *httptest.Server
	CA      *httptest.Server
	caKey   *ecdsa.PrivateKey
	caCert  *x509.Certificate
	secrets map[string]member // by id
	tokens  map[string]caller
}

type member struct {
	secret string
	role   emr.Role
	level  emr.Level
	used   bool
}

// New makes a world of three hospitals, HospA to HospC, and a regulator, Reg.
func New(tb testing.TB) *World {
	tb.Helper()
	w := &World{
		tb:       tb,
		patients: map[emr.PatientID]*ledgerapi.PatientView{}, clinicians: map[emr.ClinicianID]*emr.Clinician{},
		asked:  map[emr.RequestID]emr.SignedAction{},
		people: map[emr.Handle]emr.PatientID{}, records: map[emr.RecordID]*ledgerapi.ManifestView{},
		fragments: map[emr.GrantID][]emr.SealedFragment{},
		direct:    map[emr.GrantID][]emr.SealedKey{}, signers: map[emr.RecordID][]emr.Signer{},
		rules:       map[emr.Handle]emr.GrantRule{},
		disclosures: map[emr.DisclosureID]*emr.Disclosure{}, spent: map[emr.Digest]ledgerapi.SpentAction{},
		uploads: map[string][]byte{}, content: map[string][]byte{}, assertions: map[string]bool{},
		consents:    map[emr.Handle][]consent.Consent{},
		LoseAnswers: map[string]int{}, Misreport: map[string]error{}, Down: map[emr.OrgID]bool{}, Calls: map[string]int{}, TokenLife: 10 * time.Minute,
		Threshold: 2,
	}
	ids := []emr.OrgID{"HospAMSP", "HospBMSP", "HospCMSP", "RegMSP"}
	w.consortium = attesttest.New(tb, time.Now(), ids...)
	for _, id := range ids {
		w.orgs = append(w.orgs, w.newOrg(id))
	}
	return w
}

func (w *World) newOrg(id emr.OrgID) *Org {
	o := &Org{ID: id, secrets: map[string]member{}, tokens: map[string]caller{}}
	var err error
	o.Proxy, err = pre.GenerateHybridKey()
	require.NoError(w.tb, err)
	o.Record, err = pre.GenerateHybridKey()
	require.NoError(w.tb, err)
	o.receipt, err = pre.GeneratePrivateKey(nil)
	require.NoError(w.tb, err)
	w.newAuthority(o)
	kind := emr.KindHospital
	if id == "RegMSP" {
		kind = emr.KindRegulator
	}
	o.Gateway = httptest.NewTLSServer(w.handler(o))
	o.CA = httptest.NewTLSServer(w.authority(o))
	w.tb.Cleanup(o.Gateway.Close)
	w.tb.Cleanup(o.CA.Close)
	o.Entry = emr.Organisation{
		V: emr.DocumentVersion, ID: id, Name: string(id), Kind: kind, GatewayURL: o.Gateway.URL,
		Keys: emr.OrgKeys{
			Proxy: o.Proxy.Public().Bytes(), Record: o.Record.Public().Bytes(), Receipt: o.receipt.Public().Bytes(),
		},
		IPFS: []string{}, Version: 1,
	}
	return o
}

// Org returns an organisation.
func (w *World) Org(id emr.OrgID) *Org {
	for _, o := range w.orgs {
		if o.ID == id {
			return o
		}
	}
	w.tb.Fatalf("no organisation %s", id)
	return nil
}

// Invite registers a person at an organisation's CA and returns the invitation file.
func (w *World) Invite(org emr.OrgID, role emr.Role, level emr.Level) []byte {
	w.tb.Helper()
	var id string
	if role == emr.RolePatient {
		drawn, err := emr.GenerateID[emr.PatientID](rand.Reader)
		require.NoError(w.tb, err)
		id = string(drawn)
	} else {
		drawn, err := emr.GenerateID[emr.ClinicianID](rand.Reader)
		require.NoError(w.tb, err)
		id = string(drawn)
	}
	o := w.Org(org)
	secret := randomHex(w.tb)
	w.mu.Lock()
	o.secrets[id] = member{secret: secret, role: role, level: level}
	w.mu.Unlock()
	data, err := json.Marshal(map[string]any{
		"v": 1, "gateway": o.Gateway.URL, "gatewayRoots": rootsOf(o.Gateway),
		"ca":  map[string]any{"url": o.CA.URL, "name": "ca", "roots": rootsOf(o.CA)},
		"org": org, "role": role, "id": id, "secret": secret, "consortium": w.consortium.Roots(),
	})
	require.NoError(w.tb, err)
	return data
}

// Disclosures returns how many readings were permitted and how many denied.
func (w *World) Disclosures() (permitted, denied int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, d := range w.disclosures {
		if d.Decision == emr.Permit {
			permitted++
		} else {
			denied++
		}
	}
	return permitted, denied
}

// Uploads returns how many uploads wait for their record, Records how many records there are.
func (w *World) Uploads() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.uploads)
}

// Records returns how many records are registered.
func (w *World) Records() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.records)
}

// View returns a stored record, to be tampered with.
func (w *World) View(id emr.RecordID) *ledgerapi.ManifestView {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.records[id]
}

// SealedKey returns what a direct grant holds for a record, nil when nothing. It is
// for hooks, which run while the world stands still.
func (w *World) SealedKey(grant emr.GrantID, record emr.RecordID) []byte {
	for _, k := range w.direct[grant] {
		if k.Record == record {
			return k.Sealed
		}
	}
	return nil
}

// Professional returns a registry entry, to be tampered with.
func (w *World) Professional(id emr.ClinicianID) *emr.Clinician {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.clinicians[id]
}

// Occupy registers a patient with the keys of nobody.
func (w *World) Occupy(id emr.PatientID, handle emr.Handle) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.patients[id] = &ledgerapi.PatientView{Patient: emr.Patient{V: 1, Handle: handle}, Scopes: []emr.Scope{}}
}

// Count returns how often an operation was called.
func (w *World) Count(operation string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.Calls[operation]
}

// ForgetTokens makes every token that was issued invalid.
func (w *World) ForgetTokens() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, o := range w.orgs {
		o.tokens = map[string]caller{}
	}
}

// Resign makes a receipt for an altered answer of a proxy.
func (w *World) Resign(f *api.Fragment, d *emr.Disclosure) {
	hash, err := d.Hash()
	require.NoError(w.tb, err)
	digest, err := api.ReceiptOf(d.ID, hash, f).Digest()
	require.NoError(w.tb, err)
	f.Receipt, err = pre.SignP256(nil, w.Org(f.Gateway).receipt.Signer(), digest[:])
	require.NoError(w.tb, err)
}

func rootsOf(s *httptest.Server) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}))
}

func randomHex(tb testing.TB) string {
	b := make([]byte, 16)
	_, err := rand.Read(b)
	require.NoError(tb, err)
	return hex.EncodeToString(b)
}

func (w *World) newAuthority(o *Org) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(w.tb, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "ca." + string(o.ID)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(w.tb, err)
	o.caKey = key
	o.caCert, err = x509.ParseCertificate(der)
	require.NoError(w.tb, err)
}

// nextTransaction returns a new transaction id. The caller holds mu.
func (w *World) nextTransaction() string {
	w.transaction++
	sum := sha256.Sum256([]byte{byte(w.transaction >> 8), byte(w.transaction)})
	return hex.EncodeToString(sum[:])
}
