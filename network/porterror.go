// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package network

import (
	"fmt"
	"strings"
)

// PortUse is a port that a process needs and another program has.
type PortUse struct{ Process, Address string }

// PortError means that ports the network needs are in use.
type PortError struct{ InUse []PortUse }

// shownPorts bounds the message: a second network on the same ports has
// dozens in common with the first.
const shownPorts = 5

func (e *PortError) Error() string {
	var b strings.Builder
	for i, use := range e.InUse {
		if i == shownPorts {
			fmt.Fprintf(&b, "and %d more ports are in use; ", len(e.InUse)-i)
			break
		}
		fmt.Fprintf(&b, "%s needs %s, which is in use; ", use.Process, use.Address)
	}
	b.WriteString("end the program that has it, or run this network beside it with --port-offset (or EMRYS_PORT_OFFSET) and a --home of its own")
	return b.String()
}
