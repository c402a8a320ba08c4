// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package service

import (
	"context"

	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// ClinicianKeys returns a professional's registry entry as it was in a version of the keys.
func (s *Service) ClinicianKeys(ctx context.Context, id emr.ClinicianID, version uint32) (emr.Clinician, error) {
	var clinician emr.Clinician
	query := ledgerapi.ClinicianKeysQuery{Clinician: id, Version: version}
	err := s.ports.Ledger.Query(ctx, ledgerapi.GetClinicianKeys, query, &clinician)
	return clinician, err
}

// Guardians returns the calling patient's guardian set.
func (s *Service) Guardians(ctx context.Context, who Principal) (emr.GuardianSet, error) {
	var set emr.GuardianSet
	if !who.IsPatient() {
		return set, errPatientsOnly
	}
	handle, err := s.handleOf(ctx, who)
	if err != nil {
		return set, err
	}
	err = s.ports.Ledger.Query(ctx, ledgerapi.GetGuardians, ledgerapi.HandleQuery{Patient: handle}, &set)
	return set, err
}

// Recoveries lists the recoveries of the calling patient's keys.
func (s *Service) Recoveries(ctx context.Context, who Principal, page Page) (ledgerapi.RecoveryPage, error) {
	var out ledgerapi.RecoveryPage
	query, err := s.patientQuery(ctx, who, page)
	if err == nil {
		err = s.ports.Ledger.Query(ctx, ledgerapi.ListRecoveries, query, &out)
	}
	return out, err
}

// errNoRecovery is the one answer for absent and hidden recoveries.
var errNoRecovery = emr.E(emr.CodeNotFound, "no such recovery")

// Recovery returns a recovery to its patient and to the guardians of its set. For
// everybody else it is absent.
func (s *Service) Recovery(ctx context.Context, who Principal, id emr.RecoveryID) (emr.Recovery, error) {
	var recovery emr.Recovery
	err := s.ports.Ledger.Query(ctx, ledgerapi.GetRecovery, ledgerapi.RecoveryQuery{Recovery: id}, &recovery)
	if emr.CodeOf(err) == emr.CodeNotFound {
		return emr.Recovery{}, errNoRecovery
	}
	if err != nil {
		return emr.Recovery{}, err
	}
	visible, err := s.maySeeRecovery(ctx, who, &recovery)
	if err != nil {
		return emr.Recovery{}, err
	}
	if !visible {
		return emr.Recovery{}, errNoRecovery
	}
	return recovery, nil
}

func (s *Service) maySeeRecovery(ctx context.Context, who Principal, recovery *emr.Recovery) (bool, error) {
	if !who.IsPatient() {
		guardian, named := recovery.Set.Find(who.Subject)
		return named && guardian.Org == who.Org, nil
	}
	handle, err := s.handleOf(ctx, who)
	if emr.CodeOf(err) == emr.CodeNotFound {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	_, named := recovery.Set.Find(string(handle))
	return named || handle == recovery.Patient, nil
}

// refuseInactive refuses a professional whom the own organisation has suspended or
// off-boarded. It keeps them from what a gateway shows without a transaction; the
// ledger itself refuses the rest. Who is not registered yet is not inactive.
func (s *Service) refuseInactive(ctx context.Context, who Principal) error {
	if who.IsPatient() {
		return nil
	}
	clinician, err := s.Clinician(ctx, emr.ClinicianID(who.Subject))
	if emr.CodeOf(err) == emr.CodeNotFound {
		return nil
	}
	if err != nil {
		return err
	}
	if reason := clinician.Status.Denial(); reason != "" {
		return emr.Refused(reason, reason.Explain())
	}
	return nil
}
