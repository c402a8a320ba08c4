// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledger_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/chaincode/ledger"
	"github.com/emrys-health/emrys/chaincode/ledger/ledgertest"
	"github.com/emrys-health/emrys/pkg/consent"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// asks commits a request of somebody for the scene's record.
func (s *scene) asks(t testing.TB, by *ledgertest.Clinician, purpose emr.Purpose) (*ledgerapi.DecisionReceipt, *emr.Request) {
	t.Helper()
	args := s.ask(s.record.Record)
	args.Purpose = purpose
	receipt := s.Do(t, by, ledgerapi.RequestAccess, args).(*ledgerapi.DecisionReceipt)
	return receipt, s.getRequest(t, args.Request)
}

func TestARequestIsDecidedByTheStandingConsent(t *testing.T) {
	t.Parallel()
	b := ledgertest.HospitalB
	for name, test := range map[string]struct {
		document func(*scene) consent.Document
		decision emr.Decision
		reason   emr.Reason
	}{
		"ask: the base asks":     {func(*scene) consent.Document { return document(emr.Ask) }, emr.Ask, emr.ReasonConsentAsks},
		"ask: the base permits":  {func(*scene) consent.Document { return document(emr.Permit) }, emr.Ask, emr.ReasonConsentPermits},
		"deny: the base denies":  {func(*scene) consent.Document { return document(emr.Deny) }, emr.Deny, emr.ReasonConsentDenies},
		"ask: a permit for them": {func(*scene) consent.Document { return document(emr.Deny, allow(atHospital(b))) }, emr.Ask, emr.ReasonConsentPermits},
		"deny: a permit for others": {func(*scene) consent.Document {
			return document(emr.Deny, allow(atHospital(ledgertest.HospitalC)))
		}, emr.Deny, emr.ReasonConsentDenies},
		"deny: excluded inside an allowed hospital": {func(s *scene) consent.Document {
			return document(emr.Permit, allow(atHospital(b)), exclude(person(s.reader.ID)))
		}, emr.Deny, emr.ReasonConsentDenies},
		"deny: the author is excluded": {func(s *scene) consent.Document {
			return document(emr.Permit, exclude(func(p *consent.Provision) { p.Authors = []emr.ClinicianID{s.author.ID} }))
		}, emr.Deny, emr.ReasonConsentDenies},
		"deny: the record is excluded": {func(s *scene) consent.Document {
			return document(emr.Permit, exclude(func(p *consent.Provision) { p.Records = []emr.RecordID{s.record.Record} }))
		}, emr.Deny, emr.ReasonConsentDenies},
		"ask: another record is excluded": {func(*scene) consent.Document {
			return document(emr.Permit, exclude(func(p *consent.Provision) {
				p.Records = []emr.RecordID{ledgertest.ID[emr.RecordID]("rec_")}
			}))
		}, emr.Ask, emr.ReasonConsentPermits},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t)
			s.put(t, document(emr.Ask))
			s.put(t, test.document(s))
			receipt, request := s.asks(t, s.reader, emr.PurposeTreatment)
			require.Equal(t, test.decision, receipt.Decision, receipt.Reason)
			require.Equal(t, test.reason, receipt.Reason)
			require.Equal(t, uint32(2), receipt.Consent)
			require.Equal(t, uint32(2), request.Consent)
			require.Equal(t, test.decision, request.Decision)
			require.Equal(t, test.reason, request.Reason)
			want := emr.RequestPending
			if test.decision == emr.Deny {
				want = emr.RequestClosed
			}
			require.Equal(t, want, request.Status)
			require.True(t, contains(s.trail(t, s.patient.Handle), func(e emr.AuditEntry) bool {
				return e.Kind == emr.AuditRequest && e.Consent == 2 && e.Decision == test.decision && e.Reason == test.reason
			}))
		})
	}
}

func TestWithoutAConsentNothingIsDifferentAndNothingNamesOne(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	receipt, request := s.asks(t, s.reader, emr.PurposeTreatment)
	require.Equal(t, emr.ReasonNoGrant, receipt.Reason)
	require.Zero(t, request.Consent)
	grant := s.give(t)
	s.disclose(t, s.reader, s.read(grant.Terms.Grant))
	require.NotContains(t, s.Dump(), `"consent":0`)
	require.NotContains(t, s.Dump(), `"restricted"`)
}

