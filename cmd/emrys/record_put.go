// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/emrys-health/emrys/pkg/client"
	"github.com/emrys-health/emrys/pkg/emr"
)

type putFlags struct {
	patient, class, contentType, previous string
	pad                                   bool
	labels, signers                       []string
}

func (a *app) putCommand() *cobra.Command {
	var f putFlags
	var classes []string
	for _, class := range emr.Classes() {
		classes = append(classes, string(class))
	}
	c := &cobra.Command{
		Use:   "put FILE --patient PATIENT --class CLASS",
		Short: "Encrypt a file and register it as a record of a patient",
		Long: `Encrypt a file on this device while it is uploaded, and register it as a record
of a patient, who need not be online. FILE may be - for standard input.

Classes: ` + strings.Join(classes, ", "),
		Example: "  emrys record put study.dcm --patient pat_… --class medical-imaging",
		Args:    arguments(cobra.ExactArgs(1)),
		RunE:    func(cmd *cobra.Command, args []string) error { return a.put(cmd, args[0], f) },
	}
	c.Flags().StringVar(&f.patient, "patient", "", "the patient's pseudonym, pat_…")
	c.Flags().StringVar(&f.class, "class", "", "the record's class")
	c.Flags().StringVar(&f.contentType, "type", "", "media type (default: told from the first bytes)")
	c.Flags().StringVar(&f.previous, "previous", "", "the version that this one replaces, rec_…")
	c.Flags().BoolVar(&f.pad, "pad", false, "pad the content, so that its stored length says less (up to 12 % longer)")
	c.Flags().StringSliceVar(&f.labels, "label", nil, "a sensitivity label: 42-cfr-part-2, genetic, hiv, mental-health, reproductive; may be repeated")
	c.Flags().StringSliceVar(&f.signers, "signer", nil, "who is to sign the record off, cli_…, in this order; may be repeated")
	return c
}

func (f putFlags) parse() (client.Upload, error) {
	var u client.Upload
	var err error
	if u.Patient, err = emr.ParseID[emr.PatientID]("patient", f.patient); err != nil {
		return u, err
	}
	if u.Class, err = emr.ParseClass("class", f.class); err != nil {
		return u, err
	}
	if f.previous != "" {
		if u.Previous, err = emr.ParseID[emr.RecordID]("previous", f.previous); err != nil {
			return u, err
		}
	}
	if u.Labels, err = parseEach("label", f.labels, emr.ParseLabel); err != nil {
		return u, err
	}
	if u.Signers, err = parseEach("signer", f.signers, emr.ParseID[emr.ClinicianID]); err != nil {
		return u, err
	}
	u.ContentType, u.Pad = f.contentType, f.pad
	return u, nil
}

func (a *app) put(cmd *cobra.Command, path string, f putFlags) error {
	upload, err := f.parse()
	if err != nil {
		return err
	}
	content, length, err := a.input(path)
	if err != nil {
		return err
	}
	defer content.Close()
	if f.pad && length < 0 {
		return emr.Invalid("pad", "needs a file whose length is known, not a stream")
	}
	c, err := a.open()
	if err != nil {
		return err
	}
	defer c.Close()
	bar := a.transfer("Uploading", length)
	upload.Size, upload.Progress = length, bar.update
	stored, err := c.PutRecord(cmd.Context(), content, upload)
	bar.end(err == nil)
	if err != nil {
		return err
	}
	return a.result(stored, func(w io.Writer) {
		length := size(stored.PlainSize)
		if f.pad {
			length = size(uint64(upload.Size)) + ", padded to " + length //nolint:gosec // not negative: see above
		}
		fields(w,
			"Registered", string(stored.Record), "Type", stored.ContentType, "Size", length,
			"Content id", stored.CID, "At", when(stored.At), "Transaction", stored.TxID,
			"Next", "others find it with: emrys record search --patient "+f.patient)
	})
}

// input opens what is to be uploaded. The length is -1 when it is not known.
func (a *app) input(path string) (io.ReadCloser, int64, error) {
	if path == "-" {
		return io.NopCloser(a.stdin), -1, nil
	}
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, 0, emr.Wrap(emr.CodeNotFound, "there is no file "+path, err)
	}
	if err != nil {
		return nil, 0, emr.Wrap(emr.CodeInvalid, "the file cannot be opened: "+path, err)
	}
	info, err := file.Stat()
	if err != nil || info.IsDir() {
		file.Close()
		return nil, 0, emr.Wrap(emr.CodeInvalid, path+" is not a file", err)
	}
	if !info.Mode().IsRegular() {
		return file, -1, nil
	}
	return file, info.Size(), nil
}
