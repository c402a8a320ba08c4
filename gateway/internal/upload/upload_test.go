// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package upload_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/gateway/internal/service"
	"github.com/emrys-health/emrys/gateway/internal/upload"
	"github.com/emrys-health/emrys/pkg/api"
	"github.com/emrys-health/emrys/pkg/blob"
	"github.com/emrys-health/emrys/pkg/blob/mem"
	"github.com/emrys-health/emrys/pkg/emr"
)

const owner = "cli_owner"

// content is a store in memory whose pinning can be made to fail.
type content struct {
	*mem.Store
	putErr, unpinErr error
}

// PutNamed may fail after the daemon has pinned, as when the connection breaks.
func (c *content) PutNamed(ctx context.Context, r io.Reader, name string) (blob.Ref, error) {
	ref, err := c.Store.PutNamed(ctx, r, name)
	if err == nil && c.putErr != nil {
		return blob.Ref{}, c.putErr
	}
	return ref, err
}

func (c *content) Unpin(ctx context.Context, cid string) error {
	if c.unpinErr != nil {
		return c.unpinErr
	}
	return c.Store.Unpin(ctx, cid)
}

type bench struct {
	*upload.Store
	t       *testing.T
	dir     string
	content *content
	now     time.Time
	kept    string // content that a record names
}

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{t: t, dir: t.TempDir(), content: &content{Store: mem.New()}, now: time.Unix(1_800_000_000, 0)}
	b.restart()
	return b
}

// restart opens the journal anew, as after a crash.
func (b *bench) restart() {
	b.t.Helper()
	var err error
	b.Store, err = upload.Open(upload.Settings{
		Dir: b.dir, MaxBytes: 1000, Life: 30 * time.Minute, Now: func() time.Time { return b.now },
		Log: slog.New(slog.DiscardHandler), Keeps: func(cid string) bool { return cid == b.kept },
	}, b.content)
	require.NoError(b.t, err)
}

func (b *bench) create(text string) api.Upload {
	b.t.Helper()
	u, err := b.Create(b.t.Context(), owner, strings.NewReader(text), service.Expect{Size: -1})
	require.NoError(b.t, err)
	return u
}

func (b *bench) claim(u api.Upload, action byte) error {
	m := &emr.Manifest{CID: u.CID, Digest: u.Digest, CipherSize: u.Size}
	return b.Claim(b.t.Context(), owner, u.ID, m, emr.Digest{action}, emr.TimeOf(b.now.Add(5*time.Minute)))
}

func (b *bench) pinned(u api.Upload) bool {
	b.t.Helper()
	ok, err := b.content.Pinned(b.t.Context(), u.CID)
	require.NoError(b.t, err)
	return ok
}

// entries counts the files of the journal.
func (b *bench) entries() int {
	b.t.Helper()
	files, err := os.ReadDir(b.dir)
	require.NoError(b.t, err)
	return len(files)
}

func (b *bench) sweep(committed bool, err error) {
	b.Sweep(b.t.Context(), func(context.Context, emr.Digest) (bool, error) { return committed, err })
}

func TestAnUploadThatNoRecordNamesEndsWithItsTime(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	u := b.create("content")
	b.sweep(false, nil)
	require.True(t, b.pinned(u))
	b.restart()
	b.now = b.now.Add(31 * time.Minute)
	b.sweep(false, nil)
	require.False(t, b.pinned(u))
	require.Zero(t, b.entries())
}

func TestAnUploadWithAnUnknownOutcomeWaitsForTheLedger(t *testing.T) {
	t.Parallel()
	for _, committed := range []bool{true, false} {
		b := newBench(t)
		u := b.create("content")
		require.NoError(t, b.claim(u, 1))
		b.restart()
		b.now = b.now.Add(31 * time.Minute)
		b.sweep(false, errors.New("the ledger is down"))
		require.True(t, b.pinned(u), "nothing is decided while nobody can be asked")
		b.sweep(committed, nil)
		require.Equal(t, committed, b.pinned(u))
		require.Zero(t, b.entries())
	}
}