func TestARequestThatWaitsIsAnsweredAgainstTheConsentOfThatTime(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.put(t, document(emr.Ask))
	_, request := s.asks(t, s.reader, emr.PurposeTreatment)
	s.put(t, document(emr.Ask, exclude(person(s.reader.ID))))
	grant := s.Grant(s.scope, s.reader, s.record.Record)
	grant.Request = request.ID
	_, err := s.Try(t, s.patient, ledgerapi.GrantAccess, grant)
	refuses(t, err, emr.CodeRule, "change the consent first")
	require.Equal(t, emr.RequestPending, s.getRequest(t, request.ID).Status)
	s.put(t, document(emr.Permit))
	s.Do(t, s.patient, ledgerapi.GrantAccess, grant)
	require.Equal(t, emr.RequestGranted, s.getRequest(t, request.ID).Status)
}

func TestAGrantToSomebodyWhomTheConsentDeniesIsRefused(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		document func(*scene) consent.Document
		scope    bool // the grant names no record
		refused  bool
	}{
		"excluded":                        {func(s *scene) consent.Document { return document(emr.Permit, exclude(person(s.reader.ID))) }, false, true},
		"excluded, for the whole scope":   {func(s *scene) consent.Document { return document(emr.Permit, exclude(person(s.reader.ID))) }, true, true},
		"not named by a base of deny":     {func(*scene) consent.Document { return document(emr.Deny) }, true, true},
		"the record is excluded":          {func(s *scene) consent.Document { return document(emr.Permit, exclude(record(s.record.Record))) }, false, true},
		"one record, but the whole scope": {func(s *scene) consent.Document { return document(emr.Permit, exclude(record(s.record.Record))) }, true, false},
		"the purpose is excluded":         {func(*scene) consent.Document { return document(emr.Permit, exclude(purpose(emr.PurposeTreatment))) }, false, true},
		"another purpose is excluded":     {func(*scene) consent.Document { return document(emr.Permit, exclude(purpose(emr.PurposeResearch))) }, false, false},
		"named by a permit":               {func(s *scene) consent.Document { return document(emr.Deny, allow(person(s.reader.ID))) }, false, false},
		"asked for":                       {func(*scene) consent.Document { return document(emr.Ask) }, true, false},
		"of an allowed hospital, excluded": {func(s *scene) consent.Document {
			return document(emr.Deny, allow(atHospital(ledgertest.HospitalB)), exclude(person(s.reader.ID)))
		}, true, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t)
			s.put(t, test.document(s))
			grant := s.Grant(s.scope, s.reader, s.record.Record)
			if test.scope {
				grant = s.Grant(s.scope, s.reader)
			}
			before := s.Dump()
			_, err := s.Try(t, s.patient, ledgerapi.GrantAccess, grant)
			if !test.refused {
				require.NoError(t, err)
				return
			}
			refuses(t, err, emr.CodeRule, "version 1")
			require.Equal(t, emr.ReasonConsentDenies, emr.Public(err).Reason)
			require.Equal(t, before, s.Dump())
		})
	}
	s := newScene(t)
	s.withdraw(t)
	_, err := s.Try(t, s.patient, ledgerapi.GrantAccess, s.Grant(s.scope, s.reader, s.record.Record))
	refuses(t, err, emr.CodeRule, "change the consent first")
	require.Equal(t, emr.ReasonConsentWithdrawn, emr.Public(err).Reason)
}

func record(ids ...emr.RecordID) func(*consent.Provision) {
	return func(p *consent.Provision) { p.Records = ids }
}

func purpose(all ...emr.Purpose) func(*consent.Provision) {
	return func(p *consent.Provision) { p.Purposes = all }
}

