// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package client_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/pkg/client"
	"github.com/emrys-health/emrys/pkg/client/clienttest"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/keystore"
)

// A rotation is broken before its publication and after it, when the answer is lost for good.
func TestARotationGoesOnWhereItStopped(t *testing.T) {
	t.Parallel()
	for name, lost := range map[string]bool{"refused": false, "lost": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, dir := clienttest.New(t), t.TempDir()
			joinIn(t, w, dir, "HospAMSP", emr.RolePatient, "")
			w.Intercept = func(op string, rw http.ResponseWriter, _ *http.Request) bool {
				if !lost && op == "scope.publish" {
					clienttest.WriteProblem(rw, emr.E(emr.CodeInternal, ""))
					return true
				}
				if lost && op == "action.get" {
					clienttest.Hangup(rw)
					return true
				}
				return false
			}
			if lost {
				w.LoseAnswers = map[string]int{"scope.publish": 2}
			}
			_, err := client.Rotate(t.Context(), dir, nil, new(hurried).options())
			require.Error(t, err)
			stopped, err := client.LoadProfile(dir)
			require.NoError(t, err)
			require.NotEmpty(t, stopped.Pending)
			_, err = client.Open(dir, nil, client.Options{})
			require.NoError(t, err, "the profile stays in use")

			w.Intercept, w.LoseAnswers = nil, map[string]int{}
			done, err := client.Rotate(t.Context(), dir, nil, new(hurried).options())
			require.NoError(t, err)
			require.EqualValues(t, 2, done.Epoch, "it was finished, not begun anew")
			require.Equal(t, stopped.Pending, done.Scopes)
			after, err := client.LoadProfile(dir)
			require.NoError(t, err)
			require.Empty(t, after.Pending)
			require.Equal(t, append(stopped.Scopes, done.Scopes...), after.Scopes)
			keys, err := keystore.Open(dir, nil)
			require.NoError(t, err)
			require.Equal(t, []uint32{1, 2}, keys.Roots().Generations())
		})
	}
}

func TestCardsThatAreRefused(t *testing.T) {
	t.Parallel()
	for name, content := range map[string]string{
		"nothing": "", "no JSON": "x", "another kind": `{"v":1,"kind":"x","id":"a","organisation":"","key":""}`,
		"no key":           `{"v":1,"kind":"emrys-guardian-card","id":"a","organisation":"","key":""}`,
		"another version":  `{"v":2,"kind":"emrys-guardian-card","id":"a","organisation":"","key":""}`,
		"an unknown field": `{"v":1,"kind":"emrys-guardian-card","id":"a","organisation":"","key":"","x":1}`,
	} {
		_, err := client.ParseCard([]byte(content))
		requireCode(t, emr.CodeInvalid, err)
		require.NotEmpty(t, name)
	}
	_, err := client.ParseCard([]byte(strings.Repeat(" ", 300<<10)))
	requireCode(t, emr.CodeTooLarge, err)
	require.Empty(t, (&client.Card{}).Fingerprint())
}

func TestARecoveryThatWaitsIsOnesOwn(t *testing.T) {
	t.Parallel()
	dir, now := filepath.Join(t.TempDir(), "new"), time.Now()
	first, err := client.StartRecovery(dir, "pat_1", "phone", now)
	require.NoError(t, err)
	path := filepath.Join(dir, "recovery.json")
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	again, err := client.StartRecovery(dir, "pat_1", "phone", now.Add(time.Hour))
	require.NoError(t, err)
	require.Equal(t, first.Bytes(), again.Bytes())
	later, err := client.StartRecovery(dir, "pat_1", "phone", now.Add(8*24*time.Hour))
	require.NoError(t, err)
	require.NotEqual(t, first.Bytes(), later.Bytes(), "an expired request is replaced")
	other, err := client.StartRecovery(dir, "pat_2", "phone", now)
	require.NoError(t, err)
	require.Equal(t, "pat_2", other.Owner)

	_, err = client.StartRecovery(dir, "", "phone", now)
	requireCode(t, emr.CodeInvalid, err)
	for _, content := range []string{"", "{}", `{"v":1,"kind":"emrys-recovery","key":"","request":""}`} {
		require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
		_, err = client.StartRecovery(dir, "pat_1", "phone", now)
		requireCode(t, emr.CodeCorrupt, err)
		_, err = client.FinishRecovery(dir, nil, nil, client.ExpectNone)
		requireCode(t, emr.CodeCorrupt, err)
	}
}
