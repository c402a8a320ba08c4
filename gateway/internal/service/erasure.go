// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package service

import (
	"context"

	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// Erasures lists the calling patient's orders to destroy, newest first.
func (s *Service) Erasures(ctx context.Context, who Principal, page Page) (ledgerapi.ErasurePage, error) {
	var out ledgerapi.ErasurePage
	own, err := s.patientQuery(ctx, who, page)
	if err != nil {
		return out, err
	}
	query := ledgerapi.ErasuresQuery{Patient: own.Patient, Limit: own.Limit, Bookmark: own.Bookmark}
	return out, s.ports.Ledger.Query(ctx, ledgerapi.ListErasures, query, &out)
}

// errNoErasure is the one answer for absent and hidden orders.
var errNoErasure = emr.E(emr.CodeNotFound, "no such order to destroy")

// Erasure returns how an order stands, holder by holder, to its patient. For
// everybody else it is absent.
func (s *Service) Erasure(ctx context.Context, who Principal, id emr.ErasureID) (ledgerapi.ErasureView, error) {
	var view ledgerapi.ErasureView
	err := s.ports.Ledger.Query(ctx, ledgerapi.GetErasure, ledgerapi.ErasureQuery{Erasure: id}, &view)
	if emr.CodeOf(err) == emr.CodeNotFound {
		return ledgerapi.ErasureView{}, errNoErasure
	}
	if err != nil {
		return ledgerapi.ErasureView{}, err
	}
	visible := false
	if who.IsPatient() {
		if visible, err = s.owns(ctx, who, view.Erasure.Patient); err != nil {
			return ledgerapi.ErasureView{}, err
		}
	}
	if !visible {
		return ledgerapi.ErasureView{}, errNoErasure
	}
	return view, nil
}
