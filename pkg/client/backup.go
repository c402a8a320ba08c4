// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package client

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/emrys-health/emrys/pkg/atomicfile"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/keystore"
	"github.com/emrys-health/emrys/pkg/pre"
	"github.com/emrys-health/emrys/pkg/pre/recovery"
)

const (
	cardKind         = "emrys-guardian-card"
	recoveryKind     = "emrys-recovery"
	recoveryFileName = "recovery.json"
	// maxCard bounds a card in bytes.
	maxCard = 256 << 10

	// recoveryLife is how long guardians may answer a request.
	recoveryLife = 7 * 24 * time.Hour
)

// Card is what a person or a hospital hands out to become somebody's guardian (docs/spec/recovery.md R9.3). It is public.
type Card struct {
	V            int    `json:"v"`
	Kind         string `json:"kind"`
	ID           string `json:"id"`
	Organisation string `json:"organisation"` // empty for somebody independent of every hospital
	Key          []byte `json:"key"`          // hybrid public key
}

// ParseCard reads and validates a card.
func ParseCard(data []byte) (*Card, error) {
	var c Card
	if len(data) > maxCard {
		return nil, emr.E(emr.CodeTooLarge, "card is larger than 256 KiB")
	}
	if err := emr.Decode(data, &c); err != nil || c.V != formatVersion || c.Kind != cardKind {
		return nil, emr.Wrap(emr.CodeInvalid, "the file is not a guardian's card; the guardian makes one with: emrys key card -o FILE", err)
	}
	if _, err := pre.ParseHybridPublicKey(c.Key); err != nil {
		return nil, emr.Wrap(emr.CodeInvalid, "the card holds no key that can be sealed to", err)
	}
	return &c, nil
}

// Fingerprint names the card's key: what guardian and patient compare by voice.
func (c *Card) Fingerprint() string {
	key, err := pre.ParseHybridPublicKey(c.Key)
	if err != nil {
		return ""
	}
	return key.ID().String()
}

func (c *Card) guardian() (recovery.Guardian, error) {
	key, err := pre.ParseHybridPublicKey(c.Key)
	if err != nil {
		return recovery.Guardian{}, emr.Wrap(emr.CodeInvalid, "the card of "+c.ID+" holds no key that can be sealed to", err)
	}
	return recovery.Guardian{ID: c.ID, Organisation: c.Organisation, Key: key}, nil
}

// KeyRing is the keys of a profile without its gateway: what backups and recovery need.
type KeyRing struct {
	dir     string
	profile *Profile
	store   *keystore.Store
}

// OpenKeys opens the keys of the profile in dir. passphrase is nil when they are not sealed.
func OpenKeys(dir string, passphrase []byte) (*KeyRing, error) {
	p, err := LoadProfile(dir)
	if err != nil {
		return nil, err
	}
	store, err := keystore.Open(dir, passphrase)
	if err != nil {
		return nil, keyError(err)
	}
	return &KeyRing{dir, p, store}, nil
}

// KeyState is what may be shown of a profile's keys.
type KeyState struct {
	Owner       string   `json:"owner"`
	Generations []uint32 `json:"generations"` // the first epoch of each generation of the seed
	Check       string   `json:"check"`       // as it stands on a paper key of these generations
	Hybrid      string   `json:"hybrid"`      // fingerprint of the key that shares, copies and packages are sealed to
	Consent     string   `json:"consent"`     // fingerprint of the key that signs on the ledger
	Sealed      bool     `json:"sealed"`
}

// State returns the public side of the keys.
func (k *KeyRing) State() (*KeyState, error) {
	check, err := k.check()
	if err != nil {
		return nil, err
	}
	return &KeyState{
		Owner: k.profile.ID, Generations: k.store.Roots().Generations(), Check: recovery.PaperCheck(check),
		Hybrid: k.store.Hybrid().Public().ID().String(), Consent: k.store.Consent().KeyID(), Sealed: k.store.Sealed(),
	}, nil
}

func (k *KeyRing) check() (check [recovery.HashSize]byte, err error) {
	return rootsCheck(k.store.Roots())
}

