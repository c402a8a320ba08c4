//go:build e2e

// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"slices"
	"time"

	"github.com/emrys-health/emrys/chaincode/ledger/ledgertest"
	"github.com/emrys-health/emrys/pkg/consent"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// everyStep lists a step for every transaction of the contract, in the order in which they build on one another.
func everyStep() []step {
	return slices.Concat(
		joiningSteps(), sharingSteps(), grantingSteps(), takingBackSteps(), consentSteps(), emergencySteps(), amendmentSteps(), erasureSteps(), recoverySteps(), governanceSteps(), leavingSteps(),
	)
}

// by makes a step's transaction from what one ward's person signs.
func by(
	function string, want emr.Decision, who func(*ward) ledgertest.Member, args func(*course, *ward) any,
) func(*course, *ward) (call, error) {
	return func(c *course, w *ward) (call, error) { return c.signed(who(w), function, args(c, w), want), nil }
}

func thePatient(w *ward) ledgertest.Member { return w.patient }
func theAuthor(w *ward) ledgertest.Member  { return w.author }
func theReader(w *ward) ledgertest.Member  { return w.reader }

func signedStep(function string, want emr.Decision, who func(*ward) ledgertest.Member, args func(*course, *ward) any) step {
	return step{function: function, of: by(function, want, who, args)}
}

func joiningSteps() []step {
	return []step{
		signedStep(ledgerapi.RegisterPatient, "", thePatient, func(_ *course, w *ward) any { return w.patient.Args() }),
		signedStep(ledgerapi.RegisterClinician, "", theAuthor, func(_ *course, w *ward) any { return w.author.Args() }),
		signedStep(ledgerapi.PublishScopes, "", thePatient, func(c *course, w *ward) any {
			scope := ledgertest.NewScope(c.b, emr.LevelPrivate)
			w.scope = &emr.Scope{
				V: emr.DocumentVersion, ID: scope.ID, Patient: w.patient.Handle, Epoch: scope.Epoch, Level: scope.Level,
				Delegating: scope.Delegating, Fragment: scope.Fragment,
			}
			return ledgerapi.PublishScopesArgs{Patient: w.patient.Handle, Scopes: []ledgerapi.NewScope{scope}}
		}),
		signedStep(ledgerapi.ProposeRelationship, "", theAuthor, func(_ *course, w *ward) any {
			return ledgerapi.ProposeRelationshipArgs{Patient: w.patient.Handle, Hospital: hospA}
		}),
		signedStep(ledgerapi.AnswerRelationship, "", thePatient, func(_ *course, w *ward) any {
			return ledgerapi.AnswerRelationshipArgs{Patient: w.patient.Handle, Hospital: hospA, Accept: true}
		}),
		signedStep(ledgerapi.RegisterRecord, "", theAuthor, func(c *course, w *ward) any {
			w.record = c.make.Manifest(c.b, w.author, w.scope, emr.ClassPrescription)
			w.record.CID = w.cid
			c.make.Complete(c.b, w.record, w.author, w.scope)
			return w.record
		}),
	}
}

