// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package recovery

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/emrys-health/emrys/pkg/pre"
	"github.com/emrys-health/emrys/pkg/pre/internal/algebra"
)

// circle is a patient with guardians and a new device.
type circle struct {
	t        testing.TB
	secret   []byte
	plan     Plan
	keys     []*pre.HybridPrivateKey
	packages []SealedPackage
	device   *pre.HybridPrivateKey
	now      time.Time
	request  *Request
}

func hybrid(t testing.TB) *pre.HybridPrivateKey {
	t.Helper()
	k, err := pre.GenerateHybridKey()
	require.NoError(t, err)
	return k
}

func newCircle(t testing.TB, threshold, guardians int) *circle {
	t.Helper()
	c := &circle{t: t, secret: []byte("thirty-two bytes of a root seed."), device: hybrid(t), now: time.Unix(1_800_000_000, 0).UTC()}
	c.plan = Plan{Owner: "pat_1", Check: [32]byte{1, 2}, Threshold: threshold, Created: c.now.Add(-time.Hour)}
	for i := range guardians {
		k := hybrid(t)
		c.keys = append(c.keys, k)
		c.plan.Guardians = append(c.plan.Guardians, Guardian{ID: fmt.Sprintf("g%d", i+1), Key: k.Public()})
	}
	var err error
	c.packages, err = Split(nil, c.secret, c.plan)
	require.NoError(t, err)
	c.request = c.ask(Request{})
	return c
}

// ask makes a request; what change sets is kept.
func (c *circle) ask(change Request) *Request {
	c.t.Helper()
	r := Request{Owner: c.plan.Owner, Key: c.device.Public(), Device: "new phone", Created: c.now, Expires: c.now.Add(time.Hour)}
	if change.Owner != "" {
		r.Owner = change.Owner
	}
	if change.Backup != nil {
		r.Backup = change.Backup
	}
	made, err := NewRequest(nil, r)
	require.NoError(c.t, err)
	return made
}

func (c *circle) open(i int) *Package {
	c.t.Helper()
	p, err := OpenPackage(c.keys[i], c.packages[i].Sealed)
	require.NoError(c.t, err)
	return p
}

func (c *circle) answer(i int) []byte {
	c.t.Helper()
	a, err := c.open(i).Answer(c.request, c.now)
	require.NoError(c.t, err)
	return a
}

func (c *circle) answers(of ...int) [][]byte {
	var out [][]byte
	for _, i := range of {
		out = append(out, c.answer(i))
	}
	return out
}

func (c *circle) combine(answers ...[]byte) ([]byte, []*GuardianError, error) {
	return Combine(c.device, c.request, answers, func(secret []byte, check [32]byte) error {
		if check != c.plan.Check {
			return errors.New("another check value")
		}
		return nil
	})
}

func TestAnyQuorumRecoversTheSecretAndFewerDoNot(t *testing.T) {
	t.Parallel()
	for _, size := range [][2]int{{2, 2}, {2, 3}, {3, 5}} {
		threshold, n := size[0], size[1]
		c := newCircle(t, threshold, n)
		for first := range n {
			var of []int
			for i := range threshold {
				of = append(of, (first+i)%n)
			}
			got, refused, err := c.combine(c.answers(of...)...)
			require.NoError(t, err)
			require.Empty(t, refused)
			require.Equal(t, c.secret, got)
			_, _, err = c.combine(c.answers(of[1:]...)...)
			require.ErrorIs(t, err, ErrTooFewShares)
		}
		all := make([]int, n)
		for i := range all {
			all[i] = i
		}
		got, _, err := c.combine(c.answers(all...)...)
		require.NoError(t, err)
		require.Equal(t, c.secret, got)
		repeated := c.answer(0)
		_, _, err = c.combine(repeated, repeated, c.answer(0))
		require.ErrorIs(t, err, ErrTooFewShares, "a repeated answer does not count")
		_, _, err = c.combine()
		require.ErrorIs(t, err, ErrTooFewShares)
	}
}

