// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package recovery

import (
	"strings"

	"github.com/emrys-health/emrys/pkg/pre"
)

// MaxGuardians is the greatest number of guardians of one backup.
const MaxGuardians = 255

// Guardian is a person or an organisation that keeps one share.
type Guardian struct {
	ID           string               // who it is: a ledger id or a name the patient chose, 1 to 128 bytes
	Organisation string               // the hospital whose people or office it is; empty for somebody independent
	Key          *pre.HybridPublicKey // what its package is sealed to
}

// Member is a guardian as the others see it.
type Member struct {
	ID           string
	Organisation string
	KeyID        pre.KeyID
}

func (g Guardian) member() Member { return Member{g.ID, g.Organisation, g.Key.ID()} }

// checkMembers is the rule of R4: who may be guardians together. Every device checks it where shares are made, and every guardian
// where one arrives.
func checkMembers(threshold int, members []Member) error {
	if len(members) > MaxGuardians || threshold < 2 || threshold > len(members) {
		return parameter("threshold %d of %d guardians", threshold, len(members))
	}
	ids, keys := map[string]bool{}, map[pre.KeyID]bool{}
	for _, m := range members {
		switch {
		case !text(m.ID) || m.ID != strings.TrimSpace(m.ID):
			return parameter("guardian id %q", m.ID)
		case m.Organisation != "" && (!text(m.Organisation) || m.Organisation != strings.TrimSpace(m.Organisation)):
			return parameter("organisation %q of guardian %q", m.Organisation, m.ID)
		case ids[m.ID] || keys[m.KeyID]:
			return parameter("guardian %q, or its key, is named twice", m.ID)
		}
		ids[m.ID], keys[m.KeyID] = true, true
	}
	return checkOrganisations(threshold, members)
}

// checkOrganisations refuses lists in which the people of one organisation suffice. Somebody independent whose id is the name of another
// guardian's organisation is that organisation.
func checkOrganisations(threshold int, members []Member) error {
	of := map[string]int{}
	for _, m := range members {
		if m.Organisation != "" {
			of[fold(m.Organisation)] = 0
		}
	}
	for _, m := range members {
		name := fold(m.Organisation)
		if name == "" {
			name = fold(m.ID)
		}
		count, named := of[name]
		if !named {
			continue
		}
		if of[name] = count + 1; count+1 >= threshold {
			return &GuardianError{m.ID, ErrRule}
		}
	}
	return nil
}

// fold makes names of organisations that differ in case only one.
func fold(organisation string) string { return strings.ToLower(strings.ToUpper(organisation)) }
