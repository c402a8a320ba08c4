// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"fmt"
	"slices"

	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// EraseRecord is the patient's, or a legal guardian's, order to destroy a record
// with all its versions at every holder. A hold, or a time for which the members
// keep such records, denies it: the denial is committed with its reason. Otherwise
// no version gives anything to anybody from this transaction on, what the ledger
// holds in private is purged, and the holders are called to account one by one.
func EraseRecord(s State, raw []byte) (*ledgerapi.DecisionReceipt, error) {
	var args ledgerapi.EraseRecordArgs
	st, err := open(s, raw, ledgerapi.EraseRecord, &args)
	if err != nil {
		return nil, err
	}
	patient, err := st.byPatientOrGuardian(s, args.Patient)
	if err != nil {
		return nil, err
	}
	if !args.Ground.PatientMayGive() {
		return nil, emr.Invalid("ground", "must be consent-withdrawn, no-longer-needed, objection, unlawful-processing or other")
	}
	e, err := beginErasure(s, args.Erasure, args.Record, ending{args.Grants, args.Requests, args.Amendments})
	if err != nil {
		return nil, err
	}
	if e.order.Patient != patient.Handle {
		return nil, missing(ledgerapi.TypeRecord)
	}
	if err := e.gone(); err != nil {
		return nil, err
	}
	entry := st.entry(patient, emr.AuditErasureOrdered, string(args.Erasure))
	e.order.Kind, e.order.Ground, e.order.Action = emr.OrderErasure, args.Ground, st.digest
	answer, err := e.commit(s, entry)
	if err != nil {
		return nil, err
	}
	return answer, st.spend(s, string(args.Erasure))
}

// byPatientOrGuardian is forPatient without chosen delegates: what is erased does
// not come back, so that only the patient, or who stands for a minor by law, decides it.
func (st *statement) byPatientOrGuardian(s Lookup, handle emr.Handle) (*emr.Patient, error) {
	patient, err := st.forPatient(s, handle)
	if err != nil || st.delegate == nil {
		return patient, err
	}
	delegation, err := find(s, ledgerapi.DelegationKey(handle, st.delegate.Handle), versionOfDelegation)
	if err != nil {
		return nil, err
	}
	if delegation == nil || delegation.Kind != emr.DelegationGuardian {
		return nil, emr.E(emr.CodeForbidden, "a delegate cannot erase a record; the patient or a legal guardian can")
	}
	return patient, nil
}

// EraseExpired is the order of any member's gateway to destroy a record for which
// the members' longest time is over. It is decided and carried out like the patient's.
func EraseExpired(s State, args ledgerapi.EraseExpiredArgs) (*ledgerapi.DecisionReceipt, error) {
	gateway, err := requireGateway(s)
	if err != nil {
		return nil, err
	}
	e, err := beginErasure(s, args.Erasure, args.Record, ending{args.Grants, args.Requests, args.Amendments})
	if err != nil {
		return nil, err
	}
	if err := e.gone(); err != nil {
		return nil, err
	}
	e.order.Kind, e.order.Ground = emr.OrderRetention, emr.EraseRetention
	return e.commit(s, emr.AuditEntry{
		Kind: emr.AuditErasureOrdered, Patient: e.order.Patient, Actor: emr.ActorGateway, Org: gateway.ID, Ref: string(args.Erasure),
	})
}

// erasing is an erasure on its way through a rule.
type erasing struct {
	order    *emr.Erasure
	named    *emr.Record
	versions []*emr.Record // of the whole series
	ending   ending
}

// beginErasure reads what an order is about and checks its form. It decides nothing.
func beginErasure(s State, id emr.ErasureID, record emr.RecordID, also ending) (*erasing, error) {
	if err := checkNewErasure(s, id); err != nil {
		return nil, err
	}
	if err := emr.CheckID("record", record); err != nil {
		return nil, err
	}
	if err := also.check(); err != nil {
		return nil, err
	}
	named, err := recordOf(s, record)
	if err != nil {
		return nil, err
	}
	versions, err := seriesFrom(s, named.Series)
	if err != nil {
		return nil, err
	}
	return &erasing{named: named, versions: versions, ending: also, order: &emr.Erasure{
		V: emr.DocumentVersion, ID: id, Patient: named.Patient, Record: named.ID, Series: named.Series, Hospital: named.Hospital,
		Ordered: s.Now(),
	}}, nil
}

