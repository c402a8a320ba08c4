// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/emrys-health/emrys/pkg/client"
	"github.com/emrys-health/emrys/pkg/consent"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

func (a *app) consentCommand() *cobra.Command {
	return group("consent", "Say beforehand who may, who must not, and whom you are asked about",
		a.consentShowCommand(), a.consentSetCommand(), a.consentPreviewCommand(), a.consentWithdrawCommand(), a.consentAnswerCommand())
}

func (a *app) consentShowCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "show [VERSION]",
		Short: "Show your standing consent, or an earlier version of it",
		Args:  arguments(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			var version uint64
			if len(args) == 1 {
				var err error
				if version, err = strconv.ParseUint(args[0], 10, 32); err != nil || version == 0 {
					return emr.Invalid("version", "must be a number from 1")
				}
			}
			return a.withClient(func(c *client.Client) error {
				found, err := c.Consent(cmd.Context(), uint32(version)) //nolint:gosec // 32 bits: see above
				if err != nil {
					return err
				}
				return a.result(found, func(w io.Writer) { writeConsent(w, found) })
			})
		},
	}
}

func writeConsent(w io.Writer, c *consent.Consent) {
	base := string(c.Document.Base) + " to everybody whom no line below is about"
	if c.Status == consent.Withdrawn {
		base = "deny to everybody"
	}
	fields(w, "Version", strconv.FormatUint(uint64(c.Version), 10), "Status", string(c.Status), "By", c.By, "At", when(c.At), "Base", base)
	var rows [][]string
	for i := range c.Document.Provisions {
		p := &c.Document.Provisions[i]
		rows = append(rows, []string{string(p.Effect), strings.Join(selectors(p), ", "), when(p.From), when(p.Until)})
	}
	if len(rows) > 0 {
		table(w, []string{"EFFECT", "ABOUT", "FROM", "UNTIL"}, rows)
	}
	for _, g := range c.Document.Groups {
		fields(w, "Group "+g.Name, strings.Join(words(g.Members), " "), "Until", when(g.Until))
	}
}

// selectors tells what a provision is about, one text for each selector that is set.
func selectors(p *consent.Provision) []string {
	var all []string
	add := func(name string, values []string) {
		if len(values) > 0 {
			all = append(all, name+" "+strings.Join(values, " "))
		}
	}
	add("people", words(p.People))
	add("groups", p.Groups)
	add("hospitals", words(p.Hospitals))
	add("roles", words(p.Roles))
	add("purposes", words(p.Purposes))
	add("classes", words(p.Classes))
	add("authors", words(p.Authors))
	add("records", words(p.Records))
	add("scopes", words(p.Scopes))
	if p.Level != "" {
		all = append(all, "level at most "+string(p.Level))
	}
	if p.Restricted {
		all = append(all, "restricted records")
	}
	return all
}

func words[T ~string](list []T) []string {
	out := make([]string, len(list))
	for i, one := range list {
		out[i] = string(one)
	}
	return out
}

// maxConsentFile bounds a document that a person wrote, in bytes.
const maxConsentFile = 4 * consent.MaxDocument

// readConsent reads a document. Lists that are left out are empty.
func (a *app) readConsent(path string) (consent.Document, error) {
	var d consent.Document
	file, _, err := a.input(path)
	if err != nil {
		return d, err
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, maxConsentFile+1))
	if err != nil {
		return d, emr.Wrap(emr.CodeInvalid, "the file cannot be read", err)
	}
	if len(data) > maxConsentFile {
		return d, emr.E(emr.CodeTooLarge, "the file is too large for a consent")
	}
	err = emr.Decode(data, &d)
	return consent.Normal(d), err
}

const consentFile = `FILE is JSON, or - for standard input: a base (deny, ask or permit), groups, and
provisions that permit or deny. Deny beats permit. What is left out selects
everything. docs/spec/consent.md tells the fields. For example:

  {"base": "ask", "provisions": [
    {"effect": "permit", "hospitals": ["HospitalAMSP"], "purposes": ["TREAT"]},
    {"effect": "deny", "people": ["cli_…"]}]}`

func (a *app) consentPreviewCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "preview FILE",
		Short: "Show who would gain and who would lose what",
		Long:  "Show who would gain and who would lose what, and change nothing.\n\n" + consentFile,
		Args:  arguments(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			document, err := a.readConsent(args[0])
			if err != nil {
				return err
			}
			return a.withClient(func(c *client.Client) error {
				preview, err := c.PreviewConsent(cmd.Context(), document)
				if err != nil {
					return err
				}
				return a.result(preview, func(w io.Writer) {
					writePreview(w, preview)
					fields(w, "Next", "emrys consent set "+args[0]+" --basis "+preview.Previewed.Basis.String())
				})
			})
		},
	}
}

