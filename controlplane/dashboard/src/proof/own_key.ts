/**
 * Owns the person's own key in this browser: made here, never readable by any script, kept in
 * IndexedDB under the hub's address and the person's name.
 *
 * Must not know the hub's API: what it signs and for whom comes in.
 */
import { type Bytes, concat, encodeBase64, utf8 } from "./bytes.ts";
import type { Signer } from "./envelope.ts";
import { didOf, encodeMultikey } from "./keys.ts";

const DATABASE = "writ-keys";
const STORE = "keys";
const CONTEXT = "writ.v1/person-key\0";

/** A key that signs in this browser and nowhere else. */
export interface OwnKey extends Signer {
  readonly did: string;
  readonly raw: Bytes;
}

interface Kept {
  pair: CryptoKeyPair;
}

/** The key that was made in this browser for this person, or null. */
export async function loadOwnKey(owner: string): Promise<OwnKey | null> {
  const kept = await request<Kept | undefined>("readonly", (store) => store.get(owner));
  return kept === undefined ? null : signerOf(kept.pair);
}

/** Make a key; it is kept only by `keepOwnKey`, once the hub has taken it. */
export async function makeOwnKey(): Promise<{ key: OwnKey; pair: CryptoKeyPair }> {
  // Not extractable: the private half has no bytes for any script, ours included.
  const pair = (await crypto.subtle.generateKey("Ed25519", false, [
    "sign",
    "verify",
  ])) as CryptoKeyPair;
  return { key: await signerOf(pair), pair };
}

export async function keepOwnKey(owner: string, pair: CryptoKeyPair): Promise<void> {
  await request("readwrite", (store) => store.put({ pair } satisfies Kept, owner));
}

export async function forgetOwnKey(owner: string): Promise<void> {
  await request("readwrite", (store) => store.delete(owner));
}

/** What proves to the hub that this browser has the key, for this person and this challenge. */
export async function provePossession(
  key: OwnKey,
  challenge: Bytes,
  person: string,
): Promise<string> {
  return encodeBase64(await key.sign(concat(utf8(CONTEXT), challenge, key.raw, utf8(person))));
}

async function signerOf(pair: CryptoKeyPair): Promise<OwnKey> {
  const raw = new Uint8Array(await crypto.subtle.exportKey("raw", pair.publicKey));
  const publicKey = encodeMultikey(raw);
  return {
    publicKey,
    did: didOf(publicKey),
    raw,
    sign: async (message) =>
      new Uint8Array(await crypto.subtle.sign("Ed25519", pair.privateKey, message)),
  };
}

async function request<Result>(
  mode: IDBTransactionMode,
  ask: (store: IDBObjectStore) => IDBRequest,
): Promise<Result> {
  const database = await new Promise<IDBDatabase>((resolve, reject) => {
    const opening = indexedDB.open(DATABASE, 1);
    opening.onupgradeneeded = () => opening.result.createObjectStore(STORE);
    opening.onsuccess = () => resolve(opening.result);
    opening.onerror = () => reject(opening.error);
  });
  try {
    return await new Promise<Result>((resolve, reject) => {
      const transaction = database.transaction(STORE, mode);
      const asked = ask(transaction.objectStore(STORE));
      // Not before it is on disk: the hub already counts on this key.
      transaction.oncomplete = () => resolve(asked.result as Result);
      transaction.onerror = () => reject(transaction.error);
      transaction.onabort = () => reject(transaction.error);
    });
  } finally {
    database.close();
  }
}
