// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"bytes"
	"math"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/emrys-health/emrys/pkg/consent"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// basis is what a reading rests on: a grant or an emergency session. A patient's
// own reading rests on neither.
type basis struct {
	grant     *emr.Grant
	emergency bool               // a session is named
	session   *emr.Emergency     // nil when there is none of that name
	plan      *emr.EmergencyPlan // of the record's patient; nil when there is none
	standing  *consent.Consent   // of the record's patient; nil when there is none
	onward    emr.Onward         // what the reader declares
	signOff   *emr.SignOff       // of the record; nil when there is none
}

// basisOf reads what a disclosure names, the record's sign-off, and the patient's
// standing consent. The patient's plan is read with a session. So withdrawing or
// declining takes effect at once.
func basisOf(
	s Lookup, record *emr.Record, grant emr.GrantID, session emr.SessionID, onward emr.Onward,
) (*basis, error) {
	standing, err := standingConsent(s, record.Patient)
	if err != nil {
		return nil, err
	}
	on := &basis{standing: standing, onward: onward}
	if on.signOff, err = signOffOf(s, record.ID); err != nil {
		return nil, err
	}
	if session == "" {
		on.grant, err = namedGrant(s, grant)
		return on, err
	}
	on.emergency = true
	if on.session, err = find(s, ledgerapi.EmergencyKey(session), versionOfEmergency); err != nil {
		return nil, err
	}
	on.plan, err = planOf(s, record.Patient)
	return on, err
}

// until returns when the basis stops to hold; never for a patient's own reading.
func (b *basis) until() emr.Time {
	switch {
	case b.grant != nil:
		return b.grant.Effective().Until
	case b.session != nil:
		return b.session.Ended()
	default:
		return math.MaxInt64
	}
}

// decideEmergencyReading decides whether a session gives a clinician a record now.
// Whose session it is comes first, as with grants.
func decideEmergencyReading(
	clinician *emr.Clinician, record *emr.Record, purpose emr.Purpose, on *basis, now emr.Time,
) verdict {
	session := on.session
	switch {
	case session == nil:
		return deny(emr.ReasonNoSession)
	case session.By != clinician.ID || session.Org != clinician.Org:
		return deny(emr.ReasonNotSession)
	case session.Patient != record.Patient:
		return deny(emr.ReasonSessionPatient)
	case session.Purpose != purpose:
		return deny(emr.ReasonPurpose)
	case on.plan.Declines(record.Scope):
		return deny(emr.ReasonDeclined)
	}
	if reason := sessionOver(session, now); reason != "" {
		return deny(reason)
	}
	return verdict{emr.Permit, emr.ReasonEmergency}
}

// sessionOver returns why a session gives nothing now, or "" when it does give.
func sessionOver(session *emr.Emergency, now emr.Time) emr.Reason {
	switch {
	case session.Status == emr.EmergencyDenied:
		return emr.ReasonSessionDenied
	case session.Status == emr.EmergencyClosed:
		return emr.ReasonSessionClosed
	case now >= session.Until:
		return emr.ReasonSessionExpired
	case session.Status == emr.EmergencyWaiting:
		return emr.ReasonUnconfirmed
	default:
		return ""
	}
}

// opening is everything that the opening of a session is decided from.
type opening struct {
	clinician *emr.Clinician
	args      *ledgerapi.OpenEmergencyArgs
	issued    emr.Time
	duty      *emr.EmergencyDuty
	plan      *emr.EmergencyPlan
	twoPerson bool
}

