// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"bytes"

	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/pre"
)

// checkPoint refuses anything but a compressed P-256 point other than the identity.
func checkPoint(field string, key []byte) error {
	if _, err := pre.ParsePublicKey(key); err != nil {
		return &emr.Error{Code: emr.CodeInvalid, Field: field, Message: "is not a compressed P-256 public key", Err: err}
	}
	return nil
}

// checkHybrid refuses anything but a hybrid HPKE public key.
func checkHybrid(field string, key []byte) error {
	if _, err := pre.ParseHybridPublicKey(key); err != nil {
		return &emr.Error{Code: emr.CodeInvalid, Field: field, Message: "is not an MLKEM768-P256 public key", Err: err}
	}
	return nil
}

func checkOrgKeys(keys *emr.OrgKeys) error {
	if err := checkHybrid("keys.proxy", keys.Proxy); err != nil {
		return err
	}
	if err := checkHybrid("keys.record", keys.Record); err != nil {
		return err
	}
	if bytes.Equal(keys.Proxy, keys.Record) {
		return emr.Invalid("keys.record", "must differ from the proxy key")
	}
	return checkPoint("keys.receipt", keys.Receipt)
}