func checkNewErasure(s Lookup, id emr.ErasureID) error {
	if err := emr.CheckID("erasure", id); err != nil {
		return err
	}
	existing, err := s.Get(ledgerapi.ErasureKey(id))
	if err != nil {
		return err
	}
	if existing != nil {
		return emr.E(emr.CodeExists, "erasure is already ordered")
	}
	return nil
}

// gone refuses to erase what is erased. One version that was re-keyed does not
// make the record so.
func (e *erasing) gone() error { return notErased(e.named) }

// commit decides and carries out, or commits the denial.
func (e *erasing) commit(s State, entry emr.AuditEntry) (*ledgerapi.DecisionReceipt, error) {
	holds, err := holdsOf(s, e.versions)
	if err != nil {
		return nil, err
	}
	rule, err := ruleFor(s, e.named.Class)
	if err != nil {
		return nil, err
	}
	v := decideErasure(e.order.Kind, e.versions, holds, rule, s.Now())
	entry.Decision, entry.Reason = v.decision, v.reason
	answer := &ledgerapi.DecisionReceipt{
		TxID: s.TxID(), At: s.Now(), ID: string(e.order.ID), Decision: v.decision, Reason: v.reason,
	}
	told := ledgerapi.Event{ID: string(e.order.ID), Record: e.named.ID, Hospital: e.named.Hospital}
	if v.decision != emr.Permit {
		if err := auditEach(s, []emr.RecordID{e.named.ID}, entry); err != nil {
			return nil, err
		}
		return answer, emit(s, ledgerapi.EventErasureDenied, told)
	}
	if err := e.carryOut(s, entry); err != nil {
		return nil, err
	}
	return answer, emit(s, ledgerapi.EventErasureOrdered, told)
}

// carryOut closes the first versions, ends what is named besides, and calls the holders.
func (e *erasing) carryOut(s State, entry emr.AuditEntry) error {
	now := e.versions[:min(len(e.versions), ledgerapi.MaxErasedVersions)]
	grants, err := endNamed(s, e.order, now, e.ending)
	if err != nil {
		return err
	}
	e.order.By, e.order.Org = entry.Actor, entry.Org
	if e.order.Holders, err = holdersOf(s, e.versions, grants); err != nil {
		return err
	}
	if err := closePart(s, e.order, now, emr.RecordErased); err != nil {
		return err
	}
	if err := putID(s, ledgerapi.SeriesEndKey(e.order.Series), string(e.order.ID)); err != nil {
		return err
	}
	if err := putOrder(s, e.order); err != nil {
		return err
	}
	return auditEach(s, idsOf(now), entry)
}

func idsOf(versions []*emr.Record) []emr.RecordID {
	ids := make([]emr.RecordID, len(versions))
	for i, version := range versions {
		ids[i] = version.ID
	}
	return ids
}

// closePart makes a part of the order of some versions: each is closed, and its
// private manifest, with capsule and shares, is purged.
func closePart(s State, order *emr.Erasure, versions []*emr.Record, status emr.RecordStatus) error {
	order.Parts++
	order.Versions += uint32(len(versions)) //nolint:gosec // a part is small
	part := &emr.ErasurePart{V: emr.DocumentVersion, Erasure: order.ID, Part: order.Parts, Records: []emr.ErasedVersion{}, At: s.Now()}
	for _, version := range versions {
		part.Records = append(part.Records, emr.ErasedVersion{Record: version.ID, CID: version.CID, Digest: version.Digest})
		if version.Status == emr.RecordLive {
			if err := s.PurgePrivate(ledgerapi.ManifestKey(version.ID)); err != nil {
				return fmt.Errorf("ledger: purge manifest: %w", err)
			}
		}
		version.Status, version.Order = status, order.ID
		if err := put(s, ledgerapi.RecordKey(version.ID), version); err != nil {
			return err
		}
		if err := markUsed(s, version); err != nil {
			return err
		}
		order.Next = version.SupersededBy
	}
	if status == emr.RecordRekeyed {
		order.Next = "" // the successor lives
	}
	return put(s, ledgerapi.ErasurePartKey(order.ID, order.Parts), part)
}

