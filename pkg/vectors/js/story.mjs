// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

// Stories (docs/spec/vectors/README.md): everything from a patient's seed to what a reader reads. Checks those of others, and makes its own.

import assert from "node:assert/strict";
import * as container from "./container.mjs";
import { equal, hex, unhex } from "./bytes.mjs";
import { decodeScalar, encodeScalar } from "./group.mjs";
import { fromSeed, scopeScalar, sha256 } from "./hash.mjs";
import * as hybrid from "./hybrid.mjs";
import * as pre from "./pre.mjs";

const contextBytes = ["scope_key", "author_key", "policy_hash", "file_id", "cipher_digest", "key_commitment"];

const context = (c) => Object.fromEntries(Object.entries(c).map(([n, v]) => [n, contextBytes.includes(n) ? unhex(v) : v]));

/** Every subset of size t of the first n numbers. */
function* subsets(n, t, from = 0) {
  if (t === 0) yield [];
  else for (let i = from; i <= n - t; i++) for (const rest of subsets(n, t - 1, i + 1)) yield [i, ...rest];
}

/** Fails unless every value of the story follows from the others. */
export async function checkStory(s) {
  const b = (v) => unhex(v);
  const p = s.patient;
  const a = scopeScalar("scope key", b(p.seed), p.scope, p.epoch);
  const signer = scopeScalar("scope signer", b(p.seed), p.scope, p.epoch);
  const own = fromSeed("hybrid key", b(p.seed), 32, p.purpose, p.purpose_epoch);
  assert.equal(hex(encodeScalar(a)), p.a);
  assert.equal(hex(encodeScalar(signer)), p.signer);
  assert.equal(hex(own), p.hybrid_private);
  assert.equal(hex(pre.publicOf(a)), p.pk_A);
  assert.equal(hex(pre.publicOf(signer)), p.pk_S);
  for (const k of [p, s.reader, s.hospital, ...s.gateways]) {
    assert.equal(hex(hybrid.expandPrivate(b(k.hybrid_private)).public), k.hybrid_public);
  }
  const reader = decodeScalar(b(s.reader.b));
  assert.equal(hex(pre.publicOf(reader)), s.reader.pk_B);
  pre.checkThreshold(s.gateways.map((g) => g.id), s.threshold);

  const ctx = b(s.ctx);
  assert.equal(hex(pre.contextHash(context(s.context)).ctx), s.ctx);
  await checkPayload(s);
  const c = pre.decodeCapsule(b(s.capsule));
  assert.equal(hex(pre.decapsulate(a, c, ctx)), s.K_pre);

  const names = { pk_A: b(p.pk_A), pk_B: b(s.reader.pk_B), pk_S: b(p.pk_S), ctx, grant: b(s.grant), request: b(s.request) };
  const envelope = pre.decodeEnvelope(b(s.envelope));
  const fragments = [];
  const shares = [];
  for (const [i, g] of s.gateways.entries()) {
    const k = s.key_fragments[i];
    assert.equal(hex(await pre.openKeyFragment(b(g.hybrid_private), g.id, names.grant, b(k.sealed))), k.fragment);
    const fragment = pre.decodeKeyFragment(b(k.fragment));
    pre.verifyKeyFragment(fragment, names.pk_A, names.pk_B, names.pk_S, g.id, names.grant);
    assert.equal(hex(pre.commitmentOf(fragment)), k.commitment);
    const answer = pre.decodeCapsuleFragment(b(s.capsule_fragments[i]));
    pre.verifyCapsuleFragment(answer, c, names, g.id);
    const fresh = pre.decodeCapsuleFragment(pre.reencrypt(fragment, c, names, g.id).bytes);
    pre.verifyCapsuleFragment(fresh, c, names, g.id);
    fragments.push(i % 2 === 0 ? answer : fresh);
    const share = envelope.shares.find((e) => e.gateway === g.id);
    const opened = await pre.openShare(b(g.hybrid_private), ctx, share);
    const y = await pre.openResealed(b(s.reader.hybrid_private), ctx, names.request, share, b(s.resealed[i]));
    assert.ok(equal(opened.y, y));
    shares.push({ ctx, gateway: g.id, index: share.index, y });
  }
  assert.equal(envelope.threshold, s.threshold);
  for (const quorum of subsets(s.gateways.length, s.threshold)) {
    const opened = pre.open({ b: reader, c, threshold: s.threshold, p: names, fragments: quorum.map((i) => fragments[i]) });
    assert.equal(hex(opened.K_pre), s.K_pre);
    assert.equal(hex(pre.combine(s.threshold, quorum.map((i) => shares[i]))), s.K_share);
  }
  assert.equal(hex(pre.combine(s.threshold, shares)), s.K_share);
  assert.equal(hex(await pre.unwrap(ctx, b(s.K_share), b(s.K_pre), envelope.wrapped)), s.dek);
  assert.equal(hex(await pre.openPatientCopy(own, ctx, envelope.patient_copy)), s.K_share);
  assert.equal(hex(await pre.openHospitalCopy(b(s.hospital.hybrid_private), ctx, envelope.hospital_copy)), s.dek);
  assert.equal(hex(await pre.openDirectKey(b(s.reader.hybrid_private), ctx, names.grant, b(s.direct_key))), s.K_pre);
}

