// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package contract

import (
	"bytes"
	"errors"
	"hash/maphash"
	"maps"
	"slices"
	"testing"

	"github.com/hyperledger/fabric-chaincode-go/v2/shim"
	"github.com/hyperledger/fabric-protos-go-apiv2/peer"
	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/chaincode/ledger"
	"github.com/emrys-health/emrys/chaincode/ledger/ledgermodel"
	"github.com/emrys-health/emrys/chaincode/ledger/ledgertest"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// peerStub is one peer's simulation of a proposal: it keeps what a peer endorses,
// the reads by exact key, the writes, the event, and whether anything was scanned.
type peerStub struct {
	*fakeStub
	reads   []string
	payload []byte
	scans   []string
}

func (s *peerStub) GetState(key string) ([]byte, error) {
	s.reads = append(s.reads, "public "+key)
	return s.fakeStub.GetState(key)
}

func (s *peerStub) GetMultipleStates(keys ...string) ([][]byte, error) {
	for _, key := range keys {
		s.reads = append(s.reads, "public "+key)
	}
	return s.fakeStub.GetMultipleStates(keys...)
}

func (s *peerStub) GetStateValidationParameter(key string) ([]byte, error) {
	s.reads = append(s.reads, "policy of "+key)
	return s.fakeStub.GetStateValidationParameter(key)
}

func (s *peerStub) GetPrivateDataHash(collection, key string) ([]byte, error) {
	s.reads = append(s.reads, "hash of "+key)
	return s.fakeStub.GetPrivateDataHash(collection, key)
}

func (s *peerStub) GetPrivateData(_, key string) ([]byte, error) {
	s.scans = append(s.scans, "private value "+key) // not every peer holds it
	return nil, errors.New("a submitted transaction reads no private value")
}

func (s *peerStub) SetEvent(name string, payload []byte) error {
	s.payload = payload
	return s.fakeStub.SetEvent(name, payload)
}

func (s *peerStub) scanned(what string) error {
	s.scans = append(s.scans, what)
	return errors.New("a submitted transaction scans nothing")
}

func (s *peerStub) GetStateByRange(string, string) (shim.StateQueryIteratorInterface, error) {
	return nil, s.scanned("range")
}

func (s *peerStub) GetStateByRangeWithPagination(string, string, int32, string) (shim.StateQueryIteratorInterface, *peer.QueryResponseMetadata, error) {
	return nil, nil, s.scanned("range")
}

func (s *peerStub) GetStateByPartialCompositeKey(string, []string) (shim.StateQueryIteratorInterface, error) {
	return nil, s.scanned("prefix")
}

func (s *peerStub) GetStateByPartialCompositeKeyWithPagination(
	string, []string, int32, string,
) (shim.StateQueryIteratorInterface, *peer.QueryResponseMetadata, error) {
	return nil, nil, s.scanned("prefix")
}

func (s *peerStub) GetQueryResult(string) (shim.StateQueryIteratorInterface, error) {
	return nil, s.scanned("query")
}

func (s *peerStub) GetHistoryForKey(string) (shim.HistoryQueryIteratorInterface, error) {
	return nil, s.scanned("history")
}

// twins are two peers, each with a chaincode of its own, that simulate every
// transaction of the model's sequences. A transaction is committed when both have
// endorsed the same.
type twins struct {
	*ledgermodel.Memory // people, certificates and the clock
	t                   testing.TB
	fabric              *fabric
	one, other          shim.Chaincode
	seed                maphash.Seed
}

// begin empties the ledger for another sequence.
func (d *twins) begin(orgs map[emr.OrgID]*ledgertest.Org) *twins {
	d.Memory, d.fabric = ledgermodel.NewMemory(d.t, orgs), newFabric()
	return d
}

func newTwins(t testing.TB) *twins {
	t.Helper()
	d := &twins{t: t, seed: maphash.MakeSeed()}
	var err error
	d.one, err = New("test")
	require.NoError(t, err)
	d.other, err = New("test")
	require.NoError(t, err)
	return d
}

func (d *twins) stub(call *ledgermodel.Call) *fakeStub {
	var args []string
	if call.Argument != nil {
		args = append(args, string(call.Argument))
	}
	stub := d.fabric.stub(identity(d.t, ledgermodel.CallerOf(d.Orgs, call)), d.Now(), call.Function, args...)
	if call.Field != "" {
		stub.transient = map[string][]byte{call.Field: call.Transient}
	}
	return stub
}

// Submit implements ledgermodel.Driver.
func (d *twins) Submit(call ledgermodel.Call) ledgermodel.Outcome {
	stub := d.stub(&call)
	again := *stub
	again.writes, again.privateWrites, again.parameters = map[string][]byte{}, map[string][]byte{}, map[string][]byte{}
	first, second := &peerStub{fakeStub: stub}, &peerStub{fakeStub: &again}
	answer, repeated := d.one.Invoke(first), d.other.Invoke(second)
	d.same(call.Function, first, second)
	require.Equal(d.t, answer.GetStatus(), repeated.GetStatus(), call.Function)
	require.Equal(d.t, answer.GetMessage(), repeated.GetMessage(), call.Function)
	require.True(d.t, bytes.Equal(answer.GetPayload(), repeated.GetPayload()), "the bytes of the answer: %s", call.Function)
	if answer.GetStatus() != shim.OK {
		refused, err := ledgerapi.DecodeError(answer.GetMessage())
		require.NoError(d.t, err, answer.GetMessage())
		return ledgermodel.Outcome{Err: refused}
	}
	out := ledgermodel.Outcome{
		Answer: answer.GetPayload(), Seen: true, Home: d.homeOf, Event: stub.event, Purged: len(stub.purged), Err: stub.commit(),
	}
	for _, name := range slices.Sorted(maps.Keys(stub.writes)) {
		typ, attributes, err := stub.SplitCompositeKey(name)
		require.NoError(d.t, err)
		out.Written = append(out.Written, ledger.Entry{
			Key: ledgerapi.Key{Type: typ, Attributes: attributes}, Value: stub.writes[name],
		})
	}
	return out
}

// homeOf returns whom the endorsement policy of a key names first, when everybody
// but that one does not satisfy it.
func (d *twins) homeOf(key ledgerapi.Key) (emr.OrgID, bool) {
	name, err := (&fakeStub{}).CreateCompositeKey(key.Type, key.Attributes)
	require.NoError(d.t, err)
	policy := d.fabric.parameters[name]
	if policy == nil {
		return "", false
	}
	named := principals(d.t, policy)
	require.True(d.t, satisfied(d.t, policy, named))
	require.False(d.t, satisfied(d.t, policy, named[1:]), "%s", key.Type)
	return named[0], true
}

// same compares what two peers would endorse: reads in their order, writes, purges
// and the event. Nothing may have been scanned.
func (d *twins) same(function string, one, other *peerStub) {
	d.t.Helper()
	require.Empty(d.t, one.scans, function)
	require.Empty(d.t, other.scans, function)
	require.False(d.t, one.paged || other.paged, function)
	require.Equal(d.t, one.reads, other.reads, "reads of %s", function)
	require.Equal(d.t, one.writes, other.writes, "writes of %s", function)
	require.Equal(d.t, one.privateWrites, other.privateWrites, "private writes of %s", function)
	require.Equal(d.t, one.parameters, other.parameters, "endorsement policies of %s", function)
	require.Equal(d.t, one.purged, other.purged, function)
	require.Equal(d.t, one.event, other.event, function)
	require.True(d.t, bytes.Equal(one.payload, other.payload), "the event of %s", function)
}

// Ask implements ledgermodel.Driver.
func (d *twins) Ask(via emr.OrgID, function string, q, answer any) error {
	argument, err := emr.Canonical(q)
	require.NoError(d.t, err)
	response := d.one.Invoke(d.stub(&ledgermodel.Call{Function: function, Org: via, Argument: argument}))
	if response.GetStatus() != shim.OK {
		refused, err := ledgerapi.DecodeError(response.GetMessage())
		return errors.Join(refused, err)
	}
	return emr.Decode(response.GetPayload(), answer)
}

// Digest implements ledgermodel.Driver.
func (d *twins) Digest() (uint64, bool) {
	sum := uint64(0)
	for _, values := range []map[string][]byte{d.fabric.public, d.fabric.private} {
		for name, value := range values {
			sum += maphash.String(d.seed, name) ^ maphash.Bytes(d.seed, value) // in no order
		}
	}
	return sum, true
}

// TestTwoPeersEndorseTheSameOfEveryTransaction runs the sequences of the whole
// contract through the contract's adapter, twice each, until every function has
// been committed and refused: read set, write set, event and bytes are the same,
// and nothing is ever scanned.
func TestTwoPeersEndorseTheSameOfEveryTransaction(t *testing.T) {
	t.Parallel()
	d, orgs := newTwins(t), ledgermodel.Orgs(t)
	counts := map[string]ledgermodel.Count{}
	for seed := uint64(1); len(ledgermodel.Missing(counts)) > 0; seed++ {
		require.LessOrEqual(t, seed, uint64(60), "%v", ledgermodel.Missing(counts))
		m := ledgermodel.New(t, ledgermodel.NewSeeded(seed), d.begin(orgs))
		m.Found()
		m.Counts, m.Hunt = counts, true
		for range 150 {
			m.Step()
		}
		m.Finish()
	}
	for _, function := range ledgermodel.Functions() {
		require.Positive(t, counts[function].Committed, function)
		require.Positive(t, counts[function].Refused, function)
	}
}
