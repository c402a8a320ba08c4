// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledger_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/chaincode/ledger"
	"github.com/emrys-health/emrys/chaincode/ledger/ledgertest"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

func sorted(ids ...emr.AmendmentID) []emr.AmendmentID {
	slices.Sort(ids)
	return ids
}

// askedOf asks for an amendment of a record.
func (s *scene) askedOf(t testing.TB, record emr.RecordID) emr.AmendmentID {
	t.Helper()
	args := s.askAmendment()
	args.Record = record
	s.Do(t, s.patient, ledgerapi.AskAmendment, args)
	return args.Amendment
}

// refused asks for an amendment of a record, which its author denies.
func (s *scene) refused(t testing.TB, record emr.RecordID) emr.AmendmentID {
	t.Helper()
	id := s.askedOf(t, record)
	s.Do(t, s.author, ledgerapi.AnswerAmendment, ledgerapi.AnswerAmendmentArgs{Amendment: id, Text: "the label agrees"})
	return id
}

// texts are the private texts of an amendment that this peer still holds.
func (s *scene) texts(t testing.TB, id emr.AmendmentID) int {
	t.Helper()
	n, found := 0, s.amendment(t, id)
	for _, digest := range []emr.Digest{found.Asking, found.Answer, found.Dispute} {
		if !digest.IsZero() && len(s.Private(ledgerapi.StatementKey(digest))) > 0 {
			n++
		}
	}
	return n
}

// leftAmendments are the amendments that an order has left, page by page.
func (s *scene) leftAmendments(t testing.TB, id emr.ErasureID) (pages [][]emr.AmendmentID) {
	t.Helper()
	q := ledgerapi.LeftoversQuery{Erasure: id}
	for more := true; more; more = q.AmendmentBookmark != "" {
		found, err := ledger.ListLeftovers(s.Query(s.Orgs[ledgertest.HospitalB]), q)
		require.NoError(t, err)
		require.NotNil(t, found.Amendments)
		pages, q.AmendmentBookmark = append(pages, found.Amendments), found.AmendmentBookmark
	}
	return pages
}

// ends are the arguments by which any gateway has an order end amendments.
func ends(id emr.ErasureID, amendments ...emr.AmendmentID) ledgerapi.ContinueErasureArgs {
	return ledgerapi.ContinueErasureArgs{
		Erasure: id, Grants: []emr.GrantID{}, Requests: []emr.RequestID{}, Amendments: append([]emr.AmendmentID{}, amendments...),
	}
}

// continued has a hospital's gateway continue an order.
func (s *scene) continued(t testing.TB, args ledgerapi.ContinueErasureArgs) error {
	t.Helper()
	_, err := told(t, s, s.Orgs[ledgertest.HospitalC].Gateway, ledger.ContinueErasure, args)
	return err
}

// gone requires that what was said about an erased record is shown to nobody and not gone on with.
func (s *scene) gone(t *testing.T, id emr.AmendmentID) {
	t.Helper()
	_, err := s.Try(t, s.author, ledgerapi.AnswerAmendment, ledgerapi.AnswerAmendmentArgs{Amendment: id, Text: "no"})
	refuses(t, err, emr.CodeGone, "erased")
	_, err = s.Try(t, s.patient, ledgerapi.DisputeAmendment,
		ledgerapi.DisputeAmendmentArgs{Patient: s.patient.Handle, Amendment: id, Text: "x"})
	refuses(t, err, emr.CodeGone, "erased")
	for _, org := range holders() {
		_, err = ledger.GetAmendmentAction(s.Query(s.Orgs[org]), ledgerapi.AmendmentQuery{Amendment: id})
		refuses(t, err, emr.CodeGone, "erased")
	}
}

