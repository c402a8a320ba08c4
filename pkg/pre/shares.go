// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package pre

import (
	"bytes"
	"crypto/subtle"
	"fmt"
	"io"

	"github.com/emrys-health/emrys/pkg/pre/internal/algebra"
)

// Recipient is a gateway that receives a share.
type Recipient struct {
	ID  string           // gateway id (organisation MSP id)
	Key *HybridPublicKey // its current hybrid key
}

// SealedShare is one gateway's share of K_share, sealed to it. Its commitment is salted, and the salt is sealed with the
// share, so the commitment tells nothing to those who cannot open.
type SealedShare struct {
	Gateway    string
	Index      uint8  // the share's public coordinate, 1 to 255
	Sealed     []byte // SealedShareSize bytes: share and salt
	Commitment [HashSize]byte
}

// ShareSet is K_share of one record in shares, Threshold of which give it back.
type ShareSet struct {
	Threshold int
	Shares    []SealedShare // by rising Index
}

// Share is an opened share whose commitment holds. It is a secret of the reader and prints without its value.
type Share struct {
	gateway string
	index   uint8
	ctx     [HashSize]byte
	y       scalar
}

// Gateway returns the id of the gateway whose share it is.
func (s Share) Gateway() string { return s.gateway }

// Index returns the share's public coordinate.
func (s Share) Index() uint8 { return s.index }

// SplitShares draws K_share, 32 bytes, for the record with context ctx, and splits it by Shamir's scheme over Z_n: gateway
// i of the list, counted from 1, gets f(i). Fewer than threshold shares tell nothing about K_share. A nil source means
// crypto/rand; sealing takes its randomness from crypto/rand always.
func SplitShares(
	source io.Reader, ctx [HashSize]byte, threshold int, gateways []Recipient,
) ([]byte, *ShareSet, error) {
	ids := make([]string, len(gateways))
	for i, g := range gateways {
		if g.Key == nil {
			return nil, nil, parameter("split shares: no key for gateway %q", g.ID)
		}
		ids[i] = g.ID
	}
	if err := validateThreshold(threshold, ids); err != nil {
		return nil, nil, fmt.Errorf("split shares: %w", err)
	}
	secret, err := randomScalar(source)
	if err != nil {
		return nil, nil, fmt.Errorf("split shares: %w", err)
	}
	f, err := algebra.NewPolynomial(randomOr(source), secret, threshold)
	if err != nil {
		return nil, nil, fmt.Errorf("split shares: %w", degenerate(err))
	}
	set := &ShareSet{Threshold: threshold, Shares: make([]SealedShare, len(gateways))}
	for i, g := range gateways {
		index := uint8(i + 1) //nolint:gosec // at most MaxGateways
		set.Shares[i], err = sealShare(source, ctx, g, index, f.At(suite().Field().Small(index)))
		if err != nil {
			return nil, nil, fmt.Errorf("split shares: %w", err)
		}
	}
	return secret.Bytes(), set, nil
}

func sealShare(source io.Reader, ctx [HashSize]byte, g Recipient, index uint8, y scalar) (SealedShare, error) {
	if y.IsZero() { // would not parse; probability 2^-256
		return SealedShare{}, parameter("random source yields a zero share")
	}
	opened := openedShare{y: y.Bytes(), salt: make([]byte, saltSize)}
	if _, err := io.ReadFull(randomOr(source), opened.salt); err != nil {
		return SealedShare{}, fmt.Errorf("read randomness: %w", err)
	}
	s := SealedShare{Gateway: g.ID, Index: index}
	s.Commitment = opened.commitment(ctx, &s)
	sealed, err := SealTo(g.Key, s.info(labelShare, ctx), opened.bytes())
	if err != nil {
		return SealedShare{}, err
	}
	s.Sealed = sealed
	return s, nil
}

