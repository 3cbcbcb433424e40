// Every control frame of SPEC section 4: who sends it, and the form of its payload. With the documents: all messages.
import { DOCUMENTS } from "../../controlplane/dashboard/src/proof/documents.ts";
import { readEnvelope } from "../../controlplane/dashboard/src/proof/envelope.ts";
import * as f from "../../controlplane/dashboard/src/proof/forms.ts";

/** An embedded document is an envelope. */
const document = (value) => {
  if (!readEnvelope(value, MESSAGES).isDocument) throw f.badPayload("no document");
};
const labelKey = f.like("[A-Za-z0-9][A-Za-z0-9._/-]{0,62}");
const checkpoint = f.text(4096, 1);
const url = f.text(4096, 1);
const audience = f.like("[!-~]{1,255}");
const token = f.like("[A-Za-z0-9_.-]{1,4096}");

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
  checkpoint: f.orNull(checkpoint),
  intents: f.list(f.id, 800),
});
const attachment = f.object({
  name: f.text(255, 1),
  bytes: f.count,
  sha256: f.hex,
  mediaType: f.text(127, 1),
  "url?": url,
});
const documentState = f.object({
  id: f.id,
  digest: f.digest,
  state: f.oneOf("accepted", "refused"),
  "code?": f.oneOf("old_version", "old_epoch", "not_authorised", "forbidden_lift", "expired"),
});

const control = (from, fields, more) => ({ kind: "control", from, payload: f.object(fields, more) });

export const MESSAGES = new Map([...DOCUMENTS, ...Object.entries({
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
    labels: f.pairs(labelKey, f.text(128), 64),
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
    checkpoint: f.orNull(checkpoint),
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
    checkpoint: f.orNull(checkpoint),
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
    url: url,
    headers: f.pairs(f.text(256, 1), f.text(4096), 32),
    expires: f.time,
    "intentId?": f.id,
  }),
  token_request: control("agent", { intentId: f.id, audience }),
  token_grant: control("hub", {
    intentId: f.id,
    audience,
    token,
    expires: f.time,
  }),
  checkpoint_request: control("agent", { from: f.count, to: f.count }, (p) => p.to >= p.from),
  checkpoint_proof: control("hub", { from: f.count, to: f.count, proof: f.list(f.digest, 128) }),
  drain: control("hub", { retryAfterSeconds: f.integer(0, 86_400) }),
  error: control("both", { code: f.code, message: f.text(1000), "inReplyTo?": f.id }),
})]);
