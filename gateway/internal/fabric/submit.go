// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package fabric

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/hyperledger/fabric-gateway/pkg/client"
	"github.com/hyperledger/fabric-gateway/pkg/identity"
	"github.com/hyperledger/fabric-protos-go-apiv2/gateway"
	"github.com/hyperledger/fabric-protos-go-apiv2/msp"
	"github.com/hyperledger/fabric-protos-go-apiv2/peer"
	"google.golang.org/protobuf/proto"

	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

const (
	// maxConflicts is how often a transaction that lost a race is endorsed anew.
	maxConflicts = 3
	// maxLags is how often an endorsement is repeated that the own peer gave and
	// others refused, as peers do that have not committed the latest block yet.
	maxLags = 5
	// firstPause is the first pause before a repetition; each further one is twice as long.
	firstPause = 25 * time.Millisecond
	// statusWait is how long the outcome of a transaction is asked for before it is sent again.
	statusWait = 3 * time.Second
	// unnamedTime is how long endorsers are not named after naming them has failed.
	unnamedTime = 30 * time.Second
)

// Submit implements service.Ledger. It returns when the transaction is committed,
// or refused, or when its outcome has not become known in time. A transaction
// that has been sent is never given up for failed: the same envelope is sent
// again until the ledger tells its outcome.
func (l *Ledger) Submit(ctx context.Context, function string, signed *emr.SignedAction, result any) error {
	action, err := emr.Canonical(signed)
	if err != nil {
		return err
	}
	return l.submit(ctx, function, client.WithTransient(map[string][]byte{ledgerapi.TransientAction: action}), result)
}

// SubmitBatch implements gather.Ledger: Submit for several readings at once.
func (l *Ledger) SubmitBatch(ctx context.Context, signed []*emr.SignedAction) (*ledgerapi.BatchReceipt, error) {
	actions, err := emr.Canonical(signed)
	if err != nil {
		return nil, err
	}
	var receipt ledgerapi.BatchReceipt
	carried := client.WithTransient(map[string][]byte{ledgerapi.TransientActions: actions})
	if err := l.submit(ctx, ledgerapi.DiscloseBatch, carried, &receipt); err != nil {
		return nil, err
	}
	return &receipt, nil
}

// Order implements sealer.Ledger: it commits a transaction of the own
// organisation, whose argument is public, as Submit does a person's.
func (l *Ledger) Order(ctx context.Context, function string, argument, result any) error {
	text, err := emr.Canonical(argument)
	if err != nil {
		return err
	}
	return l.submit(ctx, function, client.WithBytesArguments(text), result)
}

func (l *Ledger) submit(ctx context.Context, function string, carried client.ProposalOption, result any) error {
	for attempt := 0; ; attempt++ {
		payload, err := l.submitOnce(ctx, function, carried)
		if err == nil {
			return decode(payload, result)
		}
		if !again(err) || attempt == maxConflicts || !pause(ctx, attempt) {
			return err
		}
	}
}

// again tells whether a transaction is worth endorsing anew: it lost a race, or the
// policy of a key has changed between its endorsement and its commit.
func again(err error) bool { return emr.CodeOf(err) == emr.CodeConflict || errors.Is(err, errPolicy) }

// errPolicy says that a transaction's endorsements did not satisfy a policy.
var errPolicy = errors.New("the endorsements do not satisfy the policy")

