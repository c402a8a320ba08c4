// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// Config is the configuration of one gateway. Secrets never stand in it: only
// the paths of their files.
type Config struct {
	// Organisation is the MSP id of the organisation that runs this gateway.
	Organisation string `yaml:"organisation"`
	// Listen is the host and port of the one listener.
	Listen string `yaml:"listen"`
	// PublicURL is the URL under which others reach the gateway, without a path.
	PublicURL string `yaml:"publicUrl"`
	TLS       TLS    `yaml:"tls"`
	// ClientRoots is a PEM file with the TLS roots of every organisation: who may
	// call as a gateway, and whom this gateway calls.
	ClientRoots string `yaml:"clientRoots"`
	Fabric      Fabric `yaml:"fabric"`
	// IPFS is absent for an organisation that keeps no content (the regulator).
	IPFS *IPFS `yaml:"ipfs"`
	// StateDir holds the journal of uploads, the pinner's progress and the custodian's.
	StateDir string `yaml:"stateDir"`
	// KeysFile is the file of the gateway's keys. Its name is always KeysFileName.
	KeysFile string   `yaml:"keysFile"`
	Policy   Policy   `yaml:"policy"`
	Limits   Limits   `yaml:"limits"`
	Timeouts Timeouts `yaml:"timeouts"`
	Log      Log      `yaml:"log"`
}

// KeysFileName is the name that package keystore gives a gateway's key file.
const KeysFileName = "gateway-keys.json"

// TLS is the certificate and key (PEM files) of the listener; the same pair
// identifies this gateway to others.
type TLS struct {
	Cert string `yaml:"cert"`
	Key  string `yaml:"key"`
}

// Fabric is the way to the ledger.
type Fabric struct {
	// Peers are the peers of the own organisation, the preferred one first.
	Peers     []Peer `yaml:"peers"`
	Channel   string `yaml:"channel"`
	Chaincode string `yaml:"chaincode"`
	// Cert and Key are the enrolment certificate and key that sign proposals (PEM
	// files); MSP is the id of their MSP.
	Cert string `yaml:"cert"`
	Key  string `yaml:"key"`
	MSP  string `yaml:"msp"`
	// Endorsers is how endorsers are chosen: "named" asks a majority of the
	// organisations at once, "discovered" leaves it to the peer.
	Endorsers string `yaml:"endorsers"`
}

// Ways to choose endorsers.
const (
	EndorsersNamed      = "named"
	EndorsersDiscovered = "discovered"
)

// Peer is one peer's gateway service.
type Peer struct {
	Address string `yaml:"address"`
	// TLSRoots is a PEM file; ServerName overrides the name to verify.
	TLSRoots   string `yaml:"tlsRoots"`
	ServerName string `yaml:"serverName"`
}

// IPFS is the Kubo daemon of the hospital.
type IPFS struct {
	// API is the URL of the RPC interface.
	API string `yaml:"api"`
	// Authorization is a file with the value of the Authorization header.
	Authorization string `yaml:"authorization"`
}

// Policy is what this gateway recommends to clients and does itself.
type Policy struct {
	// Threshold is the number of proxies that must answer.
	Threshold int `yaml:"threshold"`
	// Replicas is the number of hospitals that keep a record's content.
	Replicas int `yaml:"replicas"`
	// SealEvery is the time between rounds of sealing what the organisation's people
	// have read; 0 leaves that to another gateway of the organisation.
	SealEvery time.Duration `yaml:"sealEvery"`
	// EraseEvery is the time between rounds of carrying out orders to destroy that no
	// event has caused; 0 leaves all of that to another gateway of the organisation,
	// which can do it only for what this gateway does not keep itself.
	EraseEvery time.Duration `yaml:"eraseEvery"`
}

// Limits bound what one caller may take.
type Limits struct {
	// UploadBytes is the largest upload in octets.
	UploadBytes int64 `yaml:"uploadBytes"`
	// TokensPerSecond bounds token requests of one address, RequestsPerSecond
	// requests of one person, FragmentsPerSecond re-encryptions for one person.
	TokensPerSecond    float64 `yaml:"tokensPerSecond"`
	RequestsPerSecond  float64 `yaml:"requestsPerSecond"`
	FragmentsPerSecond float64 `yaml:"fragmentsPerSecond"`
}

