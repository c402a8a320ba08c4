// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package render

import (
	"path"

	"github.com/emrys-health/emrys/network/topology"
)

// Registrar is the identity that registers others, in each authority.
const Registrar = "registrar"

const caConfigFile = "fabric-ca-server-config.yaml"

// Authority is one of the CAs that an organisation's server holds.
type Authority struct {
	Name string
	Dir  string // where the server keeps its key, certificate and database
}

// Authorities lists an organisation's CAs, the server's default first.
func (s Site) Authorities(org topology.Organisation) []Authority {
	dir := s.CADir(org)
	return []Authority{
		{TLSCA(org), dir},
		{IdentityCA(org), path.Join(dir, "identity")},
		{OrdererCA(org), path.Join(dir, "orderer")},
	}
}

// CAServerTLSRoot is the certificate under which the CA server's own TLS
// certificate verifies. The server writes it at its first start.
func (s Site) CAServerTLSRoot(org topology.Organisation) string {
	return path.Join(s.CADir(org), "ca-cert.pem")
}

// CAFiles renders the configuration of a CA server. It holds the registrar's
// secret: the files are for their owner only.
func (s Site) CAFiles(org topology.Organisation, registrarSecret string) ([]File, error) {
	type server struct {
		Bind       string
		Port       int
		Operations string
		CAFiles    []string
	}
	var files []File
	for i, authority := range s.Authorities(org) {
		data := struct {
			Name, Organisation, Registrar, Secret string
			TLS                                   bool
			Hosts                                 []string
			Server                                *server
		}{
			Name: authority.Name, Organisation: org.Name, Registrar: Registrar, Secret: registrarSecret,
			Hosts: TLSHosts(CAName(org)),
		}
		if i == 0 {
			data.TLS = true
			data.Server = &server{Bind: s.Bind, Port: org.CA.Port, Operations: s.listen(org.CA.Operations)}
			for _, other := range s.Authorities(org)[1:] {
				data.Server.CAFiles = append(data.Server.CAFiles, path.Join(other.Dir, caConfigFile))
			}
		}
		text, err := fill(caConfigFile+".tmpl", data)
		if err != nil {
			return nil, err
		}
		files = append(files, File{path.Join(authority.Dir, caConfigFile), secretMode, text})
	}
	return files, nil
}

// TLSHosts are the names in the TLS certificate of a process: the same
// certificate serves natively on loopback and in a container of that name.
func TLSHosts(process string) []string {
	return []string{process, "localhost", "127.0.0.1"}
}
