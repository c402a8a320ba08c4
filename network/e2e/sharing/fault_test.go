//go:build e2e

// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package sharing

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/network/e2e/testnet"
	"github.com/emrys-health/emrys/pkg/api"
	"github.com/emrys-health/emrys/pkg/client"
	"github.com/emrys-health/emrys/pkg/emr"
)

// stop ends processes for the time of a test and starts them again after it.
func stop(t *testing.T, names ...string) {
	t.Helper()
	for _, name := range names {
		_, err := net.Control(t.Context(), "stop", name)
		require.NoError(t, err)
		t.Cleanup(func() {
			_, err := net.Control(context.Background(), "start", name)
			require.NoError(t, err)
		})
	}
}

// settle waits until the whole network is healthy again.
func settle(t *testing.T) {
	t.Helper()
	require.Eventually(t, func() bool {
		_, err := net.Control(context.Background(), "status", "--json")
		return err == nil
	}, time.Minute, 300*time.Millisecond)
}

func TestOneProxyDownDoesNotStopAReading(t *testing.T) {
	w := newWard(t)
	stored := w.put(strings.NewReader("x"))
	grant := w.grant(time.Hour, stored.Record)
	t.Cleanup(func() { settle(t) })
	stop(t, "gateway.hospc")
	_, n, faults, err := w.read(w.reader, stored.Record, grant)
	require.NoError(t, err)
	require.EqualValues(t, 1, n)
	require.Contains(t, gateways(faults), emr.OrgID("HospCMSP"))
}

func TestTwoProxiesDownIsSaidAndNamed(t *testing.T) {
	w := newWard(t)
	stored := w.put(strings.NewReader("x"))
	grant := w.grant(time.Hour, stored.Record)
	t.Cleanup(func() { settle(t) })
	stop(t, "gateway.hospc", "gateway.regulator")
	_, _, _, err := w.read(w.reader, stored.Record, grant)
	require.Equal(t, emr.CodeUnavailable, emr.CodeOf(err), "%v", err)
	require.Contains(t, emr.Public(err).Message, "HospCMSP")
	require.Contains(t, emr.Public(err).Message, "RegulatorMSP")
}

func gateways(faults []api.Fault) []emr.OrgID {
	var all []emr.OrgID
	for _, f := range faults {
		all = append(all, f.Gateway)
	}
	return all
}

// A lying proxy: hospital C's real gateway moves to another port, and a program
// with C's own TLS key stands in its place and alters every fragment on its way.
func TestALyingProxyIsNamedAndAnotherUsed(t *testing.T) {
	w := newWard(t)
	stored := w.put(strings.NewReader("x"))
	grant := w.grant(time.Hour, stored.Record)
	t.Cleanup(func() { settle(t) })
	for _, field := range []string{"capsule", "share", "receipt"} {
		t.Run(field, func(t *testing.T) {
			lie(t, "HospCMSP", field)
			_, n, faults, err := w.read(w.reader, stored.Record, grant)
			require.NoError(t, err)
			require.EqualValues(t, 1, n)
			require.Contains(t, gateways(faults), emr.OrgID("HospCMSP"))
		})
	}
}

func lie(t *testing.T, msp, field string) {
	t.Helper()
	impersonate(t, msp, func(r *http.Response) error { return alter(r, field) })
}

func alter(r *http.Response, field string) error {
	if r.StatusCode != http.StatusOK || !strings.HasSuffix(r.Request.URL.Path, "/proxy/fragments") {
		return nil
	}
	var f api.Fragment
	if err := json.NewDecoder(r.Body).Decode(&f); err != nil {
		return err
	}
	switch field {
	case "capsule":
		f.Capsule[len(f.Capsule)/2] ^= 1
	case "share":
		f.Share[len(f.Share)/2] ^= 1
	case "direct":
		f.Direct[len(f.Direct)/2] ^= 1
	case "receipt":
		f.Receipt[len(f.Receipt)/2] ^= 1
	}
	return replaceBody(r, f)
}

func TestIPFSDownIsSaidAndLeavesNothing(t *testing.T) {
	w := newWard(t)
	before := pins(t, "HospAMSP")
	t.Cleanup(func() { settle(t) })
	t.Run("down", func(t *testing.T) {
		stop(t, "ipfs.hospa")
		_, err := w.author.PutRecord(t.Context(), testnet.Content(1, 1<<20), client.Upload{
			Patient: w.pseudonym, Class: emr.ClassPrescription, Size: -1,
		})
		require.Equal(t, emr.CodeUnavailable, emr.CodeOf(err), "%v", err)
	})
	settle(t)
	page, err := w.reader.Search(t.Context(), api.Search{Patient: w.pseudonym})
	require.NoError(t, err)
	require.Empty(t, page.Items, "no record without content")
	requireNoStrayPins(t, "HospAMSP", before)
	w.put(strings.NewReader("after"))
}

