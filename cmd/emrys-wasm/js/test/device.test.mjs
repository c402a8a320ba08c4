// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

// The program behind its wrapper, in Node: vectors, whole readings, and what is refused.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, before, test } from "node:test";
import { pathToFileURL } from "node:url";
import * as scenario from "./scenario.js";

const { EMRYS_BUNDLE: bundle, EMRYS_SERVER: server, EMRYS_VECTORS: vectorFile } = process.env;
const lib = await import(pathToFileURL(`${bundle}/emrys.js`).href);
const program = await WebAssembly.compile(await readFile(`${bundle}/emrys.wasm`));
const vectors = JSON.parse(await readFile(vectorFile, "utf8"), (_, v) => (typeof v === "string" && /^([0-9a-f]{2}){16,}$/.test(v) ? fromHex(v) : v));

let emrys;
before(async () => {
  emrys = await lib.load(program);
});
after(async () => emrys.stop());

function fromHex(text) {
  return new Uint8Array(Buffer.from(text, "hex"));
}

/** Asserts that a promise is refused with a code. */
async function refused(promise, code, message) {
  await assert.rejects(promise, (e) => {
    assert.ok(e instanceof lib.EmrysError, String(e));
    assert.equal(e.code, code, e.message);
    if (message !== undefined) {
      assert.match(e.message, message);
    }
    return true;
  });
}

const flipped = (bytes, at = bytes.length - 1) => bytes.map((b, i) => (i === at ? b ^ 1 : b));

const fragmentArguments = () => ({
  delegating: vectors.public.delegating, signer: vectors.public.signer, reader: vectors.public.reader,
  context: vectors.Context, grant: vectors.Grant, request: vectors.Request,
});

// The vectors hold private halves; the public ones are what the program derives of them.
before(async () => {
  const p256 = (d) => {
    const ecdh = globalThis.process.getBuiltinModule?.("node:crypto").createECDH("prime256v1");
    ecdh.setPrivateKey(d);
    return new Uint8Array(ecdh.getPublicKey(null, "compressed"));
  };
  vectors.public = { delegating: p256(vectors.ScopeKey), signer: p256(vectors.ScopeSigner), reader: p256(vectors.ReaderKey) };
});

/** Puts the seed of the vectors behind a handle by the one way there is: sealed. */
async function vectorSeed() {
  const key = crypto.getRandomValues(new Uint8Array(32));
  const label = new TextEncoder().encode("EMRYS-DEVICE-V1 seed");
  const base = await crypto.subtle.importKey("raw", key, "HKDF", false, ["deriveKey"]);
  const aes = await crypto.subtle.deriveKey(
    { name: "HKDF", hash: "SHA-256", salt: new Uint8Array(), info: label }, base, { name: "AES-GCM", length: 256 }, false, ["encrypt"],
  );
  const iv = crypto.getRandomValues(new Uint8Array(12));
  const box = await crypto.subtle.encrypt({ name: "AES-GCM", iv, additionalData: label }, aes, vectors.Seed);
  return emrys.openSeed(new Uint8Array([...iv, ...new Uint8Array(box)]), key);
}

test("a stored seed that another implementation sealed derives the scope keys of the vectors", async () => {
  const seed = await vectorSeed();
  const scope = await emrys.deriveScope(seed, vectors.ScopeID, vectors.Epoch);
  assert.deepEqual(scope.delegating, vectors.public.delegating);
  assert.deepEqual(scope.fragment, vectors.public.signer);
});

