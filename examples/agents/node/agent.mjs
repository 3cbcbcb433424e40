#!/usr/bin/env node
// A whole Writ agent in one file, written from protocol/SPEC.md alone: numbers in comments are its sections.
// What it leaves out it refuses; README.md has the list. `need(holds, code)` is how it refuses, everywhere.
import { createHash, createHmac, randomUUID, webcrypto } from "node:crypto";
import * as fs from "node:fs";
import { arch, loadavg, platform } from "node:os";
import { isAbsolute, join, relative, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import sodium from "libsodium-wrappers";
import WebSocket from "ws";

const TEXT = { type: "string" }, FLAGS = { hub: TEXT, root: TEXT, join: TEXT, "data-dir": TEXT, name: TEXT, workspace: TEXT };
const { values: given } = parseArgs({ options: { ...FLAGS, insecure: { type: "boolean" } } }), { subtle } = webcrypto;
const say = (fact) => console.log(JSON.stringify(fact)), time = Date.parse, iso = (ms) => new Date(ms).toISOString();
class Refused extends Error { constructor(code, more) { Object.assign(super(code), { code, ...more }); } }
const need = (holds, code, more) => { if (!holds) throw new Refused(code, more); };
const refusal = (error) => { // what a hub sent and nobody could read is refused; a failing disk ends the agent
  if (error.errno) throw error;
  return error instanceof Refused ? error : new Refused("bad_payload");
};

// ---- 2, 3: JSON, its canonical form, keys
const isObject = (v) => typeof v === "object" && v !== null && !Array.isArray(v);
function parseJson(source) { // JSON.parse knows the grammar; this refuses what the profile forbids beyond it
  let value, count = 0, open = []; // open: the keys of every container around the token
  try { value = JSON.parse(source); } catch { need(false, "bad_json"); }
  for (const [token, colon] of source.matchAll(/"(?:[^"\\]+|\\.)*"(\s*:)?|[{}[\]]|[^\s{}[\],:"]+/g)) {
    if ("}]".includes(token)) { open.pop(); continue; }
    need(colon || ++count <= 10_000, "bad_json");
    if ("{[".includes(token)) need(open.push(new Set()) <= 32, "bad_json");
    else if (token[0] === '"') {
      const string = JSON.parse(colon ? token.slice(0, -colon.length) : token), keys = open.at(-1);
      need(string.isWellFormed() && !string.includes("\0") && !(colon && keys.has(string)), "bad_json");
      if (colon) keys.add(string);
    } else need(!(Math.abs(token) > Number.MAX_SAFE_INTEGER), "bad_json");
  }
  return value;
}
const canonical = (v) => Array.isArray(v) ? `[${v.map(canonical)}]` : !isObject(v) ? JSON.stringify(v) // RFC 8785
  : `{${Object.keys(v).filter((name) => v[name] !== undefined).sort().map((name) => `${JSON.stringify(name)}:${canonical(v[name])}`)}}`;
const sha256 = (data, encoding) => createHash("sha256").update(data).digest(encoding);
const newId = () => `${Date.now().toString(16).padStart(12, 0).replace(/.{8}/, "$&-")}-7${randomUUID().slice(15)}`;
const B58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz", B32 = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const spell = (digits, n) => n ? spell(digits, n / BigInt(digits.length)) + digits[n % BigInt(digits.length)] : "";
const didOf = (raw) => `did:key:z${spell(B58, BigInt(`0xed01${raw.toString("hex")}`))}`;
function rawOf(did) {
  const hex = [...did.slice(9)].reduce((n, digit) => n * 58n + BigInt(B58.indexOf(digit)), 0n).toString(16);
  need(hex.length === 68 && hex.startsWith("ed01"), "bad_envelope");
  return Buffer.from(hex.slice(4), "hex");
}
function fingerprint(root) {
  const hash = sha256(Buffer.concat([Buffer.from("writ.v1/fingerprint\0"), rawOf(root), rawOf(me)]), "hex");
  return spell(B32, BigInt(`0x${hash.slice(0, 20)}`)).padStart(16, 0).replace(/.{4}(?=.)/g, "$&-");
}