func sharingSteps() []step {
	disclose := func(_ *course, w *ward) any {
		w.ticket = ledgertest.ID[emr.DisclosureID](emr.DisclosurePrefix)
		return ledgerapi.DiscloseArgs{Disclosure: w.ticket, Record: w.record.Record, Grant: w.grant, Purpose: emr.PurposeTreatment}
	}
	return []step{
		signedStep(ledgerapi.RequestAccess, emr.Ask, theReader, func(_ *course, w *ward) any {
			w.request = ledgertest.ID[emr.RequestID](emr.RequestPrefix)
			return ledgerapi.RequestAccessArgs{Request: w.request, Record: w.record.Record, Purpose: emr.PurposeTreatment, Note: "please"}
		}),
		signedStep(ledgerapi.RefuseAccess, "", thePatient, func(_ *course, w *ward) any {
			return ledgerapi.RefuseAccessArgs{Patient: w.patient.Handle, Request: w.request}
		}),
		signedStep(ledgerapi.GrantAccess, "", thePatient, func(c *course, w *ward) any {
			args := c.make.Grant(w.scope, w.reader, w.record.Record)
			w.grant = args.Terms.Grant
			return args
		}),
		signedStep(ledgerapi.Disclose, emr.Permit, theReader, disclose),
		{function: ledgerapi.RecordAttempt, of: func(c *course, w *ward) (call, error) { // somebody else's ticket
			signed := c.make.Sign(c.b, w.neighbour, ledgerapi.OpenTicket, ledgerapi.OpenTicketArgs{Disclosure: w.ticket})
			return c.carried(regulator, ledgerapi.RecordAttempt, signed, emr.Deny), nil
		}},
		{function: ledgerapi.DiscloseBatch, units: ledgerapi.MaxBatch, crowd: 16, of: batchOf},
		{function: ledgerapi.SuspendAccounting, of: func(c *course, w *ward) (call, error) {
			return c.ordered(hospA, ledgerapi.SuspendAccounting, ledgerapi.SuspendAccountingArgs{
				Disclosures: []emr.DisclosureID{w.ticket}, Ground: emr.SuspendLawEnforcement, Written: true, Until: c.make.Now.Add(24 * time.Hour),
			}), nil
		}},
		{function: ledgerapi.InspectLog, of: func(c *course, w *ward) (call, error) {
			return c.signed(c.auditor, ledgerapi.InspectLog, ledgerapi.InspectLogArgs{
				Inspection: ledgertest.ID[emr.InspectionID](emr.InspectionPrefix), Subject: emr.LogSubject{Patient: w.patient.Handle},
				To: c.make.Now, Ground: emr.InspectRoutine,
			}, emr.Permit), nil
		}},
		{function: ledgerapi.SealReadings, units: perSeal, alone: true, before: func(c *course) error { return c.findUnsealed() }, of: sealOf},
	}
}

// takingBackSteps end the grant that the others stand on.
func takingBackSteps() []step {
	return []step{
		signedStep(ledgerapi.RevokeAccess, "", thePatient, func(_ *course, w *ward) any {
			return ledgerapi.RevokeAccessArgs{Patient: w.patient.Handle, Grant: w.grant}
		}),
	}
}

// batchOf prepares a full batch of readings of one ward in one transaction, all of which must be permitted.
func batchOf(c *course, w *ward) (call, error) {
	parts := make([]*emr.SignedAction, ledgerapi.MaxBatch)
	for i := range parts {
		parts[i] = c.make.Sign(c.b, w.reader, ledgerapi.Disclose, ledgerapi.DiscloseArgs{
			Disclosure: ledgertest.ID[emr.DisclosureID](emr.DisclosurePrefix), Record: w.record.Record, Grant: w.grant, Purpose: emr.PurposeTreatment,
		})
	}
	raw, err := json.Marshal(parts)
	return func(ctx context.Context) error {
		return submitBatch(ctx, c.gateways[hospB], raw)
	}, err
}

// perSeal is how many entries a seal holds here.
const perSeal = 64

// findUnsealed lists what hospital B has read of late and not sealed yet: the readings of the batches.
func (c *course) findUnsealed() error {
	query := ledgerapi.UnsealedQuery{Org: hospB, From: c.make.Now.Add(-time.Hour), To: c.make.Now.Add(time.Hour), Limit: ledgerapi.MaxPageSize}
	for len(c.unsealed) < wardsOfCourse*perSeal/2 {
		var page ledgerapi.UnsealedPage
		if err := c.gateways[hospB].Query(c.b.Context(), ledgerapi.ListUnsealed, query, &page); err != nil {
			return err
		}
		for _, entry := range page.Items {
			c.unsealed = append(c.unsealed, entry.Name)
		}
		if query.Bookmark = page.Bookmark; query.Bookmark == "" {
			break
		}
	}
	return nil
}

func sealOf(c *course, _ *ward) (call, error) {
	if len(c.unsealed) < perSeal {
		return nil, nil // more wards than seals: only as many as follow one another are made
	}
	args := ledgerapi.SealReadingsArgs{Entries: c.unsealed[:perSeal]}
	c.unsealed = c.unsealed[perSeal:]
	return c.submitted(c.gateways[hospB], ledgerapi.SealReadings, args), nil
}

