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

// SetGuardians is ledger.SetGuardians.
func (c *Contract) SetGuardians(ctx *Context) (*ledgerapi.Receipt, error) {
	return submit(ctx, ledgerapi.SetGuardians, ledger.SetGuardians)
}

// ProposeRecovery is ledger.ProposeRecovery.
func (c *Contract) ProposeRecovery(ctx *Context) (*ledgerapi.Receipt, error) {
	return submit(ctx, ledgerapi.ProposeRecovery, ledger.ProposeRecovery)
}

// ApproveRecovery is ledger.ApproveRecovery.
func (c *Contract) ApproveRecovery(ctx *Context) (*ledgerapi.DecisionReceipt, error) {
	return submit(ctx, ledgerapi.ApproveRecovery, ledger.ApproveRecovery)
}

// VetoRecovery is ledger.VetoRecovery.
func (c *Contract) VetoRecovery(ctx *Context) (*ledgerapi.DecisionReceipt, error) {
	return submit(ctx, ledgerapi.VetoRecovery, ledger.VetoRecovery)
}

// CompleteRecovery is ledger.CompleteRecovery.
func (c *Contract) CompleteRecovery(ctx *Context) (*ledgerapi.DecisionReceipt, error) {
	return submit(ctx, ledgerapi.CompleteRecovery, ledger.CompleteRecovery)
}

// GetGuardians is ledger.GetGuardians.
func (c *Contract) GetGuardians(ctx *Context, q ledgerapi.HandleQuery) (*emr.GuardianSet, error) {
	return ask(ctx, ledgerapi.GetGuardians, q, ledger.GetGuardians)
}

// GetRecovery is ledger.GetRecovery.
func (c *Contract) GetRecovery(ctx *Context, q ledgerapi.RecoveryQuery) (*emr.Recovery, error) {
	return ask(ctx, ledgerapi.GetRecovery, q, ledger.GetRecovery)
}

// ListRecoveries is ledger.ListRecoveries.
func (c *Contract) ListRecoveries(ctx *Context, q ledgerapi.PageQuery) (*ledgerapi.RecoveryPage, error) {
	return ask(ctx, ledgerapi.ListRecoveries, q, ledger.ListRecoveries)
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