func rootsCheck(r keystore.Roots) (check [recovery.HashSize]byte, err error) {
	b, err := r.Check()
	if err != nil {
		return check, fmt.Errorf("derive check value: %w", err)
	}
	copy(check[:], b)
	return check, nil
}

// Card returns this person's card. A patient's names no organisation: being treated at a hospital makes nobody one of its people.
func (k *KeyRing) Card() *Card {
	c := &Card{V: formatVersion, Kind: cardKind, ID: k.profile.ID, Key: k.store.Hybrid().Public().Bytes()}
	if !k.profile.IsPatient() {
		c.Organisation = string(k.profile.Org)
	}
	return c
}

// Paper returns the words of every generation of the seed. They are the secret.
func (k *KeyRing) Paper() (string, error) {
	check, err := k.check()
	if err != nil {
		return "", err
	}
	p := &recovery.Paper{Owner: k.profile.ID, Check: recovery.PaperCheck(check)}
	for _, g := range k.store.Roots().InsecureList() {
		p.Seeds = append(p.Seeds, recovery.PaperSeed{From: g.From, Seed: g.Seed})
	}
	text, err := p.Text()
	return text, recoveryError(err)
}

// Backup splits the seed among guardians: any threshold of them bring it back. Compare every card's fingerprint with its owner first.
func (k *KeyRing) Backup(cards []*Card, threshold int, now time.Time) ([]recovery.SealedPackage, error) {
	check, err := k.check()
	if err != nil {
		return nil, err
	}
	plan := recovery.Plan{Owner: k.profile.ID, Check: check, Threshold: threshold, Created: now}
	for _, c := range cards {
		g, err := c.guardian()
		if err != nil {
			return nil, err
		}
		plan.Guardians = append(plan.Guardians, g)
	}
	secret := k.store.Roots().InsecureMarshal()
	defer clear(secret)
	packages, err := recovery.Split(nil, secret, plan)
	return packages, recoveryError(err)
}

// OpenPackage opens and checks a package that somebody gave this person to keep.
func (k *KeyRing) OpenPackage(sealed []byte) (*recovery.Package, error) {
	p, err := recovery.OpenPackage(k.store.Hybrid(), sealed)
	return p, recoveryError(err)
}

// Answer answers a request with a package. Compare the request's words with its maker first.
func Answer(p *recovery.Package, r *recovery.Request, now time.Time) ([]byte, error) {
	answer, err := p.Answer(r, now)
	return answer, recoveryError(err)
}

// ParseRecoveryRequest reads a request for a guardian to answer.
func ParseRecoveryRequest(data []byte) (*recovery.Request, error) {
	r, err := recovery.ParseRequest(data)
	return r, recoveryError(err)
}

// recoveryState is what a device keeps while it waits for guardians.
type recoveryState struct {
	V       int    `json:"v"`
	Kind    string `json:"kind"`
	Key     []byte `json:"key"` // the one-time private key
	Request []byte `json:"request"`
}