func TestABrokenUploadLeavesNothing(t *testing.T) {
	w := newWard(t)
	before := pins(t, "HospAMSP")
	broken := io.MultiReader(testnet.Content(1, 3<<20), brokenReader{})
	_, err := w.author.PutRecord(t.Context(), broken, client.Upload{Patient: w.pseudonym, Class: emr.ClassPrescription, Size: -1})
	require.Error(t, err)
	page, err := w.reader.Search(t.Context(), api.Search{Patient: w.pseudonym})
	require.NoError(t, err)
	require.Empty(t, page.Items, "no record without content")
	requireNoStrayPins(t, "HospAMSP", before)
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, errors.New("the disk failed") }

func TestAPeerOfTheHospitalDownDoesNotStopIt(t *testing.T) {
	w := newWard(t)
	t.Cleanup(func() { settle(t) })
	stop(t, "peer0.hospa")
	stored := w.put(strings.NewReader("x"))
	grant := w.grant(time.Hour, stored.Record)
	_, _, _, err := w.read(w.reader, stored.Record, grant)
	require.NoError(t, err)
}

// Killing the leader of the ordering service may make an outcome unknown for a
// while; it may never make it wrong.
func TestTheLeaderKilledDuringASharing(t *testing.T) {
	w := newWard(t)
	stored := w.put(strings.NewReader("x"))
	t.Cleanup(func() { settle(t) })
	processes, err := net.Status(t.Context())
	require.NoError(t, err)
	name, err := net.Leader(t.Context())
	require.NoError(t, err)
	leader := processes[name]
	require.NotZero(t, leader.PID)
	require.NoError(t, syscall.Kill(leader.PID, syscall.SIGKILL))

	began := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	receipt, err := w.reader.RequestAccess(ctx, stored.Record, emr.PurposeTreatment, "")
	if emr.CodeOf(err) == emr.CodeUnknownOutcome {
		require.NotEmpty(t, emr.Public(err).TxID, "an unknown outcome names its transaction")
		require.Eventually(t, func() bool {
			page, err := w.patient.Requests(t.Context(), client.Page{})
			return err == nil && len(page.Items) == 1
		}, time.Minute, 300*time.Millisecond, "a later look finds it")
	} else {
		require.NoError(t, err)
		require.NotEmpty(t, receipt.ID)
	}
	blocked := time.Since(began)
	t.Logf("the first transaction after the leader's death took %s", blocked.Round(time.Millisecond))
	require.Less(t, blocked, 6*time.Second, "writes stop for at most six seconds")

	var requests int
	require.Eventually(t, func() bool { // the patient's hospital commits in its own time
		page, err := w.patient.Requests(t.Context(), client.Page{})
		if err != nil {
			return false
		}
		requests = len(page.Items)
		return requests > 0
	}, time.Minute, 100*time.Millisecond)
	require.Equal(t, 1, requests, "committed once")
}

func TestOneGibibyteInBoundedMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("moves a gibibyte twice")
	}
	const size, limit = 1 << 30, 128 << 20
	w := newWard(t)
	dir := t.TempDir()
	original, copied := filepath.Join(dir, "original"), filepath.Join(dir, "copy")
	file, err := os.Create(original)
	require.NoError(t, err)
	_, err = io.Copy(file, testnet.Content(9, size))
	require.NoError(t, err)
	require.NoError(t, file.Close())

	out, peak := emrys(t, w, "author", "record", "put", original, "--patient", string(w.pseudonym), "--class", "omics", "--json")
	require.Less(t, peak, int64(limit), "the client's memory while it puts")
	var stored client.Stored
	require.NoError(t, json.Unmarshal(out, &stored))
	w.grant(time.Hour, stored.Record)
	_, peak = emrys(t, w, "reader", "record", "get", string(stored.Record), "--purpose", "TREAT", "-o", copied)
	require.Less(t, peak, int64(limit), "the client's memory while it gets")

	got, err := os.Open(copied)
	require.NoError(t, err)
	defer got.Close()
	require.Equal(t, digestOf(t, testnet.Content(9, size)), digestOf(t, got))
	processes, err := net.Status(t.Context())
	require.NoError(t, err)
	for _, name := range []string{"gateway.hospa", "gateway.hospb"} {
		peak := peakOf(t, processes[name].PID)
		t.Logf("%s: peak %d MiB", name, peak>>20)
		require.Less(t, peak, int64(limit), "%s: peak memory", name)
	}
}

// emrys runs the people's program and returns its output and peak memory in bytes.
func emrys(t *testing.T, w *ward, profile string, args ...string) ([]byte, int64) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), net.Program("emrys"), append(args, "--profile", filepath.Join(w.dir, profile))...)
	var problems bytes.Buffer
	cmd.Stderr = &problems
	out, err := cmd.Output()
	require.NoError(t, err, "%s", problems.String())
	usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	require.True(t, ok)
	t.Logf("emrys %s: peak %d MiB", args[1], usage.Maxrss>>10)
	return out, usage.Maxrss << 10
}

// peakOf returns a process's peak resident memory in bytes (proc(5), VmHWM).
func peakOf(t *testing.T, pid int) int64 {
	t.Helper()
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	require.NoError(t, err)
	for line := range strings.Lines(string(raw)) {
		if rest, found := strings.CutPrefix(line, "VmHWM:"); found {
			kib, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			require.NoError(t, err)
			return kib << 10
		}
	}
	t.Fatal("no VmHWM")
	return 0
}
