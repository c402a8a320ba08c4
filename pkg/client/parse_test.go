// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package client_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/pkg/attest"
	"github.com/emrys-health/emrys/pkg/attest/attesttest"
	"github.com/emrys-health/emrys/pkg/client"
	"github.com/emrys-health/emrys/pkg/emr"
)

func selfSigned(t testing.TB) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now(), NotAfter: time.Now().Add(time.Hour), IsCA: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

func sample(t testing.TB) map[string]any {
	t.Helper()
	roots := selfSigned(t)
	return map[string]any{
		"v": 1, "gateway": "https://localhost:7150", "gatewayRoots": roots,
		"ca":  map[string]any{"url": "https://localhost:7100", "name": "ca-hospa", "roots": roots},
		"org": "HospAMSP", "role": "physician", "id": "cli_0123456789abcdef0123456789abcdef", "secret": "s3cret",
		"consortium": attesttest.New(t, time.Now(), "HospAMSP", "HospBMSP", "HospCMSP").Roots(),
	}
}

func encode(t testing.TB, value any) []byte {
	t.Helper()
	b, err := json.Marshal(value)
	require.NoError(t, err)
	return b
}

func TestInvitationsThatAreRefused(t *testing.T) {
	t.Parallel()
	_, err := client.ParseInvitation(encode(t, sample(t)))
	require.NoError(t, err)
	for name, change := range map[string]func(map[string]any){
		"another version":       func(m map[string]any) { m["v"] = 2 },
		"plain http":            func(m map[string]any) { m["gateway"] = "http://localhost" },
		"a path with a query":   func(m map[string]any) { m["gateway"] = "https://localhost/?a=b" },
		"a user in the address": func(m map[string]any) { m["gateway"] = "https://u:p@localhost" },
		"a trailing slash":      func(m map[string]any) { m["gateway"] = "https://localhost/" },
		"no roots":              func(m map[string]any) { m["gatewayRoots"] = "" },
		"no CA":                 func(m map[string]any) { delete(m, "ca") },
		"no name of the CA":     func(m map[string]any) { m["ca"].(map[string]any)["name"] = "" },
		"no roots of the CA":    func(m map[string]any) { m["ca"].(map[string]any)["roots"] = "x" },
		"no organisation":       func(m map[string]any) { m["org"] = "" },
		"an impossible role":    func(m map[string]any) { m["role"] = "gateway" },
		"no role":               func(m map[string]any) { m["role"] = "" },
		"a patient's id":        func(m map[string]any) { m["id"] = "pat_0123456789abcdef0123456789abcdef" },
		"a path for an id":      func(m map[string]any) { m["id"] = "../../etc/passwd" },
		"a patient with an id of professionals": func(m map[string]any) {
			m["role"] = "patient"
		},
		"no consortium":       func(m map[string]any) { delete(m, "consortium") },
		"a consortium of two": func(m map[string]any) { delete(m["consortium"].(attest.Roots), "HospCMSP") },
		"one authority for two organisations": func(m map[string]any) {
			m["consortium"].(attest.Roots)["HospCMSP"] = m["consortium"].(attest.Roots)["HospBMSP"]
		},
		"the own organisation and one other": func(m map[string]any) {
			m["consortium"] = attest.Roots{
				"HospAMSP": m["consortium"].(attest.Roots)["HospAMSP"], "HospBMSP": m["consortium"].(attest.Roots)["HospBMSP"],
			}
		},
		"a consortium under no name": func(m map[string]any) {
			m["consortium"].(attest.Roots)[""] = m["consortium"].(attest.Roots)["HospCMSP"]
		},
		"an authority that is none": func(m map[string]any) { m["consortium"].(attest.Roots)["HospCMSP"] = "x" },
		"no secret":                 func(m map[string]any) { m["secret"] = "" },
		"a secret with more":        func(m map[string]any) { m["secret"] = "a\nb" },
		"an unknown field":          func(m map[string]any) { m["extra"] = 1 },
	} {
		m := sample(t)
		change(m)
		_, err := client.ParseInvitation(encode(t, m))
		require.Error(t, err, name)
		require.Contains(t, []emr.Code{emr.CodeInvalid, emr.CodeUnsupported}, emr.CodeOf(err), name)
	}
	for _, text := range []string{"", "null", "[]", "{}{}", strings.Repeat(" ", 2<<20)} {
		_, err := client.ParseInvitation([]byte(text))
		require.Error(t, err)
	}
}

