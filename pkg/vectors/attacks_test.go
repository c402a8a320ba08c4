// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package vectors

import (
	"bytes"
	"crypto/ecdh"
	"crypto/hpke"
	"crypto/sha256"
	"io"
	"reflect"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/pkg/pre"
	"github.com/emrys-health/emrys/pkg/seal"
	ref "github.com/emrys-health/emrys/pkg/vectors/internal/reference"
)

// The attacks of pre.md P15.4, each mounted with what its attacker holds.

func TestAttackB_AReaderWhoGotTheFragmentsWouldNeedNobody(t *testing.T) {
	t.Parallel()
	w := newNetwork(t, 2, 3)
	s := w.scope("private", 1)
	r := w.record(s, "record")
	// The flow to avoid: a reader who receives re-encryption keys has the delegating key at once.
	require.Equal(t, s.a.InsecureBytes(), ref.B32(collude(s.fragments, scalarOf(w.reader))))

	// So fragments travel sealed to gateways, and nothing that a reader receives has one in it.
	for i, k := range s.fragments {
		sealed, err := pre.SealKeyFragment(w.gateways[i].Public(), k)
		require.NoError(t, err)
		for _, other := range []*pre.HybridPrivateKey{w.readerKEM, w.gateways[(i+1)%3], w.hospital} {
			_, err = pre.OpenKeyFragment(other, w.ids[i], s.grant, sealed)
			require.ErrorIs(t, err, pre.ErrDecrypt)
		}
		rk := k.Bytes()[32:64]
		require.NotContains(t, string(sealed), string(rk))
		require.NotContains(t, string(w.reencrypt(s, r, "request", i).Bytes()), string(rk))
	}
}

func TestAttackC_AFragmentCannotBringItsOwnU(t *testing.T) {
	t.Parallel()
	w := newNetwork(t, 2, 3)
	s := w.scope("private", 1)
	r := w.record(s, "record")
	k := ref.ParseKeyFragment(s.fragments[0].Bytes())
	rk := randomScalar(t)
	injected := ref.Mul(ref.InvMod(rk), k.U1)
	require.Equal(t, k.U1, ref.Mul(rk, injected), "with this U, any key fits the signed commitment")

	forged := k
	forged.RK = rk
	parsed, err := pre.ParseKeyFragment(forged.Bytes())
	require.NoError(t, err)
	_, err = pre.Reencrypt(nil, r.capsule, parsed, w.params(s, r, "request", w.ids[0]))
	require.ErrorIs(t, err, pre.ErrProof)
	for _, at := range []int{0, 97, 130, 227} { // in front, around U1, behind
		_, err = pre.ParseKeyFragment(ref.Join(forged.Bytes()[:at], injected, forged.Bytes()[at:]))
		require.ErrorIs(t, err, pre.ErrMalformed, "there is no place for it")
	}
	// A capsule fragment that was proven over the injected U does not verify either.
	c := ref.ParseCapsule(r.capsule.Bytes())
	p := w.params(s, r, "request", w.ids[0])
	n := ref.Names{PKA: p.Delegating.Bytes(), PKB: p.Reader.Bytes(), PKS: p.Signer.Bytes()}
	f := ref.CapsuleFragment{
		E1: ref.Mul(rk, c.E), V1: ref.Mul(rk, c.V), ID: k.ID, XA: k.XA, U1: k.U1, Signature: k.Signature, Grant: k.Grant, Gateway: k.Gateway,
	}
	nonce := randomScalar(t)
	f.H = f.Challenge(c, n, p.Context[:], p.Request[:], ref.Mul(nonce, c.E), ref.Mul(nonce, c.V), ref.Mul(nonce, injected))
	f.Z = ref.PlusMod(nonce, ref.TimesMod(f.H, rk))
	answer, err := pre.ParseCapsuleFragment(f.Bytes())
	require.NoError(t, err)
	require.ErrorIs(t, answer.Verify(r.capsule, p), pre.ErrProof)
}

