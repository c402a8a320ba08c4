// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package emr

import (
	"errors"
	"strings"
)

// InternalMessage is the fixed text that a caller sees of an undeclared error.
const InternalMessage = "internal error"

// Error is the one error type that crosses doors.
type Error struct {
	// Code is one of Codes.
	Code Code
	// Op names the operation, for example "grant.create". It may be empty.
	Op string
	// Message may be shown to the caller. It holds no secret and no patient data.
	Message string
	// Field names the argument at fault, for example "terms.until". It may be empty.
	Field string
	// Reason is the decision's reason code when a rule refused. It may be empty.
	Reason Reason
	// TxID is the Fabric transaction id, where one is known.
	TxID string
	// Err is the cause. It never leaves the process.
	Err error
}

// Error returns the text for logs of this process, cause included.
func (e *Error) Error() string {
	var b strings.Builder
	if e.Op != "" {
		b.WriteString(e.Op + ": ")
	}
	b.WriteString(string(e.Code))
	if e.Field != "" {
		b.WriteString(": " + e.Field)
	}
	if e.Message != "" {
		b.WriteString(": " + e.Message)
	}
	if e.Err != nil {
		b.WriteString(": " + e.Err.Error())
	}
	return b.String()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Is matches another Error by code, so that errors.Is(err, &Error{Code: CodeNotFound}) works.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Code == e.Code && t.Op == "" && t.Message == ""
}

// E makes an error with a code and a message that may be shown.
func E(code Code, message string) *Error { return &Error{Code: code, Message: message} }

// Invalid makes an invalid error about one field.
func Invalid(field, message string) *Error {
	return &Error{Code: CodeInvalid, Field: field, Message: message}
}

// Refused makes a rule error with the reason of the decision.
func Refused(reason Reason, message string) *Error {
	return &Error{Code: CodeRule, Reason: reason, Message: message}
}

// Wrap gives an existing error a code and a message that may be shown, keeping it as the cause.
func Wrap(code Code, message string, cause error) *Error {
	return &Error{Code: code, Message: message, Err: cause}
}

// CodeOf returns the code of the first Error in err's chain, CodeInternal for
// any other error, and the empty code for nil.
func CodeOf(err error) Code {
	if err == nil {
		return ""
	}
	if e, ok := errors.AsType[*Error](err); ok && e.Code.Valid() {
		return e.Code
	}
	return CodeInternal
}

// Public returns a copy of the first Error in err's chain without its cause, or
// the fixed internal error. It is what a door may show. It returns nil for nil.
func Public(err error) *Error {
	if err == nil {
		return nil
	}
	e, ok := errors.AsType[*Error](err)
	if !ok || !e.Code.Valid() {
		return &Error{Code: CodeInternal, Message: InternalMessage}
	}
	shown := *e
	shown.Err = nil
	if shown.Code == CodeInternal {
		shown.Message = InternalMessage
	}
	return &shown
}
