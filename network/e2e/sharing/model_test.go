//go:build e2e

// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package sharing

import (
	"context"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/x509"
	"encoding/binary"
	"encoding/pem"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	fabric "github.com/hyperledger/fabric-gateway/pkg/client"
	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/chaincode/ledger/ledgermodel"
	"github.com/emrys-health/emrys/chaincode/ledger/ledgertest"
	"github.com/emrys-health/emrys/network/e2e/testnet"
	"github.com/emrys-health/emrys/network/topology"
	"github.com/emrys-health/emrys/pkg/blob/ipfs"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
	"github.com/emrys-health/emrys/pkg/pre"
)

// stepsOfModel is the number of random steps after the founding; those that have
// nothing to draw from are not sent. EMRYS_MODEL_STEPS and EMRYS_MODEL_SEED change them.
const stepsOfModel = 200

// consortium is the network as a driver of the model's sequences: transactions go
// straight to the peers, as those of a hostile gateway do.
type consortium struct {
	t        *testing.T
	orgs     map[emr.OrgID]*ledgertest.Org // whose CA issues the certificates
	profiles map[emr.OrgID]ledgerapi.RegisterOrganisationArgs
	gateways map[emr.OrgID]*testnet.Member
	admins   map[emr.OrgID]*testnet.Member
}

func newConsortium(t *testing.T) *consortium {
	t.Helper()
	d := &consortium{
		t: t, orgs: map[emr.OrgID]*ledgertest.Org{}, profiles: map[emr.OrgID]ledgerapi.RegisterOrganisationArgs{},
		gateways: map[emr.OrgID]*testnet.Member{}, admins: map[emr.OrgID]*testnet.Member{},
	}
	for _, org := range net.Topology.Organisations {
		id := emr.OrgID(org.MSP)
		ca, key := authority(t, org)
		d.orgs[id] = ledgertest.AttachOrg(t, id, emr.OrgKind(org.Kind), ca, key, time.Now().Add(-time.Hour), time.Now().AddDate(3, 0, 0))
		var err error
		d.gateways[id], err = net.AsGateway(org.MSP)
		require.NoError(t, err)
		t.Cleanup(d.gateways[id].Close)
		d.admins[id], err = net.AsAdmin(org.MSP)
		require.NoError(t, err)
		t.Cleanup(d.admins[id].Close)
	}
	var list ledgerapi.OrganisationList
	require.NoError(t, d.gateways["HospAMSP"].Query(t.Context(), ledgerapi.GetOrganisations, ledgerapi.Empty{}, &list))
	for _, o := range list.Items {
		d.profiles[o.ID] = ledgerapi.RegisterOrganisationArgs{
			Name: o.Name, Kind: o.Kind, CACert: o.CACert, GatewayURL: o.GatewayURL, Keys: o.Keys, IPFS: o.IPFS,
		}
	}
	return d
}

// authority reads the certificate and key of the CA that certifies an organisation's people.
func authority(t *testing.T, org topology.Organisation) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	dir := net.Network.Site().Authorities(org)[1].Dir
	raw, err := os.ReadFile(filepath.Join(dir, "ca-cert.pem"))
	require.NoError(t, err)
	block, _ := pem.Decode(raw)
	certificate, err := x509.ParseCertificate(block.Bytes)
	require.NoError(t, err)
	files, err := filepath.Glob(filepath.Join(dir, "msp", "keystore", "*_sk"))
	require.NoError(t, err)
	for _, file := range files {
		raw, err := os.ReadFile(file)
		require.NoError(t, err)
		block, _ := pem.Decode(raw)
		parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
		require.NoError(t, err)
		if key, is := parsed.(*ecdsa.PrivateKey); is && key.PublicKey.Equal(certificate.PublicKey) {
			return certificate, key
		}
	}
	t.Fatalf("no key of the CA in %s", dir)
	return nil, nil
}

// Channel implements ledgermodel.Driver.
func (d *consortium) Channel() string { return net.Topology.Channel.Name }

// Now implements ledgermodel.Driver: a little behind the peers, so that nothing is of the future.
func (d *consortium) Now() emr.Time { return emr.TimeOf(time.Now()) - 2 }

// Wait implements ledgermodel.Driver.
func (d *consortium) Wait(time.Duration) bool { return false }

// Profiles implements ledgermodel.Driver.
func (d *consortium) Profiles() map[emr.OrgID]ledgerapi.RegisterOrganisationArgs { return d.profiles }

