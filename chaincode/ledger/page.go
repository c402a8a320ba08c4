// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"encoding/base64"
	"slices"
	"strings"

	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// Bounds of one query.
const (
	// minBatch is the least number of entries that one scan asks for, maxScans the
	// number of scans of one query: a filter that lets little through ends the page
	// early, with a bookmark, and not after the whole ledger.
	minBatch = 25
	maxScans = 10
	// maxAttribute bounds one attribute inside a bookmark in bytes.
	maxAttribute = 160
)

// step tells what to do with an entry of a scan.
type step int

const (
	keep step = iota
	skip
	stop // this entry and everything after it
)

// query is a page to be filled from the entries of one owner.
type query struct {
	prefix   ledgerapi.Key
	tail     int            // attributes that follow the prefix in every key
	from     *ledgerapi.Key // where the first page begins; nil for the beginning
	limit    int
	bookmark string
	follow   bool // the values may lead to audit entries that stand elsewhere
}

// page fills one page. choose makes an item of an entry, or tells to skip it or to
// stop. The items are never nil; the bookmark is empty when nothing follows.
func page[T any](r Reader, q query, choose func(Entry) (*T, step, error)) ([]T, string, error) {
	size, err := pageSize(q.limit)
	if err != nil {
		return nil, "", err
	}
	from, err := q.start()
	if err != nil {
		return nil, "", err
	}
	items := []T{}
	for range maxScans {
		entries, next, err := r.Scan(q.prefix, from, max(size-len(items), minBatch))
		if err != nil {
			return nil, "", err
		}
		if q.follow {
			if err := follow(r, entries); err != nil {
				return nil, "", err
			}
		}
		for _, entry := range entries {
			if len(items) == size {
				return items, bookmarkOf(q.prefix, &entry.Key), nil
			}
			item, step, err := choose(entry)
			if err != nil || step == stop {
				return items, "", err
			}
			if step == keep {
				items = append(items, *item)
			}
		}
		if next == nil || len(items) == size {
			return items, bookmarkOf(q.prefix, next), nil
		}
		from = next
	}
	return items, bookmarkOf(q.prefix, from), nil
}

func pageSize(limit int) (int, error) {
	switch {
	case limit < 0:
		return 0, emr.Invalid("limit", "must not be negative")
	case limit == 0:
		return ledgerapi.DefaultPageSize, nil
	default:
		return min(limit, ledgerapi.MaxPageSize), nil
	}
}

// start returns the key at which the page begins.
func (q *query) start() (*ledgerapi.Key, error) {
	if q.bookmark == "" {
		return q.from, nil
	}
	b, err := base64.RawURLEncoding.DecodeString(q.bookmark)
	if err != nil || base64.RawURLEncoding.EncodeToString(b) != q.bookmark { // the decoder skips line breaks
		return nil, emr.Invalid("bookmark", "is not a bookmark of this query")
	}
	attributes := strings.Split(string(b), "/")
	if len(attributes) != q.tail ||
		slices.ContainsFunc(attributes, func(a string) bool { return !attributeUsable(a) }) {
		return nil, emr.Invalid("bookmark", "is not a bookmark of this query")
	}
	// The owner comes from the query and never from the bookmark: a forged one can
	// only name another place in the same list.
	return &ledgerapi.Key{Type: q.prefix.Type, Attributes: slices.Concat(q.prefix.Attributes, attributes)}, nil
}

// attributeUsable accepts what ids, inverted times and MSP ids are made of.
func attributeUsable(text string) bool {
	const usable = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_"
	return text != "" && len(text) <= maxAttribute && strings.Trim(text, usable) == ""
}

// bookmarkOf writes where a list goes on; the empty text when it does not.
func bookmarkOf(prefix ledgerapi.Key, next *ledgerapi.Key) string {
	if next == nil {
		return ""
	}
	tail := strings.Join(next.Attributes[len(prefix.Attributes):], "/")
	return base64.RawURLEncoding.EncodeToString([]byte(tail))
}
