// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package emr

import "slices"

// Code tells the kind of an error. The list is append-only; the text is the wire form.
type Code string

// Codes. Each door owns one table from these to its own world.
const (
	// CodeInvalid: malformed or fails validation; Field is set where one field is at fault.
	CodeInvalid Code = "invalid"
	// CodeUnauthenticated: no credentials or bad ones.
	CodeUnauthenticated Code = "unauthenticated"
	// CodeForbidden: the caller is known and not allowed.
	CodeForbidden Code = "forbidden"
	// CodeNotFound: absent, or its existence itself is confidential.
	CodeNotFound Code = "not_found"
	// CodeGone: revoked or withdrawn.
	CodeGone Code = "gone"
	// CodeExists: duplicate of something that exists, or an action already spent.
	CodeExists Code = "exists"
	// CodeConflict: somebody else changed the same thing at the same time.
	CodeConflict Code = "conflict"
	// CodeStale: a precondition named a version that is no longer current.
	CodeStale Code = "stale"
	// CodeRule: a rule of sharing refused.
	CodeRule Code = "rule"
	// CodeTooLarge: over a declared limit.
	CodeTooLarge Code = "too_large"
	// CodeRateLimited: slow down.
	CodeRateLimited Code = "rate_limited"
	// CodeUnsupported: suite, version or interaction not offered.
	CodeUnsupported Code = "unsupported"
	// CodeCorrupt: content, digest, capsule or fragment failed a check.
	CodeCorrupt Code = "corrupt"
	// CodeUnavailable: a peer, orderer, proxy or content store is down; nothing was submitted.
	CodeUnavailable Code = "unavailable"
	// CodeTimeout: the deadline passed before anything was submitted.
	CodeTimeout Code = "timeout"
	// CodeUnknownOutcome: submitted, commit status not known; look it up by TxID before anything else.
	CodeUnknownOutcome Code = "unknown_outcome"
	// CodeInternal: anything undeclared.
	CodeInternal Code = "internal"
)

// Codes returns every code, in the order of the list above.
func Codes() []Code {
	return []Code{
		CodeInvalid, CodeUnauthenticated, CodeForbidden, CodeNotFound, CodeGone, CodeExists, CodeConflict, CodeStale,
		CodeRule, CodeTooLarge, CodeRateLimited, CodeUnsupported, CodeCorrupt, CodeUnavailable, CodeTimeout,
		CodeUnknownOutcome, CodeInternal,
	}
}

// Valid tells whether the code is on the list.
func (c Code) Valid() bool { return slices.Contains(Codes(), c) }

// Retryable tells whether the same call may succeed later without a change. An
// unknown outcome is not retryable: it must be looked up first.
func (c Code) Retryable() bool {
	switch c {
	case CodeConflict, CodeRateLimited, CodeUnavailable, CodeTimeout:
		return true
	default:
		return false
	}
}