test("the vectors verify, and each altered byte is refused", async () => {
  await emrys.verifyCapsule({ capsule: vectors.Capsule, delegating: vectors.public.delegating, context: vectors.Context });
  for (const [i, gateway] of vectors.Gateways.entries()) {
    const { context, request, ...names } = fragmentArguments();
    const key = await emrys.verifyKeyFragment({ ...names, fragment: vectors.KeyFragments[i], gateway });
    assert.deepEqual(key, vectors.Commitments[i]);
    const args = { ...fragmentArguments(), capsule: vectors.Capsule, fragment: vectors.Fragments[i], gateway };
    assert.deepEqual(await emrys.verifyCapsuleFragment(args), vectors.Commitments[i]);
    for (const name of ["context", "grant", "request"]) {
      await refused(emrys.verifyCapsuleFragment({ ...args, [name]: flipped(args[name]) }), "proof");
    }
    await refused(emrys.verifyCapsuleFragment({ ...args, gateway: "Another" }), "proof");
    await refused(emrys.verifyCapsuleFragment({ ...args, reader: args.signer }), "proof");
    await refused(emrys.verifyCapsuleFragment({ ...args, fragment: args.fragment.subarray(1) }), "malformed");
  }
  const envelope = await emrys.inspectEnvelope(vectors.Envelope);
  assert.equal(envelope.threshold, vectors.Threshold);
  assert.deepEqual(envelope.shares.map((s) => s.gateway), vectors.Gateways);
  await refused(emrys.inspectEnvelope(vectors.Envelope.subarray(1)), "malformed");
  await refused(emrys.verifyCapsule({ capsule: flipped(vectors.Capsule), delegating: vectors.public.delegating, context: vectors.Context }), "proof");
  await refused(emrys.verifyCapsule({ capsule: vectors.Capsule, delegating: vectors.public.signer, context: vectors.Context }), "proof");
});

const hkdf = async (secret, salt, info) => {
  const base = await crypto.subtle.importKey("raw", secret, "HKDF", false, ["deriveBits"]);
  const algorithm = { name: "HKDF", hash: "SHA-256", salt, info: new TextEncoder().encode(info) };
  return new Uint8Array(await crypto.subtle.deriveBits(algorithm, base, 256));
};

/** The arguments with which a patient opens the record of the vectors, in a layout. */
async function ownOpening(layout) {
  const seed = await vectorSeed();
  const fileId = crypto.getRandomValues(new Uint8Array(32));
  return {
    scope: await emrys.deriveScope(seed, vectors.ScopeID, vectors.Epoch), hybrid: await emrys.deriveHybrid(seed, vectors.ScopeID, vectors.Epoch),
    capsule: vectors.Capsule, envelope: vectors.Envelope, context: vectors.Context, fileId,
    keyCommitment: await hkdf(vectors.DataKey, fileId, `EMRYS-PRE-V1 commit${layout}`),
  };
}

test("the patient opens the record of the vectors, in the layout that the commitment names", async () => {
  for (const layout of ["", " padded"]) {
    const args = await ownOpening(layout);
    const data = await emrys.openOwn(args);
    const payload = await emrys.payloadKey(data);
    assert.equal(payload.padded, layout !== "");
    assert.equal(payload.key.extractable, false);
    assert.deepEqual(payload.key.usages, ["decrypt"]);
    const raw = await hkdf(vectors.DataKey, args.fileId, `EMRYS-PRE-V1 payload${layout}`);
    const plain = layout === "" ? [1, 2, 3] : [0, 0, 0, 0, 0, 0, 0, 1, 9, 0];
    const label = [...new TextEncoder().encode("EMRYS-PRE-V1 seg"), ...args.fileId, 0, 0, 0, 0, 0, 0, 0, 0, 1];
    const aes = await crypto.subtle.importKey("raw", raw, "AES-GCM", false, ["encrypt"]);
    const iv = new Uint8Array(12);
    const box = await crypto.subtle.encrypt({ name: "AES-GCM", iv, additionalData: new Uint8Array(label) }, aes, new Uint8Array(plain));
    const stored = new Uint8Array([...iv, ...new Uint8Array(box)]);
    const reader = new lib.RandomReader(payload, plain.length, async (o, n) => stored.slice(o, o + n));
    assert.deepEqual([...(await reader.bytes(0, 10))], layout === "" ? [1, 2, 3] : [9]);
  }
});

