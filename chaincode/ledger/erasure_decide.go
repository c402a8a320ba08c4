// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"fmt"
	"time"

	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// decideErasure decides whether a record may be erased now: versions are all of
// its versions, holds those of any of them, rule what the members say of its
// class. A hold comes first, for whoever orders it.
func decideErasure(kind emr.ErasureKind, versions []*emr.Record, holds []*emr.Hold, rule *emr.RetentionRule, now emr.Time) verdict {
	if reason := denialOfHolds(holds); reason != "" {
		return deny(reason)
	}
	var youngest emr.Time
	for _, version := range versions {
		youngest = max(youngest, version.Registered)
	}
	if kind == emr.OrderRetention {
		if rule.MaxDays == 0 || now < youngest.Add(days(rule.MaxDays)) {
			return deny(emr.ReasonNotDue)
		}
		return verdict{emr.Permit, emr.ReasonRetentionOver}
	}
	if !rule.PatientOverrides && now < youngest.Add(days(rule.MinDays)) {
		return deny(emr.ReasonRetention)
	}
	return verdict{emr.Permit, emr.ReasonOwner}
}

func days(n uint32) time.Duration { return time.Duration(n) * day }

// reasonOfOrder is the reason with which an order was permitted.
func reasonOfOrder(order *emr.Erasure) emr.Reason {
	switch order.Kind {
	case emr.OrderRetention:
		return emr.ReasonRetentionOver
	case emr.OrderRekey:
		return emr.ReasonRekeyed
	default:
		return emr.ReasonOwner
	}
}

// denialOfHolds returns why holds forbid to destroy anything, or "" when nobody holds.
func denialOfHolds(holds []*emr.Hold) emr.Reason {
	for _, hold := range holds {
		for _, holder := range hold.Holders {
			return holder.Ground.Denial()
		}
	}
	return ""
}

// holdsOf returns the holds of versions, those that there ever were.
func holdsOf(s State, versions []*emr.Record) ([]*emr.Hold, error) {
	keys := make([]ledgerapi.Key, len(versions))
	for i, version := range versions {
		keys[i] = ledgerapi.HoldKey(version.ID)
	}
	values, err := s.GetAll(keys)
	if err != nil {
		return nil, fmt.Errorf("ledger: read %s: %w", ledgerapi.TypeHold, err)
	}
	var holds []*emr.Hold
	for _, value := range values {
		if value == nil {
			continue
		}
		hold, err := decode(ledgerapi.TypeHold, value, versionOfHold)
		if err != nil {
			return nil, err
		}
		holds = append(holds, hold)
	}
	return holds, nil
}
