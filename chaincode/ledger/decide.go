// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"bytes"
	"slices"

	"github.com/emrys-health/emrys/pkg/consent"
	"github.com/emrys-health/emrys/pkg/emr"
)

// Decisions are functions of documents and time alone. They read nothing and
// write nothing; what they return is committed, whichever way it goes.

// verdict is a decision and its ground.
type verdict struct {
	decision emr.Decision
	reason   emr.Reason
}

func deny(reason emr.Reason) verdict { return verdict{emr.Deny, reason} }

// denialOfPerson returns why a clinician may not have a record for a purpose
// whatever the patient grants, or "" when nothing speaks against it.
func denialOfPerson(clinician *emr.Clinician, record *emr.Record, purpose emr.Purpose) emr.Reason {
	usesNone := !slices.ContainsFunc(emr.Purposes(), clinician.Role.MayUse)
	switch {
	case clinician.Status != emr.ClinicianActive:
		return clinician.Status.Denial()
	case usesNone:
		return emr.ReasonRole
	case !clinician.Role.MayUse(purpose):
		return emr.ReasonPurpose
	case !clinician.Level.Covers(record.Level):
		return emr.ReasonLevel
	default:
		return ""
	}
}

// denialOfGrant returns why a grant does not give a clinician a record now, or
// "" when it does. Whose grant it is comes first: nobody learns the state of a
// grant that was given to somebody else.
func denialOfGrant(
	grant *emr.Grant, clinician *emr.Clinician, record *emr.Record, purpose emr.Purpose, now emr.Time,
) emr.Reason {
	terms := grant.Effective()
	switch {
	case terms.Grantee != clinician.ID || terms.Org != clinician.Org:
		return emr.ReasonNotGrantee
	case terms.Patient != record.Patient || terms.Scope != record.Scope || !terms.Covers(record.ID):
		return emr.ReasonNotCovered
	case grant.Status == emr.GrantEnded:
		return emr.ReasonGrantEnded
	case grant.Status == emr.GrantRevoked:
		return emr.ReasonRevoked
	case grant.Status != emr.GrantLive, now < grant.Ready:
		return emr.ReasonGrantWaiting
	case now < terms.NotBefore:
		return emr.ReasonNotYet
	case now >= terms.Until:
		return emr.ReasonExpired
	case !slices.Contains(terms.Purposes, purpose):
		return emr.ReasonPurpose
	case !toKeysOf(&terms, clinician):
		return emr.ReasonReaderKey
	default:
		return ""
	}
}

// toKeysOf tells whether terms were made to the clinician's present keys.
func toKeysOf(terms *emr.GrantTerms, clinician *emr.Clinician) bool {
	return bytes.Equal(terms.Reader, clinician.Reading) && (!terms.Direct || terms.ReaderHybrid == hybridHash(clinician))
}

// sayOf returns what the patient's standing consent says, nil when there is none.
func sayOf(
	standing *consent.Consent, clinician *emr.Clinician, record *emr.Record, purpose emr.Purpose, now emr.Time,
) consent.Outcome {
	return consent.Decide(standing, consent.Facts{Purpose: purpose}.By(clinician).About(record), now)
}

// extends tells whether a grant that covers a record extends to its label too: a
// grant of a whole scope is general, and gives a restricted record only where the
// standing consent permits that record, label and all.
func extends(grant *emr.Grant, record *emr.Record, said consent.Outcome) bool {
	return !record.Restricted || len(grant.Terms.Records) > 0 || said.Decision == emr.Permit
}

// asking is one record asked for, for one purpose, and what stands in the ledger about it.
type asking struct {
	clinician *emr.Clinician
	record    *emr.Record
	purpose   emr.Purpose
	onward    emr.Onward
	grants    []*emr.Grant // at hand
	signOff   *emr.SignOff
	standing  *consent.Consent
}

