// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

// A patient's and a reader's device in a browser. The operations run in WebAssembly; secrets stay there, behind handles.

import "./wasm_exec.js";
import { EmrysError, errorOf } from "./errors.js";
import { plainArguments } from "./plain.js";

export { EmrysError } from "./errors.js";
export * from "./payload.js";

/** @typedef {import("./errors.js").Code} Code */
/** @typedef {import("./errors.js").Refusal} Refusal */
/** @typedef {import("./payload.js").PayloadKey} PayloadKey */

/** @typedef {"seed" | "scope" | "hybrid" | "reading" | "signing" | "data" | "recovery"} Kind */

/**
 * A secret inside the program. close forgets it; every use after that fails with code handle.
 * @template {Kind} K
 * @typedef {{readonly kind: K, readonly handle: number, close(): Promise<void>}} Secret
 */

/** @typedef {Secret<"seed">} Seed a patient's root seed */
/** @typedef {Secret<"scope"> & {delegating: Uint8Array, fragment: Uint8Array}} Scope both keys of a scope; the public halves, 33 bytes each */
/** @typedef {Secret<"hybrid"> & {public: Uint8Array}} HybridKey opens copies and shares; the public half has 1249 bytes */
/** @typedef {Secret<"reading"> & {public: Uint8Array}} ReadingKey a reading key inside the program; the public half has 33 bytes */
/** @typedef {Secret<"signing"> & {public: Uint8Array}} SigningKey a signing key inside the program; the public half has 33 bytes */
/** @typedef {Secret<"recovery"> & {request: Uint8Array, words: string}} Recovery a request to guardians; the words are read to them */
/** @typedef {{from: number, seed: Seed}} Generation a seed and the first epoch that it serves */
/** @typedef {Secret<"data">} DataKey a record's data key, checked against its commitment */

/**
 * A reading key outside of the program, of which only one operation is asked: key agreement with peer, a point of 65
 * uncompressed bytes, to the 32 bytes of the shared x coordinate. See readingKeyOf.
 * @typedef {{public: Uint8Array, agree: (peer: Uint8Array<ArrayBuffer>) => Promise<Uint8Array> | Uint8Array}} ForeignKey
 */

/** @typedef {{id: string, key: Uint8Array}} Gateway a gateway and its hybrid key, 1249 bytes */
/** @typedef {{gateway: string, commitment: Uint8Array, sealed: Uint8Array}} SealedFragment */
/** @typedef {{gateway: string, capsule: Uint8Array, share: Uint8Array}} Answer what one gateway sent for one reading */
/** @typedef {{body: Uint8Array<ArrayBuffer>, digest: Uint8Array<ArrayBuffer>, message: Uint8Array<ArrayBuffer>, args: string}} Action */

/**
 * A record's key material and what it must match: the values of verifyManifest.
 * @typedef {{capsule: Uint8Array, envelope: Uint8Array, context: Uint8Array, fileId: Uint8Array, keyCommitment: Uint8Array}} SealedRecord
 */

/**
 * A verified manifest: its text, and the arguments of an opening.
 * @typedef {SealedRecord & {manifest: string, delegating: Uint8Array, signer: Uint8Array, plainSize: number}} VerifiedManifest
 */

/**
 * The fields of a record context (pkg/pre, RecordContext). policyHash may be empty.
 * @typedef {{channel: string, record: string, patient: string, scope: string, epoch: number, scopeKey: Uint8Array,
 *   author: string, authorKey: Uint8Array, class: string, level: string, policyHash: Uint8Array, fileId: Uint8Array,
 *   cid: string, plainSize: number, cipherSize: number, segmentSize: number, cipherDigest: Uint8Array,
 *   keyCommitment: Uint8Array, version: number, previous: string, threshold: number}} RecordContext
 */

/** @typedef {(operation: string, args: object) => Promise<any>} Call */

const P256 = { name: "ECDH", namedCurve: "P-256" };
const RAW_POINT_SIZE = 65;

/**
 * Starts the program. source is emrys.wasm: its address, the response to a request for it, its bytes, or the compiled module.
 * @param {string | URL | Response | Promise<Response> | BufferSource | WebAssembly.Module} source
 * @returns {Promise<Emrys>}
 */
