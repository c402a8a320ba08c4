// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

// Bytes, and the failure classes of pre.md P3 and container.md C11.

/** A refusal: its class, and the gateway that it names, if it names one. */
export class Refused extends Error {
  constructor(failure, message = "", gateway = undefined) {
    super(`${failure}: ${message}`);
    this.failure = failure;
    this.gateway = gateway;
  }
}

/** Throws a refusal unless the condition holds. */
export function demand(condition, failure, message) {
  if (!condition) throw new Refused(failure, message);
}

export const hex = (bytes) => Buffer.from(bytes).toString("hex");

export function unhex(text) {
  const bytes = Buffer.from(text, "hex");
  if (bytes.toString("hex") !== text) throw new TypeError("not lower-case hexadecimal");
  return new Uint8Array(bytes);
}

export const ascii = (text) => new TextEncoder().encode(text);

export function concat(...parts) {
  const out = new Uint8Array(parts.reduce((n, p) => n + p.length, 0));
  let at = 0;
  for (const p of parts) {
    out.set(p, at);
    at += p.length;
  }
  return out;
}

/** The number as size bytes, big-endian. */
export function big(number, size) {
  let n = BigInt(number);
  const out = new Uint8Array(size);
  for (let i = size - 1; i >= 0; i--) {
    out[i] = Number(n & 255n);
    n >>= 8n;
  }
  if (n !== 0n) throw new RangeError("number too large");
  return out;
}

export const number = (bytes) => (bytes.length === 0 ? 0n : BigInt("0x" + hex(bytes)));

export const equal = (a, b) => a.length === b.length && a.every((v, i) => v === b[i]);

/** Takes fields of fixed length off an object (P5.4). */
export class Fields {
  constructor(bytes) {
    this.bytes = bytes;
    this.at = 0;
  }
  take(size) {
    demand(this.at + size <= this.bytes.length, "malformed", "too short");
    this.at += size;
    return this.bytes.slice(this.at - size, this.at);
  }
  end() {
    demand(this.at === this.bytes.length, "malformed", "bytes left over");
  }
}
