// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package recovery

import "strings"

const (
	maxSuggestions = 5
	maxTypos       = 2
	maxTyped       = 32 // longer input is no slip of a word, of which the longest has 8 letters
)

// Suggest returns the words of the list that are nearest to a mistyped one: at most five, all at the same distance of at most two letters
// left out, added or changed, in the order of the list; the word itself where it is one of the list. It is for the screen of the person
// who types a paper key: the words belong into no log or error, since they are nearly the secret.
func Suggest(typed string) []string {
	typed = strings.ToLower(strings.TrimSpace(typed))
	if typed == "" || len(typed) > maxTyped {
		return nil
	}
	var near [maxTypos + 1][]string
	for _, w := range wordList() {
		if d := typos([]rune(typed), []rune(w)); d <= maxTypos && len(near[d]) < maxSuggestions {
			near[d] = append(near[d], w)
		}
	}
	for _, words := range near {
		if len(words) > 0 {
			return words
		}
	}
	return nil
}

// typos is the distance of two words in letters (Levenshtein, 1966).
func typos(a, b []rune) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i, r := range a {
		diagonal := row[0]
		row[0] = i + 1
		for j, s := range b {
			changed := diagonal
			if r != s {
				changed++
			}
			diagonal = row[j+1]
			row[j+1] = min(changed, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
