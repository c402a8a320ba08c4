// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package fabric_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"

	gw "github.com/hyperledger/fabric-protos-go-apiv2/gateway"
	"github.com/hyperledger/fabric-protos-go-apiv2/peer"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"

	"github.com/emrys-health/emrys/gateway/internal/pin"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

var signed = &emr.SignedAction{Kind: emr.SignatureP256, Body: []byte("{}"), Signature: []byte{1}}

func (b *bench) submit(t *testing.T) (ledgerapi.Receipt, error) {
	t.Helper()
	var receipt ledgerapi.Receipt
	err := b.Submit(t.Context(), ledgerapi.Disclose, signed, &receipt)
	return receipt, err
}

func always(err error) func(*gw.EndorseRequest) error {
	return func(*gw.EndorseRequest) error { return err }
}

func answers(code peer.TxValidationCode) func(context.Context) (peer.TxValidationCode, error) {
	return func(context.Context) (peer.TxValidationCode, error) { return code, nil }
}

func fails(err error) func(context.Context) (peer.TxValidationCode, error) {
	return func(context.Context) (peer.TxValidationCode, error) { return 0, err }
}

// silent waits until the caller gives up.
func silent(ctx context.Context) (peer.TxValidationCode, error) {
	<-ctx.Done()
	return 0, ctx.Err()
}

var refusal = ledgerapi.EncodeError(emr.Refused(emr.ReasonRevoked, "revoked"))

func TestSubmit(t *testing.T) {
	t.Parallel()
	lost := failure(codes.Unavailable, "connection reset", said("Orderer", "no answer"))
	processed := failure(codes.Unavailable, "submit", said("Orderer", "request already processed"))
	for _, tt := range []struct {
		name        string
		script      func(p *fakePeer)
		code        emr.Code
		reason      emr.Reason
		submissions int
		txID        bool
	}{
		{"a transaction that commits", func(*fakePeer) {}, "", "", 1, false},
		{"the contract's refusal at endorsement", func(p *fakePeer) {
			p.endorse = append(p.endorse, always(failure(codes.Aborted, "failed", said(ownMSP, "chaincode response 500, "+refusal))))
		}, emr.CodeRule, emr.ReasonRevoked, 0, false},
		{"a refusal in the message alone", func(p *fakePeer) {
			p.endorse = append(p.endorse, always(failure(codes.Unknown, "evaluate: "+refusal)))
		}, emr.CodeRule, emr.ReasonRevoked, 0, false},
		{"the own peer's refusal counts before another's", func(p *fakePeer) {
			other := ledgerapi.EncodeError(emr.E(emr.CodeNotFound, "not there"))
			p.endorse = append(p.endorse, always(failure(codes.Aborted, "failed", said("HospBMSP", other), said(ownMSP, refusal))))
		}, emr.CodeRule, emr.ReasonRevoked, 0, false},
		{"others that lag behind the own peer are asked again", func(p *fakePeer) {
			other := ledgerapi.EncodeError(emr.E(emr.CodeNotFound, "not there yet"))
			p.endorse = append(p.endorse, always(failure(codes.Aborted, "failed", said("HospBMSP", other))))
		}, "", "", 1, false},
		{"no endorsement at all", func(p *fakePeer) {
			p.endorse = append(p.endorse, always(failure(codes.Aborted, "failed", said(ownMSP, "connection refused"))))
		}, emr.CodeUnavailable, "", 0, false},
		{"an endorsement that takes too long", func(p *fakePeer) {
			p.endorse = append(p.endorse, always(failure(codes.DeadlineExceeded, "timeout")))
		}, emr.CodeTimeout, "", 0, false},
		{"an undeclared failure", func(p *fakePeer) {
			p.endorse = append(p.endorse, always(failure(codes.Internal, "secret detail")))
		}, emr.CodeInternal, "", 0, false},
		{"a submission that is lost but committed", func(p *fakePeer) {
			p.submit = append(p.submit, func(*gw.SubmitRequest) error { return lost })
		}, "", "", 1, false},
		{"a submission that is lost is sent again, the same", func(p *fakePeer) {
			p.submit = append(p.submit, func(*gw.SubmitRequest) error { return lost })
			p.status = append(p.status, fails(failure(codes.Unavailable, "no", said(ownMSP, "no"))))
		}, "", "", 2, false},
		{"orderers that have it already have accepted it", func(p *fakePeer) {
			p.submit = append(p.submit, func(*gw.SubmitRequest) error { return processed })
		}, "", "", 1, false},
		{"an outcome that stays unknown", func(p *fakePeer) {
			p.status = append(p.status, silent)
		}, emr.CodeUnknownOutcome, "", 1, true},
		{"a conflict is endorsed anew", func(p *fakePeer) {
			p.status = append(p.status, answers(peer.TxValidationCode_MVCC_READ_CONFLICT), answers(peer.TxValidationCode_PHANTOM_READ_CONFLICT))
		}, "", "", 3, false},
		{"a conflict that does not end", func(p *fakePeer) {
			for range 4 {
				p.status = append(p.status, answers(peer.TxValidationCode_MVCC_READ_CONFLICT))
			}
		}, emr.CodeConflict, "", 4, true},
		{"a key's policy that changed in the same block", func(p *fakePeer) {
			p.status = append(p.status, answers(peer.TxValidationCode_ENDORSEMENT_POLICY_FAILURE))
		}, "", "", 2, false},
		{"a policy that stays unsatisfied", func(p *fakePeer) {
			for range 4 {
				p.status = append(p.status, answers(peer.TxValidationCode_ENDORSEMENT_POLICY_FAILURE))
			}
		}, emr.CodeInternal, "", 4, true},
		{"another invalid transaction", func(p *fakePeer) {
			p.status = append(p.status, answers(peer.TxValidationCode_BAD_PROPOSAL_TXID))
		}, emr.CodeInternal, "", 1, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, 1)
			tt.script(b.peers[0])
			receipt, err := b.submit(t)
			require.Equal(t, tt.code, emr.CodeOf(err), "%v", err)
			if tt.code == "" {
				require.Equal(t, "made", receipt.ID)
			} else {
				shown := emr.Public(err)
				require.Equal(t, tt.reason, shown.Reason)
				require.Equal(t, tt.txID, shown.TxID != "")
				require.NotContains(t, shown.Message, "secret")
			}
			sent := b.peers[0].submissions()
			require.Len(t, sent, tt.submissions)
		})
	}
}

