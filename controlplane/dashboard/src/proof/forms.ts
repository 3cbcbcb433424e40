/**
 * Owns the forms of single fields (SPEC section 11), and how objects are made of them.
 *
 * A form is a function that returns, or throws `bad_payload`. `strict` is true inside documents,
 * where unknown fields and nulls for what may be left out are refused.
 */
import { decodeBase64 } from "./bytes.ts";
import {
  canonicalJson,
  Decimal,
  isObject,
  type JsonObject,
  type JsonValue,
  Refused,
} from "./json.ts";

export type Form = (value: JsonValue, strict: boolean) => void;

export const badPayload = (why: string) => new Refused("bad_payload", why);
function fail(why: string): never {
  throw badPayload(why);
}

const UUID = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}";
const DID = "did:key:z6Mk[1-9A-HJ-NP-Za-km-z]{44}";
const ACTION = "[a-z][a-z0-9_]*(?:\\.[a-z][a-z0-9_]*)*";
const MAX_OUTPUT_BYTES = 262_144;

/** Text of so many characters, which are code points. */
export const text =
  (max: number, min = 0): Form =>
  (value) => {
    if (typeof value !== "string") fail("text");
    const characters = [...value].length;
    if (characters > max || characters < min) fail("text");
  };
export const like = (pattern: string, max = 4096): Form => {
  const whole = new RegExp(`^(?:${pattern})$`);
  return (value) => {
    if (typeof value !== "string" || value.length > max || !whole.test(value)) fail("form");
  };
};
export const integer =
  (min: number, max: number): Form =>
  (value) => {
    if (typeof value !== "number" || value < min || value > max) fail("integer");
  };
export const number =
  (min: number, max: number): Form =>
  (value) => {
    const plain = value instanceof Decimal ? value.value : value;
    if (typeof plain !== "number" || plain < min || plain > max) fail("number");
  };
export const bool: Form = (value) => {
  if (typeof value !== "boolean") fail("bool");
};
export const any: Form = () => undefined;
export const free: Form = (value) => {
  if (!isObject(value)) fail("object");
};
export const orNull =
  (form: Form): Form =>
  (value, strict) => {
    if (value !== null) form(value, strict);
  };
export const oneOf =
  (...words: readonly string[]): Form =>
  (value) => {
    if (typeof value !== "string" || !words.includes(value)) fail("none of the words");
  };
export const list =
  (form: Form, max: number, min = 0): Form =>
  (value, strict) => {
    if (!Array.isArray(value) || value.length > max || value.length < min) fail("list");
    for (const item of value) form(item, strict);
  };
export const pairs =
  (key: Form, form: Form, max: number): Form =>
  (value, strict) => {
    if (!isObject(value) || Object.keys(value).length > max) fail("pairs");
    for (const [name, item] of Object.entries(value)) {
      key(name, strict);
      form(item, strict);
    }
  };

/** An object of named fields; a name that ends in `?` may be left out. */
export function object(
  fields: Record<string, Form>,
  more: (value: JsonObject) => boolean = () => true,
): Form {
  const known = new Map(
    Object.entries(fields).map(([name, form]) => [
      name.replace("?", ""),
      { form, optional: name.endsWith("?") },
    ]),
  );
  return (value, strict) => {
    if (!isObject(value)) fail("object");
    if (strict && Object.keys(value).some((name) => !known.has(name))) fail("unknown field");
    for (const [name, { form, optional }] of known) {
      const item = value[name];
      if (optional && (item === undefined || (!strict && item === null))) continue;
      if (item === undefined) fail(`${name} is missing`);
      form(item, strict);
    }
    if (!more(value)) fail("fields that do not go together");
  };
}

export const time: Form = (value) => {
  if (typeof value !== "string" || !/^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$/.test(value))
    fail("time");
  const date = new Date(value);
  // A day that does not exist rolls over, so it does not come back the same.
  if (Number.isNaN(date.getTime()) || date.toISOString() !== value) fail("time");
};
const base64 =
  (sizeBytes: number): Form =>
  (value) => {
    if (decodeBase64(value, sizeBytes) === null) fail("base64");
  };

const MAX = Number.MAX_SAFE_INTEGER;
export const id = like("[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}");
export const did = like(DID);
export const party = like(`${DID}|user:${UUID}`);
export const multikey = like("z6Mk[1-9A-HJ-NP-Za-km-z]{44}");
export const name = like("[a-z0-9][a-z0-9._-]{0,62}");
export const action = like(ACTION, 200);
export const actionPattern = like(`${ACTION}(?:\\.\\*)?|\\*`, 202);
export const ruleId = like("[A-Za-z0-9][A-Za-z0-9._-]{0,62}");
export const host = like("\\*|(?:\\*\\.)?[a-z0-9.-]+(?::[0-9]{1,5})?", 260);
export const hex = like("[0-9a-f]{64}");
export const code = like("[a-z][a-z0-9_]*", 64);
export const condition = text(2000, 1);
export const reason = text(1000);
export const count = integer(0, MAX);
export const version = integer(1, MAX);
export const proof = list(id, 16);
export const digest = base64(32);
export const signature = base64(64);
export const traceparent = like("00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}");
/** A result's output: what would be larger goes another way. */
export const output: Form = (value) => {
  if (new TextEncoder().encode(canonicalJson(value)).length > MAX_OUTPUT_BYTES) {
    throw new Refused("output_too_big");
  }
};