// StartRecovery makes a request for guardians of owner, and keeps its one-time key in dir (mode 0600) until FinishRecovery. An earlier
// request that waits there is returned again: its answers stay good.
func StartRecovery(dir, owner, device string, now time.Time) (*recovery.Request, error) {
	if kind, err := HasKeys(dir); err != nil || kind != KeysNone {
		return nil, errors.Join(err, emr.E(emr.CodeExists, dir+" holds keys already; recover into another profile with --profile"))
	}
	if _, r, err := loadRecovery(dir); err == nil && r.Owner == owner && now.Before(r.Expires) {
		return r, nil
	} else if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	key, err := pre.GenerateHybridKey()
	if err != nil {
		return nil, fmt.Errorf("make recovery key: %w", err)
	}
	r, err := recovery.NewRequest(nil, recovery.Request{
		Owner: owner, Key: key.Public(), Device: device, Created: now, Expires: now.Add(recoveryLife),
	})
	if err != nil {
		return nil, recoveryError(err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, emr.Wrap(emr.CodeInvalid, "cannot make the profile's directory "+dir, err)
	}
	seed, err := key.InsecureBytes()
	if err != nil {
		return nil, fmt.Errorf("keep recovery key: %w", err)
	}
	defer clear(seed)
	content, err := emr.Canonical(recoveryState{V: formatVersion, Kind: recoveryKind, Key: seed, Request: r.Bytes()})
	if err != nil {
		return nil, fmt.Errorf("keep recovery key: %w", err)
	}
	defer clear(content)
	return r, atomicfile.Write(filepath.Join(dir, recoveryFileName), content, ownerOnly)
}

func loadRecovery(dir string) (*pre.HybridPrivateKey, *recovery.Request, error) {
	content, err := readPublic(filepath.Join(dir, recoveryFileName))
	if err != nil {
		return nil, nil, err
	}
	defer clear(content)
	var s recoveryState
	if err := emr.Decode(content, &s); err != nil || s.V != formatVersion || s.Kind != recoveryKind {
		return nil, nil, emr.Wrap(emr.CodeCorrupt, recoveryFileName+" is not a recovery that was started here", err)
	}
	defer clear(s.Key)
	key, err := pre.ParseHybridPrivateKey(s.Key)
	if err != nil {
		return nil, nil, emr.Wrap(emr.CodeCorrupt, recoveryFileName+" holds no key", err)
	}
	r, err := recovery.ParseRequest(s.Request)
	if err != nil {
		return nil, nil, recoveryError(err)
	}
	return key, r, nil
}

// Recovered is what a recovery brought back.
type Recovered struct {
	Owner       string   `json:"owner,omitempty"`
	Generations []uint32 `json:"generations"`
	Hybrid      string   `json:"hybrid"`            // fingerprint: must be the one that the patient's copies were sealed to
	Refused     []string `json:"refused,omitempty"` // guardians whose answers were false
}

// ExpectNone stands for a fingerprint that its owner has from nowhere.
const ExpectNone = "none"

// FinishRecovery combines the guardians' answers and writes the keys to dir, under passphrase unless that is nil. expect is the
// fingerprint that the recovered hybrid key must have, from an old card or the registry: only it tells a backup that false guardians
// made up, so whoever has none must say [ExpectNone]. The keys that sign and read are new, and must be registered.
func FinishRecovery(dir string, passphrase []byte, answers [][]byte, expect string) (*Recovered, error) {
	if expect == "" {
		return nil, emr.E(emr.CodeInvalid, "the expected fingerprint is missing; say "+ExpectNone+" if there is none to compare with")
	}
	key, request, err := loadRecovery(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil, emr.E(emr.CodeNotFound, "no recovery was started in "+dir+"; begin with: emrys key recover start")
	}
	if err != nil {
		return nil, err
	}
	secret, refused, err := recovery.Combine(key, request, answers, func(secret []byte, check [recovery.HashSize]byte) error {
		return checkRoots32(secret, check, expect)
	})
	if err != nil {
		return nil, recoveryError(err)
	}
	defer clear(secret)
	roots, err := keystore.ParseRoots(secret)
	if err != nil {
		return nil, keyError(err)
	}
	out, err := restore(dir, passphrase, roots)
	if err != nil {
		return nil, err
	}
	out.Owner = request.Owner
	for _, r := range refused {
		out.Refused = append(out.Refused, r.Guardian)
	}
	if err := os.Remove(filepath.Join(dir, recoveryFileName)); err != nil {
		return out, emr.Wrap(emr.CodeInternal, "the keys are recovered, but "+recoveryFileName+" could not be removed; remove it by hand", err)
	}
	return out, nil
}

// checkRoots32 refuses a secret that is no seed, or not the one that was backed up.
func checkRoots32(secret []byte, check [recovery.HashSize]byte, expect string) error {
	roots, err := keystore.ParseRoots(secret)
	if err != nil {
		return err
	}
	got, err := rootsCheck(roots)
	if err != nil {
		return err
	}
	if got != check {
		return errors.New("check value")
	}
	return checkHybrid(roots, expect)
}

func checkHybrid(roots keystore.Roots, expect string) error {
	hybrid, err := roots.Hybrid()
	if err != nil {
		return err
	}
	if expect != "" && expect != ExpectNone && !strings.EqualFold(expect, hybrid.Public().ID().String()) {
		return errors.New("fingerprint of the hybrid key")
	}
	return nil
}

// RecoverFromPaper writes the keys that a paper key gives to dir. expect, when not empty, is compared as by [FinishRecovery]; the paper
// is the owner's own, so it may be left out.
func RecoverFromPaper(dir string, passphrase []byte, sheet, expect string) (*Recovered, error) {
	p, err := recovery.ParsePaper(sheet)
	if err != nil {
		return nil, recoveryError(err)
	}
	list := make([]keystore.InsecureRoot, len(p.Seeds))
	for i, s := range p.Seeds {
		list[i] = keystore.InsecureRoot{From: s.From, Seed: s.Seed}
	}
	roots, err := keystore.RootsOf(list)
	if err != nil {
		return nil, emr.Wrap(emr.CodeInvalid, "a line of the paper key is missing: the first begins with 1", err)
	}
	check, err := rootsCheck(roots)
	if err != nil {
		return nil, err
	}
	if p.Check != "" && p.Check != recovery.PaperCheck(check) {
		return nil, emr.E(emr.CodeCorrupt, "the words do not give the check on the sheet; a line is missing or from another sheet")
	}
	if err := checkHybrid(roots, expect); err != nil {
		return nil, recoveryError(fmt.Errorf("%w: %w", recovery.ErrCheck, err))
	}
	out, err := restore(dir, passphrase, roots)
	if err != nil {
		return nil, err
	}
	out.Owner = p.Owner
	return out, nil
}

func restore(dir string, passphrase []byte, roots keystore.Roots) (*Recovered, error) {
	store, err := keystore.Restore(dir, passphrase, roots, rand.Reader)
	if err != nil {
		return nil, keyError(err)
	}
	return &Recovered{Generations: roots.Generations(), Hybrid: store.Hybrid().Public().ID().String()}, nil
}

// recoveryError gives a failure of package recovery a code and a way out.
func recoveryError(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, recovery.ErrRule):
		return emr.Wrap(emr.CodeRule, "the guardians of one organisation alone could recover the keys; choose more from elsewhere, or a higher threshold", err)
	case errors.Is(err, recovery.ErrTooFewShares):
		return emr.Wrap(emr.CodeUnavailable, "too few good answers for a recovery"+namesOf(err)+"; ask more guardians", err)
	case errors.Is(err, recovery.ErrConflict):
		return emr.Wrap(emr.CodeConflict, "the answers belong to different backups; give only those of one", err)
	case errors.Is(err, recovery.ErrExpired):
		return emr.Wrap(emr.CodeGone, "the request is not valid at this time; the device makes a new one with: emrys key recover start", err)
	case errors.Is(err, recovery.ErrOtherBackup):
		return emr.Wrap(emr.CodeInvalid, "the package belongs to somebody else than the request is about", err)
	case errors.Is(err, recovery.ErrCheck):
		return emr.Wrap(emr.CodeCorrupt, "what was recovered are not the expected keys; nothing was written", err)
	case errors.Is(err, recovery.ErrWords):
		where := err.Error()
		if w, ok := errors.AsType[*recovery.WordError](err); ok {
			where = w.Error()
		}
		return emr.Wrap(emr.CodeInvalid, where, err)
	case errors.Is(err, pre.ErrDecrypt), errors.Is(err, pre.ErrMalformed), errors.Is(err, pre.ErrProof):
		return emr.Wrap(emr.CodeCorrupt, "the file is not a good one for these keys; tell who gave it to you", err)
	case errors.Is(err, pre.ErrParameter):
		return emr.Wrap(emr.CodeInvalid, "this set of guardians, owner or device is not possible: at least 2 guardians, each named once, "+
			"and a threshold of at least 2", err)
	}
	return err
}

// namesOf lists guardians whose answers were refused.
func namesOf(err error) string {
	var names []string
	var walk func(error)
	walk = func(err error) {
		if g, ok := err.(*recovery.GuardianError); ok && g.Guardian != "" { //nolint:errorlint // the tree is walked by hand
			names = append(names, g.Guardian)
		}
		if many, ok := err.(interface{ Unwrap() []error }); ok { //nolint:errorlint // the tree is walked by hand
			for _, e := range many.Unwrap() {
				walk(e)
			}
		}
	}
	walk(err)
	if len(names) == 0 {
		return ""
	}
	return " (refused: " + strings.Join(names, ", ") + ")"
}
