// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package client_test

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/pkg/client"
	"github.com/emrys-health/emrys/pkg/client/clienttest"
	"github.com/emrys-health/emrys/pkg/emr"
)

func invitation(t *testing.T, w *clienttest.World, role emr.Role) *client.Invitation {
	t.Helper()
	level := emr.LevelPrivate
	if role == emr.RolePatient {
		level = ""
	}
	inv, err := client.ParseInvitation(w.Invite("HospAMSP", role, level))
	require.NoError(t, err)
	return inv
}

// TestAJoinGoesOnWhereItStopped breaks the join at every step, in both ways:
// before the step was performed, and after it when the answer is lost for good.
func TestAJoinGoesOnWhereItStopped(t *testing.T) {
	t.Parallel()
	for _, operation := range []string{"network.get", "token.create", "patient.register", "scope.publish", "clinician.register"} {
		t.Run("refused at "+operation, func(t *testing.T) {
			t.Parallel()
			interruptedJoin(t, operation, func(w *clienttest.World, op string, rw http.ResponseWriter) bool {
				if op == operation {
					clienttest.WriteProblem(rw, emr.E(emr.CodeInternal, ""))
				}
				return op == operation
			}, nil)
		})
	}
	for _, operation := range []string{"patient.register", "scope.publish", "clinician.register"} {
		t.Run("lost at "+operation, func(t *testing.T) {
			t.Parallel()
			interruptedJoin(t, operation, func(_ *clienttest.World, op string, rw http.ResponseWriter) bool {
				if op == "action.get" { // the ledger cannot be asked either
					clienttest.Hangup(rw)
				}
				return op == "action.get"
			}, map[string]int{operation: 2})
		})
	}
}

func interruptedJoin(t *testing.T, operation string, fail func(*clienttest.World, string, http.ResponseWriter) bool, lose map[string]int) {
	t.Helper()
	w, dir, role := clienttest.New(t), t.TempDir(), emr.RolePatient
	if operation == "clinician.register" {
		role = emr.RolePhysician
	}
	inv := invitation(t, w, role)
	w.Intercept = func(op string, rw http.ResponseWriter, _ *http.Request) bool { return fail(w, op, rw) }
	if lose != nil {
		w.LoseAnswers = lose
	}
	_, err := client.Join(t.Context(), dir, inv, nil, new(hurried).options(), nil)
	require.Error(t, err)
	_, err = client.Open(dir, nil, client.Options{})
	requireCode(t, emr.CodeNotFound, err)
	before, err := client.LoadProfile(dir)
	require.NoError(t, err)

	w.Intercept, w.LoseAnswers = nil, map[string]int{}
	c, err := client.Join(t.Context(), dir, inv, nil, new(hurried).options(), nil)
	require.NoError(t, err)
	require.True(t, c.Profile().Joined())
	require.Equal(t, before.Handle, c.Profile().Handle, "the same person")
	require.Equal(t, before.Scopes, c.Profile().Scopes)
	require.Equal(t, 1, w.Count("ca.enroll"), "the secret is good once")
	c.Close()
	again, err := client.Join(t.Context(), dir, inv, nil, new(hurried).options(), func(s client.JoinStep) {
		t.Errorf("nothing is left to do, but: %s", s)
	})
	require.NoError(t, err)
	again.Close()
}

func TestAJoinReportsItsStepsAndLeavesPrivateFiles(t *testing.T) {
	t.Parallel()
	w, dir := clienttest.New(t), filepath.Join(t.TempDir(), "new", "profile")
	var steps []client.JoinStep
	c, err := client.Join(t.Context(), dir, invitation(t, w, emr.RolePatient), []byte("correct horse"), new(hurried).options(),
		func(s client.JoinStep) { steps = append(steps, s) })
	require.NoError(t, err)
	defer c.Close()
	require.Equal(t, []client.JoinStep{client.StepKeys, client.StepEnrol, client.StepRegister, client.StepPublish}, steps)
	require.Len(t, c.Profile().Scopes, len(emr.Levels()))
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 3, "keys, certificate, profile and nothing else")
	for _, e := range entries {
		info, err := e.Info()
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o600), info.Mode().Perm(), e.Name())
	}
	_, err = client.Open(dir, []byte("wrong"), client.Options{})
	requireCode(t, emr.CodeUnauthenticated, err)
	_, err = client.Open(dir, nil, client.Options{})
	requireCode(t, emr.CodeUnauthenticated, err)
	opened, err := client.Open(dir, []byte("correct horse"), client.Options{})
	require.NoError(t, err)
	opened.Close()
	state, err := client.HasKeys(dir)
	require.NoError(t, err)
	require.Equal(t, client.KeysSealed, state)
}

