// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package vectors

import (
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/pkg/pre"
)

// TestMissingKeysAndObjectsAreParameters: what a vector file cannot say is that nothing is given at all.
func TestMissingKeysAndObjectsAreParameters(t *testing.T) {
	t.Parallel()
	w := newNetwork(t, 2, 3)
	s := w.scope("private", 1)
	r := w.record(s, "record")
	p, share, k := w.params(s, r, "request", w.ids[0]), r.envelope.Shares.Shares[0], s.fragments[0]
	f, pk, gw, key := w.reencrypt(s, r, "request", 0), s.a.Public(), w.gateways[0], w.readerKEM.Public()
	without := func(change func(*pre.ReencryptParams)) pre.ReencryptParams { q := p; change(&q); return q }
	noA := without(func(q *pre.ReencryptParams) { q.Delegating = nil })
	noB := without(func(q *pre.ReencryptParams) { q.Reader = nil })
	noS := without(func(q *pre.ReencryptParams) { q.Signer = &pre.PublicKey{} })
	frags, digest := []*pre.CapsuleFragment{f}, make([]byte, 32)
	rekey := func(a *pre.PrivateKey, signer crypto.Signer, change func(*pre.RekeyParams)) error {
		q := pre.RekeyParams{Grant: s.grant, Reader: w.reader.Public(), Gateways: w.ids, Threshold: 2}
		change(&q)
		return second(pre.Rekey(nil, a, signer, q))
	}
	same := func(*pre.RekeyParams) {}
	for name, err := range map[string]error{
		"capsule, verify: no capsule":            (*pre.Capsule)(nil).Verify(pk, r.ctx),
		"capsule, verify: empty capsule":         (&pre.Capsule{}).Verify(pk, r.ctx),
		"capsule, verify: no key":                r.capsule.Verify(nil, r.ctx),
		"capsule, verify: empty key":             r.capsule.Verify(&pre.PublicKey{}, r.ctx),
		"encapsulate: no key":                    third(pre.Encapsulate(nil, nil, r.ctx)),
		"encapsulate: empty key":                 third(pre.Encapsulate(nil, &pre.PublicKey{}, r.ctx)),
		"decapsulate: no key":                    second(pre.Decapsulate(nil, r.capsule, r.ctx)),
		"decapsulate: no capsule":                second(pre.Decapsulate(s.a, nil, r.ctx)),
		"decapsulate: empty capsule":             second(pre.Decapsulate(s.a, &pre.Capsule{}, r.ctx)),
		"decapsulate: hardware with a short x":   second(pre.Decapsulate(short{s.a, 31}, r.capsule, r.ctx)),
		"decapsulate: hardware with a long x":    second(pre.Decapsulate(short{s.a, 33}, r.capsule, r.ctx)),
		"rekey: no key":                          rekey(nil, s.signer.Signer(), same),
		"rekey: empty key":                       rekey(&pre.PrivateKey{}, s.signer.Signer(), same),
		"rekey: no signer":                       rekey(s.a, nil, same),
		"rekey: a signer on another curve":       rekey(s.a, p384(t), same),
		"rekey: no reader":                       rekey(s.a, s.signer.Signer(), func(q *pre.RekeyParams) { q.Reader = nil }),
		"rekey: a source of zeros":               second(pre.Rekey(zeros{}, s.a, s.signer.Signer(), pre.RekeyParams{Reader: pk, Gateways: w.ids, Threshold: 1})),
		"key fragment, verify: none":             (*pre.KeyFragment)(nil).Verify(pk, p.Reader, p.Signer, p.Gateway, p.Grant),
		"key fragment, verify: empty":            (&pre.KeyFragment{}).Verify(pk, p.Reader, p.Signer, p.Gateway, p.Grant),
		"key fragment, verify: no scope key":     k.Verify(nil, p.Reader, p.Signer, p.Gateway, p.Grant),
		"key fragment, verify: no reader":        k.Verify(pk, nil, p.Signer, p.Gateway, p.Grant),
		"key fragment, verify: no signer":        k.Verify(pk, p.Reader, nil, p.Gateway, p.Grant),
		"key fragment, verify: empty signer":     k.Verify(pk, p.Reader, &pre.PublicKey{}, p.Gateway, p.Grant),
		"re-encrypt: no capsule":                 second(pre.Reencrypt(nil, nil, k, p)),
		"re-encrypt: empty capsule":              second(pre.Reencrypt(nil, &pre.Capsule{}, k, p)),
		"re-encrypt: no fragment":                second(pre.Reencrypt(nil, r.capsule, nil, p)),
		"re-encrypt: empty fragment":             second(pre.Reencrypt(nil, r.capsule, &pre.KeyFragment{}, p)),
		"re-encrypt: no scope key":               second(pre.Reencrypt(nil, r.capsule, k, noA)),
		"re-encrypt: no reader":                  second(pre.Reencrypt(nil, r.capsule, k, noB)),
		"re-encrypt: no signer":                  second(pre.Reencrypt(nil, r.capsule, k, noS)),
		"re-encrypt: a source of zeros":          second(pre.Reencrypt(zeros{}, r.capsule, k, p)),
		"capsule fragment, verify: none":         (*pre.CapsuleFragment)(nil).Verify(r.capsule, p),
		"capsule fragment, verify: empty":        (&pre.CapsuleFragment{}).Verify(r.capsule, p),
		"capsule fragment, verify: no capsule":   f.Verify(nil, p),
		"capsule fragment, verify: no scope key": f.Verify(r.capsule, noA),
		"capsule fragment, verify: no reader":    f.Verify(r.capsule, noB),
		"capsule fragment, verify: no signer":    f.Verify(r.capsule, noS),
		"open: no key":                           second(pre.Open(nil, r.capsule, 1, p, frags)),
		"open: no capsule":                       second(pre.Open(w.reader, nil, 1, p, frags)),
		"open: empty capsule":                    second(pre.Open(w.reader, &pre.Capsule{}, 1, p, frags)),
		"open: no scope key":                     second(pre.Open(w.reader, r.capsule, 1, noA, frags)),
		"open: no reader":                        second(pre.Open(w.reader, r.capsule, 1, noB, frags)),
		"open: no signer":                        second(pre.Open(w.reader, r.capsule, 1, noS, frags)),
		"split: no gateway key":                  third(pre.SplitShares(nil, r.ctx, 1, []pre.Recipient{{ID: "A"}})),
		"split: a source of zeros":               third(pre.SplitShares(zeros{}, r.ctx, 1, []pre.Recipient{{ID: "A", Key: key}})),
		"re-seal: no gateway key":                second(pre.ReSealShare(nil, r.ctx, p.Request, share, key)),
		"re-seal: empty gateway key":             second(pre.ReSealShare(&pre.HybridPrivateKey{}, r.ctx, p.Request, share, key)),
		"re-seal: no reader":                     second(pre.ReSealShare(gw, r.ctx, p.Request, share, nil)),
		"re-seal: empty reader":                  second(pre.ReSealShare(gw, r.ctx, p.Request, share, &pre.HybridPublicKey{})),
		"rotate: no old key":                     second(pre.RotateShare(nil, r.ctx, share, key)),
		"rotate: no new key":                     second(pre.RotateShare(gw, r.ctx, share, nil)),
		"open share: no reader":                  second(pre.OpenReSealedShare(nil, r.ctx, p.Request, share, share.Sealed)),
		"seal: no key":                           second(pre.SealTo(nil, nil, nil)),
		"seal: empty key":                        second(pre.SealTo(&pre.HybridPublicKey{}, nil, nil)),
		"unseal: no key":                         second((*pre.HybridPrivateKey)(nil).OpenFrom(nil, share.Sealed)),
		"unseal: empty key":                      second((&pre.HybridPrivateKey{}).OpenFrom(nil, share.Sealed)),
		"hybrid key: nothing to encode":          second((*pre.HybridPrivateKey)(nil).InsecureBytes()),
		"hybrid key: empty":                      second((&pre.HybridPrivateKey{}).InsecureBytes()),
		"seal fragment: none":                    second(pre.SealKeyFragment(key, nil)),
		"seal fragment: empty":                   second(pre.SealKeyFragment(key, &pre.KeyFragment{})),
		"seal fragment: no key":                  second(pre.SealKeyFragment(nil, k)),
		"patient's copy: a short key":            second(pre.SealPatientCopy(key, r.ctx, r.kShare[:31])),
		"hospital's copy: a long key":            second(pre.SealHospitalCopy(key, r.ctx, append(r.dek[:32:32], 0))),
		"direct key: nothing":                    second(pre.SealDirectKey(key, r.ctx, s.grant, nil)),
		"envelope: none":                         second((*pre.Envelope)(nil).Marshal()),
		"envelope: empty":                        second((&pre.Envelope{}).Marshal()),
		"sign: no key":                           second(pre.SignP256(nil, nil, digest)),
		"sign: a short digest":                   second(pre.SignP256(nil, s.signer.Signer(), digest[:31])),
		"sign: a key on another curve":           second(pre.SignP256(nil, p384(t), digest)),
		"sign: an empty key":                     second(pre.SignP256(nil, (&pre.PrivateKey{}).Signer(), digest)),
		"verify: no key":                         pre.VerifyP256(nil, digest, make([]byte, 64)),
		"verify: empty key":                      pre.VerifyP256(&pre.PublicKey{}, digest, make([]byte, 64)),
		"agreement: no key":                      second((*pre.PrivateKey)(nil).ECDH(pk)),
		"agreement: no peer":                     second(s.a.ECDH(nil)),
		"agreement: empty peer":                  second(s.a.ECDH(&pre.PublicKey{})),
		"public key of nothing":                  second(pre.PublicKeyOf(nil)),
		"public key of a nil signing key":        second(pre.PublicKeyOf((*ecdsa.PublicKey)(nil))),
		"public key of a nil agreement key":      second(pre.PublicKeyOf((*ecdh.PublicKey)(nil))),
		"public key of another curve":            second(pre.PublicKeyOf(p384(t).Public())),
		"public key of X25519":                   second(pre.PublicKeyOf(x25519(t))),
		"public key, to sign: none":              second((*pre.PublicKey)(nil).ECDSA()),
		"public key, to agree: empty":            second((&pre.PublicKey{}).ECDH()),
		"random key of zeros":                    second(pre.GeneratePrivateKey(zeros{})),
	} {
		require.ErrorIs(t, err, pre.ErrParameter, name)
		require.Equal(t, "parameter", failureOf(t, err).Class, name)
	}
	require.Equal(t, "context", failureOf(t, second((*pre.RecordContext)(nil).Hash())).Class)
}

