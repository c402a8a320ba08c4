// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

// A patient's and a reader's device in Chromium, under the content security policy that docs/browser.md recommends.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { launch, memoryOfChildren } from "./chromium.mjs";

const { EMRYS_SERVER: server } = process.env;
const MIB = 1 << 20;

let browser;
let page;
const complaints = [];
const notExtractable = "InvalidAccessError: Failed to execute 'exportKey' on 'SubtleCrypto': key is not extractable";
before(async () => {
  browser = await launch();
  page = await browser.newPage();
  page.on("console", (m) => complaints.push(m.text()));
  page.on("pageerror", (e) => complaints.push(String(e)));
  await open();
});
after(async () => browser?.close());

async function open() {
  await page.goto(`${server}/test/page.html`);
  await page.waitForSelector("html[data-ready]", { state: "attached" });
}

const step = (name, args) => page.evaluate(([n, a]) => globalThis.step(n, a), [name, args]);

test("a record that 3 of 5 re-encrypt opens to the last byte, and no key can be extracted", async () => {
  for (const padded of [false, true]) {
    const size = 700000;
    const got = await step("share", { size, padded, liars: ["Hospital2MSP"] });
    assert.deepEqual(got, {
      read: size, range: 300, extractable: false, refused: ["Hospital2MSP"],
      export: notExtractable, readerExport: notExtractable,
    });
  }
});

test("what is not this reading's, and a payload that was altered, is refused", async () => {
  const plain = 262116;
  assert.deepEqual(await step("refusals"), {
    request: "too_few_fragments", few: "too_few_fragments", commitment: "commitment",
    altered: ["authentication", plain], cut: ["truncated", 2 * plain], extended: ["trailing", 2 * plain], whole: ["", 600000],
  });
});

test("a reading key that cannot be extracted outlives the page", async () => {
  const kept = await step("keepKey");
  await open();
  assert.equal(await step("readWithKeptKey"), kept);
});

test("the program runs in a worker, which gives its page the payload key alone", async () => {
  assert.equal(await step("worker"), 5000);
});

const MOST_GROWTH = 320 * MIB;

/** Streams a payload and returns how much memory all of the browser's processes, and the page's heap, took more than before. */
async function streamed(size, heap) {
  const before = { processes: memoryOfChildren(), heap: await heap() };
  let most = before.processes;
  const sampling = setInterval(() => (most = Math.max(most, memoryOfChildren())), 100);
  try {
    const { read, seconds } = await step("stream", { size });
    assert.equal(read, size);
    const growth = { processes: most - before.processes, heap: (await heap()) - before.heap };
    const mb = (n) => `${(n / 1e6).toFixed(0)} MB`;
    console.log(`${size / MIB} MiB in ${seconds.toFixed(1)} s; all processes at most ${mb(growth.processes)} more than ${mb(before.processes)}`);
    return growth;
  } finally {
    clearInterval(sampling);
  }
}

// How far memory swings is the collector's choice, and on a busy machine it may be late once. It is not late three times; and a
// stream that is held, or whose parts are left to the collector, takes the size of the payload, or half of it, each time.
test("a payload of 1 GiB streams with flat memory", async () => {
  const session = await page.context().newCDPSession(page);
  await session.send("Performance.enable");
  const heap = async () => (await session.send("Performance.getMetrics")).metrics.find((m) => m.name === "JSHeapUsedSize").value;
  await streamed(32 * MIB, heap);
  let growth;
  for (let attempt = 0; attempt < 3 && !(growth?.processes < MOST_GROWTH); attempt++) {
    growth = await streamed(1024 * MIB, heap);
    assert.ok(growth.heap < 50 * MIB, `the page's heap grew by ${growth.heap} bytes`);
  }
  assert.ok(growth.processes < MOST_GROWTH, `the browser grew by ${growth.processes} bytes`);
});

test("the page complained of nothing", () => assert.deepEqual(complaints, []));
