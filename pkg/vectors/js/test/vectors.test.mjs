// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

// Every vector of docs/spec/vectors. An unknown file, operation or field fails, so that nothing is skipped in silence.

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

import { hex, number, Refused, unhex } from "../bytes.mjs";
import * as container from "../container.mjs";
import { decodePoint, decodeScalar, encodeScalar, encodePoint, U } from "../group.mjs";
import { expand, fromSeed, gw, H, Hs, joined, KDF, keyId, parts, reduce, scopeScalar, sha256, verify } from "../hash.mjs";
import { ascii } from "../bytes.mjs";
import * as hybrid from "../hybrid.mjs";
import * as pre from "../pre.mjs";
import { checkStory } from "../story.mjs";

const folder = join(dirname(fileURLToPath(import.meta.url)), "../../../../docs/spec/vectors");

const scalarHex = (s) => hex(encodeScalar(s));
const list = (texts) => texts.map(unhex);
const integer = (text) => BigInt(text);

const shareOf = (s) => ({ gateway: s.gateway, index: s.index, sealed: unhex(s.sealed), commitment: unhex(s.commitment) });

const shareHex = (s) => ({ commitment: hex(s.commitment), gateway: s.gateway, index: s.index, sealed: hex(s.sealed) });

/** The values that fragments are bound to. */
const bound = (i) => {
  const p = {};
  for (const name of ["pk_A", "pk_B", "pk_S", "ctx", "grant", "request"]) p[name] = unhex(i[name]);
  return p;
};

const fragmentHex = (f, names) => Object.fromEntries(names.map((n) => [n, n === "gateway" ? f[n] : hex(f[n])]));

/** What stands for the stored bytes of a container case. */
function stored(i, payloads) {
  const bytes = Buffer.concat(i.pieces.map((p) => (p.bytes !== undefined ? unhex(p.bytes) : payloads[p.payload].slice(p.from, p.to))));
  for (const f of i.flips) bytes[f.offset] ^= f.mask;
  return new Uint8Array(bytes);
}

const read = ({ layout, content }) => ({ layout, length: String(content.length), sha256: hex(sha256(content)) });

