// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package pre

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/fxamacker/cbor/v2"
	"github.com/stretchr/testify/require"
)

func TestSharesThatDoNotCombine(t *testing.T) {
	t.Parallel()
	l, other := newLayer(t, 2, 4), newLayer(t, 2, 4)
	shares, foreign := l.readerShares(), other.readerShares()

	_, err := CombineShares(2, []Share{shares[0], shares[0], shares[0]})
	require.ErrorIs(t, err, ErrTooFewFragments, "duplicates do not count")
	_, err = CombineShares(2, nil)
	require.ErrorIs(t, err, ErrTooFewFragments)
	_, err = CombineShares(2, []Share{shares[0], foreign[1]})
	require.ErrorIs(t, err, ErrShare, "shares of two records do not mix")
	var ge *GatewayError
	require.ErrorAs(t, err, &ge)
	require.Equal(t, "Hospital2MSP", ge.Gateway)

	wrong := shares[3]
	y := wrong.y.Add(suite().Field().Small(1))
	wrong.y = y
	_, err = CombineShares(2, []Share{shares[0], shares[1], wrong})
	require.ErrorIs(t, err, ErrShare, "an author's inconsistent share is noticed where one share more is at hand")

	got, err := CombineShares(3, shares)
	require.NoError(t, err)
	require.Equal(t, l.kShare, got)
}

func TestSplitRefusesBadParameters(t *testing.T) {
	t.Parallel()
	a, b := Recipient{"A", newHybrid(t).Public()}, Recipient{"B", newHybrid(t).Public()}
	for name, tc := range map[string]struct {
		threshold int
		gateways  []Recipient
	}{
		"threshold zero":    {0, []Recipient{a, b}},
		"threshold above n": {3, []Recipient{a, b}},
		"no gateways":       {1, nil},
		"a gateway twice":   {1, []Recipient{a, a}},
		"no name":           {1, []Recipient{{"", a.Key}}},
		"no key":            {1, []Recipient{a, {"B", nil}}},
		"an empty key":      {1, []Recipient{a, {"B", &HybridPublicKey{}}}},
		"256 gateways":      {1, make([]Recipient, 256)},
	} {
		_, _, err := SplitShares(nil, [HashSize]byte{}, tc.threshold, tc.gateways)
		require.ErrorIs(t, err, ErrParameter, name)
	}
}

func TestShareCommitmentsHide(t *testing.T) {
	t.Parallel()
	l := newLayer(t, 1, 3) // threshold 1: every share is K_share itself
	s := l.set.Shares
	require.NotEqual(t, s[0].Commitment, s[1].Commitment)
	unsalted := hash32(labelShareCommit, l.ctx[:], gatewayHash(s[0].Gateway), []byte{1}, l.kShare)
	zeroSalt := openedShare{l.kShare, make([]byte, saltSize)}.commitment(l.ctx, &s[0])
	require.NotEqual(t, unsalted, s[0].Commitment)
	require.NotEqual(t, zeroSalt, s[0].Commitment)
}

func TestAGatewayRotatesItsKey(t *testing.T) {
	t.Parallel()
	l := newLayer(t, 2, 2)
	next := newHybrid(t)
	rotated, err := RotateShare(l.gateways[0], l.ctx, l.set.Shares[0], next.Public())
	require.NoError(t, err)
	require.Equal(t, l.set.Shares[0].Commitment, rotated.Commitment)
	_, err = ReSealShare(l.gateways[0], l.ctx, l.request, rotated, l.reader.Public())
	require.ErrorIs(t, err, ErrDecrypt, "the old key no longer opens")
	l.gateways[0], l.set.Shares[0] = next, rotated
	got, err := CombineShares(2, l.readerShares())
	require.NoError(t, err)
	require.Equal(t, l.kShare, got)
	_, err = RotateShare(l.gateways[1], l.ctx, l.set.Shares[0], next.Public())
	require.ErrorIs(t, err, ErrDecrypt)
}

