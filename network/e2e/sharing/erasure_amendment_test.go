//go:build e2e

// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package sharing

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/network/e2e/testnet"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// everyPeer connects to every peer of the network as its organisation's gateway.
func everyPeer(t *testing.T) map[string]*testnet.Member {
	t.Helper()
	all := map[string]*testnet.Member{}
	for i := range net.Topology.Organisations {
		org := &net.Topology.Organisations[i]
		for peer := range org.Peers {
			member, err := net.AsGatewayAt(org.MSP, peer)
			require.NoError(t, err)
			t.Cleanup(member.Close)
			all[org.MSP+" "+org.Peers[peer].Name] = member
		}
	}
	require.Greater(t, len(all), len(net.Topology.Organisations))
	return all
}

// says has the patient ask that a record be corrected, the author deny it and the
// patient disagree, and the patient ask once more. Every peer holds the texts then.
func (w *ward) says(record emr.RecordID) (disputed, open emr.AmendmentID) {
	w.t.Helper()
	c, handle := newCarrier(w.t), w.patient.Profile().Handle
	patient, author := w.signerOf("patient", w.patient), w.signerOf("author", w.author)
	ask := func() emr.AmendmentID {
		args := ledgerapi.AskAmendmentArgs{
			Patient: handle, Amendment: fresh[emr.AmendmentID](w.t, emr.AmendmentPrefix), Record: record, Text: "this is not my knee",
		}
		c.eventually("HospAMSP", ledgerapi.AskAmendment, patient.sign(patient.action(ledgerapi.AskAmendment, args)))
		return args.Amendment
	}
	disputed, open = ask(), ask()
	c.eventually("HospAMSP", ledgerapi.AnswerAmendment, author.sign(author.action(ledgerapi.AnswerAmendment,
		ledgerapi.AnswerAmendmentArgs{Amendment: disputed, Text: "the label agrees"})))
	c.eventually("HospAMSP", ledgerapi.DisputeAmendment, patient.sign(patient.action(ledgerapi.DisputeAmendment,
		ledgerapi.DisputeAmendmentArgs{Patient: handle, Amendment: disputed, Text: "I have two knees"})))
	for name, at := range everyPeer(w.t) {
		for id, texts := range map[emr.AmendmentID]int{disputed: 3, open: 1} {
			require.Eventually(w.t, func() bool {
				var view ledgerapi.AmendmentView
				err := at.Query(w.t.Context(), ledgerapi.GetAmendmentAction, ledgerapi.AmendmentQuery{Amendment: id}, &view)
				return err == nil && textsIn(&view) == texts
			}, 20*time.Second, 200*time.Millisecond, name)
		}
	}
	return disputed, open
}

func textsIn(view *ledgerapi.AmendmentView) int {
	n := 0
	for _, signed := range []emr.SignedAction{view.Asking, view.Answer, view.Dispute} {
		if len(signed.Body) > 0 {
			n++
		}
	}
	return n
}

// requireUnsaid asks every peer: the question that waited is closed, nothing is left
// of which the channel keeps a hash, so that no peer keeps a text, and none is shown.
func (o *ordered) requireUnsaid(disputed, open emr.AmendmentID) {
	o.t.Helper()
	for name, at := range everyPeer(o.t) {
		status := func(id emr.AmendmentID) emr.AmendmentStatus {
			var found emr.Amendment
			require.NoError(o.t, at.Query(o.t.Context(), ledgerapi.GetAmendment, ledgerapi.AmendmentQuery{Amendment: id}, &found))
			return found.Status
		}
		require.Eventually(o.t, func() bool {
			var left ledgerapi.Leftovers
			err := at.Query(o.t.Context(), ledgerapi.ListLeftovers, ledgerapi.LeftoversQuery{Erasure: o.order.ID}, &left)
			return err == nil && len(left.Amendments) == 0 && status(open) == emr.AmendmentEnded
		}, 20*time.Second, 200*time.Millisecond, name)
		require.Equal(o.t, emr.AmendmentDenied, status(disputed), "what was answered stays so")
		for _, id := range []emr.AmendmentID{disputed, open} {
			var view ledgerapi.AmendmentView
			err := at.Query(o.t.Context(), ledgerapi.GetAmendmentAction, ledgerapi.AmendmentQuery{Amendment: id}, &view)
			requireRefused(o.t, err, emr.CodeGone, emr.ReasonErased)
		}
	}
}
