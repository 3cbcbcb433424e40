/**
 * Owns envelopes: rows 2, 3, 5 to 7, 9 and 10 of the table in SPEC section 3, and making documents.
 *
 * Must not know chains: a signature that holds says who signed, not that they may.
 */
import { type Bytes, decodeBase64, encodeBase64, sha256, utf8 } from "./bytes.ts";
import { DOCUMENTS, type MessageKind } from "./documents.ts";
import * as f from "./forms.ts";
import {
  canonicalJson,
  isObject,
  type JsonObject,
  type JsonValue,
  parseStrictJson,
  Refused,
} from "./json.ts";
import { didOf, isSignedBy, parseMultikey, SIGNATURE_BYTES } from "./keys.ts";

/** An envelope as it was read. Nothing about it is believed yet. */
export interface Envelope {
  readonly type: string;
  readonly id: string;
  readonly timestamp: string;
  readonly audience: string;
  readonly payload: JsonObject;
  readonly publicKey: string;
  /** Documents only. */
  readonly expires?: string;
  /** Control frames only. */
  readonly session?: string;
  readonly sequence?: number;
  readonly isDocument: boolean;
  /** DID of the signer. */
  readonly sender: string;
  readonly key: Bytes;
  readonly signature: Bytes;
  readonly signedBytes: Bytes;
}

const SHARED_FIELDS = ["audience", "id", "payload", "publicKey", "signature", "timestamp", "type"];
const DOCUMENT_FIELDS = [...SHARED_FIELDS, "expires"].sort().join();
const CONTROL_FIELDS = [...SHARED_FIELDS, "sequence", "session"].sort().join();
const TO_EVERYONE = ["delegation", "revocations"];
const SKEW_MILLISECONDS = 60_000;
const FORMS: Readonly<Record<string, f.Form>> = {
  type: f.like("[a-z][a-z0-9_]{0,63}"),
  id: f.id,
  timestamp: f.time,
  audience: f.like("\\*|did:[a-z0-9]+:[A-Za-z0-9._:%-]+"),
  payload: f.free,
  publicKey: (value) => void parseMultikey(value),
  signature: f.signature,
  expires: f.time,
  session: f.id,
  sequence: f.integer(1, Number.MAX_SAFE_INTEGER),
};

/** Rows 2 and 3. `kinds` are the messages known; throws `bad_json` or `bad_envelope`. */
export function parseEnvelope(
  data: string | Uint8Array,
  kinds: ReadonlyMap<string, MessageKind> = DOCUMENTS,
): Envelope {
  return readEnvelope(parseStrictJson(data), kinds);
}

/** Row 3, of a value that was parsed strictly. */
export function readEnvelope(
  value: JsonValue | undefined,
  kinds: ReadonlyMap<string, MessageKind> = DOCUMENTS,
): Envelope {
  const bad = (why: string) => new Refused("bad_envelope", why);
  if (!isObject(value)) throw bad("no object");
  const names = Object.keys(value).sort().join();
  const isDocument = names === DOCUMENT_FIELDS;
  if (!isDocument && names !== CONTROL_FIELDS) throw bad("fields");
  for (const [name, field] of Object.entries(value)) {
    try {
      FORMS[name]?.(field, true);
    } catch (error) {
      throw bad(`${name}: ${error instanceof Error ? error.message : "form"}`);
    }
  }
  const { signature, ...unsigned } = value;
  const envelope = unsigned as unknown as Pick<Envelope, "type" | "publicKey"> & Envelope;
  const kind = kinds.get(envelope.type)?.kind;
  if (kind !== undefined && (kind === "document") !== isDocument)
    throw bad("a known type of the other kind");
  return {
    ...envelope,
    isDocument,
    sender: didOf(envelope.publicKey),
    key: parseMultikey(envelope.publicKey),
    signature: decodeBase64(signature, SIGNATURE_BYTES) as Bytes,
    signedBytes: signedBytesOf(unsigned),
  };
}

