// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package emr

// Seal commits an organisation to a set of audit entries that have no place in a
// patient's chain: readings, requests, attempts, new records. Seals of one
// organisation are a chain. Key: OrgID, Sequence.
type Seal struct {
	V   int   `json:"v"`
	Org OrgID `json:"org"`
	// Sequence counts the organisation's seals from 1; Previous is the hash of the one before, absent in the first.
	Sequence uint64 `json:"sequence"`
	Previous Digest `json:"previous,omitzero"`
	// Count is the number of entries; Root that of the tree over them, oldest first.
	Count uint32 `json:"count"`
	Root  Digest `json:"root"`
	// First and Last are the times of the oldest and of the newest entry.
	First Time   `json:"first"`
	Last  Time   `json:"last"`
	TxID  string `json:"txId"`
	At    Time   `json:"at"`
}

// Hash is what the next seal names: the SHA-256 of the label "EMRYS-SEAL-V1", a
// zero byte and the canonical encoding.
func (s *Seal) Hash() (Digest, error) { return labelled("EMRYS-SEAL-V1", s) }

// SealHead is the end of an organisation's chain of seals. Key: OrgID.
type SealHead struct {
	V        int    `json:"v"`
	Org      OrgID  `json:"org"`
	Sequence uint64 `json:"sequence"` // of the last seal; 0 when there is none
	Hash     Digest `json:"hash"`     // of the last seal
	Entries  uint64 `json:"entries"`  // under all seals together
}

// Inclusion shows that an entry is under a seal: the entry, its place among the
// leaves from 0, the siblings from the leaf up to the root, and the seal.
type Inclusion struct {
	Entry AuditEntry `json:"entry"`
	Index uint32     `json:"index"`
	Path  []Digest   `json:"path"`
	Seal  Seal       `json:"seal"`
}

// Leaf is the entry's leaf hash under a seal: MerkleLeaf of the canonical encoding.
func (e *AuditEntry) Leaf() (Digest, error) {
	b, err := Canonical(e)
	if err != nil {
		return Digest{}, err
	}
	return MerkleLeaf(b), nil
}

// Sealable tells whether an entry is sealed by its organisation: it has no place in a patient's chain.
func (e *AuditEntry) Sealable() bool { return e.Sequence == 0 }
