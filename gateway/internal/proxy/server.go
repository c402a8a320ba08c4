// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

// Package proxy is the gateway's part in re-encryption: it serves tickets with
// its own key fragments and shares, after asking its own peer and nobody else
// whether it may, and it asks the gateways of other organisations and checks what
// they answer.
package proxy

import (
	"context"
	"crypto"
	"crypto/rand"
	"fmt"
	"time"

	"github.com/emrys-health/emrys/gateway/internal/quota"
	"github.com/emrys-health/emrys/gateway/internal/service"
	"github.com/emrys-health/emrys/pkg/api"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
	"github.com/emrys-health/emrys/pkg/manifest"
	"github.com/emrys-health/emrys/pkg/pre"
)

// Ledger is the contract on the own peer.
type Ledger interface {
	Query(ctx context.Context, function string, argument, result any) error
}

// Keys are the private-key operations of a proxy.
type Keys struct {
	// Proxy opens what is sealed to this gateway; Receipt signs its answers.
	Proxy   *pre.HybridPrivateKey
	Receipt crypto.Signer
}

// Server re-encrypts for tickets. It is safe for concurrent use.
type Server struct {
	Organisation emr.OrgID
	Channel      string
	Contract     string
	Keys         Keys
	Ledger       Ledger
	Limit        *quota.Limiter
	Now          func() time.Time
}

// How long a proxy waits for its own peer to learn of a ticket that another
// organisation's peer has committed just now.
const (
	lagTries = 8
	lagPause = 25 * time.Millisecond
)

// errRefused is the answer when a ticket's action is not one to be served.
var errRefused = emr.E(emr.CodeForbidden, "the action is not a ticket for this network")

// Reencrypt serves one ticket. Whoever brings it is of no account: the reader's
// signature and the own peer's ledger decide.
func (s *Server) Reencrypt(ctx context.Context, signed *emr.SignedAction) (api.Fragment, error) {
	action, err := signed.Parse()
	if err != nil {
		return api.Fragment{}, err
	}
	if action.Function != ledgerapi.OpenTicket || action.Channel != s.Channel || action.Contract != s.Contract {
		return api.Fragment{}, errRefused
	}
	if !s.Limit.Allow(action.Actor) {
		return api.Fragment{}, emr.E(emr.CodeRateLimited, "too many tickets of one reader")
	}
	ticket, err := s.check(ctx, signed)
	if err != nil {
		return api.Fragment{}, err
	}
	if ticket.Decision != emr.Permit {
		return api.Fragment{}, emr.Refused(ticket.Reason, ticket.Reason.Explain())
	}
	if err := s.holds(&ticket); err != nil {
		return api.Fragment{}, err
	}
	opened, err := service.NewOpened(s.Channel, ticket)
	if err != nil {
		return api.Fragment{}, err
	}
	return s.serve(opened)
}

// check asks the own peer, again and again for a moment when it knows nothing of the ticket yet.
func (s *Server) check(ctx context.Context, signed *emr.SignedAction) (ledgerapi.Ticket, error) {
	query := ledgerapi.CheckTicketQuery{Signed: *signed}
	for try := 0; ; try++ {
		var ticket ledgerapi.Ticket
		err := s.Ledger.Query(ctx, ledgerapi.CheckTicket, query, &ticket)
		if emr.CodeOf(err) != emr.CodeNotFound || try == lagTries {
			return ticket, err
		}
		select {
		case <-time.After(lagPause << min(try, 4)):
		case <-ctx.Done():
			return ticket, err
		}
	}
}

