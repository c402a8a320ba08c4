// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

// Package keystore keeps private keys on a disk and offers what they can do, not what they are: signing, key agreement,
// decryption, derivation. [Store] holds a person's keys on the person's own device, [GatewayKeys] those of a hospital's
// gateway. Types that hold a key print a name and a fingerprint, and refuse to be encoded; the few ways to get bytes have
// names that begin with Insecure.
//
// # Files
//
// A store is one file in a directory: keys.jwe under a passphrase, or keys.json without one (gateway-keys.jwe and
// gateway-keys.json for a gateway). The JSON document has a version, a kind, the generations of the root seed and one base64url
// value of 32 bytes for each key: P-256 private scalars big-endian (SEC 1 section 2.3.6), seeds as they are. The reader accepts
// exactly the encoding that the writer makes: unknown versions and fields, repeated fields and other spellings are refused. The
// sealed form is a compact JWE over that document (RFC 7516), with PBES2-HS512+A256KW at 600,000 iterations and
// A256CBC-HS512. docs/spec/keys.md has every byte.
//
// Files have mode 0600 and are refused when others may read them. They are written to a temporary file, synced and moved into
// place, so a crash leaves the old content or the new.
//
// # What it does not do
//
// Without a passphrase the keys are as safe as the disk. Keys are in this process's memory while a store is in use, and the
// Go runtime may copy them there.
package keystore

import "errors"

var (
	// ErrExists says that there is a key file already. Nothing was changed.
	ErrExists = errors.New("a key file exists already")
	// ErrNotFound says that there is no key file.
	ErrNotFound = errors.New("no key file")
	// ErrPassphrase says that the passphrase is missing or wrong, or that the sealed file was altered: nobody can tell which.
	ErrPassphrase = errors.New("wrong passphrase, or the key file was altered")
	// ErrNotSealed says that a passphrase was given for a file that is not sealed: somebody may have replaced it.
	ErrNotSealed = errors.New("the key file is not sealed although a passphrase was given")
	// ErrInsecure says that others could have read or replaced the file. The text says what to do.
	ErrInsecure = errors.New("key file is not private")
	// ErrEpoch says that no seed generation serves an epoch, or that a new one would not begin after the newest.
	ErrEpoch = errors.New("no seed for this epoch")
	// ErrMalformed says that the file is not one of this version of the package.
	ErrMalformed = errors.New("malformed key file")
)
