// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package vectors

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/pkg/pre"
	ref "github.com/emrys-health/emrys/pkg/vectors/internal/reference"
)

func (in inputs) hybrid(name string) (*pre.HybridPrivateKey, error) {
	return pre.ParseHybridPrivateKey(in.hex(name))
}

func newHybrid(t *testing.T) *pre.HybridPrivateKey {
	t.Helper()
	k, err := pre.GenerateHybridKey()
	require.NoError(t, err)
	return k
}

func hybridEntries() map[string][]entry {
	return map[string][]entry{
		"hybrid_expand": {
			{"formula", func(_ *testing.T, in inputs) (Fields, error) {
				h := ref.NewHybrid(in.hex("private"))
				return Fields{"mlkem_seed": h.Seed, "e": h.E, "public": h.Public()}, nil
			}},
			{"ParseHybridPrivateKey", func(t *testing.T, in inputs) (Fields, error) {
				k, err := in.hybrid("private")
				require.NoError(t, err)
				require.Equal(t, ref.NewHybrid(in.hex("private")).Public(), k.Public().Bytes())
				return nil, nil
			}},
		},
		"hybrid_seal": {
			{"formula", func(_ *testing.T, in inputs) (Fields, error) { return Fields{"sealed": sealFormula(in)}, nil }},
			{"OpenFrom", func(t *testing.T, in inputs) (Fields, error) {
				k, err := in.hybrid("private")
				require.NoError(t, err)
				require.Equal(t, in.hex("public"), k.Public().Bytes())
				plaintext, err := k.OpenFrom(in.hex("info"), sealFormula(in))
				require.NoError(t, err)
				require.Equal(t, in.hex("plaintext"), append([]byte{}, plaintext...))
				return nil, nil
			}},
			{"SealTo, opened by the formula", func(t *testing.T, in inputs) (Fields, error) {
				public, err := pre.ParseHybridPublicKey(in.hex("public"))
				require.NoError(t, err)
				sealed, err := pre.SealTo(public, in.hex("info"), in.hex("plaintext"))
				require.NoError(t, err)
				plaintext, err := ref.NewHybrid(in.hex("private")).Unseal(in.hex("info"), sealed)
				require.NoError(t, err)
				require.Equal(t, in.hex("plaintext"), append([]byte{}, plaintext...))
				return nil, nil
			}},
		},
		"hybrid_open": {{"OpenFrom", func(_ *testing.T, in inputs) (Fields, error) {
			k, err := in.hybrid("private")
			if err != nil {
				return nil, err
			}
			plaintext, err := k.OpenFrom(in.hex("info"), in.hex("sealed"))
			return Fields{"plaintext": plaintext}, err
		}}},
	}
}

func sealFormula(in inputs) []byte {
	return ref.Seal(in.hex("public"), in.hex("info"), in.hex("plaintext"),
		ref.Sealing{Message: in.hex("m"), Y: ref.Reduce(in.hex("y")), Nonce: in.hex("nonce")})
}

func (in inputs) share() pre.SealedShare {
	s := in.object("share")
	return pre.SealedShare{Gateway: s.text("gateway"), Index: uint8(s.uint("index")), Sealed: s.hex("sealed"), Commitment: s.hash("commitment")} //nolint:gosec // of the file
}