// TestAConsentThatDeniesBeatsALiveGrantAndAnOpenTicket: at the next disclosure, at
// the next ticket check at every proxy, and in the trail.
func TestAConsentThatDeniesBeatsALiveGrantAndAnOpenTicket(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change func(*testing.T, *scene)
		reason emr.Reason
	}{
		"the person is excluded inside an allowed hospital": {func(t *testing.T, s *scene) {
			s.put(t, document(emr.Permit, allow(atHospital(ledgertest.HospitalB)), exclude(person(s.reader.ID))))
		}, emr.ReasonConsentDenies},
		"the hospital is excluded": {func(t *testing.T, s *scene) {
			s.put(t, document(emr.Ask, exclude(atHospital(ledgertest.HospitalB))))
		}, emr.ReasonConsentDenies},
		"the base denies":        {func(t *testing.T, s *scene) { s.put(t, document(emr.Deny)) }, emr.ReasonConsentDenies},
		"consent is withdrawn":   {func(t *testing.T, s *scene) { s.withdraw(t) }, emr.ReasonConsentWithdrawn},
		"the purpose is refused": {func(t *testing.T, s *scene) { s.put(t, document(emr.Permit, exclude(purpose(emr.PurposeTreatment)))) }, emr.ReasonConsentDenies},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t)
			grant := s.give(t)
			read := s.read(grant.Terms.Grant)
			require.Equal(t, emr.Permit, s.disclose(t, s.reader, read).Decision)
			signed := s.open(t, s.reader, read.Disclosure)
			require.Equal(t, emr.Permit, s.check(t, ledgertest.HospitalA, signed).Decision)
			test.change(t, s)
			for _, org := range []emr.OrgID{ledgertest.HospitalA, ledgertest.HospitalC, ledgertest.Regulator} {
				ticket := s.check(t, org, signed)
				require.Equal(t, &ledgerapi.Ticket{Decision: emr.Deny, Reason: test.reason, Disclosure: ticket.Disclosure}, ticket)
			}
			next := s.disclose(t, s.reader, s.read(grant.Terms.Grant))
			require.Equal(t, emr.Deny, next.Decision)
			require.Equal(t, test.reason, next.Reason)
			require.Equal(t, uint32(1), next.Consent)
			attempt, err := s.Submit(t, s.Orgs[ledgertest.HospitalA], ledgerapi.RecordAttempt, signed)
			require.NoError(t, err)
			require.Equal(t, test.reason, attempt.(*ledgerapi.DecisionReceipt).Reason)
			for _, kind := range []emr.AuditKind{emr.AuditDisclosure, emr.AuditAttempt} {
				require.True(t, contains(s.trail(t, s.patient.Handle), func(e emr.AuditEntry) bool {
					return e.Kind == kind && e.Decision == emr.Deny && e.Reason == test.reason && e.Consent == 1
				}), kind)
			}
			receipt, _ := s.asks(t, s.reader, emr.PurposeTreatment)
			require.Equal(t, test.reason, receipt.Reason, "a live grant does not help")
			own := s.read("")
			own.Purpose = emr.PurposePatient
			require.Equal(t, emr.Permit, s.disclose(t, s.patient, own).Decision, "a consent is about others")
		})
	}
}

// TestAUseReadsTheConsentThatItIsDecidedFrom: its key is in the read set, present
// or not, so that whichever commits second is invalid.
func TestAUseReadsTheConsentThatItIsDecidedFrom(t *testing.T) {
	t.Parallel()
	for _, before := range []string{"without a consent", "with one"} {
		for _, function := range []string{ledgerapi.RequestAccess, ledgerapi.Disclose, ledgerapi.GrantAccess} {
			t.Run(function+" "+before, func(t *testing.T) {
				t.Parallel()
				s := newScene(t)
				if before == "with one" {
					s.put(t, document(emr.Permit))
				}
				grant := s.give(t)
				var by ledgertest.Member = s.reader
				var args any
				switch function {
				case ledgerapi.RequestAccess:
					args = s.ask(s.record.Record)
				case ledgerapi.Disclose:
					args = s.read(grant.Terms.Grant)
				default:
					by, args = s.patient, s.Grant(s.scope, s.reader, s.record.Record)
				}
				tx := s.Begin(s.Facts(by.Home().Gateway))
				_, err := ledgertest.Run(tx, function, ledgertest.Raw(t, s.Sign(t, by, function, args)))
				require.NoError(t, err)
				key := "\x00consent\x00" + string(s.patient.Handle) + "\x00"
				require.True(t, slices.ContainsFunc(tx.Effects().Reads, func(read string) bool {
					return strings.HasPrefix(read, fmt.Sprintf("%q@", key))
				}), tx.Effects().Reads)
				s.withdraw(t)
				require.ErrorIs(t, tx.Commit(), ledgertest.ErrConflict, "the withdrawal committed first")
			})
		}
	}
}

