// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// DiscloseBatch begins several readings in one transaction: raw is a JSON array of
// signed Disclose actions of the calling gateway's own clinicians. Each is
// verified, decided and written by itself, as Disclose would; one that is refused
// or malformed leaves nothing but its outcome in the answer. Reads see committed
// state only, so that each part reads through what the parts before it wrote: two
// readings under the last use of a grant do not both get it.
//
// The transaction as a whole is refused when it is no array, empty, too large, or
// names an action twice. A failing store fails it, too.
func DiscloseBatch(s State, raw []byte) (*ledgerapi.BatchReceipt, error) {
	gateway, err := requireGateway(s)
	if err != nil {
		return nil, err
	}
	parts, err := splitBatch(raw)
	if err != nil {
		return nil, err
	}
	batch := newOverlay(s)
	if err := batch.prefetch(keysOf(parts)); err != nil {
		return nil, fmt.Errorf("ledger: read batch: %w", err)
	}
	answer := &ledgerapi.BatchReceipt{TxID: s.TxID(), At: s.Now(), Outcomes: []ledgerapi.BatchOutcome{}}
	var committed []string
	for _, part := range parts {
		outcome, err := disclosePart(batch, gateway, part)
		if err != nil {
			return nil, err
		}
		if outcome.Code == "" {
			committed = append(committed, outcome.Receipt.ID)
		}
		answer.Outcomes = append(answer.Outcomes, *outcome)
	}
	if len(committed) == 0 {
		return answer, nil
	}
	if err := batch.flush(); err != nil {
		return nil, fmt.Errorf("ledger: write batch: %w", err)
	}
	return answer, emit(s, ledgerapi.EventDisclosedBatch, ledgerapi.Event{IDs: committed})
}

// batchPart is one element of a batch; signed is nil when it cannot be read, which fault tells.
type batchPart struct {
	signed *emr.SignedAction
	digest emr.Digest // of signed
	fault  error
}

// splitBatch reads the array and refuses what spoils the transaction as a whole.
func splitBatch(raw []byte) ([]batchPart, error) {
	tooLarge := &emr.Error{
		Code: emr.CodeTooLarge, Field: ledgerapi.TransientActions,
		Message: fmt.Sprintf("must be at most %d signed actions of at most %d bytes", ledgerapi.MaxBatch, ledgerapi.MaxBatchedAction),
	}
	if len(raw) > ledgerapi.MaxBatch*(ledgerapi.MaxBatchedAction+1)+1 {
		return nil, tooLarge
	}
	var elements []json.RawMessage
	if err := emr.Decode(raw, &elements); err != nil || len(elements) == 0 {
		return nil, emr.Invalid(ledgerapi.TransientActions, "must be a JSON array of signed actions, at least one")
	}
	if len(elements) > ledgerapi.MaxBatch {
		return nil, tooLarge
	}
	parts := make([]batchPart, len(elements))
	for i, element := range elements {
		if len(element) > ledgerapi.MaxBatchedAction {
			return nil, tooLarge
		}
		parts[i].signed, parts[i].fault = decodeSigned(element)
		if parts[i].signed != nil {
			parts[i].digest = parts[i].signed.Digest()
		}
		for j := range i {
			if bytes.Equal(elements[j], element) || sameAction(&parts[j], &parts[i]) {
				return nil, emr.Invalid(ledgerapi.TransientActions, "must not hold an action twice")
			}
		}
	}
	return parts, nil
}

// keysOf lists what the parts will read, as far as they tell it themselves. What is
// malformed tells nothing: it is refused in its turn.
func keysOf(parts []batchPart) []ledgerapi.Key {
	var keys []ledgerapi.Key
	for i := range parts {
		if parts[i].signed == nil {
			continue
		}
		action, err := parts[i].signed.Parse()
		if err != nil || checkActor(action.Actor) != nil || strings.HasPrefix(action.Actor, emr.HandlePrefix) {
			continue
		}
		keys = append(keys, ledgerapi.ActionKey(parts[i].digest), ledgerapi.ClinicianKey(emr.ClinicianID(action.Actor)))
		var args ledgerapi.DiscloseArgs
		if emr.DecodeCanonical(action.Args, &args) != nil {
			continue
		}
		if emr.CheckID("disclosure", args.Disclosure) == nil {
			keys = append(keys, ledgerapi.DisclosureKey(args.Disclosure))
		}
		if emr.CheckID("record", args.Record) == nil {
			keys = append(keys, ledgerapi.RecordKey(args.Record), ledgerapi.SignOffKey(args.Record))
		}
		if emr.CheckID("grant", args.Grant) == nil {
			keys = append(keys, ledgerapi.GrantKey(args.Grant))
		}
	}
	return keys
}

func sameAction(a, b *batchPart) bool {
	return a.signed != nil && b.signed != nil && a.digest == b.digest
}

// disclosePart runs one reading on top of the batch. What it wrote joins the batch
// only when it succeeds. An error is one of the store, and no outcome.
func disclosePart(batch *overlay, gateway *emr.Organisation, part batchPart) (*ledgerapi.BatchOutcome, error) {
	if part.fault != nil {
		return refusedPart(emr.Digest{}, part.fault)
	}
	mine := newOverlay(batch)
	var args ledgerapi.DiscloseArgs
	st, err := openSigned(mine, gateway, part.signed, ledgerapi.Disclose, &args)
	if err != nil {
		return refusedPart(part.digest, err)
	}
	receipt, err := st.discloseToClinician(mine, &args)
	if err != nil {
		return refusedPart(part.digest, err)
	}
	receipt.TxID, receipt.At = "", 0 // the batch's
	return &ledgerapi.BatchOutcome{Action: part.digest, Receipt: *receipt}, mine.flush()
}

// refusedPart makes an outcome of an error that its caller can be told. Any other
// is the transaction's.
func refusedPart(digest emr.Digest, err error) (*ledgerapi.BatchOutcome, error) {
	shown := emr.Public(err)
	if shown.Code == emr.CodeInternal {
		return nil, err
	}
	return &ledgerapi.BatchOutcome{
		Action: digest, Code: shown.Code, Message: shown.Message, Field: shown.Field, Reason: shown.Reason, SpentBy: shown.TxID,
	}, nil
}
