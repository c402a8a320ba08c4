// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package recovery

import (
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/pkg/pre"
)

// forge answers c's request, as anyone can who sees it, with all shares of a backup made up for the purpose.
func (c *circle) forge(threshold, guardians int) [][]byte {
	c.t.Helper()
	f := newCircle(c.t, threshold, guardians)
	f.plan.Check[0] ^= 0xff
	var err error
	f.packages, err = Split(nil, []byte("a seed that the forger knows"), f.plan)
	require.NoError(c.t, err)
	f.request = c.request
	all := make([]int, guardians)
	for i := range all {
		all[i] = i
	}
	return f.answers(all...)
}

// R8: sealing authenticates nobody, so a made-up quorum must not stand in the way of the true one.
func TestAForgedQuorumDoesNotStopTheTrueOne(t *testing.T) {
	t.Parallel()
	c := newCircle(t, 3, 4)
	honest := c.answers(0, 1, 2)
	for name, answers := range map[string][][]byte{
		"after the true one":  append(append([][]byte{}, honest...), c.forge(2, 2)...),
		"before the true one": append(c.forge(2, 3), honest...),
		"several":             append(append(c.forge(2, 2), c.forge(2, 2)...), honest...),
	} {
		got, refused, err := c.combine(answers...)
		require.NoError(t, err, name)
		require.Equal(t, c.secret, got, name)
		require.Len(t, refused, len(answers)-3, name)
		for _, r := range refused {
			require.ErrorIs(t, r, ErrCheck, name)
		}
	}
	_, refused, err := c.combine(append(c.forge(2, 2), honest[:2]...)...)
	require.ErrorIs(t, err, ErrCheck, "a forged quorum is no quorum")
	require.Len(t, refused, 2)
	_, _, err = c.combine(append(c.forge(2, 2), c.forge(2, 2)...)...)
	require.ErrorIs(t, err, ErrCheck)
}

// A caller may keep what it decoded in verify. What it keeps must be what Combine returns.
func TestTheLastSecretThatIsVerifiedIsTheOneReturned(t *testing.T) {
	t.Parallel()
	c := newCircle(t, 2, 3)
	for range 8 { // the order of groups is that of their random ids
		var kept []byte
		got, _, err := Combine(c.device, c.request, append(c.forge(2, 2), c.answers(0, 2)...), func(b []byte, check [HashSize]byte) error {
			kept = b
			if check != c.plan.Check {
				return errors.New("not the owner's keys")
			}
			return nil
		})
		require.NoError(t, err)
		require.Equal(t, c.secret, got)
		require.Equal(t, c.secret, kept)
	}
}

// R8: a group in which the wrapped secret does not open is refused like one that verify refuses.
func TestABackupThatDoesNotUnwrapDoesNotStopAnother(t *testing.T) {
	t.Parallel()
	c := newCircle(t, 2, 3)
	var broken [][]byte
	for i := range 2 {
		s := *c.open(i).share
		st := *s.statement
		st.created++
		require.NoError(t, st.seal())
		s.statement = &st
		a, err := (&Package{&s}).Answer(c.request, c.now)
		require.NoError(t, err)
		broken = append(broken, a)
	}
	got, refused, err := c.combine(append(broken, c.answers(0, 1)...)...)
	require.NoError(t, err)
	require.Equal(t, c.secret, got)
	require.Len(t, refused, 2)
	require.ErrorIs(t, refused[0], pre.ErrDecrypt)
}

// R4: an organisation does not become independent by being named as a person.
func TestAnOrganisationCountsWithItsPeople(t *testing.T) {
	t.Parallel()
	member := func(id, organisation string, n byte) Member { return Member{id, organisation, pre.KeyID{n}} }
	require.ErrorIs(t, checkMembers(3, []Member{
		member("Hospital A", "", 1), member("x", "hospital a", 2), member("y", "HOSPITAL A", 3), member("z", "", 4),
	}), ErrRule)
	require.ErrorIs(t, checkMembers(3, []Member{
		member("x", "hospital a", 2), member("y", "HOSPITAL A", 3), member("hospital A", "", 1), member("z", "", 4),
	}), ErrRule, "in any order")
	require.ErrorIs(t, checkMembers(3, []Member{
		member("office", "Hospital A", 1), member("x", "Hospital A", 2), member("y", "Hospital A", 3), member("z", "", 4),
	}), ErrRule)
	require.NoError(t, checkMembers(3, []Member{
		member("Hospital A", "", 1), member("x", "Hospital A", 2), member("y", "Hospital B", 3), member("z", "Hospital B", 4),
	}))
	require.NoError(t, checkMembers(2, []Member{member("Hospital A", "Hospital B", 1), member("x", "Hospital A", 2)}),
		"who names an organisation is of that one")
}

// R3: what people read is what is there.
func TestNamesThatHideSomethingAreRefused(t *testing.T) {
	t.Parallel()
	for _, r := range []rune{0, 0x1b, 0x1f, 0x7f, 0x80, 0x9b, 0x9f, 0xad, 0x61c, 0x180e, 0x200b, 0x200e, 0x200f, 0x2028, 0x202a, 0x202e, 0x2060, 0x2066,
		0x2069, 0x206f, 0xfeff} {
		require.False(t, text("a"+string(r)+"b"), "%U", r)
	}
	for _, s := range []string{"a", "Ä b", "\u0645\u06cc\u200c\u062e", "山田", "\u00a0", "\u2027", "\u202f", "\u205f", strings.Repeat("x", 128)} {
		require.True(t, text(s), "%q", s)
	}
	require.False(t, text(""))
	require.False(t, text(strings.Repeat("x", 129)))
}