func TestAPackageTellsItsGuardianWhatItIs(t *testing.T) {
	t.Parallel()
	c := newCircle(t, 2, 3)
	p := c.open(1)
	require.Equal(t, "pat_1", p.Owner())
	require.Equal(t, 2, p.Threshold())
	require.Equal(t, c.plan.Created, p.Created())
	require.Equal(t, c.plan.Check, p.Check())
	require.Len(t, p.Guardians(), 3)
	require.Equal(t, Member{"g2", "", c.keys[1].Public().ID()}, p.Self())
	require.Equal(t, c.open(0).Backup(), p.Backup())
	require.Equal(t, "g2", c.packages[1].Guardian)
	other := newCircle(t, 2, 3)
	require.NotEqual(t, p.Backup(), other.open(0).Backup())

	y := p.share.y.Bytes()
	for _, shown := range []any{p, struct{ P *Package }{p}, []*Package{p}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d"} {
			text := fmt.Sprintf(verb, shown)
			require.NotContains(t, text, fmt.Sprintf("%x", y[4:12]))
			require.NotContains(t, text, strings.Trim(fmt.Sprint(y[4:12]), "[]"))
		}
		_, err := json.Marshal(shown)
		require.ErrorIs(t, err, pre.ErrParameter)
	}
	require.Equal(t, "recovery.Package(nil)", (*Package)(nil).String())
}

// R4: no organisation's people form a quorum.
func TestTheGuardiansOfOneOrganisationNeverSuffice(t *testing.T) {
	t.Parallel()
	split := func(threshold int, organisations ...string) error {
		p := Plan{Owner: "o", Threshold: threshold, Created: time.Unix(1, 0)}
		for i, o := range organisations {
			p.Guardians = append(p.Guardians, Guardian{fmt.Sprintf("g%d", i), o, hybrid(t).Public()})
		}
		_, err := Split(nil, []byte("s"), p)
		return err
	}
	require.NoError(t, split(2, "A", "B"))
	require.NoError(t, split(3, "A", "A", "B"))
	require.NoError(t, split(2, "", "", ""), "independent people count one by one")
	alike := Plan{Owner: "o", Threshold: 2, Created: time.Unix(1, 0), Guardians: []Guardian{{"Ann", "", hybrid(t).Public()}, {"ann", "", hybrid(t).Public()}}}
	_, err := Split(nil, []byte("s"), alike)
	require.NoError(t, err, "people whose names are alike are two")
	require.ErrorIs(t, split(2, "A", "A", "B"), ErrRule)
	require.ErrorIs(t, split(3, "A", "B", "a", "A"), ErrRule, "letter case does not hide an organisation")
	require.ErrorIs(t, split(2, "Ä", "ä"), ErrRule)
	require.ErrorIs(t, split(3, "A", "A", "A"), ErrRule)
	require.ErrorIs(t, split(2, "A", "A "), pre.ErrParameter, "spaces do not either")
	require.ErrorIs(t, split(2, "A", " "), pre.ErrParameter)
	named := &GuardianError{}
	require.ErrorAs(t, split(2, "A", "A"), &named)
	require.Equal(t, "g1", named.Guardian)
}

