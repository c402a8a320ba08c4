// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package attest_test

import (
	"crypto/elliptic"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/pkg/attest"
	"github.com/emrys-health/emrys/pkg/attest/attesttest"
	"github.com/emrys-health/emrys/pkg/emr"
)

// pinning is the policy of a client that has pinned more of an organisation.
func (c *consortium) pinning(org emr.OrgID, more ...string) attest.Policy {
	p := c.policy()
	p.Roots[org] += strings.Join(more, "")
	return p
}

func TestARevokedEndorserDoesNotCount(t *testing.T) {
	t.Parallel()
	c := newConsortium(t)
	revoked, other := c.peers[hospB][0].Certificate(t), c.peers[hospB][1].Certificate(t)
	ca, long := c.cas[hospB], c.now.AddDate(-20, 0, 0)
	lists := map[string][]string{
		"alone":                             {ca.Revoke(t, c.now, revoked)},
		"among others":                      {ca.Revoke(t, c.now, other, revoked)},
		"on the second of two lists":        {ca.Revoke(t, c.now, other), ca.Revoke(t, c.now, revoked)},
		"on the first, and not the second":  {ca.Revoke(t, c.now, revoked), ca.Revoke(t, c.now)},
		"from a day that has not come yet":  {ca.Revoke(t, c.now.AddDate(1, 0, 0), revoked)},
		"on a list that ended long ago":     {ca.Revoke(t, long, revoked)},
		"on a list before the certificates": {"\n" + ca.Revoke(t, c.now, revoked) + "\n"},
	}
	for name, pinned := range lists {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := c.pinning(hospB, pinned...)
			if strings.HasPrefix(pinned[0], "\n") {
				p.Roots[hospB] = pinned[0] + pemOf(ca.Cert)
			}
			require.NoError(t, p.Roots.Validate())
			requireCorrupt(t, c.draft().build(t), question(), p, c.now, "by 1 organisations and 2 are required")
			requireCorrupt(t, c.draft().build(t), question(), p, c.now, "endorser's certificate is revoked")

			d := c.draft()
			d.endorsers = append(d.endorsers, c.peers[regulator][0])
			got, err := d.build(t).Verify(question(), p, c.now)
			require.NoError(t, err, "it does no harm beside a quorum of others")
			require.Equal(t, answer, string(got))
		})
	}
	t.Run("and a peer with a certificate that is not on the list does", func(t *testing.T) {
		t.Parallel()
		d := c.draft()
		d.endorsers[1] = c.peers[hospB][1]
		_, err := d.build(t).Verify(question(), c.pinning(hospB, ca.Revoke(t, c.now, revoked)), c.now)
		require.NoError(t, err)
	})
	t.Run("and an excluded organisation's list is still read", func(t *testing.T) {
		t.Parallel()
		p := c.pinning(regulator, "-----BEGIN X509 CRL-----\nAA==\n-----END X509 CRL-----\n")
		p.Exclude = []emr.OrgID{regulator}
		_, err := c.draft().build(t).Verify(question(), p, c.now)
		require.Equal(t, emr.CodeInvalid, emr.CodeOf(err))
	})
}

// A serial number means something beside its issuer alone.
func TestAListRevokesOnlyWhatItsSignerHasIssued(t *testing.T) {
	t.Parallel()
	c := newConsortium(t)
	mine := c.peers[hospB][0].Certificate(t)
	t.Run("not another organisation's certificate of the same number", func(t *testing.T) {
		t.Parallel()
		_, err := c.draft().build(t).Verify(question(), c.pinning(hospA, c.cas[hospA].Revoke(t, c.now, mine)), c.now)
		require.NoError(t, err)
	})
	t.Run("not that of another authority of the same organisation", func(t *testing.T) {
		t.Parallel()
		renewed := attesttest.NewAuthority(t, hospB, c.now) // of the same name, with another key
		p := c.pinning(hospB, pemOf(renewed.Cert), renewed.Revoke(t, c.now, mine))
		_, err := c.draft().build(t).Verify(question(), p, c.now)
		require.NoError(t, err)
	})
	t.Run("that of an authority whose certificate was renewed under its key", func(t *testing.T) {
		t.Parallel()
		again := &authority{Key: c.cas[hospB].Key, Cert: selfSigned(t, c, c.cas[hospB])}
		p := c.pinning(hospB)
		p.Roots[hospB] = pemOf(again.Cert) + pemOf(c.cas[hospB].Cert) + again.Revoke(t, c.now, mine)
		requireCorrupt(t, c.draft().build(t), question(), p, c.now, "is revoked")
	})
}

