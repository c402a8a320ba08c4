// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"bytes"
	"cmp"
	"fmt"
	"time"

	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// maxFragment bounds one sealed key fragment in bytes.
const maxFragment = 8 << 10

// checkTerms checks everything that can be told from the terms, the channel and the time.
func checkTerms(terms *emr.GrantTerms, channel string, now emr.Time) error {
	if terms.Channel != channel {
		return emr.Invalid("terms.channel", "is another channel")
	}
	if err := checkTermIDs(terms); err != nil {
		return err
	}
	if err := checkPurposes(terms.Purposes); err != nil {
		return err
	}
	if err := checkPeriod(terms, now); err != nil {
		return err
	}
	if terms.MaxUses > ledgerapi.MaxGrantUses {
		return emr.Invalid("terms.maxUses", fmt.Sprintf("must be at most %d", ledgerapi.MaxGrantUses))
	}
	if err := checkDirectTerms(terms); err != nil || terms.Direct {
		return err
	}
	if int(terms.Threshold) < ledgerapi.MinThreshold || int(terms.Threshold) > len(terms.Gateways) {
		return emr.Invalid("terms.threshold",
			fmt.Sprintf("must be at least %d and at most the number of gateways", ledgerapi.MinThreshold))
	}
	if !rising(terms.Gateways) {
		return emr.Invalid("terms.gateways", "must be sorted and name none twice")
	}
	for _, gateway := range terms.Gateways {
		if gateway == terms.Org {
			return emr.Invalid("terms.gateways", "must not name the grantee's own organisation")
		}
	}
	return nil
}

func checkTermIDs(terms *emr.GrantTerms) error {
	if err := emr.CheckID("terms.grant", terms.Grant); err != nil {
		return err
	}
	if err := emr.CheckID("terms.scope", terms.Scope); err != nil {
		return err
	}
	if err := emr.CheckID("terms.grantee", terms.Grantee); err != nil {
		return err
	}
	if terms.Records == nil || len(terms.Records) > ledgerapi.MaxRecordsPerGrant || !rising(terms.Records) {
		return emr.Invalid("terms.records",
			fmt.Sprintf("must be a list of at most %d records, sorted, none twice", ledgerapi.MaxRecordsPerGrant))
	}
	for _, record := range terms.Records {
		if err := emr.CheckID("terms.records", record); err != nil {
			return err
		}
	}
	return nil
}

func checkPurposes(purposes []emr.Purpose) error {
	if len(purposes) == 0 || !rising(purposes) {
		return emr.Invalid("terms.purposes", "must hold at least one purpose, sorted, none twice")
	}
	for _, purpose := range purposes {
		if _, err := emr.ParsePurpose("terms.purposes", string(purpose)); err != nil {
			return err
		}
	}
	return nil
}

func checkPeriod(terms *emr.GrantTerms, now emr.Time) error {
	const longest = ledgerapi.MaxGrantDays * 24 * time.Hour
	switch {
	case terms.NotBefore <= 0 || terms.NotBefore >= terms.Until:
		return emr.Invalid("terms.notBefore", "must be present and before until")
	case terms.Until <= now:
		return emr.Invalid("terms.until", "is over already")
	case terms.Until > now.Add(longest):
		return emr.Invalid("terms.until", fmt.Sprintf("must be at most %d days ahead", ledgerapi.MaxGrantDays))
	}
	return nil
}

// rising tells whether a list is sorted and holds nothing twice.
func rising[T cmp.Ordered](list []T) bool {
	for i := 1; i < len(list); i++ {
		if list[i-1] >= list[i] {
			return false
		}
	}
	return true
}

