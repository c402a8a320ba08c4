// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"io"
	"slices"

	"github.com/spf13/cobra"

	"github.com/emrys-health/emrys/pkg/api"
	"github.com/emrys-health/emrys/pkg/client"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// reading is the result of opening a record.
type reading struct {
	Record      emr.RecordID     `json:"record"`
	Disclosure  emr.DisclosureID `json:"disclosure"`
	Grant       emr.GrantID      `json:"grant"`
	Purpose     emr.Purpose      `json:"purpose"`
	Author      emr.ClinicianID  `json:"author"`
	Hospital    emr.OrgID        `json:"hospital"`
	ContentType string           `json:"contentType"`
	PlainSize   uint64           `json:"plainSize"`
	Output      string           `json:"output"`
	Faults      []api.Fault      `json:"faults"`
}

type getFlags struct{ output, purpose, grant string }

func (a *app) getCommand() *cobra.Command {
	var f getFlags
	c := &cobra.Command{
		Use:   "get RECORD -o FILE",
		Short: "Read a record: disclose, open and decrypt",
		Long: `Read a record. The reading is committed to the ledger first, then the proxies of
other hospitals answer, and the content is decrypted on this device. A file
appears only when it is complete and verified; -o - writes to standard output,
each part after its verification.

Without --grant the newest live grant that covers record and purpose is used. A
reading without one is refused, and the refusal is committed too.`,
		Example: "  emrys record get rec_… -o study.dcm --purpose TREAT",
		Args:    arguments(cobra.ExactArgs(1)),
		RunE:    func(cmd *cobra.Command, args []string) error { return a.get(cmd.Context(), args[0], f) },
	}
	c.Flags().StringVarP(&f.output, "output", "o", "", "file to write, or - for standard output")
	c.Flags().StringVar(&f.purpose, "purpose", "", "what for: TREAT, HPAYMT, HOPERAT, HRESCH (a patient: PATRQT)")
	c.Flags().StringVar(&f.grant, "grant", "", "the grant to use, gra_…")
	return c
}

func (a *app) get(ctx context.Context, record string, f getFlags) error {
	id, err := emr.ParseID[emr.RecordID]("record", record)
	if err != nil {
		return err
	}
	if f.output == "" {
		return emr.Invalid("output", "say where to write: -o FILE, or -o - for standard output")
	}
	c, err := a.open()
	if err != nil {
		return err
	}
	defer c.Close()
	ticket, err := a.disclose(ctx, c, id, f)
	if err != nil {
		return err
	}
	return a.read(ctx, c, emr.DisclosureID(ticket.ID), f.output)
}

// disclose begins the reading, with the grant that is named or that fits.
func (a *app) disclose(ctx context.Context, c *client.Client, record emr.RecordID, f getFlags) (*ledgerapi.DecisionReceipt, error) {
	patient := c.Profile().IsPatient()
	if f.purpose == "" && patient {
		f.purpose = string(emr.PurposePatient)
	}
	purpose, err := emr.ParsePurpose("purpose", f.purpose)
	if err != nil {
		return nil, err
	}
	a.record, a.purpose = record, purpose
	if f.grant == "" && !patient {
		return c.DiscloseAny(ctx, record, purpose)
	}
	var grant emr.GrantID
	if f.grant != "" {
		if grant, err = emr.ParseID[emr.GrantID]("grant", f.grant); err != nil {
			return nil, err
		}
	}
	return c.Disclose(ctx, record, grant, purpose)
}

// read opens a ticket and writes the content.
func (a *app) read(ctx context.Context, c *client.Client, ticket emr.DisclosureID, output string) error {
	opened, err := c.OpenTicket(ctx, ticket)
	if err != nil {
		return err
	}
	for _, fault := range opened.Faults {
		if fault.Code == emr.CodeTimeout {
			continue // slower than the others, which were enough
		}
		a.note("warning: proxy %s did not serve: %s", fault.Gateway, faultText(fault))
	}
	bar := a.transfer("Reading", int64(opened.Manifest.PlainSize)) //nolint:gosec // at most 2^50
	if output == "-" {
		err = opened.Stream(ctx, a.stdout, bar.update)
	} else {
		err = opened.SaveTo(ctx, output, bar.update)
	}
	bar.end(err == nil)
	if err != nil {
		return err
	}
	done := reading{
		Record: opened.Record.ID, Disclosure: opened.Disclosure.ID, Grant: opened.Disclosure.Grant,
		Purpose: opened.Disclosure.Purpose, Author: opened.Author.ID, Hospital: opened.Record.Hospital,
		ContentType: opened.Manifest.ContentType, PlainSize: opened.Size, Output: output,
		Faults: append([]api.Fault{}, slices.Clone(opened.Faults)...),
	}
	if output == "-" {
		return nil // standard output holds the content and nothing else
	}
	return a.result(done, func(w io.Writer) {
		fields(w,
			"Wrote", output, "Size", size(done.PlainSize), "Type", done.ContentType, "Author", string(done.Author),
			"Hospital", string(done.Hospital), "Purpose", string(done.Purpose), "Grant", string(done.Grant),
			"Ticket", string(done.Disclosure))
	})
}

func faultText(f api.Fault) string {
	switch {
	case f.Message != "":
		return f.Message
	case f.Reason != "":
		return f.Reason.Explain()
	default:
		return string(f.Code)
	}
}
