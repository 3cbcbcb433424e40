// Forms of fields (SPEC section 11), and how objects are made of them (sections 4 and 6).
import { Decimal, Refused, canonical, isObject } from "./json.mjs";

export const bad = (why) => new Refused("bad_payload", why);
const fail = (why) => {
  throw bad(why);
};
const characters = (text) => [...text].length;
const UUID = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}";
const DID = "did:key:z6Mk[1-9A-HJ-NP-Za-km-z]{44}";

/** A form is a function (value, strict) that returns or throws; `strict` is true inside documents. */
export const text = (max, min = 0) => (value) => {
  if (typeof value !== "string" || characters(value) > max || characters(value) < min) fail("text");
};
export const like = (pattern, max = 4096) => {
  const whole = new RegExp(`^(?:${pattern})$`);
  return (value) => {
    // `$` alone would also match before a last line break in some languages, not in this one.
    if (typeof value !== "string" || value.length > max || !whole.test(value)) fail("form");
  };
};
export const integer = (min, max) => (value) => {
  if (typeof value !== "number" || value < min || value > max) fail("integer");
};
export const number = (min, max) => (value) => {
  const plain = value instanceof Decimal ? value.value : value;
  if (typeof plain !== "number" || plain < min || plain > max) fail("number");
};
export const bool = (value) => {
  if (typeof value !== "boolean") fail("bool");
};
export const any = () => {};
export const free = (value) => {
  if (!isObject(value)) fail("object");
};
export const orNull = (form) => (value, strict) => value === null || form(value, strict);
export const oneOf = (...words) => (value) => {
  if (!words.includes(value)) fail("none of the words");
};
export const list = (form, max, min = 0) => (value, strict) => {
  if (!Array.isArray(value) || value.length > max || value.length < min) fail("list");
  for (const item of value) form(item, strict);
};
export const pairs = (key, form, max) => (value, strict) => {
  if (!isObject(value) || Object.keys(value).length > max) fail("pairs");
  for (const [name, item] of Object.entries(value)) key(name, strict), form(item, strict);
};

/** An object of named fields; a name that ends in `?` may be left out. */
export const object = (fields, more = () => true) => {
  const known = new Map(
    Object.entries(fields).map(([name, form]) => [name.replace("?", ""), [form, name.endsWith("?")]]),
  );
  return (value, strict) => {
    if (!isObject(value)) fail("object");
    if (strict && Object.keys(value).some((name) => !known.has(name))) fail("unknown field");
    for (const [name, [form, optional]] of known) {
      if (optional && (!(name in value) || (!strict && value[name] === null))) continue;
      if (!(name in value)) fail(`${name} is missing`);
      form(value[name], strict);
    }
    if (!more(value)) fail("fields that do not go together");
  };
};

export const time = (value) => {
  const match = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$/.test(value);
  if (typeof value !== "string" || !match || !isTime(value)) fail("time");
};
function isTime(value) {
  const date = new Date(value);
  // A date that does not exist rolls over, so it does not come back the same.
  return !Number.isNaN(date.getTime()) && date.toISOString() === value;
}

const MAX = Number.MAX_SAFE_INTEGER;
export const id = like("[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}");
export const did = like(DID);
export const party = like(`${DID}|user:${UUID}`);
export const name = like("[a-z0-9][a-z0-9._-]{0,62}");
const ACTION = "[a-z][a-z0-9_]*(?:\\.[a-z][a-z0-9_]*)*";
export const action = like(ACTION, 200);
export const actionPattern = like(`${ACTION}(?:\\.\\*)?|\\*`, 202);
export const ruleId = like("[A-Za-z0-9][A-Za-z0-9._-]{0,62}");
export const host = like("\\*|(?:\\*\\.)?[a-z0-9.-]+(?::[0-9]{1,5})?", 260);
export const labelKey = like("[A-Za-z0-9][A-Za-z0-9._/-]{0,62}");
export const hex = like("[0-9a-f]{64}");
export const code = like("[a-z][a-z0-9_]*", 64);
export const condition = text(2000, 1);
export const reason = text(1000);
export const checkpoint = text(4096, 1);
export const url = text(4096, 1);
export const count = integer(0, MAX);
export const version = integer(1, MAX);
export const proof = list(id, 16);
const base64 = (size) => (value) => {
  if (typeof value !== "string") fail("base64");
  const bytes = Buffer.from(value, "base64");
  if (bytes.length !== size || bytes.toString("base64") !== value) fail("base64");
};
export const digest = base64(32);
export const signature = base64(64);
export const traceparent = like("00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}");
export const smallOutput = (value) => {
  if (Buffer.byteLength(canonical(value)) > 262_144) throw new Refused("output_too_big");
};
