// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"crypto/subtle"
	"fmt"
	"io"
	"os"

	"golang.org/x/term"

	"github.com/emrys-health/emrys/pkg/emr"
)

// maxPassphrase bounds a passphrase in bytes.
const maxPassphrase = 1024

// passphrase reads the passphrase from the file that flag or variable names, or
// returns nil when neither does. Only the first line counts.
func (a *app) passphrase() ([]byte, error) {
	path := a.passphraseFile
	if path == "" {
		path = a.getenv(passphraseVariable)
	}
	if path == "" {
		return nil, nil
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, emr.Wrap(emr.CodeInvalid, "the passphrase file cannot be opened: "+path, err)
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, maxPassphrase+2))
	if err != nil {
		return nil, emr.Wrap(emr.CodeInvalid, "the passphrase file cannot be read: "+path, err)
	}
	line, _, _ := bytes.Cut(content, []byte{'\n'})
	line = bytes.TrimSuffix(line, []byte{'\r'})
	switch {
	case len(line) == 0:
		return nil, emr.Invalid("passphrase-file", "holds no passphrase on its first line")
	case len(line) > maxPassphrase:
		return nil, emr.Invalid("passphrase-file", "holds a passphrase of more than 1024 bytes")
	}
	return line, nil
}

// ask reads a passphrase from the terminal without showing it.
func (a *app) ask(prompt string) ([]byte, error) {
	terminal, ok := terminalOf(a.stdin)
	if !ok {
		return nil, emr.E(emr.CodeUnauthenticated, "the keys are sealed; give the passphrase with --passphrase-file or $"+passphraseVariable)
	}
	fmt.Fprint(a.stderr, prompt)
	typed, err := term.ReadPassword(terminal)
	fmt.Fprintln(a.stderr)
	if err != nil {
		return nil, emr.Wrap(emr.CodeInvalid, "the passphrase cannot be read", err)
	}
	if len(typed) > maxPassphrase {
		return nil, emr.Invalid("passphrase", "must be at most 1024 bytes")
	}
	return typed, nil
}

// newPassphrase is the passphrase for keys that are about to be made: from the
// file, or typed twice. Nothing typed, or nobody to ask, means unsealed keys.
func (a *app) newPassphrase() ([]byte, error) {
	given, err := a.passphrase()
	if given != nil || err != nil {
		return given, err
	}
	if _, ok := terminalOf(a.stdin); !ok {
		return nil, nil
	}
	first, err := a.ask("Passphrase for the new keys (empty for none): ")
	if err != nil || len(first) == 0 {
		return nil, err
	}
	second, err := a.ask("Once more: ")
	if err != nil {
		return nil, err
	}
	defer clear(second)
	if subtle.ConstantTimeCompare(first, second) != 1 {
		return nil, emr.Invalid("passphrase", "was not the same twice")
	}
	return first, nil
}

// terminalOf returns the descriptor of a stream that is a terminal.
func terminalOf(stream any) (int, bool) {
	f, ok := stream.(*os.File)
	if !ok {
		return 0, false
	}
	fd := int(f.Fd()) //nolint:gosec // descriptors are small
	return fd, term.IsTerminal(fd)
}