test("a patient's opening is refused for anything that is not this record's", async () => {
  const args = await ownOpening("");
  await refused(emrys.openOwn({ ...args, keyCommitment: flipped(args.keyCommitment) }), "commitment");
  await refused(emrys.openOwn({ ...args, fileId: flipped(args.fileId) }), "commitment");
  await refused(emrys.openOwn({ ...args, context: flipped(args.context) }), "proof");
  await refused(emrys.openOwn({ ...args, capsule: flipped(args.capsule) }), "proof");
  await refused(emrys.openOwn({ ...args, envelope: flipped(args.envelope, 40) }), "decrypt");
  const stranger = await scenario.newPatient(emrys);
  await refused(emrys.openOwn({ ...args, scope: stranger.scope }), "proof");
  await refused(emrys.openOwn({ ...args, hybrid: stranger.hybrid }), "decrypt");
  await refused(emrys.openOwn({ ...args, scope: args.hybrid }), "handle", /another kind/);
});

test("a reader opens what t gateways re-encrypt, with a WebCrypto key and with one of the program", async () => {
  const keys = [undefined, await emrys.generateReadingKey()];
  for (const [threshold, key, padded] of [[2, keys[0], false], [3, keys[1], true], [5, keys[0], true]]) {
    const s = await scenario.share(lib, emrys, server, { threshold, key, padded, size: 300000 });
    const data = await emrys.openShared({ ...s.opening, answers: s.opening.answers.slice(5 - threshold) });
    assert.deepEqual(data.refused, []);
    await checkContent(s, data);
    await refused(emrys.openShared({ ...s.opening, answers: s.opening.answers.slice(0, threshold - 1) }), "too_few_fragments");
    const own = await emrys.openOwn({ ...s.manifest, scope: s.patient.scope, hybrid: s.patient.hybrid });
    await checkContent(s, own);
  }
});

async function checkContent(s, data) {
  const payload = await emrys.payloadKey(data);
  const block = new Uint8Array(await (await fetch(`${server}/block`)).arrayBuffer());
  const url = `${server}/payload/${s.view.record.id}`;
  const { body } = await fetch(url);
  assert.equal(await scenario.compare(body.pipeThrough(lib.decryptStream(payload, s.plainSize)), block), 300000);
  const ranges = new lib.RandomReader(payload, s.plainSize, async (offset, length) => {
    const response = await fetch(url, { headers: { range: `bytes=${offset}-${offset + length - 1}` } });
    assert.equal(response.status, 206);
    return response.arrayBuffer();
  });
  assert.equal(await ranges.size(), 300000);
  assert.equal(await scenario.compare(ranges.range(262000, 1000), block, 262000), 1000);
  assert.equal(await scenario.compare(ranges.range(299990, 1000), block, 299990), 10);
}

test("liars among the gateways are named and do not block", async () => {
  const liars = ["Hospital2MSP", "Hospital4MSP"];
  const s = await scenario.share(lib, emrys, server, { threshold: 3, liars });
  const data = await emrys.openShared(s.opening);
  const named = new Set(data.refused.map((r) => r.gateway));
  assert.deepEqual([...named].sort(), liars);
  await assert.rejects(emrys.openShared({ ...s.opening, answers: s.opening.answers.slice(0, 4) }), (e) => {
    assert.equal(e.code, "too_few_fragments");
    assert.deepEqual([...new Set(e.refused.map((r) => r.gateway))].sort(), liars);
    return true;
  });
});

test("a reader's opening is refused for anything that is not this reading's", async () => {
  const s = await scenario.share(lib, emrys, server, {});
  const a = s.opening;
  for (const name of ["request", "grant"]) {
    await refused(emrys.openShared({ ...a, [name]: flipped(a[name]) }), "too_few_fragments");
  }
  await refused(emrys.openShared({ ...a, context: flipped(a.context) }), "proof");
  await refused(emrys.openShared({ ...a, keyCommitment: flipped(a.keyCommitment) }), "commitment");
  const stranger = await scenario.newReader(lib, emrys);
  await refused(emrys.openShared({ ...a, reader: stranger.key }), "too_few_fragments");
  await refused(emrys.openShared({ ...a, hybrid: stranger.hybrid }), "too_few_fragments");
  const [first, ...others] = a.answers;
  const wrong = { ...first, capsule: flipped(first.capsule, 200), share: flipped(first.share) };
  assert.deepEqual((await emrys.openShared({ ...a, answers: [wrong, ...others] })).refused.map((r) => r.gateway), [first.gateway, first.gateway]);
  const moved = a.answers.map((x, i) => ({ ...x, gateway: a.answers[(i + 1) % a.answers.length].gateway }));
  await refused(emrys.openShared({ ...a, answers: moved }), "too_few_fragments");
  await refused(emrys.openShared({ ...a, answers: [a.answers[0], a.answers[0]] }), "parameter", /answered already/);
  await refused(emrys.openShared({ ...a, answers: a.answers.map((x) => ({ ...x, more: 1 })) }), "parameter", /not known/);
});

