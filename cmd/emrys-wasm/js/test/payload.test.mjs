// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

// The container of docs/spec/container.md: its test values, and every failure class in streams and ranges.

import assert from "node:assert/strict";
import { test } from "node:test";
import { pathToFileURL } from "node:url";

const { EMRYS_BUNDLE: bundle } = process.env;
const { cipherSize, decryptStream, EmrysError, RandomReader, SEGMENT_PLAIN_SIZE, SEGMENT_SIZE } = await import(pathToFileURL(`${bundle}/emrys.js`).href);

const hex = (text) => new Uint8Array(Buffer.from(text, "hex"));
const fileId = Uint8Array.from({ length: 32 }, (_, i) => 255 - i);
const keys = {
  false: "ee767a9b528106901fbf9669f2a520ea4025f3596f86eae1532bcf830c9acf3c",
  true: "174969ee6c8cd87f5ea6786509d6e16df9a45cfab9351af71434d9a4bbfe9ea7",
};

async function payloadOf(padded, usage = "decrypt") {
  return { key: await crypto.subtle.importKey("raw", hex(keys[padded]), "AES-GCM", false, [usage]), fileId, padded };
}

/** Seals a plaintext as it stands, written from the specification and not from the code under test. */
async function seal(plain, padded, { nonce = () => crypto.getRandomValues(new Uint8Array(12)), final = undefined } = {}) {
  const { key } = await payloadOf(padded, "encrypt");
  const count = Math.max(1, Math.ceil(plain.length / 262116));
  const out = [];
  for (let i = 0; i < count; i++) {
    const aad = Buffer.concat([Buffer.from("EMRYS-PRE-V1 seg"), fileId, Buffer.alloc(9)]);
    aad.writeBigUInt64BE(BigInt(i), 48);
    aad[56] = (final ?? ((n) => n === count - 1))(i) ? 1 : 0;
    const iv = nonce(i);
    out.push(iv, new Uint8Array(await crypto.subtle.encrypt({ name: "AES-GCM", iv, additionalData: aad }, key, plain.subarray(i * 262116, (i + 1) * 262116))));
  }
  return new Uint8Array(Buffer.concat(out));
}

function padme(n) {
  const e = Math.floor(Math.log2(n));
  const z = e - Math.floor(Math.log2(e)) - 1;
  return Math.ceil(n / 2 ** z) * 2 ** z;
}

function pad(content, length = content.length) {
  const plain = Buffer.alloc(padme(8 + content.length));
  plain.writeBigUInt64BE(BigInt(length));
  plain.set(content, 8);
  return new Uint8Array(plain);
}

const counting = (n) => Uint8Array.from({ length: n }, (_, j) => j % 251);
const sha256 = async (b) => Buffer.from(await crypto.subtle.digest("SHA-256", b)).toString("hex");

/** A stream of the bytes in chunks of the sizes, over and over. */
function streamOf(bytes, sizes = [65536]) {
  let at = 0;
  let turn = 0;
  return new ReadableStream({
    pull(c) {
      if (at >= bytes.length) {
        c.close();
        return;
      }
      const n = sizes[turn++ % sizes.length];
      c.enqueue(bytes.slice(at, at + n));
      at += n;
    },
  });
}

/** Reads to the end. Returns what was released, and the failure's code where there was one. */
async function drain(stream) {
  const parts = [];
  try {
    for await (const part of stream) {
      parts.push(part);
    }
  } catch (e) {
    assert.ok(e instanceof EmrysError, String(e));
    return { released: Buffer.concat(parts), code: e.code };
  }
  return { released: Buffer.concat(parts), code: "" };
}

const opened = async (stored, plainSize, padded, sizes) => drain(streamOf(stored, sizes).pipeThrough(decryptStream(await payloadOf(padded), plainSize)));

const rangeReader = async (stored, plainSize, padded) => new RandomReader(await payloadOf(padded), plainSize, async (o, n) => stored.slice(o, o + n));

