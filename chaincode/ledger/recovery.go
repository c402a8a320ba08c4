// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"slices"
	"time"

	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// openFor is how long a recovery stays open in one state.
const openFor = ledgerapi.RecoveryDays * 24 * time.Hour

// ProposeRecovery proposes new keys for a patient who has lost the old ones. A
// guardian signs it, which is the first approval; the new consent key proves its
// possession. A guardian has one open proposal for a patient at most, so that none
// can crowd out another's.
func ProposeRecovery(s State, raw []byte) (*ledgerapi.Receipt, error) {
	var args ledgerapi.ProposeRecoveryArgs
	st, err := open(s, raw, ledgerapi.ProposeRecovery, &args)
	if err != nil {
		return nil, err
	}
	patient, set, err := recoverable(s, args.Patient)
	if err != nil {
		return nil, err
	}
	entry, err := st.byGuardian(s, set)
	if err != nil {
		return nil, err
	}
	if err := checkRecovery(s, patient, &args); err != nil {
		return nil, err
	}
	if err := checkProposer(s, patient, entry.Actor); err != nil {
		return nil, err
	}
	recovery := &emr.Recovery{
		V: emr.DocumentVersion, ID: args.Recovery, Patient: patient.Handle, Set: *set, After: patient.Recoveries,
		Consent: args.Consent, Hybrid: args.Hybrid, Claim: args.Proof.Digest(), Status: emr.RecoveryProposed,
		Approvals: []emr.Approval{{Guardian: entry.Actor, Action: st.digest, At: s.Now()}},
		Proposed:  s.Now(), Expires: s.Now().Add(openFor),
	}
	if err := putProposal(s, recovery, entry.Actor); err != nil {
		return nil, err
	}
	entry.Kind, entry.Decision, entry.Reason = emr.AuditRecoveryProposed, emr.Ask, emr.ReasonApprovals
	if err := putRecovery(s, recovery, entry, ledgerapi.EventRecoveryProposed); err != nil {
		return nil, err
	}
	return receipt(s, string(recovery.ID)), st.spend(s, string(recovery.ID))
}

// recoverable returns a patient and the patient's guardian set, nil when there is none.
func recoverable(s Lookup, handle emr.Handle) (*emr.Patient, *emr.GuardianSet, error) {
	patient, err := patientOf(s, handle)
	if err != nil {
		return nil, nil, err
	}
	set, err := guardiansOf(s, handle)
	return patient, set, err
}

func checkRecovery(s Lookup, patient *emr.Patient, args *ledgerapi.ProposeRecoveryArgs) error {
	if err := emr.CheckID("recovery", args.Recovery); err != nil {
		return err
	}
	existing, err := s.Get(ledgerapi.RecoveryKey(args.Recovery))
	if err != nil {
		return err
	}
	if existing != nil {
		return emr.E(emr.CodeExists, "recovery is already proposed")
	}
	if err := checkPatientKeys(args.Consent, args.Hybrid); err != nil {
		return err
	}
	if slices.Equal(args.Consent.Key, patient.Consent.Key) {
		return emr.Invalid("consent.key", "replaces nothing: it is the patient's current key")
	}
	if err := refuseRetired(s, "consent.key", string(patient.Handle), args.Consent.Key); err != nil {
		return err
	}
	return provePossession(s, &args.Proof, &ledgerapi.ProveKeyArgs{
		Patient: args.Patient, Recovery: args.Recovery, Consent: args.Consent, Hybrid: args.Hybrid,
	})
}

// checkProposer refuses a guardian whose latest proposal for the patient is open.
func checkProposer(s Lookup, patient *emr.Patient, guardian string) error {
	id, err := s.Get(ledgerapi.ProposerKey(patient.Handle, guardian))
	if err != nil || id == nil {
		return err
	}
	latest, err := require(s, ledgerapi.RecoveryKey(emr.RecoveryID(id)), versionOfRecovery)
	if err != nil {
		return err
	}
	if statusAt(latest, patient, s.Now()).Open() {
		return emr.E(emr.CodeExists, "the guardian's earlier proposal is still open")
	}
	return nil
}

func putProposal(s State, recovery *emr.Recovery, guardian string) error {
	id := string(recovery.ID)
	if err := putID(s, ledgerapi.ProposerKey(recovery.Patient, guardian), id); err != nil {
		return err
	}
	return putID(s, ledgerapi.Index(ledgerapi.TypeRecoveryByPatient, string(recovery.Patient), s.Now(), s.Nanos(), id), id)
}

// putRecovery writes a recovery, the entry in the patient's trail, and the event.
func putRecovery(s State, recovery *emr.Recovery, entry emr.AuditEntry, event string) error {
	if err := put(s, ledgerapi.RecoveryKey(recovery.ID), recovery); err != nil {
		return err
	}
	entry.Patient, entry.Ref = recovery.Patient, string(recovery.ID)
	if err := audit(s, entry); err != nil {
		return err
	}
	return emit(s, event, ledgerapi.Event{ID: string(recovery.ID)})
}

