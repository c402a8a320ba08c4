// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package client_test

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/pkg/api"
	"github.com/emrys-health/emrys/pkg/client"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/pre"
	"github.com/emrys-health/emrys/pkg/seal"
)

// flip alters one bit in the middle.
func flip(b []byte) []byte {
	altered := bytes.Clone(b)
	altered[len(altered)/2] ^= 1
	return altered
}

func TestALyingProxyIsNamedAndAnotherIsUsed(t *testing.T) {
	t.Parallel()
	other := newScene(t)
	foreignRecord, foreignGrant := other.shared(t, []byte("foreign"))
	var foreign api.Fragment
	other.OnOpening = func(o *api.Opening) { foreign = o.Fragments[0] }
	_, _, err := read(t, other.reader, other.ticket(t, foreignRecord, foreignGrant))
	require.NoError(t, err)

	for name, lie := range map[string]func(*api.Fragment){
		"an altered capsule fragment":       func(f *api.Fragment) { f.Capsule[70] ^= 1 },
		"a truncated capsule fragment":      func(f *api.Fragment) { f.Capsule = f.Capsule[:100] },
		"nothing":                           func(f *api.Fragment) { f.Capsule, f.Share = nil, nil },
		"an altered share":                  func(f *api.Fragment) { f.Share = flip(f.Share) },
		"a share of another record":         func(f *api.Fragment) { f.Share = foreign.Share },
		"a capsule fragment of another one": func(f *api.Fragment) { f.Capsule = foreign.Capsule },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t)
			record, grant := s.shared(t, []byte("content"))
			s.OnFragment = func(f *api.Fragment) {
				if f.Gateway == "HospAMSP" {
					lie(f)
				}
			}
			got, opened, err := read(t, s.reader, s.ticket(t, record, grant))
			require.NoError(t, err, "two honest proxies are enough")
			require.Equal(t, "content", string(got))
			require.NotEmpty(t, opened.Faults)
			for _, fault := range opened.Faults {
				require.Equal(t, emr.OrgID("HospAMSP"), fault.Gateway, "nobody else is accused")
				require.Equal(t, emr.CodeCorrupt, fault.Code)
				require.NotEmpty(t, fault.Message)
			}
		})
	}
}

func TestAnAnswerWhoseReceiptDoesNotHoldIsSetAside(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*api.Opening){
		"altered receipt":       func(o *api.Opening) { o.Fragments[0].Receipt = flip(o.Fragments[0].Receipt) },
		"no receipt":            func(o *api.Opening) { o.Fragments[0].Receipt = nil },
		"altered after signing": func(o *api.Opening) { o.Fragments[0].Share = flip(o.Fragments[0].Share) },
		"another's answer":      func(o *api.Opening) { o.Fragments[0].Gateway = "HospBMSP" },
		"an unknown gateway":    func(o *api.Opening) { o.Fragments[0].Gateway = "EvilMSP" },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t)
			record, grant := s.shared(t, []byte("content"))
			s.OnOpening = change
			_, opened, err := read(t, s.reader, s.ticket(t, record, grant))
			require.NoError(t, err)
			require.Len(t, opened.Faults, 1)
			require.Equal(t, emr.CodeCorrupt, opened.Faults[0].Code)
		})
	}
}

func TestAProxyThatRepeatsAnothersFragmentIsNamed(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	record, grant := s.shared(t, []byte("content"))
	s.OnOpening = func(o *api.Opening) {
		o.Fragments[0].Capsule = o.Fragments[1].Capsule
		s.Resign(&o.Fragments[0], &o.Disclosure)
	}
	_, opened, err := read(t, s.reader, s.ticket(t, record, grant))
	require.NoError(t, err)
	require.Len(t, opened.Faults, 1)
	require.Equal(t, emr.OrgID("HospAMSP"), opened.Faults[0].Gateway)
}

func TestOneProxyAnsweringTwiceIsOne(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	record, grant := s.shared(t, []byte("content"))
	s.OnOpening = func(o *api.Opening) { o.Fragments = []api.Fragment{o.Fragments[0], o.Fragments[0]} }
	_, _, err := read(t, s.reader, s.ticket(t, record, grant))
	requireCode(t, emr.CodeUnavailable, err)
}

