// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package proxy

import (
	"github.com/emrys-health/emrys/gateway/internal/service"
	"github.com/emrys-health/emrys/pkg/api"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// holds refuses a ticket for which this gateway has nothing to give: no fragment of
// its own, or, under a direct grant, no sealed key. The gateway of the reader's own
// organisation gives nothing under either kind: the threshold counts organisations
// other than the reader's (docs/spec/pre.md, P15.3.1).
func (s *Server) holds(ticket *ledgerapi.Ticket) error {
	terms := &ticket.Grant.Terms
	switch {
	case !terms.Direct && (ticket.Fragment.Gateway != s.Organisation || len(ticket.Fragment.Sealed) == 0):
		return emr.Refused(emr.ReasonNoGrant, "this gateway holds no fragment of the grant")
	case terms.Direct && terms.Org == s.Organisation:
		return emr.Refused(emr.ReasonNoGrant, "this gateway is the reader's own, which gives no share")
	case terms.Direct && len(ticket.Direct.Sealed) == 0:
		return emr.Refused(emr.ReasonNoGrant, "the grant holds no key of the record")
	default:
		return nil
	}
}

// directKey returns the record's key that the patient sealed to the reader. It is
// handed out as it is, once it is seen to be the one that the grant commits to in
// public for this very record.
func directKey(o *service.Opened) ([]byte, error) {
	if o.Direct.Record != o.Disclosure.Record || !o.Grant.CommitsTo(o.Disclosure.Record, o.Direct.Sealed) {
		return nil, corrupt("the sealed key is not the one that the grant commits to", nil)
	}
	return o.Direct.Sealed, nil
}

// verifyDirect checks what another gateway answered under a direct grant.
func verifyDirect(o *service.Opened, f *api.Fragment) error {
	switch {
	case len(f.Capsule) != 0:
		return corrupt("it answered with a fragment, and the grant has none", nil)
	case len(f.Direct) == 0:
		return corrupt("its answer holds no sealed key", nil)
	case !o.Grant.CommitsTo(o.Disclosure.Record, f.Direct):
		return corrupt("its sealed key is not the one that the grant commits to", nil)
	default:
		return nil
	}
}
