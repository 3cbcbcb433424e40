// The JSON profile of SPEC section 3 and the canonical form (RFC 8785), with nothing but the language.

/** A refusal with its stable code. */
export class Refused extends Error {
  constructor(code, message = code) {
    super(message);
    this.code = code;
  }
}

/** A number that was written with a fraction or an exponent: never a JSON integer, whatever its value. */
export class Decimal {
  constructor(value) {
    this.value = value;
  }
}

const MAX_DEPTH = 32;
const MAX_VALUES = 10_000;
const NUMBER = /-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?/y;
const ESCAPES = { '"': '"', "\\": "\\", "/": "/", b: "\b", f: "\f", n: "\n", r: "\r", t: "\t" };

/**
 * Parse text or bytes; objects come without a prototype, numbers as `number` or `Decimal`.
 * `anyNumber` lifts the bound on numbers: the canonical form is defined for every finite double.
 */
export function parseJson(data, { anyNumber = false } = {}) {
  const bad = (why) => new Refused("bad_json", why);
  let text = data;
  if (typeof data !== "string") {
    try {
      text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(data);
    } catch {
      throw bad("not UTF-8");
    }
  }
  let at = 0;
  let values = 0;

  const space = () => {
    while (" \t\r\n".includes(text[at] ?? "x")) at++;
  };
  const expect = (char) => {
    space();
    if (text[at] !== char) throw bad(`expected ${char} at ${at}`);
    at++;
  };

  function string() {
    expect('"');
    let out = "";
    for (;;) {
      const from = at;
      while (at < text.length && text[at] !== '"' && text[at] !== "\\" && text[at] >= " ") at++;
      out += text.slice(from, at);
      const char = text[at++];
      if (char === '"') break;
      if (char !== "\\") throw bad("control character or no end of string");
      const escape = text[at++];
      if (escape === "u") {
        const digits = text.slice(at, at + 4);
        if (!/^[0-9a-fA-F]{4}$/.test(digits)) throw bad("bad \\u escape");
        out += String.fromCharCode(parseInt(digits, 16));
        at += 4;
      } else if (Object.hasOwn(ESCAPES, escape ?? "")) {
        out += ESCAPES[escape];
      } else throw bad("bad escape");
    }
    if (!out.isWellFormed() || out.includes("\0")) throw bad("surrogate or U+0000");
    return out;
  }

  function number() {
    NUMBER.lastIndex = at;
    const match = NUMBER.exec(text);
    if (!match) throw bad(`no value at ${at}`);
    at += match[0].length;
    const value = Number(match[0]);
    if (!Number.isFinite(value)) throw bad("infinite");
    if (!anyNumber && Math.abs(value) > Number.MAX_SAFE_INTEGER) throw bad("number too large");
    return match[1] || match[2] ? new Decimal(value) : value;
  }

  function value(depth) {
    if (++values > MAX_VALUES) throw bad("too many values");
    space();
    const char = text[at];
    if ((char === "{" || char === "[") && depth > MAX_DEPTH) throw bad("too deep");
    if (char === "{") return object(depth);
    if (char === "[") return array(depth);
    if (char === '"') return string();
    for (const [word, meaning] of [["true", true], ["false", false], ["null", null]]) {
      if (text.startsWith(word, at)) {
        at += word.length;
        return meaning;
      }
    }
    return number();
  }

  function array(depth) {
    const items = [];
    at++;
    space();
    if (text[at] === "]") return at++, items;
    for (;;) {
      items.push(value(depth + 1));
      space();
      if (text[at] === "]") return at++, items;
      expect(",");
    }
  }

  function object(depth) {
    const fields = Object.create(null);
    at++;
    space();
    if (text[at] === "}") return at++, fields;
    for (;;) {
      const key = string();
      if (key in fields) throw bad("duplicate key");
      expect(":");
      fields[key] = value(depth + 1);
      space();
      if (text[at] === "}") return at++, fields;
      expect(",");
    }
  }

  const result = value(1);
  space();
  if (at !== text.length) throw bad("text after the value");
  return result;
}

/** Whether a parsed value is an object. */
export function isObject(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Decimal);
}

/** The canonical form as a string: the language's own number and string forms are what RFC 8785 asks for. */
export function canonical(value) {
  if (value instanceof Decimal) return JSON.stringify(value.value);
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  if (!isObject(value)) return JSON.stringify(value);
  const keys = Object.keys(value).sort(); // by UTF-16 code units
  return `{${keys.map((key) => `${JSON.stringify(key)}:${canonical(value[key])}`).join(",")}}`;
}