func TestAttackD_AGatewayDoesNotTransformAnotherCapsuleThanTheLedgers(t *testing.T) {
	t.Parallel()
	w := newNetwork(t, 2, 3)
	s := w.scope("private", 1)
	granted, other := w.record(s, "granted"), w.record(s, "not granted")
	// The gateway takes ctx from the ledger, for the record that the ticket names; the asker brings the capsule.
	_, err := pre.Reencrypt(nil, other.capsule, s.fragments[0], w.params(s, granted, "request", w.ids[0]))
	require.ErrorIs(t, err, pre.ErrProof)
	// A capsule that the asker blinds, to take the factor off again later, is no capsule of the record either.
	c := ref.ParseCapsule(other.capsule.Bytes())
	m := randomScalar(t)
	blinded, err := pre.ParseCapsule(ref.Capsule{E: ref.Mul(m, c.E), V: ref.Mul(m, c.V), S: ref.TimesMod(m, c.S)}.Bytes())
	require.NoError(t, err)
	for _, r := range []*record{granted, other} {
		_, err = pre.Reencrypt(nil, blinded, s.fragments[0], w.params(s, r, "request", w.ids[0]))
		require.ErrorIs(t, err, pre.ErrProof)
	}
	// Answers for the granted record do not open the other, in whatever way they are put together.
	var frags []*pre.CapsuleFragment
	for i := range w.ids {
		frags = append(frags, w.reencrypt(s, granted, "request", i))
	}
	_, err = pre.Open(w.reader, other.capsule, 2, w.params(s, other, "request", ""), frags)
	require.ErrorIs(t, err, pre.ErrTooFewFragments)
	_, err = pre.Open(w.reader, other.capsule, 2, w.params(s, granted, "request", ""), frags)
	require.ErrorIs(t, err, pre.ErrProof)
}

func TestAttackE_AnAnswerIsAReceiptForOneRequestOnly(t *testing.T) {
	t.Parallel()
	w := newNetwork(t, 2, 3)
	s := w.scope("private", 1)
	r := w.record(s, "record")
	f := w.reencrypt(s, r, "Tuesday", 0)
	// Anybody can check it with public values, and for no other request.
	public, err := pre.ParseCapsuleFragment(f.Bytes())
	require.NoError(t, err)
	require.NoError(t, public.Verify(r.capsule, w.params(s, r, "Tuesday", w.ids[0])))
	err = public.Verify(r.capsule, w.params(s, r, "Wednesday", w.ids[0]))
	require.ErrorIs(t, err, pre.ErrProof)
	var named *pre.GatewayError
	require.ErrorAs(t, err, &named)
	require.Equal(t, w.ids[0], named.Gateway)

	resealed, err := pre.ReSealShare(w.gateways[0], r.ctx, sha256.Sum256([]byte("Tuesday")), r.envelope.Shares.Shares[0], w.readerKEM.Public())
	require.NoError(t, err)
	_, err = pre.OpenReSealedShare(w.readerKEM, r.ctx, sha256.Sum256([]byte("Wednesday")), r.envelope.Shares.Shares[0], resealed)
	require.ErrorIs(t, err, pre.ErrDecrypt)
}

func TestAttackF_APayloadIsOfOneRecord(t *testing.T) {
	t.Parallel()
	all := committedStories(t).Stories
	mine, other := all[0], all[1]
	a, err := pre.ParsePrivateKey(mine.Patient.A)
	require.NoError(t, err)
	capsule, err := pre.ParseCapsule(mine.Capsule)
	require.NoError(t, err)

	// The store delivers another payload: the data key that the reader opens is not that payload's.
	key, err := seal.ParseDataKey(mine.DEK)
	require.NoError(t, err)
	_, err = key.Layout([32]byte(mine.FileID), [32]byte(other.Context.KeyCommitment))
	require.ErrorIs(t, err, seal.ErrCommitment)
	_, err = io.ReadAll(seal.NewReader(bytes.NewReader(other.Payload), key, [32]byte(mine.FileID), uint64(mine.Context.PlainSize)))
	require.ErrorIs(t, err, seal.ErrAuthentication)

	// The ledger's entry is changed to fit the other payload: the capsule is not of that record.
	moved := mine.Context
	moved.FileID, moved.KeyCommitment, moved.CipherDigest = other.Context.FileID, other.Context.KeyCommitment, other.Context.CipherDigest
	moved.PlainSize, moved.CipherSize = other.Context.PlainSize, other.Context.CipherSize
	ctx, err := moved.RecordContext().Hash()
	require.NoError(t, err)
	require.ErrorIs(t, capsule.Verify(a.Public(), ctx), pre.ErrProof)
	_, err = pre.UnwrapKey(ctx, mine.KShare, mine.KPre, mustEnvelope(t, mine.Envelope).Wrapped)
	require.ErrorIs(t, err, pre.ErrDecrypt)
}