test("a reading key that fails or lies gives an error and no key", async () => {
  const s = await scenario.share(lib, emrys, server, {});
  const answer = (agree) => ({ ...s.opening, reader: { public: s.reader.key.public, agree } });
  for (const agree of [
    () => { throw new Error("the card was pulled"); },
    async () => { throw new Error("the card was pulled"); },
    () => undefined,
    () => "a text",
    async () => new Uint8Array(31),
    async () => new Uint8Array(65),
    () => ({ then: (resolve) => { resolve(new Uint8Array(5)); resolve(new Uint8Array(32)); } }),
    () => ({ get then() { throw new Error("a trap"); } }),
  ]) {
    await refused(emrys.openShared(answer(agree)), "key_operation");
  }
  await refused(emrys.openShared(answer(async () => new Uint8Array(32))), "proof");
  await refused(emrys.openShared(answer(5)), "parameter", /reader.agree/);
  await refused(emrys.openShared({ ...s.opening, reader: { public: s.reader.key.public } }), "parameter", /is missing/);
});

test("what a key agreement returns is cleared", async () => {
  const s = await scenario.share(lib, emrys, server, {});
  let shared;
  await emrys.openShared({ ...s.opening, reader: { ...s.reader.key, agree: async (p) => (shared = await s.reader.key.agree(p)) } });
  assert.deepEqual(shared, new Uint8Array(32));
});

test("others run while an opening waits for its key", async () => {
  const s = await scenario.share(lib, emrys, server, {});
  let go;
  const waiting = new Promise((resolve) => (go = resolve));
  const agree = async (peer) => { await waiting; return s.reader.key.agree(peer); };
  const openings = [1, 2, 3].map(() => emrys.openShared({ ...s.opening, reader: { ...s.reader.key, agree } }));
  assert.ok((await emrys.countHandles()) > 0);
  go();
  for (const data of await Promise.all(openings)) {
    await emrys.payloadKey(data);
  }
});

const now = 1_800_000_000;
const action = (args, f = "RevokeAccess") => ({
  channel: "emrys", contract: "emrys", function: f, actor: "hnd_" + "2".repeat(32), issued: now, expires: now + 300, args,
});
const revoke = { patient: "hnd_" + "2".repeat(32), grant: "gra_" + "3".repeat(32) };

test("an action is signed by WebCrypto, by the program, and by neither with another's key", async () => {
  const pair = await crypto.subtle.generateKey({ name: "ECDSA", namedCurve: "P-256" }, false, ["sign", "verify"]);
  const prepared = await emrys.prepareAction(action({ grant: revoke.grant, patient: revoke.patient }));
  assert.equal(prepared.args, JSON.stringify(revoke)); // in the ledger's order
  assert.deepEqual(new Uint8Array(await crypto.subtle.digest("SHA-256", prepared.message)), prepared.digest);
  for (let i = 0; i < 8; i++) { // half of WebCrypto's signatures have a high s
    const signed = JSON.parse(await emrys.signActionWith(prepared, pair));
    assert.equal(signed.kind, "p256");
    assert.deepEqual(scenario.bytes(signed.body), prepared.body);
    const valid = await crypto.subtle.verify({ name: "ECDSA", hash: "SHA-256" }, pair.publicKey, scenario.bytes(signed.signature), prepared.message);
    assert.ok(valid);
    assert.ok(scenario.bytes(signed.signature)[32] < 0x80);
  }
  const inside = await emrys.generateSigningKey();
  const signed = JSON.parse(await emrys.signAction(prepared, inside));
  const again = JSON.parse(await emrys.finishAction(prepared, scenario.bytes(signed.signature), inside.public));
  assert.deepEqual(again, signed);
  await refused(emrys.finishAction(prepared, scenario.bytes(signed.signature), await lib.publicKeyOf(pair.publicKey)), "proof");
  await refused(emrys.finishAction(prepared, flipped(scenario.bytes(signed.signature)), inside.public), "proof");
  await refused(emrys.finishAction(prepared, new Uint8Array(64), inside.public), "proof");
  await refused(emrys.finishAction(prepared, new Uint8Array(63), inside.public), "parameter");
  await refused(emrys.signAction({ ...prepared, body: flipped(prepared.body) }, inside), "document");
  await refused(emrys.signAction(prepared, await emrys.generateReadingKey()), "handle");
});

