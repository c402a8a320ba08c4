// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledgerapi

import "slices"

// Names on the ledger.
const (
	// ChaincodeName is the default name of the chaincode.
	ChaincodeName = "emrys"
	// ContractName is the name of its one contract.
	ContractName = "emrys"
	// Collection is the private data collection of the member organisations.
	Collection = "sealed"
	// TransientAction is the transient field that carries a JSON emr.SignedAction.
	TransientAction = "action"
)

// Transactions of people. The argument is a signed action in TransientAction
// whose Function is the same name and whose Args are the struct named here.
const (
	RegisterPatient     = "RegisterPatient"     // RegisterPatientArgs -> Receipt, by the patient
	RegisterClinician   = "RegisterClinician"   // RegisterClinicianArgs -> Receipt, by the clinician
	PublishScopes       = "PublishScopes"       // PublishScopesArgs -> Receipt, by the patient
	ProposeRelationship = "ProposeRelationship" // ProposeRelationshipArgs -> Receipt, by a clinician of the hospital
	AnswerRelationship  = "AnswerRelationship"  // AnswerRelationshipArgs -> Receipt, by the patient
	RegisterRecord      = "RegisterRecord"      // emr.Manifest -> Receipt, by the author
	RequestAccess       = "RequestAccess"       // RequestAccessArgs -> DecisionReceipt, by a clinician
	RefuseAccess        = "RefuseAccess"        // RefuseAccessArgs -> Receipt, by the patient
	GrantAccess         = "GrantAccess"         // GrantAccessArgs -> Receipt, by the patient
	RevokeAccess        = "RevokeAccess"        // RevokeAccessArgs -> Receipt, by the patient
	Disclose            = "Disclose"            // DiscloseArgs -> DecisionReceipt, by a clinician or the patient
)

// Transactions of organisations. They take one JSON argument.
const (
	// RegisterOrganisation: RegisterOrganisationArgs -> Receipt, by an admin of the organisation.
	RegisterOrganisation = "RegisterOrganisation"
	// RecordAttempt: OpenTicketArgs -> DecisionReceipt, by the gateway that refused, with the signed action of whoever presented a ticket
	// that does not hold: commits the attempt. It fails when the ticket does hold.
	RecordAttempt = "RecordAttempt"
)

// Governance: transactions of organisations, by their administrators. They take one JSON argument.
const (
	CloseFounding = "CloseFounding" // Empty -> Receipt, by an admin of a member: from then on an organisation joins by vote
	Propose       = "Propose"       // ProposeArgs -> Receipt, by an admin of a member, whose first vote it is
	CastVote      = "CastVote"      // CastVoteArgs -> Receipt, by an admin of a member, once for each proposal
)

// OpenTicket is not a transaction: it is the Function of the signed action by
// which a reader presents a ticket to the proxies (OpenTicketArgs).
const OpenTicket = "OpenTicket"

// Queries. They take one JSON argument and are never submitted.
const (
	GetOrganisations  = "GetOrganisations"  // Empty -> OrganisationList
	ResolvePatient    = "ResolvePatient"    // ResolvePatientQuery -> PatientView; gateways only
	GetPatient        = "GetPatient"        // HandleQuery -> PatientView
	GetClinician      = "GetClinician"      // ClinicianQuery -> emr.Clinician
	GetRecord         = "GetRecord"         // RecordQuery -> emr.Record
	GetManifest       = "GetManifest"       // RecordQuery -> ManifestView; gateways only
	SearchRecords     = "SearchRecords"     // SearchQuery -> RecordPage
	ListRelationships = "ListRelationships" // PageQuery by patient -> RelationshipPage
	ListRequests      = "ListRequests"      // PageQuery by patient or clinician -> RequestPage
	GetRequest        = "GetRequest"        // RequestQuery -> emr.Request
	GetRequestAction  = "GetRequestAction"  // RequestQuery -> RequestView; gateways only
	ListGrants        = "ListGrants"        // PageQuery by patient or clinician -> GrantPage
	GetGrant          = "GetGrant"          // GrantQuery -> emr.Grant
	GetDisclosure     = "GetDisclosure"     // DisclosureQuery -> emr.Disclosure
	GetAction         = "GetAction"         // ActionQuery -> ActionView: whether and where an action was committed
	CheckTicket       = "CheckTicket"       // CheckTicketQuery -> Ticket; gateways only
	AuditByPatient    = "AuditByPatient"    // PageQuery by patient -> AuditPage, newest first
	AuditByRecord     = "AuditByRecord"     // PageQuery by record -> AuditPage, newest first
	GetAuditHead      = "GetAuditHead"      // HandleQuery -> emr.AuditHead

	// Governance.
	GetConstitution = "GetConstitution" // Empty -> ConstitutionView
	GetProposal     = "GetProposal"     // ProposalQuery -> emr.Proposal
	ListProposals   = "ListProposals"   // ListQuery -> ProposalPage, newest first
	GetRelease      = "GetRelease"      // ReleaseQuery -> emr.PublishedRelease: whether the members have published a bundle
)

