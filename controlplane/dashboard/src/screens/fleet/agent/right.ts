// Whether a person's key releases an agent, and if not, what is missing. The agent judges again.
import type { AgentView, LentView, OwnKeyView } from "../../../api/schema.gen.ts";
import { chainFor, names, reaches } from "../../../people/lent.ts";

export const RELEASE = "writ.quarantine";

export type Right =
  | { kind: "ready"; lent: LentView }
  /** Nobody has lent it the action, or only through the hub's key, which releases nobody. */
  | { kind: "none" }
  | { kind: "through-hub" }
  /** Lent by an operator, but not here: in which of the agent's realms it is missing. */
  | { kind: "elsewhere"; realms: readonly string[] };

export function rightToRelease(known: OwnKeyView, agent: Pick<AgentView, "did" | "realms">): Right {
  const lent = chainFor(known, RELEASE, agent.realms, agent.did);
  if (lent !== null && !lent.throughHub) return { kind: "ready", lent };
  const naming = known.lent.filter((one) => names(one, RELEASE));
  const direct = naming.filter((one) => !one.throughHub);
  if (direct.length === 0) return { kind: naming.length > 0 ? "through-hub" : "none" };
  const [fewest] = direct
    .map((one) => agent.realms.filter((realm) => !reaches(one, RELEASE, realm, agent.did)))
    .sort((one, other) => one.length - other.length);
  return { kind: "elsewhere", realms: fewest ?? [] };
}