// statusAt is a recovery's status at a time: an open one may be over without
// anybody having said so.
func statusAt(recovery *emr.Recovery, patient *emr.Patient, now emr.Time) emr.RecoveryStatus {
	switch {
	case !recovery.Status.Open():
		return recovery.Status
	case recovery.After != patient.Recoveries:
		return emr.RecoverySuperseded
	case now >= recovery.Expires:
		return emr.RecoveryExpired
	default:
		return recovery.Status
	}
}

// recoveryOf returns a recovery of the patient named. Another patient's is not found.
func recoveryOf(s Lookup, id emr.RecoveryID, handle emr.Handle) (*emr.Recovery, *emr.Patient, error) {
	if err := emr.CheckID("recovery", id); err != nil {
		return nil, nil, err
	}
	patient, err := patientOf(s, handle)
	if err != nil {
		return nil, nil, err
	}
	recovery, err := require(s, ledgerapi.RecoveryKey(id), versionOfRecovery)
	if err != nil {
		return nil, nil, err
	}
	if recovery.Patient != handle {
		return nil, nil, missing(ledgerapi.TypeRecovery)
	}
	return recovery, patient, nil
}

// reasonOf is the ground on which a recovery of a status is refused.
func reasonOf(status emr.RecoveryStatus) emr.Reason {
	switch status {
	case emr.RecoveryProposed:
		return emr.ReasonApprovals
	case emr.RecoveryWaiting:
		return emr.ReasonWaiting
	case emr.RecoveryVetoed:
		return emr.ReasonVetoed
	case emr.RecoveryCompleted:
		return emr.ReasonCompleted
	case emr.RecoverySuperseded:
		return emr.ReasonOtherRecovery
	default:
		return emr.ReasonLapsed
	}
}

// ApproveRecovery is one guardian's approval of one recovery's keys. The approval
// that makes the quorum begins the waiting period.
func ApproveRecovery(s State, raw []byte) (*ledgerapi.DecisionReceipt, error) {
	var args ledgerapi.ApproveRecoveryArgs
	st, err := open(s, raw, ledgerapi.ApproveRecovery, &args)
	if err != nil {
		return nil, err
	}
	recovery, patient, err := recoveryOf(s, args.Recovery, args.Patient)
	if err != nil {
		return nil, err
	}
	entry, err := st.byGuardian(s, &recovery.Set)
	if err != nil {
		return nil, err
	}
	if over, err := st.over(s, recovery, patient, entry); over != nil || err != nil {
		return over, err
	}
	if err := checkApproval(recovery, entry.Actor, args.Claim); err != nil {
		return nil, err
	}
	recovery.Approvals = append(recovery.Approvals, emr.Approval{Guardian: entry.Actor, Action: st.digest, At: s.Now()})
	entry.Kind, entry.Decision, entry.Reason = emr.AuditRecoveryApproved, emr.Ask, emr.ReasonApprovals
	event := ledgerapi.EventRecoveryApproved
	if len(recovery.Approvals) >= int(recovery.Set.Threshold) {
		recovery.Status = emr.RecoveryWaiting
		recovery.Ready = s.Now().Add(time.Duration(recovery.Set.WaitHours) * time.Hour)
		recovery.Expires = recovery.Ready.Add(openFor)
		entry.Reason, event = emr.ReasonWaiting, ledgerapi.EventRecoveryWaiting
	}
	return st.decided(s, recovery, entry, event)
}

func checkApproval(recovery *emr.Recovery, guardian string, claim emr.Digest) error {
	if recovery.Status != emr.RecoveryProposed {
		return emr.Refused(emr.ReasonWaiting, "the recovery has its approvals already")
	}
	if claim != recovery.Claim {
		return emr.Invalid("claim", "is not the recovery's: it approves other keys")
	}
	for _, given := range recovery.Approvals {
		if given.Guardian == guardian {
			return emr.E(emr.CodeExists, "guardian has already approved")
		}
	}
	return nil
}

// over ends a transaction on a recovery that is over. When nobody has said so yet,
// the end is committed, and the answer is a denial; otherwise it is an error. It
// returns nothing for a recovery that is open.
func (st *statement) over(
	s State, recovery *emr.Recovery, patient *emr.Patient, entry emr.AuditEntry,
) (*ledgerapi.DecisionReceipt, error) {
	status := statusAt(recovery, patient, s.Now())
	if status.Open() {
		return nil, nil
	}
	if status == recovery.Status {
		return nil, emr.Refused(reasonOf(status), reasonOf(status).Explain())
	}
	recovery.Status, recovery.Ended = status, s.Now()
	entry.Kind, entry.Decision, entry.Reason = emr.AuditRecoveryEnded, emr.Deny, reasonOf(status)
	return st.decided(s, recovery, entry, ledgerapi.EventRecoveryEnded)
}

