// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package signature_test

import (
	"bytes"
	"crypto/elliptic"
	"encoding/asn1"
	"math/big"
	"net"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/pre"
	"github.com/emrys-health/emrys/pkg/signature"
	"github.com/emrys-health/emrys/pkg/signature/signaturetest"
)

const (
	party  = "emrys.example"
	origin = "https://patient.emrys.example"
)

var body = []byte(`{"any":"octets"}`)

func TestAnAssertionOverTheActionIsAccepted(t *testing.T) {
	t.Parallel()
	p := signaturetest.New(t, party, origin)
	for name, change := range map[string]func(*signaturetest.Answer){
		"as made": nil,
		"with members that nobody reads": func(a *signaturetest.Answer) {
			a.ClientData = replace(a.ClientData, `{`, `{"other_keys_can_be_added_here":"do not compare","n":{"type":[1,{}]},"n":2,"Type":"x",`)
		},
		"with white space":               func(a *signaturetest.Answer) { a.ClientData = replace(a.ClientData, `,`, " ,\n\t") },
		"without crossOrigin":            func(a *signaturetest.Answer) { a.ClientData = replace(a.ClientData, `,"crossOrigin":false`, "") },
		"with a name in escapes":         func(a *signaturetest.Answer) { a.ClientData = replace(a.ClientData, `"type"`, `"\u0074ype"`) },
		"with a counter":                 func(a *signaturetest.Answer) { a.AuthenticatorData[36] = 9 },
		"of a passkey that is backed up": func(a *signaturetest.Answer) { a.AuthenticatorData[32] |= 0x18 },
		"with an extension": func(a *signaturetest.Answer) {
			a.AuthenticatorData[32] |= 0x80
			a.AuthenticatorData = append(a.AuthenticatorData, 0xa0)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.NoError(t, signature.VerifyAction(p.Sign(t, body, change), p.Pinned(t)))
		})
	}
}

func replace(b []byte, old, by string) []byte { return bytes.ReplaceAll(b, []byte(old), []byte(by)) }