export async function load(source) {
  const go = new Go();
  const module = await compile(source);
  const instance = await WebAssembly.instantiate(module, go.importObject);
  const name = "emrys_" + crypto.randomUUID().replaceAll("-", "");
  /** @type {[Call, () => void] | undefined} */
  let entry;
  const global = /** @type {Record<string, unknown>} */ (/** @type {unknown} */ (globalThis));
  Object.defineProperty(global, name, {
    configurable: true,
    value: /** @type {(call: Call, stop: () => void) => void} */ ((call, stop) => (entry = [call, stop])),
  });
  try {
    go.argv = ["emrys", name];
    go.env = {};
    // It runs until the program waits for its first call. Timers of the runtime that outlive the program would throw.
    const stopped = go.run(instance).finally(() => go._scheduledTimeouts?.forEach((id) => clearTimeout(id)));
    if (entry === undefined) {
      throw new EmrysError("internal", "the program did not start");
    }
    return new Emrys(...entry, stopped);
  } finally {
    delete global[name];
  }
}

/** @param {Parameters<typeof load>[0]} source */
async function compile(source) {
  if (source instanceof WebAssembly.Module) {
    return source;
  }
  if (ArrayBuffer.isView(source) || source instanceof ArrayBuffer) {
    return WebAssembly.compile(/** @type {BufferSource} */ (source));
  }
  const response = await (typeof source === "string" || source instanceof URL ? fetch(source) : source);
  return WebAssembly.compileStreaming(/** @type {Response} */ (response));
}

/** One running program. Make it with load. */
export class Emrys {
  #call;
  #stop;
  #running = true;
  /** @type {Set<(e: EmrysError) => void>} */
  #pending = new Set();
  #stopped;

  /**
   * @param {Call} call
   * @param {() => void} stop
   * @param {Promise<void>} stopped
   */
  constructor(call, stop, stopped) {
    this.#call = call;
    this.#stop = stop;
    this.#stopped = stopped.then(() => this.#end(), () => this.#end());
  }

