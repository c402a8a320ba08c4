// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package control_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/asn1"
	"encoding/json"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/network"
	"github.com/emrys-health/emrys/network/lifecycle"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/fabricca"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// maxBlocked is how long a dead leader may stop writes.
const maxBlocked = 6 * time.Second

func flock(file *os.File) error {
	return syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
}

// writer submits a transaction that changes nothing but the ledger's height:
// an organisation registers what it has registered.
type writer struct {
	member   *lifecycle.Organisation
	argument string
}

func newWriter(t *testing.T, l *lab) *writer {
	t.Helper()
	n, err := network.Open(network.Options{Home: l.home})
	require.NoError(t, err)
	org, ok := n.Topology().Organisation("hospb")
	require.True(t, ok)
	member, err := lifecycle.Open(n.Site(), n.Topology(), org)
	require.NoError(t, err)
	t.Cleanup(member.Close)
	raw, err := member.Evaluate(t.Context(), ledgerapi.GetOrganisations, "{}")
	require.NoError(t, err)
	var list ledgerapi.OrganisationList
	require.NoError(t, json.Unmarshal(raw, &list))
	require.Len(t, list.Items, 4, "up registers every organisation")
	for _, o := range list.Items {
		if string(o.ID) == org.MSP {
			argument, err := json.Marshal(ledgerapi.RegisterOrganisationArgs{
				Name: o.Name, Kind: o.Kind, CACert: o.CACert, GatewayURL: o.GatewayURL, Keys: o.Keys, IPFS: o.IPFS,
			})
			require.NoError(t, err)
			return &writer{member: member, argument: string(argument)}
		}
	}
	t.Fatal("the ledger does not know HospB")
	return nil
}

func (w *writer) submit(ctx context.Context) error {
	_, err := w.member.Submit(ctx, ledgerapi.RegisterOrganisation, w.argument)
	return err
}

// write commits one transaction and returns the height after it.
func write(t *testing.T, l *lab) uint64 {
	t.Helper()
	w := newWriter(t, l)
	ctx, cancel := context.WithTimeout(t.Context(), soon)
	defer cancel()
	var err error
	for err = w.submit(ctx); err != nil && ctx.Err() == nil; err = w.submit(ctx) {
	}
	require.NoError(t, err)
	return l.process(t, "peer0.hospb").Height
}

func leader(t *testing.T, l *lab) network.ProcessReport {
	t.Helper()
	write(t, l) // the metric follows the latest block
	for _, p := range l.status(t).Processes {
		if p.Leader {
			return p
		}
	}
	t.Fatal("no orderer leads")
	return network.ProcessReport{}
}

// blockedAfter returns the longest time without a commit that follows strike.
func blockedAfter(t *testing.T, l *lab, strike func()) time.Duration {
	t.Helper()
	w := newWriter(t, l)
	ctx, cancel := context.WithTimeout(t.Context(), soon)
	defer cancel()
	require.NoError(t, w.submit(ctx))
	struck := time.Now()
	strike()
	last, longest, after := struck, time.Duration(0), 0
	// Five commits in a row: the first may still come from the old leader.
	for after < 5 && ctx.Err() == nil {
		attempt, cancelAttempt := context.WithTimeout(ctx, 2*time.Second)
		err := w.submit(attempt)
		cancelAttempt()
		if err != nil {
			t.Logf("%.2fs after the kill: %.200v", time.Since(struck).Seconds(), err)
			after = 0
			continue
		}
		longest = max(longest, time.Since(last))
		last = time.Now()
		after++
	}
	require.NoError(t, ctx.Err(), "writes did not come back")
	return longest
}

func killLeader(t *testing.T, l *lab) {
	victim := leader(t, l)
	blocked := blockedAfter(t, l, func() { kill(t, victim.PID) })
	t.Logf("writes were blocked for %.2fs", blocked.Seconds())
	require.Less(t, blocked, maxBlocked)
	l.eventually(t, victim.Name, healthy)
}

func killLeaderForGood(t *testing.T, l *lab) {
	victim := leader(t, l)
	blocked := blockedAfter(t, l, func() {
		kill(t, victim.PID)
		l.must(t, "stop", victim.Name) // before the supervisor starts it again
	})
	t.Logf("writes were blocked for %.2fs", blocked.Seconds())
	require.Less(t, blocked, maxBlocked)
	require.NotEqual(t, victim.Name, leader(t, l).Name)
	l.must(t, "start", victim.Name)
	l.eventually(t, victim.Name, healthy)
}

// attributesOf returns the attributes that a Fabric CA put in a certificate.
func attributesOf(t *testing.T, certPEM []byte) map[string]string {
	t.Helper()
	block, _ := pem.Decode(certPEM)
	cert, err := x509.ParseCertificate(block.Bytes)
	require.NoError(t, err)
	oid := asn1.ObjectIdentifier{1, 2, 3, 4, 5, 6, 7, 8, 1}
	for _, e := range cert.Extensions {
		if e.Id.Equal(oid) {
			var value struct{ Attrs map[string]string }
			require.NoError(t, json.Unmarshal(e.Value, &value))
			return value.Attrs
		}
	}
	return nil
}

