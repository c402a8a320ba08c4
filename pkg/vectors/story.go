// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package vectors

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"strconv"

	"github.com/emrys-health/emrys/pkg/pre"
)

// Hex are bytes that stand as hexadecimal digits in a file.
type Hex []byte

// MarshalText returns lower-case digits.
func (h Hex) MarshalText() ([]byte, error) { return []byte(hex.EncodeToString(h)), nil }

// UnmarshalText reads digits.
func (h *Hex) UnmarshalText(text []byte) error {
	b, err := hex.DecodeString(string(text))
	if err != nil {
		return fmt.Errorf("decode hexadecimal text: %w", err)
	}
	*h = b
	return nil
}

// U64 is an integer that stands as a decimal text in a file.
type U64 uint64

// MarshalText returns decimal digits.
func (u U64) MarshalText() ([]byte, error) { return strconv.AppendUint(nil, uint64(u), 10), nil }

// UnmarshalText reads decimal digits.
func (u *U64) UnmarshalText(text []byte) error {
	n, err := strconv.ParseUint(string(text), 10, 64)
	if err != nil {
		return fmt.Errorf("decode decimal text: %w", err)
	}
	*u = U64(n)
	return nil
}

// Stories is the file story.json, and what pkg/vectors/interop writes and reads.
type Stories struct {
	Suite   string  `json:"suite"`
	Subject string  `json:"subject"`
	Stories []Story `json:"stories"`
}

// Story is everything from a patient's seed to the content that a reader reads. README.md of the vectors defines the fields.
// Its secrets are published: they belong to nobody.
type Story struct {
	Name      string         `json:"name"`
	Patient   StoryPatient   `json:"patient"`
	Reader    StoryReader    `json:"reader"`
	Hospital  StoryHybrid    `json:"hospital"`
	Gateways  []StoryGateway `json:"gateways"`
	Threshold int            `json:"threshold"`
	Grant     Hex            `json:"grant"`
	Request   Hex            `json:"request"`
	Context   StoryContext   `json:"context"`
	Ctx       Hex            `json:"ctx"`

	Content Hex    `json:"content"`
	Layout  string `json:"layout"`
	DEK     Hex    `json:"dek"`
	FileID  Hex    `json:"file_id"`
	Payload Hex    `json:"payload"`

	Capsule          Hex             `json:"capsule"`
	KPre             Hex             `json:"K_pre"`
	KeyFragments     []StoryFragment `json:"key_fragments"`
	CapsuleFragments []Hex           `json:"capsule_fragments"`
	KShare           Hex             `json:"K_share"`
	Envelope         Hex             `json:"envelope"`
	ReSealed         []Hex           `json:"resealed"`
	DirectKey        Hex             `json:"direct_key"`
}

// StoryPatient is the patient, whose keys all follow from the seed.
type StoryPatient struct {
	Seed         Hex    `json:"seed"`
	Scope        string `json:"scope"`
	Epoch        uint32 `json:"epoch"`
	Purpose      string `json:"purpose"`
	PurposeEpoch uint32 `json:"purpose_epoch"`
	A            Hex    `json:"a"`
	PKA          Hex    `json:"pk_A"`
	Signer       Hex    `json:"signer"`
	PKS          Hex    `json:"pk_S"`
	StoryHybrid
}

// StoryHybrid is a hybrid key.
type StoryHybrid struct {
	Private Hex `json:"hybrid_private"`
	Public  Hex `json:"hybrid_public"`
}

// StoryReader is the reader.
type StoryReader struct {
	B   Hex `json:"b"`
	PKB Hex `json:"pk_B"`
	StoryHybrid
}

// StoryGateway is a gateway.
type StoryGateway struct {
	ID string `json:"id"`
	StoryHybrid
}

// StoryFragment is a gateway's key fragment.
type StoryFragment struct {
	Fragment   Hex `json:"fragment"`
	Sealed     Hex `json:"sealed"`
	Commitment Hex `json:"commitment"`
}

// StoryContext is the record context, as in context.json.
type StoryContext struct {
	Channel       string `json:"channel"`
	Record        string `json:"record"`
	Patient       string `json:"patient"`
	Scope         string `json:"scope"`
	Epoch         uint32 `json:"epoch"`
	ScopeKey      Hex    `json:"scope_key"`
	Author        string `json:"author"`
	AuthorKey     Hex    `json:"author_key"`
	Class         string `json:"class"`
	Level         string `json:"level"`
	PolicyHash    Hex    `json:"policy_hash"`
	FileID        Hex    `json:"file_id"`
	CID           string `json:"cid"`
	PlainSize     U64    `json:"plain_size"`
	CipherSize    U64    `json:"cipher_size"`
	SegmentSize   uint32 `json:"segment_size"`
	CipherDigest  Hex    `json:"cipher_digest"`
	KeyCommitment Hex    `json:"key_commitment"`
	Version       uint32 `json:"version"`
	Previous      string `json:"previous"`
	Threshold     uint8  `json:"threshold"`
}

// RecordContext returns the context as pkg/pre takes it.
func (c StoryContext) RecordContext() *pre.RecordContext {
	return &pre.RecordContext{
		Channel: c.Channel, Record: c.Record, Patient: c.Patient, Scope: c.Scope, Epoch: c.Epoch, ScopeKey: c.ScopeKey,
		Author: c.Author, AuthorKey: c.AuthorKey, Class: c.Class, Level: c.Level, PolicyHash: c.PolicyHash, FileID: c.FileID,
		CID: c.CID, PlainSize: uint64(c.PlainSize), CipherSize: uint64(c.CipherSize), SegmentSize: c.SegmentSize,
		CipherDigest: c.CipherDigest, KeyCommitment: c.KeyCommitment, Version: c.Version, Previous: c.Previous, Threshold: c.Threshold,
	}
}

// ReadStories reads the form of story.json. Unknown fields are an error.
func ReadStories(r io.Reader) (*Stories, error) {
	s := &Stories{}
	dec := json.NewDecoder(r)
	dec.DisallowUnknownFields()
	if err := dec.Decode(s); err != nil {
		return nil, fmt.Errorf("read stories: %w", err)
	}
	if s.Suite != Suite || s.Subject != "story" || len(s.Stories) == 0 {
		return nil, fmt.Errorf("read stories: suite %q, subject %q, %d stories", s.Suite, s.Subject, len(s.Stories))
	}
	return s, nil
}
