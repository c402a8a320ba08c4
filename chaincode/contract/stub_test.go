// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package contract

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/hyperledger/fabric-chaincode-go/v2/shim"
	"github.com/hyperledger/fabric-protos-go-apiv2/ledger/queryresult"
	"github.com/hyperledger/fabric-protos-go-apiv2/msp"
	"github.com/hyperledger/fabric-protos-go-apiv2/peer"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/emrys-health/emrys/chaincode/ledger"
	"github.com/emrys-health/emrys/chaincode/ledger/ledgertest"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// fabric is a channel's committed state as a peer keeps it: public, and one
// private collection.
type fabric struct {
	public, private map[string][]byte
	parameters      map[string][]byte // validation parameters of public keys
	events          []string
	proposals       int
}

func newFabric() *fabric {
	return &fabric{public: map[string][]byte{}, private: map[string][]byte{}, parameters: map[string][]byte{}}
}

// fakeStub is one proposal. Methods that it does not implement panic, so that a
// test tells when the adapter begins to use another one.
type fakeStub struct {
	shim.ChaincodeStubInterface // nil
	real                        shim.ChaincodeStub
	fabric                      *fabric
	function                    string
	args                        []string
	transient                   map[string][]byte
	creator                     []byte
	at                          *timestamppb.Timestamp
	txID                        string
	writes, privateWrites       map[string][]byte
	parameters                  map[string][]byte
	purged                      []string
	event                       string
	paged                       bool
	failState                   error
}

func (f *fabric) stub(creator []byte, at emr.Time, function string, args ...string) *fakeStub {
	f.proposals++
	return &fakeStub{
		fabric: f, function: function, args: args, creator: creator, at: &timestamppb.Timestamp{Seconds: int64(at), Nanos: 5},
		txID: fmt.Sprintf("%064x", f.proposals), writes: map[string][]byte{}, privateWrites: map[string][]byte{},
		parameters: map[string][]byte{},
	}
}

// commit applies the writes. Like Fabric it refuses writes after a paginated query.
func (s *fakeStub) commit() error {
	if s.paged && len(s.writes)+len(s.privateWrites)+len(s.purged) != 0 {
		return errors.New("writes after a paginated query")
	}
	for k, v := range s.writes {
		s.fabric.public[k] = v
	}
	for k, v := range s.parameters {
		if s.fabric.public[k] == nil {
			return errors.New("a validation parameter of a key that does not exist")
		}
		s.fabric.parameters[k] = v
	}
	for k, v := range s.privateWrites {
		s.fabric.private[k] = v
	}
	for _, k := range s.purged {
		delete(s.fabric.private, k)
	}
	if s.event != "" {
		s.fabric.events = append(s.fabric.events, s.event)
	}
	return nil
}

// GetMultipleStates is GetState of each key.
func (s *fakeStub) GetMultipleStates(keys ...string) ([][]byte, error) {
	values := make([][]byte, len(keys))
	for i, key := range keys {
		values[i] = s.fabric.public[key]
	}
	return values, s.failState
}

// StartWriteBatch changes when writes are sent, and not what they are.
func (s *fakeStub) StartWriteBatch() {}

func (s *fakeStub) GetFunctionAndParameters() (string, []string)    { return s.function, s.args }
func (s *fakeStub) GetTransient() (map[string][]byte, error)        { return s.transient, nil }
func (s *fakeStub) GetCreator() ([]byte, error)                     { return s.creator, nil }
func (s *fakeStub) GetTxTimestamp() (*timestamppb.Timestamp, error) { return s.at, nil }
func (s *fakeStub) GetTxID() string                                 { return s.txID }
func (s *fakeStub) GetChannelID() string                            { return ledgertest.Channel }
func (s *fakeStub) GetState(key string) ([]byte, error)             { return s.fabric.public[key], s.failState }
func (s *fakeStub) GetPrivateData(_, key string) ([]byte, error)    { return s.fabric.private[key], nil }
func (s *fakeStub) SplitCompositeKey(k string) (string, []string, error) {
	return s.real.SplitCompositeKey(k)
}

