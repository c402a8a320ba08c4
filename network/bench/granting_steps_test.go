//go:build e2e

// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"time"

	"github.com/emrys-health/emrys/network/e2e/testnet"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// grantingSteps narrow a grant, give several, rule about wide ones, confirm one, and sign a record off. They stand on a live grant.
func grantingSteps() []step {
	return []step{
		signedStep(ledgerapi.NarrowGrant, "", thePatient, func(c *course, w *ward) any {
			return ledgerapi.NarrowGrantArgs{
				Patient: w.patient.Handle, Grant: w.grant, Records: []emr.RecordID{w.record.Record}, Purposes: []emr.Purpose{emr.PurposeTreatment},
				Until: c.make.Now.Add(time.Hour),
			}
		}),
		{function: ledgerapi.GrantBatch, units: ledgerapi.MaxGrantBatch, of: func(c *course, w *ward) (call, error) {
			args := ledgerapi.GrantBatchArgs{Patient: w.patient.Handle}
			for range ledgerapi.MaxGrantBatch {
				args.Grants = append(args.Grants, *c.make.Grant(w.scope, w.reader, w.record.Record))
			}
			return c.signed(w.patient, ledgerapi.GrantBatch, args, ""), nil
		}},
		signedStep(ledgerapi.SetGrantRule, emr.Permit, thePatient, func(_ *course, w *ward) any {
			return ledgerapi.SetGrantRuleArgs{Patient: w.patient.Handle, Terms: emr.GrantRuleTerms{
				Bounds: emr.GrantBounds{Scope: true}, Confirmers: []string{string(w.author.ID)}, WaitHours: 1,
			}}
		}),
		{function: ledgerapi.ConfirmGrant, before: giveWide, of: func(c *course, w *ward) (call, error) {
			hash, err := w.wide.Hash()
			args := ledgerapi.ConfirmGrantArgs{Patient: w.patient.Handle, Grant: w.wide.Grant, Terms: hash}
			return c.signed(w.author, ledgerapi.ConfirmGrant, args, emr.Permit), err
		}},
		{function: ledgerapi.ConfirmGrantRule, unmeasured: "the keys that take part must have been pinned an hour before; it writes what SetGrantRule writes"},
		{function: ledgerapi.SignOff, before: registerToSign, of: func(c *course, w *ward) (call, error) {
			return c.signed(w.reader, ledgerapi.SignOff, ledgerapi.SignOffArgs{Record: w.toSign.ID, Manifest: w.toSign.Manifest}, emr.Permit), nil
		}},
	}
}

// giveWide gives the whole scope of each ward, which waits for its confirmation.
func giveWide(c *course) error {
	var calls []call
	for _, w := range c.wards {
		args := c.make.Grant(w.scope, w.reader)
		w.wide = args.Terms
		calls = append(calls, c.waiting(w.patient, ledgerapi.GrantAccess, args))
	}
	var ignored sampled
	c.inCrowd("give the whole scope", &ignored, calls)
	return nil
}

// registerToSign registers a record of each ward that its reader is to sign off.
func registerToSign(c *course) error {
	var calls []call
	for _, w := range c.wards {
		m := c.make.Manifest(c.b, w.author, w.scope, emr.ClassPrescription)
		m.CID, _ = (&setting{net: c.net}).rawAdd(c.b, testnet.Content(uint64(time.Now().UnixNano()), sizeOfContent))
		m.Signers = []emr.Signer{{Clinician: w.reader.ID, Org: hospB, Role: emr.RolePhysician}}
		c.make.Complete(c.b, m, w.author, w.scope)
		signed := c.make.Sign(c.b, w.author, ledgerapi.RegisterRecord, m)
		w.toSign = emr.Record{ID: m.Record, Manifest: signed.Digest()}
		calls = append(calls, c.carried(hospA, ledgerapi.RegisterRecord, signed, ""))
	}
	var ignored sampled
	c.inCrowd("register records to be signed off", &ignored, calls)
	return nil
}
