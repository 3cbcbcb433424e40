/**
 * Owns the documents of SPEC section 6: who sends each, and the form of its payload.
 *
 * Control frames belong to connections, which a browser never has with an agent.
 */
import * as f from "./forms.ts";
import type { JsonObject, JsonValue } from "./json.ts";

export interface Capability {
  readonly action: string;
  readonly realms?: readonly string[];
  readonly agents?: readonly string[];
}

export interface DelegationPayload {
  readonly subject: string;
  readonly capabilities: readonly Capability[];
  readonly conditions: readonly string[];
  readonly notBefore: string;
  readonly maxDepth: number;
  readonly parent: string | null;
  readonly budget?: Readonly<Record<string, number>>;
}

export interface IntentPayload {
  readonly action: string;
  readonly params: JsonObject;
  readonly realm: string;
  readonly timeoutSeconds: number;
  readonly onBehalfOf?: string;
  readonly notBefore?: string;
  readonly batchId?: string;
  readonly proof?: readonly string[];
  readonly sealed?: JsonObject;
}

export interface ResultPayload {
  readonly intentId: string;
  readonly intentDigest: string;
  readonly status: "succeeded" | "failed" | "refused" | "cancelled" | "timed_out" | "interrupted";
  readonly output?: JsonValue;
  readonly outputFile?: { readonly bytes: number; readonly sha256: string };
  readonly error?: { readonly code: string; readonly message: string };
  readonly startedAt?: string;
  readonly finishedAt: string;
  readonly usage: JsonObject;
  readonly decision: { readonly policyVersion: number | null; readonly rule: string | null };
  readonly approvals: readonly string[];
  readonly progressCount: number;
}

export interface ApprovalPayload {
  readonly requestId: string;
  readonly callDigest: string;
  readonly approved: boolean;
  readonly reason?: string;
  readonly approver: string;
  readonly proof?: readonly string[];
}

/** What of a message decides before its content is used. */
export interface MessageKind {
  readonly kind: "document" | "control";
  readonly from: "hub" | "agent" | "both";
  readonly payload: f.Form;
}

const limits = f.object({
  "ordersPerHour?": f.count,
  "ordersPerDay?": f.count,
  "tokensPerDay?": f.count,
  "centsPerDay?": f.count,
  "concurrent?": f.integer(1, 10_000),
});
const capability = f.object({
  action: f.actionPattern,
  "realms?": f.list(f.name, 64),
  "agents?": f.list(f.did, 1000),
});
const approver: f.Form = (value, strict) => {
  if (value === "*") return;
  const form = typeof value === "string" && value.startsWith("did:") ? f.did : f.name;
  form(value, strict);
};
const approval = f.object({
  people: f.integer(1, 32),
  from: f.list(approver, 64, 1),
  withinSeconds: f.integer(1, 2_592_000),
  "operatorSigned?": f.bool,
});
const rule = f.object({
  id: f.ruleId,
  effect: f.oneOf("allow", "deny"),
  actions: f.list(f.actionPattern, 64, 1),
  "when?": f.condition,
  "approval?": approval,
  "sandbox?": f.name,
  "domains?": f.list(f.host, 64),
});

const document = (from: "hub" | "agent", payload: f.Form): MessageKind => ({
  kind: "document",
  from,
  payload,
});

export const DOCUMENTS: ReadonlyMap<string, MessageKind> = new Map(
  Object.entries({
    intent: document(
      "hub",
      f.object({
        action: f.action,
        params: f.free,
        realm: f.name,
        timeoutSeconds: f.integer(1, 604_800),
        "onBehalfOf?": f.party,
        "notBefore?": f.time,
        "batchId?": f.id,
        "proof?": f.proof,
        "traceparent?": f.traceparent,
        "sealed?": f.free,
      }),
    ),
    result: document(
      "agent",
      f.object(
        {
          intentId: f.id,
          intentDigest: f.digest,
          status: f.oneOf(
            "succeeded",
            "failed",
            "refused",
            "cancelled",
            "timed_out",
            "interrupted",
          ),
          "output?": f.output,
          "outputFile?": f.object({ bytes: f.count, sha256: f.hex }),
          "error?": f.object({ code: f.code, message: f.text(4000) }),
          "startedAt?": f.time,
          finishedAt: f.time,
          usage: f.free,
          decision: f.object({ policyVersion: f.orNull(f.count), rule: f.orNull(f.text(63)) }),
          sandbox: f.free,
          approvals: f.list(f.id, 64),
          progressCount: f.count,
        },
        (payload) =>
          !((payload.output ?? null) !== null && "outputFile" in payload) &&
          ("error" in payload || !["failed", "refused"].includes(String(payload.status))),
      ),
    ),
    intent_cancel: document(
      "hub",
      f.object({ intentId: f.id, reason: f.reason, "proof?": f.proof }),
    ),
    policy_update: document(
      "hub",
      f.object(
        {
          policyId: f.id,
          version: f.version,
          realms: f.list(f.name, 64),
          default: f.oneOf("deny"),
          rules: f.list(rule, 256),
          limits,
          "proof?": f.proof,
        },
        (payload) => {
          const rules = payload.rules as JsonObject[];
          return new Set(rules.map((item) => item.id)).size === rules.length;
        },
      ),
    ),
    delegation: document(
      "hub",
      f.object({
        subject: f.party,
        capabilities: f.list(capability, 64),
        conditions: f.list(f.condition, 16),
        notBefore: f.time,
        maxDepth: f.integer(0, 16),
        parent: f.orNull(f.digest),
        "budget?": limits,
      }),
    ),
    tool_approval_response: document(
      "hub",
      f.object({
        requestId: f.id,
        callDigest: f.digest,
        approved: f.bool,
        "reason?": f.reason,
        approver: f.party,
        "proof?": f.proof,
      }),
    ),
    revocations: document(
      "hub",
      f.object({
        epoch: f.version,
        keys: f.list(f.did, 4000),
        delegations: f.list(f.id, 4000),
        "proof?": f.proof,
      }),
    ),
    quarantine: document(
      "hub",
      f.object({ epoch: f.version, active: f.bool, reason: f.reason, "proof?": f.proof }),
    ),
    llm_config: document(
      "hub",
      f.object({ version: f.version, config: f.free, "proof?": f.proof }),
    ),
    skills_config: document(
      "hub",
      f.object({ version: f.version, config: f.free, "proof?": f.proof }),
    ),
    key_rotation: document("agent", f.object({ newKey: f.multikey, proof: f.signature })),
  }),
);