test("the test values of the specification open", async () => {
  for (const [stored, plainSize, padded, content] of [
    ["a1b2c3d4e5f60718293a4b5c9ea267a2205ae3f8d964a32e77c05f3d634de200d2cdca36e521777dd0", 13, false, "vital signs: "],
    ["a1b2c3d4e5f60718293a4b5c451dbf2643296cc1a35cb52abaa8c7911f5ca5cb39e141f9c96c74f08c8b607e20c451180d5d", 22, true, "vital signs: "],
    ["a1b2c3d4e5f60718293a4b5c564645a23e6a9d6d3eba8a42acc490f1", 0, false, ""],
    ["a1b2c3d4e5f60718293a4b5c451dbf2643296ccc4513abce931837b610d55cc83c2a7f21", 8, true, ""],
  ]) {
    const { released, code } = await opened(hex(stored), plainSize, padded, [7]);
    assert.equal(code, "");
    assert.equal(released.toString(), content);
    assert.equal(cipherSize(plainSize), stored.length / 2);
  }
});

test("payloads of many segments open, with the digests of the specification", async () => {
  for (const [n, padded, plainSize, size, digest] of [
    [600000, false, 600000, 600084, "3b225ac24ca6a81c55d9e485b62e10b842884d55ea84f4575ce8679c09006407"],
    [600000, true, 606208, 606292, "3f3f34cbbcb775349dd6034b446a61e7032e1781ecfa2dc04d8d79b8e0601812"],
    [8388601, true, 8650752, 8651704, "c303eff5da0cd7792c6c51d4ba1b0ae38b3321a1816d377fb57122dfb08ce437"],
  ]) {
    const content = counting(n);
    const stored = await seal(padded ? pad(content) : content, padded, { nonce: (i) => new Uint8Array(12).fill(0xa0 + i) });
    assert.equal(stored.length, size);
    assert.equal(await sha256(stored), digest);
    for (const sizes of [[stored.length], [262144], [1, 300000, 5]]) {
      const { released, code } = await opened(stored, plainSize, padded, sizes);
      assert.equal(code, "");
      assert.ok(released.equals(content));
    }
    const ranges = await rangeReader(stored, plainSize, padded);
    assert.equal(await ranges.size(), n);
    for (const [o, l] of [[0, 1], [262107, 3], [262115, 2], [n - 5, 100], [n, 1], [n + 5, 1], [0, 0], [100, 524300], [0, n + 1]]) {
      assert.ok(Buffer.from(await ranges.bytes(o, l)).equals(content.subarray(o, o + l)), `${o} ${l}`);
    }
  }
});

const middle = 3 * SEGMENT_PLAIN_SIZE + 100;

test("an altered, moved, cut or extended payload is refused, and what precedes the fault is released", async () => {
  const content = counting(middle);
  const stored = await seal(content, false);
  const flip = (at) => stored.map((b, i) => (i === at ? b ^ 1 : b));
  const swap = new Uint8Array(stored);
  swap.set(stored.subarray(SEGMENT_SIZE, 2 * SEGMENT_SIZE), 2 * SEGMENT_SIZE);
  swap.set(stored.subarray(2 * SEGMENT_SIZE, 3 * SEGMENT_SIZE), SEGMENT_SIZE);
  const both = new Uint8Array([...flip(SEGMENT_SIZE), 0]);
  for (const [what, bytes, code, segments] of [
    ["nonce", flip(0), "authentication", 0],
    ["first byte", flip(12), "authentication", 0],
    ["tag of segment 1", flip(2 * SEGMENT_SIZE - 1), "authentication", 1],
    ["final segment", flip(stored.length - 1), "authentication", 3],
    ["two segments exchanged", swap, "authentication", 1],
    ["cut at a segment's end", stored.slice(0, 3 * SEGMENT_SIZE), "truncated", 3],
    ["cut within a segment", stored.slice(0, 2 * SEGMENT_SIZE + 5), "truncated", 2],
    ["last byte missing", stored.slice(0, -1), "truncated", 3],
    ["nothing", new Uint8Array(), "truncated", 0],
    ["one byte more", new Uint8Array([...stored, 0]), "trailing", 3],
    ["itself again", new Uint8Array([...stored, ...stored]), "trailing", 3],
    ["altered and extended: the first fault counts", both, "authentication", 1],
  ]) {
    for (const sizes of [[65536], [bytes.length + 1], [1 << 20, 3]]) {
      const { released, code: got } = await opened(bytes, middle, false, sizes);
      assert.equal(got, code, what);
      assert.ok(released.equals(content.subarray(0, segments * SEGMENT_PLAIN_SIZE)), `${what}: ${released.length} bytes were released`);
    }
  }
});

