// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package emr_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/pkg/emr"
)

func TestPackageImportsTheStandardLibraryOnly(t *testing.T) {
	t.Parallel()
	out, err := exec.Command("go", "list", "-deps", "-f", "{{if not .Standard}}{{.ImportPath}}{{end}}", ".").Output()
	require.NoError(t, err)
	require.Equal(t, "github.com/emrys-health/emrys/pkg/emr", strings.TrimSpace(string(out)))
}

func TestGeneratedIdentifiersParseAndDiffer(t *testing.T) {
	t.Parallel()
	a, err := emr.GenerateID[emr.RecordID](rand.Reader)
	require.NoError(t, err)
	b, err := emr.GenerateID[emr.RecordID](rand.Reader)
	require.NoError(t, err)
	require.NotEqual(t, a, b)
	parsed, err := emr.ParseID[emr.RecordID]("record", string(a))
	require.NoError(t, err)
	require.Equal(t, a, parsed)
}

func TestGenerateIDFailsWithItsSource(t *testing.T) {
	t.Parallel()
	_, err := emr.GenerateID[emr.GrantID](bytes.NewReader(make([]byte, 15)))
	require.Error(t, err)
}

func TestParseIDRefuses(t *testing.T) {
	t.Parallel()
	good := strings.Repeat("0", 32)
	for name, text := range map[string]string{
		"nothing":            "",
		"another kind":       "gra_" + good,
		"no prefix":          good,
		"too short":          "rec_" + good[1:],
		"too long":           "rec_" + good + "0",
		"upper case":         "rec_" + strings.Repeat("A", 32),
		"not hexadecimal":    "rec_" + strings.Repeat("g", 32),
		"a separator inside": "rec_" + good[:31] + "\x00",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := emr.ParseID[emr.RecordID]("record", text)
			require.Equal(t, emr.CodeInvalid, emr.CodeOf(err))
			require.Equal(t, "record", emr.Public(err).Field)
		})
	}
}

func TestEveryClassHasALevelAndGenomesArePrivate(t *testing.T) {
	t.Parallel()
	for _, c := range emr.Classes() {
		require.True(t, c.Level().Covers(emr.LevelLow), "%s", c)
	}
	require.Equal(t, emr.LevelPrivate, emr.ClassOmics.Level())
	require.Empty(t, emr.Class("diary").Level())
}

func TestLevelsCoverThoseBelow(t *testing.T) {
	t.Parallel()
	levels := emr.Levels()
	for i, high := range levels {
		for j, low := range levels {
			require.Equal(t, i >= j, high.Covers(low), "%s covers %s", high, low)
		}
		require.False(t, emr.Level("").Covers(high))
		require.False(t, high.Covers(""))
	}
}

func TestOrganisationsAssertOnlyTheirRoles(t *testing.T) {
	t.Parallel()
	require.True(t, emr.KindHospital.MayAssert(emr.RolePhysician))
	require.True(t, emr.KindHospital.MayAssert(emr.RolePatient))
	require.False(t, emr.KindHospital.MayAssert(emr.RoleAuditor))
	require.True(t, emr.KindRegulator.MayAssert(emr.RoleAuditor))
	require.False(t, emr.KindRegulator.MayAssert(emr.RolePhysician))
	require.False(t, emr.OrgKind("").MayAssert(emr.RoleGateway))
	require.False(t, emr.KindHospital.MayAssert("admin"))
}

func TestRolesUseOnlyTheirPurposes(t *testing.T) {
	t.Parallel()
	require.True(t, emr.RolePhysician.MayUse(emr.PurposeTreatment))
	require.False(t, emr.RolePhysician.MayUse(emr.PurposePayment))
	require.False(t, emr.RoleInsurer.MayUse(emr.PurposeTreatment))
	require.False(t, emr.RoleAuditor.MayUse(emr.PurposeTreatment))
	require.False(t, emr.RoleAuditor.MayWrite())
}