func TestUsesOfOneConsentDoNotConflict(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.put(t, document(emr.Permit))
	grant := s.give(t)
	var txs []*ledgertest.Tx
	for range 3 {
		tx := s.Begin(s.Facts(s.reader.Org.Gateway))
		_, err := ledger.Disclose(tx, ledgertest.Raw(t, s.Sign(t, s.reader, ledgerapi.Disclose, s.read(grant.Terms.Grant))))
		require.NoError(t, err)
		txs = append(txs, tx)
	}
	for _, tx := range txs {
		require.NoError(t, tx.Commit())
	}
}

func TestAbuseOfConsent(t *testing.T) {
	t.Parallel()
	group := func(s *scene) consent.Document {
		d := document(emr.Deny, allow(func(p *consent.Provision) { p.Groups = []string{"team"} }))
		d.Groups = []consent.Group{{Name: "team", Members: []emr.ClinicianID{s.reader.ID}, Until: s.Now + 60}}
		return d
	}
	t.Run("a group ends to the second, and ends the grants with it", func(t *testing.T) {
		t.Parallel()
		s := newScene(t)
		s.put(t, group(s))
		grant := s.give(t)
		s.Wait(59 * time.Second)
		require.Equal(t, emr.Permit, s.disclose(t, s.reader, s.read(grant.Terms.Grant)).Decision)
		s.Wait(time.Second)
		require.Equal(t, emr.ReasonConsentDenies, s.disclose(t, s.reader, s.read(grant.Terms.Grant)).Reason)
		receipt, _ := s.asks(t, s.reader, emr.PurposeTreatment)
		require.Equal(t, emr.ReasonConsentDenies, receipt.Reason)
	})
	t.Run("a grant for hospital A is of no use to hospital B", func(t *testing.T) {
		t.Parallel()
		s := newScene(t)
		s.put(t, document(emr.Deny, allow(atHospital(ledgertest.HospitalB))))
		grant := s.give(t)
		thief := s.Clinician(t, ledgertest.HospitalC, emr.RolePhysician, emr.LevelPrivate)
		require.Equal(t, emr.ReasonConsentDenies, s.disclose(t, thief, s.read(grant.Terms.Grant)).Reason)
		colleague := s.Clinician(t, ledgertest.HospitalB, emr.RolePhysician, emr.LevelPrivate)
		require.Equal(t, emr.ReasonNotGrantee, s.disclose(t, colleague, s.read(grant.Terms.Grant)).Reason)
	})
	t.Run("a purpose is not swapped for another", func(t *testing.T) {
		t.Parallel()
		s := newScene(t)
		s.put(t, document(emr.Deny, allow(purpose(emr.PurposeTreatment))))
		grant := s.give(t)
		swapped := s.read(grant.Terms.Grant)
		swapped.Purpose = emr.PurposeResearch
		require.Equal(t, emr.ReasonConsentDenies, s.disclose(t, s.reader, swapped).Reason)
		receipt, _ := s.asks(t, s.reader, emr.PurposeResearch)
		require.Equal(t, emr.ReasonConsentDenies, receipt.Reason)
		receipt, _ = s.asks(t, s.reader, emr.PurposeTreatment)
		require.Equal(t, emr.Permit, receipt.Decision)
	})
	t.Run("another patient's consent decides nothing here", func(t *testing.T) {
		t.Parallel()
		s := newScene(t)
		other := s.Patient(t, ledgertest.HospitalA)
		s.Do(t, other, ledgerapi.WithdrawConsent, ledgerapi.WithdrawConsentArgs{Patient: other.Handle})
		receipt, _ := s.asks(t, s.reader, emr.PurposeTreatment)
		require.Equal(t, emr.ReasonNoGrant, receipt.Reason)
		require.Zero(t, receipt.Consent)
	})
	t.Run("an older consent is not put again", func(t *testing.T) {
		t.Parallel()
		s := newScene(t)
		old := s.Sign(t, s.patient, ledgerapi.PutConsent, s.consentArgs(t, document(emr.Permit)))
		kept := s.Sign(t, s.patient, ledgerapi.PutConsent, s.consentArgs(t, document(emr.Permit))) // signed and never sent
		_, err := s.Submit(t, s.patient.Org, ledgerapi.PutConsent, old)
		require.NoError(t, err)
		s.put(t, document(emr.Deny))
		_, err = s.Submit(t, s.Orgs[ledgertest.HospitalB], ledgerapi.PutConsent, old)
		refuses(t, err, emr.CodeExists, "already spent")
		_, err = s.Submit(t, s.Orgs[ledgertest.HospitalB], ledgerapi.PutConsent, kept)
		refuses(t, err, emr.CodeStale, "version 2")
		require.Equal(t, emr.Deny, s.consent(t, 0).Document.Base)
	})
	t.Run("a gateway that alters one octet is refused", func(t *testing.T) {
		t.Parallel()
		s := newScene(t)
		signed := s.Sign(t, s.patient, ledgerapi.PutConsent, s.consentArgs(t, document(emr.Deny, allow(person(s.author.ID)))))
		altered := *signed
		altered.Body = []byte(strings.Replace(string(signed.Body), string(s.author.ID), string(s.reader.ID), 1))
		require.NotEqual(t, signed.Body, altered.Body)
		_, err := s.Submit(t, s.patient.Org, ledgerapi.PutConsent, &altered)
		refuses(t, err, emr.CodeUnauthenticated, "signature")
	})
	t.Run("10,000 provisions", func(t *testing.T) {
		t.Parallel()
		s := newScene(t)
		args := s.consentArgs(t, document(emr.Ask, slices.Repeat([]consent.Provision{allow(person(s.reader.ID))}, 10_000)...))
		before := s.Dump()
		_, err := s.Try(t, s.patient, ledgerapi.PutConsent, args)
		refuses(t, err, emr.CodeTooLarge, "")
		args.Document.Provisions = args.Document.Provisions[:500]
		_, err = s.Try(t, s.patient, ledgerapi.PutConsent, args)
		refuses(t, err, emr.CodeInvalid, "at most 64")
		require.Equal(t, before, s.Dump())
	})
}

