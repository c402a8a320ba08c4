// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

// Package auth turns a caller's assertion into a principal: it checks the
// certificate against the channel's MSPs, reads the role together with the
// organisation that asserts it, and issues short-lived opaque tokens of which it
// keeps only the hashes.
package auth

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/emrys-health/emrys/gateway/internal/service"
	"github.com/emrys-health/emrys/pkg/api"
	"github.com/emrys-health/emrys/pkg/emr"
)

const (
	// TokenLife is how long a token is good.
	TokenLife = 10 * time.Minute
	// trustLife is how long a channel configuration is believed before it is read again.
	trustLife   = 2 * time.Minute
	tokenBytes  = 32
	maxTokens   = 100_000
	maxReplays  = 100_000
	bearerLabel = "Bearer"
)

// ConfigBlocks is where the channel's configuration comes from.
type ConfigBlocks interface {
	ConfigBlock(ctx context.Context) ([]byte, error)
}

// Organisations tells what kind each organisation is.
type Organisations interface {
	Organisations(ctx context.Context) ([]emr.Organisation, error)
}

// Settings of an authenticator.
type Settings struct {
	// Organisation is the gateway's own; Audience what assertions must name.
	Organisation emr.OrgID
	Audience     string
	Now          func() time.Time
	Random       io.Reader
	Log          *slog.Logger
	// OnTrust, when set, is told the MSP ids of the channel's organisations whenever they are read.
	OnTrust func(orgs []string)
}

// Authenticator issues tokens and recognises them. It is safe for concurrent use.
type Authenticator struct {
	Settings
	blocks ConfigBlocks
	orgs   Organisations
	trust  atomic.Pointer[Trust]

	mu     sync.Mutex
	tokens map[[sha256.Size]byte]session
	spent  map[[sha256.Size]byte]time.Time // assertions used, until when they would be valid
}

type session struct {
	principal service.Principal
	expires   time.Time
}

// New makes an authenticator. Nothing is asked of the ledger yet.
func New(settings Settings, blocks ConfigBlocks, orgs Organisations) *Authenticator {
	if settings.Random == nil {
		settings.Random = rand.Reader
	}
	return &Authenticator{
		Settings: settings, blocks: blocks, orgs: orgs,
		tokens: make(map[[sha256.Size]byte]session), spent: make(map[[sha256.Size]byte]time.Time),
	}
}

// Refresh reads the channel's configuration. When it fails the last one stays in use.
func (a *Authenticator) Refresh(ctx context.Context) error {
	block, err := a.blocks.ConfigBlock(ctx)
	if err != nil {
		return fmt.Errorf("ask for the channel's configuration: %w", err)
	}
	trust, err := ParseTrust(block)
	if err != nil {
		return err
	}
	a.trust.Store(trust)
	if a.OnTrust != nil {
		a.OnTrust(trust.Organisations())
	}
	return nil
}