func TestWhatWasSaidAboutARecordIsPurgedWithIt(t *testing.T) {
	t.Parallel()
	s, accepted, disputed := amendments(t, sameAgain(t))
	open := s.asked(t)
	other := s.Record(t, s.author, s.scope, emr.ClassPrescription)
	elsewhere := s.refused(t, other.Record)
	require.Equal(t, []int{2, 3, 1, 2}, []int{s.texts(t, accepted), s.texts(t, disputed), s.texts(t, open), s.texts(t, elsewhere)})
	before := map[emr.AmendmentID]emr.Amendment{}
	for _, id := range []emr.AmendmentID{accepted, disputed, open} {
		before[id] = s.amendment(t, id)
	}
	args := s.erase(s.record.Record)
	args.Amendments = sorted(accepted, disputed, open)
	require.Equal(t, emr.Permit, s.decides(t, s.patient, ledgerapi.EraseRecord, args).Decision)

	for id, was := range before {
		require.Zero(t, s.texts(t, id), was.Status)
		if was.Status == emr.AmendmentAsked {
			was.Status = emr.AmendmentEnded
		}
		require.Equal(t, was, s.amendment(t, id), "ids, digests and times stay")
		s.gone(t, id)
	}
	require.Equal(t, emr.AmendmentEnded, s.amendment(t, open).Status)
	require.Zero(t, s.amendment(t, open).Answered, "nobody has answered")
	require.Equal(t, 2, s.texts(t, elsewhere), "another record is not concerned")
	_, err := ledger.GetAmendmentAction(s.Query(s.Orgs[ledgertest.HospitalB]), ledgerapi.AmendmentQuery{Amendment: elsewhere})
	require.NoError(t, err)
	require.Equal(t, [][]emr.AmendmentID{{}}, s.leftAmendments(t, args.Erasure))
	page, err := ledger.ListAmendments(s.Query(s.Orgs[ledgertest.HospitalB]), ledgerapi.PageQuery{Record: s.record.Record})
	require.NoError(t, err)
	require.Len(t, page.Items, 3, "that something was asked is no secret")
	s.verified(t, s.patient.Handle)
}

func TestWhatNobodyNamedOfWhatWasSaidIsPurgedLater(t *testing.T) {
	t.Parallel()
	s, accepted, disputed := amendments(t, sameAgain(t))
	open := s.asked(t)
	id := s.erased(t, s.record.Record)
	require.Equal(t, []int{2, 3, 1}, []int{s.texts(t, accepted), s.texts(t, disputed), s.texts(t, open)})
	require.Equal(t, emr.AmendmentAsked, s.amendment(t, open).Status)
	for _, left := range []emr.AmendmentID{accepted, disputed, open} {
		s.gone(t, left) // nobody is shown what is not purged yet
	}
	require.Equal(t, [][]emr.AmendmentID{sorted(accepted, disputed, open)}, s.leftAmendments(t, id))
	require.NoError(t, s.continued(t, ends(id, disputed)))
	require.Equal(t, []int{2, 0, 1}, []int{s.texts(t, accepted), s.texts(t, disputed), s.texts(t, open)})
	require.Equal(t, [][]emr.AmendmentID{sorted(accepted, open)}, s.leftAmendments(t, id))
	require.NoError(t, s.continued(t, ends(id, sorted(accepted, disputed, open)...)), "again, and nothing happens to what is purged")
	require.Equal(t, []int{0, 0, 0}, []int{s.texts(t, accepted), s.texts(t, disputed), s.texts(t, open)})
	require.Equal(t, emr.AmendmentEnded, s.amendment(t, open).Status)
	require.Equal(t, [][]emr.AmendmentID{{}}, s.leftAmendments(t, id))
	refuses(t, s.continued(t, ends(id)), emr.CodeRule, "already")
	last := s.verified(t, s.patient.Handle)
	require.Equal(t, emr.AuditErasureOrdered, last[len(last)-1].Kind, "the patient finds that more was purged")
}

// TestAPeerThatLacksATextPurgesIt: what is left is told by the hash that every peer
// has, so that all of them endorse the same and a text that comes later is not kept.
func TestAPeerThatLacksATextPurgesIt(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	asked := s.asked(t)
	key := ledgerapi.StatementKey(s.amendment(t, asked).Asking)
	text := s.Private(key)
	s.DropPrivate(key)
	id := s.erased(t, s.record.Record)
	require.Equal(t, [][]emr.AmendmentID{{asked}}, s.leftAmendments(t, id))
	require.NoError(t, s.continued(t, ends(id, asked)))
	hash, err := s.Query(s.Orgs[ledgertest.HospitalA]).PrivateHash(key)
	require.NoError(t, err)
	require.Empty(t, hash)
	s.OverwritePrivate(key, text) // a backup
	s.gone(t, asked)
}

