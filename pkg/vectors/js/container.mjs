// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

// The record container (container.md).

import { hkdf } from "@noble/hashes/hkdf";
import { ascii, big, concat, demand, equal, number, Refused } from "./bytes.mjs";
import { gcmOpen, gcmSeal, sha256 } from "./hash.mjs";

export const SEG = 262144n;
const OVER = 28n;
export const PLAIN = SEG - OVER;
const most = (1n << 32n) * PLAIN;

/** C2. */
export function keys(dek, fileId, layout) {
  const suffix = layout === "padded" ? " padded" : "";
  const derive = (what) => hkdf(sha256, dek, fileId, `EMRYS-PRE-V1 ${what}${suffix}`, 32);
  return { key: derive("payload"), commitment: derive("commit") };
}

/** C2: the layout that a commitment names. */
export function layoutOf(dek, fileId, commitment) {
  for (const layout of ["plain", "padded"]) {
    if (equal(keys(dek, fileId, layout).commitment, commitment)) return layout;
  }
  throw new Refused("commitment", "data key");
}

const log2 = (v) => BigInt(v.toString(2).length - 1);

/** Padmé of C4, of a length of at least 8. */
function padme(L) {
  const E = log2(L);
  const S = log2(E) + 1n;
  const mask = (1n << (E - S)) - 1n;
  return (L + mask) & ~mask;
}

/** C4: the plaintext length of a padded content. */
export function paddedSize(content) {
  const P = padme(8n + content);
  demand(P <= most, "size", "too large");
  return P;
}

const count = (P) => (P === 0n ? 1n : (P + PLAIN - 1n) / PLAIN);

/** C5. */
export function storedLength(P) {
  demand(P <= most, "size", "too large");
  return P + OVER * count(P);
}

/** C5. */
export function plainLength(C) {
  demand(C <= (1n << 32n) * SEG, "size", "too large");
  const [full, rest] = [C / SEG, C % SEG];
  if (rest === 0n && full > 0n) return full * PLAIN;
  demand(rest > OVER || (rest === OVER && full === 0n), "size", "length of no payload");
  return full * PLAIN + rest - OVER;
}

const aad = (fileId, i, final) => concat(ascii("EMRYS-PRE-V1 seg"), fileId, big(i, 8), [final ? 1 : 0]);

/** C3: one segment. */
export async function sealSegment(key, fileId, i, final, plaintext, nonce) {
  return concat(nonce, await gcmSeal(key, nonce, aad(fileId, i, final), plaintext));
}

async function openSegment(key, fileId, i, final, stored) {
  const plaintext = await gcmOpen(key, stored.slice(0, 12), aad(fileId, i, final), stored.slice(12));
  demand(plaintext !== undefined, "authentication", `segment ${i}`);
  return plaintext;
}

/** C3, C4: the plaintext of a content. */
export function plaintextOf(content, layout) {
  if (layout === "plain") return content;
  const P = paddedSize(BigInt(content.length));
  return concat(big(content.length, 8), content, new Uint8Array(Number(P) - 8 - content.length));
}

/** C3: a whole payload. nonceOf gives the nonce of a segment. */
export async function seal(dek, fileId, layout, content, nonceOf = () => globalThis.crypto.getRandomValues(new Uint8Array(12))) {
  return sealPlaintext(keys(dek, fileId, layout).key, fileId, plaintextOf(content, layout), nonceOf);
}

export async function sealPlaintext(key, fileId, plaintext, nonceOf, relabel = () => undefined) {
  const out = [];
  const N = Number(count(BigInt(plaintext.length)));
  for (let i = 0; i < N; i++) {
    const part = plaintext.slice(i * Number(PLAIN), (i + 1) * Number(PLAIN));
    const { number: i2, final } = relabel(i) ?? { number: i, final: i === N - 1 };
    out.push(await sealSegment(key, fileId, i2, final, part, nonceOf(i)));
  }
  return concat(...out);
}

