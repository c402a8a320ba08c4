// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

// Package pre implements EMRYS-PRE-V1: threshold proxy re-encryption of record keys on NIST P-256, with a post-quantum layer of
// shares beside it. It lets t of n hospitals' gateways together turn a key that was encrypted to a patient into one a reader
// can open, without any of them, or any t-1 of them, being able to open it.
//
// # The parts
//
// A patient's device derives from one seed a delegating key per scope and epoch (DeriveScopeKey) and a separate key that
// signs for it (DeriveScopeSigner), and publishes the public halves.
//
// An author encrypts a record's payload under a random data key and protects that key twice. Encapsulate makes a Capsule for the
// scope's public key and a first secret, K_pre; the patient need not be online. SplitShares draws a second secret, K_share, and
// seals one share of it to each gateway's hybrid key. WrapKey encrypts the data key under both. The Envelope holds all that
// is sealed; the capsule travels beside it.
//
// To grant, the device runs Rekey: one signed KeyFragment for each gateway, sealed to it with SealKeyFragment. They serve
// every record of the scope, past and future, and need not be made again.
//
// To read, the reader asks the gateways. Each decides by its own ledger whether to answer, and then runs Reencrypt on the
// capsule and ReSealShare on its share. The reader runs Open on the CapsuleFragments, for K_pre, and OpenReSealedShare and
// CombineShares on the shares, for K_share, and UnwrapKey on both. Open uses the reader's private key for one ECDH, so that
// key may live in a smart card (ECDHer).
//
// The example shows all of it in order.
//
// # What it guarantees
//
// Under the usual assumptions (computational Diffie-Hellman on P-256 in the random oracle model, ML-KEM-768, AES-256-GCM,
// SHA-256), and for honest authors and patients:
//
//   - Fewer than t gateways, together with the reader, learn nothing about a record's K_pre or K_share.
//   - All gateways together, without a reader, learn K_share but not K_pre, and so not the data key. They cannot recover
//     the delegating key either: the points at which its fragments lie are known to the reader only.
//   - Who records everything now and breaks P-256 later learns K_pre but not K_share, and so not the data key.
//   - A capsule belongs to one scope key and one RecordContext. Moved to another record, patient, policy or payload, it is
//     refused by anyone who checks (Capsule.Verify needs no secret).
//   - A key fragment belongs to one delegating key, reader, gateway and grant, all under the scope signer's signature. The
//     second generator U is a constant and never read from the wire.
//   - A capsule fragment proves that the named gateway applied exactly the signed key fragment to exactly this capsule, for
//     one record, request, reader and grant. Wrong ones are named and do not block: t good ones are enough.
//   - A re-sealed share that is not the one the author committed to is noticed and its gateway named.
//   - Every object has one encoding, and bytes that are not it are refused.
//
// # What it does not
//
//   - t gateways together with one reader recover the delegating key of that scope and epoch, as in every scheme of this kind:
//     all its records, offline, also after revocation. Choose t over distinct legal entities, keep scopes narrow and epochs short.
//     For single records, SealDirectKey gives the reader nothing that collusion could widen.
//   - Expiry and revocation are decisions of honest gateways, not cryptography. They hold as long as fewer than t gateways cheat.
//     What was read cannot be taken back.
//   - A patient's device that deals key fragments which do not fit together is noticed at opening only (ErrProof); an
//     author that deals shares which do not fit together, at UnwrapKey. Neither is attributable to a gateway.
//   - The author knows the plaintext. A compromised endpoint of author or reader gives it away.
//   - There is no published proof of exactly this composition: the algebra is Umbral's (Nuñez, 2018), and the deltas are the
//     context in every hash, x-only shared secrets, compact proofs, RFC 9380 hashing and the share layer. It has not been
//     reviewed independently.
//   - Proxy re-encryption is not an approved algorithm of FIPS 140-3. What the package does hold to: private keys of people and
//     hospitals are used through the standard library's module only, and it runs under GODEBUG=fips140=only.
//   - Signatures are P-256 only. A quantum computer could forge new ones, which does not open old records.
//   - Go gives no way to erase memory reliably. Temporary secrets are cleared where that is cheap; do not rely on it.
//   - Arithmetic on secrets runs in constant time; how long a refusal takes may tell which check failed. docs/side-channels.md
//     says how that was looked at.
//
// # Algebra
//
// G is the generator of P-256, n its order, U a second generator of unknown logarithm. H_s(label, parts…) is
// expand_message_xmd (RFC 9380, 5.3.1) with SHA-256 and domain tag "EMRYS-PRE-V1-P256-" ‖ label over the parts, each preceded
// by its length as four bytes big-endian, to 48 bytes, modulo n. H(label, parts…) is SHA-256 over suite name, label and parts,
// length-prefixed alike. x(P) is the x coordinate. Package algebra has the equations as code, for any group; this package has
// the hashes, contexts and encodings.
//
//	Encapsulate  r, u secret; E = rG, V = uG; s = u + r·H_s("capsule", pk, ctx, E, V);
//	             K_pre = HKDF(x((r+u)·pk); "K_pre", E, V, s, ctx)
//	Rekey        x_A random, X_A = x_A·G; dh = x(x_A·pk_B); d = H_s("d", X_A, pk_B, dh); f(0) = a/d, degree t-1;
//	             id_i random; x_i = H_s("x", X_A, pk_B, dh, id_i); rk_i = f(x_i); U1_i = rk_i·U;
//	             ECDSA over H("key fragment signature", id, U1, X_A, pk_A, pk_B, signer, H("gateway", gateway), grant)
//	Reencrypt    E1 = rk·E, V1 = rk·V; w secret; h = H_s("reencryption", ctx, request, H("gateway", gateway), grant, id,
//	             X_A, pk_A, pk_B, signer, E, V, s, U, E1, V1, U1, wE, wV, wU); z = w + h·rk
//	Open         λ_i = Π x_j/(x_j-x_i); E' = Σλ_i·E1_i, V' = Σλ_i·V1_i; check (s/d)·pk_A = V' + H_s("capsule", …)·E';
//	             K_pre from x(d·(E'+V'))
//	SplitShares  f random, degree t-1, K_share = f(0); share_i = f(i);
//	             commitment = H("share commitment", ctx, H("gateway", gateway), i, share, salt)
//	WrapKey      KEK = HKDF(K_share ‖ K_pre; salt ctx; "kek"); AES-256-GCM with a random nonce
//
// # Encodings
//
// Points are 33 bytes (SEC 1, compressed), scalars 32 bytes big-endian, non-zero and below n; gateway ids are 1 to 128 printable
// ASCII characters after a length byte, and stand in every hash as H("gateway", id).
//
//	capsule            E 33 ‖ V 33 ‖ s 32                                                               98 bytes
//	key fragment       id 32 ‖ rk 32 ‖ X_A 33 ‖ U1 33 ‖ grant 32 ‖ signature 64 ‖ gateway            227 + id
//	capsule fragment   E1 33 ‖ V1 33 ‖ id 32 ‖ X_A 33 ‖ U1 33 ‖ h 32 ‖ z 32 ‖ signature 64 ‖
//	                   grant 32 ‖ gateway                                                            325 + id
//	signature          r 32 ‖ s 32, s at most n/2                                                          64 bytes
//	sealed object      KEM id 2 ‖ encapsulation 1153 ‖ nonce 12 ‖ ciphertext ‖ tag 16           1183 + plaintext
//	envelope, context  deterministic CBOR arrays that begin with version and suite (Envelope, RecordContext)
package pre

// Suite is the name of the protocol. It begins every hash, derivation and encoding.
const Suite = "EMRYS-PRE-V1"