async function checkPayload(s) {
  const payload = unhex(s.payload);
  const P = BigInt(s.context.plain_size);
  assert.equal(String(container.storedLength(P)), s.context.cipher_size);
  assert.equal(String(payload.length), s.context.cipher_size);
  assert.equal(hex(sha256(payload)), s.context.cipher_digest);
  assert.equal(s.context.file_id, s.file_id);
  const got = await container.read(unhex(s.dek), unhex(s.file_id), unhex(s.context.key_commitment), P, payload);
  assert.equal(got.layout, s.layout);
  assert.equal(hex(got.content), s.content);
  const half = BigInt(Math.floor(got.content.length / 2));
  const part = await container.readRange(unhex(s.dek), unhex(s.file_id), unhex(s.context.key_commitment), P, half, 7n,
    async (from, to) => payload.slice(Number(from), Number(to)));
  assert.equal(hex(part.content), hex(got.content.slice(Number(half), Number(half) + 7)));
}

/** Makes a story with everything drawn afresh. */
export async function makeStory({ name, threshold, gateways, layout, length }) {
  const random = (size) => hex(pre.randomBytes(size));
  const pair = (sk) => ({ hybrid_private: sk, hybrid_public: hex(hybrid.expandPrivate(unhex(sk)).public) });
  const seed = pre.randomBytes(32);
  const [scope, epoch, purpose, purposeEpoch] = ["scp_" + random(4), 3, "copies", 1];
  const a = scopeScalar("scope key", seed, scope, epoch);
  const signer = scopeScalar("scope signer", seed, scope, epoch);
  const reader = pre.randomScalar();
  const ids = Array.from({ length: gateways }, (_, i) => `Hospital${i + 1}MSP`);
  const s = {
    name,
    patient: {
      seed: hex(seed), scope, epoch, purpose, purpose_epoch: purposeEpoch, a: hex(encodeScalar(a)), pk_A: hex(pre.publicOf(a)),
      signer: hex(encodeScalar(signer)), pk_S: hex(pre.publicOf(signer)), ...pair(hex(fromSeed("hybrid key", seed, 32, purpose, purposeEpoch))),
    },
    reader: { b: hex(encodeScalar(reader)), pk_B: hex(pre.publicOf(reader)), ...pair(random(32)) },
    hospital: pair(random(32)),
    gateways: ids.map((id) => ({ id, ...pair(random(32)) })),
    threshold, grant: random(32), request: random(32), layout, content: hex(pre.randomBytes(length)), dek: random(32), file_id: random(32),
  };
  await addPayload(s);
  const ctx = unhex(s.ctx);
  const e = pre.encapsulate(unhex(s.patient.pk_A), ctx);
  s.capsule = hex(e.capsule);
  s.K_pre = hex(e.K_pre);
  await addFragments(s, a, signer, ids, ctx);
  await addShares(s, ids, ctx);
  s.direct_key = hex(await pre.sealDirectKey(unhex(s.reader.hybrid_public), ctx, unhex(s.grant), e.K_pre));
  return s;
}

