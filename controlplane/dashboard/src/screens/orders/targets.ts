// Whom an order would reach, told beforehand; the hub resolves the target again when it is given.
import type { ActionView, AgentView } from "../../api/schema.gen.ts";

export type TargetKind = "agent" | "capability" | "selector";

export interface Target {
  kind: TargetKind;
  /** Name or DID, name of a capability, or `label=value,realm=R`. */
  text: string;
}

/** The agents a target means; null where it means nothing yet. */
export function reachedBy(
  target: Target,
  agents: readonly AgentView[],
): readonly AgentView[] | null {
  const text = target.text.trim();
  const live = agents.filter((one) => one.state !== "revoked");
  if (text === "") return null;
  if (target.kind === "agent") return live.filter((one) => one.name === text || one.did === text);
  if (target.kind === "capability") return live.filter((one) => one.capabilities.includes(text));
  const parts = text.split(",").map((one) => one.trim().split("="));
  if (parts.some((one) => one.length !== 2 || one.includes(""))) return null;
  return live.filter((agent) =>
    parts.every(([name = "", value = ""]) =>
      name === "realm" ? agent.realms.includes(value) : agent.labels[name] === value,
    ),
  );
}

/** Actions that every one of these agents offers, by name. */
export function commonActions(agents: readonly AgentView[]): readonly ActionView[] {
  const [first, ...rest] = agents;
  return (first?.actions ?? [])
    .filter((action) =>
      rest.every((one) => one.actions.some((other) => other.name === action.name)),
    )
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}