func TestAnAssertionIsRefused(t *testing.T) {
	t.Parallel()
	p := signaturetest.New(t, party, origin)
	client := func(old, by string) func(*signaturetest.Answer) {
		return func(a *signaturetest.Answer) {
			changed := replace(a.ClientData, old, by)
			require.NotEqual(t, a.ClientData, changed)
			a.ClientData = changed
		}
	}
	flags := func(f byte) func(*signaturetest.Answer) {
		return func(a *signaturetest.Answer) { a.AuthenticatorData[32] = f }
	}
	for name, test := range map[string]struct {
		change func(*signaturetest.Answer)
		text   string
	}{
		"that creates a credential":    {client(`webauthn.get`, `webauthn.create`), "not of an assertion"},
		"with a type in other letters": {client(`webauthn.get`, `WebAuthn.Get`), "not of an assertion"},
		"with a padded challenge":      {client(`","origin`, `=","origin`), "challenge"},
		"with an empty challenge": {func(a *signaturetest.Answer) {
			a.ClientData = []byte(`{"type":"webauthn.get","challenge":"","origin":"` + origin + `"}`)
		}, "challenge"},
		"from another origin":                     {client(origin, "https://evil.example"), "origin"},
		"from a page below the origin":            {client(origin, origin+"/x"), "origin"},
		"from the origin in upper case":           {client(origin, strings.ToUpper(origin)), "origin"},
		"from the origin without TLS":             {client("https:", "http:"), "origin"},
		"from another port":                       {client(origin, origin+":8443"), "origin"},
		"from a frame of another origin":          {client(`"crossOrigin":false`, `"crossOrigin":true`), "frame"},
		"that names the origin above it":          {client(`"crossOrigin":false`, `"topOrigin":"`+origin+`","crossOrigin":false`), "frame"},
		"with type twice":                         {client(`{`, `{"type":"webauthn.get",`), "read"},
		"with type twice, once in escapes":        {client(`{`, `{"\u0074ype":"webauthn.create",`), "read"},
		"with challenge twice":                    {client(`{`, `{"challenge":"x",`), "read"},
		"with origin twice":                       {client(`{`, `{"origin":"https://evil.example",`), "read"},
		"with crossOrigin twice":                  {client(`}`, `,"crossOrigin":false}`), "read"},
		"without type":                            {client(`"type":"webauthn.get",`, ``), "read"},
		"without origin":                          {client(`"origin":"`+origin+`",`, ``), "read"},
		"with the name of a member in upper case": {client(`"origin"`, `"Origin"`), "read"},
		"with an origin that is a list":           {client(`"`+origin+`"`, `["`+origin+`"]`), "read"},
		"with an origin that is null":             {client(`"`+origin+`"`, `null`), "read"},
		"with crossOrigin as text":                {client(`false`, `"false"`), "read"},
		"with crossOrigin null":                   {client(`false`, `null`), "read"},
		"followed by something":                   {client(`false}`, `false}{}`), "read"},
		"with a byte order mark":                  {client(`{`, "\xef\xbb\xbf{"), "read"},
		"with octets that are no UTF-8":           {client(`{`, "{\"x\":\"\xff\","), "read"},
		"that is a list":                          {func(a *signaturetest.Answer) { a.ClientData = []byte(`["type"]`) }, "read"},
		"that is cut off":                         {func(a *signaturetest.Answer) { a.ClientData = a.ClientData[:20] }, "read"},
		"with client data too long":               {client(`{`, `{"x":"`+strings.Repeat("x", signature.MaxClientData)+`",`), "too large"},
		"deeply nested":                           {client(`{`, `{"x":`+strings.Repeat("[", 700)+`,`), "read"},
		"for another relying party":               {func(a *signaturetest.Answer) { a.AuthenticatorData[0] ^= 1 }, "another relying party"},
		"without a user":                          {flags(0), "not present"},
		"without user verification":               {flags(1), "not verified"},
		"with verification but no presence":       {flags(4), "not present"},
		"backed up but not eligible":              {flags(0x15), "contradict"},
		"with a new credential":                   {flags(0x45), "new credential"},
		"that claims extensions and has none":     {flags(0x85), "length"},
		"with octets after its end":               {func(a *signaturetest.Answer) { a.AuthenticatorData = append(a.AuthenticatorData, 0) }, "length"},
		"with authenticator data one octet short": {func(a *signaturetest.Answer) { a.AuthenticatorData = a.AuthenticatorData[:36] }, "too short"},
		"with authenticator data too long":        {func(a *signaturetest.Answer) { a.AuthenticatorData = append(a.AuthenticatorData, make([]byte, 600)...) }, "too large"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := signature.VerifyAction(p.Sign(t, body, test.change), p.Pinned(t))
			require.Equal(t, emr.CodeUnauthenticated, emr.CodeOf(err), "%v", err)
			require.ErrorContains(t, err, test.text)
		})
	}
}

func TestEveryOctetOfAnAssertionIsBound(t *testing.T) {
	t.Parallel()
	p := signaturetest.New(t, party, origin)
	key := p.Pinned(t)
	good := p.Sign(t, body, nil)
	for part, of := range map[string]func(*emr.SignedAction) *[]byte{
		"body":               func(s *emr.SignedAction) *[]byte { return &s.Body },
		"signature":          func(s *emr.SignedAction) *[]byte { return &s.Signature },
		"authenticator data": func(s *emr.SignedAction) *[]byte { return &s.AuthenticatorData },
		"client data":        func(s *emr.SignedAction) *[]byte { return &s.ClientData },
	} {
		for i := range *of(good) {
			changed := *good
			octets := of(&changed)
			*octets = bytes.Clone(*octets)
			(*octets)[i] ^= 1
			require.Error(t, signature.VerifyAction(&changed, key), "%s, octet %d", part, i)
		}
	}
}

