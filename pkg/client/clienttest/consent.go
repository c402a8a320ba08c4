// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package clienttest

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/emrys-health/emrys/pkg/api"
	"github.com/emrys-health/emrys/pkg/consent"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// standing returns the patient's current consent, nil when there is none.
func (w *World) standing(patient emr.Handle) *consent.Consent {
	versions := w.consents[patient]
	if len(versions) == 0 {
		return nil
	}
	return &versions[len(versions)-1]
}

// version returns a version of the patient's consent, the current one for 0, nil when there is none.
func (w *World) version(patient emr.Handle, version uint32) *consent.Consent {
	versions := w.consents[patient]
	switch {
	case version == 0:
		return w.standing(patient)
	case int(version) > len(versions):
		return nil
	default:
		return &versions[version-1]
	}
}

// say decides by the patient's current consent.
func (w *World) say(who emr.ClinicianID, record *emr.Record, purpose emr.Purpose) consent.Outcome {
	facts := consent.Facts{Purpose: purpose}.By(w.clinicians[who]).About(record)
	return consent.Decide(w.standing(record.Patient), facts, emr.TimeOf(time.Now()))
}

// basis is a stand-in for the ledger's: it moves with the version, the document
// and the number of relationships.
func (w *World) basis(d *consent.Document, replaces uint32) emr.Digest {
	digest, _ := d.Hash()
	return emr.ActionDigest(fmt.Appendf(nil, "%s %d %d", digest, replaces, len(w.relations)))
}

func (w *World) putConsent(q *request, receipt *ledgerapi.Receipt) (any, error) {
	args, err := decode[ledgerapi.PutConsentArgs](q)
	if err != nil {
		return nil, err
	}
	if err := args.Document.Validate(receipt.At); err != nil {
		return nil, err
	}
	stale := args.Replaces != uint32(len(w.consents[args.Patient])) ||
		!args.Previewed.Basis.IsZero() && args.Previewed.Basis != w.basis(&args.Document, args.Replaces)
	if stale {
		return nil, emr.E(emr.CodeStale, "what the preview showed has changed; preview again")
	}
	w.keep(q, receipt, consent.Consent{Patient: args.Patient, Status: consent.Active, Document: args.Document}, emr.AuditConsent)
	return receipt, nil
}

func (w *World) withdrawConsent(q *request, receipt *ledgerapi.Receipt) (any, error) {
	args, err := decode[ledgerapi.WithdrawConsentArgs](q)
	if err != nil {
		return nil, err
	}
	if c := w.standing(args.Patient); c != nil && c.Status == consent.Withdrawn {
		return nil, emr.E(emr.CodeGone, "consent is already withdrawn")
	}
	next := consent.Consent{Patient: args.Patient, Status: consent.Withdrawn, Document: consent.Nothing()}
	w.keep(q, receipt, next, emr.AuditConsentWithdrawal)
	return receipt, nil
}

func (w *World) keep(q *request, receipt *ledgerapi.Receipt, c consent.Consent, kind emr.AuditKind) {
	c.V, c.By, c.At, c.Action = 1, emr.ActorPatient, receipt.At, q.signed.Digest()
	c.Version = uint32(len(w.consents[c.Patient])) + 1
	w.consents[c.Patient] = append(w.consents[c.Patient], c)
	receipt.ID = strconv.Itoa(int(c.Version))
	w.note(q, receipt, emr.AuditEntry{Kind: kind, Patient: c.Patient, Ref: receipt.ID, Consent: c.Version})
}

// consent serves the queries of standing consent.
func (w *World) consent(operation string, q *request) (any, error) {
	patient := emr.Handle(w.actorOf(q.who))
	switch operation {
	case "consent.get":
		n, _ := strconv.Atoi(q.r.PathValue("version")) // 0 for the current one
		if c := w.version(patient, uint32(n)); c != nil {
			return c, nil
		}
		return nil, emr.E(emr.CodeNotFound, "there is no such consent")
	case "consent.list":
		return pageOf(q, w.consents[patient], func(consent.Consent) bool { return true },
			func(items []consent.Consent, next string) any {
				return ledgerapi.ConsentPage{Items: items, Bookmark: next}
			})
	case "erasure.list":
		return w.orders(q, patient)
	case "consent.preview":
		return w.preview(q, patient)
	default:
		return nil, emr.E(emr.CodeUnsupported, "operation "+operation+" is not offered here")
	}
}

// preview compares the decisions of every professional for every record.
func (w *World) preview(q *request, patient emr.Handle) (any, error) {
	var in api.ConsentPreviewRequest
	if err := json.NewDecoder(q.r.Body).Decode(&in); err != nil {
		return nil, emr.E(emr.CodeInvalid, "body")
	}
	now, before := emr.TimeOf(time.Now()), w.standing(patient)
	after := &consent.Consent{Status: consent.Active, Document: in.Document}
	out := ledgerapi.ConsentPreview{Complete: true, Changes: []ledgerapi.ConsentChange{}}
	out.Replaces = uint32(len(w.consents[patient]))
	out.Previewed = ledgerapi.Previewed{At: now, People: []emr.ClinicianID{}, Basis: w.basis(&in.Document, out.Replaces)}
	for id, clinician := range w.clinicians {
		out.Previewed.People = append(out.Previewed.People, id)
		for _, record := range w.order {
			facts := consent.Facts{Purpose: emr.PurposeTreatment}.By(clinician).About(&w.records[record].Record)
			a, b := consent.Decide(before, facts, now), consent.Decide(after, facts, now)
			if a.Decision != b.Decision && w.records[record].Record.Patient == patient {
				out.Changes = append(out.Changes, ledgerapi.ConsentChange{
					Person: id, Hospital: clinician.Org, Role: clinician.Role, Purpose: facts.Purpose,
					Gains: a.Decision == emr.Deny || b.Decision == emr.Permit, Before: a.Decision, After: b.Decision, Reason: b.Reason,
					Records: []emr.RecordID{record}, Open: []emr.RecordID{},
				})
			}
		}
	}
	slices.Sort(out.Previewed.People)
	return out, nil
}
