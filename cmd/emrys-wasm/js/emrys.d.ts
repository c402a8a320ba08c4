import "./wasm_exec.js";
export { EmrysError } from "./errors.js";
export * from "./payload.js";
export type Code = import("./errors.js").Code;
export type Refusal = import("./errors.js").Refusal;
export type PayloadKey = import("./payload.js").PayloadKey;
export type Kind = "seed" | "scope" | "hybrid" | "reading" | "signing" | "data" | "recovery";
export type Secret<K extends Kind> = {
    readonly kind: K;
    readonly handle: number;
    close(): Promise<void>;
};
export type Seed = Secret<"seed">;
export type Scope = Secret<"scope"> & {
    delegating: Uint8Array;
    fragment: Uint8Array;
};
export type HybridKey = Secret<"hybrid"> & {
    public: Uint8Array;
};
export type ReadingKey = Secret<"reading"> & {
    public: Uint8Array;
};
export type SigningKey = Secret<"signing"> & {
    public: Uint8Array;
};
export type Recovery = Secret<"recovery"> & {
    request: Uint8Array;
    words: string;
};
export type Generation = {
    from: number;
    seed: Seed;
};
export type DataKey = Secret<"data">;
export type ForeignKey = {
    public: Uint8Array;
    agree: (peer: Uint8Array<ArrayBuffer>) => Promise<Uint8Array> | Uint8Array;
};
export type Gateway = {
    id: string;
    key: Uint8Array;
};
export type SealedFragment = {
    gateway: string;
    commitment: Uint8Array;
    sealed: Uint8Array;
};
export type Answer = {
    gateway: string;
    capsule: Uint8Array;
    share: Uint8Array;
};
export type Action = {
    body: Uint8Array<ArrayBuffer>;
    digest: Uint8Array<ArrayBuffer>;
    message: Uint8Array<ArrayBuffer>;
    args: string;
};
export type SealedRecord = {
    capsule: Uint8Array;
    envelope: Uint8Array;
    context: Uint8Array;
    fileId: Uint8Array;
    keyCommitment: Uint8Array;
};
export type VerifiedManifest = SealedRecord & {
    manifest: string;
    delegating: Uint8Array;
    signer: Uint8Array;
    plainSize: number;
};
export type RecordContext = {
    channel: string;
    record: string;
    patient: string;
    scope: string;
    epoch: number;
    scopeKey: Uint8Array;
    author: string;
    authorKey: Uint8Array;
    class: string;
    level: string;
    policyHash: Uint8Array;
    fileId: Uint8Array;
    cid: string;
    plainSize: number;
    cipherSize: number;
    segmentSize: number;
    cipherDigest: Uint8Array;
    keyCommitment: Uint8Array;
    version: number;
    previous: string;
    threshold: number;
};
export type Call = (operation: string, args: object) => Promise<any>;
/**
 * Starts the program. source is emrys.wasm: its address, the response to a request for it, its bytes, or the compiled module.
 * @param {string | URL | Response | Promise<Response> | BufferSource | WebAssembly.Module} source
 * @returns {Promise<Emrys>}
 */