/** A signature of r and s as an authenticator writes it. */
function der(signature) {
  const integer = (b) => {
    let at = 0;
    while (at < 31 && b[at] === 0) {
      at++;
    }
    const bytes = [...(b[at] & 0x80 ? [0] : []), ...b.subarray(at)];
    return [2, bytes.length, ...bytes];
  };
  const both = [...integer(signature.subarray(0, 32)), ...integer(signature.subarray(32))];
  return new Uint8Array([0x30, both.length, ...both]);
}

test("an action is finished with a passkey's answer, and with no answer to another", async () => {
  const pair = await crypto.subtle.generateKey({ name: "ECDSA", namedCurve: "P-256" }, false, ["sign", "verify"]);
  const pinned = {
    kind: "webauthn", key: Buffer.from(await lib.publicKeyOf(pair.publicKey)).toString("base64"), relyingParty: "emrys.example",
    origins: ["https://patient.emrys.example"],
  };
  const answer = async (challenge, flags = 5) => {
    const party = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(pinned.relyingParty));
    const authenticatorData = new Uint8Array([...new Uint8Array(party), flags, 0, 0, 0, 0]);
    const clientDataJSON = new TextEncoder().encode(JSON.stringify({
      type: "webauthn.get", challenge: Buffer.from(challenge).toString("base64url"), origin: pinned.origins[0], crossOrigin: false,
    }));
    const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", clientDataJSON));
    const message = new Uint8Array([...authenticatorData, ...hash]);
    const raw = await crypto.subtle.sign({ name: "ECDSA", hash: "SHA-256" }, pair.privateKey, message);
    return { authenticatorData: authenticatorData.buffer, clientDataJSON: clientDataJSON.buffer, signature: der(new Uint8Array(raw)).buffer };
  };
  const prepared = await emrys.prepareAction(action(revoke));
  for (let i = 0; i < 8; i++) { // half of the signatures have a high s, and are taken as they are
    const signed = JSON.parse(await emrys.finishAssertion(prepared, await answer(prepared.digest), pinned));
    assert.equal(signed.kind, "webauthn");
    assert.deepEqual(scenario.bytes(signed.body), prepared.body);
  }
  await refused(emrys.finishAssertion(prepared, await answer(flipped(prepared.digest)), pinned), "proof", /challenge/);
  await refused(emrys.finishAssertion(prepared, await answer(prepared.digest, 1), pinned), "proof", /verified/);
  await refused(emrys.finishAssertion(prepared, await answer(prepared.digest), { ...pinned, origins: ["https://emrys.example"] }), "proof", /origin/);
  await refused(emrys.finishAssertion(prepared, await answer(prepared.digest), { ...pinned, origins: [] }), "document");
});

