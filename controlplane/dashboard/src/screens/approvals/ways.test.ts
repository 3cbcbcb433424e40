import assert from "node:assert/strict";
import { test } from "node:test";
import { waysToDecide } from "./ways.ts";

const me = { subject: "user:1", roles: [], realmRoles: { lab: ["operator"] } };
const lent = (throughHub: boolean) => ({
  proof: ["a"],
  capabilities: [],
  throughHub,
  expiresAt: "",
});
const asked = (from: string[] | null, signed = false, orderedBy = "user:2") => ({
  from,
  signed,
  realm: "lab",
  orderedBy,
});

test("anyone's key counts under a star, and the hub vouches for nobody there", () => {
  const none = waysToDecide(asked(["*"]), me, null);
  assert.deepEqual([none.open, none.needsKey], [[], true]);
  assert.deepEqual(waysToDecide(asked(["*"]), me, { did: "did:key:x", lent: lent(true) }).open, [
    "own-key",
  ]);
});

test("a role is vouched for by the hub, and a role above it does too", () => {
  assert.deepEqual(waysToDecide(asked(["member"]), me, null).open, ["vouched"]);
  assert.deepEqual(waysToDecide(asked(["admin"]), me, null).open, []);
  assert.deepEqual(waysToDecide(asked(["approver"]), me, null).open, ["vouched"]);
});

test("where an operator must sign, what the hub has lent does not count", () => {
  const through = waysToDecide(asked(["*"], true), me, { did: "did:key:x", lent: lent(true) });
  assert.deepEqual([through.open, through.needsOperator], [[], true]);
  assert.deepEqual(
    waysToDecide(asked(["*"], true), me, { did: "did:key:x", lent: lent(false) }).open,
    ["own-key"],
  );
  assert.deepEqual(waysToDecide(asked(["operator"], true), me, null).open, []);
});

test("who gave the order decides in no way", () => {
  const own = waysToDecide(asked(["*", "member"], false, "user:1"), me, {
    did: "did:key:x",
    lent: lent(true),
  });
  assert.deepEqual(own.open, []);
  assert.equal(own.shut.length, 1);
});

test("a named key is that key alone", () => {
  const key = { did: "did:key:x", lent: lent(true) };
  assert.deepEqual(waysToDecide(asked(["did:key:x"]), me, key).open, ["own-key"]);
  assert.deepEqual(waysToDecide(asked(["did:key:y"]), me, key).open, []);
});
