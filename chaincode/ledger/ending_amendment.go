// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"fmt"
	"slices"

	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// What was said about a record is health data like the record. It goes with an
// erasure, and stays when a version is re-keyed: the content of which it speaks
// lives on in the successor.

// endAmendment purges the private texts of an amendment about an erased version,
// and closes the amendment when it waits for its answer. The public document stays.
func endAmendment(s State, order *emr.Erasure, id emr.AmendmentID, closing []*emr.Record) error {
	amendment, err := require(s, ledgerapi.AmendmentKey(id), versionOfAmendment)
	if err != nil {
		return err
	}
	if amendment.Patient != order.Patient {
		return missing(ledgerapi.TypeAmendment)
	}
	if order.Kind == emr.OrderRekey {
		return &emr.Error{Code: emr.CodeRule, Field: "amendments", Message: "an order to destroy what was re-keyed ends no amendment"}
	}
	erased, err := isErased(s, amendment.Record, closing)
	if err != nil {
		return err
	}
	if !erased {
		return &emr.Error{Code: emr.CodeRule, Field: "amendments", Message: "an amendment is about a record that is not erased"}
	}
	if amendment.Status == emr.AmendmentAsked {
		amendment.Status = emr.AmendmentEnded
		if err := put(s, ledgerapi.AmendmentKey(id), amendment); err != nil {
			return err
		}
	}
	return purgeTexts(s, amendment)
}

// isErased is isClosed without the versions that were re-keyed, unless the
// transaction erases them: every version that an order to erase closes is erased.
func isErased(s Lookup, id emr.RecordID, closing []*emr.Record) (bool, error) {
	if slices.ContainsFunc(closing, func(version *emr.Record) bool { return version.ID == id }) {
		return true, nil
	}
	record, err := recordOf(s, id)
	return err == nil && record.Status == emr.RecordErased, err
}

// textsOf are the keys of the signed actions that hold an amendment's texts, those that there are.
func textsOf(amendment *emr.Amendment) []ledgerapi.Key {
	var keys []ledgerapi.Key
	for _, digest := range []emr.Digest{amendment.Asking, amendment.Answer, amendment.Dispute} {
		if !digest.IsZero() {
			keys = append(keys, ledgerapi.StatementKey(digest))
		}
	}
	return keys
}

// purgeTexts purges the texts that are there still: another transaction may have purged them.
func purgeTexts(s State, amendment *emr.Amendment) error {
	for _, key := range textsOf(amendment) {
		there, err := s.HasPrivate(key)
		if err != nil {
			return err
		}
		if !there {
			continue
		}
		if err := s.PurgePrivate(key); err != nil {
			return fmt.Errorf("ledger: purge %s: %w", key.Type, err)
		}
	}
	return nil
}

// leftAmendment keeps an amendment about an erased version that waits for an answer
// or of which a text is still in private data.
func leftAmendment(r Reader, id emr.AmendmentID) (*emr.AmendmentID, step, error) {
	amendment, err := require(r, ledgerapi.AmendmentKey(id), versionOfAmendment)
	if err != nil {
		return nil, stop, err
	}
	erased, err := isErased(r, amendment.Record, nil)
	if err != nil {
		return nil, stop, err
	}
	if !erased {
		return &id, skip, nil
	}
	if amendment.Status == emr.AmendmentAsked {
		return &id, keep, nil
	}
	for _, key := range textsOf(amendment) {
		hash, err := r.PrivateHash(key)
		if err != nil || hash != nil {
			return &id, keep, err
		}
	}
	return &id, skip, nil
}
