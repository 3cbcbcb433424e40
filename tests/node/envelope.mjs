// Envelopes: rows 2 to 10 of the table in SPEC section 3.
import * as f from "./forms.mjs";
import { Refused, canonical, isObject, parseJson } from "./json.mjs";
import { didOf, holds, parseBase64, parseMultikey, sha256 } from "./keys.mjs";
import { MESSAGES, useDocumentParser } from "./messages.mjs";

const DOCUMENT = ["audience", "expires", "id", "payload", "publicKey", "signature", "timestamp", "type"];
const CONTROL = ["audience", "id", "payload", "publicKey", "sequence", "session", "signature", "timestamp", "type"];
const TO_EVERYONE = ["delegation", "revocations"];
const FORMS = {
  type: f.like("[a-z][a-z0-9_]{0,63}"),
  id: f.id,
  timestamp: f.time,
  audience: f.like("\\*|did:[a-z0-9]+:[A-Za-z0-9._:%-]+"),
  payload: f.free,
  publicKey: parseMultikey,
  signature: f.signature,
  expires: f.time,
  session: f.id,
  sequence: f.integer(1, Number.MAX_SAFE_INTEGER),
};

/** Rows 2 and 3: an envelope of text or bytes. */
export function parseEnvelope(data) {
  return readEnvelope(parseJson(data));
}

/** Row 3: an envelope of a parsed value. */
export function readEnvelope(value) {
  const bad = (why) => new Refused("bad_envelope", why);
  if (!isObject(value)) throw bad("no object");
  const names = Object.keys(value).sort().join();
  const isDocument = names === DOCUMENT.join();
  if (!isDocument && names !== CONTROL.join()) throw bad("fields");
  try {
    for (const [name, field] of Object.entries(value)) FORMS[name](field, true);
  } catch (error) {
    throw bad(error.message);
  }
  const kind = MESSAGES.get(value.type)?.kind;
  if (kind && (kind === "document") !== isDocument) throw bad("a known type of the other kind");
  const { signature, ...unsigned } = value;
  const signedBytes = Buffer.from(`writ.v1\0${canonical(unsigned)}`);
  return {
    ...value,
    isDocument,
    key: parseMultikey(value.publicKey),
    sender: didOf(value.publicKey),
    signatureBytes: parseBase64(signature, 64),
    signedBytes,
    digest: sha256(signedBytes).toString("base64"),
  };
}

useDocumentParser((value) => {
  if (!readEnvelope(value).isDocument) throw f.bad("no document");
});

export const isSigned = (envelope) => holds(envelope.key, envelope.signatureBytes, envelope.signedBytes);
const refuse = (code) => {
  throw new Refused(code);
};

/** Row 5. */
export function checkSignature(envelope) {
  if (!isSigned(envelope)) refuse("bad_signature");
}

/** Rows 9 and 10 for what `side` sends; `allowed`: whether the state of the connection lets it. */
export function checkContent(envelope, side, allowed = true) {
  const message = MESSAGES.get(envelope.type);
  if (!message) refuse("unknown_type");
  if ((message.from !== side && message.from !== "both") || !allowed) refuse("forbidden_type");
  message.payload(envelope.payload, envelope.isDocument);
}

/** Rows 5 to 7 for a document. */
export function checkDocument(envelope, { audience, now }) {
  checkSignature(envelope);
  const toEveryone = envelope.audience === "*" && TO_EVERYONE.includes(envelope.type);
  if (envelope.audience !== audience && !toEveryone) refuse("wrong_audience");
  if (Date.parse(envelope.timestamp) - 60_000 > now) refuse("future");
  if (now >= Date.parse(envelope.expires)) refuse("expired");
}

/** Rows 4 to 8 for a control frame. `everyone`: whether `*` may be its audience here and now. */
export function checkControl(envelope, { peer, audience, everyone, now, skewSeconds, session, next }) {
  if (peer !== null && envelope.publicKey !== peer) refuse("wrong_key");
  checkSignature(envelope);
  if (envelope.audience !== audience && !(envelope.audience === "*" && everyone)) refuse("wrong_audience");
  const ahead = Date.parse(envelope.timestamp) - now;
  if (ahead < -skewSeconds * 1000) refuse("stale");
  if (ahead > skewSeconds * 1000) refuse("future");
  if (session !== null && envelope.session !== session) refuse("wrong_session");
  if (envelope.sequence < next) refuse("replay");
  if (envelope.sequence > next) refuse("bad_sequence");
}
