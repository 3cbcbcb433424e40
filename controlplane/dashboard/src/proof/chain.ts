/**
 * Owns chains: the delegations that lead from the root to a signer (SPEC section 7, steps 2 and 3,
 * as far as a chain decides them).
 *
 * There is no CEL here, so a condition other than `true` is in error, which is false: a chain with
 * one is never shown as granting. Must not know policies, limits and approvals.
 */
import type { Capability, DelegationPayload } from "./documents.ts";
import { DOCUMENTS } from "./documents.ts";
import { digestOf, type Envelope, isSigned, parseEnvelope } from "./envelope.ts";
import { Refused } from "./json.ts";
import { didOf } from "./keys.ts";

const MAX_LINKS = 5;
const SKEW_MILLISECONDS = 60_000;

/** One delegation; `digest` is the name its children use for it. */
export interface Link extends Omit<Envelope, "payload"> {
  readonly payload: DelegationPayload;
  readonly digest: string;
  readonly envelope: Envelope;
}

/** What a chain is to show. Keys are Multikeys, everybody else a DID. */
export interface Question {
  readonly root: string;
  readonly signer: string;
  /** Ids from the root to the signer; null: the root, or the hub under its own delegation. */
  readonly proof: readonly string[] | null;
  readonly held: ReadonlyMap<string, Link>;
  readonly hub: string | null;
  readonly hubDelegation: string | null;
  /** Milliseconds. */
  readonly now: number;
  readonly order: { readonly action: string; readonly realm: string };
  /** DID of who is to act. */
  readonly agent: string;
  readonly revokedKeys: readonly string[];
  readonly revokedDelegations: readonly string[];
  readonly forbidHub: boolean;
}

function refuse(code: string, why?: string): never {
  throw new Refused(code, why);
}

/** Whether a granted name or pattern covers an action. */
export function coversAction(granted: string, action: string): boolean {
  if (granted === action) return true;
  if (action.startsWith("writ.")) return false;
  return granted === "*" || (granted.endsWith(".*") && action.startsWith(granted.slice(0, -1)));
}

/** Delegations by id, their signatures not yet believed. Throws as `parseEnvelope`, or `bad_payload`. */
export async function readHeld(texts: readonly string[]): Promise<Map<string, Link>> {
  const links = await Promise.all(
    texts.map(async (text): Promise<Link> => {
      const envelope = parseEnvelope(text);
      if (envelope.type !== "delegation" || !envelope.isDocument)
        refuse("bad_envelope", "not a delegation");
      DOCUMENTS.get("delegation")?.payload(envelope.payload, true);
      const payload = envelope.payload as unknown as DelegationPayload;
      return { ...envelope, payload, digest: await digestOf(envelope), envelope };
    }),
  );
  return new Map(links.map((link) => [link.id, link]));
}

/** Steps 2 and 3 for one order; returns the links, or throws the first code that holds. */
export async function checkChain(question: Question): Promise<readonly Link[]> {
  const links = await verifyChain(question);
  checkGranted(links, question);
  if (conditionsOf(links).length > 0)
    refuse("condition_false", "a condition that only an agent can judge");
  return links;
}

/** Step 2: the links from the root to the signer, whatever they grant. */
export async function verifyChain(question: Question): Promise<readonly Link[]> {
  const { root, signer, now, revokedKeys, revokedDelegations } = question;
  const links = namedLinks(question);
  await checkShape(links, root, signer);
  const subjects = links.map((link) => link.payload.subject);
  if (question.forbidHub) {
    const hubs = hubKeys(question);
    if ([...subjects, didOf(signer)].some((did) => hubs.has(did))) refuse("operator_required");
  }
  if (subjects.some((did) => revokedKeys.includes(did)))
    refuse("revoked", "a key of the chain is revoked");
  if (links.some((link) => revokedDelegations.includes(link.id)))
    refuse("revoked", "a delegation is revoked");
  for (const { timestamp, expires, payload } of links) {
    const from = Math.max(Date.parse(timestamp) - SKEW_MILLISECONDS, Date.parse(payload.notBefore));
    if (now < from || now >= Date.parse(expires ?? "")) refuse("chain_expired");
  }
  links.slice(1).forEach((link, index) => {
    if (!isAttenuated(link, links[index] as Link)) refuse("not_attenuated");
  });
  return links;
}