func TestPlansThatAreRefused(t *testing.T) {
	t.Parallel()
	a, b := hybrid(t).Public(), hybrid(t).Public()
	good := func() Plan {
		return Plan{Owner: "o", Threshold: 2, Created: time.Unix(1, 0), Guardians: []Guardian{{"a", "", a}, {"b", "", b}}}
	}
	many := make([]Guardian, MaxGuardians+1)
	for i := range many {
		many[i] = Guardian{fmt.Sprint(i), "", a}
	}
	for name, change := range map[string]func(*Plan){
		"threshold zero":             func(p *Plan) { p.Threshold = 0 },
		"threshold one":              func(p *Plan) { p.Threshold = 1 },
		"threshold above the number": func(p *Plan) { p.Threshold = 3 },
		"no guardian":                func(p *Plan) { p.Guardians = nil },
		"too many guardians":         func(p *Plan) { p.Guardians = many },
		"a guardian without a key":   func(p *Plan) { p.Guardians[1].Key = nil },
		"a guardian twice":           func(p *Plan) { p.Guardians[1].ID = "a" },
		"a key twice":                func(p *Plan) { p.Guardians[1].Key = a },
		"a guardian without an id":   func(p *Plan) { p.Guardians[1].ID = "" },
		"an id with spaces around":   func(p *Plan) { p.Guardians[1].ID = "b " },
		"an id with a control":       func(p *Plan) { p.Guardians[1].ID = "b\n" },
		"an id too long":             func(p *Plan) { p.Guardians[1].ID = strings.Repeat("b", 129) },
		"an id that is not UTF-8":    func(p *Plan) { p.Guardians[1].ID = "\xff" },
		"an organisation with a tab": func(p *Plan) { p.Guardians[1].Organisation = "A\tB" },
		"no owner":                   func(p *Plan) { p.Owner = "" },
		"a time before 1970":         func(p *Plan) { p.Created = time.Unix(-1, 0) },
	} {
		p := good()
		change(&p)
		_, err := Split(nil, []byte("s"), p)
		require.ErrorIs(t, err, pre.ErrParameter, name)
	}
	for _, secret := range [][]byte{nil, make([]byte, MaxSecret+1)} {
		_, err := Split(nil, secret, good())
		require.ErrorIs(t, err, pre.ErrParameter)
	}
	boom := errors.New("boom")
	for _, n := range []int64{0, 32, 32 + 48} {
		_, err := Split(iotestLimit(n, boom), []byte("s"), good())
		require.ErrorIs(t, err, boom, "randomness ends after %d bytes", n)
	}
	_, err := Split(bytes.NewReader(make([]byte, 1024)), []byte("s"), good())
	require.ErrorIs(t, err, algebra.ErrDegenerate)
	longest, err := Split(nil, make([]byte, MaxSecret), good())
	require.NoError(t, err)
	require.Len(t, longest, 2)
}

type limited struct {
	left int64
	err  error
}

func (l *limited) Read(p []byte) (int, error) {
	if l.left <= 0 {
		return 0, l.err
	}
	n, err := rand.Read(p[:min(int64(len(p)), l.left)])
	l.left -= int64(n)
	return n, err
}

func iotestLimit(n int64, err error) *limited { return &limited{n, err} }

// R6: a guardian refuses whatever is not its own sound package.
func TestPackagesThatAGuardianRefuses(t *testing.T) {
	t.Parallel()
	c := newCircle(t, 2, 3)
	sealed := c.packages[0].Sealed
	_, err := OpenPackage(nil, sealed)
	require.ErrorIs(t, err, pre.ErrParameter)
	_, err = OpenPackage(c.keys[1], sealed)
	require.ErrorIs(t, err, pre.ErrDecrypt, "another guardian cannot open it")
	for _, n := range []int{0, 1, 32, 33, 100, len(sealed) - 1} {
		_, err = OpenPackage(c.keys[0], sealed[:n])
		require.Error(t, err, "%d bytes", n)
	}
	for at := 0; at < len(sealed); at += 7 {
		changed := bytes.Clone(sealed)
		changed[at] ^= 1
		_, err = OpenPackage(c.keys[0], changed)
		require.Error(t, err, "byte %d", at)
	}
	_, err = OpenPackage(c.keys[0], append(bytes.Clone(sealed), 0))
	require.Error(t, err)
}

// reseal lets a hostile owner's device seal whatever it wants to a guardian.
func (c *circle) reseal(i int, head []byte, s *share) []byte {
	c.t.Helper()
	b, err := s.encode()
	require.NoError(c.t, err)
	sealed, err := pre.SealTo(c.keys[i].Public(), packageInfo(head, c.keys[i].Public().ID()), b)
	require.NoError(c.t, err)
	return append(bytes.Clone(head), sealed...)
}

