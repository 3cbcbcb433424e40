import assert from "node:assert/strict";
import { test } from "node:test";
import { type Bytes, concat, encodeBase64, sha256, utf8 } from "./bytes.ts";
import { leafHash, nodeHash, verifyCheckpoint } from "./record.ts";
import { forgetRecord, LogFork, seenRecord, takeShown } from "./seen_record.ts";

const HUB = "https://hub.example/";
const ORIGIN = "writ.v1/log/test";
const DASH = "\u2014";

class Memory {
  readonly #kept = new Map<string, string>();
  getItem = (name: string) => this.#kept.get(name) ?? null;
  setItem = (name: string, value: string) => void this.#kept.set(name, value);
  removeItem = (name: string) => void this.#kept.delete(name);
}

const pair = (await crypto.subtle.generateKey("Ed25519", true, [
  "sign",
  "verify",
])) as CryptoKeyPair;
const logKey: Bytes = new Uint8Array(await crypto.subtle.exportKey("raw", pair.publicKey));

async function shownOf(size: number, root: Bytes) {
  const text = `${ORIGIN}\n${size}\n${encodeBase64(root)}\n`;
  const id = (await sha256(utf8(`${ORIGIN}\n\x01`), logKey)).subarray(0, 4);
  const signature = new Uint8Array(
    await crypto.subtle.sign("Ed25519", pair.privateKey, utf8(text)),
  );
  const note = `${text}\n${DASH} ${ORIGIN} ${encodeBase64(concat(id, signature))}\n`;
  const checkpoint = await verifyCheckpoint(note, logKey);
  assert(checkpoint);
  return { note, checkpoint, logKey };
}

const one = await leafHash(utf8("one"));
const two = await leafHash(utf8("two"));
const both = await nodeHash(one, two);
const never = () => assert.fail("no proof is needed");
const proving = () => Promise.resolve([two]);

test("what grew out of what was seen is remembered, and nothing smaller takes its place", async () => {
  const storage = new Memory() as unknown as Storage;
  const small = await shownOf(1, one);
  const large = await shownOf(2, both);
  await takeShown(HUB, null, small, never, storage);
  await takeShown(HUB, seenRecord(HUB, storage), large, proving, storage);
  assert.equal(seenRecord(HUB, storage), large.note);
  // An answer that was under way while another tab saw more: asked for before, it is no fork.
  await takeShown(HUB, small.note, small, never, storage);
  assert.equal(seenRecord(HUB, storage), large.note);
});

test("a shorter record, another one and an unproved one are forks, with both notes in hand", async () => {
  const storage = new Memory() as unknown as Storage;
  const small = await shownOf(1, one);
  const other = await shownOf(1, two);
  const large = await shownOf(2, both);
  for (const [before, now, proof] of [
    [large, small, never],
    [small, other, never],
    [other, large, proving],
    [small, large, () => Promise.resolve(null)],
  ] as const) {
    await assert.rejects(takeShown(HUB, before.note, now, proof, storage), (error) => {
      assert(error instanceof LogFork);
      assert.deepEqual([error.seenBefore, error.shownNow], [before.note, now.note]);
      return true;
    });
  }
  assert.equal(seenRecord(HUB, storage), null);
});

test("what another key signed, and what is forgotten, is no measure", async () => {
  const storage = new Memory() as unknown as Storage;
  const small = await shownOf(1, one);
  await takeShown(HUB, "nonsense", small, never, storage);
  forgetRecord(HUB, storage);
  assert.equal(seenRecord(HUB, storage), null);
});
