// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

// Package demo tells the whole story of a shared record on a running network,
// with the commands that a person would type: it runs the emrys program once a
// step, shows the command, its answer and its time, and stops at the first step
// that does not do what the story says.
package demo

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// Options of a demonstration.
type Options struct {
	// BinDir holds the programs emrys and emrysctl.
	BinDir string
	// Home is the folder of the running network; people's profiles are made below it.
	Home string
	// File is shared; empty means a generated CT slice.
	File string
	// Out receives the story.
	Out io.Writer
	// Env is the environment of the programs.
	Env []string
}

// Exit codes of the emrys program that the story expects.
const (
	exitOK   = 0
	exitRule = 7
)

// ErrStory tells that a step did not do what the story says.
var ErrStory = errors.New("demo: the story went another way")

// story holds what one step learns for the next.
type story struct {
	Options
	dir   string
	step  int
	began time.Time
}

// Run tells the story. The network must be up. It returns an error that wraps
// ErrStory when a step did not go as told, and stops when ctx ends.
func Run(ctx context.Context, o Options) error {
	if err := os.MkdirAll(filepath.Join(o.Home, "demo"), 0o700); err != nil {
		return fmt.Errorf("demo: make folder: %w", err)
	}
	dir, err := os.MkdirTemp(filepath.Join(o.Home, "demo"), time.Now().UTC().Format("20060102-150405-"))
	if err != nil {
		return fmt.Errorf("demo: make folder: %w", err)
	}
	s := &story{Options: o, dir: dir, began: time.Now()}
	if s.File == "" {
		if s.File, err = s.generate(); err != nil {
			return err
		}
	}
	return s.tell(ctx)
}

func (s *story) generate() (string, error) {
	var seed [8]byte
	if _, err := rand.Read(seed[:]); err != nil {
		return "", fmt.Errorf("demo: draw a seed: %w", err)
	}
	path := filepath.Join(s.dir, "phantom-ct.dcm")
	var file bytes.Buffer
	if _, err := (Phantom{Size: 512, Seed: binary.BigEndian.Uint64(seed[:])}).WriteTo(&file); err != nil {
		return "", fmt.Errorf("demo: generate a study: %w", err)
	}
	return path, os.WriteFile(path, file.Bytes(), 0o600)
}

func (s *story) say(format string, args ...any) { fmt.Fprintf(s.Out, format, args...) }

func (s *story) chapter(title string) {
	s.step++
	s.say("\n%2d. %s\n", s.step, title)
}

// person is somebody with a profile folder of their own.
type person struct {
	name    string
	profile string
}

func (s *story) person(name string) person {
	return person{name: name, profile: filepath.Join(s.dir, name)}
}

// as runs the emrys program as a person and returns what it printed. want is
// the exit code that the story expects.
func (s *story) as(ctx context.Context, p person, want int, args ...string) (string, error) {
	return s.run(ctx, "emrys", want, append(args, "--profile", p.profile))
}

func (s *story) run(ctx context.Context, program string, want int, args []string) (string, error) {
	s.say("    $ %s %s\n", program, s.shown(args))
	cmd := exec.CommandContext(ctx, filepath.Join(s.BinDir, program), args...)
	cmd.Env = s.Env
	began := time.Now()
	out, err := cmd.CombinedOutput()
	took := time.Since(began)
	text := strings.TrimRight(string(out), "\n")
	for line := range strings.Lines(text) {
		s.say("      %s\n", strings.TrimRight(line, "\n"))
	}
	s.say("      [%s]\n", took.Round(time.Millisecond))
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return text, fmt.Errorf("demo: run %s: %w", program, err)
	}
	if got := cmd.ProcessState.ExitCode(); got != want {
		return text, fmt.Errorf("%w: %s %s ended with exit code %d, expected %d", ErrStory, program, s.shown(args), got, want)
	}
	return text, nil
}

// shown shortens the folder of this run, so that the commands read as typed.
func (s *story) shown(args []string) string {
	text := strings.ReplaceAll(strings.Join(args, " "), s.dir+string(filepath.Separator), "")
	return strings.ReplaceAll(text, s.Home+string(filepath.Separator), "")
}

// find returns the first identifier with a prefix in what a command printed.
func find(text, prefix string) (string, error) {
	id := regexp.MustCompile(prefix + "[0-9a-f]{32}").FindString(text)
	if id == "" {
		return "", fmt.Errorf("%w: no %s… in the answer", ErrStory, prefix)
	}
	return id, nil
}

// expect checks that an answer names a word.
func expect(text, word string) error {
	if !strings.Contains(text, word) {
		return fmt.Errorf("%w: the answer does not say %q", ErrStory, word)
	}
	return nil
}

// sameFile compares two files byte by byte, in constant memory.
func sameFile(a, b string) error {
	left, err := os.Open(a)
	if err != nil {
		return fmt.Errorf("demo: open: %w", err)
	}
	defer left.Close()
	right, err := os.Open(b)
	if err != nil {
		return fmt.Errorf("demo: open: %w", err)
	}
	defer right.Close()
	l, r := make([]byte, 1<<20), make([]byte, 1<<20)
	for {
		n, errLeft := io.ReadFull(left, l)
		m, errRight := io.ReadFull(right, r)
		if !bytes.Equal(l[:n], r[:m]) {
			return fmt.Errorf("%w: %s and %s differ", ErrStory, filepath.Base(a), filepath.Base(b))
		}
		if errLeft != nil || errRight != nil {
			return endOfBoth(errLeft, errRight)
		}
	}
}

func endOfBoth(left, right error) error {
	for _, err := range []error{left, right} {
		if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			return fmt.Errorf("demo: compare: %w", err)
		}
	}
	return nil
}