/** What steps 1 and 2 of C6 find. */
function prepare(dek, fileId, commitment, P) {
  const layout = layoutOf(dek, fileId, commitment);
  demand(P <= most, "size", "too large");
  if (layout === "padded") demand(P >= 8n && padme(P) === P, "size", "no padded length");
  return { layout, key: keys(dek, fileId, layout).key, N: count(P), C: storedLength(P), begin: layout === "padded" ? 8n : 0n };
}

/** Steps 3.4 and 3.5 of C6 on one opened segment; the state keeps the content's length. */
function checkPadding(state, P, i, plaintext) {
  if (i === 0n) {
    state.n = number(plaintext.slice(0, 8));
    demand(state.n <= P - 8n && padme(8n + state.n) === P, "padding", "length");
  }
  const from = 8n + state.n - i * PLAIN;
  for (let j = from < 0n ? 0n : from; j < BigInt(plaintext.length); j++) {
    demand(plaintext[Number(j)] === 0, "padding", "byte");
  }
}

/**
 * C6. Returns the layout and the content; a refusal carries how many bytes of content had been released.
 * What is stored is a byte string here, and its end is the end of the source.
 */
export async function read(dek, fileId, commitment, P, stored) {
  const state = { released: 0n, content: [] };
  try {
    const { layout, key, N, C, begin } = prepare(dek, fileId, commitment, P);
    state.n = layout === "plain" ? P : undefined;
    const held = [];
    for (let i = 0n; i < N; i++) {
      const end = i === N - 1n ? C : (i + 1n) * SEG;
      demand(end <= BigInt(stored.length), "truncated", `segment ${i}`);
      const plaintext = await openSegment(key, fileId, i, i === N - 1n, stored.slice(Number(i * SEG), Number(end)));
      if (i === N - 1n) demand(BigInt(stored.length) === C, "trailing", "after the last segment");
      if (layout === "padded") checkPadding(state, P, i, plaintext);
      hold(held, state, begin, i, plaintext, i === N - 1n);
    }
    return { layout, content: concat(...state.content) };
  } catch (e) {
    e.released = state.released;
    throw e;
  }
}

/** Step 3.6: releases a segment's content, or holds it back while it has the content's last byte and segments follow. */
function hold(held, state, begin, i, plaintext, last) {
  const from = i === 0n ? begin : 0n;
  const to = begin + state.n - i * PLAIN;
  const part = plaintext.slice(Number(from), Math.max(Number(from), Math.min(plaintext.length, Number(to < 0n ? 0n : to))));
  held.push(part);
  const ends = to >= 0n && to <= BigInt(plaintext.length);
  if (!last && (ends || held.length > 1)) return;
  for (const h of held.splice(0)) {
    state.content.push(h);
    state.released += BigInt(h.length);
  }
}

/** C7, C8. fetch(from, to) gives stored bytes, fewer at the end of the source. */
export async function readRange(dek, fileId, commitment, P, offset, length, fetch) {
  const { layout, key, N, C, begin } = prepare(dek, fileId, commitment, P);
  const segment = async (i) => {
    const end = i === N - 1n ? C : (i + 1n) * SEG;
    const stored = await fetch(i * SEG, end);
    demand(BigInt(stored.length) === end - i * SEG, "truncated", `segment ${i}`);
    return openSegment(key, fileId, i, i === N - 1n, stored);
  };
  const state = { n: layout === "plain" ? P : undefined };
  if (layout === "padded") checkPadding(state, P, 0n, await segment(0n));
  const last = offset + length < state.n ? offset + length : state.n;
  if (offset >= state.n || length === 0n) return { layout, content: new Uint8Array(0) };
  const [a, b] = [begin + offset, begin + last - 1n];
  const out = [];
  for (let i = a / PLAIN; i <= b / PLAIN; i++) {
    const plaintext = await segment(i);
    if (layout === "padded") checkPadding(state, P, i, plaintext);
    const from = a > i * PLAIN ? a - i * PLAIN : 0n;
    out.push(plaintext.slice(Number(from), Number(b + 1n - i * PLAIN)));
  }
  return { layout, content: concat(...out) };
}
