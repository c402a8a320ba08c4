// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package client

import (
	"bytes"
	"encoding/json"
	"errors"
)

// sniffLength is how many bytes SniffMediaType wants to see.
const sniffLength = 4096

// SniffMediaType tells the media type of medical content from its first bytes
// (4096 are enough): DICOM (PS3.10 section 7.1: "DICM" after a preamble of 128
// bytes), FHIR JSON (an object with a resourceType), HL7 v2 ("MSH|") and PDF.
// Everything else is application/octet-stream. The answer is a label for
// people and programs, not a verification of the content.
func SniffMediaType(head []byte) string {
	switch {
	case len(head) >= 132 && string(head[128:132]) == "DICM":
		return "application/dicom"
	case bytes.HasPrefix(head, []byte("%PDF-")):
		return "application/pdf"
	}
	text := bytes.TrimLeft(bytes.TrimPrefix(head, []byte("\xef\xbb\xbf")), " \t\r\n\v")
	switch {
	case bytes.HasPrefix(text, []byte("MSH|")):
		return "application/hl7-v2"
	case isFHIR(text):
		return "application/fhir+json"
	}
	return "application/octet-stream"
}

// isFHIR looks for the member resourceType of the outermost object, as far as
// the text goes. A document that is cut off is judged by what is there.
func isFHIR(text []byte) bool {
	dec := json.NewDecoder(bytes.NewReader(text))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return false
	}
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return false
		}
		if name == "resourceType" {
			value, err := dec.Token()
			_, isText := value.(string)
			return isText && err == nil
		}
		if err := skipValue(dec); err != nil {
			return false
		}
	}
	return false
}

var errDepth = errors.New("nested too deeply")

// skipValue reads one JSON value.
func skipValue(dec *json.Decoder) error {
	for depth := 0; ; {
		t, err := dec.Token()
		if err != nil {
			return err
		}
		if d, ok := t.(json.Delim); ok {
			switch d {
			case '{', '[':
				depth++
			default:
				depth--
			}
		}
		if depth == 0 {
			return nil
		}
		if depth > 64 {
			return errDepth
		}
	}
}
