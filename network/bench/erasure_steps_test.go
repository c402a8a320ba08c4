//go:build e2e

// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"time"

	"github.com/emrys-health/emrys/chaincode/ledger/ledgertest"
	"github.com/emrys-health/emrys/network/e2e/testnet"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// erasureSteps end a record's life: its scope is rolled, it is re-keyed, erased, and a holder confirms.
func erasureSteps() []step {
	holder := func(function string, args func(*course, *ward) (any, error)) step {
		return step{function: function, of: func(c *course, w *ward) (call, error) {
			a, err := args(c, w)
			return c.submitted(c.gateways[hospB], function, a), err
		}}
	}
	return []step{
		holder(ledgerapi.ReportIntegrity, func(_ *course, w *ward) (any, error) {
			return ledgerapi.ReportIntegrityArgs{Record: w.record.Record, Finding: emr.FindingMissing}, nil
		}),
		signedStep(ledgerapi.RollScope, "", thePatient, func(c *course, w *ward) any {
			next := ledgertest.NewScope(c.b, w.scope.Level)
			next.Epoch = w.scope.Epoch + 1
			args := ledgerapi.RollScopeArgs{Patient: w.patient.Handle, Scope: w.scope.ID, Next: next, Grants: []emr.GrantID{}}
			w.scope = &emr.Scope{
				V: emr.DocumentVersion, ID: next.ID, Patient: w.patient.Handle, Epoch: next.Epoch, Level: next.Level,
				Delegating: next.Delegating, Fragment: next.Fragment, Previous: args.Scope,
			}
			return args
		}),
		signedStep(ledgerapi.RekeyRecord, emr.Permit, theAuthor, func(c *course, w *ward) any {
			m := c.make.Manifest(c.b, w.author, w.scope, w.record.Class)
			m.Previous, m.Version = w.record.Record, w.record.Version+1
			m.CID, _ = (&setting{net: c.net}).rawAdd(c.b, testnet.Content(uint64(time.Now().UnixNano()), sizeOfContent))
			c.make.Complete(c.b, m, w.author, w.scope)
			w.record = m
			return m
		}),
		signedStep(ledgerapi.EraseRecord, emr.Permit, thePatient, func(_ *course, w *ward) any {
			w.erasure = ledgertest.ID[emr.ErasureID](emr.ErasurePrefix)
			return ledgerapi.EraseRecordArgs{
				Patient: w.patient.Handle, Erasure: w.erasure, Record: w.record.Record, Ground: emr.EraseWithdrawn,
				Grants: []emr.GrantID{}, Requests: []emr.RequestID{}, Amendments: []emr.AmendmentID{},
			}
		}),
		{function: ledgerapi.EraseExpired, unmeasured: "a class's longest time must be over; it writes what EraseRecord writes"},
		holder(ledgerapi.ContinueErasure, func(_ *course, w *ward) (any, error) {
			return ledgerapi.ContinueErasureArgs{
				Erasure: w.erasure, Grants: []emr.GrantID{}, Requests: []emr.RequestID{w.request}, Amendments: []emr.AmendmentID{w.amendment},
			}, nil
		}),
		holder(ledgerapi.ConfirmErasure, func(c *course, w *ward) (any, error) {
			var view ledgerapi.ErasureView
			if err := c.gateways[hospB].Query(c.b.Context(), ledgerapi.GetErasure, ledgerapi.ErasureQuery{Erasure: w.erasure}, &view); err != nil {
				return nil, err
			}
			args := ledgerapi.ConfirmErasureArgs{Erasure: w.erasure, Part: view.Parts[0].Part, Destroyed: []emr.Destroyed{}, Failed: []emr.Undestroyed{}}
			for _, version := range view.Parts[0].Records {
				args.Destroyed = append(args.Destroyed, emr.Destroyed{Record: version.Record, CID: version.CID, Things: emr.ErasureThings()})
			}
			return args, nil
		}),
	}
}