async function addPayload(s) {
  const { commitment } = container.keys(unhex(s.dek), unhex(s.file_id), s.layout);
  const content = unhex(s.content);
  const payload = await container.seal(unhex(s.dek), unhex(s.file_id), s.layout, content);
  s.payload = hex(payload);
  s.context = {
    channel: "records", record: "rec_1", patient: "hnd_1", scope: s.patient.scope, epoch: s.patient.epoch, scope_key: s.patient.pk_A,
    author: "cli_1", author_key: s.reader.pk_B, class: "omics", level: "private", policy_hash: "", file_id: s.file_id, cid: "bafk",
    plain_size: String(container.plaintextOf(content, s.layout).length), cipher_size: String(payload.length), segment_size: 262144,
    cipher_digest: hex(sha256(payload)), key_commitment: hex(commitment), version: 1, previous: "", threshold: s.threshold,
  };
  s.ctx = hex(pre.contextHash(context(s.context)).ctx);
}

async function addFragments(s, a, signer, ids, ctx) {
  const names = { pk_A: unhex(s.patient.pk_A), pk_B: unhex(s.reader.pk_B), pk_S: unhex(s.patient.pk_S), ctx, grant: unhex(s.grant), request: unhex(s.request) };
  const coefficients = Array.from({ length: s.threshold - 1 }, pre.randomScalar);
  const { fragments } = pre.rekey({ a, signer, pkB: names.pk_B, pkS: names.pk_S, grant: names.grant, gateways: ids, coefficients });
  const c = pre.decodeCapsule(unhex(s.capsule));
  s.key_fragments = [];
  s.capsule_fragments = [];
  for (const [i, bytes] of fragments.entries()) {
    const f = pre.decodeKeyFragment(bytes);
    const sealed = await pre.sealKeyFragment(unhex(s.gateways[i].hybrid_public), ids[i], names.grant, bytes);
    s.key_fragments.push({ fragment: hex(bytes), sealed: hex(sealed), commitment: hex(pre.commitmentOf(f)) });
    s.capsule_fragments.push(hex(pre.reencrypt(f, c, names, ids[i]).bytes));
  }
}

async function addShares(s, ids, ctx) {
  const coefficients = Array.from({ length: s.threshold - 1 }, pre.randomScalar);
  const salts = ids.map(() => pre.randomBytes(32));
  const { K_share, values } = pre.split(ctx, pre.randomScalar(), coefficients, ids, salts);
  s.K_share = hex(K_share);
  const shares = [];
  for (const [i, id] of ids.entries()) shares.push(await pre.sealShare(unhex(s.gateways[i].hybrid_public), ctx, id, i + 1, values[i], salts[i]));
  s.envelope = hex(pre.encodeEnvelope({
    wrapped: await pre.wrap(ctx, K_share, unhex(s.K_pre), unhex(s.dek)), threshold: s.threshold, shares,
    patient_copy: await pre.sealPatientCopy(unhex(s.patient.hybrid_public), ctx, K_share),
    hospital_copy: await pre.sealHospitalCopy(unhex(s.hospital.hybrid_public), ctx, unhex(s.dek)),
  }));
  s.resealed = [];
  for (const [i, share] of shares.entries()) {
    s.resealed.push(hex(await pre.reseal(unhex(s.gateways[i].hybrid_private), ctx, unhex(s.request), share, unhex(s.reader.hybrid_public))));
  }
}
