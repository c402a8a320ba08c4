// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

// Hybrid sealing (pre.md P11).

import { expand as hkdfExpand, extract } from "@noble/hashes/hkdf";
import { sha3_256, shake256 } from "@noble/hashes/sha3";
import { ml_kem768 } from "@noble/post-quantum/ml-kem";
import { ascii, big, concat, demand, equal, number } from "./bytes.mjs";
import { decodeUncompressed, encodeUncompressed, G, mul, n, x } from "./group.mjs";
import { gcmOpen, gcmSeal, joined, sha256 } from "./hash.mjs";

export const KEM = 0x0050;
const encapsulationSize = 1153;
export const sealOverhead = 2 + encapsulationSize + 12 + 16;

/** P11.1: the parts of a private key. */
export function expandPrivate(sk) {
  demand(sk.length === 32, "malformed", "hybrid private key");
  const stream = shake256(sk, { dkLen: 64 + 32 * 8 });
  let at = 64;
  let e = number(stream.slice(at, at + 32));
  while (e === 0n || e >= n) {
    at += 32;
    e = number(stream.slice(at, at + 32));
  }
  const seed = stream.slice(0, 64);
  const kem = ml_kem768.keygen(seed);
  const T = encodeUncompressed(mul(e, G));
  return { seed, e, kem, T, public: concat(kem.publicKey, T) };
}

/** P11.1: a public key's parts, after all its checks. */
export function decodePublic(bytes) {
  demand(bytes.length === 1249, "malformed", "hybrid public key");
  const kem = bytes.slice(0, 1184);
  for (let i = 0; i < 1152; i += 3) {
    const low = kem[i] | ((kem[i + 1] & 15) << 8);
    const high = (kem[i + 1] >> 4) | (kem[i + 2] << 4);
    demand(low < 3329 && high < 3329, "malformed", "coefficient of the encapsulation key");
  }
  const T = bytes.slice(1184);
  const point = decodeUncompressed(T);
  demand(point !== undefined, "malformed", "point of the hybrid public key");
  return { kem, T, point };
}

const combine = (ssPQ, ssT, ctT, T) => sha3_256(concat(ssPQ, ssT, ctT, T, ascii("MLKEM768-P256")));

/** P11.2: the key of one sealed object. */
function schedule(ss, info) {
  const suite = concat(ascii("HPKE"), big(KEM, 2), big(1, 2), big(0xffff, 2));
  const LX = (salt, label, ikm) => extract(sha256, concat(ascii("HPKE-v1"), suite, ascii(label), ikm), salt);
  const LE = (prk, label, context, size) =>
    hkdfExpand(sha256, prk, concat(big(size, 2), ascii("HPKE-v1"), suite, ascii(label), context), size);
  const none = new Uint8Array(0);
  const context = concat([0], LX(none, "psk_id_hash", none), LX(none, "info_hash", joined("seal", info)));
  const secret = LX(ss, "secret", none);
  return LE(LE(secret, "exp", context, 32), "sec", joined("seal key"), 32);
}

const random = (size) => globalThis.crypto.getRandomValues(new Uint8Array(size));

/** P11.3. Without m, y and nonce they are drawn. */
export async function seal(publicKey, info, plaintext, { m = random(32), y = undefined, nonce = random(12) } = {}) {
  const { kem, T, point } = decodePublic(publicKey);
  const ephemeral = y ?? (number(random(48)) % (n - 1n)) + 1n;
  const { cipherText, sharedSecret } = ml_kem768.encapsulate(kem, m);
  const ctT = encodeUncompressed(mul(ephemeral, G));
  const ss = combine(sharedSecret, x(mul(ephemeral, point)), ctT, T);
  const header = concat(big(KEM, 2), cipherText, ctT);
  const K = schedule(ss, info);
  return concat(header, nonce, await gcmSeal(K, nonce, header, plaintext));
}

/** P11.3. */
export async function open(sk, info, sealed) {
  const key = expandPrivate(sk);
  demand(sealed.length >= sealOverhead && equal(sealed.slice(0, 2), big(KEM, 2)), "malformed", "sealed object");
  const header = sealed.slice(0, 2 + encapsulationSize);
  const ctT = header.slice(2 + 1088);
  const point = decodeUncompressed(ctT);
  demand(point !== undefined, "decrypt", "point of the encapsulation");
  const ssPQ = ml_kem768.decapsulate(header.slice(2, 2 + 1088), key.kem.secretKey);
  const K = schedule(combine(ssPQ, x(mul(key.e, point)), ctT, key.T), info);
  const at = header.length;
  const plaintext = await gcmOpen(K, sealed.slice(at, at + 12), header, sealed.slice(at + 12));
  demand(plaintext !== undefined, "decrypt", "sealed object");
  return plaintext;
}
