// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package attest

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"time"

	"github.com/hyperledger/fabric-protos-go-apiv2/msp"

	"github.com/emrys-health/emrys/pkg/emr"
)

// Verify returns the answer to q if the attestation proves it under p at the
// time now. An endorsement that does not hold counts for nothing and does no
// harm beside a quorum of others that do. The error is a corrupt error when the
// attestation does not prove an answer to q, and an invalid error, with a
// Field, when the question or the policy itself is unusable.
func (a *Attestation) Verify(q Question, p Policy, now time.Time) ([]byte, error) {
	trusts, err := p.trusts()
	if err != nil {
		return nil, err
	}
	if err := q.validate(); err != nil {
		return nil, err
	}
	if err := a.bounded(); err != nil {
		return nil, err
	}
	hash, err := q.matchProposal(a.Proposal, p.MaxAge, now)
	if err != nil {
		return nil, err
	}
	answer, err := q.matchResponse(a.Response, hash)
	if err != nil {
		return nil, err
	}
	if err := a.count(trusts, p.Quorum, now); err != nil {
		return nil, err
	}
	return bytes.Clone(answer), nil
}

func (a *Attestation) bounded() error {
	if a == nil || len(a.Proposal) == 0 || len(a.Response) == 0 {
		return corrupt("attestation is empty")
	}
	if len(a.Proposal) > maxPart || len(a.Response) > maxPart || len(a.Endorsements) > maxEndorsements {
		return corrupt("attestation is too large")
	}
	return nil
}

// count checks that a quorum of distinct organisations endorsed the response.
func (a *Attestation) count(trusts map[emr.OrgID]*trust, quorum int, now time.Time) error {
	endorsed := make(map[emr.OrgID]bool)
	var refused []error
	for _, e := range a.Endorsements {
		org, err := e.organisation(a.Response, trusts, now)
		if err != nil {
			refused = append(refused, err)
			continue
		}
		endorsed[org] = true
	}
	if len(endorsed) >= quorum {
		return nil
	}
	message := fmt.Sprintf("answer is endorsed by %d organisations and %d are required", len(endorsed), quorum)
	if len(refused) > 0 {
		message += "; an endorsement was not counted: " + emr.Public(refused[0]).Message
	}
	return emr.Wrap(emr.CodeCorrupt, message, errors.Join(refused...))
}

// organisation returns the organisation whose peer made the endorsement.
func (e Endorsement) organisation(
	response []byte, trusts map[emr.OrgID]*trust, now time.Time,
) (emr.OrgID, error) {
	if len(e.Endorser) > maxEndorser || len(e.Signature) > maxSignature {
		return "", corrupt("endorsement is too large")
	}
	id := &msp.SerializedIdentity{}
	if err := decode(e.Endorser, id, "endorser"); err != nil {
		return "", err
	}
	org := emr.OrgID(id.GetMspid())
	pinned, counts := trusts[org]
	if !counts {
		return "", corrupt("endorser is of an organisation that does not count")
	}
	cert, err := parseCertificate(id.GetIdBytes())
	if err != nil {
		return "", err
	}
	if err := checkPeer(cert); err != nil {
		return "", err
	}
	chains, err := cert.Verify(x509.VerifyOptions{
		Roots: pinned.anchors, Intermediates: x509.NewCertPool(), CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
	})
	if err != nil {
		return "", emr.Wrap(emr.CodeCorrupt, "endorser's certificate does not chain to what is pinned for its organisation", err)
	}
	if err := pinned.check(chains); err != nil {
		return "", err
	}
	return org, checkSignature(cert, response, e)
}

func parseCertificate(text []byte) (*x509.Certificate, error) {
	block, rest := pem.Decode(text)
	if block == nil || block.Type != blockCertificate || len(bytes.TrimSpace(rest)) != 0 {
		return nil, corrupt("endorser is not one PEM certificate")
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, emr.Wrap(emr.CodeCorrupt, "endorser's certificate cannot be read", err)
	}
	return cert, nil
}

// checkPeer refuses a certificate that is not a peer's: its subject must have
// exactly one of the organisational units by which the network tells roles apart
// (NodeOUs of the MSP), and that one must be the peer's.
func checkPeer(cert *x509.Certificate) error {
	if cert.IsCA {
		return corrupt("endorser is a certificate authority")
	}
	var roles []string
	for _, unit := range cert.Subject.OrganizationalUnit {
		switch unit {
		case "client", "peer", "admin", "orderer":
			roles = append(roles, unit)
		}
	}
	if !slices.Equal(roles, []string{"peer"}) {
		return corrupt("endorser is not a peer")
	}
	return nil
}

// checkSignature verifies the endorsement's signature. It refuses a high S as
// Fabric does, because from every signature one with the other S follows.
func checkSignature(cert *x509.Certificate, response []byte, e Endorsement) error {
	key, ok := cert.PublicKey.(*ecdsa.PublicKey)
	if !ok || key.Curve != elliptic.P256() {
		return corrupt("endorser's key is not one of P-256")
	}
	var signature struct{ R, S *big.Int }
	rest, err := asn1.Unmarshal(e.Signature, &signature)
	if err != nil || len(rest) != 0 {
		return emr.Wrap(emr.CodeCorrupt, "endorser's signature cannot be read", err)
	}
	half := new(big.Int).Rsh(key.Curve.Params().N, 1)
	if signature.S.Cmp(half) > 0 {
		return corrupt("endorser's signature has a high S")
	}
	h := sha256.New()
	h.Write(response)
	h.Write(e.Endorser)
	if !ecdsa.VerifyASN1(key, h.Sum(nil), e.Signature) {
		return corrupt("endorser's signature does not verify")
	}
	return nil
}
