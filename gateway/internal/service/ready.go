// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package service

import (
	"context"
	"sync"
	"time"

	"github.com/emrys-health/emrys/pkg/api"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// readyTimeout bounds every check of readiness.
const readyTimeout = 3 * time.Second

// Ready looks at everything that the gateway stands on.
func (s *Service) Ready(ctx context.Context) api.Readiness {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	var list ledgerapi.OrganisationList
	err := s.ports.Ledger.Query(ctx, ledgerapi.GetOrganisations, ledgerapi.Empty{}, &list)
	if err == nil && len(list.Items) == 0 {
		err = emr.E(emr.CodeNotFound, "no organisation is registered on the ledger")
	}
	checks := []api.Check{check("ledger", err)}
	checks = append(checks, s.reach(ctx, list.Items)...)
	if s.ports.Content != nil {
		checks = append(checks, check("content", s.ports.Content.Probe(ctx)))
	}
	ready := true
	for _, c := range checks {
		ready = ready && c.OK
	}
	return api.Readiness{Ready: ready, Checks: checks}
}

// reach asks a peer of every organisation at once.
func (s *Service) reach(ctx context.Context, orgs []emr.Organisation) []api.Check {
	checks := make([]api.Check, len(orgs))
	var wg sync.WaitGroup
	for i, org := range orgs {
		wg.Go(func() { checks[i] = check("peers of "+string(org.ID), s.ports.Ledger.Reach(ctx, org.ID)) })
	}
	wg.Wait()
	return checks
}

func check(name string, err error) api.Check {
	if err == nil {
		return api.Check{Name: name, OK: true}
	}
	return api.Check{Name: name, Error: emr.Public(err).Message}
}
