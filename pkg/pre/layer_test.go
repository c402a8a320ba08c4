// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package pre

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

// layer is the share layer of one record: gateways with hybrid keys, a reader, a patient and the author's hospital.
type layer struct {
	tb           testing.TB
	ctx, request [HashSize]byte
	gateways     []*HybridPrivateKey
	reader       *HybridPrivateKey
	patient      *HybridPrivateKey
	hospital     *HybridPrivateKey
	kShare       []byte
	kPre, dek    []byte
	set          *ShareSet
}

func newLayer(tb testing.TB, threshold, n int) *layer {
	tb.Helper()
	l := &layer{
		tb: tb, ctx: [HashSize]byte(randomBytes(tb, HashSize)), request: [HashSize]byte(randomBytes(tb, HashSize)),
		reader: newHybrid(tb), patient: newHybrid(tb), hospital: newHybrid(tb),
		kPre: randomBytes(tb, KeySize), dek: randomBytes(tb, KeySize),
	}
	recipients := make([]Recipient, n)
	for i := range recipients {
		l.gateways = append(l.gateways, newHybrid(tb))
		recipients[i] = Recipient{fmt.Sprintf("Hospital%dMSP", i+1), l.gateways[i].Public()}
	}
	var err error
	l.kShare, l.set, err = SplitShares(nil, l.ctx, threshold, recipients)
	require.NoError(tb, err)
	require.Len(tb, l.kShare, KeySize)
	return l
}

// reseal is gateway i's answer.
func (l *layer) reseal(i int) []byte {
	l.tb.Helper()
	sealed, err := ReSealShare(l.gateways[i], l.ctx, l.request, l.set.Shares[i], l.reader.Public())
	require.NoError(l.tb, err)
	return sealed
}

func (l *layer) readerShares() []Share {
	l.tb.Helper()
	out := make([]Share, len(l.gateways))
	for i := range l.gateways {
		s, err := OpenReSealedShare(l.reader, l.ctx, l.request, l.set.Shares[i], l.reseal(i))
		require.NoError(l.tb, err)
		require.Equal(l.tb, l.set.Shares[i].Gateway, s.Gateway())
		require.Equal(l.tb, l.set.Shares[i].Index, s.Index())
		out[i] = s
	}
	return out
}

func (l *layer) envelope() *Envelope {
	l.tb.Helper()
	wrapped, err := WrapKey(l.ctx, l.kShare, l.kPre, l.dek)
	require.NoError(l.tb, err)
	patient, err := SealPatientCopy(l.patient.Public(), l.ctx, l.kShare)
	require.NoError(l.tb, err)
	hospital, err := SealHospitalCopy(l.hospital.Public(), l.ctx, l.dek)
	require.NoError(l.tb, err)
	return &Envelope{Wrapped: wrapped, Shares: *l.set, PatientCopy: patient, HospitalCopy: hospital}
}
