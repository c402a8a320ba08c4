// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledgermodel

import (
	"slices"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// Onward use: what readers declare, what forbids it, and what they are told (docs/spec/granting.md, G1).

// declares is what a reader says of the use; mostly nothing, and now and then nonsense.
func (m *Model) declares() emr.Onward {
	if m.mostly(5, "the own use") {
		return ""
	}
	return pick(m, []emr.Onward{emr.OnwardExport, emr.OnwardOnBehalf, emr.OnwardExport, emr.OnwardOnBehalf, "print"}, "onward use")
}

func isUse(o emr.Onward) bool { return o == "" || o == emr.OnwardExport || o == emr.OnwardOnBehalf }

// againstOnward is what speaks against a use that is declared: a session is for one
// clinician and one patient, every label forbids it, and so may the grant.
func (want *reading) againstOnward() grounds {
	var against grounds
	if want.onward != "" {
		against.add(want.session != nil, emr.ReasonNoOnward)
		against.add(want.noOnward(), emr.ReasonNoOnward)
	}
	return against
}

// noOnward tells whether what is read may not be shared on. A patient's own may.
func (want *reading) noOnward() bool {
	if want.by.clinician == nil {
		return false
	}
	return want.record.restricted || want.grant != nil && want.grant.noOnward
}

// labelsOf are labels of a new record, sorted.
func (m *Model) labelsOf(wish *recordWish) []emr.Label {
	if !wish.label {
		return nil
	}
	return pick(m, [][]emr.Label{
		{emr.LabelHIV}, {emr.LabelSubstanceUse}, {emr.LabelSubstanceUse, emr.LabelMentalHealth}, {emr.LabelGenetic, emr.LabelReproductive},
	}, "labels")
}

// sameStatements: what travels with a record is said, and nothing else.
func (m *Model) sameStatements(d *disclosure, ticket *ledgerapi.Ticket) {
	m.t.Helper()
	var want []emr.Statement
	if d.reader.clinician != nil {
		now := reading{by: d.reader, record: d.record, grant: d.grant}
		if d.noOnward || now.noOnward() {
			want = append(want, emr.StatementNoOnward)
		}
		if slices.Contains(d.record.labels, emr.LabelSubstanceUse) {
			want = append(want, emr.StatementPart2)
		}
	}
	require.Equal(m.t, want, ticket.Statements, "what travels with %s", d.id)
}
