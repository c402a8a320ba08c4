// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

// Package keystoretest holds the one suite that every implementation of keystore.Keys passes.
package keystoretest

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/pkg/keystore"
	"github.com/emrys-health/emrys/pkg/pre"
)

// Run runs the suite. open returns keys, and the same keys again when it is called again: from a file, a token, or, for an
// implementation that keeps nothing, the same value. roots are the seed generations that the keys were made with.
func Run(t *testing.T, roots keystore.Roots, open func(t *testing.T) keystore.Keys) {
	t.Helper()
	t.Run("signatures verify under the public key", func(t *testing.T) { signs(t, open(t)) })
	t.Run("the signers fit the standard library", func(t *testing.T) { fits(t, open(t)) })
	t.Run("the reading key agrees with its peer", func(t *testing.T) { agrees(t, open(t)) })
	t.Run("the hybrid key opens what is sealed to it", func(t *testing.T) { opens(t, open(t)) })
	t.Run("scope keys are those of the roots", func(t *testing.T) { derives(t, roots, open(t)) })
	t.Run("a record is opened through fragments", func(t *testing.T) { reads(t, open(t), open(t)) })
	t.Run("opening again gives the same keys", func(t *testing.T) { persists(t, open(t), open(t)) })
	t.Run("keys of different uses differ", func(t *testing.T) { differ(t, open(t)) })
	t.Run("many goroutines may use them", func(t *testing.T) { concurrent(t, open(t)) })
	t.Run("nothing prints more than a fingerprint", func(t *testing.T) { prints(t, roots, open(t)) })
}

func signers(k keystore.Keys) map[string]keystore.Signer {
	return map[string]keystore.Signer{"consent": k.Consent(), "enrolment": k.Enrolment()}
}

func signs(t *testing.T, k keystore.Keys) {
	digest := sha256.Sum256([]byte("an action"))
	for name, s := range signers(k) {
		pinned, err := pre.ParsePublicKey(s.Pinned())
		require.NoError(t, err, name)
		raw, err := s.SignDigest(digest)
		require.NoError(t, err, name)
		require.NoError(t, pre.VerifyP256(pinned, digest[:], raw), name)
		other := sha256.Sum256([]byte("another action"))
		require.ErrorIs(t, pre.VerifyP256(pinned, other[:], raw), pre.ErrProof, name)

		public, ok := s.Public().(*ecdsa.PublicKey)
		require.True(t, ok, name)
		der, err := s.Sign(rand.Reader, digest[:], crypto.SHA256)
		require.NoError(t, err, name)
		require.True(t, ecdsa.VerifyASN1(public, digest[:], der), name)
		spki, err := x509.MarshalPKIXPublicKey(public)
		require.NoError(t, err)
		sum := sha256.Sum256(spki)
		require.Equal(t, fmt.Sprintf("%x", sum[:16]), s.KeyID(), name)

		for _, short := range [][]byte{nil, digest[:31], append(digest[:], 0)} {
			_, err := s.Sign(rand.Reader, short, crypto.SHA256)
			require.Error(t, err, "%s: a digest of %d bytes", name, len(short))
		}
	}
}

func fits(t *testing.T, k keystore.Keys) {
	for name, s := range signers(k) {
		csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, s)
		require.NoError(t, err, name)
		request, err := x509.ParseCertificateRequest(csr)
		require.NoError(t, err, name)
		require.NoError(t, request.CheckSignature(), name)
	}
}

func agrees(t *testing.T, k keystore.Keys) {
	peer, err := pre.GeneratePrivateKey(nil)
	require.NoError(t, err)
	mine, err := k.Reading().ECDH(peer.Public())
	require.NoError(t, err)
	theirs, err := peer.ECDH(k.Reading().Public())
	require.NoError(t, err)
	require.Equal(t, theirs, mine)
	_, err = k.Reading().ECDH(nil)
	require.Error(t, err)
	_, err = k.Reading().ECDH(&pre.PublicKey{})
	require.Error(t, err)
}

func opens(t *testing.T, k keystore.Keys) {
	sealed, err := pre.SealTo(k.Hybrid().Public(), []byte("info"), []byte("share"))
	require.NoError(t, err)
	opened, err := k.Hybrid().OpenFrom([]byte("info"), sealed)
	require.NoError(t, err)
	require.Equal(t, []byte("share"), opened)
	_, err = k.Hybrid().OpenFrom([]byte("other"), sealed)
	require.ErrorIs(t, err, pre.ErrDecrypt)
}

