// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package pre

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestThresholdGatewaysOpenForTheReader(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ t, n int }{{1, 1}, {2, 3}, {3, 5}, {4, 6}} {
		t.Run(fmt.Sprintf("%d of %d", tc.t, tc.n), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, tc.t, tc.n)
			for i, k := range w.kfrags {
				require.Equal(t, w.gateways[i], k.Gateway())
				require.NoError(t, k.Verify(w.params.Delegating, w.params.Reader, w.params.Signer, k.Gateway(), w.params.Grant))
				parsed, err := ParseKeyFragment(k.Bytes())
				require.NoError(t, err)
				require.Equal(t, k.Bytes(), parsed.Bytes())
				require.Equal(t, k.Commitment(), parsed.Commitment())
			}
			cfrags := w.cfrags()
			for i, f := range cfrags {
				require.NoError(t, f.Verify(w.capsule, w.at(w.gateways[i])))
				parsed, err := ParseCapsuleFragment(f.Bytes())
				require.NoError(t, err)
				require.Equal(t, f.Bytes(), parsed.Bytes())
				require.Equal(t, w.kfrags[i].Commitment(), parsed.Commitment())
				cfrags[i] = parsed
			}
			got, err := w.open(cfrags...)
			require.NoError(t, err)
			require.Equal(t, w.kPre, got, "all n")
			got, err = w.open(cfrags[tc.n-tc.t:]...)
			require.NoError(t, err)
			require.Equal(t, w.kPre, got, "the last t")
			_, err = w.open(cfrags[:tc.t-1]...)
			require.ErrorIs(t, err, ErrTooFewFragments)
		})
	}
}

func TestTheOwnerOpensWithoutGateways(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 2, 3)
	c, err := ParseCapsule(w.capsule.Bytes())
	require.NoError(t, err)
	require.NoError(t, c.Verify(w.params.Delegating, w.params.Context))
	got, err := Decapsulate(w.delegating, c, w.params.Context)
	require.NoError(t, err)
	require.Equal(t, w.kPre, got)
}

func TestOneSetOfFragmentsServesRecordsWrittenLater(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 2, 3)
	w.params.Context[0] ^= 1
	var err error
	w.capsule, w.kPre, err = Encapsulate(nil, w.params.Delegating, w.params.Context)
	require.NoError(t, err)
	got, err := w.open(w.cfrags()...)
	require.NoError(t, err)
	require.Equal(t, w.kPre, got)
}

func TestSharesTravelThroughGatewaysToTheReader(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ t, n int }{{1, 1}, {2, 3}, {3, 5}, {4, 6}} {
		t.Run(fmt.Sprintf("%d of %d", tc.t, tc.n), func(t *testing.T) {
			t.Parallel()
			l := newLayer(t, tc.t, tc.n)
			shares := l.readerShares()
			got, err := CombineShares(tc.t, shares)
			require.NoError(t, err)
			require.Equal(t, l.kShare, got, "all n")
			got, err = CombineShares(tc.t, shares[tc.n-tc.t:])
			require.NoError(t, err)
			require.Equal(t, l.kShare, got, "the last t")
			_, err = CombineShares(tc.t, shares[:tc.t-1])
			require.ErrorIs(t, err, ErrTooFewFragments)
		})
	}
}

func TestWrappedKeyNeedsBothLayersAndTheContext(t *testing.T) {
	t.Parallel()
	ctx := [HashSize]byte(randomBytes(t, HashSize))
	kShare, kPre, dek := randomBytes(t, 32), randomBytes(t, 32), randomBytes(t, 32)
	wrapped, err := WrapKey(ctx, kShare, kPre, dek)
	require.NoError(t, err)
	require.Len(t, wrapped, WrappedKeySize)
	got, err := UnwrapKey(ctx, kShare, kPre, wrapped)
	require.NoError(t, err)
	require.Equal(t, dek, got)

	other := ctx
	other[31] ^= 1
	for name, try := range map[string]func() ([]byte, error){
		"another K_share":   func() ([]byte, error) { return UnwrapKey(ctx, randomBytes(t, 32), kPre, wrapped) },
		"another K_pre":     func() ([]byte, error) { return UnwrapKey(ctx, kShare, randomBytes(t, 32), wrapped) },
		"the keys swapped":  func() ([]byte, error) { return UnwrapKey(ctx, kPre, kShare, wrapped) },
		"another context":   func() ([]byte, error) { return UnwrapKey(other, kShare, kPre, wrapped) },
		"no K_pre but zero": func() ([]byte, error) { return UnwrapKey(ctx, kShare, make([]byte, 32), wrapped) },
	} {
		_, err := try()
		require.ErrorIs(t, err, ErrDecrypt, name)
	}
	flipped(wrapped, func(i int, altered []byte) {
		_, err := UnwrapKey(ctx, kShare, kPre, altered)
		require.ErrorIs(t, err, ErrDecrypt, "byte %d", i)
	})
}

func TestEnvelopeRoundTrip(t *testing.T) {
	t.Parallel()
	l := newLayer(t, 2, 3)
	e := l.envelope()
	b, err := e.Marshal()
	require.NoError(t, err)
	got, err := ParseEnvelope(b)
	require.NoError(t, err)
	require.Equal(t, e, got)
	again, err := got.Marshal()
	require.NoError(t, err)
	require.Equal(t, b, again)

	kShare, err := OpenPatientCopy(l.patient, l.ctx, got.PatientCopy)
	require.NoError(t, err)
	require.Equal(t, l.kShare, kShare)
	dek, err := OpenHospitalCopy(l.hospital, l.ctx, got.HospitalCopy)
	require.NoError(t, err)
	require.Equal(t, l.dek, dek)
	share, ok := got.Shares.ShareOf("Hospital2MSP")
	require.True(t, ok)
	require.Equal(t, uint8(2), share.Index)
	_, ok = got.Shares.ShareOf("Hospital9MSP")
	require.False(t, ok)

	e.PatientCopy, e.HospitalCopy = nil, nil
	b, err = e.Marshal()
	require.NoError(t, err)
	got, err = ParseEnvelope(b)
	require.NoError(t, err, "copies may be absent")
	require.Empty(t, got.PatientCopy)
}