// info binds a sealed share to its record, place and commitment, and extra to what else it is sealed for.
func (s *SealedShare) info(label string, ctx [HashSize]byte, extra ...[]byte) []byte {
	parts := append([][]byte{ctx[:], gatewayHash(s.Gateway), {s.Index}, s.Commitment[:]}, extra...)
	return joinParts(label, parts...)
}

// openedShare is what a sealed share contains: value 32 ‖ salt 32.
type openedShare struct{ y, salt []byte }

func (o openedShare) bytes() []byte { return bytes.Join([][]byte{o.y, o.salt}, nil) }

func (o openedShare) commitment(ctx [HashSize]byte, s *SealedShare) [HashSize]byte {
	return hash32(labelShareCommit, ctx[:], gatewayHash(s.Gateway), []byte{s.Index}, o.y, o.salt)
}

// open decrypts a sealed share and checks it against the commitment.
func (s *SealedShare) open(key *HybridPrivateKey, info, sealed []byte, ctx [HashSize]byte) (openedShare, error) {
	plaintext, err := key.OpenFrom(info, sealed)
	if err != nil {
		return openedShare{}, err
	}
	if len(plaintext) != ScalarSize+saltSize {
		return openedShare{}, malformed("share of %d bytes", len(plaintext))
	}
	o := openedShare{y: plaintext[:ScalarSize], salt: plaintext[ScalarSize:]}
	c := o.commitment(ctx, s)
	if subtle.ConstantTimeCompare(c[:], s.Commitment[:]) != 1 {
		return openedShare{}, ErrShare
	}
	return o, nil
}

// ReSealShare is a gateway's part of one permitted request: it opens its share of the record with context ctx, checks it
// against the commitment (ErrShare), and seals it to the reader, bound to the request. Whether the request is
// permitted is not its business.
func ReSealShare(
	gw *HybridPrivateKey, ctx, request [HashSize]byte, share SealedShare, reader *HybridPublicKey,
) ([]byte, error) {
	if gw == nil || reader == nil {
		return nil, parameter("re-seal share: both keys are required")
	}
	o, err := share.open(gw, share.info(labelShare, ctx), share.Sealed, ctx)
	if err != nil {
		return nil, fmt.Errorf("re-seal share: %w", &GatewayError{share.Gateway, err})
	}
	sealed, err := SealTo(reader, share.info(labelReshare, ctx, request[:]), o.bytes())
	if err != nil {
		return nil, fmt.Errorf("re-seal share: %w", err)
	}
	return sealed, nil
}

// RotateShare opens a gateway's share with its old key and seals it to its new one. Index and commitment stay.
func RotateShare(old *HybridPrivateKey, ctx [HashSize]byte, share SealedShare, next *HybridPublicKey) (SealedShare, error) {
	if old == nil || next == nil {
		return SealedShare{}, parameter("rotate share: both keys are required")
	}
	info := share.info(labelShare, ctx)
	o, err := share.open(old, info, share.Sealed, ctx)
	if err != nil {
		return SealedShare{}, fmt.Errorf("rotate share: %w", &GatewayError{share.Gateway, err})
	}
	if share.Sealed, err = SealTo(next, info, o.bytes()); err != nil {
		return SealedShare{}, fmt.Errorf("rotate share: %w", err)
	}
	return share, nil
}

// OpenReSealedShare opens what a gateway re-sealed to this reader for this request. The share argument is the gateway's entry
// in the record's envelope. Whatever is wrong comes as a *GatewayError: ErrShare for a share that is not the committed
// one, ErrDecrypt or ErrMalformed for bytes that do not open.
func OpenReSealedShare(
	reader *HybridPrivateKey, ctx, request [HashSize]byte, share SealedShare, sealed []byte,
) (Share, error) {
	if reader == nil {
		return Share{}, parameter("open share: no reader key")
	}
	o, err := share.open(reader, share.info(labelReshare, ctx, request[:]), sealed, ctx)
	if err != nil {
		return Share{}, &GatewayError{share.Gateway, fmt.Errorf("open share: %w", err)}
	}
	y, err := parseScalar(o.y)
	if err != nil || share.Index == 0 {
		return Share{}, &GatewayError{share.Gateway, malformed("open share: value or index")}
	}
	return Share{gateway: share.Gateway, index: share.Index, ctx: ctx, y: y}, nil
}

