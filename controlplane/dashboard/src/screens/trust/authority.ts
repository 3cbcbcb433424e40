// Who was lent what, as the hub tells of it: chains, whether they count, and what they say in words.
// It decides nothing: each agent judges every chain again, offline.
import type { AgentView, DelegationView, UserView } from "../../api/schema.gen.ts";
import { coversAction } from "../../proof/chain.ts";
import { inert } from "../../ui/inert.ts";
import { shorten } from "../../ui/shorten.ts";

export type PartyKind = "root" | "hub" | "log" | "key" | "person" | "agent";
export type Standing = "in force" | "not yet" | "expired" | "revoked" | "cut off";

/** What this person may see of who trusts whom. */
export interface Facts {
  readonly root: string;
  readonly hub: string;
  readonly log: string;
  readonly delegations: readonly DelegationView[];
  /** Whether those are all there are, or only the newest. */
  readonly allDelegations: boolean;
  /** Agents by DID; of a large fleet only those that are named somewhere. */
  readonly agents: ReadonlyMap<string, AgentView>;
  readonly allAgents: boolean;
  /** How many there are, revoked ones apart; null where nobody says. */
  readonly agentCount: number | null;
  /** People by `user:<uuid>`; null where this person may not see any. */
  readonly people: ReadonlyMap<string, UserView> | null;
  readonly realms: readonly string[];
  /** Names of the person's own keys, by DID. */
  readonly ownKeys: ReadonlyMap<string, string>;
  /** Keys that the root itself has lent something: operators, whom no hub stands above. */
  readonly operators: ReadonlySet<string>;
  readonly revokedKeys: ReadonlySet<string>;
}

export type Capability = DelegationView["capabilities"][number];

/** The delegations from the root down to one, itself last. */
export interface Chain {
  readonly links: readonly DelegationView[];
  /** Whether it reaches the root; a link may lie in a realm that this person does not see. */
  readonly whole: boolean;
}

const MOST_LINKS = 5;
/** Powers that no order uses: the hub's to carry frames, the log's to sign the record. */
const NO_ORDERS: ReadonlySet<string> = new Set(["writ.route", "writ.log"]);

export function byDigest(facts: Facts): ReadonlyMap<string, DelegationView> {
  return new Map(facts.delegations.map((one) => [one.digest, one]));
}

export function chainOf(
  last: DelegationView,
  digests: ReadonlyMap<string, DelegationView>,
  root: string,
): Chain {
  const links = [last];
  while (links.length < MOST_LINKS) {
    const { parent } = links[0] as DelegationView;
    const above = parent === null ? undefined : digests.get(parent);
    if (above === undefined) break;
    links.unshift(above);
  }
  const [first] = links as [DelegationView];
  return { links, whole: first.parent === null && first.issuer === root };
}

/** The state of one delegation by itself. */
export function ownStanding(one: DelegationView, facts: Facts, now: number): Standing {
  const { revokedKeys } = facts;
  if (one.revoked || revokedKeys.has(one.subject) || revokedKeys.has(one.issuer)) return "revoked";
  if (Date.parse(one.expiresAt) <= now) return "expired";
  return Date.parse(one.notBefore) > now ? "not yet" : "in force";
}

/** Whether a chain counts now: what hangs under something that does not, does not either. */
export function standingOf(chain: Chain, facts: Facts, now: number): Standing {
  const own = chain.links.map((one) => ownStanding(one, facts, now));
  const last = own.at(-1) ?? "cut off";
  if (last !== "in force") return last;
  return chain.whole && own.every((one) => one === "in force") ? "in force" : "cut off";
}

export function kindOf(id: string, facts: Facts): PartyKind {
  if (id === facts.root) return "root";
  if (id === facts.hub) return "hub";
  if (id === facts.log) return "log";
  if (id.startsWith("user:")) return "person";
  return facts.agents.has(id) ? "agent" : "key";
}

/** A party by the name people know it by; whatever it is called is shown inert. */
export function nameOf(id: string, facts: Facts): string {
  const kind = kindOf(id, facts);
  if (kind === "root") return "Root";
  if (kind === "hub") return "This hub";
  if (kind === "log") return "The record's log";
  if (kind === "person")
    return inert(facts.people?.get(id)?.name ?? `person ${shorten(id.slice(5), 6)}`);
  if (kind === "agent") return inert(facts.agents.get(id)?.name ?? id);
  const own = facts.ownKeys.get(id);
  if (own !== undefined) return `your key ${inert(own)}`;
  return `${facts.operators.has(id) ? "operator" : "key"} …${inert(id.slice(-6))}`;
}

/** Why a delegation is there. */
export function sourceWords(one: DelegationView): string {
  if (one.source === "role") return "stands for a role";
  if (one.source === "role.key") return "stands for the role of a key's owner";
  if (one.source === "grant") return "lent by somebody here";
  return one.parent === null ? "signed by the root" : "signed elsewhere";
}

export function actionWords(capabilities: readonly Capability[], most = 3): string {
  const names = [...new Set(capabilities.map((one) => one.action))];
  const shown = names.slice(0, most).map((one) => (one === "*" ? "any action" : inert(one)));
  return names.length > most
    ? `${shown.join(", ")} and ${names.length - most} more`
    : shown.join(", ");
}

export function placeWords(one: Capability, facts: Facts): string {
  if (one.action === "writ.log") return "for the record";
  const realms = one.realms?.map(inert).join(", ");
  const at = one.agents?.map((did) => nameOf(did, facts)).join(", ");
  if (one.realms?.length === 0 || one.agents?.length === 0) return "nowhere";
  if (realms === undefined) return at === undefined ? "at every agent" : `at ${at}`;
  return at === undefined ? `in ${realms}` : `at ${at}, in ${realms}`;
}

export interface Question {
  readonly agent: string;
  readonly action: string;
  readonly realm: string;
}

/** Whether every link of a chain covers an order; conditions are the agent's to judge. */
export function covers(chain: Chain, { agent, action, realm }: Question): boolean {
  return chain.links.every((link) =>
    link.capabilities.some(
      (one) =>
        coversAction(one.action, action) &&
        (one.realms == null || one.realms.includes(realm)) &&
        (one.agents == null || one.agents.includes(agent)),
    ),
  );
}

/** Conditions that have to be true on top of it all. */
export const conditionsOf = (chain: Chain): string[] =>
  chain.links.flatMap((link) => link.conditions).filter((text) => text !== "true");

/** Where a delegation's orders can go: `*` for every agent, `realm:name`, or the DID of an agent. */
export function targetsOf(one: DelegationView): string[] {
  const found = one.capabilities
    .filter((item) => !NO_ORDERS.has(item.action))
    .flatMap((item) => {
      if (item.realms?.length === 0) return [];
      if (item.agents != null) return item.agents;
      return item.realms == null ? ["*"] : item.realms.map((name) => `realm:${name}`);
    });
  return [...new Set(found)];
}
