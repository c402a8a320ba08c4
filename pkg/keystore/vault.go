// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package keystore

import (
	"bytes"
	"encoding/json"
	"fmt"
	"path/filepath"
)

// vault is one key file: its directory and the base name of its two forms.
type vault struct {
	dir, name string
}

func (v vault) sealedPath() string { return filepath.Join(v.dir, v.name+".jwe") }
func (v vault) plainPath() string  { return filepath.Join(v.dir, v.name+".json") }

// path returns the path of the form that a passphrase, or none, selects.
func (v vault) path(passphrase []byte) string {
	if passphrase == nil {
		return v.plainPath()
	}
	return v.sealedPath()
}

// find reports which of the two forms exists.
func (v vault) find() (sealed, plain bool, err error) {
	if sealed, err = exists(v.sealedPath()); err != nil {
		return false, false, err
	}
	plain, err = exists(v.plainPath())
	return sealed, plain, err
}

// create writes a document where no key file was.
func (v vault) create(document any, passphrase []byte) error {
	if err := makeDir(v.dir); err != nil {
		return err
	}
	sealed, plain, err := v.find()
	if err != nil {
		return err
	}
	if sealed || plain {
		return fmt.Errorf("%w in %s", ErrExists, v.dir)
	}
	return v.write(document, passphrase, false)
}

func (v vault) write(document any, passphrase []byte, replace bool) error {
	content, err := encodeDocument(document)
	if err != nil {
		return err
	}
	defer clear(content)
	if passphrase == nil {
		return writePrivate(v.plainPath(), content, replace)
	}
	if len(passphrase) == 0 {
		return fmt.Errorf("%w: it is empty", ErrPassphrase)
	}
	sealed, err := sealDocument(content, passphrase)
	if err != nil {
		return err
	}
	return writePrivate(v.sealedPath(), sealed, replace)
}

// open reads the key file into document. See read.
func (v vault) open(document any, passphrase []byte) error {
	content, err := v.read(passphrase)
	if err != nil {
		return err
	}
	defer clear(content)
	return decodeDocument(content, document)
}

// read returns the document's encoding. The passphrase must be given exactly when the file is sealed.
func (v vault) read(passphrase []byte) ([]byte, error) {
	sealed, plain, err := v.find()
	switch {
	case err != nil:
		return nil, err
	case !sealed && !plain:
		return nil, fmt.Errorf("%w in %s", ErrNotFound, v.dir)
	case sealed && plain:
		return nil, fmt.Errorf("%w: both %s and %s exist; remove the one that is not wanted", ErrMalformed, v.sealedPath(), v.plainPath())
	case sealed && len(passphrase) == 0:
		return nil, fmt.Errorf("%w: the key file is sealed and no passphrase was given", ErrPassphrase)
	case plain && passphrase != nil:
		return nil, fmt.Errorf("%w: %s", ErrNotSealed, v.plainPath())
	}
	if err := checkDir(v.dir); err != nil {
		return nil, err
	}
	content, err := readPrivate(v.path(passphrase))
	if err != nil || !sealed {
		return content, err
	}
	return openDocument(content, passphrase)
}

// encodeDocument makes the one accepted encoding of a document.
func encodeDocument(document any) ([]byte, error) {
	b, err := json.MarshalIndent(document, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encode key file: %w", err)
	}
	return append(b, '\n'), nil
}

// decodeDocument decodes a document and accepts only the encoding that encodeDocument makes of the result. Errors do not
// quote the content.
func decodeDocument(content []byte, into any) error {
	if err := decodeStrict(content, into); err != nil {
		return fmt.Errorf("%w: not a document of this version", ErrMalformed)
	}
	again, err := encodeDocument(into)
	if err != nil {
		return err
	}
	defer clear(again)
	if !bytes.Equal(again, content) {
		return fmt.Errorf("%w: not in the encoding of this version", ErrMalformed)
	}
	return nil
}
