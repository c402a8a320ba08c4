// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

// The protocol (pre.md P6 to P14).

import * as cbor from "./cbor.mjs";
import { ascii, concat, demand, equal, Fields, number, Refused } from "./bytes.mjs";
import {
  add, decodePoint, decodeScalar, encodePoint, encodeScalar, G, isIdentity, mul, n, same, scalar, sub, U, x,
} from "./group.mjs";
import { checkGateway, gcmOpen, gcmSeal, gw, H, Hs, joined, KDF, sha256, sign, Suite, verify } from "./hash.mjs";
import * as hybrid from "./hybrid.mjs";

const none = new Uint8Array(0);

export function randomBytes(size) {
  const out = new Uint8Array(size);
  for (let at = 0; at < size; at += 65536) globalThis.crypto.getRandomValues(out.subarray(at, at + 65536)); // no more at a time
  return out;
}
export const randomScalar = () => (number(randomBytes(48)) % (n - 1n)) + 1n;

/** What a judge remembers of its public key. */
export const publicOf = (k) => encodePoint(mul(k, G));

// P6

const utf8 = (value) => (typeof value === "string" ? ascii(value) : value);

/** P6: the hash of a record context, and its CBOR. Texts that are not UTF-8 are given as bytes. */
export function contextHash(c) {
  const text = (value, least) => {
    const bytes = utf8(value);
    demand(bytes.length >= least && bytes.length <= 512, "context", "length of a text");
    try {
      return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
    } catch {
      throw new Refused("context", "text is not UTF-8");
    }
  };
  const unsigned = (value, least, bitsOf) => {
    const v = BigInt(value);
    demand(v >= least && v < 1n << bitsOf, "context", "integer");
    return v;
  };
  const exactly = (value, ...sizes) => {
    demand(sizes.includes(value.length), "context", "length of bytes");
    return value;
  };
  const array = [
    1, Suite, "record context", text(c.channel, 1), text(c.record, 1), text(c.patient, 1), text(c.scope, 1), unsigned(c.epoch, 0n, 32n),
    contextPoint(c.scope_key), text(c.author, 1), authorKey(c.author_key), text(c.class, 0), text(c.level, 0),
    exactly(c.policy_hash, 0, 32), exactly(c.file_id, 32), text(c.cid, 1), unsigned(c.plain_size, 0n, 64n),
    unsigned(c.cipher_size, 0n, 64n), unsigned(c.segment_size, 1n, 32n), exactly(c.cipher_digest, 32),
    exactly(c.key_commitment, 32), unsigned(c.version, 0n, 32n), text(c.previous, 0), unsigned(c.threshold, 1n, 8n),
  ];
  const bytes = cbor.encode(array);
  return { cbor: bytes, ctx: sha256(bytes) };
}

function contextPoint(bytes) {
  try {
    decodePoint(bytes);
  } catch {
    throw new Refused("context", "scope key");
  }
  return bytes;
}

function authorKey(bytes) {
  demand(bytes.length >= 1 && bytes.length <= 2048, "context", "author key");
  return bytes;
}

// P7

/** P7.1. */
export function encapsulate(pkA, ctx, k = randomScalar()) {
  const A = decodePoint(pkA);
  const r = Hs("capsule r", encodeScalar(k), pkA, ctx);
  const u = Hs("capsule u", encodeScalar(k), pkA, ctx);
  const [E, V] = [encodePoint(mul(r, G)), encodePoint(mul(u, G))];
  const h = Hs("capsule", pkA, ctx, E, V);
  const s = encodeScalar(scalar.add(u, scalar.mul(r, h)));
  const Z = x(mul(scalar.add(r, u), A));
  return { capsule: concat(E, V, s), K_pre: capsuleKey(Z, E, V, s, ctx), r, u, h, Z };
}

const capsuleKey = (Z, E, V, s, ctx) => KDF(Z, none, 32, "K_pre", E, V, s, ctx);

export function decodeCapsule(bytes) {
  const f = new Fields(bytes);
  const [E, V, s] = [f.take(33), f.take(33), f.take(32)];
  f.end();
  return { bytes, E, V, s, pointE: decodePoint(E), pointV: decodePoint(V), scalarS: decodeScalar(s) };
}

/** P7.2; returns the challenge. */
export function verifyCapsule(c, pkA, ctx) {
  const h = Hs("capsule", pkA, ctx, c.E, c.V);
  demand(same(mul(c.scalarS, G), add(c.pointV, mul(h, c.pointE))), "proof", "capsule");
  demand(!isIdentity(add(c.pointE, c.pointV)), "proof", "capsule encapsulates nothing");
  return h;
}

