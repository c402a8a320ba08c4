// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package signature

import (
	"encoding/base64"
	"strconv"
	"strings"

	"github.com/emrys-health/emrys/pkg/emr"
)

// Limits of a passkey's relying party.
const (
	// MaxOrigins is the number of origins that a key may be pinned with.
	MaxOrigins = 4
	maxParty   = 253 // octets of a domain name
	maxLabel   = 63
	maxOrigin  = 280 // octets: scheme, domain and port
)

const (
	webScheme = "https://"
	// localHost is a developer's own machine, the one host that a browser takes for
	// secure without TLS.
	localHost   = "localhost"
	localScheme = "http://"
	// androidScheme begins the origin of an Android app: the base64url of its
	// signing certificate's SHA-256 follows.
	androidScheme = "android:apk-key-hash:"
)

// checkParty checks the relying party id and the origins of a passkey.
func checkParty(field string, key emr.PinnedKey) error {
	if !domain(key.RelyingParty) {
		return emr.Invalid(field, "must name the relying party by a domain in lower case")
	}
	if len(key.Origins) == 0 || len(key.Origins) > MaxOrigins {
		return emr.Invalid(field, "must name 1 to 4 origins")
	}
	for i, origin := range key.Origins {
		if !originOf(origin, key.RelyingParty) {
			return emr.Invalid(field, "names an origin that is not of the relying party")
		}
		if i > 0 && key.Origins[i-1] >= origin {
			return emr.Invalid(field, "must name its origins sorted, none twice")
		}
	}
	return nil
}

// domain accepts a host name in lower case (RFC 1123) whose last label is not a
// number, which would make it an address.
func domain(name string) bool {
	if name == "" || len(name) > maxParty {
		return false
	}
	labels := strings.Split(name, ".")
	for _, label := range labels {
		if !hostLabel(label) {
			return false
		}
	}
	return strings.Trim(labels[len(labels)-1], "0123456789") != ""
}

func hostLabel(label string) bool {
	if label == "" || len(label) > maxLabel || label[0] == '-' || label[len(label)-1] == '-' {
		return false
	}
	return strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-") == ""
}

// originOf accepts an origin as a browser writes it (scheme, host, port when it is
// not the scheme's own) whose host is the party or below it, and an Android app.
func originOf(origin, party string) bool {
	if len(origin) > maxOrigin {
		return false
	}
	if hash, app := strings.CutPrefix(origin, androidScheme); app {
		sum, err := base64.RawURLEncoding.Strict().DecodeString(hash)
		return err == nil && len(sum) == 32 && !strings.ContainsAny(hash, "\r\n")
	}
	if rest, local := strings.CutPrefix(origin, localScheme); local {
		host, ok := withoutPort(rest, 80)
		return ok && host == localHost && party == localHost
	}
	rest, web := strings.CutPrefix(origin, webScheme)
	host, ok := withoutPort(rest, 443)
	return web && ok && domain(host) && (host == party || strings.HasSuffix(host, "."+party))
}

// withoutPort cuts a port off, which must be written as a browser does.
func withoutPort(text string, usual int) (host string, ok bool) {
	host, port, found := strings.Cut(text, ":")
	if !found {
		return host, true
	}
	n, err := strconv.ParseUint(port, 10, 16)
	return host, err == nil && n != 0 && int(n) != usual && strconv.FormatUint(n, 10) == port
}