// Timeouts of every stage.
type Timeouts struct {
	Evaluate time.Duration `yaml:"evaluate"`
	Endorse  time.Duration `yaml:"endorse"`
	Submit   time.Duration `yaml:"submit"`
	// Commit is how long the outcome of a submitted transaction is waited for.
	Commit time.Duration `yaml:"commit"`
	// Proxy is how long another gateway may take to answer a ticket.
	Proxy time.Duration `yaml:"proxy"`
	// Stall is how long a transfer may stand still.
	Stall time.Duration `yaml:"stall"`
	// Pin is how long one attempt to pin a record's content may take.
	Pin time.Duration `yaml:"pin"`
	// UploadLife is how long an upload waits for its record.
	UploadLife time.Duration `yaml:"uploadLife"`
	// Drain is how long a stopping gateway waits for requests under way.
	Drain time.Duration `yaml:"drain"`
}

// Log is how the gateway logs: level debug, info, warn or error; format json or text.
type Log struct {
	Level  string `yaml:"level"`
	Format string `yaml:"format"`
}

// Default returns the values of everything that a configuration may leave out.
func Default() Config {
	return Config{
		Fabric: Fabric{Chaincode: ledgerapi.ChaincodeName, Endorsers: EndorsersNamed},
		Policy: Policy{Threshold: ledgerapi.MinThreshold, Replicas: 2, SealEvery: 10 * time.Minute, EraseEvery: 10 * time.Minute},
		Limits: Limits{UploadBytes: 64 << 30, TokensPerSecond: 20, RequestsPerSecond: 100, FragmentsPerSecond: 20},
		Timeouts: Timeouts{
			Evaluate: 10 * time.Second, Endorse: 15 * time.Second, Submit: 10 * time.Second, Commit: 30 * time.Second,
			Proxy: 5 * time.Second, Stall: 30 * time.Second, Pin: 10 * time.Minute, UploadLife: 30 * time.Minute,
			Drain: 30 * time.Second,
		},
		Log: Log{Level: "info", Format: "json"},
	}
}

// Load reads a configuration file over the defaults and validates it. Unknown
// fields are refused.
func Load(path string) (Config, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return Config{}, fmt.Errorf("read configuration: %w", err)
	}
	return Parse(text)
}

// Parse is Load on text.
func Parse(text []byte) (Config, error) {
	c := Default()
	dec := yaml.NewDecoder(bytes.NewReader(text))
	dec.KnownFields(true)
	if err := dec.Decode(&c); err != nil && !errors.Is(err, io.EOF) {
		return Config{}, fmt.Errorf("parse configuration: %w", err)
	}
	if err := dec.Decode(&struct{}{}); !errors.Is(err, io.EOF) {
		return Config{}, errors.New("parse configuration: more than one document")
	}
	if err := c.Validate(); err != nil {
		return Config{}, err
	}
	return c, nil
}

// Validate reports every problem at once, each with the path of its field. It
// does not look at files.
func (c *Config) Validate() error {
	var p problems
	if _, err := emr.ParseOrgID("organisation", c.Organisation); err != nil {
		p.add("organisation", "must be an MSP id")
	}
	p.address("listen", c.Listen)
	p.url("publicUrl", c.PublicURL, "https")
	for field, value := range map[string]string{
		"tls.cert": c.TLS.Cert, "tls.key": c.TLS.Key, "clientRoots": c.ClientRoots,
		"stateDir": c.StateDir,
	} {
		p.text(field, value)
	}
	if filepath.Base(c.KeysFile) != KeysFileName {
		p.add("keysFile", "must be the path of a file named "+KeysFileName)
	}
	c.Fabric.validate(&p)
	if c.IPFS != nil {
		p.url("ipfs.api", c.IPFS.API, "http", "https")
		p.text("ipfs.authorization", c.IPFS.Authorization)
	}
	c.Policy.validate(&p)
	c.Limits.validate(&p)
	c.Timeouts.validate(&p)
	c.Log.validate(&p)
	return p.err()
}