// pause waits before a repetition, with jitter. It returns false when ctx ends first.
func pause(ctx context.Context, attempt int) bool {
	longest := firstPause << attempt
	timer := time.NewTimer(longest/2 + rand.N(longest/2)) //nolint:gosec // jitter
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

func (l *Ledger) submitOnce(ctx context.Context, function string, carried client.ProposalOption) ([]byte, error) {
	tx, named, err := l.endorse(ctx, function, carried)
	if err != nil {
		return nil, err
	}
	// From here on the transaction may be ordered: the caller's hanging up must
	// not keep its outcome from being learnt.
	code, err := l.settle(context.WithoutCancel(ctx), tx)
	if err != nil {
		return nil, err
	}
	if code == peer.TxValidationCode_ENDORSEMENT_POLICY_FAILURE && named {
		// The organisations named do not satisfy the policy any more.
		l.leaveUnnamed()
		return nil, &emr.Error{Code: emr.CodeConflict, Message: "the endorsement policy has changed", TxID: tx.TransactionID()}
	}
	return tx.Result(), outcome(tx.TransactionID(), code)
}

// outcome is the error of a transaction that was committed as invalid.
func outcome(txID string, code peer.TxValidationCode) error {
	switch code {
	case peer.TxValidationCode_VALID:
		return nil
	case peer.TxValidationCode_MVCC_READ_CONFLICT, peer.TxValidationCode_PHANTOM_READ_CONFLICT:
		return &emr.Error{Code: emr.CodeConflict, Message: "somebody else changed the same thing at the same time", TxID: txID}
	case peer.TxValidationCode_ENDORSEMENT_POLICY_FAILURE:
		return &emr.Error{
			Code: emr.CodeInternal, Message: emr.InternalMessage, TxID: txID, Err: fmt.Errorf("transaction is invalid: %s: %w", code, errPolicy),
		}
	default:
		return &emr.Error{
			Code: emr.CodeInternal, Message: emr.InternalMessage, TxID: txID,
			Err: fmt.Errorf("transaction is invalid: %s", code),
		}
	}
}

// endorse collects endorsements. Nothing is submitted yet, so that it can be
// repeated: without named organisations, on another peer, or a little later when
// other peers lag behind the own.
func (l *Ledger) endorse(ctx context.Context, function string, carried client.ProposalOption) (*client.Transaction, bool, error) {
	ctx, cancel := context.WithTimeout(ctx, l.timeouts.Endorse)
	defer cancel()
	for attempt := 0; ; attempt++ {
		orgs := l.named(function)
		tx, err := l.endorseOnce(ctx, function, carried, orgs)
		if err == nil {
			return tx, len(orgs) > 0, nil
		}
		told := l.beforeSubmit(err)
		switch {
		case len(orgs) > 0 && !refusal(told):
			l.leaveUnnamed() // one of the organisations is out of reach
		case attempt < maxLags && l.lagging(err):
			if !pause(ctx, attempt) {
				return nil, false, told
			}
		default:
			return nil, false, told
		}
	}
}

func (l *Ledger) endorseOnce(
	ctx context.Context, function string, carried client.ProposalOption, orgs []string,
) (*client.Transaction, error) {
	var tx *client.Transaction
	err := l.each(ctx, func(n *node) error {
		options := []client.ProposalOption{carried}
		if len(orgs) > 0 {
			options = append(options, client.WithEndorsingOrganizations(orgs...))
		}
		proposal, err := n.contract.NewProposal(function, options...)
		if err != nil {
			return err
		}
		tx, err = proposal.EndorseWithContext(ctx)
		return err
	})
	return tx, err
}

// named returns the organisations to ask for endorsement, or none. A transaction
// that changes a value with a policy of its own names none: the own peer finds that
// policy while it endorses, and looks for endorsers who satisfy it.
func (l *Ledger) named(function string) []string {
	orgs := l.endorsers.Load()
	if orgs == nil || slices.Contains(ledgerapi.GuardedTransactions(), function) || time.Now().Unix() < l.unnamed.Load() {
		return nil
	}
	return *orgs
}

func (l *Ledger) leaveUnnamed() { l.unnamed.Store(time.Now().Add(unnamedTime).Unix()) }

// settle sends an endorsed transaction and learns its outcome. It fails with an
// unknown outcome when it could not be learnt in time.
func (l *Ledger) settle(ctx context.Context, tx *client.Transaction) (peer.TxValidationCode, error) {
	ctx, cancel := context.WithTimeout(ctx, l.timeouts.Commit)
	defer cancel()
	status, err := l.statusRequest(tx.TransactionID())
	if err != nil {
		return 0, err // nothing is sent yet
	}
	envelope, err := tx.Bytes()
	if err != nil {
		return 0, fmt.Errorf("encode transaction: %w", err)
	}
	sendErr := l.send(ctx, &envelope)
	for {
		wait := l.timeouts.Commit
		if sendErr != nil {
			wait = statusWait
		}
		code, statusErr := l.status(ctx, status, wait)
		if statusErr == nil {
			return code, nil
		}
		if ctx.Err() != nil || !pause(ctx, 0) {
			return 0, &emr.Error{
				Code: emr.CodeUnknownOutcome, TxID: tx.TransactionID(),
				Message: "the transaction was sent, but its outcome is not known yet; look it up before trying again",
				Err:     fmt.Errorf("send: %w; status: %w", orNone(sendErr), statusErr),
			}
		}
		sendErr = l.send(ctx, &envelope)
	}
}

var errNone = fmt.Errorf("accepted")

func orNone(err error) error {
	if err == nil {
		return errNone
	}
	return err
}

// send hands the envelope to the orderers through any node. That they have it
// already is success. The first call signs the envelope and every later one sends
// the same octets: to the orderers another signature is another request.
func (l *Ledger) send(ctx context.Context, envelope *[]byte) error {
	ctx, cancel := context.WithTimeout(ctx, l.timeouts.Submit)
	defer cancel()
	return l.each(ctx, func(n *node) error {
		tx, err := n.gateway.NewTransaction(*envelope)
		if err != nil {
			return err
		}
		_, err = tx.SubmitWithContext(ctx)
		if signed, encodeErr := tx.Bytes(); encodeErr == nil {
			*envelope = signed
		}
		if accepted(err) {
			return nil
		}
		return err
	})
}

// status waits for a transaction's validation code.
func (l *Ledger) status(ctx context.Context, request []byte, wait time.Duration) (peer.TxValidationCode, error) {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	var code peer.TxValidationCode
	err := l.each(ctx, func(n *node) error {
		commit, err := n.gateway.NewCommit(request)
		if err != nil {
			return err
		}
		status, err := commit.StatusWithContext(ctx)
		if err == nil {
			code = status.Code
		}
		return err
	})
	return code, err
}

// statusRequest is the question for a transaction's outcome, unsigned, so that
// any node can be asked.
func (l *Ledger) statusRequest(txID string) ([]byte, error) {
	request, err := proto.Marshal(&gateway.CommitStatusRequest{ChannelId: l.channel, TransactionId: txID, Identity: l.creator})
	if err != nil {
		return nil, fmt.Errorf("encode status request: %w", err)
	}
	signed, err := proto.Marshal(&gateway.SignedCommitStatusRequest{Request: request})
	if err != nil {
		return nil, fmt.Errorf("encode status request: %w", err)
	}
	return signed, nil
}

func serialize(id identity.Identity) ([]byte, error) {
	creator, err := proto.Marshal(&msp.SerializedIdentity{Mspid: id.MspID(), IdBytes: id.Credentials()})
	if err != nil {
		return nil, fmt.Errorf("encode the gateway's identity: %w", err)
	}
	return creator, nil
}
