// What a key was lent, and by which chain it may do something. The hub and the agents judge again.
import type { LentView, OwnKeyView } from "../api/schema.gen.ts";
import { coversAction } from "../proof/chain.ts";

/** Whether a chain names an action at all, wherever it may be done. */
export const names = (one: LentView, action: string): boolean =>
  one.capabilities.some((capability) => coversAction(capability.action, action));

/** Whether a chain lets `action` be done at an agent in a realm; null: in whatever realm. */
export function reaches(
  one: LentView,
  action: string,
  realm: string | null,
  agent: string,
): boolean {
  return one.capabilities.some(
    (capability) =>
      coversAction(capability.action, action) &&
      (capability.realms == null || (realm !== null && capability.realms.includes(realm))) &&
      (capability.agents == null || capability.agents.includes(agent)),
  );
}

/**
 * The chain by which a key may do `action` at an agent, in each of the realms; operator-lent first.
 *
 * No realm at all is covered only by what was lent for every realm.
 */
export function chainFor(
  known: OwnKeyView,
  action: string,
  realms: readonly string[],
  agent: string,
): LentView | null {
  const wanted = realms.length > 0 ? realms : [null];
  const covering = known.lent.filter((one) =>
    wanted.every((realm) => reaches(one, action, realm, agent)),
  );
  return covering.find((one) => !one.throughHub) ?? covering[0] ?? null;
}