func TestEveryReasonExplainsItself(t *testing.T) {
	t.Parallel()
	seen := map[string]emr.Reason{}
	for _, r := range emr.Reasons() {
		text := r.Explain()
		require.NotEqual(t, emr.Reason("").Explain(), text, "%s", r)
		require.NotContains(t, seen, text)
		seen[text] = r
		require.True(t, r.Valid())
	}
}

func TestErrorsShowTheirMessageAndHideTheirCause(t *testing.T) {
	t.Parallel()
	cause := errors.New("secret detail")
	err := fmt.Errorf("outer: %w", emr.Wrap(emr.CodeUnavailable, "the peer does not answer", cause))
	require.Equal(t, emr.CodeUnavailable, emr.CodeOf(err))
	require.ErrorIs(t, err, cause)
	require.ErrorIs(t, err, &emr.Error{Code: emr.CodeUnavailable})
	require.NotContains(t, emr.Public(err).Error(), "secret")
}

func TestUndeclaredErrorsBecomeTheFixedInternalOne(t *testing.T) {
	t.Parallel()
	for _, err := range []error{errors.New("secret"), emr.E(emr.CodeInternal, "secret"), &emr.Error{Code: "made-up", Message: "secret"}} {
		require.Equal(t, emr.CodeInternal, emr.CodeOf(err))
		require.Equal(t, emr.InternalMessage, emr.Public(err).Message)
	}
	require.Nil(t, emr.Public(nil))
	require.Empty(t, emr.CodeOf(nil))
}

func TestAnUnknownOutcomeIsNotRetryable(t *testing.T) {
	t.Parallel()
	require.False(t, emr.CodeUnknownOutcome.Retryable())
	require.True(t, emr.CodeConflict.Retryable())
}

func TestTimesAreWholeSecondsInUTC(t *testing.T) {
	t.Parallel()
	at := emr.TimeOf(time.Date(2026, 3, 1, 12, 0, 0, 999, time.FixedZone("", 3600)))
	text, err := at.MarshalText()
	require.NoError(t, err)
	require.Equal(t, "2026-03-01T11:00:00Z", string(text))
	var back emr.Time
	require.NoError(t, back.UnmarshalText(text))
	require.Equal(t, at, back)
	require.Error(t, back.UnmarshalText([]byte("2026-03-01T11:00:00+01:00")))
	require.Error(t, back.UnmarshalText([]byte("2026-03-01T11:00:00.5Z")))
	require.NoError(t, back.UnmarshalText(nil))
	require.True(t, back.IsZero())
}

func TestDigestsHaveOneForm(t *testing.T) {
	t.Parallel()
	var d emr.Digest
	require.True(t, d.IsZero())
	require.NoError(t, d.UnmarshalText([]byte(strings.Repeat("ab", 32))))
	require.Equal(t, strings.Repeat("ab", 32), d.String())
	for _, bad := range []string{"", strings.Repeat("AB", 32), strings.Repeat("ab", 31), strings.Repeat("zz", 32)} {
		require.Error(t, d.UnmarshalText([]byte(bad)))
	}
}

