/**
 * Owns Multikeys, DIDs, fingerprints, and signatures as strict as SPEC section 2 asks.
 *
 * WebCrypto's Ed25519 (BoringSSL, OpenSSL, the same in other browsers) compares without the
 * cofactor, as SPEC asks, but lets keys and `R` of small order through, under which one signature
 * holds over every message. No curve arithmetic is needed to refuse those: the eight points of
 * small order have five `y`, and a point's 32 bytes are `y` and the sign of `x`. So `A` must be
 * written canonically (`y < p`) and be none of them, and neither may `R`; whether `A` is a point at
 * all, and `R` written canonically, is decided by WebCrypto, which compares `R` with the bytes of a
 * point it computed. `S` must be below the order of the group, which libraries check too.
 */
import { type Bytes, concat, fromHex, sha256, utf8 } from "./bytes.ts";
import { Refused } from "./json.ts";

export const DID_PREFIX = "did:key:";
export const KEY_BYTES = 32;
export const SIGNATURE_BYTES = 64;

const MULTIKEY_CHARS = 48;
const MULTICODEC = "ed01";
const BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
const CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const P = 2n ** 255n - 19n;
const L = 2n ** 252n + 27742317777372353535851937790883648493n;
const Y_OF_ORDER_8 = 0x7a03ac9277fdc74ec6cc392cfa53202a0f67100d760b3cba4fd84d3d706a17c7n;
/** `y` of every point whose order divides 8: 1, 2, 4, 8 and 8 once more. */
export const SMALL_ORDER_Y: readonly bigint[] = [1n, P - 1n, 0n, Y_OF_ORDER_8, P - Y_OF_ORDER_8];

const littleEndian = (bytes: Uint8Array): bigint =>
  bytes.reduceRight((number, byte) => (number << 8n) | BigInt(byte), 0n);

/** The Multikey of 32 key bytes. */
export function encodeMultikey(raw: Uint8Array): string {
  // The prefix is no zero byte, so base58btc is the plain number in base 58.
  let number = concat(fromHex(MULTICODEC), raw).reduce(
    (sum, byte) => (sum << 8n) | BigInt(byte),
    0n,
  );
  let text = "";
  for (; number > 0n; number /= 58n) text = BASE58.charAt(Number(number % 58n)) + text;
  return `z${text}`;
}

/** The 32 key bytes of a Multikey in its one spelling. Throws `bad_envelope`. */
export function parseMultikey(text: unknown): Bytes {
  const bad = new Refused("bad_envelope", "not an Ed25519 Multikey");
  if (typeof text !== "string" || text.length !== MULTIKEY_CHARS || text[0] !== "z") throw bad;
  let number = 0n;
  for (const char of text.slice(1)) {
    const digit = BASE58.indexOf(char);
    if (digit < 0) throw bad;
    number = number * 58n + BigInt(digit);
  }
  const hex = number.toString(16);
  if (hex.length !== MULTICODEC.length + 2 * KEY_BYTES || !hex.startsWith(MULTICODEC)) throw bad;
  return fromHex(hex.slice(MULTICODEC.length));
}

export const didOf = (multikey: string): string => DID_PREFIX + multikey;

/** The Multikey of a `did:key`. Throws `bad_envelope`. */
export function multikeyOf(did: string): string {
  const multikey = did.startsWith(DID_PREFIX) ? did.slice(DID_PREFIX.length) : "";
  parseMultikey(multikey);
  return multikey;
}

/** What two people compare before an agent is approved. */
export async function fingerprint(root: Uint8Array, agent: Uint8Array): Promise<string> {
  const digest = await sha256(utf8("writ.v1/fingerprint\0"), root, agent);
  let bits = digest.subarray(0, 10).reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
  let text = "";
  for (let index = 0; index < 16; index++, bits >>= 5n)
    text = CROCKFORD.charAt(Number(bits & 31n)) + text;
  return (text.match(/.{4}/g) ?? []).join("-");
}

function isOfSmallOrder(y: bigint): boolean {
  return SMALL_ORDER_Y.includes(y % P);
}

/** Whether `signature` holds over `message` under the key `raw`. */
export async function isSignedBy(
  raw: Uint8Array,
  signature: Uint8Array,
  message: Uint8Array,
): Promise<boolean> {
  if (raw.length !== KEY_BYTES || signature.length !== SIGNATURE_BYTES) return false;
  const withoutSign = 2n ** 255n - 1n;
  const a = littleEndian(raw) & withoutSign;
  const r = littleEndian(signature.subarray(0, 32)) & withoutSign;
  if (a >= P || isOfSmallOrder(a) || isOfSmallOrder(r)) return false;
  if (littleEndian(signature.subarray(32)) >= L) return false;
  try {
    const key = await crypto.subtle.importKey("raw", concat(raw), "Ed25519", false, ["verify"]);
    return await crypto.subtle.verify("Ed25519", key, concat(signature), concat(message));
  } catch (error) {
    if (error instanceof Error && error.name === "NotSupportedError") throw error;
    return false; // no point of the curve
  }
}

/** Whether this browser can check and make Ed25519 signatures here (a secure page, a new engine). */
export async function canVerify(): Promise<boolean> {
  // RFC 8032, section 7.1, test 2.
  const key = fromHex("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c");
  const signature = fromHex(
    "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da" +
      "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
  );
  if (globalThis.crypto?.subtle === undefined) return false;
  try {
    return await isSignedBy(key, signature, fromHex("72"));
  } catch {
    return false;
  }
}
