//go:build e2e

// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package sharing

import (
	"crypto/sha256"
	"encoding/pem"
	"strings"
	"testing"
	"time"

	"github.com/hyperledger/fabric-gateway/pkg/client"
	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/network/e2e/testnet"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// What the framework under the contract lets through or does not survive, tried on
// peers that run. Each answer is the contract's own refusal, and after each the same
// chaincode still answers: none of them ended a process.
//
// An identity that cannot be read never gets so far: the peers check a proposal's
// creator first. chaincode/contract tries it on the contract itself
// (TestACreatorThatCannotBeReadIsRefusedAndHarmsNobody), and a panic, which no call
// from outside is known to cause, too (TestAPanicBecomesAConstantError).
func TestTheTrapsOfTheFrameworkOnRealPeers(t *testing.T) {
	w := newWard(t)
	member, err := net.AsGateway("HospBMSP")
	require.NoError(t, err)
	t.Cleanup(member.Close)
	contract := member.Contract(ledgerapi.ChaincodeName)
	record := string(fresh[emr.RecordID](t, emr.RecordPrefix))
	before, err := net.Status(t.Context())
	require.NoError(t, err)

	for _, c := range []struct {
		name, function string
		args           []string
		code           emr.Code
	}{
		{"a function in lower case", "getRecord", []string{`{"record":"` + record + `"}`}, emr.CodeUnsupported},
		{"a transaction in lower case", "revokeCertificates", []string{`{}`}, emr.CodeUnsupported},
		{"a function with the contract's name before it", "emrys:GetRecord", []string{`{}`}, emr.CodeUnsupported},
		{"a method that is no function", "GetEvaluateTransactions", nil, emr.CodeUnsupported},
		{"a method of the framework", "GetTransactionContextHandler", nil, emr.CodeUnsupported},
		{"an argument too many", ledgerapi.GetRecord, []string{`{"record":"` + record + `"}`, `{}`}, emr.CodeInvalid},
		{"an argument too few", ledgerapi.GetRecord, nil, emr.CodeInvalid},
		{"an argument of a person's transaction", ledgerapi.PutConsent, []string{`{}`}, emr.CodeInvalid},
		{"an unknown field", ledgerapi.GetRecord, []string{`{"record":"` + record + `","more":1}`}, emr.CodeInvalid},
		{"no JSON", ledgerapi.GetRecord, []string{`{`}, emr.CodeInvalid},
		{"a deep nest", ledgerapi.GetRecord, []string{strings.Repeat(`{"record":`, 20000)}, emr.CodeInvalid},
		{"a null", ledgerapi.GetRecord, []string{`null`}, emr.CodeInvalid},
		{"a separator of keys", ledgerapi.GetRecord, []string{`{"record":"rec_\u0000"}`}, emr.CodeInvalid},
		{"an argument that is too large", ledgerapi.GetRecord, []string{`{"record":"` + strings.Repeat("x", 2<<20) + `"}`}, emr.CodeTooLarge},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := contract.EvaluateWithContext(t.Context(), c.function, client.WithArguments(c.args...))
			require.Equal(t, c.code, emr.CodeOf(testnet.Decoded(err)), "evaluated: %v", err)
			_, err = contract.SubmitWithContext(t.Context(), c.function, client.WithArguments(c.args...))
			require.Equal(t, c.code, emr.CodeOf(testnet.Decoded(err)), "submitted: %v", err)
			require.NoError(t, member.Query(t.Context(), ledgerapi.GetContract, ledgerapi.Empty{}, &ledgerapi.ContractView{}))
		})
	}
	t.Run("a transient field that is none of the contract's", func(t *testing.T) {
		for _, fields := range []map[string][]byte{
			{"x": []byte("{}")}, {"x": nil, ledgerapi.TransientAction: []byte("{}")}, {ledgerapi.TransientAction: []byte("{")}, {},
		} {
			_, err := contract.SubmitWithContext(t.Context(), ledgerapi.PutConsent, client.WithTransient(fields))
			require.Equal(t, emr.CodeInvalid, emr.CodeOf(testnet.Decoded(err)), "%v", err)
		}
	})
	t.Run("a query with a page is submitted and changes nothing", func(t *testing.T) {
		raw, err := emr.Canonical(ledgerapi.PageQuery{Patient: w.patient.Profile().Handle})
		require.NoError(t, err)
		_, err = contract.SubmitTransaction(ledgerapi.AuditByPatient, string(raw))
		require.NoError(t, err)
		var head emr.AuditHead
		require.NoError(t, member.Query(t.Context(), ledgerapi.GetAuditHead, ledgerapi.HandleQuery{Patient: w.patient.Profile().Handle}, &head))
	})
	after, err := net.Status(t.Context())
	require.NoError(t, err)
	for name, process := range before {
		if strings.HasPrefix(name, "chaincode.") {
			require.Equal(t, process.PID, after[name].PID, "%s was started anew", name)
		}
	}
}

// TestARevokedCertificateCarriesNothingOnARealLedger revokes a reader's certificate
// by the administrator of the reader's hospital, and by nobody else's.
func TestARevokedCertificateCarriesNothingOnARealLedger(t *testing.T) {
	w := newWard(t)
	reader, serial := w.reader, ""
	own, err := net.AsAdmin("HospBMSP")
	require.NoError(t, err)
	t.Cleanup(own.Close)
	other, err := net.AsAdmin("HospAMSP")
	require.NoError(t, err)
	t.Cleanup(other.Close)
	require.Eventually(t, func() bool {
		var clinician emr.Clinician
		err := own.Query(t.Context(), ledgerapi.GetClinician, ledgerapi.ClinicianQuery{Clinician: w.readerID}, &clinician)
		serial = clinician.Serial
		return err == nil && serial != ""
	}, 20*time.Second, 200*time.Millisecond)
	var list ledgerapi.OrganisationList
	require.NoError(t, own.Query(t.Context(), ledgerapi.GetOrganisations, ledgerapi.Empty{}, &list))
	args := func(org emr.OrgID) ledgerapi.RevokeCertificatesArgs {
		return ledgerapi.RevokeCertificatesArgs{
			Authority: authorityOf(t, list.Items, org), Ground: emr.RevokedKeyCompromise,
			Certificates: []ledgerapi.Certificate{{Serial: serial, Digest: emr.Digest{1}}},
		}
	}
	requireRefused(t, other.Order(t.Context(), ledgerapi.RevokeCertificates, args("HospBMSP")), emr.CodeForbidden, "")
	stored := w.put(strings.NewReader("x"))
	require.NoError(t, own.Order(t.Context(), ledgerapi.RevokeCertificates, args("HospBMSP")))
	require.Eventually(t, func() bool {
		receipt, err := reader.RequestAccess(t.Context(), stored.Record, emr.PurposeTreatment, "")
		return err == nil && receipt.Decision == emr.Deny && receipt.Reason == emr.ReasonRevokedCertificate // a committed fact
	}, 20*time.Second, 200*time.Millisecond)
	require.Equal(t, emr.CodeExists, emr.CodeOf(own.Order(t.Context(), ledgerapi.RevokeCertificates, args("HospBMSP"))))
}

// authorityOf returns the SHA-256 of the CA certificate that an organisation has registered.
func authorityOf(t *testing.T, orgs []emr.Organisation, id emr.OrgID) emr.Digest {
	t.Helper()
	for _, org := range orgs {
		if org.ID == id {
			block, _ := pem.Decode([]byte(org.CACert))
			require.NotNil(t, block)
			return sha256.Sum256(block.Bytes)
		}
	}
	t.Fatalf("no organisation %s", id)
	return emr.Digest{}
}