// serve opens the gateway's own share, and its fragment unless the grant is a
// direct one, and answers with what only the reader can use.
func (s *Server) serve(o *service.Opened) (api.Fragment, error) {
	params, capsule, err := parameters(o, s.Organisation)
	if err != nil {
		return api.Fragment{}, err
	}
	answer := api.Fragment{Gateway: s.Organisation}
	if o.Grant.Terms.Direct {
		answer.Direct, err = directKey(o)
	} else {
		answer.Capsule, err = s.reencrypt(o, params, capsule)
	}
	if err != nil {
		return api.Fragment{}, err
	}
	if answer.Share, err = s.share(o, params); err != nil {
		return api.Fragment{}, err
	}
	digest, err := receiptDigest(o, &answer)
	if err != nil {
		return api.Fragment{}, err
	}
	if answer.Receipt, err = pre.SignP256(rand.Reader, s.Keys.Receipt, digest[:]); err != nil {
		return api.Fragment{}, fmt.Errorf("sign receipt: %w", err)
	}
	return answer, nil
}

func (s *Server) reencrypt(o *service.Opened, params pre.ReencryptParams, capsule *pre.Capsule) ([]byte, error) {
	key, err := pre.OpenKeyFragment(s.Keys.Proxy, params.Gateway, params.Grant, o.Fragment.Sealed)
	if err != nil {
		return nil, corrupt("the key fragment does not open", err)
	}
	fragment, err := pre.Reencrypt(rand.Reader, capsule, key, params)
	if err != nil {
		return nil, corrupt("the key fragment or the capsule does not verify", err)
	}
	return fragment.Bytes(), nil
}

func (s *Server) share(o *service.Opened, params pre.ReencryptParams) ([]byte, error) {
	envelope, err := pre.ParseEnvelope(o.Record.Envelope)
	if err != nil {
		return nil, corrupt("the record's envelope cannot be read", err)
	}
	own, ok := envelope.Shares.ShareOf(string(s.Organisation))
	if !ok {
		return nil, emr.E(emr.CodeUnsupported, "this gateway holds no share of the record: it joined later")
	}
	reader, err := pre.ParseHybridPublicKey(o.Reader.Hybrid)
	if err != nil {
		return nil, corrupt("the reader's key cannot be read", err)
	}
	share, err := pre.ReSealShare(s.Keys.Proxy, params.Context, params.Request, own, reader)
	if err != nil {
		return nil, corrupt("the share of the record does not open", err)
	}
	return share, nil
}

func corrupt(message string, cause error) error { return emr.Wrap(emr.CodeCorrupt, message, cause) }

// parameters collects everything that a capsule fragment is bound to, all of it
// from the ledger.
func parameters(o *service.Opened, gateway emr.OrgID) (pre.ReencryptParams, *pre.Capsule, error) {
	p := pre.ReencryptParams{Gateway: string(gateway)}
	var err error
	if p.Delegating, err = pre.ParsePublicKey(o.Manifest.Scope.Delegating); err != nil {
		return p, nil, corrupt("the scope's key cannot be read", err)
	}
	if p.Signer, err = pre.ParsePublicKey(o.Manifest.Scope.Fragment); err != nil {
		return p, nil, corrupt("the scope's signing key cannot be read", err)
	}
	if p.Reader, err = pre.ParsePublicKey(o.Grant.Terms.Reader); err != nil {
		return p, nil, corrupt("the grant's reader key cannot be read", err)
	}
	if p.Context, err = manifest.Context(o.Channel, &o.Record, &o.Manifest.Author, &o.Manifest.Scope).Hash(); err != nil {
		return p, nil, corrupt("the record's manifest is incomplete", err)
	}
	grant, err := o.Grant.Terms.Hash()
	if err != nil {
		return p, nil, err
	}
	request, err := o.Disclosure.Hash()
	if err != nil {
		return p, nil, err
	}
	p.Grant, p.Request = grant, request
	capsule, err := pre.ParseCapsule(o.Record.Capsule)
	if err != nil {
		return p, nil, corrupt("the record's capsule cannot be read", err)
	}
	return p, capsule, nil
}

func receiptDigest(o *service.Opened, f *api.Fragment) (emr.Digest, error) {
	request, err := o.Disclosure.Hash()
	if err != nil {
		return emr.Digest{}, err
	}
	return api.ReceiptOf(o.Disclosure.ID, request, f).Digest()
}
