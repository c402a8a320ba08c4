// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto/sha256"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/emrys-health/emrys/network"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

const (
	governTimeout = 30 * time.Second
	openDays      = 7 // how long a proposal is open unless told
	day           = 24 * time.Hour
)

func (a *app) governanceCommand() *cobra.Command {
	parent := group("governance", "See and decide what the members decide together")
	parent.AddCommand(a.governanceShow(), a.governanceList(), a.governancePropose(), a.governanceVote())
	return parent
}

// governs opens the network and runs what an organisation's administrator does.
func (a *app) governs(cmd *cobra.Command, org *string, do func(*cobra.Command, *network.Network, string) error) error {
	n, err := a.open()
	if err != nil {
		return err
	}
	if *org == "" {
		*org = n.Topology().Organisations[0].MSP
	}
	ctx, cancel := contextWithTimeout(cmd, governTimeout)
	defer cancel()
	cmd.SetContext(ctx)
	return do(cmd, n, *org)
}

func orgFlag(cmd *cobra.Command, org *string, what string) {
	cmd.Flags().StringVar(org, "org", "", what)
}

func (a *app) governanceShow() *cobra.Command {
	var org string
	cmd := &cobra.Command{
		Use:   "show",
		Short: "Show members, stopped functions and the version of the rules",
		Args:  exactly(0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.governs(cmd, &org, func(cmd *cobra.Command, n *network.Network, org string) error {
				c, err := n.Constitution(cmd.Context(), org)
				if err != nil {
					return err
				}
				if a.json {
					return writeJSON(a.stdout, c)
				}
				founded := "not closed: every member of the channel may register"
				if c.Constitution.Founded != 0 {
					founded = "closed " + c.Constitution.Founded.String()
				}
				w := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
				fmt.Fprintf(w, "Founding\t%s\nMembers\t%s\nStopped\t%s\nRules\tversion %d\n", founded,
					join(c.Members), orNone(strings.Join(c.Constitution.Stopped, ", ")), c.ContractVersion)
				return w.Flush()
			})
		},
	}
	orgFlag(cmd, &org, "whose peers to ask (default: the first organisation)")
	return cmd
}

func (a *app) governanceList() *cobra.Command {
	var org string
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List proposals, newest first",
		Args:  exactly(0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.governs(cmd, &org, func(cmd *cobra.Command, n *network.Network, org string) error {
				page, err := n.Proposals(cmd.Context(), org, ledgerapi.ListQuery{})
				if err != nil {
					return err
				}
				if a.json {
					return writeJSON(a.stdout, page)
				}
				return proposals(a.stdout, page.Items, time.Now())
			})
		},
	}
	orgFlag(cmd, &org, "whose peers to ask (default: the first organisation)")
	return cmd
}

// proposals writes one line for each proposal, as it stands now.
func proposals(to io.Writer, items []emr.Proposal, now time.Time) error {
	w := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "PROPOSAL\tSTATE\tFOR\tAGAINST\tUNTIL\tSUBJECT")
	for _, p := range items {
		state := string(p.Status)
		if p.Status == emr.ProposalOpen && emr.TimeOf(now) >= p.Expires {
			state = "expired"
		}
		accepted, rejected := sides(p.Votes)
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", p.ID, state, join(accepted), join(rejected), p.Expires, describe(&p.Subject))
	}
	return w.Flush()
}

func sides(votes []emr.Vote) (accepted, rejected []emr.OrgID) {
	for _, v := range votes {
		if v.Accept {
			accepted = append(accepted, v.Org)
		} else {
			rejected = append(rejected, v.Org)
		}
	}
	return accepted, rejected
}

// describe tells in one line what a proposal is about.
func describe(s *emr.Subject) string {
	switch s.Kind {
	case emr.ProposeAdmission:
		return fmt.Sprintf("admit %s %s, CA %s", s.OrgKind, s.Organisation, s.Authority)
	case emr.ProposeRemoval:
		return "remove " + string(s.Organisation)
	case emr.ProposeStop, emr.ProposeResume:
		return strings.TrimSuffix(string(s.Kind), "-function") + " " + s.Function
	case emr.ProposeRelease:
		return fmt.Sprintf("publish %s %s, SHA-256 %s", s.Release.Product, s.Release.Version, s.Release.Digest)
	case emr.ProposeHomeRelease:
		return fmt.Sprintf("release patient %s from %s", s.Patient, s.Organisation)
	case emr.ProposeWithdrawal:
		return "withdraw SHA-256 " + s.Release.Digest.String()
	}
	return string(s.Kind)
}

