// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package service

import (
	"context"

	"github.com/emrys-health/emrys/pkg/api"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// Prover answers a query with the endorsements of several organisations.
type Prover interface {
	// Prove has a query endorsed as the contract's policy asks. It fails as Query does.
	Prove(ctx context.Context, function string, argument any) (api.Proof, error)
}

// Prove returns a registry entry with its proof, under the same rules as the
// entry alone: a caller who may not see it gets what an absent one gets.
func (s *Service) Prove(ctx context.Context, who Principal, request api.ProofRequest) (api.Proof, error) {
	if s.ports.Prover == nil {
		return api.Proof{}, emr.E(emr.CodeUnsupported, "this gateway offers no proofs")
	}
	argument, err := s.provable(ctx, who, request)
	if err != nil {
		return api.Proof{}, err
	}
	proof, err := s.ports.Prover.Prove(ctx, request.Function, argument)
	if request.Function == ledgerapi.ResolvePatient && emr.CodeOf(err) == emr.CodeNotFound {
		return api.Proof{}, errNoPatient
	}
	return proof, err
}

// provable decodes the argument of a query that may be proven and checks that the caller may ask it.
func (s *Service) provable(ctx context.Context, who Principal, request api.ProofRequest) (any, error) {
	switch request.Function {
	case ledgerapi.GetOrganisations:
		var query ledgerapi.Empty
		return query, emr.DecodeCanonical(request.Argument, &query)
	case ledgerapi.GetClinician:
		var query ledgerapi.ClinicianQuery
		err := emr.DecodeCanonical(request.Argument, &query)
		return query, err
	case ledgerapi.ResolvePatient:
		var query ledgerapi.ResolvePatientQuery
		if err := emr.DecodeCanonical(request.Argument, &query); err != nil {
			return nil, err
		}
		if who.IsPatient() && string(query.Patient) != who.Subject {
			return nil, errNoPatient
		}
		if err := s.refuseInactive(ctx, who); err != nil {
			return nil, err
		}
		return query, emr.CheckID("patient", query.Patient)
	case ledgerapi.GetRecord:
		var query ledgerapi.RecordQuery
		if err := emr.DecodeCanonical(request.Argument, &query); err != nil {
			return nil, err
		}
		_, err := s.Record(ctx, who, query.Record)
		return query, err
	default:
		return s.provableOfOwn(ctx, who, request)
	}
}

// provableOfOwn is provable for what a patient alone may ask about.
func (s *Service) provableOfOwn(ctx context.Context, who Principal, request api.ProofRequest) (any, error) {
	switch request.Function {
	case ledgerapi.GetAuditHead:
		var query ledgerapi.HandleQuery
		if err := emr.DecodeCanonical(request.Argument, &query); err != nil {
			return nil, err
		}
		return query, s.checkOwnTrail(ctx, who, query.Patient)
	case ledgerapi.GetConsent:
		var query ledgerapi.ConsentQuery
		if err := emr.DecodeCanonical(request.Argument, &query); err != nil {
			return nil, err
		}
		return query, s.checkOwnConsent(ctx, who, query.Patient)
	case ledgerapi.GetErasure:
		var query ledgerapi.ErasureQuery
		if err := emr.DecodeCanonical(request.Argument, &query); err != nil {
			return nil, err
		}
		_, err := s.Erasure(ctx, who, query.Erasure)
		return query, err
	default:
		return nil, emr.Invalid("function", "is not a query of the registry")
	}
}

// checkOwnTrail refuses everybody the end of a trail but the patient whose it is.
func (s *Service) checkOwnTrail(ctx context.Context, who Principal, patient emr.Handle) error {
	if !who.IsPatient() {
		return errNoTrail
	}
	handle, err := s.handleOf(ctx, who)
	if err == nil && handle != patient {
		err = errNoTrail
	}
	return err
}

// errNoTrail is the one answer for the trails of others and of nobody.
var errNoTrail = emr.E(emr.CodeNotFound, "the caller has no such audit trail")
