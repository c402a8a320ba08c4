// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package clienttest

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"

	"github.com/emrys-health/emrys/pkg/api"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// request is one call at a gateway.
type request struct {
	org    *Org
	who    caller
	w      http.ResponseWriter
	r      *http.Request
	signed emr.SignedAction
	action *emr.Action
}

// handler serves every operation of the table that people use.
func (w *World) handler(o *Org) http.Handler {
	mux := http.NewServeMux()
	for _, op := range api.Operations() {
		if op.Access == api.AccessGateway {
			continue
		}
		mux.HandleFunc(op.Method+" "+op.Path, func(rw http.ResponseWriter, r *http.Request) { w.serve(o, op, rw, r) })
	}
	return mux
}

func (w *World) serve(o *Org, op api.Operation, rw http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	w.Calls[op.Name]++
	intercept := w.Intercept
	w.mu.Unlock()
	if intercept != nil && intercept(op.Name, rw, r) {
		return
	}
	q := &request{org: o, w: rw, r: r}
	answer, err := w.perform(op, q)
	w.mu.Lock()
	lost := err == nil && w.LoseAnswers[op.Name] > 0
	if lost {
		w.LoseAnswers[op.Name]--
	}
	if err == nil && w.Misreport[op.Name] != nil {
		err = w.Misreport[op.Name]
		delete(w.Misreport, op.Name)
	}
	w.mu.Unlock()
	switch {
	case lost:
		Hangup(rw)
	case err != nil:
		WriteProblem(rw, err)
	case answer != nil:
		writeBody(rw, answer)
	}
}

