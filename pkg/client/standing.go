// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"time"

	"github.com/emrys-health/emrys/pkg/consent"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// Answered is what was done about one waiting request.
type Answered struct {
	Request emr.RequestID `json:"request"`
	// Decision and Reason are what the standing consent says, decided on this device.
	Decision emr.Decision `json:"decision"`
	Reason   emr.Reason   `json:"reason"`
	// Given is the grant; nil unless the decision was permit and it was given.
	Given *Given `json:"given"`
	// Failed is why the request could not be looked at or answered; empty otherwise.
	Failed emr.Code `json:"failed,omitempty"`
}

// maxWaiting bounds how many pages of requests are looked through.
const maxWaiting = 10

// AnswerStanding answers the waiting requests that the calling patient's standing
// consent permits, without asking anybody: each with a grant of the one record for
// the one purpose, for at most span and no longer than the consent permits it.
// Nothing rests on the gateway's word: consent, record and maker are proven by
// several organisations, the request is what its maker signed, and the decision is
// made here. What is not permitted is left alone, to be asked about.
func (c *Client) AnswerStanding(ctx context.Context, span time.Duration) ([]Answered, error) {
	standing, err := c.Consent(ctx, 0)
	if err != nil {
		return nil, err
	}
	answers := []Answered{}
	page := Page{Limit: ledgerapi.MaxPageSize}
	for range maxWaiting {
		found, err := c.Requests(ctx, page)
		if err != nil {
			return answers, err
		}
		for i := range found.Items {
			if found.Items[i].Status == emr.RequestPending {
				answers = append(answers, c.answerStanding(ctx, standing, found.Items[i].ID, span))
			}
		}
		if page.Cursor = found.Bookmark; page.Cursor == "" {
			break
		}
	}
	return answers, nil
}

func (c *Client) answerStanding(
	ctx context.Context, standing *consent.Consent, id emr.RequestID, span time.Duration,
) Answered {
	answer := Answered{Request: id}
	asked, err := c.Request(ctx, id)
	if err != nil {
		answer.Failed = emr.CodeOf(err)
		return answer
	}
	record, err := c.Record(ctx, asked.Request.Record)
	if err == nil && record.Patient != c.profile.Handle {
		err = corrupt("the request is for another patient's record", nil)
	}
	if err != nil {
		answer.Failed = emr.CodeOf(err)
		return answer
	}
	now := emr.TimeOf(c.now())
	facts := consent.Facts{Purpose: asked.Request.Purpose}.By(&asked.By).About(record)
	said := consent.Decide(standing, facts, now)
	answer.Decision, answer.Reason = said.Decision, said.Reason
	if said.Decision != emr.Permit {
		return answer
	}
	until := consent.Lasts(standing, facts, now, now.Add(span))
	if answer.Given, err = c.Grant(ctx, Giving{Request: id, Until: until.Std()}); err != nil {
		answer.Given, answer.Failed = nil, emr.CodeOf(err)
	}
	return answer
}
