// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"fmt"

	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// checkRetention checks a rule by itself.
func checkRetention(rule *emr.RetentionRule) error {
	if _, err := emr.ParseClass("subject.retention.class", string(rule.Class)); err != nil {
		return err
	}
	switch {
	case rule.MinDays > ledgerapi.MaxRetentionDays || rule.MaxDays > ledgerapi.MaxRetentionDays:
		return emr.Invalid("subject.retention", fmt.Sprintf("a bound must be at most %d days", ledgerapi.MaxRetentionDays))
	case rule.MaxDays != 0 && rule.MaxDays < rule.MinDays:
		return emr.Invalid("subject.retention.maxDays", "must not be less than minDays")
	case rule.PatientOverrides && rule.MinDays == 0:
		return emr.Invalid("subject.retention.patientOverrides", "belongs to a minDays")
	}
	return nil
}

// checkNewRetention refuses a rule that is in force already.
func checkNewRetention(s Lookup, rule *emr.RetentionRule) error {
	current, err := ruleFor(s, rule.Class)
	if err != nil {
		return err
	}
	if *current == *rule {
		return emr.E(emr.CodeExists, "the rule is in force already")
	}
	return nil
}

// ruleFor returns the rule for a class; one without bounds when the members have set none.
func ruleFor(s Lookup, class emr.Class) (*emr.RetentionRule, error) {
	found, err := find(s, ledgerapi.RetentionKey(class), versionOfRetention)
	if err != nil || found == nil {
		return &emr.RetentionRule{Class: class}, err
	}
	return &found.Rule, nil
}

// GetRetention returns the rules that the members have set, in the order of the classes.
func GetRetention(r Reader, _ ledgerapi.Empty) (*ledgerapi.RetentionList, error) {
	list := &ledgerapi.RetentionList{Items: []emr.Retention{}}
	for _, class := range emr.Classes() {
		found, err := find(r, ledgerapi.RetentionKey(class), versionOfRetention)
		if err != nil {
			return nil, err
		}
		if found != nil {
			list.Items = append(list.Items, *found)
		}
	}
	return list, nil
}
