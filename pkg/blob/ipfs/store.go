// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

// Package ipfs is a content-addressed store over the RPC interface of a Kubo daemon (https://docs.ipfs.tech/reference/kubo/rpc/).
// Content is added with the chunker size-262144, raw leaves and CIDv1, so the id of content of at most 262,144 bytes is that of
// one raw block, and every other id is that of a balanced UnixFS tree (dag-pb). Bytes stream both ways in constant memory.
package ipfs

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"github.com/ipfs/boxo/files"
	"github.com/ipfs/go-cid"
	"github.com/ipfs/kubo/client/rpc"

	"github.com/emrys-health/emrys/pkg/blob"
)

// Defaults of [Config].
const (
	DefaultFindTimeout  = 30 * time.Second
	DefaultStallTimeout = 60 * time.Second

	// finishTime is how long a cancelled Put whose last byte is sent already may still wait for the daemon's answer.
	finishTime = 10 * time.Second
)

// Config says where the daemon is and how long to wait for it.
type Config struct {
	// Endpoint is the address of the daemon's RPC interface: a multiaddr (/ip4/127.0.0.1/tcp/5001, /unix/run/ipfs/api)
	// or a URL (http://127.0.0.1:5001). Plain HTTP to another machine needs InsecurePlainHTTP.
	Endpoint string
	// SecretFile is the path of a file with the secret that the daemon's API.Authorizations lists, in the daemon's own
	// notation, "bearer:TOKEN" or "basic:USER:PASSWORD", or as the header's value, "Bearer TOKEN". Empty means that the
	// daemon asks for none.
	SecretFile string
	// FindTimeout bounds the wait for content to be found in the swarm, and for the answer to a small question.
	// 0 means DefaultFindTimeout.
	FindTimeout time.Duration
	// StallTimeout bounds a pause within a transfer that has begun. 0 means DefaultStallTimeout.
	StallTimeout time.Duration
	// InsecurePlainHTTP allows plain HTTP, and so the secret in clear, to an address that is not loopback.
	InsecurePlainHTTP bool
}

// Store is a [blob.Store] over one daemon. It is safe for concurrent use and prints without its secret.
type Store struct {
	api      *rpc.HttpApi
	endpoint string
	find     time.Duration
	stall    time.Duration
	pins     keyedLock
}

var _ blob.Store = (*Store)(nil)

// New returns a store over the daemon at cfg.Endpoint. It reads the secret file, and does not contact the daemon.
func New(cfg Config) (*Store, error) {
	api, err := newAPI(cfg)
	if err != nil {
		return nil, fmt.Errorf("set up IPFS client: %w", err)
	}
	s := &Store{api: api, endpoint: cfg.Endpoint, find: cfg.FindTimeout, stall: cfg.StallTimeout}
	if s.find <= 0 {
		s.find = DefaultFindTimeout
	}
	if s.stall <= 0 {
		s.stall = DefaultStallTimeout
	}
	return s, nil
}

// Check asks the daemon for its version and returns it: whether the daemon is there and accepts the secret.
func (s *Store) Check(ctx context.Context) (string, error) {
	var out struct{ Version string }
	if err := s.ask(ctx, s.api.Request("version"), errSlow, &out); err != nil {
		return "", fmt.Errorf("ask IPFS daemon for its version: %w", err)
	}
	return out.Version, nil
}

// Put implements [blob.Store]. A Put whose context ends after the last byte was sent still waits shortly for the daemon's
// answer, and succeeds when that comes: otherwise nobody would know of the pin.
func (s *Store) Put(ctx context.Context, r io.Reader) (blob.Ref, error) { return s.put(ctx, r, "") }

// PutNamed is Put with a name on the pin, by which Named finds it: a caller who notes the name durably before loses no pin
// in a crash. A pin has one name: that of the last call with the same content.
func (s *Store) PutNamed(ctx context.Context, r io.Reader, name string) (blob.Ref, error) {
	return s.put(ctx, r, name)
}

// Named lists the content ids that are pinned under exactly this name. Idempotent.
func (s *Store) Named(ctx context.Context, name string) ([]string, error) {
	var out struct {
		Keys map[string]struct{ Name string }
	}
	request := s.api.Request("pin/ls").Option("type", "recursive").Option("name", name)
	if err := s.ask(ctx, request, errSlow, &out); err != nil {
		return nil, fmt.Errorf("look for pins by name: %w", err)
	}
	var ids []string
	for id, pin := range out.Keys {
		if pin.Name == name { // the daemon looks for parts of names
			ids = append(ids, id)
		}
	}
	return ids, nil
}