func TestMoreAmendmentsThanOneTransactionEndsArePaged(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	var all []emr.AmendmentID
	for range ledgerapi.MaxEnded + 3 {
		all = append(all, s.asked(t))
	}
	id := s.erased(t, s.record.Record)
	pages := s.leftAmendments(t, id)
	require.Len(t, pages, 2)
	require.Len(t, pages[0], ledgerapi.MaxEnded)
	refuses(t, s.continued(t, ends(id, sorted(all...)...)), emr.CodeInvalid, "at most 32")
	for _, page := range pages {
		require.NoError(t, s.continued(t, ends(id, page...)))
	}
	require.Equal(t, sorted(all...), sorted(slices.Concat(pages...)...))
	require.Equal(t, [][]emr.AmendmentID{{}}, s.leftAmendments(t, id))
	for _, asked := range all {
		require.Zero(t, s.texts(t, asked))
	}
}

func TestNamingAmendmentsIsRefused(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	mine, living := s.asked(t), s.Record(t, s.author, s.scope, emr.ClassPrescription)
	other := s.askedOf(t, living.Record)
	rekeyed := s.Record(t, s.author, s.scope, emr.ClassMedicalInformation)
	before := s.askedOf(t, rekeyed.Record)
	s.rekeyed(t, rekeyed)
	foreign, _ := s.foreign(t)
	gone := s.Record(t, s.author, s.scope, emr.ClassMedicalImaging)
	order := s.erased(t, gone.Record)
	many := make([]emr.AmendmentID, ledgerapi.MaxEnded+1)
	for i := range many {
		many[i] = ledgertest.ID[emr.AmendmentID](emr.AmendmentPrefix)
	}
	for name, test := range map[string]struct {
		named []emr.AmendmentID
		code  emr.Code
	}{
		"about a record that lives":              {[]emr.AmendmentID{other}, emr.CodeRule},
		"about another record that was re-keyed": {[]emr.AmendmentID{before}, emr.CodeRule},
		"one that may end and one that may not":  {sorted(mine, other), emr.CodeRule},
		"another patient's":                      {[]emr.AmendmentID{foreign}, emr.CodeNotFound},
		"an unknown one":                         {[]emr.AmendmentID{ledgertest.ID[emr.AmendmentID](emr.AmendmentPrefix)}, emr.CodeNotFound},
		"one of another form":                    {[]emr.AmendmentID{"amd_1"}, emr.CodeInvalid},
		"a record's id":                          {[]emr.AmendmentID{emr.AmendmentID(s.record.Record)}, emr.CodeInvalid},
		"no id":                                  {[]emr.AmendmentID{""}, emr.CodeInvalid},
		"one twice":                              {[]emr.AmendmentID{mine, mine}, emr.CodeInvalid},
		"out of order":                           {reversed(mine, other), emr.CodeInvalid},
		"more than one transaction ends":         {sorted(many...), emr.CodeInvalid},
		"no list":                                {nil, emr.CodeInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			state := s.Dump()
			args := s.erase(s.record.Record)
			args.Amendments = test.named
			_, err := s.Try(t, s.patient, ledgerapi.EraseRecord, args)
			refuses(t, err, test.code, "")
			more := ends(order)
			more.Amendments = test.named
			refuses(t, s.continued(t, more), test.code, "")
			require.Equal(t, state, s.Dump())
		})
	}
	require.Equal(t, []int{1, 1, 1, 1}, []int{s.texts(t, mine), s.texts(t, other), s.texts(t, before), s.texts(t, foreign)})
	t.Run("no list, when the time of a class is over", func(t *testing.T) {
		args := s.expired(s.record.Record)
		args.Amendments = nil
		_, err := told(t, s, s.Orgs[ledgertest.HospitalB].Gateway, ledger.EraseExpired, args)
		refuses(t, err, emr.CodeInvalid, "amendments")
	})
}

func reversed(ids ...emr.AmendmentID) []emr.AmendmentID {
	ids = sorted(ids...)
	slices.Reverse(ids)
	return ids
}

