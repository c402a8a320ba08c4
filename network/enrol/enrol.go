// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package enrol

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/emrys-health/emrys/network/render"
	"github.com/emrys-health/emrys/network/topology"
	"github.com/emrys-health/emrys/pkg/atomicfile"
	"github.com/emrys-health/emrys/pkg/fabricca"
)

const (
	publicMode = 0o644
	secretMode = 0o600
	// pollInterval is how often a starting CA server is asked.
	pollInterval = 25 * time.Millisecond
)

// RegistrarSecret returns the organisation's registrar secret, making it at
// the first call.
func RegistrarSecret(site render.Site, org topology.Organisation) (string, error) {
	file := site.RegistrarSecret(org)
	if raw, err := os.ReadFile(file); err == nil {
		return strings.TrimSpace(string(raw)), nil
	}
	secret := make([]byte, 32)
	_, _ = rand.Read(secret) // never fails (crypto/rand)
	text := hex.EncodeToString(secret)
	if err := atomicfile.Write(file, []byte(text+"\n"), secretMode); err != nil {
		return "", fmt.Errorf("keep registrar secret: %w", err)
	}
	return text, nil
}

// derivedSecret is the enrolment secret of a process. Deriving it lets an
// interrupted run resume: what was registered can still be enrolled.
func derivedSecret(registrarSecret, authority, id string) string {
	mac := hmac.New(sha256.New, []byte(registrarSecret))
	mac.Write([]byte("emrys enrolment\x00" + authority + "\x00" + id))
	return hex.EncodeToString(mac.Sum(nil))
}

// organisation enrols for one organisation. Clients and registrars are made
// when first needed: a second run with nothing to do speaks to no CA.
type organisation struct {
	site   render.Site
	org    topology.Organisation
	secret string

	mu          sync.Mutex
	authorities map[string]*authority
}

// authority is a CA with the registrar's fresh certificate.
type authority struct {
	once      sync.Once
	err       error
	client    *fabricca.Client
	chain     []byte
	registrar *ecdsa.PrivateKey
	cert      []byte

	node     sync.Once // of the TLS authority: its node identity
	nodeErr  error
	nodeKey  *ecdsa.PrivateKey
	nodeCert []byte
}

// Organisation obtains every certificate the organisation lacks and writes
// its public MSP directories. It waits for the CA server to come up until ctx
// ends. It is safe to repeat and to interrupt.
func Organisation(ctx context.Context, site render.Site, org topology.Organisation) error {
	secret, err := RegistrarSecret(site, org)
	if err != nil {
		return err
	}
	o := &organisation{site: site, org: org, secret: secret, authorities: map[string]*authority{}}
	if err := o.publicMSP(ctx, render.IdentityCA(org), site.MSP(org)); err != nil {
		return err
	}
	if err := o.publicMSP(ctx, render.OrdererCA(org), site.OrdererMSP(org)); err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(4)
	group.Go(func() error { return o.keepRegistrar(ctx) })
	for _, id := range plan(site, org) {
		if atomicfile.Exists(id.dir) {
			continue
		}
		group.Go(func() error { return o.obtain(ctx, id) })
	}
	return group.Wait()
}

// publicMSP writes the directory that goes into the channel's configuration.
func (o *organisation) publicMSP(ctx context.Context, authorityName, dir string) error {
	if atomicfile.Exists(dir) {
		return nil
	}
	files, err := o.roots(ctx, authorityName)
	if err != nil {
		return err
	}
	return atomicfile.WriteDir(dir, files)
}

// roots are the files of an MSP directory that say whom the MSP trusts.
func (o *organisation) roots(ctx context.Context, authorityName string) ([]atomicfile.File, error) {
	issuer, err := o.connect(ctx, authorityName)
	if err != nil {
		return nil, err
	}
	tlsCA, err := o.connect(ctx, render.TLSCA(o.org))
	if err != nil {
		return nil, err
	}
	return []atomicfile.File{
		{Name: render.RootFile, Data: issuer.chain, Mode: publicMode},
		{Name: render.TLSRootFile, Data: tlsCA.chain, Mode: publicMode},
		{Name: render.OUFile, Data: render.NodeOUs(), Mode: publicMode},
	}, nil
}

// connect returns the authority, waiting for its server to answer.
func (o *organisation) connect(ctx context.Context, name string) (*authority, error) {
	o.mu.Lock()
	a, ok := o.authorities[name]
	if !ok {
		a = &authority{}
		o.authorities[name] = a
	}
	o.mu.Unlock()
	a.once.Do(func() { a.err = o.prepare(ctx, name, a) })
	return a, a.err
}

func (o *organisation) prepare(ctx context.Context, name string, a *authority) error {
	client, chain, err := Await(ctx, o.site, o.org, name)
	if err != nil {
		return err
	}
	key, csr, err := newKey(render.Registrar)
	if err != nil {
		return err
	}
	cert, _, err := client.Enroll(ctx, render.Registrar, o.secret, csr)
	if err != nil {
		return err
	}
	a.client, a.chain, a.registrar, a.cert = client, chain, key, cert
	return nil
}

