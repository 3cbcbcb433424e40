// The hub's record: RFC 6962 proofs and C2SP checkpoints (SPEC section 9).
import { holds, sha256 } from "./keys.mjs";

export const leafHash = (leaf) => sha256(Buffer.from([0]), leaf);
const nodeHash = (left, right) => sha256(Buffer.from([1]), left, right);

/** The root of a list of leaf hashes. */
export function treeRoot(hashes) {
  if (hashes.length === 0) return sha256();
  if (hashes.length === 1) return hashes[0];
  let split = 1;
  while (split * 2 < hashes.length) split *= 2;
  return nodeHash(treeRoot(hashes.slice(0, split)), treeRoot(hashes.slice(split)));
}

/** Whether a leaf is at `index` of the tree with `size` leaves and `root` (RFC 9162, 2.1.3.2). */
export function isIncluded(leaf, index, size, proof, root) {
  if (index >= size) return false;
  let [node, last, hash] = [index, size - 1, leaf];
  for (const item of proof) {
    if (last === 0) return false;
    if (node % 2 === 1 || node === last) {
      hash = nodeHash(item, hash);
      while (node % 2 === 0 && node !== 0) [node, last] = [node >> 1, last >> 1];
    } else hash = nodeHash(hash, item);
    [node, last] = [node >> 1, last >> 1];
  }
  return last === 0 && hash.equals(root);
}

/** Whether the tree of `to` leaves begins with the tree of `from` (RFC 9162, 2.1.4.2). */
export function isConsistent(from, to, oldRoot, newRoot, proof) {
  if (from === 0 || from === to) return proof.length === 0 && (from === 0 || oldRoot.equals(newRoot));
  const path = (from & (from - 1)) === 0 ? [oldRoot, ...proof] : proof;
  if (path.length === 0) return false;
  let [node, last] = [from - 1, to - 1];
  while (node % 2 === 1) [node, last] = [node >> 1, last >> 1];
  let [older, newer] = [path[0], path[0]];
  for (const item of path.slice(1)) {
    if (last === 0) return false;
    if (node % 2 === 1 || node === last) {
      [older, newer] = [nodeHash(item, older), nodeHash(item, newer)];
      while (node % 2 === 0 && node !== 0) [node, last] = [node >> 1, last >> 1];
    } else newer = nodeHash(newer, item);
    [node, last] = [node >> 1, last >> 1];
  }
  return last === 0 && older.equals(oldRoot) && newer.equals(newRoot);
}

/** The origin, size and root of a checkpoint that `key` signed; null where it did not. */
export function readCheckpoint(text, key) {
  const [body, signatures] = [text.slice(0, text.indexOf("\n\n") + 1), text.slice(text.indexOf("\n\n") + 2)];
  const [origin, size, root] = body.split("\n");
  const id = sha256(`${origin}\n\x01`, key).subarray(0, 4);
  for (const line of signatures.split("\n")) {
    const bytes = Buffer.from(line.split(" ")[2] ?? "", "base64");
    if (!line.startsWith(`\u2014 ${origin} `) || !bytes.subarray(0, 4).equals(id)) continue;
    if (holds(key, bytes.subarray(4), Buffer.from(body))) return { origin, size: Number(size), root: Buffer.from(root, "base64") };
  }
  return null;
}