func (s *fakeStub) CreateCompositeKey(typ string, attributes []string) (string, error) {
	return s.real.CreateCompositeKey(typ, attributes)
}

func (s *fakeStub) GetPrivateDataHash(collection, key string) ([]byte, error) {
	if v, found := s.fabric.private[key]; found && collection == ledgerapi.Collection {
		sum := sha256.Sum256(v)
		return sum[:], nil
	}
	return nil, nil
}

func (s *fakeStub) PutState(key string, value []byte) error {
	s.writes[key] = value
	return nil
}

func (s *fakeStub) GetStateValidationParameter(key string) ([]byte, error) {
	return s.fabric.parameters[key], s.failState
}

func (s *fakeStub) SetStateValidationParameter(key string, policy []byte) error {
	s.parameters[key] = policy
	return nil
}

func (s *fakeStub) PutPrivateData(collection, key string, value []byte) error {
	if collection != ledgerapi.Collection {
		return errors.New("no such collection")
	}
	s.privateWrites[key] = value
	return nil
}

func (s *fakeStub) PurgePrivateData(collection, key string) error {
	if collection != ledgerapi.Collection {
		return errors.New("no such collection")
	}
	s.purged = append(s.purged, key)
	return nil
}

func (s *fakeStub) SetEvent(name string, _ []byte) error {
	s.event = name
	return nil
}

func (s *fakeStub) GetStateByPartialCompositeKeyWithPagination(
	typ string, attributes []string, size int32, bookmark string,
) (shim.StateQueryIteratorInterface, *peer.QueryResponseMetadata, error) {
	s.paged = true
	start, err := s.CreateCompositeKey(typ, attributes)
	if err != nil {
		return nil, nil, err
	}
	end := start + "\U0010FFFF"
	if bookmark != "" {
		start = bookmark // as Fabric's peer does, unchecked
	}
	var keys []string
	for k := range s.fabric.public {
		if k >= start && k < end {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	more := &peer.QueryResponseMetadata{}
	if len(keys) > int(size) {
		more.Bookmark = keys[size]
		keys = keys[:size]
	}
	return &iterator{stub: s, keys: keys}, more, nil
}

type iterator struct {
	stub *fakeStub
	keys []string
}

func (i *iterator) HasNext() bool { return len(i.keys) != 0 }
func (i *iterator) Close() error  { return nil }
func (i *iterator) Next() (*queryresult.KV, error) {
	k := i.keys[0]
	i.keys = i.keys[1:]
	return &queryresult.KV{Key: k, Value: i.stub.fabric.public[k]}, nil
}

// identity is a creator as Fabric serialises it.
func identity(t testing.TB, c *ledger.Caller) []byte {
	t.Helper()
	b, err := proto.Marshal(&msp.SerializedIdentity{Mspid: string(c.MSP), IdBytes: []byte(ledgertest.PEM(c.Certificate))})
	require.NoError(t, err)
	return b
}

// adapterStore lets the adapter take the suite that the in-memory ledger takes.
type adapterStore struct{ fabric *fabric }

func (a adapterStore) Begin(*testing.T) (ledger.State, func()) {
	stub := a.fabric.stub(nil, 1, "")
	s := &submission{lookup{stub: stub}}
	return s, func() { _ = stub.commit() }
}

func (a adapterStore) View(*testing.T) ledger.Reader {
	return &view{lookup{stub: a.fabric.stub(nil, 1, "")}}
}

func TestTheAdapterPassesTheSuite(t *testing.T) {
	t.Parallel()
	ledgertest.Suite(t, func(*testing.T) ledgertest.Store { return adapterStore{newFabric()} })
}

func TestAScanIsBounded(t *testing.T) {
	t.Parallel()
	v := &view{lookup{stub: newFabric().stub(nil, 1, "")}}
	for _, limit := range []int{-1, 0, ledgerapi.MaxPageSize + 1} {
		_, _, err := v.Scan(ledgerapi.Key{Type: "a"}, nil, limit)
		require.Error(t, err)
	}
}