func TestTooFewHonestProxiesDoNotOpenARecord(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	record, grant := s.shared(t, []byte("content"))
	s.Down["HospAMSP"] = true
	_, _, err := read(t, s.reader, s.ticket(t, record, grant))
	require.NoError(t, err, "two of three suffice")

	s.Down["HospCMSP"] = true
	_, _, err = read(t, s.reader, s.ticket(t, record, grant))
	requireCode(t, emr.CodeUnavailable, err)
	require.Contains(t, emr.Public(err).Message, "HospAMSP")
	require.Contains(t, emr.Public(err).Message, "HospCMSP")

	s.Down["HospCMSP"] = false
	s.OnFragment = func(f *api.Fragment) {
		if f.Gateway == "RegMSP" {
			f.Share = flip(f.Share)
		}
	}
	_, _, err = read(t, s.reader, s.ticket(t, record, grant))
	requireCode(t, emr.CodeCorrupt, err)
	require.Contains(t, emr.Public(err).Message, "RegMSP")
}

// forge replaces the manifest of a stored record and lets the author's entry stand.
func forge(t *testing.T, o *api.Opening, change func(*emr.Action, *emr.Manifest)) {
	t.Helper()
	var action emr.Action
	require.NoError(t, json.Unmarshal(o.Manifest.Signed.Body, &action))
	var m emr.Manifest
	require.NoError(t, json.Unmarshal(action.Args, &m))
	change(&action, &m)
	args, err := emr.Canonical(&m)
	require.NoError(t, err)
	action.Args = args
	o.Manifest.Signed.Body, err = emr.Canonical(&action)
	require.NoError(t, err)
}

// resign signs a forged manifest with a key of the forger's and makes the record on the ledger point to it.
func resign(t *testing.T, o *api.Opening, r *emr.Record, key *pre.PrivateKey) {
	t.Helper()
	digest := o.Manifest.Signed.Digest()
	var err error
	o.Manifest.Signed.Signature, err = pre.SignP256(nil, key.Signer(), digest[:])
	require.NoError(t, err)
	r.Manifest = digest
}