func TestAnAssertionOfAnotherActionOrKeyIsRefused(t *testing.T) {
	t.Parallel()
	p, other := signaturetest.New(t, party, origin), signaturetest.New(t, party, origin)
	signed := p.Sign(t, body, nil)
	require.Error(t, signature.VerifyAction(signed, other.Pinned(t)))
	signed.Body = []byte(`{"any":"other"}`)
	require.ErrorContains(t, signature.VerifyAction(signed, p.Pinned(t)), "challenge")
}

type ecdsaSignature struct{ R, S *big.Int }

// TestTheSignatureOfAnAssertionHasOneEncoding fails when anything but strict DER
// is accepted. A high S is: no authenticator promises a low one.
func TestTheSignatureOfAnAssertionHasOneEncoding(t *testing.T) {
	t.Parallel()
	p := signaturetest.New(t, party, origin)
	key := p.Pinned(t)
	good := p.Sign(t, body, nil)
	var rs ecdsaSignature
	_, err := asn1.Unmarshal(good.Signature, &rs)
	require.NoError(t, err)
	with := func(der []byte) error {
		changed := *good
		changed.Signature = der
		return signature.VerifyAction(&changed, key)
	}
	mirrored, err := asn1.Marshal(ecdsaSignature{rs.R, new(big.Int).Sub(elliptic.P256().Params().N, rs.S)})
	require.NoError(t, err)
	require.NoError(t, with(mirrored), "s and n-s")
	der := good.Signature
	padded := append([]byte{0x30, der[1] + 1, 0x02, der[3] + 1, 0}, der[4:]...)
	negative, err := asn1.Marshal(ecdsaSignature{new(big.Int).Neg(rs.R), rs.S})
	require.NoError(t, err)
	zero, err := asn1.Marshal(ecdsaSignature{new(big.Int), new(big.Int)})
	require.NoError(t, err)
	for name, bad := range map[string][]byte{
		"empty": {}, "trailing octet": append(bytes.Clone(der), 0), "long form of the length": append([]byte{0x30, 0x81}, der[1:]...),
		"indefinite length": append(append([]byte{0x30, 0x80}, der[2:]...), 0, 0), "padded integer": padded, "negative": negative,
		"zero": zero, "r and s raw": append(rs.R.FillBytes(make([]byte, 32)), rs.S.FillBytes(make([]byte, 32))...),
		"cut off": der[:len(der)-1], "too long": append(bytes.Clone(der), make([]byte, 80)...),
	} {
		require.Equal(t, emr.CodeUnauthenticated, emr.CodeOf(with(bad)), name)
	}
}

func p256(t *testing.T) (emr.PinnedKey, *emr.SignedAction) {
	t.Helper()
	key, err := pre.GeneratePrivateKey(nil)
	require.NoError(t, err)
	signed := &emr.SignedAction{Kind: emr.SignatureP256, Body: body}
	digest := signed.Digest()
	signed.Signature, err = pre.SignP256(nil, key.Signer(), digest[:])
	require.NoError(t, err)
	return emr.PinnedKey{Kind: emr.SignatureP256, Key: key.Public().Bytes()}, signed
}

func TestOneKindOfSignatureIsNotTakenForTheOther(t *testing.T) {
	t.Parallel()
	raw, signed := p256(t)
	require.NoError(t, signature.VerifyAction(signed, raw))
	p := signaturetest.New(t, party, origin)
	require.ErrorContains(t, signature.VerifyAction(signed, p.Pinned(t)), "kind")
	require.ErrorContains(t, signature.VerifyAction(p.Sign(t, body, nil), raw), "kind")
	more := *signed
	more.ClientData = []byte("{}")
	require.ErrorContains(t, signature.VerifyAction(&more, raw), "another kind")
	// The same point under the other kind, and the other signature under the same point.
	renamed := *signed
	renamed.Kind = emr.SignatureWebAuthn
	require.Error(t, signature.VerifyAction(&renamed, emr.PinnedKey{
		Kind: emr.SignatureWebAuthn, Key: raw.Key, RelyingParty: party, Origins: []string{origin},
	}))
	unknown := *signed
	unknown.Kind = "ed25519"
	require.Equal(t, emr.CodeUnsupported, emr.CodeOf(signature.VerifyAction(&unknown, emr.PinnedKey{Kind: "ed25519"})))
}

