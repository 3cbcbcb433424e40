import assert from "node:assert/strict";
import { test } from "node:test";
import type { RolesView } from "../../api/schema.gen.ts";
import { mayIn, outranks, rolesToGive } from "./standing.ts";

const role = (name: string, rung: number | null, ...permissions: string[]) => ({
  name,
  rung,
  permissions,
});
const matrix: RolesView = {
  items: [
    role("owner", 4, "read", "order", "manage", "record", "hub"),
    role("admin", 3, "read", "order", "manage", "record", "hub"),
    role("manager", 2, "read", "order", "manage"),
    role("operator", 1, "read", "order"),
    role("member", 0, "read"),
    role("auditor", null, "read", "record"),
  ],
  permissions: ["read", "order", "manage", "record"]
    .map((name) => ({ name, reach: "realm", does: name }))
    .concat({ name: "hub", reach: "hub", does: "hub" }),
  nextCursor: null,
};
const person = (roles: string[], realmRoles: Record<string, string[]> = {}) => ({
  roles,
  realmRoles,
});
const names = (given: { name: string }[]) => given.map((one) => one.name);

test("nobody gives what is not below them or permits more than they may", () => {
  const manager = person([], { lab: ["manager"] });
  assert.deepEqual(names(rolesToGive(matrix, manager, "lab")), ["operator", "member"]);
  assert.deepEqual(names(rolesToGive(matrix, manager, "other")), []);
  assert.deepEqual(names(rolesToGive(matrix, manager, null)), []);
  const admin = person([], { lab: ["admin"] });
  assert.deepEqual(names(rolesToGive(matrix, admin, "lab")), [
    "manager",
    "operator",
    "member",
    "auditor",
  ]);
});

test("owners make owners, in a realm also without what reaches the hub", () => {
  assert.equal(names(rolesToGive(matrix, person(["owner"]), null))[0], "owner");
  assert.equal(names(rolesToGive(matrix, person([], { lab: ["owner"] }), "lab"))[0], "owner");
  assert.ok(!names(rolesToGive(matrix, person(["admin"]), null)).includes("admin"));
});

test("a role everywhere counts in each realm, and one of a realm only there", () => {
  assert.ok(mayIn(matrix, person(["manager"]), "manage", "lab"));
  assert.ok(!mayIn(matrix, person([], { lab: ["manager"] }), "manage", null));
});

test("one stands above who holds less, and owners beside owners", () => {
  assert.ok(!outranks(matrix, person(["admin"]), ["admin"], null));
  assert.ok(outranks(matrix, person(["admin"]), ["manager", "auditor"], null));
  assert.ok(outranks(matrix, person(["owner"]), ["owner"], null));
});
