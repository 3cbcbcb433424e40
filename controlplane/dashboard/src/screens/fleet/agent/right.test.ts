import assert from "node:assert/strict";
import { test } from "node:test";
import type { LentView, OwnKeyView } from "../../../api/schema.gen.ts";
import { RELEASE, rightToRelease } from "./right.ts";

type Capability = LentView["capabilities"][number];

const agent = { did: "did:key:a", realms: ["lab", "shop"] };
const lent = (throughHub: boolean, ...capabilities: Partial<Capability>[]): LentView => ({
  proof: throughHub ? ["hub", "key"] : ["key"],
  capabilities: capabilities.map((one) => ({ action: RELEASE, ...one })),
  throughHub,
  expiresAt: "",
});
const right = (...held: LentView[]) =>
  rightToRelease({ lent: held } as unknown as OwnKeyView, agent);

test("an operator's chain over every realm of the agent releases it", () => {
  for (const chain of [
    lent(false, {}),
    lent(false, { realms: ["lab", "shop", "yard"] }),
    lent(false, { realms: ["lab"] }, { realms: ["shop"], agents: ["did:key:a"] }),
  ])
    assert.deepEqual(right(lent(true, {}), chain), { kind: "ready", lent: chain });
});

test("what the hub has lent, and any action, release nobody", () => {
  assert.deepEqual(right(), { kind: "none" });
  assert.deepEqual(right(lent(false, { action: "*" })), { kind: "none" });
  assert.deepEqual(right(lent(true, {})), { kind: "through-hub" });
});

test("a chain that stops short of it says where", () => {
  const missing = (...held: LentView[]) => right(lent(true, {}), ...held);
  assert.deepEqual(missing(lent(false, { realms: ["yard"] }), lent(false, { realms: ["lab"] })), {
    kind: "elsewhere",
    realms: ["shop"],
  });
  assert.deepEqual(missing(lent(false, { agents: ["did:key:b"] })), {
    kind: "elsewhere",
    realms: ["lab", "shop"],
  });
});

test("an agent in no realm is released only by what was lent for every realm", () => {
  const nowhere = { did: "did:key:a", realms: [] };
  const known = (chain: LentView) => ({ lent: [chain] }) as unknown as OwnKeyView;
  assert.equal(rightToRelease(known(lent(false, {})), nowhere).kind, "ready");
  assert.deepEqual(rightToRelease(known(lent(false, { realms: ["lab"] })), nowhere), {
    kind: "elsewhere",
    realms: [],
  });
});
