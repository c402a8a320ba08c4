// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package seal_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/pkg/seal"
)

func TestSizesConvertBothWays(t *testing.T) {
	t.Parallel()
	const limit = uint64(seal.MaxSegments) * seal.SegmentPlainSize
	for plain, cipher := range map[uint64]uint64{
		0: 28, 1: 29, full - 1: 262143, full: 262144, full + 1: 262144 + 29, 2 * full: 2 * 262144,
		limit - 1: seal.MaxSegments*262144 - 1, limit: seal.MaxSegments * 262144,
	} {
		got, err := seal.CipherSize(plain)
		require.NoError(t, err)
		require.Equal(t, cipher, got)
		got, err = seal.PlainSize(cipher)
		require.NoError(t, err)
		require.Equal(t, plain, got)
	}
	for _, plain := range []uint64{limit + 1, math.MaxUint64 - 1, math.MaxUint64} {
		_, err := seal.CipherSize(plain)
		require.ErrorIs(t, err, seal.ErrSize)
	}
	for _, cipher := range []uint64{
		0, 1, 27, 262144 + 1, 262144 + 27, 262144 + 28, 2*262144 + 28, seal.MaxSegments*262144 + 1, math.MaxUint64,
	} {
		_, err := seal.PlainSize(cipher)
		require.ErrorIs(t, err, seal.ErrSize, "%d", cipher)
	}
}

func TestACommitmentFitsOneKeyOneFileAndOneLayout(t *testing.T) { // C2
	t.Parallel()
	key, id := newKey(t), newFileID(t)
	require.NotEqual(t, key.Commitment(id, seal.Plain), key.Commitment(id, seal.Padded))
	for _, layout := range []seal.Layout{seal.Plain, seal.Padded} {
		kc := key.Commitment(id, layout)
		got, err := key.Layout(id, kc)
		require.NoError(t, err)
		require.Equal(t, layout, got)
		_, err = newKey(t).Layout(id, kc)
		require.ErrorIs(t, err, seal.ErrCommitment)
		_, err = key.Layout(newFileID(t), kc)
		require.ErrorIs(t, err, seal.ErrCommitment)
		for i := range kc {
			bad := kc
			bad[i] ^= 1
			_, err = key.Layout(id, bad)
			require.ErrorIs(t, err, seal.ErrCommitment)
		}
	}
	_, err := key.Layout(id, [32]byte{})
	require.ErrorIs(t, err, seal.ErrCommitment)
}

func TestALayoutThatDoesNotExistIsNoLayout(t *testing.T) {
	t.Parallel()
	key, id := newKey(t), newFileID(t)
	const none = seal.Layout(2)
	require.Equal(t, "plain padded Layout(2)", fmt.Sprint(seal.Plain, " ", seal.Padded, " ", none))
	require.Zero(t, key.Commitment(id, none))
	_, err := io.ReadAll(seal.NewReader(bytes.NewReader(nil), key, id, 0, none))
	require.ErrorIs(t, err, seal.ErrCommitment)
	_, err = seal.NewReaderAt(bytes.NewReader(nil), key, id, 0, none)
	require.ErrorIs(t, err, seal.ErrCommitment)
}

func TestDataKeysAreParsedStrictly(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 1, 16, 31, 33, 64} {
		_, err := seal.ParseDataKey(make([]byte, n))
		require.Error(t, err)
	}
	key := newKey(t)
	again, err := seal.ParseDataKey(key.InsecureBytes())
	require.NoError(t, err)
	require.True(t, key.Equal(again))
	require.False(t, key.Equal(newKey(t)))
	require.False(t, key.Equal(nil))
	key.InsecureBytes()[0] ^= 1
	require.True(t, key.Equal(again), "the returned bytes are a copy")
}

func TestAFailingRandomSourceGivesNoKey(t *testing.T) {
	t.Parallel()
	boom := errors.New("boom")
	_, err := seal.GenerateDataKey(iotest.ErrReader(boom))
	require.ErrorIs(t, err, boom)
	_, err = seal.NewFileID(iotest.ErrReader(boom))
	require.ErrorIs(t, err, boom)
	_, err = seal.GenerateDataKey(bytes.NewReader(make([]byte, 31)))
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
}

func TestADataKeyNeverPrints(t *testing.T) {
	t.Parallel()
	raw := bytes.Repeat([]byte("K"), seal.DataKeySize)
	key, err := seal.ParseDataKey(raw)
	require.NoError(t, err)
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).LogAttrs(context.Background(), slog.LevelInfo, "m", slog.Any("key", key))
	slog.New(slog.NewJSONHandler(&log, nil)).LogAttrs(context.Background(), slog.LevelInfo, "m", slog.Any("key", struct{ K *seal.DataKey }{key}))
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%o"} {
		fmt.Fprintf(&log, verb+" "+verb, key, struct{ K *seal.DataKey }{key})
	}
	log.WriteString(key.String() + key.GoString())
	for _, leak := range []string{"KKKK", "4b4b", "4B4B", "75 75", "113 113", "S0tL"} {
		require.NotContains(t, log.String(), leak)
	}
	_, err = json.Marshal(struct{ K *seal.DataKey }{key})
	require.Error(t, err)
}
