// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// SealReadings puts entries of the caller's own organisation under one seal. Each
// is named by its exact key, read, and must have no place in a patient's chain and
// be under no seal. The caller chooses which entries; the contract orders them,
// oldest first, and computes what the seal says of them.
//
// A seal has no audit entry of its own, which would have to be sealed in turn: the
// chain of seals is its record.
func SealReadings(s State, args ledgerapi.SealReadingsArgs) (*ledgerapi.Receipt, error) {
	gateway, err := requireGateway(s)
	if err != nil {
		return nil, err
	}
	names, err := oldestFirst(args.Entries)
	if err != nil {
		return nil, err
	}
	entries, err := entriesToSeal(s, gateway.ID, names)
	if err != nil {
		return nil, err
	}
	leaves := make([]emr.Digest, len(entries))
	for i, entry := range entries {
		if leaves[i], err = entry.Leaf(); err != nil {
			return nil, err
		}
	}
	head, err := sealHeadOf(s, gateway.ID)
	if err != nil {
		return nil, err
	}
	seal := &emr.Seal{
		V: emr.DocumentVersion, Org: gateway.ID, Sequence: head.Sequence + 1, Previous: head.Hash, Count: uint32(len(entries)), //nolint:gosec // at most MaxSealed
		Root: emr.MerkleRoot(leaves), First: entries[0].At, Last: entries[len(entries)-1].At, TxID: s.TxID(), At: s.Now(),
	}
	return putSeal(s, head, seal, names, leaves)
}

// oldestFirst checks the names and puts them in the order of the tree: by time, and
// by id within one moment. Later moments have smaller names.
func oldestFirst(names []ledgerapi.EntryName) ([]ledgerapi.EntryName, error) {
	if len(names) == 0 || len(names) > ledgerapi.MaxSealed {
		return nil, emr.Invalid("entries", fmt.Sprintf("must name 1 to %d entries", ledgerapi.MaxSealed))
	}
	for _, name := range names {
		if len(name.Moment) != momentLength || !attributeUsable(name.Moment) || !attributeUsable(name.ID) {
			return nil, emr.Invalid("entries", "holds what cannot be the name of an entry")
		}
	}
	sorted := slices.Clone(names)
	slices.SortFunc(sorted, func(a, b ledgerapi.EntryName) int {
		return cmp.Or(strings.Compare(b.Moment, a.Moment), strings.Compare(a.ID, b.ID))
	})
	if len(slices.Compact(slices.Clone(sorted))) != len(sorted) {
		return nil, emr.Invalid("entries", "must not name an entry twice")
	}
	return sorted, nil
}

// momentLength is the length of an inverted time.
const momentLength = 28

// entriesToSeal reads the entries and their marks, in two steps.
func entriesToSeal(s State, org emr.OrgID, names []ledgerapi.EntryName) ([]*emr.AuditEntry, error) {
	keys := make([]ledgerapi.Key, 0, 2*len(names))
	for _, name := range names {
		keys = append(keys, orgEntryKey(org, name), ledgerapi.SealedKey(org, name.ID))
	}
	values, err := s.GetAll(keys)
	if err != nil {
		return nil, fmt.Errorf("ledger: read entries: %w", err)
	}
	entries := make([]*emr.AuditEntry, len(names))
	found := make([]Entry, len(names))
	for i := range names {
		found[i] = Entry{Key: keys[2*i], Value: values[2*i]}
		if found[i].Value == nil {
			return nil, &emr.Error{Code: emr.CodeNotFound, Field: "entries", Message: "the organisation has no entry " + names[i].ID}
		}
	}
	if err := follow(s, found); err != nil {
		return nil, err
	}
	for i := range names {
		mark := values[2*i+1]
		entry, err := decode(ledgerapi.TypeAuditByOrg, found[i].Value, versionOfAudit)
		switch {
		case err != nil:
			return nil, err
		case entry.Org != org: // about the organisation, and another one's act
			return nil, &emr.Error{Code: emr.CodeRule, Field: "entries", Message: "entry is another organisation's: " + names[i].ID}
		case mark != nil:
			return nil, &emr.Error{Code: emr.CodeExists, Field: "entries", Message: "entry is under a seal already: " + names[i].ID}
		case !entry.Sealable():
			return nil, &emr.Error{Code: emr.CodeRule, Field: "entries", Message: "entry has its place in a patient's chain: " + names[i].ID}
		}
		entries[i] = entry
	}
	return entries, nil
}

