// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

// The device's operations in Node and in Chromium, beside @nucypher/umbral-pre in Node, in one run. Prints a table, or JSON with
// --json. umbral-pre is GPL-3.0: it is measured here and part of nothing.

import { readFile } from "node:fs/promises";
import os from "node:os";
import { pathToFileURL } from "node:url";
import * as umbral from "@nucypher/umbral-pre";
import { measure, time } from "./bench.js";
import { launch } from "./chromium.mjs";

const { EMRYS_BUNDLE: bundle, EMRYS_SERVER: server, EMRYS_VECTORS: vectorFile, EMRYS_PROTOCOL: protocolFile } = process.env;
const lib = await import(pathToFileURL(`${bundle}/emrys.js`).href);
const bytes = (/** @type {string} */ text) => Uint8Array.from(Buffer.from(text, "hex"));

/** The arguments with which an opened key fragment of the vectors is verified. */
async function keyFragment() {
  const { createECDH } = await import("node:crypto");
  const v = JSON.parse(await readFile(vectorFile, "utf8"));
  const point = (/** @type {string} */ d) => {
    const key = createECDH("prime256v1");
    key.setPrivateKey(d, "hex");
    return new Uint8Array(key.getPublicKey(null, "compressed"));
  };
  return {
    fragment: bytes(v.KeyFragments[0]), delegating: point(v.ScopeKey), reader: point(v.ReaderKey), signer: point(v.ScopeSigner),
    gateway: v.Gateways[0], grant: bytes(v.Grant),
  };
}

async function inNode(vectors) {
  const emrys = await lib.load(await readFile(`${bundle}/emrys.wasm`));
  try {
    return await measure(lib, emrys, server, { vectors });
  } finally {
    await emrys.stop();
  }
}

async function inChromium(vectors) {
  const browser = await launch();
  try {
    const page = await browser.newPage();
    await page.goto(`${server}/test/page.html`);
    await page.waitForSelector("html[data-ready]", { state: "attached" });
    const plain = Object.fromEntries(Object.entries(vectors).map(([k, x]) => [k, typeof x === "string" ? x : [...x]]));
    return await page.evaluate((v) => globalThis.step("bench", {
      vectors: Object.fromEntries(Object.entries(v).map(([k, x]) => [k, typeof x === "string" ? x : new Uint8Array(x)])),
    }), plain);
  } finally {
    await browser.close();
  }
}

/** The same steps with umbral-pre over secp256k1. Its objects consume their arguments in places, so those are made anew. */
async function withUmbral() {
  const out = {};
  const [alice, signing, bob] = [umbral.SecretKey.random(), umbral.SecretKey.random(), umbral.SecretKey.random()];
  const [alicePublic, bobPublic, signer] = [alice.publicKey(), bob.publicKey(), new umbral.Signer(signing)];
  const message = new Uint8Array(32);
  out["encapsulate"] = await time(() => umbral.encrypt(alicePublic, message));
  const [capsule, ciphertext] = umbral.encrypt(alicePublic, message);
  out["own opening"] = await time(() => umbral.decryptOriginal(alice, capsule, ciphertext));
  for (const [t, n] of [[1, 1], [2, 3], [3, 5], [4, 6]]) {
    out[`rekey ${t}/${n}`] = await time(() => umbral.generateKFrags(alice, bobPublic, signer, t, n, true, true));
    const kfrags = umbral.generateKFrags(alice, bobPublic, signer, t, n, true, true);
    const answers = kfrags.slice(0, t).map((k) => umbral.reencrypt(capsule, k).toBytes());
    const verify = (/** @type {Uint8Array} */ b) =>
      umbral.CapsuleFrag.fromBytes(b).verify(capsule, signer.verifyingKey(), alicePublic, bobPublic);
    const open = (verified) => umbral.decryptReencrypted(bob, alicePublic, capsule, verified, ciphertext);
    out[`verify and open ${t}/${n}`] = await time(() => open(answers.map(verify)));
    if (t === 3) {
      const encoded = kfrags[0].toBytes();
      out["verify key fragment"] = await time(() => umbral.KeyFrag.fromBytes(encoded).verify(signer.verifyingKey(), alicePublic, bobPublic));
      out["re-encrypt"] = await time(() => umbral.reencrypt(capsule, kfrags[0]));
      out["verify capsule fragment"] = await time(() => verify(answers[0]));
    }
  }
  return out;
}

/** Medians and bests of Go's benchmarks of pkg/pre, run in Node by the caller: the steps of authors and gateways too. */
async function protocol() {
  const runs = new Map();
  for (const [, name, ns] of (await readFile(protocolFile, "utf8")).matchAll(/^Benchmark(\S+)\s+\d+\s+([\d.]+) ns\/op/gm)) {
    runs.set(name, [...(runs.get(name) ?? []), Number(ns) / 1e6]);
  }
  return Object.fromEntries([...runs].map(([name, times]) => [name, summary(times)]));
}

const summary = (times) => {
  times.sort((a, b) => a - b);
  return { median: times[times.length >> 1], best: times[0] };
};

const vectors = await keyFragment();
const result = {
  machine: { cpu: os.cpus()[0].model, cores: os.cpus().length, node: process.version },
  node: await inNode(vectors), chromium: await inChromium(vectors), protocolInNode: await protocol(), umbralInNode: await withUmbral(),
};
const floors = { "grant 3/5": 30, "open 3 of 5, 3 answers": 30, "open 3 of 5, 5 answers": 30 };

if (process.argv.includes("--json")) {
  console.log(JSON.stringify({ ...result, floors }, null, 2));
} else {
  const line = (name, ...cells) => console.log(name.padEnd(34) + cells.map((c) => String(c ?? "").padStart(11)).join(""));
  const number = (n) => (n === undefined ? "" : n >= 100 ? n.toFixed(0) : n.toFixed(2));
  const both = (t) => [number(t?.median), number(t?.best)];
  console.log(`${result.machine.cpu}, ${result.machine.cores} cores, Node ${result.machine.node}. Milliseconds.\n`);
  line("device (P-256, border included)", "Node", "best", "Chromium", "best", "floor");
  for (const name of Object.keys(result.node)) {
    line(name, ...both(result.node[name]), ...both(result.chromium[name]), floors[name] && `<= ${floors[name]}`);
  }
  console.log("");
  const pairs = [
    ["encapsulate", "Encapsulate"], ["own opening", "Decapsulate"], ["rekey 1/1", "Rekey/1of1"], ["rekey 2/3", "Rekey/2of3"],
    ["rekey 3/5", "Rekey/3of5"], ["rekey 4/6", "Rekey/4of6"], ["verify key fragment", "KeyFragmentVerify"], ["re-encrypt", "Reencrypt"],
    ["verify capsule fragment", "CapsuleFragmentVerify"], ["verify and open 1/1", "Open/1of1"], ["verify and open 2/3", "Open/2of3"],
    ["verify and open 3/5", "Open/3of5"], ["verify and open 4/6", "Open/4of6"],
  ];
  line("protocol alone, in Node", "pkg/pre", "best", "umbral-pre", "best", "ratio");
  for (const [name, ours] of pairs) {
    const [a, b] = [result.protocolInNode[ours], result.umbralInNode[name]];
    line(name, ...both(a), ...both(b), a && b && (a.best / b.best).toFixed(1));
  }
}