func mustEnvelope(t *testing.T, b []byte) *pre.Envelope {
	t.Helper()
	e, err := pre.ParseEnvelope(b)
	require.NoError(t, err)
	return e
}

func TestAttackG_NoSignatureIsOptional(t *testing.T) {
	t.Parallel()
	w := newNetwork(t, 2, 3)
	s := w.scope("private", 1)
	r := w.record(s, "record")
	for i := range w.ids {
		k := ref.ParseKeyFragment(s.fragments[i].Bytes())
		k.Signature = make([]byte, 64)
		unsigned, err := pre.ParseKeyFragment(k.Bytes())
		require.NoError(t, err)
		p := w.params(s, r, "request", w.ids[i])
		require.ErrorIs(t, unsigned.Verify(p.Delegating, p.Reader, p.Signer, p.Gateway, p.Grant), pre.ErrProof)
		_, err = pre.Reencrypt(nil, r.capsule, unsigned, p)
		require.ErrorIs(t, err, pre.ErrProof)

		f := ref.ParseCapsuleFragment(w.reencrypt(s, r, "request", i).Bytes())
		f.Signature = make([]byte, 64)
		answer, err := pre.ParseCapsuleFragment(f.Bytes())
		require.NoError(t, err)
		require.ErrorIs(t, answer.Verify(r.capsule, p), pre.ErrProof)
		require.Error(t, answer.Verify(r.capsule, pre.ReencryptParams{Context: p.Context, Request: p.Request, Grant: p.Grant, Gateway: p.Gateway}),
			"nor are the keys that it binds")
	}
}

// TestAttackI changes every field of a record's context: the capsule verifies for none of the records that result.
func TestAttackI_ACapsuleIsOfOneRecordInEveryRespect(t *testing.T) {
	t.Parallel()
	story := committedStories(t).Stories[0]
	good := story.Context.RecordContext()
	a, err := pre.ParsePrivateKey(story.Patient.A)
	require.NoError(t, err)
	ctx, err := good.Hash()
	require.NoError(t, err)
	capsule, err := pre.ParseCapsule(story.Capsule)
	require.NoError(t, err)
	require.NoError(t, capsule.Verify(a.Public(), ctx))

	typ := reflect.TypeFor[pre.RecordContext]()
	for i := range typ.NumField() {
		moved := *story.Context.RecordContext()
		v := reflect.ValueOf(&moved).Elem().Field(i)
		if typ.Field(i).Name == "ScopeKey" {
			moved.ScopeKey = ref.Base(randomScalar(t))
		} else {
			alterValue(t, v)
		}
		other, err := moved.Hash()
		require.NoError(t, err, typ.Field(i).Name)
		require.ErrorIs(t, capsule.Verify(a.Public(), other), pre.ErrProof, "moved to another %s", typ.Field(i).Name)
	}
	require.ErrorIs(t, capsule.Verify(keyOf(t, randomScalar(t)).Public(), ctx), pre.ErrProof, "moved to another scope key")
}