// SignedTransactions lists the transactions of people.
func SignedTransactions() []string {
	return slices.Concat([]string{
		RegisterPatient, RegisterClinician, PublishScopes, ProposeRelationship, AnswerRelationship, RegisterRecord,
		RequestAccess, RefuseAccess, GrantAccess, RevokeAccess, Disclose,
		// Standing consent.
		PutConsent, WithdrawConsent, NameDelegate, EndDelegation,
	}, lifeTransactions(), emergencyTransactions(), amendmentTransactions(), homeTransactions(), auditTransactions(), grantingTransactions(), erasureTransactions())
}

// OrganisationTransactions lists the transactions of organisations.
func OrganisationTransactions() []string {
	return slices.Concat([]string{
		RegisterOrganisation, RecordAttempt,
		// Governance.
		CloseFounding, Propose, CastVote,
		// Emergency sessions.
		SetEmergencyRules,
		// Batches.
		DiscloseBatch,
		// Holds.
		HoldRecord,
		// Certificates.
		RevokeCertificates,
	}, lifeOrganisationTransactions(), auditOrganisationTransactions(), erasureOrganisationTransactions())
}

// Unstoppable lists the functions that no vote can stop: those by which a patient
// takes back, refuses, declines or contests, those that end or judge an emergency,
// and the one without which the overseer sees nothing.
func Unstoppable() []string {
	return []string{
		RevokeAccess, RefuseAccess, WithdrawConsent, EndDelegation, VetoRecovery, SetEmergencyPlan, ContestEmergency, CloseEmergency,
		ReviewEmergency, AskAmendment, DisputeAmendment, InspectLog,
		// Taking back in part, and for good.
		NarrowGrant, EraseRecord, RollScope,
	}
}

// Queries lists the queries.
func Queries() []string {
	return slices.Concat([]string{
		GetOrganisations, ResolvePatient, GetPatient, GetClinician, GetRecord, GetManifest, SearchRecords,
		ListRelationships, ListRequests, GetRequest, GetRequestAction, ListGrants, GetGrant, GetDisclosure, GetAction,
		CheckTicket, AuditByPatient, AuditByRecord, GetAuditHead,
		// Governance.
		GetConstitution, GetProposal, ListProposals, GetRelease,
		// Standing consent.
		GetConsent, ListConsents, PreviewConsent, ListDelegations,
		// Certificates.
		ListRevocations,
		// The contract itself.
		GetContract,
	}, lifeQueries(), emergencyQueries(), amendmentQueries(), auditQueries(), grantingQueries(), erasureQueries())
}

// Events. One event per transaction at most; the payload is Event.
const (
	EventRecordRegistered = "record.registered" // a record was registered: other hospitals pin its content
	EventAccessRequested  = "access.requested"  // somebody asked for a record, whatever was decided
	EventAccessGranted    = "access.granted"    // a patient gave access
	EventAccessRevoked    = "access.revoked"    // a patient took a grant back
	EventDisclosed        = "disclosed"         // a reading began, or was denied
)

// Events of governance.
const (
	EventProposed = "governance.proposed" // a question was put to the members
	EventDecided  = "governance.decided"  // the members accepted or rejected a proposal
)

// Limits that the contract enforces.
const (
	// MaxPageSize is the largest page; a query that asks for 0 gets DefaultPageSize.
	MaxPageSize     = 100
	DefaultPageSize = 50
	// MaxScopesPerCall, MaxRecordsPerGrant and MaxGrantUses bound one transaction's reads and writes.
	MaxScopesPerCall   = 32
	MaxRecordsPerGrant = 100
	MaxGrantUses       = 100
	// MaxGrantDays is the longest a grant may live, TicketSeconds the life of a ticket.
	MaxGrantDays  = 365
	TicketSeconds = 600
	// MinThreshold is the least t of a grant and of a record's share layer.
	MinThreshold = 2
	// MinMembers is the least number of members: t proxies besides the reader's own organisation.
	MinMembers = MinThreshold + 1
	// MinProposalDays and MaxProposalDays bound how long a proposal is open.
	MinProposalDays = 1
	MaxProposalDays = 30
	// ContractVersion counts the rules: peers of one version compute the same.
	ContractVersion = 1
)