func TestADamagedConsentStopsEverything(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	grant := s.give(t)
	for _, damage := range []string{`{`, `{"v":0}`, `{"v":1,"more":1}`} {
		s.Overwrite(ledgerapi.ConsentKey(s.patient.Handle), []byte(damage))
		for function, args := range map[string]any{
			ledgerapi.RequestAccess: s.ask(s.record.Record), ledgerapi.Disclose: s.read(grant.Terms.Grant),
		} {
			_, err := s.Try(t, s.reader, function, args)
			refuses(t, err, emr.CodeInternal, "")
		}
		for function, args := range map[string]any{
			ledgerapi.GrantAccess:     s.Grant(s.scope, s.reader, s.record.Record),
			ledgerapi.WithdrawConsent: ledgerapi.WithdrawConsentArgs{Patient: s.patient.Handle},
		} {
			_, err := s.Try(t, s.patient, function, args)
			refuses(t, err, emr.CodeInternal, "")
		}
	}
}

// TestAnEmergencyPurposeIsNoWayAroundTheConsent: no provision may name one, so that
// outside of a session nobody asks, is granted or reads for one.
func TestAnEmergencyPurposeIsNoWayAroundTheConsent(t *testing.T) {
	t.Parallel()
	for _, purpose := range []emr.Purpose{emr.PurposeEmergency, emr.PurposeBreakGlass} {
		s := newScene(t)
		s.decline(t, true)
		s.put(t, document(emr.Permit, exclude(func(p *consent.Provision) {
			p.People = []emr.ClinicianID{s.reader.ID}
			p.Purposes = []emr.Purpose{emr.PurposeOperations, emr.PurposeResearch, emr.PurposeTreatment}
		})))
		asked, _ := s.asks(t, s.reader, purpose)
		require.Equal(t, []any{emr.Deny, emr.ReasonPurpose}, []any{asked.Decision, asked.Reason})
		grant := s.Grant(s.scope, s.reader, s.record.Record)
		grant.Terms.Purposes = []emr.Purpose{purpose}
		_, err := s.Try(t, s.patient, ledgerapi.GrantAccess, grant)
		requireReason(t, err, emr.ReasonPurpose)
		s.put(t, document(emr.Permit))
		given := s.give(t)
		read := s.read(given.Terms.Grant)
		read.Purpose = purpose
		got := s.disclose(t, s.reader, read)
		require.Equal(t, []any{emr.Deny, emr.ReasonPurpose}, []any{got.Decision, got.Reason})
	}
}
