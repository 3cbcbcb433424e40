import assert from "node:assert/strict";
import { test } from "node:test";
import { chosenOf, familiesOf, isChosen, toggleFamily, toggleKind } from "./events.ts";

const KINDS = ["agent.enrolled", "key_conflict", "file.created"].map((type) => ({
  type,
  family: type === "file.created" ? "file" : "agent",
  description: "",
}));
const [agents, files] = familiesOf(KINDS);
assert(agents && files);

test("a family holds what belongs to it, whatever it is called", () => {
  assert.deepEqual(
    agents.kinds.map((one) => one.type),
    ["agent.enrolled", "key_conflict"],
  );
});

test("a whole family replaces its kinds, and goes as a whole", () => {
  const all = toggleFamily(agents, ["key_conflict", "file.created"]);
  assert.deepEqual(all, ["file.created", "agent.*"]);
  assert.equal(chosenOf(agents, all), "all");
  assert.deepEqual(toggleFamily(agents, all), ["file.created"]);
});

test("one kind taken out of a whole family leaves the others", () => {
  const rest = toggleKind("key_conflict", agents, ["agent.*", "file.*"]);
  assert.deepEqual(rest, ["file.*", "agent.enrolled"]);
  assert.equal(chosenOf(agents, rest), "some");
  assert(isChosen("file.created", files, rest) && !isChosen("key_conflict", agents, rest));
  assert.deepEqual(toggleKind("agent.enrolled", agents, rest), ["file.*"]);
});