/** Each operation: the names of its inputs, and what gives its outputs. */
const operations = {
  parts: [["parts"], (i) => ({ bytes: hex(parts(...list(i.parts))) })],
  joined: [["label", "parts"], (i) => ({ bytes: hex(joined(i.label, ...list(i.parts))) })],
  hash: [["label", "parts"], (i) => ({ hash: hex(H(i.label, ...list(i.parts))) })],
  expand: [["message", "dst", "size"], (i) => ({ bytes: hex(expand(unhex(i.message), ascii(i.dst), i.size)) })],
  reduce: [["bytes"], (i) => ({ scalar: scalarHex(reduce(unhex(i.bytes))) })],
  hash_to_scalar: [["label", "parts"], (i) => ({ scalar: scalarHex(Hs(i.label, ...list(i.parts))) })],
  kdf: [["secret", "salt", "size", "label", "parts"], (i) => ({ key: hex(KDF(unhex(i.secret), unhex(i.salt), i.size, i.label, ...list(i.parts))) })],
  second_generator: [[], () => ({ point: hex(encodePoint(U)) })],
  gateway_hash: [["gateway"], (i) => ({ hash: hex(gw(i.gateway)) })],

  decode_point: [["point"], (i) => (decodePoint(unhex(i.point)), { key_id: keyId(unhex(i.point)) })],
  decode_scalar: [["scalar"], (i) => ({ public: hex(pre.publicOf(decodeScalar(unhex(i.scalar)))) })],
  verify_signature: [["public", "hash", "signature"], (i) => (verify(unhex(i.public), unhex(i.hash), unhex(i.signature)), {})],
  derive_scope_key: [["seed", "name", "epoch"], derived("scope key")],
  derive_scope_signer: [["seed", "name", "epoch"], derived("scope signer")],
  derive_hybrid_key: [["seed", "name", "epoch"], (i) => {
    const sk = fromSeed("hybrid key", unhex(i.seed), 32, i.name, i.epoch);
    return { private: hex(sk), public: hex(hybrid.expandPrivate(sk).public) };
  }],
  decode_hybrid_private: [["private"], (i) => {
    const k = hybrid.expandPrivate(unhex(i.private));
    return { public: hex(k.public), key_id: keyId(k.public) };
  }],
  decode_hybrid_public: [["public"], (i) => (hybrid.decodePublic(unhex(i.public)), { key_id: keyId(unhex(i.public)) })],

  context_hash: [["context"], (i) => ({ ctx: hex(pre.contextHash(contextOf(i.context)).ctx) })],

  encapsulate: [["k", "pk_A", "ctx"], (i) => {
    const e = pre.encapsulate(unhex(i.pk_A), unhex(i.ctx), decodeScalar(unhex(i.k)));
    return { capsule: hex(e.capsule), K_pre: hex(e.K_pre) };
  }],
  decode_capsule: [["capsule"], (i) => {
    const c = pre.decodeCapsule(unhex(i.capsule));
    return { E: hex(c.E), V: hex(c.V), s: hex(c.s) };
  }],
  verify_capsule: [["capsule", "pk_A", "ctx"], (i) => {
    const c = pre.decodeCapsule(unhex(i.capsule));
    decodePoint(unhex(i.pk_A));
    pre.verifyCapsule(c, unhex(i.pk_A), unhex(i.ctx));
    return {};
  }],
  decapsulate: [["a", "capsule", "ctx"], (i) => {
    const a = decodeScalar(unhex(i.a));
    return { K_pre: hex(pre.decapsulate(a, pre.decodeCapsule(unhex(i.capsule)), unhex(i.ctx))) };
  }],

  rekey: [["a", "signer", "pk_B", "grant", "x_A", "coefficients", "ids", "gateways"], (i) => {
    const { fragments } = pre.rekey({
      a: decodeScalar(unhex(i.a)), pkB: unhex(i.pk_B), pkS: pre.publicOf(decodeScalar(unhex(i.signer))), grant: unhex(i.grant), gateways: i.gateways,
      xA: decodeScalar(unhex(i.x_A)), coefficients: list(i.coefficients).map(decodeScalar), ids: list(i.ids),
    });
    return { fragments: fragments.map(hex), commitments: fragments.map((f) => hex(pre.commitmentOf(pre.decodeKeyFragment(f)))) };
  }],
  check_threshold: [["gateways", "threshold"], (i) => (pre.checkThreshold(i.gateways, i.threshold), {})],
  decode_key_fragment: [["fragment"], (i) =>
    fragmentHex(pre.decodeKeyFragment(unhex(i.fragment)), ["id", "rk", "X_A", "U1", "grant", "signature", "gateway"])],
  verify_key_fragment: [["fragment", "pk_A", "pk_B", "pk_S", "gateway", "grant"], (i) => {
    const f = pre.decodeKeyFragment(unhex(i.fragment));
    pre.verifyKeyFragment(f, unhex(i.pk_A), unhex(i.pk_B), unhex(i.pk_S), i.gateway, unhex(i.grant));
    return { commitment: hex(pre.commitmentOf(f)) };
  }],

  reencrypt: [["fragment", "capsule", "pk_A", "pk_B", "pk_S", "gateway", "ctx", "grant", "request", "k"], (i) => {
    const k = pre.decodeKeyFragment(unhex(i.fragment));
    const c = pre.decodeCapsule(unhex(i.capsule));
    return { capsule_fragment: hex(pre.reencrypt(k, c, bound(i), i.gateway, decodeScalar(unhex(i.k))).bytes) };
  }],
  decode_capsule_fragment: [["capsule_fragment"], (i) =>
    fragmentHex(pre.decodeCapsuleFragment(unhex(i.capsule_fragment)), ["E1", "V1", "id", "X_A", "U1", "h", "z", "signature", "grant", "gateway"])],
  verify_capsule_fragment: [["capsule_fragment", "capsule", "pk_A", "pk_B", "pk_S", "ctx", "grant", "request", "gateway"], (i) => {
    const f = pre.decodeCapsuleFragment(unhex(i.capsule_fragment));
    pre.verifyCapsuleFragment(f, pre.decodeCapsule(unhex(i.capsule)), bound(i), i.gateway);
    return { commitment: hex(pre.commitmentOf(f)) };
  }],

  open: [["b", "capsule", "threshold", "pk_A", "pk_B", "pk_S", "ctx", "grant", "request", "capsule_fragments"], (i) => {
    const fragments = list(i.capsule_fragments).map(pre.decodeCapsuleFragment);
    const c = pre.decodeCapsule(unhex(i.capsule));
    const opened = pre.open({ b: decodeScalar(unhex(i.b)), c, threshold: i.threshold, p: bound(i), fragments });
    return { K_pre: hex(opened.K_pre), refused: opened.refused };
  }],

  hybrid_expand: [["private"], (i) => {
    const k = hybrid.expandPrivate(unhex(i.private));
    return { mlkem_seed: hex(k.seed), e: scalarHex(k.e), public: hex(k.public) };
  }],
  hybrid_seal: [["private", "public", "info", "plaintext", "m", "y", "nonce"], async (i) => {
    const y = number(unhex(i.y));
    return { sealed: hex(await hybrid.seal(unhex(i.public), unhex(i.info), unhex(i.plaintext), { m: unhex(i.m), y, nonce: unhex(i.nonce) })) };
  }],
  hybrid_open: [["private", "info", "sealed"], async (i) => ({ plaintext: hex(await hybrid.open(unhex(i.private), unhex(i.info), unhex(i.sealed))) })],

  split: [["ctx", "y_0", "coefficients", "gateways", "salts"], (i) => {
    const s = pre.split(unhex(i.ctx), decodeScalar(unhex(i.y_0)), list(i.coefficients).map(decodeScalar), i.gateways, list(i.salts));
    return { K_share: hex(s.K_share), values: s.values.map(hex), commitments: s.commitments.map(hex) };
  }],
  open_share: [["private", "ctx", "share"], async (i) => {
    const { y, salt } = await pre.openShare(unhex(i.private), unhex(i.ctx), shareOf(i.share));
    return { y: hex(y), salt: hex(salt) };
  }],
  open_resealed_share: [["private", "ctx", "request", "share", "sealed"], async (i) => ({
    y: hex(await pre.openResealed(unhex(i.private), unhex(i.ctx), unhex(i.request), shareOf(i.share), unhex(i.sealed))),
  })],
  combine: [["threshold", "shares"], (i) => {
    const shares = i.shares.map((s) => s && { ctx: unhex(s.ctx), gateway: s.gateway, index: s.index, y: unhex(s.y) });
    return { K_share: hex(pre.combine(i.threshold, shares)) };
  }],

  unwrap: [["ctx", "K_share", "K_pre", "wrapped"], async (i) => ({
    dek: hex(await pre.unwrap(unhex(i.ctx), unhex(i.K_share), unhex(i.K_pre), unhex(i.wrapped))),
  })],
  wrap: [["ctx", "K_share", "K_pre", "dek", "nonce"], async (i) => ({
    wrapped: hex(await pre.wrap(unhex(i.ctx), unhex(i.K_share), unhex(i.K_pre), unhex(i.dek), unhex(i.nonce))),
  })],
  decode_envelope: [["envelope"], (i) => {
    const e = pre.decodeEnvelope(unhex(i.envelope));
    assert.equal(hex(pre.encodeEnvelope(e)), i.envelope);
    return {
      wrapped: hex(e.wrapped), threshold: e.threshold, shares: e.shares.map(shareHex), patient_copy: hex(e.patient_copy),
      hospital_copy: hex(e.hospital_copy),
    };
  }],

  open_key_fragment: [["private", "gateway", "grant", "sealed"], async (i) => ({
    fragment: hex(await pre.openKeyFragment(unhex(i.private), i.gateway, unhex(i.grant), unhex(i.sealed))),
  })],
  open_patient_copy: [["private", "ctx", "sealed"], async (i) => ({ K_share: hex(await pre.openPatientCopy(unhex(i.private), unhex(i.ctx), unhex(i.sealed))) })],
  open_hospital_copy: [["private", "ctx", "sealed"], async (i) => ({ dek: hex(await pre.openHospitalCopy(unhex(i.private), unhex(i.ctx), unhex(i.sealed))) })],
  open_direct_key: [["private", "ctx", "grant", "sealed"], async (i) => ({
    K_pre: hex(await pre.openDirectKey(unhex(i.private), unhex(i.ctx), unhex(i.grant), unhex(i.sealed))),
  })],

  container_keys: [["dek", "file_id"], (i) => {
    const [plain, padded] = ["plain", "padded"].map((layout) => container.keys(unhex(i.dek), unhex(i.file_id), layout));
    return {
      plain_key: hex(plain.key), plain_commitment: hex(plain.commitment), padded_key: hex(padded.key), padded_commitment: hex(padded.commitment),
    };
  }],
  stored_length: [["plain_size"], (i) => ({ stored: String(container.storedLength(integer(i.plain_size))) })],
  plain_length: [["stored"], (i) => ({ plain_size: String(container.plainLength(integer(i.stored))) })],
  padme: [["length"], (i) => ({ plain_size: String(container.paddedSize(integer(i.length))) })],
  read: [["dek", "file_id", "commitment", "plain_size", "pieces", "flips"], async (i, payloads) =>
    read(await container.read(unhex(i.dek), unhex(i.file_id), unhex(i.commitment), integer(i.plain_size), stored(i, payloads)))],
  read_range: [["dek", "file_id", "commitment", "plain_size", "pieces", "flips", "offset", "length"], async (i, payloads) => {
    const bytes = stored(i, payloads);
    return read(await container.readRange(unhex(i.dek), unhex(i.file_id), unhex(i.commitment), integer(i.plain_size), integer(i.offset),
      integer(i.length), async (from, to) => bytes.slice(Number(from), Number(to))));
  }],
};

