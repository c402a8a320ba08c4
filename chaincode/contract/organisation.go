// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package contract

import (
	"github.com/emrys-health/emrys/chaincode/ledger"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// RegisterOrganisation is ledger.RegisterOrganisation.
func (c *Contract) RegisterOrganisation(
	ctx *Context, args ledgerapi.RegisterOrganisationArgs,
) (*ledgerapi.Receipt, error) {
	return order(ctx, ledgerapi.RegisterOrganisation, args, ledger.RegisterOrganisation)
}

// GetOrganisations is ledger.GetOrganisations.
func (c *Contract) GetOrganisations(ctx *Context, q ledgerapi.Empty) (*ledgerapi.OrganisationList, error) {
	return ask(ctx, ledgerapi.GetOrganisations, q, ledger.GetOrganisations)
}
