// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package vectors

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/pkg/seal"
)

func committedStories(t *testing.T) *Stories {
	t.Helper()
	b, err := os.Open(filepath.Join(directory(), "story.json"))
	require.NoError(t, err)
	defer b.Close()
	s, err := ReadStories(b)
	require.NoError(t, err)
	return s
}

func TestEveryStoryHoldsTogether(t *testing.T) {
	t.Parallel()
	for _, s := range committedStories(t).Stories {
		require.NoError(t, s.Check(), s.Name)
	}
}

func TestAFreshStoryHoldsTogetherAndSurvivesItsFile(t *testing.T) {
	t.Parallel()
	for _, layout := range []seal.Layout{seal.Plain, seal.Padded} {
		s, err := NewStory("fresh", 2, 4, 300_000, layout)
		require.NoError(t, err)
		b, err := json.Marshal(Stories{Suite: Suite, Subject: "story", Stories: []Story{*s}})
		require.NoError(t, err)
		again, err := ReadStories(bytes.NewReader(b))
		require.NoError(t, err)
		require.Equal(t, *s, again.Stories[0])
		require.NoError(t, again.Stories[0].Check())
	}
}

func TestAStoryWithAnyValueAlteredIsRefused(t *testing.T) {
	t.Parallel()
	n := 0
	alterEach(t, reflect.TypeFor[Story](), nil, func(path string, alter func(*Story)) {
		n++
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			s := committedStories(t).Stories[0]
			alter(&s)
			require.Error(t, s.Check(), "%s altered", path)
		})
	})
	require.Greater(t, n, 50)
}

// alterEach calls try once for each field of a type, with a function that alters it in a story. The name of a story means nothing.
func alterEach(t *testing.T, typ reflect.Type, index []int, try func(string, func(*Story))) {
	t.Helper()
	for i := range typ.NumField() {
		f := typ.Field(i)
		at := append(index[:len(index):len(index)], i)
		switch f.Type.Kind() {
		case reflect.Struct:
			alterEach(t, f.Type, at, func(path string, alter func(*Story)) { try(f.Name+"."+path, alter) })
		default:
			if f.Name != "Name" {
				try(f.Name, func(s *Story) { alterValue(t, reflect.ValueOf(s).Elem().FieldByIndex(at)) })
			}
		}
	}
}

// alterValue changes a value in the smallest way, the first of a list.
func alterValue(t *testing.T, v reflect.Value) {
	t.Helper()
	switch v.Kind() {
	case reflect.String:
		v.SetString(v.String() + "x")
	case reflect.Int:
		v.SetInt(v.Int() + 1)
	case reflect.Uint8, reflect.Uint32, reflect.Uint64:
		v.SetUint(v.Uint() + 1)
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			last := v.Index(v.Len() - 1)
			last.SetUint(last.Uint() ^ 1)
			return
		}
		alterValue(t, v.Index(0))
	case reflect.Struct:
		alterValue(t, v.Field(0))
	default:
		t.Fatalf("no way to alter %s", v.Kind())
	}
}

func TestFilesThatAreNoStoriesAreRefused(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"nothing":             ``,
		"another suite":       `{"suite":"EMRYS-PRE-V2","subject":"story","stories":[{}]}`,
		"another subject":     `{"suite":"EMRYS-PRE-V1","subject":"keys","stories":[{}]}`,
		"no stories":          `{"suite":"EMRYS-PRE-V1","subject":"story","stories":[]}`,
		"an unknown field":    `{"suite":"EMRYS-PRE-V1","subject":"story","stories":[{"secret":"00"}]}`,
		"no hexadecimal text": `{"suite":"EMRYS-PRE-V1","subject":"story","stories":[{"ctx":"0g"}]}`,
		"a number as text":    `{"suite":"EMRYS-PRE-V1","subject":"story","stories":[{"context":{"plain_size":"1e3"}}]}`,
	} {
		_, err := ReadStories(bytes.NewReader([]byte(text)))
		require.Error(t, err, name)
	}
	empty := Story{}
	require.Error(t, empty.Check())
}
