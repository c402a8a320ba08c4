//go:build e2e

// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package sharing

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/network/demo"
	"github.com/emrys-health/emrys/network/e2e/testnet"
	"github.com/emrys-health/emrys/pkg/api"
	"github.com/emrys-health/emrys/pkg/client"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/seal"
)

func TestTheDemonstrationGoesAsTold(t *testing.T) {
	var out bytes.Buffer
	err := demo.Run(t.Context(), demo.Options{
		BinDir: filepath.Join(net.Root, "bin"), Home: net.Home, Out: &out, Env: os.Environ(),
	})
	require.NoError(t, err, "%s", out.String())
	require.Contains(t, out.String(), "byte for byte")
}

func TestRecordsOfEverySizeComeBackEqual(t *testing.T) {
	w := newWard(t)
	for name, size := range map[string]uint64{
		"nothing":                  0,
		"one byte":                 1,
		"one byte below a segment": seal.SegmentPlainSize - 1,
		"a segment":                seal.SegmentPlainSize,
		"one byte above a segment": seal.SegmentPlainSize + 1,
		"100 MB":                   100_000_000,
	} {
		t.Run(name, func(t *testing.T) {
			stored := w.put(testnet.Content(size, size))
			grant := w.grant(time.Hour, stored.Record)
			got, n, _, err := w.read(w.reader, stored.Record, grant)
			require.NoError(t, err)
			require.EqualValues(t, size, n)
			require.Equal(t, digestOf(t, testnet.Content(size, size)), got)
		})
	}
}

func TestRealStudiesComeBackEqual(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(net.Root, "..", "shared", "data", "dicom", "*.dcm"))
	require.NoError(t, err)
	if len(files) == 0 {
		t.Skip("no real DICOM files beside the source tree; the generated ones are shared in the other tests")
	}
	w := newWard(t)
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			content, err := os.ReadFile(file)
			require.NoError(t, err)
			stored := w.put(bytes.NewReader(content))
			got, _, _, err := w.read(w.reader, stored.Record, w.grant(time.Hour, stored.Record))
			require.NoError(t, err)
			require.Equal(t, digestOf(t, bytes.NewReader(content)), got)
		})
	}
}

func TestAPatientReadsAnOwnRecordWithoutAnyGrant(t *testing.T) {
	w := newWard(t)
	stored := w.put(strings.NewReader("mine"))
	ticket, err := w.patient.Disclose(t.Context(), stored.Record, "", emr.PurposePatient)
	require.NoError(t, err)
	opened, err := w.patient.OpenTicket(t.Context(), emr.DisclosureID(ticket.ID))
	require.NoError(t, err)
	var out bytes.Buffer
	require.NoError(t, opened.Stream(t.Context(), &out, nil))
	require.Equal(t, "mine", out.String())
}

func TestAGrantOfAScopeCoversLaterRecords(t *testing.T) {
	w := newWard(t)
	first := w.put(strings.NewReader("first"))
	given, err := w.patient.Grant(t.Context(), client.Giving{
		Records: []emr.RecordID{first.Record}, WholeScope: true, To: w.readerID,
		Purposes: []emr.Purpose{emr.PurposeTreatment}, Until: time.Now().Add(time.Hour),
	})
	require.NoError(t, err)
	later := w.put(strings.NewReader("written while the patient was away"))
	_, n, _, err := w.read(w.reader, later.Record, given.Terms.Grant)
	require.NoError(t, err)
	require.EqualValues(t, len("written while the patient was away"), n)
}

func TestAVersionSupersedesTheOneBefore(t *testing.T) {
	w := newWard(t)
	first := w.put(strings.NewReader("first"))
	second, err := w.author.PutRecord(t.Context(), strings.NewReader("second"), client.Upload{
		Patient: w.pseudonym, Class: emr.ClassMedicalImaging, Previous: first.Record, Size: -1,
	})
	require.NoError(t, err)
	require.EqualValues(t, 2, second.Version)
	w.await(second)
	page, err := w.reader.Search(t.Context(), api.Search{Patient: w.pseudonym})
	require.NoError(t, err)
	require.Len(t, page.Items, 1, "a search shows the current version")
	require.Equal(t, second.Record, page.Items[0].ID)
	_, err = w.author.PutRecord(t.Context(), strings.NewReader("third"), client.Upload{
		Patient: w.pseudonym, Class: emr.ClassMedicalImaging, Previous: first.Record, Size: -1,
	})
	require.Error(t, err, "a version is superseded once")
}

func TestSearchFindsByClassAndTimeAndLevel(t *testing.T) {
	w := newWard(t)
	image := w.put(strings.NewReader("image"))
	lifelog, err := w.author.PutRecord(t.Context(), strings.NewReader("weight,72\n"), client.Upload{
		Patient: w.pseudonym, Class: emr.ClassLifelogSensor, Size: -1,
	})
	require.NoError(t, err)
	w.await(lifelog)
	byClass, err := w.reader.Search(t.Context(), api.Search{Patient: w.pseudonym, Class: emr.ClassLifelogSensor})
	require.NoError(t, err)
	require.Len(t, byClass.Items, 1)
	require.Equal(t, lifelog.Record, byClass.Items[0].ID)
	future, err := w.reader.Search(t.Context(), api.Search{Patient: w.pseudonym, From: emr.TimeOf(time.Now().Add(time.Hour))})
	require.NoError(t, err)
	require.Empty(t, future.Items)
	low := w.join("low", "HospBMSP", emr.RolePhysician, emr.LevelModerate)
	seen, err := low.Search(t.Context(), api.Search{Patient: w.pseudonym})
	require.NoError(t, err)
	require.Len(t, seen.Items, 1, "what is above a reader's level is not shown")
	require.NotEqual(t, image.Record, seen.Items[0].ID)
}
