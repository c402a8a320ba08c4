// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledger_test

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"testing"

	"github.com/emrys-health/emrys/chaincode/ledger/ledgertest"
)

func attributesOf(value string) pkix.Extension {
	return pkix.Extension{Id: asn1.ObjectIdentifier{1, 2, 3, 4, 5, 6, 7, 8, 1}, Value: []byte(value)}
}

// attributesTwice is a gateway's certificate with a second extension of attributes.
func attributesTwice(t *testing.T, o *ledgertest.Org) *x509.Certificate {
	t.Helper()
	certificate := *o.Gateway.Certificate
	certificate.Extensions = append(certificate.Extensions[:len(certificate.Extensions):len(certificate.Extensions)],
		attributesOf(`{"attrs":{"emrys.role":"gateway"}}`))
	return &certificate
}

// attributesBroken is a certificate whose attributes cannot be read.
func attributesBroken(t *testing.T, o *ledgertest.Org) *x509.Certificate {
	t.Helper()
	certificate := *o.Gateway.Certificate
	certificate.Extensions = []pkix.Extension{attributesOf(`{"attrs":{"emrys.role":1}}`)}
	return &certificate
}