func writePreview(w io.Writer, preview *ledgerapi.ConsentPreview) {
	var rows [][]string
	for _, change := range preview.Changes {
		what := "loses"
		if change.Gains {
			what = "gains"
		}
		who := string(change.Person)
		if who == "" {
			who = "any other " + string(change.Role)
		}
		open := ""
		if len(change.Open) > 0 {
			open = strconv.Itoa(len(change.Open)) + " open now"
		}
		rows = append(rows, []string{
			what, who, string(change.Hospital), string(change.Purpose), string(change.Before) + " → " + string(change.After),
			strconv.Itoa(len(change.Records)), open,
		})
	}
	if len(rows) == 0 {
		fields(w, "Changes", "none")
	} else {
		table(w, []string{"WHAT", "WHO", "ORGANISATION", "PURPOSE", "DECISION", "RECORDS", "GRANTS"}, rows)
	}
	if !preview.Complete {
		fields(w, "Note", "more people or records are known than a preview looks at")
	}
}

func (a *app) consentSetCommand() *cobra.Command {
	var basis string
	c := &cobra.Command{
		Use:   "set FILE",
		Short: "Put your standing consent",
		Long: `Put your standing consent. It is previewed first, and put only while the preview
still holds. With --basis, which consent preview shows, it is put only if nothing
has changed since that preview was shown to you.

` + consentFile,
		Args: arguments(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			var seen emr.Digest
			if basis != "" {
				if err := seen.UnmarshalText([]byte(basis)); err != nil {
					return emr.Invalid("basis", "must be 64 lower-case hexadecimal digits")
				}
			}
			document, err := a.readConsent(args[0])
			if err != nil {
				return err
			}
			return a.withClient(func(c *client.Client) error { return a.setConsent(cmd, c, document, seen) })
		},
	}
	c.Flags().StringVar(&basis, "basis", "", "put it only if a preview still rests on this")
	return c
}

func (a *app) setConsent(cmd *cobra.Command, c *client.Client, document consent.Document, seen emr.Digest) error {
	preview, err := c.PreviewConsent(cmd.Context(), document)
	if err != nil {
		return err
	}
	if !seen.IsZero() && seen != preview.Previewed.Basis {
		return &emr.Error{Code: emr.CodeStale, Field: "basis", Message: "what the preview showed has changed; preview again"}
	}
	receipt, err := c.PutConsent(cmd.Context(), document, preview)
	if err != nil {
		return err
	}
	return a.result(receipt, func(w io.Writer) {
		writePreview(w, preview)
		fields(w, "Version", receipt.ID, "At", when(receipt.At), "Transaction", receipt.TxID,
			"Next", "take it back with: emrys consent withdraw")
	})
}

func (a *app) consentWithdrawCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "withdraw",
		Short: "Withdraw your standing consent",
		Long: `Withdraw your standing consent. From then on everything is denied to everybody
else, live grants and open tickets included, until you put another consent. To be
asked each time instead, put one whose base is ask.`,
		Args: arguments(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withClient(func(c *client.Client) error {
				receipt, err := c.WithdrawConsent(cmd.Context())
				if err != nil {
					return err
				}
				return a.receipt(receipt, "Withdrawn as version", "")
			})
		},
	}
}

func (a *app) consentAnswerCommand() *cobra.Command {
	var until string
	c := &cobra.Command{
		Use:   "answer",
		Short: "Answer the waiting requests that your standing consent permits",
		Long: `Answer the waiting requests that your standing consent permits, each with a grant
of the one record for the one purpose, and no longer than the consent permits it.
The decision is made on this device. What is left is for you to answer.`,
		Args: arguments(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			span, ok := parseSpan(until)
			if !ok || span <= 0 || span > ledgerapi.MaxGrantDays*day {
				return emr.Invalid("until", "must be a span like 2h or 30d, at most 365d")
			}
			return a.withClient(func(c *client.Client) error {
				answers, err := c.AnswerStanding(cmd.Context(), span)
				if err != nil {
					return err
				}
				return a.result(answers, func(w io.Writer) { writeAnswers(w, answers) })
			})
		},
	}
	c.Flags().StringVar(&until, "until", "24h", "how long a grant lasts at most (2h, 30d)")
	return c
}

func writeAnswers(w io.Writer, answers []client.Answered) {
	if len(answers) == 0 {
		fields(w, "Waiting", "none")
		return
	}
	var rows [][]string
	for _, answer := range answers {
		done, why := "left to you", string(answer.Reason)
		switch {
		case answer.Failed != "":
			done, why = "failed", string(answer.Failed)
		case answer.Given != nil:
			done, why = "granted until "+when(answer.Given.Terms.Until), string(answer.Given.Terms.Grant)
		}
		rows = append(rows, []string{string(answer.Request), done, why})
	}
	table(w, []string{"REQUEST", "ANSWER", "WHY"}, rows)
}
