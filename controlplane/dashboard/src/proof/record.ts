/**
 * Owns the hub's record as a reader sees it: RFC 6962 proofs and C2SP checkpoints (SPEC section 9).
 *
 * Must not know what a leaf says.
 */
import { type Bytes, decodeBase64, equalBytes, sha256, utf8 } from "./bytes.ts";
import { isSignedBy } from "./keys.ts";

const LEAF = new Uint8Array([0]);
const NODE = new Uint8Array([1]);
const HASH_BYTES = 32;
const KEY_ID_BYTES = 4;
const MAX_NOTE_CHARS = 64 * 1024;
const MAX_NOTE_SIGNATURES = 64;
const SIGNATURE_LINE = /^\u2014 ([^\s+]{1,200}) (\S+)$/u;
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for
const CONTROL = /[\0-\x09\x0b-\x1f]|\p{Surrogate}/u;

/** The size and root of a log at one moment, as its key signed them. */
export interface Checkpoint {
  readonly origin: string;
  readonly size: number;
  readonly rootHash: Bytes;
}

export const leafHash = (leaf: Uint8Array): Promise<Bytes> => sha256(LEAF, leaf);
export const nodeHash = (left: Uint8Array, right: Uint8Array): Promise<Bytes> =>
  sha256(NODE, left, right);

/** The root over a list of leaf hashes. */
export async function treeRoot(hashes: readonly Bytes[]): Promise<Bytes> {
  const [only] = hashes;
  if (only === undefined) return sha256();
  if (hashes.length === 1) return only;
  let split = 1;
  while (split * 2 < hashes.length) split *= 2;
  return nodeHash(await treeRoot(hashes.slice(0, split)), await treeRoot(hashes.slice(split)));
}

/** Hashes in base64, as proofs travel; null where one is none. */
export function decodeHashes(texts: readonly string[]): Bytes[] | null {
  const hashes = texts.flatMap((text) => decodeBase64(text, HASH_BYTES) ?? []);
  return hashes.length === texts.length ? hashes : null;
}

const isSize = (size: number) => Number.isSafeInteger(size) && size >= 0;
// Halves without the bit operators, which know 32 bits only.
const half = (number: number) => Math.floor(number / 2);
const isOdd = (number: number) => number % 2 === 1;

/** Whether a leaf is at `index` of the tree with `size` leaves and `root` (RFC 9162, 2.1.3.2). */
export async function isIncluded(
  leaf: Bytes,
  {
    index,
    size,
    proof,
    root,
  }: { index: number; size: number; proof: readonly Bytes[]; root: Bytes },
): Promise<boolean> {
  if (!isSize(index) || !isSize(size) || index >= size) return false;
  let [node, last, hash] = [index, size - 1, leaf];
  for (const item of proof) {
    if (last === 0 || item.length !== HASH_BYTES) return false;
    if (isOdd(node) || node === last) {
      hash = await nodeHash(item, hash);
      // Levels at which the node stands alone have no sibling, and no item in the proof.
      while (!isOdd(node) && node !== 0) [node, last] = [half(node), half(last)];
    } else hash = await nodeHash(hash, item);
    [node, last] = [half(node), half(last)];
  }
  return last === 0 && equalBytes(hash, root);
}

/** Whether the newer tree begins with all of the older one (RFC 9162, 2.1.4.2). */
export async function isConsistent(
  older: { size: number; root: Bytes },
  newer: { size: number; root: Bytes },
  proof: readonly Bytes[],
): Promise<boolean> {
  if (!isSize(older.size) || !isSize(newer.size) || older.size > newer.size) return false;
  if (older.size === 0) return proof.length === 0 && equalBytes(older.root, await sha256());
  if (older.size === newer.size) return proof.length === 0 && equalBytes(older.root, newer.root);
  let [node, last] = [older.size - 1, newer.size - 1];
  while (isOdd(node)) [node, last] = [half(node), half(last)];
  // A whole left edge is its own beginning, and the proof does not repeat it.
  const path = node === 0 ? [older.root, ...proof] : proof;
  const [first] = path;
  if (first === undefined) return false;
  let [old, now] = [first, first];
  for (const item of path.slice(1)) {
    if (last === 0 || item.length !== HASH_BYTES) return false;
    if (isOdd(node) || node === last) {
      [old, now] = [await nodeHash(item, old), await nodeHash(item, now)];
      while (!isOdd(node) && node !== 0) [node, last] = [half(node), half(last)];
    } else now = await nodeHash(now, item);
    [node, last] = [half(node), half(last)];
  }
  return last === 0 && equalBytes(old, older.root) && equalBytes(now, newer.root);
}

/** What a checkpoint says, signed by `key` under the log's own name; null where it is not. */
export async function verifyCheckpoint(note: string, key: Bytes): Promise<Checkpoint | null> {
  if (note.length > MAX_NOTE_CHARS || CONTROL.test(note) || !note.endsWith("\n")) return null;
  const end = note.lastIndexOf("\n\n");
  const lines = note.slice(end + 2, -1).split("\n");
  if (end < 0 || lines.length > MAX_NOTE_SIGNATURES) return null;
  const checkpoint = await parseBody(note.slice(0, end + 1));
  if (checkpoint === null) return null;
  const id = (await sha256(utf8(`${checkpoint.origin}\n\x01`), key)).subarray(0, KEY_ID_BYTES);
  let signed = false;
  for (const line of lines) {
    const [, name, text] = SIGNATURE_LINE.exec(line) ?? [];
    const blob = decodeBase64(text);
    if (name === undefined || blob === null || blob.length <= KEY_ID_BYTES) return null;
    if (name !== checkpoint.origin || !equalBytes(blob.subarray(0, KEY_ID_BYTES), id)) continue;
    // A bad signature of the log's own key spoils the note, whatever else stands beside it.
    if (!(await isSignedBy(key, blob.subarray(KEY_ID_BYTES), utf8(note.slice(0, end + 1)))))
      return null;
    signed = true;
  }
  return signed ? checkpoint : null;
}

async function parseBody(body: string): Promise<Checkpoint | null> {
  const lines = body.slice(0, -1).split("\n");
  const [origin, size, root] = lines; // extension lines may follow
  const rootHash = decodeBase64(root, HASH_BYTES);
  if (lines.includes("") || !origin || !size || rootHash === null) return null;
  if (!/^(?:0|[1-9][0-9]{0,15})$/.test(size) || !isSize(Number(size))) return null;
  if (Number(size) === 0 && !equalBytes(rootHash, await sha256())) return null;
  return { origin, size: Number(size), rootHash };
}