// putOrder writes a new order and its indexes: by patient, and by every holder.
func putOrder(s State, order *emr.Erasure) error {
	id := string(order.ID)
	if err := put(s, ledgerapi.ErasureKey(order.ID), order); err != nil {
		return err
	}
	if err := putID(s, ledgerapi.Index(ledgerapi.TypeErasureByPatient, string(order.Patient), s.Now(), s.Nanos(), id), id); err != nil {
		return err
	}
	for _, holder := range order.Holders {
		if err := putID(s, ledgerapi.Index(ledgerapi.TypeErasureByHolder, string(holder), s.Now(), s.Nanos(), id), id); err != nil {
			return err
		}
	}
	return nil
}

// holdersOf returns who must account for versions: every present member, the
// versions' hospital, and the gateways of the grants that end with them.
func holdersOf(s Lookup, versions []*emr.Record, grants []*emr.Grant) ([]emr.OrgID, error) {
	holders, err := roster(s)
	if err != nil {
		return nil, err
	}
	for _, version := range versions {
		holders = append(holders, version.Hospital)
	}
	for _, grant := range grants {
		holders = append(holders, grant.Terms.Gateways...)
	}
	slices.Sort(holders)
	return slices.Compact(holders), nil
}

// ContinueErasure does the rest of an order that has been given: it closes the
// versions that no transaction has reached yet, and purges what names erased
// versions only. Any member's gateway may submit it, again and again.
func ContinueErasure(s State, args ledgerapi.ContinueErasureArgs) (*ledgerapi.Receipt, error) {
	gateway, err := requireGateway(s)
	if err != nil {
		return nil, err
	}
	if err := emr.CheckID("erasure", args.Erasure); err != nil {
		return nil, err
	}
	also := ending{args.Grants, args.Requests, args.Amendments}
	if err := also.check(); err != nil {
		return nil, err
	}
	order, err := require(s, ledgerapi.ErasureKey(args.Erasure), versionOfErasure)
	if err != nil {
		return nil, err
	}
	if order.Next == "" && also.empty() {
		return nil, emr.E(emr.CodeRule, "every version is named already, and nothing else is to be purged")
	}
	versions, err := seriesPart(s, order.Next)
	if err != nil {
		return nil, err
	}
	seen := &changes{State: s}
	if _, err := endNamed(seen, order, versions, also); err != nil {
		return nil, err
	}
	if len(versions) == 0 && seen.n == 0 {
		return nil, emr.E(emr.CodeRule, "everything that is named is ended and purged already")
	}
	if len(versions) > 0 {
		if err := closePart(s, order, versions, emr.RecordErased); err != nil {
			return nil, err
		}
		if err := put(s, ledgerapi.ErasureKey(order.ID), order); err != nil {
			return nil, err
		}
	}
	about := append(idsOf(versions), order.Record)
	err = auditEach(s, about[:max(1, len(versions))], emr.AuditEntry{
		Kind: emr.AuditErasureOrdered, Patient: order.Patient, Actor: emr.ActorGateway, Org: gateway.ID, Decision: emr.Permit,
		Reason: reasonOfOrder(order), Ref: string(order.ID),
	})
	if err != nil {
		return nil, err
	}
	return receipt(s, string(order.ID)), emit(s, ledgerapi.EventErasureContinued,
		ledgerapi.Event{ID: string(order.ID), Record: order.Record, Hospital: order.Hospital})
}

// seriesPart returns a version and the next ones, as many as one part holds.
func seriesPart(s Lookup, id emr.RecordID) ([]*emr.Record, error) {
	var versions []*emr.Record
	for id != "" && len(versions) < ledgerapi.MaxErasedVersions {
		version, err := require(s, ledgerapi.RecordKey(id), versionOfRecord)
		if err != nil {
			return nil, err
		}
		versions = append(versions, version)
		id = version.SupersededBy
	}
	return versions, nil
}