/** P7.3. */
export function decapsulate(a, c, ctx) {
  verifyCapsule(c, publicOf(a), ctx);
  return capsuleKey(x(mul(a, add(c.pointE, c.pointV))), c.E, c.V, c.s, ctx);
}

// P8

/** The bounds of P8.1 and P12.1. */
export function checkThreshold(gateways, threshold) {
  demand(gateways.length >= 1 && gateways.length <= 255, "parameter", "number of gateways");
  demand(threshold >= 1 && threshold <= gateways.length, "parameter", "threshold");
  for (const g of gateways) checkGateway(g, "parameter");
  demand(new Set(gateways).size === gateways.length, "parameter", "a gateway is named twice");
}

const evaluate = (coefficients, at) => coefficients.reduceRight((y, c) => scalar.add(scalar.mul(y, at), c), 0n);

const signed = (f, pkA, pkB, pkS) =>
  H("key fragment signature", f.id, f.U1, f.X_A, pkA, pkB, pkS, gw(f.gateway), f.grant);

/** P8.4. */
export const commitmentOf = (f) => H("key fragment commitment", f.id, f.U1, f.X_A, gw(f.gateway), f.grant);

const idBytes = (gateway) => concat([ascii(gateway).length], ascii(gateway));

const encodeFragment = (f) => concat(f.id, f.rk, f.X_A, f.U1, f.grant, f.signature, idBytes(f.gateway));

/** P8.1. Coefficients are c_1 and on; signer is the scope signer's private key, or nothing for fragments without signatures. */
export function rekey({ a, signer, pkB, pkS, grant, gateways, xA = randomScalar(), coefficients, ids }) {
  const B = decodePoint(pkB);
  const pkA = publicOf(a);
  const X_A = publicOf(xA);
  const dh = x(mul(xA, B));
  const d = Hs("d", X_A, pkB, dh);
  const f0 = scalar.mul(a, scalar.inverse(d));
  const working = { dh, d, f0, x: [], m: [] };
  const fragments = gateways.map((gateway, i) => {
    const id = ids?.[i] ?? randomBytes(32);
    const at = Hs("x", X_A, pkB, dh, id);
    const rk = evaluate([f0, ...coefficients], at);
    const f = { id, rk: encodeScalar(rk), X_A, U1: encodePoint(mul(rk, U)), grant, gateway, signature: new Uint8Array(64) };
    const m = signed(f, pkA, pkB, pkS);
    working.x.push(at);
    working.m.push(m);
    if (signer) f.signature = sign(signer, m);
    return encodeFragment(f);
  });
  return { fragments, working };
}

/** P8.2. */
export function decodeKeyFragment(bytes) {
  const f = new Fields(bytes);
  const out = { id: f.take(32), rk: f.take(32), X_A: f.take(33), U1: f.take(33), grant: f.take(32), signature: f.take(64) };
  out.gateway = takeGateway(f);
  decodeScalar(out.rk);
  decodePoint(out.X_A);
  decodePoint(out.U1);
  return out;
}

function takeGateway(f) {
  const id = f.take(f.take(1)[0]);
  f.end();
  const text = new TextDecoder("latin1").decode(id);
  checkGateway(text, "malformed");
  return text;
}

/** P8.3. */
export function verifyKeyFragment(f, pkA, pkB, pkS, gateway, grant) {
  for (const key of [pkA, pkB, pkS]) decodePoint(key);
  demand(same(decodePoint(f.U1), mul(decodeScalar(f.rk), U)), "proof", "U1");
  checkSigned(f, pkA, pkB, pkS, gateway, grant);
}

function checkSigned(f, pkA, pkB, pkS, gateway, grant) {
  demand(f.gateway === gateway, "proof", "gateway");
  demand(equal(f.grant, grant), "proof", "grant");
  verify(pkS, signed(f, pkA, pkB, pkS), f.signature);
}

// P9

const challenge = (f, c, p, points) =>
  Hs("reencryption", p.ctx, p.request, gw(f.gateway), f.grant, f.id, f.X_A, p.pk_A, p.pk_B, p.pk_S,
    c.E, c.V, c.s, encodePoint(U), f.E1, f.V1, f.U1, ...points.map(encodePoint));

