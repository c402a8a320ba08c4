// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package keystore

import (
	"errors"
	"io"
)

const (
	gatewayName = "gateway-keys"
	gatewayKind = "emrys-gateway-keys"

	gatewayVersion = 1
)

// GatewayKeys holds the keys of one organisation's gateway. Its methods offer operations and hand out no private key. It is
// immutable and safe for concurrent use.
type GatewayKeys struct {
	label
	proxy   *HybridKey
	record  *HybridKey
	receipt *softSigner
}

// gatewayDocument is the file's content, in the order of the file.
type gatewayDocument struct {
	Version int     `json:"v"`
	Kind    string  `json:"kind"`
	Proxy   *secret `json:"proxy"`
	Record  *secret `json:"record"`
	Receipt *secret `json:"receipt"`
}

// CreateGateway makes new gateway keys from rand and writes them to dir, under the same rules and with the same errors as
// [Create].
func CreateGateway(dir string, passphrase []byte, rand io.Reader) (*GatewayKeys, error) {
	d := gatewayDocument{Version: gatewayVersion, Kind: gatewayKind}
	if err := errors.Join(
		generateInto(&d.Proxy, generateSecret, rand),
		generateInto(&d.Record, generateSecret, rand),
		generateInto(&d.Receipt, generateScalar, rand),
	); err != nil {
		return nil, err
	}
	g, err := newGatewayKeys(d)
	if err != nil {
		return nil, err
	}
	if err := (vault{dir: dir, name: gatewayName}).create(&d, passphrase); err != nil {
		return nil, err
	}
	return g, nil
}

// OpenGateway reads the gateway keys in dir, with the same errors as [Open].
func OpenGateway(dir string, passphrase []byte) (*GatewayKeys, error) {
	var d gatewayDocument
	if err := (vault{dir: dir, name: gatewayName}).open(&d, passphrase); err != nil {
		return nil, err
	}
	return newGatewayKeys(d)
}

func newGatewayKeys(d gatewayDocument) (*GatewayKeys, error) {
	if err := checkDocument(d.Version, gatewayVersion, d.Kind, gatewayKind, d.Proxy, d.Record, d.Receipt); err != nil {
		return nil, err
	}
	g := new(GatewayKeys)
	var errs [3]error
	g.proxy, errs[0] = newHybridKey("proxy", d.Proxy)
	g.record, errs[1] = newHybridKey("record", d.Record)
	g.receipt, errs[2] = newSigner("ReceiptKey", d.Receipt)
	if err := errors.Join(errs[:]...); err != nil {
		return nil, err
	}
	g.label = label("keystore.GatewayKeys(" + g.receipt.KeyID() + ")")
	return g, nil
}

// Proxy returns the key that opens the shares and key fragments sealed to this gateway.
func (g *GatewayKeys) Proxy() *HybridKey { return g.proxy }

// Record returns the key that opens the hospital's legal copy of data keys.
func (g *GatewayKeys) Record() *HybridKey { return g.record }

// Receipt returns the key that signs the proxy's receipts.
func (g *GatewayKeys) Receipt() Signer { return g.receipt }