func TestJoinsThatAreRefused(t *testing.T) {
	t.Parallel()
	w := clienttest.New(t)
	dir := t.TempDir()
	first := invitation(t, w, emr.RolePatient)
	c, err := client.Join(t.Context(), dir, first, nil, new(hurried).options(), nil)
	require.NoError(t, err)
	c.Close()

	_, err = client.Join(t.Context(), dir, invitation(t, w, emr.RolePatient), nil, client.Options{}, nil)
	requireCode(t, emr.CodeExists, err)

	_, err = client.Join(t.Context(), t.TempDir(), first, nil, client.Options{}, nil)
	requireCode(t, emr.CodeUnauthenticated, err)
	require.Contains(t, emr.Public(err).Message, "registrar", "the way out is named")

	elsewhere := invitation(t, w, emr.RolePatient)
	elsewhere.CA.Roots = elsewhere.GatewayRoots
	elsewhere.CA.URL = "https://127.0.0.1:1"
	_, err = client.Join(t.Context(), t.TempDir(), elsewhere, nil, client.Options{}, nil)
	requireCode(t, emr.CodeUnavailable, err)
}

func TestAPseudonymThatIsTakenIsNotTakenOver(t *testing.T) {
	t.Parallel()
	w := clienttest.New(t)
	dir := t.TempDir()
	inv := invitation(t, w, emr.RolePatient)
	w.Occupy(emr.PatientID(inv.ID), "hnd_00000000000000000000000000000000")
	_, err := client.Join(t.Context(), dir, inv, nil, new(hurried).options(), nil)
	requireCode(t, emr.CodeExists, err)
	require.Contains(t, emr.Public(err).Message, "other keys")
}

func TestAGatewayThatChangesItsLedgerIsRefused(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]map[string]any{
		"another channel":      {"channel": "other", "contract": "emrys", "organisation": "HospAMSP"},
		"another contract":     {"channel": "emrys", "contract": "other", "organisation": "HospAMSP"},
		"another organisation": {"channel": "emrys", "contract": "emrys", "organisation": "HospBMSP"},
		"no channel":           {"channel": "", "contract": "emrys", "organisation": "HospAMSP"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, dir := clienttest.New(t), t.TempDir()
			c, err := client.Join(t.Context(), dir, invitation(t, w, emr.RolePhysician), nil, client.Options{}, nil)
			require.NoError(t, err)
			c.Close()
			w.Intercept = func(op string, rw http.ResponseWriter, _ *http.Request) bool {
				if op == "network.get" {
					_ = json.NewEncoder(rw).Encode(change)
				}
				return op == "network.get"
			}
			c, err = client.Open(dir, nil, client.Options{})
			require.NoError(t, err)
			defer c.Close()
			_, err = c.Network(t.Context())
			requireCode(t, emr.CodeCorrupt, err)
		})
	}
}

func TestAGatewayUnderAnotherRootIsRefused(t *testing.T) {
	t.Parallel()
	w, other := clienttest.New(t), t.TempDir()
	c, err := client.Join(t.Context(), other, invitation(t, w, emr.RolePhysician), nil, client.Options{}, nil)
	require.NoError(t, err)
	c.Close()
	p, err := client.LoadProfile(other)
	require.NoError(t, err)
	p.GatewayRoots = selfSigned(t)
	data, err := json.Marshal(p)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(other, "profile.json"), data, 0o600))
	c, err = client.Open(other, nil, client.Options{})
	require.NoError(t, err)
	defer c.Close()
	_, err = c.Network(t.Context())
	requireCode(t, emr.CodeUnauthenticated, err)
}

func TestProfilesThatDoNotOpen(t *testing.T) {
	t.Parallel()
	w, dir := clienttest.New(t), t.TempDir()
	c, err := client.Join(t.Context(), dir, invitation(t, w, emr.RolePhysician), nil, client.Options{}, nil)
	require.NoError(t, err)
	c.Close()
	other := t.TempDir()
	o, err := client.Join(t.Context(), other, invitation(t, w, emr.RolePhysician), nil, client.Options{}, nil)
	require.NoError(t, err)
	o.Close()

	_, err = client.Open(t.TempDir(), nil, client.Options{})
	requireCode(t, emr.CodeNotFound, err)

	foreign, err := os.ReadFile(filepath.Join(other, "certificate.pem"))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "certificate.pem"), foreign, 0o600))
	_, err = client.Open(dir, nil, client.Options{})
	requireCode(t, emr.CodeCorrupt, err)

	require.NoError(t, os.Remove(filepath.Join(dir, "certificate.pem")))
	_, err = client.Open(dir, nil, client.Options{})
	requireCode(t, emr.CodeNotFound, err)

	require.NoError(t, os.Remove(filepath.Join(dir, "keys.json")))
	_, err = client.Open(dir, nil, client.Options{})
	requireCode(t, emr.CodeNotFound, err)

	require.NoError(t, os.WriteFile(filepath.Join(dir, "profile.json"), []byte("{"), 0o600))
	_, err = client.Open(dir, nil, client.Options{})
	requireCode(t, emr.CodeInvalid, err)
}
