// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package service

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/emrys-health/emrys/pkg/api"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
	"github.com/emrys-health/emrys/pkg/pre"
)

// Opened is a ticket that the ledger found to hold, as this gateway's peer sees it.
type Opened struct {
	ledgerapi.Ticket
	// Channel is the ledger channel; Record the signed manifest's content.
	Channel string
	Record  emr.Manifest
}

// NewOpened reads the manifest of a ticket.
func NewOpened(channel string, ticket ledgerapi.Ticket) (*Opened, error) {
	action, err := ticket.Manifest.Signed.Parse()
	if err != nil {
		return nil, emr.Wrap(emr.CodeCorrupt, "the record's manifest cannot be read", err)
	}
	opened := &Opened{Ticket: ticket, Channel: channel}
	if err := emr.DecodeCanonical(action.Args, &opened.Record); err != nil {
		return nil, emr.Wrap(emr.CodeCorrupt, "the record's manifest cannot be read", err)
	}
	return opened, nil
}

// threshold is the number of answers that opens the record: the fragments that
// the grant asks for, none of a direct one, and the shares that the record asks for.
func (o *Opened) threshold() int { return int(max(o.Grant.Terms.Threshold, o.Record.Threshold)) }

// gateways lists whose proxies are asked: those that hold a fragment of the grant.
// A direct grant has no fragments: those that hold a share of the record, but for the
// reader's own, which holds no fragment of an ordinary grant either.
func (o *Opened) gateways() ([]emr.OrgID, error) {
	if !o.Grant.Terms.Direct {
		return o.Grant.Terms.Gateways, nil
	}
	envelope, err := pre.ParseEnvelope(o.Record.Envelope)
	if err != nil {
		return nil, emr.Wrap(emr.CodeCorrupt, "the record's envelope cannot be read", err)
	}
	var holders []emr.OrgID
	for i := range envelope.Shares.Shares {
		if id := emr.OrgID(envelope.Shares.Shares[i].Gateway); id != o.Grant.Terms.Org {
			holders = append(holders, id)
		}
	}
	return holders, nil
}

// Open presents a reader's ticket to the proxies and collects what opens the
// record. A ticket that does not hold is refused, and the attempt is committed.
func (s *Service) Open(ctx context.Context, who Principal, signed *emr.SignedAction) (api.Opening, error) {
	if _, err := s.checkAction(ctx, who, ledgerapi.OpenTicket, signed); err != nil {
		return api.Opening{}, err
	}
	var ticket ledgerapi.Ticket
	query := ledgerapi.CheckTicketQuery{Signed: *signed}
	if err := s.ports.Ledger.Query(ctx, ledgerapi.CheckTicket, query, &ticket); err != nil {
		return api.Opening{}, err
	}
	if ticket.Decision != emr.Permit {
		return api.Opening{}, s.refuse(ctx, signed, ticket.Reason)
	}
	opened, err := NewOpened(s.Channel, ticket)
	if err != nil {
		return api.Opening{}, err
	}
	opening := api.Opening{
		Disclosure: ticket.Disclosure, Grant: ticket.Grant, Manifest: ticket.Manifest,
		Fragments: []api.Fragment{}, Faults: []api.Fault{},
	}
	if ticket.Disclosure.Session != "" {
		return api.Opening{}, errNoFragments
	}
	if ticket.Disclosure.Grant == "" { // the patient's own reading needs no proxy
		return opening, nil
	}
	err = s.collect(ctx, opened, signed, &opening)
	return opening, err
}

// errNoFragments is the answer to the ticket of an emergency session: it holds on
// the ledger, but no gateway keeps emergency fragments yet.
var errNoFragments = emr.E(emr.CodeUnsupported, "no gateway holds emergency fragments: the session is recorded, but opens nothing yet")

// refuse commits the attempt to use a ticket that does not hold, and returns the refusal.
func (s *Service) refuse(ctx context.Context, signed *emr.SignedAction, reason emr.Reason) error {
	refusal := emr.Refused(reason, reason.Explain())
	var receipt ledgerapi.DecisionReceipt
	err := s.ports.Ledger.Submit(context.WithoutCancel(ctx), ledgerapi.RecordAttempt, signed, &receipt)
	switch {
	case err == nil:
		refusal.TxID = receipt.TxID
	case emr.CodeOf(err) != emr.CodeExists: // else this attempt stands in the log already
		refusal.Err = fmt.Errorf("record the attempt: %w", err)
	}
	return refusal
}

