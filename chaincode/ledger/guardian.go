// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"fmt"
	"strings"

	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// SetGuardians names whom the patient trusts with a recovery, in place of those
// named before. A recovery that is open goes on under the set that it was proposed
// under: nothing is cancelled unless the patient vetoes it.
func SetGuardians(s State, raw []byte) (*ledgerapi.Receipt, error) {
	var args ledgerapi.SetGuardiansArgs
	st, err := open(s, raw, ledgerapi.SetGuardians, &args)
	if err != nil {
		return nil, err
	}
	patient, err := st.byPatient(s, args.Patient)
	if err != nil {
		return nil, err
	}
	set, err := newGuardians(s, &args)
	if err != nil {
		return nil, err
	}
	if err := putGuardians(s, patient, set); err != nil {
		return nil, err
	}
	if err := audit(s, byThePatient(patient, emr.AuditGuardians, version(set.Version))); err != nil {
		return nil, err
	}
	if err := emit(s, ledgerapi.EventGuardiansSet, ledgerapi.Event{ID: st.digest.String()}); err != nil {
		return nil, err
	}
	return receipt(s, string(patient.Handle)), st.spend(s, string(patient.Handle))
}

func newGuardians(s Lookup, args *ledgerapi.SetGuardiansArgs) (*emr.GuardianSet, error) {
	previous, err := guardiansOf(s, args.Patient)
	if err != nil {
		return nil, err
	}
	set := &emr.GuardianSet{
		V: emr.DocumentVersion, Patient: args.Patient, Version: args.Version + 1, Guardians: []emr.Guardian{},
		Threshold: args.Threshold, WaitHours: args.WaitHours, Set: s.Now(),
	}
	if previous == nil && args.Version != 0 || previous != nil && args.Version != previous.Version {
		return nil, &emr.Error{Code: emr.CodeStale, Field: "version", Message: "the patient's guardian set is of another version"}
	}
	if err := checkGuardianNumbers(args); err != nil {
		return nil, err
	}
	if len(args.Guardians) == 0 {
		return set, nil
	}
	if set.WaitHours == 0 {
		set.WaitHours = ledgerapi.DefaultWaitHours
	}
	for _, id := range args.Guardians {
		guardian, err := newGuardian(s, args.Patient, id)
		if err != nil {
			return nil, err
		}
		set.Guardians = append(set.Guardians, guardian)
	}
	return set, checkOrganisations(set)
}

func checkGuardianNumbers(args *ledgerapi.SetGuardiansArgs) error {
	n, t := len(args.Guardians), int(args.Threshold)
	none := n == 0 && t == 0 && args.WaitHours == 0
	switch {
	case args.Guardians == nil || !rising(args.Guardians):
		return emr.Invalid("guardians", "must be a list, sorted, none twice")
	case none:
		return nil
	case n > ledgerapi.MaxGuardians:
		return emr.Invalid("guardians", fmt.Sprintf("must be at most %d", ledgerapi.MaxGuardians))
	case t < ledgerapi.MinGuardianQuorum || t > n:
		return emr.Invalid("threshold",
			fmt.Sprintf("must be at least %d and at most the number of guardians", ledgerapi.MinGuardianQuorum))
	case args.WaitHours != 0 && (args.WaitHours < ledgerapi.MinWaitHours || args.WaitHours > ledgerapi.MaxWaitHours):
		return emr.Invalid("waitHours",
			fmt.Sprintf("must be %d to %d, or 0 for %d", ledgerapi.MinWaitHours, ledgerapi.MaxWaitHours, ledgerapi.DefaultWaitHours))
	}
	return nil
}

// newGuardian looks a guardian up in the registry, which knows a professional's organisation.
func newGuardian(s Lookup, patient emr.Handle, id string) (emr.Guardian, error) {
	if id == string(patient) {
		return emr.Guardian{}, emr.Invalid("guardians", "must not name the patient")
	}
	if err := checkActor(id); err != nil {
		return emr.Guardian{}, emr.Invalid("guardians", "must name patients by handle and professionals by id")
	}
	if strings.HasPrefix(id, emr.HandlePrefix) {
		_, err := patientOf(s, emr.Handle(id))
		return emr.Guardian{ID: id}, err
	}
	clinician, err := requireClinician(s, emr.ClinicianID(id))
	if err != nil {
		return emr.Guardian{}, err
	}
	return emr.Guardian{ID: id, Org: clinician.Org}, refuseInactive(clinician)
}

// checkOrganisations is the rule that no single organisation's people may be a
// quorum (docs/spec/recovery.md, R4): it vouches for its professionals' keys and
// could act for all of them. A professional stays with one organisation for good,
// so that what holds here holds for every quorum later.
func checkOrganisations(set *emr.GuardianSet) error {
	for _, one := range set.Guardians {
		if one.Org == "" {
			continue
		}
		same := 0
		for _, other := range set.Guardians {
			if other.Org == one.Org {
				same++
			}
		}
		if same >= int(set.Threshold) {
			return &emr.Error{
				Code: emr.CodeRule, Reason: emr.ReasonOneOrganisation, Field: "guardians",
				Message: emr.ReasonOneOrganisation.Explain(),
			}
		}
	}
	return nil
}

// byGuardian authenticates the action as one of a registered person whom the set
// names: a patient through any gateway, a professional who is active through the
// own organisation's.
func (st *statement) byGuardian(s Lookup, set *emr.GuardianSet) (emr.AuditEntry, error) {
	var entry emr.AuditEntry
	if st.fromPatient() {
		patient, err := st.byPatient(s, emr.Handle(st.action.Actor))
		if err != nil {
			return entry, err
		}
		entry.Actor, entry.Org = string(patient.Handle), patient.Home
	} else {
		clinician, err := st.byActiveClinician(s)
		if err != nil {
			return entry, err
		}
		entry.Actor, entry.Org = string(clinician.ID), clinician.Org
	}
	if set != nil {
		if _, named := set.Find(entry.Actor); named {
			entry.Patient = set.Patient
			return entry, nil
		}
	}
	return entry, &emr.Error{
		Code: emr.CodeForbidden, Reason: emr.ReasonNotGuardian, Message: emr.ReasonNotGuardian.Explain(),
	}
}

// GetGuardians returns a patient's guardian set.
func GetGuardians(r Reader, q ledgerapi.HandleQuery) (*emr.GuardianSet, error) {
	if err := emr.CheckID("patient", q.Patient); err != nil {
		return nil, err
	}
	set, err := guardiansOf(r, q.Patient)
	if err == nil && set == nil {
		return nil, missing(ledgerapi.TypeGuardians)
	}
	return set, err
}
