// The graph as data: who stands where, and what joins them. However large the fleet, few are drawn:
// many of one kind that were lent the same become one, and a focus draws its own paths only.
import type { DelegationView } from "../../api/schema.gen.ts";
import {
  actionWords,
  byDigest,
  chainOf,
  type Facts,
  kindOf,
  nameOf,
  type PartyKind,
  type Standing,
  standingOf,
  targetsOf,
} from "./authority.ts";

export type NodeKind = PartyKind | "everyone" | "realm" | "group";

export interface GraphNode {
  readonly id: string;
  readonly kind: NodeKind;
  readonly title: string;
  readonly note: string;
  /** Of a group: whom it stands for. */
  readonly members: readonly string[];
  readonly column: number;
  readonly ended: boolean;
}

export interface GraphEdge {
  readonly id: string;
  readonly from: string;
  readonly to: string;
  /** Lent by a delegation, the reach of one, or an agent's place in a realm. */
  readonly kind: "lends" | "reaches" | "holds";
  /** The delegations it stands for. */
  readonly links: readonly string[];
  readonly ended: boolean;
}

export interface Graph {
  readonly nodes: readonly GraphNode[];
  readonly edges: readonly GraphEdge[];
}

/** More of one kind in one column than these become groups. */
const MOST_ALONE = 9;
const MOST_GROUPS = 8;
/** A fleet of so many is drawn agent by agent. */
export const MOST_AGENTS_DRAWN = 12;

interface Sketch {
  readonly facts: Facts;
  readonly columns: Map<string, number>;
  readonly edges: Map<
    string,
    { kind: GraphEdge["kind"]; from: string; to: string; links: string[]; live: boolean }
  >;
}

export interface Choice {
  /** Draw what has ended too. */
  readonly ended: boolean;
  /** Draw only the paths through this one. */
  readonly focus: string | null;
  readonly now: number;
}

export function standings(facts: Facts, now: number): ReadonlyMap<string, Standing> {
  const digests = byDigest(facts);
  return new Map(
    facts.delegations.map((one) => [
      one.id,
      standingOf(chainOf(one, digests, facts.root), facts, now),
    ]),
  );
}

export function graphOf(facts: Facts, { ended, focus, now }: Choice): Graph {
  const standing = standings(facts, now);
  const shown = facts.delegations.filter((one) => ended || standing.get(one.id) === "in force");
  const sketch: Sketch = { facts, columns: new Map(), edges: new Map() };
  placeParties(sketch, shown, standing);
  placeReach(sketch, shown, standing);
  placeAgents(sketch);
  if (focus !== null && sketch.columns.has(focus)) keepPaths(sketch, focus);
  return group(sketch, shown, focus);
}

function join(
  { edges }: Sketch,
  kind: GraphEdge["kind"],
  from: string,
  to: string,
  link: string | null,
  live: boolean,
): void {
  const id = `${kind} ${from} ${to}`;
  const known = edges.get(id) ?? { kind, from, to, links: [], live: false };
  if (link !== null) known.links.push(link);
  edges.set(id, { ...known, live: known.live || live });
}

const isPlace = (id: string) => id === "*" || id.startsWith("realm:");

/** Root first; everybody else one column behind the last of those who lent them something. */
function placeParties(
  sketch: Sketch,
  shown: readonly DelegationView[],
  standing: ReadonlyMap<string, Standing>,
): void {
  const { facts, columns } = sketch;
  columns.set(facts.root, 0);
  columns.set(facts.hub, 1);
  for (const one of shown) {
    join(sketch, "lends", one.issuer, one.subject, one.id, standing.get(one.id) === "in force");
  }
  // Chains are short: a few rounds reach everybody, and a circle cannot go on for ever.
  for (let round = 0; round < 5; round += 1) {
    for (const one of shown) {
      const from = columns.get(one.issuer) ?? (one.parent === null ? 0 : 1);
      columns.set(one.issuer, from);
      columns.set(one.subject, Math.min(5, Math.max(columns.get(one.subject) ?? 0, from + 1)));
    }
  }
}

