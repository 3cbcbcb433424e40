// Every message of SPEC sections 4 and 6: kind, who sends it, and the form of its payload.
import * as f from "./forms.mjs";
import { isObject } from "./json.mjs";

let parseDocument = f.free;
/** Embedded documents are envelopes; `envelope.mjs` says how they are read. */
export const useDocumentParser = (parse) => (parseDocument = parse);
const document = (value) => {
  if (!isObject(value)) throw f.bad("document");
  parseDocument(value);
};

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
const approver = (value) => (value === "*" ? undefined : String(value).startsWith("did:") ? f.did(value) : f.name(value));
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
const helloLimits = f.object({
  maxFrameBytes: f.integer(65_536, 67_108_864),
  maxFrameBytesBeforeRegistration: f.integer(4_096, 67_108_864),
  heartbeatSeconds: f.integer(1, 3_600),
  clockSkewSeconds: f.integer(5, 300),
});
const offered = f.object({
  name: f.action,
  capability: f.name,
  description: f.text(1000),
  paramsSchema: f.free,
  idempotent: f.bool,
});
const holds = f.object({
  policyVersion: f.orNull(f.count),
  revocationEpoch: f.orNull(f.count),
  delegations: f.list(f.id, 400),
  checkpoint: f.orNull(f.checkpoint),
  intents: f.list(f.id, 800),
});
const attachment = f.object({
  name: f.text(255, 1),
  bytes: f.count,
  sha256: f.hex,
  mediaType: f.text(127, 1),
  "url?": f.url,
});
const documentState = f.object({
  id: f.id,
  digest: f.digest,
  state: f.oneOf("accepted", "refused"),
  "code?": f.oneOf("old_version", "old_epoch", "not_authorised", "forbidden_lift", "expired"),
});

const control = (from, fields, more) => ({ kind: "control", from, payload: f.object(fields, more) });
const steering = (from, fields, more) => ({ kind: "document", from, payload: f.object(fields, more) });

