// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package network

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/network/lockfile"
	"github.com/emrys-health/emrys/network/topology"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/fabricca"
)

func TestMetricsTellHeightLeaderAndVersion(t *testing.T) {
	t.Parallel()
	text := `# HELP ledger_blockchain_height Height of the chain in blocks.
ledger_blockchain_height{channel="other"} 99
ledger_blockchain_height{channel="emrys"} 1.2e+06
consensus_BFT_is_leader{channel="emrys"} 1
fabric_version{version="v3.1.1"} 1
`
	require.Equal(t, observation{height: 1200000, leader: true, version: "v3.1.1"}, readMetrics([]byte(text), "emrys"))
	require.Equal(t, observation{version: "v3.1.1"}, readMetrics([]byte(text), "absent"))
	require.Equal(t, observation{}, readMetrics(nil, "emrys"))
}

func TestPortErrorNamesProcessPortAndRemedy(t *testing.T) {
	t.Parallel()
	err := &PortError{InUse: []PortUse{{"ca.hospa", "127.0.0.1:7100"}}}
	for _, part := range []string{"ca.hospa", "127.0.0.1:7100", "--port-offset", "--home"} {
		require.ErrorContains(t, err, part)
	}
	for len(err.InUse) < 60 {
		err.InUse = append(err.InUse, PortUse{"p", "a"})
	}
	require.ErrorContains(t, err, "and 55 more ports")
	require.Less(t, len(err.Error()), 600)
}

func newNetwork(t *testing.T, o Options) *Network {
	t.Helper()
	n, err := Create(o)
	require.NoError(t, err)
	return n
}

func TestAHomeKeepsItsTopologyAndOffset(t *testing.T) {
	t.Parallel()
	home := filepath.Join(t.TempDir(), "home")
	_, err := Open(Options{Home: home})
	require.ErrorIs(t, err, ErrNoNetwork)
	first := newNetwork(t, Options{Home: home, PortOffset: 1000})
	require.Equal(t, 8100, first.Topology().Organisations[0].CA.Port)

	again := newNetwork(t, Options{Home: home})
	require.Equal(t, first.Topology(), again.Topology(), "no offset given means the network's own")
	newNetwork(t, Options{Home: home, PortOffset: 1000})

	_, err = Create(Options{Home: home, PortOffset: 2000})
	require.ErrorContains(t, err, "port offset 1000")
	other := strings.Replace(string(topology.Default()), "name: HospB", "name: HospX", 1)
	_, err = Create(Options{Home: home, PortOffset: 1000, Topology: []byte(other)})
	require.ErrorContains(t, err, "another topology")
}

func TestABadTopologyMakesNoHome(t *testing.T) {
	t.Parallel()
	home := filepath.Join(t.TempDir(), "home")
	_, err := Create(Options{Home: home, Topology: []byte("version: 7")})
	var invalid *topology.InvalidError
	require.ErrorAs(t, err, &invalid)
	_, err = Create(Options{Home: home, PortOffset: 60000})
	require.ErrorAs(t, err, &invalid)
	require.NoDirExists(t, home)
}

func TestUpFailsBeforeItStartsAnythingWhenAPortIsInUse(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer listener.Close()
	port := listener.Addr().(*net.TCPAddr).Port
	text := strings.Replace(string(topology.Default()), "gateway: {port: 7250}", fmt.Sprintf("gateway: {port: %d}", port), 1)
	home := filepath.Join(t.TempDir(), "home")
	err = newNetwork(t, Options{Home: home, Topology: []byte(text)}).Up(t.Context())
	var taken *PortError
	require.ErrorAs(t, err, &taken)
	require.Contains(t, taken.InUse, PortUse{"gateway.hospb", listener.Addr().String()})
	require.NoDirExists(t, filepath.Join(home, "run"))
}

func TestANetworkIsChangedByOneCommandAtATime(t *testing.T) {
	t.Parallel()
	home := filepath.Join(t.TempDir(), "home")
	n := newNetwork(t, Options{Home: home})
	lock, err := lockfile.TryAcquire(filepath.Join(home, "lock"))
	require.NoError(t, err)
	require.ErrorIs(t, n.Up(t.Context()), ErrBusy)
	_, err = n.Down(t.Context())
	require.ErrorIs(t, err, ErrBusy)
	lock.Release()
	stopped, err := n.Down(t.Context())
	require.NoError(t, err, "down of a network that never ran")
	require.Empty(t, stopped)
}

func TestStatusOfANetworkThatIsDown(t *testing.T) {
	t.Parallel()
	report, err := newNetwork(t, Options{Home: filepath.Join(t.TempDir(), "home")}).Status(t.Context())
	require.NoError(t, err)
	require.False(t, report.Running)
	require.False(t, report.Healthy)
	require.Len(t, report.Processes, 26)
}

