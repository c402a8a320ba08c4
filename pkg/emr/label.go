// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package emr

import "slices"

// Label is a sensitivity label of a record: a category that law or custom guards
// more than its level does. Labels stand in private data alone; the ledger tells
// in public only that a record has one. The list is append-only.
type Label string

// Labels. The codes in brackets are those of HL7 v3 ActCode (sensitivity).
const (
	// LabelSubstanceUse: treatment of substance use disorder under 42 CFR Part 2 [42CFRPart2, SUD].
	LabelSubstanceUse Label = "42-cfr-part-2"
	// LabelGenetic: genetic disease information [GDIS].
	LabelGenetic Label = "genetic"
	// LabelHIV: HIV and AIDS [HIV].
	LabelHIV Label = "hiv"
	// LabelMentalHealth: psychiatry [PSY].
	LabelMentalHealth Label = "mental-health"
	// LabelReproductive: sexuality and reproductive health [SEX].
	LabelReproductive Label = "reproductive"
)

// Labels returns every label, sorted.
func Labels() []Label {
	return []Label{LabelSubstanceUse, LabelGenetic, LabelHIV, LabelMentalHealth, LabelReproductive}
}

// ParseLabel takes text for a label.
func ParseLabel(field, text string) (Label, error) {
	if l := Label(text); slices.Contains(Labels(), l) {
		return l, nil
	}
	return "", Invalid(field, "must be 42-cfr-part-2, genetic, hiv, mental-health or reproductive")
}

// CheckLabels refuses a list that is not sorted, names a label twice or an unknown one.
func CheckLabels(field string, labels []Label) error {
	for i, label := range labels {
		if i > 0 && labels[i-1] >= label {
			return Invalid(field, "must be sorted and name no label twice")
		}
		if _, err := ParseLabel(field, string(label)); err != nil {
			return err
		}
	}
	return nil
}
