// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package device_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/cmd/emrys-wasm/internal/device"
	"github.com/emrys-health/emrys/cmd/emrys-wasm/internal/gatewaytest"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
	"github.com/emrys-health/emrys/pkg/pre"
	"github.com/emrys-health/emrys/pkg/seal"
)

const (
	scopeID   = "scp_11111111111111111111111111111111"
	patientID = "hnd_22222222222222222222222222222222"
	gateways  = 5
	threshold = 3
)

// reading is one record on its way to one reader: everything that an opening takes, by the name of the argument.
type reading struct {
	t        testing.TB
	device   *device.Device
	world    *gatewaytest.Consortium
	view     *ledgerapi.ManifestView
	manifest string
	terms    emr.GrantTerms
	scope    device.Fields
	reader   device.Fields
	readers  device.Fields // hybrid key
	opening  device.Fields
	own      device.Fields
}

// do performs an operation that must succeed.
func do(t testing.TB, d *device.Device, name string, args device.Fields) device.Fields {
	t.Helper()
	out, err := d.Call(name, args)
	require.Nil(t, err, "%s: %v", name, err)
	return out
}

// handle turns a handle of a result into what an argument is.
func handle(f device.Fields) float64 { return float64(f["handle"].(uint32)) }

func newReading(t testing.TB, padded bool) *reading {
	t.Helper()
	world, err := gatewaytest.New(gateways)
	require.NoError(t, err)
	r := &reading{t: t, device: device.New(), world: world}
	seed := handle(do(t, r.device, "generateSeed", nil))
	r.scope = do(t, r.device, "deriveScope", device.Fields{"seed": seed, "scope": scopeID, "epoch": 1.0})
	hybrid := do(t, r.device, "deriveHybrid", device.Fields{"seed": seed, "purpose": "copies", "epoch": 1.0})
	r.view, err = world.Seal(&gatewaytest.Order{
		Scope: emr.Scope{
			V: 1, ID: scopeID, Patient: patientID, Epoch: 1, Level: emr.LevelPrivate,
			Delegating: r.scope["delegating"].([]byte), Fragment: r.scope["fragment"].([]byte),
		},
		Hybrid: hybrid["public"].([]byte), Size: 1000, Threshold: threshold, Padded: padded,
	})
	require.NoError(t, err)
	view, err := json.Marshal(r.view)
	require.NoError(t, err)
	m := do(t, r.device, "verifyManifest", device.Fields{"channel": "emrys", "contract": "emrys", "view": string(view)})
	r.manifest = m["manifest"].(string)
	r.own = device.Fields{"scope": handle(r.scope), "hybrid": handle(hybrid)}
	r.opening = device.Fields{"delegating": m["delegating"], "signer": m["signer"], "threshold": float64(threshold)}
	for _, name := range []string{"capsule", "envelope", "context", "fileId", "keyCommitment"} {
		r.own[name], r.opening[name] = m[name], m[name]
	}
	r.grant(seed)
	return r
}

// grant gives access to a new reader and lets every gateway answer.
func (r *reading) grant(seed float64) {
	r.reader = do(r.t, r.device, "generateReadingKey", nil)
	r.readers = do(r.t, r.device, "deriveHybrid", device.Fields{"seed": seed, "purpose": "reader", "epoch": 1.0})
	r.grantAgain()
}

// grantAgain makes new fragments for the same reader under the same terms.
func (r *reading) grantAgain() {
	hybrid := r.readers
	terms := emr.GrantTerms{
		Channel: "emrys", Grant: "gra_33333333333333333333333333333333", Patient: patientID, Scope: scopeID, Epoch: 1,
		Grantee: "cli_44444444444444444444444444444444", Org: "ReaderMSP", Reader: r.reader["public"].([]byte),
		Records: []emr.RecordID{}, Purposes: []emr.Purpose{emr.PurposeTreatment}, NotBefore: 1, Until: 2, Threshold: threshold,
	}
	var to []any
	for id, key := range r.world.Keys() {
		terms.Gateways = append(terms.Gateways, emr.OrgID(id))
		to = append(to, device.Fields{"id": id, "key": key})
	}
	r.terms = terms
	encoded, err := json.Marshal(&terms)
	require.NoError(r.t, err)
	granted := do(r.t, r.device, "grant", device.Fields{
		"scope": handle(r.scope), "terms": string(encoded), "request": "", "gateways": to,
	})
	q := gatewaytest.Reading{Record: r.view.Record.ID, Hybrid: hybrid["public"].([]byte), Request: emr.Digest{1, 2, 3}}
	require.NoError(r.t, emr.DecodeCanonical([]byte(granted["args"].(string)), &q.Grant))
	answers, err := r.world.Serve(&q)
	require.NoError(r.t, err)
	var list []any
	for _, a := range answers {
		list = append(list, device.Fields{"gateway": string(a.Gateway), "capsule": a.Capsule, "share": a.Share})
	}
	for name, v := range map[string]any{
		"reader": handle(r.reader), "hybrid": handle(hybrid), "grant": granted["hash"], "request": q.Request[:], "answers": list,
	} {
		r.opening[name] = v
	}
}

