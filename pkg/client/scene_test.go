// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package client_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/pkg/client"
	"github.com/emrys-health/emrys/pkg/client/clienttest"
	"github.com/emrys-health/emrys/pkg/emr"
)

// hurried does not wait between attempts, and lets the clock run instead.
type hurried struct{ ahead time.Duration }

func (h *hurried) options() client.Options {
	return client.Options{
		Now: func() time.Time { return time.Now().Add(h.ahead) },
		Wait: func(ctx context.Context, d time.Duration) error {
			h.ahead += d
			return ctx.Err()
		},
	}
}

func join(t testing.TB, w *clienttest.World, org emr.OrgID, role emr.Role, level emr.Level) *client.Client {
	t.Helper()
	return joinIn(t, w, t.TempDir(), org, role, level)
}

func joinIn(t testing.TB, w *clienttest.World, dir string, org emr.OrgID, role emr.Role, level emr.Level) *client.Client {
	t.Helper()
	inv, err := client.ParseInvitation(w.Invite(org, role, level))
	require.NoError(t, err)
	c, err := client.Join(t.Context(), dir, inv, nil, new(hurried).options(), nil)
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return c
}

// anew is a client of hospital A's that has asked nothing yet.
func (s *scene) anew(t testing.TB) *client.Client {
	t.Helper()
	c, err := client.Open(s.authorDir, nil, new(hurried).options())
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return c
}

// scene is a patient and an author at hospital A, and a reader at hospital B.
type scene struct {
	*clienttest.World
	patient, author, reader *client.Client
	authorDir               string
}

func newScene(t testing.TB) *scene {
	t.Helper()
	w, dir := clienttest.New(t), t.TempDir()
	return &scene{
		World:     w,
		patient:   join(t, w, "HospAMSP", emr.RolePatient, ""),
		author:    joinIn(t, w, dir, "HospAMSP", emr.RolePhysician, emr.LevelPrivate),
		reader:    join(t, w, "HospBMSP", emr.RolePhysician, emr.LevelPrivate),
		authorDir: dir,
	}
}

func (s *scene) put(t testing.TB, content []byte) *client.Stored {
	t.Helper()
	stored, err := s.author.PutRecord(t.Context(), bytes.NewReader(content), s.upload(int64(len(content))))
	require.NoError(t, err)
	return stored
}

func (s *scene) upload(size int64) client.Upload {
	return client.Upload{Patient: emr.PatientID(s.patient.Profile().ID), Class: emr.ClassMedicalImaging, Size: size}
}

func (s *scene) giving(record emr.RecordID) client.Giving {
	return client.Giving{
		Records: []emr.RecordID{record}, To: emr.ClinicianID(s.reader.Profile().ID),
		Purposes: []emr.Purpose{emr.PurposeTreatment}, Until: time.Now().Add(2 * time.Hour),
	}
}

// shared puts a record and lets the patient grant it.
func (s *scene) shared(t testing.TB, content []byte) (emr.RecordID, emr.GrantID) {
	t.Helper()
	stored := s.put(t, content)
	given, err := s.patient.Grant(t.Context(), s.giving(stored.Record))
	require.NoError(t, err)
	return stored.Record, given.Terms.Grant
}

// ticket lets the reader disclose.
func (s *scene) ticket(t testing.TB, record emr.RecordID, grant emr.GrantID) emr.DisclosureID {
	t.Helper()
	receipt, err := s.reader.Disclose(t.Context(), record, grant, emr.PurposeTreatment)
	require.NoError(t, err)
	require.Equal(t, emr.Permit, receipt.Decision)
	return emr.DisclosureID(receipt.ID)
}

// read is the whole reading.
func read(t testing.TB, c *client.Client, ticket emr.DisclosureID) ([]byte, *client.Opened, error) {
	t.Helper()
	opened, err := c.OpenTicket(t.Context(), ticket)
	if err != nil {
		return nil, nil, err
	}
	var out bytes.Buffer
	err = opened.Stream(t.Context(), &out, nil)
	return out.Bytes(), opened, err
}

func random(t testing.TB, n int) []byte {
	t.Helper()
	b := make([]byte, n)
	_, err := rand.Read(b)
	require.NoError(t, err)
	return b
}

func requireCode(t testing.TB, code emr.Code, err error) {
	t.Helper()
	require.Error(t, err)
	require.Equal(t, code, emr.CodeOf(err), "%v", err)
}
