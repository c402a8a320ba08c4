// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package pin

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/emrys-health/emrys/pkg/atomicfile"
)

// progress is what the pinner has seen and done, in a file to which lines are
// appended: an event seen (with what it asks for), a content held, or one that is
// wanted no more. A line that a crash cut short is dropped, and what it said is done again.
type progress struct {
	mu   sync.Mutex
	file *os.File
	last Place
	want map[string]bool // content id: whether it has been pinned
	bad  map[string]int  // failed attempts of this run
}

// line is one line of the file. Seen, Held and Gone exclude each other.
type line struct {
	V    int    `json:"v"`
	Seen *Place `json:"seen,omitempty"`
	Want string `json:"want,omitempty"`
	Held string `json:"held,omitempty"`
	Gone string `json:"gone,omitempty"` // wanted no more
}

const lineVersion = 1

func openProgress(path string) (*progress, error) {
	p := &progress{want: make(map[string]bool), bad: make(map[string]int)}
	if err := os.MkdirAll(filepath.Dir(path), atomicfile.DirMode); err != nil {
		return nil, fmt.Errorf("make directory of pins: %w", err)
	}
	text, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read pins: %w", err)
	}
	if err := p.replay(text); err != nil {
		return nil, err
	}
	if err := p.compact(path); err != nil {
		return nil, err
	}
	if p.file, err = os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0o600); err != nil {
		return nil, fmt.Errorf("open pins: %w", err)
	}
	return p, nil
}

func (p *progress) replay(text []byte) error {
	scanner := bufio.NewScanner(bytes.NewReader(text))
	for scanner.Scan() {
		var l line
		if err := json.Unmarshal(scanner.Bytes(), &l); err != nil {
			if bytes.HasSuffix(text, scanner.Bytes()) {
				return nil // cut short by a crash
			}
			return errors.New("read pins: a line in the middle is damaged; delete the file to start anew")
		}
		if l.V != lineVersion {
			return errors.New("read pins: written by another version")
		}
		p.apply(l)
	}
	if err := scanner.Err(); err != nil {
		return fmt.Errorf("read pins: %w", err)
	}
	return nil
}

func (p *progress) apply(l line) {
	if l.Seen != nil {
		p.last = *l.Seen
	}
	if l.Want != "" && !p.want[l.Want] {
		p.want[l.Want] = false
	}
	if l.Held != "" {
		p.want[l.Held] = true
	}
	if l.Gone != "" {
		delete(p.want, l.Gone)
	}
}

// compact writes the state as the shortest file.
func (p *progress) compact(path string) error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	var errs []error
	for _, cid := range p.sorted() {
		l := line{V: lineVersion, Want: cid}
		if p.want[cid] {
			l = line{V: lineVersion, Held: cid}
		}
		errs = append(errs, enc.Encode(l))
	}
	if p.last != (Place{}) {
		errs = append(errs, enc.Encode(line{V: lineVersion, Seen: &p.last}))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("encode pins: %w", err)
	}
	return atomicfile.Write(path, b.Bytes(), 0o600)
}

func (p *progress) sorted() []string {
	all := make([]string, 0, len(p.want))
	for cid := range p.want {
		all = append(all, cid)
	}
	slices.Sort(all)
	return all
}

func (p *progress) append(l line) error {
	text, err := json.Marshal(l)
	if err != nil {
		return fmt.Errorf("encode pins: %w", err)
	}
	if _, err := p.file.Write(append(text, '\n')); err != nil {
		return fmt.Errorf("write pins: %w", err)
	}
	if err := p.file.Sync(); err != nil {
		return fmt.Errorf("write pins: %w", err)
	}
	p.apply(l)
	return nil
}

// saw notes an event, and reports whether its content has to be pinned.
func (p *progress) saw(at Place, cid string, mine bool) (bool, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, known := p.want[cid]
	l := line{V: lineVersion, Seen: &at}
	if mine {
		l.Want = cid
	}
	return mine && !known, p.append(l)
}

// held notes that a content is pinned.
func (p *progress) held(cid string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.bad, cid)
	if pinned, wanted := p.want[cid]; pinned || !wanted {
		return nil
	}
	return p.append(line{V: lineVersion, Held: cid})
}

// forget notes that a content is not to be kept any more.
func (p *progress) forget(cid string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.bad, cid)
	if _, wanted := p.want[cid]; !wanted {
		return nil
	}
	return p.append(line{V: lineVersion, Gone: cid})
}

func (p *progress) failed(cid string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.bad[cid]++
}

func (p *progress) failures(cid string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.bad[cid]
}

func (p *progress) wants(cid string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, known := p.want[cid]
	return known
}

// wanted lists every content that this hospital is to keep.
func (p *progress) wanted() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.sorted()
}

func (p *progress) place() Place {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.last
}

func (p *progress) close() { _ = p.file.Close() }
