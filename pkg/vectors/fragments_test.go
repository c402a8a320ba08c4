// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package vectors

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/pkg/pre"
	ref "github.com/emrys-health/emrys/pkg/vectors/internal/reference"
)

// scripted is a random source that gives these bytes and no more.
func scripted(parts ...[]byte) io.Reader { return bytes.NewReader(ref.Join(parts...)) }

// drawn is what a source must give so that a scalar is drawn: 48 bytes (P1).
func drawn(scalar []byte) []byte { return append(make([]byte, 16), scalar...) }

func (in inputs) public(name string) (*pre.PublicKey, error) { return pre.ParsePublicKey(in.hex(name)) }

func (in inputs) private(name string) *pre.PrivateKey {
	in.t.Helper()
	k, err := pre.ParsePrivateKey(in.hex(name))
	require.NoError(in.t, err)
	return k
}

func capsuleEntries() map[string][]entry {
	return map[string][]entry{
		"encapsulate": {{"Encapsulate", func(_ *testing.T, in inputs) (Fields, error) {
			pk, err := in.public("pk_A")
			if err != nil {
				return nil, err
			}
			c, key, err := pre.Encapsulate(scripted(drawn(in.hex("k"))), pk, in.hash("ctx"))
			return Fields{"capsule": c.Bytes(), "K_pre": key}, err
		}}},
		"decode_capsule": {{"ParseCapsule", func(_ *testing.T, in inputs) (Fields, error) {
			c, err := pre.ParseCapsule(in.hex("capsule"))
			if err != nil {
				return nil, err
			}
			b := c.Bytes()
			return Fields{"E": b[:33], "V": b[33:66], "s": b[66:]}, nil
		}}},
		"verify_capsule": {
			{"Capsule.Verify", verifyCapsule(func(_ *testing.T, in inputs, c *pre.Capsule, pk *pre.PublicKey) error {
				return c.Verify(pk, in.hash("ctx"))
			})},
			{"Reencrypt", verifyCapsule(reencryptAnyhow)},
			{"Open", verifyCapsule(openAnyhow)},
		},
		"decapsulate": {
			{"Decapsulate", decapsulate(func(k *pre.PrivateKey) pre.ECDHer { return k })},
			{"Decapsulate with foreign hardware", decapsulate(func(k *pre.PrivateKey) pre.ECDHer { return card{k} })},
		},
	}
}

// card is a private key that only does what an ECDHer must.
type card struct{ key *pre.PrivateKey }

func (c card) Public() *pre.PublicKey                   { return c.key.Public() }
func (c card) ECDH(peer *pre.PublicKey) ([]byte, error) { return c.key.ECDH(peer) }

func verifyCapsule(verify func(*testing.T, inputs, *pre.Capsule, *pre.PublicKey) error) func(*testing.T, inputs) (Fields, error) {
	return func(t *testing.T, in inputs) (Fields, error) {
		c, err := pre.ParseCapsule(in.hex("capsule"))
		if err != nil {
			return nil, err
		}
		pk, err := in.public("pk_A")
		if err != nil {
			return nil, err
		}
		return Fields{}, verify(t, in, c, pk)
	}
}

// reencryptAnyhow re-encrypts a capsule with a key fragment that is good for this scope key: only the capsule can be refused.
func reencryptAnyhow(t *testing.T, in inputs, c *pre.Capsule, pk *pre.PublicKey) error {
	random := ref.NewRandom(t.Name())
	signer, reader := random.Scalar(), random.Scalar()
	d := ref.NewDealer(random, random.Scalar(), signer, ref.Base(reader), bytes.Repeat([]byte{1}, 32), 1)
	d.Names.PKA = pk.Bytes()
	k, err := pre.ParseKeyFragment(d.Fragment("Org").Bytes())
	require.NoError(t, err)
	pkB, err := pre.ParsePublicKey(d.Names.PKB)
	require.NoError(t, err)
	pkS, err := pre.ParsePublicKey(d.Names.PKS)
	require.NoError(t, err)
	_, err = pre.Reencrypt(nil, c, k, pre.ReencryptParams{
		Delegating: pk, Reader: pkB, Signer: pkS, Context: in.hash("ctx"), Grant: [32]byte(d.Grant), Gateway: "Org",
	})
	return err
}

// openAnyhow opens with no fragments: a good capsule comes as far as that.
func openAnyhow(t *testing.T, in inputs, c *pre.Capsule, pk *pre.PublicKey) error {
	reader, err := pre.GeneratePrivateKey(nil)
	require.NoError(t, err)
	_, err = pre.Open(reader, c, 1, pre.ReencryptParams{Delegating: pk, Reader: reader.Public(), Signer: pk, Context: in.hash("ctx")}, nil)
	if errors.Is(err, pre.ErrTooFewFragments) {
		return nil
	}
	return err
}

