// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package pre

import (
	"bytes"
	"crypto/elliptic"
	"crypto/sha256"
	"math/big"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/pkg/pre/internal/algebra"
)

// The attacks below succeed against other implementations of the same algebra, or against the way they are used.

// collude is what proxies with these key fragments and the reader's private key can compute: f(0)·d.
func collude(t *testing.T, reader *PrivateKey, kfrags []*KeyFragment) scalar {
	t.Helper()
	dh, err := reader.ECDH(&PublicKey{kfrags[0].xa})
	require.NoError(t, err)
	ex := exchange{xa: kfrags[0].xa, reader: reader.pub.pt, dh: dh}
	xs := make([]scalar, len(kfrags))
	for i, k := range kfrags {
		xs[i] = ex.coordinate(k.id)
	}
	lambdas, err := algebra.LagrangeAtZero(xs)
	require.NoError(t, err)
	f0 := lambdas[0].Mul(kfrags[0].rk)
	for i := 1; i < len(kfrags); i++ {
		f0 = f0.Add(lambdas[i].Mul(kfrags[i].rk))
	}
	return f0.Mul(ex.d())
}

func TestAttackA_ThresholdProxiesWithTheReaderRecoverOneScopeAndNothingElse(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 2, 3)

	recovered := collude(t, w.reader, w.kfrags[:2])
	require.Equal(t, w.delegating.InsecureBytes(), recovered.Bytes(), "the stated limit: t proxies and the reader get the scope key")

	require.NotEqual(t, w.delegating.InsecureBytes(), collude(t, w.reader, w.kfrags[:1]).Bytes(), "t-1 proxies and the reader do not")
	require.NotEqual(t, w.delegating.InsecureBytes(), collude(t, newKey(t), w.kfrags).Bytes(), "all proxies without the reader do not")

	stolen, err := ParsePrivateKey(recovered.Bytes())
	require.NoError(t, err)
	require.NotEqual(t, w.signer.InsecureBytes(), stolen.InsecureBytes())
	for _, scope := range []struct {
		name  string
		epoch uint32
	}{{"private", 2}, {"moderate", 1}} {
		other, err := DeriveScopeKey(w.seed, scope.name, scope.epoch)
		require.NoError(t, err)
		c, _, err := Encapsulate(nil, other.Public(), w.params.Context)
		require.NoError(t, err)
		_, err = Decapsulate(stolen, c, w.params.Context)
		require.ErrorIs(t, err, ErrProof, "scope %s epoch %d stays closed", scope.name, scope.epoch)
	}

	// Nor can it delegate: fragments signed with the stolen key are not the scope signer's.
	forged, err := Rekey(nil, stolen, stolen.Signer(), RekeyParams{
		Grant: w.params.Grant, Reader: w.params.Reader, Gateways: w.gateways, Threshold: 1,
	})
	require.NoError(t, err)
	_, err = Reencrypt(nil, w.capsule, forged[0], w.at(w.gateways[0]))
	require.ErrorIs(t, err, ErrProof)
}

func TestAttackB_NothingAReaderReceivesContainsAKeyFragment(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 2, 3)
	gateway, reader := newHybrid(t), newHybrid(t)
	for i, k := range w.kfrags {
		sealed, err := SealKeyFragment(gateway.Public(), k)
		require.NoError(t, err)
		_, err = OpenKeyFragment(reader, k.Gateway(), w.params.Grant, sealed)
		require.ErrorIs(t, err, ErrDecrypt, "only its gateway opens it")

		f := w.reencrypt(k)
		require.False(t, bytes.Contains(f.Bytes(), k.rk.Bytes()))
		require.False(t, bytes.Contains(f.Bytes(), w.kfrags[(i+1)%3].rk.Bytes()))
		_, err = ParseKeyFragment(f.Bytes())
		require.ErrorIs(t, err, ErrMalformed, "a capsule fragment is no key fragment")
	}
}

func TestAttackC_NoParameterOfAKeyFragmentIsReadFromTheWire(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 2, 3)
	k := w.kfrags[0]
	require.Len(t, k.Bytes(), 227+len(k.Gateway()), "no room for U")

	// The attack: replace the key, keep commitment and signature, and send the U that makes them match.
	forged := *k
	rk, err := randomScalar(nil)
	require.NoError(t, err)
	forged.rk = rk
	injectedU := algebra.PointOf(suite(), suite().Mul(rk.Inv(), k.u1.Element))
	chosen := scheme{Group: algebra.P256(), U: injectedU}
	require.True(t, chosen.CheckKeyFragment(rk, k.u1), "with a chosen U the commitment would hold")

	parsed, err := ParseKeyFragment(forged.Bytes())
	require.NoError(t, err)
	err = parsed.Verify(w.params.Delegating, w.params.Reader, w.params.Signer, k.Gateway(), w.params.Grant)
	require.ErrorIs(t, err, ErrProof)
	_, err = Reencrypt(nil, w.capsule, parsed, w.at(k.Gateway()))
	require.ErrorIs(t, err, ErrProof)
	_, err = ParseKeyFragment(append(forged.Bytes(), injectedU.Bytes()...))
	require.ErrorIs(t, err, ErrMalformed)
}

func TestAttackD_ACapsuleCannotMoveToAnotherRecordOrScope(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 2, 3)
	other := sha256.Sum256([]byte("record 2"))
	require.ErrorIs(t, w.capsule.Verify(w.params.Delegating, other), ErrProof)
	require.ErrorIs(t, w.capsule.Verify(newKey(t).Public(), w.params.Context), ErrProof)

	p := w.at(w.gateways[0])
	p.Context = other
	_, err := Reencrypt(nil, w.capsule, w.kfrags[0], p)
	require.ErrorIs(t, err, ErrProof, "a gateway that was asked for record 2 does not transform record 1")
	_, err = Decapsulate(w.delegating, w.capsule, other)
	require.ErrorIs(t, err, ErrProof)

	frags := w.cfrags()
	w.params.Context = other
	_, err = w.open(frags...)
	require.ErrorIs(t, err, ErrProof)
	require.NotErrorIs(t, err, ErrTooFewFragments, "the capsule is at fault, no gateway is")
}

