// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

// Command rawput is the least chaincode there can be: it puts one key. The
// benchmarks deploy it beside the contract, on the same channel and peers and
// under the same endorsement policy, so that the contract's transactions can be
// compared with what Fabric itself costs.
package main

import (
	"fmt"
	"os"

	"github.com/hyperledger/fabric-chaincode-go/v2/shim"
	"github.com/hyperledger/fabric-protos-go-apiv2/peer"
)

type rawput struct{}

// Init does nothing.
func (rawput) Init(shim.ChaincodeStubInterface) *peer.Response { return shim.Success(nil) }

// Invoke puts its second argument under its first.
func (rawput) Invoke(stub shim.ChaincodeStubInterface) *peer.Response {
	_, args := stub.GetFunctionAndParameters()
	if len(args) != 2 {
		return shim.Error("two arguments are needed: key and value")
	}
	if err := stub.PutState(args[0], []byte(args[1])); err != nil {
		return shim.Error(err.Error())
	}
	return shim.Success(nil)
}

func main() {
	if err := serve(); err != nil {
		fmt.Fprintln(os.Stderr, "rawput:", err)
		os.Exit(1)
	}
}

func serve() error {
	var pem [3][]byte
	for i, name := range []string{"EMRYS_CHAINCODE_TLS_KEY", "EMRYS_CHAINCODE_TLS_CERT", "EMRYS_CHAINCODE_TLS_CLIENT_CA"} {
		b, err := os.ReadFile(os.Getenv(name))
		if err != nil {
			return fmt.Errorf("read %s: %w", name, err)
		}
		pem[i] = b
	}
	server := &shim.ChaincodeServer{
		CCID: os.Getenv("CORE_CHAINCODE_ID_NAME"), Address: os.Getenv("CHAINCODE_SERVER_ADDRESS"), CC: rawput{},
		TLSProps: shim.TLSProperties{Key: pem[0], Cert: pem[1], ClientCACerts: pem[2]},
	}
	return server.Start()
}
