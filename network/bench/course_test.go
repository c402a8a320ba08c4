//go:build e2e

// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	fabric "github.com/hyperledger/fabric-gateway/pkg/client"

	"github.com/emrys-health/emrys/chaincode/ledger/ledgertest"
	"github.com/emrys-health/emrys/network/e2e/testnet"
	"github.com/emrys-health/emrys/network/render"
	"github.com/emrys-health/emrys/network/topology"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// The organisations of the default consortium.
const (
	hospA     = emr.OrgID("HospAMSP")
	hospB     = emr.OrgID("HospBMSP")
	hospC     = emr.OrgID("HospCMSP")
	regulator = emr.OrgID("RegulatorMSP")
)

// sizeOfContent is the payload of every record here, in bytes.
const sizeOfContent = 1000

// course is what the functions are measured on: many patients, each with an author, a reader and a record, on a network that runs.
type course struct {
	b        *testing.B
	net      *testnet.Net
	make     *ledgertest.Consortium
	gateways map[emr.OrgID]*testnet.Member
	admins   map[emr.OrgID]*testnet.Member
	wards    []*ward
	// second confirms emergency sessions, officer reviews them, auditor reads logs.
	second, officer, auditor *ledgertest.Clinician
	rules                    emr.EmergencyRules
	unsealed                 []ledgerapi.EntryName
	serial                   atomic.Int64
}

// ward is one patient of hospital A, the author there, a reader at hospital B, and what has been written about them so far.
type ward struct {
	patient        *ledgertest.Patient
	author, reader *ledgertest.Clinician
	friend         *ledgertest.Patient // of another ward
	neighbour      *ledgertest.Clinician
	scope          *emr.Scope
	record         *emr.Manifest
	cid            string // of content that is there, so that gateways which pin it find it
	request        emr.RequestID
	grant          emr.GrantID
	ticket         emr.DisclosureID
	recovery       *ledgerapi.ProposeRecoveryArgs
	session        emr.SessionID
	amendment      emr.AmendmentID
	wide           emr.GrantTerms
	toSign         emr.Record
	erasure        emr.ErasureID
	proposal       emr.ProposalID
}

func newCourse(b *testing.B) *course {
	b.Helper()
	home := os.Getenv("EMRYS_HOME")
	if home == "" {
		b.Fatal("EMRYS_HOME names no running network: use make bench-ledger")
	}
	net, err := testnet.Attach(home)
	if err != nil {
		b.Fatal(err)
	}
	c := &course{b: b, net: net, gateways: map[emr.OrgID]*testnet.Member{}, admins: map[emr.OrgID]*testnet.Member{}}
	c.make = ledgertest.Factory(0)
	for _, org := range net.Topology.Organisations {
		c.attach(org)
		c.rest("gateway." + org.ID)
	}
	c.tell()
	c.populate()
	c.must(ledgerapi.GetEmergencyRules, c.gateways[hospA].Query(b.Context(), ledgerapi.GetEmergencyRules, ledgerapi.EmergencyRulesQuery{Org: hospA}, &c.rules))
	return c
}

// rest stops a process for the time of the course. Gateways would carry out the
// orders to destroy that the course gives, beside what is measured and in its place.
func (c *course) rest(process string) {
	c.b.Helper()
	_, err := c.net.Control(c.b.Context(), "stop", process)
	c.must("stop "+process, err)
	c.b.Cleanup(func() {
		if _, err := c.net.Control(context.Background(), "start", process); err != nil {
			c.b.Errorf("start %s: %v", process, err)
		}
	})
}

// attach connects to an organisation's peer and takes its CA into the test's own hands.
func (c *course) attach(org topology.Organisation) {
	c.b.Helper()
	id := emr.OrgID(org.MSP)
	ca, key, err := authority(c.net.Network.Site(), org)
	c.must("read the CA", err)
	now := time.Now()
	c.make.Orgs[id] = ledgertest.AttachOrg(c.b, id, emr.OrgKind(org.Kind), ca, key, now.Add(-time.Hour), now.AddDate(1, 0, 0))
	c.gateways[id], err = c.net.AsGateway(org.MSP)
	c.must("connect", err)
	c.b.Cleanup(c.gateways[id].Close)
	c.admins[id], err = c.net.AsAdmin(org.MSP)
	c.must("connect", err)
	c.b.Cleanup(c.admins[id].Close)
}