// decideRequest decides a request for access: deny what no grant could give and
// what the standing consent denies, permit what one of the grants at hand gives
// already, and ask the patient otherwise. With a permit it returns the grant. What
// the consent permits is asked for as well, as only the patient's device can give
// the keys; the reason tells the device that it need not ask the person.
func decideRequest(a *asking, now emr.Time) (verdict, emr.GrantID) {
	if reason := denialOfPerson(a.clinician, a.record, a.purpose); reason != "" {
		return deny(reason), ""
	}
	if a.purpose.Emergency() { // of which no consent speaks, and no grant: a session gives it
		return deny(emr.ReasonPurpose), ""
	}
	if reason := a.record.Status.Denial(); reason != "" {
		return deny(reason), ""
	}
	said := sayOf(a.standing, a.clinician, a.record, a.purpose, now)
	if said.Decision == emr.Deny {
		return deny(said.Reason), ""
	}
	if a.onward != "" && a.record.Restricted {
		return deny(emr.ReasonNoOnward), ""
	}
	if a.record.SupersededBy != "" {
		return deny(emr.ReasonSuperseded), ""
	}
	for _, grant := range a.grants {
		if denialOfGrant(grant, a.clinician, a.record, a.purpose, now) == "" && extends(grant, a.record, said) &&
			denialOfUse(grant, a.record, a.onward, a.signOff) == "" {
			return verdict{emr.Permit, emr.ReasonGrant}, grant.ID
		}
	}
	if a.standing == nil {
		return verdict{emr.Ask, emr.ReasonNoGrant}, ""
	}
	return verdict{emr.Ask, said.Reason}, ""
}

// decideReading decides whether a clinician may read a record on the basis of a
// grant or of an emergency session. A deny of the standing consent beats every
// grant. Uses are counted elsewhere. Superseded versions may be read: a grant that
// covers one still covers it. What is erased or re-keyed nobody reads, on no ground. A session takes the place of the patient's consent,
// who declines it in the emergency plan, and of nothing else: role and level, which
// are the word of the clinician's own hospital, hold in an emergency too.
func decideReading(
	clinician *emr.Clinician, record *emr.Record, purpose emr.Purpose, on *basis, now emr.Time,
) verdict {
	if reason := denialOfPerson(clinician, record, purpose); reason != "" {
		return deny(reason)
	}
	if reason := record.Status.Denial(); reason != "" {
		return deny(reason)
	}
	if on.emergency {
		if on.onward != "" {
			return deny(emr.ReasonNoOnward) // a session is one clinician's, for one patient
		}
		return decideEmergencyReading(clinician, record, purpose, on, now)
	}
	if purpose.Emergency() {
		return deny(emr.ReasonPurpose)
	}
	said := sayOf(on.standing, clinician, record, purpose, now)
	if said.Decision == emr.Deny {
		return deny(said.Reason)
	}
	grant := on.grant
	if grant == nil {
		return deny(emr.ReasonNoGrant)
	}
	if reason := denialOfGrant(grant, clinician, record, purpose, now); reason != "" {
		return deny(reason)
	}
	if !extends(grant, record, said) {
		return deny(emr.ReasonConsentRestricted)
	}
	if reason := denialOfUse(grant, record, on.onward, on.signOff); reason != "" {
		return deny(reason)
	}
	return verdict{emr.Permit, emr.ReasonGrant}
}

// decideOwnReading decides whether a patient may read an own record.
func decideOwnReading(record *emr.Record, purpose emr.Purpose) verdict {
	if reason := record.Status.Denial(); reason != "" {
		return deny(reason)
	}
	if !emr.RolePatient.MayUse(purpose) {
		return deny(emr.ReasonPurpose)
	}
	return verdict{emr.Permit, emr.ReasonOwner}
}

// decideTicket decides whether a disclosure holds now for the person who presents
// it. Everything that the disclosure was decided from is decided again, so that a
// revocation, an expiry, a lower level or a changed consent ends the ticket too.
func decideTicket(
	d *emr.Disclosure, presenter *person, record *emr.Record, on *basis, now emr.Time,
) verdict {
	switch {
	case d.Reader != presenter.id():
		return deny(emr.ReasonNotReader)
	case d.Decision != emr.Permit:
		return deny(d.Reason)
	case now >= d.Until:
		return deny(emr.ReasonTicketExpired)
	case presenter.patient != nil:
		return decideOwnReading(record, d.Purpose)
	default:
		return decideReading(presenter.clinician, record, d.Purpose, on, now)
	}
}