// answer is one proxy's verified fragment, or its fault.
type answer struct {
	fragment api.Fragment
	fault    *api.Fault
}

// collect asks every proxy of the grant at once and returns when enough have
// answered well and the others had a short grace, or when all have answered.
func (s *Service) collect(ctx context.Context, opened *Opened, signed *emr.SignedAction, opening *api.Opening) error {
	orgs, err := s.orgs.list(ctx)
	if err != nil {
		return err
	}
	gateways, err := opened.gateways()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, s.ProxyTimeout)
	defer cancel()
	answers := make(chan answer, len(gateways))
	for _, id := range gateways {
		go func() { answers <- s.ask(ctx, orgs, id, opened, signed) }()
	}
	s.await(answers, gateways, opened.threshold(), opening)
	slices.SortFunc(opening.Fragments, func(a, b api.Fragment) int { return strings.Compare(string(a.Gateway), string(b.Gateway)) })
	slices.SortFunc(opening.Faults, func(a, b api.Fault) int { return strings.Compare(string(a.Gateway), string(b.Gateway)) })
	if len(opening.Fragments) < opened.threshold() {
		return tooFew(opened.threshold(), opening)
	}
	return nil
}

func (s *Service) await(answers <-chan answer, gateways []emr.OrgID, threshold int, opening *api.Opening) {
	silent := slices.Clone(gateways)
	var grace <-chan time.Time
	for len(silent) > 0 {
		select {
		case a := <-answers:
			var from emr.OrgID
			if a.fault != nil {
				opening.Faults = append(opening.Faults, *a.fault)
				from = a.fault.Gateway
			} else {
				opening.Fragments = append(opening.Fragments, a.fragment)
				from = a.fragment.Gateway
			}
			silent = slices.DeleteFunc(silent, func(id emr.OrgID) bool { return id == from })
			if grace == nil && len(opening.Fragments) >= threshold {
				grace = time.After(s.Grace)
			}
		case <-grace:
			for _, id := range silent {
				opening.Faults = append(opening.Faults, api.Fault{
					Gateway: id, Code: emr.CodeTimeout, Message: "was not waited for: enough others had answered",
				})
			}
			return
		}
	}
}

// ask gets one proxy's fragment and verifies it.
func (s *Service) ask(ctx context.Context, orgs []emr.Organisation, id emr.OrgID, opened *Opened, signed *emr.SignedAction) answer {
	at := slices.IndexFunc(orgs, func(o emr.Organisation) bool { return o.ID == id })
	if at < 0 {
		return answer{fault: &api.Fault{Gateway: id, Code: emr.CodeUnavailable, Message: "is not registered on the ledger"}}
	}
	fragment, err := s.ports.Proxies.Ask(ctx, orgs[at], signed)
	if err == nil {
		err = s.ports.Verifier.Verify(opened, orgs[at], &fragment)
	}
	if err != nil {
		return answer{fault: faultOf(id, err)}
	}
	return answer{fragment: fragment}
}

func faultOf(id emr.OrgID, err error) *api.Fault {
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return &api.Fault{Gateway: id, Code: emr.CodeTimeout, Message: "did not answer in time"}
	}
	shown := emr.Public(err)
	return &api.Fault{Gateway: id, Code: shown.Code, Reason: shown.Reason, Message: shown.Message}
}

// tooFew is the error when the record cannot be opened now. A refusal by the
// proxies themselves is told as such: waiting does not help against it.
func tooFew(threshold int, opening *api.Opening) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%d of %d proxies answered", len(opening.Fragments), threshold)
	refusals := 0
	for i, f := range opening.Faults {
		sep := "; "
		if i == 0 {
			sep = ": "
		}
		fmt.Fprintf(&b, "%s%s: %s: %s", sep, f.Gateway, f.Code, f.Message)
		if f.Code == emr.CodeRule {
			refusals++
		}
	}
	if refusals > 0 && refusals == len(opening.Faults) {
		return emr.Refused(opening.Faults[0].Reason, b.String())
	}
	return emr.E(emr.CodeUnavailable, b.String())
}

