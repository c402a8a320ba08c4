// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"

	"github.com/emrys-health/emrys/pkg/api"
	"github.com/emrys-health/emrys/pkg/consent"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// Consent returns a version of the calling patient's standing consent, the current
// one for 0, proven by several organisations.
func (c *Client) Consent(ctx context.Context, version uint32) (*consent.Consent, error) {
	if err := c.onlyPatient(); err != nil {
		return nil, err
	}
	query := ledgerapi.ConsentQuery{Patient: c.profile.Handle, Version: version}
	found, err := proven[consent.Consent](ctx, c, ledgerapi.GetConsent, &query)
	if err != nil {
		return nil, err
	}
	if found.Patient != c.profile.Handle || version != 0 && found.Version != version {
		return nil, corrupt("the gateway answered with another consent", nil)
	}
	return found, nil
}

// Consents lists every version of the calling patient's standing consent, newest first.
func (c *Client) Consents(ctx context.Context, p Page) (*ledgerapi.ConsentPage, error) {
	return list[ledgerapi.ConsentPage](ctx, c, "consent.list", p)
}

// maxPreviewPages bounds how many pages of one preview are fetched.
const maxPreviewPages = 20

// PreviewConsent tells who would gain and who would lose what if the calling
// patient put a document now. Document is brought into its normal form first.
func (c *Client) PreviewConsent(ctx context.Context, document consent.Document) (*ledgerapi.ConsentPreview, error) {
	if err := c.onlyPatient(); err != nil {
		return nil, err
	}
	in := api.ConsentPreviewRequest{Document: consent.Normal(document)}
	if err := in.Document.Validate(emr.TimeOf(c.now())); err != nil {
		return nil, err
	}
	var all *ledgerapi.ConsentPreview
	for range maxPreviewPages {
		var page ledgerapi.ConsentPreview
		if err := c.query(ctx, call{operation: "consent.preview", json: in}, &page); err != nil {
			return nil, err
		}
		switch {
		case all == nil:
			all = &page
		case all.Previewed.Basis != page.Previewed.Basis:
			return nil, emr.E(emr.CodeStale, "the ledger moved while the preview was read; preview again")
		default:
			all.Changes = append(all.Changes, page.Changes...)
			all.Complete = all.Complete && page.Complete
		}
		all.Bookmark = page.Bookmark
		if in.Cursor = page.Bookmark; in.Cursor == "" {
			return all, nil
		}
	}
	all.Complete = false
	return all, nil
}

// PutConsent puts a document as the calling patient's standing consent, on the
// ground of a preview of the same document. It is stale when the preview would
// show something else by now, or another device has put a version since.
func (c *Client) PutConsent(
	ctx context.Context, document consent.Document, preview *ledgerapi.ConsentPreview,
) (*ledgerapi.Receipt, error) {
	if err := c.onlyPatient(); err != nil {
		return nil, err
	}
	args := ledgerapi.PutConsentArgs{
		Patient: c.profile.Handle, Replaces: preview.Replaces, Document: consent.Normal(document), Previewed: preview.Previewed,
	}
	return c.transact(ctx, "consent.put", ledgerapi.PutConsent, &args)
}

// WithdrawConsent withdraws the calling patient's standing consent: nobody else
// reads anything until the patient puts another one.
func (c *Client) WithdrawConsent(ctx context.Context) (*ledgerapi.Receipt, error) {
	if err := c.onlyPatient(); err != nil {
		return nil, err
	}
	args := ledgerapi.WithdrawConsentArgs{Patient: c.profile.Handle}
	return c.transact(ctx, "consent.withdraw", ledgerapi.WithdrawConsent, &args)
}
