// Multikeys, fingerprints and Ed25519 as strict as SPEC section 2 asks: what OpenSSL lets through is refused here.
import { createHash, createPublicKey, verify } from "node:crypto";
import { Refused } from "./json.mjs";

const BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
const CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const SPKI = Buffer.from("302a300506032b6570032100", "hex");

export const sha256 = (...parts) => {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(part);
  return hash.digest();
};

/** Canonical base64 of exactly `size` bytes, or a refusal. */
export function parseBase64(text, size, code = "bad_envelope") {
  const bytes = typeof text === "string" ? Buffer.from(text, "base64") : Buffer.alloc(0);
  if (bytes.length !== size || bytes.toString("base64") !== text) throw new Refused(code, "base64");
  return bytes;
}

export function encodeMultikey(raw) {
  let number = BigInt(`0x${Buffer.concat([Buffer.from([0xed, 1]), raw]).toString("hex")}`);
  let text = "";
  for (; number > 0n; number /= 58n) text = BASE58[Number(number % 58n)] + text;
  return `z${text}`;
}

/** The 32 key bytes of a Multikey, or `bad_envelope`. */
export function parseMultikey(text) {
  const bad = new Refused("bad_envelope", "no Multikey");
  if (typeof text !== "string" || text.length !== 48 || text[0] !== "z") throw bad;
  let number = 0n;
  for (const char of text.slice(1)) {
    const digit = BASE58.indexOf(char);
    if (digit < 0) throw bad;
    number = number * 58n + BigInt(digit);
  }
  const hex = number.toString(16);
  if (hex.length !== 68 || !hex.startsWith("ed01")) throw bad;
  return Buffer.from(hex.slice(4), "hex");
}

export const didOf = (multikey) => `did:key:${multikey}`;

export function fingerprint(root, agent) {
  const digest = sha256("writ.v1/fingerprint\0", root, agent);
  let bits = BigInt(`0x${digest.subarray(0, 10).toString("hex")}`);
  let text = "";
  for (let index = 0; index < 16; index++, bits >>= 5n) text = CROCKFORD[Number(bits & 31n)] + text;
  return text.match(/.{4}/g).join("-");
}

// --- the curve, only as far as judging points needs it (RFC 8032, section 5.1) ---

const P = 2n ** 255n - 19n;
const L = 2n ** 252n + 27742317777372353535851937790883648493n;
const mod = (value) => ((value % P) + P) % P;
const little = (bytes) => BigInt(`0x${Buffer.from(bytes).reverse().toString("hex")}`);

function power(base, exponent) {
  let result = 1n;
  for (base = mod(base); exponent > 0n; exponent >>= 1n, base = (base * base) % P) {
    if (exponent & 1n) result = (result * base) % P;
  }
  return result;
}

const D = mod(-121665n * power(121666n, P - 2n));
const ROOT_OF_MINUS_1 = power(2n, (P - 1n) / 4n);
const NEUTRAL = [0n, 1n, 1n, 0n];

/** The point of an encoding in extended coordinates; null where there is none or it is not canonical. */
function decodePoint(bytes) {
  const number = little(bytes);
  const sign = number >> 255n;
  const y = number & (2n ** 255n - 1n);
  if (y >= P) return null;
  const ratio = mod((y * y - 1n) * power(D * y * y + 1n, P - 2n));
  let x = power(ratio, (P + 3n) / 8n);
  if (mod(x * x) !== ratio) x = mod(x * ROOT_OF_MINUS_1);
  if (mod(x * x) !== ratio || (x === 0n && sign === 1n)) return null;
  if ((x & 1n) !== sign) x = P - x;
  return [x, y, 1n, mod(x * y)];
}

function add([x1, y1, z1, t1], [x2, y2, z2, t2]) {
  const a = mod((y1 - x1) * (y2 - x2));
  const b = mod((y1 + x1) * (y2 + x2));
  const c = mod(2n * t1 * t2 * D);
  const d = mod(2n * z1 * z2);
  const [e, f, g, h] = [b - a, d - c, d + c, b + a];
  return [mod(e * f), mod(g * h), mod(f * g), mod(e * h)];
}

function multiply(point, scalar) {
  let result = NEUTRAL;
  for (; scalar > 0n; scalar >>= 1n, point = add(point, point)) {
    if (scalar & 1n) result = add(result, point);
  }
  return result;
}

const isNeutral = ([x, y, z]) => x === 0n && y === z;
const points = new Map();

function judged(bytes) {
  const name = bytes.toString("hex");
  if (!points.has(name)) {
    const point = decodePoint(bytes);
    points.set(name, point && !isNeutral(multiply(point, 8n)) ? point : null);
  }
  return points.get(name);
}

/** Whether a key may be enrolled: canonical, and in the group of prime order. */
export function isEnrollable(raw) {
  const point = judged(raw);
  return point !== null && isNeutral(multiply(point, L));
}

/** Whether the signature holds: canonical A and S, neither A nor R of small order, then OpenSSL's verdict. */
export function holds(raw, signature, message) {
  if (signature.length !== 64 || little(signature.subarray(32)) >= L) return false;
  if (judged(raw) === null || judged(signature.subarray(0, 32)) === null) return false;
  const key = createPublicKey({ key: Buffer.concat([SPKI, raw]), format: "der", type: "spki" });
  return verify(null, message, key, signature);
}
