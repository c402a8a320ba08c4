// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package device

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/emrys-health/emrys/pkg/pre"
	"github.com/emrys-health/emrys/pkg/pre/recovery"
)

// recoveryHolder is a request to guardians with the one-time key that their answers are sealed to.
type recoveryHolder struct {
	key     *pre.HybridPrivateKey
	request *recovery.Request
}

func (h *recoveryHolder) close() {}

// recoverPaper takes the seeds from a paper key, as somebody typed it. (sheet) -> owner, seeds: from (first epoch), handle.
func (d *Device) recoverPaper(a *arguments) (Fields, error) {
	sheet := a.text("sheet")
	if err := a.end(); err != nil {
		return nil, err
	}
	paper, err := recovery.ParsePaper(sheet)
	if err != nil {
		return nil, recoveryError(err, nil)
	}
	roots := generations(paper.Seeds)
	defer clear(roots)
	check, err := roots.check()
	if err != nil {
		return nil, err
	}
	if paper.Check != "" && !strings.EqualFold(paper.Check, recovery.PaperCheck(check)) {
		return nil, failed(CodeProof, "the words are not those that belong to the check value of the paper key")
	}
	return d.keepRoots(roots, Fields{"owner": paper.Owner})
}

// requestRecovery makes a request that guardians answer. The words are read to them by the patient, so that they answer no
// other's. (owner, backup: id or empty, device: its name, created, expires: seconds) -> handle, request, words.
func (d *Device) requestRecovery(a *arguments) (Fields, error) {
	r := recovery.Request{Owner: a.name("owner"), Backup: a.bytes("backup"), Device: a.text("device")}
	r.Created = time.Unix(int64(a.number("created", 1, maxSeconds)), 0) //nolint:gosec // bounded
	r.Expires = time.Unix(int64(a.number("expires", 1, maxSeconds)), 0) //nolint:gosec // bounded
	if err := a.end(); err != nil {
		return nil, err
	}
	key, err := pre.GenerateHybridKey()
	if err != nil {
		return nil, fmt.Errorf("generate recovery key: %w", err)
	}
	r.Key = key.Public()
	request, err := recovery.NewRequest(nil, r)
	if err != nil {
		return nil, recoveryError(err, nil)
	}
	return d.keep(&recoveryHolder{key, request}, Fields{
		"request": request.Bytes(), "words": strings.Join(request.Words(), " "),
	})
}

// expectNone stands for a fingerprint that its owner has from nowhere.
const expectNone = "none"

// recoverFromGuardians takes the seeds from the guardians' answers to a request. expect is the fingerprint of the owner's hybrid key,
// from an old card or the registry, or "none": whoever saw the request can make up a whole backup, and only that tells it.
// (recovery: handle, answers: a list of answer, expect) -> seeds: from, handle; hybrid: fingerprint; refused: guardians whose answers
// were refused.
func (d *Device) recoverFromGuardians(a *arguments) (Fields, error) {
	h := secret[recoveryHolder](a, "recovery")
	var answers [][]byte
	a.list("answers", func(e *arguments) { answers = append(answers, e.bytes("answer")) })
	expect := a.name("expect")
	if err := a.end(); err != nil {
		return nil, err
	}
	var roots generations
	var hybrid string
	defer func() { clear(roots) }()
	encoded, wrong, err := recovery.Combine(h.key, h.request, answers, func(b []byte, check [recovery.HashSize]byte) error {
		defer clear(b)
		var err error
		if roots, err = parseGenerations(b); err != nil {
			return err
		}
		if own, err := roots.check(); err != nil || own != check {
			return failed(CodeProof, "the seeds are not those of the check value")
		}
		if hybrid, err = roots.hybrid(); err != nil || expect != expectNone && !strings.EqualFold(expect, hybrid) {
			return failed(CodeProof, "the seeds do not give the key with the expected fingerprint")
		}
		return nil
	})
	clear(encoded)
	if err != nil {
		return nil, recoveryError(err, wrong)
	}
	return d.keepRoots(roots, Fields{"hybrid": hybrid, "refused": refusals(refusedGuardians(wrong))})
}

