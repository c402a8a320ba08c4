// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

// Reads exchanges as JSON from standard input and lets the package check and open them. For each it prints what it found:
// the plaintext as the owner and as the reader open it, and how many fragments verified. A key fragment or capsule fragment
// that the package refuses ends up in refused, with its reason.

import {
  decryptOriginal, decryptReencrypted, reencrypt, Capsule, CapsuleFrag, KeyFrag, SecretKey,
} from "@nucypher/umbral-pre";

const bytes = (hex) => Uint8Array.from(Buffer.from(hex, "hex"));
const hex = (b) => Buffer.from(b).toString("hex");

// attempt returns the results of the calls that succeed and notes the others.
function attempt(list, refused, call) {
  const good = [];
  for (const encoded of list) {
    try {
      good.push(call(bytes(encoded)));
    } catch (e) {
      refused.push(String(e));
    }
  }
  return good;
}

function check(x) {
  const key = (name) => SecretKey.fromBEBytes(bytes(x[name]));
  const [delegating, receiving, signing] = [key("delegatingKey"), key("receivingKey"), key("signingKey")];
  const [pkA, pkB, verifying] = [delegating.publicKey(), receiving.publicKey(), signing.publicKey()];
  const capsule = () => Capsule.fromBytes(bytes(x.capsule));
  const refused = [];
  const open = (frags) =>
    hex(decryptReencrypted(receiving, pkA, capsule(), frags.slice(0, x.threshold), bytes(x.ciphertext)));

  const kfrags = attempt(x.keyFragments, refused, (b) => KeyFrag.fromBytes(b).verify(verifying, pkA, pkB));
  const cfrags = attempt(x.capsuleFragments ?? [], refused, (b) =>
    CapsuleFrag.fromBytes(b).verify(capsule(), verifying, pkA, pkB));
  const result = { name: x.name, keyFragments: kfrags.length, capsuleFragments: cfrags.length, refused };
  if (x.ciphertext) {
    result.byOwner = hex(decryptOriginal(delegating, capsule(), bytes(x.ciphertext)));
    if (cfrags.length >= x.threshold) result.byReader = open(cfrags);
    if (kfrags.length >= x.threshold && kfrags.length === x.shares) {
      // The package re-encrypts with the key fragments that were made elsewhere.
      result.byReaderAfterPackage = open(attempt(x.keyFragments, refused, (b) =>
        reencrypt(capsule(), KeyFrag.fromBytes(b).verify(verifying, pkA, pkB))));
    }
  }
  return result;
}

let input = "";
for await (const chunk of process.stdin) input += chunk;
console.log(JSON.stringify(JSON.parse(input).map(check), null, 2));
