// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledger_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/chaincode/ledger"
	"github.com/emrys-health/emrys/chaincode/ledger/ledgertest"
	"github.com/emrys-health/emrys/pkg/emr"
)

// TestTheRegistryIsReadAsItStandsInEffect: a rule that reads a patient's values by
// the key of the first generation misses a move, and one that reads a clinician's
// entry as it is stored misses a revoked certificate. The few files that write the
// entries back read them so, and no others.
func TestTheRegistryIsReadAsItStandsInEffect(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("*.go")
	require.NoError(t, err)
	for key, may := range map[string][]string{
		"ledgerapi.PatientKey(":   {"person.go"}, // whether a handle is taken
		"ledgerapi.ConsentKey(":   {},
		"ledgerapi.GuardiansKey(": {},
		"ledgerapi.GrantRuleKey(": {},
		// Registration, status and rotation write the entry back; a batch only fetches it ahead.
		"ledgerapi.ClinicianKey(": {"person.go", "status.go", "rotate.go", "revocation.go", "batch.go"},
	} {
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") || slices.Contains(may, file) {
				continue
			}
			source, err := os.ReadFile(file)
			require.NoError(t, err)
			require.NotContains(t, string(source), key, "%s: use requirePatient, standingConsent, guardiansOf, grantRuleOf or requireClinician", file)
		}
	}
}

func TestAnInspectorWhoseCertificateIsRevokedReadsNoLogAnyMore(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	auditor := s.auditor(t)
	args := inspecting(emr.LogSubject{Patient: s.patient.Handle})
	s.inspect(t, auditor, args)
	require.NotEmpty(t, s.readLog(t, ledgertest.Regulator, reading(args)))
	require.NoError(t, s.revoke(t, auditor.Org.Admin, revoking(auditor.Org, auditor.Cert)))
	_, err := ledger.ReadLog(s.Query(auditor.Org), reading(args))
	require.Equal(t, emr.ReasonRevokedCertificate, emr.Public(err).Reason, "%v", err)
}
