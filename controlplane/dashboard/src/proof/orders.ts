/**
 * Owns the proof of one order: every check that must hold before a page may say "verified".
 *
 * What a hub shows beside its documents is believed only where it is what the documents say, so
 * the order and the result to show come out of here. Must not know where the bytes came from.
 */
import { callDigest } from "./approvals.ts";
import { utf8 } from "./bytes.ts";
import { checkGranted, conditionsOf, type Link, pathTo, readHeld, verifyChain } from "./chain.ts";
import type { ApprovalPayload, IntentPayload, ResultPayload } from "./documents.ts";
import { digestOf, type Envelope, verifyStored } from "./envelope.ts";
import { canonicalJson, isObject, type PlainValue, parseStrictJson, Refused } from "./json.ts";
import { logKey } from "./log_key.ts";
import { decodeHashes, isIncluded, leafHash, verifyCheckpoint } from "./record.ts";

/** What a hub says about an order, in the words of its REST API. */
export interface ShownOrder {
  readonly id: string;
  readonly agent: string;
  readonly action: string;
  readonly params: PlainValue;
  readonly realm: string;
  readonly state: string;
  readonly documents: {
    readonly intent: string | null;
    readonly result: string | null;
    readonly delegations: readonly string[];
    readonly approvals: readonly string[];
  };
}

/** A leaf of the record, and what proves that it is in it; hashes in base64. */
export interface ShownInclusion {
  readonly index: number;
  readonly leaf: string;
  readonly proof: readonly string[];
  readonly checkpoint: string;
  readonly logDelegation: string;
}

export type CheckName = "order" | "authority" | "result" | "approvals" | "record";

/** One check: it holds, it fails with a stable code, or nothing has come yet that could be checked. */
export interface Check {
  readonly name: CheckName;
  readonly state: "holds" | "fails" | "open";
  readonly says: string;
  readonly code?: string;
}

export interface OrderProof {
  readonly checks: readonly Check[];
  /** Everything there is to check was checked, and holds. */
  readonly verified: boolean;
  readonly failed: boolean;
  /** As signed; null where the signature does not hold. */
  readonly intent: IntentPayload | null;
  readonly result: ResultPayload | null;
}

interface Open {
  readonly open: string;
}
type Outcome = string | Open;

/**
 * Check everything that a browser can about one order.
 *
 * `root` is the Multikey of the root that this browser trusts. `inclusion` is null where the hub
 * gave none: then the order is not verified, whatever else holds.
 */
export async function proveOrder(
  shown: ShownOrder,
  inclusion: ShownInclusion | null,
  root: string,
): Promise<OrderProof> {
  const checks: Check[] = [];
  const run = async (name: CheckName, check: () => Promise<Outcome>): Promise<boolean> => {
    try {
      const outcome = await check();
      const isOpen = typeof outcome !== "string";
      checks.push({
        name,
        state: isOpen ? "open" : "holds",
        says: isOpen ? outcome.open : outcome,
      });
      return !isOpen;
    } catch (error) {
      const code = error instanceof Refused ? error.code : "internal";
      const says = error instanceof Error ? error.message : "it could not be checked";
      checks.push({ name, state: "fails", code, says });
      return false;
    }
  };

  const found: { order?: Envelope; result?: Envelope } = {};
  const held = { links: new Map<string, Link>() };
  const orderHolds = await run("order", async () => {
    found.order = await proveIntent(shown);
    return `signed by ${found.order.sender}`;
  });
  const { order } = found;
  const needsOrder = (check: () => Promise<Outcome>) => async (): Promise<Outcome> =>
    order === undefined ? { open: "needs the order itself" } : check();
  await run(
    "authority",
    needsOrder(async () => {
      held.links = await readHeld(shown.documents.delegations);
      return proveAuthority(order as Envelope, held.links, root);
    }),
  );
  const resultHolds = await run(
    "result",
    needsOrder(async () => {
      if (shown.documents.result === null) return noResult(shown.state);
      found.result = await proveResult(shown, order as Envelope);
      return `${payloadOf<ResultPayload>(found.result).status}, signed by ${found.result.sender}`;
    }),
  );
  const { result } = found;
  if (result !== undefined && payloadOf<ResultPayload>(result).approvals.length > 0) {
    await run("approvals", () =>
      proveApprovals(shown, order as Envelope, result, held.links, root),
    );
  }
  await run(
    "record",
    needsOrder(async () => {
      if (inclusion === null) return { open: "the hub gave no proof from its record" };
      return proveRecord(shown, inclusion, order as Envelope, result, root);
    }),
  );
  return {
    checks,
    verified: checks.every((check) => check.state === "holds"),
    failed: checks.some((check) => check.state === "fails"),
    intent: orderHolds ? payloadOf<IntentPayload>(order as Envelope) : null,
    result: resultHolds ? payloadOf<ResultPayload>(result as Envelope) : null,
  };
}

const payloadOf = <Payload>(envelope: Envelope) => envelope.payload as unknown as Payload;
const same = (one: unknown, other: unknown) =>
  canonicalJson(one as PlainValue) === canonicalJson(other as PlainValue);

function refuse(code: string, why: string): never {
  throw new Refused(code, why);
}

function noResult(state: string): Outcome {
  const ended = ["succeeded", "failed", "timed_out", "interrupted"].includes(state);
  if (ended) refuse("no_result", `shown as ${state}, without a result that the agent signed`);
  return { open: "there is no signed result yet" };
}

