// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

//go:build js && wasm

package main

import (
	"errors"
	"syscall/js"

	"github.com/emrys-health/emrys/cmd/emrys-wasm/internal/device"
)

// border turns values of JavaScript into those of package device and back. The constructors it needs are taken once, at the
// start, so that a script that replaces them later changes nothing here.
//
// What it reads must be plain: syscall/js does not catch the exception of a getter or a proxy when it reads a property, and a
// program through which one flies is not in a defined state. js/plain.js copies every argument into plain values first; no other
// script can reach call.
type border struct {
	device                                *device.Device
	bytes, object, array, promise, subtle js.Value
}

func newBorder(d *device.Device) *border {
	g := js.Global()
	b := &border{
		device: d, bytes: g.Get("Uint8Array"), object: g.Get("Object"), array: g.Get("Array"), promise: g.Get("Promise"),
	}
	if c := g.Get("crypto"); c.Type() == js.TypeObject {
		b.subtle = c.Get("subtle")
	}
	return b
}

// call performs an operation: (name, arguments) -> Promise. It never throws.
func (b *border) call(_ js.Value, args []js.Value) any {
	return b.promised(func() (js.Value, *device.Error) {
		if len(args) != 2 || args[0].Type() != js.TypeString || args[1].Type() != js.TypeObject {
			return js.Undefined(), &device.Error{Code: device.CodeParameter, Message: "call takes a name and an object"}
		}
		in, ok := b.read(args[1], 0).(device.Fields)
		if !ok {
			return js.Undefined(), &device.Error{Code: device.CodeParameter, Message: "the arguments hold a value that is not allowed"}
		}
		out, err := b.device.Call(args[0].String(), in)
		if err != nil {
			return js.Undefined(), err
		}
		return b.answer(out)
	})
}

// promised runs f in a goroutine of its own, since it may wait for a foreign key, and settles a promise with its result.
func (b *border) promised(f func() (js.Value, *device.Error)) js.Value {
	executor := js.FuncOf(func(_ js.Value, settle []js.Value) any {
		resolve, reject := settle[0], settle[1]
		go func() {
			value, err := guarded(f)
			if err != nil {
				reject.Invoke(b.write(err.Fields()))
				return
			}
			resolve.Invoke(value)
		}()
		return nil
	})
	defer executor.Release() // a promise's executor runs before its constructor returns
	return b.promise.New(executor)
}

// guarded turns a panic into an error.
func guarded(f func() (js.Value, *device.Error)) (value js.Value, err *device.Error) {
	defer func() {
		if recover() != nil {
			err = &device.Error{Code: device.CodeParameter, Message: "an argument cannot be read, or a result not be given"}
		}
	}()
	return f()
}

// await waits for a promise. It must not be called by the goroutine of an event.
func await(v js.Value) (js.Value, error) {
	type outcome struct {
		value js.Value
		err   error
	}
	done := make(chan outcome, 1)
	settle := func(err error) js.Func {
		return js.FuncOf(func(_ js.Value, args []js.Value) any {
			o := outcome{js.Undefined(), err}
			if err == nil && len(args) > 0 {
				o.value = args[0]
			}
			done <- o // once: it is a promise
			return nil
		})
	}
	resolved, rejected := settle(nil), settle(errors.New("the promise was rejected"))
	defer resolved.Release()
	defer rejected.Release()
	v.Call("then", resolved, rejected)
	o := <-done
	return o.value, o.err
}

// Bounds of what is read.
const (
	maxDepth  = 6
	maxFields = 64
	maxList   = 512
	maxBytes  = 1 << 20
)

// refusedValue stands for a value that may not cross the border. No operation takes it.
type refusedValue struct{}

