// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

// Deterministic CBOR of what the objects need (pre.md P5.6): unsigned integers, byte and text strings, arrays.

import { big, concat, demand, equal } from "./bytes.mjs";

function head(major, value) {
  const v = BigInt(value);
  const size = v < 24n ? 0 : v < 0x100n ? 1 : v < 0x10000n ? 2 : v < 0x100000000n ? 4 : 8;
  if (size === 0) return Uint8Array.of((major << 5) | Number(v));
  return concat([(major << 5) | (24 + Math.log2(size))], big(v, size));
}

/** Numbers and BigInts are integers, Uint8Arrays byte strings, strings texts, arrays arrays. */
export function encode(value) {
  if (typeof value === "number" || typeof value === "bigint") return head(0, value);
  if (value instanceof Uint8Array) return concat(head(2, value.length), value);
  if (typeof value === "string") {
    const bytes = new TextEncoder().encode(value);
    return concat(head(3, bytes.length), bytes);
  }
  return concat(head(4, value.length), ...value.map(encode));
}

/** Decodes, and refuses whatever encode would not have written. Integers come as BigInts. */
export function decode(bytes) {
  let at = 0;
  const take = (size) => {
    demand(at + size <= bytes.length, "malformed", "CBOR is cut off");
    at += size;
    return bytes.slice(at - size, at);
  };
  const item = (depth) => {
    demand(depth < 16, "malformed", "CBOR is nested too deep");
    const first = take(1)[0];
    const [major, info] = [first >> 5, first & 31];
    demand([0, 2, 3, 4].includes(major) && info < 28, "malformed", "CBOR item");
    let value = BigInt(info);
    if (info >= 24) {
      value = 0n;
      for (const v of take(1 << (info - 24))) value = (value << 8n) | BigInt(v);
    }
    if (major === 0) return value;
    demand(value <= BigInt(bytes.length), "malformed", "CBOR length");
    if (major === 2) return take(Number(value));
    if (major === 3) {
      try {
        return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(take(Number(value)));
      } catch {
        demand(false, "malformed", "text is not UTF-8");
      }
    }
    return Array.from({ length: Number(value) }, () => item(depth + 1));
  };
  const value = item(0);
  demand(equal(encode(value), bytes), "malformed", "CBOR is not deterministic");
  return value;
}