// ---- 3, 6, 11: what is signed, as `field:form`; a field with `?` may be left out, a form with `*` is a list
const like = (form) => (v) => typeof v === "string" && RegExp(`^(?:${form})$`).test(v);
const packed = (size) => (v) => like(".*")(v) && v.length === size && Buffer.from(v, "base64").toString("base64") === v;
const DID = "did:key:z6Mk[1-9A-HJ-NP-Za-km-z]{44}", ACTION = "[a-z][a-z0-9_]*(\\.[a-z][a-z0-9_]*)*";
const FORMS = {
  id: like("[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"), did: like(DID), text: like("[^]*"),
  time: (v) => like("\\d{4}-.{18}Z")(v) && !isNaN(time(v)) && iso(time(v)) === v, key: like(DID.slice(8)),
  code: like("[a-z][a-z0-9_]{0,63}"), action: like(ACTION), pattern: like(`${ACTION}(\\.\\*)?|\\*`), object: isObject,
  bool: (v) => v === !!v, count: (v) => Number.isSafeInteger(v) && v >= 0, version: (v) => v > 0 && FORMS.count(v),
  signature: packed(88), digest_or_null: (v) => v === null || packed(44)(v), encoding: like("utf-8|base64"),
};
const COMMON = "type:code id:id timestamp:time audience:text payload:object publicKey:key signature:signature ";
const SHAPES = {
  document: COMMON + "expires:time", control: COMMON + "session:id sequence:version",
  capability: "action:pattern realms?:text* agents?:did*",
  rule: "id:text effect:text actions:pattern* when?:text approval?:object sandbox?:text domains?:text*",
};
const DOCUMENTS = { __proto__: null, // no prototype, or `constructor` would be a type
  intent: "action:action params:object realm:text timeoutSeconds:version onBehalfOf?:text notBefore?:time " +
    "batchId?:id proof?:id* traceparent?:text sealed?:object",
  delegation: "subject:text capabilities:capability* conditions:text* notBefore:time maxDepth:count " +
    "parent:digest_or_null budget?:object",
  policy_update: "policyId:id version:version realms:text* default:text rules:rule* limits:object proof?:id*",
  revocations: "epoch:version keys:did* delegations:id* proof?:id*",
  quarantine: "epoch:version active:bool reason:text proof?:id*",
};
const UNREAD = ["intent_cancel", "tool_approval_response", "llm_config", "skills_config"]; // known, always refused
const CONTROL = { // 4: what may come in which state
  connecting: ["hello"], registering: ["registration_pending", "registration_rejected", "register_ack", "error", "drain"],
  pending: ["registration_rejected", "register_ack", "pong", "error", "drain"], online: ["delegation_update", "result_ack",
    "pong", "error", "drain", "channel_message_send", "peer_result", "upload_grant", "checkpoint_proof"],
};
const isControl = (type) => Object.values(CONTROL).flat().includes(type);
function fits(shape, value) {
  const fields = shape.split(" ").map((field) => /^(\w+)(\??):(.+)$/.exec(field).slice(1));
  return isObject(value) && Object.keys(value).every((key) => fields.some(([name]) => name === key)) &&
    fields.every(([name, free, form]) => Object.hasOwn(value, name) ? hasForm(form, value[name]) : free);
}
const hasForm = (form, v) => form.endsWith("*") ? Array.isArray(v) && v.every((one) => hasForm(form.slice(0, -1), one))
  : FORMS[form] ? FORMS[form](v) : fits(SHAPES[form], v);