// payloadKey returns the key that WebCrypto would get.
func (r *reading) payloadKey(opened device.Fields) ([]byte, bool) {
	out := do(r.t, r.device, "payloadKey", device.Fields{"key": handle(opened)})
	var key []byte
	out["key"].(*device.PayloadKey).Use(func(k []byte) { key = bytes.Clone(k) })
	out["key"].(*device.PayloadKey).Use(func(k []byte) { require.Equal(r.t, make([]byte, pre.KeySize), k) })
	return key, out["padded"].(bool)
}

// with returns the fields with some replaced; nil leaves one out.
func with(f, changes device.Fields) device.Fields {
	out := device.Fields{}
	for name, v := range f {
		out[name] = v
	}
	for name, v := range changes {
		out[name] = v
		if v == nil {
			delete(out, name)
		}
	}
	return out
}

func TestReaderAndPatientOpenTheSameKey(t *testing.T) {
	t.Parallel()
	for _, padded := range []bool{false, true} {
		t.Run(fmt.Sprintf("padded %v", padded), func(t *testing.T) {
			t.Parallel()
			r := newReading(t, padded)
			shared, layout := r.payloadKey(do(t, r.device, "openShared", r.opening))
			own, again := r.payloadKey(do(t, r.device, "openOwn", r.own))
			require.Equal(t, shared, own)
			require.Equal(t, padded, layout)
			require.Equal(t, padded, again)
		})
	}
}

func TestForeignReadingKeyOpens(t *testing.T) {
	t.Parallel()
	r := newReading(t, false)
	key, err := pre.GeneratePrivateKey(nil)
	require.NoError(t, err)
	var asked [][]byte
	agree := func(peer []byte) ([]byte, error) {
		asked = append(asked, peer)
		out, failure := r.device.Call("countHandles", nil) // others run meanwhile
		require.Nil(t, failure)
		require.NotZero(t, out["open"])
		return nil, errors.New("a text that must not be shown")
	}
	foreign := device.Fields{"public": r.reader["public"], "agree": agree}
	_, failure := r.device.Call("openShared", with(r.opening, device.Fields{"reader": foreign}))
	require.NotNil(t, failure)
	require.Equal(t, device.CodeKeyOperation, failure.Code)
	require.NotContains(t, failure.Error(), "must not be shown")
	require.Len(t, asked, 1)
	require.Len(t, asked[0], 65)

	foreign["agree"] = func([]byte) ([]byte, error) { return key.ECDH(key.Public()) }
	_, failure = r.device.Call("openShared", with(r.opening, device.Fields{"reader": foreign}))
	require.NotNil(t, failure)
	require.Equal(t, device.CodeProof, failure.Code)

	foreign["agree"] = func([]byte) ([]byte, error) { panic("a key operation that panics") }
	_, failure = r.device.Call("openShared", with(r.opening, device.Fields{"reader": foreign}))
	require.NotNil(t, failure)
	require.Equal(t, device.CodeInternal, failure.Code)
	do(t, r.device, "countHandles", nil) // the device is not stuck
}

func TestEveryArgumentOfAnOpeningIsChecked(t *testing.T) {
	t.Parallel()
	r := newReading(t, false)
	for _, op := range []struct {
		name string
		args device.Fields
	}{{"openShared", r.opening}, {"openOwn", r.own}} {
		for name, good := range op.args {
			for what, bad := range map[string]any{
				"missing": nil, "text": "text", "number": 0.5, "bytes": []byte{1}, "list": []any{1.0}, "object": device.Fields{},
			} {
				_, failure := r.device.Call(op.name, with(op.args, device.Fields{name: bad}))
				require.NotNil(t, failure, "%s: %s as %s", op.name, name, what)
				require.Contains(t, []device.Code{device.CodeParameter, device.CodeMalformed, device.CodeHandle}, failure.Code)
				require.Contains(t, failure.Field, name)
			}
			if b, ok := good.([]byte); ok {
				altered := bytes.Clone(b)
				altered[min(40, len(altered)/2)] ^= 1 // of the envelope: in the wrapped key
				_, failure := r.device.Call(op.name, with(op.args, device.Fields{name: altered}))
				require.NotNil(t, failure, "%s: %s altered", op.name, name)
			}
		}
		_, failure := r.device.Call(op.name, with(op.args, device.Fields{"more": 1.0}))
		require.NotNil(t, failure)
		require.Equal(t, device.CodeParameter, failure.Code)
	}
}

