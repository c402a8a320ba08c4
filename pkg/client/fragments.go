// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package client

import (
	"errors"
	"fmt"
	"slices"

	"github.com/emrys-health/emrys/pkg/api"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/pre"
)

// sharedKeys recovers both keys from the proxies' answers. What fails
// verification is set aside and its proxy named; the rest may be enough.
func (v *verifier) sharedKeys() (shareKey, preKey []byte, err error) {
	v.faults = slices.Clone(v.opening.Faults)
	params, err := v.parameters()
	if err != nil {
		return nil, nil, err
	}
	answers := v.answers(params.Request)
	capsules, shares := v.capsules(answers), v.shares(answers, params.Request)
	threshold := int(v.opening.Grant.Terms.Threshold)
	preKey, liars, err := pre.OpenReport(v.client.keys.Reading(), v.capsule, threshold, params, capsules)
	for _, liar := range liars {
		v.accuse(emr.OrgID(liar.Gateway), "its fragment is not proven for this reading")
	}
	if err != nil {
		return nil, nil, v.tooFew(err)
	}
	shareKey, err = pre.CombineShares(int(v.manifest.Threshold), shares)
	if err != nil {
		return nil, preKey, v.tooFew(err)
	}
	return shareKey, preKey, nil
}

// parameters is what every fragment must be proven for.
func (v *verifier) parameters() (pre.ReencryptParams, error) {
	p := pre.ReencryptParams{Reader: v.client.keys.Reading().Public(), Context: v.context}
	request, err := v.opening.Disclosure.Hash()
	if err != nil {
		return p, err
	}
	grant, err := v.opening.Grant.Terms.Hash()
	if err != nil {
		return p, err
	}
	p.Request, p.Grant = request, grant
	if p.Delegating, err = pre.ParsePublicKey(v.opening.Manifest.Scope.Delegating); err != nil {
		return p, corrupt("the scope's key is not a key", err)
	}
	if p.Signer, err = pre.ParsePublicKey(v.opening.Manifest.Scope.Fragment); err != nil {
		return p, corrupt("the scope's fragment key is not a key", err)
	}
	return p, nil
}

// answers returns the proxies' answers whose receipt holds, one of each. What is in
// them is judged piece by piece: a false fragment beside a good share, say.
func (v *verifier) answers(request emr.Digest) []*api.Fragment {
	var good []*api.Fragment
	seen := map[emr.OrgID]bool{}
	for i := range v.opening.Fragments {
		f := &v.opening.Fragments[i]
		if seen[f.Gateway] {
			continue
		}
		seen[f.Gateway] = true
		if problem := v.checkReceipt(f, request); problem != "" {
			v.accuse(f.Gateway, problem)
			continue
		}
		good = append(good, f)
	}
	return good
}

// capsules reads the capsule fragments; their proofs are checked when they are combined.
func (v *verifier) capsules(answers []*api.Fragment) []*pre.CapsuleFragment {
	var capsules []*pre.CapsuleFragment
	for _, f := range answers {
		c, err := pre.ParseCapsuleFragment(f.Capsule)
		switch {
		case len(f.Direct) != 0:
			v.accuse(f.Gateway, "it answered with a sealed key, and the grant has none")
		case err != nil || c.Gateway() != string(f.Gateway):
			v.accuse(f.Gateway, "its capsule fragment is not its own")
		default:
			capsules = append(capsules, c)
		}
	}
	return capsules
}

// shares opens the shares that the author committed to.
func (v *verifier) shares(answers []*api.Fragment, request emr.Digest) []pre.Share {
	var shares []pre.Share
	for _, f := range answers {
		s, err := v.openShare(f, request)
		if err != nil {
			v.accuse(f.Gateway, "its share is not the one that the author committed to")
			continue
		}
		shares = append(shares, s)
	}
	return shares
}

func (v *verifier) openShare(f *api.Fragment, request emr.Digest) (pre.Share, error) {
	share, ok := v.envelope.Shares.ShareOf(string(f.Gateway))
	if !ok {
		return pre.Share{}, emr.E(emr.CodeNotFound, "the gateway holds no share of this record")
	}
	return pre.OpenReSealedShare(v.client.keys.Hybrid(), v.context, request, share, f.Share)
}

// checkReceipt verifies the proxy's signature over its own answer and returns
// what is wrong, or "".
func (v *verifier) checkReceipt(f *api.Fragment, request emr.Digest) string {
	if !v.mayAnswer(f.Gateway) {
		return "it holds no part of this grant"
	}
	o, err := organisation(v.network, f.Gateway)
	if err != nil {
		return "it is not of this network"
	}
	key, err := pre.ParsePublicKey(o.Keys.Receipt)
	if err != nil {
		return "its receipt key is not a key"
	}
	digest, err := api.ReceiptOf(v.opening.Disclosure.ID, request, f).Digest()
	if err != nil {
		return "its receipt cannot be encoded"
	}
	if err := pre.VerifyP256(key, digest[:], f.Receipt); err != nil {
		return "its receipt does not hold for its answer"
	}
	return ""
}

// mayAnswer tells whether a proxy's answer counts: it holds a fragment of the grant,
// or, of a direct grant, a share of the record, and is not the reader's own.
func (v *verifier) mayAnswer(gateway emr.OrgID) bool {
	terms := &v.opening.Grant.Terms
	if !terms.Direct {
		return slices.Contains(terms.Gateways, gateway)
	}
	_, holds := v.envelope.Shares.ShareOf(string(gateway))
	return holds && gateway != terms.Org && gateway != v.client.profile.Org
}

// accuse names a proxy whose answer failed verification.
func (v *verifier) accuse(gateway emr.OrgID, message string) {
	v.faults = append(v.faults, api.Fault{Gateway: gateway, Code: emr.CodeCorrupt, Message: message})
}

// tooFew explains why a record does not open, naming every proxy at fault.
func (v *verifier) tooFew(cause error) error {
	code, message := emr.CodeUnavailable, "too few proxies answered; try again later"
	if !errors.Is(cause, pre.ErrTooFewFragments) {
		code, message = emr.CodeCorrupt, "the proxies' answers do not open the record"
	}
	for _, f := range v.faults {
		if f.Code == emr.CodeCorrupt {
			code = emr.CodeCorrupt
		}
		message += fmt.Sprintf("; %s: %s", f.Gateway, faultText(f))
	}
	return emr.Wrap(code, message, cause)
}

func faultText(f api.Fault) string {
	switch {
	case f.Message != "":
		return f.Message
	case f.Reason != "":
		return f.Reason.Explain()
	default:
		return string(f.Code)
	}
}
