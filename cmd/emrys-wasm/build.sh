#!/bin/sh
# Copyright The Emrys Authors
# SPDX-License-Identifier: Apache-2.0
#
# Builds what a page serves into the directory named: the program, its wrapper, and Go's own wasm_exec.js of this toolchain.
set -eu
mkdir -p "$1"
out=$(cd "$1" && pwd)
here=$(cd "$(dirname "$0")" && pwd)
(cd "$here" && GOOS=js GOARCH=wasm go build -trimpath -ldflags "-s -w" -o "$out/emrys.wasm" .)
cp "$(go env GOROOT)/lib/wasm/wasm_exec.js" "$out/"
for file in emrys payload errors; do
  cp "$here/js/$file.js" "$here/js/$file.d.ts" "$out/"
done
cp "$here/js/plain.js" "$out/"
