// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

// Interop exchanges whole stories with another implementation of the specification.
//
//	go run ./pkg/vectors/interop make            writes a fresh random story to standard output
//	go run ./pkg/vectors/interop check           checks every value of the stories on standard input
//
// Stories have the form of docs/spec/vectors/story.json. check ends with 1, and says what is wrong, when a value does not follow
// from the others. The secrets of a story are made for it, belong to nobody and protect nothing.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2" // shapes only; every secret is drawn by the packages under test or by crypto/rand
	"os"

	"github.com/emrys-health/emrys/pkg/seal"
	"github.com/emrys-health/emrys/pkg/vectors"
)

func main() {
	if err := run(os.Args[1:], os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "interop:", err)
		os.Exit(1)
	}
}

func run(args []string, in io.Reader, out io.Writer) error {
	if len(args) == 1 && args[0] == "make" {
		return write(out)
	}
	if len(args) == 1 && args[0] == "check" {
		return check(in, out)
	}
	return fmt.Errorf("say make or check, not %q", args)
}

// Bounds of what write draws.
const (
	maxGateways = 5
	maxContent  = 5000
)

// write makes one story: any threshold of any number of gateways, any layout and any short content.
func write(out io.Writer) error {
	n := 1 + rand.IntN(maxGateways)
	t, size, layout := 1+rand.IntN(n), rand.IntN(maxContent), []seal.Layout{seal.Plain, seal.Padded}[rand.IntN(2)]
	story, err := vectors.NewStory(fmt.Sprintf("%d of %d gateways, %d bytes, %s", t, n, size, layout), t, n, size, layout)
	if err != nil {
		return err
	}
	enc := json.NewEncoder(out)
	enc.SetIndent("", " ")
	return enc.Encode(vectors.Stories{Suite: vectors.Suite, Subject: "story", Stories: []vectors.Story{*story}})
}

func check(in io.Reader, out io.Writer) error {
	file, err := vectors.ReadStories(bufio.NewReader(in))
	if err != nil {
		return err
	}
	for i := range file.Stories {
		if err := file.Stories[i].Check(); err != nil {
			return err
		}
	}
	_, err = fmt.Fprintf(out, "%d stories hold together\n", len(file.Stories))
	return err
}
