// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// MoveHome makes the hospital whose gateway carries it the patient's home. The old
// home endorses it, since the patient's values are guarded by it. Where the members
// have removed the old home, or released the patient from it, its endorsement is not
// to be had: the values go on under keys of a new generation.
func MoveHome(s State, raw []byte) (*ledgerapi.Receipt, error) {
	var args ledgerapi.MoveHomeArgs
	st, err := open(s, raw, ledgerapi.MoveHome, &args)
	if err != nil {
		return nil, err
	}
	patient, err := st.byPatient(s, args.Patient)
	if err != nil {
		return nil, err
	}
	if err := st.checkNewHome(patient, args.Home); err != nil {
		return nil, err
	}
	if err := st.moveHome(s, patient, &args); err != nil {
		return nil, err
	}
	if err := audit(s, byThePatient(patient, emr.AuditHome, string(patient.Home))); err != nil {
		return nil, err
	}
	if err := emit(s, ledgerapi.EventHomeMoved, ledgerapi.Event{ID: st.digest.String()}); err != nil {
		return nil, err
	}
	return receipt(s, string(patient.Handle)), st.spend(s, string(patient.Handle))
}

func (st *statement) checkNewHome(patient *emr.Patient, home emr.OrgID) error {
	switch {
	case home != st.gateway.ID:
		return emr.E(emr.CodeForbidden, "a patient moves through the gateway of the new home hospital")
	case !st.gateway.Kind.MayAssert(emr.RolePatient):
		return emr.E(emr.CodeForbidden, "the organisation is no hospital")
	case home == patient.Home:
		return emr.E(emr.CodeExists, "the hospital is the patient's home already")
	default:
		return nil
	}
}

// moveHome writes the patient's guarded values anew under the guard of the new home.
func (st *statement) moveHome(s State, patient *emr.Patient, args *ledgerapi.MoveHomeArgs) error {
	given, _, err := findGuarded(s, patient.Handle, ledgerapi.ConsentKeyAt)
	if err != nil {
		return err
	}
	current, err := decodeIf(ledgerapi.TypeConsent, given, versionOfConsent)
	if err != nil {
		return err
	}
	set, err := guardiansOf(s, patient.Handle)
	if err != nil {
		return err
	}
	rule, err := grantRuleOf(s, patient.Handle)
	if err != nil {
		return err
	}
	from := patient.Home
	released, err := releasedFromHome(s, patient)
	if err != nil {
		return err
	}
	if released {
		patient.Generation++
	}
	if args.Generation != patient.Generation {
		return &emr.Error{Code: emr.CodeStale, Field: "generation", Message: "is not that of the patient's values after the move"}
	}
	patient.Home = args.Home
	if err := putAllGuarded(s, patient, current, set, rule); err != nil || !released {
		return err
	}
	return putGuarded(s, patient.Home, ledgerapi.HomeMoveKey(patient.Handle, patient.Generation), &emr.HomeMove{
		V: emr.DocumentVersion, Patient: patient.Handle, Generation: patient.Generation, From: from, To: patient.Home,
		At: s.Now(), Signed: st.signed,
	})
}

// releasedFromHome tells whether the patient may leave without the home's endorsement.
func releasedFromHome(s Lookup, patient *emr.Patient) (bool, error) {
	home, err := organisation(s, patient.Home)
	if err != nil {
		return false, err
	}
	if home == nil || home.Removed != 0 {
		return true, nil
	}
	release, err := find(s, ledgerapi.HomeReleaseKey(patient.Handle), versionOfHomeRelease)
	if err != nil || release == nil {
		return false, err
	}
	return release.From == patient.Home && release.Generation == patient.Generation, nil
}

// releasable returns the release that a proposal would make.
func releasable(s Lookup, subject *emr.Subject) (*emr.HomeRelease, error) {
	patient, err := requirePatient(s, subject.Patient)
	if err != nil {
		return nil, err
	}
	if patient.Home != subject.Organisation {
		return nil, &emr.Error{Code: emr.CodeRule, Field: "subject.organisation", Message: "is not the patient's home"}
	}
	released, err := releasedFromHome(s, patient)
	if err != nil {
		return nil, err
	}
	if released {
		return nil, emr.E(emr.CodeExists, "the patient is released from the home already")
	}
	return &emr.HomeRelease{
		V: emr.DocumentVersion, Patient: patient.Handle, Generation: patient.Generation, From: patient.Home, At: s.Now(),
	}, nil
}

func checkHomeRelease(subject *emr.Subject) error {
	if _, err := emr.ParseOrgID("subject.organisation", string(subject.Organisation)); err != nil {
		return err
	}
	return emr.CheckID("subject.patient", subject.Patient)
}

// enactHomeRelease writes the release that the members have decided.
func enactHomeRelease(s State, p *emr.Proposal) error {
	release, err := releasable(s, &p.Subject)
	if err != nil {
		return err
	}
	release.Proposal = p.ID
	return put(s, ledgerapi.HomeReleaseKey(release.Patient), release)
}
