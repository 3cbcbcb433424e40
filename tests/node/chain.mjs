// Chains of delegations: SPEC section 7, steps 2 and 3, as far as a chain decides them.
import { Refused } from "./json.mjs";
import { isSigned, parseEnvelope } from "./envelope.mjs";
import { didOf } from "./keys.mjs";
import { MESSAGES } from "./messages.mjs";

const MAX_LINKS = 5;
const refuse = (code) => {
  throw new Refused(code);
};

/** Whether a granted pattern covers an action. */
export function coversAction(granted, action) {
  if (granted === action) return true;
  if (action.startsWith("writ.")) return false;
  return granted === "*" || (granted.endsWith(".*") && action.startsWith(granted.slice(0, -1)));
}

/** Whether everything a child's capability covers lies inside one of the parent's. */
function isInside(child, parent) {
  const patternFits =
    child.action === parent.action ||
    (child.action === "*" ? false : coversAction(parent.action, child.action));
  const listFits = (inner, outer) => !outer || (inner && inner.every((item) => outer.includes(item)));
  return patternFits && listFits(child.realms, parent.realms) && listFits(child.agents, parent.agents);
}

function isAttenuated(child, parent) {
  const [inner, outer] = [child.payload, parent.payload];
  return (
    inner.maxDepth <= outer.maxDepth - 1 &&
    inner.notBefore >= outer.notBefore &&
    child.expires <= parent.expires &&
    inner.capabilities.every((item) => outer.capabilities.some((wide) => isInside(item, wide))) &&
    Object.entries(outer.budget ?? {}).every(([name, most]) => (inner.budget?.[name] ?? Infinity) <= most)
  );
}

/** Read what an agent holds: delegations by id, their signatures not yet believed. */
export function readHeld(texts) {
  const links = texts.map(parseEnvelope);
  for (const link of links) MESSAGES.get("delegation").payload(link.payload, true);
  return new Map(links.map((link) => [link.id, link]));
}

function namedLinks({ root, signer, proof, held, hub, hubDelegation }) {
  if (!proof?.length && signer === root) return [];
  const ids = proof === null && signer === hub && hubDelegation ? [hubDelegation] : (proof ?? []);
  const links = ids.map((id) => held.get(id));
  if (!links.length || links.includes(undefined)) refuse("no_chain");
  if (signer !== root && !links.some((link) => link.payload.subject === didOf(signer))) refuse("no_chain");
  return links;
}

function checkShape(links, root, signer) {
  const keys = [didOf(root), ...links.map((link) => link.payload.subject)];
  if (links.length > MAX_LINKS || new Set(keys).size !== keys.length) refuse("bad_chain");
  links.forEach((link, index) => {
    const parent = index ? links[index - 1].digest : null;
    if (link.sender !== keys[index] || link.payload.parent !== parent || !isSigned(link)) refuse("bad_chain");
  });
  if (keys.at(-1) !== didOf(signer)) refuse("bad_chain");
}

function hubKeys({ root, hub, held }) {
  const made = [...held.values()].filter(
    (link) => link.publicKey === root && link.payload.capabilities.some((item) => item.action === "writ.route"),
  );
  return new Set([didOf(hub), ...made.map((link) => link.payload.subject)]);
}

/** Steps 2 and 3 for an order; returns the links, or throws the first code that holds. */
export function checkChain(question) {
  const { root, signer, now, order, agent, revokedKeys, revokedDelegations, forbidHub } = question;
  const links = namedLinks(question);
  checkShape(links, root, signer);
  const subjects = links.map((link) => link.payload.subject);
  if (forbidHub && subjects.some((did) => hubKeys(question).has(did))) refuse("operator_required");
  if (subjects.some((did) => revokedKeys.includes(did))) refuse("revoked");
  if (links.some((link) => revokedDelegations.includes(link.id))) refuse("revoked");
  for (const { timestamp, expires, payload } of links) {
    const from = Math.max(Date.parse(timestamp) - 60_000, Date.parse(payload.notBefore));
    if (now < from || now >= Date.parse(expires)) refuse("chain_expired");
  }
  if (links.some((link, index) => index && !isAttenuated(link, links[index - 1]))) refuse("not_attenuated");
  const covers = (item) =>
    coversAction(item.action, order.action) &&
    (!item.realms || item.realms.includes(order.realm)) &&
    (!item.agents || item.agents.includes(agent));
  if (!links.every((link) => link.payload.capabilities.some(covers))) refuse("not_granted");
  // No CEL here: `true` is true, and everything else an error, which is false.
  if (links.some((link) => link.payload.conditions.some((text) => text !== "true"))) refuse("condition_false");
  return links;
}
