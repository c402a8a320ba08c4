/** Bytes of a full segment as stored. */
export declare const SEGMENT_SIZE = 262144;
/** What a segment adds to its plaintext: nonce and tag. */
export declare const SEGMENT_OVERHEAD: number;
/** Bytes of plaintext in a full segment. */
export declare const SEGMENT_PLAIN_SIZE: number;
export type PayloadKey = {
    key: CryptoKey;
    fileId: Uint8Array;
    padded: boolean;
};
export type Bytes = Uint8Array<ArrayBuffer>;
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
export declare function cipherSize(plainSize: number): number;
export type Segments = {
    take(size: number): Promise<Bytes>;
    giveBack(buffer: Bytes): void;
    end(): Promise<void>;
};
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
export declare function decrypt(payload: PayloadKey, plainSize: number, source: ReadableStream<Uint8Array>): ReadableStream<Bytes>;
/**
 * Returns a pair for pipeThrough that does what decrypt does to the chunks written to it. Browsers leave the chunks of a large
 * response to the collector, some hundred megabytes of them; decrypt does not.
 * @param {PayloadKey} payload
 * @param {number} plainSize
 * @returns {{writable: WritableStream<Uint8Array>, readable: ReadableStream<Bytes>}}
 */
export declare function decryptStream(payload: PayloadKey, plainSize: number): {
    writable: WritableStream<Uint8Array>;
    readable: ReadableStream<Bytes>;
};
export type ReadStored = (offset: number, length: number) => Promise<Uint8Array | ArrayBuffer>;
/**
 * Reads stored bytes: exactly length bytes from offset, for example by a request with a Range header. It may try again by
 * itself; what it rejects with ends the reading.
 * @typedef {(offset: number, length: number) => Promise<Uint8Array | ArrayBuffer>} ReadStored
 */
/** Reads ranges of a payload's content (C7, C8). Segments outside of a range are neither fetched nor verified. */
export declare class RandomReader {
    #private;
    /**
     * @param {PayloadKey} payload
     * @param {number} plainSize the length of the plaintext, from the verified manifest
     * @param {ReadStored} read
     */
    constructor(payload: PayloadKey, plainSize: number, read: ReadStored);
    /**
     * Returns the length of the content in bytes. Of a padded payload the first segment is fetched for it, once.
     * @returns {Promise<number>}
     */
    size(): Promise<number>;
    /**
     * Returns a stream of length bytes of the content from offset, cut off at its end. Segments are fetched as the stream is
     * read, some ahead.
     * @param {number} offset
     * @param {number} length
     * @returns {ReadableStream<Bytes>}
     */
    range(offset: number, length: number): ReadableStream<Bytes>;
    /**
     * Returns length bytes of the content from offset, cut off at its end.
     * @param {number} offset
     * @param {number} length
     * @returns {Promise<Bytes>}
     */
    bytes(offset: number, length: number): Promise<Bytes>;
}
