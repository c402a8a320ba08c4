// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

// The payload container, opened by WebCrypto. The section numbers are those of docs/spec/container.md. Nothing is released
// before its segment is authenticated, and the last byte of the content not before the whole payload has been.

import { EmrysError } from "./errors.js";

/** Bytes of a full segment as stored. */
export const SEGMENT_SIZE = 262144;
const NONCE_SIZE = 12;
const TAG_SIZE = 16;
/** What a segment adds to its plaintext: nonce and tag. */
export const SEGMENT_OVERHEAD = NONCE_SIZE + TAG_SIZE;
/** Bytes of plaintext in a full segment. */
export const SEGMENT_PLAIN_SIZE = SEGMENT_SIZE - SEGMENT_OVERHEAD;
const MAX_SEGMENTS = 2 ** 32;
const LENGTH_SIZE = 8; // of the length field of the padded layout
const FILE_ID_SIZE = 32;
const LABEL = new TextEncoder().encode("EMRYS-PRE-V1 seg");

/** How many segments are fetched and opened at the same time, in order: WebCrypto works outside of this thread. */
const AHEAD = 4;

/**
 * The key of one payload, as WebCrypto holds it, the payload's file id, and whether its content is padded.
 * @typedef {{key: CryptoKey, fileId: Uint8Array, padded: boolean}} PayloadKey
 */

/** @typedef {Uint8Array<ArrayBuffer>} Bytes */

/**
 * Returns the stored length in bytes of a payload of plainSize bytes of plaintext (C5).
 * @param {number} plainSize
 * @returns {number}
 */
export function cipherSize(plainSize) {
  return plainSize + segments(plainSize) * SEGMENT_OVERHEAD;
}

/**
 * @param {number} plainSize
 * @returns {number} at least one
 */
function segments(plainSize) {
  if (!Number.isSafeInteger(plainSize) || plainSize < 0 || plainSize > MAX_SEGMENTS * SEGMENT_PLAIN_SIZE) {
    throw new EmrysError("size", "is not a length in bytes of one payload", "plainSize");
  }
  return Math.max(1, Math.ceil(plainSize / SEGMENT_PLAIN_SIZE));
}

/**
 * Returns a length rounded up so that its low bits are zero (C4, Padmé).
 * @param {number} length at least 2
 * @returns {number}
 */
function padme(length) {
  const bits = (/** @type {number | bigint} */ n) => n.toString(2).length;
  const exponent = bits(BigInt(length)) - 1;
  const low = 2n ** BigInt(exponent - bits(exponent));
  return Number(((BigInt(length) + low - 1n) / low) * low);
}

/** Opens single segments of one payload. */
class Opener {
  #key;
  #aad;

  /**
   * @param {PayloadKey} payload
   * @param {number} plainSize
   */
  constructor(payload, plainSize) {
    const { key, fileId, padded } = payload;
    if (!(key instanceof CryptoKey) || !(fileId instanceof Uint8Array) || fileId.length !== FILE_ID_SIZE || typeof padded !== "boolean") {
      throw new EmrysError("parameter", "is not a payload key", "payload");
    }
    this.count = segments(plainSize);
    if (padded && (plainSize < LENGTH_SIZE || padme(plainSize) !== plainSize)) {
      throw new EmrysError("size", "is not a length of padded plaintext", "plainSize");
    }
    this.plainSize = plainSize;
    this.padded = padded;
    this.#key = key;
    this.#aad = new Uint8Array(LABEL.length + FILE_ID_SIZE + 9);
    this.#aad.set(LABEL);
    this.#aad.set(fileId, LABEL.length);
  }

  /**
   * Returns the stored length of a segment.
   * @param {number} index
   */
  storedSize(index) {
    return Math.min(SEGMENT_PLAIN_SIZE, this.plainSize - index * SEGMENT_PLAIN_SIZE) + SEGMENT_OVERHEAD;
  }

