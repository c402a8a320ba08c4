// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package api

import (
	"slices"

	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// Access tells who may call an operation.
type Access string

// Kinds of access.
const (
	// AccessPublic needs no token.
	AccessPublic Access = "public"
	// AccessPerson needs the bearer token of a patient or professional of this gateway's organisation.
	AccessPerson Access = "person"
	// AccessGateway needs the client certificate of another organisation's gateway.
	AccessGateway Access = "gateway"
)

// Shape tells how an operation's bodies travel.
type Shape string

// Shapes.
const (
	// ShapeJSON: JSON in, JSON out.
	ShapeJSON Shape = "json"
	// ShapeAction: an emr.SignedAction in, JSON out; Function names the transaction.
	ShapeAction Shape = "action"
	// ShapeUpload: octets in, JSON out. ShapeDownload: nothing in, octets out, byte ranges supported.
	ShapeUpload   Shape = "upload"
	ShapeDownload Shape = "download"
	// ShapeForm: an HTML form in, JSON out (RFC 6749).
	ShapeForm Shape = "form"
)

// Operation is one row of the table.
type Operation struct {
	// Name is the operation's name at every door, for example "grant.create".
	Name string
	// Method and Path are the REST form; path parameters in braces (net/http patterns).
	Method, Path string
	Access       Access
	Shape        Shape
	// Function is the contract's transaction that a ShapeAction relays.
	Function string
	// In and Out are zero values of the bodies; nil where there is none.
	In, Out any
	// Query lists the URL query parameters.
	Query   []string
	Summary string
}

// Operations returns the table. Order is that of the documentation.
func Operations() []Operation {
	return slices.Concat(
		identityOperations(), recordOperations(), sharingOperations(), consentOperations(), lifeOperations(), emergencyOperations(),
		amendmentOperations(), grantingOperations(), erasureOperations(), auditOperations(),
	)
}

func identityOperations() []Operation {
	return []Operation{
		{Name: "token.create", Method: "POST", Path: "/v1/token", Access: AccessPublic, Shape: ShapeForm, Out: TokenResponse{},
			Summary: "Exchange a private_key_jwt assertion for a short-lived token"},
		{Name: "network.get", Method: "GET", Path: "/v1/network", Access: AccessPublic, Shape: ShapeJSON, Out: Network{},
			Summary: "The consortium: channel, policy, organisations and their keys"},
		{Name: "registry.prove", Method: "POST", Path: "/v1/proofs", Access: AccessPerson, Shape: ShapeJSON,
			In: ProofRequest{}, Out: Proof{}, Summary: "A registry entry, endorsed by several organisations"},
		{Name: "patient.register", Method: "POST", Path: "/v1/patients", Access: AccessPerson, Shape: ShapeAction,
			Function: ledgerapi.RegisterPatient, Out: ledgerapi.Receipt{}, Summary: "Pin the caller's keys as a patient"},
		{Name: "patient.resolve", Method: "POST", Path: "/v1/patients/resolve", Access: AccessPerson, Shape: ShapeJSON,
			In: ledgerapi.ResolvePatientQuery{}, Out: ledgerapi.PatientView{}, Summary: "Find a patient's handle, keys and scopes by pseudonym"},
		{Name: "clinician.register", Method: "POST", Path: "/v1/clinicians", Access: AccessPerson, Shape: ShapeAction,
			Function: ledgerapi.RegisterClinician, Out: ledgerapi.Receipt{}, Summary: "Register the caller as a professional"},
		{Name: "clinician.get", Method: "GET", Path: "/v1/clinicians/{clinician}", Access: AccessPerson, Shape: ShapeJSON,
			Out: emr.Clinician{}, Summary: "A professional's registry entry"},
		{Name: "scope.publish", Method: "POST", Path: "/v1/scopes", Access: AccessPerson, Shape: ShapeAction,
			Function: ledgerapi.PublishScopes, Out: ledgerapi.Receipt{}, Summary: "Publish the caller's scopes"},
		{Name: "relationship.propose", Method: "POST", Path: "/v1/relationships", Access: AccessPerson, Shape: ShapeAction,
			Function: ledgerapi.ProposeRelationship, Out: ledgerapi.Receipt{}, Summary: "Propose a treatment relationship"},
		{Name: "relationship.answer", Method: "POST", Path: "/v1/relationships/answer", Access: AccessPerson, Shape: ShapeAction,
			Function: ledgerapi.AnswerRelationship, Out: ledgerapi.Receipt{}, Summary: "Accept or refuse a treatment relationship"},
		{Name: "relationship.list", Method: "GET", Path: "/v1/relationships", Access: AccessPerson, Shape: ShapeJSON,
			Query: pageQuery(), Out: ledgerapi.RelationshipPage{}, Summary: "The calling patient's relationships"},
		{Name: "action.get", Method: "GET", Path: "/v1/actions/{action}", Access: AccessPerson, Shape: ShapeJSON,
			Out: ledgerapi.ActionView{}, Summary: "Whether a signed action has been committed, and as which transaction"},
	}
}

func recordOperations() []Operation {
	return []Operation{
		{Name: "upload.create", Method: "POST", Path: "/v1/uploads", Access: AccessPerson, Shape: ShapeUpload, Out: Upload{},
			Summary: "Store ciphertext in the hospital's content store, to be named by a record"},
		{Name: "upload.delete", Method: "DELETE", Path: "/v1/uploads/{upload}", Access: AccessPerson, Shape: ShapeJSON,
			Summary: "Discard an upload that no record names"},
		{Name: "record.register", Method: "POST", Path: "/v1/records", Access: AccessPerson, Shape: ShapeAction,
			Function: ledgerapi.RegisterRecord, Out: ledgerapi.Receipt{}, Summary: "Register an uploaded record"},
		{Name: "record.get", Method: "GET", Path: "/v1/records/{record}", Access: AccessPerson, Shape: ShapeJSON,
			Out: emr.Record{}, Summary: "A record's public part"},
		{Name: "record.search", Method: "POST", Path: "/v1/records/search", Access: AccessPerson, Shape: ShapeJSON,
			In: Search{}, Out: ledgerapi.RecordPage{}, Summary: "Find a patient's records by class and time"},
		{Name: "disclosure.create", Method: "POST", Path: "/v1/disclosures", Access: AccessPerson, Shape: ShapeAction,
			Function: ledgerapi.Disclose, Out: ledgerapi.DecisionReceipt{}, Summary: "Begin a reading: commit its ticket, or its denial"},
		{Name: "disclosure.open", Method: "POST", Path: "/v1/disclosures/open", Access: AccessPerson, Shape: ShapeAction,
			Function: ledgerapi.OpenTicket, Out: Opening{}, Summary: "Present a ticket to the proxies and collect their fragments"},
		{Name: "disclosure.content", Method: "GET", Path: "/v1/disclosures/{disclosure}/content", Access: AccessPerson, Shape: ShapeDownload,
			Summary: "The ciphertext that a ticket covers"},
		{Name: "proxy.reencrypt", Method: "POST", Path: "/v1/proxy/fragments", Access: AccessGateway, Shape: ShapeAction,
			Function: ledgerapi.OpenTicket, Out: Fragment{}, Summary: "Re-encrypt for a ticket: one gateway asks another"},
	}
}

func sharingOperations() []Operation {
	return []Operation{
		{Name: "request.create", Method: "POST", Path: "/v1/requests", Access: AccessPerson, Shape: ShapeAction,
			Function: ledgerapi.RequestAccess, Out: ledgerapi.DecisionReceipt{}, Summary: "Ask for access to a record"},
		{Name: "request.refuse", Method: "POST", Path: "/v1/requests/refuse", Access: AccessPerson, Shape: ShapeAction,
			Function: ledgerapi.RefuseAccess, Out: ledgerapi.Receipt{}, Summary: "Refuse a request"},
		{Name: "request.list", Method: "GET", Path: "/v1/requests", Access: AccessPerson, Shape: ShapeJSON,
			Query: pageQuery(), Out: ledgerapi.RequestPage{}, Summary: "Requests to the calling patient, or by the calling professional"},
		{Name: "request.get", Method: "GET", Path: "/v1/requests/{request}", Access: AccessPerson, Shape: ShapeJSON,
			Out: ledgerapi.RequestView{}, Summary: "A request as its maker signed it, for the patient and the maker"},
		{Name: "grant.create", Method: "POST", Path: "/v1/grants", Access: AccessPerson, Shape: ShapeAction,
			Function: ledgerapi.GrantAccess, Out: ledgerapi.Receipt{}, Summary: "Give access"},
		{Name: "grant.revoke", Method: "POST", Path: "/v1/grants/revoke", Access: AccessPerson, Shape: ShapeAction,
			Function: ledgerapi.RevokeAccess, Out: Revocation{}, Summary: "Take access back; the answer names who has already read"},
		{Name: "grant.list", Method: "GET", Path: "/v1/grants", Access: AccessPerson, Shape: ShapeJSON,
			Query: pageQuery(), Out: ledgerapi.GrantPage{}, Summary: "Grants of the calling patient, or to the calling professional"},
		{Name: "audit.list", Method: "GET", Path: "/v1/audit", Access: AccessPerson, Shape: ShapeJSON,
			Query: pageQuery(), Out: ledgerapi.AuditPage{}, Summary: "The calling patient's audit trail, newest first"},
		{Name: "audit.record", Method: "GET", Path: "/v1/records/{record}/audit", Access: AccessPerson, Shape: ShapeJSON,
			Query: pageQuery(), Out: ledgerapi.AuditPage{}, Summary: "A record's audit trail, newest first"},
	}
}

func pageQuery() []string { return []string{"limit", "cursor"} }