function readEnvelope(value) { // row 3
  const isDocument = fits(SHAPES.document, value), { signature, ...unsigned } = value ?? {};
  need(isDocument ? !isControl(value.type) : fits(SHAPES.control, value) && !(value.type in DOCUMENTS), "bad_envelope");
  const signed = Buffer.from(`writ.v1\0${canonical(unsigned)}`), digest = sha256(signed, "base64"), { publicKey } = value;
  const more = { sender: `did:key:${publicKey}`, key: `document ${publicKey} ${value.id}`, expires: time(value.expires) };
  return { ...value, ...more, value, isDocument, signed, digest, raw: rawOf(more.sender) };
}
const isSigned = (e) => sodium.crypto_sign_verify_detached(Buffer.from(e.signature, "base64"), e.signed, e.raw);
function checkDocument(e) { // rows 5 to 7
  need(isSigned(e), "bad_signature");
  need(e.audience === me || (e.audience === "*" && /^(delegation|revocations)$/.test(e.type)), "wrong_audience");
  need(time(e.timestamp) - 60_000 <= now(), "future");
  need(now() < e.expires, "expired");
}
function checkContent(e) { // rows 8 to 10
  need((disk.get(e.key)?.digest ?? e.digest) === e.digest, "id_reuse");
  need(e.type in DOCUMENTS || UNREAD.includes(e.type), "unknown_type");
  need(UNREAD.includes(e.type) || fits(DOCUMENTS[e.type], e.payload), "bad_payload");
}

// ---- the disk: a journal of synced lines, each there as a whole or not at all; and the key
const folder = resolve(given["data-dir"] ?? "writ-agent"), JOURNAL = join(folder, "journal"), KEY = join(folder, "key.pem");
const disk = new Map(); // documents, sessions and what is in force, by name; `until` then a record is kept
const now = () => disk.set("clock", Math.max(disk.get("clock") ?? 0, Date.now())).get("clock"); // 3: never runs back
const orders = () => [...disk].filter(([, { intent, acked }]) => intent && !acked); // to be done, or to be handed over
let lines = 0, link = null; // link: offers a result on the connection that is online
function replace(path, content) {
  fs.writeFileSync(`${path}.new`, content, { mode: 0o600, flush: true });
  fs.renameSync(`${path}.new`, path);
  const parent = fs.openSync(folder); // or a lost power could bring the old file back
  fs.fsyncSync(parent);
  fs.closeSync(parent);
}
function compact() {
  for (const [key, { until, intent, acked }] of disk) if (until < now() && (!intent || acked)) disk.delete(key);
  replace(JOURNAL, `${JSON.stringify(Object.fromEntries(disk))}\n`);
  lines = 0;
}
function put(key, changes) {
  const record = { ...disk.get(key), ...changes };
  fs.appendFileSync(JOURNAL, `${JSON.stringify({ [key]: record, clock: now() })}\n`, { flush: true });
  disk.set(key, record);
  if (++lines > 10_000) compact();
}
fs.mkdirSync(folder, { recursive: true, mode: 0o700 });
for (const line of fs.existsSync(JOURNAL) ? fs.readFileSync(JOURNAL, "utf-8").split("\n").slice(0, -1) : [])
  for (const [key, record] of Object.entries(JSON.parse(line))) disk.set(key, record); // a torn end was never acted upon
if (!fs.existsSync(KEY)) {
  const { privateKey } = await subtle.generateKey("Ed25519", true, ["sign", "verify"]);
  const der = Buffer.from(await subtle.exportKey("pkcs8", privateKey)).toString("base64");
  replace(KEY, `-----BEGIN PRIVATE KEY-----\n${der}\n-----END PRIVATE KEY-----\n`);
}
for (const { mode, uid } of [fs.statSync(folder), fs.statSync(KEY)])
  need(!(mode & 0o077) && uid === process.getuid(), "key_file: 0700 for the folder, 0600 for the key, both yours");
