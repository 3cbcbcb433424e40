/**
 * Owns the proof of a whole exported record: every leaf hashed, the tree grown over them, its root
 * compared with the one that the root's log has signed (SPEC section 9, `/audit/export`).
 *
 * Reads lines as they come and keeps the frontier of the tree only, so a record of any length takes
 * the same room. Must not know where the lines came from.
 */
import { type Bytes, decodeBase64, encodeBase64, equalBytes, sha256, utf8 } from "./bytes.ts";
import { canonicalJson, isObject, type JsonObject, parseStrictJson, Refused } from "./json.ts";
import { logKey } from "./log_key.ts";
import { type Checkpoint, leafHash, nodeHash, verifyCheckpoint } from "./record.ts";

const PERSONAL = new Uint8Array([2]);

/** What was read so far. */
export interface Progress {
  readonly read: number;
  readonly size: number;
}

export interface RecordProof {
  readonly size: number;
  /** Leaves whose text was there; of the others only the hash is. */
  readonly shown: number;
  /** Personal values that were there and are those the leaves had hashed. */
  readonly personal: number;
  readonly checkpoint: Checkpoint;
  /** The checkpoint as it was signed, and the key that signed it. */
  readonly note: string;
  readonly logKey: Bytes;
}

/** A leaf that is not what was recorded; `index` is the first such. */
export class BadLeaf extends Refused {
  readonly index: number;
  constructor(index: number, why: string) {
    super("bad_leaf", `entry ${index}: ${why}`);
    this.index = index;
  }
}

/** Full subtrees, leftmost and largest first, as a binary counter grows. */
class Frontier {
  readonly #nodes: { height: number; hash: Bytes }[] = [];
  size = 0;

  async add(leaf: Bytes): Promise<void> {
    let [height, hash] = [0, leaf];
    for (let left = this.#nodes.at(-1); left?.height === height; left = this.#nodes.at(-1)) {
      this.#nodes.pop();
      hash = await nodeHash(left.hash, hash);
      height += 1;
    }
    this.#nodes.push({ height, hash });
    this.size += 1;
  }

  async root(): Promise<Bytes> {
    const [last, ...rest] = [...this.#nodes].reverse();
    if (last === undefined) return sha256();
    let hash = last.hash;
    for (const { hash: left } of rest) hash = await nodeHash(left, hash);
    return hash;
  }
}

/**
 * Prove an export of format `proof` under `root`, the Multikey this browser trusts.
 *
 * Throws `BadLeaf` with the first index that does not hold, else `Refused` with a stable code.
 */
export async function proveRecord(
  lines: AsyncIterable<string>,
  root: string,
  onProgress: (progress: Progress) => void = () => {},
): Promise<RecordProof> {
  const tree = new Frontier();
  let header: Header | null = null;
  let [shown, personal] = [0, 0];
  for await (const line of lines) {
    if (line === "") continue;
    const value = parseStrictJson(line);
    if (!isObject(value)) throw new Refused("bad_export", "a line is no object");
    if (header === null) {
      header = await readHeader(value, root);
    } else if (value.kind === "leaf") {
      if (value.index !== tree.size) throw new BadLeaf(tree.size, "is missing or out of order");
      personal += await takeLeaf(value, tree);
      shown += 1;
    } else if (value.kind === "hashes") {
      await takeHashes(value, tree);
    } else throw new Refused("bad_export", "a line of an unknown kind");
    if (tree.size % 256 === 0) onProgress({ read: tree.size, size: header.checkpoint.size });
  }
  if (header === null) throw new Refused("bad_export", "nothing came");
  const { checkpoint, note, logKey } = header;
  if (tree.size !== checkpoint.size)
    throw new BadLeaf(Math.min(tree.size, checkpoint.size), "the record ends here, not as signed");
  if (!equalBytes(await tree.root(), checkpoint.rootHash))
    throw new Refused("bad_root", "the entries are not those that the checkpoint was signed over");
  onProgress({ read: tree.size, size: checkpoint.size });
  return { size: tree.size, shown, personal, checkpoint, note, logKey };
}

interface Header {
  checkpoint: Checkpoint;
  note: string;
  logKey: Bytes;
}

async function readHeader(header: JsonObject, root: string): Promise<Header> {
  const { kind, checkpoint, logDelegation } = header;
  if (kind !== "header" || typeof checkpoint !== "string" || typeof logDelegation !== "string")
    throw new Refused("bad_export", "it does not begin with a header");
  const key = await logKey(logDelegation, root);
  const says = await verifyCheckpoint(checkpoint, key);
  if (says === null)
    throw new Refused("bad_checkpoint", "the checkpoint is not signed by the root's log");
  return { checkpoint: says, note: checkpoint, logKey: key };
}

async function takeLeaf(line: JsonObject, tree: Frontier): Promise<number> {
  const index = tree.size;
  if (typeof line.leaf !== "string") throw new BadLeaf(index, "has no text");
  const hash = await leafHash(utf8(line.leaf));
  const noted = decodeBase64(line.hash, 32);
  if (noted === null || !equalBytes(hash, noted))
    throw new BadLeaf(index, "is not the text that was recorded");
  await tree.add(hash);
  const says = parseStrictJson(line.leaf, { anyNumber: true });
  if (!isObject(says) || says.index !== index) throw new BadLeaf(index, "says another index");
  return line.personal === undefined ? 0 : await checkPersonal(index, says, line.personal);
}

async function checkPersonal(index: number, leaf: JsonObject, given: unknown): Promise<number> {
  const hashes = isObject(leaf.personal as never) ? (leaf.personal as JsonObject) : {};
  const values = Object.entries(given as Record<string, JsonObject>);
  for (const [field, one] of values) {
    const salt = decodeBase64(one.salt, 16);
    if (salt === null || one.value === undefined)
      throw new BadLeaf(index, `the value of ${field} has no salt`);
    const hash = encodeBase64(await sha256(PERSONAL, salt, utf8(canonicalJson(one.value))));
    if (hashes[field] !== hash) throw new BadLeaf(index, `the value of ${field} is another one`);
  }
  return values.length;
}

async function takeHashes(line: JsonObject, tree: Frontier): Promise<void> {
  if (line.start !== tree.size || !Array.isArray(line.hashes))
    throw new BadLeaf(tree.size, "is missing or out of order");
  for (const text of line.hashes) {
    const hash = decodeBase64(text, 32);
    if (hash === null) throw new BadLeaf(tree.size, "has no hash");
    await tree.add(hash);
  }
}

/** The lines of a body as they come; a line longer than `mostChars` is refused. */
export async function* linesOf(
  body: ReadableStream<Uint8Array>,
  mostChars = 4 * 1024 * 1024,
): AsyncGenerator<string> {
  const reader = body.pipeThrough(new TextDecoderStream() as never).getReader() as {
    read(): Promise<{ done: boolean; value?: string }>;
    cancel(): Promise<void>;
  };
  let rest = "";
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      const parts = (rest + (value ?? "")).split("\n");
      rest = parts.pop() ?? "";
      if (rest.length > mostChars) throw new Refused("bad_export", "a line has no end");
      yield* parts;
    }
    if (rest !== "") yield rest;
  } finally {
    await reader.cancel();
  }
}
