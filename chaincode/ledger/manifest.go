// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"bytes"
	"encoding/base32"
	"fmt"
	"slices"
	"strings"

	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
	"github.com/emrys-health/emrys/pkg/manifest"
	"github.com/emrys-health/emrys/pkg/pre"
)

// checkManifest checks everything that can be told from the manifest alone.
func checkManifest(m *emr.Manifest) error {
	if err := checkManifestIDs(m); err != nil {
		return err
	}
	if _, err := emr.ParseClass("class", string(m.Class)); err != nil {
		return err
	}
	if m.Level != m.Class.Level() {
		return emr.Invalid("level", "must be the level of the record's class")
	}
	if !mediaType(m.ContentType) {
		return emr.Invalid("contentType", "must be a media type without parameters")
	}
	if !contentID(m.CID) {
		return emr.Invalid("cid", "must be a CIDv1 of SHA-256 in base32")
	}
	if m.Digest.IsZero() || m.FileID.IsZero() || m.KeyCommitment.IsZero() {
		return emr.Invalid("digest", "digest, file id and key commitment must be present")
	}
	if err := emr.CheckLabels("labels", m.Labels); err != nil {
		return err
	}
	if err := checkSigners(m.Signers); err != nil {
		return err
	}
	if m.Threshold < ledgerapi.MinThreshold {
		return emr.Invalid("threshold", fmt.Sprintf("must be at least %d", ledgerapi.MinThreshold))
	}
	return checkSize(m)
}

func checkManifestIDs(m *emr.Manifest) error {
	if err := emr.CheckID("record", m.Record); err != nil {
		return err
	}
	if err := emr.CheckID("patient", m.Patient); err != nil {
		return err
	}
	if err := emr.CheckID("scope", m.Scope); err != nil {
		return err
	}
	if m.Previous == "" {
		return nil
	}
	return emr.CheckID("previous", m.Previous)
}

func checkSize(m *emr.Manifest) error {
	if m.SegmentSize != manifest.SegmentSize {
		return emr.Invalid("segmentSize", fmt.Sprintf("must be %d", manifest.SegmentSize))
	}
	size, err := manifest.CipherSize(m.PlainSize)
	if err != nil {
		return err
	}
	if m.CipherSize != size {
		return emr.Invalid("cipherSize", "is not that of a payload of plainSize")
	}
	return nil
}

// checkEnvelope checks that the envelope holds one share for the gateway of every
// registered organisation and for nobody else, and the copies for patient and hospital.
func checkEnvelope(m *emr.Manifest, members []emr.OrgID) error {
	envelope, err := pre.ParseEnvelope(m.Envelope)
	if err != nil {
		return &emr.Error{Code: emr.CodeInvalid, Field: "envelope", Message: "is not an envelope", Err: err}
	}
	if envelope.Shares.Threshold != int(m.Threshold) {
		return emr.Invalid("threshold", "is not that of the envelope")
	}
	if len(envelope.PatientCopy) == 0 || len(envelope.HospitalCopy) == 0 {
		return emr.Invalid("envelope", "must hold the patient's and the hospital's copy")
	}
	holders := make([]emr.OrgID, len(envelope.Shares.Shares))
	for i, share := range envelope.Shares.Shares {
		holders[i] = emr.OrgID(share.Gateway)
	}
	slices.Sort(holders)
	if !slices.Equal(holders, members) {
		return &emr.Error{
			Code: emr.CodeStale, Field: "envelope", Message: "must hold one share for each registered organisation and no other",
		}
	}
	return nil
}

// Parts of a CIDv1 (https://github.com/multiformats/cid) of a SHA-256 multihash:
// version, codec (raw or dag-pb), hash function, hash length.
const (
	cidVersion = 0x01
	codecRaw   = 0x55
	codecDAG   = 0x70
	hashSHA256 = 0x12
	hashLength = 0x20
)

// contentID accepts exactly the canonical text of such a CID in base32, prefix "b".
func contentID(text string) bool { return parseContentID(text) != nil }

// parseContentID returns the octets of such a CID, nil when the text is none.
func parseContentID(text string) []byte {
	base, found := strings.CutPrefix(text, "b")
	if !found {
		return nil
	}
	b, err := base32Plain().DecodeString(strings.ToUpper(base))
	if err != nil || len(b) != 4+hashLength || contentText(b) != text {
		return nil
	}
	if !bytes.HasPrefix(b, []byte{cidVersion, codecRaw, hashSHA256, hashLength}) &&
		!bytes.HasPrefix(b, []byte{cidVersion, codecDAG, hashSHA256, hashLength}) {
		return nil
	}
	return b
}

func base32Plain() *base32.Encoding { return base32.StdEncoding.WithPadding(base32.NoPadding) }

func contentText(b []byte) string { return "b" + strings.ToLower(base32Plain().EncodeToString(b)) }

// otherCodec returns the CID of the same hash under the other codec: another name
// of the same block. text must be a content id.
func otherCodec(text string) string {
	b := parseContentID(text)
	b[1] ^= codecRaw ^ codecDAG
	return contentText(b)
}

// maxMediaName bounds each half of a media type (RFC 6838 section 4.2).
const maxMediaName = 127

// mediaType accepts type/subtype in the characters of RFC 6838 section 4.2.
func mediaType(text string) bool {
	kind, sub, found := strings.Cut(text, "/")
	return found && mediaName(kind) && mediaName(sub)
}

func mediaName(name string) bool {
	if name == "" || len(name) > maxMediaName {
		return false
	}
	for i, c := range []byte(name) {
		alphanumeric := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !alphanumeric && (i == 0 || !strings.ContainsRune("!#$&-^_.+", rune(c))) {
			return false
		}
	}
	return true
}
