// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

// Package bench measures the record container beside the bare cipher and other containers, in one run on one machine:
//
//	go test -run '^$' -bench . -count 5
//
// It is a module of its own, so that what it compares with is no dependency of the project. The test in it proves that every
// contender gives back what it was given; the benchmarks measure only what it proved.
package bench