func TestAKeyIsPinnedOnlyWithItsParty(t *testing.T) {
	t.Parallel()
	good := signaturetest.New(t, party, origin).Pinned(t)
	raw, _ := p256(t)
	app := "android:apk-key-hash:" + strings.Repeat("A", 43)
	for name, test := range map[string]struct {
		change func(*emr.PinnedKey)
		ok     bool
	}{
		"a passkey":                   {func(*emr.PinnedKey) {}, true},
		"the party's own origin":      {func(k *emr.PinnedKey) { k.Origins = []string{"https://emrys.example"} }, true},
		"a port":                      {func(k *emr.PinnedKey) { k.Origins = []string{origin + ":8443"} }, true},
		"several origins":             {func(k *emr.PinnedKey) { k.Origins = []string{app, origin} }, true},
		"the developer's own machine": {func(k *emr.PinnedKey) { k.RelyingParty, k.Origins = "localhost", []string{"http://localhost:8080"} }, true},
		"no party":                    {func(k *emr.PinnedKey) { k.RelyingParty = "" }, false},
		"a party in upper case":       {func(k *emr.PinnedKey) { k.RelyingParty = "Emrys.example" }, false},
		"a party with an empty label": {func(k *emr.PinnedKey) { k.RelyingParty = "emrys..example" }, false},
		"an address":                  {func(k *emr.PinnedKey) { k.RelyingParty, k.Origins = "127.0.0.1", []string{"https://127.0.0.1"} }, false},
		"a party with a hyphen first": {func(k *emr.PinnedKey) { k.RelyingParty = "-emrys.example" }, false},
		"a party too long":            {func(k *emr.PinnedKey) { k.RelyingParty = strings.Repeat("a.", 130) + "b" }, false},
		"no origin":                   {func(k *emr.PinnedKey) { k.Origins = nil }, false},
		"too many origins": {func(k *emr.PinnedKey) {
			k.Origins = []string{origin, origin + ":1", origin + ":2", origin + ":3", origin + ":4"}
		}, false},
		"origins out of order":           {func(k *emr.PinnedKey) { k.Origins = []string{origin, app} }, false},
		"an origin twice":                {func(k *emr.PinnedKey) { k.Origins = []string{origin, origin} }, false},
		"an origin of another party":     {func(k *emr.PinnedKey) { k.Origins = []string{"https://evil.example"} }, false},
		"an origin that only ends alike": {func(k *emr.PinnedKey) { k.Origins = []string{"https://notemrys.example"} }, false},
		"an origin without TLS":          {func(k *emr.PinnedKey) { k.Origins = []string{"http://emrys.example"} }, false},
		"no TLS below localhost":         {func(k *emr.PinnedKey) { k.RelyingParty, k.Origins = "localhost", []string{"http://a.localhost"} }, false},
		"an origin with a path":          {func(k *emr.PinnedKey) { k.Origins = []string{origin + "/"} }, false},
		"an origin with a user":          {func(k *emr.PinnedKey) { k.Origins = []string{"https://x@emrys.example"} }, false},
		"an origin with the usual port":  {func(k *emr.PinnedKey) { k.Origins = []string{origin + ":443"} }, false},
		"an origin with a padded port":   {func(k *emr.PinnedKey) { k.Origins = []string{origin + ":08443"} }, false},
		"an origin with an empty port":   {func(k *emr.PinnedKey) { k.Origins = []string{origin + ":"} }, false},
		"an app with a short hash":       {func(k *emr.PinnedKey) { k.Origins = []string{app[:len(app)-1]} }, false},
		"a point off the curve":          {func(k *emr.PinnedKey) { k.Key = make([]byte, 33) }, false},
		"a raw key":                      {func(k *emr.PinnedKey) { *k = raw }, true},
		"a raw key with a party":         {func(k *emr.PinnedKey) { *k = raw; k.RelyingParty = party }, false},
		"a raw key with origins":         {func(k *emr.PinnedKey) { *k = raw; k.Origins = []string{origin} }, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			key := good
			test.change(&key)
			err := signature.CheckKey("consent.key", key)
			if test.ok {
				require.NoError(t, err)
				return
			}
			require.Equal(t, emr.CodeInvalid, emr.CodeOf(err))
			require.ErrorContains(t, err, "consent.key")
		})
	}
}