// Whoever pins an intermediate pins the list by which the authority above it ends it.
func TestARevokedAuthorityTakesItsPeersAlong(t *testing.T) {
	t.Parallel()
	c := newConsortium(t)
	root := c.cas[hospB]
	upper := root.Below(t, c.now)
	lower := upper.Below(t, c.now)
	by := func(ca *authority) *attest.Attestation {
		d := c.draft()
		d.endorsers[1] = c.enrolWith(t, hospB, ca, elliptic.P256(), nil, "peer")
		return d.build(t)
	}
	all := []string{pemOf(lower.Cert), pemOf(upper.Cert)}
	const gone = "was issued by an authority that is revoked"
	for _, ca := range []*authority{root, upper, lower} {
		_, err := by(ca).Verify(question(), c.pinning(hospB, all...), c.now)
		require.NoError(t, err)
	}
	t.Run("its own peers", func(t *testing.T) {
		t.Parallel()
		p := c.pinning(hospB, append(all, upper.Revoke(t, c.now, lower.Cert))...)
		requireCorrupt(t, by(lower), question(), p, c.now, gone)
		for _, ca := range []*authority{root, upper} {
			_, err := by(ca).Verify(question(), p, c.now)
			require.NoError(t, err, "and no others")
		}
	})
	t.Run("and those of the authorities below it", func(t *testing.T) {
		t.Parallel()
		p := c.pinning(hospB, append(all, root.Revoke(t, c.now, upper.Cert))...)
		requireCorrupt(t, by(lower), question(), p, c.now, gone)
		requireCorrupt(t, by(upper), question(), p, c.now, gone)
		_, err := by(root).Verify(question(), p, c.now)
		require.NoError(t, err)
	})
	t.Run("and no authority ends itself, or the one above it", func(t *testing.T) {
		t.Parallel()
		p := c.pinning(hospB, append(all, root.Revoke(t, c.now, root.Cert), lower.Revoke(t, c.now, upper.Cert, root.Cert))...)
		for _, ca := range []*authority{root, upper, lower} {
			_, err := by(ca).Verify(question(), p, c.now)
			require.NoError(t, err)
		}
	})
}