func (w *World) perform(op api.Operation, q *request) (any, error) {
	if op.Access == api.AccessPerson {
		w.mu.Lock()
		who, err := w.bearer(q.org, q.r)
		w.mu.Unlock()
		if err != nil {
			return nil, err
		}
		q.who = who
	}
	switch op.Name { // these stream, and lock for themselves
	case "upload.create":
		return w.createUpload(q)
	case "disclosure.content":
		return nil, w.serveContent(q)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if op.Shape == api.ShapeAction {
		return w.act(op, q)
	}
	return w.answer(op.Name, q)
}

// Hangup closes the connection without an answer.
func Hangup(rw http.ResponseWriter) {
	hijacker, ok := rw.(http.Hijacker)
	if !ok {
		panic(http.ErrAbortHandler)
	}
	conn, _, err := hijacker.Hijack()
	if err == nil {
		_ = conn.Close()
	}
}

// WriteProblem answers with an error.
func WriteProblem(rw http.ResponseWriter, err error) {
	statuses := map[emr.Code]int{
		emr.CodeInvalid: 400, emr.CodeUnauthenticated: 401, emr.CodeForbidden: 403, emr.CodeNotFound: 404, emr.CodeExists: 409,
		emr.CodeConflict: 409, emr.CodeRule: 422, emr.CodeUnavailable: 503, emr.CodeTimeout: 504, emr.CodeUnknownOutcome: 504,
		emr.CodeStale: 409, emr.CodeGone: 410,
	}
	p := emr.Public(err)
	status := statuses[p.Code]
	if status == 0 {
		status = http.StatusInternalServerError
	}
	rw.Header().Set("Content-Type", "application/problem+json")
	rw.Header().Set(api.RequestIDHeader, "request-1")
	rw.WriteHeader(status)
	_ = json.NewEncoder(rw).Encode(api.Problem{
		Type: api.ProblemBase + string(p.Code), Title: http.StatusText(status), Status: status, Detail: p.Message, Code: p.Code,
		Field: p.Field, Reason: p.Reason, RequestID: "request-1", TransactionID: p.TxID,
	})
}

func (w *World) createUpload(q *request) (any, error) {
	if !q.who.role.MayWrite() {
		return nil, emr.E(emr.CodeForbidden, "a caller of this role cannot author records")
	}
	data, err := io.ReadAll(q.r.Body)
	if err != nil {
		return nil, emr.Wrap(emr.CodeInvalid, "the body is not whole", err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	digest := emr.Digest(sha256.Sum256(data))
	upload := api.Upload{ID: randomHex(w.tb), CID: "bafk" + digest.String()[:40], Digest: digest, Size: uint64(len(data))}
	w.uploads[upload.ID] = data
	if w.OnUpload != nil {
		w.OnUpload(&upload)
	}
	return upload, nil
}

func (w *World) serveContent(q *request) error {
	w.mu.Lock()
	d, ok := w.disclosures[emr.DisclosureID(q.r.PathValue("disclosure"))]
	if !ok || d.Reader != w.actorOf(q.who) || d.Decision != emr.Permit {
		w.mu.Unlock()
		return emr.E(emr.CodeNotFound, "no such ticket of the caller's")
	}
	data := w.content[w.records[d.Record].Record.CID]
	if w.OnContent != nil {
		data = w.OnContent(data)
	}
	cut := -1
	if w.CutContent > 0 {
		w.CutContent--
		cut = w.CutContentAfter
	}
	w.mu.Unlock()
	from := 0
	if n, _ := fmt.Sscanf(q.r.Header.Get("Range"), "bytes=%d-", &from); n == 1 {
		q.w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, len(data)-1, len(data)))
		q.w.Header().Set("Content-Length", strconv.Itoa(len(data)-from))
		q.w.WriteHeader(http.StatusPartialContent)
	} else {
		q.w.Header().Set("Content-Length", strconv.Itoa(len(data)))
	}
	data = data[from:]
	if cut >= 0 && cut < len(data) {
		_, _ = q.w.Write(data[:cut])
		panic(http.ErrAbortHandler)
	}
	_, _ = q.w.Write(data)
	return nil
}

// answer serves what is asked. The caller holds mu.
func (w *World) answer(operation string, q *request) (any, error) {
	switch operation {
	case "token.create":
		return w.token(q.org, q.r)
	case "network.get":
		return w.network(q.org), nil
	case "registry.prove":
		return w.prove(q)
	case "upload.delete":
		delete(w.uploads, q.r.PathValue("upload"))
		q.w.WriteHeader(http.StatusNoContent)
		return nil, nil //nolint:nilnil // no body
	case "patient.resolve":
		return w.resolve(q)
	case "clinician.get":
		if c, ok := w.clinicians[emr.ClinicianID(q.r.PathValue("clinician"))]; ok {
			return c, nil
		}
	case "record.get":
		if v, ok := w.records[emr.RecordID(q.r.PathValue("record"))]; ok {
			return v.Record, nil
		}
	case "action.get":
		return w.lookUp(q)
	case "record.search":
		return w.search(q)
	case "request.get":
		return w.request(q)
	case "grant.get":
		return w.shownGrant(q)
	case "grant-rule.get":
		return w.rules[emr.Handle(w.actorOf(q.who))], nil
	case "inbox.list":
		return w.inbox(q)
	default:
		return w.list(operation, q)
	}
	return nil, emr.E(emr.CodeNotFound, "no such thing")
}

func (w *World) network(o *Org) api.Network {
	n := api.Network{Channel: Channel, Contract: Contract, Organisation: o.ID, Threshold: w.Threshold, Replicas: 2}
	for _, org := range w.orgs {
		n.Organisations = append(n.Organisations, org.Entry)
	}
	return n
}

func (w *World) lookUp(q *request) (any, error) {
	var digest emr.Digest
	if err := digest.UnmarshalText([]byte(q.r.PathValue("action"))); err != nil {
		return nil, err
	}
	spent, ok := w.spent[digest]
	return ledgerapi.ActionView{Committed: ok, TxID: spent.TxID, ID: spent.ID}, nil
}

func (w *World) resolve(q *request) (any, error) {
	var query ledgerapi.ResolvePatientQuery
	if err := json.NewDecoder(q.r.Body).Decode(&query); err != nil {
		return nil, emr.E(emr.CodeInvalid, "body")
	}
	if view, ok := w.patients[query.Patient]; ok {
		return view, nil
	}
	return nil, emr.E(emr.CodeNotFound, "no such patient")
}

// request answers with a request as it was signed, to its patient and its maker.
func (w *World) request(q *request) (any, error) {
	id, actor := emr.RequestID(q.r.PathValue("request")), w.actorOf(q.who)
	for _, r := range w.requests {
		if r.ID == id && (string(r.Patient) == actor || string(r.By) == actor) {
			view := &ledgerapi.RequestView{Request: r, Signed: w.asked[id]}
			if w.OnRequest != nil {
				w.OnRequest(view)
			}
			return view, nil
		}
	}
	return nil, emr.E(emr.CodeNotFound, "no such request")
}

func (w *World) search(q *request) (any, error) {
	var s api.Search
	if err := json.NewDecoder(q.r.Body).Decode(&s); err != nil {
		return nil, emr.E(emr.CodeInvalid, "body")
	}
	view, ok := w.patients[s.Patient]
	if !ok {
		return nil, emr.E(emr.CodeNotFound, "no such patient")
	}
	page := ledgerapi.RecordPage{Items: []emr.Record{}}
	for i := len(w.order) - 1; i >= 0; i-- {
		r := w.records[w.order[i]].Record
		if r.Patient == view.Patient.Handle && (s.Class == "" || s.Class == r.Class) {
			page.Items = append(page.Items, r)
		}
	}
	return page, nil
}

func (w *World) list(operation string, q *request) (any, error) {
	actor := w.actorOf(q.who)
	switch operation {
	case "request.list":
		return pageOf(q, w.requests, func(r emr.Request) bool { return string(r.Patient) == actor || string(r.By) == actor },
			func(items []emr.Request, next string) any { return ledgerapi.RequestPage{Items: items, Bookmark: next} })
	case "grant.list":
		var grants []emr.Grant
		for _, g := range w.grants {
			grants = append(grants, *g)
		}
		return pageOf(q, grants, func(g emr.Grant) bool {
			return string(g.Terms.Patient) == actor || string(g.Terms.Grantee) == actor
		}, func(items []emr.Grant, next string) any { return ledgerapi.GrantPage{Items: items, Bookmark: next} })
	case "relationship.list":
		return pageOf(q, w.relations, func(r emr.Relationship) bool { return string(r.Patient) == actor },
			func(items []emr.Relationship, next string) any {
				return ledgerapi.RelationshipPage{Items: items, Bookmark: next}
			})
	case "audit.list", "audit.record":
		record := emr.RecordID(q.r.PathValue("record"))
		told := w.audit
		if w.OnAudit != nil {
			told = w.OnAudit(slices.Clone(told))
		}
		return pageOf(q, told, func(e emr.AuditEntry) bool {
			return record != "" && e.Record == record || record == "" && string(e.Patient) == actor
		}, func(items []emr.AuditEntry, next string) any {
			return ledgerapi.AuditPage{Items: items, Bookmark: next}
		})
	}
	return w.consent(operation, q)
}

// pageOf returns what fits, newest first, a page at a time. A bookmark is an offset.
func pageOf[T any](q *request, all []T, fits func(T) bool, page func([]T, string) any) (any, error) {
	limit, err := strconv.Atoi(q.r.URL.Query().Get("limit"))
	if err != nil || limit > ledgerapi.MaxPageSize {
		limit = ledgerapi.DefaultPageSize
	}
	skip, _ := strconv.Atoi(q.r.URL.Query().Get("cursor"))
	items, seen := []T{}, 0
	for i := len(all) - 1; i >= 0; i-- {
		if !fits(all[i]) {
			continue
		}
		if seen++; seen <= skip {
			continue
		}
		if len(items) == limit {
			return page(items, strconv.Itoa(skip+limit)), nil
		}
		items = append(items, all[i])
	}
	return page(items, ""), nil
}
