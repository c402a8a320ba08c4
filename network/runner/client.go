// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package runner

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"syscall"
	"time"

	"github.com/emrys-health/emrys/network/lockfile"
)

// ErrNotRunning means that the network has no supervisor.
var ErrNotRunning = errors.New("the network is not running")

const (
	callTimeout  = 30 * time.Second
	pollInterval = 10 * time.Millisecond
)

// Client speaks to a network's supervisor. It is safe for concurrent use.
type Client struct {
	dirs Dirs
	http *http.Client
}

// NewClient returns a client; it does not connect.
func NewClient(dirs Dirs) *Client {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", dirs.Socket())
	}
	return &Client{dirs: dirs, http: &http.Client{
		Transport: &http.Transport{DialContext: dial}, Timeout: callTimeout,
	}}
}

func (c *Client) call(ctx context.Context, method, path string, body, result any) error {
	raw, err := json.Marshal(body)
	if err != nil {
		return fmt.Errorf("encode request: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://supervisor"+path, bytes.NewReader(raw))
	if err != nil {
		return fmt.Errorf("make request: %w", err)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		var refused *net.OpError
		if errors.As(err, &refused) && refused.Op == "dial" {
			return ErrNotRunning
		}
		return fmt.Errorf("ask supervisor: %w", err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return fmt.Errorf("read supervisor's answer: %w", err)
	}
	return decodeAnswer(resp.StatusCode, answer, result)
}

func decodeAnswer(status int, answer []byte, result any) error {
	if status != http.StatusOK {
		var refusal failure
		if err := json.Unmarshal(answer, &refusal); err != nil {
			return fmt.Errorf("supervisor answered HTTP %d", status)
		}
		if refusal.Unknown {
			return fmt.Errorf("%w (%s)", ErrUnknown, refusal.Error)
		}
		return errors.New(refusal.Error)
	}
	if result == nil {
		return nil
	}
	if err := json.Unmarshal(answer, result); err != nil {
		return fmt.Errorf("decode supervisor's answer: %w", err)
	}
	return nil
}

// Status lists all processes in the order of their definition.
func (c *Client) Status(ctx context.Context) ([]Status, error) {
	var all []Status
	err := c.call(ctx, http.MethodGet, "/processes", nil, &all)
	return all, err
}

// Run makes a process run as described; see [Spec].
func (c *Client) Run(ctx context.Context, spec Spec) error {
	return c.call(ctx, http.MethodPut, "/processes", spec, nil)
}

// Start starts a stopped process again.
func (c *Client) Start(ctx context.Context, name string) error {
	return c.call(ctx, http.MethodPost, "/processes/"+url.PathEscape(name)+"/start", nil, nil)
}

// Stop ends a process and keeps it from being restarted.
func (c *Client) Stop(ctx context.Context, name string) error {
	return c.call(ctx, http.MethodPost, "/processes/"+url.PathEscape(name)+"/stop", nil, nil)
}

// Ensure starts a detached supervisor, by running command, unless there is
// one, and waits until it answers.
func (c *Client) Ensure(ctx context.Context, command ...string) error {
	if _, err := c.Status(ctx); err == nil {
		return nil
	}
	died, err := c.launch(command)
	if err != nil {
		return err
	}
	for {
		if _, err := c.Status(ctx); err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for the supervisor: %w", ctx.Err())
		case <-died:
			return fmt.Errorf("the supervisor ended at once; see %s", c.dirs.LogFile("supervisor"))
		case <-time.After(pollInterval):
		}
	}
}

// launch starts the supervisor in a session of its own, so that neither the
// end of this command nor an interrupt at its terminal reaches it.
func (c *Client) launch(command []string) (died <-chan struct{}, err error) {
	if err := os.MkdirAll(c.dirs.Logs, 0o700); err != nil {
		return nil, fmt.Errorf("make log directory: %w", err)
	}
	out, err := os.OpenFile(c.dirs.LogFile("supervisor"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open supervisor's log: %w", err)
	}
	defer out.Close()
	// It outlives every context of this command.
	cmd := exec.CommandContext(context.Background(), command[0], command[1:]...)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start supervisor: %w", err)
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(ended)
	}()
	return ended, nil
}

// Shutdown ends all processes and the supervisor, and returns when they are
// gone. With no supervisor it ends what a dead one left behind. The names are
// of the processes that were running.
func (c *Client) Shutdown(ctx context.Context) ([]string, error) {
	running, err := c.Status(ctx)
	if errors.Is(err, ErrNotRunning) {
		return c.endOrphans(ctx)
	}
	if err != nil {
		return nil, err
	}
	if err := c.call(ctx, http.MethodPost, "/shutdown", nil, nil); err != nil {
		return nil, err
	}
	var names []string
	for _, s := range running {
		if s.State == Running {
			names = append(names, s.Name)
		}
	}
	lock, err := lockfile.Acquire(ctx, c.dirs.lockFile())
	if err != nil {
		return names, fmt.Errorf("wait for the supervisor to end: %w", err)
	}
	lock.Release()
	return names, nil
}

func (c *Client) endOrphans(ctx context.Context) ([]string, error) {
	if _, err := os.Stat(c.dirs.Run); err != nil {
		return nil, nil //nolint:nilerr // nothing was ever started here
	}
	// A supervisor that just starts holds the lock but does not answer yet.
	lock, err := lockfile.Acquire(ctx, c.dirs.lockFile())
	if err != nil {
		return nil, fmt.Errorf("wait for another supervisor: %w", err)
	}
	defer lock.Release()
	return EndOrphans(c.dirs, stopGrace)
}
