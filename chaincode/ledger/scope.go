// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"bytes"
	"fmt"

	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// PublishScopes publishes scopes of the signer: public keys that authors encrypt
// to and that verify the patient's key fragments. Every scope has a new id; a new
// epoch is a new scope.
func PublishScopes(s State, raw []byte) (*ledgerapi.Receipt, error) {
	var args ledgerapi.PublishScopesArgs
	st, err := open(s, raw, ledgerapi.PublishScopes, &args)
	if err != nil {
		return nil, err
	}
	patient, err := st.byPatient(s, args.Patient)
	if err != nil {
		return nil, err
	}
	if err := checkScopes(args.Scopes); err != nil {
		return nil, err
	}
	for i := range args.Scopes {
		if err := publishScope(s, patient, &args.Scopes[i], ""); err != nil {
			return nil, err
		}
	}
	if err := audit(s, byThePatient(patient, emr.AuditScopes, "")); err != nil {
		return nil, err
	}
	return receipt(s, string(patient.Handle)), st.spend(s, string(patient.Handle))
}

// checkScopes checks scopes one by one and that no id and no key occurs twice.
func checkScopes(scopes []ledgerapi.NewScope) error {
	if len(scopes) == 0 || len(scopes) > ledgerapi.MaxScopesPerCall {
		return emr.Invalid("scopes", fmt.Sprintf("must hold 1 to %d scopes", ledgerapi.MaxScopesPerCall))
	}
	keys := make([][]byte, 0, 2*len(scopes))
	for i := range scopes {
		if err := checkScope(fmt.Sprintf("scopes[%d]", i), &scopes[i]); err != nil {
			return err
		}
		for j := range i {
			if scopes[j].ID == scopes[i].ID {
				return emr.Invalid("scopes", "must not name a scope twice")
			}
		}
		keys = append(keys, scopes[i].Delegating, scopes[i].Fragment)
	}
	for i := range keys {
		for j := range i {
			if bytes.Equal(keys[i], keys[j]) {
				return emr.Invalid("scopes", "must not use a key twice")
			}
		}
	}
	return nil
}

func checkScope(field string, scope *ledgerapi.NewScope) error {
	if err := emr.CheckID(field+".id", scope.ID); err != nil {
		return err
	}
	if scope.Epoch == 0 {
		return emr.Invalid(field+".epoch", "must be at least 1")
	}
	if _, err := emr.ParseLevel(field+".level", string(scope.Level)); err != nil {
		return err
	}
	if err := checkPoint(field+".delegating", scope.Delegating); err != nil {
		return err
	}
	return checkPoint(field+".fragment", scope.Fragment)
}

// publishScope writes a scope. previous is the scope whose epoch it follows, empty for one that follows none.
func publishScope(s State, patient *emr.Patient, scope *ledgerapi.NewScope, previous emr.ScopeID) error {
	existing, err := s.Get(ledgerapi.ScopeKey(scope.ID))
	if err != nil {
		return err
	}
	if existing != nil {
		return emr.E(emr.CodeExists, "scope is already published")
	}
	if err := claimScopeKeys(s, scope); err != nil {
		return err
	}
	err = put(s, ledgerapi.ScopeKey(scope.ID), emr.Scope{
		V: emr.DocumentVersion, ID: scope.ID, Patient: patient.Handle, Epoch: scope.Epoch, Level: scope.Level,
		Delegating: scope.Delegating, Fragment: scope.Fragment, Published: s.Now(), Previous: previous,
	})
	if err != nil {
		return err
	}
	key := ledgerapi.Index(ledgerapi.TypeScopeByPatient, string(patient.Handle), s.Now(), s.Nanos(), string(scope.ID))
	return putID(s, key, string(scope.ID))
}