test("an action that the ledger would not read is not made", async () => {
  for (const [args, f] of [
    [{ ...revoke, more: 1 }, undefined],
    [{ patient: revoke.patient }, undefined],
    [{ Patient: revoke.patient, grant: revoke.grant }, undefined],
    [{ ...revoke, grant: 5 }, undefined],
    [[], undefined],
    ["text", undefined],
    [{ patient: revoke.patient, hospital: "A", accept: "yes" }, "AnswerRelationship"],
  ]) {
    await refused(emrys.prepareAction(action(args, f)), "document");
  }
  await refused(emrys.prepareAction(action(revoke, "RegisterOrganisation")), "parameter", /not a function/);
  await refused(emrys.prepareAction({ ...action(revoke), expires: now }), "document");
  await refused(emrys.prepareAction({ ...action(revoke), expires: now + 901 }), "document");
  await refused(emrys.prepareAction({ ...action(revoke), issued: -1 }), "parameter");
  await refused(emrys.prepareAction({ ...action(revoke), issued: 1.5 }), "parameter");
  await refused(emrys.prepareAction({ ...action(revoke), actor: "" }), "parameter");
  await refused(emrys.prepareAction({ ...action(revoke), more: 1 }), "parameter", /not known/);
});

test("a grant is only made for its own scope, through the gateways it names, and never through the reader's", async () => {
  const gateways = await scenario.listGateways(server);
  const { scope, hybrid } = await scenario.newPatient(emrys);
  const reader = await emrys.generateReadingKey();
  const terms = scenario.termsFor(reader, gateways, 3);
  const grant = (change, more = {}) => emrys.grant({ scope, terms: { ...terms, ...change }, request: "", gateways, ...more });
  const made = JSON.parse((await grant({})).args);
  assert.deepEqual(made.terms, terms);
  assert.equal(made.fragments.length, 5);
  for (const change of [
    { scope: "scp_" + "9".repeat(32) }, { epoch: 2 }, { org: "Hospital3MSP" }, { threshold: 1 }, { gateways: terms.gateways.slice(1) },
    { purposes: [] }, { until: terms.notBefore }, { more: 1 }, { grant: "gra_1" },
  ]) {
    await refused(grant(change), "document");
  }
  await refused(grant({ threshold: 6 }), "parameter");
  await refused(grant({ reader: "AAAA" }), "malformed");
  await refused(grant({}, { gateways: gateways.slice(1) }), "document");
  await refused(grant({}, { request: "req_1" }), "document");
  await refused(grant({}, { gateways: gateways.map((g) => ({ ...g, key: g.key.subarray(1) })) }), "malformed", /gateways\[0\].key/);
  await refused(grant({}, { scope: hybrid }), "handle");
  const twice = gateways.map((g) => ({ ...g, id: "Same" }));
  await refused(emrys.rekey({ scope, grant: new Uint8Array(32), reader: reader.public, threshold: 2, gateways: twice }), "parameter");
});

test("a ticket is refused when it is not for this reader, record and grant", async () => {
  const { ticket, reader, grant, opening } = await scenario.share(lib, emrys, server, {});
  const good = await emrys.verifyTicket(ticket);
  assert.deepEqual([good.grant, good.request, good.threshold], [grant.hash, opening.request, 2]);
  const change = (d, t = {}) => emrys.verifyTicket({ ...ticket, disclosure: { ...ticket.disclosure, ...d }, terms: { ...ticket.terms, ...t } });
  await refused(change({ decision: "deny", reason: "grant-revoked" }), "document", /revoked the grant/);
  for (const d of [{ reader: "cli_" }, { record: "rec_" }, { grant: "gra_" }, { patient: "hnd_" }]) {
    await refused(change(d), "proof");
  }
  await refused(change({}, { records: ["rec_"] }), "proof");
  await refused(change({}, { reader: scenario.base64(new Uint8Array(33)) }), "proof");
  await refused(change({ more: 1 }), "document");
  await refused(emrys.verifyTicket({ ...ticket, who: "cli_" }), "proof");
  await refused(emrys.verifyTicket({ ...ticket, reader: { ...reader.key, public: new Uint8Array(33) } }), "malformed");
  const receipt = { disclosure: ticket.disclosure.id, request: good.request, answer: opening.answers[0], receipt: new Uint8Array(64), key: reader.key.public };
  await refused(emrys.verifyReceipt(receipt), "proof");
});