// FuzzClientData puts octets in the place of the client data, signs them, and
// requires that what is accepted is what a browser would have written for this
// action, as far as it is read.
func FuzzClientData(f *testing.F) {
	p := signaturetest.New(f, party, origin)
	key := p.Pinned(f)
	digest := emr.ActionDigest(body)
	good := p.Answer(digest[:])
	f.Add(good.ClientData, good.AuthenticatorData)
	f.Add(replace(good.ClientData, `{`, `{"type":"webauthn.get",`), good.AuthenticatorData)
	f.Add([]byte(`{"type":null}`), []byte{})
	f.Add([]byte(`{"a":{"b":[`), good.AuthenticatorData[:36])
	f.Add(bytes.ToUpper(good.ClientData), append(bytes.Clone(good.AuthenticatorData), 0xa0))
	f.Fuzz(func(t *testing.T, client, authenticator []byte) {
		signed := p.Sign(t, body, func(a *signaturetest.Answer) { a.ClientData, a.AuthenticatorData = client, authenticator })
		if err := signature.VerifyAction(signed, key); err != nil {
			require.Equal(t, emr.CodeUnauthenticated, emr.CodeOf(err))
			return
		}
		require.Contains(t, string(unescaped(client)), "webauthn.get")
		require.GreaterOrEqual(t, len(authenticator), 37)
		require.Equal(t, good.AuthenticatorData[:32], authenticator[:32])
		require.Equal(t, byte(5), authenticator[32]&5)
	})
}

// unescaped undoes the escapes that a text of ASCII may be written with.
func unescaped(b []byte) []byte {
	for c := byte('!'); c < 0x7f; c++ {
		const digits = "0123456789abcdef"
		escape := `\u00` + string([]byte{digits[c>>4], digits[c&15]})
		b = replace(replace(b, escape, string(c)), `\u00`+strings.ToUpper(escape[4:]), string(c))
	}
	return b
}

// FuzzOrigin pins octets as party and origin: what is accepted is a URL of exactly
// scheme, host and port, and the host is the party or below it.
func FuzzOrigin(f *testing.F) {
	key := signaturetest.New(f, party, origin).Pinned(f)
	for _, seed := range [][2]string{
		{party, origin}, {party, origin + ":8443"}, {"localhost", "http://localhost:80"}, {"localhost", "http://localhost:1"},
		{party, "android:apk-key-hash:" + strings.Repeat("A", 43)}, {"1.2.3.4", "https://1.2.3.4"}, {"a.b", "https://x@a.b"},
		{"a.b", "https://a.b:0"}, {"b", "https://a.b#"}, {"xn--a", "https://xn--a"},
	} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, party, origin string) {
		pinned := key
		pinned.RelyingParty, pinned.Origins = party, []string{origin}
		if signature.CheckKey("key", pinned) != nil || strings.HasPrefix(origin, "android:") {
			return
		}
		u, err := url.Parse(origin)
		require.NoError(t, err)
		require.Equal(t, origin, u.Scheme+"://"+u.Host)
		require.True(t, u.Scheme == "https" || u.Hostname() == "localhost")
		require.True(t, u.Hostname() == party || strings.HasSuffix(u.Hostname(), "."+party))
		require.Nil(t, net.ParseIP(party))
		require.Equal(t, strings.ToLower(party), party)
	})
}
