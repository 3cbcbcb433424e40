import assert from "node:assert/strict";
import { test } from "node:test";
import { Told } from "./told.ts";

test("events of one millisecond are news in whatever order their ids are, and each once", () => {
  const told = new Told();
  const [earlier, later] = [
    "01a2219d-0f0a-7b00-8000-000000000000",
    "01a2219d-0f0a-7a00-8000-000000000000",
  ];
  assert.ok(later < earlier);
  assert.equal(told.isNews(earlier), true);
  assert.equal(told.isNews(later), true);
  assert.equal(told.isNews(earlier), false);
  assert.equal(told.isNews(later), false);
});

test("what was told long ago is forgotten, what was told last is not", () => {
  const told = new Told();
  for (let number = 0; number < 20_000; number += 1) told.isNews(String(number));
  assert.equal(told.isNews("19999"), false);
  assert.equal(told.isNews("15000"), false);
  assert.equal(told.isNews("0"), true);
});