func shareEntries() map[string][]entry {
	return map[string][]entry{
		"split": {{"formula", splitFormula}, {"SplitShares", splitShares}},
		"open_share": {
			{"ReSealShare", func(t *testing.T, in inputs) (Fields, error) {
				gw, err := in.hybrid("private")
				require.NoError(t, err)
				reader, s, ctx, request := newHybrid(t), in.share(), in.hex("ctx"), make([]byte, 32)
				sealed, err := pre.ReSealShare(gw, in.hash("ctx"), [32]byte(request), s, reader.Public())
				if err != nil {
					require.Nil(t, sealed)
					return nil, err
				}
				return opened(t, reader, ref.ReShareInfo(ctx, s.Gateway, s.Index, s.Commitment[:], request), sealed), nil
			}},
			{"RotateShare", func(t *testing.T, in inputs) (Fields, error) {
				old, err := in.hybrid("private")
				require.NoError(t, err)
				next, s := newHybrid(t), in.share()
				rotated, err := pre.RotateShare(old, in.hash("ctx"), s, next.Public())
				if err != nil {
					return nil, err
				}
				require.Equal(t, s.Gateway, rotated.Gateway)
				require.Equal(t, s.Index, rotated.Index)
				require.Equal(t, s.Commitment, rotated.Commitment)
				return opened(t, next, ref.ShareInfo(in.hex("ctx"), s.Gateway, s.Index, s.Commitment[:]), rotated.Sealed), nil
			}},
		},
		"open_resealed_share": {{"OpenReSealedShare", func(t *testing.T, in inputs) (Fields, error) {
			reader, err := in.hybrid("private")
			require.NoError(t, err)
			s, err := pre.OpenReSealedShare(reader, in.hash("ctx"), in.hash("request"), in.share(), in.hex("sealed"))
			if err != nil {
				return nil, err
			}
			y, err := pre.CombineShares(1, []pre.Share{s})
			return Fields{"y": y}, err
		}}},
		"combine": {{"CombineShares", func(t *testing.T, in inputs) (Fields, error) {
			key, err := pre.CombineShares(in.int("threshold"), in.openedShares(t))
			return Fields{"K_share": key}, err
		}}},
	}
}

func opened(t *testing.T, key *pre.HybridPrivateKey, info, sealed []byte) Fields {
	t.Helper()
	b, err := key.OpenFrom(info, sealed)
	require.NoError(t, err)
	require.Len(t, b, 64)
	return Fields{"y": b[:32], "salt": b[32:]}
}

func splitFormula(_ *testing.T, in inputs) (Fields, error) {
	f := ref.Polynomial{ref.Reduce(in.hex("y_0"))}
	for _, c := range in.hexes("coefficients") {
		f = append(f, ref.Reduce(c))
	}
	var values, commitments [][]byte
	for i, g := range in.texts("gateways") {
		index := uint8(i + 1) //nolint:gosec // small
		y := ref.B32(f.At(ref.Reduce([]byte{index})))
		values = append(values, y)
		commitments = append(commitments, ref.ShareCommitment(in.hex("ctx"), g, index, y, in.hexes("salts")[i]))
	}
	return Fields{"K_share": f[0], "values": values, "commitments": commitments}, nil
}

// splitShares runs SplitShares with a source that gives the case's numbers.
func splitShares(t *testing.T, in inputs) (Fields, error) {
	source := [][]byte{drawn(in.hex("y_0"))}
	for _, c := range in.hexes("coefficients") {
		source = append(source, drawn(c))
	}
	source = append(source, in.hexes("salts")...)
	key := newHybrid(t)
	var to []pre.Recipient
	for _, g := range in.texts("gateways") {
		to = append(to, pre.Recipient{ID: g, Key: key.Public()})
	}
	kShare, set, err := pre.SplitShares(scripted(source...), in.hash("ctx"), len(in.hexes("coefficients"))+1, to)
	require.NoError(t, err)
	var values, commitments [][]byte
	for i, s := range set.Shares {
		require.EqualValues(t, i+1, s.Index)
		o := opened(t, key, ref.ShareInfo(in.hex("ctx"), s.Gateway, s.Index, s.Commitment[:]), s.Sealed)
		require.Equal(t, in.hexes("salts")[i], o["salt"])
		values = append(values, o["y"].([]byte)) //nolint:forcetypeassert // set above
		commitments = append(commitments, s.Commitment[:])
	}
	return Fields{"K_share": kShare, "values": values, "commitments": commitments}, nil
}

// openedShares makes the case's shares, sealed to one key, and opens them.
func (in inputs) openedShares(t *testing.T) []pre.Share {
	t.Helper()
	key := newHybrid(t)
	list, err := field[[]any](in.fields, "shares")
	require.NoError(t, err)
	out := make([]pre.Share, len(list))
	for i, item := range list {
		if item == nil {
			continue
		}
		s := in.within(item.(map[string]any)) //nolint:forcetypeassert // of the file
		salt, request := make([]byte, 32), [32]byte{1}
		share := pre.SealedShare{Gateway: s.text("gateway"), Index: uint8(s.uint("index"))} //nolint:gosec // of the file
		share.Commitment = [32]byte(ref.ShareCommitment(s.hex("ctx"), share.Gateway, share.Index, s.hex("y"), salt))
		info := ref.ReShareInfo(s.hex("ctx"), share.Gateway, share.Index, share.Commitment[:], request[:])
		sealed, err := pre.SealTo(key.Public(), info, ref.Join(s.hex("y"), salt))
		require.NoError(t, err)
		out[i], err = pre.OpenReSealedShare(key, s.hash("ctx"), request, share, sealed)
		require.NoError(t, err)
		require.Equal(t, share.Gateway, out[i].Gateway())
		require.Equal(t, share.Index, out[i].Index())
	}
	return out
}

