// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package render

import (
	"bytes"
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/emrys-health/emrys/network/topology"
)

// Images of third parties, and the project's own.
const (
	imagePeer    = "hyperledger/fabric-peer:3.1.5"
	imageOrderer = "hyperledger/fabric-orderer:3.1.5"
	imageCA      = "hyperledger/fabric-ca:1.5.15"
	imageKubo    = "ipfs/kubo:v0.42.0"
	imageEmrys   = "emrys:local"
)

// composeUser owns the state in the volume. Every container runs as it, so
// that what one writes for its owner only another can read.
const composeUser = "10001:10001"

const composeHeader = `# A consortium in containers, rendered from network/topology/default.yaml by
#
#     emrysctl render compose > docker-compose.yaml
#
# Do not edit: a test renders it again and compares.
#
# Status: this file is checked against the Compose schema. It has not been run
# by a container engine where it was written, which has none. Its commands were
# run as plain processes, in its order, in a network namespace with its names.
#
#     docker compose up --build --detach --wait-timeout 300
#     docker compose run --rm admin invite --org HospA --role patient -o /emrys/patient.json
#
# Three one-shot services do what "emrysctl up" does: prepare writes the files
# of the certificate authorities and of the IPFS daemons, enrol has everybody's
# certificates issued and makes the genesis block, deploy joins the channel,
# puts the contract on it and registers the organisations. Each can be repeated.
#
# Everything lives in one volume, which suits one host. On several hosts give
# each organisation its own, with orgs/ID of its own, the public "msp" folders
# of the others, and channel/; names such as peer0.hospa must then resolve.
#
# A hospital's gateway shares the network namespace of its IPFS daemon, whose
# RPC interface listens on loopback only.
#
# Gateways and certificate authorities are published on this host's loopback
# address. Invitations name them gateway.ID and ca.ID: add those names to
# /etc/hosts (127.0.0.1) on the machine of the person who joins.
`

type composeFile struct {
	Name     string                    `yaml:"name"`
	Services yaml.Node                 `yaml:"services"`
	Volumes  map[string]struct{}       `yaml:"volumes"`
	Networks map[string]composeNetwork `yaml:"networks"`
}

type composeNetwork struct {
	Driver string `yaml:"driver"`
}

type composeService struct {
	Image       string                      `yaml:"image"`
	Build       *composeBuild               `yaml:"build,omitempty"`
	Profiles    []string                    `yaml:"profiles,omitempty,flow"`
	User        string                      `yaml:"user"`
	Entrypoint  []string                    `yaml:"entrypoint,omitempty,flow"`
	Command     []string                    `yaml:"command,omitempty,flow"`
	Environment []string                    `yaml:"environment,omitempty"`
	WorkingDir  string                      `yaml:"working_dir,omitempty"`
	Volumes     []string                    `yaml:"volumes,flow"`
	Ports       []string                    `yaml:"ports,omitempty,flow"`
	NetworkMode string                      `yaml:"network_mode,omitempty"`
	Networks    map[string]composeAlias     `yaml:"networks,omitempty,flow"`
	DependsOn   map[string]composeCondition `yaml:"depends_on,omitempty"`
	Restart     string                      `yaml:"restart"`
	SecurityOpt []string                    `yaml:"security_opt,flow"`
	CapDrop     []string                    `yaml:"cap_drop,flow"`
}

type composeBuild struct {
	Context    string `yaml:"context"`
	Dockerfile string `yaml:"dockerfile"`
}

// composeAlias holds the names beside its own under which a service is found.
type composeAlias struct {
	Aliases []string `yaml:"aliases,omitempty,flow"`
}

type composeCondition struct {
	Condition string `yaml:"condition"`
}

const (
	conditionDone    = "service_completed_successfully"
	conditionStarted = "service_started"
)

// Names of the one-shot services.
const (
	stepPrepare = "prepare"
	stepEnrol   = "enrol"
	stepDeploy  = "deploy"
)

// Compose renders the topology as a Compose file, the whole of it.
func Compose(t *topology.Topology) ([]byte, error) {
	site := Containers()
	file := composeFile{
		Name:     t.Name,
		Volumes:  map[string]struct{}{"state": {}},
		Networks: map[string]composeNetwork{t.Name: {Driver: "bridge"}},
	}
	services := composeServices{network: t.Name, node: &file.Services}
	file.Services.Kind = yaml.MappingNode
	processes := site.Processes(t, nil)
	services.addSteps(processes)
	for _, p := range processes {
		services.add(p.Name, site.composeService(p, t.Name))
	}
	if services.err != nil {
		return nil, services.err
	}
	var out bytes.Buffer
	out.WriteString(composeHeader + "\n")
	encoder := yaml.NewEncoder(&out)
	encoder.SetIndent(2)
	if err := encoder.Encode(file); err != nil {
		return nil, fmt.Errorf("encode Compose file: %w", err)
	}
	return out.Bytes(), nil
}

