// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

// P-256 with BigInt (pre.md P1, P5.1, P5.2). A judge and no more: BigInt is not constant time.

import { big, concat, demand, number } from "./bytes.mjs";

const p = 0xffffffff00000001000000000000000000000000ffffffffffffffffffffffffn;
export const n = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;
const b = 0x5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604bn;

const mod = (x, m) => ((x % m) + m) % m;

function power(x, e, m) {
  let out = 1n;
  for (x = mod(x, m); e > 0n; e >>= 1n) {
    if (e & 1n) out = (out * x) % m;
    x = (x * x) % m;
  }
  return out;
}

/** Scalars modulo n. */
export const scalar = {
  add: (x, y) => mod(x + y, n),
  sub: (x, y) => mod(x - y, n),
  mul: (x, y) => mod(x * y, n),
  inverse: (x) => power(x, n - 2n, n),
};

// Points are Jacobian triples [X, Y, Z]; Z = 0 is the identity.
export const O = [1n, 1n, 0n];

export const G = [
  0x6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296n,
  0x4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5n,
  1n,
];

export const isIdentity = (P) => P[2] === 0n;

function double([X, Y, Z]) {
  if (Z === 0n) return O;
  const ZZ = (Z * Z) % p;
  const M = mod(3n * (X - ZZ) * (X + ZZ), p); // a = -3
  const YY = (Y * Y) % p;
  const S = (4n * X * YY) % p;
  const X3 = mod(M * M - 2n * S, p);
  return [X3, mod(M * (S - X3) - 8n * YY * YY, p), (2n * Y * Z) % p];
}

export function add(P, Q) {
  if (isIdentity(P)) return Q;
  if (isIdentity(Q)) return P;
  const Z1 = (P[2] * P[2]) % p;
  const Z2 = (Q[2] * Q[2]) % p;
  const U1 = (P[0] * Z2) % p;
  const U2 = (Q[0] * Z1) % p;
  const S1 = (P[1] * Z2 * Q[2]) % p;
  const S2 = (Q[1] * Z1 * P[2]) % p;
  if (U1 === U2) return S1 === S2 ? double(P) : O;
  const H = mod(U2 - U1, p);
  const R = mod(S2 - S1, p);
  const HH = (H * H) % p;
  const HHH = (HH * H) % p;
  const V = (U1 * HH) % p;
  const X3 = mod(R * R - HHH - 2n * V, p);
  return [X3, mod(R * (V - X3) - S1 * HHH, p), (((P[2] * Q[2]) % p) * H) % p];
}

export const negate = ([X, Y, Z]) => [X, mod(-Y, p), Z];

export const sub = (P, Q) => add(P, negate(Q));

export function mul(k, P) {
  let out = O;
  for (const bit of mod(k, n).toString(2)) {
    out = double(out);
    if (bit === "1") out = add(out, P);
  }
  return out;
}

function affine([X, Y, Z]) {
  const inverse = power(Z, p - 2n, p);
  const square = (inverse * inverse) % p;
  return [(X * square) % p, (Y * square * inverse) % p];
}

export const same = (P, Q) => isIdentity(sub(P, Q));

/** The x coordinate, 32 bytes. */
export const x = (P) => big(affine(P)[0], 32);

/** SEC 1, compressed, 33 bytes. */
export function encodePoint(P) {
  const [X, Y] = affine(P);
  return concat([2 + Number(Y & 1n)], big(X, 32));
}

/** SEC 1, uncompressed, 65 bytes. */
export function encodeUncompressed(P) {
  const [X, Y] = affine(P);
  return concat([4], big(X, 32), big(Y, 32));
}

const curve = (X) => mod(X * X * X - 3n * X + b, p);

/** P5.1. */
export function decodePoint(bytes) {
  demand(bytes.length === 33 && (bytes[0] === 2 || bytes[0] === 3), "malformed", "point");
  const X = number(bytes.slice(1));
  demand(X < p, "malformed", "x is not below the field prime");
  let Y = power(curve(X), (p + 1n) / 4n, p);
  demand((Y * Y) % p === curve(X), "malformed", "point is not on the curve");
  if (Y % 2n !== BigInt(bytes[0] & 1)) Y = mod(-Y, p);
  return [X, Y, 1n];
}

/** The point of 65 bytes, or nothing when they are none. */
export function decodeUncompressed(bytes) {
  if (bytes.length !== 65 || bytes[0] !== 4) return undefined;
  const [X, Y] = [number(bytes.slice(1, 33)), number(bytes.slice(33))];
  return X < p && Y < p && (Y * Y) % p === curve(X) ? [X, Y, 1n] : undefined;
}

/** P5.2. */
export function decodeScalar(bytes) {
  demand(bytes.length === 32, "malformed", "scalar");
  const s = number(bytes);
  demand(s > 0n && s < n, "malformed", "scalar out of range");
  return s;
}

export const encodeScalar = (s) => big(s, 32);

/** U of P1. */
export const U = decodePoint(
  Uint8Array.from(Buffer.from("03243a305ceb214b51cba1a35eadd3554e5782d5056a026d3dc0961448b84bfc90", "hex")),
);
