// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

// What may cross the border to the program. Go's bridge does not survive an exception of a getter or a proxy, so every argument is
// first copied into plain values that nobody else holds.

import { EmrysError } from "./errors.js";

const MAX_DEPTH = 6;
const MAX_FIELDS = 64;
const MAX_LIST = 512;
const MAX_BYTES = 1 << 20;
const KEY_SIZE = 32;

/** @typedef {undefined | boolean | number | string | Uint8Array | Function | PlainList | PlainFields} Plain */
/** @typedef {Plain[]} PlainList */
/** @typedef {{[name: string]: Plain}} PlainFields */

/**
 * Copies the arguments of an operation. Throws an error of code parameter for what may not cross.
 * @param {unknown} args
 * @returns {PlainFields}
 */
export function plainArguments(args) {
  try {
    if (typeof args === "object" && args !== null && !Array.isArray(args)) {
      return fields(args, 0);
    }
  } catch (cause) {
    if (cause instanceof EmrysError) {
      throw cause;
    }
  }
  throw notAllowed();
}

function notAllowed() {
  return new EmrysError("parameter", "the arguments hold a value that is not allowed");
}

/**
 * @param {unknown} value
 * @param {number} depth
 * @returns {Plain}
 */
function plain(value, depth) {
  switch (typeof value) {
    case "undefined":
    case "boolean":
    case "number":
      return value;
    case "string":
      if (value.length <= MAX_BYTES) {
        return value;
      }
      break;
    case "function":
      return agreement(value);
    case "object":
      if (value !== null && depth < MAX_DEPTH) {
        return object(value, depth + 1);
      }
  }
  throw notAllowed();
}

/**
 * @param {object} value
 * @param {number} depth
 * @returns {Plain}
 */
function object(value, depth) {
  if (value instanceof Uint8Array) {
    if (value.length <= MAX_BYTES) {
      return new Uint8Array(value);
    }
  } else if (Array.isArray(value)) {
    if (value.length <= MAX_LIST) {
      return Array.from(value, (v) => plain(v, depth));
    }
  } else {
    return fields(value, depth);
  }
  throw notAllowed();
}

/**
 * @param {object} value
 * @param {number} depth
 * @returns {PlainFields}
 */
function fields(value, depth) {
  const names = Object.keys(value);
  const prototype = Object.getPrototypeOf(value);
  if (names.length > MAX_FIELDS || (prototype !== Object.prototype && prototype !== null)) {
    throw notAllowed();
  }
  /** @type {PlainFields} */
  const copy = Object.create(null);
  for (const name of names) {
    copy[name] = plain(/** @type {Record<string, unknown>} */ (value)[name], depth);
  }
  return copy;
}

/**
 * Makes a key operation that never throws and never rejects: it gives the 32 bytes in a copy that the program clears, or null.
 * The bytes that the operation itself returned are cleared here.
 * @param {Function} agree
 * @returns {(peer: Uint8Array) => Promise<Uint8Array | null>}
 */
function agreement(agree) {
  return async (peer) => {
    try {
      const secret = await agree(peer);
      if (secret instanceof Uint8Array && secret.length === KEY_SIZE) {
        const copy = new Uint8Array(secret);
        secret.fill(0);
        return copy;
      }
    } catch {
      // the program says key_operation; what the operation threw may hold anything
    }
    return null;
  };
}
