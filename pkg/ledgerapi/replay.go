// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledgerapi

import (
	"crypto/sha256"

	"github.com/emrys-health/emrys/pkg/consent"
	"github.com/emrys-health/emrys/pkg/emr"
)

// ReplayDecision decides a disclosure again (docs/spec/audit.md).
const ReplayDecision = "ReplayDecision" // DisclosureQuery -> ReplayView; gateways only

// ReplaySkewMinutes is how far apart the times of two transactions may lie that
// were committed in the other order.
const ReplaySkewMinutes = 20

// DecisionInputs are exactly what the decision about a reading is made from: the
// function that decides sees nothing else.
type DecisionInputs struct {
	V       int         `json:"v"`
	At      emr.Time    `json:"at"`
	Purpose emr.Purpose `json:"purpose"`
	// Own tells that the reader is the patient: then nothing below Record decides.
	Own    bool           `json:"own"`
	Reader DecisionReader `json:"reader"`
	Record DecisionRecord `json:"record"`
	// Consent, Grant, Session and Plan are null where there is none.
	Consent *consent.Consent `json:"consent"`
	Grant   *DecisionGrant   `json:"grant"`
	// UseLeft tells that a use of a grant with a limit was left and is taken. It is
	// false where no use is counted, and where the decision fell before.
	UseLeft   bool             `json:"useLeft"`
	Emergency bool             `json:"emergency"` // a session is named
	Session   *DecisionSession `json:"session"`
	Plan      *DecisionPlan    `json:"plan"`
	// Onward is what the reader declares; SignOff how far the record's sign-off had come.
	Onward  emr.Onward        `json:"onward"`
	SignOff emr.SignOffStatus `json:"signOff"`
}

// DecisionReader is what a decision knows of the reader. For a patient only ID is set.
type DecisionReader struct {
	ID     string              `json:"id"`
	Org    emr.OrgID           `json:"org"`
	Role   emr.Role            `json:"role"`
	Level  emr.Level           `json:"level"`
	Status emr.ClinicianStatus `json:"status"`
	Key    []byte              `json:"key"` // the reading key
	// Hybrid is the reader's hybrid key, where the grant is a direct one; else it decides nothing and is absent.
	Hybrid []byte `json:"hybrid,omitempty"`
}

// DecisionRecord is what a decision knows of the record.
type DecisionRecord struct {
	ID         emr.RecordID    `json:"id"`
	Patient    emr.Handle      `json:"patient"`
	Scope      emr.ScopeID     `json:"scope"`
	Class      emr.Class       `json:"class"`
	Level      emr.Level       `json:"level"`
	Author     emr.ClinicianID `json:"author"`
	Restricted bool            `json:"restricted"`
	// Status is absent of a version that can be read.
	Status emr.RecordStatus `json:"status,omitempty"`
}

// DecisionGrant is what a decision knows of the grant.
type DecisionGrant struct {
	Terms  emr.GrantTerms  `json:"terms"`
	Status emr.GrantStatus `json:"status"`
	Limits *emr.Limits     `json:"limits"` // null where nothing was narrowed
	Ready  emr.Time        `json:"ready"`
}

// DecisionSession is what a decision knows of the emergency session.
type DecisionSession struct {
	By      emr.ClinicianID     `json:"by"`
	Org     emr.OrgID           `json:"org"`
	Patient emr.Handle          `json:"patient"`
	Purpose emr.Purpose         `json:"purpose"`
	Status  emr.EmergencyStatus `json:"status"`
	Until   emr.Time            `json:"until"`
}

// DecisionPlan is what a decision knows of the patient's emergency plan.
type DecisionPlan struct {
	DeclineAll bool          `json:"declineAll"`
	Declined   []emr.ScopeID `json:"declined"`
}

// Digest is the SHA-256 of the label "EMRYS-INPUTS-V1", a zero byte and the canonical encoding.
func (in *DecisionInputs) Digest() (emr.Digest, error) {
	b, err := emr.Canonical(in)
	if err != nil {
		return emr.Digest{}, err
	}
	h := sha256.New()
	h.Write([]byte("EMRYS-INPUTS-V1\x00"))
	h.Write(b)
	return emr.Digest(h.Sum(nil)), nil
}

// ReplayView is what came of deciding a disclosure again.
type ReplayView struct {
	Disclosure emr.Disclosure    `json:"disclosure"`
	Verdict    emr.ReplayVerdict `json:"verdict"`
	// Fault and About tell why it is not the same: About is what is missing or does
	// not fit ("consent", "reader", "record", "grant", "use", "session", "plan", "sign-off"), empty where it cannot be told.
	Fault emr.ReplayFault `json:"fault"`
	About string          `json:"about"`
	// Inputs are those put together again, null where that was not possible; Decision and Reason are what they give.
	Inputs   *DecisionInputs `json:"inputs"`
	Decision emr.Decision    `json:"decision"`
	Reason   emr.Reason      `json:"reason"`
}