test("a payload of another length, file, key or layout is refused", async () => {
  const content = counting(middle);
  const stored = await seal(content, false);
  assert.equal((await opened(stored, middle - 1, false)).code, "authentication");
  assert.equal((await opened(stored, middle + 1, false)).code, "truncated");
  assert.equal((await opened(stored, SEGMENT_PLAIN_SIZE, false)).code, "authentication");
  const other = { ...(await payloadOf(false)), fileId: new Uint8Array(32) };
  assert.equal((await drain(streamOf(stored).pipeThrough(decryptStream(other, middle)))).code, "authentication");
  const wrongKey = { ...(await payloadOf(true)), padded: false };
  assert.equal((await drain(streamOf(stored).pipeThrough(decryptStream(wrongKey, middle)))).code, "authentication");
  const noFinal = await seal(content, false, { final: () => false });
  assert.equal((await opened(noFinal, middle, false)).code, "authentication");
  const allFinal = await seal(content, false, { final: () => true });
  assert.equal((await opened(allFinal, middle, false)).code, "authentication");
});

test("impossible lengths and keys are refused before anything is read", async () => {
  const payload = await payloadOf(false);
  const padded = await payloadOf(true);
  for (const size of [-1, 1.5, NaN, Infinity, "5", undefined, 2 ** 32 * SEGMENT_PLAIN_SIZE + 1, 2 ** 53]) {
    assert.throws(() => decryptStream(payload, size), { code: "size" });
    assert.throws(() => new RandomReader(payload, size, async () => new Uint8Array()), { code: "size" });
  }
  for (const size of [0, 7, 9, 19, 600000, 1117103813820417]) {
    if (size === 9 || size > 19 ? padme(size) !== size : true) {
      assert.throws(() => decryptStream(padded, size), { code: size === 9 && padme(9) === 9 ? "" : "size" }, String(size));
    }
  }
  for (const bad of [{ ...payload, fileId: new Uint8Array(31) }, { ...payload, key: new Uint8Array(32) }, { key: payload.key, fileId }]) {
    assert.throws(() => decryptStream(bad, 5), { code: "parameter" });
  }
  const ranges = await rangeReader(new Uint8Array(), 5, false);
  for (const [o, l] of [[-1, 1], [0, -1], [0.5, 1], [NaN, 1], [0, Infinity]]) {
    assert.throws(() => ranges.range(o, l), { code: "parameter" });
  }
});

test("padding that is not well formed is refused, and never together with the last byte of the content", async () => {
  const content = counting(8388601); // ends in segment 32 of 34
  const good = pad(content);
  const change = (at, value) => good.map((b, i) => (i === at ? value : b));
  const before = 31 * SEGMENT_PLAIN_SIZE + SEGMENT_PLAIN_SIZE - 8;
  for (const [what, plain, least] of [
    ["last byte of the padding", change(good.length - 1, 1), before],
    ["first byte of the padding", change(8 + content.length, 1), before],
    ["a byte in a segment of padding alone", change(33 * SEGMENT_PLAIN_SIZE + 5, 1), before],
    ["length above the plaintext", pad(content, good.length - 7), 0],
    ["length of another size class", pad(content, 5), 0],
    ["length of 2^63", change(0, 0x80), 0],
    ["length of all ones", good.map((b, i) => (i < 8 ? 255 : b)), 0],
  ]) {
    const { released, code } = await opened(await seal(plain, true), good.length, true, [1 << 20]);
    assert.equal(code, "padding", what);
    assert.ok(released.length <= least, `${what}: ${released.length} bytes were released`);
    assert.ok(released.equals(content.subarray(0, released.length)));
  }
  const short = await seal(good, true);
  assert.equal((await opened(short.slice(0, -5), good.length, true)).code, "truncated");
  assert.equal((await opened(new Uint8Array([...short, 1]), good.length, true)).code, "trailing");
  const both = new Uint8Array([...(await seal(change(good.length - 1, 1), true)), 1]);
  assert.equal((await opened(both, good.length, true)).code, "trailing"); // which the specification looks for first
  for (const plain of [pad(content, 5), change(0, 0x80)]) {
    const ranges = await rangeReader(await seal(plain, true), good.length, true);
    await assert.rejects(ranges.size(), { code: "padding" });
    await assert.rejects(ranges.bytes(0, 1), { code: "padding" });
  }
  const ranges = await rangeReader(await seal(change(8 + content.length, 1), true), good.length, true);
  assert.equal((await ranges.bytes(0, 100)).length, 100);
  await assert.rejects(ranges.bytes(content.length - 1, 1), { code: "padding" });
});