func TestAttackJ_NothingOfAWeakerSuiteIsAccepted(t *testing.T) {
	t.Parallel()
	w := newNetwork(t, 2, 3)
	s := w.scope("private", 1)
	r := w.record(s, "record")
	share := r.envelope.Shares.Shares[0]
	info := ref.ShareInfo(r.ctx[:], share.Gateway, share.Index, share.Commitment[:])

	// A share sealed with the P-256 KEM of RFC 9180 alone, to the P-256 half of the gateway's key, under an honest header.
	half, err := ecdh.P256().NewPublicKey(w.gateways[0].Public().Bytes()[1184:])
	require.NoError(t, err)
	public, err := hpke.NewDHKEMPublicKey(half)
	require.NoError(t, err)
	enc, sender, err := hpke.NewSender(public, hpke.HKDFSHA256(), hpke.ExportOnly(), ref.Joined("seal", info))
	require.NoError(t, err)
	key, err := sender.Export(string(ref.Joined("seal key")), 32)
	require.NoError(t, err)
	header := append([]byte{0x00, 0x10}, enc...)
	weak := ref.Join(header, ref.GCM(key, make([]byte, 12), header, make([]byte, 64)))
	for _, sealed := range [][]byte{weak, append(weak, make([]byte, 1247-len(weak))...), ref.Join([]byte{0x00, 0x50}, weak[2:], make([]byte, 1247-len(weak)))} {
		share.Sealed = sealed
		_, err = pre.ReSealShare(w.gateways[0], r.ctx, [32]byte{}, share, w.readerKEM.Public())
		require.Error(t, err)
	}
	// An envelope that says another version, suite or KEM.
	b, err := r.envelope.Marshal()
	require.NoError(t, err)
	for what, altered := range map[string][]byte{
		"version": bytes.Replace(b, []byte{0x88, 0x01}, []byte{0x88, 0x00}, 1),
		"suite":   bytes.Replace(b, []byte("EMRYS-PRE-V1"), []byte("EMRYS-PRE-V0"), 1),
		"KEM":     bytes.Replace(b, []byte{0x18, 0x50}, []byte{0x18, 0x20}, 1),
	} {
		require.NotEqual(t, b, altered, what)
		_, err = pre.ParseEnvelope(altered)
		require.ErrorIs(t, err, pre.ErrMalformed, what)
	}
}

func TestAttackK_AnHonestGatewayIsNotFramed(t *testing.T) {
	t.Parallel()
	w := newNetwork(t, 2, 3)
	s := w.scope("private", 1)
	r := w.record(s, "record")
	// Gateway 2 lies, under the name of gateway 1, with whatever it holds: its own fragment, its own answer, the other's answer altered.
	honest, own := w.reencrypt(s, r, "request", 0), w.reencrypt(s, r, "request", 1)
	renamed := ref.ParseCapsuleFragment(own.Bytes())
	renamed.Gateway = w.ids[0]
	damaged := ref.ParseCapsuleFragment(honest.Bytes())
	damaged.E1 = ref.Neg(damaged.E1)
	k := ref.ParseKeyFragment(s.fragments[1].Bytes())
	k.Gateway = w.ids[0]
	p := w.params(s, r, "request", w.ids[0])
	n := ref.Names{PKA: p.Delegating.Bytes(), PKB: p.Reader.Bytes(), PKS: p.Signer.Bytes()}
	made := ref.Reencrypt(k, ref.ParseCapsule(r.capsule.Bytes()), n, p.Context[:], p.Request[:], randomScalar(t))
	var lies []*pre.CapsuleFragment
	for _, lie := range []ref.CapsuleFragment{renamed, damaged, made} {
		f, err := pre.ParseCapsuleFragment(lie.Bytes())
		require.NoError(t, err)
		require.ErrorIs(t, f.Verify(r.capsule, p), pre.ErrProof, "it does not verify as an answer of gateway 1, so it proves nothing about it")
		lies = append(lies, f)
	}
	// The true answer of gateway 1 still counts beside them.
	key, refused, err := pre.OpenReport(w.reader, r.capsule, 2, w.params(s, r, "request", ""), append(lies, honest, own))
	require.NoError(t, err)
	require.Equal(t, r.kPre, key)
	require.Len(t, refused, len(lies))

	// Nor can a share be put into another's mouth: its info names the gateway, its commitment too.
	resealed, err := pre.ReSealShare(w.gateways[1], r.ctx, p.Request, r.envelope.Shares.Shares[1], w.readerKEM.Public())
	require.NoError(t, err)
	_, err = pre.OpenReSealedShare(w.readerKEM, r.ctx, p.Request, r.envelope.Shares.Shares[0], resealed)
	require.ErrorIs(t, err, pre.ErrDecrypt)
}
