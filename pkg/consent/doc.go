// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

// Package consent is a patient's standing consent: the document that the patient
// signs, and the one decision that is made from it. Contract, gateway, command
// line and browser call the same [Decide], so that a preview cannot differ from
// its effect.
//
// The model is that of FHIR R4 Consent as IHE's Privacy Consent on FHIR profiles
// it: a base policy, and exceptions one level deep that each permit or deny. Where
// FHIR leaves the combination of exceptions open, this package does not: deny
// beats permit, whatever the order. docs/spec/consent.md specifies it.
//
// The package imports the standard library and the vocabulary alone, reads no
// clock, and ranges over no map: every peer computes the same. Its values are
// plain data, safe for concurrent reading.
package consent