function derived(label) {
  return (i) => {
    const s = scopeScalar(label, unhex(i.seed), i.name, i.epoch);
    return { private: scalarHex(s), public: hex(pre.publicOf(s)) };
  };
}

function contextOf(c) {
  const bytes = ["scope_key", "author_key", "policy_hash", "file_id", "cipher_digest", "key_commitment"];
  return Object.fromEntries(Object.entries(c).map(([name, v]) => [name, bytes.includes(name) ? unhex(v) : (v.hex !== undefined ? unhex(v.hex) : v)]));
}

/** Every payload that the cases of containers.json are made of. */
async function makePayloads(recipes) {
  const out = [];
  for (const r of recipes) {
    const content = r.content !== undefined ? unhex(r.content) : Uint8Array.from({ length: r.length }, (_, j) => j % 251);
    let plaintext = container.plaintextOf(content, r.layout);
    if (r.plaintext_length !== undefined) {
      const fitted = new Uint8Array(r.plaintext_length);
      fitted.set(plaintext.slice(0, r.plaintext_length));
      plaintext = fitted;
    }
    for (const p of r.patches ?? []) plaintext.set(unhex(p.bytes), p.offset);
    const { key } = container.keys(unhex(r.dek), unhex(r.file_id), r.layout);
    const relabel = (i) => {
      const l = r.relabel?.find((l) => l.segment === i);
      return l && { number: BigInt(l.number), final: l.final === 1 };
    };
    const bytes = await container.sealPlaintext(key, unhex(r.file_id), plaintext, (i) => new Uint8Array(12).fill((r.nonce + i) % 256), relabel);
    assert.equal(bytes.length, r.stored_length);
    assert.equal(hex(sha256(bytes)), r.sha256);
    out.push(bytes);
  }
  return out;
}

