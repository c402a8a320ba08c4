// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package attest

import (
	"bytes"

	"github.com/hyperledger/fabric-protos-go-apiv2/ledger/rwset"
	"github.com/hyperledger/fabric-protos-go-apiv2/ledger/rwset/kvrwset"
	"github.com/hyperledger/fabric-protos-go-apiv2/peer"
)

// statusOK is the status of a successful invocation, as package shim sets it.
const statusOK = 200

// matchResponse checks that the response is a successful query's and answers the
// proposal with that hash. It returns the answer.
func (q Question) matchResponse(data, proposalHash []byte) ([]byte, error) {
	response, action := &peer.ProposalResponsePayload{}, &peer.ChaincodeAction{}
	if err := decode(data, response, "response"); err != nil {
		return nil, err
	}
	if !bytes.Equal(response.GetProposalHash(), proposalHash) {
		return nil, corrupt("response is to another proposal")
	}
	if err := decode(response.GetExtension(), action, "action of the response"); err != nil {
		return nil, err
	}
	switch {
	case action.GetChaincodeId().GetName() != q.Chaincode:
		return nil, corrupt("response is of another chaincode")
	case action.GetResponse().GetStatus() != statusOK:
		return nil, corrupt("response is not that of a success")
	case len(action.GetResponse().GetPayload()) == 0:
		return nil, corrupt("response holds no answer")
	case len(action.GetEvents()) != 0:
		return nil, corrupt("response has an event, as no query has")
	}
	if err := readsOnly(action.GetResults()); err != nil {
		return nil, err
	}
	return action.GetResponse().GetPayload(), nil
}

// readsOnly refuses a read-write set that writes: the answer of a transaction is
// not the state of the ledger, but what the state would become.
func readsOnly(results []byte) error {
	set := &rwset.TxReadWriteSet{}
	if err := decode(results, set, "read-write set"); err != nil {
		return err
	}
	if set.GetDataModel() != rwset.TxReadWriteSet_KV {
		return corrupt("read-write set is of an unknown kind")
	}
	for _, namespace := range set.GetNsRwset() {
		public := &kvrwset.KVRWSet{}
		if err := decode(namespace.GetRwset(), public, "read-write set of a namespace"); err != nil {
			return err
		}
		if len(public.GetWrites()) != 0 || len(public.GetMetadataWrites()) != 0 {
			return corrupt("response writes, as no query does")
		}
		if err := collectionsReadOnly(namespace.GetCollectionHashedRwset()); err != nil {
			return err
		}
	}
	return nil
}

func collectionsReadOnly(collections []*rwset.CollectionHashedReadWriteSet) error {
	for _, collection := range collections {
		private := &kvrwset.HashedRWSet{}
		if err := decode(collection.GetHashedRwset(), private, "read-write set of a collection"); err != nil {
			return err
		}
		if len(private.GetHashedWrites()) != 0 || len(private.GetMetadataWrites()) != 0 {
			return corrupt("response writes private data, as no query does")
		}
	}
	return nil
}
