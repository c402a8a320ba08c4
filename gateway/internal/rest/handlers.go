// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package rest

import (
	"context"
	"net/http"
	"strconv"

	"github.com/emrys-health/emrys/gateway/internal/httpx"
	"github.com/emrys-health/emrys/gateway/internal/service"
	"github.com/emrys-health/emrys/pkg/api"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// handlers returns the handler of every operation, by name.
func (d *Door) handlers() map[string]handler {
	return d.withLife(map[string]handler{
		"token.create":         d.createToken,
		"network.get":          func(c *call) (any, error) { return d.service.Network(c.r.Context()) },
		"registry.prove":       d.prove,
		"patient.register":     d.relay,
		"patient.resolve":      d.resolvePatient,
		"clinician.register":   d.relay,
		"clinician.get":        d.getClinician,
		"scope.publish":        d.relay,
		"relationship.propose": d.relay,
		"relationship.answer":  d.relay,
		"relationship.list":    paged(d.service.Relationships),
		"action.get":           d.getAction,
		"upload.create":        d.createUpload,
		"upload.delete":        d.deleteUpload,
		"record.register":      d.registerRecord,
		"record.get":           d.getRecord,
		"record.search":        d.searchRecords,
		"disclosure.create":    d.relay,
		"disclosure.open":      d.open,
		"disclosure.content":   d.content,
		"proxy.reencrypt":      d.reencrypt,
		"request.create":       d.relay,
		"request.refuse":       d.relay,
		"request.list":         paged(d.service.Requests),
		"request.get":          d.getRequest,
		"grant.create":         d.relay,
		"grant.revoke":         d.revoke,
		"grant.list":           paged(d.service.Grants),
		"audit.list":           paged(d.service.Audit),
		"audit.record":         d.recordAudit,
		// Standing consent.
		"consent.put":      d.relay,
		"consent.withdraw": d.relay,
		"consent.get":      d.getConsent,
		"consent.list":     paged(d.service.Consents),
		"consent.preview":  d.previewConsent,
		"delegate.name":    d.relay,
		"delegate.end":     d.relay,
		"delegate.list":    paged(d.service.Delegations),
		// Amendments.
		"amendment.ask":     d.relay,
		"amendment.answer":  d.relay,
		"amendment.dispute": d.relay,
		"amendment.list":    paged(d.service.Amendments),
		"amendment.get":     d.getAmendment,
		"amendment.record":  d.recordAmendments,
		// Asking, granting and signing off.
		"grant.narrow":       d.relay,
		"grant.batch":        d.relay,
		"grant.confirm":      d.relay,
		"grant-rule.set":     d.relay,
		"grant-rule.confirm": d.relay,
		"record.signoff":     d.relay,
		"inbox.list":         paged(d.service.Inbox),
		"grant.get":          d.getGrant,
		"grant-rule.get":     func(c *call) (any, error) { return d.service.GrantRule(c.r.Context(), c.who) },
		// Inspections.
		"log.inspect": d.relay,
		"log.read":    d.readLog,
		// Erasure.
		"record.erase": d.relay,
		"erasure.list": paged(d.service.Erasures),
		"erasure.get":  d.getErasure,
		"record.rekey": d.rekeyRecord,
		"scope.roll":   d.relay,
		// Emergency sessions.
		"emergency.plan":     d.relay,
		"emergency.open":     d.relay,
		"emergency.confirm":  d.relay,
		"emergency.close":    d.relay,
		"emergency.review":   d.relay,
		"emergency.contest":  d.relay,
		"emergency.list":     paged(d.service.Emergencies),
		"emergency.get":      d.getEmergency,
		"emergency.own-plan": func(c *call) (any, error) { return d.service.EmergencyPlan(c.r.Context(), c.who) },
		"audit.head":         func(c *call) (any, error) { return d.service.AuditHead(c.r.Context(), c.who) },
	})
}

// Parameters of the token request (RFC 6749 section 4.4, RFC 7523 section 2.2).
const (
	grantType   = "client_credentials"
	maxFormSize = 64 << 10
)

func (d *Door) createToken(c *call) (any, error) {
	if !d.limits.Tokens.Allow(address(c.r)) {
		return nil, emr.E(emr.CodeRateLimited, "too many token requests")
	}
	c.r.Body = http.MaxBytesReader(c.w, c.r.Body, maxFormSize)
	if err := c.r.ParseForm(); err != nil {
		return nil, httpx.ReadError(err)
	}
	form := c.r.PostForm
	switch {
	case form.Get("grant_type") != grantType:
		return nil, emr.Invalid("grant_type", "must be "+grantType)
	case form.Get("client_assertion_type") != api.AssertionType:
		return nil, emr.Invalid("client_assertion_type", "must be "+api.AssertionType)
	}
	answer, who, err := d.tokens.Exchange(c.r.Context(), form.Get("client_assertion"))
	if err != nil {
		return nil, err
	}
	httpx.SetSubject(c.r.Context(), who.Subject, who.Org)
	return answer, nil
}

// action reads a signed action from the body.
func action(c *call) (*emr.SignedAction, error) {
	var signed emr.SignedAction
	if err := httpx.ReadJSON(c.w, c.r, &signed); err != nil {
		return nil, err
	}
	return &signed, nil
}

// relay submits a signed action whose answer is the transaction's own.
func (d *Door) relay(c *call) (any, error) {
	signed, err := action(c)
	if err != nil {
		return nil, err
	}
	switch c.op.Out.(type) {
	case ledgerapi.DecisionReceipt:
		return relayed(d, c, signed, func(r *ledgerapi.DecisionReceipt) string { return r.TxID })
	case ledgerapi.GrantBatchReceipt:
		return relayed(d, c, signed, func(r *ledgerapi.GrantBatchReceipt) string { return r.TxID })
	default:
		return relayed(d, c, signed, func(r *ledgerapi.Receipt) string { return r.TxID })
	}
}

// relayed submits for an answer of one kind, of which tx tells the transaction.
func relayed[R any](d *Door, c *call, signed *emr.SignedAction, tx func(*R) string) (any, error) {
	var receipt R
	err := d.service.Relay(c.r.Context(), c.who, c.op.Function, signed, &receipt)
	httpx.SetTransaction(c.r.Context(), tx(&receipt))
	return receipt, err
}

func (d *Door) prove(c *call) (any, error) {
	var request api.ProofRequest
	if err := httpx.ReadJSON(c.w, c.r, &request); err != nil {
		return nil, err
	}
	return d.service.Prove(c.r.Context(), c.who, request)
}

func (d *Door) resolvePatient(c *call) (any, error) {
	var query ledgerapi.ResolvePatientQuery
	if err := httpx.ReadJSON(c.w, c.r, &query); err != nil {
		return nil, err
	}
	return d.service.ResolvePatient(c.r.Context(), c.who, query)
}

func (d *Door) getClinician(c *call) (any, error) {
	id, err := emr.ParseID[emr.ClinicianID]("clinician", c.r.PathValue("clinician"))
	if err != nil {
		return nil, err
	}
	return d.service.Clinician(c.r.Context(), id)
}

func (d *Door) getAction(c *call) (any, error) {
	var digest emr.Digest
	if err := digest.UnmarshalText([]byte(c.r.PathValue("action"))); err != nil {
		return nil, emr.Invalid("action", "must be 64 lower-case hexadecimal digits")
	}
	return d.service.Action(c.r.Context(), digest)
}

// uploaded reads a signed action about an upload.
func uploaded(c *call) (string, *emr.SignedAction, error) {
	upload := c.r.Header.Get(api.UploadHeader)
	if upload == "" {
		return "", nil, emr.Invalid(api.UploadHeader, "must name the upload that holds the record's content")
	}
	signed, err := action(c)
	return upload, signed, err
}

func (d *Door) rekeyRecord(c *call) (any, error) {
	upload, signed, err := uploaded(c)
	if err != nil {
		return nil, err
	}
	receipt, err := d.service.RekeyRecord(c.r.Context(), c.who, upload, signed)
	httpx.SetTransaction(c.r.Context(), receipt.TxID)
	return receipt, err
}

func (d *Door) registerRecord(c *call) (any, error) {
	upload, signed, err := uploaded(c)
	if err != nil {
		return nil, err
	}
	receipt, err := d.service.RegisterRecord(c.r.Context(), c.who, upload, signed)
	httpx.SetTransaction(c.r.Context(), receipt.TxID)
	return receipt, err
}

func (d *Door) getRecord(c *call) (any, error) {
	id, err := recordID(c)
	if err != nil {
		return nil, err
	}
	return d.service.Record(c.r.Context(), c.who, id)
}

func (d *Door) getRequest(c *call) (any, error) {
	id, err := emr.ParseID[emr.RequestID]("request", c.r.PathValue("request"))
	if err != nil {
		return nil, err
	}
	return d.service.Request(c.r.Context(), c.who, id)
}

func (d *Door) getGrant(c *call) (any, error) {
	id, err := emr.ParseID[emr.GrantID]("grant", c.r.PathValue("grant"))
	if err != nil {
		return nil, err
	}
	return d.service.Grant(c.r.Context(), c.who, id)
}

func (d *Door) getEmergency(c *call) (any, error) {
	id, err := emr.ParseID[emr.SessionID]("session", c.r.PathValue("session"))
	if err != nil {
		return nil, err
	}
	return d.service.Emergency(c.r.Context(), c.who, id)
}

func (d *Door) getAmendment(c *call) (any, error) {
	id, err := emr.ParseID[emr.AmendmentID]("amendment", c.r.PathValue("amendment"))
	if err != nil {
		return nil, err
	}
	return d.service.Amendment(c.r.Context(), c.who, id)
}

func (d *Door) recordAmendments(c *call) (any, error) {
	id, err := recordID(c)
	if err != nil {
		return nil, err
	}
	page, err := pageOf(c.r)
	if err != nil {
		return nil, err
	}
	return d.service.RecordAmendments(c.r.Context(), c.who, id, page)
}

func recordID(c *call) (emr.RecordID, error) {
	return emr.ParseID[emr.RecordID]("record", c.r.PathValue("record"))
}

func (d *Door) searchRecords(c *call) (any, error) {
	var in api.Search
	if err := httpx.ReadJSON(c.w, c.r, &in); err != nil {
		return nil, err
	}
	return d.service.SearchRecords(c.r.Context(), c.who, in)
}

func (d *Door) open(c *call) (any, error) {
	signed, err := action(c)
	if err != nil {
		return nil, err
	}
	return d.service.Open(c.r.Context(), c.who, signed)
}

func (d *Door) reencrypt(c *call) (any, error) {
	signed, err := action(c)
	if err != nil {
		return nil, err
	}
	return d.proxy.Reencrypt(c.r.Context(), signed)
}

func (d *Door) revoke(c *call) (any, error) {
	signed, err := action(c)
	if err != nil {
		return nil, err
	}
	revocation, err := d.service.Revoke(c.r.Context(), c.who, signed)
	httpx.SetTransaction(c.r.Context(), revocation.Receipt.TxID)
	return revocation, err
}

func (d *Door) recordAudit(c *call) (any, error) {
	id, err := recordID(c)
	if err != nil {
		return nil, err
	}
	page, err := pageOf(c.r)
	if err != nil {
		return nil, err
	}
	return d.service.RecordAudit(c.r.Context(), c.who, id, page)
}

func (d *Door) readLog(c *call) (any, error) {
	id, err := emr.ParseID[emr.InspectionID]("inspection", c.r.PathValue("inspection"))
	if err != nil {
		return nil, err
	}
	page, err := pageOf(c.r)
	if err != nil {
		return nil, err
	}
	return d.service.ReadLog(c.r.Context(), c.who, id, page)
}

// lister is a use case that lists something of the caller's.
type lister[T any] = func(ctx context.Context, who service.Principal, page service.Page) (T, error)

func paged[T any](list lister[T]) handler {
	return func(c *call) (any, error) {
		page, err := pageOf(c.r)
		if err != nil {
			return nil, err
		}
		return list(c.r.Context(), c.who, page)
	}
}

func pageOf(r *http.Request) (service.Page, error) {
	query := r.URL.Query()
	page := service.Page{Cursor: query.Get("cursor")}
	if text := query.Get("limit"); text != "" {
		limit, err := strconv.Atoi(text)
		if err != nil {
			return page, emr.Invalid("limit", "must be 0 to 100")
		}
		page.Limit = limit
	}
	return page, page.Validate()
}
