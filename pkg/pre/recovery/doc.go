// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

// Package recovery gives a patient the root seed back when every device is lost: by guardians, t of n of whom together hold it, or
// from words on paper. docs/spec/recovery.md specifies it; sections are cited as R1, R2, …
//
// A device splits its secret with [Split] and hands one [SealedPackage] to each guardian, who checks it with [OpenPackage]. A new
// device makes a [Request]; a guardian who is convinced of whose it is answers it ([Package.Answer]); t answers give the secret back
// ([Combine]), and a guardian who answers falsely is named.
//
// Fewer than t guardians learn nothing about the secret. t of them have it: choose them so that no one person, family or hospital
// commands t. The package refuses sets in which the people of one organisation could form a quorum.
package recovery

import (
	"errors"
	"fmt"
)

// Failures that a caller branches on, beside those of package pre (ErrMalformed, ErrParameter, ErrProof, ErrDecrypt).
var (
	// ErrRule says that the guardians of one organisation would suffice to recover the secret.
	ErrRule = errors.New("the guardians of one organisation alone could recover the secret")
	// ErrExpired says that a request is not yet, or no longer, to be answered.
	ErrExpired = errors.New("the request is not valid at this time")
	// ErrOtherBackup says that a package is not of the person or backup that a request names.
	ErrOtherBackup = errors.New("the package belongs to another person or backup")
	// ErrTooFewShares says that fewer good answers of one backup are at hand than its threshold.
	ErrTooFewShares = errors.New("too few good answers of guardians")
	// ErrConflict says that guardians hold two different backups, each with enough answers: name the one that is wanted.
	ErrConflict = errors.New("the answers belong to different backups")
	// ErrCheck says that the recovered secret is not the one that was backed up, by the caller's own check.
	ErrCheck = errors.New("the recovered secret is not the expected one")
	// ErrWords says that a paper key has a word that is not in the list, or words whose checksum fails.
	ErrWords = errors.New("the words are not a paper key")
)

// GuardianError names the guardian whose answer was refused. errors.Is sees through it.
type GuardianError struct {
	Guardian string // the id that the answer carries
	Err      error
}

// Error implements error.
func (e *GuardianError) Error() string { return fmt.Sprintf("guardian %q: %v", e.Guardian, e.Err) }

// Unwrap returns the cause.
func (e *GuardianError) Unwrap() error { return e.Err }
