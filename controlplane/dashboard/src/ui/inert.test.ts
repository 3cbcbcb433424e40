import assert from "node:assert/strict";
import { test } from "node:test";
import { inert } from "./inert.ts";

test("what turns text around or hides in it is named", () => {
  assert.equal(inert("rm \u202Egnp.exe"), "rm ⟨U+202E⟩gnp.exe");
  assert.equal(inert("a\u200Bb\u0000c\u001B[31m"), "a⟨U+200B⟩b⟨U+0000⟩c⟨U+001B⟩[31m");
});

test("lines, tabs, letters and emoji stay", () => {
  const text = "ü\tβ\n漢字 👩‍🚀".replace("\u200D", "");
  assert.equal(inert(text), text);
});