func TestDecodeRefuses(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"an unknown field":      `{"channel":"c","extra":1}`,
		"something after it":    `{} {}`,
		"nothing":               ``,
		"another type":          `[]`,
		"a time with an offset": `{"issued":"2026-03-01T11:00:00+01:00"}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, emr.CodeInvalid, emr.CodeOf(emr.Decode([]byte(text), &emr.Action{})))
		})
	}
}

func sampleAction() emr.Action {
	return emr.Action{
		V: 1, Channel: "emrys", Contract: "emrys", Function: "RevokeAccess", Actor: "hnd_" + strings.Repeat("1", 32),
		Nonce: make([]byte, 16), Issued: 1000, Expires: 1300, Args: []byte(`{"a":"<&>"}`),
	}
}

func sign(t *testing.T, a emr.Action) emr.SignedAction {
	t.Helper()
	body, err := emr.Canonical(&a)
	require.NoError(t, err)
	return emr.SignedAction{Kind: emr.SignatureP256, Body: body}
}

func TestActionsSurviveTheirEncoding(t *testing.T) {
	t.Parallel()
	want := sampleAction()
	s := sign(t, want)
	got, err := s.Parse()
	require.NoError(t, err)
	require.Equal(t, want, *got)
}

func TestParseActionRefuses(t *testing.T) {
	t.Parallel()
	change := func(f func(*emr.Action)) emr.SignedAction { a := sampleAction(); f(&a); return sign(t, a) }
	spaced := sign(t, sampleAction())
	spaced.Body = append(spaced.Body, ' ')
	kind := sign(t, sampleAction())
	kind.Kind = "ed25519"
	for name, c := range map[string]struct {
		signed emr.SignedAction
		code   emr.Code
	}{
		"another version":        {change(func(a *emr.Action) { a.V = 2 }), emr.CodeUnsupported},
		"no channel":             {change(func(a *emr.Action) { a.Channel = "" }), emr.CodeInvalid},
		"no contract":            {change(func(a *emr.Action) { a.Contract = "" }), emr.CodeInvalid},
		"no function":            {change(func(a *emr.Action) { a.Function = "" }), emr.CodeInvalid},
		"no actor":               {change(func(a *emr.Action) { a.Actor = "" }), emr.CodeInvalid},
		"a short nonce":          {change(func(a *emr.Action) { a.Nonce = a.Nonce[1:] }), emr.CodeInvalid},
		"no time of issue":       {change(func(a *emr.Action) { a.Issued = 0 }), emr.CodeInvalid},
		"an end before issue":    {change(func(a *emr.Action) { a.Expires = 1000 }), emr.CodeInvalid},
		"too long a life":        {change(func(a *emr.Action) { a.Expires = 1901 }), emr.CodeInvalid},
		"a non-canonical body":   {spaced, emr.CodeInvalid},
		"a kind not offered yet": {kind, emr.CodeUnsupported},
		"an oversized body":      {emr.SignedAction{Kind: emr.SignatureP256, Body: make([]byte, emr.MaxActionSize+1)}, emr.CodeTooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := c.signed.Parse()
			require.Equal(t, c.code, emr.CodeOf(err))
		})
	}
}

func TestGrantTermsHashChangesWithEveryField(t *testing.T) {
	t.Parallel()
	base := emr.GrantTerms{
		Channel: "emrys", Grant: "gra_1", Patient: "hnd_1", Scope: "scp_1", Epoch: 1, Grantee: "cli_1", Org: "B", Reader: []byte{1},
		Records: []emr.RecordID{"rec_1"}, Purposes: []emr.Purpose{emr.PurposeTreatment}, NotBefore: 1, Until: 2, MaxUses: 3,
		Threshold: 2, Gateways: []emr.OrgID{"A", "C"},
	}
	want, err := base.Hash()
	require.NoError(t, err)
	for name, change := range map[string]func(*emr.GrantTerms){
		"channel":   func(g *emr.GrantTerms) { g.Channel = "x" },
		"grant":     func(g *emr.GrantTerms) { g.Grant = "x" },
		"patient":   func(g *emr.GrantTerms) { g.Patient = "x" },
		"scope":     func(g *emr.GrantTerms) { g.Scope = "x" },
		"epoch":     func(g *emr.GrantTerms) { g.Epoch = 9 },
		"grantee":   func(g *emr.GrantTerms) { g.Grantee = "x" },
		"org":       func(g *emr.GrantTerms) { g.Org = "x" },
		"reader":    func(g *emr.GrantTerms) { g.Reader = []byte{2} },
		"records":   func(g *emr.GrantTerms) { g.Records = nil },
		"purposes":  func(g *emr.GrantTerms) { g.Purposes = nil },
		"notBefore": func(g *emr.GrantTerms) { g.NotBefore = 9 },
		"until":     func(g *emr.GrantTerms) { g.Until = 9 },
		"maxUses":   func(g *emr.GrantTerms) { g.MaxUses = 9 },
		"threshold": func(g *emr.GrantTerms) { g.Threshold = 3 },
		"gateways":  func(g *emr.GrantTerms) { g.Gateways = []emr.OrgID{"A", "D"} },
		"noOnward":  func(g *emr.GrantTerms) { g.NoOnward = true },
		"signedOff": func(g *emr.GrantTerms) { g.SignedOff = true },
		"direct":    func(g *emr.GrantTerms) { g.Direct = true },
		"hybrid":    func(g *emr.GrantTerms) { g.ReaderHybrid = emr.Digest{1} },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			changed := base
			change(&changed)
			got, err := changed.Hash()
			require.NoError(t, err)
			require.NotEqual(t, want, got)
		})
	}
}

// Golden digests pin the canonical encoding: a change of any document's fields,
// names or order is a change of what people have signed.
func TestCanonicalEncodingIsPinned(t *testing.T) {
	t.Parallel()
	var all bytes.Buffer
	for _, d := range []any{
		&emr.Organisation{}, &emr.Patient{}, &emr.Clinician{}, &emr.Scope{}, &emr.Relationship{}, &emr.Record{}, &emr.Manifest{},
		&emr.Request{}, &emr.Grant{}, &emr.Disclosure{}, &emr.AuditEntry{}, &emr.SignedAction{}, &emr.SealedFragment{},
	} {
		b, err := emr.Canonical(d)
		require.NoError(t, err)
		fmt.Fprintf(&all, "%T %s\n", d, b)
	}
	const golden = "testdata/canonical.golden"
	if os.Getenv("UPDATE_GOLDEN") != "" {
		require.NoError(t, os.MkdirAll("testdata", 0o755))
		require.NoError(t, os.WriteFile(golden, all.Bytes(), 0o644))
	}
	want, err := os.ReadFile(golden)
	require.NoError(t, err)
	require.Equal(t, string(want), all.String())
}

func FuzzParseSignedAction(f *testing.F) {
	a := sampleAction()
	body, err := emr.Canonical(&a)
	require.NoError(f, err)
	f.Add(body)
	f.Add([]byte(`{}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		s := emr.SignedAction{Kind: emr.SignatureP256, Body: body}
		got, err := s.Parse()
		if err != nil {
			return
		}
		again, err := emr.Canonical(got)
		require.NoError(t, err)
		require.Equal(t, body, again, "an accepted body has one encoding")
	})
}

