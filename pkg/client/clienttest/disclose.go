// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package clienttest

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/emrys-health/emrys/pkg/api"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
	"github.com/emrys-health/emrys/pkg/manifest"
	"github.com/emrys-health/emrys/pkg/pre"
)

func (w *World) disclose(q *request, receipt *ledgerapi.Receipt) (any, error) {
	args, err := decode[ledgerapi.DiscloseArgs](q)
	if err != nil {
		return nil, err
	}
	view, ok := w.records[args.Record]
	if !ok {
		return nil, emr.E(emr.CodeNotFound, "no such record")
	}
	d := &emr.Disclosure{
		V: 1, ID: args.Disclosure, Patient: view.Record.Patient, Record: args.Record, Grant: args.Grant, Reader: q.action.Actor,
		Org: q.who.org, Purpose: args.Purpose, Action: q.signed.Digest(), At: receipt.At,
	}
	d.Decision, d.Reason = w.decide(q, view, &args)
	if d.Decision == emr.Permit {
		d.Until = receipt.At.Add(ledgerapi.TicketSeconds * time.Second)
	}
	w.disclosures[d.ID] = d
	receipt.ID = string(d.ID)
	w.note(q, receipt, emr.AuditEntry{
		Kind: emr.AuditDisclosure, Patient: d.Patient, Record: d.Record, Purpose: d.Purpose, Decision: d.Decision, Reason: d.Reason,
		Ref: string(d.ID),
	})
	return ledgerapi.DecisionReceipt{
		TxID: receipt.TxID, At: receipt.At, ID: receipt.ID, Decision: d.Decision, Reason: d.Reason, Grant: d.Grant, Until: d.Until,
	}, nil
}

func (w *World) decide(q *request, view *ledgerapi.ManifestView, args *ledgerapi.DiscloseArgs) (emr.Decision, emr.Reason) {
	if reason := view.Record.Status.Denial(); reason != "" {
		return emr.Deny, reason
	}
	if q.who.isPatient() {
		if string(view.Record.Patient) == q.action.Actor && args.Purpose == emr.PurposePatient {
			return emr.Permit, emr.ReasonOwner
		}
		return emr.Deny, emr.ReasonNoGrant
	}
	g := w.grant(args.Grant)
	now := emr.TimeOf(time.Now())
	said := w.say(emr.ClinicianID(q.who.id), &view.Record, args.Purpose)
	switch {
	case w.standing(view.Record.Patient) != nil && said.Decision == emr.Deny:
		return emr.Deny, said.Reason
	case g == nil:
		return emr.Deny, emr.ReasonNoGrant
	case string(g.Terms.Grantee) != q.who.id:
		return emr.Deny, emr.ReasonNotGrantee
	case g.Status == emr.GrantRevoked:
		return emr.Deny, emr.ReasonRevoked
	case now >= g.Terms.Until:
		return emr.Deny, emr.ReasonExpired
	case !g.Terms.Covers(args.Record) || g.Terms.Scope != view.Record.Scope:
		return emr.Deny, emr.ReasonNotCovered
	case !slices.Contains(g.Terms.Purposes, args.Purpose):
		return emr.Deny, emr.ReasonPurpose
	case g.Terms.MaxUses > 0 && w.used(g.ID) >= g.Terms.MaxUses:
		return emr.Deny, emr.ReasonExhausted
	}
	return emr.Permit, emr.ReasonGrant
}

// used counts the readings under a grant.
func (w *World) used(id emr.GrantID) uint32 {
	var n uint32
	for _, d := range w.disclosures {
		if d.Grant == id && d.Decision == emr.Permit {
			n++
		}
	}
	return n
}

func (w *World) openTicket(q *request) (any, error) {
	args, err := decode[ledgerapi.OpenTicketArgs](q)
	if err != nil {
		return nil, err
	}
	d, ok := w.disclosures[args.Disclosure]
	switch {
	case !ok:
		return nil, emr.E(emr.CodeNotFound, "no such ticket")
	case d.Reader != q.action.Actor:
		return nil, emr.Refused(emr.ReasonNotReader, emr.ReasonNotReader.Explain())
	case d.Decision != emr.Permit:
		return nil, emr.Refused(d.Reason, d.Reason.Explain())
	}
	view := w.records[d.Record]
	opening := &api.Opening{Disclosure: *d, Manifest: *view, Fragments: []api.Fragment{}, Faults: []api.Fault{}}
	if d.Grant != "" {
		opening.Grant = *w.grant(d.Grant)
		if err := w.collect(opening, w.clinicians[emr.ClinicianID(q.who.id)]); err != nil {
			return nil, err
		}
	}
	if w.OnOpening != nil {
		w.OnOpening(opening)
	}
	return opening, nil
}