const der = Buffer.from(fs.readFileSync(KEY, "utf-8").replace(/-----.*-----/g, ""), "base64");
const ownKey = await subtle.importKey("pkcs8", der, "Ed25519", true, ["sign"]);
const me = didOf(Buffer.from((await subtle.exportKey("jwk", ownKey)).x, "base64url"));
async function seal(type, audience, payload, more) {
  const e = { type, id: newId(), timestamp: iso(Date.now()), audience, payload, publicKey: me.slice(8), ...more };
  const signature = await subtle.sign("Ed25519", ownKey, Buffer.from(`writ.v1\0${canonical(e)}`));
  return JSON.stringify({ ...e, signature: Buffer.from(signature).toString("base64") });
}

// ---- 7: authority, decided here, offline, whatever the hub believes
const covers = (pattern, action) => pattern === action || (!action.startsWith("writ.") &&
  (pattern === "*" || (pattern.endsWith(".*") && action.startsWith(pattern.slice(0, -1)))));
const grants = (action, realm) => ({ payload }) => payload.capabilities.some((one) => covers(one.action, action) &&
  (realm === undefined || (one.realms?.includes(realm) ?? true)) && (one.agents?.includes(me) ?? true));
const held = () => [...disk.values()].filter((record) => record.held).map((record) => readEnvelope(record.held));
const within = (some, all) => !all || some?.every((one) => all.includes(one));
const isInside = ({ payload: inner, expires }, { payload: outer, expires: end }) => inner.maxDepth < outer.maxDepth &&
  inner.notBefore >= outer.notBefore && expires <= end && inner.capabilities.every((one) => outer.capabilities.some(
    (wide) => (one.action === wide.action || (one.action !== "*" && covers(wide.action, one.action))) &&
      within(one.realms, wide.realms) && within(one.agents, wide.agents)));