func TestSealedObjectsOpenForTheirPurposeOnly(t *testing.T) {
	t.Parallel()
	l := newLayer(t, 1, 1)
	grant := [HashSize]byte{1}
	sealed, err := SealTo(l.reader.Public(), []byte("info"), []byte("text"))
	require.NoError(t, err)
	require.Len(t, sealed, len("text")+SealOverhead)
	require.Equal(t, KEMID, binary.BigEndian.Uint16(sealed))
	got, err := l.reader.OpenFrom([]byte("info"), sealed)
	require.NoError(t, err)
	require.Equal(t, "text", string(got))
	again, err := SealTo(l.reader.Public(), []byte("info"), []byte("text"))
	require.NoError(t, err)
	require.NotEqual(t, sealed, again)
	_, err = l.reader.OpenFrom([]byte("other"), sealed)
	require.ErrorIs(t, err, ErrDecrypt)
	_, err = l.patient.OpenFrom([]byte("info"), sealed)
	require.ErrorIs(t, err, ErrDecrypt)
	flipped(sealed, func(i int, b []byte) {
		_, err := l.reader.OpenFrom([]byte("info"), b)
		requireOneOf(t, err, i, ErrMalformed, ErrDecrypt)
	})

	foreign := bytes.Clone(sealed)
	binary.BigEndian.PutUint16(foreign, 0x0051)
	_, err = l.reader.OpenFrom([]byte("info"), foreign)
	require.ErrorIs(t, err, ErrMalformed, "another KEM")

	// One key, three purposes: none opens as another.
	copies := map[string][]byte{}
	copies["patient"], err = SealPatientCopy(l.reader.Public(), l.ctx, l.kShare)
	require.NoError(t, err)
	copies["hospital"], err = SealHospitalCopy(l.reader.Public(), l.ctx, l.dek)
	require.NoError(t, err)
	copies["direct"], err = SealDirectKey(l.reader.Public(), l.ctx, grant, l.kPre)
	require.NoError(t, err)
	opens := map[string]func([]byte) ([]byte, error){
		"patient":  func(b []byte) ([]byte, error) { return OpenPatientCopy(l.reader, l.ctx, b) },
		"hospital": func(b []byte) ([]byte, error) { return OpenHospitalCopy(l.reader, l.ctx, b) },
		"direct":   func(b []byte) ([]byte, error) { return OpenDirectKey(l.reader, l.ctx, grant, b) },
	}
	for sealedAs, b := range copies {
		for openedAs, open := range opens {
			_, err := open(b)
			if sealedAs == openedAs {
				require.NoError(t, err)
				continue
			}
			require.ErrorIs(t, err, ErrDecrypt, "%s opened as %s", sealedAs, openedAs)
		}
	}
	_, err = OpenDirectKey(l.reader, l.ctx, [HashSize]byte{2}, copies["direct"])
	require.ErrorIs(t, err, ErrDecrypt, "another grant")
	_, err = SealPatientCopy(l.reader.Public(), l.ctx, l.kShare[:31])
	require.ErrorIs(t, err, ErrParameter)
	_, err = OpenPatientCopy(l.reader, l.ctx, sealed)
	require.ErrorIs(t, err, ErrMalformed, "no sealed key has this length")
	_, err = WrapKey(l.ctx, l.kShare, l.kPre, l.dek[:16])
	require.ErrorIs(t, err, ErrParameter)
	_, err = WrapKey(l.ctx, l.kShare[:16], l.kPre, l.dek)
	require.ErrorIs(t, err, ErrParameter)
	_, err = UnwrapKey(l.ctx, l.kShare, nil, make([]byte, WrappedKeySize))
	require.ErrorIs(t, err, ErrParameter)
	_, err = UnwrapKey(l.ctx, l.kShare, l.kPre, make([]byte, WrappedKeySize-1))
	require.ErrorIs(t, err, ErrMalformed)
}

func TestEnvelopesOfTheWrongShapeAreNotWritten(t *testing.T) {
	t.Parallel()
	l := newLayer(t, 2, 3)
	for name, change := range map[string]func(*Envelope){
		"no wrapped key":      func(e *Envelope) { e.Wrapped = nil },
		"threshold zero":      func(e *Envelope) { e.Shares.Threshold = 0 },
		"threshold above n":   func(e *Envelope) { e.Shares.Threshold = 4 },
		"threshold wraps":     func(e *Envelope) { e.Shares.Threshold = 258 },
		"no shares":           func(e *Envelope) { e.Shares.Shares = nil },
		"short share":         func(e *Envelope) { e.Shares.Shares[1].Sealed = e.Shares.Shares[1].Sealed[1:] },
		"index zero":          func(e *Envelope) { e.Shares.Shares[0].Index = 0 },
		"index twice":         func(e *Envelope) { e.Shares.Shares[1].Index = 1 },
		"indices fall":        func(e *Envelope) { e.Shares.Shares[0].Index = 3 },
		"gateway twice":       func(e *Envelope) { e.Shares.Shares[1].Gateway = e.Shares.Shares[0].Gateway },
		"gateway without id":  func(e *Envelope) { e.Shares.Shares[1].Gateway = "" },
		"short patient copy":  func(e *Envelope) { e.PatientCopy = []byte{1} },
		"short hospital copy": func(e *Envelope) { e.HospitalCopy = make([]byte, SealedKeySize-1) },
	} {
		e := l.envelope()
		e.Shares.Shares = append([]SealedShare(nil), e.Shares.Shares...)
		change(e)
		_, err := e.Marshal()
		require.ErrorIs(t, err, ErrParameter, name)
	}
}

func TestOtherEncodingsOfAnEnvelopeAreRefused(t *testing.T) {
	t.Parallel()
	good, err := newLayer(t, 1, 1).envelope().Marshal()
	require.NoError(t, err)
	var fields []any
	require.NoError(t, cbor.Unmarshal(good, &fields))
	encode := func(change func([]any) any) []byte {
		b, err := cbor.Marshal(change(append([]any(nil), fields...)))
		require.NoError(t, err)
		return b
	}
	require.Equal(t, good, encode(func(f []any) any { return f }), "the changes below start from the same bytes")

	set := func(i int, v any) []byte { return encode(func(f []any) any { f[i] = v; return f }) }
	for name, b := range map[string][]byte{
		"another version":            set(0, 2),
		"another suite":              set(1, "EMRYS-PRE-V2"),
		"another KEM":                set(2, 0x647a),
		"wrapped key as text":        set(3, "text"),
		"null for an absent copy":    set(6, nil),
		"one field less":             encode(func(f []any) any { return f[:7] }),
		"one field more":             encode(func(f []any) any { return append(f, 1) }),
		"a map":                      encode(func(f []any) any { return map[string]any{"Version": 1} }),
		"a tag":                      encode(func(f []any) any { return cbor.Tag{Number: 55799, Content: f} }),
		"an indefinite array":        append(append([]byte{0x9f}, good[1:]...), 0xff),
		"a longer integer":           append([]byte{good[0], 0x18, 0x01}, good[2:]...),
		"an array length in 2 bytes": append([]byte{0x98, 0x08}, good[1:]...),
		"twice":                      append(bytes.Clone(good), good...),
		"null":                       {0xf6},
		"nothing":                    nil,
	} {
		_, err := ParseEnvelope(b)
		require.ErrorIs(t, err, ErrMalformed, name)
	}
}
