// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"io"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/emrys-health/emrys/pkg/client"
	"github.com/emrys-health/emrys/pkg/emr"
)

func (a *app) recordCommand() *cobra.Command {
	return group("record", "Records: put, search, show, get, erase",
		a.putCommand(), a.searchCommand(), a.showCommand(), a.getCommand(), a.signOffCommand(), a.eraseCommand(), a.erasureCommand())
}

func (a *app) showCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "show RECORD",
		Short: "Show the public part of a record",
		Args:  arguments(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := emr.ParseID[emr.RecordID]("record", args[0])
			if err != nil {
				return err
			}
			return a.withClient(func(c *client.Client) error {
				r, err := c.Record(cmd.Context(), id)
				if err != nil {
					return err
				}
				return a.result(r, func(w io.Writer) { writeRecord(w, r) })
			})
		},
	}
}

func writeRecord(w io.Writer, r *emr.Record) {
	restricted := ""
	if r.Restricted {
		restricted = "yes: the author has labelled it as sensitive"
	}
	fields(w,
		"Record", string(r.ID), "Class", string(r.Class), "Level", string(r.Level), "Hospital", string(r.Hospital),
		"Author", string(r.Author), "Registered", when(r.Registered), "Version", strconv.FormatUint(uint64(r.Version), 10),
		"Status", string(r.Status), "Previous", string(r.Previous), "Superseded by", string(r.SupersededBy), "Restricted", restricted, "Ciphertext", size(r.CipherSize),
		"Content id", r.CID, "SHA-256", r.Digest.String())
}
