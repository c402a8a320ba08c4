// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

// The wrapper under tsc --strict, and its committed declarations against those that follow from it.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const here = fileURLToPath(new URL("..", import.meta.url));

function tsc(...args) {
  try {
    execFileSync(process.execPath, [join(here, "node_modules/typescript/bin/tsc"), ...args], { cwd: here, encoding: "utf8" });
  } catch (e) {
    assert.fail(`tsc ${args.join(" ")}\n${e.stdout}${e.stderr}`);
  }
}

test("the wrapper and a caller's code hold under tsc --strict", () => tsc("-p", "tsconfig.json"));

test("the declarations are those of the wrapper: npm run types makes them again", () => {
  const out = mkdtempSync(join(tmpdir(), "types-"));
  try {
    tsc("-p", "tsconfig.types.json", "--outDir", out);
    for (const file of ["emrys.d.ts", "payload.d.ts", "errors.d.ts"]) {
      assert.equal(readFileSync(join(here, file), "utf8"), readFileSync(join(out, file), "utf8"), file);
    }
  } finally {
    rmSync(out, { recursive: true });
  }
});
