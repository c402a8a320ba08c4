// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package rest

import (
	"maps"
	"strconv"

	"github.com/emrys-health/emrys/pkg/emr"
)

// withLife adds the handlers of the life of keys and people.
func (d *Door) withLife(handlers map[string]handler) map[string]handler {
	maps.Copy(handlers, map[string]handler{
		"patient.rotate":    d.relay,
		"patient.move":      d.relay,
		"clinician.rotate":  d.relay,
		"clinician.keys":    d.getClinicianKeys,
		"guardians.set":     d.relay,
		"guardians.get":     func(c *call) (any, error) { return d.service.Guardians(c.r.Context(), c.who) },
		"recovery.propose":  d.relay,
		"recovery.approve":  d.relay,
		"recovery.veto":     d.relay,
		"recovery.complete": d.relay,
		"recovery.list":     paged(d.service.Recoveries),
		"recovery.get":      d.getRecovery,
	})
	return handlers
}

func (d *Door) getClinicianKeys(c *call) (any, error) {
	id, err := emr.ParseID[emr.ClinicianID]("clinician", c.r.PathValue("clinician"))
	if err != nil {
		return nil, err
	}
	version, err := strconv.ParseUint(c.r.PathValue("version"), 10, 32)
	if err != nil {
		return nil, emr.Invalid("version", "must be a number from 0 on")
	}
	return d.service.ClinicianKeys(c.r.Context(), id, uint32(version))
}

func (d *Door) getRecovery(c *call) (any, error) {
	id, err := emr.ParseID[emr.RecoveryID]("recovery", c.r.PathValue("recovery"))
	if err != nil {
		return nil, err
	}
	return d.service.Recovery(c.r.Context(), c.who, id)
}
