// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package recovery

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/pkg/pre"
)

func paper() *Paper {
	p := &Paper{Owner: "pat_1", Check: PaperCheck([HashSize]byte{0xab, 0xcd}), Seeds: []PaperSeed{{From: 1}, {From: 9}}}
	for i := range p.Seeds[1].Seed {
		p.Seeds[1].Seed[i] = byte(i)
	}
	return p
}

// The words of 32 zero bytes are a published vector of BIP-39 (R9).
const zeroWords = "abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon " +
	"abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon art"

func TestAPaperKeyIsReadAsItWasWritten(t *testing.T) {
	t.Parallel()
	sheet, err := paper().Text()
	require.NoError(t, err)
	require.Contains(t, sheet, "\n1: "+zeroWords+"\n")
	require.Contains(t, sheet, "check: abcd000000000000\n")
	got, err := ParsePaper(sheet)
	require.NoError(t, err)
	require.Equal(t, paper(), got)

	typed := "\n  1 :  " + strings.ToUpper(strings.ReplaceAll(zeroWords, " ", "   ")) + "\r\n\n# a note\nCHECK: ABCD 0000 0000 0000\n"
	got, err = ParsePaper(typed)
	require.NoError(t, err)
	require.Equal(t, paper().Seeds[:1], got.Seeds)
	require.Equal(t, paper().Check, got.Check)
	require.Empty(t, got.Owner)
}

func TestWordsThatAreRefusedAreNotRepeated(t *testing.T) {
	t.Parallel()
	words := strings.Fields(zeroWords)
	with := func(at int, w string) string {
		changed := append([]string(nil), words...)
		changed[at] = w
		return "1: " + strings.Join(changed, " ")
	}
	for name, tc := range map[string]struct {
		sheet      string
		line, word int
	}{
		"nothing":                  {"", 1, 0},
		"a comment only":           {"# words", 1, 0},
		"no number":                {zeroWords, 1, 0},
		"a name that is no number": {"first: " + zeroWords, 1, 0},
		"a negative number":        {"-1: " + zeroWords, 1, 0},
		"a number too large":       {"4294967296: " + zeroWords, 1, 0},
		"a word not in the list":   {with(6, "emrys"), 1, 7},
		"a word of another list":   {with(0, "ábaco"), 1, 1},
		"a wrong word of the list": {with(3, "zoo"), 1, 0},
		"words in another order":   {with(0, "art"), 1, 0},
		"a word too few":           {"1: " + strings.Join(words[1:], " "), 1, 0},
		"a word too many":          {"1: " + zeroWords + " abandon", 1, 0},
		"twelve words":             {"1: " + strings.Repeat("abandon ", 11) + "about", 1, 0},
		"numbers that do not rise": {"5: " + zeroWords + "\n3: " + zeroWords, 2, 0},
		"a number twice":           {"5: " + zeroWords + "\n5: " + zeroWords, 2, 0},
		"a short check":            {"check: ab\n1: " + zeroWords, 1, 0},
		"a check that is no hex":   {"check: xxxxxxxxxxxxxxxx\n1: " + zeroWords, 1, 0},
		"a check twice":            {"check: abcd000000000000\ncheck: abcd000000000000", 2, 0},
		"an owner that is empty":   {"owner:\n1: " + zeroWords, 1, 0},
		"a text without end":       {strings.Repeat(" ", maxPaper+1), 1, 0},
	} {
		_, err := ParsePaper(tc.sheet)
		require.ErrorIs(t, err, ErrWords, name)
		var where *WordError
		require.True(t, errors.As(err, &where), name)
		require.Equal(t, [2]int{tc.line, tc.word}, [2]int{where.Line, where.Word}, name)
		for _, w := range []string{"abandon", "zoo", "ábaco", "about"} {
			require.NotContains(t, err.Error(), w, name)
		}
	}
	for name, p := range map[string]*Paper{
		"no seed":                 {Owner: "o", Check: "abcd000000000000"},
		"no check":                {Owner: "o", Seeds: paper().Seeds},
		"an owner with a newline": {Owner: "o\n9: " + zeroWords, Check: "abcd000000000000", Seeds: paper().Seeds},
		"seeds that fall":         {Owner: "o", Check: "abcd000000000000", Seeds: []PaperSeed{{From: 2}, {From: 1}}},
	} {
		_, err := p.Text()
		require.ErrorIs(t, err, pre.ErrParameter, name)
	}
}

func FuzzParsePaper(f *testing.F) {
	sheet, err := paper().Text()
	require.NoError(f, err)
	f.Add(sheet)
	f.Add("1: " + zeroWords)
	f.Add("check: 0\nowner: x")
	f.Fuzz(func(t *testing.T, sheet string) {
		p, err := ParsePaper(sheet)
		if err != nil {
			require.ErrorIs(t, err, ErrWords)
			return
		}
		for _, s := range p.Seeds {
			again := &Paper{Owner: "o", Check: "abcd000000000000", Seeds: []PaperSeed{s}}
			text, err := again.Text()
			require.NoError(t, err)
			back, err := ParsePaper(text)
			require.NoError(t, err)
			require.Equal(t, again.Seeds, back.Seeds, fmt.Sprint(s.From))
		}
	})
}

func TestAnErrorOfASheetSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	_, err := ParsePaper("1: abandon abandon art")
	require.ErrorContains(t, err, "it has 3 words, not 24")
	require.NotContains(t, err.Error(), "word 0")
	sheet, err := paper().Text()
	require.NoError(t, err)
	fits := sheet + strings.Repeat("#", maxPaper-len(sheet))
	_, err = ParsePaper(fits)
	require.NoError(t, err)
	_, err = ParsePaper(fits + "#")
	require.ErrorContains(t, err, "too long")
}
