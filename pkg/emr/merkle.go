// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package emr

import "crypto/sha256"

// The hash tree of RFC 6962 section 2.1: a leaf and a node are hashed under
// different prefixes, so that neither can be shown as the other.
const (
	leafPrefix = 0x00
	nodePrefix = 0x01
)

// MerkleLeaf is the hash of one leaf: SHA-256(00 || data).
func MerkleLeaf(data []byte) Digest {
	h := sha256.New()
	h.Write([]byte{leafPrefix})
	h.Write(data)
	return Digest(h.Sum(nil))
}

// MerkleNode is the hash of an inner node: SHA-256(01 || left || right).
func MerkleNode(left, right Digest) Digest {
	h := sha256.New()
	h.Write([]byte{nodePrefix})
	h.Write(left[:])
	h.Write(right[:])
	return Digest(h.Sum(nil))
}

// MerkleRoot is the root over leaf hashes in their order; of none, the SHA-256 of nothing.
func MerkleRoot(leaves []Digest) Digest {
	switch len(leaves) {
	case 0:
		return sha256.Sum256(nil)
	case 1:
		return leaves[0]
	default:
		k := split(len(leaves))
		return MerkleNode(MerkleRoot(leaves[:k]), MerkleRoot(leaves[k:]))
	}
}

// MerklePath is the audit path of the leaf at index (RFC 6962 section 2.1.1): the
// siblings from the leaf up to the root. It is nil for an index that is no leaf's.
func MerklePath(leaves []Digest, index int) []Digest {
	if index < 0 || index >= len(leaves) {
		return nil
	}
	if len(leaves) == 1 {
		return []Digest{}
	}
	k := split(len(leaves))
	if index < k {
		return append(MerklePath(leaves[:k], index), MerkleRoot(leaves[k:]))
	}
	return append(MerklePath(leaves[k:], index-k), MerkleRoot(leaves[:k]))
}

// split returns the largest power of two below n, which is at least 2.
func split(n int) int {
	k := 1
	for 2*k < n {
		k *= 2
	}
	return k
}
