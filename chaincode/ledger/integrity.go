// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"bytes"
	"crypto/sha256"
	"fmt"

	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// CheckIntegrity compares what somebody has fetched for a record with what was
// registered, and this peer's private manifest with the record and with the hash
// that the channel keeps. It decides nothing and gives nothing. It is for gateways.
func CheckIntegrity(r Reader, q ledgerapi.IntegrityQuery) (*ledgerapi.IntegrityView, error) {
	if _, err := requireGateway(r); err != nil {
		return nil, err
	}
	if err := emr.CheckID("record", q.Record); err != nil {
		return nil, err
	}
	record, err := recordOf(r, q.Record)
	if err != nil {
		return nil, err
	}
	view := &ledgerapi.IntegrityView{Verdict: ledgerapi.VerdictMatches, Differs: []string{}, Record: *record}
	for _, part := range []struct {
		name  string
		equal bool
	}{{"cid", q.CID == record.CID}, {"digest", q.Digest == record.Digest}, {"size", q.Size == record.CipherSize}} {
		if !part.equal {
			view.Differs = append(view.Differs, part.name)
		}
	}
	switch {
	case record.Status != emr.RecordLive:
		view.Verdict = ledgerapi.VerdictErased
	case len(view.Differs) > 0:
		view.Verdict = ledgerapi.VerdictDiffers
	case record.SupersededBy != "":
		view.Verdict = ledgerapi.VerdictSuperseded
	}
	view.Manifest, err = checkPrivateManifest(r, record)
	return view, err
}

// checkPrivateManifest compares this peer's private manifest with its public traces.
func checkPrivateManifest(r Reader, record *emr.Record) (ledgerapi.ManifestVerdict, error) {
	key := ledgerapi.ManifestKey(record.ID)
	hash, err := r.PrivateHash(key)
	if err != nil {
		return "", fmt.Errorf("ledger: read hash of manifest: %w", err)
	}
	value, err := r.GetPrivate(key)
	if err != nil {
		return "", fmt.Errorf("ledger: read manifest: %w", err)
	}
	switch {
	case hash == nil && value == nil:
		return ledgerapi.ManifestPurged, nil
	case value == nil:
		return ledgerapi.ManifestAbsent, nil
	}
	sum := sha256.Sum256(value)
	if bytes.Equal(sum[:], hash) && isAction(value, record.Manifest) {
		return ledgerapi.ManifestMatches, nil
	}
	return ledgerapi.ManifestDiffers, nil
}

// isAction tells whether a stored value is the signed action of a digest.
func isAction(value []byte, digest emr.Digest) bool {
	var signed emr.SignedAction
	return emr.Decode(value, &signed) == nil && signed.Digest() == digest
}

// ReportIntegrity commits what an organisation found of its own copy of a record,
// so that others repair it, and that it is whole again. It is a fact of the
// patient's trail, which does not wait for others.
func ReportIntegrity(s State, args ledgerapi.ReportIntegrityArgs) (*ledgerapi.Receipt, error) {
	gateway, err := requireGateway(s)
	if err != nil {
		return nil, err
	}
	if err := emr.CheckID("record", args.Record); err != nil {
		return nil, err
	}
	record, err := liveRecord(s, args.Record)
	if err != nil {
		return nil, err
	}
	if err := checkFinding(record, &args); err != nil {
		return nil, err
	}
	key := ledgerapi.IntegrityKey(record.ID, gateway.ID)
	last, err := find(s, key, versionOfIntegrity)
	if err != nil {
		return nil, err
	}
	if args.Finding == emr.FindingWhole && (last == nil || last.Finding == emr.FindingWhole) {
		return nil, emr.E(emr.CodeRule, "nothing was reported about this copy")
	}
	err = put(s, key, emr.IntegrityReport{
		V: emr.DocumentVersion, Record: record.ID, Org: gateway.ID, Finding: args.Finding, Digest: args.Digest, Size: args.Size,
		At: s.Now(), TxID: s.TxID(),
	})
	if err != nil {
		return nil, err
	}
	entry := emr.AuditEntry{
		Kind: emr.AuditIntegrity, Patient: record.Patient, Record: record.ID, Actor: emr.ActorGateway, Org: gateway.ID,
		Decision: emr.Deny, Ref: string(gateway.ID),
	}
	if args.Finding == emr.FindingWhole {
		entry.Decision = emr.Permit
	}
	if err := audit(s, entry); err != nil {
		return nil, err
	}
	told := ledgerapi.Event{ID: string(record.ID), Record: record.ID, Hospital: gateway.ID, CID: record.CID}
	return receipt(s, string(record.ID)), emit(s, ledgerapi.EventIntegrity, told)
}

// checkFinding refuses a finding that contradicts itself.
func checkFinding(record *emr.Record, args *ledgerapi.ReportIntegrityArgs) error {
	same := args.Digest == record.Digest && args.Size == record.CipherSize
	switch args.Finding {
	case emr.FindingMissing:
		if !args.Digest.IsZero() || args.Size != 0 {
			return emr.Invalid("digest", "must be absent, like the size, for a missing copy")
		}
	case emr.FindingAltered:
		if same || args.Digest.IsZero() {
			return emr.Invalid("digest", "must be that of an altered copy")
		}
	case emr.FindingWhole:
		if !same {
			return emr.Invalid("digest", "must be the record's, like the size, for a whole copy")
		}
	default:
		return emr.Invalid("finding", "must be missing, altered or whole")
	}
	return nil
}

// GetIntegrity returns the present members' last findings about a record, by organisation.
func GetIntegrity(r Reader, q ledgerapi.RecordQuery) (*ledgerapi.IntegrityList, error) {
	if err := emr.CheckID("record", q.Record); err != nil {
		return nil, err
	}
	if _, err := recordOf(r, q.Record); err != nil {
		return nil, err
	}
	members, err := roster(r)
	if err != nil {
		return nil, err
	}
	list := &ledgerapi.IntegrityList{Items: []emr.IntegrityReport{}}
	for _, member := range members {
		found, err := find(r, ledgerapi.IntegrityKey(q.Record, member), versionOfIntegrity)
		if err != nil {
			return nil, err
		}
		if found != nil {
			list.Items = append(list.Items, *found)
		}
	}
	return list, nil
}
