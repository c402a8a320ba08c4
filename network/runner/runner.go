// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

// Package runner keeps the processes of a network alive. One detached
// supervisor per network starts them, restarts those that die, rotates their
// logs and answers on a Unix socket. It knows nothing of Fabric.
package runner

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// Spec is how to run one process.
type Spec struct {
	Name    string   `json:"name"`
	Command []string `json:"command"` // the program's path, and its arguments
	Env     []string `json:"env"`     // NAME=value, beyond PATH, HOME and TMPDIR
	Dir     string   `json:"dir"`     // working directory
	// Fingerprint stands for the program and its configuration: a process
	// whose fingerprint changed is started anew.
	Fingerprint string `json:"fingerprint"`
}

func (s Spec) equal(other Spec) bool {
	return s.Name == other.Name && s.Dir == other.Dir && s.Fingerprint == other.Fingerprint &&
		slices.Equal(s.Command, other.Command) && slices.Equal(s.Env, other.Env)
}

// State says what a supervised process is doing.
type State string

// The states of a process.
const (
	Running State = "running"
	Stopped State = "stopped" // because it was told to
	Waiting State = "waiting" // died; will be started again
)

// Status is what the supervisor knows of a process.
type Status struct {
	Name     string    `json:"name"`
	State    State     `json:"state"`
	PID      int       `json:"pid,omitempty"`
	Started  time.Time `json:"started,omitzero"`
	Restarts int       `json:"restarts"`
	LastExit string    `json:"lastExit,omitempty"` // how it last ended
}

// Dirs are the folders of one supervisor.
type Dirs struct {
	Run  string // socket, lock and process records
	Logs string
}

// In returns the supervisor's folders in a network's home.
func In(home string) Dirs {
	return Dirs{Run: filepath.Join(home, "run"), Logs: filepath.Join(home, "logs")}
}

// LogFile is where a process's output goes; rotated files lie beside it.
func (d Dirs) LogFile(name string) string { return filepath.Join(d.Logs, name+".log") }

// maxSocketPath is what every Unix takes for a socket's name (sun_path).
const maxSocketPath = 100

// Socket is the supervisor's control socket. A home too deep for a socket
// name gets one in the temporary directory, in a folder of this user alone.
func (d Dirs) Socket() string {
	path := filepath.Join(d.Run, "supervisor.sock")
	if len(path) <= maxSocketPath {
		return path
	}
	digest := sha256.Sum256([]byte(path))
	return filepath.Join(os.TempDir(), "emrys-"+hex.EncodeToString(digest[:8]), "s.sock")
}

func (d Dirs) lockFile() string              { return filepath.Join(d.Run, "supervisor.lock") }
func (d Dirs) supervisorRecord() string      { return filepath.Join(d.Run, "supervisor.json") }
func (d Dirs) processRecord(n string) string { return filepath.Join(d.Run, "processes", n+".json") }
