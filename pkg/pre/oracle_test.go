// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package pre_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"math/big"
	"os"
	"path/filepath"
	"testing"

	"github.com/cloudflare/circl/expander"
	"github.com/cloudflare/circl/group"
	"github.com/stretchr/testify/require"
)

// The oracle is a second implementation of the suite, written from the package comment over circl's group and math/big. It
// shares no code with the package, and reads the stored vectors only.

const oracleSuite = "EMRYS-PRE-V1"

// oracle holds one vector file, hexadecimal throughout.
type oracle struct {
	t *testing.T
	v struct {
		Gateways                                        []string
		Threshold                                       int
		Seed, ScopeID, ScopeKey, ScopeSigner, ReaderKey string
		Context, Grant, Request, Capsule, KPre          string
		KeyFragments, Commitments, Fragments            []string
		Epoch                                           uint32
	}
}

func newOracle(t *testing.T) *oracle {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", "emrys-pre-v1.json"))
	require.NoError(t, err)
	o := &oracle{t: t}
	require.NoError(t, json.Unmarshal(b, &o.v))
	return o
}

func (o *oracle) bytes(s string) []byte {
	b, err := hex.DecodeString(s)
	require.NoError(o.t, err)
	return b
}

func (o *oracle) point(b []byte) group.Element {
	e := group.P256.NewElement()
	require.NoError(o.t, e.UnmarshalBinary(b))
	return e
}

func (o *oracle) enc(e group.Element) []byte {
	b, err := e.MarshalBinaryCompress()
	require.NoError(o.t, err)
	return b
}

func (o *oracle) x(e group.Element) []byte { return o.enc(e)[1:] }

func num(b []byte) group.Scalar { return group.P256.NewScalar().SetBigInt(new(big.Int).SetBytes(b)) }

func times(k group.Scalar, p group.Element) group.Element { return group.P256.NewElement().Mul(p, k) }
func base(k group.Scalar) group.Element                   { return group.P256.NewElement().MulGen(k) }
func plus(p, q group.Element) group.Element               { return group.P256.NewElement().Add(p, q) }
func minus(p, q group.Element) group.Element {
	return plus(p, group.P256.NewElement().Neg(q))
}
func product(a, b group.Scalar) group.Scalar { return group.P256.NewScalar().Mul(a, b) }
func inverse(a group.Scalar) group.Scalar    { return group.P256.NewScalar().Inv(a) }

func parts(list ...[]byte) []byte {
	var out []byte
	for _, p := range list {
		out = binary.BigEndian.AppendUint32(out, uint32(len(p)))
		out = append(out, p...)
	}
	return out
}

func labelled(label string, list ...[]byte) []byte {
	return parts(append([][]byte{[]byte(oracleSuite), []byte(label)}, list...)...)
}

func sum(label string, list ...[]byte) []byte {
	h := sha256.Sum256(labelled(label, list...))
	return h[:]
}

func hs(label string, list ...[]byte) group.Scalar {
	dst := []byte(oracleSuite + "-P256-" + label)
	return wide(expander.NewExpanderMD(crypto.SHA256, dst).Expand(parts(list...), 48))
}

func wide(b []byte) group.Scalar {
	n := elliptic.P256().Params().N
	return group.P256.NewScalar().SetBigInt(new(big.Int).Mod(new(big.Int).SetBytes(b), n))
}

func oracleU() group.Element {
	return group.P256.HashToElement([]byte("POINT_U"), []byte("EMRYS-PRE-V1-P256_XMD:SHA-256_SSWU_RO_"))
}

func (o *oracle) derive(label string) []byte {
	info := labelled(label, []byte(o.v.ScopeID), binary.BigEndian.AppendUint32(nil, o.v.Epoch))
	okm, err := hkdf.Key(sha256.New, o.bytes(o.v.Seed), nil, string(info), 48)
	require.NoError(o.t, err)
	b, err := wide(okm).MarshalBinary()
	require.NoError(o.t, err)
	return b
}

func (o *oracle) kPre(z []byte) string {
	c := o.bytes(o.v.Capsule)
	info := labelled("K_pre", c[:33], c[33:66], c[66:], o.bytes(o.v.Context))
	key, err := hkdf.Key(sha256.New, z, nil, string(info), 32)
	require.NoError(o.t, err)
	return hex.EncodeToString(key)
}

func TestOracleDerivesTheSameKeys(t *testing.T) {
	t.Parallel()
	o := newOracle(t)
	require.Equal(t, o.bytes(o.v.ScopeKey), o.derive("scope key"))
	require.Equal(t, o.bytes(o.v.ScopeSigner), o.derive("scope signer"))
}