/** P9.1. p holds pk_A, pk_B, pk_S, ctx, grant, request. */
export function reencrypt(k, c, p, gateway, randomK = randomScalar()) {
  verifyKeyFragment(k, p.pk_A, p.pk_B, p.pk_S, gateway, p.grant);
  verifyCapsule(c, p.pk_A, p.ctx);
  const rk = decodeScalar(k.rk);
  const w = Hs("reencryption nonce", k.rk, encodeScalar(randomK), p.ctx, p.request, p.pk_B, p.pk_A, p.pk_S, k.grant, k.id,
    gw(k.gateway), c.bytes);
  const f = { ...k, E1: encodePoint(mul(rk, c.pointE)), V1: encodePoint(mul(rk, c.pointV)) };
  const h = challenge(f, c, p, [mul(w, c.pointE), mul(w, c.pointV), mul(w, U)]);
  const z = scalar.add(w, scalar.mul(h, rk));
  const bytes = concat(f.E1, f.V1, f.id, f.X_A, f.U1, encodeScalar(h), encodeScalar(z), f.signature, f.grant, idBytes(f.gateway));
  return { bytes, w };
}

/** P9.2. */
export function decodeCapsuleFragment(bytes) {
  const f = new Fields(bytes);
  const out = { E1: f.take(33), V1: f.take(33), id: f.take(32), X_A: f.take(33), U1: f.take(33), h: f.take(32), z: f.take(32) };
  out.signature = f.take(64);
  out.grant = f.take(32);
  out.gateway = takeGateway(f);
  for (const point of [out.E1, out.V1, out.X_A, out.U1]) decodePoint(point);
  decodeScalar(out.h);
  decodeScalar(out.z);
  return out;
}

/** P9.4. Refusals name the gateway of the fragment. */
export function verifyCapsuleFragment(f, c, p, gateway) {
  try {
    checkSigned(f, p.pk_A, p.pk_B, p.pk_S, gateway, p.grant);
    const [h, z] = [decodeScalar(f.h), decodeScalar(f.z)];
    const first = (base, image) => sub(mul(z, base), mul(h, decodePoint(image)));
    const points = [first(c.pointE, f.E1), first(c.pointV, f.V1), first(U, f.U1)];
    demand(!points.some(isIdentity), "proof", "identity");
    demand(challenge(f, c, p, points) === h, "proof", "challenge");
  } catch (e) {
    if (e instanceof Refused) e.gateway = f.gateway;
    throw e;
  }
}

// P10

/** P10. fragments are decoded; the result holds K_pre and the refused ones. */
export function open({ b, c, threshold, p, fragments }) {
  for (const key of [p.pk_A, p.pk_B, p.pk_S]) decodePoint(key);
  demand(equal(publicOf(b), p.pk_B), "parameter", "another reader");
  demand(threshold >= 1 && threshold <= 255, "parameter", "threshold");
  const hc = verifyCapsule(c, p.pk_A, p.ctx);
  const { group, refused } = groups(fragments, c, p);
  if (group.length < threshold) {
    const e = new Refused("too few", `${group.length} of ${threshold}`);
    e.refused = refused;
    throw e;
  }
  const used = group.slice(0, threshold);
  const X_A = used[0].X_A;
  const dh = x(mul(b, decodePoint(X_A)));
  const d = Hs("d", X_A, p.pk_B, dh);
  const lambdas = lagrange(used.map((f) => Hs("x", X_A, p.pk_B, dh, f.id)));
  const sum = (part) => used.reduce((S, f, i) => add(S, mul(lambdas[i], decodePoint(f[part]))), [1n, 1n, 0n]);
  const [E, V] = [sum("E1"), sum("V1")];
  const left = mul(scalar.mul(c.scalarS, scalar.inverse(d)), decodePoint(p.pk_A));
  demand(same(left, add(V, mul(hc, E))), "proof", "fragments do not belong together");
  return { K_pre: capsuleKey(x(mul(d, add(E, V))), c.E, c.V, c.s, p.ctx), refused };
}

/** P10, steps 3 and 4. */
function groups(fragments, c, p) {
  const refused = [];
  const byRun = new Map();
  for (const f of fragments) {
    try {
      verifyCapsuleFragment(f, c, p, f.gateway);
    } catch (e) {
      if (!(e instanceof Refused)) throw e;
      refused.push({ gateway: f.gateway, class: e.failure });
      continue;
    }
    const key = Buffer.from(f.X_A).toString("hex");
    const run = byRun.get(key) ?? [];
    byRun.set(key, run);
    if (!run.some((o) => o.gateway === f.gateway || equal(o.id, f.id))) run.push(f);
  }
  const [best, ...others] = [...byRun].sort((l, r) => r[1].length - l[1].length || (l[0] < r[0] ? -1 : 1)).map((e) => e[1]);
  for (const f of others.flat()) refused.push({ gateway: f.gateway, class: "proof" });
  return { group: best ?? [], refused };
}

