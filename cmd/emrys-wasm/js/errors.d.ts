export type Code = "malformed" | "parameter" | "context" | "proof" | "too_few_fragments" | "share" | "decrypt" | "commitment" | "size" | "handle" | "key_operation" | "unknown_operation" | "document" | "unsupported" | "internal" | "authentication" | "truncated" | "trailing" | "padding";
export type Refusal = {
    gateway: string;
    code: Code;
    message: string;
};
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
export declare class EmrysError extends Error {
    code: Code;
    field: string;
    refused: Refusal[];
    /**
     * @param {Code} code
     * @param {string} message
     * @param {string} [field] the argument at fault
     * @param {Refusal[]} [refused] the gateways that were refused, where an opening failed
     */
    constructor(code: Code, message: string, field?: string, refused?: Refusal[]);
}
/**
 * Makes an error of what the program rejected with.
 * @param {unknown} failure
 * @returns {EmrysError}
 */
export declare function errorOf(failure: unknown): EmrysError;
