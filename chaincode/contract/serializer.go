// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package contract

import (
	"errors"
	"reflect"

	"github.com/hyperledger/fabric-contract-api-go/v2/metadata"
	contractserializer "github.com/hyperledger/fabric-contract-api-go/v2/serializer"

	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// serializer reads arguments strictly and writes results canonically, in place of
// the framework's own, which panics on named types, ignores unknown fields and
// validates nothing when a function is called in lower case.
type serializer struct{}

var _ contractserializer.TransactionSerializer = serializer{}

// FromString decodes an argument. The framework calls it in a goroutine of its
// own, out of reach of the guard, so it stops panics itself.
func (serializer) FromString(
	text string, typ reflect.Type, _ *metadata.ParameterMetadata, _ *metadata.ComponentMetadata,
) (value reflect.Value, err error) {
	defer func() {
		if recover() != nil {
			value, err = reflect.Value{}, errInternal()
		}
	}()
	target := reflect.New(typ)
	if err := emr.Decode([]byte(text), target.Interface()); err != nil {
		return reflect.Value{}, wire("", err)
	}
	return target.Elem(), nil
}

// ToString encodes a result. The framework calls it before it looks at the error,
// so that there may be none.
func (serializer) ToString(
	value reflect.Value, _ reflect.Type, _ *metadata.ReturnMetadata, _ *metadata.ComponentMetadata,
) (string, error) {
	if value.Kind() == reflect.String {
		return value.String(), nil // the metadata of the framework's own contract
	}
	if value.Kind() == reflect.Pointer && value.IsNil() {
		return "", nil
	}
	b, err := emr.Canonical(value.Interface())
	if err != nil {
		return "", errInternal()
	}
	return string(b), nil
}

// wire makes an error of a rule the text that crosses the ledger; nil stays nil.
func wire(function string, err error) error {
	if err == nil {
		return nil
	}
	shown := emr.Public(err)
	if shown.Op == "" {
		shown.Op = function
	}
	return errors.New(ledgerapi.EncodeError(shown))
}

// errInternal has a constant text: every peer must endorse the same bytes.
func errInternal() error { return wire("", emr.E(emr.CodeInternal, emr.InternalMessage)) }