func derives(t *testing.T, roots keystore.Roots, k keystore.Keys) {
	for _, from := range roots.Generations() {
		for _, epoch := range []uint32{from, from + 1} {
			mine, err := k.ScopeKey("private", epoch)
			require.NoError(t, err)
			want, err := roots.ScopeKey("private", epoch)
			require.NoError(t, err)
			require.True(t, want.Public().Equal(mine.Public()))
			signer, err := k.ScopeSigner("private", epoch)
			require.NoError(t, err)
			wantSigner, err := roots.ScopeSigner("private", epoch)
			require.NoError(t, err)
			require.True(t, wantSigner.Public().Equal(signer.Public()))
			require.False(t, mine.Public().Equal(signer.Public()))
		}
	}
	_, err := k.ScopeKey("private", 0)
	require.ErrorIs(t, err, keystore.ErrEpoch)
	_, err = k.ScopeSigner("private", 0)
	require.ErrorIs(t, err, keystore.ErrEpoch)
	_, err = k.ScopeKey("", 1)
	require.ErrorIs(t, err, pre.ErrParameter)
	hybrid, err := roots.Hybrid()
	require.NoError(t, err)
	require.True(t, hybrid.Public().Equal(k.Hybrid().Public()))
}

// reads delegates a scope of patient to reader and opens a record of it, with nothing but operations of the keys.
func reads(t *testing.T, patient, reader keystore.Keys) {
	delegating, err := patient.ScopeKey("private", 1)
	require.NoError(t, err)
	signer, err := patient.ScopeSigner("private", 1)
	require.NoError(t, err)
	p := pre.ReencryptParams{
		Delegating: delegating.Public(), Reader: reader.Reading().Public(), Signer: signer.Public(),
		Context: sha256.Sum256([]byte("record")), Grant: sha256.Sum256([]byte("grant")), Request: sha256.Sum256([]byte("request")),
	}
	capsule, key, err := pre.Encapsulate(nil, delegating.Public(), p.Context)
	require.NoError(t, err)
	fragments, err := pre.Rekey(nil, delegating, signer.Signer(), pre.RekeyParams{
		Reader: p.Reader, Grant: p.Grant, Gateways: []string{"A", "B", "C"}, Threshold: 2,
	})
	require.NoError(t, err)
	var answers []*pre.CapsuleFragment
	for _, f := range fragments[1:] {
		p.Gateway = f.Gateway()
		answer, err := pre.Reencrypt(nil, capsule, f, p)
		require.NoError(t, err)
		answers = append(answers, answer)
	}
	opened, err := pre.Open(reader.Reading(), capsule, 2, p, answers)
	require.NoError(t, err)
	require.Equal(t, key, opened)
}

func persists(t *testing.T, a, b keystore.Keys) {
	require.Equal(t, a.Consent().Pinned(), b.Consent().Pinned())
	require.Equal(t, a.Enrolment().Pinned(), b.Enrolment().Pinned())
	require.True(t, a.Reading().Public().Equal(b.Reading().Public()))
	require.True(t, a.Hybrid().Public().Equal(b.Hybrid().Public()))
}

func differ(t *testing.T, k keystore.Keys) {
	seen := map[string]bool{}
	for _, public := range [][]byte{k.Consent().Pinned(), k.Enrolment().Pinned(), k.Reading().Public().Bytes()} {
		require.False(t, seen[string(public)])
		seen[string(public)] = true
	}
}

func concurrent(t *testing.T, k keystore.Keys) {
	digest := sha256.Sum256([]byte("many"))
	pinned, err := pre.ParsePublicKey(k.Consent().Pinned())
	require.NoError(t, err)
	peer, err := pre.GeneratePrivateKey(nil)
	require.NoError(t, err)
	want, err := peer.ECDH(k.Reading().Public())
	require.NoError(t, err)
	var group sync.WaitGroup
	failures := make(chan error, 64)
	for range 16 {
		group.Go(func() {
			raw, err := k.Consent().SignDigest(digest)
			if err == nil {
				err = pre.VerifyP256(pinned, digest[:], raw)
			}
			failures <- err
			got, err := k.Reading().ECDH(peer.Public())
			if err == nil && !bytes.Equal(got, want) {
				err = fmt.Errorf("another shared secret")
			}
			failures <- err
		})
	}
	group.Wait()
	close(failures)
	for err := range failures {
		require.NoError(t, err)
	}
}

// prints looks for a seed in everything that a printing of the keys can give.
func prints(t *testing.T, roots keystore.Roots, k keystore.Keys) {
	var out bytes.Buffer
	loggers := []*slog.Logger{slog.New(slog.NewTextHandler(&out, nil)), slog.New(slog.NewJSONHandler(&out, nil))}
	for _, v := range []any{k, k.Consent(), k.Enrolment(), k.Reading(), k.Hybrid(), roots} {
		for _, shown := range []any{v, struct{ K any }{v}, []any{v}, map[string]any{"k": v}} {
			for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
				fmt.Fprintf(&out, verb+"\n", shown)
			}
			for _, l := range loggers {
				l.LogAttrs(context.Background(), slog.LevelInfo, "m", slog.Any("k", shown))
			}
			if b, err := json.Marshal(shown); err == nil {
				out.Write(b)
			}
		}
	}
	for _, g := range roots.InsecureList() {
		part := g.Seed[8:24]
		decimal := fmt.Sprintf("%d", part)
		for _, form := range []string{fmt.Sprintf("%x", part), fmt.Sprintf("%X", part), decimal[1 : len(decimal)-1], string(part)} {
			require.NotContains(t, out.String(), form)
		}
	}
}
