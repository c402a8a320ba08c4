// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

// Package lifecycle brings a channel to life on running nodes: orderers and
// peers join it, and each organisation installs, approves and commits the
// contract. Every step looks at what is there first and can be repeated.
package lifecycle

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path"

	"github.com/emrys-health/emrys/network/render"
	"github.com/emrys-health/emrys/network/topology"
)

// Package is a chaincode package of one organisation. It holds no code but
// where the organisation's peers find its chaincode server, and the
// credentials with which they prove themselves to it.
type Package struct {
	ID   string // label and SHA-256 of Data, as Fabric computes it
	Data []byte
}

// connection is the connection.json of an external chaincode (Fabric's
// core/container/externalbuilder ChaincodeServerUserData).
type connection struct {
	Address            string `json:"address"`
	DialTimeout        string `json:"dial_timeout"`
	TLSRequired        bool   `json:"tls_required"`
	ClientAuthRequired bool   `json:"client_auth_required"`
	ClientKey          string `json:"client_key"`
	ClientCert         string `json:"client_cert"`
	RootCert           string `json:"root_cert"`
}

// NewPackage builds the package of an organisation from its files. The same
// files give the same bytes, so the package id is known before installation.
func NewPackage(site render.Site, t *topology.Topology, org topology.Organisation) (Package, error) {
	client := path.Join(site.ChaincodeDir(org), "client")
	c := connection{
		Address: site.ChaincodeAddress(org), DialTimeout: "3s", TLSRequired: true, ClientAuthRequired: true,
	}
	for _, f := range []struct {
		file string
		into *string
	}{
		{path.Join(client, render.TLSKeyFile), &c.ClientKey},
		{path.Join(client, render.TLSCertFile), &c.ClientCert},
		{site.TLSRoots(org), &c.RootCert},
	} {
		raw, err := os.ReadFile(f.file)
		if err != nil {
			return Package{}, fmt.Errorf("package chaincode of %s: %w", org.ID, err)
		}
		*f.into = string(raw)
	}
	return pack(fmt.Sprintf("%s_%s", t.Chaincode.Name, t.Chaincode.Version), c)
}

func pack(label string, c connection) (Package, error) {
	connectionJSON, err := json.Marshal(c)
	if err != nil {
		return Package{}, fmt.Errorf("encode connection.json: %w", err)
	}
	metadata, err := json.Marshal(map[string]string{"type": "ccaas", "label": label})
	if err != nil {
		return Package{}, fmt.Errorf("encode metadata.json: %w", err)
	}
	code, err := tarball(entry{"connection.json", connectionJSON})
	if err != nil {
		return Package{}, err
	}
	data, err := tarball(entry{"metadata.json", metadata}, entry{"code.tar.gz", code})
	if err != nil {
		return Package{}, err
	}
	digest := sha256.Sum256(data)
	return Package{ID: label + ":" + hex.EncodeToString(digest[:]), Data: data}, nil
}

type entry struct {
	name string
	data []byte
}

// tarball makes a gzipped archive without times or owners, which would make
// two builds of the same content differ.
func tarball(entries ...entry) ([]byte, error) {
	var out bytes.Buffer
	zip := gzip.NewWriter(&out)
	archive := tar.NewWriter(zip)
	for _, e := range entries {
		header := &tar.Header{Name: e.name, Mode: 0o600, Size: int64(len(e.data)), Format: tar.FormatUSTAR}
		if err := archive.WriteHeader(header); err != nil {
			return nil, fmt.Errorf("archive %s: %w", e.name, err)
		}
		if _, err := archive.Write(e.data); err != nil {
			return nil, fmt.Errorf("archive %s: %w", e.name, err)
		}
	}
	if err := archive.Close(); err != nil {
		return nil, fmt.Errorf("end archive: %w", err)
	}
	if err := zip.Close(); err != nil {
		return nil, fmt.Errorf("end compression: %w", err)
	}
	return out.Bytes(), nil
}
