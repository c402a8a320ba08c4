// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

// What browser.test.mjs has a page do. Each step takes and gives plain values.

import * as lib from "../emrys.js";
import { measure } from "./bench.js";
import * as scenario from "./scenario.js";

const server = location.origin;
const emrys = await lib.load("/emrys.wasm");
const block = new Uint8Array(await (await fetch("/block")).arrayBuffer());

/** @param {() => Promise<unknown>} f */
async function codeOf(f) {
  try {
    await f();
    return "";
  } catch (e) {
    return e instanceof lib.EmrysError ? e.code : String(e);
  }
}

function database() {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open("emrys", 1);
    request.onupgradeneeded = () => request.result.createObjectStore("keys");
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

async function stored(mode, operation) {
  const db = await database();
  return new Promise((resolve, reject) => {
    const request = operation(db.transaction("keys", mode).objectStore("keys"));
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

const steps = {
  /** A grant of 3 of 5 and a reading, to the last byte. */
  async share({ size, padded, liars }) {
    const s = await scenario.share(lib, emrys, server, { size, padded, threshold: 3, liars });
    const data = await emrys.openShared(s.opening);
    const payload = await emrys.payloadKey(data);
    const response = await fetch(`/payload/${s.view.record.id}`);
    const read = await scenario.compare(response.body.pipeThrough(lib.decryptStream(payload, s.plainSize)), block);
    const own = await emrys.payloadKey(await emrys.openOwn({ ...s.manifest, scope: s.patient.scope, hybrid: s.patient.hybrid }));
    const ranges = new lib.RandomReader(own, s.plainSize, async (o, n) => {
      const part = await fetch(`/payload/${s.view.record.id}`, { headers: { range: `bytes=${o}-${o + n - 1}` } });
      return part.arrayBuffer();
    });
    const at = Math.max(0, size - 300);
    return {
      read, range: await scenario.compare(ranges.range(at, 1000), block, at), extractable: payload.key.extractable,
      refused: [...new Set(data.refused.map((r) => r.gateway))].sort(),
      export: await codeOf(() => crypto.subtle.exportKey("raw", payload.key)),
      readerExport: await codeOf(() => crypto.subtle.exportKey("jwk", s.reader.pair.privateKey)),
    };
  },

  /** Refusals: a request that is another, too few answers, a payload that was altered on its way. */
  async refusals() {
    const s = await scenario.share(lib, emrys, server, { size: 600000, threshold: 3 });
    const a = s.opening;
    const payload = await emrys.payloadKey(await emrys.openShared(a));
    const bytes = new Uint8Array(await (await fetch(`/payload/${s.view.record.id}`)).arrayBuffer());
    const through = async (changed) => {
      let released = 0;
      const stream = new Blob([changed]).stream().pipeThrough(lib.decryptStream(payload, s.plainSize));
      const code = await codeOf(async () => {
        for await (const part of stream) {
          released += part.length;
        }
      });
      return [code, released];
    };
    const altered = bytes.slice();
    altered[lib.SEGMENT_SIZE + 50] ^= 1;
    return {
      request: await codeOf(() => emrys.openShared({ ...a, request: new Uint8Array(32) })),
      few: await codeOf(() => emrys.openShared({ ...a, answers: a.answers.slice(0, 2) })),
      commitment: await codeOf(() => emrys.openShared({ ...a, keyCommitment: new Uint8Array(32) })),
      altered: await through(altered),
      cut: await through(bytes.slice(0, 2 * lib.SEGMENT_SIZE)),
      extended: await through(new Uint8Array([...bytes, 0])),
      whole: await through(bytes),
    };
  },

  /** Keeps a reading key that cannot be extracted in the browser's database. */
  async keepKey() {
    const pair = await crypto.subtle.generateKey({ name: "ECDH", namedCurve: "P-256" }, false, ["deriveBits"]);
    await stored("readwrite", (s) => s.put(pair, "reading"));
    return scenario.toHex(await lib.publicKeyOf(pair.publicKey));
  },

  /** Reads with the key that was kept. */
  async readWithKeptKey() {
    const key = await lib.readingKeyOf(await stored("readonly", (s) => s.get("reading")));
    const s = await scenario.share(lib, emrys, server, { key });
    await emrys.payloadKey(await emrys.openShared(s.opening));
    return scenario.toHex(key.public);
  },

  /** A worker of its own for the program, which takes the secrets along when it is terminated. */
  async worker() {
    const policy = trustedTypes.createPolicy("emrys", { createScriptURL: () => "/test/worker.js" });
    const worker = new Worker(policy.createScriptURL(""), { type: "module" });
    const payload = await new Promise((resolve, reject) => {
      worker.onmessage = (e) => resolve(e.data);
      worker.onerror = (e) => reject(new Error(e.message));
    });
    worker.terminate();
    const { body } = await fetch(`/payload/${payload.id}`);
    return scenario.compare(body.pipeThrough(lib.decryptStream(payload, payload.plainSize)), block);
  },

  /** Reads a large payload that is sealed while it is sent, and compares every byte. */
  async stream({ size }) {
    const s = await scenario.share(lib, emrys, server, { size, stream: true });
    const payload = await emrys.payloadKey(await emrys.openShared(s.opening));
    const start = performance.now();
    const { body } = await fetch(`/payload/${s.view.record.id}`);
    const read = await scenario.compare(lib.decrypt(payload, s.plainSize, body), block);
    return { read, seconds: (performance.now() - start) / 1000 };
  },

  bench: (options) => measure(lib, emrys, server, options),
};

globalThis.step = (name, args) => steps[name](args ?? {});
document.documentElement.dataset.ready = "";