func TestACapsuleThatEncapsulatesNothingIsRefused(t *testing.T) {
	t.Parallel()
	pk, ctx := newKey(t).Public(), [HashSize]byte{1}
	r, err := randomScalar(nil)
	require.NoError(t, err)
	u := r.Sub(r).Sub(r) // u = -r: the proof is right, and everybody knows the key
	c := &Capsule{capsuleParts{E: basePoint(r), V: basePoint(u)}}
	c.parts.S = u.Add(r.Mul(c.challenge(pk, ctx)))
	require.ErrorIs(t, c.Verify(pk, ctx), ErrProof)
}

func TestAttackE_AFragmentAnswersOneRequestOnly(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 2, 3)
	f := w.reencrypt(w.kfrags[0])
	require.NoError(t, f.Verify(w.capsule, w.at(w.gateways[0])))
	other := sha256.Sum256([]byte("other"))
	capsule2, _, err := Encapsulate(nil, w.params.Delegating, w.params.Context)
	require.NoError(t, err)

	for name, change := range map[string]func(*ReencryptParams){
		"another request":        func(p *ReencryptParams) { p.Request = other },
		"another record":         func(p *ReencryptParams) { p.Context = other },
		"another grant":          func(p *ReencryptParams) { p.Grant = other },
		"another gateway":        func(p *ReencryptParams) { p.Gateway = w.gateways[1] },
		"another reader":         func(p *ReencryptParams) { p.Reader = newKey(t).Public() },
		"another scope key":      func(p *ReencryptParams) { p.Delegating = newKey(t).Public() },
		"another scope signer":   func(p *ReencryptParams) { p.Signer = newKey(t).Public() },
		"the keys swapped about": func(p *ReencryptParams) { p.Delegating, p.Reader = p.Reader, p.Delegating },
	} {
		p := w.at(w.gateways[0])
		change(&p)
		err := f.Verify(w.capsule, p)
		require.ErrorIs(t, err, ErrProof, name)
		var ge *GatewayError
		require.ErrorAs(t, err, &ge, name)
		require.Equal(t, w.gateways[0], ge.Gateway)
	}
	require.ErrorIs(t, f.Verify(capsule2, w.at(w.gateways[0])), ErrProof, "another capsule of the same record")

	frags := w.cfrags()
	w.params.Request = other
	_, err = w.open(frags...)
	require.ErrorIs(t, err, ErrTooFewFragments)
	require.ErrorIs(t, err, ErrProof)
}

func TestAttackG_AKeyFragmentIsAlwaysBoundToBothKeys(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 2, 3)
	k, p := w.kfrags[0], w.params
	other := newKey(t).Public()
	otherGrant := sha256.Sum256([]byte("grant 2"))
	for name, verify := range map[string]func() error{
		"another delegating key":   func() error { return k.Verify(other, p.Reader, p.Signer, k.Gateway(), p.Grant) },
		"another reader":           func() error { return k.Verify(p.Delegating, other, p.Signer, k.Gateway(), p.Grant) },
		"another signer":           func() error { return k.Verify(p.Delegating, p.Reader, other, k.Gateway(), p.Grant) },
		"another gateway":          func() error { return k.Verify(p.Delegating, p.Reader, p.Signer, w.gateways[1], p.Grant) },
		"another grant":            func() error { return k.Verify(p.Delegating, p.Reader, p.Signer, k.Gateway(), otherGrant) },
		"reader as delegating":     func() error { return k.Verify(p.Reader, p.Delegating, p.Signer, k.Gateway(), p.Grant) },
		"delegating key as signer": func() error { return k.Verify(p.Delegating, p.Reader, p.Delegating, k.Gateway(), p.Grant) },
	} {
		require.ErrorIs(t, verify(), ErrProof, name)
	}
	for name, verify := range map[string]func() error{
		"no delegating key": func() error { return k.Verify(nil, p.Reader, p.Signer, k.Gateway(), p.Grant) },
		"no reader":         func() error { return k.Verify(p.Delegating, nil, p.Signer, k.Gateway(), p.Grant) },
		"no signer":         func() error { return k.Verify(p.Delegating, p.Reader, nil, k.Gateway(), p.Grant) },
	} {
		require.ErrorIs(t, verify(), ErrParameter, name)
	}
}

func TestAttackH_HashesToScalarsAreNotBiased(t *testing.T) {
	t.Parallel()
	n := elliptic.P256().Params().N
	gap := new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 256), n)
	require.Equal(t, 224, gap.BitLen(), "on this curve 32 bytes modulo n are biased by 2^-32")
	require.GreaterOrEqual(t, 8*wideSize, n.BitLen()+128, "RFC 9380, 5.1: 128 bits more than the order has")

	// A value that 32 bytes cannot hold is reduced whole, not cut.
	for _, v := range []*big.Int{
		new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 384), big.NewInt(1)),
		new(big.Int).Lsh(big.NewInt(1), 383),
		new(big.Int).Add(new(big.Int).Lsh(n, 100), big.NewInt(7)),
		new(big.Int).Sub(n, big.NewInt(1)),
	} {
		var wide [wideSize]byte
		v.FillBytes(wide[:])
		want := new(big.Int).Mod(v, n).FillBytes(make([]byte, ScalarSize))
		require.Equal(t, want, suite().Field().Reduce(&wide).Bytes())
	}
}
