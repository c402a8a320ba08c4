// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package clienttest

import (
	"time"

	"github.com/emrys-health/emrys/pkg/emr"
)

// RevokePeer returns the revocation list (PEM) by which an organisation's authority
// revokes the certificate of the organisation's peer. Who has pinned it believes the peer no more.
func (w *World) RevokePeer(org emr.OrgID) string {
	w.tb.Helper()
	ca, peer := w.consortium.Authority(org)
	return ca.Revoke(w.tb, time.Now(), peer.Certificate(w.tb))
}
