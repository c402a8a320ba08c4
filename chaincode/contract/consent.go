// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package contract

import (
	"github.com/emrys-health/emrys/chaincode/ledger"
	"github.com/emrys-health/emrys/pkg/consent"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// PutConsent is ledger.PutConsent.
func (c *Contract) PutConsent(ctx *Context) (*ledgerapi.Receipt, error) {
	return submit(ctx, ledgerapi.PutConsent, ledger.PutConsent)
}

// WithdrawConsent is ledger.WithdrawConsent.
func (c *Contract) WithdrawConsent(ctx *Context) (*ledgerapi.Receipt, error) {
	return submit(ctx, ledgerapi.WithdrawConsent, ledger.WithdrawConsent)
}

// GetConsent is ledger.GetConsent.
func (c *Contract) GetConsent(ctx *Context, q ledgerapi.ConsentQuery) (*consent.Consent, error) {
	return ask(ctx, ledgerapi.GetConsent, q, ledger.GetConsent)
}

// ListConsents is ledger.ListConsents.
func (c *Contract) ListConsents(ctx *Context, q ledgerapi.PageQuery) (*ledgerapi.ConsentPage, error) {
	return ask(ctx, ledgerapi.ListConsents, q, ledger.ListConsents)
}

// PreviewConsent is ledger.PreviewConsent.
func (c *Contract) PreviewConsent(ctx *Context, q ledgerapi.PreviewConsentQuery) (*ledgerapi.ConsentPreview, error) {
	return ask(ctx, ledgerapi.PreviewConsent, q, ledger.PreviewConsent)
}