func join(orgs []emr.OrgID) string {
	names := make([]string, len(orgs))
	for i, org := range orgs {
		names[i] = string(org)
	}
	return orNone(strings.Join(names, ", "))
}

func orNone(text string) string {
	if text == "" {
		return "none"
	}
	return text
}

// proposalFlags are the subjects that a proposal may have; exactly one is given.
type proposalFlags struct {
	org, admit, kind, ca, remove, stop, resume string
	release, version, file, withdraw           string
	patient, home                              string
	days                                       int
}

func (a *app) governancePropose() *cobra.Command {
	var f proposalFlags
	cmd := &cobra.Command{
		Use:   "propose --org NAME (--admit MSP --ca FILE | --remove MSP | --stop FUNCTION | --resume FUNCTION | --release PRODUCT --version V --file BUNDLE | --withdraw BUNDLE | --release-patient HANDLE --from MSP)",
		Short: "Put a question to the members; it is your organisation's vote for it",
		Long: `Put a question to the members, as an organisation's administrator. It is that
organisation's vote for it. More than half of the members accept it; the vote
that makes the majority puts it into force.

  --admit     lets an organisation register, with the CA certificate of --ca
  --remove    ends what an organisation's gateway, people and proxy may do
  --stop      refuses a function of the contract until it is resumed
  --release   publishes a bundle that people may trust, by its SHA-256
  --release-patient  lets a patient leave a home hospital that does not endorse any more`,
		Example: "  emrysctl governance propose --org HospA --admit HospDMSP --ca hospd-ca.pem\n" +
			"  emrysctl governance propose --org HospA --release portal --version 1.2.0 --file portal.zip",
		Args: exactly(0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			subject, err := f.subject()
			if err != nil {
				return usageError{err}
			}
			return a.governs(cmd, &f.org, func(cmd *cobra.Command, n *network.Network, org string) error {
				id, err := n.Propose(cmd.Context(), org, *subject, time.Duration(f.days)*day)
				if err != nil {
					return err
				}
				if a.json {
					return writeJSON(a.stdout, map[string]any{"proposal": id, "subject": subject})
				}
				fmt.Fprintf(a.stderr, "proposed: %s\nthe others vote with: emrysctl governance vote %s --org NAME --accept\n", describe(subject), id)
				return nil
			})
		},
	}
	flags := cmd.Flags()
	orgFlag(cmd, &f.org, "organisation that proposes (required)")
	flags.StringVar(&f.admit, "admit", "", "MSP id of an organisation to admit")
	flags.StringVar(&f.kind, "kind", string(emr.KindHospital), "its kind: hospital or regulator")
	flags.StringVar(&f.ca, "ca", "", "its CA certificate (PEM)")
	flags.StringVar(&f.remove, "remove", "", "MSP id of a member to remove")
	flags.StringVar(&f.stop, "stop", "", "function to stop")
	flags.StringVar(&f.resume, "resume", "", "function to resume")
	flags.StringVar(&f.release, "release", "", "product whose bundle to publish")
	flags.StringVar(&f.version, "version", "", "its version")
	flags.StringVar(&f.file, "file", "", "the bundle")
	flags.StringVar(&f.withdraw, "withdraw", "", "bundle, or its SHA-256, to withdraw")
	flags.StringVar(&f.patient, "release-patient", "", "handle of a patient to release from the home hospital")
	flags.StringVar(&f.home, "from", "", "MSP id of that hospital")
	flags.IntVar(&f.days, "days", openDays, "how many days the proposal is open, 1 to 30")
	return cmd
}

