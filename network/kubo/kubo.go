// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

// Package kubo makes what a private IPFS swarm needs before its daemons first
// start: an identity and an access secret for each, and the key they share.
package kubo

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/emrys-health/emrys/network/render"
	"github.com/emrys-health/emrys/network/topology"
	"github.com/emrys-health/emrys/pkg/atomicfile"
)

const secretMode = 0o600

// credentials is what one hospital keeps for its daemon.
type credentials struct {
	PeerID     string `json:"peerId"`
	PrivateKey string `json:"privateKey"`
	Bearer     string `json:"bearer"`
}

// Prepare writes the repository of every hospital's daemon, making secrets at
// the first call and only reading them later.
func Prepare(site render.Site, t *topology.Topology) error {
	swarmKey, err := ensureSwarmKey(site.SwarmKey())
	if err != nil {
		return err
	}
	held := map[string]credentials{}
	identities := map[string]render.KuboIdentity{}
	for _, org := range t.Organisations {
		if org.IPFS == nil {
			continue
		}
		c, err := ensureCredentials(credentialsFile(site, org))
		if err != nil {
			return fmt.Errorf("IPFS daemon of %s: %w", org.ID, err)
		}
		held[org.ID] = c
		identities[org.ID] = render.KuboIdentity{PeerID: c.PeerID, PrivateKey: c.PrivateKey}
	}
	for _, org := range t.Organisations {
		if org.IPFS == nil {
			continue
		}
		files, err := site.KuboFiles(t, org, identities, held[org.ID].Bearer, swarmKey)
		if err != nil {
			return err
		}
		for _, f := range files {
			if _, err := atomicfile.Update(f.Path, f.Data, f.Mode); err != nil {
				return fmt.Errorf("IPFS daemon of %s: %w", org.ID, err)
			}
		}
	}
	return nil
}

func credentialsFile(site render.Site, org topology.Organisation) string {
	return path.Join(site.Org(org), "ipfs-credentials.json")
}

// Address is where the other daemons of the swarm reach a hospital's: a
// multiaddress that ends in the daemon's peer id.
func Address(site render.Site, org topology.Organisation) (string, error) {
	raw, err := os.ReadFile(credentialsFile(site, org))
	if err != nil {
		return "", fmt.Errorf("read IPFS credentials of %s: %w", org.ID, err)
	}
	var c credentials
	if err := json.Unmarshal(raw, &c); err != nil {
		return "", fmt.Errorf("read IPFS credentials of %s: %w", org.ID, err)
	}
	return site.SwarmAddress(org) + "/p2p/" + c.PeerID, nil
}

// ensureSwarmKey reads or makes the pre-shared key, in the format of
// github.com/libp2p/go-libp2p/core/pnet.
func ensureSwarmKey(file string) ([]byte, error) {
	if raw, err := os.ReadFile(file); err == nil {
		return raw, nil
	}
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails (crypto/rand)
	text := []byte("/key/swarm/psk/1.0.0/\n/base16/\n" + hex.EncodeToString(key) + "\n")
	if err := atomicfile.Write(file, text, secretMode); err != nil {
		return nil, fmt.Errorf("keep swarm key: %w", err)
	}
	return text, nil
}

func ensureCredentials(file string) (credentials, error) {
	var c credentials
	if raw, err := os.ReadFile(file); err == nil {
		if err := json.Unmarshal(raw, &c); err != nil {
			return c, fmt.Errorf("read %s: %w", file, err)
		}
		return c, nil
	}
	c, err := newCredentials()
	if err != nil {
		return c, err
	}
	raw, err := json.Marshal(c)
	if err != nil {
		return c, fmt.Errorf("encode credentials: %w", err)
	}
	return c, atomicfile.Write(file, raw, secretMode)
}

func newCredentials() (credentials, error) {
	private, public, err := crypto.GenerateEd25519Key(rand.Reader)
	if err != nil {
		return credentials{}, fmt.Errorf("make libp2p key: %w", err)
	}
	id, err := peer.IDFromPublicKey(public)
	if err != nil {
		return credentials{}, fmt.Errorf("derive peer id: %w", err)
	}
	raw, err := crypto.MarshalPrivateKey(private)
	if err != nil {
		return credentials{}, fmt.Errorf("encode libp2p key: %w", err)
	}
	secret := make([]byte, 32)
	_, _ = rand.Read(secret) // never fails (crypto/rand)
	return credentials{
		PeerID:     id.String(),
		PrivateKey: base64.StdEncoding.EncodeToString(raw),
		Bearer:     hex.EncodeToString(secret),
	}, nil
}
