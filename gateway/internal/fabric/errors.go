// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package fabric

import (
	"context"
	"errors"
	"strings"

	"github.com/hyperledger/fabric-protos-go-apiv2/gateway"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// details returns what single peers said about a failure.
func details(err error) []*gateway.ErrorDetail {
	var found []*gateway.ErrorDetail
	for _, detail := range status.Convert(unwrapStatus(err)).Details() {
		if d, ok := detail.(*gateway.ErrorDetail); ok {
			found = append(found, d)
		}
	}
	return found
}

// unwrapStatus finds the error of a chain that carries a gRPC status.
func unwrapStatus(err error) error {
	var s interface{ GRPCStatus() *status.Status }
	if errors.As(err, &s) {
		return s.GRPCStatus().Err()
	}
	return err
}

func grpcCode(err error) codes.Code { return status.Code(unwrapStatus(err)) }

// contractError finds the contract's own error in a failure: the own
// organisation's answer first, then any other peer's, then the text itself.
func (l *Ledger) contractError(err error) *emr.Error {
	var found *emr.Error
	for _, d := range details(err) {
		told, decodeErr := ledgerapi.DecodeError(d.GetMessage())
		if decodeErr != nil {
			continue
		}
		if d.GetMspId() == l.msp {
			return told
		}
		if found == nil {
			found = told
		}
	}
	if found != nil {
		return found
	}
	if told, decodeErr := ledgerapi.DecodeError(err.Error()); decodeErr == nil {
		return told
	}
	return nil
}

// beforeSubmit gives a failed query or endorsement its code. Nothing has been
// submitted: except for the contract's own refusals it may be tried again.
func (l *Ledger) beforeSubmit(err error) error {
	if err == nil {
		return nil
	}
	if told := l.contractError(err); told != nil {
		told.Err = err
		return told
	}
	switch code := grpcCode(err); {
	case code == codes.DeadlineExceeded, errors.Is(err, context.DeadlineExceeded):
		return emr.Wrap(emr.CodeTimeout, "the ledger did not answer in time; nothing was submitted", err)
	case code == codes.Canceled, errors.Is(err, context.Canceled):
		return emr.Wrap(emr.CodeTimeout, "the call was given up before anything was submitted", err)
	case code == codes.Unavailable, code == codes.Aborted, code == codes.FailedPrecondition, code == codes.ResourceExhausted:
		return emr.Wrap(emr.CodeUnavailable, "the ledger is not available; nothing was submitted", err)
	default:
		return emr.Wrap(emr.CodeInternal, emr.InternalMessage, err)
	}
}

// refusal tells whether an error is the contract's own, and not one of the way to it.
func refusal(err error) bool {
	switch emr.CodeOf(err) {
	case emr.CodeUnavailable, emr.CodeTimeout, emr.CodeInternal:
		return false
	default:
		return true
	}
}

// nodeDown tells whether the peer that was asked is out of reach, so that another
// of the organisation's peers may answer. What a peer reports of others names them
// in the details.
func nodeDown(err error) bool {
	return grpcCode(err) == codes.Unavailable && len(details(err)) == 0
}

// accepted tells whether a submission's error says that the orderers have the
// transaction already.
func accepted(err error) bool {
	if err == nil {
		return true
	}
	texts := []string{err.Error()}
	for _, d := range details(err) {
		texts = append(texts, d.GetMessage())
	}
	for _, text := range texts {
		if strings.Contains(text, "request already") {
			return true
		}
	}
	return false
}

// lagging tells whether only other organisations' peers refused: the own peer
// gave its endorsement, so the others have probably not committed the latest block.
func (l *Ledger) lagging(err error) bool {
	found := details(err)
	for _, d := range found {
		if d.GetMspId() == l.msp {
			return false
		}
	}
	return len(found) > 0
}