test("a range from wrong bytes is refused, and what it does not touch is not asked for", async () => {
  const content = counting(middle);
  const stored = await seal(content, false);
  const asked = [];
  const payload = await payloadOf(false);
  const reader = (answer) => new RandomReader(payload, middle, async (o, n) => { asked.push([o, n]); return answer(o, n); });
  const good = reader((o, n) => stored.slice(o, o + n).buffer);
  assert.equal((await good.bytes(SEGMENT_PLAIN_SIZE, 1))[0], content[SEGMENT_PLAIN_SIZE]);
  assert.deepEqual(asked, [[SEGMENT_SIZE, SEGMENT_SIZE]]);
  await good.bytes(middle, 5);
  assert.equal(asked.length, 1);
  await assert.rejects(reader((o, n) => stored.slice(o, o + n - 1)).bytes(0, 1), { code: "truncated" });
  await assert.rejects(reader((o, n) => stored.slice(o, o + n + 1)).bytes(0, 1), { code: "trailing" });
  await assert.rejects(reader((o, n) => stored.slice(o + SEGMENT_SIZE, o + SEGMENT_SIZE + n)).bytes(0, 1), { code: "authentication" });
  await assert.rejects(reader(async () => { throw new TypeError("the line is down"); }).bytes(0, 1), TypeError);
  const late = await drain(reader((o, n) => stored.slice(o, o + n).map((b, i) => (o > SEGMENT_SIZE && i === 20 ? b ^ 1 : b))).range(0, middle));
  assert.equal(late.code, "authentication");
  assert.ok(late.released.equals(content.subarray(0, 2 * SEGMENT_PLAIN_SIZE)));
});

test("a failing source is reported as it is, after what came before it", async () => {
  const stored = await seal(counting(middle), false);
  let at = 0;
  const broken = new ReadableStream({
    pull(c) {
      if (at >= 2 * SEGMENT_SIZE + 100) {
        c.error(new TypeError("the line is down"));
        return;
      }
      c.enqueue(stored.slice(at, (at += 50000)));
    },
  });
  const stream = broken.pipeThrough(decryptStream(await payloadOf(false), middle));
  const parts = [];
  await assert.rejects(async () => {
    for await (const p of stream) {
      parts.push(p);
    }
  }, TypeError);
  assert.ok(parts.length <= 2); // a stream that fails drops what its pipe had not passed on yet
});

test("whoever stops reading stops the source, and a slow reader keeps it waiting", async () => {
  const size = 200 * SEGMENT_PLAIN_SIZE;
  const stored = await seal(new Uint8Array(size), false);
  let given = 0;
  let cancelled = false;
  const source = new ReadableStream({
    pull(c) {
      c.enqueue(stored.slice(given, (given += SEGMENT_SIZE)));
      if (given >= stored.length) {
        c.close();
      }
    },
    cancel() {
      cancelled = true;
    },
  });
  const reader = source.pipeThrough(decryptStream(await payloadOf(false), size)).getReader();
  await reader.read();
  await new Promise((resolve) => setImmediate(resolve));
  const after = given / SEGMENT_SIZE;
  assert.ok(after <= 8, `${after} segments were fetched for one that was read`);
  for (let i = 0; i < 50; i++) {
    await new Promise((resolve) => setImmediate(resolve));
  }
  assert.ok(given / SEGMENT_SIZE <= 8);
  await reader.cancel();
  await new Promise((resolve) => setImmediate(resolve));
  assert.ok(cancelled);
});

test("what is not bytes is refused", async () => {
  const texts = new ReadableStream({ start(c) { c.enqueue("text"); c.close(); } });
  assert.equal((await drain(texts.pipeThrough(decryptStream(await payloadOf(false), 5)))).code, "parameter");
});