function checkLinks(links, subject) { // step 2: from the root to `subject`, each inside the one before
  const dids = [disk.get("root"), ...links.map(({ payload }) => payload.subject)], gone = disk.get("revocations")?.payload;
  need(links.length <= 5 && new Set(dids).size === dids.length && dids.at(-1) === subject, "bad_chain");
  need(links.every((one, i) => one.sender === dids[i] && one.payload.parent === (links[i - 1]?.digest ?? null) &&
    isSigned(one)), "bad_chain");
  need(!links.some(({ id, payload }) => gone?.keys.includes(payload.subject) || gone?.delegations.includes(id)), "revoked");
  need(links.every(({ timestamp, payload, expires }) => time(timestamp) - 60_000 <= now() &&
    time(payload.notBefore) <= now() && now() < expires), "chain_expired");
  need(links.every((one, i) => !i || isInside(one, links[i - 1])), "not_attenuated");
}
function checkChain(e, hub, action, realms) { // steps 2 and 3
  const { proof } = e.payload, all = held(), isRoot = e.sender === disk.get("root");
  if (isRoot && !proof?.length) return [];
  const links = (proof ?? (e.sender === hub.did ? [hub.delegation] : [])).map((id) => all.find((one) => one.id === id));
  const isNamed = isRoot || links.some((one) => one?.payload.subject === e.sender);
  need(isNamed && links.length && links.every(Boolean), "no_chain");
  checkLinks(links, e.sender);
  need(realms.every((realm) => links.every(grants(action, realm))), "not_granted");
  need(!links.some(({ payload }) => payload.conditions.length || payload.budget), "condition_false"); // not read here
  return links;
}
function authorize(e, hub) { // steps 1 to 6
  const { action, params, realm, onBehalfOf, sealed } = e.payload, policy = disk.get("policy_update");
  need(!disk.get("quarantine")?.payload.active, "quarantined");
  need(Object.hasOwn(ACTIONS, action), "unknown_action");
  need(!sealed && ACTIONS[action].takes(params), "bad_params");
  checkChain(e, hub, action, [realm]);
  need(policy?.payload.realms.includes(realm) ?? true, "wrong_realm");
  need(!onBehalfOf, "person_not_granted");
  need(policy, "no_policy");
  need(now() < policy.expires, "policy_expired");
  const { rules, limits, version } = policy.payload;
  const matching = rules.filter(({ actions }) => actions.some((pattern) => covers(pattern, action)));
  const rule = matching.find(({ effect }) => effect !== "allow") ?? matching[0];
  // What asks for more than this agent understands (`when`, `approval`, `sandbox`, `domains`, limits) allows nothing.
  const isPlain = rule?.effect === "allow" && Object.keys(rule).length === 3 && !Object.keys(limits).length;
  const decision = { policyVersion: version, rule: rule?.id ?? null };
  need(isPlain, "policy_denied", { decision });
  return decision;
}
const STEERING = { // the action it takes, the number that only goes up, the code when it does not
  policy_update: ["writ.policy", "version", "old_version"],
  revocations: ["writ.revoke", "epoch", "old_epoch"], quarantine: ["writ.quarantine", "epoch", "old_epoch"],
};
function steer(e, hub) { // 6: take a steering document, or refuse it with a code of `document_ack`
  const { type, payload } = e, [action, number, old] = STEERING[type] ?? [], was = disk.get(type), all = held();
  put(e.key, { digest: e.digest, until: e.expires });
  if (type === "delegation") {
    const { subject, maxDepth } = all.find(({ digest }) => digest === payload.parent)?.payload ?? {};
    need(payload.parent ? subject === e.sender && maxDepth > 0 : e.sender === disk.get("root"), "not_authorised");
    return put(e.key, { held: e.value });
  }
  const realms = [...(disk.get("policy_update")?.payload.realms ?? []), ...(payload.realms ?? [])];
  let links = null;
  try { links = action && checkChain(e, hub, action, realms.length ? realms : [null]); } catch { /* none */ }
  need(links, "not_authorised");
  need(!was || payload[number] > was.payload[number] || e.digest === was.digest, old);
  const isHub = (did) => did === hub.did || all.some((one) => one.payload.subject === did && grants("writ.route")(one));
  const isLifted = type === "quarantine" && !payload.active && links.some((one) => isHub(one.payload.subject));
  const lacks = (list) => was?.payload[list]?.some((one) => !payload[list].includes(one));
  need(!isLifted && !(links.length && (lacks("keys") || lacks("delegations"))), "forbidden_lift");
  put(type, { payload, digest: e.digest, expires: e.expires });
}

// ---- 13: the actions; both are over at once, so no `timeoutSeconds` passes
const workspace = fs.realpathSync(given.workspace ?? ".");
function readFile({ path, encoding }) {
  const named = resolve(workspace, path), target = fs.existsSync(named) ? fs.realpathSync(named) : named;
  need(!isAbsolute(path) && !/^\.\.(\/|$)/.test(relative(workspace, target)), "outside_workspace");
  const found = fs.statSync(target, { throwIfNoEntry: false });
  need(found?.isFile(), "not_a_file");
  need(found.size <= 262_144, "output_too_big");
  const data = fs.readFileSync(target), isText = !data.includes(0) && data.equals(Buffer.from(data.toString()));
  need(isText || encoding !== "utf-8", "not_text");
  const form = encoding ?? (isText ? "utf-8" : "base64");
  return { content: data.toString(form), encoding: form, bytes: data.length, sha256: sha256(data, "hex") };
}
const ACTIONS = {
  echo: { capability: "echo", takes: isObject, run: (params) => params },
  "files.read": { capability: "files", takes: (v) => fits("path:text encoding?:encoding", v), run: readFile },
};

