// Who stands above whom, as the hub decides it: so that nobody is offered what it would refuse.
// The hub decides all the same.

import type { RolesView, RoleView } from "../../api/schema.gen.ts";
import type { Me } from "../../api/session.ts";

/** Side roles stand where an operator does. */
const SIDE_RUNG = 1;

type Holder = Pick<Me, "roles" | "realmRoles">;

/** Names of the roles that count in a realm; with null, of those held everywhere. */
export function heldIn(me: Holder, realm: string | null): readonly string[] {
  return realm === null ? me.roles : [...me.roles, ...(me.realmRoles[realm] ?? [])];
}

function permittedIn(matrix: RolesView, me: Holder, realm: string | null): ReadonlySet<string> {
  const held = heldIn(me, realm);
  return new Set(
    matrix.items.flatMap((role) => (held.includes(role.name) ? role.permissions : [])),
  );
}

/** Whether somebody may do something in a realm; with null, everywhere. */
export function mayIn(
  matrix: RolesView,
  me: Holder,
  permission: string,
  realm: string | null,
): boolean {
  return permittedIn(matrix, me, realm).has(permission);
}

function rungOf(role: RoleView): number {
  return role.rung ?? SIDE_RUNG;
}

/** How high somebody stands in a realm; below everything when they hold nothing there. */
export function rungIn(matrix: RolesView, me: Holder, realm: string | null): number {
  const held = heldIn(me, realm);
  return Math.max(
    -1,
    ...matrix.items.filter((role) => held.includes(role.name)).map((role) => rungOf(role)),
  );
}

/** Roles that somebody may give and take in a realm, highest first. */
export function rolesToGive(matrix: RolesView, me: Holder, realm: string | null): RoleView[] {
  const own = rungIn(matrix, me, realm);
  const permitted = permittedIn(matrix, me, realm);
  const inRealm = new Set(
    matrix.permissions.filter((one) => one.reach !== "hub").map((one) => one.name),
  );
  const owner = heldIn(me, realm).includes("owner");
  return matrix.items.filter(
    (role) =>
      (rungOf(role) < own || (owner && role.name === "owner")) &&
      role.permissions.every((one) => permitted.has(one) || (realm !== null && !inRealm.has(one))),
  );
}

/** Whether somebody stands above all of these roles, or owns beside owners. */
export function outranks(
  matrix: RolesView,
  me: Holder,
  roles: readonly string[],
  realm: string | null,
): boolean {
  const own = rungIn(matrix, me, realm);
  if (heldIn(me, realm).includes("owner")) return true;
  return matrix.items.every((role) => !roles.includes(role.name) || rungOf(role) < own);
}
