// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

// Package chaincode_test enforces what the contract may import. It has no code of
// its own. Run it uncached (-count=1): the test cache does not see new imports.
package chaincode_test

import (
	"encoding/json"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const module = "github.com/emrys-health/emrys/"

// allowed lists, for each package of the contract, what it may import directly
// besides the standard library.
func allowed() map[string][]string {
	vocabulary := []string{module + "pkg/emr", module + "pkg/ledgerapi"}
	fabric := []string{
		"github.com/hyperledger/fabric-chaincode-go/v2/shim", "github.com/hyperledger/fabric-protos-go-apiv2/peer",
	}
	return map[string][]string{
		module + "chaincode/ledger": append(slices.Clone(vocabulary), module+"pkg/consent", module+"pkg/manifest", module+"pkg/pre", module+"pkg/signature"),
		module + "chaincode/contract": slices.Concat(vocabulary, fabric, []string{
			module + "chaincode/ledger", module + "pkg/consent", "github.com/hyperledger/fabric-chaincode-go/v2/pkg/cid",
			"github.com/hyperledger/fabric-contract-api-go/v2/contractapi", "github.com/hyperledger/fabric-contract-api-go/v2/metadata",
			"github.com/hyperledger/fabric-contract-api-go/v2/serializer",
			// Endorsement policies of single keys.
			"github.com/hyperledger/fabric-protos-go-apiv2/common", "github.com/hyperledger/fabric-protos-go-apiv2/msp",
			"google.golang.org/protobuf/proto",
		}),
		module + "cmd/emrys-chaincode": slices.Concat(vocabulary, fabric, []string{
			module + "chaincode/contract", "google.golang.org/grpc", "google.golang.org/grpc/credentials",
			"google.golang.org/grpc/credentials/insecure", "google.golang.org/grpc/keepalive",
		}),
	}
}

// ours lists the packages of this module that the service may contain at all.
func ours() []string {
	return []string{
		"chaincode/contract", "chaincode/ledger", "cmd/emrys-chaincode", "pkg/consent", "pkg/emr", "pkg/ledgerapi", "pkg/manifest", "pkg/pre",
		"pkg/pre/internal/algebra", "pkg/signature",
	}
}

// strangers must not be linked into the service, by whatever way.
func strangers() []string {
	return []string{
		"github.com/hyperledger/fabric-gateway", "github.com/hyperledger/fabric-admin-sdk", "github.com/ipfs/",
		"github.com/prometheus/", "github.com/spf13/", "github.com/lestrrat-go/", "testing", "github.com/stretchr/",
	}
}

type listed struct {
	ImportPath string
	Standard   bool
	Imports    []string
}

func goList(t *testing.T, args ...string) []listed {
	t.Helper()
	out, err := exec.Command("go", append([]string{"list", "-json=ImportPath,Standard,Imports"}, args...)...).Output()
	require.NoError(t, err)
	var packages []listed
	for dec := json.NewDecoder(strings.NewReader(string(out))); dec.More(); {
		var p listed
		require.NoError(t, dec.Decode(&p))
		packages = append(packages, p)
	}
	return packages
}

func TestTheContractImportsWhatItMayAndNothingElse(t *testing.T) {
	t.Parallel()
	deps := goList(t, "-deps", module+"cmd/emrys-chaincode")
	standard := map[string]bool{"C": true}
	for _, p := range deps {
		standard[p.ImportPath] = p.Standard
	}
	checked := 0
	for _, p := range deps {
		if name, own := strings.CutPrefix(p.ImportPath, module); own {
			require.Contains(t, ours(), name)
		}
		for _, stranger := range strangers() {
			require.False(t, strings.HasPrefix(p.ImportPath, stranger), "%s is linked into the service", p.ImportPath)
		}
		permitted, known := allowed()[p.ImportPath]
		if !known {
			continue
		}
		checked++
		for _, imported := range p.Imports {
			require.True(t, standard[imported] || slices.Contains(permitted, imported), "%s imports %s", p.ImportPath, imported)
		}
	}
	require.Equal(t, len(allowed()), checked)
}
