// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledgertest

import (
	"crypto/ecdsa"
	"crypto/x509"
	"testing"
	"time"

	"github.com/emrys-health/emrys/pkg/emr"
)

// AttachOrg returns an organisation of a network that runs, whose CA certifies people without being asked over a wire: the test has its
// certificate and key. Gateway, administrator and the organisation's own keys are not the network's: who has this organisation makes
// people and what they sign, and submits it by other means.
func AttachOrg(t testing.TB, id emr.OrgID, kind emr.OrgKind, ca *x509.Certificate, key *ecdsa.PrivateKey, from, until time.Time) *Org {
	t.Helper()
	org := NewOrg(t, id, kind, from, until)
	org.CA = &Authority{Certificate: ca, key: key}
	return org
}

// Factory returns a consortium of these organisations whose ledger is elsewhere: it makes people, documents and signed actions for a
// channel of the same name, and Now is to be set to the time of whoever checks them.
func Factory(now emr.Time, orgs ...*Org) *Consortium {
	c := &Consortium{World: NewWorld(Channel), Now: now, Orgs: map[emr.OrgID]*Org{}}
	for _, org := range orgs {
		c.Orgs[org.ID] = org
	}
	return c
}
