// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package runner

import (
	"fmt"
	"os/exec"
	"strconv"
	"strings"
)

// startTime returns the start of a process as ps tells it.
func startTime(pid int) (string, error) {
	out, err := exec.Command("ps", "-o", "lstart=", "-p", strconv.Itoa(pid)).Output()
	if err != nil {
		return "", fmt.Errorf("ask ps for process %d: %w", pid, err)
	}
	start := strings.TrimSpace(string(out))
	if start == "" {
		return "", fmt.Errorf("process %d has ended", pid)
	}
	return start, nil
}
