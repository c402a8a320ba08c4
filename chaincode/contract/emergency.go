// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package contract

import (
	"github.com/emrys-health/emrys/chaincode/ledger"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// SetEmergencyPlan is ledger.SetEmergencyPlan.
func (c *Contract) SetEmergencyPlan(ctx *Context) (*ledgerapi.Receipt, error) {
	return submit(ctx, ledgerapi.SetEmergencyPlan, ledger.SetEmergencyPlan)
}

// OpenEmergency is ledger.OpenEmergency.
func (c *Contract) OpenEmergency(ctx *Context) (*ledgerapi.DecisionReceipt, error) {
	return submit(ctx, ledgerapi.OpenEmergency, ledger.OpenEmergency)
}

// ConfirmEmergency is ledger.ConfirmEmergency.
func (c *Contract) ConfirmEmergency(ctx *Context) (*ledgerapi.DecisionReceipt, error) {
	return submit(ctx, ledgerapi.ConfirmEmergency, ledger.ConfirmEmergency)
}

// CloseEmergency is ledger.CloseEmergency.
func (c *Contract) CloseEmergency(ctx *Context) (*ledgerapi.Receipt, error) {
	return submit(ctx, ledgerapi.CloseEmergency, ledger.CloseEmergency)
}

// ReviewEmergency is ledger.ReviewEmergency.
func (c *Contract) ReviewEmergency(ctx *Context) (*ledgerapi.DecisionReceipt, error) {
	return submit(ctx, ledgerapi.ReviewEmergency, ledger.ReviewEmergency)
}

// ContestEmergency is ledger.ContestEmergency.
func (c *Contract) ContestEmergency(ctx *Context) (*ledgerapi.Receipt, error) {
	return submit(ctx, ledgerapi.ContestEmergency, ledger.ContestEmergency)
}

// SetEmergencyRules is ledger.SetEmergencyRules.
func (c *Contract) SetEmergencyRules(ctx *Context, args ledgerapi.SetEmergencyRulesArgs) (*ledgerapi.Receipt, error) {
	return administer(ctx, ledgerapi.SetEmergencyRules, args, ledger.SetEmergencyRules)
}

// GetEmergency is ledger.GetEmergency.
func (c *Contract) GetEmergency(ctx *Context, q ledgerapi.EmergencyArgs) (*emr.Emergency, error) {
	return ask(ctx, ledgerapi.GetEmergency, q, ledger.GetEmergency)
}

// GetEmergencyAction is ledger.GetEmergencyAction.
func (c *Contract) GetEmergencyAction(ctx *Context, q ledgerapi.EmergencyArgs) (*ledgerapi.EmergencyView, error) {
	return ask(ctx, ledgerapi.GetEmergencyAction, q, ledger.GetEmergencyAction)
}

// ListEmergencies is ledger.ListEmergencies.
func (c *Contract) ListEmergencies(ctx *Context, q ledgerapi.EmergenciesQuery) (*ledgerapi.EmergencyPage, error) {
	return ask(ctx, ledgerapi.ListEmergencies, q, ledger.ListEmergencies)
}

// GetEmergencyPlan is ledger.GetEmergencyPlan.
func (c *Contract) GetEmergencyPlan(ctx *Context, q ledgerapi.HandleQuery) (*emr.EmergencyPlan, error) {
	return ask(ctx, ledgerapi.GetEmergencyPlan, q, ledger.GetEmergencyPlan)
}

// GetEmergencyRules is ledger.GetEmergencyRules.
func (c *Contract) GetEmergencyRules(ctx *Context, q ledgerapi.EmergencyRulesQuery) (*emr.EmergencyRules, error) {
	return ask(ctx, ledgerapi.GetEmergencyRules, q, ledger.GetEmergencyRules)
}

// GetEmergencyDuty is ledger.GetEmergencyDuty.
func (c *Contract) GetEmergencyDuty(ctx *Context, q ledgerapi.ClinicianQuery) (*emr.EmergencyDuty, error) {
	return ask(ctx, ledgerapi.GetEmergencyDuty, q, ledger.GetEmergencyDuty)
}
