import assert from "node:assert/strict";
import { test } from "node:test";
import type { AgentView } from "../../api/schema.gen.ts";
import { commonActions, reachedBy } from "./targets.ts";

const agent = (name: string, more: Partial<AgentView>): AgentView =>
  ({
    name,
    did: `did:key:${name}`,
    state: "active",
    realms: ["lab"],
    capabilities: [],
    labels: {},
    actions: [],
    ...more,
  }) as AgentView;
const named = (names: string[]) => names.map((name) => ({ name })) as AgentView["actions"];

const agents = [
  agent("a", {
    capabilities: ["files"],
    labels: { site: "here" },
    actions: named(["echo", "files.read"]),
  }),
  agent("b", { labels: { site: "here" }, actions: named(["echo"]) }),
  agent("gone", { state: "revoked", labels: { site: "here" } }),
];
const reached = (kind: "agent" | "capability" | "selector", text: string) =>
  reachedBy({ kind, text }, agents)?.map((one) => one.name);

test("a target is a name, a capability or labels; who is revoked is nobody", () => {
  assert.deepEqual(reached("agent", "a"), ["a"]);
  assert.deepEqual(reached("agent", "did:key:b"), ["b"]);
  assert.deepEqual(reached("agent", "gone"), []);
  assert.deepEqual(reached("capability", "files"), ["a"]);
  assert.deepEqual(reached("selector", "site=here, realm=lab"), ["a", "b"]);
  assert.deepEqual(reached("selector", "site=there"), []);
});

test("what is half typed means nobody yet, not everybody", () => {
  for (const text of ["", "site", "site=", "site=here,"])
    assert.equal(reached("selector", text), undefined);
});

test("an action for many is one that all of them offer", () => {
  assert.deepEqual(
    commonActions(agents.slice(0, 2)).map((one) => one.name),
    ["echo"],
  );
  assert.deepEqual(commonActions([]), []);
});
