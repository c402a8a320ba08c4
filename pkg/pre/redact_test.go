// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package pre

import (
	"bytes"
	"encoding"
	"encoding/base64"
	"encoding/gob"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"math/big"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

// secretValue is a value that holds a secret, what it shall be known by, and the secret.
type secretValue struct {
	value  any
	name   string
	secret []byte
}

// secretValues returns one of each type that holds a secret, by pointer and by value. They are made from the stored vectors, so
// that two processes have the same.
func secretValues(t *testing.T) map[string]secretValue {
	t.Helper()
	v := loadVectors(t)
	key, _, p := v.keys(t)
	hybrid, err := ParseHybridPrivateKey(v.ReaderHybrid)
	require.NoError(t, err)
	k, err := ParseKeyFragment(v.KeyFragments[0])
	require.NoError(t, err)
	share, err := OpenReSealedShare(hybrid, p.Context, p.Request, v.envelope(t).Shares.Shares[0], v.ReSealed[0])
	require.NoError(t, err)
	return map[string]secretValue{
		"private key":              {key, key.String(), v.ScopeKey},
		"private key by value":     {*key, key.String(), v.ScopeKey},
		"signer":                   {key.Signer(), key.String(), v.ScopeKey},
		"hybrid key":               {hybrid, hybrid.String(), v.ReaderHybrid},
		"hybrid key by value":      {*hybrid, hybrid.String(), v.ReaderHybrid},
		"key fragment":             {k, k.String(), k.rk.Bytes()},
		"key fragment by value":    {*k, k.String(), k.rk.Bytes()},
		"share":                    {&share, share.String(), share.y.Bytes()},
		"share by value":           {share, share.String(), share.y.Bytes()},
		"scalar":                   {k.rk, "algebra.Scalar", k.rk.Bytes()},
		"pointer to scalar":        {&k.rk, "algebra.Scalar", k.rk.Bytes()},
		"private key of a signer":  {key.Signer().(*signer).key, key.String(), v.ScopeKey},
		"private key in interface": {ECDHer(key), key.String(), v.ScopeKey},
	}
}

// nested are the places in which a value may be when it is printed.
func nested(v any) map[string]any {
	type exported struct{ V any }
	type hidden struct{ v any }
	return map[string]any{
		"itself": v, "struct": exported{v}, "hidden field": hidden{v}, "pointer to struct": &exported{v}, "pointer to hidden": &hidden{v},
		"slice": []any{v}, "array": [1]any{v}, "map": map[string]any{"k": v}, "deep": []any{map[int]any{1: &hidden{[]any{exported{v}}}}},
		"pointer to interface": &v,
	}
}

// typed are places that have the value's own type, which fmt treats in another way than an interface.
func typed(v any) map[string]any {
	switch v := v.(type) {
	case *PrivateKey:
		return map[string]any{"s": struct{ k PrivateKey }{*v}, "p": struct{ k *PrivateKey }{v}, "l": []PrivateKey{*v},
			"m": map[string]*PrivateKey{"": v}, "pp": &v, "d": struct{ s struct{ k []PrivateKey } }{struct{ k []PrivateKey }{[]PrivateKey{*v}}}}
	case *HybridPrivateKey:
		return map[string]any{"s": struct{ k HybridPrivateKey }{*v}, "p": struct{ k *HybridPrivateKey }{v}, "l": []HybridPrivateKey{*v},
			"m": map[string]*HybridPrivateKey{"": v}, "pp": &v}
	case *KeyFragment:
		return map[string]any{"s": struct{ k KeyFragment }{*v}, "p": struct{ k *KeyFragment }{v}, "l": []KeyFragment{*v},
			"m": map[string]*KeyFragment{"": v}, "pp": &v}
	case Share:
		return map[string]any{"s": struct{ k Share }{v}, "p": struct{ k *Share }{&v}, "l": []Share{v}, "m": map[string]Share{"": v}}
	}
	return nil
}

func TestNothingThatPrintsShowsASecret(t *testing.T) {
	t.Parallel()
	for name, s := range secretValues(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			places := nested(s.value)
			for place, v := range typed(s.value) {
				places["typed "+place] = v
			}
			for place, v := range places {
				var out bytes.Buffer
				for _, verb := range "vsqxXdobcUeEfFgGtTp" {
					for _, flags := range []string{"%", "%+", "%#", "% ", "%-08", "%+#.3"} {
						fmt.Fprintf(&out, flags+string(verb)+"\n", v)
					}
				}
				fmt.Fprintln(&out, v)
				writeEncodings(&out, v)
				writeLogs(&out, v)
				err := fmt.Errorf("outer: %w", fmt.Errorf("inner %v: %w", v, errors.New("cause")))
				fmt.Fprintf(&out, "%v %+v %#v %s", err, err, err, errors.Join(err, err))
				requireNoSecret(t, out.Bytes(), s.secret, name+", "+place)
			}
		})
	}
}

