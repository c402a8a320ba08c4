// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package emr

import "slices"

// Onward is what a reader declares when content is not for the reader's own use.
// The zero value is own use. A false declaration is a signed one.
type Onward string

// Declarations of onward use.
const (
	// OnwardExport: the content leaves the consortium, for example to another system.
	OnwardExport Onward = "export"
	// OnwardOnBehalf: the reader asks or reads for somebody else.
	OnwardOnBehalf Onward = "on-behalf"
)

// CheckOnward refuses a declaration that is not on the list.
func CheckOnward(field string, o Onward) error {
	if o == "" || o == OnwardExport || o == OnwardOnBehalf {
		return nil
	}
	return Invalid(field, "must be export or on-behalf, or absent for the own use")
}

// Statement is the code of a statement that travels with what is disclosed. The
// list is append-only.
type Statement string

// Statements.
const (
	// StatementNoOnward: the patient, or a label of the record, forbids to share it on.
	StatementNoOnward Statement = "no-onward"
	// StatementPart2: the notice of 42 CFR 2.32(a).
	StatementPart2 Statement = "42-cfr-2.32"
)

// Text returns the words that stand before the content. Those of StatementPart2
// are the regulation's own (42 CFR 2.32(a)(2)).
func (s Statement) Text() string {
	switch s {
	case StatementNoOnward:
		return "This record was disclosed to you alone. Do not share it further without the patient's consent."
	case StatementPart2:
		return "42 CFR part 2 prohibits unauthorized use or disclosure of these records."
	default:
		return ""
	}
}

// StatementsOf returns the statements that travel with a record of these labels,
// read under a ground that forbids onward sharing or does not.
func StatementsOf(labels []Label, noOnward bool) []Statement {
	var all []Statement
	if noOnward {
		all = append(all, StatementNoOnward)
	}
	if slices.Contains(labels, LabelSubstanceUse) {
		all = append(all, StatementPart2)
	}
	return all
}

// Wish is what a request asks for besides its one record and purpose. The patient
// may give less.
type Wish struct {
	// Records are further records of the same patient and scope, sorted.
	Records []RecordID `json:"records"`
	// Purposes are further purposes, sorted.
	Purposes []Purpose `json:"purposes"`
	Until    Time      `json:"until"`   // absent: no end is asked for
	MaxUses  uint32    `json:"maxUses"` // 0: no limit is asked for
}

// LeftOut is what a request asked for and its grant does not give.
type LeftOut struct {
	Records  []RecordID `json:"records"`  // sorted
	Purposes []Purpose  `json:"purposes"` // sorted
	// Until and MaxUses tell that the grant ends sooner, or allows fewer uses, than was asked for.
	Until   bool `json:"until"`
	MaxUses bool `json:"maxUses"`
	// Onward tells that onward use was asked for and is forbidden.
	Onward bool `json:"onward"`
}

// None tells whether nothing was left out.
func (l *LeftOut) None() bool {
	return len(l.Records)+len(l.Purposes) == 0 && !l.Until && !l.MaxUses && !l.Onward
}

// Limits is what a patient has left of a grant after giving it. The terms stay as
// they were signed, since the key fragments are bound to them; what holds is Grant.Effective.
type Limits struct {
	Records   []RecordID `json:"records"` // sorted; empty means the whole scope, as in the terms
	Purposes  []Purpose  `json:"purposes"`
	Until     Time       `json:"until"`
	MaxUses   uint32     `json:"maxUses"`
	NoOnward  bool       `json:"noOnward"`
	SignedOff bool       `json:"signedOff"`
	// Action is the signed action that narrowed the grant last, At its time.
	Action Digest `json:"action"`
	At     Time   `json:"at"`
}

// Effective returns the terms as far as the patient has left them: the signed ones
// without what a later narrowing took away. Its hash is not that of the grant.
func (g *Grant) Effective() GrantTerms {
	t := g.Terms
	if l := g.Limits; l != nil {
		t.Records, t.Purposes, t.Until, t.MaxUses = l.Records, l.Purposes, l.Until, l.MaxUses
		t.NoOnward, t.SignedOff = l.NoOnward, l.SignedOff
	}
	return t
}

// SealedKey is one record's first secret (K_pre), sealed by the patient's device to
// the reader's hybrid key (docs/spec/pre.md, P14.4). It is private.
type SealedKey struct {
	Record     RecordID `json:"record"`
	Commitment Digest   `json:"commitment"`
	Sealed     []byte   `json:"sealed"`
}

// Commit is the commitment to a sealed key under a grant: the SHA-256 of the label
// "EMRYS-DIRECT-V1", a zero byte and the canonical encoding of grant, record and
// sealed octets. The encapsulation inside is random, so that it hides what it commits to.
func (k *SealedKey) Commit(grant GrantID) (Digest, error) {
	return labelled("EMRYS-DIRECT-V1", &struct {
		Grant  GrantID  `json:"grant"`
		Record RecordID `json:"record"`
		Sealed []byte   `json:"sealed"`
	}{grant, k.Record, k.Sealed})
}

