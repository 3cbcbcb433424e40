// Who can make an agent do something: every party to whom a chain from the root leads that covers
// it. From what the hub tells; what it does not tell is said on the screen.
import {
  byDigest,
  type Chain,
  chainOf,
  conditionsOf,
  covers,
  type Facts,
  kindOf,
  type Question,
  standingOf,
} from "./authority.ts";

export type How = "root" | "hub" | "machine" | "person" | "key" | "agent";

export interface Way {
  /** The party: a DID, `user:<uuid>` or, of a machine, its API key's name. */
  readonly who: string;
  readonly how: How;
  /** From the root to what counts; null for the root itself. */
  readonly chain: Chain | null;
  /** Further delegations by which the same party can. */
  readonly more: number;
  readonly conditions: readonly string[];
  /** Whether it counts for nothing where an agent asks for an operator's signature. */
  readonly throughHub: boolean;
  /** How the policy sees the order. */
  readonly caller: string;
  readonly onBehalfOf: string | null;
}

/** What people may do by their roles, where this person may see that. */
export interface Rights {
  /** People who order in the hub's own name. */
  readonly own: ReadonlySet<string>;
  /** People whom the hub lets order in this realm; null where nobody says. */
  readonly submit: ReadonlySet<string> | null;
  /** Names of the API keys by which machines order here, as far as this person sees them. */
  readonly machines: readonly string[];
}

const ORDER: readonly How[] = ["root", "hub", "machine", "person", "key", "agent"];

export function waysTo(question: Question, facts: Facts, rights: Rights, now: number): Way[] {
  const digests = byDigest(facts);
  const byWho = new Map<string, Way>();
  const hubs = new Set([facts.hub]);
  for (const one of facts.delegations)
    if (one.parent === null && one.capabilities.some((item) => item.action === "writ.route"))
      hubs.add(one.subject);
  let hubChain: Chain | null = null;
  for (const one of facts.delegations) {
    const chain = chainOf(one, digests, facts.root);
    if (!covers(chain, question) || standingOf(chain, facts, now) !== "in force") continue;
    if (one.subject === facts.hub) {
      hubChain ??= chain;
      continue;
    }
    if (hubs.has(one.subject) || one.subject === question.agent) continue;
    const kind = kindOf(one.subject, facts);
    const how: How = kind === "person" || kind === "agent" ? kind : "key";
    if (how === "person" && rights.submit !== null && !rights.submit.has(one.subject)) continue;
    const way: Way = {
      who: one.subject,
      how,
      chain,
      more: 0,
      conditions: conditionsOf(chain),
      throughHub: how === "person" || chain.links.some((link) => hubs.has(link.issuer)),
      caller: how === "person" ? facts.hub : one.subject,
      onBehalfOf: how === "person" ? one.subject : null,
    };
    const known = byWho.get(one.subject);
    const [best, other] = known && !isBetter(way, known) ? [known, way] : [way, known];
    byWho.set(one.subject, { ...best, more: other === undefined ? 0 : (known?.more ?? 0) + 1 });
  }
  const root: Way = {
    who: facts.root,
    how: "root",
    chain: null,
    more: 0,
    conditions: [],
    throughHub: false,
    caller: facts.root,
    onBehalfOf: null,
  };
  const inHubsName = (who: string, how: How): Way[] =>
    hubChain === null
      ? []
      : [
          {
            ...root,
            who,
            how,
            chain: hubChain,
            conditions: conditionsOf(hubChain),
            throughHub: true,
            caller: facts.hub,
          },
        ];
  const own = [...rights.own].flatMap((who) => inHubsName(who, "hub"));
  const machines = rights.machines.flatMap((name) => inHubsName(name, "machine"));
  // The hub's own word covers what their grants would.
  const others = [...byWho.values()].filter((one) => !own.some((hub) => hub.who === one.who));
  return [root, ...own, ...machines, ...others].sort(
    (a, b) => ORDER.indexOf(a.how) - ORDER.indexOf(b.how),
  );
}

/** Fewer conditions first; then what also counts where an operator has to sign. */
function isBetter(one: Way, other: Way): boolean {
  if (one.conditions.length !== other.conditions.length)
    return one.conditions.length < other.conditions.length;
  return !one.throughHub && other.throughHub;
}