func TestAnUnknownOutcomeIsKeptUntilItCannotCommitAnyMore(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	u := b.create("content")
	require.NoError(t, b.claim(u, 1))
	b.now = b.now.Add(10 * time.Minute)
	b.sweep(false, nil)
	require.True(t, b.pinned(u))
	require.NoError(t, b.claim(u, 1), "the same action may try again")
	require.Equal(t, emr.CodeConflict, emr.CodeOf(b.claim(u, 2)))
	require.Equal(t, emr.CodeConflict, emr.CodeOf(b.Delete(t.Context(), owner, u.ID)))
}

func TestFailuresLeaveNoPin(t *testing.T) {
	t.Parallel()
	boom := errors.New("boom")
	for _, tt := range []struct {
		name   string
		body   io.Reader
		expect service.Expect
		fail   func(*content)
		code   emr.Code
	}{
		{"a body that breaks", io.MultiReader(strings.NewReader("half"), brokenReader{boom}), service.Expect{Size: -1}, nil, emr.CodeInternal},
		{"a body that ends early", io.MultiReader(strings.NewReader("half"), brokenReader{io.ErrUnexpectedEOF}), service.Expect{Size: -1}, nil, emr.CodeInvalid},
		{"a body that is larger than allowed", strings.NewReader(strings.Repeat("x", 1001)), service.Expect{Size: -1}, nil, emr.CodeTooLarge},
		{"a length that is larger than allowed", strings.NewReader("x"), service.Expect{Size: 1001}, nil, emr.CodeTooLarge},
		{"another length than announced", strings.NewReader("abc"), service.Expect{Size: 4}, nil, emr.CodeInvalid},
		{"another digest than announced", strings.NewReader("abc"), service.Expect{Size: 3, Digest: emr.Digest{1}}, nil, emr.CodeCorrupt},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			if tt.fail != nil {
				tt.fail(b.content)
			}
			_, err := b.Create(t.Context(), owner, tt.body, tt.expect)
			require.Equal(t, tt.code, emr.CodeOf(err), "%v", err)
			require.Zero(t, b.entries())
		})
	}
}

func TestAPinThatAnUploadLeftBehindIsFoundByItsName(t *testing.T) {
	t.Parallel()
	for _, crash := range []bool{true, false} {
		b := newBench(t)
		b.content.putErr = blob.ErrUnavailable
		_, err := b.Create(t.Context(), owner, strings.NewReader("left behind"), service.Expect{Size: -1})
		require.Equal(t, emr.CodeUnavailable, emr.CodeOf(err))
		ref, err := b.content.Put(t.Context(), strings.NewReader("of somebody else"))
		require.NoError(t, err)
		require.Equal(t, 1, b.entries(), "the journal knows that something may be pinned")
		if crash {
			b.restart()
		}
		b.content.putErr = nil
		b.content.SetDown(true)
		b.sweep(false, nil)
		require.Equal(t, 1, b.entries(), "nobody could be asked")
		b.content.SetDown(false)
		b.sweep(false, nil)
		require.Zero(t, b.entries())
		left, err := b.content.Pinned(t.Context(), cidOf(t, "left behind"))
		require.NoError(t, err)
		require.False(t, left)
		require.True(t, b.pinned(api.Upload{CID: ref.CID}))
	}
}

// cidOf is the id that a store in memory gives a content.
func cidOf(t *testing.T, text string) string {
	t.Helper()
	ref, err := mem.New().Put(t.Context(), strings.NewReader(text))
	require.NoError(t, err)
	return ref.CID
}

type brokenReader struct{ err error }

func (r brokenReader) Read([]byte) (int, error) { return 0, r.err }

func TestAPinThatCannotBeTakenBackIsTakenBackLater(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	u := b.create("content")
	b.content.unpinErr = blob.ErrUnavailable
	require.Equal(t, emr.CodeUnavailable, emr.CodeOf(b.Delete(t.Context(), owner, u.ID)))
	require.Equal(t, 1, b.entries(), "the journal still knows of the pin")
	require.Equal(t, emr.CodeNotFound, emr.CodeOf(b.claim(u, 1)), "no record can name it any more")
	b.content.unpinErr = nil
	b.sweep(false, nil)
	require.False(t, b.pinned(u))
	require.Zero(t, b.entries())
}