func TestAHostileDealerIsRefusedByItsGuardians(t *testing.T) {
	t.Parallel()
	c := newCircle(t, 2, 3)
	one := algebra.P256().Field().Small(1)
	head := c.packages[0].Sealed[:packageHead]
	for name, tc := range map[string]struct {
		want   error
		change func(s *share, st *statement)
	}{
		"nothing changed":                   {nil, func(*share, *statement) {}},
		"a value that was not committed to": {pre.ErrProof, func(s *share, _ *statement) { s.y = s.y.Add(one) }},
		"a value of zero":                   {pre.ErrMalformed, func(s *share, _ *statement) { s.y = s.y.Sub(s.y) }},
		"another guardian's share":          {pre.ErrProof, func(s *share, _ *statement) { *s = *c.open(1).share }},
		"an index of zero":                  {pre.ErrMalformed, func(s *share, _ *statement) { s.index = 0 }},
		"an index beyond the list":          {pre.ErrMalformed, func(s *share, _ *statement) { s.index = 4 }},
		"a list without this guardian":      {pre.ErrProof, func(_ *share, st *statement) { st.members[0].KeyID = pre.KeyID{9} }},
		"a guardian named twice":            {pre.ErrParameter, func(_ *share, st *statement) { st.members[1].ID = "g1" }},
		"a threshold of one":                {pre.ErrParameter, func(_ *share, st *statement) { st.threshold = 1; st.commitments = st.commitments[:1] }},
		"a commitment less":                 {pre.ErrMalformed, func(_ *share, st *statement) { st.commitments = st.commitments[:1] }},
		"a commitment more":                 {pre.ErrMalformed, func(_ *share, st *statement) { st.commitments = append(st.commitments, st.commitments[0]) }},
		"other commitments": {pre.ErrProof, func(_ *share, st *statement) {
			st.commitments[1] = st.commitments[0]
		}},
		"people of one hospital as a quorum": {ErrRule, func(_ *share, st *statement) { st.members[1].Organisation, st.members[2].Organisation = "H", "h" }},
		"another backup":                     {pre.ErrProof, func(_ *share, st *statement) { st.backup[0] ^= 1 }},
		"no owner":                           {pre.ErrMalformed, func(_ *share, st *statement) { st.owner = "" }},
		"no secret":                          {pre.ErrMalformed, func(_ *share, st *statement) { st.wrapped = st.wrapped[:gcmOverhead] }},
		"a secret too long":                  {pre.ErrMalformed, func(_ *share, st *statement) { st.wrapped = make([]byte, MaxSecret+gcmOverhead+1) }},
	} {
		s := &share{}
		*s = *c.open(0).share
		st := *s.statement
		st.members = append([]Member(nil), st.members...)
		st.commitments = append([]commitment(nil), st.commitments...)
		s.statement = &st
		tc.change(s, &st)
		require.NoError(t, st.seal())
		_, err := OpenPackage(c.keys[0], c.reseal(0, head, s))
		if tc.want == nil {
			require.NoError(t, err, name)
			continue
		}
		require.ErrorIs(t, err, tc.want, name)
	}
	wrongIndex := append(bytes.Clone(head[:HashSize]), 2)
	_, err := OpenPackage(c.keys[0], c.reseal(0, wrongIndex, c.open(0).share))
	require.ErrorIs(t, err, pre.ErrProof)
}

