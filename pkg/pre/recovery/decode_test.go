// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package recovery

import (
	"bytes"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/emrys-health/emrys/pkg/pre"
)

// wires returns the encoded objects of guardian 1 for a test to change: both are decoded afresh.
func (c *circle) wires() (shareWire, statementWire) {
	c.t.Helper()
	b, err := c.open(0).share.encode()
	require.NoError(c.t, err)
	var share shareWire
	require.NoError(c.t, decode(b, kindShare, &share, &share.Header))
	var st statementWire
	require.NoError(c.t, decode(share.Statement, kindStatement, &st, &st.Header))
	return share, st
}

// R3, R6 step 3: every field of a share is decoded before anything is computed with it.
func TestEveryFieldOfAShareIsChecked(t *testing.T) {
	t.Parallel()
	c := newCircle(t, 2, 3)
	for name, change := range map[string]func(*shareWire, *statementWire){
		"a share of another version":     func(w *shareWire, _ *statementWire) { w.Header.Version = 2 },
		"a share of another suite":       func(w *shareWire, _ *statementWire) { w.Header.Suite = "EMRYS-PRE-V2" },
		"a share of another kind":        func(w *shareWire, _ *statementWire) { w.Header.Kind = kindAnswer },
		"a statement of another version": func(_ *shareWire, s *statementWire) { s.Header.Version = 0 },
		"a statement of another suite":   func(_ *shareWire, s *statementWire) { s.Header.Suite = "" },
		"a statement of another kind":    func(_ *shareWire, s *statementWire) { s.Header.Kind = kindShare },
		"a short value":                  func(w *shareWire, _ *statementWire) { w.Y = w.Y[1:] },
		"a long value":                   func(w *shareWire, _ *statementWire) { w.Y = append(w.Y, 0) },
		"a value that is not reduced":    func(w *shareWire, _ *statementWire) { w.Y = bytes.Repeat([]byte{0xff}, 32) },
		"a short backup id":              func(_ *shareWire, s *statementWire) { s.Backup = s.Backup[1:] },
		"a long check value":             func(_ *shareWire, s *statementWire) { s.Check = append(s.Check, 0) },
		"an owner with an escape":        func(_ *shareWire, s *statementWire) { s.Owner = "pat\u009b31m" },
		"a time after the year 9999":     func(_ *shareWire, s *statementWire) { s.Created = maxTime + 1 },
		"a time that is negative to Go":  func(_ *shareWire, s *statementWire) { s.Created = 1 << 63 },
		"a short key id":                 func(_ *shareWire, s *statementWire) { s.Members[1].KeyID = s.Members[1].KeyID[1:] },
		"a short commitment":             func(_ *shareWire, s *statementWire) { s.Commitments[1] = s.Commitments[1][1:] },
		"a commitment off the curve": func(_ *shareWire, s *statementWire) {
			s.Commitments[0] = append([]byte{2}, bytes.Repeat([]byte{0xff}, 32)...)
		},
		"the identity as a commitment": func(_ *shareWire, s *statementWire) { s.Commitments[1] = []byte{0} },
		"a commitment of another form": func(_ *shareWire, s *statementWire) {
			s.Commitments[0] = append([]byte{4}, s.Commitments[0][1:]...)
		},
	} {
		w, st := c.wires()
		change(&w, &st)
		var err error
		w.Statement, err = encode(st)
		require.NoError(t, err)
		b, err := encode(w)
		require.NoError(t, err)
		_, err = parseShare(b)
		require.ErrorIs(t, err, pre.ErrMalformed, name)
	}
	w, st := c.wires()
	w.Statement = bytes.Replace(w.Statement, []byte{2, 0x83}, []byte{0x18, 2, 0x83}, 1) // the threshold in a longer form
	require.NotEqual(t, w.Statement, must(encode(st)))
	_, err := parseShare(must(encode(w)))
	require.ErrorIs(t, err, pre.ErrMalformed)
}

func must(b []byte, err error) []byte {
	if err != nil {
		panic(err)
	}
	return b
}

// R8: no byte of an answer can be changed.
func TestEveryByteOfAnAnswerCounts(t *testing.T) {
	t.Parallel()
	c := newCircle(t, 2, 2)
	good := c.answer(0)
	for at := range good {
		changed := bytes.Clone(good)
		changed[at] ^= 1 << (at % 8)
		_, _, err := openAnswer(c.device, c.request, changed)
		require.Error(t, err, "byte %d", at)
	}
	for _, n := range []int{0, 1, len(good) / 2, len(good) - 1} {
		_, _, err := openAnswer(c.device, c.request, good[:n])
		require.ErrorIs(t, err, pre.ErrMalformed)
	}
	_, _, err := openAnswer(c.device, c.request, append(bytes.Clone(good), 0))
	require.ErrorIs(t, err, pre.ErrMalformed)
}