func (f *Fabric) validate(p *problems) {
	if len(f.Peers) == 0 {
		p.add("fabric.peers", "must name at least one peer")
	}
	for i, peer := range f.Peers {
		p.address(fmt.Sprintf("fabric.peers[%d].address", i), peer.Address)
		p.text(fmt.Sprintf("fabric.peers[%d].tlsRoots", i), peer.TLSRoots)
	}
	for field, value := range map[string]string{
		"fabric.channel": f.Channel, "fabric.chaincode": f.Chaincode,
		"fabric.cert": f.Cert, "fabric.key": f.Key, "fabric.msp": f.MSP,
	} {
		p.text(field, value)
	}
	if f.Endorsers != EndorsersNamed && f.Endorsers != EndorsersDiscovered {
		p.add("fabric.endorsers", "must be named or discovered")
	}
}

func (y *Policy) validate(p *problems) {
	if y.Threshold < ledgerapi.MinThreshold || y.Threshold > 255 {
		p.add("policy.threshold", fmt.Sprintf("must be %d to 255", ledgerapi.MinThreshold))
	}
	if y.Replicas < 1 {
		p.add("policy.replicas", "must be at least 1")
	}
	if y.SealEvery < 0 {
		p.add("policy.sealEvery", "must not be less than 0")
	}
	if y.EraseEvery < 0 {
		p.add("policy.eraseEvery", "must not be less than 0")
	}
}

func (l *Limits) validate(p *problems) {
	if l.UploadBytes < 1 {
		p.add("limits.uploadBytes", "must be at least 1")
	}
	for field, value := range map[string]float64{
		"limits.tokensPerSecond": l.TokensPerSecond, "limits.requestsPerSecond": l.RequestsPerSecond,
		"limits.fragmentsPerSecond": l.FragmentsPerSecond,
	} {
		if !(value > 0) {
			p.add(field, "must be more than 0")
		}
	}
}

func (t *Timeouts) validate(p *problems) {
	for field, value := range map[string]time.Duration{
		"timeouts.evaluate": t.Evaluate, "timeouts.endorse": t.Endorse, "timeouts.submit": t.Submit,
		"timeouts.commit": t.Commit, "timeouts.proxy": t.Proxy, "timeouts.stall": t.Stall, "timeouts.pin": t.Pin,
		"timeouts.uploadLife": t.UploadLife, "timeouts.drain": t.Drain,
	} {
		if value <= 0 {
			p.add(field, "must be more than 0s")
		}
	}
}

func (l *Log) validate(p *problems) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(l.Level)); err != nil {
		p.add("log.level", "must be debug, info, warn or error")
	}
	if l.Format != "json" && l.Format != "text" {
		p.add("log.format", "must be json or text")
	}
}

// Logger makes the logger that the configuration asks for.
func (l *Log) Logger(w io.Writer) *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(l.Level)) // validated
	options := &slog.HandlerOptions{Level: level}
	if l.Format == "text" {
		return slog.New(slog.NewTextHandler(w, options))
	}
	return slog.New(slog.NewJSONHandler(w, options))
}

// problems collects what is wrong with a configuration.
type problems struct{ list []string }

func (p *problems) add(field, message string) { p.list = append(p.list, field+": "+message) }

func (p *problems) text(field, value string) {
	if value == "" {
		p.add(field, "must not be empty")
	}
}

func (p *problems) address(field, value string) {
	if _, port, err := net.SplitHostPort(value); err != nil || port == "" {
		p.add(field, "must be host:port")
	}
}

func (p *problems) url(field, value string, schemes ...string) {
	u, err := url.Parse(value)
	if err != nil || u.Host == "" || (u.Path != "" && u.Path != "/") || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		p.add(field, "must be a URL without a path")
		return
	}
	for _, s := range schemes {
		if u.Scheme == s {
			return
		}
	}
	p.add(field, "must begin with "+strings.Join(schemes, ":// or ")+"://")
}

func (p *problems) err() error {
	if len(p.list) == 0 {
		return nil
	}
	list := slices.Clone(p.list)
	// Maps are walked in no order; the report has one.
	slices.Sort(list)
	return errors.New("configuration is not valid:\n  " + strings.Join(list, "\n  "))
}