// CombineShares returns K_share from shares of at least threshold distinct indices. Repeated indices do not count
// (ErrTooFewFragments). Shares of different records, or more than threshold shares that do not lie on one polynomial,
// are ErrShare.
func CombineShares(threshold int, shares []Share) ([]byte, error) {
	if threshold < 1 || threshold > MaxGateways {
		return nil, parameter("combine shares: threshold %d", threshold)
	}
	distinct, err := distinctShares(shares)
	if err != nil {
		return nil, fmt.Errorf("combine shares: %w", err)
	}
	if len(distinct) < threshold {
		return nil, fmt.Errorf("combine shares: %d of %d: %w", len(distinct), threshold, ErrTooFewFragments)
	}
	secret, err := algebra.Combine(threshold, distinct)
	if err != nil {
		return nil, fmt.Errorf("combine shares: %w: %w", err, ErrShare)
	}
	return secret.Bytes(), nil
}

// distinctShares returns one share for each coordinate.
func distinctShares(shares []Share) ([]algebra.Share, error) {
	var out []algebra.Share
	seen := map[uint8]bool{}
	for _, s := range shares {
		if s.index == 0 || !s.y.Valid() {
			return nil, parameter("a share is empty")
		}
		if s.ctx != shares[0].ctx {
			return nil, &GatewayError{s.gateway, fmt.Errorf("share is of another record: %w", ErrShare)}
		}
		if !seen[s.index] {
			seen[s.index] = true
			out = append(out, algebra.Share{X: s.index, Y: s.y})
		}
	}
	return out, nil
}

// WrapKey encrypts a record's 32-byte data key under KEK = HKDF(salt ctx, K_share ‖ K_pre), with AES-256-GCM and a random
// nonce. Neither a threshold of gateways, who lack K_pre, nor a breaker of P-256, who lacks K_share, has the KEK.
// GCM does not commit to its key: check the data key against the record's key commitment after unwrapping.
func WrapKey(ctx [HashSize]byte, kShare, kPre, dek []byte) ([]byte, error) {
	if len(dek) != KeySize {
		return nil, parameter("wrap key: data key of %d bytes", len(dek))
	}
	kek, err := keyEncryptionKey(ctx, kShare, kPre)
	if err != nil {
		return nil, fmt.Errorf("wrap key: %w", err)
	}
	defer clear(kek)
	return encrypt(kek, joinParts(labelWrap, ctx[:]), dek)
}

// UnwrapKey reverses WrapKey. ErrDecrypt says that one of the keys, the context or the bytes is not the one it was wrapped with.
func UnwrapKey(ctx [HashSize]byte, kShare, kPre, wrapped []byte) ([]byte, error) {
	if len(wrapped) != WrappedKeySize {
		return nil, malformed("unwrap key: %d bytes", len(wrapped))
	}
	kek, err := keyEncryptionKey(ctx, kShare, kPre)
	if err != nil {
		return nil, fmt.Errorf("unwrap key: %w", err)
	}
	defer clear(kek)
	dek, err := decrypt(kek, joinParts(labelWrap, ctx[:]), wrapped)
	if err != nil {
		return nil, fmt.Errorf("unwrap key: %w", err)
	}
	return dek, nil
}

func keyEncryptionKey(ctx [HashSize]byte, kShare, kPre []byte) ([]byte, error) {
	if len(kShare) != KeySize || len(kPre) != KeySize {
		return nil, parameter("K_share of %d and K_pre of %d bytes", len(kShare), len(kPre))
	}
	secret := bytes.Join([][]byte{kShare, kPre}, nil)
	defer clear(secret)
	return deriveKey(secret, ctx[:], KeySize, labelKEK)
}