// Issue implements ledgermodel.Driver.
func (d *consortium) Issue(org emr.OrgID, wish ledgertest.Wish, key *pre.PrivateKey) (string, error) {
	return ledgertest.PEM(d.orgs[org].IssueFor(d.t, wish, key)), nil
}

// Submit implements ledgermodel.Driver.
func (d *consortium) Submit(call ledgermodel.Call) ledgermodel.Outcome {
	ctx, cancel := context.WithTimeout(d.t.Context(), time.Minute)
	defer cancel()
	member := d.gateways[call.Org]
	if call.As != ledgermodel.AsGateway {
		member = d.admins[call.Org]
	}
	options := []fabric.ProposalOption{}
	if call.Field != "" {
		options = append(options, fabric.WithTransient(map[string][]byte{call.Field: call.Transient}))
	}
	if call.Argument != nil {
		options = append(options, fabric.WithArguments(string(call.Argument)))
	}
	answer, err := testnet.Submit(ctx, member.Contract(ledgerapi.ChaincodeName), call.Function, options...)
	if err != nil && strings.Contains(err.Error(), "READ_CONFLICT") {
		err = emr.Wrap(emr.CodeConflict, "somebody else was first", err)
	}
	return ledgermodel.Outcome{Answer: answer, Err: errors.Join(err, net.Level(ctx))}
}

// Ask implements ledgermodel.Driver. Private values may reach a peer a little later than their hashes.
func (d *consortium) Ask(via emr.OrgID, function string, q, answer any) error {
	var err error
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		err = d.gateways[via].Query(d.t.Context(), function, q, answer)
		if emr.CodeOf(err) != emr.CodeUnavailable {
			return err
		}
	}
	return err
}

// Digest implements ledgermodel.Driver: nobody can look at all of a network's state.
func (d *consortium) Digest() (uint64, bool) { return 0, false }

// contents puts new content into the swarm, each time that it is asked, so that the gateways which are to pin it find it.
func contents(t *testing.T) func() string {
	t.Helper()
	org, _ := net.Topology.Organisation("HospAMSP")
	site := net.Network.Site()
	store, err := ipfs.New(ipfs.Config{Endpoint: site.IPFSAPIURL(org), SecretFile: site.IPFSAuthorization(org)})
	require.NoError(t, err)
	return func() string {
		stored, err := store.Put(t.Context(), io.LimitReader(rand.Reader, 1000))
		require.NoError(t, err)
		return stored.CID
	}
}

// number is that of an environment variable, or what it is without.
func number(t *testing.T, name string, otherwise uint64) uint64 {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.ParseUint(text, 10, 64)
	require.NoError(t, err)
	return n
}

// TestRandomSequencesOfTheWholeContractOnARealLedger runs the model's sequences
// through real peers and orderers. What needs waiting, or would take a member away,
// is not drawn. The gateways rest: they would carry out the orders to destroy that
// the model gives, and it is to be the only one who does anything.
func TestRandomSequencesOfTheWholeContractOnARealLedger(t *testing.T) {
	var drawn [8]byte
	_, err := rand.Read(drawn[:])
	require.NoError(t, err)
	seed := number(t, "EMRYS_MODEL_SEED", binary.BigEndian.Uint64(drawn[:]))
	t.Logf("EMRYS_MODEL_SEED=%d", seed)
	t.Cleanup(func() { settle(t) })
	for _, org := range net.Topology.Organisations {
		stop(t, "gateway."+org.ID)
	}
	m := ledgermodel.New(t, ledgermodel.NewSeeded(seed), newConsortium(t))
	m.Shared, m.Content = true, contents(t)
	defer m.Restore()
	m.Found()
	m.Counts, m.Hunt = map[string]ledgermodel.Count{}, true
	for range number(t, "EMRYS_MODEL_STEPS", stepsOfModel) {
		m.Step()
	}
	m.Finish()
	var total ledgermodel.Count
	for _, c := range m.Counts {
		total.Committed, total.Refused = total.Committed+c.Committed, total.Refused+c.Refused
	}
	t.Logf("%d transactions of %d functions: %d committed, %d refused", m.Steps(), len(m.Counts), total.Committed, total.Refused)
	require.Greater(t, len(m.Counts), len(ledgermodel.Functions())/2, "the sequence drew too little")
}
