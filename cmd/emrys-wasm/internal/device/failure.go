// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package device

import (
	"errors"

	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/pre"
)

// Code tells the kind of a failure. The text is what a script branches on; the list is append-only.
type Code string

// Codes. Those with the words of pkg/pre mean what its errors of that name mean.
const (
	// CodeMalformed: bytes are not the encoding of the object they were given as (pre.ErrMalformed).
	CodeMalformed Code = "malformed"
	// CodeParameter: the caller's arguments are not allowed: missing, unknown, of another type, out of range
	// (pre.ErrParameter). Field names the argument where one is at fault.
	CodeParameter Code = "parameter"
	// CodeContext: a record context is incomplete or out of bounds (pre.ErrContext).
	CodeContext Code = "context"
	// CodeProof: a well-formed object is not what it claims to be (pre.ErrProof).
	CodeProof Code = "proof"
	// CodeTooFew: fewer valid fragments or shares than the threshold (pre.ErrTooFewFragments). Refused names the refused.
	CodeTooFew Code = "too_few_fragments"
	// CodeShare: a share does not match its commitment (pre.ErrShare).
	CodeShare Code = "share"
	// CodeDecrypt: authenticated decryption failed (pre.ErrDecrypt).
	CodeDecrypt Code = "decrypt"
	// CodeCommitment: a data key is not the one that the author committed to, in any layout.
	CodeCommitment Code = "commitment"
	// CodeSize: a length is impossible in the container.
	CodeSize Code = "size"
	// CodeHandle: a handle was closed, never made, or is of another kind.
	CodeHandle Code = "handle"
	// CodeKeyOperation: a key operation outside of this program failed or answered nonsense.
	CodeKeyOperation Code = "key_operation"
	// CodeUnknownOperation: there is no operation of this name.
	CodeUnknownOperation Code = "unknown_operation"
	// CodeDocument: a document of the ledger is not valid, or not what it is compared with.
	CodeDocument Code = "document"
	// CodeUnsupported: the environment lacks what the operation needs, for example WebCrypto.
	CodeUnsupported Code = "unsupported"
	// CodeInternal: anything undeclared. The text is fixed.
	CodeInternal Code = "internal"
)

// Codes returns every code.
func Codes() []Code {
	return []Code{
		CodeMalformed, CodeParameter, CodeContext, CodeProof, CodeTooFew, CodeShare, CodeDecrypt, CodeCommitment, CodeSize,
		CodeHandle, CodeKeyOperation, CodeUnknownOperation, CodeDocument, CodeUnsupported, CodeInternal,
	}
}

// Refusal names a gateway whose fragment or share was refused.
type Refusal struct {
	Gateway string
	Code    Code
	Message string
}

// Error is the one form in which an error crosses the border. It holds no secret.
type Error struct {
	Code    Code
	Message string
	Field   string    // the argument at fault, or empty
	Refused []Refusal // gateways that were refused, where an opening failed
}

// Error returns code and message.
func (f *Error) Error() string {
	if f.Field != "" {
		return string(f.Code) + ": " + f.Field + ": " + f.Message
	}
	return string(f.Code) + ": " + f.Message
}

// Fields returns the failure as values that can cross the border.
func (f *Error) Fields() Fields {
	return Fields{"code": string(f.Code), "message": f.Message, "field": f.Field, "refused": refusals(f.Refused)}
}

func refusals(list []Refusal) []any {
	out := make([]any, len(list))
	for i, r := range list {
		out[i] = Fields{"gateway": r.Gateway, "code": string(r.Code), "message": r.Message}
	}
	return out
}

func failed(code Code, message string) *Error { return &Error{Code: code, Message: message} }

func wrongField(field, message string) *Error {
	return &Error{Code: CodeParameter, Field: field, Message: message}
}

// documentError is a failure of a document, with the field that package emr names.
func documentError(err error) *Error {
	public := emr.Public(err)
	if public == nil || public.Code == emr.CodeInternal {
		return failed(CodeDocument, "the document cannot be encoded")
	}
	return &Error{Code: CodeDocument, Message: public.Message, Field: public.Field}
}

// classes maps the errors of the protocol to codes. The first that matches counts.
func classes() []struct {
	err  error
	code Code
} {
	return []struct {
		err  error
		code Code
	}{
		{pre.ErrTooFewFragments, CodeTooFew}, // it may be joined with others
		{pre.ErrMalformed, CodeMalformed},
		{pre.ErrParameter, CodeParameter},
		{pre.ErrContext, CodeContext},
		{pre.ErrProof, CodeProof},
		{pre.ErrShare, CodeShare},
		{pre.ErrDecrypt, CodeDecrypt},
	}
}

// failureOf classifies any error. Texts of declared errors hold no secrets and are kept; any other becomes a fixed one.
func failureOf(err error) *Error {
	if f, ok := errors.AsType[*Error](err); ok {
		return f
	}
	for _, c := range classes() {
		if errors.Is(err, c.err) {
			return failed(c.code, err.Error())
		}
	}
	return failed(CodeInternal, emr.InternalMessage)
}

// refused classifies what an opening refused.
func refused(errs []*pre.GatewayError) []Refusal {
	var out []Refusal
	for _, e := range errs {
		f := failureOf(e.Err)
		out = append(out, Refusal{e.Gateway, f.Code, f.Message})
	}
	return out
}