/** The Lagrange coefficients at zero; two equal coordinates are refused. */
function lagrange(xs) {
  demand(new Set(xs).size === xs.length, "proof", "coordinates");
  return xs.map((xi, i) =>
    xs.reduce((l, xj, j) => (i === j ? l : scalar.mul(l, scalar.mul(xj, scalar.inverse(scalar.sub(xj, xi))))), 1n));
}

// P12

const shareInfo = (label, ctx, s, ...extra) => joined(label, ctx, gw(s.gateway), [s.index], s.commitment, ...extra);

const shareCommitment = (ctx, gateway, index, y, salt) => H("share commitment", ctx, gw(gateway), Uint8Array.of(index), y, salt);

/** P12.1, without sealing. */
export function split(ctx, y0, coefficients, gateways, salts) {
  const values = gateways.map((_, i) => encodeScalar(evaluate([y0, ...coefficients], BigInt(i + 1))));
  return {
    K_share: encodeScalar(y0),
    values,
    commitments: gateways.map((g, i) => shareCommitment(ctx, g, i + 1, values[i], salts[i])),
  };
}

/** P12.1: one sealed share. */
export async function sealShare(publicKey, ctx, gateway, index, y, salt) {
  const s = { gateway, index, commitment: shareCommitment(ctx, gateway, index, y, salt) };
  s.sealed = await hybrid.seal(publicKey, shareInfo("share", ctx, s), concat(y, salt));
  return s;
}

async function openWith(sk, info, ctx, s, sealed) {
  try {
    const plaintext = await hybrid.open(sk, info, sealed);
    demand(plaintext.length === 64, "malformed", "share");
    const [y, salt] = [plaintext.slice(0, 32), plaintext.slice(32)];
    demand(equal(shareCommitment(ctx, s.gateway, s.index, y, salt), s.commitment), "share", "commitment");
    return { y, salt };
  } catch (e) {
    if (e instanceof Refused) e.gateway = s.gateway;
    throw e;
  }
}

/** P12.2. */
export const openShare = (sk, ctx, s) => openWith(sk, shareInfo("share", ctx, s), ctx, s, s.sealed);

/** P12.3. */
export async function reseal(sk, ctx, request, s, readerPublic) {
  const { y, salt } = await openShare(sk, ctx, s);
  return hybrid.seal(readerPublic, shareInfo("share for reader", ctx, s, request), concat(y, salt));
}

/** P12.4. */
export async function openResealed(sk, ctx, request, s, sealed) {
  const { y } = await openWith(sk, shareInfo("share for reader", ctx, s, request), ctx, s, sealed);
  try {
    decodeScalar(y);
    demand(s.index !== 0, "malformed", "index");
  } catch (e) {
    e.gateway = s.gateway;
    throw e;
  }
  return y;
}

/** P12.5. Shares are {ctx, gateway, index, y}, or null for an empty one. */
export function combine(threshold, shares) {
  demand(threshold >= 1 && threshold <= 255, "parameter", "threshold");
  const distinct = [];
  for (const s of shares) {
    demand(s !== null && s.index !== 0, "parameter", "an empty share");
    if (!equal(s.ctx, shares[0].ctx)) throw new Refused("share", "another record", s.gateway);
    if (!distinct.some((o) => o.index === s.index)) distinct.push(s);
  }
  demand(distinct.length >= threshold, "too few", "shares");
  const first = distinct.slice(0, threshold);
  const at = (point) => {
    const lambdas = lagrange(first.map((s) => scalar.sub(BigInt(s.index), point)));
    return first.reduce((y, s, i) => scalar.add(y, scalar.mul(lambdas[i], number(s.y))), 0n);
  };
  for (const s of distinct.slice(threshold)) {
    demand(at(BigInt(s.index)) === number(s.y), "share", "shares do not belong together");
  }
  return encodeScalar(at(0n));
}

// P13

/** P13.1. */
export function kek(ctx, K_share, K_pre) {
  demand(K_share.length === 32 && K_pre.length === 32, "parameter", "length of a key");
  return KDF(concat(K_share, K_pre), ctx, 32, "kek");
}

