// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"context"
	"fmt"
	"strings"

	"github.com/hyperledger/fabric-gateway/pkg/client"
	"github.com/hyperledger/fabric-gateway/pkg/hash"
	"google.golang.org/grpc/status"

	"github.com/hyperledger/fabric-protos-go-apiv2/gateway"
)

// Evaluate asks the contract as the organisation's administrator.
func (o *Organisation) Evaluate(ctx context.Context, function, argument string) ([]byte, error) {
	return o.invoke(function, func(contract *client.Contract) ([]byte, error) {
		return contract.EvaluateWithContext(ctx, function, client.WithArguments(argument))
	})
}

// Submit has the contract change the ledger and waits until it is committed
// on the organisation's first peer.
func (o *Organisation) Submit(ctx context.Context, function, argument string) ([]byte, error) {
	return o.invoke(function, func(contract *client.Contract) ([]byte, error) {
		return contract.SubmitWithContext(ctx, function, client.WithArguments(argument))
	})
}

func (o *Organisation) invoke(function string, call func(*client.Contract) ([]byte, error)) ([]byte, error) {
	fabric, err := client.Connect(o.admin,
		client.WithClientConnection(o.peers[0]), client.WithHash(hash.NONE), client.WithSign(o.admin.Sign))
	if err != nil {
		return nil, fmt.Errorf("use %s's peer: %w", o.org.ID, err)
	}
	defer func() { _ = fabric.Close() }()
	answer, err := call(fabric.GetNetwork(o.t.Channel.Name).GetContract(o.t.Chaincode.Name))
	if err != nil {
		return nil, fmt.Errorf("%s by %s: %w%s", function, o.org.MSP, err, details(err))
	}
	return answer, nil
}

// details collects what the peers of each organisation said: the error itself
// only says that something failed.
func details(err error) string {
	var said []string
	for _, detail := range status.Convert(err).Details() {
		if d, ok := detail.(*gateway.ErrorDetail); ok {
			said = append(said, d.GetMspId()+" at "+d.GetAddress()+": "+d.GetMessage())
		}
	}
	if len(said) == 0 {
		return ""
	}
	return " (" + strings.Join(said, "; ") + ")"
}
