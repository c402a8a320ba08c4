// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"fmt"

	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// signOffOf returns the sign-off of a record, nil when it has none.
func signOffOf(s Lookup, id emr.RecordID) (*emr.SignOff, error) {
	return find(s, ledgerapi.SignOffKey(id), versionOfSignOff)
}

// statusOf returns how far a sign-off has come, and nothing when there is none.
func statusOf(signOff *emr.SignOff) emr.SignOffStatus {
	if signOff == nil {
		return ""
	}
	return signOff.Status
}

// openSignOff writes the sign-off of a new record, when its author names signers. A
// version of a record that was to be signed off must name some, too.
func openSignOff(s State, record *emr.Record, signers []emr.Signer) error {
	if record.Previous != "" && len(signers) == 0 {
		previous, err := signOffOf(s, record.Previous)
		if err != nil {
			return err
		}
		if previous != nil {
			return &emr.Error{
				Code: emr.CodeRule, Reason: emr.ReasonNotSignedOff, Field: "signers",
				Message: "a new version of a record that was to be signed off must name its signers",
			}
		}
	}
	if len(signers) == 0 {
		return nil
	}
	for i := range signers {
		if err := checkSigner(s, fmt.Sprintf("signers[%d]", i), &signers[i], record); err != nil {
			return err
		}
	}
	signOff := &emr.SignOff{
		V: emr.DocumentVersion, Record: record.ID, Patient: record.Patient, Manifest: record.Manifest, Signers: signers,
		Status: emr.SignOffDraft, Signatures: []emr.Signature{}, Opened: s.Now(),
	}
	return putSignOff(s, signOff)
}

// checkSigners checks what of a list of signers can be told from it alone.
func checkSigners(signers []emr.Signer) error {
	if len(signers) > ledgerapi.MaxSigners {
		return emr.Invalid("signers", fmt.Sprintf("must be at most %d", ledgerapi.MaxSigners))
	}
	for i := range signers {
		if err := emr.CheckID(fmt.Sprintf("signers[%d].clinician", i), signers[i].Clinician); err != nil {
			return err
		}
		for j := range i {
			if signers[j].Clinician == signers[i].Clinician {
				return emr.Invalid("signers", "must not name anybody twice")
			}
		}
	}
	return nil
}

// checkSigner checks that a signer is registered as the author says, and may sign
// what he or she may read.
func checkSigner(s Lookup, field string, signer *emr.Signer, record *emr.Record) error {
	clinician, err := requireClinician(s, signer.Clinician)
	if err != nil {
		return err
	}
	switch {
	case clinician.Org != signer.Org:
		return emr.Invalid(field+".org", "is not the clinician's organisation")
	case clinician.Role != signer.Role:
		return emr.Invalid(field+".role", "is not the clinician's role")
	case !clinician.Role.MayWrite():
		return emr.Refused(emr.ReasonRole, "the role does not allow to sign records off")
	case !clinician.Level.Covers(record.Level):
		return emr.Refused(emr.ReasonLevel, "a signer's level is below that of the record")
	default:
		return refuseInactive(clinician)
	}
}

// putSignOff writes a sign-off and tells whose turn it is.
func putSignOff(s State, signOff *emr.SignOff) error {
	if err := put(s, ledgerapi.SignOffKey(signOff.Record), signOff); err != nil {
		return err
	}
	turn := signOff.Turn()
	if turn == nil {
		return nil
	}
	id := string(signOff.Record)
	return putID(s, ledgerapi.Index(ledgerapi.TypeSignOffTurn, string(turn.Clinician), s.Now(), s.Nanos(), id), id)
}

// SignOff signs a record off in the signer's turn: the digest of the author's
// manifest, which names everything of the record. A refusal on a ground ends the
// sign-off. The signed action stays as evidence.
func SignOff(s State, raw []byte) (*ledgerapi.DecisionReceipt, error) {
	var args ledgerapi.SignOffArgs
	st, err := open(s, raw, ledgerapi.SignOff, &args)
	if err != nil {
		return nil, err
	}
	clinician, err := st.byActiveClinician(s)
	if err != nil {
		return nil, err
	}
	signOff, err := knownSignOff(s, args.Record)
	if err != nil {
		return nil, err
	}
	if err := checkTurn(signOff, clinician); err != nil {
		return nil, err
	}
	if err := checkSigning(s, signOff, &args); err != nil {
		return nil, err
	}
	v := verdict{decision: emr.Permit}
	signOff.Signatures = append(signOff.Signatures,
		emr.Signature{By: clinician.ID, Keys: clinician.KeyVersion, Action: st.digest, At: s.Now()})
	switch {
	case args.Refuse:
		v.decision = emr.Deny
		signOff.Status, signOff.Ground, signOff.Ended = emr.SignOffRefused, args.Ground, s.Now()
	case len(signOff.Signatures) == len(signOff.Signers):
		signOff.Status, signOff.Ended = emr.SignOffSigned, s.Now()
	default:
		signOff.Status = emr.SignOffPartly
	}
	return st.answerSignOff(s, signOff, clinician, v)
}