func TestAForgedOpeningIsRefused(t *testing.T) {
	t.Parallel()
	forger, err := pre.GeneratePrivateKey(nil)
	require.NoError(t, err)
	asAuthor := func(t *testing.T, o *api.Opening, r *emr.Record, change func(*emr.Action, *emr.Manifest)) {
		t.Helper()
		o.Manifest.Author.Signing.Key = forger.Public().Bytes()
		forge(t, o, change)
		resign(t, o, r, forger)
	}
	s := newScene(t)
	record, grant := s.shared(t, []byte("content"))
	other := s.put(t, []byte("another record of the patient's")).Record
	cases := map[string]func(*testing.T, *api.Opening, *emr.Record){
		"altered signature": func(_ *testing.T, o *api.Opening, r *emr.Record) {
			o.Manifest.Signed.Signature = flip(o.Manifest.Signed.Signature)
		},
		"altered manifest": func(t *testing.T, o *api.Opening, r *emr.Record) {
			forge(t, o, func(_ *emr.Action, m *emr.Manifest) { m.ContentType = "text/html" })
		},
		"altered manifest and its digest": func(t *testing.T, o *api.Opening, r *emr.Record) {
			forge(t, o, func(_ *emr.Action, m *emr.Manifest) { m.ContentType = "text/html" })
			r.Manifest = o.Manifest.Signed.Digest()
		},
		"manifest signed by somebody else": func(t *testing.T, o *api.Opening, r *emr.Record) {
			forge(t, o, func(_ *emr.Action, m *emr.Manifest) { m.ContentType = "text/html" })
			resign(t, o, r, forger)
		},
		"an author with another key": func(t *testing.T, o *api.Opening, r *emr.Record) {
			asAuthor(t, o, r, func(*emr.Action, *emr.Manifest) {})
		},
		"a manifest of another function": func(t *testing.T, o *api.Opening, r *emr.Record) {
			asAuthor(t, o, r, func(a *emr.Action, _ *emr.Manifest) { a.Function = "Disclose" })
		},
		"a manifest of another ledger": func(t *testing.T, o *api.Opening, r *emr.Record) {
			asAuthor(t, o, r, func(a *emr.Action, _ *emr.Manifest) { a.Channel = "other" })
		},
		"a manifest of another actor": func(t *testing.T, o *api.Opening, r *emr.Record) {
			asAuthor(t, o, r, func(a *emr.Action, _ *emr.Manifest) { a.Actor = "cli_00000000000000000000000000000000" })
		},
		"impossible sizes": func(t *testing.T, o *api.Opening, r *emr.Record) {
			asAuthor(t, o, r, func(_ *emr.Action, m *emr.Manifest) { m.PlainSize++ })
		},
		"not a signed action": func(_ *testing.T, o *api.Opening, r *emr.Record) { o.Manifest.Signed.Body = []byte("{}") },
		"another ticket": func(_ *testing.T, o *api.Opening, r *emr.Record) {
			o.Disclosure.ID = "dis_00000000000000000000000000000000"
		},
		"somebody else's": func(_ *testing.T, o *api.Opening, r *emr.Record) {
			o.Disclosure.Reader = "cli_00000000000000000000000000000000"
		},
		"another record": func(_ *testing.T, o *api.Opening, r *emr.Record) { o.Disclosure.Record = other },
		"another grant":  func(_ *testing.T, o *api.Opening, r *emr.Record) { o.Grant.ID = "gra_00000000000000000000000000000000" },
		"another grantee": func(_ *testing.T, o *api.Opening, r *emr.Record) {
			o.Grant.Terms.Grantee = "cli_00000000000000000000000000000000"
		},
		"a grant of others": func(_ *testing.T, o *api.Opening, r *emr.Record) {
			o.Grant.Terms.Records = []emr.RecordID{"rec_00000000000000000000000000000000"}
		},
		"another scope": func(_ *testing.T, o *api.Opening, r *emr.Record) {
			o.Manifest.Scope.ID = "scp_00000000000000000000000000000000"
		},
		"another scope key": func(_ *testing.T, o *api.Opening, r *emr.Record) {
			o.Manifest.Scope.Delegating = forger.Public().Bytes()
		},
		"a grant's other scope": func(_ *testing.T, o *api.Opening, r *emr.Record) {
			o.Grant.Terms.Scope = "scp_00000000000000000000000000000000"
		},
		"another digest":            func(_ *testing.T, o *api.Opening, r *emr.Record) { r.Digest[0] ^= 1 },
		"another manifest's digest": func(_ *testing.T, o *api.Opening, r *emr.Record) { r.Manifest[0] ^= 1 },
		"another content id":        func(_ *testing.T, o *api.Opening, r *emr.Record) { r.CID = "bafkreiother" },
		"another class":             func(_ *testing.T, o *api.Opening, r *emr.Record) { r.Class = emr.ClassOmics },
		"a label left out":          func(_ *testing.T, o *api.Opening, r *emr.Record) { r.Restricted = true },
		"another author":            func(_ *testing.T, o *api.Opening, r *emr.Record) { r.Author = "cli_00000000000000000000000000000000" },
		"altered terms":             func(_ *testing.T, o *api.Opening, r *emr.Record) { o.Grant.Terms.MaxUses = 7 },
		"altered purpose":           func(_ *testing.T, o *api.Opening, r *emr.Record) { o.Disclosure.Purpose = emr.PurposeResearch },
		"a capsule of another record": func(t *testing.T, o *api.Opening, r *emr.Record) {
			asAuthor(t, o, r, func(_ *emr.Action, m *emr.Manifest) {
				capsule, _, err := pre.Encapsulate(nil, forger.Public(), [pre.HashSize]byte{1})
				require.NoError(t, err)
				m.Capsule = capsule.Bytes()
			})
		},
		"no capsule": func(t *testing.T, o *api.Opening, r *emr.Record) {
			asAuthor(t, o, r, func(_ *emr.Action, m *emr.Manifest) { m.Capsule = nil })
		},
		"another key commitment": func(t *testing.T, o *api.Opening, r *emr.Record) {
			asAuthor(t, o, r, func(_ *emr.Action, m *emr.Manifest) { m.KeyCommitment[0] ^= 1 })
		},
	}
	// Many of these would fail at a later proof too. The check that is meant must be the one that refuses.
	messages := map[string]string{
		"altered signature":                "signature of the manifest",
		"altered manifest":                 "holds the digest of",
		"altered manifest and its digest":  "signature of the manifest",
		"manifest signed by somebody else": "signature of the manifest",
		"an author with another key":       "was not made for this record",
		"a manifest of another function":   "was not signed for this ledger",
		"a manifest of another ledger":     "was not signed for this ledger",
		"a manifest of another actor":      "was not signed for this ledger",
		"impossible sizes":                 "sizes are impossible",
		"not a signed action":              "not a signed action",
		"another ticket":                   "another ticket",
		"somebody else's":                  "somebody else's",
		"another record":                   "does not cover",
		"another grant":                    "another grant",
		"another grantee":                  "somebody else's",
		"a grant of others":                "does not cover",
		"another scope":                    "another scope",
		"another scope key":                "was not made for this record",
		"a grant's other scope":            "for another scope",
		"another digest":                   "do not agree",
		"another content id":               "do not agree",
		"another class":                    "do not agree",
		"a label left out":                 "do not agree",
		"another author":                   "do not agree",
		"a capsule of another record":      "was not made for this record",
		"no capsule":                       "not a capsule",
	}
	ticket := s.ticket(t, record, grant)
	onLedger, honest := s.View(record), *s.View(record)
	for name, change := range cases {
		s.OnOpening = func(o *api.Opening) { change(t, o, &onLedger.Record) }
		_, _, err := read(t, s.reader, ticket)
		*onLedger = honest
		require.Error(t, err, name)
		require.Equal(t, emr.CodeCorrupt, emr.CodeOf(err), "%s: %v", name, err)
		require.Contains(t, emr.Public(err).Message, messages[name], name)
	}
	s.OnOpening = nil
	_, _, err = read(t, s.reader, ticket)
	require.NoError(t, err, "the same ticket, told honestly, opens")
}

