// What of JSON Schema the forms understand, and reading a schema that somebody else wrote: an
// agent's plug-in may say anything, so nothing here trusts its shape.

export interface Schema {
  type: string | null;
  title: string | null;
  description: string | null;
  enum: unknown[] | null;
  default: unknown;
  properties: Record<string, Schema>;
  required: ReadonlySet<string>;
  items: Schema | null;
  minimum: number | null;
  maximum: number | null;
  minLength: number | null;
  maxLength: number | null;
  pattern: string | null;
  format: string | null;
}

const DEEPEST = 6;

export function readSchema(value: unknown, depth = 0): Schema {
  const given = isObject(value) ? value : {};
  const text = (name: string) => (typeof given[name] === "string" ? given[name] : null);
  const number = (name: string) => (typeof given[name] === "number" ? given[name] : null);
  const properties: Record<string, Schema> = {};
  if (depth < DEEPEST && isObject(given.properties))
    for (const [name, one] of Object.entries(given.properties))
      properties[name] = readSchema(one, depth + 1);
  const required = Array.isArray(given.required) ? given.required : [];
  return {
    type: readType(given),
    title: text("title"),
    description: text("description"),
    enum: Array.isArray(given.enum) ? given.enum : "const" in given ? [given.const] : null,
    default: given.default,
    properties,
    required: new Set(required.filter((one) => typeof one === "string")),
    items: depth < DEEPEST && "items" in given ? readSchema(given.items, depth + 1) : null,
    minimum: number("minimum"),
    maximum: number("maximum"),
    minLength: number("minLength"),
    maxLength: number("maxLength"),
    pattern: text("pattern"),
    format: text("format"),
  };
}

function readType(given: Record<string, unknown>): string | null {
  const { type } = given;
  if (typeof type === "string") return type;
  if (Array.isArray(type))
    return type.find((one) => one !== "null" && typeof one === "string") ?? null;
  for (const name of ["anyOf", "oneOf"]) {
    const choices = given[name];
    if (!Array.isArray(choices)) continue;
    const real = choices.filter((one) => isObject(one) && one.type !== "null");
    const [only] = real;
    if (real.length === 1 && isObject(only)) return readType(only);
  }
  return isObject(given.properties) ? "object" : null;
}

/** What is wrong with a value, by JSON pointer; the hub and the agent check it again. */
export function faultsOf(schema: Schema, value: unknown, pointer = ""): Record<string, string> {
  const here = (text: string) => ({ [pointer]: text });
  if (value === undefined) return {};
  if (schema.enum && !schema.enum.some((one) => same(one, value))) return here("not one of these");
  switch (schema.type) {
    case "string": {
      if (typeof value !== "string") return here("must be text");
      if (value.length < (schema.minLength ?? 0))
        return here(`at least ${schema.minLength} characters`);
      if (value.length > (schema.maxLength ?? Infinity))
        return here(`at most ${schema.maxLength} characters`);
      return {};
    }
    case "integer":
    case "number": {
      if (typeof value !== "number" || Number.isNaN(value)) return here("must be a number");
      if (schema.type === "integer" && !Number.isInteger(value))
        return here("must be a whole number");
      if (value < (schema.minimum ?? -Infinity)) return here(`at least ${schema.minimum}`);
      if (value > (schema.maximum ?? Infinity)) return here(`at most ${schema.maximum}`);
      return {};
    }
    case "array": {
      if (!Array.isArray(value)) return here("must be a list");
      const { items } = schema;
      if (!items) return {};
      return Object.assign({}, ...value.map((one, at) => faultsOf(items, one, `${pointer}/${at}`)));
    }
    case "object": {
      if (!isObject(value)) return here("must be an object");
      const faults: Record<string, string> = {};
      for (const name of schema.required)
        if (value[name] === undefined) faults[`${pointer}/${name}`] = "needed";
      for (const [name, one] of Object.entries(schema.properties))
        Object.assign(faults, faultsOf(one, value[name], `${pointer}/${name}`));
      return faults;
    }
    default:
      return {};
  }
}

/** A field's name as people read it: `timeoutSeconds` and `timeout_seconds` are `timeout seconds`. */
export function wordsOf(name: string): string {
  return name
    .replace(/([a-z0-9])([A-Z])/g, "$1 $2")
    .replace(/[_-]+/g, " ")
    .trim()
    .replace(/\b[A-Z][a-z]/g, (start) => start.toLowerCase());
}

/**
 * What a form calls a field: its title where somebody wrote one, else its name in words. A title
 * that is only the name in other letters (`Timeoutseconds`) was made by a program.
 */
export function labelOf(name: string, title: string | null): string {
  const letters = (text: string) => text.toLowerCase().replace(/[^\p{L}\p{N}]/gu, "");
  if (title !== null && (name === "" || letters(title) !== letters(name))) return title;
  const words = wordsOf(name) || name;
  return words.charAt(0).toUpperCase() + words.slice(1);
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function same(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}
