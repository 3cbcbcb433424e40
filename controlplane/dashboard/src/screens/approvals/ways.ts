// Which ways of deciding a rule will accept from this person. The hub and the agent judge again:
// this only says beforehand what they will say.

import type { ApprovalView, LentView } from "../../api/schema.gen.ts";
import type { Me } from "../../api/session.ts";

export type Way = "own-key" | "vouched";

export interface Ways {
  /** What can be done here and now, best first. */
  open: readonly Way[];
  /** What the rule accepts at all, in a sentence. */
  accepts: string;
  /** Why a way that one might expect is shut; empty when none is. */
  shut: readonly string[];
  /** An own key would open a way that is not open now. */
  needsKey: boolean;
  /** An operator has to lend to the own key; the hub's lending does not count. */
  needsOperator: boolean;
}

const LADDER = ["member", "operator", "manager", "admin", "owner"];

/** Whether one of `held` is `wanted`, or stands above it. */
function holds(held: readonly string[], wanted: string): boolean {
  if (held.includes(wanted)) return true;
  const rung = LADDER.indexOf(wanted === "approver" ? "operator" : wanted);
  return rung >= 0 && held.some((role) => LADDER.indexOf(role) >= rung);
}

export function waysToDecide(
  approval: Pick<ApprovalView, "from" | "signed" | "realm" | "orderedBy">,
  me: Pick<Me, "subject" | "roles" | "realmRoles">,
  key: { did: string; lent: LentView | null } | null,
): Ways {
  const named = approval.from ?? [];
  const roles = named.filter((one) => one !== "*" && !one.startsWith("did:"));
  const dids = named.filter((one) => one.startsWith("did:"));
  const takesKeys = named.includes("*") || dids.length > 0;
  const held = [...me.roles, ...(me.realmRoles[approval.realm] ?? [])];
  const shut: string[] = [];
  const open: Way[] = [];
  let needsOperator = false;
  let needsKey = false;

  if (approval.orderedBy === me.subject) {
    shut.push("You gave this order, and who orders does not decide.");
  } else {
    if (takesKeys) {
      const isNamed = named.includes("*") || (key !== null && dids.includes(key.did));
      if (key === null) needsKey = named.includes("*");
      else if (!isNamed) shut.push("The rule names other keys than yours.");
      else if (key.lent === null) shut.push("Your key was not lent the right to approve here.");
      else if (approval.signed && key.lent.throughHub) {
        needsOperator = true;
        shut.push(
          "The rule wants a key that an operator has lent to; yours was lent to by the hub.",
        );
      } else open.push("own-key");
    }
    if (roles.length > 0 && !approval.signed) {
      if (roles.some((role) => holds(held, role))) open.push("vouched");
      else shut.push(`The hub vouches here only for ${roles.join(" or ")}.`);
    }
  }
  return {
    open,
    accepts: acceptedBy(approval.from, approval.signed, roles, dids),
    shut,
    needsKey,
    needsOperator,
  };
}

function acceptedBy(
  from: readonly string[] | null | undefined,
  signed: boolean,
  roles: readonly string[],
  dids: readonly string[],
): string {
  if (from == null) return "Nobody here knows whom the rule asks: the agent's policy has changed.";
  const parts: string[] = [];
  if (from.includes("*")) parts.push("anyone’s own key");
  if (dids.length > 0)
    parts.push(dids.length === 1 ? "one named key" : `${dids.length} named keys`);
  if (roles.length > 0 && !signed) parts.push(`${roles.join(" or ")}, vouched for by the hub`);
  const lent = signed ? ", lent to by an operator, never by the hub" : "";
  return parts.length === 0 ? "The rule accepts nobody." : `Accepts ${parts.join(", or ")}${lent}.`;
}