// R4: the bounds are reached.
func TestTwoHundredAndFiftyFiveGuardians(t *testing.T) {
	t.Parallel()
	c := newCircle(t, 3, MaxGuardians)
	got, refused, err := c.combine(c.answers(0, 127, 254)...)
	require.NoError(t, err)
	require.Empty(t, refused)
	require.Equal(t, c.secret, got)
	_, _, err = c.combine(c.answers(253, 254)...)
	require.ErrorIs(t, err, ErrTooFewShares)
}

func TestBoundsOfTimesAreThoseOfWholeSeconds(t *testing.T) {
	t.Parallel()
	c := newCircle(t, 2, 2)
	ask := func(created, expires time.Time) error {
		_, err := NewRequest(nil, Request{Owner: "o", Key: c.device.Public(), Created: created, Expires: expires})
		return err
	}
	half := c.now.Add(time.Second / 2)
	require.ErrorIs(t, ask(c.now, half), pre.ErrParameter, "what rounds to no time is the caller's fault and not malformed")
	require.NoError(t, ask(half, c.now.Add(time.Second)))
	require.NoError(t, ask(c.now, c.now.Add(MaxRequestLife)))
	p := c.plan
	p.Created = time.Unix(maxTime+1, 0)
	_, err := Split(nil, c.secret, p)
	require.ErrorIs(t, err, pre.ErrParameter)
	_, err = Split(bytes.NewReader(make([]byte, 1024)), c.secret, c.plan)
	require.ErrorIs(t, err, pre.ErrParameter, "a source of zeros is the caller's fault")
	require.Equal(t, c.open(0).String(), fmt.Sprintf("%#v", c.open(0)))
	require.Equal(t, c.open(0).String(), c.open(0).GoString())
}

// R8: t good answers are enough, in any order and with anything else among them.
func TestAnyQuorumAmongAnyNoise(t *testing.T) {
	t.Parallel()
	c := newCircle(t, 3, 5)
	answers := c.answers(0, 1, 2, 3, 4)
	rapid.Check(t, func(t *rapid.T) {
		good := rapid.SliceOfNDistinct(rapid.IntRange(0, 4), 0, 5, rapid.ID).Draw(t, "good")
		var sent [][]byte
		for i := range 5 {
			a := bytes.Clone(answers[i])
			if !contains(good, i) {
				a[rapid.IntRange(0, len(a)-1).Draw(t, "at")] ^= 0x80
			}
			sent = append(sent, a)
		}
		got, refused, err := c.combine(rapid.Permutation(sent).Draw(t, "order")...)
		require.Len(t, refused, 5-len(good))
		if len(good) < 3 {
			require.ErrorIs(t, err, ErrTooFewShares)
			require.Nil(t, got)
			return
		}
		require.NoError(t, err)
		require.Equal(t, c.secret, got)
	})
}

func contains(list []int, x int) bool {
	for _, y := range list {
		if x == y {
			return true
		}
	}
	return false
}

// A mistyped word is found again, and what is no word is not guessed at.
func TestSuggestions(t *testing.T) {
	t.Parallel()
	require.Equal(t, []string{"abandon"}, Suggest("abandon"))
	require.Equal(t, []string{"abandon"}, Suggest(" ABANDN "))
	require.Equal(t, []string{"abandon"}, Suggest("abamdpn"))
	require.Contains(t, Suggest("zo"), "zoo")
	require.LessOrEqual(t, len(Suggest("a")), maxSuggestions)
	for _, none := range []string{"", "  ", "xqxqxqxq", string(bytes.Repeat([]byte("a"), 4096))} {
		require.Empty(t, Suggest(none))
	}
	rapid.Check(t, func(t *rapid.T) {
		w := rapid.SampledFrom(wordList()).Draw(t, "word")
		at := rapid.IntRange(0, len(w)-1).Draw(t, "left out")
		for _, s := range Suggest(w[:at] + w[at+1:]) {
			require.Contains(t, wordList(), s)
		}
		require.Equal(t, []string{w}, Suggest(w))
	})
}

func FuzzParseStatement(f *testing.F) {
	c := newCircle(f, 2, 3)
	f.Add(c.open(0).share.statement.encoded)
	f.Add([]byte{0x89})
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := parseStatement(b)
		if err != nil {
			require.ErrorIs(t, err, pre.ErrMalformed)
			return
		}
		require.Equal(t, b, must(encode(s.wire())))
	})
}

func FuzzOpenPackage(f *testing.F) {
	c := newCircle(f, 2, 2)
	f.Add(c.packages[0].Sealed)
	f.Add(c.packages[1].Sealed)
	f.Fuzz(func(t *testing.T, b []byte) {
		_, err := OpenPackage(c.keys[0], b)
		if bytes.Equal(b, c.packages[0].Sealed) {
			require.NoError(t, err)
			return
		}
		require.True(t, errors.Is(err, pre.ErrMalformed) || errors.Is(err, pre.ErrDecrypt), "%v", err)
	})
}
