// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package topology

import (
	"fmt"
	"regexp"
	"slices"
	"time"
)

const (
	// minConsenters is the smallest Byzantine quorum that tolerates one
	// faulty member: n = 3f + 1.
	minConsenters = 4
	// firstPort keeps clear of the ports that need privileges.
	firstPort, lastPort = 1024, 65535
	// maxPeers bounds the fan-out of gossip on one machine.
	maxOrganisations, maxPeers = 32, 8
)

// checker gathers problems. Patterns live here, not in package variables, so
// that the package keeps no state.
type checker struct {
	problems []Problem
	id       *regexp.Regexp
	msp      *regexp.Regexp
	name     *regexp.Regexp
	channel  *regexp.Regexp
	version  *regexp.Regexp
}

func newChecker() *checker {
	return &checker{
		id:      regexp.MustCompile(`^[a-z][a-z0-9]{0,31}$`),
		msp:     regexp.MustCompile(`^[A-Za-z][A-Za-z0-9]{0,63}$`),
		name:    regexp.MustCompile(`^[A-Za-z][A-Za-z0-9 ]{0,63}$`),
		channel: regexp.MustCompile(`^[a-z][a-z0-9-]{0,62}$`),
		version: regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`),
	}
}

func (c *checker) add(path, format string, args ...any) {
	c.problems = append(c.problems, Problem{Path: path, Message: fmt.Sprintf(format, args...)})
}

func (c *checker) match(path string, pattern *regexp.Regexp, value string) {
	if !pattern.MatchString(value) {
		c.add(path, "%q does not match %s", value, pattern)
	}
}

func (c *checker) within(path string, value, low, high int) {
	if value < low || value > high {
		c.add(path, "%d is not between %d and %d", value, low, high)
	}
}

func (c *checker) duration(path string, value, low, high time.Duration) {
	if value < low || value > high {
		c.add(path, "%s is not between %s and %s", value, low, high)
	}
}

// Validate returns nil or an [*InvalidError] with every problem found.
func (t *Topology) Validate() error {
	c := newChecker()
	if t.Version != Version {
		c.add("version", "%d is not %d, the only version", t.Version, Version)
	}
	c.match("name", c.id, t.Name)
	c.match("channel.name", c.channel, t.Channel.Name)
	c.ordering("channel.ordering", t.Channel.Ordering)
	c.chaincode(t)
	c.organisations(t.Organisations)
	c.proxies(t)
	if len(c.problems) > 0 {
		return &InvalidError{Problems: c.problems}
	}
	return nil
}

func (c *checker) ordering(path string, o Ordering) {
	c.duration(path+".batchInterval", o.BatchInterval, time.Millisecond, 10*time.Second)
	c.within(path+".maxMessages", o.MaxMessages, 1, 10000)
	c.within(path+".requestPoolSize", o.RequestPoolSize, 100, 1000000)
	c.within(path+".heartbeatCount", o.HeartbeatCount, 1, 100)
	c.duration(path+".heartbeatTimeout", o.HeartbeatTimeout, time.Second, 10*time.Minute)
	c.duration(path+".forwardTimeout", o.ForwardTimeout, 100*time.Millisecond, time.Minute)
	c.duration(path+".complainTimeout", o.ComplainTimeout, 100*time.Millisecond, 10*time.Minute)
	c.duration(path+".autoRemoveTimeout", o.AutoRemoveTimeout, time.Second, time.Hour)
	c.duration(path+".viewChangeTimeout", o.ViewChangeTimeout, time.Second, 10*time.Minute)
	c.duration(path+".viewChangeResend", o.ViewChangeResend, 100*time.Millisecond, 10*time.Minute)
	// SmartBFT's own rules (pkg/types/config.go, Validate).
	if o.ForwardTimeout > o.ComplainTimeout {
		c.add(path+".forwardTimeout", "%s is more than complainTimeout, %s", o.ForwardTimeout, o.ComplainTimeout)
	}
	if o.ComplainTimeout > o.AutoRemoveTimeout {
		c.add(path+".complainTimeout", "%s is more than autoRemoveTimeout, %s", o.ComplainTimeout, o.AutoRemoveTimeout)
	}
	if o.ViewChangeResend > o.ViewChangeTimeout {
		c.add(path+".viewChangeResend", "%s is more than viewChangeTimeout, %s", o.ViewChangeResend, o.ViewChangeTimeout)
	}
}

func (c *checker) chaincode(t *Topology) {
	c.match("chaincode.name", c.id, t.Chaincode.Name)
	c.match("chaincode.version", c.version, t.Chaincode.Version)
	if t.Chaincode.Sequence < 1 {
		c.add("chaincode.sequence", "%d is less than 1", t.Chaincode.Sequence)
	}
	seen := map[string]bool{}
	for i, collection := range t.Chaincode.Collections {
		path := fmt.Sprintf("chaincode.collections[%d]", i)
		c.match(path+".name", c.id, collection.Name)
		if seen[collection.Name] {
			c.add(path+".name", "%q is used twice", collection.Name)
		}
		seen[collection.Name] = true
		c.within(path+".requiredPeerCount", int(collection.RequiredPeerCount), 0, maxOrganisations*maxPeers)
		c.within(path+".maxPeerCount", int(collection.MaxPeerCount), int(max(0, collection.RequiredPeerCount)), maxOrganisations*maxPeers)
		c.members(path+".members", t, collection.Members)
	}
}

func (c *checker) members(path string, t *Topology, members []string) {
	for i, id := range members {
		known := slices.ContainsFunc(t.Organisations, func(org Organisation) bool { return org.ID == id })
		if !known {
			c.add(fmt.Sprintf("%s[%d]", path, i), "%q is the id of no organisation", id)
		}
		if slices.Index(members, id) != i {
			c.add(fmt.Sprintf("%s[%d]", path, i), "%q is named twice", id)
		}
	}
}

func (c *checker) proxies(t *Topology) {
	// A reader's own organisation never counts towards the threshold.
	if others := len(t.Organisations) - 1; t.Proxies.Threshold < 1 || t.Proxies.Threshold > max(others, 1) {
		c.add("proxies.threshold", "%d is not between 1 and %d, the number of other organisations", t.Proxies.Threshold, max(others, 1))
	}
	hospitals := 0
	for _, org := range t.Organisations {
		if org.Kind == Hospital {
			hospitals++
		}
	}
	if t.Proxies.Replicas < 1 || t.Proxies.Replicas > max(hospitals, 1) {
		c.add("proxies.replicas", "%d is not between 1 and %d, the number of hospitals", t.Proxies.Replicas, max(hospitals, 1))
	}
}

func (c *checker) organisations(orgs []Organisation) {
	if len(orgs) < minConsenters || len(orgs) > maxOrganisations {
		c.add("organisations", "%d organisations, each with one orderer: want %d to %d so that one may be Byzantine",
			len(orgs), minConsenters, maxOrganisations)
	}
	taken := map[string]string{}
	unique := func(path, kind, value string) {
		if first, ok := taken[kind+value]; ok {
			c.add(path, "%q is already used by %s", value, first)
			return
		}
		taken[kind+value] = path
	}
	ports := map[int]string{}
	for i := range orgs {
		org, path := &orgs[i], fmt.Sprintf("organisations[%d]", i)
		c.organisation(path, org)
		unique(path+".id", "id:", org.ID)
		unique(path+".name", "name:", org.Name)
		unique(path+".msp", "msp:", org.MSP)
		unique(path+".ordererMsp", "msp:", org.OrdererMSP)
		for _, p := range org.ports(path) {
			c.within(p.path, *p.port, firstPort, lastPort)
			if first, ok := ports[*p.port]; ok {
				c.add(p.path, "%d is already used by %s", *p.port, first)
				continue
			}
			ports[*p.port] = p.path
		}
	}
}

func (c *checker) organisation(path string, org *Organisation) {
	c.match(path+".id", c.id, org.ID)
	c.match(path+".name", c.name, org.Name)
	c.match(path+".msp", c.msp, org.MSP)
	c.match(path+".ordererMsp", c.msp, org.OrdererMSP)
	switch {
	case org.Kind != Hospital && org.Kind != Regulator:
		c.add(path+".kind", "%q is neither %q nor %q", org.Kind, Hospital, Regulator)
	case org.Kind == Hospital && org.IPFS == nil:
		c.add(path+".ipfs", "a hospital keeps content and needs an IPFS daemon")
	case org.Kind == Regulator && org.IPFS != nil:
		c.add(path+".ipfs", "a regulator keeps no content")
	}
	if len(org.Peers) < 1 || len(org.Peers) > maxPeers {
		c.add(path+".peers", "%d peers: want 1 to %d", len(org.Peers), maxPeers)
	}
	seen := map[string]bool{}
	for i, peer := range org.Peers {
		c.peer(fmt.Sprintf("%s.peers[%d].name", path, i), peer.Name, seen)
	}
}

func (c *checker) peer(path, name string, seen map[string]bool) {
	c.match(path, c.id, name)
	switch name {
	case "ca", "orderer", "chaincode", "gateway", "ipfs":
		c.add(path, "%q is the name of another process", name)
	}
	if seen[name] {
		c.add(path, "%q is used twice", name)
	}
	seen[name] = true
}

// portField is a port with its place in the file.
type portField struct {
	path string
	port *int
}

// ports lists every port of the organisation; changing one changes org.
func (org *Organisation) ports(path string) []portField {
	fields := []portField{
		{path + ".ca.port", &org.CA.Port},
		{path + ".ca.operations", &org.CA.Operations},
		{path + ".orderer.port", &org.Orderer.Port},
		{path + ".orderer.admin", &org.Orderer.Admin},
		{path + ".orderer.operations", &org.Orderer.Operations},
		{path + ".chaincode.port", &org.Chaincode.Port},
		{path + ".gateway.port", &org.Gateway.Port},
	}
	for i := range org.Peers {
		peer, at := &org.Peers[i], fmt.Sprintf("%s.peers[%d]", path, i)
		fields = append(fields,
			portField{at + ".port", &peer.Port},
			portField{at + ".chaincode", &peer.Chaincode},
			portField{at + ".operations", &peer.Operations})
	}
	if org.IPFS != nil {
		fields = append(fields,
			portField{path + ".ipfs.api", &org.IPFS.API},
			portField{path + ".ipfs.swarm", &org.IPFS.Swarm})
	}
	return fields
}