// foreign are another patient's amendments: about a record that lives, and about an erased one.
func (s *scene) foreign(t testing.TB) (living, erased emr.AmendmentID) {
	t.Helper()
	other := &scene{Consortium: s.Consortium, author: s.author, patient: s.Patient(t, ledgertest.HospitalA), record: s.record}
	s.Accept(t, other.patient, s.author)
	other.scope = s.Scope(t, other.patient, emr.LevelPrivate)
	gone := s.Record(t, s.author, other.scope, emr.ClassMedicalImaging)
	living = other.askedOf(t, s.Record(t, s.author, other.scope, emr.ClassPrescription).Record)
	erased = other.askedOf(t, gone.Record)
	other.erased(t, gone.Record)
	return living, erased
}

// TestWhoErasesLearnsOfNobodyElsesAmendments: another patient's amendment, whatever it
// is about, is answered like one that nobody asked for, to the patient and to a gateway.
func TestWhoErasesLearnsOfNobodyElsesAmendments(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	living, erased := s.foreign(t)
	gone, first := s.Record(t, s.author, s.scope, emr.ClassPrescription), s.Record(t, s.author, s.scope, emr.ClassMedicalImaging)
	order := s.erased(t, gone.Record)
	s.rekeyed(t, first)
	rekey := s.getRecord(t, first.Record).Order
	asked := map[string]func(emr.AmendmentID) error{
		"an order of the patient": func(id emr.AmendmentID) error {
			args := s.erase(s.record.Record)
			args.Amendments = []emr.AmendmentID{id}
			_, err := s.Try(t, s.patient, ledgerapi.EraseRecord, args)
			return err
		},
		"the rest of an order":   func(id emr.AmendmentID) error { return s.continued(t, ends(order, id)) },
		"the rest of a re-key's": func(id emr.AmendmentID) error { return s.continued(t, ends(rekey, id)) },
	}
	for name, ask := range asked {
		unknown := ask(ledgertest.ID[emr.AmendmentID](emr.AmendmentPrefix))
		refuses(t, unknown, emr.CodeNotFound, "")
		for _, id := range []emr.AmendmentID{living, erased} {
			require.Equal(t, ledgerapi.EncodeError(unknown), ledgerapi.EncodeError(ask(id)), name)
		}
	}
	require.Equal(t, []int{1, 1}, []int{s.texts(t, living), s.texts(t, erased)})
	require.Equal(t, [][]emr.AmendmentID{{}}, s.leftAmendments(t, order), "nor is it listed")
}

// TestAReKeyEndsNothingThatWasSaid: the content of which it speaks lives on in the
// successor, until the record is erased.
func TestAReKeyEndsNothingThatWasSaid(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	denied, open := s.refused(t, s.record.Record), s.asked(t)
	second := s.rekeyed(t, s.record)
	order := s.getRecord(t, s.record.Record).Order
	require.Equal(t, [][]emr.AmendmentID{{}}, s.leftAmendments(t, order))
	refuses(t, s.continued(t, ends(order, denied)), emr.CodeRule, "re-keyed ends no amendment")
	for _, id := range []emr.AmendmentID{denied, open} {
		view, err := ledger.GetAmendmentAction(s.Query(s.Orgs[ledgertest.HospitalB]), ledgerapi.AmendmentQuery{Amendment: id})
		require.NoError(t, err)
		require.NotEmpty(t, view.Asking.Body)
	}
	s.Do(t, s.patient, ledgerapi.DisputeAmendment,
		ledgerapi.DisputeAmendmentArgs{Patient: s.patient.Handle, Amendment: denied, Text: "I have two knees"})
	third := s.next(t, second, nil)
	s.Do(t, s.author, ledgerapi.RegisterRecord, third)
	s.Do(t, s.author, ledgerapi.AnswerAmendment, ledgerapi.AnswerAmendmentArgs{Amendment: open, Accept: true, Version: third.Record})

	late := s.asked(t) // about the version that was re-keyed: nothing else is what the patient has seen
	args := s.erase(third.Record)
	args.Amendments = sorted(denied, open)
	require.Equal(t, emr.Permit, s.decides(t, s.patient, ledgerapi.EraseRecord, args).Decision)
	require.Equal(t, []int{0, 0, 1}, []int{s.texts(t, denied), s.texts(t, open), s.texts(t, late)})
	require.Equal(t, [][]emr.AmendmentID{{late}}, s.leftAmendments(t, args.Erasure))
	require.Equal(t, [][]emr.AmendmentID{{}}, s.leftAmendments(t, order), "the order of the re-key is not about it still")
	refuses(t, s.continued(t, ends(order, late)), emr.CodeRule, "re-keyed ends no amendment")
	require.NoError(t, s.continued(t, ends(args.Erasure, late)))
	require.Zero(t, s.texts(t, late))
	s.gone(t, late)
}