// ---- 8: orders start at most once; their results are kept until the hub has them
function finish(key, status, { output, error, decision } = {}) {
  const { intent, digest, startedAt, decision: kept = { policyVersion: null, rule: null } } = disk.get(key);
  put(key, { payload: { intentId: intent.id, intentDigest: digest, status, output, error, startedAt, finishedAt: iso(now()),
    decision: decision ?? kept, usage: {}, sandbox: {}, approvals: [], progressCount: 0 } });
  say({ intent: intent.id, action: intent.payload.action, status, code: error?.code });
  link?.(key);
}
const failure = ({ code, message, decision }) => ({ error: { code: FORMS.code(code) ? code : "failed", message }, decision });
async function work(key) {
  const { intent, hub, startedAt } = disk.get(key), { action, params, notBefore = iso(0) } = intent.payload;
  if (startedAt) return finish(key, "interrupted"); // a crash came between
  try {
    authorize(readEnvelope(intent), hub);
    for (let left; (left = time(notBefore) - now()) > 0;) await sleep(Math.min(left, 60_000));
    need(now() < time(intent.expires), "expired");
    put(key, { decision: authorize(readEnvelope(intent), hub), startedAt: iso(now()) }); // again: it may have waited
  } catch (error) { return finish(key, "refused", failure(error)); }
  let output, error;
  try {
    output = ACTIONS[action].run(params);
    need(Buffer.byteLength(canonical(output)) <= 262_144, "output_too_big");
  } catch (problem) { ({ error } = failure(problem)); }
  finish(key, error ? "failed" : "succeeded", error ? { error } : { output });
}