func TestWhatIsSentAgainIsTheSameEnvelope(t *testing.T) {
	t.Parallel()
	b := newBench(t, 1)
	lost := failure(codes.Unavailable, "reset", said("Orderer", "no answer"))
	b.peers[0].submit = append(b.peers[0].submit, func(*gw.SubmitRequest) error { return lost })
	b.peers[0].status = append(b.peers[0].status, fails(lost))
	_, err := b.submit(t)
	require.NoError(t, err)
	sent := b.peers[0].submissions()
	require.Len(t, sent, 2)
	require.Equal(t, sent[0].GetTransactionId(), sent[1].GetTransactionId())
	require.Equal(t, sent[0].GetPreparedTransaction().GetSignature(), sent[1].GetPreparedTransaction().GetSignature())
	require.Equal(t, sent[0].GetPreparedTransaction().GetPayload(), sent[1].GetPreparedTransaction().GetPayload())
}

func TestACallerWhoHangsUpDoesNotKeepTheOutcomeFromBeingLearnt(t *testing.T) {
	t.Parallel()
	b := newBench(t, 1)
	ctx, cancel := context.WithCancel(t.Context())
	b.peers[0].submit = append(b.peers[0].submit, func(*gw.SubmitRequest) error { cancel(); return nil })
	var receipt ledgerapi.Receipt
	require.NoError(t, b.Submit(ctx, ledgerapi.Disclose, signed, &receipt))
	require.Equal(t, "made", receipt.ID)
}

func TestNamedEndorsers(t *testing.T) {
	t.Parallel()
	orgs := []string{"HospAMSP", "HospBMSP", "HospCMSP", "RegulatorMSP"}
	named := func(p *fakePeer, i int) []string { return p.endorsed[i].GetEndorsingOrganizations() }
	t.Run("a majority with the own organisation is named", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, 1)
		b.NameEndorsers(orgs)
		_, err := b.submit(t)
		require.NoError(t, err)
		require.Equal(t, orgs[:3], named(b.peers[0], 0))
	})
	t.Run("of what changes a guarded value the peer finds the endorsers", func(t *testing.T) {
		t.Parallel()
		for _, function := range ledgerapi.GuardedTransactions() {
			b := newBench(t, 1)
			b.NameEndorsers(orgs)
			require.NoError(t, b.Submit(t.Context(), function, signed, &ledgerapi.Receipt{}))
			require.Empty(t, named(b.peers[0], 0), function)
		}
	})
	t.Run("when one of them is out of reach the peer chooses", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, 1)
		b.NameEndorsers(orgs)
		b.peers[0].endorse = append(b.peers[0].endorse, always(failure(codes.Unavailable, "no peers", said("HospBMSP", "down"))))
		for range 2 {
			_, err := b.submit(t)
			require.NoError(t, err)
		}
		require.Empty(t, named(b.peers[0], 1))
		require.Empty(t, named(b.peers[0], 2), "for a while")
	})
	t.Run("when the policy has changed the peer chooses", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, 1)
		b.NameEndorsers(orgs)
		b.peers[0].status = append(b.peers[0].status, answers(peer.TxValidationCode_ENDORSEMENT_POLICY_FAILURE))
		_, err := b.submit(t)
		require.NoError(t, err)
		require.Empty(t, named(b.peers[0], 1))
	})
	t.Run("an organisation that is not of the channel names nobody", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, 1)
		b.NameEndorsers([]string{"OtherMSP"})
		_, err := b.submit(t)
		require.NoError(t, err)
		require.Empty(t, named(b.peers[0], 0))
	})
}