const sorted = (refused) => refused.map((r) => `${r.gateway} ${r.class}`).sort();

/** What an operation gave, in the form of a case. */
async function outcome(run, inputs, payloads) {
  try {
    return { outputs: await run(inputs, payloads) };
  } catch (e) {
    if (!(e instanceof Refused)) throw e;
    const failure = { class: e.failure };
    if (e.gateway !== undefined) failure.gateway = e.gateway;
    if (e.refused?.length > 0) failure.refused = e.refused;
    if (e.released !== undefined) failure.released = String(e.released);
    return { failure };
  }
}

async function runCase(c, payloads) {
  const known = operations[c.operation];
  assert.ok(known, `unknown operation ${c.operation}`);
  assert.deepEqual(Object.keys(c).filter((f) => !["name", "section", "operation", "inputs", "outputs", "failure", "working"].includes(f)), []);
  assert.deepEqual(Object.keys(c.inputs).sort(), [...known[0]].sort(), "inputs");
  const got = await outcome(known[1], c.inputs, payloads);
  const want = c.outputs !== undefined ? { outputs: c.outputs } : { failure: c.failure };
  for (const side of [got, want]) {
    for (const part of Object.values(side)) if (part.refused) part.refused = sorted(part.refused);
  }
  if (c.operation === "read_range" && got.failure) delete got.failure.released;
  assert.deepEqual(got, want);
}

const subjects = {};
for (const file of readdirSync(folder).filter((f) => f.endsWith(".json")).sort()) {
  const data = JSON.parse(readFileSync(join(folder, file)));
  assert.equal(data.suite, "EMRYS-PRE-V1");
  subjects[data.subject] = true;
  if (data.subject === "story") {
    for (const story of data.stories) test(`${file}: ${story.name}`, () => checkStory(story));
    continue;
  }
  test(file, async (t) => {
    const payloads = data.payloads ? await makePayloads(data.payloads) : [];
    assert.ok(data.cases.length > 0);
    for (const c of data.cases) await t.test(c.name, () => runCase(c, payloads));
  });
}