func decapsulate(wrap func(*pre.PrivateKey) pre.ECDHer) func(*testing.T, inputs) (Fields, error) {
	return func(_ *testing.T, in inputs) (Fields, error) {
		c, err := pre.ParseCapsule(in.hex("capsule"))
		if err != nil {
			return nil, err
		}
		key, err := pre.Decapsulate(wrap(in.private("a")), c, in.hash("ctx"))
		return Fields{"K_pre": key}, err
	}
}

func fragmentEntries() map[string][]entry {
	return map[string][]entry{
		"rekey": {{"Rekey", rekey}},
		"check_threshold": {
			{"Rekey", func(t *testing.T, in inputs) (Fields, error) {
				key, err := pre.GeneratePrivateKey(nil)
				require.NoError(t, err)
				_, err = pre.Rekey(nil, key, key.Signer(), pre.RekeyParams{
					Reader: key.Public(), Gateways: in.texts("gateways"), Threshold: in.int("threshold"),
				})
				return Fields{}, err
			}},
			{"SplitShares", func(t *testing.T, in inputs) (Fields, error) {
				key, err := pre.GenerateHybridKey()
				require.NoError(t, err)
				var to []pre.Recipient
				for _, g := range in.texts("gateways") {
					to = append(to, pre.Recipient{ID: g, Key: key.Public()})
				}
				_, _, err = pre.SplitShares(nil, [32]byte{}, in.int("threshold"), to)
				return nil, err
			}},
		},
		"decode_key_fragment": {
			{"ParseKeyFragment", func(_ *testing.T, in inputs) (Fields, error) {
				k, err := pre.ParseKeyFragment(in.hex("fragment"))
				return keyFragmentFields(k, err)
			}},
			{"OpenKeyFragment", openAnyKeyFragment},
		},
		"verify_key_fragment":     {{"KeyFragment.Verify", verifyKeyFragment}, {"Reencrypt", reencryptWith}},
		"reencrypt":               {{"Reencrypt", reencrypt}},
		"decode_capsule_fragment": {{"ParseCapsuleFragment", decodeCapsuleFragment}},
		"verify_capsule_fragment": {{"CapsuleFragment.Verify", verifyCapsuleFragment}},
	}
}

// rekey runs Rekey with a source that gives the case's numbers, checks the signatures, and blanks them.
func rekey(t *testing.T, in inputs) (Fields, error) {
	source := [][]byte{drawn(in.hex("x_A"))}
	for _, c := range in.hexes("coefficients") {
		source = append(source, drawn(c))
	}
	source = append(source, in.hexes("ids")...)
	pkB, err := in.public("pk_B")
	require.NoError(t, err)
	a, signer := in.private("a"), in.private("signer")
	ks, err := pre.Rekey(scripted(source...), a, signer.Signer(), pre.RekeyParams{
		Grant: in.hash("grant"), Reader: pkB, Gateways: in.texts("gateways"), Threshold: len(in.hexes("coefficients")) + 1,
	})
	require.NoError(t, err)
	var fragments, commitments [][]byte
	for _, k := range ks {
		require.NoError(t, k.Verify(a.Public(), pkB, signer.Public(), k.Gateway(), in.hash("grant")))
		b, c := k.Bytes(), k.Commitment()
		fragments = append(fragments, ref.Join(b[:162], make([]byte, 64), b[226:]))
		commitments = append(commitments, c[:])
	}
	return Fields{"fragments": fragments, "commitments": commitments}, nil
}

func keyFragmentFields(k *pre.KeyFragment, err error) (Fields, error) {
	if err != nil {
		return nil, err
	}
	b, grant := k.Bytes(), k.Grant()
	return Fields{
		"id": b[:32], "rk": b[32:64], "X_A": b[64:97], "U1": b[97:130], "grant": grant[:], "signature": b[162:226], "gateway": k.Gateway(),
	}, nil
}

// openAnyKeyFragment seals the bytes as a fragment and opens them.
func openAnyKeyFragment(t *testing.T, in inputs) (Fields, error) {
	b, gateway, grant := in.hex("fragment"), "Hospital1MSP", make([]byte, 32)
	if k, err := pre.ParseKeyFragment(b); err == nil {
		g := k.Grant()
		gateway, grant = k.Gateway(), g[:]
	}
	key, err := pre.GenerateHybridKey()
	require.NoError(t, err)
	sealed, err := pre.SealTo(key.Public(), ref.Joined("key fragment for gateway", grant, ref.Gateway(gateway)), b)
	require.NoError(t, err)
	return keyFragmentFields(pre.OpenKeyFragment(key, gateway, [32]byte(grant), sealed))
}

// params reads everything that a capsule fragment is bound to; what a case lacks is zero.
func (in inputs) params() pre.ReencryptParams {
	in.t.Helper()
	p := pre.ReencryptParams{}
	for name, key := range map[string]**pre.PublicKey{"pk_A": &p.Delegating, "pk_B": &p.Reader, "pk_S": &p.Signer} {
		k, err := in.public(name)
		require.NoError(in.t, err)
		*key = k
	}
	for name, hash := range map[string]*[32]byte{"ctx": &p.Context, "grant": &p.Grant, "request": &p.Request} {
		if in.fields[name] != nil {
			*hash = in.hash(name)
		}
	}
	if in.fields["gateway"] != nil {
		p.Gateway = in.text("gateway")
	}
	return p
}

