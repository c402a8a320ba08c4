// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package keystore

import (
	"bytes"
	"crypto/fips140"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/lestrrat-go/jwx/v3/jwa"
	"github.com/lestrrat-go/jwx/v3/jwe"
)

const (
	// iterations of PBKDF2-HMAC-SHA-512 in a file that is written.
	iterations = 600_000
	// maxIterations bounds the work a file may ask of whoever opens it: a few seconds.
	maxIterations = 5_000_000
	// minSalt is the least length of the PBES2 salt input in bytes (RFC 7518 section 4.8.1.1 asks for 8).
	minSalt = 8
)

// sealDocument encrypts a document under a passphrase: a compact JWE, PBES2-HS512+A256KW and A256CBC-HS512 (RFC 7518 sections
// 4.8 and 5.2.5). Not A256GCM: the JOSE library would choose the nonce outside of the cryptographic module, which that refuses
// under GODEBUG=fips140=only. Encrypt-then-MAC with HMAC-SHA-512 also commits to its key, as GCM does not.
func sealDocument(document, passphrase []byte) ([]byte, error) {
	sealed, err := jwe.Encrypt(document,
		jwe.WithKey(jwa.PBES2_HS512_A256KW(), passphrase),
		jwe.WithContentEncryption(jwa.A256CBC_HS512()),
		jwe.WithPBES2Count(iterations))
	if err != nil {
		return nil, fmt.Errorf("seal key file: %w", err)
	}
	return append(sealed, '\n'), nil
}

// openDocument is the reverse. The header decides how much work the key derivation is and which algorithms run, and nothing
// has authenticated it yet: so it is checked first, against the form that sealDocument writes and the A256GCM of older files.
func openDocument(sealed, passphrase []byte) ([]byte, error) {
	sealed = bytes.TrimSpace(sealed)
	enc, err := checkSealedHeader(sealed)
	if err != nil {
		return nil, err
	}
	if enc == jwa.A256GCM().String() && fips140.Enforced() {
		return nil, fmt.Errorf("%w: the file was sealed with A256GCM, which the strict FIPS 140-3 mode refuses; "+
			"change its passphrase once without GODEBUG=fips140=only, which seals it anew", ErrMalformed)
	}
	document, err := jwe.Decrypt(sealed,
		jwe.WithKey(jwa.PBES2_HS512_A256KW(), passphrase),
		jwe.WithMinPBES2Count(iterations),
		jwe.WithMaxPBES2Count(maxIterations))
	if err != nil {
		// The cause tells nothing more: a wrong passphrase and a changed file fail at the same place.
		return nil, ErrPassphrase
	}
	return document, nil
}

// checkSealedHeader returns the content encryption that the header names, if all of it is as it must be.
func checkSealedHeader(sealed []byte) (string, error) {
	encoded, rest, found := bytes.Cut(sealed, []byte{'.'})
	if !found || bytes.Count(rest, []byte{'.'}) != 3 {
		return "", fmt.Errorf("%w: not a compact JWE", ErrMalformed)
	}
	raw, err := base64.RawURLEncoding.DecodeString(string(encoded))
	if err != nil {
		return "", fmt.Errorf("%w: JWE header is not base64url", ErrMalformed)
	}
	var header struct {
		Alg  string `json:"alg"`
		Enc  string `json:"enc"`
		P2c  int64  `json:"p2c"`
		Salt string `json:"p2s"`
	}
	if err := decodeStrict(raw, &header); err != nil {
		return "", fmt.Errorf("%w: JWE header", ErrMalformed)
	}
	salt, err := base64.RawURLEncoding.DecodeString(header.Salt)
	switch {
	case header.Alg != jwa.PBES2_HS512_A256KW().String(),
		header.Enc != jwa.A256CBC_HS512().String() && header.Enc != jwa.A256GCM().String():
		return "", fmt.Errorf("%w: JWE algorithms are not the expected ones", ErrMalformed)
	case header.P2c < iterations || header.P2c > maxIterations:
		return "", fmt.Errorf("%w: JWE asks for %d iterations, allowed are %d to %d", ErrMalformed, header.P2c, iterations, maxIterations)
	case err != nil || len(salt) < minSalt:
		return "", fmt.Errorf("%w: JWE salt", ErrMalformed)
	}
	return header.Enc, nil
}

// decodeStrict decodes one JSON value and refuses unknown fields and anything after it.
func decodeStrict(b []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("more than one value")
	}
	return nil
}