func TestOracleAcceptsTheCapsuleAndOpensIt(t *testing.T) {
	t.Parallel()
	o := newOracle(t)
	c, a := o.bytes(o.v.Capsule), num(o.bytes(o.v.ScopeKey))
	e, v, s := o.point(c[:33]), o.point(c[33:66]), num(c[66:])
	h := hs("capsule", o.enc(base(a)), o.bytes(o.v.Context), c[:33], c[33:66])
	require.True(t, base(s).IsEqual(plus(v, times(h, e))))
	require.Equal(t, o.v.KPre, o.kPre(o.x(times(a, plus(e, v)))))
}

// keyFragment is one key fragment taken apart.
type keyFragment struct{ id, rk, xa, u1, grant, sig, gateway []byte }

func (o *oracle) keyFragment(i int) keyFragment {
	b := o.bytes(o.v.KeyFragments[i])
	require.Equal(o.t, len(b)-227, int(b[226]))
	return keyFragment{b[:32], b[32:64], b[64:97], b[97:130], b[130:162], b[162:226], b[227:]}
}

func TestOracleAcceptsTheKeyFragments(t *testing.T) {
	t.Parallel()
	o := newOracle(t)
	pkA, pkB := o.enc(base(num(o.bytes(o.v.ScopeKey)))), o.enc(base(num(o.bytes(o.v.ReaderKey))))
	signer := base(num(o.bytes(o.v.ScopeSigner)))
	uncompressed, err := signer.MarshalBinary()
	require.NoError(t, err)
	pub, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), uncompressed)
	require.NoError(t, err)
	for i, name := range o.v.Gateways {
		k := o.keyFragment(i)
		require.Equal(t, name, string(k.gateway))
		require.Equal(t, o.bytes(o.v.Grant), k.grant)
		require.Equal(t, k.u1, o.enc(times(num(k.rk), oracleU())))
		gw := sum("gateway", k.gateway)
		digest := sum("key fragment signature", k.id, k.u1, k.xa, pkA, pkB, o.enc(signer), gw, k.grant)
		require.True(t, ecdsa.Verify(pub, digest, new(big.Int).SetBytes(k.sig[:32]), new(big.Int).SetBytes(k.sig[32:])))
		commitment := sum("key fragment commitment", k.id, k.u1, k.xa, gw, k.grant)
		require.Equal(t, o.bytes(o.v.Commitments[i]), commitment)
	}
}

func TestOracleAcceptsTheReencryptionsAndOpens(t *testing.T) {
	t.Parallel()
	o := newOracle(t)
	a, b := num(o.bytes(o.v.ScopeKey)), num(o.bytes(o.v.ReaderKey))
	pkA, pkB, signer := o.enc(base(a)), o.enc(base(b)), o.enc(base(num(o.bytes(o.v.ScopeSigner))))
	c := o.bytes(o.v.Capsule)
	var xs []group.Scalar
	var ws []group.Element
	var d group.Scalar
	for i := range o.v.Gateways {
		f := o.bytes(o.v.Fragments[i])
		e1, v1, id, xa, u1, h, z := f[:33], f[33:66], f[66:98], f[98:131], f[131:164], num(f[164:196]), num(f[196:228])
		grant, gateway := f[292:324], f[325:]
		first := func(base, image []byte) []byte {
			return o.enc(minus(times(z, o.point(base)), times(h, o.point(image))))
		}
		u := o.enc(oracleU())
		require.True(t, h.IsEqual(hs("reencryption", o.bytes(o.v.Context), o.bytes(o.v.Request), sum("gateway", gateway), grant,
			id, xa, pkA, pkB, signer, c[:33], c[33:66], c[66:], u, e1, v1, u1,
			first(c[:33], e1), first(c[33:66], v1), first(u, u1))))

		dh := o.x(times(b, o.point(xa)))
		d = hs("d", xa, pkB, dh)
		xs = append(xs, hs("x", xa, pkB, dh, id))
		ws = append(ws, plus(o.point(e1), o.point(v1)))
	}
	for _, pair := range [][2]int{{0, 1}, {0, 2}, {2, 1}} {
		i, j := pair[0], pair[1]
		li := product(xs[j], inverse(group.P256.NewScalar().Sub(xs[j], xs[i])))
		lj := product(xs[i], inverse(group.P256.NewScalar().Sub(xs[i], xs[j])))
		w := plus(times(li, ws[i]), times(lj, ws[j]))
		require.Equal(t, o.v.KPre, o.kPre(o.x(times(d, w))))
	}
}
