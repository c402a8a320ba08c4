// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledgermodel

import "github.com/emrys-health/emrys/pkg/emr"

// Who demands that something be kept.

// heldBy are the grounds for which somebody demands that versions be kept.
func heldBy(versions ...*record) grounds {
	var g grounds
	for _, r := range versions {
		for _, ground := range r.holders {
			g.add(ground == emr.HoldLitigation, emr.ReasonHeldLitigation)
			g.add(ground == emr.HoldInvestigation, emr.ReasonHeldInvestigation)
			g.add(ground == emr.HoldRetention, emr.ReasonHeldRetention)
		}
	}
	return g
}

func (m *Model) holdGround() emr.HoldGround {
	return pick(m, []emr.HoldGround{emr.HoldLitigation, emr.HoldInvestigation, emr.HoldRetention}, "ground")
}

// endHeld tries to end, or not any more, what somebody has just begun to hold.
func (m *Model) endHeld(r *record) *step {
	switch m.c.Choose(3, "how to end it") {
	case 0:
		return m.erase(r, r.owner, r.owner.actor)
	case 1:
		return m.rekey(m.rekeyWish(r), r.author.actor)
	default:
		return m.expire(r)
	}
}
