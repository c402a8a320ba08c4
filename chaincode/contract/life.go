// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package contract

import (
	"github.com/emrys-health/emrys/chaincode/ledger"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// RotatePatientKeys is ledger.RotatePatientKeys.
func (c *Contract) RotatePatientKeys(ctx *Context) (*ledgerapi.Receipt, error) {
	return submit(ctx, ledgerapi.RotatePatientKeys, ledger.RotatePatientKeys)
}

// RotateClinicianKeys is ledger.RotateClinicianKeys.
func (c *Contract) RotateClinicianKeys(ctx *Context) (*ledgerapi.Receipt, error) {
	return submit(ctx, ledgerapi.RotateClinicianKeys, ledger.RotateClinicianKeys)
}

// SuspendClinician is ledger.SuspendClinician.
func (c *Contract) SuspendClinician(ctx *Context, args ledgerapi.ClinicianStatusArgs) (*ledgerapi.Receipt, error) {
	return administer(ctx, ledgerapi.SuspendClinician, args, ledger.SuspendClinician)
}

// ReinstateClinician is ledger.ReinstateClinician.
func (c *Contract) ReinstateClinician(ctx *Context, args ledgerapi.ClinicianStatusArgs) (*ledgerapi.Receipt, error) {
	return administer(ctx, ledgerapi.ReinstateClinician, args, ledger.ReinstateClinician)
}

// OffboardClinician is ledger.OffboardClinician.
func (c *Contract) OffboardClinician(ctx *Context, args ledgerapi.ClinicianStatusArgs) (*ledgerapi.Receipt, error) {
	return administer(ctx, ledgerapi.OffboardClinician, args, ledger.OffboardClinician)
}

// GetPatientKeys is ledger.GetPatientKeys.
func (c *Contract) GetPatientKeys(ctx *Context, q ledgerapi.PatientKeysQuery) (*emr.PatientKeys, error) {
	return ask(ctx, ledgerapi.GetPatientKeys, q, ledger.GetPatientKeys)
}

// GetClinicianKeys is ledger.GetClinicianKeys.
func (c *Contract) GetClinicianKeys(ctx *Context, q ledgerapi.ClinicianKeysQuery) (*emr.Clinician, error) {
	return ask(ctx, ledgerapi.GetClinicianKeys, q, ledger.GetClinicianKeys)
}

// AuditByClinician is ledger.AuditByClinician.
func (c *Contract) AuditByClinician(ctx *Context, q ledgerapi.PageQuery) (*ledgerapi.AuditPage, error) {
	return ask(ctx, ledgerapi.AuditByClinician, q, ledger.AuditByClinician)
}
