//go:build e2e

// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

// Package sharing tests a record's way across a real consortium: what must come
// back equal, who must be refused, and what happens when parts are down or lie.
package sharing

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/network/e2e/testnet"
	"github.com/emrys-health/emrys/pkg/api"
	"github.com/emrys-health/emrys/pkg/client"
	"github.com/emrys-health/emrys/pkg/emr"
)

// portOffset keeps this package's consortium clear of a user's and of other tests'.
const portOffset = 23000

// net is the consortium of this package's tests, brought up once.
var net *testnet.Net

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	home, err := os.MkdirTemp("", "emrys-sharing-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Minute)
	defer cancel()
	net, err = testnet.Up(ctx, home, portOffset)
	if net != nil {
		defer func() {
			if err := net.Down(context.Background(), true); err != nil {
				fmt.Fprintln(os.Stderr, err)
			}
		}()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// ward is a patient of hospital A and the people around, joined anew for a test.
type ward struct {
	t                        *testing.T
	dir                      string
	patient                  *client.Client
	author, reader, outsider *client.Client
	pseudonym                emr.PatientID
	readerID                 emr.ClinicianID
}

func newWard(t *testing.T) *ward {
	t.Helper()
	w := &ward{t: t, dir: t.TempDir()}
	w.patient = w.join("patient", "HospAMSP", emr.RolePatient, "")
	w.author = w.join("author", "HospAMSP", emr.RolePhysician, emr.LevelPrivate)
	w.reader = w.join("reader", "HospBMSP", emr.RolePhysician, emr.LevelPrivate)
	w.outsider = w.join("outsider", "HospCMSP", emr.RolePhysician, emr.LevelPrivate)
	w.pseudonym = emr.PatientID(w.patient.Profile().ID)
	w.readerID = emr.ClinicianID(w.reader.Profile().ID)
	_, err := w.author.ProposeRelationship(t.Context(), w.pseudonym)
	require.NoError(t, err)
	_, err = w.patient.AnswerRelationship(t.Context(), "HospAMSP", true)
	require.NoError(t, err)
	return w
}

func (w *ward) join(name, org string, role emr.Role, level emr.Level) *client.Client {
	w.t.Helper()
	c, err := net.Join(w.t.Context(), filepath.Join(w.dir, name), org, role, level)
	require.NoError(w.t, err)
	w.t.Cleanup(c.Close)
	return c
}

// put registers content as a record of the patient's.
func (w *ward) put(content io.Reader) *client.Stored {
	w.t.Helper()
	stored, err := w.author.PutRecord(w.t.Context(), content, client.Upload{Patient: w.pseudonym, Class: emr.ClassMedicalImaging, Size: -1})
	require.NoError(w.t, err)
	w.await(stored)
	return stored
}

// await waits until the reader's hospital sees a record: its peers commit a
// block in their own time, not in that of the author's.
func (w *ward) await(stored *client.Stored) {
	w.t.Helper()
	require.Eventually(w.t, func() bool {
		page, err := w.reader.Search(w.t.Context(), api.Search{Patient: w.pseudonym, All: true, Limit: 100})
		return err == nil && slices.ContainsFunc(page.Items, func(r emr.Record) bool { return r.ID == stored.Record })
	}, 20*time.Second, 20*time.Millisecond)
}

// grant gives the reader the records for treatment.
func (w *ward) grant(until time.Duration, records ...emr.RecordID) emr.GrantID {
	w.t.Helper()
	given, err := w.patient.Grant(w.t.Context(), client.Giving{
		Records: records, To: w.readerID, Purposes: []emr.Purpose{emr.PurposeTreatment}, Until: time.Now().Add(until),
	})
	require.NoError(w.t, err)
	return given.Terms.Grant
}

// read discloses, opens and streams a record, and returns the SHA-256 and length of what came.
func (w *ward) read(c *client.Client, record emr.RecordID, grant emr.GrantID) ([32]byte, int64, []api.Fault, error) {
	w.t.Helper()
	ticket, err := c.Disclose(w.t.Context(), record, grant, emr.PurposeTreatment)
	if err != nil {
		return [32]byte{}, 0, nil, err
	}
	opened, err := c.OpenTicket(w.t.Context(), emr.DisclosureID(ticket.ID))
	if err != nil {
		return [32]byte{}, 0, nil, err
	}
	h := sha256.New()
	count := &counter{w: h}
	err = opened.Stream(w.t.Context(), count, nil)
	return [32]byte(h.Sum(nil)), count.n, opened.Faults, err
}

type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}

func digestOf(t *testing.T, r io.Reader) [32]byte {
	t.Helper()
	h := sha256.New()
	_, err := io.Copy(h, r)
	require.NoError(t, err)
	return [32]byte(h.Sum(nil))
}

// requireRefused checks code and reason of a refusal.
func requireRefused(t *testing.T, err error, code emr.Code, reason emr.Reason) {
	t.Helper()
	require.Error(t, err)
	require.Equal(t, code, emr.CodeOf(err), "%v", err)
	require.Equal(t, reason, emr.Public(err).Reason, "%v", err)
}
