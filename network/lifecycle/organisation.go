// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path"
	"time"

	"github.com/hyperledger/fabric-admin-sdk/pkg/chaincode"
	"github.com/hyperledger/fabric-admin-sdk/pkg/channel"
	"github.com/hyperledger/fabric-admin-sdk/pkg/identity"
	"github.com/hyperledger/fabric-protos-go-apiv2/common"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/protobuf/proto"

	"github.com/emrys-health/emrys/network/render"
	"github.com/emrys-health/emrys/network/topology"
)

// callTimeout bounds one call to a peer, so that a peer that hangs is asked
// again instead of waited for.
const callTimeout = 15 * time.Second

// Organisation acts on the channel as one organisation's administrator. It
// is safe for concurrent use.
type Organisation struct {
	site  render.Site
	t     *topology.Topology
	org   topology.Organisation
	admin identity.SigningIdentity
	peers []*grpc.ClientConn // as in the topology
}

// Open loads the administrator's identity and prepares connections to the
// organisation's peers; it does not wait for them.
func Open(site render.Site, t *topology.Topology, org topology.Organisation) (*Organisation, error) {
	admin, err := loadIdentity(org.MSP, site.AdminMSP(org))
	if err != nil {
		return nil, fmt.Errorf("administrator of %s: %w", org.ID, err)
	}
	roots, err := os.ReadFile(site.TLSRoots(org))
	if err != nil {
		return nil, fmt.Errorf("read TLS roots of %s: %w", org.ID, err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(roots) {
		return nil, fmt.Errorf("%s holds no certificate", site.TLSRoots(org))
	}
	o := &Organisation{site: site, t: t, org: org, admin: admin}
	for _, peer := range org.Peers {
		conn, err := dial(site.PeerAddress(org, peer), pool)
		if err != nil {
			o.Close()
			return nil, err
		}
		o.peers = append(o.peers, conn)
	}
	return o, nil
}

func loadIdentity(msp, dir string) (identity.SigningIdentity, error) {
	cert, err := identity.ReadCertificate(path.Join(dir, render.CertFile))
	if err != nil {
		return nil, fmt.Errorf("read certificate: %w", err)
	}
	key, err := identity.ReadPrivateKey(path.Join(dir, render.KeyFile))
	if err != nil {
		return nil, fmt.Errorf("read private key: %w", err)
	}
	id, err := identity.NewPrivateKeySigningIdentity(msp, cert, key)
	if err != nil {
		return nil, fmt.Errorf("make signing identity: %w", err)
	}
	return id, nil
}

// dial prepares a connection that tries again quickly: the peer at its other
// end is often just starting.
func dial(address string, roots *x509.CertPool) (*grpc.ClientConn, error) {
	retry := backoff.Config{BaseDelay: 50 * time.Millisecond, Multiplier: 1.5, MaxDelay: 500 * time.Millisecond}
	conn, err := grpc.NewClient(address,
		grpc.WithTransportCredentials(credentials.NewClientTLSFromCert(roots, "")),
		grpc.WithConnectParams(grpc.ConnectParams{Backoff: retry, MinConnectTimeout: 2 * time.Second}),
	)
	if err != nil {
		return nil, fmt.Errorf("prepare connection to %s: %w", address, err)
	}
	return conn, nil
}

// Close ends the connections.
func (o *Organisation) Close() {
	for _, conn := range o.peers {
		_ = conn.Close()
	}
}

// JoinPeer makes one of the organisation's peers a member of the channel
// unless it is one already.
func (o *Organisation) JoinPeer(ctx context.Context, index int, genesis []byte) error {
	block := new(common.Block)
	if err := proto.Unmarshal(genesis, block); err != nil {
		return fmt.Errorf("read genesis block: %w", err)
	}
	name := render.PeerName(o.org, o.org.Peers[index])
	return poll(ctx, name+" to join the channel", func() error {
		ctx, cancel := context.WithTimeout(ctx, callTimeout)
		defer cancel()
		joined, err := channel.ListChannelOnPeer(ctx, o.peers[index], o.admin)
		if err != nil {
			return fmt.Errorf("list channels of %s: %w", name, err)
		}
		for _, ch := range joined {
			if ch.GetChannelId() == o.t.Channel.Name {
				return nil
			}
		}
		if err := channel.JoinChannel(ctx, o.peers[index], o.admin, block); err != nil {
			return fmt.Errorf("join %s to the channel: %w", name, err)
		}
		return nil
	})
}

// Install puts the package on one of the organisation's peers.
func (o *Organisation) Install(ctx context.Context, index int, pkg Package) error {
	name := render.PeerName(o.org, o.org.Peers[index])
	peer := chaincode.NewPeer(o.peers[index], o.admin)
	return poll(ctx, name+" to install the chaincode", func() error {
		ctx, cancel := context.WithTimeout(ctx, callTimeout)
		defer cancel()
		installed, err := peer.QueryInstalled(ctx)
		if err != nil {
			return fmt.Errorf("list chaincode of %s: %w", name, err)
		}
		for _, cc := range installed.GetInstalledChaincodes() {
			if cc.GetPackageId() == pkg.ID {
				return nil
			}
		}
		result, err := peer.Install(ctx, bytes.NewReader(pkg.Data))
		if err != nil {
			return fmt.Errorf("install chaincode on %s: %w", name, err)
		}
		if result.GetPackageId() != pkg.ID {
			return fmt.Errorf("%s calls the package %s, not %s", name, result.GetPackageId(), pkg.ID)
		}
		return nil
	})
}

// Approve has the organisation approve the chaincode's definition, with its
// own package.
func (o *Organisation) Approve(ctx context.Context, pkg Package) error {
	definition := o.definition(pkg.ID)
	gateway := chaincode.NewGateway(o.peers[0], o.admin)
	return poll(ctx, o.org.ID+" to approve the chaincode", func() error {
		ctx, cancel := context.WithTimeout(ctx, callTimeout)
		defer cancel()
		approved, err := gateway.QueryApproved(ctx, definition.ChannelName, definition.Name, definition.Sequence)
		if err == nil && approved.GetSource().GetLocalPackage().GetPackageId() == pkg.ID && approved.GetVersion() == definition.Version &&
			proto.Equal(approved.GetCollections(), definition.Collections) {
			return nil
		}
		// Not approved is an error of the query, too: approving tells.
		return gateway.Approve(ctx, definition)
	})
}

// Commit puts the approved definition into force unless it is already. One
// organisation's commit is enough.
func (o *Organisation) Commit(ctx context.Context) error {
	definition := o.definition("")
	gateway := chaincode.NewGateway(o.peers[0], o.admin)
	return poll(ctx, "the chaincode's definition to be committed", func() error {
		ctx, cancel := context.WithTimeout(ctx, callTimeout)
		defer cancel()
		if o.committed(ctx) == nil {
			return nil
		}
		return gateway.Commit(ctx, definition)
	})
}

// AwaitCommit waits until the organisation's peers know the definition.
func (o *Organisation) AwaitCommit(ctx context.Context) error {
	return poll(ctx, o.org.ID+" to know the chaincode", func() error {
		ctx, cancel := context.WithTimeout(ctx, callTimeout)
		defer cancel()
		return o.committed(ctx)
	})
}

func (o *Organisation) committed(ctx context.Context) error {
	gateway := chaincode.NewGateway(o.peers[0], o.admin)
	present, err := gateway.QueryCommittedWithName(ctx, o.t.Channel.Name, o.t.Chaincode.Name)
	if err != nil {
		return err
	}
	if present.GetSequence() != o.t.Chaincode.Sequence {
		return fmt.Errorf("the committed sequence is %d", present.GetSequence())
	}
	if present.GetVersion() != o.t.Chaincode.Version {
		return errors.New("another version is committed: raise chaincode.sequence in the topology")
	}
	return nil
}
