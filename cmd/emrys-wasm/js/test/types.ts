// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

// Never run: what a caller in TypeScript may and may not write. Each expected error is one that must stay an error.

import { decryptStream, EmrysError, load, readingKeyOf, type DataKey, type Emrys } from "emrys-browser";

export async function reads(emrys: Emrys, data: DataKey, stored: ReadableStream<Uint8Array>): Promise<number> {
  const payload = await emrys.payloadKey(data);
  let size = 0;
  for await (const chunk of stored.pipeThrough(decryptStream(payload, 10))) {
    size += chunk.length;
  }
  return size;
}

export async function mistakes(): Promise<void> {
  const emrys = await load(new URL("emrys.wasm", "https://hospital.example/"));
  const seed = await emrys.generateSeed();
  // @ts-expect-error a seed is no data key
  await emrys.payloadKey(seed);
  // @ts-expect-error an epoch is a number
  await emrys.deriveScope(seed, "scope", "1");
  // @ts-expect-error an answer has a share
  await emrys.openShared({ answers: [{ gateway: "A", capsule: new Uint8Array() }] });
  // @ts-expect-error a payload key is not bytes
  decryptStream(new Uint8Array(32), 1);
  const pair = await crypto.subtle.generateKey({ name: "ECDH", namedCurve: "P-256" }, false, ["deriveBits"]);
  const reader = await readingKeyOf(pair);
  reader.public satisfies Uint8Array;
  const e = new EmrysError("proof", "text");
  // @ts-expect-error codes are a closed list
  e.code === "no such code";
}