// checkFragments checks that there is one sealed fragment for each gateway, in their order.
func checkFragments(fragments []emr.SealedFragment, gateways []emr.OrgID) error {
	if len(fragments) != len(gateways) {
		return emr.Invalid("fragments", "must hold one fragment for each gateway")
	}
	for i := range fragments {
		field := fmt.Sprintf("fragments[%d]", i)
		switch {
		case fragments[i].Gateway != gateways[i]:
			return emr.Invalid(field+".gateway", "must be in the order of terms.gateways")
		case len(fragments[i].Sealed) == 0:
			return emr.Invalid(field+".sealed", "must not be empty")
		case len(fragments[i].Sealed) > maxFragment:
			return &emr.Error{Code: emr.CodeTooLarge, Field: field + ".sealed", Message: "is larger than 8 KiB"}
		case fragments[i].Commitment.IsZero():
			return emr.Invalid(field+".commitment", "must be present")
		}
	}
	return nil
}

// checkGateways checks that every gateway's organisation is registered.
func checkGateways(s Lookup, gateways []emr.OrgID) error {
	for _, gateway := range gateways {
		if _, err := emr.ParseOrgID("terms.gateways", string(gateway)); err != nil {
			return err
		}
		org, err := organisation(s, gateway)
		if err != nil {
			return err
		}
		if org == nil || org.Removed != 0 {
			return emr.Invalid("terms.gateways", "names an organisation that is not a member")
		}
	}
	return nil
}

// checkGrantee checks that the grantee is who the terms say, with the key that
// they name, and may use what they allow.
func checkGrantee(s Lookup, terms *emr.GrantTerms) (*emr.Clinician, error) {
	grantee, err := requireClinician(s, terms.Grantee)
	if err != nil {
		return nil, err
	}
	if err := refuseInactive(grantee); err != nil {
		return nil, err
	}
	if grantee.Org != terms.Org {
		return nil, emr.Invalid("terms.org", "is not the grantee's organisation")
	}
	member, err := (&person{clinician: grantee}).ofMember(s)
	if err != nil {
		return nil, err
	}
	if !member {
		return nil, &emr.Error{
			Code: emr.CodeRule, Reason: emr.ReasonOrganisation, Field: "terms.grantee", Message: emr.ReasonOrganisation.Explain(),
		}
	}
	if terms.Direct && terms.ReaderHybrid != hybridHash(grantee) {
		return nil, &emr.Error{
			Code: emr.CodeStale, Reason: emr.ReasonReaderKey, Field: "terms.readerHybrid", Message: "is not that of the grantee's current hybrid key",
		}
	}
	if !bytes.Equal(grantee.Reading, terms.Reader) {
		return nil, &emr.Error{
			Code: emr.CodeStale, Reason: emr.ReasonReaderKey, Field: "terms.reader", Message: "is not the grantee's current reading key",
		}
	}
	for _, purpose := range terms.Purposes {
		if !grantee.Role.MayUse(purpose) || purpose.Emergency() {
			return nil, &emr.Error{
				Code: emr.CodeRule, Reason: emr.ReasonPurpose, Field: "terms.purposes", Message: "the grantee's role does not allow a purpose, or it is an emergency's",
			}
		}
	}
	return grantee, nil
}

// checkCoverage checks that scope and records are the patient's, that the records
// are of the scope, and that the grantee's level covers them.
// It returns the scope.
func checkCoverage(s Lookup, terms *emr.GrantTerms, grantee *emr.Clinician) (*emr.Scope, error) {
	scope, err := scopeOf(s, terms.Patient, terms.Scope, terms.Epoch)
	if err != nil {
		return nil, err
	}
	tooLow := emr.Refused(emr.ReasonLevel, "the grantee's level is below that of what is granted")
	if len(terms.Records) == 0 && !grantee.Level.Covers(scope.Level) {
		return nil, tooLow
	}
	for _, id := range terms.Records {
		record, err := recordOf(s, id)
		if err != nil {
			return nil, err
		}
		if record.Patient != terms.Patient { // as of one that nobody has
			return nil, missing(ledgerapi.TypeRecord)
		}
		if record.Scope != scope.ID {
			return nil, missing(ledgerapi.TypeRecord + " in the scope")
		}
		if err := refuseClosed(record); err != nil {
			return nil, err
		}
		if !grantee.Level.Covers(record.Level) {
			return nil, tooLow
		}
	}
	return scope, nil
}
