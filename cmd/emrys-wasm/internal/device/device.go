// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package device

import (
	"slices"
	"sync"

	"github.com/emrys-health/emrys/pkg/emr"
)

// Fields are named values that cross the border: string, bool, float64, []byte, []any, Fields, and, inwards, [Agree]; outwards
// also int, uint32 and *[PayloadKey].
type Fields = map[string]any

// Agree is one key agreement by a key outside of this program: it returns the x coordinate, 32 bytes, of that key times peer,
// a point in 65 uncompressed bytes. It may block.
type Agree = func(peer []byte) ([]byte, error)

// operation is one entry of the border. It reads its arguments and must end with arguments.end before it acts.
type operation func(a *arguments) (Fields, error)

// Device holds one person's secrets behind handles. It is safe for concurrent use: operations run one after the other,
// except that one which waits for a key outside of this program lets others run meanwhile.
type Device struct {
	mu         sync.Mutex
	secrets    table
	operations map[string]operation
}

// New returns a device without secrets.
func New() *Device {
	d := &Device{secrets: table{entries: map[uint32]holder{}}}
	d.operations = map[string]operation{
		"generateSeed":         d.generateSeed,
		"sealSeed":             d.sealSeed,
		"openSeed":             d.openSeed,
		"deriveScope":          d.deriveScope,
		"deriveHybrid":         d.deriveHybrid,
		"generateReadingKey":   d.generateReadingKey,
		"generateSigningKey":   d.generateSigningKey,
		"recoverPaper":         d.recoverPaper,
		"requestRecovery":      d.requestRecovery,
		"recoverFromGuardians": d.recoverFromGuardians,
		"close":                d.closeHandle,
		"closeAll":             d.closeAll,
		"countHandles":         d.countHandles,

		"prepareAction":   prepareAction,
		"finishAction":    finishAction,
		"finishAssertion": finishAssertion,
		"signAction":      signAction,

		"checkConsent":  checkConsent,
		"decideConsent": decideConsent,

		"rekey": rekey,
		"grant": grant,

		"contextHash":           contextHash,
		"verifyManifest":        verifyManifest,
		"verifyTicket":          verifyTicket,
		"verifyReceipt":         verifyReceipt,
		"verifyCapsule":         verifyCapsule,
		"verifyKeyFragment":     verifyKeyFragment,
		"verifyCapsuleFragment": verifyCapsuleFragment,
		"inspectEnvelope":       inspectEnvelope,

		"openShared": d.openShared,
		"openOwn":    d.openOwn,
		"payloadKey": payloadKey,
	}
	return d
}

// Operations returns the names of all operations, sorted.
func (d *Device) Operations() []string {
	names := make([]string, 0, len(d.operations))
	for name := range d.operations {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Call performs an operation. Its error is always a *[Error]. It never panics.
func (d *Device) Call(name string, args Fields) (result Fields, failure *Error) {
	defer func() {
		if recover() != nil { // the value may hold anything, so it is not shown
			result, failure = nil, failed(CodeInternal, emr.InternalMessage)
		}
	}()
	d.mu.Lock()
	defer d.mu.Unlock()
	op, ok := d.operations[name]
	if !ok {
		return nil, failed(CodeUnknownOperation, "there is no such operation")
	}
	out, err := op(&arguments{fields: args, device: d})
	if err != nil {
		return nil, failureOf(err)
	}
	return out, nil
}

// outside runs a foreign operation, which may block, without holding up others.
func (d *Device) outside(f func()) {
	d.mu.Unlock()
	defer d.mu.Lock()
	f()
}

// keep puts a secret behind a new handle.
func (d *Device) keep(h holder, result Fields) (Fields, error) {
	n, err := d.secrets.put(h)
	if err != nil {
		return nil, err
	}
	result["handle"] = n
	return result, nil
}