// subject makes the proposal's subject from the flags.
func (f *proposalFlags) subject() (*emr.Subject, error) {
	if f.org == "" {
		return nil, errors.New("--org is required")
	}
	given := 0
	for _, flag := range []string{f.admit, f.remove, f.stop, f.resume, f.release, f.withdraw, f.patient} {
		if flag != "" {
			given++
		}
	}
	if given != 1 {
		return nil, errors.New("give exactly one of --admit, --remove, --stop, --resume, --release, --withdraw and --release-patient")
	}
	switch {
	case f.admit != "":
		authority, err := certificateDigest(f.ca)
		return &emr.Subject{Kind: emr.ProposeAdmission, Organisation: emr.OrgID(f.admit), OrgKind: emr.OrgKind(f.kind), Authority: authority}, err
	case f.remove != "":
		return &emr.Subject{Kind: emr.ProposeRemoval, Organisation: emr.OrgID(f.remove)}, nil
	case f.stop != "":
		return &emr.Subject{Kind: emr.ProposeStop, Function: f.stop}, nil
	case f.resume != "":
		return &emr.Subject{Kind: emr.ProposeResume, Function: f.resume}, nil
	case f.patient != "":
		return &emr.Subject{Kind: emr.ProposeHomeRelease, Organisation: emr.OrgID(f.home), Patient: emr.Handle(f.patient)}, nil
	case f.release != "":
		digest, err := fileDigest(f.file)
		return &emr.Subject{Kind: emr.ProposeRelease, Release: emr.Release{Product: f.release, Version: f.version, Digest: digest}}, err
	default:
		var digest emr.Digest
		if digest.UnmarshalText([]byte(f.withdraw)) == nil {
			return &emr.Subject{Kind: emr.ProposeWithdrawal, Release: emr.Release{Digest: digest}}, nil
		}
		digest, err := fileDigest(f.withdraw)
		return &emr.Subject{Kind: emr.ProposeWithdrawal, Release: emr.Release{Digest: digest}}, err
	}
}

// certificateDigest returns the SHA-256 of the certificate in a PEM file.
func certificateDigest(file string) (emr.Digest, error) {
	if file == "" {
		return emr.Digest{}, errors.New("--ca is required: the CA certificate of the organisation to admit")
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return emr.Digest{}, fmt.Errorf("read CA certificate: %w", err)
	}
	block, _ := pem.Decode(text)
	if block == nil || block.Type != "CERTIFICATE" {
		return emr.Digest{}, fmt.Errorf("%s holds no PEM certificate", file)
	}
	return sha256.Sum256(block.Bytes), nil
}

func fileDigest(file string) (emr.Digest, error) {
	if file == "" {
		return emr.Digest{}, errors.New("--file is required: the bundle to publish")
	}
	f, err := os.Open(file)
	if err != nil {
		return emr.Digest{}, fmt.Errorf("read bundle: %w", err)
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return emr.Digest{}, fmt.Errorf("read bundle: %w", err)
	}
	return emr.Digest(h.Sum(nil)), nil
}

func (a *app) governanceVote() *cobra.Command {
	var org string
	var accept, reject bool
	cmd := &cobra.Command{
		Use:   "vote PROPOSAL --org NAME (--accept | --reject)",
		Short: "Answer a proposal for an organisation, once",
		Args:  exactly(1, "the id of a proposal"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if org == "" || accept == reject {
				return usageError{errors.New("--org, and one of --accept and --reject, are required")}
			}
			return a.governs(cmd, &org, func(cmd *cobra.Command, n *network.Network, org string) error {
				id := emr.ProposalID(args[0])
				if err := n.CastVote(cmd.Context(), org, id, accept); err != nil {
					return err
				}
				p, err := n.Proposal(cmd.Context(), org, id)
				if err != nil {
					return err
				}
				if a.json {
					return writeJSON(a.stdout, p)
				}
				fmt.Fprintf(a.stderr, "voted; the proposal is %s: %s\n", p.Status, describe(&p.Subject))
				return nil
			})
		},
	}
	orgFlag(cmd, &org, "organisation that votes (required)")
	cmd.Flags().BoolVar(&accept, "accept", false, "vote for it")
	cmd.Flags().BoolVar(&reject, "reject", false, "vote against it")
	return cmd
}