const signedBytesOf = (unsigned: JsonObject): Bytes => utf8(`writ.v1\0${canonicalJson(unsigned)}`);

/** The name by which other documents call this one. */
export const digestOf = async (envelope: Envelope): Promise<string> =>
  encodeBase64(await sha256(envelope.signedBytes));

export const isSigned = (envelope: Envelope): Promise<boolean> =>
  isSignedBy(envelope.key, envelope.signature, envelope.signedBytes);

/** Row 5. */
export async function checkSignature(envelope: Envelope): Promise<void> {
  if (!(await isSigned(envelope)))
    throw new Refused("bad_signature", "the signature does not hold");
}

/** Rows 5 to 7 for a document that `audience` receives at `now` (milliseconds). */
export async function checkDocument(
  envelope: Envelope,
  { audience, now }: { audience: string; now: number },
) {
  await checkSignature(envelope);
  const toEveryone = envelope.audience === "*" && TO_EVERYONE.includes(envelope.type);
  if (envelope.audience !== audience && !toEveryone) throw new Refused("wrong_audience");
  if (Date.parse(envelope.timestamp) - SKEW_MILLISECONDS > now) throw new Refused("future");
  if (envelope.expires === undefined || now >= Date.parse(envelope.expires))
    throw new Refused("expired");
}

/** Rows 9 and 10 for what `side` sends; `allowed`: whether the state of the connection lets it. */
export function checkContent(
  envelope: Envelope,
  side: "hub" | "agent",
  {
    allowed = true,
    kinds = DOCUMENTS,
  }: { allowed?: boolean; kinds?: ReadonlyMap<string, MessageKind> } = {},
): void {
  const message = kinds.get(envelope.type);
  if (message === undefined) throw new Refused("unknown_type");
  if ((message.from !== side && message.from !== "both") || !allowed)
    throw new Refused("forbidden_type");
  message.payload(envelope.payload, envelope.isDocument);
}

/**
 * A stored document of `type` as its signer made it: form, signature and payload hold.
 *
 * Its audience and its lifetime are for the caller to judge: what is stored may have ended.
 */
export async function verifyStored(data: string, type: string): Promise<Envelope> {
  const envelope = parseEnvelope(data);
  if (!envelope.isDocument || envelope.type !== type)
    throw new Refused("forbidden_type", `not a ${type}`);
  await checkSignature(envelope);
  DOCUMENTS.get(type)?.payload(envelope.payload, true);
  return envelope;
}

/** Who can sign: a key in this browser, which nobody can take out of it. */
export interface Signer {
  readonly publicKey: string;
  sign(message: Bytes): Promise<Bytes>;
}

/** The text of a document signed now. Throws `bad_payload` for what no receiver would read. */
export async function sealDocument(
  signer: Signer,
  content: {
    type: string;
    id: string;
    audience: string;
    timestamp: Date;
    expires: Date;
    payload: JsonObject;
  },
): Promise<string> {
  DOCUMENTS.get(content.type)?.payload(content.payload, true);
  const unsigned: JsonObject = {
    ...content,
    timestamp: content.timestamp.toISOString(),
    expires: content.expires.toISOString(),
    publicKey: signer.publicKey,
  };
  const signature = encodeBase64(await signer.sign(signedBytesOf(unsigned)));
  return canonicalJson({ ...unsigned, signature });
}

/** A fresh UUIDv7 (RFC 9562): milliseconds, then randomness. */
export function newId(now: Date = new Date()): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  const time = now.getTime().toString(16).padStart(12, "0");
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  const variant = (8 + ((bytes[8] ?? 0) & 3)).toString(16);
  return [
    time.slice(0, 8),
    time.slice(8),
    `7${hex.slice(13, 16)}`,
    variant + hex.slice(17, 20),
    hex.slice(20),
  ].join("-");
}
