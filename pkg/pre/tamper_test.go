// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package pre

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// requireOneOf asserts that err is one of the sentinels: refused, and for a stated reason.
func requireOneOf(t *testing.T, err error, i int, want ...error) {
	t.Helper()
	for _, w := range want {
		if errors.Is(err, w) {
			return
		}
	}
	require.Fail(t, "not refused as it should be", "byte %d: %v", i, err)
}

func TestEveryAlteredByteOfACapsuleIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1, 1)
	require.Len(t, w.capsule.Bytes(), CapsuleSize)
	flipped(w.capsule.Bytes(), func(i int, b []byte) {
		c, err := ParseCapsule(b)
		if err == nil {
			err = c.Verify(w.params.Delegating, w.params.Context)
		}
		requireOneOf(t, err, i, ErrMalformed, ErrProof)
	})
}

func TestEveryAlteredByteOfAKeyFragmentIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 2, 2)
	flipped(w.kfrags[0].Bytes(), func(i int, b []byte) {
		k, err := ParseKeyFragment(b)
		if err == nil {
			p := w.params
			err = k.Verify(p.Delegating, p.Reader, p.Signer, w.gateways[0], p.Grant)
		}
		requireOneOf(t, err, i, ErrMalformed, ErrProof)
	})
}

func TestEveryAlteredByteOfACapsuleFragmentIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1, 1)
	good := w.reencrypt(w.kfrags[0])
	require.Len(t, good.Bytes(), 325+len(w.gateways[0]))
	flipped(good.Bytes(), func(i int, b []byte) {
		f, err := ParseCapsuleFragment(b)
		if err != nil {
			requireOneOf(t, err, i, ErrMalformed)
			return
		}
		requireOneOf(t, f.Verify(w.capsule, w.at(w.gateways[0])), i, ErrProof)
		_, err = w.open(f)
		requireOneOf(t, err, i, ErrTooFewFragments)
	})
}

func TestEncodingsAreRefusedShortOrLong(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1, 1)
	env, err := newLayer(t, 1, 1).envelope().Marshal()
	require.NoError(t, err)
	for name, tc := range map[string]struct {
		b     []byte
		parse func([]byte) error
	}{
		"capsule":          {w.capsule.Bytes(), func(b []byte) error { _, err := ParseCapsule(b); return err }},
		"key fragment":     {w.kfrags[0].Bytes(), func(b []byte) error { _, err := ParseKeyFragment(b); return err }},
		"capsule fragment": {w.reencrypt(w.kfrags[0]).Bytes(), func(b []byte) error { _, err := ParseCapsuleFragment(b); return err }},
		"public key":       {w.reader.Public().Bytes(), func(b []byte) error { _, err := ParsePublicKey(b); return err }},
		"private key":      {w.reader.InsecureBytes(), func(b []byte) error { _, err := ParsePrivateKey(b); return err }},
		"hybrid public":    {newHybrid(t).Public().Bytes(), func(b []byte) error { _, err := ParseHybridPublicKey(b); return err }},
		"hybrid private":   {randomBytes(t, 32), func(b []byte) error { _, err := ParseHybridPrivateKey(b); return err }},
		"envelope":         {env, func(b []byte) error { _, err := ParseEnvelope(b); return err }},
	} {
		require.NoError(t, tc.parse(tc.b), name)
		require.ErrorIs(t, tc.parse(append(bytes.Clone(tc.b), 0)), ErrMalformed, name)
		for n := range len(tc.b) {
			require.ErrorIs(t, tc.parse(tc.b[:n]), ErrMalformed, "%s cut to %d bytes", name, n)
		}
	}
}

func TestFragmentsWithIllegalGatewayIDsAreRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1, 1)
	k, f := *w.kfrags[0], *w.reencrypt(w.kfrags[0])
	for _, id := range []string{"", "two words", "new\nline", "Hôpital", strings.Repeat("x", MaxGatewayID+1)} {
		k.gateway, f.gateway = id, id
		_, err := ParseKeyFragment(k.Bytes())
		require.ErrorIs(t, err, ErrMalformed, "%q", id)
		_, err = ParseCapsuleFragment(f.Bytes())
		require.ErrorIs(t, err, ErrMalformed, "%q", id)
	}
	k.gateway = strings.Repeat("x", MaxGatewayID)
	_, err := ParseKeyFragment(k.Bytes())
	require.NoError(t, err)
}

func TestEveryAlteredByteOfASealedShareIsRefusedAndNamed(t *testing.T) {
	t.Parallel()
	l := newLayer(t, 2, 2)
	share := l.set.Shares[0]
	flipped(share.Sealed, func(i int, b []byte) {
		altered := share
		altered.Sealed = b
		_, err := ReSealShare(l.gateways[0], l.ctx, l.request, altered, l.reader.Public())
		requireOneOf(t, err, i, ErrMalformed, ErrDecrypt)
	})
	flipped(l.reseal(0), func(i int, b []byte) {
		_, err := OpenReSealedShare(l.reader, l.ctx, l.request, share, b)
		requireOneOf(t, err, i, ErrMalformed, ErrDecrypt)
		var ge *GatewayError
		require.ErrorAs(t, err, &ge)
		require.Equal(t, share.Gateway, ge.Gateway)
	})
}

