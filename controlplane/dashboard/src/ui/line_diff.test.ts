import assert from "node:assert/strict";
import { test } from "node:test";
import { diffLines } from "./line_diff.ts";

const kinds = (before: string, after: string) =>
  diffLines(before, after)
    .map((line) => ({ same: " ", gone: "-", new: "+" })[line.kind] + line.text)
    .join("|");

test("equal texts have no changed line", () => {
  assert.equal(kinds("a\nb", "a\nb"), " a| b");
});

test("a changed line is one gone and one new, between what stays", () => {
  assert.equal(kinds("a\nb\nc", "a\nB\nc"), " a|-b|+B| c");
});

test("lines that moved in are found within what stays", () => {
  assert.equal(kinds("a\nc\ne", "a\nb\nc\nd\ne"), " a|+b| c|+d| e");
});

test("each side, put together again, is the text it came from", () => {
  let seed = 7;
  const random = (below: number) => {
    seed = (seed * 1103515245 + 12345) % 2147483648;
    return seed % below;
  };
  for (let round = 0; round < 300; round += 1) {
    const text = () => Array.from({ length: random(12) }, () => "abcd"[random(4)]).join("\n");
    const [before, after] = [text(), text()];
    const lines = diffLines(before, after);
    const side = (not: string) =>
      lines.flatMap((line) => (line.kind === not ? [] : [line.text])).join("\n");
    assert.equal(side("new"), before);
    assert.equal(side("gone"), after);
  }
});
