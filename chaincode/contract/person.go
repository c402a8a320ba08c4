// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package contract

import (
	"github.com/emrys-health/emrys/chaincode/ledger"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// RegisterPatient is ledger.RegisterPatient.
func (c *Contract) RegisterPatient(ctx *Context) (*ledgerapi.Receipt, error) {
	return submit(ctx, ledgerapi.RegisterPatient, ledger.RegisterPatient)
}

// RegisterClinician is ledger.RegisterClinician.
func (c *Contract) RegisterClinician(ctx *Context) (*ledgerapi.Receipt, error) {
	return submit(ctx, ledgerapi.RegisterClinician, ledger.RegisterClinician)
}

// PublishScopes is ledger.PublishScopes.
func (c *Contract) PublishScopes(ctx *Context) (*ledgerapi.Receipt, error) {
	return submit(ctx, ledgerapi.PublishScopes, ledger.PublishScopes)
}

// ResolvePatient is ledger.ResolvePatient.
func (c *Contract) ResolvePatient(ctx *Context, q ledgerapi.ResolvePatientQuery) (*ledgerapi.PatientView, error) {
	return ask(ctx, ledgerapi.ResolvePatient, q, ledger.ResolvePatient)
}

// GetPatient is ledger.GetPatient.
func (c *Contract) GetPatient(ctx *Context, q ledgerapi.HandleQuery) (*ledgerapi.PatientView, error) {
	return ask(ctx, ledgerapi.GetPatient, q, ledger.GetPatient)
}

// GetClinician is ledger.GetClinician.
func (c *Contract) GetClinician(ctx *Context, q ledgerapi.ClinicianQuery) (*emr.Clinician, error) {
	return ask(ctx, ledgerapi.GetClinician, q, ledger.GetClinician)
}
