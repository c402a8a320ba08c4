// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledgerapi

import (
	"encoding/json"
	"errors"
	"strings"

	"github.com/emrys-health/emrys/pkg/emr"
)

// EnvelopePrefix begins every error text of the contract. A chaincode's error
// text is all that reaches a client, so the code travels in it.
const EnvelopePrefix = "EMR1 "

// maxEnvelope bounds the encoded error in bytes.
const maxEnvelope = 1024

type envelope struct {
	Code    emr.Code   `json:"code"`
	Op      string     `json:"op"`
	Message string     `json:"msg"`
	Field   string     `json:"field"`
	Reason  emr.Reason `json:"reason"`
	// TxID is set when the action was spent before, by that transaction.
	TxID string `json:"txId"`
}

// EncodeError writes an error for the way across the ledger. The cause is left
// behind; an undeclared error becomes the fixed internal one. The text is
// deterministic and at most 1024 bytes.
func EncodeError(err error) string {
	p := emr.Public(err)
	if p == nil {
		p = &emr.Error{Code: emr.CodeInternal, Message: emr.InternalMessage}
	}
	b, encodeErr := emr.Canonical(envelope{Code: p.Code, Op: p.Op, Message: p.Message, Field: p.Field, Reason: p.Reason, TxID: p.TxID})
	if encodeErr != nil || len(b) > maxEnvelope-len(EnvelopePrefix) {
		b, _ = json.Marshal(envelope{Code: p.Code, Message: "message left out: too long"})
	}
	return EnvelopePrefix + string(b)
}

// ErrNoEnvelope tells that a text holds no error of the contract.
var ErrNoEnvelope = errors.New("ledgerapi: no error envelope in the text")

// DecodeError finds the contract's error inside a text, which may have been
// wrapped by peers on its way ("chaincode response 500, EMR1 {...}"). It returns
// ErrNoEnvelope when there is none or it cannot be read.
func DecodeError(text string) (*emr.Error, error) {
	at := strings.Index(text, EnvelopePrefix)
	if at < 0 {
		return nil, ErrNoEnvelope
	}
	var e envelope
	dec := json.NewDecoder(strings.NewReader(text[at+len(EnvelopePrefix):]))
	if err := dec.Decode(&e); err != nil || !e.Code.Valid() {
		return nil, ErrNoEnvelope
	}
	return &emr.Error{Code: e.Code, Op: e.Op, Message: e.Message, Field: e.Field, Reason: e.Reason, TxID: e.TxID}, nil
}
