// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"context"
	"fmt"
	"path/filepath"
	"time"
)

// cast is everybody in the story and what they learn on the way.
type cast struct {
	patient, author, reader, outsider person
	pseudonym                         string
	record, request, grant, ticket    string
	copy                              string
}

// tell runs the chapters in order and stops at the first that goes another way.
func (s *story) tell(ctx context.Context) error {
	c := &cast{
		patient: s.person("patient"), author: s.person("physician-a"),
		reader: s.person("physician-b"), outsider: s.person("physician-c"),
		copy: filepath.Join(s.dir, "copy-at-b"),
	}
	for _, chapter := range []struct {
		title string
		tell  func(context.Context, *cast) error
	}{
		{"People join. Their keys are made on their own disks; their hospital's CA vouches for them.", s.join},
		{"The patient accepts a treatment relationship with hospital A.", s.relate},
		{"The physician at A uploads a file of the patient's. The gateway sees ciphertext only.", s.upload},
		{"A physician at B finds it, asks for access, and is told to wait.", s.ask},
		{"The patient sees the request and grants it for two hours.", s.grantAccess},
		{"The physician at B reads it through two proxies, byte for byte equal.", s.read},
		{"Outsiders are refused, each for a reason.", s.intrude},
		{"The patient sees who read what, when and why, and who was refused.", s.audit},
		{"The patient takes the grant back; the next reading is refused.", s.revoke},
	} {
		s.chapter(chapter.title)
		if err := chapter.tell(ctx, c); err != nil {
			return err
		}
	}
	s.farewell(c)
	return nil
}

func (s *story) join(ctx context.Context, c *cast) error {
	for _, j := range []struct {
		who       person
		org, role string
		level     string
	}{
		{c.patient, "HospAMSP", "patient", ""},
		{c.author, "HospAMSP", "physician", "private"},
		{c.reader, "HospBMSP", "physician", "private"},
		{c.outsider, "HospCMSP", "physician", "private"},
	} {
		invitation := filepath.Join(s.dir, "invitation-"+j.who.name+".json")
		args := []string{"invite", "--home", s.Home, "--org", j.org, "--role", j.role, "-o", invitation}
		if j.level != "" {
			args = append(args, "--level", j.level)
		}
		if _, err := s.run(ctx, "emrysctl", exitOK, args); err != nil {
			return err
		}
		if _, err := s.as(ctx, j.who, exitOK, "join", "--invite", invitation); err != nil {
			return err
		}
	}
	out, err := s.as(ctx, c.patient, exitOK, "whoami")
	if err != nil {
		return err
	}
	c.pseudonym, err = find(out, "pat_")
	return err
}

func (s *story) relate(ctx context.Context, c *cast) error {
	if _, err := s.as(ctx, c.author, exitOK, "relationship", "propose", "--patient", c.pseudonym); err != nil {
		return err
	}
	if _, err := s.as(ctx, c.patient, exitOK, "relationship", "list"); err != nil {
		return err
	}
	_, err := s.as(ctx, c.patient, exitOK, "relationship", "accept", "HospAMSP")
	return err
}

func (s *story) upload(ctx context.Context, c *cast) error {
	out, err := s.as(ctx, c.author, exitOK, "record", "put", s.File, "--patient", c.pseudonym, "--class", "medical-imaging")
	if err != nil {
		return err
	}
	c.record, err = find(out, "rec_")
	return err
}