// keepRoots puts each generation of a seed behind a handle of its own.
func (d *Device) keepRoots(roots generations, result Fields) (Fields, error) {
	var seeds []any
	for _, r := range roots {
		entry, err := d.keep(&seedHolder{seed: r.Seed}, Fields{"from": r.From})
		if err != nil {
			return nil, err
		}
		seeds = append(seeds, entry)
	}
	result["seeds"] = seeds
	return result, nil
}

// generations are the generations of a person's seed as a backup holds them: what keystore.Roots is to a key store, without the
// files and passphrases of one, which would make the program half as large again.
type generations []recovery.PaperSeed

// parseGenerations decodes version 1 ‖ count 1 ‖ (first epoch 4 ‖ seed 32)….
func parseGenerations(b []byte) (generations, error) {
	const size = 4 + pre.SeedSize
	if len(b) < 2 || b[0] != 1 || len(b) != 2+int(b[1])*size {
		return nil, failed(CodeMalformed, "the backup holds no seeds")
	}
	var g generations
	for rest := b[2:]; len(rest) > 0; rest = rest[size:] {
		g = append(g, recovery.PaperSeed{From: binary.BigEndian.Uint32(rest), Seed: [pre.SeedSize]byte(rest[4:size])})
	}
	return g, nil
}

// check returns the value by which seeds are recognised, after checking that they can be those of one person: the SHA-256 of,
// for each, its first epoch and the public key of the scope "emrys:root-check" of that epoch.
func (g generations) check() (sum [pre.HashSize]byte, err error) {
	h := sha256.New()
	seen := map[[pre.SeedSize]byte]bool{}
	for i, s := range g {
		if i == 0 && s.From != 1 || i > 0 && s.From <= g[i-1].From || seen[s.Seed] {
			return sum, failed(CodeMalformed, "the seeds are not those of one person")
		}
		seen[s.Seed] = true
		key, err := pre.DeriveScopeKey(s.Seed[:], "emrys:root-check", s.From)
		if err != nil {
			return sum, fmt.Errorf("derive check value: %w", err)
		}
		h.Write(binary.BigEndian.AppendUint32(nil, s.From))
		h.Write(key.Public().Bytes())
	}
	if len(g) == 0 {
		return sum, failed(CodeMalformed, "there are no seeds")
	}
	return [pre.HashSize]byte(h.Sum(nil)), nil
}

// hybrid returns the fingerprint of the key that copies and packages of this person are sealed to (docs/spec/keys.md).
func (g generations) hybrid() (string, error) {
	key, err := pre.DeriveHybridKey(g[0].Seed[:], "copies", 1)
	if err != nil {
		return "", fmt.Errorf("derive hybrid key: %w", err)
	}
	return key.Public().ID().String(), nil
}

// recoveryError classifies the errors of recovery that are none of package pre.
func recoveryError(err error, wrong []*recovery.GuardianError) error {
	code := failureOf(err).Code
	switch {
	case errors.Is(err, recovery.ErrTooFewShares):
		code = CodeTooFew
	case errors.Is(err, recovery.ErrCheck), errors.Is(err, recovery.ErrConflict), errors.Is(err, recovery.ErrOtherBackup):
		code = CodeProof
	case errors.Is(err, recovery.ErrWords):
		code = CodeMalformed
	case code == CodeInternal:
		return err
	}
	return &Error{Code: code, Message: err.Error(), Refused: refusedGuardians(wrong)}
}

func refusedGuardians(wrong []*recovery.GuardianError) []Refusal {
	var out []Refusal
	for _, e := range wrong {
		f := failureOf(e.Err)
		out = append(out, Refusal{e.Guardian, f.Code, "the guardian's answer was refused"})
	}
	return out
}