// A patient's own reading has no proxies whose proofs would fail: every check of the opening counts.
func TestAForgedOpeningOfAPatientsOwnIsRefused(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	stored := s.put(t, []byte("content"))
	receipt, err := s.patient.Disclose(t.Context(), stored.Record, "", emr.PurposePatient)
	require.NoError(t, err)
	neighbour := join(t, s.World, "HospAMSP", emr.RolePatient, "")
	up := s.upload(7)
	up.Patient = emr.PatientID(neighbour.Profile().ID)
	foreign, err := s.author.PutRecord(t.Context(), bytes.NewReader([]byte("content")), up)
	require.NoError(t, err)
	onLedger, honest, foreignView := s.View(stored.Record), *s.View(stored.Record), *s.View(foreign.Record)
	forger, err := pre.GeneratePrivateKey(nil)
	require.NoError(t, err)
	for name, c := range map[string]struct {
		change  func(*api.Opening)
		message string
	}{
		"another ticket":   {func(o *api.Opening) { o.Disclosure.ID = "dis_00000000000000000000000000000000" }, "another ticket"},
		"another's ticket": {func(o *api.Opening) { o.Disclosure.Reader = "hnd_00000000000000000000000000000000" }, "somebody else's"},
		"another digest":   {func(*api.Opening) { onLedger.Record.Manifest[0] ^= 1 }, "holds the digest of"},
		"another scope key": {func(o *api.Opening) { o.Manifest.Scope.Delegating = forger.Public().Bytes() },
			"was not made for this record"},
		"a scope of others": {func(o *api.Opening) { o.Manifest.Scope.Patient = "hnd_00000000000000000000000000000000" }, "another scope"},
		"a record of others": {func(o *api.Opening) {
			o.Manifest = foreignView
			o.Disclosure.Record = foreign.Record
		}, "somebody else's"},
		"a denial": {func(o *api.Opening) { o.Disclosure.Decision, o.Disclosure.Reason = emr.Deny, emr.ReasonNoGrant }, "refused"},
	} {
		s.OnOpening = c.change
		_, _, err := read(t, s.patient, emr.DisclosureID(receipt.ID))
		*onLedger = honest
		require.Error(t, err, name)
		require.Contains(t, emr.Public(err).Message, c.message, name)
	}
}

func TestAGrantToAnotherKeyOfTheReaderIsRefused(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	record, grant := s.shared(t, []byte("content"))
	other, err := pre.GeneratePrivateKey(nil)
	require.NoError(t, err)
	s.OnOpening = func(o *api.Opening) { o.Grant.Terms.Reader = other.Public().Bytes() }
	_, _, err = read(t, s.reader, s.ticket(t, record, grant))
	requireCode(t, emr.CodeRule, err)
	require.Equal(t, emr.ReasonReaderKey, emr.Public(err).Reason)
}

