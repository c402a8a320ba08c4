// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

// The vectors of the specification (docs/spec/vectors) through the program and its border: every case of the operations that a
// device has. The rest are run natively by pkg/vectors.

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { pathToFileURL } from "node:url";
import { toHex } from "./scenario.js";

const { EMRYS_BUNDLE: bundle, EMRYS_SPEC_VECTORS: directory } = process.env;
const lib = await import(pathToFileURL(`${bundle}/emrys.js`).href);

let emrys;
before(async () => {
  emrys = await lib.load(readFileSync(`${bundle}/emrys.wasm`));
});
after(async () => emrys.stop());

const bytes = (text) => new Uint8Array(Buffer.from(text, "hex"));
const number = (value) => Number(value);
/** Texts that are not UTF-8, and numbers that JavaScript does not have, cannot be given here. */
const cannotBeGiven = (c) => Object.values(c).some((v) => typeof v === "object") || !Number.isSafeInteger(Math.max(c.plain_size, c.cipher_size));

/** Puts a seed behind a handle by the one way there is: sealed. */
async function seedOf(seed) {
  const key = crypto.getRandomValues(new Uint8Array(32));
  const label = new TextEncoder().encode("EMRYS-DEVICE-V1 seed");
  const base = await crypto.subtle.importKey("raw", key, "HKDF", false, ["deriveKey"]);
  const hkdf = { name: "HKDF", hash: "SHA-256", salt: new Uint8Array(), info: label };
  const aes = await crypto.subtle.deriveKey(hkdf, base, { name: "AES-GCM", length: 256 }, false, ["encrypt"]);
  const iv = crypto.getRandomValues(new Uint8Array(12));
  const box = await crypto.subtle.encrypt({ name: "AES-GCM", iv, additionalData: label }, aes, seed);
  return emrys.openSeed(new Uint8Array([...iv, ...new Uint8Array(box)]), key);
}

const derive = (half) => async (v) => {
  const seed = await seedOf(bytes(v.seed));
  const scope = await emrys.deriveScope(seed, v.name, v.epoch);
  await Promise.all([seed.close(), scope.close()]);
  return { public: toHex(scope[half]) };
};

const contextHash = (c) => emrys.contextHash({
  channel: c.channel, record: c.record, patient: c.patient, scope: c.scope, epoch: c.epoch, scopeKey: bytes(c.scope_key),
  author: c.author, authorKey: bytes(c.author_key), class: c.class, level: c.level, policyHash: bytes(c.policy_hash),
  fileId: bytes(c.file_id), cid: c.cid, plainSize: number(c.plain_size), cipherSize: number(c.cipher_size),
  segmentSize: c.segment_size, cipherDigest: bytes(c.cipher_digest), keyCommitment: bytes(c.key_commitment),
  version: c.version, previous: c.previous, threshold: c.threshold,
});

const operations = {
  derive_scope_key: derive("delegating"),
  derive_scope_signer: derive("fragment"),
  async derive_hybrid_key(v) {
    const seed = await seedOf(bytes(v.seed));
    const key = await emrys.deriveHybrid(seed, v.name, v.epoch);
    await Promise.all([seed.close(), key.close()]);
    return { public: toHex(key.public) };
  },
  async context_hash({ context: c }) {
    return cannotBeGiven(c) ? undefined : { ctx: toHex(await contextHash(c)) };
  },
  async verify_capsule(v) {
    await emrys.verifyCapsule({ capsule: bytes(v.capsule), delegating: bytes(v.pk_A), context: bytes(v.ctx) });
    return {};
  },
  async verify_key_fragment(v) {
    const names = { delegating: bytes(v.pk_A), reader: bytes(v.pk_B), signer: bytes(v.pk_S) };
    const commitment = await emrys.verifyKeyFragment({ ...names, fragment: bytes(v.fragment), gateway: v.gateway, grant: bytes(v.grant) });
    return { commitment: toHex(commitment) };
  },
  async verify_capsule_fragment(v) {
    const commitment = await emrys.verifyCapsuleFragment({
      fragment: bytes(v.capsule_fragment), capsule: bytes(v.capsule), gateway: v.gateway, delegating: bytes(v.pk_A), signer: bytes(v.pk_S),
      reader: bytes(v.pk_B), context: bytes(v.ctx), grant: bytes(v.grant), request: bytes(v.request),
    });
    return { commitment: toHex(commitment) };
  },
  async decode_envelope(v) {
    const e = await emrys.inspectEnvelope(bytes(v.envelope));
    return { threshold: e.threshold, shares: e.shares.map((s) => ({ gateway: s.gateway, index: s.index, commitment: toHex(s.commitment) })) };
  },
};

