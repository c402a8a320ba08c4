// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package emr

// Record is the public part of one version of a record. Key: RecordID.
type Record struct {
	V        int         `json:"v"`
	ID       RecordID    `json:"id"`
	Patient  Handle      `json:"patient"`
	Scope    ScopeID     `json:"scope"`
	Class    Class       `json:"class"`
	Level    Level       `json:"level"`
	Author   ClinicianID `json:"author"`
	Hospital OrgID       `json:"hospital"`
	// CID is the IPFS content identifier of the ciphertext (CIDv1, base32).
	CID string `json:"cid"`
	// Digest is the SHA-256 of the ciphertext; CipherSize its length in bytes.
	Digest     Digest `json:"digest"`
	CipherSize uint64 `json:"cipherSize"`
	// Manifest is the digest of the author's signed action, which stands in the
	// private data collection; its random nonce salts it.
	Manifest Digest `json:"manifest"`
	// Series is the id of the first version; Version counts from 1.
	Series       RecordID `json:"series"`
	Version      uint32   `json:"version"`
	Previous     RecordID `json:"previous"`
	SupersededBy RecordID `json:"supersededBy"`
	Registered   Time     `json:"registered"`
	// Restricted tells that the manifest holds at least one sensitivity label.
	// Which ones is private: the fact is public so that every peer can decide.
	Restricted bool `json:"restricted,omitempty"`
	// AuthorKeys is the version of the author's keys that signed the manifest.
	AuthorKeys uint32 `json:"authorKeys,omitempty"`
	// Capsule is the SHA-256 of the capsule, which itself is private.
	Capsule Digest `json:"capsule,omitzero"`
	// Rekeys tells that the version holds the content of Previous under a new data
	// key, by its author's word. Its author may be the patient: then Author holds the
	// patient's handle, and AuthorKeys the version of the patient's keys.
	Rekeys bool `json:"rekeys,omitempty"`
	// Status is not live when nobody may read the version any more; Order is the
	// order to destroy it.
	Status RecordStatus `json:"status,omitempty"`
	Order  ErasureID    `json:"order,omitempty"`
}

// Manifest is what an author signs of a record: everything that a reader needs
// to verify and open it. It is the argument of RegisterRecord and stays in the
// private data collection, inside the author's signed action.
type Manifest struct {
	Record   RecordID `json:"record"`
	Patient  Handle   `json:"patient"`
	Scope    ScopeID  `json:"scope"`
	Epoch    uint32   `json:"epoch"`
	Class    Class    `json:"class"`
	Level    Level    `json:"level"`
	Previous RecordID `json:"previous"` // empty for a first version
	Version  uint32   `json:"version"`
	// ContentType is an IANA media type, for example application/dicom.
	ContentType string `json:"contentType"`
	CID         string `json:"cid"`
	Digest      Digest `json:"digest"`
	PlainSize   uint64 `json:"plainSize"`
	CipherSize  uint64 `json:"cipherSize"`
	SegmentSize uint32 `json:"segmentSize"` // bytes of ciphertext
	FileID      Digest `json:"fileId"`
	// KeyCommitment commits to the data key (container specification).
	KeyCommitment Digest `json:"keyCommitment"`
	// Threshold is t of the share layer.
	Threshold uint8 `json:"threshold"`
	// Capsule is the 98-byte capsule; Envelope the sealed key material (pkg/pre).
	Capsule  []byte `json:"capsule"`
	Envelope []byte `json:"envelope"`
	// Labels are the sensitivity labels, sorted, none twice; absent when there are none.
	Labels []Label `json:"labels,omitempty"`
	// Signers are to sign the record off, in this order; absent when nobody is.
	Signers []Signer `json:"signers,omitempty"`
}