func TestRefusedAnswersAreNamed(t *testing.T) {
	t.Parallel()
	r := newReading(t, false)
	answers := r.opening["answers"].([]any)
	first := answers[0].(device.Fields)
	bad := []any{with(first, device.Fields{"capsule": []byte{1}, "share": []byte{2}})}
	opened := do(t, r.device, "openShared", with(r.opening, device.Fields{"answers": append(bad, answers[1:]...)}))
	for _, liar := range opened["refused"].([]any) {
		require.Equal(t, first["gateway"], liar.(device.Fields)["gateway"])
	}
	require.Len(t, opened["refused"], 2)
	bad[0] = with(first, device.Fields{"share": []byte{2}})
	unasked := with(r.opening, device.Fields{"answers": append(answers[1:threshold+1:threshold+1], bad...)})
	require.Empty(t, do(t, r.device, "openShared", unasked)["refused"], "an answer that is not needed is not looked at")
	_, failure := r.device.Call("openShared", with(r.opening, device.Fields{"answers": append(bad, answers[1:threshold]...)}))
	require.NotNil(t, failure)
	require.Equal(t, device.CodeTooFew, failure.Code)
	require.NotEmpty(t, failure.Refused)
}

func TestFragmentsOfTwoRunsDoNotHideEachOther(t *testing.T) {
	t.Parallel()
	r := newReading(t, false)
	first := r.opening["answers"].([]any)
	r.grantAgain()
	second := r.opening["answers"].([]any)
	for name, answers := range map[string][]any{
		"the smaller run first":  {first[0], first[1], second[2], second[3], second[4]},
		"the smaller run last":   {second[0], second[1], second[2], first[3], first[4]},
		"the smaller run within": {second[0], first[1], second[2], first[3], second[4]},
	} {
		_, failure := r.device.Call("openShared", with(r.opening, device.Fields{"answers": answers}))
		require.Nil(t, failure, "%s: %v", name, failure)
	}
	_, failure := r.device.Call("openShared", with(r.opening, device.Fields{"answers": []any{first[0], first[1], second[2], second[3]}}))
	require.NotNil(t, failure)
	require.Equal(t, device.CodeTooFew, failure.Code)
}

func TestClosedSecretsAreCleared(t *testing.T) {
	t.Parallel()
	r := newReading(t, false)
	opened := do(t, r.device, "openOwn", r.own)
	require.Equal(t, true, do(t, r.device, "close", device.Fields{"handle": handle(opened)})["closed"])
	require.Equal(t, false, do(t, r.device, "close", device.Fields{"handle": handle(opened)})["closed"])
	_, failure := r.device.Call("payloadKey", device.Fields{"key": handle(opened)})
	require.NotNil(t, failure)
	require.Equal(t, device.CodeHandle, failure.Code)
	do(t, r.device, "closeAll", nil)
	require.Zero(t, do(t, r.device, "countHandles", nil)["open"])
	_, failure = r.device.Call("openOwn", r.own)
	require.NotNil(t, failure)
	require.Equal(t, device.CodeHandle, failure.Code)
}

func TestHandlesAreBounded(t *testing.T) {
	t.Parallel()
	d := device.New()
	var failure *device.Error
	for n := 0; failure == nil; n++ {
		require.LessOrEqual(t, n, 4096)
		_, failure = d.Call("generateSeed", nil)
	}
	require.Equal(t, device.CodeHandle, failure.Code)
}

func TestEveryTransactionOfAPersonCanBePrepared(t *testing.T) {
	t.Parallel()
	d := device.New()
	for _, function := range append(ledgerapi.SignedTransactions(), ledgerapi.OpenTicket) {
		_, failure := d.Call("prepareAction", device.Fields{
			"channel": "c", "contract": "c", "function": function, "actor": "a", "issued": 1.0, "expires": 2.0, "args": `{"none":1}`,
		})
		require.NotNil(t, failure)
		require.Equal(t, device.CodeDocument, failure.Code, function)
	}
	for _, function := range append(ledgerapi.OrganisationTransactions(), "") {
		_, failure := d.Call("prepareAction", device.Fields{
			"channel": "c", "contract": "c", "function": function, "actor": "a", "issued": 1.0, "expires": 2.0, "args": `{}`,
		})
		require.NotNil(t, failure)
		require.Equal(t, device.CodeParameter, failure.Code, function)
	}
}