export async function wrap(ctx, K_share, K_pre, dek, nonce = randomBytes(12)) {
  demand(dek.length === 32, "parameter", "data key");
  return concat(nonce, await gcmSeal(kek(ctx, K_share, K_pre), nonce, joined("wrapped key", ctx), dek));
}

export async function unwrap(ctx, K_share, K_pre, wrapped) {
  demand(wrapped.length === 60, "malformed", "wrapped key");
  const dek = await gcmOpen(kek(ctx, K_share, K_pre), wrapped.slice(0, 12), joined("wrapped key", ctx), wrapped.slice(12));
  demand(dek !== undefined, "decrypt", "wrapped key");
  return dek;
}

/** P13.2. */
export function encodeEnvelope(e) {
  const shares = e.shares.map((s) => [s.gateway, s.index, s.sealed, s.commitment]);
  return cbor.encode([1, Suite, hybrid.KEM, e.wrapped, e.threshold, shares, e.patient_copy, e.hospital_copy]);
}

export function decodeEnvelope(bytes) {
  const a = cbor.decode(bytes);
  const is = (ok, what) => demand(ok, "malformed", what);
  const array = (v, size) => Array.isArray(v) && v.length === size;
  const blob = (v, ...sizes) => v instanceof Uint8Array && sizes.includes(v.length);
  is(array(a, 8), "envelope");
  is(a[0] === 1n && a[1] === Suite && a[2] === BigInt(hybrid.KEM), "version, suite or KEM");
  is(blob(a[3], 60) && blob(a[6], 0, 1215) && blob(a[7], 0, 1215), "wrapped key or copies");
  is(typeof a[4] === "bigint" && Array.isArray(a[5]), "threshold or shares");
  const shares = a[5].map((s) => {
    is(array(s, 4) && typeof s[0] === "string" && typeof s[1] === "bigint", "share");
    is(blob(s[2], 1247) && blob(s[3], 32), "sealed share or commitment");
    is(s[1] < 256n, "index");
    return { gateway: s[0], index: Number(s[1]), sealed: s[2], commitment: s[3] };
  });
  is(shares.every((s, i) => s.index > (i === 0 ? 0 : shares[i - 1].index)), "indices do not rise");
  for (const s of shares) checkGateway(s.gateway, "malformed");
  is(shares.length >= 1 && shares.length <= 255 && new Set(shares.map((s) => s.gateway)).size === shares.length, "gateways");
  is(a[4] >= 1n && a[4] <= BigInt(shares.length), "threshold");
  return { wrapped: a[3], threshold: Number(a[4]), shares, patient_copy: a[6], hospital_copy: a[7] };
}

// P14

const copyInfo = { patient: (ctx) => joined("patient copy", ctx), hospital: (ctx) => joined("hospital copy", ctx) };

const fragmentInfo = (gateway, grant) => joined("key fragment for gateway", grant, gw(gateway));

/** P14.1. */
export const sealKeyFragment = (publicKey, gateway, grant, fragment) => hybrid.seal(publicKey, fragmentInfo(gateway, grant), fragment);

export async function openKeyFragment(sk, gateway, grant, sealed) {
  const bytes = await hybrid.open(sk, fragmentInfo(gateway, grant), sealed);
  const f = decodeKeyFragment(bytes);
  demand(f.gateway === gateway && equal(f.grant, grant), "proof", "gateway or grant");
  return bytes;
}

const openKey = (sk, info, sealed) => {
  hybrid.expandPrivate(sk);
  demand(sealed.length === 1215, "malformed", "sealed copy");
  return hybrid.open(sk, info, sealed);
};

/** P14.2 to P14.4. */
export const sealPatientCopy = (pk, ctx, key) => hybrid.seal(pk, copyInfo.patient(ctx), key);
export const openPatientCopy = (sk, ctx, sealed) => openKey(sk, copyInfo.patient(ctx), sealed);
export const sealHospitalCopy = (pk, ctx, key) => hybrid.seal(pk, copyInfo.hospital(ctx), key);
export const openHospitalCopy = (sk, ctx, sealed) => openKey(sk, copyInfo.hospital(ctx), sealed);
export const sealDirectKey = (pk, ctx, grant, key) => hybrid.seal(pk, joined("direct key for reader", ctx, grant), key);
export const openDirectKey = (sk, ctx, grant, sealed) => openKey(sk, joined("direct key for reader", ctx, grant), sealed);