func writeEncodings(out *bytes.Buffer, v any) {
	for _, encode := range []func(any) ([]byte, error){
		json.Marshal, xml.Marshal, encodeCBOR,
		func(v any) ([]byte, error) {
			var b bytes.Buffer
			err := gob.NewEncoder(&b).Encode(v)
			return b.Bytes(), err
		},
		func(v any) (b []byte, err error) {
			defer func() { // yaml panics on what it does not know
				if r := recover(); r != nil {
					err = fmt.Errorf("yaml: %v", r)
				}
			}()
			return yaml.Marshal(v)
		},
	} {
		b, err := encode(v)
		out.Write(b)
		fmt.Fprintln(out, err)
	}
}

func writeLogs(out *bytes.Buffer, v any) {
	opts := &slog.HandlerOptions{AddSource: true}
	for _, h := range []slog.Handler{slog.NewTextHandler(out, opts), slog.NewJSONHandler(out, opts)} {
		l := slog.New(h)
		l.Info("m", "v", v)
		l.With("v", v).WithGroup("g").Info("m", slog.Group("h", slog.Any("v", v)))
	}
	l := log.New(out, "", 0)
	l.Println(v)
	l.Printf("%v", v)
}

// requireNoSecret asserts that no common rendering of eight bytes of secret, wherever they start, is in text.
func requireNoSecret(t *testing.T, text, secret []byte, name string) {
	t.Helper()
	lower := bytes.ToLower(text)
	list := func(b []byte, format, separator string) string {
		parts := make([]string, len(b))
		for i, c := range b {
			parts[i] = fmt.Sprintf(format, c)
		}
		return strings.Join(parts, separator)
	}
	require.Len(t, secret, 32)
	for i := 0; i+8 <= len(secret); i++ {
		part := secret[i : i+8]
		reversed := bytes.Clone(part)
		for l, r := 0, 7; l < r; l, r = l+1, r-1 {
			reversed[l], reversed[r] = reversed[r], reversed[l]
		}
		for _, trace := range []string{
			hex.EncodeToString(part), hex.EncodeToString(reversed), list(part, "%d", " "), list(part, "%d", ","), list(part, "%02x", " "),
			list(part, "0x%x", ", "), list(part, "%#02x", ","), list(part, "%o", " "), list(part, "%b", " "),
			new(big.Int).SetBytes(part).String(), new(big.Int).SetBytes(reversed).String(),
			base64.StdEncoding.EncodeToString(part)[:9], base64.URLEncoding.EncodeToString(part)[:9],
		} {
			at := bytes.Index(lower, []byte(strings.ToLower(trace)))
			require.Negative(t, at, "%s: %s in %.200s", name, trace, lower[max(0, at-100):])
		}
		require.False(t, bytes.Contains(text, part), name)
	}
	require.False(t, bytes.Contains(text, []byte(new(big.Int).SetBytes(secret).String())), name)
}

func TestWhatHoldsASecretPrintsItsName(t *testing.T) {
	t.Parallel()
	for name, s := range secretValues(t) {
		_, formats := s.value.(fmt.Formatter)
		if !formats {
			continue // a value whose methods are those of its pointer
		}
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			require.Equal(t, s.name, fmt.Sprintf(verb, s.value), name)
		}
		require.Equal(t, s.name, s.value.(fmt.GoStringer).GoString(), name)
		require.Equal(t, s.name, s.value.(fmt.Stringer).String(), name)
		if v, ok := s.value.(slog.LogValuer); ok {
			require.Equal(t, s.name, v.LogValue().String(), name)
		}
	}
	var out bytes.Buffer
	k := secretValues(t)["private key"]
	slog.New(slog.NewJSONHandler(&out, nil)).Info("m", "key", k.value)
	require.Contains(t, out.String(), k.name, "a log says which key it was")
}

func TestWhatHoldsASecretRefusesToBeEncoded(t *testing.T) {
	t.Parallel()
	for name, s := range secretValues(t) {
		text, ok := s.value.(encoding.TextMarshaler)
		if strings.Contains(name, "scalar") {
			continue // never leaves the package
		}
		require.True(t, ok, name)
		_, err := text.MarshalText()
		require.ErrorIs(t, err, ErrParameter, name)
		_, err = json.Marshal(struct{ K any }{s.value})
		require.ErrorIs(t, err, ErrParameter, name)
		_, err = xml.Marshal(s.value)
		require.ErrorIs(t, err, ErrParameter, name)
	}
}

// panicValue names the value that a process started by the next test panics with.
const panicValue = "EMRYS_TEST_PANIC_VALUE"

func TestAPanicShowsNoSecret(t *testing.T) {
	values := secretValues(t)
	if name := os.Getenv(panicValue); name != "" {
		panicWith(values[name].value)
	}
	t.Parallel()
	for name, s := range values {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestAPanicShowsNoSecret$") //nolint:gosec // this test
		cmd.Env = append(os.Environ(), panicValue+"="+name, "GOTRACEBACK=system")
		out, err := cmd.CombinedOutput()
		require.Error(t, err, name)
		require.Contains(t, string(out), "panic: ", name)
		require.Contains(t, string(out), "panicWith", "%s: with the stack", name)
		requireNoSecret(t, out, s.secret, name)
	}
}

//go:noinline
func panicWith(v any) { panic(v) }
