/**
 * Owns what people decide over: the digest of one exact call, and the document that says yes or no.
 *
 * Whether a decision counts is the agent's to judge, by the rule on its own disk.
 */
import { encodeBase64, sha256, utf8 } from "./bytes.ts";
import { newId, type Signer, sealDocument } from "./envelope.ts";
import { canonicalJson, type JsonValue, type PlainValue, Refused } from "./json.ts";
import { didOf } from "./keys.ts";

/** One call of a tool within an order. */
export interface ToolCall {
  readonly intentId: string;
  readonly tool: string;
  readonly arguments: JsonValue | PlainValue;
}

/** What people sign: base64 SHA-256 of the canonical form of one call. */
export async function callDigest(call: ToolCall): Promise<string> {
  const { intentId, tool } = call;
  return encodeBase64(
    await sha256(utf8(canonicalJson({ intentId, tool, arguments: call.arguments } as PlainValue))),
  );
}

/** A question as the hub shows it. */
export interface Waiting extends ToolCall {
  readonly requestId: string;
  readonly agent: string;
  readonly callDigest: string;
  readonly expiresAt: string;
}

/**
 * The text of a signed decision over exactly the call that was shown.
 *
 * The digest is computed here, from what the person has read: a hub that shows one call and asks
 * for a signature under another gets none. Throws `bad_digest` then.
 */
export async function sealDecision(
  signer: Signer,
  waiting: Waiting,
  decision: { approved: boolean; reason: string; proof: readonly string[]; now: Date },
): Promise<string> {
  const digest = await callDigest(waiting);
  if (digest !== waiting.callDigest) {
    throw new Refused("bad_digest", "the call shown is not the call that the agent asks about");
  }
  return sealDocument(signer, {
    type: "tool_approval_response",
    id: newId(decision.now),
    audience: waiting.agent,
    timestamp: decision.now,
    expires: new Date(waiting.expiresAt),
    payload: {
      requestId: waiting.requestId,
      callDigest: digest,
      approved: decision.approved,
      approver: didOf(signer.publicKey),
      ...(decision.reason === "" ? {} : { reason: decision.reason }),
      ...(decision.proof.length === 0 ? {} : { proof: [...decision.proof] }),
    },
  });
}
