// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledger_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/chaincode/ledger/ledgertest"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// TestADeniedWishNamesNothingElsewhere: a denial is written into the trail of each
// record asked for, so that it may name neither another patient's nor nobody's.
func TestADeniedWishNamesNothingElsewhere(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	other := s.Patient(t, ledgertest.HospitalA)
	s.Accept(t, other, s.author)
	foreign := s.Record(t, s.author, s.Scope(t, other, emr.LevelPrivate), emr.ClassPrescription).Record
	elsewhere := s.Record(t, s.author, s.Scope(t, s.patient, emr.LevelPrivate), emr.ClassPrescription).Record
	for name, record := range map[string]emr.RecordID{
		"another patient's": foreign, "of another scope": elsewhere, "nobody's": ledgertest.ID[emr.RecordID](emr.RecordPrefix),
	} {
		t.Run(name, func(t *testing.T) {
			args := s.ask(s.record.Record)
			args.Purpose = emr.PurposePayment // which a physician may not use: a denial, if it is decided
			args.Wish = &emr.Wish{Records: []emr.RecordID{record}, Purposes: []emr.Purpose{}}
			before := s.Dump()
			_, err := s.Try(t, s.reader, ledgerapi.RequestAccess, args)
			refuses(t, err, emr.CodeNotFound, "record")
			require.Equal(t, before, s.Dump())
		})
	}
}

// TestAGrantThatFallsShortDoesNotPermitAWish: the patient is asked for the longer end and the further uses.
func TestAGrantThatFallsShortDoesNotPermitAWish(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	grant := s.Grant(s.scope, s.reader, s.record.Record)
	grant.Terms.Until, grant.Terms.MaxUses = s.Now.Add(time.Hour), 2
	s.Do(t, s.patient, ledgerapi.GrantAccess, grant)
	for name, test := range map[string]struct {
		until emr.Time
		uses  uint32
		want  emr.Decision
	}{
		"as long and as often": {s.Now.Add(time.Hour), 2, emr.Permit},
		"less":                 {s.Now.Add(time.Minute), 1, emr.Permit},
		"a second longer":      {s.Now.Add(time.Hour) + 1, 0, emr.Ask},
		"once more":            {0, 3, emr.Ask},
	} {
		args := s.ask(s.record.Record)
		args.Wish = &emr.Wish{Records: []emr.RecordID{}, Purposes: []emr.Purpose{}, Until: test.until, MaxUses: test.uses}
		require.Equal(t, test.want, s.Do(t, s.reader, ledgerapi.RequestAccess, args).(*ledgerapi.DecisionReceipt).Decision, name)
	}
}
