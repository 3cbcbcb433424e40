import assert from "node:assert/strict";
import { test } from "node:test";
import { faultsOf, labelOf, readSchema } from "./schema.ts";

const WRITE = readSchema({
  type: "object",
  required: ["path"],
  properties: {
    path: { type: "string", minLength: 1 },
    append: { type: "boolean" },
    encoding: { enum: ["utf-8", "base64"] },
    lines: { type: "array", items: { type: "integer", minimum: 1 } },
  },
});

test("a value that fits has no fault", () => {
  assert.deepEqual(faultsOf(WRITE, { path: "a", encoding: "utf-8", lines: [1, 2] }), {});
});

test("each fault is named by its pointer", () => {
  const faults = faultsOf(WRITE, { encoding: "latin", lines: [1, 0, 1.5] });
  assert.deepEqual(Object.keys(faults).sort(), ["/encoding", "/lines/1", "/lines/2", "/path"]);
});

test("a schema of any shape is read without harm", () => {
  for (const hostile of [null, 7, "x", [], { type: {} }, { properties: 3, required: "a" }])
    assert.deepEqual(faultsOf(readSchema(hostile), { a: 1 }), {});
  const loop: Record<string, unknown> = { type: "object" };
  loop.properties = { again: loop };
  assert.equal(readSchema(loop).type, "object");
});

test("a value that may be absent keeps its type", () => {
  assert.equal(readSchema({ anyOf: [{ type: "string" }, { type: "null" }] }).type, "string");
  assert.equal(readSchema({ type: ["integer", "null"] }).type, "integer");
});

test("a field is called what somebody called it, else by its name in words", () => {
  const called = [
    ["timeoutSeconds", "Timeoutseconds", "Timeout seconds"],
    ["timeout_seconds", "Timeout Seconds", "Timeout seconds"],
    ["maxOutputBytes", null, "Max output bytes"],
    ["urlSHA256", null, "Url SHA256"],
    ["argv", "What to run", "What to run"],
    ["path", "Path", "Path"],
    ["", null, ""],
  ] as const;
  for (const [name, title, label] of called) assert.equal(labelOf(name, title), label);
});