// read copies a value. Fields that are undefined are left out; what is not allowed becomes a refusedValue.
func (b *border) read(v js.Value, depth int) any {
	switch v.Type() {
	case js.TypeUndefined:
		return nil
	case js.TypeBoolean:
		return v.Bool()
	case js.TypeNumber:
		return v.Float()
	case js.TypeString:
		if text := v.String(); len(text) <= maxBytes {
			return text
		}
	case js.TypeFunction:
		return b.agreement(v)
	case js.TypeObject:
		if depth < maxDepth {
			return b.readObject(v, depth)
		}
	}
	return refusedValue{}
}

func (b *border) readObject(v js.Value, depth int) any {
	switch {
	case v.InstanceOf(b.bytes):
		n := v.Get("byteLength").Int()
		if n < 0 || n > maxBytes {
			return refusedValue{}
		}
		out := make([]byte, n)
		js.CopyBytesToGo(out, v)
		return out
	case b.array.Call("isArray", v).Bool():
		n := v.Length()
		if n > maxList {
			return refusedValue{}
		}
		out := make([]any, n)
		for i := range n {
			out[i] = b.read(v.Index(i), depth+1)
		}
		return out
	default:
		return b.readFields(v, depth)
	}
}

func (b *border) readFields(v js.Value, depth int) any {
	keys := b.object.Call("keys", v)
	n := keys.Length()
	if n > maxFields {
		return refusedValue{}
	}
	out := make(device.Fields, n)
	for i := range n {
		name := keys.Index(i).String()
		if x := b.read(v.Get(name), depth+1); x != nil {
			out[name] = x
		}
	}
	return out
}

// agreement makes a key operation of a function (peer: Uint8Array) => Promise<Uint8Array | null> that never throws. The secret
// that it returns is cleared on the other side of the border, once it is copied.
func (b *border) agreement(f js.Value) device.Agree {
	return func(peer []byte) ([]byte, error) {
		v, err := await(f.Invoke(b.write(peer)))
		if err != nil {
			return nil, err
		}
		if v.Type() != js.TypeObject || !v.InstanceOf(b.bytes) {
			return nil, errors.New("the key operation did not return bytes")
		}
		x := make([]byte, v.Get("byteLength").Int())
		js.CopyBytesToGo(x, v)
		v.Call("fill", 0)
		return x, nil
	}
}

// answer writes an operation's result, for which a payload key must first become a key of WebCrypto.
func (b *border) answer(out device.Fields) (js.Value, *device.Error) {
	o := b.object.New()
	for name, x := range out {
		key, ok := x.(*device.PayloadKey)
		if !ok {
			o.Set(name, b.write(x))
			continue
		}
		imported, err := b.importKey(key)
		if err != nil {
			return js.Undefined(), err
		}
		o.Set(name, imported)
	}
	return o, nil
}

// importKey makes a payload key a key of WebCrypto that decrypts and cannot be extracted.
func (b *border) importKey(k *device.PayloadKey) (imported js.Value, failure *device.Error) {
	k.Use(func(key []byte) {
		if b.subtle.Type() != js.TypeObject {
			failure = &device.Error{Code: device.CodeUnsupported, Message: "there is no WebCrypto here: serve the page over HTTPS"}
			return
		}
		raw := b.write(key)
		defer raw.Call("fill", 0)
		usages := b.array.New()
		usages.SetIndex(0, "decrypt")
		var err error
		if imported, err = await(b.subtle.Call("importKey", "raw", raw, "AES-GCM", false, usages)); err != nil {
			failure = &device.Error{Code: device.CodeUnsupported, Message: "WebCrypto does not take an AES-256-GCM key"}
		}
	})
	return imported, failure
}

// write copies a result into a value of JavaScript.
func (b *border) write(x any) js.Value {
	switch x := x.(type) {
	case []byte:
		out := b.bytes.New(len(x))
		js.CopyBytesToJS(out, x)
		return out
	case []any:
		out := b.array.New(len(x))
		for i, e := range x {
			out.SetIndex(i, b.write(e))
		}
		return out
	case device.Fields:
		out := b.object.New()
		for name, e := range x {
			out.Set(name, b.write(e))
		}
		return out
	default: // string, bool and numbers
		return js.ValueOf(x)
	}
}