func orgEntryKey(org emr.OrgID, name ledgerapi.EntryName) ledgerapi.Key {
	return ledgerapi.Key{Type: ledgerapi.TypeAuditByOrg, Attributes: []string{string(org), name.Moment, name.ID}}
}

// sealHeadOf returns the end of an organisation's chain of seals; an empty one when there is none yet.
func sealHeadOf(s Lookup, org emr.OrgID) (*emr.SealHead, error) {
	head, err := find(s, ledgerapi.SealHeadKey(org), versionOfSealHead)
	if err == nil && head == nil {
		head = &emr.SealHead{V: emr.DocumentVersion, Org: org}
	}
	return head, err
}

// putSeal writes the seal, its leaves, the mark of every entry, and the new head.
func putSeal(
	s State, head *emr.SealHead, seal *emr.Seal, names []ledgerapi.EntryName, leaves []emr.Digest,
) (*ledgerapi.Receipt, error) {
	hash, err := seal.Hash()
	if err != nil {
		return nil, err
	}
	document := ledgerapi.SealLeaves{V: emr.DocumentVersion}
	for i, name := range names {
		document.Leaves = append(document.Leaves, leaves[i][:]...)
		mark := ledgerapi.Sealed{V: emr.DocumentVersion, Seal: seal.Sequence, Index: uint32(i), Moment: name.Moment} //nolint:gosec // at most MaxSealed
		if err := put(s, ledgerapi.SealedKey(seal.Org, name.ID), mark); err != nil {
			return nil, err
		}
	}
	if err := put(s, ledgerapi.SealLeavesKey(seal.Org, seal.Sequence), document); err != nil {
		return nil, err
	}
	if err := put(s, ledgerapi.SealKey(seal.Org, seal.Sequence), seal); err != nil {
		return nil, err
	}
	head.Sequence, head.Hash, head.Entries = seal.Sequence, hash, head.Entries+uint64(seal.Count)
	if err := put(s, ledgerapi.SealHeadKey(seal.Org), head); err != nil {
		return nil, err
	}
	id := strconv.FormatUint(seal.Sequence, 10)
	return receipt(s, id), emit(s, ledgerapi.EventReadingsSealed, ledgerapi.Event{ID: id, Hospital: seal.Org})
}

// GetSeal returns a seal.
func GetSeal(r Reader, q ledgerapi.SealQuery) (*emr.Seal, error) {
	if _, err := emr.ParseOrgID("org", string(q.Org)); err != nil {
		return nil, err
	}
	return require(r, ledgerapi.SealKey(q.Org, q.Sequence), versionOfSeal)
}

// ListSeals lists an organisation's seals, newest first, by exact keys: they count
// up by one, so that none can be missing unseen.
func ListSeals(r Reader, q ledgerapi.SealsQuery) (*ledgerapi.SealPage, error) {
	if _, err := emr.ParseOrgID("org", string(q.Org)); err != nil {
		return nil, err
	}
	size, err := pageSize(q.Limit)
	if err != nil {
		return nil, err
	}
	head, err := sealHeadOf(r, q.Org)
	if err != nil {
		return nil, err
	}
	next, err := sealBookmark(q.Bookmark, head.Sequence)
	if err != nil {
		return nil, err
	}
	out := &ledgerapi.SealPage{Head: *head, Items: []emr.Seal{}}
	for ; next > 0 && len(out.Items) < size; next-- {
		seal, err := find(r, ledgerapi.SealKey(q.Org, next), versionOfSeal)
		if err != nil {
			return nil, err
		}
		if seal == nil {
			return nil, emr.E(emr.CodeCorrupt, "a seal is missing from this peer's ledger")
		}
		out.Items = append(out.Items, *seal)
	}
	if next > 0 {
		out.Bookmark = strconv.FormatUint(next, 10)
	}
	return out, nil
}

// sealBookmark reads a bookmark that is a number from 1 to most; without one it begins at most.
func sealBookmark(bookmark string, most uint64) (uint64, error) {
	if bookmark == "" {
		return most, nil
	}
	n, err := strconv.ParseUint(bookmark, 10, 64)
	if err != nil || n == 0 || n > most || strconv.FormatUint(n, 10) != bookmark {
		return 0, emr.Invalid("bookmark", "is not a bookmark of this query")
	}
	return n, nil
}