const hkdf = async (secret, salt, info) => {
  const base = await crypto.subtle.importKey("raw", secret, "HKDF", false, ["deriveBits"]);
  return new Uint8Array(await crypto.subtle.deriveBits({ name: "HKDF", hash: "SHA-256", salt, info: new TextEncoder().encode(info) }, base, 256));
};
const suffix = (layout) => (layout === "padded" ? " padded" : "");
const sha256 = async (b) => toHex(new Uint8Array(await crypto.subtle.digest("SHA-256", b)));
const aesOf = async (dek, fileId, layout, usage) =>
  crypto.subtle.importKey("raw", await hkdf(dek, fileId, `EMRYS-PRE-V1 payload${suffix(layout)}`), "AES-GCM", false, [usage]);

function padme(n) {
  const e = Math.floor(Math.log2(n));
  const unit = 2 ** (e - Math.floor(Math.log2(e)) - 1);
  return Math.ceil(n / unit) * unit;
}

/** The plaintext that a recipe of containers.json describes. */
function plaintextOf(r) {
  const content = r.content !== undefined ? Buffer.from(r.content, "hex") : Uint8Array.from({ length: r.length }, (_, j) => j % 251);
  let plain = content;
  if (r.layout === "padded") {
    plain = Buffer.alloc(padme(8 + content.length));
    plain.writeBigUInt64BE(BigInt(content.length));
    plain.set(content, 8);
  }
  if (r.plaintext_length !== undefined) {
    plain = Buffer.concat([plain, Buffer.alloc(Math.max(0, r.plaintext_length - plain.length))]).subarray(0, r.plaintext_length);
  }
  for (const p of r.patches ?? []) {
    plain.set(bytes(p.bytes), p.offset);
  }
  return new Uint8Array(plain);
}

/** Seals a recipe of containers.json. Written from the specification, and not from the code under test. */
async function sealRecipe(r) {
  const plain = plaintextOf(r);
  const fileId = bytes(r.file_id);
  const key = await aesOf(bytes(r.dek), fileId, r.layout, "encrypt");
  const count = Math.max(1, Math.ceil(plain.length / 262116));
  const out = [];
  for (let i = 0; i < count; i++) {
    const { number: n, final } = r.relabel?.find((x) => x.segment === i) ?? { number: i, final: i === count - 1 ? 1 : 0 };
    const aad = Buffer.concat([Buffer.from("EMRYS-PRE-V1 seg"), fileId, Buffer.alloc(9)]);
    aad.writeBigUInt64BE(BigInt(n), 48);
    aad[56] = final;
    const iv = new Uint8Array(12).fill((r.nonce + i) % 256);
    const segment = plain.subarray(i * 262116, (i + 1) * 262116);
    out.push(iv, new Uint8Array(await crypto.subtle.encrypt({ name: "AES-GCM", iv, additionalData: aad }, key, segment)));
  }
  const sealed = new Uint8Array(Buffer.concat(out));
  assert.equal(sealed.length, r.stored_length);
  assert.equal(await sha256(sealed), r.sha256);
  return sealed;
}

/** Reads a case of containers.json: what was released, and the failure. Nothing where the data key's commitment is the fault. */
async function readCase(c, sealed) {
  const v = c.inputs;
  const [dek, fileId] = [bytes(v.dek), bytes(v.file_id)];
  let layout;
  for (const l of ["plain", "padded"]) {
    if (toHex(await hkdf(dek, fileId, `EMRYS-PRE-V1 commit${suffix(l)}`)) === v.commitment) {
      layout = l;
    }
  }
  if (layout === undefined) {
    return undefined; // the program's part: its tests refuse with commitment
  }
  const payload = { key: await aesOf(dek, fileId, layout, "decrypt"), fileId, padded: layout === "padded" };
  const stored = new Uint8Array(Buffer.concat(v.pieces.map((p) => (p.bytes !== undefined ? bytes(p.bytes) : sealed[p.payload].subarray(p.from, p.to)))));
  for (const f of v.flips ?? []) {
    stored[f.offset] ^= f.mask;
  }
  const parts = [];
  try {
    for await (const part of open(c, payload, stored)) {
      parts.push(part);
    }
  } catch (e) {
    assert.ok(e instanceof lib.EmrysError, `${c.name}: ${e}`);
    return { layout, content: Buffer.concat(parts), code: e.code };
  }
  return { layout, content: Buffer.concat(parts), code: "" };
}

function open({ operation, inputs: v }, payload, stored) {
  const size = Number(v.plain_size);
  if (operation === "read_range") {
    const most = (n) => Math.min(Number(n), Number.MAX_SAFE_INTEGER);
    return new lib.RandomReader(payload, size, async (o, n) => stored.slice(o, o + n)).range(most(v.offset), most(v.length));
  }
  return lib.decrypt(payload, size, new Blob([stored]).stream());
}