function placeReach(
  sketch: Sketch,
  shown: readonly DelegationView[],
  standing: ReadonlyMap<string, Standing>,
): void {
  const { columns, facts } = sketch;
  const parties = [...columns].filter(([id]) => kindOf(id, facts) !== "agent");
  const last = Math.max(...parties.map(([, column]) => column));
  const behind = { place: last + 1, agent: last + 2 };
  for (const id of columns.keys()) if (kindOf(id, facts) === "agent") columns.set(id, behind.agent);
  for (const one of shown) {
    for (const to of targetsOf(one)) {
      if (to === one.subject) continue;
      columns.set(to, isPlace(to) ? behind.place : behind.agent);
      join(sketch, "reaches", one.subject, to, one.id, standing.get(one.id) === "in force");
    }
  }
  for (const realm of facts.realms) columns.set(`realm:${realm}`, behind.place);
}

/** Agents of a small fleet, each behind its realms; of a large one those somebody names. */
function placeAgents(sketch: Sketch): void {
  const { facts, columns } = sketch;
  const live = [...facts.agents.values()].filter((one) => one.state !== "revoked");
  const few = facts.allAgents && live.length <= MOST_AGENTS_DRAWN;
  const last = Math.max(...columns.values());
  for (const agent of live) {
    if (!few && !columns.has(agent.did)) continue;
    columns.set(agent.did, columns.get(agent.did) ?? last + 1);
    for (const place of ["*", ...agent.realms.map((realm) => `realm:${realm}`)])
      if (columns.has(place)) join(sketch, "holds", place, agent.did, null, true);
  }
  const agentColumn = Math.max(...columns.values());
  for (const [id] of columns) if (kindOf(id, facts) === "agent") columns.set(id, agentColumn);
}

/** Everybody who can be walked to from `start`, along the edges or against them. */
export function walk(
  edges: Iterable<Pick<GraphEdge, "from" | "to">>,
  start: string,
  direction: "down" | "up",
): Set<string> {
  const next = new Map<string, string[]>();
  for (const { from, to } of edges) {
    const [here, there] = direction === "down" ? [from, to] : [to, from];
    next.set(here, [...(next.get(here) ?? []), there]);
  }
  const seen = new Set([start]);
  const waiting = [start];
  for (let id = waiting.pop(); id !== undefined; id = waiting.pop()) {
    for (const one of next.get(id) ?? []) {
      if (!seen.has(one)) {
        seen.add(one);
        waiting.push(one);
      }
    }
  }
  return seen;
}

function keepPaths({ edges, columns }: Sketch, focus: string): void {
  const kept = new Set([
    ...walk(edges.values(), focus, "up"),
    ...walk(edges.values(), focus, "down"),
  ]);
  for (const id of columns.keys()) if (!kept.has(id)) columns.delete(id);
  for (const [id, one] of edges) if (!kept.has(one.from) || !kept.has(one.to)) edges.delete(id);
}

/** Many of one kind in one column, made few: alike ones together, what is left as "others". */
function group(sketch: Sketch, shown: readonly DelegationView[], focus: string | null): Graph {
  const { facts, columns, edges } = sketch;
  const standsFor = new Map<string, string>();
  const groups: GraphNode[] = [];
  const lent = new Map<string, DelegationView[]>();
  for (const one of shown) lent.set(one.subject, [...(lent.get(one.subject) ?? []), one]);
  const crowds = new Map<string, string[]>();
  for (const [id, column] of columns) {
    const kind = nodeKind(id, facts);
    if (kind === "everyone" || id === focus) continue;
    const crowd = `${kind} ${column}`;
    crowds.set(crowd, [...(crowds.get(crowd) ?? []), id]);
  }
  for (const ids of crowds.values()) {
    if (ids.length <= MOST_ALONE) continue;
    const alike = new Map<string, string[]>();
    for (const id of ids) {
      const sign = signOf(lent.get(id) ?? []);
      alike.set(sign, [...(alike.get(sign) ?? []), id]);
    }
    const sorted = [...alike.values()].sort((a, b) => b.length - a.length);
    const rest = sorted.splice(MOST_GROUPS).flat();
    for (const members of rest.length > 0 ? [...sorted, rest] : sorted) {
      const [first] = members as [string];
      if (members.length === 1) continue;
      const id = `group:${first}`;
      for (const one of members) standsFor.set(one, id);
      groups.push({
        id,
        kind: "group",
        title: `${members.length} ${pluralOf(nodeKind(first, facts))}`,
        note: members === rest ? "lent this and that" : lentNote(lent.get(first) ?? []),
        members,
        column: columns.get(first) ?? 0,
        ended: false,
      });
    }
  }
  const at = (id: string) => standsFor.get(id) ?? id;
  const joined = new Map<string, GraphEdge>();
  const gathered = new Map<string, string[]>();
  for (const { kind, from, to, links, live } of edges.values()) {
    const id = `${kind} ${at(from)} ${at(to)}`;
    const known = joined.get(id);
    const all = gathered.get(id) ?? [];
    gathered.set(id, all);
    for (const link of links) all.push(link);
    const ended = !live && (known?.ended ?? true);
    joined.set(id, { id, kind, from: at(from), to: at(to), links: all, ended });
  }
  const alive = new Set([...joined.values()].flatMap((one) => (one.ended ? [] : [one.to])));
  const alone = [...columns]
    .filter(([id]) => !standsFor.has(id))
    .map(
      ([id, column]): GraphNode => ({
        id,
        kind: nodeKind(id, facts),
        title: titleOf(id, facts),
        note: noteOf(id, facts, lent.get(id) ?? []),
        members: [],
        column,
        ended: id !== facts.root && (lent.has(id) || facts.revokedKeys.has(id)) && !alive.has(id),
      }),
    );
  return { nodes: squeeze([...alone, ...groups]), edges: [...joined.values()] };
}