func (s *Store) put(ctx context.Context, r io.Reader, name string) (blob.Ref, error) {
	if err := ctx.Err(); err != nil {
		return blob.Ref{}, err
	}
	src := &source{r: r}
	defer src.stop()
	requestCtx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	defer context.AfterFunc(ctx, func() {
		if src.ended() {
			time.AfterFunc(finishTime, cancel)
			return
		}
		cancel()
	})()
	id, err := s.add(requestCtx, src, name)
	src.stop()
	if err != nil {
		if readErr := src.failure(); readErr != nil {
			return blob.Ref{}, fmt.Errorf("read content: %w", readErr)
		}
		return blob.Ref{}, fmt.Errorf("add content: %w", translate(ctx, err))
	}
	return blob.Ref{CID: id, Size: src.size()}, nil
}

func (s *Store) add(ctx context.Context, src *source, name string) (string, error) {
	body := files.NewMapDirectory(map[string]files.Node{"": files.NewReaderFile(src)})
	request := s.api.Request("add").
		Option("cid-version", 1).Option("raw-leaves", true).Option("hash", "sha2-256").
		Option("chunker", "size-262144").Option("trickle", false).Option("max-file-links", fileLinks).
		Option("inline", false).Option("pin", true).Option("progress", false).
		Body(files.NewMultiFileReader(body, false, false))
	if name != "" {
		request.Option("pin-name", name)
	}
	resp, err := request.Send(ctx)
	if err := failure(resp, err); err != nil {
		return "", err
	}
	defer func() { _ = resp.Cancel() }() // the answer has been read to its end, or is of no use
	var added struct{ Hash string }
	dec := json.NewDecoder(resp.Output)
	for {
		if err := dec.Decode(&added); err == io.EOF { //nolint:errorlint // json.Decoder returns io.EOF itself
			break
		} else if err != nil {
			return "", err
		}
	}
	if src.failure() != nil || !src.ended() {
		return "", fmt.Errorf("%w: the daemon answered before the content had ended", blob.ErrUnavailable)
	}
	return canonicalAnswer(added.Hash)
}

// fileLinks is the width of the UnixFS tree: the value that gives the same ids as Kubo's defaults for CIDv1.
const fileLinks = 174

// Get implements [blob.Store]. Content that no node sends within the FindTimeout is [blob.ErrNotFound]; a pause of more than
// the StallTimeout within the stream is [blob.ErrUnavailable].
func (s *Store) Get(ctx context.Context, id string, offset, length int64) (io.ReadCloser, error) {
	if err := blob.CheckRange(offset, length); err != nil {
		return nil, err
	}
	id, err := canonical(id)
	if err != nil {
		return nil, err
	}
	if length == 0 {
		if _, err := s.Size(ctx, id); err != nil {
			return nil, err
		}
		return &stream{body: http.NoBody, watch: newWatchdog(ctx), id: id, wait: s.find, waitErr: errAbsent, stall: s.stall}, nil
	}
	request := s.api.Request("cat", id).Option("offset", offset)
	if length > 0 {
		request.Option("length", length)
	}
	watch := newWatchdog(ctx)
	watch.arm(s.find, errAbsent)
	resp, err := request.Send(watch.ctx)
	watch.disarm()
	if err := failure(resp, err); err != nil {
		watch.end()
		return nil, fmt.Errorf("get %s: %w", id, watch.translate(err))
	}
	return &stream{body: resp.Output, watch: watch, id: id, wait: s.find, waitErr: errAbsent, stall: s.stall}, nil
}

// Pin implements [blob.Store]. Content of which no block arrives within the FindTimeout is [blob.ErrNotFound]; a pause of
// more than the StallTimeout later on is [blob.ErrUnavailable].
func (s *Store) Pin(ctx context.Context, id string) error {
	id, err := canonical(id)
	if err != nil {
		return err
	}
	// The daemon removes an existing pin before it walks the tree to pin it anew, and does not put it back when the
	// walk fails. So what is pinned must not be pinned again, not even by two calls at once.
	unlock, err := s.pins.lock(ctx, id)
	if err != nil {
		return err
	}
	defer unlock()
	if pinned, err := s.Pinned(ctx, id); err != nil || pinned {
		return err
	}
	if err := s.fetchAndPin(ctx, id); err != nil {
		return fmt.Errorf("pin %s: %w", id, err)
	}
	return nil
}

