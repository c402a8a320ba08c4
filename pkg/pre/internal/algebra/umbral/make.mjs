// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

// Prints exchanges made by the package alone, as JSON: what our code must be able to check and open.

import {
  encrypt, generateKFrags, reencrypt, KeyFrag, SecretKey, Signer,
} from "@nucypher/umbral-pre";

const hex = (b) => Buffer.from(b).toString("hex");
const bytes = (hex) => Uint8Array.from(Buffer.from(hex, "hex"));

function exchange(name, threshold, shares, signDelegating = true, signReceiving = true) {
  const [delegating, receiving, signing] = [SecretKey.random(), SecretKey.random(), SecretKey.random()];
  const kfrags = generateKFrags(
    delegating, receiving.publicKey(), new Signer(signing), threshold, shares, signDelegating, signReceiving);
  return record({
    name, threshold, shares,
    delegatingKey: hex(delegating.toBEBytes()),
    receivingKey: hex(receiving.toBEBytes()),
    signingKey: hex(signing.toBEBytes()),
    keyFragments: kfrags.map((k) => hex(k.toBytes())),
  });
}

// record encrypts something to the delegating key of parties and re-encrypts it with their key fragments.
function record(parties) {
  const plaintext = new TextEncoder().encode(`record of ${parties.name}`);
  const delegating = SecretKey.fromBEBytes(bytes(parties.delegatingKey));
  const [capsule, ciphertext] = encrypt(delegating.publicKey(), plaintext);
  return {
    ...parties,
    plaintext: hex(plaintext),
    capsule: hex(capsule.toBytes()),
    ciphertext: hex(ciphertext),
    capsuleFragments: parties.keyFragments.map((k) =>
      hex(reencrypt(capsule, KeyFrag.fromBytes(bytes(k)).skipVerification()).toBytes())),
  };
}

const twoOfThree = exchange("2 of 3", 2, 3);
console.log(JSON.stringify([
  exchange("1 of 1", 1, 1),
  twoOfThree,
  exchange("3 of 5", 3, 5),
  exchange("2 of 3, receiving key not signed", 2, 3, true, false),
  exchange("2 of 3, no key signed", 2, 3, false, false),
  record({ ...twoOfThree, name: "another record, the key fragments of 2 of 3" }),
], null, 2));