func consentSteps() []step {
	return []step{
		signedStep(ledgerapi.PutConsent, "", thePatient, func(_ *course, w *ward) any {
			return ledgerapi.PutConsentArgs{
				Patient: w.patient.Handle, Document: consent.Normal(consent.Document{Base: emr.Ask}),
				Previewed: ledgerapi.Previewed{People: []emr.ClinicianID{}},
			}
		}),
		signedStep(ledgerapi.WithdrawConsent, "", thePatient, func(_ *course, w *ward) any {
			return ledgerapi.WithdrawConsentArgs{Patient: w.patient.Handle}
		}),
		signedStep(ledgerapi.NameDelegate, "", thePatient, func(c *course, w *ward) any {
			return ledgerapi.NameDelegateArgs{
				Patient: w.patient.Handle, Delegate: w.friend.Handle, Kind: emr.DelegationChosen, Until: c.make.Now.Add(24 * time.Hour),
			}
		}),
		signedStep(ledgerapi.EndDelegation, "", thePatient, func(_ *course, w *ward) any {
			return ledgerapi.EndDelegationArgs{Patient: w.patient.Handle, Delegate: w.friend.Handle}
		}),
	}
}

func emergencySteps() []step {
	present := func(c *course) emr.Presence { return emr.Presence{Method: emr.PresencePasskey, At: c.make.Now} }
	session := func(_ *course, w *ward) any { return ledgerapi.EmergencyArgs{Session: w.session} }
	return []step{
		signedStep(ledgerapi.SetEmergencyPlan, "", thePatient, func(_ *course, w *ward) any {
			return ledgerapi.SetEmergencyPlanArgs{Patient: w.patient.Handle, Declined: []emr.ScopeID{}}
		}),
		{function: ledgerapi.SetEmergencyRules, alone: true, of: func(c *course, _ *ward) (call, error) {
			return c.ordered(hospA, ledgerapi.SetEmergencyRules,
				ledgerapi.SetEmergencyRulesArgs{TwoPerson: true, MaxMinutes: ledgerapi.MaxEmergencyMinutes, ReviewDays: ledgerapi.MaxReviewDays}), nil
		}},
		signedStep(ledgerapi.OpenEmergency, emr.Ask, theReader, func(c *course, w *ward) any {
			w.session = ledgertest.ID[emr.SessionID](emr.SessionPrefix)
			return ledgerapi.OpenEmergencyArgs{
				Session: w.session, Patient: w.patient.Handle, Purpose: emr.PurposeEmergency, Ground: emr.GroundUnconscious,
				Text: "brought in unconscious after a collision", Presence: present(c),
			}
		}),
		{function: ledgerapi.ConfirmEmergency, of: func(c *course, w *ward) (call, error) {
			return c.signed(c.second, ledgerapi.ConfirmEmergency,
				ledgerapi.ConfirmEmergencyArgs{Session: w.session, Presence: present(c)}, emr.Permit), nil
		}, after: func(c *course) error { // the hospital's own rules again
			return c.ordered(hospA, ledgerapi.SetEmergencyRules, ledgerapi.SetEmergencyRulesArgs{
				TwoPerson: c.rules.TwoPerson, MaxMinutes: c.rules.MaxMinutes, ReviewDays: c.rules.ReviewDays,
			})(c.b.Context())
		}},
		signedStep(ledgerapi.CloseEmergency, "", theReader, session),
		signedStep(ledgerapi.ContestEmergency, "", thePatient, func(_ *course, w *ward) any {
			return ledgerapi.ContestEmergencyArgs{Patient: w.patient.Handle, Session: w.session, Text: "I was awake"}
		}),
		{function: ledgerapi.ReviewEmergency, of: func(c *course, w *ward) (call, error) {
			return c.signed(c.officer, ledgerapi.ReviewEmergency,
				ledgerapi.ReviewEmergencyArgs{Session: w.session, Outcome: emr.ReviewJustified, Text: "the chart agrees"}, emr.Permit), nil
		}},
	}
}

