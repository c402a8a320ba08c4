// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package service

import (
	"context"

	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// errNoInspection is the one answer for absent and foreign inspections.
var errNoInspection = emr.E(emr.CodeNotFound, "no such inspection of the caller's")

// errUninspected tells an inspector how logs are read.
var errUninspected = emr.E(emr.CodeForbidden, "an inspector reads a log under an inspection: commit one first (log.inspect)")

// ReadLog lists the log that an inspection of the caller's names, newest first.
// Whether the inspection still holds the ledger decides.
func (s *Service) ReadLog(ctx context.Context, who Principal, id emr.InspectionID, page Page) (ledgerapi.AuditPage, error) {
	var out ledgerapi.AuditPage
	if err := page.Validate(); err != nil {
		return out, err
	}
	var inspection emr.Inspection
	err := s.ports.Ledger.Query(ctx, ledgerapi.GetInspection, ledgerapi.InspectionQuery{Inspection: id}, &inspection)
	if emr.CodeOf(err) == emr.CodeNotFound || err == nil && string(inspection.By) != who.Subject {
		return out, errNoInspection
	}
	if err != nil {
		return out, err
	}
	if err := s.refuseInactive(ctx, who); err != nil {
		return out, err
	}
	query := ledgerapi.ReadLogQuery{Inspection: id, Limit: page.Limit, Bookmark: page.Cursor}
	err = s.ports.Ledger.Query(ctx, ledgerapi.ReadLog, query, &out)
	return out, err
}