func envelopeEntries() map[string][]entry {
	unwrap := func(_ *testing.T, in inputs) (Fields, error) {
		dek, err := pre.UnwrapKey(in.hash("ctx"), in.hex("K_share"), in.hex("K_pre"), in.hex("wrapped"))
		return Fields{"dek": dek}, err
	}
	return map[string][]entry{
		"unwrap": {{"UnwrapKey", unwrap}},
		"wrap": {{"WrapKey and UnwrapKey", func(t *testing.T, in inputs) (Fields, error) {
			wrapped, err := pre.WrapKey(in.hash("ctx"), in.hex("K_share"), in.hex("K_pre"), in.hex("dek"))
			if err != nil {
				return nil, err
			}
			formula := ref.Wrap(in.hex("ctx"), in.hex("K_share"), in.hex("K_pre"), in.hex("dek"), in.hex("nonce"))
			for _, w := range [][]byte{wrapped, formula} {
				dek, err := pre.UnwrapKey(in.hash("ctx"), in.hex("K_share"), in.hex("K_pre"), w)
				require.NoError(t, err)
				require.Equal(t, in.hex("dek"), dek)
			}
			return Fields{"wrapped": formula}, nil
		}}},
		"decode_envelope": {{"ParseEnvelope", func(t *testing.T, in inputs) (Fields, error) {
			e, err := pre.ParseEnvelope(in.hex("envelope"))
			if err != nil {
				require.Nil(t, e)
				return nil, err
			}
			again, err := e.Marshal()
			require.NoError(t, err)
			require.Equal(t, in.hex("envelope"), again)
			var shares []Fields
			for _, s := range e.Shares.Shares {
				shares = append(shares, Fields{"gateway": s.Gateway, "index": int(s.Index), "sealed": s.Sealed, "commitment": s.Commitment[:]})
			}
			return Fields{
				"wrapped": e.Wrapped, "threshold": e.Shares.Threshold, "shares": shares, "patient_copy": e.PatientCopy, "hospital_copy": e.HospitalCopy,
			}, nil
		}}},
	}
}

func copyEntries() map[string][]entry {
	plain := func(name, output string, open func(*pre.HybridPrivateKey, [32]byte, []byte) ([]byte, error)) []entry {
		return []entry{{name, func(t *testing.T, in inputs) (Fields, error) {
			k, err := in.hybrid("private")
			require.NoError(t, err)
			key, err := open(k, in.hash("ctx"), in.hex("sealed"))
			return Fields{output: key}, err
		}}}
	}
	return map[string][]entry{
		"open_patient_copy":  plain("OpenPatientCopy", "K_share", pre.OpenPatientCopy),
		"open_hospital_copy": plain("OpenHospitalCopy", "dek", pre.OpenHospitalCopy),
		"open_direct_key": {{"OpenDirectKey", func(t *testing.T, in inputs) (Fields, error) {
			k, err := in.hybrid("private")
			require.NoError(t, err)
			key, err := pre.OpenDirectKey(k, in.hash("ctx"), in.hash("grant"), in.hex("sealed"))
			return Fields{"K_pre": key}, err
		}}},
		"open_key_fragment": {{"OpenKeyFragment", func(t *testing.T, in inputs) (Fields, error) {
			k, err := in.hybrid("private")
			require.NoError(t, err)
			f, err := pre.OpenKeyFragment(k, in.text("gateway"), in.hash("grant"), in.hex("sealed"))
			if err != nil {
				require.Nil(t, f)
				return nil, err
			}
			return Fields{"fragment": f.Bytes()}, nil
		}}},
	}
}