// A dishonest author signs and proves what is wrong: only the last checks can tell.
func TestADishonestAuthorsRecordDoesNotOpen(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	content := []byte("content")
	for name, c := range map[string]struct {
		change client.ManifestHook
		cause  error
	}{
		"a wrapped key that does not unwrap": {func(_ *emr.Manifest, e *pre.Envelope) {
			if e != nil {
				e.Wrapped = flip(e.Wrapped)
			}
		}, pre.ErrDecrypt},
		"a patient's copy that does not open": {func(_ *emr.Manifest, e *pre.Envelope) {
			if e != nil {
				e.PatientCopy = flip(e.PatientCopy)
			}
		}, pre.ErrDecrypt},
		"a commitment to another data key": {func(m *emr.Manifest, e *pre.Envelope) {
			if e == nil {
				m.KeyCommitment[0] ^= 1
			}
		}, seal.ErrCommitment},
		"the digest of other ciphertext": {func(m *emr.Manifest, e *pre.Envelope) {
			if e == nil {
				m.Digest[0] ^= 1
			}
		}, nil},
	} {
		stored, err := client.PutDishonestly(t.Context(), s.author, bytes.NewReader(content), s.upload(int64(len(content))), c.change)
		require.NoError(t, err, name)
		receipt, err := s.patient.Disclose(t.Context(), stored.Record, "", emr.PurposePatient)
		require.NoError(t, err)
		_, _, err = read(t, s.patient, emr.DisclosureID(receipt.ID))
		requireCode(t, emr.CodeCorrupt, err)
		if c.cause != nil {
			require.ErrorIs(t, err, c.cause, name)
		}
	}
}

func TestAlteredCiphertextIsRefused(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	content := random(t, 3*seal.SegmentPlainSize)
	record, grant := s.shared(t, content)
	ticket := s.ticket(t, record, grant)
	for name, c := range map[string]struct {
		change func([]byte) []byte
		cause  error
	}{
		"one bit":           {flip, seal.ErrAuthentication},
		"truncated":         {func(b []byte) []byte { return b[:len(b)-1] }, seal.ErrTruncated},
		"a segment missing": {func(b []byte) []byte { return b[:2*seal.SegmentSize] }, seal.ErrTruncated},
		"nothing":           {func([]byte) []byte { return nil }, seal.ErrTruncated},
		"extended":          {func(b []byte) []byte { return append(bytes.Clone(b), 0) }, seal.ErrTrailing},
		"segments swapped": {func(b []byte) []byte {
			return append(append(bytes.Clone(b[seal.SegmentSize:2*seal.SegmentSize]), b[:seal.SegmentSize]...), b[2*seal.SegmentSize:]...)
		}, seal.ErrAuthentication},
	} {
		s.OnContent = c.change
		got, _, err := read(t, s.reader, ticket)
		requireCode(t, emr.CodeCorrupt, err)
		require.ErrorIs(t, err, c.cause, name)
		require.True(t, bytes.HasPrefix(content, got), "%s: nothing but authenticated content was written", name)
	}
}

func TestABrokenDownloadIsResumed(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	content := random(t, 10*seal.SegmentPlainSize)
	record, grant := s.shared(t, content)
	ticket := s.ticket(t, record, grant)
	s.CutContent, s.CutContentAfter = 4, seal.SegmentSize+1000
	got, _, err := read(t, s.reader, ticket)
	require.NoError(t, err)
	require.True(t, bytes.Equal(content, got))
	require.Equal(t, 5, s.Count("disclosure.content"))

	s.CutContent, s.CutContentAfter = 100, 0
	_, _, err = read(t, s.reader, ticket)
	requireCode(t, emr.CodeUnavailable, err)
}

func TestATicketIsForItsReaderAlone(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	record, grant := s.shared(t, []byte("content"))
	ticket := s.ticket(t, record, grant)
	thief := join(t, s.World, "HospBMSP", emr.RolePhysician, emr.LevelPrivate)
	_, err := thief.OpenTicket(t.Context(), ticket)
	requireCode(t, emr.CodeRule, err)
	require.Equal(t, emr.ReasonNotReader, emr.Public(err).Reason)
	_, err = s.patient.OpenTicket(t.Context(), "dis_00000000000000000000000000000000")
	requireCode(t, emr.CodeNotFound, err)
}