// R8: who answers falsely is named, and does not stop the others.
func TestALyingGuardianIsNamedAndDoesNoHarm(t *testing.T) {
	t.Parallel()
	c := newCircle(t, 2, 4)
	one := algebra.P256().Field().Small(1)
	lie := func(change func(s *share)) []byte {
		s := *c.open(0).share
		change(&s)
		a, err := (&Package{&s}).Answer(c.request, c.now)
		require.NoError(t, err)
		return a
	}
	altered := func(at int) []byte { b := c.answer(0); b[len(b)-at] ^= 1; return b }
	other := newCircle(t, 2, 3)
	other.request = c.request
	elsewhere := c.ask(Request{})
	replayed, err := c.open(0).Answer(elsewhere, c.now)
	require.NoError(t, err)
	renamed := c.answer(0)
	renamed[bytes.Index(renamed, []byte("bg1"))+2] = '4' // text(2) g1
	for name, tc := range map[string]struct {
		answer   []byte
		guardian string
		want     error
	}{
		"a false value":                  {lie(func(s *share) { s.y = s.y.Add(one) }), "g1", pre.ErrProof},
		"altered bytes":                  {altered(1), "g1", pre.ErrDecrypt},
		"an altered encapsulation":       {altered(400), "g1", pre.ErrDecrypt},
		"an answer to another request":   {replayed, "g1", pre.ErrProof},
		"an answer under another's name": {renamed, "g4", pre.ErrDecrypt},
		"bytes that are no answer":       {[]byte("hello"), "", pre.ErrMalformed},
		"no bytes":                       {nil, "", pre.ErrMalformed},
	} {
		got, refused, err := c.combine(tc.answer, c.answer(1), c.answer(2))
		require.NoError(t, err, name)
		require.Equal(t, c.secret, got)
		require.Len(t, refused, 1, name)
		require.Equal(t, tc.guardian, refused[0].Guardian, name)
		require.ErrorIs(t, refused[0], tc.want, name)
		require.NotEmpty(t, refused[0].Error())

		_, _, err = c.combine(tc.answer, c.answer(1))
		require.ErrorIs(t, err, ErrTooFewShares, name)
		require.ErrorIs(t, err, tc.want, "the reason comes along")
	}
	fourth := lie(func(s *share) { *s = *c.open(3).share })
	sealed, err := c.open(3).share.encode()
	require.NoError(t, err)
	box, err := pre.SealTo(c.device.Public(), answerInfo(c.request, "g1"), sealed)
	require.NoError(t, err)
	posing, err := encode(answerWire{Header: headerOf(kindAnswer), Request: c.request.hash[:], Guardian: "g1", Sealed: box})
	require.NoError(t, err)
	_, refused, err := c.combine(posing, fourth, c.answer(1))
	require.NoError(t, err)
	require.Len(t, refused, 1)
	require.ErrorIs(t, refused[0], pre.ErrProof, "a share sent under another guardian's name")
	nameless, err := encode(answerWire{Header: headerOf(kindAnswer), Request: c.request.hash[:], Guardian: "\n", Sealed: box})
	require.NoError(t, err)
	_, refused, _ = c.combine(nameless)
	require.ErrorIs(t, refused[0], pre.ErrMalformed)
}

func TestTwoBackupsAreKeptApart(t *testing.T) {
	t.Parallel()
	old := newCircle(t, 2, 3)
	later := newCircle(t, 2, 3)
	later.device, later.request = old.device, old.request
	later.plan.Check = old.plan.Check

	got, _, err := old.combine(later.answer(0), old.answer(0), old.answer(2))
	require.NoError(t, err, "the one with a quorum counts")
	require.Equal(t, old.secret, got)
	_, _, err = old.combine(later.answer(0), old.answer(1))
	require.ErrorIs(t, err, ErrTooFewShares, "shares of two backups do not add up")
	_, _, err = old.combine(later.answer(0), later.answer(1), old.answer(0), old.answer(1))
	require.ErrorIs(t, err, ErrConflict)

	id := old.open(0).Backup()
	chosen := old.ask(Request{Backup: id[:]})
	old.request, later.request = chosen, chosen
	_, err = later.open(0).Answer(chosen, old.now)
	require.ErrorIs(t, err, ErrOtherBackup)
	got, _, err = old.combine(old.answers(0, 1)...)
	require.NoError(t, err)
	require.Equal(t, old.secret, got)

	forced := *chosen // a guardian that answers with a backup nobody asked for
	forced.Backup = nil
	a, err := later.open(0).Answer(&forced, old.now)
	require.NoError(t, err)
	_, refused, err := old.combine(append(old.answers(0, 1), a)...)
	require.NoError(t, err)
	require.Len(t, refused, 1)
	require.ErrorIs(t, refused[0], ErrOtherBackup)
}

func TestAnAlteredStatementDoesNotUnwrap(t *testing.T) {
	t.Parallel()
	c := newCircle(t, 2, 3)
	var answers [][]byte
	for i := range 2 {
		s := *c.open(i).share
		st := *s.statement
		st.check[0] ^= 1 // both guardians and the dealer collude on another check value
		require.NoError(t, st.seal())
		s.statement = &st
		a, err := (&Package{&s}).Answer(c.request, c.now)
		require.NoError(t, err)
		answers = append(answers, a)
	}
	_, _, err := c.combine(answers...)
	require.ErrorIs(t, err, pre.ErrDecrypt, "the secret is bound to its whole statement")
}