test("a manifest is refused when anything in it, or around it, is not what its author signed", async () => {
  const { view } = await scenario.share(lib, emrys, server, {});
  const verify = (change) => emrys.verifyManifest("emrys", "emrys", { ...view, ...change });
  await verify({});
  await refused(emrys.verifyManifest("other", "emrys", view), "proof");
  await refused(emrys.verifyManifest("emrys", "other", view), "proof");
  await refused(verify({ record: { ...view.record, manifest: "0".repeat(64) } }), "proof");
  await refused(verify({ record: { ...view.record, cid: "bafkqaab" } }), "proof");
  await refused(verify({ record: { ...view.record, level: "low" } }), "proof");
  await refused(verify({ scope: { ...view.scope, epoch: 2 } }), "proof");
  await refused(verify({ scope: { ...view.scope, delegating: view.scope.fragment } }), "proof");
  await refused(verify({ author: { ...view.author, signing: { kind: "p256", key: view.scope.fragment } } }), "proof");
  await refused(verify({ signed: { ...view.signed, signature: scenario.base64(new Uint8Array(64)) } }), "proof");
  await refused(verify({ more: 1 }), "document");
});

test("a seed at rest opens with its key only", async () => {
  const key = crypto.getRandomValues(new Uint8Array(32));
  const seed = await emrys.generateSeed();
  const [a, b] = [await emrys.sealSeed(seed, key), await emrys.sealSeed(seed, key)];
  assert.notDeepEqual(a, b);
  const scope = await emrys.deriveScope(await emrys.openSeed(a, key), "scope", 1);
  assert.deepEqual(scope.delegating, (await emrys.deriveScope(seed, "scope", 1)).delegating);
  assert.notDeepEqual(scope.delegating, (await emrys.deriveScope(seed, "scope", 2)).delegating);
  await refused(emrys.openSeed(a, flipped(key)), "decrypt");
  await refused(emrys.openSeed(flipped(a), key), "decrypt");
  await refused(emrys.openSeed(a.subarray(1), key), "parameter");
  await refused(emrys.sealSeed(seed, new Uint8Array(16)), "parameter");
});

test("words that are no paper key, and answers that are none, give no seed", async () => {
  await refused(emrys.recoverPaper("1: abandon ability able"), "malformed", /line 1/);
  const asked = await emrys.requestRecovery({ owner: "somebody", backup: new Uint8Array(), device: "telephone", created: now, expires: now + 60 });
  assert.ok(asked.words.length > 10);
  await refused(emrys.recoverFromGuardians(asked, [asked.request, new Uint8Array(5)], "none"), "too_few_fragments");
  await refused(emrys.recoverFromGuardians({ ...asked, handle: 99999999 }, [], "none"), "handle");
  await refused(emrys.recoverFromGuardians(asked, [asked.request], ""), "parameter");
});

test("a closed handle is refused everywhere, and numbers are not used again", async () => {
  const seed = await emrys.generateSeed();
  const scope = await emrys.deriveScope(seed, "scope", 1);
  const before = await emrys.countHandles();
  await seed.close();
  await seed.close();
  assert.equal(await emrys.countHandles(), before - 1);
  await refused(emrys.deriveScope(seed, "scope", 2), "handle");
  await refused(emrys.sealSeed(seed, new Uint8Array(32)), "handle");
  assert.ok((await emrys.generateSeed()).handle > scope.handle);
  for (const handle of [0, -1, 1.5, NaN, 2 ** 32, 2 ** 53, "1", null, {}, [], undefined]) {
    await assert.rejects(emrys.call("deriveScope", { seed: handle, scope: "scope", epoch: 1 }), (e) => ["parameter", "handle"].includes(e.code));
  }
});