/** Columns without gaps. */
function squeeze(nodes: readonly GraphNode[]): GraphNode[] {
  const used = [...new Set(nodes.map((one) => one.column))].sort((a, b) => a - b);
  return nodes.map((one) => ({ ...one, column: used.indexOf(one.column) }));
}

function nodeKind(id: string, facts: Facts): NodeKind {
  if (id === "*") return "everyone";
  return id.startsWith("realm:") ? "realm" : kindOf(id, facts);
}

function titleOf(id: string, facts: Facts): string {
  if (id === "*") return "Every agent";
  return id.startsWith("realm:") ? id.slice("realm:".length) : nameOf(id, facts);
}

function noteOf(id: string, facts: Facts, lent: readonly DelegationView[]): string {
  if (id === facts.root) return "what agents trust";
  if (id === facts.log) return "signs checkpoints";
  if (id === "*") return facts.agentCount === null ? "of every realm" : `${facts.agentCount} now`;
  if (id.startsWith("realm:")) {
    if (!facts.allAgents) return "realm";
    const realm = id.slice("realm:".length);
    const inside = [...facts.agents.values()].filter(
      (one) => one.state !== "revoked" && one.realms.includes(realm),
    ).length;
    return `realm, ${inside} ${inside === 1 ? "agent" : "agents"}`;
  }
  if (kindOf(id, facts) === "agent") return facts.agents.get(id)?.status ?? "agent";
  return lentNote(lent);
}

const lentNote = (lent: readonly DelegationView[]): string =>
  actionWords(
    lent.flatMap((one) => one.capabilities),
    2,
  ) || "nothing";

/** Equal for those who were lent the same. */
const signOf = (lent: readonly DelegationView[]): string =>
  lent
    .map((one) => JSON.stringify([one.issuer, one.capabilities, one.conditions, one.budget]))
    .sort()
    .join();

const PLURALS: Partial<Record<NodeKind, string>> = { person: "people" };
export const pluralOf = (kind: NodeKind): string => PLURALS[kind] ?? `${kind}s`;

export const BOX = { width: 164, height: 46, gapX: 44, gapY: 14 } as const;

export interface Place {
  readonly x: number;
  readonly y: number;
}

/** Where each node stands: columns from left to right, each ordered by those it hangs on. */
export function layOut({ nodes, edges }: Graph): ReadonlyMap<string, Place> {
  const columns: GraphNode[][] = [];
  for (const one of nodes) {
    columns[one.column] ??= [];
    columns[one.column]?.push(one);
  }
  const before = new Map<string, string[]>();
  for (const one of edges) before.set(one.to, [...(before.get(one.to) ?? []), one.from]);
  const tallest = Math.max(...columns.map((one) => one.length));
  const step = BOX.height + BOX.gapY;
  const places = new Map<string, Place>();
  for (const [column, ones] of columns.entries()) {
    const pull = (node: GraphNode) => {
      const ys = (before.get(node.id) ?? []).flatMap((id) => places.get(id)?.y ?? []);
      return ys.length === 0 ? 0 : ys.reduce((sum, y) => sum + y, 0) / ys.length;
    };
    const ordered = ones
      .map((node) => ({ node, pull: pull(node) }))
      .sort((a, b) => a.pull - b.pull || a.node.title.localeCompare(b.node.title));
    const top = ((tallest - ordered.length) * step) / 2;
    for (const [row, { node }] of ordered.entries())
      places.set(node.id, { x: column * (BOX.width + BOX.gapX), y: top + row * step });
  }
  return places;
}