func TestAnotherPeerAnswersWhenOneIsDown(t *testing.T) {
	t.Parallel()
	b := newBench(t, 2)
	b.peers[0].server.Stop()
	_, err := b.submit(t)
	require.NoError(t, err)
	require.Len(t, b.peers[1].submissions(), 1)
	require.NoError(t, b.Query(t.Context(), ledgerapi.GetOrganisations, ledgerapi.Empty{}, &ledgerapi.OrganisationList{}))
	b.peers[1].server.Stop()
	_, err = b.submit(t)
	require.Equal(t, emr.CodeUnavailable, emr.CodeOf(err))
}

func TestQueries(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		answer func(*gw.EvaluateRequest) (string, error)
		code   emr.Code
	}{
		{"an answer", func(*gw.EvaluateRequest) (string, error) { return `{"items":[]}`, nil }, ""},
		{"a refusal", func(*gw.EvaluateRequest) (string, error) {
			return "", failure(codes.Unknown, "evaluate call to endorser returned error: chaincode response 500, "+refusal)
		}, emr.CodeRule},
		{"a peer without the contract", func(*gw.EvaluateRequest) (string, error) {
			return "", failure(codes.FailedPrecondition, "no peers available")
		}, emr.CodeUnavailable},
		{"too many calls", func(*gw.EvaluateRequest) (string, error) {
			return "", failure(codes.ResourceExhausted, "too many requests")
		}, emr.CodeUnavailable},
		{"a timeout", func(*gw.EvaluateRequest) (string, error) {
			return "", failure(codes.DeadlineExceeded, "late")
		}, emr.CodeTimeout},
		{"an answer that cannot be read", func(*gw.EvaluateRequest) (string, error) { return `no JSON`, nil }, emr.CodeInternal},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, 1)
			b.peers[0].evaluate = tt.answer
			err := b.Query(t.Context(), ledgerapi.GetOrganisations, ledgerapi.Empty{}, &ledgerapi.OrganisationList{})
			require.Equal(t, tt.code, emr.CodeOf(err), "%v", err)
		})
	}
	t.Run("an organisation is reached at its own peers", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, 1)
		var asked []string
		b.peers[0].evaluate = func(r *gw.EvaluateRequest) (string, error) {
			asked = r.GetTargetOrganizations()
			return "{}", nil
		}
		require.NoError(t, b.Reach(t.Context(), "HospCMSP"))
		require.Equal(t, []string{"HospCMSP"}, asked)
	})
}

func TestEventsGoOnAfterAnInterruption(t *testing.T) {
	t.Parallel()
	b := newBench(t, 1)
	p := b.peers[0]
	block := func(number uint64, tx string) *gw.ChaincodeEventsResponse {
		return &gw.ChaincodeEventsResponse{BlockNumber: number, Events: []*peer.ChaincodeEvent{{
			TxId: tx, ChaincodeId: "emrys", EventName: ledgerapi.EventRecordRegistered, Payload: []byte(`{"v":1,"cid":"c"}`),
		}}}
	}
	p.streams = [][]*gw.ChaincodeEventsResponse{
		{block(3, "t1"), nil}, // the peer restarts
		{block(4, "t2")},      // handled by nobody, so it comes again
		{block(4, "t2")},
	}
	ctx, cancel := context.WithCancel(t.Context())
	seen := make(chan pin.Event)
	broken := true
	done := make(chan error, 1)
	go func() {
		done <- b.Events(ctx, slog.New(slog.DiscardHandler), pin.Place{}, func(e pin.Event) error {
			if e.Transaction == "t2" && broken {
				broken = false
				return errors.New("the disk is full")
			}
			seen <- e
			return nil
		})
	}()
	require.Equal(t, pin.Place{Block: 3, Transaction: "t1"}, (<-seen).Place)
	require.Equal(t, "t2", (<-seen).Transaction)
	cancel()
	require.ErrorIs(t, <-done, context.Canceled)
	p.mu.Lock()
	defer p.mu.Unlock()
	require.GreaterOrEqual(t, len(p.asked), 3)
	require.Equal(t, uint64(0), p.asked[0].GetStartPosition().GetSpecified().GetNumber(), "from the first block")
	require.Equal(t, "t1", p.asked[1].GetAfterTransactionId())
	require.Equal(t, "t1", p.asked[2].GetAfterTransactionId())
}