func TestContentThatSomethingElseStandsOnStaysPinned(t *testing.T) {
	t.Parallel()
	t.Run("a record names it", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		u := b.create("a record's")
		b.kept = u.CID
		require.NoError(t, b.Delete(t.Context(), owner, u.ID))
		require.True(t, b.pinned(u))
	})
	t.Run("uploaded twice", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		first, second := b.create("same"), b.create("same")
		require.NoError(t, b.Delete(t.Context(), owner, first.ID))
		require.True(t, b.pinned(second))
		require.NoError(t, b.Delete(t.Context(), owner, second.ID))
		require.False(t, b.pinned(second))
	})
	t.Run("uploaded twice and registered once", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		first, second := b.create("same"), b.create("same")
		require.NoError(t, b.claim(first, 1))
		require.NoError(t, b.Commit(t.Context(), first.ID))
		b.restart()
		require.NoError(t, b.Delete(t.Context(), owner, second.ID))
		require.True(t, b.pinned(first))
	})
}

func TestClaims(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	u := b.create("content")
	good := emr.Manifest{CID: u.CID, Digest: u.Digest, CipherSize: u.Size}
	for name, change := range map[string]func(m *emr.Manifest){
		"another content id": func(m *emr.Manifest) { m.CID = "other" },
		"another digest":     func(m *emr.Manifest) { m.Digest[0] ^= 1 },
		"another size":       func(m *emr.Manifest) { m.CipherSize++ },
	} {
		m := good
		change(&m)
		require.Equal(t, emr.CodeInvalid, emr.CodeOf(b.Claim(t.Context(), owner, u.ID, &m, emr.Digest{1}, 1)), name)
	}
	require.Equal(t, emr.CodeNotFound, emr.CodeOf(b.Claim(t.Context(), "somebody", u.ID, &good, emr.Digest{1}, 1)))
	require.NoError(t, b.claim(u, 1))
	require.NoError(t, b.Release(t.Context(), u.ID))
	require.NoError(t, b.claim(u, 2))
}

func TestADamagedJournalIsNotReadAsEmpty(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	u := b.create("content")
	require.NoError(t, os.WriteFile(filepath.Join(b.dir, ".tmp-1"), []byte("cut"), 0o600), "an interrupted write")
	b.restart()
	require.NoError(t, os.WriteFile(filepath.Join(b.dir, u.ID+".json"), []byte("{"), 0o600))
	_, err := upload.Open(upload.Settings{Dir: b.dir, Now: time.Now}, b.content)
	require.Error(t, err)
}

func TestOnePersonCannotFillTheStore(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for i := range 64 {
		b.create(strings.Repeat("x", i))
	}
	_, err := b.Create(t.Context(), owner, strings.NewReader("one too many"), service.Expect{Size: -1})
	require.Equal(t, emr.CodeRateLimited, emr.CodeOf(err))
}

func TestAnUploadOfWhatIsToBeDestroyedIsForgotten(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	waiting, claimed, other := b.create("content"), b.create("content"), b.create("other")
	require.NoError(t, b.claim(claimed, 1))
	require.True(t, b.Staged(waiting.CID))
	require.NoError(t, b.Forget(t.Context(), ""), "an upload on its way has no content id")
	require.Equal(t, 3, b.entries())
	require.NoError(t, b.Forget(t.Context(), waiting.CID))
	require.NoError(t, b.Forget(t.Context(), waiting.CID))
	require.False(t, b.Staged(waiting.CID))
	require.True(t, b.Staged(other.CID))
	b.restart()
	require.False(t, b.Staged(waiting.CID))
	require.Equal(t, 1, b.entries())
	require.Equal(t, emr.CodeNotFound, emr.CodeOf(b.claim(waiting, 2)))
	require.NoError(t, b.Commit(t.Context(), claimed.ID), "whoever still waits for its outcome")
	require.NoError(t, b.Release(t.Context(), claimed.ID))
}