/** Step 3 without conditions: every link covers action, realm and agent. Throws `not_granted`. */
export function checkGranted(
  links: readonly Link[],
  question: Pick<Question, "order" | "agent">,
): void {
  if (!links.every((link) => covers(link.payload.capabilities, question))) {
    refuse("not_granted", `the chain does not grant ${question.order.action} here`);
  }
}

/** The conditions of a chain that only an agent can judge. */
export const conditionsOf = (links: readonly Link[]): string[] =>
  links.flatMap((link) => link.payload.conditions).filter((text) => text !== "true");

/** Ids of held links from `root` down to `signer`, the newest first where there is a choice. */
export function pathTo(signer: string, root: string, held: ReadonlyMap<string, Link>): string[] {
  const path: string[] = [];
  let [subject, digest]: [string, string | null] = [didOf(signer), null];
  while (subject !== didOf(root) && path.length < MAX_LINKS) {
    const [newest] = [...held.values()]
      .filter(
        (link) => link.payload.subject === subject && (digest === null || link.digest === digest),
      )
      .sort((one, other) => other.timestamp.localeCompare(one.timestamp));
    if (newest === undefined) break;
    path.unshift(newest.id);
    [subject, digest] = [newest.sender, newest.payload.parent];
  }
  return path;
}

function namedLinks({ root, signer, proof, held, hub, hubDelegation }: Question): readonly Link[] {
  if (!proof?.length && signer === root) return [];
  const ids =
    proof === null && signer === hub && hubDelegation !== null ? [hubDelegation] : (proof ?? []);
  const links = ids.flatMap((id) => held.get(id) ?? []);
  if (links.length === 0 || links.length < ids.length)
    refuse("no_chain", "a link of the chain is missing");
  if (signer !== root && !links.some((link) => link.payload.subject === didOf(signer))) {
    refuse("no_chain", "no link leads to the signer");
  }
  return links;
}

async function checkShape(links: readonly Link[], root: string, signer: string): Promise<void> {
  const keys = [didOf(root), ...links.map((link) => link.payload.subject)];
  if (links.length > MAX_LINKS) refuse("bad_chain", "too long");
  if (new Set(keys).size !== keys.length) refuse("bad_chain", "a key twice");
  for (const [index, link] of links.entries()) {
    const parent = links[index - 1]?.digest ?? null;
    if (link.sender !== keys[index]) refuse("bad_chain", "not signed by the subject before it");
    if (link.payload.parent !== parent) refuse("bad_chain", "another parent");
    if (!(await isSigned(link.envelope)))
      refuse("bad_chain", "the signature of a link does not hold");
  }
  if (keys.at(-1) !== didOf(signer)) refuse("bad_chain", "it does not end at the signer");
}

function hubKeys({ root, hub, held }: Question): ReadonlySet<string> {
  const made = [...held.values()].filter(
    (link) =>
      link.publicKey === root &&
      link.payload.capabilities.some((item) => item.action === "writ.route"),
  );
  return new Set([
    ...(hub === null ? [] : [didOf(hub)]),
    ...made.map((link) => link.payload.subject),
  ]);
}

/** Whether a link allows no more than the one above it, nor for longer. */
export function isAttenuated(child: Link, parent: Link): boolean {
  const [inner, outer] = [child.payload, parent.payload];
  return (
    inner.maxDepth <= outer.maxDepth - 1 &&
    inner.notBefore >= outer.notBefore &&
    (child.expires ?? "") <= (parent.expires ?? "") &&
    inner.capabilities.every((item) => outer.capabilities.some((wide) => isInside(item, wide))) &&
    Object.entries(outer.budget ?? {}).every(
      ([name, most]) => (inner.budget?.[name] ?? Infinity) <= most,
    )
  );
}

/** Whether everything that `child` covers lies inside `parent`. */
function isInside(child: Capability, parent: Capability): boolean {
  const fits = (inner?: readonly string[], outer?: readonly string[]) =>
    outer === undefined || (inner?.every((item) => outer.includes(item)) ?? false);
  return (
    (child.action === parent.action ||
      (child.action !== "*" && coversAction(parent.action, child.action))) &&
    fits(child.realms, parent.realms) &&
    fits(child.agents, parent.agents)
  );
}

function covers(
  capabilities: readonly Capability[],
  { order, agent }: Pick<Question, "order" | "agent">,
): boolean {
  return capabilities.some(
    (item) =>
      coversAction(item.action, order.action) &&
      (item.realms === undefined || item.realms.includes(order.realm)) &&
      (item.agents === undefined || item.agents.includes(agent)),
  );
}
