// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package custodian

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/emrys-health/emrys/gateway/internal/pin"
	"github.com/emrys-health/emrys/pkg/atomicfile"
)

// readPlace reads how far events have been seen; the beginning when there is no
// file. Nothing depends on it but how much is looked at again.
func readPlace(path string) (pin.Place, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return pin.Place{}, nil
	}
	if err != nil {
		return pin.Place{}, fmt.Errorf("read place: %w", err)
	}
	var place pin.Place
	if err := json.Unmarshal(text, &place); err != nil {
		return pin.Place{}, fmt.Errorf("read place: %w", err)
	}
	return place, nil
}

func writePlace(path string, place pin.Place) error {
	text, err := json.Marshal(place)
	if err != nil {
		return fmt.Errorf("encode place: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(path), atomicfile.DirMode); err != nil {
		return fmt.Errorf("make directory of place: %w", err)
	}
	return atomicfile.Write(path, text, 0o600)
}
