// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledgermodel

import (
	"slices"
	"strconv"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// homeTypes are the values of a patient that need the home hospital's endorsement.
func homeTypes() []string {
	return []string{ledgerapi.TypeConsent, ledgerapi.TypeGrantRule, ledgerapi.TypeGuardians, ledgerapi.TypePatient}
}

// guarded verifies after a transaction that the patient's values which it wrote need
// the endorsement of the home that the patient has now, that no other value does,
// and that from the registration, and after a move, none of them is left out.
func (m *Model) guarded(s *step, out *Outcome) {
	m.t.Helper()
	if !out.Seen {
		return
	}
	var written []string
	for _, w := range out.Written {
		home, guarded := out.Home(w.Key)
		if w.Key.Type == ledgerapi.TypeHomeMove {
			require.True(m.t, guarded, "a move that anybody could write over: %s", s)
			continue
		}
		if !slices.Contains(homeTypes(), w.Key.Type) {
			require.False(m.t, guarded, "a %s that needs the home: %s", w.Key.Type, s)
			continue
		}
		p := m.patientOf(emr.Handle(w.Key.Attributes[0]))
		require.NotNil(m.t, p, "%s", s)
		require.True(m.t, guarded, "a %s that does not need the home: %s", w.Key.Type, s)
		require.Equal(m.t, p.org, home, "the guard of a %s: %s", w.Key.Type, s)
		require.Equal(m.t, p.generation, generationOf(m, w.Key), "the generation of a %s: %s", w.Key.Type, s)
		written = append(written, w.Key.Type)
	}
	if s.function == ledgerapi.RegisterPatient || s.function == ledgerapi.MoveHome {
		slices.Sort(written)
		require.Equal(m.t, homeTypes(), written, "the patient's values, each once: %s", s)
	}
}

func generationOf(m *Model, key ledgerapi.Key) uint32 {
	m.t.Helper()
	if len(key.Attributes) == 1 {
		return 0
	}
	n, err := strconv.ParseUint(key.Attributes[1], 10, 32)
	require.NoError(m.t, err)
	return uint32(n)
}