// ProveSealed returns an entry with its path to the root of the seal that it is
// under. Whoever asks names the entry by its own fields, which a trail shows.
func ProveSealed(r Reader, q ledgerapi.SealedQuery) (*emr.Inclusion, error) {
	if _, err := requireGateway(r); err != nil {
		return nil, err
	}
	if _, err := emr.ParseOrgID("org", string(q.Org)); err != nil {
		return nil, err
	}
	id := ledgerapi.EntryID(q.TxID, q.Record, q.Ref)
	mark, err := require(r, ledgerapi.SealedKey(q.Org, id), versionOfSealed)
	if err != nil {
		return nil, err
	}
	seal, err := require(r, ledgerapi.SealKey(q.Org, mark.Seal), versionOfSeal)
	if err != nil {
		return nil, err
	}
	entry, err := orgEntry(r, q.Org, ledgerapi.EntryName{Moment: mark.Moment, ID: id})
	if err != nil {
		return nil, err
	}
	leaves, err := leavesOf(r, seal)
	if err != nil {
		return nil, err
	}
	return &emr.Inclusion{Entry: *entry, Index: mark.Index, Path: emr.MerklePath(leaves, int(mark.Index)), Seal: *seal}, nil
}

// orgEntry returns an entry of an organisation.
func orgEntry(s Lookup, org emr.OrgID, name ledgerapi.EntryName) (*emr.AuditEntry, error) {
	key := orgEntryKey(org, name)
	value, err := s.Get(key)
	if err != nil {
		return nil, fmt.Errorf("ledger: read %s: %w", key.Type, err)
	}
	if value == nil {
		return nil, missing(key.Type)
	}
	found := []Entry{{Key: key, Value: value}}
	if err := follow(s, found); err != nil {
		return nil, err
	}
	return decode(key.Type, found[0].Value, versionOfAudit)
}

func leavesOf(s Lookup, seal *emr.Seal) ([]emr.Digest, error) {
	stored, err := require(s, ledgerapi.SealLeavesKey(seal.Org, seal.Sequence), versionOfLeaves)
	if err != nil {
		return nil, err
	}
	leaves := make([]emr.Digest, seal.Count)
	if len(stored.Leaves) != len(leaves)*len(emr.Digest{}) {
		return nil, emr.E(emr.CodeCorrupt, "the leaves of the seal are damaged on this peer")
	}
	for i := range leaves {
		leaves[i] = emr.Digest(stored.Leaves[i*len(leaves[i]):])
	}
	return leaves, nil
}

// ListUnsealed lists which entries of an organisation are under no seal, newest
// first, for its own gateway, which seals them, and for a regulator's, which sees
// what waits, and how long.
func ListUnsealed(r Reader, q ledgerapi.UnsealedQuery) (*ledgerapi.UnsealedPage, error) {
	gateway, err := requireGateway(r)
	if err != nil {
		return nil, err
	}
	if _, err := emr.ParseOrgID("org", string(q.Org)); err != nil {
		return nil, err
	}
	if gateway.ID != q.Org && gateway.Kind != emr.KindRegulator {
		return nil, emr.E(emr.CodeForbidden, "the entries are another organisation's")
	}
	list, err := within(entriesOf(ledgerapi.TypeAuditByOrg, string(q.Org), q.Limit, q.Bookmark), q.From, q.To)
	if err != nil {
		return nil, err
	}
	items, bookmark, err := page(r, list, func(e Entry) (*ledgerapi.UnsealedEntry, step, error) {
		return unsealed(r, q.Org, q.From, e)
	})
	if err != nil {
		return nil, err
	}
	return &ledgerapi.UnsealedPage{Items: items, Bookmark: bookmark}, nil
}

// unsealed chooses an entry of the index that can be sealed and is not.
func unsealed(s Lookup, org emr.OrgID, from emr.Time, e Entry) (*ledgerapi.UnsealedEntry, step, error) {
	entry, err := decode(e.Key.Type, e.Value, versionOfAudit)
	if err != nil || entry.At < from {
		return nil, stop, err
	}
	if entry.Org != org || !entry.Sealable() {
		return nil, skip, nil
	}
	tail := e.Key.Attributes[len(e.Key.Attributes)-indexTail:]
	mark, err := s.Get(ledgerapi.SealedKey(org, tail[1]))
	if err != nil || mark != nil {
		return nil, skip, err
	}
	return &ledgerapi.UnsealedEntry{Name: ledgerapi.EntryName{Moment: tail[0], ID: tail[1]}, Kind: entry.Kind, At: entry.At}, keep, nil
}

func versionOfSeal(s *emr.Seal) int               { return s.V }
func versionOfSealHead(h *emr.SealHead) int       { return h.V }
func versionOfSealed(m *ledgerapi.Sealed) int     { return m.V }
func versionOfLeaves(l *ledgerapi.SealLeaves) int { return l.V }