// decided writes a recovery and returns the receipt of the decision in the entry.
func (st *statement) decided(
	s State, recovery *emr.Recovery, entry emr.AuditEntry, event string,
) (*ledgerapi.DecisionReceipt, error) {
	if err := putRecovery(s, recovery, entry, event); err != nil {
		return nil, err
	}
	return &ledgerapi.DecisionReceipt{
		TxID: s.TxID(), At: s.Now(), ID: string(recovery.ID), Decision: entry.Decision, Reason: entry.Reason, Until: recovery.Ready,
	}, st.spend(s, string(recovery.ID))
}

// VetoRecovery ends a recovery by the patient's current key, at any time before it is completed.
func VetoRecovery(s State, raw []byte) (*ledgerapi.DecisionReceipt, error) {
	var args ledgerapi.RecoveryArgs
	st, err := open(s, raw, ledgerapi.VetoRecovery, &args)
	if err != nil {
		return nil, err
	}
	patient, err := st.byPatient(s, args.Patient)
	if err != nil {
		return nil, err
	}
	recovery, _, err := recoveryOf(s, args.Recovery, args.Patient)
	if err != nil {
		return nil, err
	}
	entry := byThePatient(patient, emr.AuditRecoveryVetoed, "")
	if over, err := st.over(s, recovery, patient, entry); over != nil || err != nil {
		return over, err
	}
	recovery.Status, recovery.Ended = emr.RecoveryVetoed, s.Now()
	entry.Decision, entry.Reason = emr.Permit, emr.ReasonVetoed
	return st.decided(s, recovery, entry, ledgerapi.EventRecoveryVetoed)
}

// CompleteRecovery pins the new keys, by the signature of the new consent key,
// when the waiting period is over and the patient has not vetoed it. From the next
// block on the old key signs nothing.
func CompleteRecovery(s State, raw []byte) (*ledgerapi.DecisionReceipt, error) {
	var args ledgerapi.RecoveryArgs
	st, err := open(s, raw, ledgerapi.CompleteRecovery, &args)
	if err != nil {
		return nil, err
	}
	if st.action.Actor != string(args.Patient) {
		return nil, emr.E(emr.CodeForbidden, "action names another patient than its signer")
	}
	recovery, patient, err := recoveryOf(s, args.Recovery, args.Patient)
	if err != nil {
		return nil, err
	}
	if err := st.authenticate(s, recovery.Consent); err != nil {
		return nil, err
	}
	entry := byThePatient(patient, emr.AuditRecoveryCompleted, "")
	if over, err := st.over(s, recovery, patient, entry); over != nil || err != nil {
		return over, err
	}
	if recovery.Status != emr.RecoveryWaiting || s.Now() < recovery.Ready {
		return nil, emr.Refused(reasonOf(recovery.Status), reasonOf(recovery.Status).Explain())
	}
	patient.Recoveries++
	if err := replacePatientKeys(s, patient, recovery.Consent, recovery.Hybrid); err != nil {
		return nil, err
	}
	recovery.Status, recovery.Ended = emr.RecoveryCompleted, s.Now()
	entry.Decision, entry.Reason = emr.Permit, emr.ReasonCompleted
	return st.decided(s, recovery, entry, ledgerapi.EventRecoveryCompleted)
}

// GetRecovery returns a recovery with its status now.
func GetRecovery(r Reader, q ledgerapi.RecoveryQuery) (*emr.Recovery, error) {
	if err := emr.CheckID("recovery", q.Recovery); err != nil {
		return nil, err
	}
	return recoveryNow(r, q.Recovery)
}

func recoveryNow(r Reader, id emr.RecoveryID) (*emr.Recovery, error) {
	recovery, err := require(r, ledgerapi.RecoveryKey(id), versionOfRecovery)
	if err != nil {
		return nil, err
	}
	patient, err := patientOf(r, recovery.Patient)
	if err != nil {
		return nil, err
	}
	recovery.Status = statusAt(recovery, patient, r.Now())
	return recovery, nil
}

// ListRecoveries lists a patient's recoveries, newest first.
func ListRecoveries(r Reader, q ledgerapi.PageQuery) (*ledgerapi.RecoveryPage, error) {
	if q.Clinician != "" || q.Record != "" {
		return nil, emr.Invalid("patient", "recoveries are listed by patient only")
	}
	if err := emr.CheckID("patient", q.Patient); err != nil {
		return nil, err
	}
	list := byOwner(ledgerapi.TypeRecoveryByPatient, string(q.Patient), q.Limit, q.Bookmark)
	items, bookmark, err := page(r, list, func(e Entry) (*emr.Recovery, step, error) {
		found, err := recoveryNow(r, emr.RecoveryID(e.Value))
		return found, keep, err
	})
	if err != nil {
		return nil, err
	}
	return &ledgerapi.RecoveryPage{Items: items, Bookmark: bookmark}, nil
}
