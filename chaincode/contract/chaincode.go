// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package contract

import (
	"fmt"

	"github.com/hyperledger/fabric-chaincode-go/v2/pkg/cid"
	"github.com/hyperledger/fabric-chaincode-go/v2/shim"
	"github.com/hyperledger/fabric-contract-api-go/v2/contractapi"
	"github.com/hyperledger/fabric-contract-api-go/v2/metadata"

	"github.com/emrys-health/emrys/chaincode/ledger"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// Contract offers the functions that package ledgerapi names, and no other. Every
// exported method of it is callable by any member of the channel.
type Contract struct {
	contractapi.Contract
}

var _ contractapi.EvaluationContractInterface = (*Contract)(nil)

// GetEvaluateTransactions marks the queries in the contract's metadata.
func (c *Contract) GetEvaluateTransactions() []string { return ledgerapi.Queries() }

// New returns the chaincode, ready to be served. version is shown in its metadata.
func New(version string) (shim.Chaincode, error) {
	info := metadata.InfoMetadata{Title: ledgerapi.ContractName, Version: version}
	c := &Contract{Contract: contractapi.Contract{
		Name: ledgerapi.ContractName, Info: info, TransactionContextHandler: &Context{},
	}}
	cc, err := contractapi.NewChaincode(c)
	if err != nil {
		return nil, fmt.Errorf("contract: build chaincode: %w", err)
	}
	cc.Info = info
	cc.TransactionSerializer = serializer{}
	return &guard{next: cc}, nil
}

// Context is what a method of the contract is given of its transaction.
type Context struct {
	stub shim.ChaincodeStubInterface
}

var _ contractapi.SettableTransactionContextInterface = (*Context)(nil)

// SetStub is called by the framework.
func (c *Context) SetStub(stub shim.ChaincodeStubInterface) { c.stub = stub }

// SetClientIdentity is called by the framework and ignored: for a creator that
// cannot be parsed the framework passes a nil inside the interface. The adapter
// reads the creator itself.
func (c *Context) SetClientIdentity(cid.ClientIdentity) {}

// submit runs the rule of a transaction whose signed action travels in the transient field.
func submit[A any](ctx *Context, function string, rule func(ledger.State, []byte) (*A, error)) (*A, error) {
	signed, err := transientAction(ctx.stub)
	if err != nil {
		return nil, wire(function, err)
	}
	s, err := newSubmission(ctx.stub)
	if err != nil {
		return nil, wire(function, err)
	}
	answer, err := rule(s, signed)
	return answer, wire(function, err)
}

// order runs the rule of an organisation's transaction.
func order[Q, A any](ctx *Context, function string, args Q, rule func(ledger.State, Q) (*A, error)) (*A, error) {
	s, err := newSubmission(ctx.stub)
	if err != nil {
		return nil, wire(function, err)
	}
	answer, err := rule(s, args)
	return answer, wire(function, err)
}

// ask runs the rule of a query.
func ask[Q, A any](ctx *Context, function string, q Q, rule func(ledger.Reader, Q) (*A, error)) (*A, error) {
	r, err := newView(ctx.stub)
	if err != nil {
		return nil, wire(function, err)
	}
	answer, err := rule(r, q)
	return answer, wire(function, err)
}