func TestTheCallersCheckDecidesLast(t *testing.T) {
	t.Parallel()
	c := newCircle(t, 2, 2)
	mine := errors.New("not my keys")
	_, _, err := Combine(c.device, c.request, c.answers(0, 1), func([]byte, [32]byte) error { return mine })
	require.ErrorIs(t, err, ErrCheck)
	require.ErrorIs(t, err, mine)
	got, _, err := Combine(c.device, c.request, c.answers(0, 1), func(b []byte, _ [32]byte) error { clear(b); return nil })
	require.NoError(t, err)
	require.Equal(t, c.secret, got, "the check sees a copy")
	for name, try := range map[string]func() error{
		"no key": func() error {
			_, _, err := Combine(nil, c.request, nil, func([]byte, [32]byte) error { return nil })
			return err
		},
		"no request": func() error {
			_, _, err := Combine(c.device, nil, nil, func([]byte, [32]byte) error { return nil })
			return err
		},
		"an unmade one": func() error {
			_, _, err := Combine(c.device, &Request{}, nil, func([]byte, [32]byte) error { return nil })
			return err
		},
		"no check": func() error { _, _, err := Combine(c.device, c.request, nil, nil); return err },
		"another key": func() error {
			_, _, err := Combine(c.keys[0], c.request, nil, func([]byte, [32]byte) error { return nil })
			return err
		},
	} {
		require.ErrorIs(t, try(), pre.ErrParameter, name)
	}
}

// R7: requests.
func TestRequestsAreAnsweredInTheirTimeAndForTheirOwnerOnly(t *testing.T) {
	t.Parallel()
	c := newCircle(t, 2, 2)
	p := c.open(0)
	for at, want := range map[time.Duration]error{
		-11 * time.Minute: ErrExpired, -9 * time.Minute: nil, 0: nil, time.Hour - time.Second: nil, time.Hour: ErrExpired, 48 * time.Hour: ErrExpired,
	} {
		_, err := p.Answer(c.request, c.now.Add(at))
		require.ErrorIs(t, err, want, at.String())
	}
	_, err := p.Answer(c.ask(Request{Owner: "pat_2"}), c.now)
	require.ErrorIs(t, err, ErrOtherBackup)
	_, err = p.Answer(c.ask(Request{Backup: make([]byte, 32)}), c.now)
	require.ErrorIs(t, err, ErrOtherBackup)
	_, err = p.Answer(nil, c.now)
	require.ErrorIs(t, err, pre.ErrParameter)
	_, err = p.Answer(&Request{}, c.now)
	require.ErrorIs(t, err, pre.ErrParameter)
	_, err = (*Package)(nil).Answer(c.request, c.now)
	require.ErrorIs(t, err, pre.ErrParameter)
}

