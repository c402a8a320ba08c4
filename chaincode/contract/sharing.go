// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package contract

import (
	"github.com/emrys-health/emrys/chaincode/ledger"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// RequestAccess is ledger.RequestAccess.
func (c *Contract) RequestAccess(ctx *Context) (*ledgerapi.DecisionReceipt, error) {
	return submit(ctx, ledgerapi.RequestAccess, ledger.RequestAccess)
}

// RefuseAccess is ledger.RefuseAccess.
func (c *Contract) RefuseAccess(ctx *Context) (*ledgerapi.Receipt, error) {
	return submit(ctx, ledgerapi.RefuseAccess, ledger.RefuseAccess)
}

// GrantAccess is ledger.GrantAccess.
func (c *Contract) GrantAccess(ctx *Context) (*ledgerapi.Receipt, error) {
	return submit(ctx, ledgerapi.GrantAccess, ledger.GrantAccess)
}

// RevokeAccess is ledger.RevokeAccess.
func (c *Contract) RevokeAccess(ctx *Context) (*ledgerapi.Receipt, error) {
	return submit(ctx, ledgerapi.RevokeAccess, ledger.RevokeAccess)
}

// ListRequests is ledger.ListRequests.
func (c *Contract) ListRequests(ctx *Context, q ledgerapi.PageQuery) (*ledgerapi.RequestPage, error) {
	return ask(ctx, ledgerapi.ListRequests, q, ledger.ListRequests)
}

// GetRequest is ledger.GetRequest.
func (c *Contract) GetRequest(ctx *Context, q ledgerapi.RequestQuery) (*emr.Request, error) {
	return ask(ctx, ledgerapi.GetRequest, q, ledger.GetRequest)
}

// GetRequestAction is ledger.GetRequestAction.
func (c *Contract) GetRequestAction(ctx *Context, q ledgerapi.RequestQuery) (*ledgerapi.RequestView, error) {
	return ask(ctx, ledgerapi.GetRequestAction, q, ledger.GetRequestAction)
}

// ListGrants is ledger.ListGrants.
func (c *Contract) ListGrants(ctx *Context, q ledgerapi.PageQuery) (*ledgerapi.GrantPage, error) {
	return ask(ctx, ledgerapi.ListGrants, q, ledger.ListGrants)
}

// GetGrant is ledger.GetGrant.
func (c *Contract) GetGrant(ctx *Context, q ledgerapi.GrantQuery) (*emr.Grant, error) {
	return ask(ctx, ledgerapi.GetGrant, q, ledger.GetGrant)
}