// TestABrokenRandomSourceStopsEverything: its error keeps its identity, and nothing is made.
func TestABrokenRandomSourceStopsEverything(t *testing.T) {
	t.Parallel()
	w := newNetwork(t, 2, 2)
	s := w.scope("private", 1)
	r := w.record(s, "record")
	for _, n := range []int64{0, 1, 47, 48, 60, 95, 100, 127} {
		source := func() io.Reader { return io.MultiReader(io.LimitReader(ones{}, n), iotest.ErrReader(errBroken)) }
		if n < 48 {
			require.ErrorIs(t, second(pre.GeneratePrivateKey(source())), errBroken)
			require.ErrorIs(t, third(pre.Encapsulate(source(), s.a.Public(), r.ctx)), errBroken)
			require.ErrorIs(t, second(pre.Reencrypt(source(), r.capsule, s.fragments[0], w.params(s, r, "request", w.ids[0]))), errBroken)
		}
		ks, err := pre.Rekey(source(), s.a, s.signer.Signer(), pre.RekeyParams{Reader: w.reader.Public(), Gateways: w.ids, Threshold: 2})
		require.ErrorIs(t, err, errBroken)
		require.Nil(t, ks)
		key, set, err := pre.SplitShares(source(), r.ctx, 2, []pre.Recipient{{ID: "A", Key: w.readerKEM.Public()}, {ID: "B", Key: w.readerKEM.Public()}})
		require.ErrorIs(t, err, errBroken)
		require.Nil(t, key)
		require.Nil(t, set)
	}
}

