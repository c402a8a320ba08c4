// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package consent

import (
	"slices"

	"github.com/emrys-health/emrys/pkg/emr"
)

// Lasts returns until when a consent permits what the facts say without a break,
// at most until the moment given, exclusive; now when it does not permit it now. A
// device that answers a request by itself gives no longer than this: where the base
// asks, a grant would outlive the permission that it rests on.
func Lasts(c *Consent, facts Facts, now, until emr.Time) emr.Time {
	if Decide(c, facts, now).Decision != emr.Permit {
		return now
	}
	for _, at := range c.Document.times(now, until) {
		if Decide(c, facts, at).Decision != emr.Permit {
			return at
		}
	}
	return until
}

// times returns the moments after one and before another at which a provision or
// a group begins or ends, sorted.
func (d *Document) times(after, before emr.Time) []emr.Time {
	var all []emr.Time
	for i := range d.Groups {
		all = append(all, d.Groups[i].Until)
	}
	for i := range d.Provisions {
		all = append(all, d.Provisions[i].From, d.Provisions[i].Until)
	}
	all = slices.DeleteFunc(all, func(t emr.Time) bool { return t <= after || t >= before })
	slices.Sort(all)
	return slices.Compact(all)
}