func amendmentSteps() []step {
	return []step{
		signedStep(ledgerapi.AskAmendment, "", thePatient, func(_ *course, w *ward) any {
			w.amendment = ledgertest.ID[emr.AmendmentID](emr.AmendmentPrefix)
			return ledgerapi.AskAmendmentArgs{Patient: w.patient.Handle, Amendment: w.amendment, Record: w.record.Record, Text: "this is not my knee"}
		}),
		signedStep(ledgerapi.AnswerAmendment, "", theAuthor, func(_ *course, w *ward) any {
			return ledgerapi.AnswerAmendmentArgs{Amendment: w.amendment, Text: "the label agrees"}
		}),
		signedStep(ledgerapi.DisputeAmendment, "", thePatient, func(_ *course, w *ward) any {
			return ledgerapi.DisputeAmendmentArgs{Patient: w.patient.Handle, Amendment: w.amendment, Text: "I have two knees"}
		}),
		{function: ledgerapi.HoldRecord, of: func(c *course, w *ward) (call, error) {
			return c.ordered(hospA, ledgerapi.HoldRecord,
				ledgerapi.HoldRecordArgs{Record: w.record.Record, Hold: true, Ground: emr.HoldLitigation}), nil
		}, after: func(c *course) error { // what is held is not erased
			var calls []call
			for _, w := range c.wards {
				calls = append(calls, c.ordered(hospA, ledgerapi.HoldRecord, ledgerapi.HoldRecordArgs{Record: w.record.Record}))
			}
			var ignored sampled
			c.inCrowd("end the holds", &ignored, calls)
			return nil
		}},
	}
}

func recoverySteps() []step {
	which := func(_ *course, w *ward) any {
		return ledgerapi.RecoveryArgs{Recovery: w.recovery.Recovery, Patient: w.patient.Handle}
	}
	return []step{
		signedStep(ledgerapi.SetGuardians, "", thePatient, func(_ *course, w *ward) any {
			guardians := slices.Sorted(slices.Values([]string{string(w.author.ID), string(w.reader.ID)}))
			return ledgerapi.SetGuardiansArgs{Patient: w.patient.Handle, Guardians: guardians, Threshold: 2}
		}),
		signedStep(ledgerapi.ProposeRecovery, "", theAuthor, func(c *course, w *ward) any {
			next := rekeyed(c, w.patient)
			w.recovery = &ledgerapi.ProposeRecoveryArgs{
				Recovery: ledgertest.ID[emr.RecoveryID](emr.RecoveryPrefix), Patient: next.Handle,
				Consent: emr.PinnedKey{Kind: emr.SignatureP256, Key: next.Consent.Public().Bytes()}, Hybrid: next.Hybrid.Public().Bytes(),
			}
			w.recovery.Proof = *c.make.Sign(c.b, next, ledgerapi.ProveKey, ledgerapi.ProveKeyArgs{
				Patient: next.Handle, Recovery: w.recovery.Recovery, Consent: w.recovery.Consent, Hybrid: w.recovery.Hybrid,
			})
			return w.recovery
		}),
		signedStep(ledgerapi.ApproveRecovery, emr.Ask, theReader, func(_ *course, w *ward) any {
			return ledgerapi.ApproveRecoveryArgs{Recovery: w.recovery.Recovery, Patient: w.patient.Handle, Claim: w.recovery.Proof.Digest()}
		}),
		{function: ledgerapi.CompleteRecovery, unmeasured: "it waits a day at least; it writes what RotatePatientKeys writes, and the recovery"},
		signedStep(ledgerapi.VetoRecovery, emr.Permit, thePatient, which),
		{function: ledgerapi.RotatePatientKeys, of: func(c *course, w *ward) (call, error) {
			next := rekeyed(c, w.patient)
			args := ledgerapi.RotatePatientKeysArgs{
				Patient: next.Handle, Consent: emr.PinnedKey{Kind: emr.SignatureP256, Key: next.Consent.Public().Bytes()}, Hybrid: next.Hybrid.Public().Bytes(),
			}
			args.Proof = c.make.Sign(c.b, next, ledgerapi.ProveKey,
				ledgerapi.ProveKeyArgs{Patient: args.Patient, Consent: args.Consent, Hybrid: args.Hybrid})
			do := c.signed(w.patient, ledgerapi.RotatePatientKeys, args, "")
			w.patient = next
			return do, nil
		}},
		{function: ledgerapi.MoveHome, of: func(c *course, w *ward) (call, error) {
			signed := c.make.Sign(c.b, w.patient, ledgerapi.MoveHome, ledgerapi.MoveHomeArgs{Patient: w.patient.Handle, Home: hospC})
			return c.carried(hospC, ledgerapi.MoveHome, signed, ""), nil
		}},
		signedStep(ledgerapi.RotateClinicianKeys, "", theReader, func(c *course, w *ward) any {
			return ledgerapi.RotateClinicianKeysArgs{
				Clinician: w.reader.ID, Reading: ledgertest.NewKey(c.b).Public().Bytes(), Hybrid: w.reader.Hybrid.Public().Bytes(),
			}
		}),
	}
}