// Ciphertext is the stored content of a record. Open streams length octets from
// offset; the caller closes the stream.
type Ciphertext struct {
	Size   uint64
	Digest emr.Digest
	Open   func(ctx context.Context, offset, length int64) (io.ReadCloser, error)
}

// errNoTicket is the one answer for absent and foreign tickets.
var errNoTicket = emr.E(emr.CodeNotFound, "no such ticket of the caller's")

// Ciphertext returns the content that a ticket of the caller's covers.
func (s *Service) Ciphertext(ctx context.Context, who Principal, id emr.DisclosureID) (*Ciphertext, error) {
	if s.ports.Content == nil {
		return nil, errNoContent
	}
	ticket, err := s.ownTicket(ctx, who, id)
	if err != nil {
		return nil, err
	}
	switch {
	case ticket.Decision != emr.Permit:
		return nil, emr.Refused(ticket.Reason, ticket.Reason.Explain())
	case s.now() >= ticket.Until:
		return nil, emr.Refused(emr.ReasonTicketExpired, emr.ReasonTicketExpired.Explain())
	}
	if ticket.Session != "" {
		return nil, errNoFragments
	}
	record, err := s.findRecord(ctx, ticket.Record)
	if err != nil {
		return nil, err
	}
	if reason := record.Status.Denial(); reason != "" {
		// The store would fetch it from whoever has not destroyed it yet.
		return nil, emr.Refused(reason, reason.Explain())
	}
	if err := s.checkLive(ctx, &ticket); err != nil {
		return nil, err
	}
	if err := s.refuseInactive(ctx, who); err != nil {
		return nil, err
	}
	if err := s.checkStanding(ctx, who, &ticket, &record); err != nil {
		return nil, err
	}
	return &Ciphertext{
		Size: record.CipherSize, Digest: record.Digest,
		Open: func(ctx context.Context, offset, length int64) (io.ReadCloser, error) {
			return s.ports.Content.Get(ctx, record.CID, offset, length)
		},
	}, nil
}

func (s *Service) ownTicket(ctx context.Context, who Principal, id emr.DisclosureID) (emr.Disclosure, error) {
	ticket, err := s.disclosure(ctx, id)
	if emr.CodeOf(err) == emr.CodeNotFound {
		return ticket, errNoTicket
	}
	if err != nil {
		return ticket, err
	}
	own := ticket.Reader == who.Subject
	if who.IsPatient() {
		if own, err = s.owns(ctx, who, emr.Handle(ticket.Reader)); err != nil {
			return ticket, err
		}
	}
	if !own {
		return ticket, errNoTicket
	}
	return ticket, nil
}

// checkLive refuses the content of a ticket whose grant has been taken back since,
// as a whole or as far as the ticket goes.
func (s *Service) checkLive(ctx context.Context, ticket *emr.Disclosure) error {
	if ticket.Grant == "" {
		return nil
	}
	var grant emr.Grant
	if err := s.ports.Ledger.Query(ctx, ledgerapi.GetGrant, ledgerapi.GrantQuery{Grant: ticket.Grant}, &grant); err != nil {
		return err
	}
	terms := grant.Effective()
	switch {
	case grant.Status != emr.GrantLive:
		return emr.Refused(emr.ReasonRevoked, emr.ReasonRevoked.Explain())
	case s.now() >= terms.Until:
		return emr.Refused(emr.ReasonExpired, emr.ReasonExpired.Explain())
	case !terms.Covers(ticket.Record):
		return emr.Refused(emr.ReasonNotCovered, emr.ReasonNotCovered.Explain())
	case !slices.Contains(terms.Purposes, ticket.Purpose):
		return emr.Refused(emr.ReasonPurpose, emr.ReasonPurpose.Explain())
	case ticket.Onward != "" && terms.NoOnward:
		return emr.Refused(emr.ReasonNoOnward, emr.ReasonNoOnward.Explain())
	default:
		return nil
	}
}
