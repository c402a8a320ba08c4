// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

// What emrys.js uses of Go's wasm_exec.js, which the build copies from GOROOT/lib/wasm.

export {};

declare global {
  class Go {
    argv: string[];
    env: Record<string, string>;
    importObject: WebAssembly.Imports;
    _scheduledTimeouts?: Map<number, ReturnType<typeof setTimeout>>;
    run(instance: WebAssembly.Instance): Promise<void>;
  }
}