// answering lists the proxies that are asked, with their fragments; those of a direct grant have none.
func (w *World) answering(opening *api.Opening) []emr.SealedFragment {
	if !opening.Grant.Terms.Direct {
		return w.fragments[opening.Grant.ID]
	}
	var all []emr.SealedFragment
	for _, o := range w.orgs {
		if o.ID != opening.Grant.Terms.Org {
			all = append(all, emr.SealedFragment{Gateway: o.ID})
		}
	}
	return all
}

// collect lets every proxy of the grant answer.
func (w *World) collect(opening *api.Opening, reader *emr.Clinician) error {
	for _, sealed := range w.answering(opening) {
		if w.Down[sealed.Gateway] {
			opening.Faults = append(opening.Faults, api.Fault{Gateway: sealed.Gateway, Code: emr.CodeUnavailable, Message: "is down"})
			continue
		}
		f, err := w.Org(sealed.Gateway).reencrypt(opening, sealed, reader)
		if err != nil {
			return err
		}
		f.Direct = w.SealedKey(opening.Grant.ID, opening.Disclosure.Record)
		if w.OnFragment != nil {
			w.OnFragment(f)
		}
		w.Resign(f, &opening.Disclosure)
		opening.Fragments = append(opening.Fragments, *f)
	}
	return nil
}

// reencrypt is a proxy's work, as the gateway does it.
func (o *Org) reencrypt(opening *api.Opening, sealed emr.SealedFragment, reader *emr.Clinician) (*api.Fragment, error) {
	view := &opening.Manifest
	action, err := view.Signed.Parse()
	if err != nil {
		return nil, err
	}
	var m emr.Manifest
	if err := json.Unmarshal(action.Args, &m); err != nil {
		return nil, err
	}
	p, err := parameters(opening, &m, o.ID)
	if err != nil {
		return nil, err
	}
	var fragment []byte
	if !opening.Grant.Terms.Direct {
		if fragment, err = o.fragment(&m, p, sealed); err != nil {
			return nil, err
		}
	}
	envelope, err := pre.ParseEnvelope(m.Envelope)
	if err != nil {
		return nil, err
	}
	to, err := pre.ParseHybridPublicKey(reader.Hybrid)
	if err != nil {
		return nil, err
	}
	own, _ := envelope.Shares.ShareOf(string(o.ID))
	share, err := pre.ReSealShare(o.Proxy, p.Context, p.Request, own, to)
	if err != nil {
		return nil, err
	}
	return &api.Fragment{Gateway: o.ID, Capsule: fragment, Share: share}, nil
}

func (o *Org) fragment(m *emr.Manifest, p pre.ReencryptParams, sealed emr.SealedFragment) ([]byte, error) {
	key, err := pre.OpenKeyFragment(o.Proxy, p.Gateway, p.Grant, sealed.Sealed)
	if err != nil {
		return nil, err
	}
	capsule, err := pre.ParseCapsule(m.Capsule)
	if err != nil {
		return nil, err
	}
	fragment, err := pre.Reencrypt(nil, capsule, key, p)
	if err != nil {
		return nil, err
	}
	return fragment.Bytes(), nil
}

func parameters(opening *api.Opening, m *emr.Manifest, gateway emr.OrgID) (pre.ReencryptParams, error) {
	view := &opening.Manifest
	p := pre.ReencryptParams{Gateway: string(gateway)}
	var err error
	if p.Context, err = manifest.Context(Channel, m, &view.Author, &view.Scope).Hash(); err != nil {
		return p, err
	}
	grant, err := opening.Grant.Terms.Hash()
	if err != nil {
		return p, err
	}
	request, err := opening.Disclosure.Hash()
	if err != nil {
		return p, err
	}
	p.Grant, p.Request = grant, request
	if p.Delegating, err = pre.ParsePublicKey(view.Scope.Delegating); err != nil {
		return p, err
	}
	if p.Reader, err = pre.ParsePublicKey(opening.Grant.Terms.Reader); err != nil {
		return p, err
	}
	p.Signer, err = pre.ParsePublicKey(view.Scope.Fragment)
	return p, err
}
