// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

//go:build browser

package main_test

import (
	"testing"
	"time"
)

func TestDeviceInChromium(t *testing.T) {
	t.Log(run(t, 8*time.Minute, environment(t), "node", "--test", "--test-reporter=spec", "js/test/browser.test.mjs"))
}
