// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"time"

	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
	"github.com/emrys-health/emrys/pkg/signature"
)

const (
	// requestLag is how long a request that is not there yet is waited for: it may
	// have been committed through another organisation's gateway a moment ago.
	requestLag = 2 * time.Second
	// requestPause lies between two looks.
	requestPause = 250 * time.Millisecond
)

// Asked is a request whose maker's signature has been verified. Who asks, for
// which record, what for and the note are what the maker signed; status, decision
// and grant are the gateway's word.
type Asked struct {
	Request emr.Request `json:"request"`
	// Note is free text of the maker's, at most 2000 bytes. It may hold anything,
	// control characters included.
	Note string `json:"note"`
	// By is the maker's registry entry, proven by several organisations.
	By emr.Clinician `json:"by"`
}

// Request returns a request to the calling patient, or by the calling
// professional. Everybody else's is a not_found error. A request that is not what
// its maker signed is a corrupt error.
func (c *Client) Request(ctx context.Context, id emr.RequestID) (*Asked, error) {
	var view ledgerapi.RequestView
	if err := c.query(ctx, call{operation: "request.get", path: []string{string(id)}}, &view); err != nil {
		return nil, err
	}
	if err := c.checkOwnRequest(id, &view.Request); err != nil {
		return nil, err
	}
	args, err := c.requestArgs(&view)
	if err != nil {
		return nil, err
	}
	by, err := c.Clinician(ctx, view.Request.By)
	if err != nil {
		return nil, err
	}
	if by.Org != view.Request.Org {
		return nil, corrupt("the request's maker is of another organisation", nil)
	}
	if err := verifyAction(&view.Signed, by.Signing); err != nil {
		return nil, err
	}
	return &Asked{Request: view.Request, Note: args.Note, By: *by}, nil
}

// awaitRequest is Request for one that may be so new that the own organisation's
// peer does not have it yet.
func (c *Client) awaitRequest(ctx context.Context, id emr.RequestID) (*Asked, error) {
	end := c.now().Add(requestLag)
	for {
		asked, err := c.Request(ctx, id)
		if emr.CodeOf(err) != emr.CodeNotFound || !c.now().Before(end) {
			return asked, err
		}
		if waitErr := c.wait(ctx, requestPause); waitErr != nil {
			return nil, err
		}
	}
}

// checkOwnRequest checks that a request is the one that was asked for and the caller's.
func (c *Client) checkOwnRequest(id emr.RequestID, r *emr.Request) error {
	owner := string(r.By)
	if c.profile.IsPatient() {
		owner = string(r.Patient)
	}
	switch {
	case r.ID != id:
		return corrupt("the gateway answered with another request", nil)
	case owner != c.profile.Actor():
		return corrupt("the gateway answered with somebody else's request", nil)
	}
	return nil
}

// requestArgs returns what was signed, if it is what the request says.
func (c *Client) requestArgs(view *ledgerapi.RequestView) (*ledgerapi.RequestAccessArgs, error) {
	action, err := view.Signed.Parse()
	if err != nil {
		return nil, corrupt("the signed request cannot be read", err)
	}
	r := &view.Request
	if err := c.checkRequestAction(action, r); err != nil {
		return nil, err
	}
	var args ledgerapi.RequestAccessArgs
	if err := emr.DecodeCanonical(action.Args, &args); err != nil {
		return nil, corrupt("the signed request cannot be read", err)
	}
	switch {
	case args.Request != r.ID:
		return nil, corrupt("what was signed is another request", nil)
	case args.Record != r.Record:
		return nil, corrupt("the request is for another record than was signed", nil)
	case args.Purpose != r.Purpose:
		return nil, corrupt("the request is for another purpose than was signed", nil)
	}
	return &args, nil
}

func (c *Client) checkRequestAction(action *emr.Action, r *emr.Request) error {
	switch {
	case action.Function != ledgerapi.RequestAccess:
		return corrupt("what was signed is no request", nil)
	case action.Channel != c.profile.Channel, action.Contract != c.profile.Contract:
		return corrupt("the request was signed for another ledger", nil)
	case action.Actor != string(r.By):
		return corrupt("the request was signed by somebody else than it names", nil)
	case r.Made >= action.Expires, action.Issued > r.Made.Add(emr.MaxActionSkew):
		return corrupt("the request was made at another time than it was signed for", nil)
	}
	return nil
}

// verifyAction verifies the signature of an action by a pinned key.
func verifyAction(signed *emr.SignedAction, by emr.PinnedKey) error {
	if err := signature.VerifyAction(signed, by); err != nil {
		return corrupt("the signature is not by its maker's present key; who has renewed it since has to ask again", err)
	}
	return nil
}