// pause is the breath between what one hospital commits and what people at
// another look at: its peers follow within milliseconds.
func (s *story) pause(ctx context.Context) error {
	select {
	case <-time.After(300 * time.Millisecond):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *story) ask(ctx context.Context, c *cast) error {
	if err := s.pause(ctx); err != nil {
		return err
	}
	out, err := s.as(ctx, c.reader, exitOK, "record", "search", "--patient", c.pseudonym, "--class", "medical-imaging")
	if err != nil {
		return err
	}
	if err := expect(out, c.record); err != nil {
		return err
	}
	out, err = s.as(ctx, c.reader, exitOK, "access", "request", c.record, "--purpose", "TREAT")
	if err != nil {
		return err
	}
	if c.request, err = find(out, "req_"); err != nil {
		return err
	}
	return expect(out, "ask")
}

func (s *story) grantAccess(ctx context.Context, c *cast) error {
	if err := s.pause(ctx); err != nil {
		return err
	}
	out, err := s.as(ctx, c.patient, exitOK, "access", "list")
	if err != nil {
		return err
	}
	if err := expect(out, c.request); err != nil {
		return err
	}
	out, err = s.as(ctx, c.patient, exitOK, "access", "grant", c.request, "--until", "2h")
	if err != nil {
		return err
	}
	c.grant, err = find(out, "gra_")
	return err
}

func (s *story) read(ctx context.Context, c *cast) error {
	out, err := s.as(ctx, c.reader, exitOK, "record", "get", c.record, "--purpose", "TREAT", "-o", c.copy)
	if err != nil {
		return err
	}
	if c.ticket, err = find(out, "dis_"); err != nil {
		return err
	}
	if err := sameFile(s.File, c.copy); err != nil {
		return err
	}
	s.say("      the copy at B equals the original, byte for byte\n")
	return nil
}

func (s *story) intrude(ctx context.Context, c *cast) error {
	stolen := filepath.Join(s.dir, "stolen")
	for _, attempt := range []struct {
		title, reason string
		who           person
		args          []string
	}{
		{"without a grant", "no-grant", c.outsider, []string{"record", "get", c.record, "--purpose", "TREAT", "-o", stolen}},
		{"for a purpose that was not granted", "purpose", c.reader,
			[]string{"record", "get", c.record, "--purpose", "HRESCH", "--grant", c.grant, "-o", stolen}},
		{"with another hospital's grant", "not-grantee", c.outsider,
			[]string{"record", "get", c.record, "--purpose", "TREAT", "--grant", c.grant, "-o", stolen}},
		{"with a stolen ticket", "not-the-reader", c.outsider, []string{"ticket", "open", c.ticket, "-o", stolen}},
	} {
		s.say("    %s:\n", attempt.title)
		out, err := s.as(ctx, attempt.who, exitRule, attempt.args...)
		if err != nil {
			return err
		}
		if err := expect(out, attempt.reason); err != nil {
			return err
		}
	}
	return s.expire(ctx, c)
}

// expire lets a grant run out and reads too late.
func (s *story) expire(ctx context.Context, c *cast) error {
	const life = 3 * time.Second
	s.say("    with a grant that has expired:\n")
	out, err := s.as(ctx, c.outsider, exitOK, "access", "request", c.record, "--purpose", "TREAT")
	if err != nil {
		return err
	}
	request, err := find(out, "req_")
	if err != nil {
		return err
	}
	out, err = s.as(ctx, c.patient, exitOK, "access", "grant", request, "--until", life.String())
	if err != nil {
		return err
	}
	short, err := find(out, "gra_")
	if err != nil {
		return err
	}
	select {
	case <-time.After(life): // the time that the story tells of has to pass
	case <-ctx.Done():
		return ctx.Err()
	}
	out, err = s.as(ctx, c.outsider, exitRule, "record", "get", c.record, "--purpose", "TREAT", "--grant", short,
		"-o", filepath.Join(s.dir, "stolen"))
	if err != nil {
		return err
	}
	return expect(out, "grant-expired")
}

func (s *story) audit(ctx context.Context, c *cast) error {
	if err := s.pause(ctx); err != nil {
		return err
	}
	out, err := s.as(ctx, c.patient, exitOK, "audit", "log")
	if err != nil {
		return err
	}
	for _, fact := range []string{"permit", "no-grant", "purpose", "not-grantee", "not-the-reader", "grant-expired"} {
		if err := expect(out, fact); err != nil {
			return err
		}
	}
	return nil
}

func (s *story) revoke(ctx context.Context, c *cast) error {
	out, err := s.as(ctx, c.patient, exitOK, "access", "revoke", c.grant)
	if err != nil {
		return err
	}
	if err := expect(out, "HospBMSP"); err != nil { // who has already read
		return err
	}
	out, err = s.as(ctx, c.reader, exitRule, "record", "get", c.record, "--purpose", "TREAT", "--grant", c.grant,
		"-o", filepath.Join(s.dir, "too-late"))
	if err != nil {
		return err
	}
	return expect(out, "grant-revoked")
}

func (s *story) farewell(c *cast) {
	s.say("\nThe story went as told, in %s.\n\nWhere to look next:\n", time.Since(s.began).Round(100*time.Millisecond))
	for _, line := range []string{
		"bin/emrysctl status                      every process of the consortium, its height and health",
		"bin/emrysctl logs peer0.hospa            what a process says",
		fmt.Sprintf("bin/emrys audit log --profile %s", c.patient.profile),
		"docs/architecture.md                     who trusts whom, and one record end to end",
		"docs/threat-model.md                     what this protects against, and what it does not",
		"bin/emrysctl down                        stops everything that was started",
	} {
		s.say("  %s\n", line)
	}
}
