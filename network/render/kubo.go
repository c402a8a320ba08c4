// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package render

import (
	"encoding/json"
	"fmt"
	"path"

	"github.com/emrys-health/emrys/network/topology"
)

// kuboRepoVersion is the repository format of Kubo 0.42 (kubo/version.go).
const kuboRepoVersion = "18\n"

// KuboIdentity is a daemon's libp2p identity. PrivateKey is the base64 of the
// marshalled key, as in Kubo's configuration.
type KuboIdentity struct {
	PeerID     string
	PrivateKey string
}

// String keeps the private key out of messages.
func (k KuboIdentity) String() string { return "kubo:" + k.PeerID }

// GoString keeps the private key out of debug output.
func (k KuboIdentity) GoString() string { return k.String() }

// object is a JSON object; encoding/json writes its keys in order.
type object = map[string]any

// KuboFiles renders the whole repository of one hospital's daemon, so that no
// "ipfs init" is needed: configuration, format version, datastore
// specification and the private swarm's key. identities holds the daemons of
// all hospitals by organisation id; bearer is the secret of the RPC interface.
func (s Site) KuboFiles(t *topology.Topology, org topology.Organisation, identities map[string]KuboIdentity, bearer string, swarmKey []byte) ([]File, error) {
	config, err := json.MarshalIndent(s.kuboConfig(t, org, identities, bearer), "", "  ")
	if err != nil {
		return nil, fmt.Errorf("render Kubo configuration: %w", err)
	}
	spec, err := json.Marshal(datastore(false))
	if err != nil {
		return nil, fmt.Errorf("render Kubo datastore specification: %w", err)
	}
	dir := s.IPFSDir(org)
	return []File{
		{path.Join(dir, "version"), publicMode, []byte(kuboRepoVersion)},
		{path.Join(dir, "datastore_spec"), secretMode, spec},
		{path.Join(dir, "swarm.key"), secretMode, swarmKey},
		{path.Join(dir, "config"), secretMode, config},
		{s.IPFSAuthorization(org), secretMode, []byte("Bearer " + bearer + "\n")},
	}, nil
}

// datastore is Kubo's default layout: blocks in files, the rest in LevelDB.
// The specification kept on disk lacks what may change without a migration.
func datastore(full bool) object {
	blocks := object{"mountpoint": "/blocks", "path": "blocks", "shardFunc": "/repo/flatfs/shard/v1/next-to-last/2", "type": "flatfs"}
	rest := object{"mountpoint": "/", "path": "datastore", "type": "levelds"}
	if full {
		// Records must survive a power cut: blocks are synced.
		blocks["sync"], blocks["prefix"] = true, "flatfs.datastore"
		rest["compression"], rest["prefix"] = "none", "leveldb.datastore"
	}
	return object{"mounts": []any{blocks, rest}, "type": "mount"}
}

// SwarmAddress is the multiaddress of a hospital's daemon, without its peer id.
func (s Site) SwarmAddress(org topology.Organisation) string {
	if s.Containers {
		return fmt.Sprintf("/dns4/%s/tcp/%d", IPFSName(org), org.IPFS.Swarm)
	}
	return fmt.Sprintf("/ip4/%s/tcp/%d", s.HostOf(IPFSName(org)), org.IPFS.Swarm)
}

// kuboConfig is the configuration of a node in a private network. Defaults
// that would stop it or make it talk to strangers are off: automatic
// configuration, bootstrap, routing, discovery, relays, telemetry, and every
// transport but TCP, the only one that a pre-shared key can protect.
func (s Site) kuboConfig(t *topology.Topology, org topology.Organisation, identities map[string]KuboIdentity, bearer string) object {
	off := object{"Enabled": false}
	peers := []any{}
	for _, other := range t.Organisations {
		if other.IPFS != nil && other.ID != org.ID {
			peers = append(peers, object{"ID": identities[other.ID].PeerID, "Addrs": []any{s.SwarmAddress(other)}})
		}
	}
	self := identities[org.ID]
	return object{
		"Identity": object{"PeerID": self.PeerID, "PrivKey": self.PrivateKey},
		"Datastore": object{
			"StorageMax": "100GB", "StorageGCWatermark": 90, "GCPeriod": "1h",
			"Spec": datastore(true), "HashOnRead": false, "BloomFilterSize": 0,
		},
		"Addresses": object{
			"Swarm":    []any{fmt.Sprintf("/ip4/%s/tcp/%d", s.Bind, org.IPFS.Swarm)},
			"Announce": []any{s.SwarmAddress(org)}, "AppendAnnounce": []any{}, "NoAnnounce": []any{},
			"API": fmt.Sprintf("/ip4/%s/tcp/%d", loopback, org.IPFS.API), "Gateway": []any{},
		},
		"API": object{
			"HTTPHeaders": object{},
			"Authorizations": object{"gateway": object{
				"AuthSecret": "bearer:" + bearer, "AllowedPaths": []any{"/api/v0"},
			}},
		},
		"AutoConf":  off,
		"AutoTLS":   off,
		"AutoNAT":   object{"ServiceMode": "disabled"},
		"Bootstrap": []any{},
		"Discovery": object{"MDNS": off},
		"DNS":       object{"Resolvers": object{}},
		"Ipns":      object{"DelegatedPublishers": []any{}, "ResolveCacheSize": 128},
		"Peering":   object{"Peers": peers},
		"Plugins":   object{"Plugins": object{"telemetry": object{"Config": object{"Mode": "off"}}}},
		"Provide":   object{"Enabled": false},
		"Pubsub":    object{"Router": ""},
		"Routing":   object{"Type": "none", "DelegatedRouters": []any{}},
		"Swarm": object{
			"DisableNatPortMap": true,
			"RelayClient":       off, "RelayService": off, "EnableHolePunching": false,
			"Transports": object{"Network": object{
				"TCP": true, "QUIC": false, "WebTransport": false, "WebRTCDirect": false,
				"Websocket": false, "Relay": false,
			}},
		},
	}
}
