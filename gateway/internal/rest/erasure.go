// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package rest

import "github.com/emrys-health/emrys/pkg/emr"

func (d *Door) getErasure(c *call) (any, error) {
	id, err := emr.ParseID[emr.ErasureID]("erasure", c.r.PathValue("erasure"))
	if err != nil {
		return nil, err
	}
	return d.service.Erasure(c.r.Context(), c.who, id)
}
