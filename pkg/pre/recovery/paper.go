// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package recovery

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"

	"github.com/tyler-smith/go-bip39"
	"github.com/tyler-smith/go-bip39/wordlists"
)

// SeedSize is the length in bytes of a seed on a paper key.
const SeedSize = 32

const (
	wordsPerSeed = 24 // 256 bits and a checksum of 8 (BIP-39)
	checkDigits  = 16 // of the check value, on paper

	maxPaper   = 1 << 20
	paperTitle = "# Emrys paper key. Whoever has these words can, with the hospitals' proxies, read every record.\n"
)

// PaperSeed is one seed with the first epoch that it serves.
type PaperSeed struct {
	From uint32
	Seed [SeedSize]byte
}

// Paper is a paper key (R9): seeds as words of the English BIP-39 list, with the start of a check value of all of them.
type Paper struct {
	Owner string
	Check string // 16 hexadecimal digits: the start of the check value; empty when the sheet has none
	Seeds []PaperSeed
}

// PaperCheck is the part of a check value that stands on paper.
func PaperCheck(check [HashSize]byte) string { return hex.EncodeToString(check[:])[:checkDigits] }

func wordList() []string { return wordlists.English }

// Text returns the sheet. It is the secret.
func (p *Paper) Text() (string, error) {
	var b strings.Builder
	b.WriteString(paperTitle)
	fmt.Fprintf(&b, "owner: %s\ncheck: %s\n", p.Owner, p.Check)
	for _, s := range p.Seeds {
		words, err := bip39.NewMnemonic(s.Seed[:])
		if err != nil {
			return "", fmt.Errorf("write paper key: %w", err)
		}
		fmt.Fprintf(&b, "%d: %s\n", s.From, words)
	}
	if _, err := ParsePaper(b.String()); err != nil {
		return "", parameter("write paper key: owner, check or seeds")
	}
	return b.String(), nil
}

// WordError says which word of a sheet is wrong, by line and position from 1, and never which word it is.
type WordError struct {
	Line, Word int // Word is 0 when the line as a whole is wrong
	Problem    string
}

// Error implements error.
func (e *WordError) Error() string {
	if e.Word == 0 {
		return fmt.Sprintf("line %d: %s: %v", e.Line, e.Problem, ErrWords)
	}
	return fmt.Sprintf("line %d, word %d: %s: %v", e.Line, e.Word, e.Problem, ErrWords)
}

// Unwrap returns ErrWords.
func (e *WordError) Unwrap() error { return ErrWords }

// ParsePaper reads a sheet as somebody typed it: letter case, spaces, empty lines and lines that begin with # do not matter. Everything
// else is a *WordError, which is ErrWords and never repeats what was typed.
func ParsePaper(sheet string) (*Paper, error) {
	if len(sheet) > maxPaper {
		return nil, &WordError{Line: 1, Problem: "the text is too long"}
	}
	p := &Paper{}
	seen := map[string]bool{}
	for i, line := range strings.Split(sheet, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if err := p.parseLine(i+1, line, seen); err != nil {
			return nil, err
		}
	}
	if len(p.Seeds) == 0 {
		return nil, &WordError{Line: 1, Problem: "there are no words"}
	}
	return p, nil
}

func (p *Paper) parseLine(n int, line string, seen map[string]bool) error {
	name, rest, found := strings.Cut(line, ":")
	name, rest = strings.ToLower(strings.TrimSpace(name)), strings.TrimSpace(rest)
	if !found || seen[name] {
		return &WordError{Line: n, Problem: "it is not a line of a paper key, or repeats one"}
	}
	seen[name] = true
	switch name {
	case "owner":
		if p.Owner = rest; !text(rest) {
			return &WordError{Line: n, Problem: "owner"}
		}
		return nil
	case "check":
		p.Check = strings.ToLower(strings.Join(strings.Fields(rest), ""))
		if _, err := hex.DecodeString(p.Check); err != nil || len(p.Check) != checkDigits {
			return &WordError{Line: n, Problem: "the check is not 16 hexadecimal digits"}
		}
		return nil
	}
	from, err := strconv.ParseUint(name, 10, 32)
	if err != nil || len(p.Seeds) > 0 && uint32(from) <= p.Seeds[len(p.Seeds)-1].From {
		return &WordError{Line: n, Problem: "the line does not begin with a rising number"}
	}
	seed, err := parseWords(n, rest)
	if err != nil {
		return err
	}
	p.Seeds = append(p.Seeds, PaperSeed{uint32(from), seed})
	return nil
}

func parseWords(n int, line string) (seed [SeedSize]byte, err error) {
	words := strings.Fields(strings.ToLower(line))
	for i, w := range words {
		if _, known := bip39.GetWordIndex(w); !known {
			return seed, &WordError{Line: n, Word: i + 1, Problem: "it is not in the word list"}
		}
	}
	if len(words) != wordsPerSeed {
		return seed, &WordError{Line: n, Problem: fmt.Sprintf("it has %d words, not %d", len(words), wordsPerSeed)}
	}
	entropy, err := bip39.EntropyFromMnemonic(strings.Join(words, " "))
	if err != nil || len(entropy) != SeedSize {
		return seed, &WordError{Line: n, Problem: "the words are of the list but their checksum fails; one is wrong or they are out of order"}
	}
	defer clear(entropy)
	return [SeedSize]byte(entropy), nil
}
