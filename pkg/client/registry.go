// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"strconv"

	"github.com/emrys-health/emrys/pkg/api"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// ResolvePatient finds a patient's handle, keys and scopes by the pseudonym of
// the hospital's CA. It is a not_found error when there is none, or the caller
// may not know. The answer is proven by several organisations.
func (c *Client) ResolvePatient(ctx context.Context, id emr.PatientID) (*ledgerapi.PatientView, error) {
	return proven[ledgerapi.PatientView](ctx, c, ledgerapi.ResolvePatient, &ledgerapi.ResolvePatientQuery{Patient: id})
}

// Clinician returns a professional's registry entry, proven by several organisations.
func (c *Client) Clinician(ctx context.Context, id emr.ClinicianID) (*emr.Clinician, error) {
	entry, err := proven[emr.Clinician](ctx, c, ledgerapi.GetClinician, &ledgerapi.ClinicianQuery{Clinician: id})
	if err != nil {
		return nil, err
	}
	if entry.ID != id {
		return nil, emr.E(emr.CodeCorrupt, "the gateway answered with another professional's entry")
	}
	return entry, nil
}

// Record returns the public part of a record, proven by several organisations.
func (c *Client) Record(ctx context.Context, id emr.RecordID) (*emr.Record, error) {
	record, err := proven[emr.Record](ctx, c, ledgerapi.GetRecord, &ledgerapi.RecordQuery{Record: id})
	if err != nil {
		return nil, err
	}
	if record.ID != id {
		return nil, emr.E(emr.CodeCorrupt, "the gateway answered with another record")
	}
	return record, nil
}

// Search finds a patient's records, newest first, a page at a time.
func (c *Client) Search(ctx context.Context, s api.Search) (*ledgerapi.RecordPage, error) {
	var page ledgerapi.RecordPage
	if err := c.query(ctx, call{operation: "record.search", json: &s}, &page); err != nil {
		return nil, err
	}
	return &page, nil
}

// Page asks for one page of a list. Limit 0 leaves the size to the gateway.
type Page struct {
	Limit  int
	Cursor string
}

func (p Page) query() map[string]string {
	q := map[string]string{"cursor": p.Cursor}
	if p.Limit > 0 {
		q["limit"] = strconv.Itoa(p.Limit)
	}
	return q
}

// Relationships lists the calling patient's treatment relationships.
func (c *Client) Relationships(ctx context.Context, p Page) (*ledgerapi.RelationshipPage, error) {
	return list[ledgerapi.RelationshipPage](ctx, c, "relationship.list", p)
}

// Requests lists requests to the calling patient, or by the calling professional, newest first.
func (c *Client) Requests(ctx context.Context, p Page) (*ledgerapi.RequestPage, error) {
	return list[ledgerapi.RequestPage](ctx, c, "request.list", p)
}

// Grants lists grants of the calling patient, or to the calling professional, newest first.
func (c *Client) Grants(ctx context.Context, p Page) (*ledgerapi.GrantPage, error) {
	return list[ledgerapi.GrantPage](ctx, c, "grant.list", p)
}

// Audit lists the calling patient's audit trail, newest first.
func (c *Client) Audit(ctx context.Context, p Page) (*ledgerapi.AuditPage, error) {
	return list[ledgerapi.AuditPage](ctx, c, "audit.list", p)
}

// AuditOfRecord lists the audit trail of one record, newest first.
func (c *Client) AuditOfRecord(ctx context.Context, id emr.RecordID, p Page) (*ledgerapi.AuditPage, error) {
	return list[ledgerapi.AuditPage](ctx, c, "audit.record", p, string(id))
}

func list[T any](ctx context.Context, c *Client, operation string, p Page, path ...string) (*T, error) {
	var page T
	if err := c.query(ctx, call{operation: operation, path: path, query: p.query()}, &page); err != nil {
		return nil, err
	}
	return &page, nil
}

// findRequest walks the caller's requests, newest first, to one of them.
func (c *Client) findRequest(ctx context.Context, id emr.RequestID) (*emr.Request, error) {
	p := Page{Limit: ledgerapi.MaxPageSize}
	for {
		page, err := c.Requests(ctx, p)
		if err != nil {
			return nil, err
		}
		for i := range page.Items {
			if page.Items[i].ID == id {
				return &page.Items[i], nil
			}
		}
		if page.Bookmark == "" || page.Bookmark == p.Cursor {
			return nil, emr.E(emr.CodeNotFound, "no such request among yours")
		}
		p.Cursor = page.Bookmark
	}
}

// findGrant walks the caller's grants, newest first, to the first that fits.
func (c *Client) findGrant(ctx context.Context, fits func(*emr.Grant) bool) (*emr.Grant, error) {
	p := Page{Limit: ledgerapi.MaxPageSize}
	for {
		page, err := c.Grants(ctx, p)
		if err != nil {
			return nil, err
		}
		for i := range page.Items {
			if fits(&page.Items[i]) {
				return &page.Items[i], nil
			}
		}
		if page.Bookmark == "" || page.Bookmark == p.Cursor {
			return nil, emr.E(emr.CodeNotFound, "no such grant among yours")
		}
		p.Cursor = page.Bookmark
	}
}