func verifyKeyFragment(_ *testing.T, in inputs) (Fields, error) {
	k, err := pre.ParseKeyFragment(in.hex("fragment"))
	if err != nil {
		return nil, err
	}
	p, c := in.params(), k.Commitment()
	return Fields{"commitment": c[:]}, k.Verify(p.Delegating, p.Reader, p.Signer, p.Gateway, p.Grant)
}

// reencryptWith uses a key fragment for a capsule that is good for this scope key: only the fragment can be refused.
func reencryptWith(t *testing.T, in inputs) (Fields, error) {
	k, err := pre.ParseKeyFragment(in.hex("fragment"))
	if err != nil {
		return nil, err
	}
	p := in.params()
	p.Context = sha256.Sum256([]byte(t.Name()))
	c, _, err := pre.Encapsulate(nil, p.Delegating, p.Context)
	require.NoError(t, err)
	f, err := pre.Reencrypt(nil, c, k, p)
	if err != nil {
		require.Nil(t, f)
		return nil, err
	}
	return nil, f.Verify(c, p)
}

func reencrypt(t *testing.T, in inputs) (Fields, error) {
	c, err := pre.ParseCapsule(in.hex("capsule"))
	if err != nil {
		return nil, err
	}
	k, err := pre.ParseKeyFragment(in.hex("fragment"))
	if err != nil {
		return nil, err
	}
	f, err := pre.Reencrypt(scripted(drawn(in.hex("k"))), c, k, in.params())
	if err != nil {
		require.Nil(t, f)
		return nil, err
	}
	require.NoError(t, f.Verify(c, in.params()))
	return Fields{"capsule_fragment": f.Bytes()}, nil
}

func decodeCapsuleFragment(_ *testing.T, in inputs) (Fields, error) {
	f, err := pre.ParseCapsuleFragment(in.hex("capsule_fragment"))
	if err != nil {
		return nil, err
	}
	b, grant := f.Bytes(), f.Grant()
	return Fields{
		"E1": b[:33], "V1": b[33:66], "id": b[66:98], "X_A": b[98:131], "U1": b[131:164], "h": b[164:196], "z": b[196:228],
		"signature": b[228:292], "grant": grant[:], "gateway": f.Gateway(),
	}, nil
}

func verifyCapsuleFragment(_ *testing.T, in inputs) (Fields, error) {
	c, err := pre.ParseCapsule(in.hex("capsule"))
	if err != nil {
		return nil, err
	}
	f, err := pre.ParseCapsuleFragment(in.hex("capsule_fragment"))
	if err != nil {
		return nil, err
	}
	commitment := f.Commitment()
	return Fields{"commitment": commitment[:]}, f.Verify(c, in.params())
}

func openingEntries() map[string][]entry {
	return map[string][]entry{
		"open": {
			{"OpenReport", open(func(k *pre.PrivateKey) pre.ECDHer { return k })},
			{"OpenReport with foreign hardware", open(func(k *pre.PrivateKey) pre.ECDHer { return card{k} })},
		},
	}
}

// open runs OpenReport and Open, which must agree.
func open(wrap func(*pre.PrivateKey) pre.ECDHer) func(*testing.T, inputs) (Fields, error) {
	return func(t *testing.T, in inputs) (Fields, error) {
		c, err := pre.ParseCapsule(in.hex("capsule"))
		if err != nil {
			return nil, err
		}
		var frags []*pre.CapsuleFragment
		for _, b := range in.hexes("capsule_fragments") {
			f, err := pre.ParseCapsuleFragment(b)
			if err != nil {
				return nil, err
			}
			frags = append(frags, f)
		}
		reader := wrap(in.private("b"))
		key, refused, err := pre.OpenReport(reader, c, in.int("threshold"), in.params(), frags)
		again, errAgain := pre.Open(reader, c, in.int("threshold"), in.params(), frags)
		require.Equal(t, key, again)
		list := fines(t, refused)
		if err == nil {
			require.NoError(t, errAgain)
			var out []Fields
			for _, r := range list {
				out = append(out, Fields{"gateway": r.Gateway, "class": r.Class})
			}
			return Fields{"K_pre": key, "refused": out}, nil
		}
		require.EqualError(t, errAgain, err.Error())
		require.Nil(t, key)
		if errors.Is(err, pre.ErrTooFewFragments) {
			require.NotErrorIs(t, err, pre.ErrMalformed)
			return nil, refusal{err, Failure{Class: "too few", Refused: list}}
		}
		return nil, err
	}
}

func fines(t *testing.T, refused []*pre.GatewayError) []Fine {
	t.Helper()
	var out []Fine
	for _, r := range refused {
		f := failureOf(t, r)
		out = append(out, Fine{f.Gateway, f.Class})
	}
	return out
}