// rekeyed is the patient with new keys.
func rekeyed(c *course, p *ledgertest.Patient) *ledgertest.Patient {
	next := *p
	next.Consent, next.Hybrid = ledgertest.NewKey(c.b), ledgertest.NewHybrid(c.b)
	return &next
}

func governanceSteps() []step {
	vote := func(by emr.OrgID) func(*course, *ward) (call, error) {
		return func(c *course, w *ward) (call, error) {
			return c.ordered(by, ledgerapi.CastVote, ledgerapi.CastVoteArgs{Proposal: w.proposal}), nil
		}
	}
	return []step{
		{function: ledgerapi.RegisterOrganisation, alone: true, of: func(c *course, _ *ward) (call, error) {
			var list ledgerapi.OrganisationList
			if err := c.gateways[hospB].Query(c.b.Context(), ledgerapi.GetOrganisations, ledgerapi.Empty{}, &list); err != nil {
				return nil, err
			}
			at := slices.IndexFunc(list.Items, func(o emr.Organisation) bool { return o.ID == hospB })
			o := list.Items[at]
			return c.ordered(hospB, ledgerapi.RegisterOrganisation, ledgerapi.RegisterOrganisationArgs{
				Name: o.Name, Kind: o.Kind, CACert: o.CACert, GatewayURL: o.GatewayURL, Keys: o.Keys, IPFS: o.IPFS,
			}), nil
		}},
		{function: ledgerapi.CloseFounding, unmeasured: "it is done once in the life of a channel"},
		{function: ledgerapi.Propose, of: func(c *course, w *ward) (call, error) {
			w.proposal = ledgertest.ID[emr.ProposalID](emr.ProposalPrefix)
			var digest emr.Digest
			_, _ = rand.Read(digest[:]) // never fails
			return c.ordered(hospA, ledgerapi.Propose, ledgerapi.ProposeArgs{
				Proposal: w.proposal, Subject: emr.Subject{
					Kind: emr.ProposeRelease, Release: emr.Release{Digest: digest, Product: "bench", Version: "0"},
				}, Expires: c.make.Now.Add(25 * time.Hour),
			}), nil
		}},
		{function: ledgerapi.CastVote, of: vote(hospB), after: func(c *course) error { // a second vote against it rejects it
			var calls []call
			for _, w := range c.wards {
				do, err := vote(hospC)(c, w)
				if err != nil {
					return err
				}
				calls = append(calls, do)
			}
			var ignored sampled
			c.inCrowd("reject the proposals", &ignored, calls)
			return nil
		}},
	}
}

func leavingSteps() []step {
	status := func(function string) step {
		return step{function: function, of: func(c *course, w *ward) (call, error) {
			return c.ordered(hospB, function, ledgerapi.ClinicianStatusArgs{Clinician: w.reader.ID}), nil
		}}
	}
	return []step{
		status(ledgerapi.SuspendClinician), status(ledgerapi.ReinstateClinician), status(ledgerapi.OffboardClinician),
		{function: ledgerapi.RevokeCertificates, of: func(c *course, w *ward) (call, error) {
			return c.ordered(hospB, ledgerapi.RevokeCertificates, ledgerapi.RevokeCertificatesArgs{
				Authority: sha256.Sum256(w.reader.Org.CA.Certificate.Raw), Ground: emr.RevokedCessation, Certificates: []ledgerapi.Certificate{
					{Serial: w.reader.Cert.SerialNumber.Text(16), Digest: sha256.Sum256(w.reader.Cert.Raw)},
				},
			}), nil
		}},
	}
}