func TestSignedActionIsWhatTheLedgerVerifies(t *testing.T) {
	t.Parallel()
	d := device.New()
	key := do(t, d, "generateSigningKey", nil)
	args := `{ "grant": "gra_33333333333333333333333333333333", "patient": "` + patientID + `" }`
	action := do(t, d, "prepareAction", device.Fields{
		"channel": "emrys", "contract": "emrys", "function": "RevokeAccess", "actor": patientID,
		"issued": 1.8e9, "expires": 1.8e9 + 60, "args": args,
	})
	signed := do(t, d, "signAction", device.Fields{"body": action["body"], "key": handle(key)})
	var s emr.SignedAction
	require.NoError(t, emr.DecodeCanonical([]byte(signed["signed"].(string)), &s))
	parsed, err := s.Parse()
	require.NoError(t, err)
	require.Equal(t, action["args"], string(parsed.Args))
	public, err := pre.ParsePublicKey(key["public"].([]byte))
	require.NoError(t, err)
	digest := s.Digest()
	require.Equal(t, digest[:], action["digest"])
	require.NoError(t, pre.VerifyP256(public, digest[:], s.Signature))
}

func TestLayoutsAreThoseOfTheContainer(t *testing.T) {
	t.Parallel()
	for _, layout := range []seal.Layout{seal.Plain, seal.Padded} {
		r := newReading(t, layout == seal.Padded)
		_, padded := r.payloadKey(do(t, r.device, "openOwn", r.own))
		require.Equal(t, layout == seal.Padded, padded)
	}
}

func TestPayloadKeyPrintsNothing(t *testing.T) {
	t.Parallel()
	r := newReading(t, false)
	out := do(t, r.device, "payloadKey", device.Fields{"key": handle(do(t, r.device, "openOwn", r.own))})
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d", "%q"} {
		require.Equal(t, "device.PayloadKey(redacted)", fmt.Sprintf(verb, out["key"]))
	}
}

func TestCodesAreDistinct(t *testing.T) {
	t.Parallel()
	seen := map[device.Code]bool{}
	for _, c := range device.Codes() {
		require.False(t, seen[c], c)
		seen[c] = true
	}
}

func TestCodesAreDeclaredAndDocumented(t *testing.T) {
	t.Parallel()
	for file, quote := range map[string]string{"../../js/errors.js": `"`, "../../../../docs/browser.md": "`"} {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		for _, c := range device.Codes() {
			require.Contains(t, string(text), quote+string(c)+quote, file)
		}
	}
}

func TestEveryOperationHasAMethodAndADocument(t *testing.T) {
	t.Parallel()
	wrapper, err := os.ReadFile("../../js/emrys.js")
	require.NoError(t, err)
	for _, name := range device.New().Operations() {
		if name == "closeAll" { // of stop
			continue
		}
		require.Contains(t, string(wrapper), `this.call("`+name+`"`)
	}
}

// FuzzCall feeds operations with whatever JSON can say, and bytes in every field that holds a text of them.
func FuzzCall(f *testing.F) {
	d := device.New()
	do(f, d, "generateSeed", nil)
	do(f, d, "generateReadingKey", nil)
	for _, name := range d.Operations() {
		f.Add(name, []byte(`{"seed":1,"scope":"s","epoch":1,"key":"b:AAAA","list":[{"a":1}]}`))
	}
	f.Add("verifyCapsule", []byte(`{"capsule":"b:AAAA","delegating":"b:AAAA","context":"b:AAAA"}`))
	f.Add("openShared", []byte(`{"reader":{"public":"b:AAAA"},"hybrid":1,"answers":[{"gateway":"A"}]}`))
	f.Fuzz(func(t *testing.T, name string, text []byte) {
		var args map[string]any
		if json.Unmarshal(text, &args) != nil || name == "generateSeed" || name == "generateReadingKey" || name == "generateSigningKey" {
			return
		}
		if _, failure := d.Call(name, withBytes(args).(map[string]any)); failure != nil {
			require.Contains(t, device.Codes(), failure.Code)
			require.NotEqual(t, device.CodeInternal, failure.Code, failure.Message)
		}
	})
}

// withBytes turns texts that begin with "b:" into bytes.
func withBytes(v any) any {
	switch v := v.(type) {
	case string:
		if rest, ok := bytes.CutPrefix([]byte(v), []byte("b:")); ok {
			return rest
		}
	case []any:
		for i := range v {
			v[i] = withBytes(v[i])
		}
	case map[string]any:
		for name := range v {
			v[name] = withBytes(v[name])
		}
	}
	return v
}
