// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

// Package enrol obtains the certificates of an organisation's processes and
// administrator from its CA server and lays them out as Fabric expects. It
// makes each key on this machine, and repeats nothing that is already there.
package enrol

import (
	"path"

	"github.com/emrys-health/emrys/network/render"
	"github.com/emrys-health/emrys/network/topology"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/fabricca"
)

// tlsIdentity is the one identity under which an organisation's TLS
// certificates are issued. Peers of TLS look at host names, not at it; and a
// CA spends its time on checking secrets, of which one is enough.
const tlsIdentity = "node"

// identity is one certificate to be had.
type identity struct {
	authority string
	id        string
	kind      string // Fabric's identity type
	attrs     []fabricca.Attribute
	hosts     []string // for TLS
	dir       string   // an MSP directory, or a TLS directory
	tls       bool
}

// plan lists the identities of an organisation.
func plan(site render.Site, org topology.Organisation) []identity {
	var ids []identity
	msp := func(authority, id, kind, dir string, attrs ...fabricca.Attribute) {
		ids = append(ids, identity{authority: authority, id: id, kind: kind, dir: dir, attrs: attrs})
	}
	tls := func(dir string, hosts ...string) {
		ids = append(ids, identity{authority: render.TLSCA(org), id: tlsIdentity, kind: "client", dir: dir, tls: true, hosts: hosts})
	}

	identities := render.IdentityCA(org)
	msp(identities, "admin", "admin", site.AdminMSP(org))
	msp(identities, "gateway", "client", path.Join(site.GatewayDir(org), "msp"),
		fabricca.Attribute{Name: emr.AttributeRole, Value: string(emr.RoleGateway), ECert: true})
	msp(render.OrdererCA(org), "orderer", "orderer", path.Join(site.OrdererDir(org), "msp"))
	for _, peer := range org.Peers {
		msp(identities, peer.Name, "peer", path.Join(site.PeerDir(org, peer), "msp"))
	}

	tls(site.AdminTLS(org))
	for _, server := range []struct{ process, dir string }{
		{render.OrdererName(org), site.OrdererDir(org)},
		{render.ChaincodeName(org), site.ChaincodeDir(org)},
		{render.GatewayName(org), site.GatewayDir(org)},
	} {
		tls(path.Join(server.dir, "tls"), render.TLSHosts(server.process)...)
	}
	for _, peer := range org.Peers {
		name := render.PeerName(org, peer)
		tls(path.Join(site.PeerDir(org, peer), "tls"), render.TLSHosts(name)...)
	}
	// With this pair the organisation's peers prove themselves to its chaincode.
	tls(path.Join(site.ChaincodeDir(org), "client"))
	return ids
}