export const MESSAGES = new Map(Object.entries({
  hello: control("hub", {
    challenge: f.digest,
    root: f.did,
    delegation: document,
    limits: helloLimits,
    versions: f.list(f.text(16, 1), 16, 1),
  }),
  register: control("agent", {
    challenge: f.digest,
    name: f.name,
    version: f.text(64, 1),
    capabilities: f.list(f.name, 64),
    actions: f.list(offered, 256),
    labels: f.pairs(f.labelKey, f.text(128), 64),
    "llm?": f.free,
    host: f.free,
    "join?": f.object({ tokenId: f.id, proof: f.digest }),
    holds,
  }),
  registration_pending: control("hub", {
    registrationId: f.id,
    fingerprint: f.like("[0-9A-HJKMNP-TV-Z]{4}(?:-[0-9A-HJKMNP-TV-Z]{4}){3}"),
  }),
  registration_rejected: control("hub", { reason: f.reason }),
  register_ack: control("hub", {
    agentId: f.did,
    name: f.name,
    delegations: f.list(document, 1000),
    revocations: f.orNull(document),
    policy: f.orNull(document),
    log: f.orNull(document),
    checkpoint: f.orNull(f.checkpoint),
  }),
  heartbeat: control("agent", {
    uptimeSeconds: f.count,
    load: f.number(0, 1e9),
    memoryBytes: f.count,
    running: f.list(f.id, 1000),
    tokenUsage: f.free,
  }),
  pong: control("hub", {
    time: f.time,
    checkpoint: f.orNull(f.checkpoint),
    revocationEpoch: f.orNull(f.count),
  }),
  intent_ack: control("agent", {
    intents: f.list(f.object({ intentId: f.id, state: f.oneOf("accepted", "duplicate") }), 1000, 1),
  }),
  intent_progress: control("agent", {
    intentId: f.id,
    index: f.count,
    kind: f.oneOf("log", "token", "thinking", "tool_call", "tool_result", "status"),
    data: f.any,
  }),
  result_ack: control("hub", {
    results: f.list(f.object({ intentId: f.id, resultId: f.id }), 1000, 1),
  }),
  document_ack: control("agent", { documents: f.list(documentState, 1000, 1) }),
  tool_approval_request: control("agent", {
    requestId: f.id,
    intentId: f.id,
    tool: f.action,
    arguments: f.free,
    callDigest: f.digest,
    rule: f.ruleId,
    people: f.integer(1, 32),
    expires: f.time,
  }),
  delegation_update: control("hub", { added: f.list(document, 1000), removed: f.list(f.id, 1000) }),
  channel_message_send: control(
    "both",
    {
      channelId: f.id,
      "messageId?": f.id,
      "clientId?": f.id,
      "threadId?": f.id,
      author: f.text(200, 1),
      content: f.text(65_536),
      attachments: f.list(attachment, 32),
    },
    (payload) => (payload.messageId == null) !== (payload.clientId == null),
  ),
  peer_intent: control("agent", { intent: document, delegations: f.list(document, 16) }),
  peer_result: control("hub", { result: document }),
  upload_request: control("agent", { intentId: f.id, bytes: f.count, sha256: f.hex }),
  upload_grant: control("hub", {
    url: f.url,
    headers: f.pairs(f.text(256, 1), f.text(4096), 32),
    expires: f.time,
    "intentId?": f.id,
  }),
  checkpoint_request: control("agent", { from: f.count, to: f.count }, (p) => p.to >= p.from),
  checkpoint_proof: control("hub", { from: f.count, to: f.count, proof: f.list(f.digest, 128) }),
  drain: control("hub", { retryAfterSeconds: f.integer(0, 86_400) }),
  error: control("both", { code: f.code, message: f.text(1000), "inReplyTo?": f.id }),

  intent: steering("hub", {
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
  result: steering(
    "agent",
    {
      intentId: f.id,
      intentDigest: f.digest,
      status: f.oneOf("succeeded", "failed", "refused", "cancelled", "timed_out", "interrupted"),
      "output?": f.any,
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
      !(payload.output != null && "outputFile" in payload) &&
      ("error" in payload || !["failed", "refused"].includes(payload.status)),
  ),
  intent_cancel: steering("hub", { intentId: f.id, reason: f.reason, "proof?": f.proof }),
  policy_update: steering(
    "hub",
    {
      policyId: f.id,
      version: f.version,
      realms: f.list(f.name, 64),
      default: f.oneOf("deny"),
      rules: f.list(rule, 256),
      limits,
      "proof?": f.proof,
    },
    (payload) => new Set(payload.rules.map((item) => item.id)).size === payload.rules.length,
  ),
  delegation: steering("hub", {
    subject: f.party,
    capabilities: f.list(capability, 64),
    conditions: f.list(f.condition, 16),
    notBefore: f.time,
    maxDepth: f.integer(0, 16),
    parent: f.orNull(f.digest),
    "budget?": limits,
  }),
  tool_approval_response: steering("hub", {
    requestId: f.id,
    callDigest: f.digest,
    approved: f.bool,
    "reason?": f.reason,
    approver: f.party,
    "proof?": f.proof,
  }),
  revocations: steering("hub", {
    epoch: f.version,
    keys: f.list(f.did, 4000),
    delegations: f.list(f.id, 4000),
    "proof?": f.proof,
  }),
  quarantine: steering("hub", { epoch: f.version, active: f.bool, reason: f.reason, "proof?": f.proof }),
  llm_config: steering("hub", { version: f.version, config: f.free, "proof?": f.proof }),
  skills_config: steering("hub", { version: f.version, config: f.free, "proof?": f.proof }),
  key_rotation: steering("agent", {
    newKey: f.like("z6Mk[1-9A-HJ-NP-Za-km-z]{44}"),
    proof: f.signature,
  }),
}));
