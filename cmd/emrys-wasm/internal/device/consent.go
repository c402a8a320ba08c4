// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package device

import (
	"github.com/emrys-health/emrys/pkg/consent"
	"github.com/emrys-health/emrys/pkg/emr"
)

// checkConsent brings a standing consent into the form that is signed, and checks it as the ledger does at a moment.
// (document: JSON, lists may be left out; now: seconds since the epoch)
// -> document: canonical JSON for PutConsentArgs; hash: of the document.
func checkConsent(a *arguments) (Fields, error) {
	text, now := a.text("document"), a.number("now", 1, maxNumber)
	if err := a.end(); err != nil {
		return nil, err
	}
	var d consent.Document
	if err := emr.Decode([]byte(text), &d); err != nil {
		return nil, documentError(err)
	}
	d = consent.Normal(d)
	if err := d.Validate(emr.Time(now)); err != nil { //nolint:gosec // below 2^53
		return nil, documentError(err)
	}
	encoded, err := emr.Canonical(d)
	if err != nil {
		return nil, documentError(err)
	}
	hash, err := d.Hash()
	if err != nil {
		return nil, documentError(err)
	}
	return Fields{"document": string(encoded), "hash": hash[:]}, nil
}

// decideConsent decides from a standing consent as the ledger does.
// (consent: JSON of consent.Consent, or empty where there is none; facts: JSON of consent.Facts; now) -> outcome: JSON of consent.Outcome.
func decideConsent(a *arguments) (Fields, error) {
	var standing *consent.Consent
	if text, given := a.fields["consent"].(string); !given || text != "" {
		standing = new(consent.Consent)
		a.document("consent", standing)
	} else {
		a.text("consent")
	}
	var facts consent.Facts
	a.document("facts", &facts)
	now := a.number("now", 1, maxNumber)
	if err := a.end(); err != nil {
		return nil, err
	}
	encoded, err := emr.Canonical(consent.Decide(standing, facts, emr.Time(now))) //nolint:gosec // below 2^53
	if err != nil {
		return nil, documentError(err)
	}
	return Fields{"outcome": string(encoded)}, nil
}
