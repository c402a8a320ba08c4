// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package contract

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hyperledger/fabric-chaincode-go/v2/shim"
	"github.com/hyperledger/fabric-protos-go-apiv2/peer"

	"github.com/emrys-health/emrys/chaincode/ledger"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// getMetadata is the one function of the framework's own contract. It returns a
// constant text and reaches no state.
const getMetadata = "org.hyperledger.fabric:GetMetadata"

// maxArgument bounds an argument in bytes: that of CheckTicket holds a signed action.
const maxArgument = ledger.MaxSignedAction + 64

// guard stands before the framework, which dispatches by more names than it
// checks, ignores arguments too many and does not survive a panic.
type guard struct {
	next shim.Chaincode
}

var _ shim.Chaincode = (*guard)(nil)

// Init does nothing. It cannot be used to call a function.
func (g *guard) Init(shim.ChaincodeStubInterface) *peer.Response { return shim.Success(nil) }

// Invoke admits a call or refuses it. Its answer is a success, or an error whose
// text is an envelope of package ledgerapi.
func (g *guard) Invoke(stub shim.ChaincodeStubInterface) (response *peer.Response) {
	defer func() {
		if recover() != nil {
			response = shim.Error(errInternal().Error())
		}
	}()
	if err := admit(stub); err != nil {
		return shim.Error(wire("", err).Error())
	}
	return normalise(g.next.Invoke(stub))
}

// admit refuses a function that is not on the list, by its exact name, and a
// wrong number or size of arguments.
func admit(stub shim.ChaincodeStubInterface) error {
	function, arguments := stub.GetFunctionAndParameters()
	want, known := arity(function)
	if !known {
		return emr.E(emr.CodeUnsupported, "contract has no such function")
	}
	if len(arguments) != want {
		return emr.Invalid("", fmt.Sprintf("function takes exactly %d arguments", want))
	}
	for _, argument := range arguments {
		if len(argument) > maxArgument {
			return emr.E(emr.CodeTooLarge, "argument is too large")
		}
	}
	return nil
}

// arity returns how many arguments a function takes, and whether it exists.
func arity(function string) (int, bool) {
	switch {
	case slices.Contains(ledgerapi.SignedTransactions(), function),
		function == ledgerapi.RecordAttempt, function == ledgerapi.DiscloseBatch, function == getMetadata:
		return 0, true
	case slices.Contains(ledgerapi.Queries(), function), function == ledgerapi.RegisterOrganisation,
		function == ledgerapi.SetEmergencyRules, function == ledgerapi.HoldRecord:
		return 1, true
	default:
		return 0, false
	}
}

// normalise lets successes and enveloped errors through. An error text of the
// framework is reduced to the envelope inside it, or to the internal one.
func normalise(response *peer.Response) *peer.Response {
	if response == nil {
		return shim.Error(errInternal().Error())
	}
	if response.GetStatus() < shim.ERRORTHRESHOLD || strings.HasPrefix(response.GetMessage(), ledgerapi.EnvelopePrefix) {
		return response
	}
	if inner, err := ledgerapi.DecodeError(response.GetMessage()); err == nil {
		return shim.Error(ledgerapi.EncodeError(inner))
	}
	return shim.Error(errInternal().Error())
}
