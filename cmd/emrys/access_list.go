// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/emrys-health/emrys/pkg/client"
	"github.com/emrys-health/emrys/pkg/emr"
)

// accesses is a page of requests, of grants, or one of both.
type accesses struct {
	Requests       []emr.Request `json:"requests"`
	RequestsCursor string        `json:"requestsCursor"`
	Grants         []emr.Grant   `json:"grants"`
	GrantsCursor   string        `json:"grantsCursor"`
}

func (a *app) accessListCommand() *cobra.Command {
	var only string
	var page client.Page
	c := &cobra.Command{
		Use:   "list",
		Short: "List requests and grants",
		Long:  "List requests and grants, newest first: to you and of you as a patient, by you and to you as a professional.",
		Args:  arguments(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if only != "" && only != "requests" && only != "grants" {
				return emr.Invalid("only", "must be requests or grants")
			}
			if page.Cursor != "" && only == "" {
				return emr.Invalid("cursor", "needs --only requests or --only grants")
			}
			return a.withClient(func(c *client.Client) error {
				found, err := listAccesses(cmd.Context(), c, only, page)
				if err != nil {
					return err
				}
				patient := c.Profile().IsPatient()
				return a.result(found, func(w io.Writer) { writeAccesses(w, found, only, patient) })
			})
		},
	}
	c.Flags().StringVar(&only, "only", "", "requests or grants")
	pageFlags(c, &page)
	return c
}

func listAccesses(ctx context.Context, c *client.Client, only string, page client.Page) (*accesses, error) {
	found := &accesses{Requests: []emr.Request{}, Grants: []emr.Grant{}}
	if only != "grants" {
		requests, err := c.Requests(ctx, page)
		if err != nil {
			return nil, err
		}
		found.Requests, found.RequestsCursor = append(found.Requests, requests.Items...), requests.Bookmark
	}
	if only != "requests" {
		grants, err := c.Grants(ctx, page)
		if err != nil {
			return nil, err
		}
		found.Grants, found.GrantsCursor = append(found.Grants, grants.Items...), grants.Bookmark
	}
	return found, nil
}

func writeAccesses(w io.Writer, found *accesses, only string, patient bool) {
	if only != "grants" {
		writeRequests(w, found, patient)
	}
	if only == "" {
		_, _ = io.WriteString(w, "\n")
	}
	if only != "requests" {
		writeGrants(w, found)
	}
}

func writeRequests(w io.Writer, found *accesses, patient bool) {
	var rows [][]string
	pending := ""
	for _, r := range found.Requests {
		status := string(r.Status)
		if r.Decision == emr.Deny {
			status = "denied: " + string(r.Reason)
		}
		rows = append(rows, []string{
			string(r.ID), string(r.Record), string(r.By), string(r.Org), string(r.Purpose), status, when(r.Made),
		})
		if r.Status == emr.RequestPending {
			pending = string(r.ID)
		}
	}
	table(w, []string{"REQUEST", "RECORD", "BY", "ORGANISATION", "PURPOSE", "STATUS", "MADE"}, rows)
	if pending != "" && patient {
		fields(w, "Next", "emrys access show "+pending+", then access grant or access refuse")
	}
	more(w, found.RequestsCursor)
}

func writeGrants(w io.Writer, found *accesses) {
	var rows [][]string
	for i := range found.Grants {
		g := &found.Grants[i]
		t := g.Effective()
		rows = append(rows, []string{
			string(g.ID), string(t.Grantee), string(t.Org), covers(&t), purposes(t.Purposes),
			grantState(g, time.Now()), when(t.Until), uses(t.MaxUses),
		})
	}
	table(w, []string{"GRANT", "TO", "ORGANISATION", "COVERS", "PURPOSES", "STATE", "UNTIL", "USES"}, rows)
	more(w, found.GrantsCursor)
}

func covers(t *emr.GrantTerms) string {
	switch len(t.Records) {
	case 0:
		return "every record of the level"
	case 1:
		return string(t.Records[0])
	default:
		return string(t.Records[0]) + " and " + strconv.Itoa(len(t.Records)-1) + " more"
	}
}

func purposes(list []emr.Purpose) string {
	texts := make([]string, len(list))
	for i, p := range list {
		texts[i] = string(p)
	}
	return strings.Join(texts, ",")
}

// grantState is the stored state, or that the time is over.
func grantState(g *emr.Grant, now time.Time) string {
	switch {
	case g.Status == emr.GrantLive && g.Effective().Until <= emr.TimeOf(now):
		return "expired"
	case g.Status == emr.GrantLive && g.Ready > emr.TimeOf(now):
		return string(emr.GrantWaiting)
	}
	return string(g.Status)
}

func uses(most uint32) string {
	if most == 0 {
		return "any"
	}
	return "at most " + strconv.FormatUint(uint64(most), 10)
}
