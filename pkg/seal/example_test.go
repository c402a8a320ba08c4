// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package seal_test

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"io"

	"github.com/emrys-health/emrys/pkg/seal"
)

// Example seals a stream for an uploader, and opens what a download delivers.
func Example() {
	key, err := seal.GenerateDataKey(rand.Reader)
	if err != nil {
		panic(err)
	}
	fileID, err := seal.NewFileID(rand.Reader)
	if err != nil {
		panic(err)
	}
	record := []byte("{\"resourceType\":\"Observation\"}")

	digest := sha256.New() // for the ledger
	upload := seal.NewSealingReader(bytes.NewReader(record), key, fileID, seal.Tee{Writer: digest})
	stored, err := io.ReadAll(upload) // in truth: the store's Put
	if err != nil {
		panic(err)
	}

	layout, err := key.Layout(fileID, key.Commitment(fileID, seal.Plain)) // the ledger's commitment
	if err != nil {
		panic(err)
	}
	opened, err := io.ReadAll(seal.NewReader(bytes.NewReader(stored), key, fileID, upload.Size(), layout))
	if err != nil {
		panic(err)
	}
	fmt.Println(len(stored), string(opened))
	// Output: 58 {"resourceType":"Observation"}
}