// answerSignOff writes what a signer answered, with its evidence, audit entry and event.
func (st *statement) answerSignOff(
	s State, signOff *emr.SignOff, clinician *emr.Clinician, v verdict,
) (*ledgerapi.DecisionReceipt, error) {
	if err := putSignOff(s, signOff); err != nil {
		return nil, err
	}
	if err := st.putSigned(s, ledgerapi.StatementKey(st.digest)); err != nil {
		return nil, err
	}
	id := string(signOff.Record)
	entry := byTheClinician(clinician, signOff.Patient, emr.AuditSignOff, id)
	entry.Record, entry.Decision = signOff.Record, v.decision
	if err := audit(s, entry); err != nil {
		return nil, err
	}
	if err := emit(s, ledgerapi.EventSignedOff, ledgerapi.Event{ID: id, Record: signOff.Record}); err != nil {
		return nil, err
	}
	return &ledgerapi.DecisionReceipt{
		TxID: s.TxID(), At: s.Now(), ID: id, Decision: v.decision, SignOff: signOff.Status,
	}, st.spend(s, id)
}

// checkTurn refuses everybody but the one whose turn it is, in the role and
// organisation in which the author named the signer.
func checkTurn(signOff *emr.SignOff, clinician *emr.Clinician) error {
	at := -1
	for i := range signOff.Signers {
		if signOff.Signers[i].Clinician == clinician.ID {
			at = i
		}
	}
	turn := signOff.Turn()
	switch {
	case at < 0:
		return emr.E(emr.CodeForbidden, "the record's author does not name the signer")
	case at < len(signOff.Signatures):
		return emr.E(emr.CodeExists, "the signer has answered already")
	case turn == nil:
		return emr.Refused(emr.ReasonSignOffOver, emr.ReasonSignOffOver.Explain())
	case turn.Clinician != clinician.ID:
		return emr.Refused(emr.ReasonSignOffOrder, emr.ReasonSignOffOrder.Explain())
	case turn.Role != clinician.Role || turn.Org != clinician.Org:
		return emr.Refused(emr.ReasonRole, "the signer is not in the role in which the author named the signer")
	default:
		return nil
	}
}

// checkSigning checks what is signed: the manifest as it stands, of a version that is the latest.
func checkSigning(s Lookup, signOff *emr.SignOff, args *ledgerapi.SignOffArgs) error {
	switch {
	case args.Manifest != signOff.Manifest:
		return emr.Invalid("manifest", "is not the digest of the record's manifest")
	case args.Refuse && !args.Ground.Valid():
		return emr.Invalid("ground", "must be disagree, incomplete, wrong-patient or not-my-subject")
	case !args.Refuse && args.Ground != "":
		return emr.Invalid("ground", "must be empty where nothing is refused")
	}
	record, err := liveRecord(s, args.Record)
	if err != nil {
		return err
	}
	if record.SupersededBy != "" {
		return emr.Refused(emr.ReasonSuperseded, emr.ReasonSuperseded.Explain())
	}
	return nil
}

func knownSignOff(s Lookup, id emr.RecordID) (*emr.SignOff, error) {
	if err := emr.CheckID("record", id); err != nil {
		return nil, err
	}
	return require(s, ledgerapi.SignOffKey(id), versionOfSignOff)
}

// GetSignOff returns the sign-off of a record.
func GetSignOff(r Reader, q ledgerapi.RecordQuery) (*emr.SignOff, error) {
	return knownSignOff(r, q.Record)
}

// GetSignOffAction returns a sign-off with its signed actions, which are private,
// and the signers as they were. It is for gateways only.
func GetSignOffAction(r Reader, q ledgerapi.RecordQuery) (*ledgerapi.SignOffView, error) {
	if _, err := requireGateway(r); err != nil {
		return nil, err
	}
	signOff, err := knownSignOff(r, q.Record)
	if err != nil {
		return nil, err
	}
	view := &ledgerapi.SignOffView{SignOff: *signOff, Signed: []emr.SignedAction{}, Signers: []emr.Clinician{}}
	for _, given := range signOff.Signatures {
		signed, _, err := privateAction(r, ledgerapi.StatementKey(given.Action))
		if err != nil {
			return nil, err
		}
		signer, err := clinicianOf(r, given.By, given.Keys)
		if err != nil {
			return nil, err
		}
		view.Signed, view.Signers = append(view.Signed, *signed), append(view.Signers, *signer)
	}
	return view, nil
}

// ListSignOffs lists what waits for a clinician's signature, newest first.
func ListSignOffs(r Reader, q ledgerapi.PageQuery) (*ledgerapi.SignOffPage, error) {
	if q.Patient != "" || q.Record != "" {
		return nil, emr.Invalid("clinician", "only the clinician must be set")
	}
	if err := emr.CheckID("clinician", q.Clinician); err != nil {
		return nil, err
	}
	list := byOwner(ledgerapi.TypeSignOffTurn, string(q.Clinician), q.Limit, q.Bookmark)
	items, bookmark, err := page(r, list, func(e Entry) (*emr.SignOff, step, error) {
		found, err := waitingSignOff(r, emr.RecordID(e.Value), q.Clinician)
		if err != nil || found == nil {
			return nil, skip, err
		}
		return found, keep, nil
	})
	if err != nil {
		return nil, err
	}
	return &ledgerapi.SignOffPage{Items: items, Bookmark: bookmark}, nil
}

// waitingSignOff returns the sign-off of a record when it is a clinician's turn and
// the record is the latest version, else nil.
func waitingSignOff(s Lookup, id emr.RecordID, clinician emr.ClinicianID) (*emr.SignOff, error) {
	signOff, err := require(s, ledgerapi.SignOffKey(id), versionOfSignOff)
	if err != nil {
		return nil, err
	}
	if turn := signOff.Turn(); turn == nil || turn.Clinician != clinician {
		return nil, nil
	}
	record, err := recordOf(s, id)
	if err != nil || record.SupersededBy != "" || record.Status != emr.RecordLive {
		return nil, err
	}
	return signOff, nil
}
