// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"io"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/emrys-health/emrys/pkg/api"
	"github.com/emrys-health/emrys/pkg/client"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

type searchFlags struct {
	patient, class, from, to string
	all                      bool
	page                     client.Page
}

func (a *app) searchCommand() *cobra.Command {
	var f searchFlags
	c := &cobra.Command{
		Use:     "search --patient PATIENT",
		Short:   "Find records of a patient",
		Long:    "Find records of a patient, newest first. A patient's own search needs no --patient.",
		Example: "  emrys record search --patient pat_… --class medical-imaging --from 2026-01-01",
		Args:    arguments(cobra.NoArgs),
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.search(cmd, f) },
	}
	c.Flags().StringVar(&f.patient, "patient", "", "the patient's pseudonym, pat_…")
	c.Flags().StringVar(&f.class, "class", "", "only this class")
	c.Flags().StringVar(&f.from, "from", "", "registered at or after this time or date")
	c.Flags().StringVar(&f.to, "to", "", "registered before this time or date")
	c.Flags().BoolVar(&f.all, "all", false, "superseded versions too")
	pageFlags(c, &f.page)
	return c
}

func (f searchFlags) parse(own *client.Profile) (api.Search, error) {
	s := api.Search{All: f.all, Limit: f.page.Limit, Cursor: f.page.Cursor}
	if f.patient == "" && own.IsPatient() {
		f.patient = own.ID
	}
	var err error
	if s.Patient, err = emr.ParseID[emr.PatientID]("patient", f.patient); err != nil {
		return s, err
	}
	if f.class != "" {
		if s.Class, err = emr.ParseClass("class", f.class); err != nil {
			return s, err
		}
	}
	if s.From, err = optionalMoment("from", f.from); err != nil {
		return s, err
	}
	s.To, err = optionalMoment("to", f.to)
	return s, err
}

func (a *app) search(cmd *cobra.Command, f searchFlags) error {
	c, err := a.open()
	if err != nil {
		return err
	}
	defer c.Close()
	query, err := f.parse(c.Profile())
	if err != nil {
		return err
	}
	found, err := c.Search(cmd.Context(), query)
	if err != nil {
		return err
	}
	patient := c.Profile().IsPatient()
	return a.result(found, func(w io.Writer) { writeRecords(w, found, patient) })
}

func writeRecords(w io.Writer, page *ledgerapi.RecordPage, patient bool) {
	var rows [][]string
	for _, r := range page.Items {
		rows = append(rows, []string{
			string(r.ID), string(r.Class), string(r.Level), string(r.Hospital), strconv.FormatUint(uint64(r.Version), 10),
			size(r.CipherSize), when(r.Registered),
		})
	}
	table(w, []string{"RECORD", "CLASS", "LEVEL", "HOSPITAL", "VERSION", "SIZE", "REGISTERED"}, rows)
	switch {
	case len(page.Items) == 0:
	case patient:
		fields(w, "Next", "emrys record get RECORD -o FILE")
	default:
		fields(w, "Next", "emrys access request RECORD --purpose TREAT")
	}
	more(w, page.Bookmark)
}