test("containers.json: what is sealed by the recipes opens as the cases say", async () => {
  const { payloads, cases } = JSON.parse(readFileSync(`${directory}/containers.json`, "utf8"));
  const sealed = await Promise.all(payloads.map(sealRecipe));
  let given = 0;
  for (const c of cases.filter((x) => x.operation === "read" || x.operation === "read_range")) {
    const got = await readCase(c, sealed);
    if (got === undefined) {
      assert.equal(c.failure?.class, "commitment", c.name);
      continue;
    }
    given++;
    assert.equal(got.code, c.failure?.class ?? "", c.name);
    if (c.failure?.released !== undefined) {
      assert.equal(got.content.length, Number(c.failure.released), `${c.name}: released`);
    }
    if (c.outputs !== undefined) {
      const { layout, length, sha256: digest } = c.outputs;
      assert.deepEqual([got.layout, got.content.length, await sha256(got.content)], [layout, Number(length), digest], c.name);
    }
  }
  assert.ok(given > 20, `${given} cases`);
  for (const c of cases.filter((x) => x.operation === "stored_length" && Number.isSafeInteger(Number(x.inputs.plain_size)))) {
    if (c.failure !== undefined) {
      assert.throws(() => lib.cipherSize(Number(c.inputs.plain_size)), { code: c.failure.class }, c.name);
    } else {
      assert.equal(lib.cipherSize(Number(c.inputs.plain_size)), Number(c.outputs.stored), c.name);
    }
  }
});

test("story.json: the patient of each story reads the content from the seed alone, and the fragments verify", async () => {
  const { stories } = JSON.parse(readFileSync(`${directory}/story.json`, "utf8"));
  assert.ok(stories.length > 0);
  for (const s of stories) {
    const seed = await seedOf(bytes(s.patient.seed));
    const scope = await emrys.deriveScope(seed, s.patient.scope, s.patient.epoch);
    assert.deepEqual([toHex(scope.delegating), toHex(scope.fragment)], [s.patient.pk_A, s.patient.pk_S], s.name);
    const hybrid = await emrys.deriveHybrid(seed, s.patient.purpose, s.patient.purpose_epoch);
    const context = await contextHash(s.context);
    assert.equal(toHex(context), s.ctx, s.name);
    const [capsule, envelope, fileId] = [bytes(s.capsule), bytes(s.envelope), bytes(s.file_id)];
    const data = await emrys.openOwn({ scope, hybrid, capsule, envelope, context, fileId, keyCommitment: bytes(s.context.key_commitment) });
    const payload = await emrys.payloadKey(data);
    assert.equal(payload.padded, s.layout === "padded", s.name);
    const parts = [];
    for await (const part of lib.decrypt(payload, Number(s.context.plain_size), new Blob([bytes(s.payload)]).stream())) {
      parts.push(part);
    }
    assert.equal(Buffer.concat(parts).toString("hex"), s.content, s.name);
    const names = { delegating: scope.delegating, signer: scope.fragment, reader: bytes(s.reader.pk_B), grant: bytes(s.grant) };
    for (const [i, { id: gateway }] of s.gateways.entries()) {
      const { fragment, commitment } = s.key_fragments[i];
      assert.equal(toHex(await emrys.verifyKeyFragment({ ...names, fragment: bytes(fragment), gateway })), commitment, s.name);
      const answer = { ...names, fragment: bytes(s.capsule_fragments[i]), capsule, gateway, context, request: bytes(s.request) };
      assert.equal(toHex(await emrys.verifyCapsuleFragment(answer)), commitment, s.name);
    }
  }
});

/** What the device tells of an output: no private halves, and of an envelope what can be shown. */
function shown(outputs) {
  const { private: _, wrapped, patient_copy, hospital_copy, shares, ...rest } = outputs;
  return shares ? { ...rest, shares: shares.map(({ sealed, ...s }) => s) } : rest;
}

const code = (cls) => (cls === "too few" ? "too_few_fragments" : cls);

for (const file of readdirSync(directory).filter((f) => f.endsWith(".json"))) {
  const { cases } = JSON.parse(readFileSync(`${directory}/${file}`, "utf8"));
  const ours = (cases ?? []).filter((c) => Object.hasOwn(operations, c.operation));
  if (ours.length === 0) {
    continue;
  }
  test(`${file}: ${ours.length} cases`, async () => {
    let given = 0;
    for (const c of ours) {
      let result;
      try {
        result = await operations[c.operation](c.inputs);
      } catch (e) {
        assert.ok(e instanceof lib.EmrysError, `${c.name}: ${e}`);
        assert.equal(e.code, code(c.failure?.class), `${c.name}: ${e.message}`);
        given++;
        continue;
      }
      if (result !== undefined) {
        assert.equal(c.failure, undefined, `${c.name}: was not refused`);
        assert.deepEqual(result, shown(c.outputs), c.name);
        given++;
      }
    }
    assert.ok(given > ours.length / 2, `only ${given} of ${ours.length} cases can be given here`);
  });
}