export declare function load(source: string | URL | Response | Promise<Response> | BufferSource | WebAssembly.Module): Promise<Emrys>;
/** One running program. Make it with load. */
export declare class Emrys {
    #private;
    /**
     * @param {Call} call
     * @param {() => void} stop
     * @param {Promise<void>} stopped
     */
    constructor(call: Call, stop: () => void, stopped: Promise<void>);
    /**
     * Performs an operation by name. The methods below are the same with types.
     * @param {string} operation
     * @param {object} [args]
     * @returns {Promise<any>}
     */
    call(operation: string, args?: object): Promise<any>;
    /**
     * Forgets every secret and stops the program. Its memory goes when the last reference to this object does; a worker that
     * is terminated takes it along at once.
     */
    stop(): Promise<void>;
    /** How many secrets are open. */
    countHandles(): Promise<number>;
    /**
     * Draws a new root seed.
     * @returns {Promise<Seed>}
     */
    generateSeed(): Promise<Seed>;
    /**
     * Encrypts a seed for storage under 32 secret bytes, for example the output of a passkey's PRF extension. Clear them
     * afterwards. They are not stretched: a passphrase needs a slow derivation first.
     * @param {Seed} seed
     * @param {Uint8Array} key
     * @returns {Promise<Uint8Array>}
     */
    sealSeed(seed: Seed, key: Uint8Array): Promise<Uint8Array>;
    /**
     * Opens a stored seed.
     * @param {Uint8Array} sealed
     * @param {Uint8Array} key
     * @returns {Promise<Seed>}
     */
    openSeed(sealed: Uint8Array, key: Uint8Array): Promise<Seed>;
    /**
     * Takes the seeds from a paper key, as somebody typed it.
     * @param {string} sheet
     * @returns {Promise<{owner: string, seeds: Generation[]}>}
     */
    recoverPaper(sheet: string): Promise<{
        owner: string;
        seeds: Generation[];
    }>;
    /**
     * Makes a request that guardians answer. backup is empty for whichever backup of the owner they hold. Times are seconds.
     * @param {{owner: string, backup: Uint8Array, device: string, created: number, expires: number}} args
     * @returns {Promise<Recovery>}
     */
    requestRecovery(args: {
        owner: string;
        backup: Uint8Array;
        device: string;
        created: number;
        expires: number;
    }): Promise<Recovery>;
    /**
     * Takes the seeds from the guardians' answers to a request. Whoever saw the request can make up a whole backup: only expect, the
     * fingerprint of the owner's hybrid key from an old card or the registry, tells it. Whoever has none says "none", and compares
     * the hybrid that comes back before the seeds are used. refused names the guardians whose answers were refused.
     * @param {Recovery} recovery
     * @param {Uint8Array[]} answers
     * @param {string} expect
     * @returns {Promise<{seeds: Generation[], hybrid: string, refused: Refusal[]}>}
     */
    recoverFromGuardians(recovery: Recovery, answers: Uint8Array[], expect: string): Promise<{
        seeds: Generation[];
        hybrid: string;
        refused: Refusal[];
    }>;
    /**
     * Derives both keys of a scope and epoch.
     * @param {Seed} seed
     * @param {string} scope
     * @param {number} epoch
     * @returns {Promise<Scope>}
     */
    deriveScope(seed: Seed, scope: string, epoch: number): Promise<Scope>;
    /**
     * Derives the key that opens what is sealed to this person. A patient's own copies use purpose "copies" and epoch 1.
     * @param {Seed} seed
     * @param {string} purpose
     * @param {number} epoch
     * @returns {Promise<HybridKey>}
     */
    deriveHybrid(seed: Seed, purpose: string, epoch: number): Promise<HybridKey>;
    /**
     * Draws a reading key that lives as long as the program. A lasting one belongs into WebCrypto: see readingKeyOf.
     * @returns {Promise<ReadingKey>}
     */
    generateReadingKey(): Promise<ReadingKey>;
    /**
     * Draws a signing key that lives as long as the program. A lasting one belongs into WebCrypto or a passkey.
     * @returns {Promise<SigningKey>}
     */
    generateSigningKey(): Promise<SigningKey>;
    /**
     * Makes the action of a function of the ledger: body is what is signed, digest what a passkey or card signs, message what
     * WebCrypto signs with ECDSA and SHA-256, args what the ledger will read. Times are seconds since the epoch.
     * @param {{channel: string, contract: string, function: string, actor: string, issued: number, expires: number, args: object}} action
     * @returns {Promise<Action>}
     */
    prepareAction(action: {
        channel: string;
        contract: string;
        function: string;
        actor: string;
        issued: number;
        expires: number;
        args: object;
    }): Promise<Action>;
    /**
     * Signs an action inside the program. Returns the JSON that gateways take.
     * @param {Action} action
     * @param {SigningKey} key
     * @returns {Promise<string>}
     */
    signAction(action: Action, key: SigningKey): Promise<string>;
    /**
     * Joins an action and a signature made elsewhere, r and s of 32 bytes each, and verifies it.
     * @param {Action} action
     * @param {Uint8Array} signature
     * @param {Uint8Array} publicKey 33 bytes
     * @returns {Promise<string>}
     */
    finishAction(action: Action, signature: Uint8Array, publicKey: Uint8Array): Promise<string>;
    /**
     * Joins an action and a passkey's answer to navigator.credentials.get, whose challenge was action.digest, and verifies it
     * as the ledger will, under the key as it is pinned. Ask with userVerification "required".
     * @param {Action} action
     * @param {{authenticatorData: ArrayBuffer, clientDataJSON: ArrayBuffer, signature: ArrayBuffer}} response
     * @param {{kind: string, key: string, relyingParty: string, origins: string[]}} pinned key in base64, as the ledger shows it
     * @returns {Promise<string>}
     */
    finishAssertion(action: Action, response: {
        authenticatorData: ArrayBuffer;
        clientDataJSON: ArrayBuffer;
        signature: ArrayBuffer;
    }, pinned: {
        kind: string;
        key: string;
        relyingParty: string;
        origins: string[];
    }): Promise<string>;
    /**
     * Signs an action with a key of WebCrypto (ECDSA, P-256), which need not be extractable.
     * @param {Action} action
     * @param {CryptoKeyPair} pair
     * @returns {Promise<string>}
     */
    signActionWith(action: Action, pair: CryptoKeyPair): Promise<string>;
    /**
     * Brings a standing consent into the form that is signed, and checks it as the ledger does at a moment. Lists that are
     * left out are empty. Returns the document for PutConsent and its hash.
     * @param {object} document consent.Document as JSON has it
     * @param {number} now seconds since the epoch
     * @returns {Promise<{document: object, hash: Uint8Array}>}
     */
    checkConsent(document: object, now: number): Promise<{
        document: object;
        hash: Uint8Array;
    }>;
    /**
     * Decides from a standing consent, null where there is none, as the ledger does. Returns consent.Outcome as JSON has it.
     * @param {object | null} consent consent.Consent as JSON has it
     * @param {object} facts consent.Facts as JSON has it
     * @param {number} now seconds since the epoch
     * @returns {Promise<object>}
     */
    decideConsent(consent: object | null, facts: object, now: number): Promise<object>;
    /**
     * Makes one key fragment for each gateway and seals it to it.
     * @param {{scope: Scope, grant: Uint8Array, reader: Uint8Array, threshold: number, gateways: Gateway[]}} args
     * @returns {Promise<SealedFragment[]>}
     */
    rekey(args: {
        scope: Scope;
        grant: Uint8Array;
        reader: Uint8Array;
        threshold: number;
        gateways: Gateway[];
    }): Promise<SealedFragment[]>;
    /**
     * Makes the argument of GrantAccess: JSON for prepareAction, and the hash of the terms. terms is emr.GrantTerms as JSON
     * has it. The gateways must be those of the terms, in their order.
     * @param {{scope: Scope, terms: object, request: string, gateways: Gateway[]}} args
     * @returns {Promise<{args: string, hash: Uint8Array}>}
     */
    grant(args: {
        scope: Scope;
        terms: object;
        request: string;
        gateways: Gateway[];
    }): Promise<{
        args: string;
        hash: Uint8Array;
    }>;
    /**
     * Computes what a record's keys are bound to.
     * @param {RecordContext} context
     * @returns {Promise<Uint8Array>}
     */
    contextHash(context: RecordContext): Promise<Uint8Array>;
    /**
     * Verifies a record's manifest against its author's signature, the public record and the scope. view is
     * ledgerapi.ManifestView as JSON has it; its record, author and scope must come from the ledger by a trusted way.
     * @param {string} channel
     * @param {string} contract
     * @param {object} view
     * @returns {Promise<VerifiedManifest>}
     */
    verifyManifest(channel: string, contract: string, view: object): Promise<VerifiedManifest>;
    /**
     * Verifies that a committed disclosure permits this reader to read this record under this grant, and returns what the
     * gateways' answers must be bound to. disclosure is emr.Disclosure and terms is emr.GrantTerms as JSON has them, from the
     * ledger; manifest is the text of verifyManifest; who is the reader's id.
     * @param {{channel: string, disclosure: object, terms: object, manifest: string, who: string, reader: ReadingKey | ForeignKey}} args
     * @returns {Promise<{request: Uint8Array, grant: Uint8Array, threshold: number}>}
     */
    verifyTicket({ channel, disclosure, terms, manifest, who, reader }: {
        channel: string;
        disclosure: object;
        terms: object;
        manifest: string;
        who: string;
        reader: ReadingKey | ForeignKey;
    }): Promise<{
        request: Uint8Array;
        grant: Uint8Array;
        threshold: number;
    }>;
    /**
     * Verifies a gateway's signature over its answer, which makes a false answer provable to others. key is its receipt key.
     * @param {{disclosure: string, request: Uint8Array, answer: Answer, receipt: Uint8Array, key: Uint8Array}} args
     * @returns {Promise<void>}
     */
    verifyReceipt(args: {
        disclosure: string;
        request: Uint8Array;
        answer: Answer;
        receipt: Uint8Array;
        key: Uint8Array;
    }): Promise<void>;
    /**
     * Verifies that a capsule was made for a scope key and a record context.
     * @param {{capsule: Uint8Array, delegating: Uint8Array, context: Uint8Array}} args
     * @returns {Promise<void>}
     */
    verifyCapsule(args: {
        capsule: Uint8Array;
        delegating: Uint8Array;
        context: Uint8Array;
    }): Promise<void>;
    /**
     * Verifies an opened key fragment, as a gateway does. Returns its commitment.
     * @param {{fragment: Uint8Array, delegating: Uint8Array, reader: Uint8Array, signer: Uint8Array, gateway: string, grant: Uint8Array}} args
     * @returns {Promise<Uint8Array>}
     */
    verifyKeyFragment(args: {
        fragment: Uint8Array;
        delegating: Uint8Array;
        reader: Uint8Array;
        signer: Uint8Array;
        gateway: string;
        grant: Uint8Array;
    }): Promise<Uint8Array>;
    /**
     * Verifies one gateway's answer. Returns the commitment of the key fragment that it was made with.
     * @param {{fragment: Uint8Array, capsule: Uint8Array, gateway: string, delegating: Uint8Array, signer: Uint8Array,
     *   reader: Uint8Array, context: Uint8Array, grant: Uint8Array, request: Uint8Array}} args
     * @returns {Promise<Uint8Array>}
     */
    verifyCapsuleFragment(args: {
        fragment: Uint8Array;
        capsule: Uint8Array;
        gateway: string;
        delegating: Uint8Array;
        signer: Uint8Array;
        reader: Uint8Array;
        context: Uint8Array;
        grant: Uint8Array;
        request: Uint8Array;
    }): Promise<Uint8Array>;
    /**
     * Reads a record's envelope and tells what it holds.
     * @param {Uint8Array} envelope
     * @returns {Promise<{threshold: number, shares: {gateway: string, index: number, commitment: Uint8Array}[],
     *   patientCopy: boolean, hospitalCopy: boolean}>}
     */
    inspectEnvelope(envelope: Uint8Array): Promise<{
        threshold: number;
        shares: {
            gateway: string;
            index: number;
            commitment: Uint8Array;
        }[];
        patientCopy: boolean;
        hospitalCopy: boolean;
    }>;
    /**
     * Opens a record from the gateways' answers. They are verified in their order, as many as it takes; those that fail are
     * named in refused and do not hurt as long as enough remain. threshold is the grant's.
     * @param {SealedRecord & {reader: ReadingKey | ForeignKey, hybrid: HybridKey, delegating: Uint8Array, signer: Uint8Array,
     *   grant: Uint8Array, request: Uint8Array, threshold: number, answers: Answer[]}} args
     * @returns {Promise<DataKey & {refused: Refusal[]}>}
     */
    openShared(args: SealedRecord & {
        reader: ReadingKey | ForeignKey;
        hybrid: HybridKey;
        delegating: Uint8Array;
        signer: Uint8Array;
        grant: Uint8Array;
        request: Uint8Array;
        threshold: number;
        answers: Answer[];
    }): Promise<DataKey & {
        refused: Refusal[];
    }>;
    /**
     * Opens a patient's own record without any gateway.
     * @param {SealedRecord & {scope: Scope, hybrid: HybridKey}} args
     * @returns {Promise<DataKey>}
     */
    openOwn(args: SealedRecord & {
        scope: Scope;
        hybrid: HybridKey;
    }): Promise<DataKey>;
    /**
     * Gives the key of the payload to WebCrypto: it decrypts, and cannot be extracted. The layout, plain or padded, is the one
     * that the author committed to.
     * @param {DataKey} key
     * @returns {Promise<PayloadKey>}
     */
    payloadKey(key: DataKey): Promise<PayloadKey>;
}
/**
 * Returns the 33 compressed bytes of a public key of WebCrypto on P-256.
 * @param {CryptoKey} key
 * @returns {Promise<Uint8Array<ArrayBuffer>>}
 */
export declare function publicKeyOf(key: CryptoKey): Promise<Uint8Array<ArrayBuffer>>;
/**
 * Makes a reading key of a key pair of WebCrypto (ECDH, P-256, usage deriveBits), which need not be extractable.
 * @param {CryptoKeyPair} pair
 * @returns {Promise<ForeignKey>}
 */
export declare function readingKeyOf(pair: CryptoKeyPair): Promise<ForeignKey>;