// decide decides whether a session may be opened. Ask means that a second person must confirm.
func (o *opening) decide(now emr.Time) verdict {
	switch {
	case o.clinician.Status.Denial() != "":
		return deny(o.clinician.Status.Denial())
	case !mayTreatEmergencies(o.clinician.Role):
		return deny(emr.ReasonRole)
	case !o.args.Purpose.Emergency():
		return deny(emr.ReasonPurpose)
	case !o.args.Ground.Valid():
		return deny(emr.ReasonNoGround)
	case utf8.RuneCountInString(strings.TrimSpace(o.args.Text)) < ledgerapi.MinEmergencyText:
		return deny(emr.ReasonShortText)
	case !fresh(&o.args.Presence, o.issued, now):
		return deny(emr.ReasonStalePresence)
	case o.plan != nil && o.plan.DeclineAll:
		return deny(emr.ReasonDeclined)
	}
	if reason := denialOfDuty(o.duty, now); reason != "" {
		return deny(reason)
	}
	if o.twoPerson {
		return verdict{emr.Ask, emr.ReasonUnconfirmed}
	}
	return verdict{emr.Permit, emr.ReasonEmergency}
}

// mayTreatEmergencies tells whether a role may break the glass.
func mayTreatEmergencies(role emr.Role) bool { return role.MayUse(emr.PurposeEmergency) }

// fresh tells whether an authentication and the action that states it are young enough.
func fresh(presence *emr.Presence, issued, now emr.Time) bool {
	return presence.At > 0 && presence.At <= issued && now-presence.At <= ledgerapi.PresenceSeconds
}

// denialOfDuty returns why what a clinician owes forbids another session.
func denialOfDuty(duty *emr.EmergencyDuty, now emr.Time) emr.Reason {
	running := 0
	for i := range duty.Owed {
		if now >= duty.Owed[i].ReviewBy {
			return emr.ReasonReviewOverdue
		}
		if now < duty.Owed[i].Until {
			running++
		}
	}
	if running >= ledgerapi.MaxOpenEmergencies || len(duty.Owed) >= ledgerapi.MaxOwedEmergencies {
		return emr.ReasonEmergencyLimit
	}
	return ""
}

// samePerson tells whether two registrations are one person's, as far as the
// ledger can see: by name, or by a key that they share.
func samePerson(a, b *emr.Clinician) bool {
	return a.ID == b.ID || bytes.Equal(a.Signing.Key, b.Signing.Key) || bytes.Equal(a.Reading, b.Reading)
}

// decideConfirmation decides whether a second person may confirm a session.
func decideConfirmation(
	session *emr.Emergency, first, second *emr.Clinician, presence *emr.Presence, issued, now emr.Time,
) verdict {
	switch {
	case samePerson(first, second):
		return deny(emr.ReasonSelfConfirmed)
	case second.Org == session.Org:
		return deny(emr.ReasonOrgConfirmed)
	case second.Status.Denial() != "":
		return deny(second.Status.Denial())
	case !mayTreatEmergencies(second.Role) && second.Role != emr.RolePrivacyOfficer:
		return deny(emr.ReasonRole)
	case !fresh(presence, issued, now):
		return deny(emr.ReasonStalePresence)
	case now >= session.Until:
		return deny(emr.ReasonSessionExpired)
	default:
		return verdict{emr.Permit, emr.ReasonEmergency}
	}
}

// decideReview decides whether somebody may review a session. opened and
// confirmed are those who took part, confirmed nil when nobody confirmed.
func decideReview(session *emr.Emergency, reviewer *emr.Clinician, opened, confirmed *emr.Clinician, standing bool) verdict {
	again := func(r emr.EmergencyReview) bool { return r.By == reviewer.ID || r.Org == reviewer.Org }
	switch {
	case samePerson(opened, reviewer), confirmed != nil && samePerson(confirmed, reviewer):
		return deny(emr.ReasonSelfReviewed)
	case reviewer.Status.Denial() != "":
		return deny(reviewer.Status.Denial())
	case reviewer.Role != emr.RolePrivacyOfficer:
		return deny(emr.ReasonRole)
	case !standing, slices.ContainsFunc(session.Reviews, again):
		return deny(emr.ReasonReviewStanding)
	default:
		return verdict{emr.Permit, emr.ReasonEmergency}
	}
}