// ---- 4: one connection, from `hello` to its close
function register(challenge, token) {
  const [policy, gone] = ["policy_update", "revocations"].map((type) => disk.get(type)?.payload), join = { tokenId: token?.id };
  const actions = Object.entries(ACTIONS).map(([name, { capability }]) => (
    { name, capability, description: "", paramsSchema: { type: "object" }, idempotent: false }));
  const payload = { challenge, name: given.name ?? "node-agent", version: "0.2.0", labels: {}, actions,
    capabilities: actions.map(({ capability }) => capability), host: { system: platform(), architecture: arch() },
    holds: { policyVersion: policy?.version ?? null, revocationEpoch: gone?.epoch ?? null, checkpoint: null,
      delegations: held().map(({ id }) => id).slice(0, 400), intents: orders().map(([, one]) => one.intent.id).slice(0, 800) } };
  if (!token) return payload;
  const mac = createHmac("sha256", sha256(Buffer.from(token.secret, "base64url"))); // 5: the secret itself never travels
  return { ...payload, join: { ...join, proof: mac.update(canonical({ ...payload, join })).digest("base64") } };
}
async function converse(url, token) {
  const socket = new WebSocket(url, "writ.v1", { perMessageDeflate: false, maxPayload: 1_048_576, handshakeTimeout: 10_000 });
  let state = "connecting", hub = null, session = null, next = 1, sent = 0, greeted = false, wait = 0;
  let limits = { heartbeatSeconds: 30 }, heard = Date.now(), beat = heard, ping = heard, queue = Promise.resolve();
  const isIn = () => state === "pending" || state === "online";
  const post = (make) => (queue = queue.then(make).then((frame) => { // one after the other, for signing takes its time
    const most = state === "online" ? limits.maxFrameBytes : limits.maxFrameBytesBeforeRegistration ?? 65_536;
    if (socket.readyState === WebSocket.OPEN && Buffer.byteLength(frame) <= most) socket.send(frame);
  }));
  const send = (type, payload) => post(() => seal(type, hub?.did ?? "*", payload, { session, sequence: ++sent }));
  const offer = (key) => post(async () => { // the same bytes every time, unless they expired or the hub has another key
    const { wire, payload } = disk.get(key), old = wire && JSON.parse(wire), expires = iso(now() + 90 * 86_400_000);
    if (old?.audience !== hub.did || now() >= time(old.expires))
      put(key, { wire: await seal("result", hub.did, payload, { expires }) });
    return disk.get(key).wire;
  });
  const declined = new Set();
  const resend = () => { for (const [key, { payload }] of orders()) if (payload && !declined.has(key)) offer(key); };
  const complain = (code, id) => session && send("error", { code, ...(FORMS.id(id) && { inReplyTo: id }),
    message: code === "auth_failed" ? "authentication failed" : code });
  const on = {
    hello({ challenge, root, delegation, limits: asked, versions }, { session, sender }) {
      const one = readEnvelope(delegation), name = `session ${session}`; // believed only by the pinned root's delegation
      need(versions.includes("v1") && root === disk.get("root") && !disk.has(name), "auth_failed");
      checkDocument(one);
      checkContent(one);
      checkLinks([one], sender);
      need(one.type === "delegation" && !one.payload.conditions.length && grants("writ.route")(one), "auth_failed");
      put(name, { until: now() + 365 * 86_400_000 });
      put(one.key, { digest: one.digest, until: one.expires, held: delegation }); // proofs may name it
      [hub, limits, state] = [{ did: sender, delegation: one.id }, asked, "registering"];
      send("register", register(challenge, token));
    },
    registration_pending({ registrationId }) {
      [state, greeted] = ["pending", true];
      say({ state, registrationId, fingerprint: fingerprint(disk.get("root")) });
    },
    register_ack({ agentId, name, delegations, revocations, policy, log }) {
      need(agentId === me, "bad_payload");
      const documents = [...delegations, revocations, policy, log].filter(Boolean); // in this order
      [state, greeted, link] = ["online", true, offer];
      take(documents);
      say({ state, name });
      resend();
    },
    delegation_update: ({ added }) => take([...added]), // what may be forgotten is kept until it expires
    result_ack({ results }) {
      for (const [key, { intent, payload }] of orders())
        if (payload && results.some(({ intentId }) => intentId === intent.id)) put(key, { acked: true });
    },
    registration_rejected() { wait = 600; },
    drain({ retryAfterSeconds }) { wait = Math.min(86_400, Number(retryAfterSeconds) || 0) * (1 + Math.random() / 2); },
    error({ code, message, inReplyTo }) { // a result that is turned down waits for another connection
      say({ error: code, message, inReplyTo });
      for (const [key, { wire }] of orders()) if (wire && JSON.parse(wire).id === inReplyTo) declined.add(key);
    },
  };
  function take(values) { // steering documents, each answered in one `document_ack`
    const documents = [];
    for (let tries = values.length ** 2, e; values.length; tries--) {
      const value = values.shift();
      try {
        checkDocument((e = readEnvelope(value)));
        checkContent(e);
        need(e.type !== "intent", "forbidden_type"); // orders come by themselves
        steer(e, hub);
        documents.push({ id: e.id, digest: e.digest, state: "accepted" });
      } catch (error) {
        const { code } = refusal(error), isAcked = /^(old_version|old_epoch|not_authorised|forbidden_lift)$/.test(code);
        if (isAcked && e.type === "delegation" && values.length && tries > 0) values.push(value); // its parent may follow
        else if (isAcked) documents.push({ id: e.id, digest: e.digest, state: "refused", code });
        else complain(code, value?.id);
      }
    }
    if (documents.length) send("document_ack", { documents });
  }
  function document(e) {
    checkDocument(e);
    need(state === "online", "forbidden_type");
    if (e.type !== "intent") return take([e.value]);
    checkContent(e);
    const isKnown = e.sender === disk.get("root") || held().some(({ payload }) => payload.subject === e.sender);
    need(isKnown, "no_chain"); // nothing of a stranger's is stored
    const known = disk.get(e.key), ack = (state) => send("intent_ack", { intents: [{ intentId: e.id, state }] });
    if (known) return ack("duplicate"), known.payload && offer(e.key);
    put(e.key, { digest: e.digest, until: e.expires, intent: e.value, hub });
    ack("accepted"); // the disk first, then the ack, then the work
    work(e.key);
  }
  function control(e) { // rows 4 to 10
    const age = Date.now() - time(e.timestamp), toAll = !hub || (e.type === "error" && state === "registering");
    session ??= e.session; // so far only for an `error` to name
    for (const [holds, code] of [
      [hub ? e.sender === hub.did : e.type === "hello", "wrong_key"], [isSigned(e), "bad_signature"],
      [e.audience === me || (e.audience === "*" && toAll), "wrong_audience"],
      [Math.abs(age) <= 60_000, age > 0 ? "stale" : "future"], [e.session === session, "wrong_session"],
      [e.sequence === next, e.sequence < next ? "replay" : "bad_sequence"],
    ]) need(holds, code, { isFatal: true });
    next++;
    need(isControl(e.type), "unknown_type");
    need(CONTROL[state].includes(e.type), "forbidden_type", { isFatal: e.type === "hello" });
    on[e.type]?.(e.payload, e);
  }
  function receive(data, isBinary) {
    let e, value;
    if (state === "closed" || isBinary) return isBinary && socket.close(1003);
    try {
      if (state === "connecting" && data.length > 65_536) return socket.close(1009);
      e = readEnvelope((value = parseJson(data.toString())));
      if (state !== "online" && e.type !== "register_ack" && data.length > 65_536) return socket.close(1009);
      (e.isDocument ? document : control)(e);
    } catch (error) {
      const { code, isFatal = !e } = refusal(error), isNew = !isIn();
      if (isFatal || e.type !== "error") complain(isNew ? "auth_failed" : code, value?.id);
      if (!isFatal && !isNew) return;
      say({ state: (state = "closed") && "refused", code });
      queue.then(() => socket.close(isNew ? 4401 : 4400));
    }
  }
  const timer = setInterval(() => {
    const at = Date.now(), every = limits.heartbeatSeconds * 1000;
    if (at - heard > 2 * every) socket.terminate();
    if (at - ping >= 20_000 && socket.readyState === WebSocket.OPEN) socket.ping(), (ping = at);
    if (!isIn() || at - beat < every) return;
    beat = at;
    send("heartbeat", { uptimeSeconds: Math.floor(process.uptime()), load: loadavg()[0], running: [], tokenUsage: {},
      memoryBytes: process.memoryUsage.rss() });
    if (state === "online") resend();
  }, 1000);
  for (const sign of ["ping", "pong", "message"]) socket.on(sign, () => (heard = Date.now()));
  socket.on("error", () => {}).on("message", receive); // after an error comes a close
  const code = await new Promise((done) => socket.once("close", done));
  clearInterval(timer);
  link = null;
  return { code, greeted, wait };
}

