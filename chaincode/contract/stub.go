// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package contract

import (
	"errors"
	"fmt"

	"github.com/hyperledger/fabric-chaincode-go/v2/pkg/cid"
	"github.com/hyperledger/fabric-chaincode-go/v2/shim"

	"github.com/emrys-health/emrys/chaincode/ledger"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// lookup is ledger.Lookup over a stub.
type lookup struct {
	stub   shim.ChaincodeStubInterface
	caller *ledger.Caller
	now    emr.Time
	nanos  int32
}

// submission is a submitted transaction. It has no method that scans.
type submission struct{ lookup }

// view is a query. It has no method that writes.
type view struct{ lookup }

var (
	_ ledger.State  = (*submission)(nil)
	_ ledger.Reader = (*view)(nil)
)

func newSubmission(stub shim.ChaincodeStubInterface) (*submission, error) {
	l, err := newLookup(stub)
	if err != nil {
		return nil, err
	}
	// Writes go to the peer in one message, and not one by one.
	stub.StartWriteBatch()
	return &submission{*l}, nil
}

func newView(stub shim.ChaincodeStubInterface) (*view, error) {
	l, err := newLookup(stub)
	if err != nil {
		return nil, err
	}
	return &view{*l}, nil
}

func newLookup(stub shim.ChaincodeStubInterface) (*lookup, error) {
	caller, err := callerOf(stub)
	if err != nil {
		return nil, err
	}
	at, err := stub.GetTxTimestamp()
	if err != nil || at == nil {
		return nil, fmt.Errorf("contract: transaction has no timestamp: %w", err)
	}
	return &lookup{stub: stub, caller: caller, now: emr.Time(at.GetSeconds()), nanos: at.GetNanos()}, nil
}

// callerOf reads the creator of the proposal. A creator that is absent, cannot be
// parsed or is no X.509 identity is unauthenticated.
func callerOf(stub shim.ChaincodeStubInterface) (*ledger.Caller, error) {
	identity, err := cid.New(stub)
	if err != nil {
		return nil, emr.Wrap(emr.CodeUnauthenticated, "caller's identity cannot be read", err)
	}
	certificate, err := identity.GetX509Certificate()
	if err != nil || certificate == nil {
		return nil, emr.E(emr.CodeUnauthenticated, "caller has no X.509 certificate")
	}
	msp, err := identity.GetMSPID()
	if err != nil {
		return nil, emr.E(emr.CodeUnauthenticated, "caller's identity cannot be read")
	}
	return &ledger.Caller{MSP: emr.OrgID(msp), Certificate: certificate}, nil
}

// transientAction returns the signed action that travels in the transient field.
func transientAction(stub shim.ChaincodeStubInterface) ([]byte, error) {
	return transientField(stub, ledgerapi.TransientAction)
}

// transientField returns the one transient field of a transaction, nil when it is another.
func transientField(stub shim.ChaincodeStubInterface, name string) ([]byte, error) {
	fields, err := stub.GetTransient()
	if err != nil {
		return nil, fmt.Errorf("contract: read transient field: %w", err)
	}
	if len(fields) > 1 {
		return nil, emr.Invalid(name, "must be the only transient field")
	}
	return fields[name], nil
}

// Now implements ledger.Lookup.
func (l *lookup) Now() emr.Time { return l.now }

// Nanos implements ledger.Lookup.
func (l *lookup) Nanos() int32 { return l.nanos }

// TxID implements ledger.Lookup.
func (l *lookup) TxID() string { return l.stub.GetTxID() }

// Channel implements ledger.Lookup.
func (l *lookup) Channel() string { return l.stub.GetChannelID() }

// Contract implements ledger.Lookup.
func (l *lookup) Contract() string { return ledgerapi.ContractName }

// Caller implements ledger.Lookup.
func (l *lookup) Caller() *ledger.Caller { return l.caller }

// Get implements ledger.Lookup.
func (l *lookup) Get(key ledgerapi.Key) ([]byte, error) {
	name, err := l.name(key)
	if err != nil {
		return nil, err
	}
	return present(l.stub.GetState(name))
}

// name makes a Fabric composite key.
func (l *lookup) name(key ledgerapi.Key) (string, error) {
	name, err := l.stub.CreateCompositeKey(key.Type, key.Attributes)
	if err != nil {
		return "", fmt.Errorf("contract: make key: %w", err)
	}
	return name, nil
}

// present makes an absent value nil, whichever way a stub tells of it.
func present(value []byte, err error) ([]byte, error) {
	if err != nil || len(value) == 0 {
		return nil, err
	}
	return value, nil
}

// GetAll implements ledger.Lookup in one message to the peer.
func (l *lookup) GetAll(keys []ledgerapi.Key) ([][]byte, error) {
	names := make([]string, len(keys))
	for i, key := range keys {
		var err error
		if names[i], err = l.name(key); err != nil {
			return nil, err
		}
	}
	values, err := l.stub.GetMultipleStates(names...)
	if err != nil {
		return nil, err
	}
	if len(values) != len(keys) {
		return nil, fmt.Errorf("contract: %d values for %d keys", len(values), len(keys))
	}
	for i := range values {
		values[i], _ = present(values[i], nil)
	}
	return values, nil
}

// HasPrivate implements ledger.State by the hash that every peer keeps.
func (s *submission) HasPrivate(key ledgerapi.Key) (bool, error) {
	name, err := s.name(key)
	if err != nil {
		return false, err
	}
	hash, err := s.stub.GetPrivateDataHash(ledgerapi.Collection, name)
	return len(hash) != 0, err
}

// Put implements ledger.State.
func (s *submission) Put(key ledgerapi.Key, value []byte) error {
	name, err := s.name(key)
	if err != nil {
		return err
	}
	return s.stub.PutState(name, value)
}

// PutPrivate implements ledger.State.
func (s *submission) PutPrivate(key ledgerapi.Key, value []byte) error {
	name, err := s.name(key)
	if err != nil {
		return err
	}
	return s.stub.PutPrivateData(ledgerapi.Collection, name, value)
}

// PurgePrivate implements ledger.State. Fabric's purge deletes the value, too.
func (s *submission) PurgePrivate(key ledgerapi.Key) error {
	name, err := s.name(key)
	if err != nil {
		return err
	}
	return s.stub.PurgePrivateData(ledgerapi.Collection, name)
}

// Emit implements ledger.State.
func (s *submission) Emit(name string, payload []byte) error { return s.stub.SetEvent(name, payload) }

// GetPrivate implements ledger.Reader.
func (v *view) GetPrivate(key ledgerapi.Key) ([]byte, error) {
	name, err := v.name(key)
	if err != nil {
		return nil, err
	}
	return present(v.stub.GetPrivateData(ledgerapi.Collection, name))
}

// PrivateHash implements ledger.Reader.
func (v *view) PrivateHash(key ledgerapi.Key) ([]byte, error) {
	name, err := v.name(key)
	if err != nil {
		return nil, err
	}
	return present(v.stub.GetPrivateDataHash(ledgerapi.Collection, name))
}

// Scan implements ledger.Reader over a paginated query, which Fabric refuses in a
// transaction that writes. Fabric's bookmark is the key to go on with.
func (v *view) Scan(
	prefix ledgerapi.Key, from *ledgerapi.Key, limit int,
) (entries []ledger.Entry, next *ledgerapi.Key, err error) {
	bookmark := ""
	if from != nil {
		if bookmark, err = v.name(*from); err != nil {
			return nil, nil, err
		}
	}
	if limit <= 0 || limit > ledgerapi.MaxPageSize {
		return nil, nil, fmt.Errorf("contract: scan of %d entries", limit)
	}
	found, more, err := v.stub.GetStateByPartialCompositeKeyWithPagination(
		prefix.Type, prefix.Attributes, int32(limit), bookmark)
	if err != nil {
		return nil, nil, fmt.Errorf("contract: scan: %w", err)
	}
	defer func() { err = errors.Join(err, found.Close()) }()
	for found.HasNext() {
		entry, err := found.Next()
		if err != nil {
			return nil, nil, fmt.Errorf("contract: scan: %w", err)
		}
		key, err := v.split(entry.GetKey())
		if err != nil {
			return nil, nil, err
		}
		entries = append(entries, ledger.Entry{Key: *key, Value: entry.GetValue()})
	}
	if more.GetBookmark() != "" {
		next, err = v.split(more.GetBookmark())
	}
	return entries, next, err
}

func (v *view) split(name string) (*ledgerapi.Key, error) {
	typ, attributes, err := v.stub.SplitCompositeKey(name)
	if err != nil {
		return nil, fmt.Errorf("contract: split key: %w", err)
	}
	return &ledgerapi.Key{Type: typ, Attributes: attributes}, nil
}
