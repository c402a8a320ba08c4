// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package render

import (
	"bytes"
	"embed"
	"encoding/json"
	"fmt"
	"io/fs"
	"text/template"

	"github.com/emrys-health/emrys/network/topology"
)

//go:embed templates/*.tmpl
var templates embed.FS

// File is one rendered file: where it goes, its mode and its bytes.
type File struct {
	Path string
	Mode fs.FileMode
	Data []byte
}

const (
	publicMode = 0o644
	secretMode = 0o600
)

// fill executes a template. In templates, q quotes a value for YAML and list
// makes a flow sequence: JSON strings and arrays are both.
func fill(name string, data any) ([]byte, error) {
	asJSON := func(v any) (string, error) {
		raw, err := json.Marshal(v)
		return string(raw), err
	}
	t, err := template.New(name).Funcs(template.FuncMap{"q": asJSON, "list": asJSON}).
		Option("missingkey=error").ParseFS(templates, "templates/"+name)
	if err != nil {
		return nil, fmt.Errorf("parse template %s: %w", name, err)
	}
	var out bytes.Buffer
	if err := t.Execute(&out, data); err != nil {
		return nil, fmt.Errorf("render %s: %w", name, err)
	}
	return out.Bytes(), nil
}

// Files renders every file that holds no secret and no generated key: the
// channel, peers, orderers, gateways and the role mapping of each MSP.
func (s Site) Files(t *topology.Topology) ([]File, error) {
	configtx, err := s.configtx(t)
	if err != nil {
		return nil, err
	}
	files := []File{configtx}
	for _, org := range t.Organisations {
		own, err := s.orgFiles(t, org)
		if err != nil {
			return nil, fmt.Errorf("organisation %s: %w", org.ID, err)
		}
		files = append(files, own...)
	}
	return files, nil
}

func (s Site) orgFiles(t *topology.Topology, org topology.Organisation) ([]File, error) {
	orderer, err := s.orderer(org)
	if err != nil {
		return nil, err
	}
	gateway, err := s.gateway(t, org)
	if err != nil {
		return nil, err
	}
	files := []File{orderer, gateway}
	for i := range org.Peers {
		peer, err := s.peer(t, org, i)
		if err != nil {
			return nil, err
		}
		files = append(files, peer)
	}
	return files, nil
}