func TestAListThatCannotBeBelievedIsRefusedLoudly(t *testing.T) {
	t.Parallel()
	c := newConsortium(t)
	revoked := c.peers[hospB][0].Certificate(t)
	good := c.cas[hospB].Revoke(t, c.now, revoked)
	block, _ := pem.Decode([]byte(good))
	list := func(der []byte) string { return string(pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: der})) }
	stranger := attesttest.NewAuthority(t, hospB, c.now)
	peer := &authority{Key: c.peers[hospB][0].Key, Cert: revoked}
	changed := append([]byte{}, block.Bytes...)
	changed[len(changed)-1] ^= 1
	below := c.cas[hospB].Below(t, c.now)
	below.Cert = c.certificate(t, c.cas[hospB], below.Key, func(x *x509.Certificate) {
		x.IsCA, x.BasicConstraintsValid, x.KeyUsage = true, true, x509.KeyUsageCertSign
	})
	cannot := &authority{Key: below.Key, Cert: asLister(below.Cert)}
	const unsigned, unread = "not signed by an authority of its organisation", "cannot be read"
	for name, test := range map[string]struct{ pinned, want string }{
		"signed by an authority of another organisation": {c.cas[hospA].Revoke(t, c.now, revoked), unsigned},
		"signed by a stranger of the authority's name":   {stranger.Revoke(t, c.now, revoked), unsigned},
		"signed by a peer":                          {(&authority{Key: peer.Key, Cert: asLister(peer.Cert)}).Revoke(t, c.now, revoked), unsigned},
		"by an authority that may sign none":        {pemOf(below.Cert) + cannot.Revoke(t, c.now, revoked), unsigned},
		"signed by an authority that is not pinned": {c.cas[hospB].Below(t, c.now).Revoke(t, c.now, revoked), unsigned},
		"with a signature that was changed":         {list(changed), unsigned},
		"cut short":                                 {list(block.Bytes[:len(block.Bytes)-2]), unread},
		"of noise":                                  {list([]byte("noise")), unread},
		"of nothing":                                {list(nil), unread},
		"with something behind it":                  {list(append(append([]byte{}, block.Bytes...), 0)), "something behind it"},
		"a certificate for a list":                  {list(revoked.Raw), unread},
		"a list for a certificate":                  {strings.ReplaceAll(good, "X509 CRL", "CERTIFICATE"), unread},
		"of another kind":                           {strings.ReplaceAll(good, "X509 CRL", "CRL"), "PEM certificates and revocation lists"},
		"beside a good one":                         {good + stranger.Revoke(t, c.now, revoked), unsigned},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := c.pinning(hospB, test.pinned)
			got, err := c.draft().build(t).Verify(question(), p, c.now)
			require.Nil(t, got)
			require.Equal(t, emr.CodeInvalid, emr.CodeOf(err), "%v", err)
			require.Equal(t, "roots", emr.Public(err).Field)
			require.Contains(t, emr.Public(err).Message, test.want)
			require.Equal(t, emr.CodeInvalid, emr.CodeOf(p.Roots.Validate()), "what cannot be used cannot be pinned")
		})
	}
	t.Run("a list without an authority", func(t *testing.T) {
		t.Parallel()
		require.Equal(t, emr.CodeInvalid, emr.CodeOf(attest.Roots{hospB: good}.Validate()))
	})
}

// asLister is a certificate as the library wants it of who signs lists; a hostile signer asks no library.
func asLister(cert *x509.Certificate) *x509.Certificate {
	may := *cert
	may.KeyUsage |= x509.KeyUsageCRLSign
	if len(may.SubjectKeyId) == 0 {
		may.SubjectKeyId = []byte{1}
	}
	return &may
}

func FuzzRootsWithARevocationList(f *testing.F) {
	c := newConsortium(f)
	revoked := c.peers[hospB][0].Certificate(f)
	seed := func(text string) []byte {
		block, _ := pem.Decode([]byte(text))
		return block.Bytes
	}
	f.Add(seed(c.cas[hospB].Revoke(f, c.now, revoked)))
	f.Add(seed(c.cas[hospB].Revoke(f, c.now)))
	f.Add(seed(c.cas[hospA].Revoke(f, c.now, revoked)))
	f.Add(seed(c.cas[hospB].SignList(f, &x509.RevocationList{
		Number: new(big.Int).Lsh(big.NewInt(1), 150), ThisUpdate: c.now, NextUpdate: c.now.Add(time.Hour),
	})))
	f.Add([]byte{0x30, 0})
	a := c.draft().build(f)
	f.Fuzz(func(t *testing.T, der []byte) {
		p := c.pinning(hospB, string(pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: der})))
		err := p.Roots.Validate()
		_, verified := a.Verify(question(), p, c.now)
		if err != nil {
			require.Equal(t, emr.CodeInvalid, emr.CodeOf(err))
			require.Equal(t, emr.CodeInvalid, emr.CodeOf(verified), "what does not validate does not verify")
			return
		}
		list, err := x509.ParseRevocationList(der)
		require.NoError(t, err)
		require.NoError(t, list.CheckSignatureFrom(c.cas[hospB].Cert), "only the authority makes a list")
	})
}

// selfSigned is another certificate of the authority's key, which it signs itself.
func selfSigned(t testing.TB, c *consortium, ca *authority) *x509.Certificate {
	t.Helper()
	return ca.Certify(t, c.now, ca.Key, func(x *x509.Certificate) {
		x.Subject, x.IsCA, x.BasicConstraintsValid = ca.Cert.Subject, true, true
		x.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
	})
}
