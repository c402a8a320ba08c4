// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package recovery_test

import (
	"errors"
	"fmt"
	"log"
	"time"

	"github.com/emrys-health/emrys/pkg/pre"
	"github.com/emrys-health/emrys/pkg/pre/recovery"
)

// A patient leaves a seed with a sister, a friend and a hospital, loses the phone, and has it back from two of them. Every step stands
// where it would run.
func Example() {
	now := time.Unix(1_800_000_000, 0)
	keys := map[string]*pre.HybridPrivateKey{}
	guardian := func(id, organisation string) recovery.Guardian {
		keys[id] = must(pre.GenerateHybridKey())
		return recovery.Guardian{ID: id, Organisation: organisation, Key: keys[id].Public()}
	}

	// The old phone, in good time.
	seed := []byte("a seed of thirty-two random byte")
	fingerprint := must(pre.DeriveHybridKey(seed, "copies", 1)).Public().ID() // public: the hospitals know it
	packages := must(recovery.Split(nil, seed, recovery.Plan{
		Owner: "pat-51c2", Threshold: 2, Created: now,
		Guardians: []recovery.Guardian{guardian("sister", ""), guardian("friend", ""), guardian("Alder office", "Alder")},
	}))

	// Each guardian, on receiving a package.
	kept := map[string]*recovery.Package{}
	for _, p := range packages {
		kept[p.Guardian] = must(recovery.OpenPackage(keys[p.Guardian], p.Sealed))
	}

	// A new phone.
	device := must(pre.GenerateHybridKey())
	request := must(recovery.NewRequest(nil, recovery.Request{
		Owner: "pat-51c2", Key: device.Public(), Device: "new phone", Created: now.Add(time.Hour), Expires: now.Add(48 * time.Hour),
	}))

	// Two guardians, on the telephone: both sides read these words out.
	var answers [][]byte
	for _, id := range []string{"sister", "Alder office"} {
		asked := must(recovery.ParseRequest(request.Bytes()))
		fmt.Println(id, "compares", len(asked.Words()), "words")
		answers = append(answers, must(kept[id].Answer(asked, now.Add(2*time.Hour))))
	}

	// The new phone. The seed must give the public key that the hospitals know: anyone can make up a backup.
	got, refused, err := recovery.Combine(device, request, answers, func(secret []byte, _ [recovery.HashSize]byte) error {
		key, err := pre.DeriveHybridKey(secret, "copies", 1)
		if err == nil && key.Public().ID() != fingerprint {
			err = errors.New("another public key")
		}
		return err
	})
	fmt.Println(string(got) == string(seed), len(refused), err)
	// Output:
	// sister compares 6 words
	// Alder office compares 6 words
	// true 0 <nil>
}

func must[T any](v T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return v
}
