// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

//go:build js && wasm

package main

import (
	"os"
	"syscall/js"

	"github.com/emrys-health/emrys/cmd/emrys-wasm/internal/device"
)

func main() {
	if len(os.Args) != 2 {
		return
	}
	b := newBorder(device.New())
	stopped := make(chan struct{})
	call := js.FuncOf(b.call)
	stop := js.FuncOf(func(js.Value, []js.Value) any {
		_, _ = b.device.Call("closeAll", nil)
		close(stopped)
		return nil
	})
	js.Global().Call(os.Args[1], call, stop)
	<-stopped
	call.Release()
	stop.Release()
}
