// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package device

import (
	"fmt"
	"slices"

	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
	"github.com/emrys-health/emrys/pkg/pre"
)

// recipients takes the gateways' hybrid keys: a list of id and key.
func (a *arguments) recipients(name string) []pre.Recipient {
	var out []pre.Recipient
	a.list(name, func(g *arguments) {
		out = append(out, pre.Recipient{ID: g.name("id"), Key: g.hybridKey("key")})
	})
	return out
}

// rekey makes one key fragment for each gateway and seals it to it. (scope: handle, grant: hash, reader: public key,
// threshold, gateways) -> fragments: gateway, commitment, sealed, in the order of the gateways.
func rekey(a *arguments) (Fields, error) {
	h := secret[scopeHolder](a, "scope")
	p := pre.RekeyParams{Grant: a.hash("grant"), Reader: a.publicKey("reader")}
	p.Threshold = int(a.number("threshold", 1, pre.MaxGateways))
	gateways := a.recipients("gateways")
	if err := a.end(); err != nil {
		return nil, err
	}
	sealed, err := fragments(h, p, gateways)
	if err != nil {
		return nil, err
	}
	out := make([]any, len(sealed))
	for i, f := range sealed {
		out[i] = Fields{"gateway": string(f.Gateway), "commitment": f.Commitment[:], "sealed": f.Sealed}
	}
	return Fields{"fragments": out}, nil
}

func fragments(scope *scopeHolder, p pre.RekeyParams, gateways []pre.Recipient) ([]emr.SealedFragment, error) {
	p.Gateways = make([]string, len(gateways))
	for i, g := range gateways {
		p.Gateways[i] = g.ID
	}
	keys, err := pre.Rekey(nil, scope.delegating, scope.signer.Signer(), p)
	if err != nil {
		return nil, fmt.Errorf("make key fragments: %w", err)
	}
	out := make([]emr.SealedFragment, len(keys))
	for i, k := range keys {
		sealed, err := pre.SealKeyFragment(gateways[i].Key, k)
		if err != nil {
			return nil, fmt.Errorf("seal key fragment: %w", err)
		}
		out[i] = emr.SealedFragment{Gateway: emr.OrgID(gateways[i].ID), Commitment: k.Commitment(), Sealed: sealed}
	}
	return out, nil
}

// grant makes the argument of GrantAccess: the terms, and a sealed key fragment for each of their gateways. The scope must be
// that of the terms, and the reader's own organisation must not be among the gateways.
// (scope: handle, terms: JSON, request: id or empty, gateways) -> args: canonical JSON, hash: of the terms.
func grant(a *arguments) (Fields, error) {
	h := secret[scopeHolder](a, "scope")
	args := ledgerapi.GrantAccessArgs{}
	a.document("terms", &args.Terms)
	args.Request = emr.RequestID(a.text("request"))
	gateways := a.recipients("gateways")
	if err := a.end(); err != nil {
		return nil, err
	}
	if err := checkTerms(&args, h, gateways); err != nil {
		return nil, err
	}
	hash, err := args.Terms.Hash()
	if err != nil {
		return nil, documentError(err)
	}
	reader, err := pre.ParsePublicKey(args.Terms.Reader)
	if err != nil {
		return nil, fmt.Errorf("read the reader's key: %w", err)
	}
	p := pre.RekeyParams{Grant: hash, Reader: reader, Threshold: int(args.Terms.Threshold)}
	if args.Fragments, err = fragments(h, p, gateways); err != nil {
		return nil, err
	}
	encoded, err := emr.Canonical(&args)
	if err != nil {
		return nil, documentError(err)
	}
	return Fields{"args": string(encoded), "hash": hash[:]}, nil
}

// checkTerms refuses terms that are not of this scope, or whose gateways are not exactly those at hand.
func checkTerms(args *ledgerapi.GrantAccessArgs, scope *scopeHolder, gateways []pre.Recipient) error {
	t := &args.Terms
	var ids []emr.OrgID
	for _, g := range gateways {
		ids = append(ids, emr.OrgID(g.ID))
	}
	switch {
	case string(t.Scope) != scope.id || t.Epoch != scope.epoch:
		return &Error{Code: CodeDocument, Field: "terms", Message: "are of another scope or epoch than the key"}
	case !slices.Equal(t.Gateways, ids):
		return &Error{Code: CodeDocument, Field: "gateways", Message: "are not those of the terms, in their order"}
	case slices.Contains(t.Gateways, t.Org):
		return &Error{Code: CodeDocument, Field: "terms", Message: "name the reader's own organisation as a gateway"}
	case t.Threshold < ledgerapi.MinThreshold:
		return &Error{Code: CodeDocument, Field: "terms", Message: "need a threshold of at least 2"}
	case t.Until <= t.NotBefore:
		return &Error{Code: CodeDocument, Field: "terms", Message: "end before they begin"}
	case len(t.Purposes) == 0:
		return &Error{Code: CodeDocument, Field: "terms", Message: "name no purpose"}
	}
	if args.Request != "" {
		if err := emr.CheckID("request", args.Request); err != nil {
			return documentError(err)
		}
	}
	if err := emr.CheckID("grant", t.Grant); err != nil {
		return documentError(err)
	}
	return nil
}
