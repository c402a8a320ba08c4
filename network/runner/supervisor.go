// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package runner

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"gopkg.in/natefinch/lumberjack.v2"

	"github.com/emrys-health/emrys/network/lockfile"
)

const (
	logMegabytes = 20 // of each log file, before it is rotated
	logBackups   = 3
)

// ErrUnknown means that no process of that name was ever defined.
var ErrUnknown = errors.New("no such process")

// Supervisor holds the processes of one network.
type Supervisor struct {
	dirs Dirs
	log  *slog.Logger

	mu       sync.Mutex
	children map[string]*child
	order    []string // of definition
	closing  bool
}

// Supervise runs a supervisor until ctx ends or it is told to shut down; then
// every process it started has ended. Only one can run for a network.
func Supervise(ctx context.Context, dirs Dirs, log *slog.Logger) error {
	lock, err := lockfile.TryAcquire(dirs.lockFile())
	if err != nil {
		return fmt.Errorf("become the network's supervisor: %w", err)
	}
	defer lock.Release()
	self, err := newRecord(os.Getpid())
	if err != nil {
		return fmt.Errorf("identify this process: %w", err)
	}
	if err := self.save(dirs.supervisorRecord()); err != nil {
		return err
	}
	defer func() { _ = os.Remove(dirs.supervisorRecord()) }()
	orphans, err := EndOrphans(dirs, stopGrace)
	if err != nil {
		return err
	}
	if len(orphans) > 0 {
		log.Warn("ended processes of an earlier supervisor", slog.Any("processes", orphans))
	}
	s := &Supervisor{dirs: dirs, log: log, children: map[string]*child{}}
	defer s.stopAll()
	return s.serve(ctx)
}

// define makes spec run: a new process is started, one with another spec is
// replaced, one that runs already is left alone.
func (s *Supervisor) define(spec Spec) error {
	if spec.Name == "" || strings.ContainsAny(spec.Name, `/\`) || len(spec.Command) == 0 {
		return errors.New("a process needs a plain name and a command")
	}
	s.mu.Lock()
	if s.closing {
		s.mu.Unlock()
		return errors.New("the supervisor is shutting down")
	}
	present, ok := s.children[spec.Name]
	if ok && present.spec.equal(spec) {
		s.mu.Unlock()
		return present.start()
	}
	output := s.logger(spec.Name)
	if ok {
		output = present.output
	} else {
		s.order = append(s.order, spec.Name)
	}
	next := newChild(spec, s.dirs, output, s.log)
	s.children[spec.Name] = next
	s.mu.Unlock()
	if ok {
		present.stop()
	}
	return next.start()
}

func (s *Supervisor) logger(name string) io.Writer {
	return &lumberjack.Logger{Filename: s.dirs.LogFile(name), MaxSize: logMegabytes, MaxBackups: logBackups}
}

func (s *Supervisor) find(name string) (*child, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, ok := s.children[name]
	if !ok {
		return nil, fmt.Errorf("%w: %s", ErrUnknown, name)
	}
	return c, nil
}

func (s *Supervisor) status() []Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]Status, 0, len(s.order))
	for _, name := range s.order {
		all = append(all, s.children[name].snapshot())
	}
	return all
}

// stopAll ends all processes, the last defined first: what depends on others
// goes before them.
func (s *Supervisor) stopAll() {
	s.mu.Lock()
	s.closing = true
	names := slices.Clone(s.order)
	s.mu.Unlock()
	slices.Reverse(names)
	var group sync.WaitGroup
	for _, name := range names {
		c, err := s.find(name)
		if err != nil {
			continue
		}
		group.Go(c.stop)
		// A head start, not a wait: dependants see their servers go later.
		time.Sleep(5 * time.Millisecond)
	}
	group.Wait()
	s.log.Info("all processes ended", slog.String("logs", filepath.Clean(s.dirs.Logs)))
}