func inviteAndEnrol(t *testing.T, l *lab) {
	file := filepath.Join(t.TempDir(), "invitation.json")
	l.must(t, "invite", "--org", "HospB", "--role", "physician", "--licence", "KR-1234", "--label", "Dr Lee", "-o", file)
	info, err := os.Stat(file)
	require.NoError(t, err)
	require.EqualValues(t, 0o600, info.Mode().Perm())
	raw, err := os.ReadFile(file)
	require.NoError(t, err)
	require.NotContains(t, string(raw), "Dr Lee", "a label is the administrator's own")
	var invitation network.Invitation
	require.NoError(t, json.Unmarshal(raw, &invitation))
	_, err = emr.ParseID[emr.ClinicianID]("id", invitation.ID)
	require.NoError(t, err)

	client, err := fabricca.New(invitation.CA.URL, []byte(invitation.CA.Roots), invitation.CA.Name)
	require.NoError(t, err)
	defer client.Close()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	csr, err := fabricca.NewRequest(key, invitation.ID)
	require.NoError(t, err)
	_, _, err = client.Enroll(t.Context(), invitation.ID, "wrong secret", csr)
	require.Error(t, err)
	cert, _, err := client.Enroll(t.Context(), invitation.ID, invitation.Secret, csr)
	require.NoError(t, err)
	attributes := attributesOf(t, cert)
	require.Equal(t, "physician", attributes[emr.AttributeRole])
	require.Equal(t, "private", attributes[emr.AttributeLevel])
	require.Equal(t, "KR-1234", attributes["emrys.licence"])
	_, _, err = client.Enroll(t.Context(), invitation.ID, invitation.Secret, csr)
	require.Error(t, err, "an invitation is good once")

	refuseInvitations(t, l, file)
}

func refuseInvitations(t *testing.T, l *lab, taken string) {
	t.Helper()
	other := filepath.Join(t.TempDir(), "other.json")
	for name, args := range map[string][]string{
		"a file that exists":             {"--org", "HospB", "--role", "physician", "-o", taken},
		"a role that a hospital has not": {"--org", "HospB", "--role", "auditor", "-o", other},
		"a role that is none":            {"--org", "HospB", "--role", "king", "-o", other},
		"a gateway":                      {"--org", "HospB", "--role", "gateway", "-o", other},
		"a patient of the regulator":     {"--org", "Regulator", "--role", "patient", "-o", other},
		"a patient with a level":         {"--org", "HospB", "--role", "patient", "--level", "low", "-o", other},
		"a level that is none":           {"--org", "HospB", "--role", "nurse", "--level", "top", "-o", other},
		"an organisation that is none":   {"--org", "HospZ", "--role", "nurse", "-o", other},
		"a licence with a line break":    {"--org", "HospB", "--role", "nurse", "--licence", "a\nb", "-o", other},
		"no file":                        {"--org", "HospB", "--role", "nurse"},
	} {
		o := l.ctl(t, append([]string{"invite"}, args...)...)
		require.Equal(t, 2, o.code, "%s: %s", name, o.stderr)
		require.NoFileExists(t, other, name)
	}
}

// noSecretsOutside looks for every generated secret where anybody with an
// account on the machine, or a reader of logs, would find it.
func noSecretsOutside(t *testing.T, l *lab) {
	var secrets []string
	for _, pattern := range []string{"orgs/*/registrar/secret", "orgs/*/gateway/ipfs-authorization", "channel/swarm.key"} {
		files, err := filepath.Glob(filepath.Join(l.home, pattern))
		require.NoError(t, err)
		require.NotEmpty(t, files, pattern)
		for _, file := range files {
			info, err := os.Stat(file)
			require.NoError(t, err)
			require.EqualValues(t, 0o600, info.Mode().Perm(), file)
			raw, err := os.ReadFile(file)
			require.NoError(t, err)
			fields := strings.Fields(string(raw))
			secrets = append(secrets, fields[len(fields)-1])
		}
	}
	places := map[string]string{"arguments and environment": strings.Join(commandLines(t), "\n")}
	logs, err := filepath.Glob(filepath.Join(l.home, "logs", "*"))
	require.NoError(t, err)
	require.NotEmpty(t, logs)
	for _, file := range logs {
		raw, err := os.ReadFile(file)
		require.NoError(t, err)
		places[file] = string(raw)
	}
	for place, text := range places {
		for _, secret := range secrets {
			require.GreaterOrEqual(t, len(secret), 32)
			require.NotContains(t, text, secret, "a secret is in %s", place)
		}
	}
}