// composeServices appends services in a chosen order, which a map would lose.
type composeServices struct {
	network string
	node    *yaml.Node
	err     error
}

func (c *composeServices) add(name string, service composeService) {
	var value yaml.Node
	if err := value.Encode(service); err != nil && c.err == nil {
		c.err = fmt.Errorf("encode service %s: %w", name, err)
	}
	c.node.Content = append(c.node.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: name}, &value)
}

// addSteps adds the one-shot services and the administrator's tool.
func (c *composeServices) addSteps(processes []Process) {
	step := func(name string, waitsFor map[string]composeCondition) {
		service := baseService(imageEmrys, c.network)
		service.Build = &composeBuild{Context: ".", Dockerfile: "network/docker/Dockerfile"}
		service.Command = []string{"emrysctl", "containers", name}
		service.DependsOn = waitsFor
		service.Restart = "on-failure:3"
		c.add(name, service)
	}
	started := func(kinds ...ProcessKind) map[string]composeCondition {
		waits := map[string]composeCondition{}
		for _, p := range processes {
			for _, kind := range kinds {
				if p.Kind == kind {
					waits[p.Name] = composeCondition{conditionStarted}
				}
			}
		}
		return waits
	}
	step(stepPrepare, nil)
	step(stepEnrol, started(KindCA))
	step(stepDeploy, started(KindOrderer, KindPeer, KindChaincode))
	admin := baseService(imageEmrys, c.network)
	admin.Profiles = []string{"tools"}
	admin.Entrypoint = []string{"emrysctl"}
	admin.Restart = "no"
	c.add("admin", admin)
}

func baseService(image, network string) composeService {
	return composeService{
		Image: image, User: composeUser, Restart: "unless-stopped",
		Environment: []string{"EMRYS_HOME=" + composeHome},
		Volumes:     []string{"state:" + composeHome},
		Networks:    map[string]composeAlias{network: {}},
		SecurityOpt: []string{"no-new-privileges:true"},
		CapDrop:     []string{"ALL"},
	}
}

// composeService renders one process: the same command, environment and
// directory as natively.
func (s Site) composeService(p Process, network string) composeService {
	image, after := composeImage(p.Kind)
	service := baseService(image, network)
	service.Entrypoint = p.Command
	service.WorkingDir = p.Dir
	service.Environment = p.Env
	service.DependsOn = map[string]composeCondition{after: {conditionDone}}
	switch p.Kind {
	case KindCA:
		service.Ports = []string{published(p.Ports[0])}
	case KindIPFS:
		// The gateway lives in this network namespace: see loopback.
		service.Networks = map[string]composeAlias{network: {Aliases: []string{GatewayName(p.Org)}}}
		service.Ports = []string{published(p.Org.Gateway.Port)}
	case KindGateway:
		if p.Org.IPFS == nil {
			service.Ports = []string{published(p.Ports[0])}
			break
		}
		service.Networks = nil
		service.NetworkMode = "service:" + IPFSName(p.Org)
		service.DependsOn[IPFSName(p.Org)] = composeCondition{conditionStarted}
	case KindChaincode:
		service.Entrypoint, service.Environment = s.chaincodeEntrypoint(p)
	case KindOrderer, KindPeer:
	}
	return service
}

// published makes a port of a container reachable on the host's loopback.
func published(port int) string { return fmt.Sprintf("127.0.0.1:%d:%d", port, port) }

// chaincodeEntrypoint reads the package id, which is known only when the
// certificates are, from the file that the enrolment step leaves.
func (s Site) chaincodeEntrypoint(p Process) (entrypoint, environment []string) {
	const name = "CORE_CHAINCODE_ID_NAME"
	for _, variable := range p.Env {
		if !strings.HasPrefix(variable, name+"=") {
			environment = append(environment, variable)
		}
	}
	// $$ is Compose's way to write a dollar sign.
	script := fmt.Sprintf("export %s=\"$$(cat %s)\"; exec %s", name, s.PackageIDFile(p.Org), strings.Join(p.Command, " "))
	return []string{"/bin/sh", "-c", script}, environment
}

// composeImage returns a process's image and the step it waits for.
func composeImage(kind ProcessKind) (image, after string) {
	switch kind {
	case KindCA:
		return imageCA, stepPrepare
	case KindIPFS:
		return imageKubo, stepPrepare
	case KindOrderer:
		return imageOrderer, stepEnrol
	case KindPeer:
		return imagePeer, stepEnrol
	case KindGateway:
		return imageEmrys, stepDeploy
	case KindChaincode:
	}
	return imageEmrys, stepEnrol
}
