// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"

	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
	"github.com/emrys-health/emrys/pkg/trail"
)

// TrailReport is what VerifyTrail found.
type TrailReport struct {
	// Verdict is of the chained entries up to Head, which several organisations have endorsed.
	Verdict trail.Verdict `json:"verdict"`
	Head    emr.AuditHead `json:"head"`
	// Chained counts the chained entries that the gateway told, up to the head; Loose
	// those that no chain covers: readings, requests, new records.
	Chained int `json:"chained"`
	Loose   int `json:"loose"`
	// Faults tell what is missing or contradicts, by the numbers of entries.
	Faults []TrailFault `json:"faults"`
}

// TrailFault is one thing that is wrong at the entries From to To.
type TrailFault struct {
	Kind trail.FaultKind `json:"kind"`
	From uint64          `json:"from"`
	To   uint64          `json:"to"`
}

// VerifyTrail fetches the calling patient's whole trail and holds it against the
// end of the chain, which is believed only with the endorsements of several
// organisations: a gateway that leaves a chained entry out, alters one or makes
// one up is found out. report is told the number of entries read so far and may
// be nil. Readings are in no chain and are only counted. The memory taken grows
// with the chained entries alone.
func (c *Client) VerifyTrail(ctx context.Context, report func(entries int)) (*TrailReport, error) {
	if err := c.onlyPatient(); err != nil {
		return nil, err
	}
	head, err := proven[emr.AuditHead](ctx, c, ledgerapi.GetAuditHead, &ledgerapi.HandleQuery{Patient: c.profile.Handle})
	if err != nil {
		return nil, err
	}
	if head.Patient != c.profile.Handle {
		return nil, corrupt("the gateway answered with another patient's trail", nil)
	}
	out := &TrailReport{Head: *head, Faults: []TrailFault{}}
	chained, err := c.chainedEntries(ctx, out, report)
	if err != nil {
		return nil, err
	}
	found, err := trail.Verify(chained, *head)
	if err != nil {
		return nil, corrupt("an entry of the trail cannot be read", err)
	}
	out.Verdict, out.Chained = found.Verdict, len(found.Chain)
	for _, f := range found.Faults {
		out.Faults = append(out.Faults, TrailFault(f))
	}
	return out, nil
}

// chainedEntries reads the trail and keeps what the head speaks of. What has been
// added since is left to the next time.
func (c *Client) chainedEntries(ctx context.Context, out *TrailReport, report func(int)) ([]emr.AuditEntry, error) {
	var chained []emr.AuditEntry
	read := 0
	p := Page{Limit: ledgerapi.MaxPageSize}
	for {
		page, err := c.Audit(ctx, p)
		if err != nil {
			return nil, err
		}
		for i := range page.Items {
			switch e := &page.Items[i]; {
			case e.Sequence > out.Head.Sequence:
			case e.Sequence == 0 && !e.Chained() && e.Patient == out.Head.Patient:
				out.Loose++
			default:
				chained = append(chained, *e)
			}
		}
		if read += len(page.Items); report != nil {
			report(read)
		}
		if page.Bookmark == "" || page.Bookmark == p.Cursor {
			return chained, nil
		}
		p.Cursor = page.Bookmark
	}
}
