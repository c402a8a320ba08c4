// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package vectors

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/pkg/pre"
)

// TestEveryObjectIsRefusedWhenAnyByteIsAltered alters each byte of each object of a network, and each bit of the short ones.
func TestEveryObjectIsRefusedWhenAnyByteIsAltered(t *testing.T) {
	t.Parallel()
	w := newNetwork(t, 2, 2)
	s := w.scope("private", 1)
	r := w.record(s, "record")
	p := w.params(s, r, "request", w.ids[0])
	share := r.envelope.Shares.Shares[0]
	sealedFragment, err := pre.SealKeyFragment(w.gateways[0].Public(), s.fragments[0])
	require.NoError(t, err)
	direct, err := pre.SealDirectKey(w.readerKEM.Public(), r.ctx, s.grant, r.kPre)
	require.NoError(t, err)
	resealed, err := pre.ReSealShare(w.gateways[0], r.ctx, p.Request, share, w.readerKEM.Public())
	require.NoError(t, err)
	digest := [32]byte{5}
	signature, err := pre.SignP256(nil, s.signer.Signer(), digest[:])
	require.NoError(t, err)

	for name, object := range map[string]struct {
		good   []byte
		accept func([]byte) error
	}{
		"capsule": {r.capsule.Bytes(), func(b []byte) error {
			c, err := pre.ParseCapsule(b)
			if err != nil {
				return err
			}
			return c.Verify(p.Delegating, p.Context)
		}},
		"key fragment": {s.fragments[0].Bytes(), func(b []byte) error {
			k, err := pre.ParseKeyFragment(b)
			if err != nil {
				return err
			}
			return k.Verify(p.Delegating, p.Reader, p.Signer, p.Gateway, p.Grant)
		}},
		"capsule fragment": {w.reencrypt(s, r, "request", 0).Bytes(), func(b []byte) error {
			f, err := pre.ParseCapsuleFragment(b)
			if err != nil {
				return err
			}
			return f.Verify(r.capsule, p)
		}},
		"signature": {signature, func(b []byte) error { return pre.VerifyP256(p.Signer, digest[:], b) }},
		"signer of a signature": {p.Signer.Bytes(), func(b []byte) error {
			k, err := pre.ParsePublicKey(b)
			if err != nil {
				return err
			}
			return pre.VerifyP256(k, digest[:], signature)
		}},
		"wrapped key": {r.envelope.Wrapped, func(b []byte) error { _, err := pre.UnwrapKey(r.ctx, r.kShare, r.kPre, b); return err }},
		"K_share":     {r.kShare, func(b []byte) error { _, err := pre.UnwrapKey(r.ctx, b, r.kPre, r.envelope.Wrapped); return err }},
		"K_pre":       {r.kPre, func(b []byte) error { _, err := pre.UnwrapKey(r.ctx, r.kShare, b, r.envelope.Wrapped); return err }},
		"sealed share": {share.Sealed, func(b []byte) error {
			altered := share
			altered.Sealed = b
			_, err := pre.ReSealShare(w.gateways[0], r.ctx, p.Request, altered, w.readerKEM.Public())
			return err
		}},
		"commitment of a share": {share.Commitment[:], func(b []byte) error {
			altered := share
			altered.Commitment = [32]byte(b)
			_, err := pre.RotateShare(w.gateways[0], r.ctx, altered, w.gateways[1].Public())
			return err
		}},
		"re-sealed share": {resealed, func(b []byte) error {
			_, err := pre.OpenReSealedShare(w.readerKEM, r.ctx, p.Request, share, b)
			return err
		}},
		"sealed key fragment": {sealedFragment, func(b []byte) error {
			_, err := pre.OpenKeyFragment(w.gateways[0], w.ids[0], s.grant, b)
			return err
		}},
		"patient's copy":  {r.envelope.PatientCopy, func(b []byte) error { _, err := pre.OpenPatientCopy(w.patient, r.ctx, b); return err }},
		"hospital's copy": {r.envelope.HospitalCopy, func(b []byte) error { _, err := pre.OpenHospitalCopy(w.hospital, r.ctx, b); return err }},
		"direct key":      {direct, func(b []byte) error { _, err := pre.OpenDirectKey(w.readerKEM, r.ctx, s.grant, b); return err }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.NoError(t, object.accept(object.good))
			bits := 1
			if len(object.good) < 500 {
				bits = 8
			}
			for i := range object.good {
				for bit := range bits {
					altered := bytes.Clone(object.good)
					altered[i] ^= 1 << ((bit + i) % 8)
					require.Error(t, object.accept(altered), "byte %d", i)
				}
			}
		})
	}
}

// TestAnAlteredEnvelopeIsRefusedOrOpensNothing: what the envelope's decoder cannot see, the objects in it do.
func TestAnAlteredEnvelopeIsRefusedOrOpensNothing(t *testing.T) {
	t.Parallel()
	w := newNetwork(t, 1, 1)
	r := w.record(w.scope("private", 1), "record")
	good, err := r.envelope.Marshal()
	require.NoError(t, err)
	all := func(e *pre.Envelope) (failed int) {
		share := e.Shares.Shares[0]
		for _, err := range []error{
			second(pre.UnwrapKey(r.ctx, r.kShare, r.kPre, e.Wrapped)),
			second(pre.ReSealShare(w.gateways[0], r.ctx, [32]byte{}, share, w.readerKEM.Public())),
			second(pre.OpenPatientCopy(w.patient, r.ctx, e.PatientCopy)),
			second(pre.OpenHospitalCopy(w.hospital, r.ctx, e.HospitalCopy)),
		} {
			if err != nil {
				failed++
			}
		}
		return failed
	}
	e, err := pre.ParseEnvelope(good)
	require.NoError(t, err)
	require.Zero(t, all(e))
	for i := range good {
		altered := bytes.Clone(good)
		altered[i] ^= 1 << (i % 8)
		e, err := pre.ParseEnvelope(altered)
		if err != nil {
			require.ErrorIs(t, err, pre.ErrMalformed)
			continue
		}
		again, err := e.Marshal()
		require.NoError(t, err)
		require.Equal(t, altered, again, "one encoding")
		require.Equal(t, 1, all(e), "byte %d", i)
	}
}

func second[T any](_ T, err error) error { return err }
