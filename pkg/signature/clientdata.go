// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package signature

import (
	"bytes"
	"encoding/json"
	"io"
	"unicode/utf8"
)

// clientData is what is read of a clientDataJSON (WebAuthn Level 2, section 5.8.1).
type clientData struct {
	typ, challenge, origin string
	// crossOrigin: the page stood in a frame of another origin; topOrigin: that
	// other one is named.
	crossOrigin, topOrigin bool
}

// errClientData has one text: what is wrong with a stranger's JSON is not told.
func errClientData() error { return refused("WebAuthn client data cannot be read") }

// parseClientData reads one JSON object of UTF-8. Members that are not read may be
// there: the specification lets clients add any. A member that is read stands
// once, is written in exactly these letters, and has its own type, so that no two
// readers of the same octets can understand different things.
func parseClientData(data []byte) (*clientData, error) {
	if len(data) > MaxClientData || !utf8.Valid(data) || !json.Valid(data) {
		return nil, errClientData()
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	if opening, err := dec.Token(); err != nil || opening != json.Delim('{') {
		return nil, errClientData()
	}
	c := new(clientData)
	seen := map[string]bool{}
	for dec.More() {
		if err := c.member(dec, seen); err != nil {
			return nil, err
		}
	}
	if _, err := dec.Token(); err != nil { // the closing brace
		return nil, errClientData()
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, errClientData()
	}
	if !seen["type"] || !seen["challenge"] || !seen["origin"] {
		return nil, errClientData()
	}
	return c, nil
}

// member reads one name and its value.
func (c *clientData) member(dec *json.Decoder, seen map[string]bool) error {
	token, err := dec.Token()
	name, ok := token.(string)
	if err != nil || !ok {
		return errClientData()
	}
	var target any
	switch name {
	case "type":
		target = &c.typ
	case "challenge":
		target = &c.challenge
	case "origin":
		target = &c.origin
	case "crossOrigin":
		target = &c.crossOrigin
	case "topOrigin": // stands only where the page was embedded (WebAuthn Level 3)
		c.topOrigin = true
		return skip(dec)
	default:
		return skip(dec)
	}
	if seen[name] {
		return errClientData()
	}
	seen[name] = true
	return decodeMember(dec, target)
}

func skip(dec *json.Decoder) error {
	var ignored json.RawMessage
	if err := dec.Decode(&ignored); err != nil {
		return errClientData()
	}
	return nil
}

// decodeMember decodes a value into a string or a bool. A null is neither.
func decodeMember(dec *json.Decoder, target any) error {
	var raw json.RawMessage
	if err := dec.Decode(&raw); err != nil || string(raw) == "null" {
		return errClientData()
	}
	if err := json.Unmarshal(raw, target); err != nil {
		return errClientData()
	}
	return nil
}