// authority reads the certificate and key of the CA that certifies an organisation's people.
func authority(site render.Site, org topology.Organisation) (*x509.Certificate, *ecdsa.PrivateKey, error) {
	dir := site.Authorities(org)[1].Dir
	raw, err := os.ReadFile(filepath.Join(dir, "ca-cert.pem"))
	if err != nil {
		return nil, nil, err
	}
	block, _ := pem.Decode(raw)
	certificate, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, nil, err
	}
	files, err := filepath.Glob(filepath.Join(dir, "msp", "keystore", "*_sk"))
	if err != nil {
		return nil, nil, err
	}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			return nil, nil, err
		}
		block, _ := pem.Decode(raw)
		parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
		if err != nil {
			return nil, nil, err
		}
		if key, ok := parsed.(*ecdsa.PrivateKey); ok && key.PublicKey.Equal(certificate.PublicKey) {
			return certificate, key, nil
		}
	}
	return nil, nil, fmt.Errorf("no key of the CA in %s", dir)
}

// populate makes the people. What they register by is measured later, where it can be.
func (c *course) populate() {
	c.b.Helper()
	wish := ledgertest.Wish{Role: string(emr.RolePhysician), Level: string(emr.LevelPrivate)}
	for range wardsOfCourse {
		c.wards = append(c.wards, &ward{
			patient: c.make.NewPatient(c.b, hospA), author: c.make.NewClinician(c.b, hospA, wish), reader: c.make.NewClinician(c.b, hospB, wish),
		})
	}
	var registrations []call
	for i, w := range c.wards {
		next := c.wards[(i+1)%len(c.wards)]
		w.friend, w.neighbour = next.patient, next.reader
		w.cid, _ = (&setting{net: c.net}).rawAdd(c.b, testnet.Content(uint64(time.Now().UnixNano()), sizeOfContent))
		registrations = append(registrations, c.signed(w.reader, ledgerapi.RegisterClinician, w.reader.Args(), ""))
	}
	c.second = c.make.NewClinician(c.b, hospC, wish)
	c.officer = c.make.NewClinician(c.b, hospB, ledgertest.Wish{Role: string(emr.RolePrivacyOfficer), Level: string(emr.LevelLow)})
	c.auditor = c.make.NewClinician(c.b, regulator, ledgertest.Wish{Role: string(emr.RoleAuditor), Level: string(emr.LevelLow)})
	for _, p := range []*ledgertest.Clinician{c.second, c.officer, c.auditor} {
		registrations = append(registrations, c.signed(p, ledgerapi.RegisterClinician, p.Args(), ""))
	}
	var ignored sampled
	c.inCrowd("register readers", &ignored, registrations)
	c.level()
}

// signed prepares a person's transaction through the own organisation's gateway. A decision other than the one wanted fails it; "" wants none.
func (c *course) signed(by ledgertest.Member, function string, args any, want emr.Decision) call {
	c.b.Helper()
	return c.carried(by.Home().ID, function, c.make.Sign(c.b, by, function, args), want)
}

// carried is signed for any action through any gateway.
func (c *course) carried(via emr.OrgID, function string, action *emr.SignedAction, want emr.Decision) call {
	gateway := c.gateways[via]
	return func(ctx context.Context) error {
		var receipt ledgerapi.DecisionReceipt
		if err := gateway.Act(ctx, function, action, &receipt); err != nil {
			return err
		}
		if receipt.Decision != want {
			return fmt.Errorf("decided %q for %q", receipt.Decision, receipt.Reason)
		}
		return nil
	}
}

// waiting is signed for what may be decided in any way.
func (c *course) waiting(by ledgertest.Member, function string, args any) call {
	c.b.Helper()
	gateway, action := c.gateways[by.Home().ID], c.make.Sign(c.b, by, function, args)
	return func(ctx context.Context) error {
		var receipt ledgerapi.DecisionReceipt
		return gateway.Act(ctx, function, action, &receipt)
	}
}

// ordered prepares a transaction of an organisation by its administrator.
func (c *course) ordered(by emr.OrgID, function string, args any) call {
	return c.submitted(c.admins[by], function, args)
}

// submitted prepares a transaction with one public argument.
func (c *course) submitted(by *testnet.Member, function string, args any) call {
	contract := by.Contract(ledgerapi.ChaincodeName)
	raw, err := emr.Canonical(args)
	c.must(function, err)
	return func(ctx context.Context) error {
		_, err := testnet.Submit(ctx, contract, function, fabric.WithArguments(string(raw)))
		return err
	}
}

// tell sets the time that actions are signed at, a little behind the peers' so that none is of the future.
func (c *course) tell() { c.make.Now = emr.TimeOf(time.Now()) - 2 }

// level waits until every peer has committed what was written.
func (c *course) level() {
	c.b.Helper()
	ctx, cancel := context.WithTimeout(c.b.Context(), time.Minute)
	defer cancel()
	c.must("wait for the peers", c.net.Level(ctx))
}

func (c *course) must(name string, err error) {
	c.b.Helper()
	if err != nil {
		c.b.Fatalf("%s: %v", name, err)
	}
}