func TestLogFileOfAnUnknownProcessIsRefused(t *testing.T) {
	t.Parallel()
	n := newNetwork(t, Options{Home: filepath.Join(t.TempDir(), "home")})
	for _, name := range []string{"", "nobody", "../../etc/passwd"} {
		_, err := n.LogFile(name)
		require.Error(t, err, name)
	}
	file, err := n.LogFile("peer0.hospa")
	require.NoError(t, err)
	require.Equal(t, "peer0.hospa.log", filepath.Base(file))
}

func TestDestroyRemovesTheHomeOnly(t *testing.T) {
	t.Parallel()
	parent := t.TempDir()
	neighbour := filepath.Join(parent, "neighbour")
	require.NoError(t, os.WriteFile(neighbour, nil, 0o600))
	n := newNetwork(t, Options{Home: filepath.Join(parent, "home")})
	require.NoError(t, n.Destroy(t.Context()))
	require.NoDirExists(t, filepath.Join(parent, "home"))
	require.FileExists(t, neighbour)
}

func TestFingerprintFollowsProgramAndConfiguration(t *testing.T) {
	t.Parallel()
	program, config := filepath.Join(t.TempDir(), "p"), filepath.Join(t.TempDir(), "c")
	require.NoError(t, os.WriteFile(program, []byte("one"), 0o700))
	files := []string{program, config}
	seen := map[string]bool{fingerprint(files): true}
	require.True(t, seen[fingerprint(files)])
	require.NoError(t, os.WriteFile(config, []byte("a"), 0o600))
	require.False(t, seen[fingerprint(files)], "a new configuration")
	seen[fingerprint(files)] = true
	require.NoError(t, os.WriteFile(config, []byte("b"), 0o600))
	require.False(t, seen[fingerprint(files)], "another configuration of the same size")
	seen[fingerprint(files)] = true
	require.NoError(t, os.WriteFile(program, []byte("twoo"), 0o700))
	require.False(t, seen[fingerprint(files)], "another program")
}

func organisation(t *testing.T, name string) topology.Organisation {
	t.Helper()
	parsed, err := topology.Parse(topology.Default())
	require.NoError(t, err)
	org, ok := parsed.Organisation(name)
	require.True(t, ok)
	return org
}

func TestAPersonGetsTheAttributesOfItsRole(t *testing.T) {
	t.Parallel()
	attribute := func(name, value string) fabricca.Attribute {
		return fabricca.Attribute{Name: name, Value: value, ECert: true}
	}
	for name, test := range map[string]struct {
		org    string
		person Person
		want   []fabricca.Attribute
	}{
		"a patient has no level":              {"HospA", Person{Role: emr.RolePatient}, []fabricca.Attribute{attribute("emrys.role", "patient")}},
		"a physician may see all by default":  {"HospA", Person{Role: emr.RolePhysician}, []fabricca.Attribute{attribute("emrys.role", "physician"), attribute("emrys.level", "private")}},
		"a researcher sees little by default": {"HospA", Person{Role: emr.RoleResearcher}, []fabricca.Attribute{attribute("emrys.role", "researcher"), attribute("emrys.level", "low")}},
		"a level that is given":               {"HospA", Person{Role: emr.RoleNurse, Level: emr.LevelModerate}, []fabricca.Attribute{attribute("emrys.role", "nurse"), attribute("emrys.level", "moderate")}},
		"an auditor of the regulator": {"Regulator", Person{Role: emr.RoleAuditor, Licence: "R-1", Department: "Audit 2"}, []fabricca.Attribute{
			attribute("emrys.role", "auditor"), attribute("emrys.level", "low"), attribute("emrys.licence", "R-1"), attribute("emrys.department", "Audit 2"),
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := test.person.attributes(organisation(t, test.org))
			require.NoError(t, err)
			require.Equal(t, test.want, got)
		})
	}
}

func TestAPseudonymTellsPatientsFromProfessionals(t *testing.T) {
	t.Parallel()
	id, err := Person{Role: emr.RolePatient}.pseudonym()
	require.NoError(t, err)
	_, err = emr.ParseID[emr.PatientID]("id", id)
	require.NoError(t, err)
	id, err = Person{Role: emr.RoleAuditor}.pseudonym()
	require.NoError(t, err)
	_, err = emr.ParseID[emr.ClinicianID]("id", id)
	require.NoError(t, err)
}

func TestAnInvitationDoesNotPrintItsSecret(t *testing.T) {
	t.Parallel()
	i := Invitation{ID: "pat_1", Secret: "very secret"}
	for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
		require.NotContains(t, fmt.Sprintf(format, i), "very", format)
		require.NotContains(t, fmt.Sprintf(format, &i), "very", format)
	}
}