// ---- 13: all together, for ever
await sodium.ready;
const token = given.join && JSON.parse(Buffer.from(given.join.replace("writ-join:", ""), "base64url"));
const root = given.root ?? token?.root ?? disk.get("root"), url = new URL(given.hub ?? token?.hub ?? "");
if (url.pathname === "/") url.pathname = "/ws/agent";
const isSafe = url.protocol === "wss:" || given.insecure || /^(127\.0\.0\.1|localhost|\[::1\])$/.test(url.hostname);
need(isSafe, "plain ws:// is for loopback only");
need(FORMS.did(root) && (disk.get("root") ?? root) === root, "pin the root by --root or --join; a folder has one root");
disk.set("root", root);
compact();
say({ agentDid: me, fingerprint: fingerprint(root) });
for (const [key, { payload }] of orders()) if (!payload) work(key);
for (let failures = 1; ; failures++) {
  say({ state: "connecting" });
  const { code, greeted, wait } = await converse(url, token);
  if (greeted) failures = 1;
  const seconds = Math.max(wait, code === 4403 ? 600 : 0.5 + Math.random() * (Math.min(60, 2 ** failures) - 0.5));
  say({ state: "offline", code, retryInSeconds: Math.round(seconds * 10) / 10 });
  await sleep(seconds * 1000);
}
