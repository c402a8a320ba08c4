// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

// A patient, a reader and the other side of both, step by step, for Node and for browsers alike. The other side is
// internal/gatewaytest behind HTTP.

export const channel = "emrys";
export const contract = "emrys";
const hex = (/** @type {number} */ digit) => String(digit).repeat(32);
const scopeId = "scp_" + hex(1);
const patientHandle = "hnd_" + hex(2);

/** @param {Uint8Array} bytes */
export function base64(bytes) {
  let text = "";
  for (const b of bytes) {
    text += String.fromCharCode(b);
  }
  return btoa(text);
}

/** @param {string} text */
export function bytes(text) {
  return Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
}

/** @param {Uint8Array} b */
export function toHex(b) {
  return [...b].map((x) => x.toString(16).padStart(2, "0")).join("");
}

/**
 * @param {string} server
 * @param {string} path
 * @param {object} [body]
 */
async function call(server, path, body) {
  const response = await fetch(server + path, body ? { method: "POST", body: JSON.stringify(body) } : {});
  if (!response.ok) {
    throw new Error(`${path}: ${response.status} ${await response.text()}`);
  }
  return response.json();
}

/** The gateways of the other side. @param {string} server */
export async function listGateways(server) {
  const list = await call(server, "/gateways");
  return list.map((/** @type {{id: string, key: string}} */ g) => ({ id: g.id, key: bytes(g.key) }));
}

/** A patient with a scope of their own. @param {import("../emrys.js").Emrys} emrys */
export async function newPatient(emrys) {
  const seed = await emrys.generateSeed();
  const scope = await emrys.deriveScope(seed, scopeId, 1);
  const hybrid = await emrys.deriveHybrid(seed, "copies", 1);
  const published = {
    v: 1, id: scopeId, patient: patientHandle, epoch: 1, level: "private",
    delegating: base64(scope.delegating), fragment: base64(scope.fragment), published: "",
  };
  return { seed, scope, hybrid, published };
}

/** A reader whose reading key is in WebCrypto and cannot be extracted. @param {typeof import("../emrys.js")} lib @param {import("../emrys.js").Emrys} emrys */
export async function newReader(lib, emrys) {
  const pair = await crypto.subtle.generateKey({ name: "ECDH", namedCurve: "P-256" }, false, ["deriveBits"]);
  const seed = await emrys.generateSeed();
  return { pair, key: await lib.readingKeyOf(pair), hybrid: await emrys.deriveHybrid(seed, "reader", 1), seed };
}

/** Has a record sealed for the patient. @returns {Promise<any>} its manifest view */
export async function sealRecord(server, patient, { size, threshold = 2, stream = false, padded = false }) {
  return call(server, "/records", { scope: patient.published, hybrid: base64(patient.hybrid.public), size, threshold, stream, padded });
}

/** The terms of a grant through the gateways given. */
export function termsFor(reader, gateways, threshold) {
  return {
    channel, grant: "gra_" + hex(3), patient: patientHandle, scope: scopeId, epoch: 1, grantee: "cli_" + hex(4), org: "ReaderMSP",
    reader: base64(reader.public), records: [], purposes: ["TREAT"], notBefore: "2026-01-01T00:00:00Z",
    until: "2026-02-01T00:00:00Z", maxUses: 0, threshold, gateways: gateways.map((g) => g.id),
  };
}

/** A committed disclosure under the terms, as the ledger has it. */
export function ticketFor(terms, record) {
  const id = toHex(crypto.getRandomValues(new Uint8Array(16)));
  return {
    v: 1, id: `dis_${id}`, patient: terms.patient, record: record.id, grant: terms.grant, reader: terms.grantee, org: terms.org,
    purpose: "TREAT", decision: "permit", reason: "grant", action: "0".repeat(64), at: "2026-01-02T00:00:00Z", until: "2026-01-02T00:10:00Z",
  };
}

/** The gateways' answers to one request. */
export async function serve(server, record, grantArgs, reader, request, liars = []) {
  const answers = await call(server, "/readings", {
    record: record.record.id, grant: JSON.parse(grantArgs), hybrid: base64(reader.hybrid.public), request: toHex(request), liars,
  });
  return answers.map((a) => ({ gateway: a.gateway, capsule: bytes(a.capsule), share: bytes(a.share) }));
}

/** Everything from a new patient to the arguments of an opening. */
export async function share(lib, emrys, server, { size = 1000, threshold = 2, liars = [], key = undefined, ...sealing } = {}) {
  const gateways = await listGateways(server);
  const patient = await newPatient(emrys);
  const reader = await newReader(lib, emrys);
  if (key !== undefined) {
    reader.key = key;
  }
  const view = await sealRecord(server, patient, { size, threshold, ...sealing });
  const manifest = await emrys.verifyManifest(channel, contract, view);
  const terms = termsFor(reader.key, gateways, threshold);
  const grant = await emrys.grant({ scope: patient.scope, terms, request: "", gateways });
  const disclosure = ticketFor(terms, view.record);
  const ticket = { channel, disclosure, terms, manifest: manifest.manifest, who: terms.grantee, reader: reader.key };
  const { request, ...rest } = await emrys.verifyTicket(ticket);
  const answers = await serve(server, view, grant.args, reader, request, liars);
  const { capsule, envelope, context, fileId, keyCommitment, delegating, signer, plainSize } = manifest;
  const opening = {
    reader: reader.key, hybrid: reader.hybrid, capsule, envelope, context, fileId, keyCommitment, delegating, signer,
    ...rest, request, answers,
  };
  return { ticket, gateways, patient, reader, view, manifest, grant, opening, plainSize };
}

/**
 * Reads a byte stream to its end into one buffer and compares it with the block, over and over. Returns its length.
 * @param {ReadableStream<Uint8Array>} stream
 * @param {Uint8Array} block
 * @param {number} [offset]
 */
export async function compare(stream, block, offset = 0) {
  let at = offset;
  let buffer = new ArrayBuffer(1 << 18);
  for (const reader = stream.getReader({ mode: "byob" }); ; ) {
    const { value, done } = await reader.read(new Uint8Array(buffer));
    if (done) {
      return at - offset;
    }
    for (let i = 0; i < value.length; ) {
      const from = at % block.length;
      const n = Math.min(value.length - i, block.length - from);
      for (let k = 0; k < n; k++) {
        if (value[i + k] !== block[from + k]) {
          throw new Error(`byte ${at + k} of the content is wrong`);
        }
      }
      i += n;
      at += n;
    }
    buffer = value.buffer;
  }
}
