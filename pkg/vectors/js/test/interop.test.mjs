// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

// Two implementations at once: this one opens what Go seals, and Go opens what this one seals.

import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";

import { checkStory, makeStory } from "../story.mjs";

const root = join(dirname(fileURLToPath(import.meta.url)), "../../../..");
const folder = mkdtempSync(join(tmpdir(), "emrys-interop-"));
const program = join(folder, "interop");

before(() => execFileSync("go", ["build", "-o", program, "./pkg/vectors/interop"], { cwd: root }));
after(() => rmSync(folder, { recursive: true }));

const check = (data) => spawnSync(program, ["check"], { input: JSON.stringify(data), encoding: "utf8", maxBuffer: 1 << 28 });

test("what Go seals opens here", async () => {
  for (let round = 0; round < 4; round++) {
    const data = JSON.parse(execFileSync(program, ["make"], { maxBuffer: 1 << 28 }));
    assert.ok(data.stories.length > 0);
    for (const story of data.stories) await checkStory(story);
  }
});

const shapes = [
  { name: "1 of 1", threshold: 1, gateways: 1, layout: "plain", length: 0 },
  { name: "2 of 3", threshold: 2, gateways: 3, layout: "padded", length: 1000 },
  { name: "3 of 5", threshold: 3, gateways: 5, layout: "plain", length: 262117 },
  { name: "4 of 4", threshold: 4, gateways: 4, layout: "padded", length: 300000 },
];

for (const shape of shapes) {
  test(`what is sealed here, ${shape.name}, opens in Go and here`, async () => {
    const story = await makeStory(shape);
    await checkStory(story);
    const data = { suite: "EMRYS-PRE-V1", subject: "story", stories: [story] };
    const good = check(data);
    assert.equal(good.status, 0, good.stderr);

    const altered = structuredClone(data);
    altered.stories[0].K_share = story.K_pre;
    assert.notEqual(check(altered).status, 0, "Go finds a story that is not consistent");
    await assert.rejects(checkStory(altered.stories[0]), "and so does this one");
  });
}
