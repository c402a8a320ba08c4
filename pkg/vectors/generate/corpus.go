// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/emrys-health/emrys/pkg/vectors"
)

// perTarget is how many files a fuzz target gets: enough to start from, few enough to read.
const perTarget = 8

// corpusSources say which inputs of which cases a fuzz target of pkg/pre starts from.
func corpusSources() map[string]struct{ subject, operation, field string } {
	return map[string]struct{ subject, operation, field string }{
		"FuzzParsePublicKey":        {"keys", "decode_point", "point"},
		"FuzzParsePrivateKey":       {"keys", "decode_scalar", "scalar"},
		"FuzzParseHybridPublicKey":  {"keys", "decode_hybrid_public", "public"},
		"FuzzParseHybridPrivateKey": {"keys", "decode_hybrid_private", "private"},
		"FuzzVerifyP256":            {"keys", "verify_signature", "signature"},
		"FuzzParseCapsule":          {"capsules", "decode_capsule", "capsule"},
		"FuzzParseKeyFragment":      {"fragments", "decode_key_fragment", "fragment"},
		"FuzzParseCapsuleFragment":  {"capsule-fragments", "decode_capsule_fragment", "capsule_fragment"},
		"FuzzParseEnvelope":         {"envelopes", "decode_envelope", "envelope"},
		"FuzzOpenFrom":              {"hybrid", "hybrid_open", "sealed"},
	}
}

// writeCorpus writes the seeds of the fuzz targets: what is accepted first, then near misses from all over the cases.
func writeCorpus(dir string) error {
	for target, source := range corpusSources() {
		m := newMaker(source.subject)
		subjects()[source.subject](m)
		var good, bad []vectors.Case
		for _, c := range m.file.Cases {
			switch {
			case c.Operation != source.operation:
			case c.Failure == nil:
				good = append(good, c)
			default:
				bad = append(bad, c)
			}
		}
		chosen := append([]vectors.Case{}, good[:min(len(good), 2)]...)
		misses := perTarget - len(chosen)
		for i := range misses {
			chosen = append(chosen, bad[i*len(bad)/misses])
		}
		for _, c := range chosen {
			b, err := c.Inputs.Hex(source.field)
			if err != nil {
				return err
			}
			if err := writeSeed(filepath.Join(dir, target), c.Name, b); err != nil {
				return err
			}
		}
	}
	return nil
}

// writeSeed writes one seed in the form of the go command, named after its case.
func writeSeed(dir, name string, b []byte) error {
	name = strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9':
			return r
		default:
			return '-'
		}
	}, name)
	if err := os.MkdirAll(dir, 0o755); err != nil { //nolint:gosec // public files
		return fmt.Errorf("make corpus directory: %w", err)
	}
	text := fmt.Sprintf("go test fuzz v1\n[]byte(%q)\n", b)
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil { //nolint:gosec // public files
		return fmt.Errorf("write seed: %w", err)
	}
	return nil
}
