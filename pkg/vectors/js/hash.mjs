// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

// Parts, hashes, derivations and ciphers (pre.md P4), and signatures (P5.3).

import { hkdf } from "@noble/hashes/hkdf";
import { sha256 } from "@noble/hashes/sha2";
import { ascii, big, concat, demand, hex, number } from "./bytes.mjs";
import { add as addPoints, decodePoint, encodeUncompressed, G, isIdentity, mul, n } from "./group.mjs";

export const Suite = "EMRYS-PRE-V1";

export { sha256 };

/** P4.1. */
export const part = (p) => concat(big(p.length, 4), p);
export const parts = (...list) => concat(...list.map(part));
export const joined = (label, ...list) => parts(ascii(Suite), ascii(label), ...list);

/** P4.2. */
export const H = (label, ...list) => sha256(joined(label, ...list));

/** expand_message_xmd of RFC 9380, 5.3.1, with SHA-256. */
export function expand(message, dst, size) {
  const prime = concat(dst, [dst.length]);
  const b0 = sha256(concat(new Uint8Array(64), message, big(size, 2), [0], prime));
  let block = sha256(concat(b0, [1], prime));
  let out = block;
  for (let i = 2; out.length < size; i++) {
    block = sha256(concat(block.map((v, j) => v ^ b0[j]), [i], prime));
    out = concat(out, block);
  }
  return out.slice(0, size);
}

export const reduce = (bytes) => number(bytes) % n;

/** P4.3. */
export function Hs(label, ...list) {
  const s = reduce(expand(parts(...list), ascii("EMRYS-PRE-V1-P256-" + label), 48));
  return s === 0n ? 1n : s;
}

/** P4.4. */
export const KDF = (secret, salt, size, label, ...list) => hkdf(sha256, secret, salt, joined(label, ...list), size);

/** P4.5: bytes from the seed. */
export function fromSeed(label, seed, size, name, epoch) {
  demand(seed.length === 32, "parameter", "seed");
  demand(name.length > 0, "parameter", "name");
  return KDF(seed, new Uint8Array(0), size, label, ascii(name), big(epoch, 4));
}

/** P4.5: a delegating key ("scope key") or a scope signer. */
export function scopeScalar(label, seed, name, epoch) {
  const s = reduce(fromSeed(label, seed, 48, name, epoch));
  demand(s !== 0n, "parameter", "no key");
  return s;
}

/** P5.5. */
export const gw = (id) => H("gateway", ascii(id));

export function checkGateway(id, failure) {
  const bytes = ascii(id);
  demand(bytes.length >= 1 && bytes.length <= 128 && bytes.every((c) => c >= 0x21 && c <= 0x7e), failure, "gateway id");
}

/** P5.7. */
export const keyId = (encoding) => hex(sha256(encoding).slice(0, 16));

const { subtle } = globalThis.crypto;

/** AES-256-GCM; the result is ciphertext and tag. */
export async function gcmSeal(key, nonce, aad, plaintext) {
  const k = await subtle.importKey("raw", key, "AES-GCM", false, ["encrypt"]);
  return new Uint8Array(await subtle.encrypt({ name: "AES-GCM", iv: nonce, additionalData: aad }, k, plaintext));
}

/** The plaintext, or nothing when it does not authenticate. */
export async function gcmOpen(key, nonce, aad, box) {
  const k = await subtle.importKey("raw", key, "AES-GCM", false, ["decrypt"]);
  try {
    return new Uint8Array(await subtle.decrypt({ name: "AES-GCM", iv: nonce, additionalData: aad }, k, box));
  } catch {
    return undefined;
  }
}

// WebCrypto hashes what it signs, and P5.3 signs a hash as it is: so the equations of FIPS 186-5 stand here.

const bits = (digest) => number(digest);

/** P5.3: ECDSA over a 32-byte hash, low s. k is random; a judge needs no better. */
export function sign(key, digest) {
  const k = reduce(globalThis.crypto.getRandomValues(new Uint8Array(48)));
  const r = number(encodeUncompressed(mul(k, G)).slice(1, 33)) % n;
  let s = (inverse(k) * (bits(digest) + r * key)) % n;
  if (s > (n - 1n) / 2n) s = n - s;
  return concat(big(r, 32), big(s, 32));
}

function inverse(v) {
  let [a, m, u, w] = [((v % n) + n) % n, n, 1n, 0n];
  while (a > 1n) [a, m, u, w] = [m % a, a, w - (m / a) * u, u];
  return ((u % n) + n) % n;
}

/** P5.3. Refuses with "proof". */
export function verify(publicKey, digest, signature) {
  demand(digest.length === 32, "parameter", "hash");
  demand(signature.length === 64, "proof", "signature length");
  const r = number(signature.slice(0, 32));
  const s = number(signature.slice(32));
  demand(r > 0n && r < n && s > 0n && s <= (n - 1n) / 2n, "proof", "signature range");
  const w = inverse(s);
  const P = addPoints(mul((bits(digest) * w) % n, G), mul((r * w) % n, decodePoint(publicKey)));
  demand(!isIdentity(P) && number(encodeUncompressed(P).slice(1, 33)) % n === r, "proof", "signature");
}
