// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

/**
 * The kind of a failure. Those of keys and proofs come from the protocol, those of the payload (authentication, truncated,
 * trailing, padding, size) from the container. docs/browser.md lists them with their meaning.
 * @typedef {"malformed" | "parameter" | "context" | "proof" | "too_few_fragments" | "share" | "decrypt" | "commitment"
 *   | "size" | "handle" | "key_operation" | "unknown_operation" | "document" | "unsupported" | "internal"
 *   | "authentication" | "truncated" | "trailing" | "padding"} Code
 */

/**
 * A gateway whose fragment or share was refused, and why.
 * @typedef {{gateway: string, code: Code, message: string}} Refusal
 */

/** Every error of this library. Its texts hold no secret. */
export class EmrysError extends Error {
  /**
   * @param {Code} code
   * @param {string} message
   * @param {string} [field] the argument at fault
   * @param {Refusal[]} [refused] the gateways that were refused, where an opening failed
   */
  constructor(code, message, field = "", refused = []) {
    super(field === "" ? message : `${field}: ${message}`);
    this.name = "EmrysError";
    this.code = code;
    this.field = field;
    this.refused = refused;
  }
}

/**
 * Makes an error of what the program rejected with.
 * @param {unknown} failure
 * @returns {EmrysError}
 */
export function errorOf(failure) {
  if (typeof failure === "object" && failure !== null && "code" in failure && "message" in failure) {
    const f = /** @type {{code: Code, message: string, field?: string, refused?: Refusal[]}} */ (failure);
    return new EmrysError(f.code, f.message, f.field, f.refused);
  }
  return new EmrysError("internal", "internal error");
}
