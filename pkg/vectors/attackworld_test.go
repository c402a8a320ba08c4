// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package vectors

import (
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"math/big"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/pkg/pre"
	ref "github.com/emrys-health/emrys/pkg/vectors/internal/reference"
)

// network is a patient with several scopes, gateways and a reader, all by the public functions. Attacks calculate with the
// bytes that their attackers hold, over math/big.
type network struct {
	t         *testing.T
	seed      []byte
	threshold int
	ids       []string
	gateways  []*pre.HybridPrivateKey
	reader    *pre.PrivateKey
	readerKEM *pre.HybridPrivateKey
	patient   *pre.HybridPrivateKey
	hospital  *pre.HybridPrivateKey
}

// scope is one delegating key with its fragments for the reader.
type scope struct {
	name      string
	epoch     uint32
	a, signer *pre.PrivateKey
	grant     [32]byte
	fragments []*pre.KeyFragment
}

// record is one record of a scope.
type record struct {
	ctx      [32]byte
	capsule  *pre.Capsule
	kPre     []byte
	kShare   []byte
	dek      []byte
	envelope *pre.Envelope
}

func newNetwork(t *testing.T, threshold, n int) *network {
	t.Helper()
	w := &network{t: t, seed: random(pre.SeedSize), threshold: threshold, readerKEM: newHybrid(t), hospital: newHybrid(t)}
	var err error
	w.reader, err = pre.GeneratePrivateKey(nil)
	require.NoError(t, err)
	w.patient, err = pre.DeriveHybridKey(w.seed, "records", 1)
	require.NoError(t, err)
	for i := range n {
		w.ids, w.gateways = append(w.ids, fmt.Sprintf("Hospital%dMSP", i+1)), append(w.gateways, newHybrid(t))
	}
	return w
}

func (w *network) scope(name string, epoch uint32) *scope {
	w.t.Helper()
	s := &scope{name: name, epoch: epoch, grant: sha256.Sum256([]byte("grant of " + name))}
	var err error
	s.a, err = pre.DeriveScopeKey(w.seed, name, epoch)
	require.NoError(w.t, err)
	s.signer, err = pre.DeriveScopeSigner(w.seed, name, epoch)
	require.NoError(w.t, err)
	s.fragments = w.rekey(s)
	return s
}

func (w *network) rekey(s *scope) []*pre.KeyFragment {
	w.t.Helper()
	ks, err := pre.Rekey(nil, s.a, s.signer.Signer(), pre.RekeyParams{
		Grant: s.grant, Reader: w.reader.Public(), Gateways: w.ids, Threshold: w.threshold,
	})
	require.NoError(w.t, err)
	return ks
}

func (w *network) record(s *scope, name string) *record {
	w.t.Helper()
	r := &record{ctx: sha256.Sum256([]byte(name)), dek: random(32), envelope: &pre.Envelope{}}
	var err error
	r.capsule, r.kPre, err = pre.Encapsulate(nil, s.a.Public(), r.ctx)
	require.NoError(w.t, err)
	var to []pre.Recipient
	for i, id := range w.ids {
		to = append(to, pre.Recipient{ID: id, Key: w.gateways[i].Public()})
	}
	var set *pre.ShareSet
	r.kShare, set, err = pre.SplitShares(nil, r.ctx, w.threshold, to)
	require.NoError(w.t, err)
	r.envelope.Shares = *set
	r.envelope.Wrapped, err = pre.WrapKey(r.ctx, r.kShare, r.kPre, r.dek)
	require.NoError(w.t, err)
	r.envelope.PatientCopy, err = pre.SealPatientCopy(w.patient.Public(), r.ctx, r.kShare)
	require.NoError(w.t, err)
	r.envelope.HospitalCopy, err = pre.SealHospitalCopy(w.hospital.Public(), r.ctx, r.dek)
	require.NoError(w.t, err)
	return r
}

func (w *network) params(s *scope, r *record, request, gateway string) pre.ReencryptParams {
	return pre.ReencryptParams{
		Delegating: s.a.Public(), Reader: w.reader.Public(), Signer: s.signer.Public(), Context: r.ctx, Grant: s.grant,
		Request: sha256.Sum256([]byte(request)), Gateway: gateway,
	}
}

func (w *network) reencrypt(s *scope, r *record, request string, i int) *pre.CapsuleFragment {
	w.t.Helper()
	f, err := pre.Reencrypt(nil, r.capsule, s.fragments[i], w.params(s, r, request, w.ids[i]))
	require.NoError(w.t, err)
	return f
}

// collectShares is what gateways do together: each opens its own share, and they combine.
func (w *network) collectShares(r *record, gateways ...int) *big.Int {
	w.t.Helper()
	var xs, ys []*big.Int
	for _, i := range gateways {
		s := r.envelope.Shares.Shares[i]
		b, err := w.gateways[i].OpenFrom(ref.ShareInfo(r.ctx[:], s.Gateway, s.Index, s.Commitment[:]), s.Sealed)
		require.NoError(w.t, err)
		xs, ys = append(xs, big.NewInt(int64(s.Index))), append(ys, ref.Reduce(b[:32]))
	}
	return ref.Interpolate(xs, ys, new(big.Int))
}

// points are the points of the patient's polynomial that holders of fragments and a reader's private key know.
func points(ks []*pre.KeyFragment, b *big.Int) (ex ref.Exchange, xs, ys []*big.Int) {
	for _, k := range ks {
		p := ref.ParseKeyFragment(k.Bytes())
		ex = ref.ReaderExchange(p.XA, b)
		xs, ys = append(xs, ex.Coordinate(p.ID)), append(ys, p.RK)
	}
	return ex, xs, ys
}

// collude is what holders of fragments and a reader's private key calculate: f(0)·d.
func collude(ks []*pre.KeyFragment, b *big.Int) *big.Int {
	ex, xs, ys := points(ks, b)
	return ref.TimesMod(ref.Interpolate(xs, ys, new(big.Int)), ex.D())
}

func scalarOf(k *pre.PrivateKey) *big.Int { return ref.Reduce(k.InsecureBytes()) }

func keyOf(t *testing.T, d *big.Int) *pre.PrivateKey {
	t.Helper()
	k, err := pre.ParsePrivateKey(ref.B32(d))
	require.NoError(t, err)
	return k
}

func randomScalar(t *testing.T) *big.Int {
	t.Helper()
	d, err := rand.Int(rand.Reader, ref.Order())
	require.NoError(t, err)
	return d
}

// counting counts the operations of a private key.
type counting struct {
	*pre.PrivateKey
	uses int
}

func (c *counting) ECDH(peer *pre.PublicKey) ([]byte, error) {
	c.uses++
	return c.PrivateKey.ECDH(peer)
}