func TestEveryAlteredByteOfAnEnvelopeIsRefusedWhereItIsUsed(t *testing.T) {
	t.Parallel()
	l := newLayer(t, 2, 3)
	good := l.envelope()
	b, err := good.Marshal()
	require.NoError(t, err)
	parsed := 0
	flipped(b, func(i int, altered []byte) {
		e, err := ParseEnvelope(altered)
		if err != nil {
			requireOneOf(t, err, i, ErrMalformed)
			return
		}
		parsed++
		require.NotEqual(t, good, e, "byte %d", i)
		requireOneOf(t, l.useDifference(good, e), i, ErrDecrypt, ErrMalformed)
	})
	require.Positive(t, parsed)
}

// useDifference uses the one part in which e differs from good, and returns how that failed.
func (l *layer) useDifference(good, e *Envelope) error {
	switch {
	case !bytes.Equal(good.Wrapped, e.Wrapped):
		_, err := UnwrapKey(l.ctx, l.kShare, l.kPre, e.Wrapped)
		return err
	case !bytes.Equal(good.PatientCopy, e.PatientCopy):
		_, err := OpenPatientCopy(l.patient, l.ctx, e.PatientCopy)
		return err
	case !bytes.Equal(good.HospitalCopy, e.HospitalCopy):
		_, err := OpenHospitalCopy(l.hospital, l.ctx, e.HospitalCopy)
		return err
	case good.Shares.Threshold != e.Shares.Threshold:
		return l.useThreshold(e)
	}
	for i, s := range e.Shares.Shares {
		if _, err := ReSealShare(l.gateways[i], l.ctx, l.request, s, l.reader.Public()); err != nil {
			return err
		}
	}
	return nil
}

// useThreshold combines as many shares as the envelope says. Fewer than the author's threshold give another K_share; more
// give the right one, which is no gain to whoever altered it.
func (l *layer) useThreshold(e *Envelope) error {
	kShare, err := CombineShares(e.Shares.Threshold, l.readerShares()[:e.Shares.Threshold])
	if err != nil {
		return err
	}
	if e.Shares.Threshold > l.set.Threshold {
		return ErrMalformed // the record context, which is signed for, states the threshold
	}
	_, err = UnwrapKey(l.ctx, kShare, l.kPre, e.Wrapped)
	return err
}

func TestALyingGatewayIsNamedByTheShareCommitment(t *testing.T) {
	t.Parallel()
	l := newLayer(t, 2, 3)
	share := l.set.Shares[1]
	other := l.ctx
	other[0] ^= 1

	// It knows the right labels and seals a share of its own making, or its true share with another salt.
	truth, err := share.open(l.gateways[1], share.info(labelShare, l.ctx), share.Sealed, l.ctx)
	require.NoError(t, err)
	for name, lie := range map[string]openedShare{
		"another share": {randomBytes(t, ScalarSize), truth.salt},
		"another salt":  {truth.y, randomBytes(t, saltSize)},
	} {
		sealed, err := SealTo(l.reader.Public(), share.info(labelReshare, l.ctx, l.request[:]), lie.bytes())
		require.NoError(t, err)
		_, err = OpenReSealedShare(l.reader, l.ctx, l.request, share, sealed)
		require.ErrorIs(t, err, ErrShare, name)
		var ge *GatewayError
		require.ErrorAs(t, err, &ge)
		require.Equal(t, "Hospital2MSP", ge.Gateway)
	}
	short, err := SealTo(l.reader.Public(), share.info(labelReshare, l.ctx, l.request[:]), truth.y)
	require.NoError(t, err)
	_, err = OpenReSealedShare(l.reader, l.ctx, l.request, share, short)
	require.ErrorIs(t, err, ErrMalformed)
}

func TestAReSealedShareAnswersOneRequestOfOneReader(t *testing.T) {
	t.Parallel()
	l := newLayer(t, 2, 3)
	sealed := l.reseal(0)
	other := l.request
	other[0] ^= 1
	_, err := OpenReSealedShare(l.reader, l.ctx, other, l.set.Shares[0], sealed)
	require.ErrorIs(t, err, ErrDecrypt, "another request")
	_, err = OpenReSealedShare(l.reader, other, l.request, l.set.Shares[0], sealed)
	require.ErrorIs(t, err, ErrDecrypt, "another record")
	_, err = OpenReSealedShare(l.reader, l.ctx, l.request, l.set.Shares[1], sealed)
	require.ErrorIs(t, err, ErrDecrypt, "another gateway's place")
	_, err = OpenReSealedShare(l.patient, l.ctx, l.request, l.set.Shares[0], sealed)
	require.ErrorIs(t, err, ErrDecrypt, "another reader")
	_, err = ReSealShare(l.gateways[1], l.ctx, l.request, l.set.Shares[0], l.reader.Public())
	require.ErrorIs(t, err, ErrDecrypt, "another gateway's share")
	_, err = ReSealShare(l.gateways[0], other, l.request, l.set.Shares[0], l.reader.Public())
	require.ErrorIs(t, err, ErrDecrypt, "a share of another record")
}