// Await returns a client of the named authority once its server answers, and
// the authority's chain.
func Await(ctx context.Context, site render.Site, org topology.Organisation, name string) (*fabricca.Client, []byte, error) {
	var last error
	for {
		client, chain, err := probe(ctx, site, org, name)
		if err == nil {
			return client, chain, nil
		}
		last = err
		select {
		case <-ctx.Done():
			return nil, nil, fmt.Errorf("wait for CA %s: %w (last: %w)", name, ctx.Err(), last)
		case <-time.After(pollInterval):
		}
	}
}

func probe(ctx context.Context, site render.Site, org topology.Organisation, name string) (*fabricca.Client, []byte, error) {
	roots, err := os.ReadFile(site.CAServerTLSRoot(org))
	if err != nil {
		return nil, nil, fmt.Errorf("read CA server's TLS root: %w", err)
	}
	client, err := fabricca.New(site.CAURL(org), roots, name)
	if err != nil {
		return nil, nil, err
	}
	chain, err := client.Info(ctx)
	return client, chain, err
}

// obtain has one certificate issued and writes its directory, the whole of it
// at once: Fabric reads every file of an MSP's folders.
func (o *organisation) obtain(ctx context.Context, id identity) error {
	a, err := o.connect(ctx, id.authority)
	if err != nil {
		return err
	}
	issue := o.enrol
	if id.tls {
		issue = o.issueTLS
	}
	key, cert, err := issue(ctx, a, id)
	if err != nil {
		return err
	}
	return o.store(ctx, id, a, key, cert)
}

// enrol registers an identity, unless that was done already, and enrols it.
func (o *organisation) enrol(ctx context.Context, a *authority, id identity) (*ecdsa.PrivateKey, []byte, error) {
	secret := derivedSecret(o.secret, id.authority, id.id)
	_, err := a.client.Register(ctx, a.registrar, a.cert, fabricca.Registration{
		ID: id.id, Type: id.kind, Attrs: id.attrs, Secret: secret, MaxEnrollments: -1,
	})
	if err != nil && !fabricca.IsAlreadyRegistered(err) {
		return nil, nil, err
	}
	key, csr, err := newKey(id.id, id.hosts...)
	if err != nil {
		return nil, nil, err
	}
	cert, _, err := a.client.Enroll(ctx, id.id, secret, csr)
	return key, cert, err
}

// issueTLS has the node identity, enrolled once, ask for another certificate
// with the hosts of one process.
func (o *organisation) issueTLS(ctx context.Context, a *authority, id identity) (*ecdsa.PrivateKey, []byte, error) {
	a.node.Do(func() {
		a.nodeKey, a.nodeCert, a.nodeErr = o.enrol(ctx, a, identity{authority: id.authority, id: id.id, kind: id.kind})
	})
	if a.nodeErr != nil {
		return nil, nil, a.nodeErr
	}
	key, csr, err := newKey(id.id, id.hosts...)
	if err != nil {
		return nil, nil, err
	}
	cert, _, err := a.client.Reenroll(ctx, a.nodeKey, a.nodeCert, csr)
	return key, cert, err
}

// newKey makes a key and a request for a certificate of it.
func newKey(id string, hosts ...string) (*ecdsa.PrivateKey, []byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("make key of %s: %w", id, err)
	}
	csr, err := fabricca.NewRequest(key, id, hosts...)
	return key, csr, err
}

func (o *organisation) store(ctx context.Context, id identity, a *authority, key *ecdsa.PrivateKey, cert []byte) error {
	secret, err := encodeKey(key)
	if err != nil {
		return err
	}
	if id.tls {
		return atomicfile.WriteDir(id.dir, []atomicfile.File{
			{Name: render.TLSCAFile, Data: a.chain, Mode: publicMode},
			{Name: render.TLSKeyFile, Data: secret, Mode: secretMode},
			{Name: render.TLSCertFile, Data: cert, Mode: publicMode},
		})
	}
	files, err := o.roots(ctx, id.authority)
	if err != nil {
		return err
	}
	return atomicfile.WriteDir(id.dir, append(files,
		atomicfile.File{Name: render.KeyFile, Data: secret, Mode: secretMode},
		atomicfile.File{Name: render.CertFile, Data: cert, Mode: publicMode}))
}

// keepRegistrar keeps a registrar certificate of the identity CA, with which
// people are invited later.
func (o *organisation) keepRegistrar(ctx context.Context) error {
	id := identity{authority: render.IdentityCA(o.org), dir: o.site.RegistrarMSP(o.org)}
	if atomicfile.Exists(id.dir) {
		return nil
	}
	a, err := o.connect(ctx, id.authority)
	if err != nil {
		return err
	}
	return o.store(ctx, id, a, a.registrar, a.cert)
}

func encodeKey(key *ecdsa.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("encode private key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

// ShareTLSRoots writes into each organisation's directory the bundle of all
// organisations' TLS roots, under which gateways know each other.
func ShareTLSRoots(site render.Site, t *topology.Topology) error {
	var bundle []byte
	for _, org := range t.Organisations {
		root, err := os.ReadFile(site.TLSRoots(org))
		if err != nil {
			return fmt.Errorf("read TLS root of %s: %w", org.ID, err)
		}
		bundle = append(bundle, root...)
	}
	for _, org := range t.Organisations {
		if _, err := atomicfile.Update(site.AllTLSRoots(org), bundle, publicMode); err != nil {
			return err
		}
	}
	return nil
}