  #end() {
    this.#running = false;
    for (const reject of this.#pending) {
      reject(new EmrysError("internal", "the program has stopped"));
    }
    this.#pending.clear();
  }

  /**
   * Performs an operation by name. The methods below are the same with types.
   * @param {string} operation
   * @param {object} [args]
   * @returns {Promise<any>}
   */
  call(operation, args = {}) {
    return new Promise((resolve, reject) => {
      if (!this.#running) {
        reject(new EmrysError("internal", "the program has stopped"));
        return;
      }
      const plain = plainArguments(args);
      this.#pending.add(reject);
      this.#enter(String(operation), plain)
        .then(resolve, (failure) => reject(errorOf(failure)))
        .finally(() => this.#pending.delete(reject));
    });
  }

  /**
   * Enters the program. An exception that comes out of it, such as that of an exhausted stack, leaves it in no defined state.
   * @param {string} operation
   * @param {object} args
   */
  #enter(operation, args) {
    try {
      return this.#call(operation, args);
    } catch {
      this.#end();
      throw new EmrysError("internal", "the program has stopped");
    }
  }

  /**
   * Forgets every secret and stops the program. Its memory goes when the last reference to this object does; a worker that
   * is terminated takes it along at once.
   */
  async stop() {
    if (this.#running) {
      this.#running = false;
      this.#stop();
    }
    await this.#stopped;
  }

  /** How many secrets are open. */
  async countHandles() {
    return /** @type {number} */ ((await this.call("countHandles")).open);
  }

  /**
   * @template {Kind} K
   * @param {K} kind
   * @param {{handle: number}} result
   * @returns {any}
   */
  #secret(kind, result) {
    const close = async () => {
      await this.call("close", { handle: result.handle });
    };
    return Object.freeze({ ...result, kind, close });
  }

  /**
   * Draws a new root seed.
   * @returns {Promise<Seed>}
   */
  async generateSeed() {
    return this.#secret("seed", await this.call("generateSeed"));
  }

  /**
   * Encrypts a seed for storage under 32 secret bytes, for example the output of a passkey's PRF extension. Clear them
   * afterwards. They are not stretched: a passphrase needs a slow derivation first.
   * @param {Seed} seed
   * @param {Uint8Array} key
   * @returns {Promise<Uint8Array>}
   */
  async sealSeed(seed, key) {
    return (await this.call("sealSeed", { seed: seed.handle, key })).sealed;
  }

  /**
   * Opens a stored seed.
   * @param {Uint8Array} sealed
   * @param {Uint8Array} key
   * @returns {Promise<Seed>}
   */
  async openSeed(sealed, key) {
    return this.#secret("seed", await this.call("openSeed", { sealed, key }));
  }

  /**
   * Takes the seeds from a paper key, as somebody typed it.
   * @param {string} sheet
   * @returns {Promise<{owner: string, seeds: Generation[]}>}
   */
  async recoverPaper(sheet) {
    const { owner, seeds } = await this.call("recoverPaper", { sheet });
    return { owner, seeds: this.#generations(seeds) };
  }

  /**
   * Makes a request that guardians answer. backup is empty for whichever backup of the owner they hold. Times are seconds.
   * @param {{owner: string, backup: Uint8Array, device: string, created: number, expires: number}} args
   * @returns {Promise<Recovery>}
   */
  async requestRecovery(args) {
    return this.#secret("recovery", await this.call("requestRecovery", args));
  }

  /**
   * Takes the seeds from the guardians' answers to a request. Whoever saw the request can make up a whole backup: only expect, the
   * fingerprint of the owner's hybrid key from an old card or the registry, tells it. Whoever has none says "none", and compares
   * the hybrid that comes back before the seeds are used. refused names the guardians whose answers were refused.
   * @param {Recovery} recovery
   * @param {Uint8Array[]} answers
   * @param {string} expect
   * @returns {Promise<{seeds: Generation[], hybrid: string, refused: Refusal[]}>}
   */
  async recoverFromGuardians(recovery, answers, expect) {
    const args = { recovery: recovery.handle, answers: answers.map((answer) => ({ answer })), expect };
    const { seeds, hybrid, refused } = await this.call("recoverFromGuardians", args);
    return { seeds: this.#generations(seeds), hybrid, refused };
  }

  /**
   * @param {{from: number, handle: number}[]} seeds
   * @returns {Generation[]}
   */
  #generations(seeds) {
    return seeds.map(({ from, handle }) => ({ from, seed: this.#secret("seed", { handle }) }));
  }

  /**
   * Derives both keys of a scope and epoch.
   * @param {Seed} seed
   * @param {string} scope
   * @param {number} epoch
   * @returns {Promise<Scope>}
   */
  async deriveScope(seed, scope, epoch) {
    return this.#secret("scope", await this.call("deriveScope", { seed: seed.handle, scope, epoch }));
  }

  /**
   * Derives the key that opens what is sealed to this person. A patient's own copies use purpose "copies" and epoch 1.
   * @param {Seed} seed
   * @param {string} purpose
   * @param {number} epoch
   * @returns {Promise<HybridKey>}
   */
  async deriveHybrid(seed, purpose, epoch) {
    return this.#secret("hybrid", await this.call("deriveHybrid", { seed: seed.handle, purpose, epoch }));
  }

  /**
   * Draws a reading key that lives as long as the program. A lasting one belongs into WebCrypto: see readingKeyOf.
   * @returns {Promise<ReadingKey>}
   */
  async generateReadingKey() {
    return this.#secret("reading", await this.call("generateReadingKey"));
  }

  /**
   * Draws a signing key that lives as long as the program. A lasting one belongs into WebCrypto or a passkey.
   * @returns {Promise<SigningKey>}
   */
  async generateSigningKey() {
    return this.#secret("signing", await this.call("generateSigningKey"));
  }

  /**
   * Makes the action of a function of the ledger: body is what is signed, digest what a passkey or card signs, message what
   * WebCrypto signs with ECDSA and SHA-256, args what the ledger will read. Times are seconds since the epoch.
   * @param {{channel: string, contract: string, function: string, actor: string, issued: number, expires: number, args: object}} action
   * @returns {Promise<Action>}
   */
  async prepareAction(action) {
    return this.call("prepareAction", { ...action, args: JSON.stringify(action.args) });
  }

  /**
   * Signs an action inside the program. Returns the JSON that gateways take.
   * @param {Action} action
   * @param {SigningKey} key
   * @returns {Promise<string>}
   */
  async signAction(action, key) {
    return (await this.call("signAction", { body: action.body, key: key.handle })).signed;
  }

  /**
   * Joins an action and a signature made elsewhere, r and s of 32 bytes each, and verifies it.
   * @param {Action} action
   * @param {Uint8Array} signature
   * @param {Uint8Array} publicKey 33 bytes
   * @returns {Promise<string>}
   */
  async finishAction(action, signature, publicKey) {
    return (await this.call("finishAction", { body: action.body, signature, public: publicKey })).signed;
  }

  /**
   * Joins an action and a passkey's answer to navigator.credentials.get, whose challenge was action.digest, and verifies it
   * as the ledger will, under the key as it is pinned. Ask with userVerification "required".
   * @param {Action} action
   * @param {{authenticatorData: ArrayBuffer, clientDataJSON: ArrayBuffer, signature: ArrayBuffer}} response
   * @param {{kind: string, key: string, relyingParty: string, origins: string[]}} pinned key in base64, as the ledger shows it
   * @returns {Promise<string>}
   */
  async finishAssertion(action, response, pinned) {
    const { signed } = await this.call("finishAssertion", {
      body: action.body, signature: new Uint8Array(response.signature), clientData: new Uint8Array(response.clientDataJSON),
      authenticatorData: new Uint8Array(response.authenticatorData), pinned: JSON.stringify(pinned),
    });
    return signed;
  }

  /**
   * Signs an action with a key of WebCrypto (ECDSA, P-256), which need not be extractable.
   * @param {Action} action
   * @param {CryptoKeyPair} pair
   * @returns {Promise<string>}
   */
  async signActionWith(action, pair) {
    const signature = await crypto.subtle.sign({ name: "ECDSA", hash: "SHA-256" }, pair.privateKey, action.message);
    return this.finishAction(action, new Uint8Array(signature), await publicKeyOf(pair.publicKey));
  }

  /**
   * Brings a standing consent into the form that is signed, and checks it as the ledger does at a moment. Lists that are
   * left out are empty. Returns the document for PutConsent and its hash.
   * @param {object} document consent.Document as JSON has it
   * @param {number} now seconds since the epoch
   * @returns {Promise<{document: object, hash: Uint8Array}>}
   */
  async checkConsent(document, now) {
    const { document: text, hash } = await this.call("checkConsent", { document: JSON.stringify(document), now });
    return { document: JSON.parse(text), hash };
  }

  /**
   * Decides from a standing consent, null where there is none, as the ledger does. Returns consent.Outcome as JSON has it.
   * @param {object | null} consent consent.Consent as JSON has it
   * @param {object} facts consent.Facts as JSON has it
   * @param {number} now seconds since the epoch
   * @returns {Promise<object>}
   */
  async decideConsent(consent, facts, now) {
    const args = { consent: consent ? JSON.stringify(consent) : "", facts: JSON.stringify(facts), now };
    return JSON.parse((await this.call("decideConsent", args)).outcome);
  }

  /**
   * Makes one key fragment for each gateway and seals it to it.
   * @param {{scope: Scope, grant: Uint8Array, reader: Uint8Array, threshold: number, gateways: Gateway[]}} args
   * @returns {Promise<SealedFragment[]>}
   */
  async rekey(args) {
    return (await this.call("rekey", { ...args, scope: args.scope.handle })).fragments;
  }

  /**
   * Makes the argument of GrantAccess: JSON for prepareAction, and the hash of the terms. terms is emr.GrantTerms as JSON
   * has it. The gateways must be those of the terms, in their order.
   * @param {{scope: Scope, terms: object, request: string, gateways: Gateway[]}} args
   * @returns {Promise<{args: string, hash: Uint8Array}>}
   */
  async grant(args) {
    return this.call("grant", { ...args, scope: args.scope.handle, terms: JSON.stringify(args.terms) });
  }

  /**
   * Computes what a record's keys are bound to.
   * @param {RecordContext} context
   * @returns {Promise<Uint8Array>}
   */
  async contextHash(context) {
    return (await this.call("contextHash", context)).hash;
  }

  /**
   * Verifies a record's manifest against its author's signature, the public record and the scope. view is
   * ledgerapi.ManifestView as JSON has it; its record, author and scope must come from the ledger by a trusted way.
   * @param {string} channel
   * @param {string} contract
   * @param {object} view
   * @returns {Promise<VerifiedManifest>}
   */
  async verifyManifest(channel, contract, view) {
    return this.call("verifyManifest", { channel, contract, view: JSON.stringify(view) });
  }

  /**
   * Verifies that a committed disclosure permits this reader to read this record under this grant, and returns what the
   * gateways' answers must be bound to. disclosure is emr.Disclosure and terms is emr.GrantTerms as JSON has them, from the
   * ledger; manifest is the text of verifyManifest; who is the reader's id.
   * @param {{channel: string, disclosure: object, terms: object, manifest: string, who: string, reader: ReadingKey | ForeignKey}} args
   * @returns {Promise<{request: Uint8Array, grant: Uint8Array, threshold: number}>}
   */
  async verifyTicket({ channel, disclosure, terms, manifest, who, reader }) {
    return this.call("verifyTicket", {
      channel, disclosure: JSON.stringify(disclosure), terms: JSON.stringify(terms), manifest, who, reader: reader.public,
    });
  }

  /**
   * Verifies a gateway's signature over its answer, which makes a false answer provable to others. key is its receipt key.
   * @param {{disclosure: string, request: Uint8Array, answer: Answer, receipt: Uint8Array, key: Uint8Array}} args
   * @returns {Promise<void>}
   */
  async verifyReceipt(args) {
    await this.call("verifyReceipt", args);
  }

  /**
   * Verifies that a capsule was made for a scope key and a record context.
   * @param {{capsule: Uint8Array, delegating: Uint8Array, context: Uint8Array}} args
   * @returns {Promise<void>}
   */
  async verifyCapsule(args) {
    await this.call("verifyCapsule", args);
  }

  /**
   * Verifies an opened key fragment, as a gateway does. Returns its commitment.
   * @param {{fragment: Uint8Array, delegating: Uint8Array, reader: Uint8Array, signer: Uint8Array, gateway: string, grant: Uint8Array}} args
   * @returns {Promise<Uint8Array>}
   */
  async verifyKeyFragment(args) {
    return (await this.call("verifyKeyFragment", args)).commitment;
  }

  /**
   * Verifies one gateway's answer. Returns the commitment of the key fragment that it was made with.
   * @param {{fragment: Uint8Array, capsule: Uint8Array, gateway: string, delegating: Uint8Array, signer: Uint8Array,
   *   reader: Uint8Array, context: Uint8Array, grant: Uint8Array, request: Uint8Array}} args
   * @returns {Promise<Uint8Array>}
   */
  async verifyCapsuleFragment(args) {
    return (await this.call("verifyCapsuleFragment", args)).commitment;
  }

  /**
   * Reads a record's envelope and tells what it holds.
   * @param {Uint8Array} envelope
   * @returns {Promise<{threshold: number, shares: {gateway: string, index: number, commitment: Uint8Array}[],
   *   patientCopy: boolean, hospitalCopy: boolean}>}
   */
  async inspectEnvelope(envelope) {
    return this.call("inspectEnvelope", { envelope });
  }

  /**
   * Opens a record from the gateways' answers. They are verified in their order, as many as it takes; those that fail are
   * named in refused and do not hurt as long as enough remain. threshold is the grant's.
   * @param {SealedRecord & {reader: ReadingKey | ForeignKey, hybrid: HybridKey, delegating: Uint8Array, signer: Uint8Array,
   *   grant: Uint8Array, request: Uint8Array, threshold: number, answers: Answer[]}} args
   * @returns {Promise<DataKey & {refused: Refusal[]}>}
   */
  async openShared(args) {
    const { reader, hybrid, capsule, envelope, delegating, signer, context, grant, request, threshold, answers, fileId, keyCommitment } = args;
    const key = "handle" in reader ? reader.handle : reader;
    const result = await this.call("openShared", {
      reader: key, hybrid: hybrid.handle, capsule, envelope, delegating, signer, context, grant, request, threshold, answers, fileId, keyCommitment,
    });
    return this.#secret("data", result);
  }

  /**
   * Opens a patient's own record without any gateway.
   * @param {SealedRecord & {scope: Scope, hybrid: HybridKey}} args
   * @returns {Promise<DataKey>}
   */
  async openOwn(args) {
    const { scope, hybrid, capsule, envelope, context, fileId, keyCommitment } = args;
    const result = await this.call("openOwn", {
      scope: scope.handle, hybrid: hybrid.handle, capsule, envelope, context, fileId, keyCommitment,
    });
    return this.#secret("data", result);
  }

  /**
   * Gives the key of the payload to WebCrypto: it decrypts, and cannot be extracted. The layout, plain or padded, is the one
   * that the author committed to.
   * @param {DataKey} key
   * @returns {Promise<PayloadKey>}
   */
  async payloadKey(key) {
    return this.call("payloadKey", { key: key.handle });
  }
}

/**
 * Returns the 33 compressed bytes of a public key of WebCrypto on P-256.
 * @param {CryptoKey} key
 * @returns {Promise<Uint8Array<ArrayBuffer>>}
 */
export async function publicKeyOf(key) {
  const raw = new Uint8Array(await crypto.subtle.exportKey("raw", key));
  if (raw.length !== RAW_POINT_SIZE) {
    throw new EmrysError("parameter", "the key is not on P-256");
  }
  const compressed = raw.slice(0, 33);
  compressed[0] = 2 | (/** @type {number} */ (raw[RAW_POINT_SIZE - 1]) & 1);
  return compressed;
}

/**
 * Makes a reading key of a key pair of WebCrypto (ECDH, P-256, usage deriveBits), which need not be extractable.
 * @param {CryptoKeyPair} pair
 * @returns {Promise<ForeignKey>}
 */
export async function readingKeyOf(pair) {
  return {
    public: await publicKeyOf(pair.publicKey),
    agree: async (peer) => {
      const point = await crypto.subtle.importKey("raw", peer, P256, false, []);
      return new Uint8Array(await crypto.subtle.deriveBits({ name: "ECDH", public: point }, pair.privateKey, 256));
    },
  };
}
