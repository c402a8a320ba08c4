// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"encoding/json"
	"fmt"

	"github.com/emrys-health/emrys/pkg/consent"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// find reads a document. It returns nil when there is none, and an error that is
// shown as internal when what is stored cannot be read, and as unsupported when a
// later version of the contract wrote it.
func find[T any](s Lookup, key ledgerapi.Key, version func(*T) int) (*T, error) {
	value, err := s.Get(key)
	if err != nil {
		return nil, fmt.Errorf("ledger: read %s: %w", key.Type, err)
	}
	if value == nil {
		return nil, nil
	}
	return decode(key.Type, value, version)
}

func decode[T any](kind string, value []byte, version func(*T) int) (*T, error) {
	form := schemaOf(kind)
	stored := value
	if form.lift != nil {
		var err error
		if value, err = form.lift(storedVersion(stored), stored); err != nil {
			return nil, unreadable(kind, stored, form, err)
		}
	}
	document := new(T)
	if err := emr.Decode(value, document); err != nil {
		return nil, unreadable(kind, stored, form, err)
	}
	if version(document) != emr.DocumentVersion {
		return nil, unreadable(kind, stored, form, nil)
	}
	return document, nil
}

// storedVersion returns the version that a stored document says it has, 0 when it says none.
func storedVersion(value []byte) int {
	var header struct {
		V int `json:"v"`
	}
	if json.Unmarshal(value, &header) != nil {
		return 0
	}
	return header.V
}

// unreadable tells a document that a later contract wrote from one that is damaged.
// The first is told to the caller: this peer's organisation has to upgrade.
func unreadable(kind string, value []byte, form schema, cause error) error {
	if stored := storedVersion(value); stored > form.version {
		return emr.E(emr.CodeUnsupported, fmt.Sprintf(
			"the ledger holds a document (%s) of schema version %d, and this peer's contract reads up to %d: it has to be upgraded",
			kind, stored, form.version))
	}
	if cause == nil {
		return fmt.Errorf("ledger: stored %s has unknown version %d", kind, storedVersion(value))
	}
	return fmt.Errorf("ledger: stored %s cannot be read: %s", kind, cause.Error())
}

func put(s State, key ledgerapi.Key, document any) error {
	b, err := emr.Canonical(document)
	if err != nil {
		return err
	}
	if lower := schemaOf(key.Type).lower; lower != nil {
		if b, err = lower(b); err != nil {
			return fmt.Errorf("ledger: encode %s: %w", key.Type, err)
		}
	}
	if err := s.Put(key, b); err != nil {
		return fmt.Errorf("ledger: write %s: %w", key.Type, err)
	}
	return nil
}

// putID writes an index entry or pointer, whose value is an id.
func putID(s State, key ledgerapi.Key, id string) error {
	if err := s.Put(key, []byte(id)); err != nil {
		return fmt.Errorf("ledger: write %s: %w", key.Type, err)
	}
	return nil
}

// missing is what a caller learns of something that is not there, or that is
// not the caller's to know.
func missing(what string) error { return emr.E(emr.CodeNotFound, "there is no such "+what) }

// require is find that refuses an absent document as not found.
func require[T any](s Lookup, key ledgerapi.Key, version func(*T) int) (*T, error) {
	document, err := find(s, key, version)
	if err == nil && document == nil {
		return nil, missing(key.Type)
	}
	return document, err
}

func versionOfOrganisation(o *emr.Organisation) int { return o.V }
func versionOfRoster(r *ledgerapi.Roster) int       { return r.V }
func versionOfPatient(p *emr.Patient) int           { return p.V }
func versionOfClinician(c *emr.Clinician) int       { return c.V }
func versionOfScope(c *emr.Scope) int               { return c.V }
func versionOfRelationship(r *emr.Relationship) int { return r.V }
func versionOfRecord(r *emr.Record) int             { return r.V }
func versionOfRequest(r *emr.Request) int           { return r.V }
func versionOfGrant(g *emr.Grant) int               { return g.V }
func versionOfDisclosure(d *emr.Disclosure) int     { return d.V }
func versionOfProposal(p *emr.Proposal) int         { return p.V }
func versionOfAdmission(a *emr.Admission) int       { return a.V }
func versionOfConstitution(c *emr.Constitution) int { return c.V }
func versionOfRelease(r *emr.PublishedRelease) int  { return r.V }
func versionOfAudit(a *emr.AuditEntry) int          { return a.V }
func versionOfConsent(c *consent.Consent) int       { return c.V }
func versionOfDelegation(d *emr.Delegation) int     { return d.V }
func versionOfPatientKeys(k *emr.PatientKeys) int   { return k.V }
func versionOfGuardians(g *emr.GuardianSet) int     { return g.V }
func versionOfRecovery(r *emr.Recovery) int         { return r.V }

func versionOfHead(h *emr.AuditHead) int { return h.V }

// Documents of emergency sessions.
func versionOfEmergency(e *emr.Emergency) int  { return e.V }
func versionOfPlan(p *emr.EmergencyPlan) int   { return p.V }
func versionOfRules(r *emr.EmergencyRules) int { return r.V }
func versionOfDuty(d *emr.EmergencyDuty) int   { return d.V }

// Amendments and holds.
func versionOfAmendment(a *emr.Amendment) int { return a.V }
func versionOfHold(h *emr.Hold) int           { return h.V }

// Asking, granting and signing off.
func versionOfGrantRule(g *emr.GrantRule) int { return g.V }
func versionOfSignOff(s *emr.SignOff) int     { return s.V }

// Erasure, retention and integrity.
func versionOfErasure(e *emr.Erasure) int           { return e.V }
func versionOfPart(p *emr.ErasurePart) int          { return p.V }
func versionOfReceipt(r *emr.ErasureReceipt) int    { return r.V }
func versionOfRetention(r *emr.Retention) int       { return r.V }
func versionOfIntegrity(r *emr.IntegrityReport) int { return r.V }

// emit sets the transaction's event.
func emit(s State, name string, event ledgerapi.Event) error {
	event.V, event.At = emr.DocumentVersion, s.Now()
	b, err := emr.Canonical(event)
	if err != nil {
		return err
	}
	if err := s.Emit(name, b); err != nil {
		return fmt.Errorf("ledger: set event: %w", err)
	}
	return nil
}

// receipt is the result of a transaction that made or changed id.
func receipt(s State, id string) *ledgerapi.Receipt {
	return &ledgerapi.Receipt{TxID: s.TxID(), At: s.Now(), ID: id}
}
