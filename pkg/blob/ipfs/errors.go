// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ipfs

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/ipfs/kubo/client/rpc"

	"github.com/emrys-health/emrys/pkg/blob"
)

// Why a watchdog ended a request.
var (
	errAbsent = fmt.Errorf("%w: no node sent it in time", blob.ErrNotFound)
	errStall  = fmt.Errorf("%w: the transfer stopped", blob.ErrUnavailable)
	errSlow   = fmt.Errorf("%w: the daemon did not answer in time", blob.ErrUnavailable)
)

// failure returns the error of a request, whichever way the client reports it.
func failure(resp *rpc.Response, err error) error {
	switch {
	case err != nil:
		return err
	case resp.Error != nil:
		return resp.Error
	default:
		return nil
	}
}

// translate maps what the client or the daemon reports to the errors of package blob. The caller's own context comes first:
// a request that it ended fails in many ways.
func translate(ctx context.Context, err error) error {
	if ctxErr := ctx.Err(); ctxErr != nil {
		return ctxErr
	}
	for _, known := range []error{blob.ErrNotFound, blob.ErrUnavailable, blob.ErrCorrupt, blob.ErrShared, blob.ErrInvalid} {
		if errors.Is(err, known) {
			return err
		}
	}
	return fmt.Errorf("%w: %w", classify(err.Error()), err)
}

// classify finds the sentinel for a message. The daemon reports errors as text only, also in the middle of a stream, so its
// wording is all there is; the contract suite runs every case against a real daemon.
func classify(message string) error {
	for _, c := range []struct {
		text string
		err  error
	}{
		{"could not find", blob.ErrNotFound},               // ipld.ErrNotFound
		{"block not found", blob.ErrNotFound},              // block store
		{"failed to fetch all nodes", blob.ErrNotFound},    // merkledag: some leaves are missing
		{"different hash than requested", blob.ErrCorrupt}, // blockstore.ErrHashMismatch
		{"hash mismatch", blob.ErrCorrupt},                 // verifcid
		{"dag node is a directory", blob.ErrInvalid},       // iface.ErrIsDir
		{"unrecognized object type", blob.ErrInvalid},      // dag-pb that is no UnixFS file
		{"unknown multihash", blob.ErrInvalid},             // verifcid: no hash function of this node
		{"potentially insecure hash", blob.ErrInvalid},     // verifcid
	} {
		if strings.Contains(message, c.text) {
			return c.err
		}
	}
	return blob.ErrUnavailable
}

// isNotPinned reports whether the daemon answered that content is not pinned, or only as part of something else.
func isNotPinned(err error) bool {
	var answer *rpc.Error
	return errors.As(err, &answer) &&
		(strings.Contains(answer.Message, "not pinned") || strings.Contains(answer.Message, "pinned indirectly"))
}