func TestRequestsHaveOneEncodingAndWordsOfTheirOwn(t *testing.T) {
	t.Parallel()
	c := newCircle(t, 2, 2)
	again, err := ParseRequest(c.request.Bytes())
	require.NoError(t, err)
	require.Equal(t, c.request.Hash(), again.Hash())
	require.Equal(t, c.request.Words(), again.Words())
	require.Len(t, again.Words(), 6)
	require.NotEqual(t, c.ask(Request{}).Words(), c.request.Words(), "every request has its own")

	good := Request{Owner: "o", Key: c.device.Public(), Created: c.now, Expires: c.now.Add(time.Minute)}
	for name, change := range map[string]func(*Request){
		"no key":             func(r *Request) { r.Key = nil },
		"no owner":           func(r *Request) { r.Owner = "" },
		"a short backup id":  func(r *Request) { r.Backup = make([]byte, 31) },
		"a device too long":  func(r *Request) { r.Device = strings.Repeat("d", 129) },
		"no time":            func(r *Request) { r.Expires = r.Created },
		"too much time":      func(r *Request) { r.Expires = r.Created.Add(MaxRequestLife + time.Second) },
		"a time before 1970": func(r *Request) { r.Created = time.Unix(-5, 0); r.Expires = time.Unix(5, 0) },
		"a time after 9999":  func(r *Request) { r.Created = time.Unix(maxTime, 0); r.Expires = time.Unix(maxTime+1, 0) },
	} {
		r := good
		change(&r)
		_, err := NewRequest(nil, r)
		require.ErrorIs(t, err, pre.ErrParameter, name)
	}
	boom := errors.New("boom")
	_, err = NewRequest(iotest.ErrReader(boom), good)
	require.ErrorIs(t, err, boom)

	wire := func(change func(*requestWire)) []byte {
		w := requestWire{
			Header: headerOf(kindRequest), Owner: "o", Key: c.device.Public().Bytes(), Created: 5, Expires: 6, Nonce: make([]byte, 32),
		}
		change(&w)
		b, err := encode(w)
		require.NoError(t, err)
		return b
	}
	_, err = ParseRequest(wire(func(*requestWire) {}))
	require.NoError(t, err)
	for name, b := range map[string][]byte{
		"nothing":          nil,
		"another version":  wire(func(w *requestWire) { w.Header.Version = 2 }),
		"another suite":    wire(func(w *requestWire) { w.Header.Suite = "EMRYS-PRE-V2" }),
		"another kind":     wire(func(w *requestWire) { w.Header.Kind = kindAnswer }),
		"a short key":      wire(func(w *requestWire) { w.Key = w.Key[1:] }),
		"a short nonce":    wire(func(w *requestWire) { w.Nonce = w.Nonce[1:] }),
		"a distant time":   wire(func(w *requestWire) { w.Expires = 1 << 63 }),
		"times that fall":  wire(func(w *requestWire) { w.Expires = 4 }),
		"a byte left over": append(wire(func(*requestWire) {}), 0),
		"a byte too few":   wire(func(*requestWire) {})[:40],
		"a longer integer": bytes.Replace(wire(func(*requestWire) {}), []byte{5, 6}, []byte{0x18, 5, 6}, 1),
	} {
		_, err := ParseRequest(b)
		require.ErrorIs(t, err, pre.ErrMalformed, name)
	}
}

// R10: with t-1 shares every secret is possible.
func TestOneShareLessTellsNothing(t *testing.T) {
	t.Parallel()
	field := algebra.P256().Field()
	rapid.Check(t, func(t *rapid.T) {
		threshold := rapid.IntRange(2, 5).Draw(t, "threshold")
		key, err := field.Random(rand.Reader)
		require.NoError(t, err)
		f, err := algebra.NewPolynomial(rand.Reader, key, threshold)
		require.NoError(t, err)
		var known []algebra.Share
		for x := range threshold - 1 {
			at := uint8(x + 1) //nolint:gosec // small
			known = append(known, algebra.Share{X: at, Y: f.At(field.Small(at))})
		}
		other, err := field.Random(rand.Reader)
		require.NoError(t, err)
		// The polynomial through the known shares and the other key at zero exists: interpolate its value at the next guardian.
		through := append([]algebra.Share{{X: 0, Y: other}}, known...)
		missing, err := algebra.Interpolate(through, 200)
		require.NoError(t, err)
		got, err := algebra.Combine(threshold, append(known, algebra.Share{X: 200, Y: missing}))
		require.NoError(t, err)
		require.True(t, got.Equal(other))
	})
}

func FuzzParseRequest(f *testing.F) {
	c := newCircle(f, 2, 2)
	f.Add(c.request.Bytes())
	f.Add([]byte{0x80})
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := ParseRequest(b)
		if err != nil {
			require.ErrorIs(t, err, pre.ErrMalformed)
			return
		}
		require.Equal(t, b, r.Bytes())
	})
}

func FuzzParseShare(f *testing.F) {
	c := newCircle(f, 2, 3)
	for i := range 3 {
		b, err := c.open(i).share.encode()
		require.NoError(f, err)
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := parseShare(b)
		if err != nil {
			return
		}
		again, err := s.encode()
		require.NoError(t, err)
		require.Equal(t, b, again)
	})
}

func FuzzCombine(f *testing.F) {
	c := newCircle(f, 2, 2)
	f.Add(c.answer(0))
	f.Add(c.answer(1))
	f.Fuzz(func(t *testing.T, b []byte) {
		_, _, err := c.combine(b)
		require.ErrorIs(t, err, ErrTooFewShares, "one answer never suffices")
	})
}