test("a standing consent is checked and decided by the ledger's own code", async () => {
  const person = `cli_${"0".repeat(31)}1`;
  const { document, hash } = await emrys.checkConsent({ base: "ask", provisions: [{ effect: "deny", people: [person] }] }, 1000);
  assert.equal(hash.length, 32);
  assert.deepEqual(document.provisions[0].people, [person]);
  assert.deepEqual(document.groups, []);
  await refused(emrys.checkConsent({ base: "perhaps" }, 1000), "document");
  const consent = {
    v: 1, patient: `hnd_${"0".repeat(32)}`, version: 2, status: "active", document, by: "patient", action: "0".repeat(64), at: "",
  };
  const facts = {
    person, hospital: "HospitalAMSP", role: "physician", reach: "private", purpose: "TREAT",
    record: "", scope: "", class: "medicine", level: "low", restricted: false, author: "",
  };
  const denied = await emrys.decideConsent(consent, facts, 1000);
  assert.deepEqual(denied, {
    decision: "deny", reason: "consent-denied", version: 2, ground: "provision", won: 0, matched: [{ index: 0, effect: "deny" }],
  });
  assert.equal((await emrys.decideConsent(consent, { ...facts, person: "" }, 1000)).reason, "consent-asks");
  assert.equal((await emrys.decideConsent(null, facts, 1000)).reason, "no-consent");
  await refused(emrys.decideConsent(consent, { person }, 1000), "document");
});

test("no argument, however strange, does more than fail", async () => {
  const cyclic = {};
  cyclic.self = cyclic;
  const strange = [
    cyclic, new Proxy({}, { ownKeys() { throw new Error("a trap"); } }), { get seed() { throw new Error("a trap"); } },
    { seed: Symbol("s") }, { seed: 10n }, { seed: null }, new (class A { seed = 1; })(), { seed: new Proxy(new Uint8Array(3), { getPrototypeOf() { throw new Error("a trap"); } }) },
    { seed: new Proxy([], { get() { throw new Error("a trap"); } }) }, { seed: new Uint8Array(2 ** 21) }, { seed: "x".repeat(2 ** 21) },
    { seed: new Array(10000).fill(1) }, Object.fromEntries(Array.from({ length: 100 }, (_, i) => [`f${i}`, i])), [], [1],
    { seed: new Float64Array(4) }, { seed: new ArrayBuffer(4) }, { seed: new Date() }, { seed: () => {} }, { unknown: 1 },
  ];
  const names = ["generateSeed", "deriveScope", "openShared", "grant", "prepareAction", "verifyCapsule", "inspectEnvelope", "contextHash"];
  const codes = ["parameter", "handle", "unknown_operation"];
  for (const name of [...names, "noSuchOperation", "__proto__", "toString", ""]) {
    for (const args of strange) {
      await assert.rejects(emrys.call(name, args), (e) => e instanceof lib.EmrysError && codes.includes(e.code), `${name}`);
    }
  }
  const seed = await emrys.generateSeed();
  const good = { seed: seed.handle, scope: "scope", epoch: 1 };
  await emrys.call("deriveScope", good);
  await emrys.call("deriveScope", Object.assign(Object.create(null), good));
  await refused(emrys.call("deriveScope", Object.assign(new (class A {})(), good)), "parameter");
  for (const n of [1000, 9999, 100000]) {
    await refused(emrys.call("verifyManifest", { channel: "c", contract: "c", view: "[".repeat(n) + "]".repeat(n) }), "document");
    await refused(emrys.call("verifyManifest", { channel: "c", contract: "c", view: '{"record":'.repeat(n) }), "document");
  }
  await refused(emrys.call("close", undefined), "parameter");
  await refused(emrys.call("generateSeed", 5), "parameter");
});

test("nothing is left on the global object but Go's own loader", async () => {
  assert.deepEqual(Object.getOwnPropertyNames(globalThis).filter((n) => n.startsWith("emrys")), []);
});

test("a program that was stopped refuses, and so do calls that were waiting", async () => {
  const other = await lib.load(program);
  const s = await scenario.share(lib, other, server, {});
  const never = other.openShared({ ...s.opening, reader: { ...s.reader.key, agree: () => new Promise(() => {}) } });
  const refusal = refused(never, "internal", /stopped/);
  await other.stop();
  await refusal;
  await refused(other.generateSeed(), "internal", /stopped/);
  await other.stop();
});

test("the program does not start from what is not it", async () => {
  await assert.rejects(lib.load(new Uint8Array(8)));
  await assert.rejects(lib.load(new URL("http://127.0.0.1:1/emrys.wasm")));
});
