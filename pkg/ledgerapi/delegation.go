// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledgerapi

import "github.com/emrys-health/emrys/pkg/emr"

// Transactions of delegation, by the patient; the second by the delegate as well.
const (
	NameDelegate  = "NameDelegate"  // NameDelegateArgs -> Receipt, whose ID is the delegate
	EndDelegation = "EndDelegation" // EndDelegationArgs -> Receipt, likewise
)

// ListDelegations is a query: PageQuery by patient -> DelegationPage.
const ListDelegations = "ListDelegations"

// EventDelegationChanged tells that a delegate was named, or a delegation ended. ID is the
// digest of the signed action: an event names no patient.
const EventDelegationChanged = "delegation.changed"

// TypeDelegation is by Handle of the patient and Handle of the delegate.
const TypeDelegation = "delegation"

// Limits of a delegation in days. The second is a childhood.
const (
	MaxDelegationDays = 365
	MaxGuardianDays   = 18 * 366
)

// DelegationKey is the key of what a patient has delegated to another one.
func DelegationKey(patient, delegate emr.Handle) Key {
	return key(TypeDelegation, string(patient), string(delegate))
}

// NameDelegateArgs lets Delegate sign for the signer until a time. Naming a
// delegate again replaces what was.
type NameDelegateArgs struct {
	Patient  emr.Handle         `json:"patient"`
	Delegate emr.Handle         `json:"delegate"`
	Kind     emr.DelegationKind `json:"kind"`
	Until    emr.Time           `json:"until"`
}

// EndDelegationArgs ends a delegation, by the patient or the delegate.
type EndDelegationArgs struct {
	Patient  emr.Handle `json:"patient"`
	Delegate emr.Handle `json:"delegate"`
}

// DelegationPage is a page of a patient's delegations, by delegate.
type DelegationPage struct {
	Items    []emr.Delegation `json:"items"`
	Bookmark string           `json:"bookmark"`
}
