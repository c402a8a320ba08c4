// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package rest

import (
	"strconv"

	"github.com/emrys-health/emrys/gateway/internal/httpx"
	"github.com/emrys-health/emrys/pkg/api"
	"github.com/emrys-health/emrys/pkg/emr"
)

func (d *Door) getConsent(c *call) (any, error) {
	version, err := consentVersion(c.r.PathValue("version"))
	if err != nil {
		return nil, err
	}
	return d.service.Consent(c.r.Context(), c.who, version)
}

// consentVersion reads the number of a version; the word current is 0, which stands for it.
func consentVersion(text string) (uint32, error) {
	if text == api.CurrentConsent {
		return 0, nil
	}
	n, err := strconv.ParseUint(text, 10, 32)
	if err != nil || n == 0 || strconv.FormatUint(n, 10) != text {
		return 0, emr.Invalid("version", "must be the number of a version, or current")
	}
	return uint32(n), nil
}

func (d *Door) previewConsent(c *call) (any, error) {
	var in api.ConsentPreviewRequest
	if err := httpx.ReadJSON(c.w, c.r, &in); err != nil {
		return nil, err
	}
	return d.service.PreviewConsent(c.r.Context(), c.who, in)
}
