// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/keystore"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

const (
	// actionLife is how long a signed action can be committed: longer than every attempt together.
	actionLife = 5 * time.Minute
	// actionBackdate makes room for a clock that runs ahead of the ledger's.
	actionBackdate = 5 * time.Second
	// lookupFor is how long the ledger is asked about an action whose outcome is not known.
	lookupFor = 20 * time.Second
	// resubmitAfter is when, during that time, the same signed action is submitted once more.
	resubmitAfter = 4 * time.Second
	nonceSize     = 16
	maxAttempts   = 5
)

// actionSigner is the key that the ledger has pinned for the person.
func (c *Client) actionSigner() keystore.Signer {
	if c.profile.IsPatient() {
		return c.keys.Consent()
	}
	return c.keys.Enrolment()
}

// sign makes the signed action of a function.
func (c *Client) sign(function string, args any) (*emr.SignedAction, error) {
	encoded, err := emr.Canonical(args)
	if err != nil {
		return nil, err
	}
	nonce := make([]byte, nonceSize)
	if _, err := io.ReadFull(rand.Reader, nonce); err != nil {
		return nil, fmt.Errorf("draw nonce: %w", err)
	}
	issued := emr.TimeOf(c.now().Add(-actionBackdate))
	action := emr.Action{
		V: emr.DocumentVersion, Channel: c.profile.Channel, Contract: c.profile.Contract, Function: function,
		Actor: c.profile.Actor(), Nonce: nonce, Issued: issued, Expires: issued.Add(actionLife), Args: encoded,
	}
	if err := action.Validate(); err != nil {
		return nil, err
	}
	body, err := emr.Canonical(&action)
	if err != nil {
		return nil, err
	}
	if len(body) > emr.MaxActionSize {
		return nil, emr.E(emr.CodeTooLarge, "the action is larger than 256 KiB; name fewer records or scopes at once")
	}
	digest := emr.ActionDigest(body)
	signature, err := c.actionSigner().SignDigest(digest)
	if err != nil {
		return nil, fmt.Errorf("sign %s: %w", function, err)
	}
	return &emr.SignedAction{Kind: emr.SignatureP256, Body: body, Signature: signature}, nil
}

// outcome tells how an action came to be committed.
type outcome struct {
	// recovered is set when no answer arrived and the ledger was asked instead:
	// then only the transaction and the id are known, not the rest of the answer.
	recovered bool
	txID, id  string
}

// submit signs and submits one transaction and decodes the answer into out.
// With a recovered outcome out is left alone. Refusals that may pass (conflict,
// unavailable) are tried again with the same signed action.
func (c *Client) submit(ctx context.Context, operation, function string, args, out any, header map[string]string) (outcome, error) {
	signed, err := c.sign(function, args)
	if err != nil {
		return outcome{}, err
	}
	k := call{operation: operation, json: signed, header: header}
	for attempt := 1; ; attempt++ {
		err := c.do(ctx, k, out)
		if err == nil {
			return outcome{}, nil
		}
		if unknown(err) {
			return c.lookUp(ctx, k, signed.Digest(), out, err)
		}
		if emr.CodeOf(err) == emr.CodeExists {
			// Either the thing exists or this very action was committed by an earlier attempt.
			return c.refusedAgain(ctx, signed.Digest(), err)
		}
		if !emr.CodeOf(err).Retryable() || attempt == maxAttempts {
			return outcome{}, err
		}
		if waitErr := c.wait(ctx, backoff(attempt)); waitErr != nil {
			return outcome{}, err
		}
	}
}

// query performs a call that changes nothing, again when it failed for a reason that may pass.
func (c *Client) query(ctx context.Context, k call, out any) error {
	for attempt := 1; ; attempt++ {
		err := c.do(ctx, k, out)
		_, sent := errors.AsType[*sentError](err)
		if err == nil || !sent && !emr.CodeOf(err).Retryable() || attempt == maxAttempts || ctx.Err() != nil {
			return settled(ctx, err)
		}
		if waitErr := c.wait(ctx, backoff(attempt)); waitErr != nil {
			return settled(ctx, err)
		}
	}
}

// settled gives a code to a missing answer to a request that changes nothing.
func settled(ctx context.Context, err error) error {
	if err != nil && errors.Is(ctx.Err(), context.Canceled) {
		return interrupted()
	}
	if _, sent := errors.AsType[*sentError](err); sent {
		return emr.Wrap(emr.CodeUnavailable, "the gateway did not answer", err)
	}
	return err
}

// backoff is the pause after the n-th attempt, from 1: 200 ms and doubling, at most 2 s.
func backoff(n int) time.Duration { return min(100*time.Millisecond<<n, 2*time.Second) }

// unknown tells that an action may have been committed in spite of the error:
// no answer came, or one that says so, or one that could pass and yet names a transaction.
func unknown(err error) bool {
	if _, sent := errors.AsType[*sentError](err); sent {
		return true
	}
	e, ok := errors.AsType[*emr.Error](err)
	return ok && (e.Code == emr.CodeUnknownOutcome || e.Code.Retryable() && e.TxID != "")
}

// lookUp asks the ledger whether an action was committed. See the package
// comment, section Outcomes.
func (c *Client) lookUp(ctx context.Context, k call, action emr.Digest, out any, first error) (outcome, error) {
	end := c.now().Add(lookupFor)
	again := c.now().Add(resubmitAfter)
	resubmitted := false
	last := first
	for n := 1; c.now().Before(end); n++ {
		if err := c.wait(ctx, backoff(n)); err != nil {
			break
		}
		found, err := c.committed(ctx, action)
		if found.recovered {
			return found, nil
		}
		if err != nil || resubmitted || c.now().Before(again) {
			continue
		}
		resubmitted = true
		switch err := c.do(ctx, k, out); {
		case err == nil:
			return outcome{}, nil
		case unknown(err) || emr.CodeOf(err).Retryable() || emr.CodeOf(err) == emr.CodeExists:
			last = newer(last, err)
		default:
			return c.refusedAgain(ctx, action, err)
		}
	}
	return outcome{}, unknownOutcome(k.operation, action, last)
}

// committed asks the ledger for an action by its digest.
func (c *Client) committed(ctx context.Context, action emr.Digest) (outcome, error) {
	var view ledgerapi.ActionView
	if err := c.do(ctx, call{operation: "action.get", path: []string{action.String()}}, &view); err != nil {
		return outcome{}, err
	}
	return outcome{recovered: view.Committed, txID: view.TxID, id: view.ID}, nil
}

// refusedAgain judges a second submission that was refused: the first may have
// been committed in between and be the very reason.
func (c *Client) refusedAgain(ctx context.Context, action emr.Digest, refusal error) (outcome, error) {
	if found, err := c.committed(ctx, action); err == nil && found.recovered {
		return found, nil
	}
	return outcome{}, refusal
}

// newer keeps the error that names a transaction.
func newer(old, recent error) error {
	if e, ok := errors.AsType[*emr.Error](recent); ok && e.TxID != "" {
		return recent
	}
	return old
}

func unknownOutcome(operation string, action emr.Digest, cause error) error {
	e := &emr.Error{
		Code: emr.CodeUnknownOutcome, Op: operation, Err: cause,
		Message: "submitted, but nobody could say whether it was committed; look before you try again (action " + action.String() + ")",
	}
	if known, ok := errors.AsType[*emr.Error](cause); ok {
		e.TxID = known.TxID
	}
	return e
}
