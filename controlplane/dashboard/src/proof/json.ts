/**
 * Owns the way in for JSON (the profile of SPEC section 3) and its one canonical form (RFC 8785).
 *
 * `JSON.parse` keeps the last of two equal keys and forgets how a number was written; two readers
 * of a signed text could then differ. Must not know about envelopes.
 */

/** A refusal with the stable code of SPEC section 10. */
export class Refused extends Error {
  readonly code: string;

  constructor(code: string, message: string = code) {
    super(message);
    this.name = "Refused";
    this.code = code;
  }
}

/** A number written with a fraction or an exponent: never a JSON integer, whatever its value. */
export class Decimal {
  readonly value: number;

  constructor(value: number) {
    this.value = value;
  }
}

export type JsonObject = { [name: string]: JsonValue };
export type JsonValue = null | boolean | number | string | Decimal | JsonValue[] | JsonObject;
/** What everybody else calls JSON: without the memory of how numbers were written. */
export type PlainValue =
  | null
  | boolean
  | number
  | string
  | PlainValue[]
  | { [name: string]: PlainValue };

const MAX_DEPTH = 32;
const MAX_VALUES = 10_000;
const NUMBER = /-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?/y;
const WORDS: readonly (readonly [string, JsonValue])[] = [
  ["true", true],
  ["false", false],
  ["null", null],
];
const ESCAPES = new Map(
  Object.entries({ '"': '"', "\\": "\\", "/": "/", b: "\b", f: "\f", n: "\n", r: "\r", t: "\t" }),
);

/**
 * The value that text or bytes spell, where it lies inside the profile; objects have no prototype.
 *
 * `anyNumber` lifts the bound on numbers: the canonical form is defined for every finite double.
 * Throws `Refused` with `bad_json`.
 */
export function parseStrictJson(data: string | Uint8Array, { anyNumber = false } = {}): JsonValue {
  return new Parser(typeof data === "string" ? data : decode(data), anyNumber).whole();
}

function decode(data: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(data);
  } catch {
    throw bad("not UTF-8");
  }
}

const bad = (why: string) => new Refused("bad_json", why);

class Parser {
  private readonly text: string;
  private readonly anyNumber: boolean;
  private at = 0;
  private values = 0;

  constructor(text: string, anyNumber: boolean) {
    this.text = text;
    this.anyNumber = anyNumber;
  }

  whole(): JsonValue {
    const value = this.value(1);
    this.space();
    if (this.at !== this.text.length) throw bad("text after the value");
    return value;
  }

  private space(): void {
    while (" \t\r\n".includes(this.text[this.at] ?? "x")) this.at++;
  }

  private expect(char: string): void {
    this.space();
    if (this.text[this.at] !== char) throw bad(`expected ${char} at ${this.at}`);
    this.at++;
  }

  private value(depth: number): JsonValue {
    if (++this.values > MAX_VALUES) throw bad("too many values");
    this.space();
    const char = this.text[this.at];
    if ((char === "{" || char === "[") && depth > MAX_DEPTH) throw bad("too deep");
    if (char === "{") return this.object(depth);
    if (char === "[") return this.array(depth);
    if (char === '"') return this.string();
    for (const [word, meaning] of WORDS) {
      if (this.text.startsWith(word, this.at)) {
        this.at += word.length;
        return meaning;
      }
    }
    return this.number();
  }

  private array(depth: number): JsonValue[] {
    const items: JsonValue[] = [];
    this.at++;
    if (this.closes("]")) return items;
    for (;;) {
      items.push(this.value(depth + 1));
      if (this.closes("]")) return items;
      this.expect(",");
    }
  }

  private object(depth: number): JsonObject {
    const fields = Object.create(null) as JsonObject;
    this.at++;
    if (this.closes("}")) return fields;
    for (;;) {
      const key = this.string();
      if (key in fields) throw bad("a duplicate key");
      this.expect(":");
      fields[key] = this.value(depth + 1);
      if (this.closes("}")) return fields;
      this.expect(",");
    }
  }

  private closes(char: string): boolean {
    this.space();
    if (this.text[this.at] !== char) return false;
    this.at++;
    return true;
  }

  private number(): JsonValue {
    NUMBER.lastIndex = this.at;
    const match = NUMBER.exec(this.text);
    if (!match) throw bad(`no value at ${this.at}`);
    this.at += match[0].length;
    const value = Number(match[0]);
    if (!Number.isFinite(value)) throw bad("an infinity");
    if (!this.anyNumber && Math.abs(value) > Number.MAX_SAFE_INTEGER)
      throw bad("a number too large");
    return match[1] || match[2] ? new Decimal(value) : value;
  }

  private string(): string {
    this.expect('"');
    let out = "";
    for (;;) {
      const from = this.at;
      let char = this.text[this.at];
      while (char !== undefined && char !== '"' && char !== "\\" && char >= " ")
        char = this.text[++this.at];
      out += this.text.slice(from, this.at++);
      if (char === '"') break;
      if (char !== "\\") throw bad("a control character, or no end of string");
      out += this.escape();
    }
    if (!isText(out)) throw bad("a lone surrogate or U+0000");
    return out;
  }

  private escape(): string {
    const char = this.text[this.at++] ?? "";
    if (char !== "u") {
      const meaning = ESCAPES.get(char);
      if (meaning === undefined) throw bad("a bad escape");
      return meaning;
    }
    const digits = this.text.slice(this.at, this.at + 4);
    if (!/^[0-9a-fA-F]{4}$/.test(digits)) throw bad("a bad \\u escape");
    this.at += 4;
    return String.fromCharCode(Number.parseInt(digits, 16));
  }
}

// A lone surrogate has no UTF-8. (`isWellFormed` says the same, in newer engines only.)
const isText = (text: string) => !text.includes("\0") && !/\p{Surrogate}/u.test(text);

export function isObject(value: unknown): value is JsonObject {
  return (
    typeof value === "object" &&
    value !== null &&
    !Array.isArray(value) &&
    !(value instanceof Decimal)
  );
}

/**
 * The canonical form of a value: how this language writes numbers and strings is what RFC 8785 asks.
 *
 * Throws `Refused` with `bad_json` for what has none.
 */
export function canonicalJson(value: JsonValue | PlainValue): string {
  if (value instanceof Decimal) return canonicalJson(value.value);
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(",")}]`;
  if (isObject(value)) {
    const fields = value;
    const keys = Object.keys(fields).sort(); // by UTF-16 code units
    return `{${keys.map((key) => `${canonicalJson(key)}:${canonicalJson(fields[key] as JsonValue)}`).join(",")}}`;
  }
  if (typeof value === "number" && !Number.isFinite(value)) throw bad("no finite number");
  if (typeof value === "string" && /\p{Surrogate}/u.test(value)) throw bad("a lone surrogate");
  const text = JSON.stringify(value) as string | undefined;
  if (text === undefined) throw bad("no JSON value");
  return text;
}

/** The same value as everybody else's JSON. */
export function plainOf(value: JsonValue): PlainValue {
  if (value instanceof Decimal) return value.value;
  if (Array.isArray(value)) return value.map(plainOf);
  if (!isObject(value)) return value;
  // Defined, not assigned: a key `__proto__` stays a key.
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, plainOf(item)]));
}