  /**
   * Authenticates and decrypts a segment (C3). The bytes may be used again when the promise is settled, not before.
   * @param {number} index
   * @param {Bytes} stored
   * @returns {Promise<Bytes>}
   */
  async open(index, stored) {
    const aad = this.#aad.slice();
    const view = new DataView(aad.buffer);
    view.setBigUint64(LABEL.length + FILE_ID_SIZE, BigInt(index));
    view.setUint8(aad.length - 1, index === this.count - 1 ? 1 : 0);
    const algorithm = { name: "AES-GCM", iv: stored.subarray(0, NONCE_SIZE), additionalData: aad, tagLength: 8 * TAG_SIZE };
    try {
      return new Uint8Array(await crypto.subtle.decrypt(algorithm, this.#key, stored.subarray(NONCE_SIZE)));
    } catch {
      throw new EmrysError("authentication", `segment ${index} is not what was sealed at this place of this payload`);
    }
  }

  /**
   * Returns where the content lies in the plaintext, from the plaintext of the first segment (C4, C6 step 3.4).
   * @param {Bytes} first
   * @returns {{start: number, end: number}}
   */
  content(first) {
    if (!this.padded) {
      return { start: 0, end: this.plainSize };
    }
    const length = Number(new DataView(first.buffer, first.byteOffset, LENGTH_SIZE).getBigUint64(0));
    if (length > this.plainSize - LENGTH_SIZE || padme(LENGTH_SIZE + length) !== this.plainSize) {
      throw new EmrysError("padding", "the length field of the content is not well formed");
    }
    return { start: LENGTH_SIZE, end: LENGTH_SIZE + length };
  }

  /**
   * Checks that a segment is zero from plaintext offset end on (C6 step 3.5).
   * @param {number} index
   * @param {Bytes} plain
   * @param {number} end
   */
  checkPadding(index, plain, end) {
    let all = 0;
    for (const b of plain.subarray(Math.max(0, end - index * SEGMENT_PLAIN_SIZE))) {
      all |= b;
    }
    if (all !== 0) {
      throw new EmrysError("padding", "the padding of the content is not well formed");
    }
  }
}

/**
 * Returns the part of a segment that lies between two plaintext offsets; it may be empty.
 * @param {number} index
 * @param {Bytes} plain
 * @param {number} start
 * @param {number} end
 */
function cut(index, plain, start, end) {
  const at = index * SEGMENT_PLAIN_SIZE;
  const from = Math.max(0, start - at);
  return plain.subarray(from, Math.max(from, Math.min(plain.length, end - at)));
}

/**
 * Where segments come from, in order. take fills a buffer, which is to be given back; end checks that nothing follows.
 * @typedef {{take(size: number): Promise<Bytes>, giveBack(buffer: Bytes): void, end(): Promise<void>}} Segments
 */

function truncated() {
  return new EmrysError("truncated", "the payload ends before its final segment does");
}

function trailing() {
  return new EmrysError("trailing", "the payload goes on after its final segment");
}

/** Cuts a stream of chunks of any size into segments. */
class ChunkSegments {
  #reader;
  /** @type {Uint8Array} */
  #chunk = new Uint8Array();
  /** @type {Bytes[]} */
  #free = [];

  /** @param {ReadableStreamDefaultReader<Uint8Array>} reader */
  constructor(reader) {
    this.#reader = reader;
  }

  /** Whether there is another byte. */
  async #more() {
    while (this.#chunk.length === 0) {
      const { value, done } = await this.#reader.read();
      if (done) {
        return false;
      }
      if (!(value instanceof Uint8Array)) {
        throw new EmrysError("parameter", "the stream must be of Uint8Array");
      }
      this.#chunk = value;
    }
    return true;
  }

  /**
   * @param {number} size
   * @returns {Promise<Bytes>}
   */
  async take(size) {
    const buffer = this.#free.pop() ?? new Uint8Array(size); // no later segment is larger
    for (let filled = 0; filled < size; ) {
      if (!(await this.#more())) {
        throw truncated();
      }
      const part = this.#chunk.subarray(0, size - filled);
      buffer.set(part, filled);
      filled += part.length;
      this.#chunk = this.#chunk.subarray(part.length);
    }
    return buffer.subarray(0, size);
  }

  /** @param {Bytes} buffer */
  giveBack(buffer) {
    this.#free.push(new Uint8Array(buffer.buffer));
  }

  async end() {
    if (await this.#more()) {
      throw trailing();
    }
  }
}

/** Has a byte stream, such as the body of a response, fill the same few buffers again and again. */
class ByteSegments {
  #reader;
  /** @type {ArrayBuffer[]} */
  #free = [];

  /** @param {ReadableStreamBYOBReader} reader */
  constructor(reader) {
    this.#reader = reader;
  }

  /**
   * @param {number} size
   * @returns {Promise<Bytes>}
   */
  async take(size) {
    let buffer = this.#free.pop() ?? new ArrayBuffer(size); // no later segment is larger
    for (let filled = 0; filled < size; ) {
      const { value, done } = await this.#reader.read(new Uint8Array(buffer, filled, size - filled));
      if (done || value === undefined) {
        throw truncated();
      }
      filled += value.length;
      buffer = value.buffer;
    }
    return new Uint8Array(buffer, 0, size);
  }

  /** @param {Bytes} buffer */
  giveBack(buffer) {
    this.#free.push(buffer.buffer);
  }

  async end() {
    if (!(await this.#reader.read(new Uint8Array(1))).done) {
      throw trailing();
    }
  }
}

/**
 * Fetches and opens all segments, some ahead, and gives their plaintext in order. A failure of a segment does not keep back
 * those before it; of the final segment nothing is given unless the source ends there.
 * @param {Opener} opener
 * @param {Segments} source
 * @returns {AsyncGenerator<Bytes, void, void>}
 */
async function* openAll(opener, source) {
  /** @type {{plain: Promise<Bytes>, buffer: Bytes}[]} */
  const opening = [];
  /** @type {{cause: unknown} | undefined} */
  let failure;
  for (let next = 0; ; ) {
    try {
      while (failure === undefined && next < opener.count && opening.length < AHEAD) {
        const size = opener.storedSize(next);
        const buffer = await source.take(size);
        const plain = opener.open(next, buffer);
        plain.catch(() => {}); // it is awaited in its turn, or not at all when the stream is given up
        opening.push({ plain, buffer });
        next++;
        if (next === opener.count) {
          await source.end();
        }
      }
    } catch (cause) {
      failure = { cause };
    }
    const oldest = opening.shift();
    if (oldest !== undefined) {
      const plain = await oldest.plain;
      source.giveBack(oldest.buffer);
      if (opening.length > 0 || failure === undefined || next < opener.count) {
        yield plain;
        continue;
      }
    }
    if (failure !== undefined) {
      throw failure.cause;
    }
    return;
  }
}

/**
 * Gives the content of the segments, as C6 says when.
 * @param {Opener} opener
 * @param {Segments} source
 * @returns {AsyncGenerator<Bytes, void, void>}
 */
async function* contents(opener, source) {
  let content = { start: 0, end: 0 };
  let held = new Uint8Array(); // the part with the last byte of the content
  let index = 0;
  for await (const plain of openAll(opener, source)) {
    if (index === 0) {
      content = opener.content(plain);
    }
    opener.checkPadding(index, plain, content.end);
    const part = cut(index, plain, content.start, content.end);
    index++;
    if (part.length === 0) {
      continue;
    }
    if (index * SEGMENT_PLAIN_SIZE >= content.end) {
      held = part;
    } else {
      yield part;
    }
  }
  if (held.length > 0) {
    yield held;
  }
}

/**
 * Returns a stream of the content of a stored payload. plainSize is the length of the plaintext, which must come from the
 * verified manifest: a payload of any other length is refused. Whoever reads slowly slows the source down. What it fails with:
 * authentication, truncated, trailing, padding, size. What it has given before is authentic; whoever has been given the
 * last byte has the complete content.
 *
 * From a byte stream, such as the body of a response, it reads into a few buffers of its own, and it gives a byte stream: with
 * a reader that brings its own buffer (mode "byob"), memory stays flat however large the payload is.
 * @param {PayloadKey} payload
 * @param {number} plainSize
 * @param {ReadableStream<Uint8Array>} source
 * @returns {ReadableStream<Bytes>}
 */
export function decrypt(payload, plainSize, source) {
  const opener = new Opener(payload, plainSize);
  const byob = byteReader(source);
  const reader = byob ?? source.getReader();
  const segments = byob === undefined ? new ChunkSegments(/** @type {ReadableStreamDefaultReader<Uint8Array>} */ (reader)) : new ByteSegments(byob);
  return streamOf(contents(opener, segments), (reason) => reader.cancel(reason));
}

/**
 * @param {ReadableStream<Uint8Array>} source
 * @returns {ReadableStreamBYOBReader | undefined} nothing when it is no byte stream
 */
function byteReader(source) {
  try {
    return source.getReader({ mode: "byob" });
  } catch {
    return undefined;
  }
}

/**
 * Returns a pair for pipeThrough that does what decrypt does to the chunks written to it. Browsers leave the chunks of a large
 * response to the collector, some hundred megabytes of them; decrypt does not.
 * @param {PayloadKey} payload
 * @param {number} plainSize
 * @returns {{writable: WritableStream<Uint8Array>, readable: ReadableStream<Bytes>}}
 */
export function decryptStream(payload, plainSize) {
  /** @type {TransformStream<Uint8Array, Uint8Array>} */
  const input = new TransformStream();
  return { writable: input.writable, readable: decrypt(payload, plainSize, input.readable) };
}

/** Nobody listens at its other end: what is sent there is gone at once. */
const { port1: nowhere, port2: nobody } = new MessageChannel();
nobody.close();

/**
 * Frees a part that was copied. WebCrypto's buffers lie outside of the heap, which grows by hundreds of megabytes before a
 * collector looks at them.
 * @param {Bytes} part
 */
function discard(part) {
  nowhere.postMessage(null, [part.buffer]);
}

/**
 * Makes a byte stream that asks for a part when its reader wants bytes, and no sooner. Into a reader's own buffer it copies;
 * the parts themselves are freed.
 * @param {AsyncGenerator<Bytes, void, void>} parts
 * @param {(reason: unknown) => Promise<void>} giveUp
 * @returns {ReadableStream<Bytes>}
 */
function streamOf(parts, giveUp) {
  let part = new Uint8Array();
  let at = 0;
  /** @param {ReadableByteStreamController} controller */
  const pull = async (controller) => {
    while (at === part.length) {
      const { value, done } = await parts.next();
      if (done) {
        controller.close();
        controller.byobRequest?.respond(0);
        return;
      }
      part = value;
      at = 0;
    }
    const request = /** @type {ReadableStreamBYOBRequest} */ (controller.byobRequest); // there always is one: see autoAllocateChunkSize
    const view = /** @type {Uint8Array} */ (request.view);
    const piece = part.subarray(at, at + view.byteLength);
    new Uint8Array(view.buffer, view.byteOffset).set(piece);
    at += piece.length;
    request.respond(piece.length);
    if (at === part.length) {
      discard(part);
      part = new Uint8Array();
      at = 0;
    }
  };
  return new ReadableStream({
    type: "bytes",
    autoAllocateChunkSize: SEGMENT_PLAIN_SIZE,
    async pull(controller) {
      try {
        await pull(controller);
      } catch (cause) {
        giveUp(cause).catch(() => {});
        throw cause;
      }
    },
    cancel: giveUp,
  });
}

/**
 * Reads stored bytes: exactly length bytes from offset, for example by a request with a Range header. It may try again by
 * itself; what it rejects with ends the reading.
 * @typedef {(offset: number, length: number) => Promise<Uint8Array | ArrayBuffer>} ReadStored
 */

/** Reads ranges of a payload's content (C7, C8). Segments outside of a range are neither fetched nor verified. */
export class RandomReader {
  #opener;
  #read;
  /** @type {{start: number, end: number} | undefined} */
  #content;

  /**
   * @param {PayloadKey} payload
   * @param {number} plainSize the length of the plaintext, from the verified manifest
   * @param {ReadStored} read
   */
  constructor(payload, plainSize, read) {
    this.#opener = new Opener(payload, plainSize);
    this.#read = read;
  }

  /**
   * Returns the length of the content in bytes. Of a padded payload the first segment is fetched for it, once.
   * @returns {Promise<number>}
   */
  async size() {
    const { start, end } = await this.#bounds();
    return end - start;
  }

  async #bounds() {
    if (this.#content === undefined) {
      const first = this.#opener.padded ? await this.#segment(0) : new Uint8Array();
      const content = this.#opener.content(first);
      if (this.#opener.padded) {
        this.#opener.checkPadding(0, first, content.end);
      }
      this.#content = content;
    }
    return this.#content;
  }

  /** @param {number} index */
  async #segment(index) {
    const size = this.#opener.storedSize(index);
    const got = await this.#read(index * SEGMENT_SIZE, size);
    const stored = new Uint8Array(got); // a copy of a Uint8Array, a view of an ArrayBuffer
    if (stored.length !== size) {
      const code = stored.length < size ? "truncated" : "trailing";
      throw new EmrysError(code, `segment ${index} of ${size} bytes was answered with ${stored.length}`);
    }
    return this.#opener.open(index, stored);
  }

  /**
   * Returns a stream of length bytes of the content from offset, cut off at its end. Segments are fetched as the stream is
   * read, some ahead.
   * @param {number} offset
   * @param {number} length
   * @returns {ReadableStream<Bytes>}
   */
  range(offset, length) {
    for (const n of [offset, length]) {
      if (!Number.isSafeInteger(n) || n < 0) {
        throw new EmrysError("parameter", "offset and length must be whole numbers of bytes");
      }
    }
    return streamOf(this.#parts(offset, length), async () => {});
  }

  /**
   * @param {number} offset
   * @param {number} length
   * @returns {AsyncGenerator<Bytes, void, void>}
   */
  async *#parts(offset, length) {
    const content = await this.#bounds();
    const start = Math.min(content.end, content.start + offset);
    const end = Math.min(content.end, start + length);
    if (start >= end) {
      return;
    }
    const last = Math.floor((end - 1) / SEGMENT_PLAIN_SIZE);
    /** @type {Promise<Bytes>[]} */
    const opening = [];
    let next = Math.floor(start / SEGMENT_PLAIN_SIZE);
    for (let index = next; index <= last; index++) {
      for (; next <= last && opening.length < AHEAD; next++) {
        const plain = this.#segment(next);
        plain.catch(() => {});
        opening.push(plain);
      }
      const plain = /** @type {Bytes} */ (await opening.shift());
      this.#opener.checkPadding(index, plain, content.end);
      yield cut(index, plain, start, end);
    }
  }

  /**
   * Returns length bytes of the content from offset, cut off at its end.
   * @param {number} offset
   * @param {number} length
   * @returns {Promise<Bytes>}
   */
  async bytes(offset, length) {
    const parts = [];
    for (const reader = this.range(offset, length).getReader(); ; ) {
      const { value, done } = await reader.read();
      if (done) {
        break;
      }
      parts.push(value);
    }
    const out = new Uint8Array(parts.reduce((n, p) => n + p.length, 0));
    let at = 0;
    for (const p of parts) {
      out.set(p, at);
      at += p.length;
    }
    return out;
  }
}