// TestEnvelopesThatNoDecoderTakesAreNotWritten holds Marshal to what ParseEnvelope refuses.
func TestEnvelopesThatNoDecoderTakesAreNotWritten(t *testing.T) {
	t.Parallel()
	w := newNetwork(t, 2, 3)
	r := w.record(w.scope("private", 1), "record")
	for name, change := range map[string]func(*pre.Envelope){
		"no wrapped key":               func(e *pre.Envelope) { e.Wrapped = nil },
		"a long wrapped key":           func(e *pre.Envelope) { e.Wrapped = make([]byte, 61) },
		"a short copy":                 func(e *pre.Envelope) { e.PatientCopy = make([]byte, 1214) },
		"a long copy":                  func(e *pre.Envelope) { e.HospitalCopy = make([]byte, 1216) },
		"threshold zero":               func(e *pre.Envelope) { e.Shares.Threshold = 0 },
		"threshold above the gateways": func(e *pre.Envelope) { e.Shares.Threshold = 4 },
		"threshold 258":                func(e *pre.Envelope) { e.Shares.Threshold = 258 },
		"no shares":                    func(e *pre.Envelope) { e.Shares.Shares = nil },
		"index zero":                   func(e *pre.Envelope) { e.Shares.Shares[0].Index = 0 },
		"an index twice":               func(e *pre.Envelope) { e.Shares.Shares[1].Index = 1 },
		"a gateway twice":              func(e *pre.Envelope) { e.Shares.Shares[2].Gateway = w.ids[0] },
		"a gateway without a name":     func(e *pre.Envelope) { e.Shares.Shares[2].Gateway = "" },
		"a gateway with a long name":   func(e *pre.Envelope) { e.Shares.Shares[2].Gateway = strings.Repeat("g", 129) },
		"a short share":                func(e *pre.Envelope) { e.Shares.Shares[2].Sealed = make([]byte, 1246) },
	} {
		e := *r.envelope
		e.Shares.Shares = append([]pre.SealedShare{}, e.Shares.Shares...)
		change(&e)
		b, err := e.Marshal()
		require.ErrorIs(t, err, pre.ErrParameter, name)
		require.Nil(t, b)
	}
	share, ok := r.envelope.Shares.ShareOf(w.ids[1])
	require.True(t, ok)
	require.EqualValues(t, 2, share.Index)
	_, ok = r.envelope.Shares.ShareOf("nobody")
	require.False(t, ok)
}

func third[T, U any](_ T, _ U, err error) error { return err }

// zeros is a random source that gives zero bytes only.
type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }

// ones gives bytes 01.
type ones struct{}

func (ones) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = 1
	}
	return len(b), nil
}

// short is hardware that answers with another number of bytes.
type short struct {
	*pre.PrivateKey
	n int
}

func (s short) ECDH(*pre.PublicKey) ([]byte, error) { return make([]byte, s.n), nil }

func p384(t *testing.T) crypto.Signer {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	require.NoError(t, err)
	return k
}

func x25519(t *testing.T) *ecdh.PublicKey {
	t.Helper()
	k, err := ecdh.X25519().GenerateKey(rand.Reader)
	require.NoError(t, err)
	return k.PublicKey()
}
