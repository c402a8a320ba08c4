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
	"os/exec"
	"sync"
	"syscall"
	"time"
)

const (
	firstBackoff = 200 * time.Millisecond
	maxBackoff   = 10 * time.Second
	// steadyAfter is how long a process must have run for its next death to
	// be treated as a first one.
	steadyAfter = 30 * time.Second
	// stopGrace is how long a process may take to end when asked to.
	stopGrace = 10 * time.Second
	// pipeGrace bounds the wait for output that a grandchild holds open.
	pipeGrace = 2 * time.Second
)

// child runs one process and starts it again whenever it dies.
type child struct {
	spec   Spec
	dirs   Dirs
	output io.Writer
	log    *slog.Logger

	ops sync.Mutex // held by start and stop, one at a time

	mu     sync.Mutex
	status Status
	cancel context.CancelFunc // nil while stopped
	done   chan struct{}      // closed when the present run has ended
}

func newChild(spec Spec, dirs Dirs, output io.Writer, log *slog.Logger) *child {
	return &child{
		spec: spec, dirs: dirs, output: output, log: log,
		status: Status{Name: spec.Name, State: Stopped},
	}
}

func (c *child) snapshot() Status {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.status
}

func (c *child) update(change func(*Status)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	change(&c.status)
}

// start makes the process run from now on. The first launch happens before
// start returns, so that a wrong program is an error here.
func (c *child) start() error {
	c.ops.Lock()
	defer c.ops.Unlock()
	c.mu.Lock()
	running := c.cancel != nil
	c.mu.Unlock()
	if running {
		return nil
	}
	cmd, err := c.launch()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	c.mu.Lock()
	c.cancel, c.done = cancel, done
	c.mu.Unlock()
	go func() {
		defer close(done)
		c.keep(ctx, cmd)
	}()
	return nil
}

// stop ends the process and waits until it is gone.
func (c *child) stop() {
	c.ops.Lock()
	defer c.ops.Unlock()
	c.mu.Lock()
	cancel, done := c.cancel, c.done
	c.cancel = nil
	c.mu.Unlock()
	if cancel == nil {
		return
	}
	cancel()
	<-done
	c.update(func(s *Status) { s.State, s.PID = Stopped, 0 })
}

// keep waits for the process and starts it again until ctx ends.
func (c *child) keep(ctx context.Context, cmd *exec.Cmd) {
	backoff := firstBackoff
	for {
		began := time.Now()
		if cmd != nil {
			c.await(ctx, cmd)
		}
		if ctx.Err() != nil {
			return
		}
		if time.Since(began) > steadyAfter {
			backoff = firstBackoff
		}
		c.update(func(s *Status) { s.State, s.PID = Waiting, 0 })
		select {
		case <-ctx.Done():
			return
		case <-time.After(backoff):
		}
		backoff = min(2*backoff, maxBackoff)
		c.update(func(s *Status) { s.Restarts++ })
		var err error
		if cmd, err = c.launch(); err != nil {
			c.log.Error("restart process", slog.String("process", c.spec.Name), slog.Any("error", err))
			c.update(func(s *Status) { s.LastExit = err.Error() })
		}
	}
}

// launch starts the program in a process group of its own.
func (c *child) launch() (*exec.Cmd, error) {
	// No context ends it: stopping is polite first, and whole groups at once.
	cmd := exec.CommandContext(context.Background(), c.spec.Command[0], c.spec.Command[1:]...)
	cmd.Dir = c.spec.Dir
	cmd.Env = environment(c.spec.Env)
	cmd.Stdout, cmd.Stderr = c.output, c.output
	cmd.WaitDelay = pipeGrace
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", c.spec.Name, err)
	}
	if r, err := newRecord(cmd.Process.Pid); err == nil {
		if err := r.save(c.dirs.processRecord(c.spec.Name)); err != nil {
			c.log.Error("keep process record", slog.String("process", c.spec.Name), slog.Any("error", err))
		}
	}
	c.log.Info("process started", slog.String("process", c.spec.Name), slog.Int("pid", cmd.Process.Pid))
	c.update(func(s *Status) { s.State, s.PID, s.Started = Running, cmd.Process.Pid, time.Now().UTC() })
	return cmd, nil
}

// await returns when the process has ended, ending it when ctx does.
func (c *child) await(ctx context.Context, cmd *exec.Cmd) {
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	var err error
	select {
	case err = <-ended:
	case <-ctx.Done():
		err = terminate(cmd, ended)
	}
	reason := exitReason(cmd, err)
	c.log.Info("process ended", slog.String("process", c.spec.Name), slog.String("reason", reason))
	c.update(func(s *Status) { s.LastExit = reason })
	_ = os.Remove(c.dirs.processRecord(c.spec.Name))
}

func terminate(cmd *exec.Cmd, ended <-chan error) error {
	_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM)
	select {
	case err := <-ended:
		return err
	case <-time.After(stopGrace):
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		return <-ended
	}
}

func exitReason(cmd *exec.Cmd, err error) string {
	if cmd.ProcessState != nil {
		return cmd.ProcessState.String()
	}
	if err != nil && !errors.Is(err, exec.ErrWaitDelay) {
		return err.Error()
	}
	return "ended"
}

// environment passes on only what programs need to find files and each other:
// a variable in the user's shell must not configure a daemon.
func environment(extra []string) []string {
	var env []string
	for _, name := range []string{"PATH", "HOME", "TMPDIR"} {
		if value, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+value)
		}
	}
	return append(env, extra...)
}