// Run refreshes the trust until ctx ends.
func (a *Authenticator) Run(ctx context.Context) error {
	ticker := time.NewTicker(trustLife)
	defer ticker.Stop()
	for {
		if err := a.Refresh(ctx); err != nil && ctx.Err() == nil {
			a.Log.WarnContext(ctx, "trust not refreshed", slog.String("error", err.Error()))
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func refused(message string) *emr.Error { return emr.E(emr.CodeUnauthenticated, message) }

// Exchange checks an assertion and issues a token for its signer.
func (a *Authenticator) Exchange(ctx context.Context, text string) (api.TokenResponse, service.Principal, error) {
	now := a.Now()
	claim, err := parseAssertion(text, a.Audience, now)
	if err != nil {
		return api.TokenResponse{}, service.Principal{}, refused(err.Error())
	}
	who, err := a.principal(ctx, claim, now)
	if err != nil {
		return api.TokenResponse{}, service.Principal{}, err
	}
	if err := a.spend(claim, now); err != nil {
		return api.TokenResponse{}, service.Principal{}, err
	}
	life := min(TokenLife, claim.cert.NotAfter.Sub(now)).Truncate(time.Second)
	token, err := a.issue(who, now, life)
	if err != nil {
		return api.TokenResponse{}, service.Principal{}, err
	}
	return api.TokenResponse{AccessToken: token, TokenType: bearerLabel, ExpiresIn: int(life / time.Second)}, who, nil
}

// principal judges the certificate: who vouches for whom, and as what.
func (a *Authenticator) principal(ctx context.Context, claim *assertion, now time.Time) (service.Principal, error) {
	var none service.Principal
	trust, err := a.current(ctx)
	if err != nil {
		return none, err
	}
	org, err := trust.Verify(claim.cert, now)
	if err != nil {
		return none, refused(err.Error())
	}
	role, level, err := attributes(claim.cert)
	if err != nil {
		return none, refused(err.Error())
	}
	if err := a.checkRole(ctx, org, role); err != nil {
		return none, err
	}
	who := service.Principal{Subject: claim.subject, Role: role, Org: org, Level: level}
	return who, a.checkSubject(who)
}

func (a *Authenticator) current(ctx context.Context) (*Trust, error) {
	if t := a.trust.Load(); t != nil {
		return t, nil
	}
	if err := a.Refresh(ctx); err != nil {
		return nil, emr.Wrap(emr.CodeUnavailable, "the channel's configuration is not available", err)
	}
	return a.trust.Load(), nil
}

// checkRole refuses a role that the organisation may not assert.
func (a *Authenticator) checkRole(ctx context.Context, org emr.OrgID, role emr.Role) error {
	orgs, err := a.orgs.Organisations(ctx)
	if err != nil {
		return err
	}
	at := slices.IndexFunc(orgs, func(o emr.Organisation) bool { return o.ID == org })
	if at < 0 {
		return refused("the organisation that certifies the caller is not registered on the ledger")
	}
	if !orgs[at].Kind.MayAssert(role) || role == emr.RoleGateway {
		return refused("the certificate's role is not one that its organisation may give to people")
	}
	return nil
}

// checkSubject refuses names that do not fit the role, and professionals of other organisations.
func (a *Authenticator) checkSubject(who service.Principal) error {
	if who.IsPatient() {
		if emr.CheckID("sub", emr.PatientID(who.Subject)) != nil {
			return refused("the certificate's common name is not a patient's pseudonym")
		}
		return nil
	}
	if emr.CheckID("sub", emr.ClinicianID(who.Subject)) != nil {
		return refused("the certificate's common name is not a professional's id")
	}
	if who.Org != a.Organisation {
		return emr.E(emr.CodeForbidden, "professionals sign in at the gateway of their own organisation")
	}
	return nil
}

// spend notes an assertion's id, and refuses one that was used before.
func (a *Authenticator) spend(claim *assertion, now time.Time) error {
	key := sha256.Sum256([]byte(claim.subject + "\x00" + claim.id))
	a.mu.Lock()
	defer a.mu.Unlock()
	if until, ok := a.spent[key]; ok && now.Before(until) {
		return refused("assertion was used before")
	}
	if len(a.spent) >= maxReplays {
		for k, until := range a.spent {
			if !now.Before(until) {
				delete(a.spent, k)
			}
		}
		if len(a.spent) >= maxReplays {
			return emr.E(emr.CodeRateLimited, "too many tokens are being asked for")
		}
	}
	a.spent[key] = claim.expires
	return nil
}

func (a *Authenticator) issue(who service.Principal, now time.Time, life time.Duration) (string, error) {
	var raw [tokenBytes]byte
	if _, err := io.ReadFull(a.Random, raw[:]); err != nil {
		return "", fmt.Errorf("draw token: %w", err)
	}
	token := base64.RawURLEncoding.EncodeToString(raw[:])
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.tokens) >= maxTokens {
		a.forget(now)
		if len(a.tokens) >= maxTokens {
			return "", emr.E(emr.CodeRateLimited, "too many tokens are in use")
		}
	}
	a.tokens[sha256.Sum256([]byte(token))] = session{principal: who, expires: now.Add(life)}
	return token, nil
}

// forget drops tokens whose time is over. The caller holds mu.
func (a *Authenticator) forget(now time.Time) {
	for key, s := range a.tokens {
		if !now.Before(s.expires) {
			delete(a.tokens, key)
		}
	}
}

// Authenticate returns the principal of a token. Tokens are found by their
// SHA-256, so that the time of a look-up tells nothing about a token.
func (a *Authenticator) Authenticate(token string) (service.Principal, error) {
	key := sha256.Sum256([]byte(token))
	now := a.Now()
	a.mu.Lock()
	defer a.mu.Unlock()
	s, ok := a.tokens[key]
	if !ok || !now.Before(s.expires) {
		delete(a.tokens, key)
		return service.Principal{}, refused("the token is missing, unknown or expired")
	}
	return s.principal, nil
}