func TestAnInvitationPrintsNoSecret(t *testing.T) {
	t.Parallel()
	inv, err := client.ParseInvitation(encode(t, sample(t)))
	require.NoError(t, err)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
		require.NotContains(t, fmt.Sprintf(verb, inv), "s3cret", verb)
		require.NotContains(t, fmt.Sprintf(verb, *inv), "s3cret", verb)
	}
}

func FuzzParseInvitation(f *testing.F) {
	f.Add(encode(f, sample(f)))
	f.Add([]byte(`{"v":1}`))
	f.Add([]byte("null"))
	f.Fuzz(func(t *testing.T, data []byte) {
		inv, err := client.ParseInvitation(data)
		if err != nil {
			require.Nil(t, inv)
			return
		}
		again, err := client.ParseInvitation(encode(t, inv))
		require.NoError(t, err)
		require.Equal(t, inv, again)
	})
}

func FuzzParseProfile(f *testing.F) {
	p := sample(f)
	delete(p, "secret")
	f.Add(encode(f, p))
	p["role"], p["id"], p["handle"] = "patient", "pat_0123456789abcdef0123456789abcdef", "hnd_0123456789abcdef0123456789abcdef"
	p["scopes"] = []map[string]any{{"id": "scp_0123456789abcdef0123456789abcdef", "level": "private", "epoch": 1}}
	f.Add(encode(f, p))
	f.Add([]byte(`{"scopes":[{}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		profile, err := client.ParseProfile(data)
		if err != nil {
			require.Nil(t, profile)
			return
		}
		require.NoError(t, profile.Validate())
		again, err := client.ParseProfile(encode(t, profile))
		require.NoError(t, err)
		require.Equal(t, profile, again)
	})
}

func TestMediaTypesAreToldFromTheFirstBytes(t *testing.T) {
	t.Parallel()
	dicom := append(make([]byte, 128), "DICM"...)
	for name, c := range map[string]struct{ head, want string }{
		"nothing":              {"", "application/octet-stream"},
		"DICOM":                {string(dicom), "application/dicom"},
		"a short preamble":     {string(dicom[:131]), "application/octet-stream"},
		"FHIR":                 {`{"resourceType":"Patient"}`, "application/fhir+json"},
		"FHIR in disorder":     {"\n { \"id\": {\"a\":[1,{\"resourceType\":1}]}, \"resourceType\" : \"Bundle\", \"entry\": [", "application/fhir+json"},
		"FHIR with a mark":     {"\xef\xbb\xbf{\"resourceType\":\"Patient\"}", "application/fhir+json"},
		"JSON of others":       {`{"a":{"resourceType":"Patient"}}`, "application/octet-stream"},
		"a number as its type": {`{"resourceType":3}`, "application/octet-stream"},
		"cut off before":       {`{"id":"`, "application/octet-stream"},
		"an array":             {`[{"resourceType":"Patient"}]`, "application/octet-stream"},
		"HL7":                  {"MSH|^~\\&|", "application/hl7-v2"},
		"HL7 in MLLP":          {"\vMSH|^~\\&|", "application/hl7-v2"},
		"PDF":                  {"%PDF-1.7", "application/pdf"},
		"something deep":       {strings.Repeat(`{"a":`, 100), "application/octet-stream"},
	} {
		require.Equal(t, c.want, client.SniffMediaType([]byte(c.head)), name)
	}
}

func FuzzSniffMediaType(f *testing.F) {
	f.Add([]byte(`{"a":[{}],"resourceType":"Patient"}`))
	f.Add([]byte("MSH|"))
	f.Fuzz(func(t *testing.T, head []byte) {
		require.NotEmpty(t, client.SniffMediaType(head))
	})
}