async function proveIntent(shown: ShownOrder): Promise<Envelope> {
  if (shown.documents.intent === null)
    refuse("no_intent", "the hub does not show the signed order");
  const order = await verifyStored(shown.documents.intent, "intent");
  const { action, params, realm } = payloadOf<IntentPayload>(order);
  const signed = { id: order.id, agent: order.audience, action, params, realm };
  for (const [name, value] of Object.entries(signed)) {
    if (!same(value, shown[name as keyof typeof signed])) {
      refuse("shown_otherwise", `the ${name} shown is not the one that was signed`);
    }
  }
  return order;
}

async function proveAuthority(
  order: Envelope,
  held: ReadonlyMap<string, Link>,
  root: string,
): Promise<Outcome> {
  const { action, realm, proof } = payloadOf<IntentPayload>(order);
  const links = await chainOf(order, proof, held, root);
  checkGranted(links, { order: { action, realm }, agent: order.audience });
  const conditions = conditionsOf(links);
  const judged = conditions.length > 0 ? `; the agent judged ${conditions.join(" and ")}` : "";
  if (links.length === 0) return "the root itself";
  const count = links.length === 1 ? "one delegation" : `${links.length} delegations`;
  return `${count} from the root${judged}`;
}

/** The chain to a document's signer, as it was when the document was signed. */
function chainOf(
  document: Envelope,
  proof: readonly string[] | undefined,
  held: ReadonlyMap<string, Link>,
  root: string,
): Promise<readonly Link[]> {
  return verifyChain({
    root,
    signer: document.publicKey,
    proof: proof ?? pathTo(document.publicKey, root, held),
    held,
    hub: null,
    hubDelegation: null,
    now: Date.parse(document.timestamp),
    order: { action: "", realm: "" },
    agent: document.audience,
    revokedKeys: [],
    revokedDelegations: [],
    forbidHub: false,
  });
}

async function proveResult(shown: ShownOrder, order: Envelope): Promise<Envelope> {
  const result = await verifyStored(shown.documents.result ?? "", "result");
  const { intentId, intentDigest, status } = payloadOf<ResultPayload>(result);
  if (result.sender !== order.audience)
    refuse("wrong_key", "signed by another key than the ordered agent's");
  if (intentId !== order.id || intentDigest !== (await digestOf(order))) {
    refuse("bad_digest", "it answers another order than this one");
  }
  if (status !== shown.state)
    refuse("shown_otherwise", `shown as ${shown.state}, signed as ${status}`);
  return result;
}

async function proveApprovals(
  shown: ShownOrder,
  order: Envelope,
  result: Envelope,
  held: ReadonlyMap<string, Link>,
  root: string,
): Promise<Outcome> {
  const { action, params, realm } = payloadOf<IntentPayload>(order);
  const own = await callDigest({ intentId: order.id, tool: action, arguments: params });
  const counted = payloadOf<ResultPayload>(result).approvals;
  const documents = await Promise.all(
    shown.documents.approvals.map((text) => verifyStored(text, "tool_approval_response")),
  );
  const names: string[] = [];
  let within = 0;
  for (const id of counted) {
    const decision = documents.find((one) => one.id === id);
    if (decision === undefined) refuse("no_approval", "a decision that counted is not shown");
    const said = payloadOf<ApprovalPayload>(decision);
    const links = await chainOf(decision, said.proof, held, root);
    checkGranted(links, { order: { action: "writ.approve", realm }, agent: order.audience });
    if (decision.audience !== order.audience)
      refuse("wrong_audience", "a decision for another agent");
    if (!said.approved) refuse("approval_denied", "a decision that denies");
    // Within an order a tool may be called with arguments of its own, which only the agent knows.
    if (said.callDigest !== own) within++;
    names.push(said.approver);
  }
  const others = within > 0 ? `; ${within} over a call made within the order` : "";
  return `approved by ${names.join(", ")}${others}`;
}

async function proveRecord(
  shown: ShownOrder,
  { index, leaf, proof, checkpoint, logDelegation }: ShownInclusion,
  order: Envelope,
  result: Envelope | undefined,
  root: string,
): Promise<Outcome> {
  const key = await logKey(logDelegation, root);
  const note = await verifyCheckpoint(checkpoint, key);
  if (note === null) refuse("bad_checkpoint", "the checkpoint is not signed by the root's log");
  const hashes = decodeHashes(proof);
  const where = { index, size: note.size, proof: hashes ?? [], root: note.rootHash };
  if (hashes === null || !(await isIncluded(await leafHash(utf8(leaf)), where))) {
    refuse("bad_inclusion", "the proof does not lead to the signed record");
  }
  const says = parseStrictJson(leaf);
  const data = isObject(says) ? says.data : undefined;
  if (!isObject(says) || !isObject(data) || says.index !== index || says.subject !== order.id) {
    refuse("other_leaf", "the entry of the record is about something else");
  }
  const at = `entry ${index} of ${note.size}`;
  if (says.kind === "intent.finished" && data.resultDigest === undefined) {
    // Ended by the hub before the agent had a say: the entry is all there is.
    if (shown.documents.result !== null) refuse("other_leaf", "the entry knows of no result");
    if (data.state !== shown.state) {
      refuse("shown_otherwise", `shown as ${shown.state}, in the record as ${String(data.state)}`);
    }
    return `${at} says that the hub ended it: ${shown.state}`;
  }
  if ((data.intentDigest ?? data.digest) !== (await digestOf(order))) {
    refuse("other_leaf", "the entry names another order");
  }
  if (says.kind !== "intent.finished") {
    if (result !== undefined) refuse("other_leaf", "the entry does not name the result");
    return `${at} took the order in`;
  }
  if (shown.documents.result === null) refuse("no_result", "the record knows of a result");
  if (result === undefined) return { open: "needs the result itself" };
  if (data.resultDigest !== (await digestOf(result))) {
    refuse("other_leaf", "the entry names another result");
  }
  return `${at} names this very result`;
}