func TestADeniedErasureEndsNothingThatWasSaid(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	open := s.asked(t)
	hold := ledgerapi.HoldRecordArgs{Record: s.record.Record, Hold: true, Ground: emr.HoldLitigation}
	require.NoError(t, s.hold(s.Orgs[ledgertest.Regulator].Admin, hold))
	args := s.erase(s.record.Record)
	args.Amendments = []emr.AmendmentID{open}
	require.Equal(t, emr.ReasonHeldLitigation, s.decides(t, s.patient, ledgerapi.EraseRecord, args).Reason)
	expired := s.expired(s.record.Record)
	expired.Amendments = args.Amendments
	answer, err := told(t, s, s.Orgs[ledgertest.HospitalB].Gateway, ledger.EraseExpired, expired)
	require.NoError(t, err)
	require.Equal(t, emr.Deny, answer.Decision)
	require.Equal(t, 1, s.texts(t, open))
	require.Equal(t, emr.AmendmentAsked, s.amendment(t, open).Status)
	s.Do(t, s.author, ledgerapi.AnswerAmendment, ledgerapi.AnswerAmendmentArgs{Amendment: open, Text: "no"})
}

func TestWhatWasSaidIsPurgedWhenTheTimeOfAClassIsOver(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.keeps(t, emr.RetentionRule{Class: emr.ClassMedicalImaging, MaxDays: 30})
	open := s.asked(t)
	s.Wait(31 * day)
	args := s.expired(s.record.Record)
	args.Amendments = []emr.AmendmentID{open}
	answer, err := told(t, s, s.Orgs[ledgertest.HospitalB].Gateway, ledger.EraseExpired, args)
	require.NoError(t, err)
	require.Equal(t, emr.Permit, answer.Decision)
	require.Zero(t, s.texts(t, open))
	require.Equal(t, emr.AmendmentEnded, s.amendment(t, open).Status)
}

// TestOfAnErasureAndAWordAtOnceOneCommits: nothing is said about a record while it is
// being erased, so that no text is left that the order could not have named.
func TestOfAnErasureAndAWordAtOnceOneCommits(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	open, denied := s.asked(t), s.refused(t, s.record.Record)
	begin := func(by ledgertest.Member, function string, args any) *ledgertest.Tx {
		tx := s.Begin(s.Facts(s.patient.Org.Gateway))
		_, err := ledgertest.Run(tx, function, ledgertest.Raw(t, s.Sign(t, by, function, args)))
		require.NoError(t, err)
		return tx
	}
	late := map[string]*ledgertest.Tx{
		"a question": begin(s.patient, ledgerapi.AskAmendment, s.askAmendment()),
		"an answer":  begin(s.author, ledgerapi.AnswerAmendment, ledgerapi.AnswerAmendmentArgs{Amendment: open, Text: "no"}),
		"a disagreement": begin(s.patient, ledgerapi.DisputeAmendment,
			ledgerapi.DisputeAmendmentArgs{Patient: s.patient.Handle, Amendment: denied, Text: "x"}),
	}
	args := s.erase(s.record.Record)
	args.Amendments = sorted(open, denied)
	first := begin(s.patient, ledgerapi.EraseRecord, args)
	s.erased(t, s.record.Record)
	for name, tx := range late {
		require.ErrorIs(t, tx.Commit(), ledgertest.ErrConflict, name)
	}
	require.ErrorIs(t, first.Commit(), ledgertest.ErrConflict, "a second order")
}

func TestADenialOfAnErasedRecordLeavesTheInbox(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	denied := s.refused(t, s.record.Record)
	mine := ledgerapi.PageQuery{Patient: s.patient.Handle}
	require.Equal(t, string(denied), s.inbox(t, mine)[0].ID)
	s.erased(t, s.record.Record)
	require.Empty(t, s.inbox(t, mine), "there is nothing to dispute")
}