// CommitsTo tells whether sealed is the key of record that the direct grant commits
// to. It is false for every other grant.
func (g *Grant) CommitsTo(record RecordID, sealed []byte) bool {
	at, found := slices.BinarySearch(g.Terms.Records, record)
	if !g.Terms.Direct || !found || len(g.Commitments) != len(g.Terms.Records) {
		return false
	}
	one := SealedKey{Record: record, Sealed: sealed}
	commitment, err := one.Commit(g.ID)
	return err == nil && commitment == g.Commitments[at]
}

// GrantSecret is the private part of a grant that stands by itself, and not inside
// the signed action that gave it. Key: GrantID.
type GrantSecret struct {
	V         int              `json:"v"`
	Grant     GrantID          `json:"grant"`
	Fragments []SealedFragment `json:"fragments"`
	Direct    []SealedKey      `json:"direct,omitempty"`
}

// GrantBounds is which grants are wide. The zero value calls none wide.
type GrantBounds struct {
	Scope   bool   `json:"scope"`   // grants of a whole scope
	Days    uint32 `json:"days"`    // grants that last longer; 0: no bound
	Records uint32 `json:"records"` // grants of more records; 0: no bound
	// Level: grants of anything at this level or above; empty: no bound.
	Level Level `json:"level"`
}

// GrantRuleTerms are what a patient signs of a rule about wide grants: which ones
// need a confirmation, and whose.
type GrantRuleTerms struct {
	Bounds GrantBounds `json:"bounds"`
	// Confirmers are registered people, handles or clinician ids, sorted.
	Confirmers []string `json:"confirmers"`
	// Second is a key of the patient's own, on a second device, that is pinned for confirming alone.
	Second *PinnedKey `json:"second,omitempty"`
	// WaitHours is how long a key counts as pinned recently.
	WaitHours uint32 `json:"waitHours"`
}

// GrantRule is a patient's rule about wide grants. Key: Handle.
type GrantRule struct {
	V       int            `json:"v"`
	Patient Handle         `json:"patient"`
	Version uint32         `json:"version"` // counts from 1; 0 stands for none
	Terms   GrantRuleTerms `json:"terms"`
	// Since is when the confirmers, or the second key, last changed.
	Since Time `json:"since"`
	Set   Time `json:"set"`
	// Action is the signed action that set it.
	Action Digest `json:"action"`
	// Next is a looser rule that waits for its confirmation.
	Next *GrantRuleTerms `json:"next,omitempty"`
}

// Signer is somebody who is to sign a record off, in an organisation and role.
type Signer struct {
	Clinician ClinicianID `json:"clinician"`
	Org       OrgID       `json:"org"`
	Role      Role        `json:"role"`
}

// SignOffStatus is how far the sign-off of a record has come.
type SignOffStatus string

// States: nobody has signed, some have, all have, or one has refused, which ends it.
const (
	SignOffDraft   SignOffStatus = "draft"
	SignOffPartly  SignOffStatus = "partly-signed"
	SignOffSigned  SignOffStatus = "signed"
	SignOffRefused SignOffStatus = "refused"
)

// SignOffGround is the coded reason of a refusal to sign. The list is append-only.
type SignOffGround string

// Grounds of a refusal.
const (
	SignOffDisagree     SignOffGround = "disagree"       // with the content
	SignOffIncomplete   SignOffGround = "incomplete"     // something is missing
	SignOffWrongPatient SignOffGround = "wrong-patient"  // it is another patient's
	SignOffNotMine      SignOffGround = "not-my-subject" // outside the signer's competence
)

// Valid tells whether the ground is on the list.
func (g SignOffGround) Valid() bool {
	return g == SignOffDisagree || g == SignOffIncomplete || g == SignOffWrongPatient || g == SignOffNotMine
}

// Signature is one clinician's answer to a sign-off.
type Signature struct {
	By ClinicianID `json:"by"`
	// Keys is the version of the signer's keys that signed.
	Keys   uint32 `json:"keys"`
	Action Digest `json:"action"`
	At     Time   `json:"at"`
}

// SignOff is the ordered sign-off of one version of a record: each signer signs the
// digest of the author's manifest, in turn. Key: RecordID.
type SignOff struct {
	V        int           `json:"v"`
	Record   RecordID      `json:"record"`
	Patient  Handle        `json:"patient"`
	Manifest Digest        `json:"manifest"` // what is signed off
	Signers  []Signer      `json:"signers"`  // in their order
	Status   SignOffStatus `json:"status"`
	// Signatures are those given, in the order of Signers; the last one is the refusal when Status is refused.
	Signatures []Signature   `json:"signatures"`
	Ground     SignOffGround `json:"ground"` // of a refusal
	Opened     Time          `json:"opened"`
	Ended      Time          `json:"ended"` // when all had signed, or one refused
}

// Turn returns whose turn it is, nil when the sign-off is over.
func (s *SignOff) Turn() *Signer {
	if s.Status == SignOffSigned || s.Status == SignOffRefused || len(s.Signatures) >= len(s.Signers) {
		return nil
	}
	return &s.Signers[len(s.Signatures)]
}
