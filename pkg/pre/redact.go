// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package pre

import (
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
)

// What holds a secret shows a name that tells whose it is and nothing of it: to package fmt with every verb, to log/slog, and to the
// runtime when it is the value of a panic. Encoders (JSON, XML, YAML) get ErrParameter, since what they made of a name
// could not be read again; each type's own encoding is the only one.

func redact(f fmt.State, name string) { _, _ = io.WriteString(f, name) }

func noText(what string) ([]byte, error) { return nil, parameter("%s has no text form", what) }

// String returns a name that shows the public key's id and nothing of the secret.
func (k *PrivateKey) String() string {
	if !k.valid() {
		return "pre.PrivateKey(nil)"
	}
	return "pre.PrivateKey(" + k.pub.ID().String() + ")"
}

// GoString is String.
func (k *PrivateKey) GoString() string { return k.String() }

// Format writes String for every verb, so that no verb prints the secret.
func (k *PrivateKey) Format(f fmt.State, _ rune) { redact(f, k.String()) }

// LogValue is String.
func (k *PrivateKey) LogValue() slog.Value { return slog.StringValue(k.String()) }

// MarshalText refuses: see InsecureBytes.
func (k PrivateKey) MarshalText() ([]byte, error) { return noText("private key") }

func (s *signer) String() string               { return s.key.String() }
func (s *signer) GoString() string             { return s.key.String() }
func (s *signer) Format(f fmt.State, _ rune)   { redact(f, s.key.String()) }
func (s *signer) LogValue() slog.Value         { return s.key.LogValue() }
func (s *signer) MarshalText() ([]byte, error) { return noText("signer") }

// String returns a name that shows the public key's id and nothing of the secret.
func (k *HybridPrivateKey) String() string {
	if k == nil || k.pub == nil {
		return "pre.HybridPrivateKey(nil)"
	}
	return "pre.HybridPrivateKey(" + k.pub.ID().String() + ")"
}

// GoString is String.
func (k *HybridPrivateKey) GoString() string { return k.String() }

// Format writes String for every verb, so that no verb prints the secret.
func (k *HybridPrivateKey) Format(f fmt.State, _ rune) { redact(f, k.String()) }

// LogValue is String.
func (k *HybridPrivateKey) LogValue() slog.Value { return slog.StringValue(k.String()) }

// MarshalText refuses: see InsecureBytes.
func (k HybridPrivateKey) MarshalText() ([]byte, error) { return noText("hybrid private key") }

// String returns gateway and the start of the fragment's commitment, and nothing secret.
func (k *KeyFragment) String() string {
	if !k.valid() {
		return "pre.KeyFragment(nil)"
	}
	c := k.Commitment()
	return "pre.KeyFragment(" + k.gateway + ", " + hex.EncodeToString(c[:8]) + ")"
}

// GoString is String.
func (k *KeyFragment) GoString() string { return k.String() }

// Format writes String for every verb, so that no verb prints the secret.
func (k *KeyFragment) Format(f fmt.State, _ rune) { redact(f, k.String()) }

// LogValue is String.
func (k *KeyFragment) LogValue() slog.Value { return slog.StringValue(k.String()) }

// MarshalText refuses: see SealKeyFragment.
func (k KeyFragment) MarshalText() ([]byte, error) { return noText("key fragment") }

// String returns gateway and index, and nothing secret.
func (s Share) String() string { return fmt.Sprintf("pre.Share(%s, %d)", s.gateway, s.index) }

// GoString is String.
func (s Share) GoString() string { return s.String() }

// Format writes String for every verb, so that no verb prints the secret.
func (s Share) Format(f fmt.State, _ rune) { redact(f, s.String()) }

// LogValue is String.
func (s Share) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText refuses.
func (s Share) MarshalText() ([]byte, error) { return noText("share") }