func TestAKeyOfThePlainKindEncodesAsItAlwaysDid(t *testing.T) {
	t.Parallel()
	key, err := emr.Canonical(emr.PinnedKey{Kind: emr.SignatureP256, Key: []byte{1}})
	require.NoError(t, err)
	require.JSONEq(t, `{"kind":"p256","key":"AQ=="}`, string(key))
	signed, err := emr.Canonical(emr.SignedAction{Kind: emr.SignatureP256, Body: []byte{1}, Signature: []byte{2}})
	require.NoError(t, err)
	require.Equal(t, `{"kind":"p256","body":"AQ==","signature":"Ag=="}`, string(signed))
	for _, other := range []string{
		`{"kind":"p256","key":"AQ==","relyingParty":"","origins":[]}`, `{"kind":"p256","key":"AQ==","origins":null}`,
	} {
		require.Error(t, emr.DecodeCanonical([]byte(other), new(emr.PinnedKey)), other)
	}
}

func TestASignedActionHasThePartsOfItsKindAndNoOthers(t *testing.T) {
	t.Parallel()
	good := sign(t, sampleAction())
	for name, change := range map[string]func(*emr.SignedAction){
		"a raw signature with client data":        func(s *emr.SignedAction) { s.ClientData = []byte{1} },
		"a raw signature with authenticator data": func(s *emr.SignedAction) { s.AuthenticatorData = []byte{1} },
		"an assertion without client data":        func(s *emr.SignedAction) { s.Kind = emr.SignatureWebAuthn; s.AuthenticatorData = []byte{1} },
		"an assertion without authenticator data": func(s *emr.SignedAction) { s.Kind = emr.SignatureWebAuthn; s.ClientData = []byte{1} },
	} {
		s := good
		change(&s)
		_, err := s.Parse()
		require.Equal(t, emr.CodeInvalid, emr.CodeOf(err), name)
	}
	good.Kind, good.AuthenticatorData, good.ClientData = emr.SignatureWebAuthn, []byte{1}, []byte{1}
	_, err := good.Parse()
	require.NoError(t, err)
}