func (s *Store) fetchAndPin(ctx context.Context, id string) error {
	watch := newWatchdog(ctx)
	defer watch.end()
	watch.arm(s.find, errAbsent)
	resp, err := s.api.Request("pin/add", id).Option("recursive", true).Option("progress", true).Send(watch.ctx)
	if err := failure(resp, err); err != nil {
		return watch.translate(err)
	}
	defer func() { _ = resp.Cancel() }()
	dec := json.NewDecoder(resp.Output)
	fetched := 0
	for {
		var event struct {
			Pins     []string
			Progress int // blocks so far
		}
		if err := dec.Decode(&event); err != nil {
			return watch.translate(err)
		}
		if len(event.Pins) > 0 {
			return nil
		}
		if event.Progress > fetched {
			fetched = event.Progress
			watch.arm(s.stall, errStall)
		}
	}
}

// Unpin implements [blob.Store].
func (s *Store) Unpin(ctx context.Context, id string) error {
	id, err := canonical(id)
	if err != nil {
		return err
	}
	err = s.ask(ctx, s.api.Request("pin/rm", id).Option("recursive", true), errSlow, nil)
	if err != nil && !isNotPinned(err) {
		return fmt.Errorf("unpin %s: %w", id, err)
	}
	return nil
}

// Pinned implements [blob.Store].
func (s *Store) Pinned(ctx context.Context, id string) (bool, error) {
	id, err := canonical(id)
	if err != nil {
		return false, err
	}
	var out json.RawMessage
	err = s.ask(ctx, s.api.Request("pin/ls", id).Option("type", "recursive"), errSlow, &out)
	switch {
	case err == nil:
		return true, nil
	case isNotPinned(err):
		return false, nil
	default:
		return false, fmt.Errorf("look for pin of %s: %w", id, err)
	}
}

// Size implements [blob.Store].
func (s *Store) Size(ctx context.Context, id string) (uint64, error) {
	id, err := canonical(id)
	if err != nil {
		return 0, err
	}
	var out struct {
		Size uint64
		Type string
	}
	if err := s.ask(ctx, s.api.Request("files/stat", "/ipfs/"+id), errAbsent, &out); err != nil {
		return 0, fmt.Errorf("ask for size of %s: %w", id, err)
	}
	if out.Type != "file" {
		return 0, fmt.Errorf("ask for size of %s: %w: it is not a file", id, blob.ErrInvalid)
	}
	return out.Size, nil
}

// ask sends a request with a short answer. late is the error when no answer comes within the FindTimeout.
func (s *Store) ask(ctx context.Context, request rpc.RequestBuilder, late error, out any) error {
	watch := newWatchdog(ctx)
	defer watch.end()
	watch.arm(s.find, late)
	if err := request.Exec(watch.ctx, out); err != nil {
		return watch.translate(err)
	}
	return nil
}

// canonical returns the one spelling of a content id.
func canonical(id string) (string, error) {
	c, err := cid.Decode(id)
	if err != nil {
		return "", fmt.Errorf("%w: not a content id", blob.ErrInvalid)
	}
	return c.String(), nil
}

// canonicalAnswer is canonical for an id that the daemon gave to content that was just added.
func canonicalAnswer(id string) (string, error) {
	c, err := cid.Decode(id)
	if err != nil || c.Version() != 1 {
		return "", fmt.Errorf("%w: the daemon named new content %s", blob.ErrUnavailable, strconv.Quote(id))
	}
	return c.String(), nil
}

// String returns the store's name and endpoint.
func (s *Store) String() string { return "ipfs.Store(" + s.endpoint + ")" }

// GoString returns the store's name and endpoint.
func (s *Store) GoString() string { return s.String() }

// Format writes the store's name and endpoint for every verb.
func (s *Store) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.String()) }

// LogValue returns the store's name and endpoint.
func (s *Store) LogValue() slog.Value { return slog.StringValue(s.String()) }
