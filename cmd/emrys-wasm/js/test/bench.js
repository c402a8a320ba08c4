// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

// The time that the device's operations take, for Node and for browsers alike.

import * as scenario from "./scenario.js";

/**
 * Returns the median and the best time of f in milliseconds, after some runs that do not count: a browser compiles what is hot
 * twice. On a machine that does other things too the truth lies between them.
 * @param {() => unknown} f
 * @param {number} [runs]
 * @returns {Promise<{median: number, best: number}>}
 */
export async function time(f, runs = 41) {
  const times = [];
  for (let i = -Math.min(10, runs >> 1); i < runs; i++) {
    const start = performance.now();
    await f();
    if (i >= 0) {
      times.push(performance.now() - start);
    }
  }
  times.sort((a, b) => a - b);
  return { median: times[runs >> 1], best: times[0] };
}

const cases = [[1, 1], [2, 3], [3, 5], [4, 6]];

/**
 * Measures what a patient and a reader wait for. vectors are those of pkg/pre, or nothing.
 * @returns {Promise<Record<string, {median: number, best: number}>>} milliseconds, and MB/s where the name says so
 */
export async function measure(lib, emrys, server, { payloadSize = 256 << 20, vectors = undefined } = {}) {
  /** @type {Record<string, {median: number, best: number}>} */
  const out = {};
  const all = await scenario.listGateways(server);
  const patient = await scenario.newPatient(emrys);
  const reader = await scenario.newReader(lib, emrys);
  const gatewaysFor = (n) => Array.from({ length: n }, (_, i) => ({ ...all[i % all.length], id: `Gateway${i}` }));
  for (const [t, n] of cases) {
    const args = { scope: patient.scope, grant: new Uint8Array(32), reader: reader.key.public, threshold: t, gateways: gatewaysFor(n) };
    out[`rekey and seal ${t}/${n}`] = await time(() => emrys.rekey(args));
  }
  const s = await scenario.share(lib, emrys, server, { size: 1000, threshold: 3 });
  const grant = { scope: s.patient.scope, terms: scenario.termsFor(s.reader.key, s.gateways, 3), request: "", gateways: s.gateways };
  out["grant 3/5"] = await time(() => emrys.grant(grant));
  const inside = await emrys.generateReadingKey();
  const withInside = await scenario.share(lib, emrys, server, { size: 1000, threshold: 3, key: inside });
  const three = { ...s.opening, answers: s.opening.answers.slice(0, 3) };
  out["open 3 of 5, 3 answers"] = await time(() => emrys.openShared(three).then((d) => d.close()));
  out["open 3 of 5, 3 answers, key inside"] = await time(() =>
    emrys.openShared({ ...withInside.opening, answers: withInside.opening.answers.slice(0, 3) }).then((d) => d.close()));
  out["open 3 of 5, 5 answers"] = await time(() => emrys.openShared(s.opening).then((d) => d.close()));
  const own = { ...s.manifest, scope: s.patient.scope, hybrid: s.patient.hybrid };
  out["patient's own opening"] = await time(() => emrys.openOwn(own).then((d) => d.close()));
  out["verify manifest"] = await time(() => emrys.verifyManifest("emrys", "emrys", s.view));
  const { capsule, delegating, signer, context, grant: hash, request, answers } = s.opening;
  out["verify capsule"] = await time(() => emrys.verifyCapsule({ capsule, delegating, context }));
  const [a] = answers;
  const fragment = { fragment: a.capsule, capsule, gateway: a.gateway, delegating, signer, reader: s.reader.key.public, context, grant: hash, request };
  out["verify capsule fragment"] = await time(() => emrys.verifyCapsuleFragment(fragment));
  if (vectors !== undefined) {
    out["verify key fragment"] = await time(() => emrys.verifyKeyFragment(vectors));
  }
  out["derive scope"] = await time(() => emrys.deriveScope(patient.seed, "scope", 1).then((k) => k.close()));
  out["payload MB/s"] = await payloadSpeed(lib, payloadSize);
  return out;
}

/** Opens a payload that lies in memory, so that nothing but the container is measured. Decimal megabytes a second. */
async function payloadSpeed(lib, size) {
  const key = await crypto.subtle.generateKey({ name: "AES-GCM", length: 256 }, false, ["encrypt", "decrypt"]);
  const payload = { key, fileId: new Uint8Array(32), padded: false };
  const count = Math.ceil(size / lib.SEGMENT_PLAIN_SIZE);
  const label = [...new TextEncoder().encode("EMRYS-PRE-V1 seg"), ...payload.fileId];
  const seal = async (/** @type {number} */ i) => {
    const additionalData = new Uint8Array([...label, ...new Uint8Array(9)]);
    const view = new DataView(additionalData.buffer);
    view.setUint32(52, i);
    view.setUint8(56, i === count - 1 ? 1 : 0);
    const iv = crypto.getRandomValues(new Uint8Array(12));
    const plain = new Uint8Array(Math.min(lib.SEGMENT_PLAIN_SIZE, size - i * lib.SEGMENT_PLAIN_SIZE));
    return new Uint8Array([...iv, ...new Uint8Array(await crypto.subtle.encrypt({ name: "AES-GCM", iv, additionalData }, key, plain))]);
  };
  const sealed = [];
  for (let i = 0; i < count; i++) {
    sealed.push(await seal(i));
  }
  const run = async () => {
    const source = new ReadableStream({
      start(c) {
        sealed.forEach((s) => c.enqueue(s));
        c.close();
      },
    });
    for (const reader = source.pipeThrough(lib.decryptStream(payload, size)).getReader(); ; ) {
      if ((await reader.read()).done) {
        return;
      }
    }
  };
  const { median, best } = await time(run, 5);
  return { median: size / 1e3 / median, best: size / 1e3 / best };
}
