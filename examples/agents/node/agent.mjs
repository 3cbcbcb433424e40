#!/usr/bin/env node
// A whole Writ agent in one file. Numbers in comments are sections of protocol/SPEC.md.
//
//   3  JSON, canonical form, envelopes      bytes -> a value that is inside the profile, and who signed it
//   -  the disk                             one file, synced before anything is said about it
//   7  authority                            may this be done? decided here, offline, whatever the hub believes
//   -  the actions                          echo, files.read
//   8  orders and results                   at most once, and kept until the hub has them
//   4  one connection; and again, for ever
import { createHash, createHmac, createPrivateKey, createPublicKey, generateKeyPairSync, randomBytes, sign } from "node:crypto";
import * as fs from "node:fs";
import { arch, loadavg, platform } from "node:os";
import { isAbsolute, join, relative, resolve, sep } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import sodium from "libsodium-wrappers";
import WebSocket from "ws";

await sodium.ready;
const TEXT = { type: "string" };
const { values: options } = parseArgs({
  options: { hub: TEXT, root: TEXT, join: TEXT, "data-dir": TEXT, name: TEXT, workspace: TEXT, insecure: { type: "boolean" } },
});
const say = (fact) => console.log(JSON.stringify(fact));

// ---- 3: JSON, canonical form, envelopes ------------------------------------------------------------------------

class Refused extends Error {
  constructor(code, message = code) {
    super(message);
    this.code = code;
  }
}
const refuse = (code, message) => { throw new Refused(code, message); };
const isObject = (value) => typeof value === "object" && value !== null && !Array.isArray(value);

/** The value of a text inside the JSON profile: JSON.parse knows the grammar, this adds what it lets through. */
function parseJson(text) {
  let value;
  try { value = JSON.parse(text); } catch { refuse("bad_json"); }
  const keys = [];
  let values = 0;
  const tokens = /"(?:[^"\\]|\\.)*"(\s*:)?|[{}[\]]|[^\s{}[\],:"]+/g;
  for (const [token, isKey] of text.matchAll(tokens)) {
    if (token === "}" || token === "]") { keys.pop(); continue; }
    if (!isKey && ++values > 10_000) refuse("bad_json", "too many values");
    if (token === "{" || token === "[") {
      if (keys.push(new Set()) > 32) refuse("bad_json", "too deep");
    } else if (token[0] === '"') {
      const string = JSON.parse(isKey ? token.slice(0, -isKey.length) : token);
      if (!string.isWellFormed() || string.includes("\0")) refuse("bad_json", "surrogate or U+0000");
      if (isKey && keys.at(-1).size === keys.at(-1).add(string).size) refuse("bad_json", "duplicate key");
    } else if (Math.abs(Number(token)) > Number.MAX_SAFE_INTEGER) refuse("bad_json", "number too large");
  }
  return value;
}

/** RFC 8785: keys by UTF-16 units; numbers and strings as JavaScript writes them anyway. */
function canonical(value) {
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  if (!isObject(value)) return JSON.stringify(value);
  return `{${Object.keys(value).sort().map((key) => `${JSON.stringify(key)}:${canonical(value[key])}`).join(",")}}`;
}

const sha256 = (data) => createHash("sha256").update(data).digest();
const BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
function multikey(raw) { // 2
  let number = BigInt(`0xed01${raw.toString("hex")}`), text = "";
  for (; number; number /= 58n) text = BASE58[Number(number % 58n)] + text;
  return `z${text}`;
}
function rawKey(text) {
  let number = 0n;
  for (const char of text.slice(1)) number = number * 58n + BigInt(BASE58.indexOf(char));
  const hex = number.toString(16);
  return hex.length === 68 && hex.startsWith("ed01") ? Buffer.from(hex.slice(4), "hex") : refuse("bad_envelope", "key");
}
function fingerprint(root, agent) { // 2
  let bits = BigInt(`0x${sha256(Buffer.concat([Buffer.from("writ.v1/fingerprint\0"), root, agent])).toString("hex")}`) >> 176n;
  let text = "";
  for (; text.length < 16; bits >>= 5n) text = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"[Number(bits & 31n)] + text;
  return text.match(/.{4}/g).join("-");
}
function newId() { // 11: UUIDv7
  const bytes = randomBytes(16);
  bytes.writeUIntBE(Date.now(), 0, 6);
  bytes[6] = (bytes[6] & 0x0f) | 0x70;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  return bytes.toString("hex").replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}
const isoTime = (ms) => new Date(ms).toISOString();

// Forms (11). `fields` checks an object: a trailing "?" marks what may be left out; documents allow no others.
const form = (pattern) => (value) => typeof value === "string" && new RegExp(`^(?:${pattern})$`).test(value);
const isId = form("[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}");
const DID = "did:key:z6Mk[1-9A-HJ-NP-Za-km-z]{44}", ACTION = "[a-z][a-z0-9_]*(?:\\.[a-z][a-z0-9_]*)*";
const isDid = form(DID), isName = form("[a-z0-9][a-z0-9._-]{0,62}"), isPattern = form(`${ACTION}(\\.\\*)?|\\*`);
const isParty = form(`${DID}|user:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`), isString = (v) => typeof v === "string";
const isTime = (v) => form("\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d\\.\\d{3}Z")(v) && !Number.isNaN(Date.parse(v)) && isoTime(Date.parse(v)) === v;
const isBool = (v) => typeof v === "boolean", any = () => true;
const integer = (min, max = Number.MAX_SAFE_INTEGER) => (v) => Number.isInteger(v) && v >= min && v <= max;
const base64 = (size) => (v) => isString(v) && Buffer.from(v, "base64").length === size && Buffer.from(v, "base64").toString("base64") === v;
const list = (check, max, min = 0) => (v) => Array.isArray(v) && v.length >= min && v.length <= max && v.every(check);
const fields = (table) => (value) => isObject(value) &&
  Object.keys(value).every((name) => Object.hasOwn(table, name) || Object.hasOwn(table, `${name}?`)) &&
  Object.entries(table).every(([name, check]) => name.endsWith("?") ? !Object.hasOwn(value, name.slice(0, -1)) || check(value[name.slice(0, -1)]) : Object.hasOwn(value, name) && check(value[name]));

const isProof = list(isId, 16);
const isLimits = fields({ "ordersPerHour?": integer(0), "ordersPerDay?": integer(0), "tokensPerDay?": integer(0), "centsPerDay?": integer(0), "concurrent?": integer(1, 10_000) });
const isCapability = fields({ action: isPattern, "realms?": list(isName, 64), "agents?": list(isDid, 1000) });
const isRule = fields({ id: isString, effect: (v) => v === "allow" || v === "deny", actions: list(isPattern, 64, 1), "when?": isString, "approval?": isObject, "sandbox?": isName, "domains?": list(isString, 64) });
const steering = { "proof?": isProof };
const DOCUMENTS = { // without a prototype, or `constructor` would be a type; 6: the payloads of the documents this agent takes
  __proto__: null,
  intent: fields({ action: form(ACTION), params: isObject, realm: isName, timeoutSeconds: integer(1, 604_800), "onBehalfOf?": isParty, "notBefore?": isTime, "batchId?": isId, "traceparent?": isString, "sealed?": isObject, ...steering }),
  delegation: fields({ subject: isParty, capabilities: list(isCapability, 64), conditions: list(isString, 16), notBefore: isTime, maxDepth: integer(0, 16), parent: (v) => v === null || base64(32)(v), "budget?": isLimits }),
  policy_update: fields({ policyId: isId, version: integer(1), realms: list(isName, 64), default: (v) => v === "deny", rules: list(isRule, 256), limits: isLimits, ...steering }),
  revocations: fields({ epoch: integer(1), keys: list(isDid, 4000), delegations: list(isId, 4000), ...steering }),
  quarantine: fields({ epoch: integer(1), active: isBool, reason: isString, ...steering }),
  intent_cancel: fields({ intentId: isId, reason: isString, ...steering }),
};
const some = (table) => (value) => isObject(value) && Object.entries(table).every(([name, check]) => check(value[name] ?? null));
const orNull = (check) => (v) => v === null || check(v);
const CONTROL = { // 4: what this agent reads of the hub's control frames; unknown fields are ignored there
  __proto__: null,
  hello: some({ challenge: base64(32), root: isDid, delegation: isObject, limits: some({ heartbeatSeconds: integer(1, 3600) }), versions: list(isString, 16, 1) }),
  registration_pending: some({ registrationId: isId, fingerprint: isString }),
  registration_rejected: some({ reason: isString }),
  register_ack: some({ agentId: isDid, name: isName, delegations: list(isObject, 1000), revocations: orNull(isObject), policy: orNull(isObject) }),
  delegation_update: some({ added: list(isObject, 1000), removed: list(isId, 1000) }),
  result_ack: some({ results: list(some({ intentId: isId, resultId: isId }), 1000, 1) }),
  drain: some({ retryAfterSeconds: integer(0, 86_400) }),
  error: some({ code: isString, message: isString }),
  pong: any, channel_message_send: any, peer_result: any, upload_grant: any, checkpoint_proof: any,
};
const COMMON = { type: form("[a-z][a-z0-9_]{0,63}"), id: isId, timestamp: isTime, audience: form("\\*|did:[a-z0-9]+:.+"), payload: isObject, publicKey: form("z6Mk.{44}"), signature: base64(64) };
const isDocument = fields({ ...COMMON, expires: isTime }), isControl = fields({ ...COMMON, session: isId, sequence: integer(1) });

/** Row 3: a parsed value as an envelope, with its signed bytes and digest. */
function readEnvelope(value) {
  const document = isDocument(value);
  if (!document && !isControl(value)) refuse("bad_envelope");
  if (document ? value.type in CONTROL : value.type in DOCUMENTS) refuse("bad_envelope", "the other kind");
  const { signature, ...unsigned } = value;
  const bytes = Buffer.from(`writ.v1\0${canonical(unsigned)}`);
  return { ...value, document, bytes, raw: rawKey(value.publicKey), digest: sha256(bytes).toString("base64"), sender: `did:key:${value.publicKey}` };
}
const isSigned = (e) => sodium.crypto_sign_verify_detached(Buffer.from(e.signature, "base64"), e.bytes, e.raw);

/** Rows 5 to 7 of a document for this agent. */
function checkDocument(e) {
  if (!isSigned(e)) refuse("bad_signature");
  if (e.audience !== me.did && !(e.audience === "*" && ["delegation", "revocations"].includes(e.type))) refuse("wrong_audience");
  if (Date.parse(e.timestamp) - 60_000 > now()) refuse("future");
  if (now() >= Date.parse(e.expires)) refuse("expired");
}
/** Rows 9 and 10. */
function checkContent(e) {
  if (!(e.type in DOCUMENTS)) refuse(["result", "key_rotation"].includes(e.type) ? "forbidden_type" : "unknown_type");
  if (!DOCUMENTS[e.type](e.payload)) refuse("bad_payload");
}

// ---- the disk: one file, replaced as a whole, synced before anything is said about it ----------------------------

const folder = resolve(options["data-dir"] ?? "writ-agent");
fs.mkdirSync(folder, { recursive: true, mode: 0o700 });
const STATE = join(folder, "state.json"), KEY = join(folder, "key.pem");
const disk = { root: null, clock: 0, sessions: [], seen: {}, held: {}, revocations: null, policy: null, quarantine: { epoch: 0, active: false }, orders: {}, usage: [] };
if (fs.existsSync(STATE)) Object.assign(disk, JSON.parse(fs.readFileSync(STATE, "utf-8")));

function writeDurably(path, text) {
  const file = fs.openSync(`${path}.new`, "w", 0o600);
  fs.writeSync(file, text);
  fs.fsyncSync(file);
  fs.closeSync(file);
  fs.renameSync(`${path}.new`, path);
  const parent = fs.openSync(folder, "r");
  fs.fsyncSync(parent);
  fs.closeSync(parent);
}
function save() {
  for (const [name, { expires }] of Object.entries(disk.seen)) if (now() > expires && !disk.orders[name]) delete disk.seen[name];
  for (const [name, order] of Object.entries(disk.orders)) if (order.acked && now() > order.expires) delete disk.orders[name];
  disk.usage = disk.usage.filter(({ at }) => at > now() - 86_400_000);
  writeDurably(STATE, JSON.stringify(disk));
}
/** 3: time never runs backwards, not even over a restart. */
function now() { return (disk.clock = Math.max(disk.clock, Date.now())); }

if (!fs.existsSync(KEY)) writeDurably(KEY, generateKeyPairSync("ed25519").privateKey.export({ format: "pem", type: "pkcs8" }));
for (const path of [folder, KEY]) {
  const { mode, uid } = fs.statSync(path);
  if (mode & 0o077 || uid !== process.getuid()) throw new Error(`${path} must be yours alone (0700 for folders, 0600 for keys)`);
}
const privateKey = createPrivateKey(fs.readFileSync(KEY));
const ownRaw = createPublicKey(privateKey).export({ format: "der", type: "spki" }).subarray(-32);
const me = { publicKey: multikey(ownRaw), did: `did:key:${multikey(ownRaw)}` };

/** An envelope of this agent as text. */
function seal(type, audience, payload, more) {
  const value = { type, id: newId(), timestamp: isoTime(Date.now()), audience, payload, publicKey: me.publicKey, ...more };
  value.signature = sign(null, Buffer.from(`writ.v1\0${canonical(value)}`), privateKey).toString("base64");
  return JSON.stringify(value);
}

// ---- 7: authority, offline --------------------------------------------------------------------------------------

const covers = (granted, action) => granted === action || (!action.startsWith("writ.") &&
  (granted === "*" || (granted.endsWith(".*") && action.startsWith(granted.slice(0, -1)))));
const grants = (link, { action, realms }) => realms.every((realm) => link.payload.capabilities.some((item) =>
  covers(item.action, action) && (!item.realms || (realm !== null && item.realms.includes(realm))) && (!item.agents || item.agents.includes(me.did))));
const held = (id) => disk.held[id] && readEnvelope(disk.held[id]);
const allHeld = () => Object.keys(disk.held).map(held);

function isAttenuated(child, parent) {
  const [inner, outer] = [child.payload, parent.payload];
  const within = (some, all) => !all || (some && some.every((item) => all.includes(item)));
  const inside = (item, wide) => (item.action === wide.action || (item.action !== "*" && covers(wide.action, item.action))) &&
    within(item.realms, wide.realms) && within(item.agents, wide.agents);
  return inner.maxDepth < outer.maxDepth && inner.notBefore >= outer.notBefore && child.expires <= parent.expires &&
    inner.capabilities.every((item) => outer.capabilities.some((wide) => inside(item, wide))) &&
    Object.entries(outer.budget ?? {}).every(([name, most]) => (inner.budget?.[name] ?? Infinity) <= most);
}

/** Step 2 after `no_chain`: the links lead from the root to `subject`, each inside the one before. */
function checkLinks(links, subject) {
  const dids = [disk.root, ...links.map((link) => link.payload.subject)];
  const shape = links.length <= 5 && new Set(dids).size === dids.length && dids.at(-1) === subject && links.every((link, i) =>
    link.sender === dids[i] && link.payload.parent === (i ? links[i - 1].digest : null) && isSigned(link));
  if (!shape) refuse("bad_chain");
  const gone = disk.revocations?.payload ?? { keys: [], delegations: [] };
  if (links.some((link) => gone.keys.includes(link.payload.subject) || gone.delegations.includes(link.id))) refuse("revoked");
  const lives = (link) => Date.parse(link.timestamp) - 60_000 <= now() && Date.parse(link.payload.notBefore) <= now() && now() < Date.parse(link.expires);
  if (!links.every(lives)) refuse("chain_expired");
  if (links.some((link, i) => i && !isAttenuated(link, links[i - 1]))) refuse("not_attenuated");
}

/** Step 2: the chain of whoever signed a document. */
function chainOf(e, hub) {
  const { proof } = e.payload;
  if (!proof?.length && e.sender === disk.root) return [];
  const ids = proof ?? (hub && e.sender === hub.did ? [hub.delegation] : []);
  const links = ids.map(held);
  const isKnown = e.sender === disk.root || allHeld().some((link) => link.payload.subject === e.sender);
  if (!isKnown) throw Object.assign(new Refused("no_chain"), { stranger: true });
  if (!links.length || links.includes(undefined)) refuse("no_chain");
  if (e.sender !== disk.root && !links.some((link) => link.payload.subject === e.sender)) refuse("no_chain");
  checkLinks(links, e.sender);
  return links;
}

/** Step 3. Without CEL every condition is an error, and an error is false. */
function checkCovers(links, what) {
  if (!links.every((link) => grants(link, what))) refuse("not_granted");
  if (links.some((link) => link.payload.conditions.length)) refuse("condition_false");
}

/** Step 4: some held delegation leads to the person and covers the order. */
function checkPerson(person, what) {
  const byDigest = new Map(allHeld().map((link) => [link.digest, link]));
  const covered = allHeld().filter((link) => link.payload.subject === person).some((last) => {
    const links = [];
    for (let link = last; link && links.length < 6; link = byDigest.get(link.payload.parent)) links.unshift(link);
    try { checkLinks(links, person); checkCovers(links, what); return true; } catch { return false; }
  });
  if (!covered) refuse("person_not_granted");
}

/** Step 5: the first deny that matches, else the first allow. A `when` nobody here can read matches a deny and no allow. */
function decide(action) {
  if (!disk.policy) refuse("no_policy");
  if (now() >= Date.parse(disk.policy.expires)) refuse("policy_expired");
  const { rules, version } = disk.policy.payload;
  const matching = rules.filter((rule) => rule.actions.some((pattern) => covers(pattern, action)));
  const rule = matching.find((item) => item.effect === "deny") ?? matching.find((item) => item.when === undefined);
  const decision = { policyVersion: version, rule: rule?.id ?? null };
  // Nobody can be asked from here, so a rule that asks people allows nothing.
  if (rule?.effect !== "allow" || rule.approval) throw Object.assign(new Refused("policy_denied"), { decision });
  return decision;
}

/** Steps 1 to 5 for an order. */
function authorize(e, hub) {
  const { action, params, realm, onBehalfOf, sealed } = e.payload;
  if (disk.quarantine.active) refuse("quarantined");
  if (!Object.hasOwn(ACTIONS, action)) refuse("unknown_action");
  if (sealed || !ACTIONS[action].params(params)) refuse("bad_params");
  const links = chainOf(e, hub), what = { action, realms: [realm] };
  checkCovers(links, what);
  if (disk.policy && !disk.policy.payload.realms.includes(realm)) refuse("wrong_realm");
  if (onBehalfOf) checkPerson(onBehalfOf, what);
  return { links, decision: decide(action) };
}

/** Step 6: sliding windows over the orders that were started. */
function checkLimits({ links }) {
  const bounds = [["policy", disk.policy.payload.limits], ...links.map((link) => [link.id, link.payload.budget ?? {}])];
  for (const [name, { ordersPerHour = Infinity, ordersPerDay = Infinity, tokensPerDay, centsPerDay }] of bounds) {
    const ages = disk.usage.filter(({ under }) => under.includes(name)).map(({ at }) => now() - at);
    if (ages.filter((age) => age < 3_600_000).length >= ordersPerHour || ages.length >= ordersPerDay) refuse("rate_limited");
    if (tokensPerDay === 0 || centsPerDay === 0) refuse("budget_exhausted");
  }
  disk.usage.push({ at: now(), under: bounds.map(([name]) => name) });
}

const STEERING = { policy_update: "writ.policy", revocations: "writ.revoke", quarantine: "writ.quarantine", intent_cancel: "writ.cancel" };

/** 6 and 7: take a steering document, or refuse it with a code of `document_ack`. */
function steer(e, hub) {
  const { payload, type } = e;
  const present = disk.policy?.payload.realms ?? [];
  const realms = [...new Set([...present, ...(payload.realms ?? [])])];
  let links = [];
  try {
    if (type === "delegation") {
      const parent = allHeld().find((link) => link.digest === payload.parent);
      const lawful = payload.parent === null ? e.sender === disk.root : parent?.payload.subject === e.sender && parent.payload.maxDepth > 0;
      if (!lawful) refuse("not_authorised");
    } else if (type !== "intent_cancel" || !ordersOf(payload.intentId).some(([, order]) => order.document.publicKey === e.publicKey)) checkCovers((links = chainOf(e, hub)), { action: STEERING[type], realms: realms.length ? realms : [null] });
  } catch { refuse("not_authorised"); }
  const newer = (old, code, number) => {
    if (old && (number < old.number || (number === old.number && e.digest !== old.digest))) refuse(code);
  };
  if (type === "policy_update") {
    newer(disk.policy && { number: disk.policy.payload.version, digest: disk.policy.digest }, "old_version", payload.version);
    disk.policy = { payload, expires: e.expires, digest: e.digest };
  } else if (type === "revocations") {
    const old = disk.revocations;
    newer(old && { number: old.payload.epoch, digest: old.digest }, "old_epoch", payload.epoch);
    const keeps = (list) => (old?.payload[list] ?? []).every((item) => payload[list].includes(item));
    if (links.length && !(keeps("keys") && keeps("delegations"))) refuse("forbidden_lift");
    disk.revocations = { payload, digest: e.digest };
  } else if (type === "quarantine") {
    newer({ number: disk.quarantine.epoch, digest: disk.quarantine.digest }, "old_epoch", payload.epoch);
    if (!payload.active && links.some((link) => link.payload.capabilities.some((item) => item.action === "writ.route"))) refuse("forbidden_lift");
    disk.quarantine = { epoch: payload.epoch, active: payload.active, digest: e.digest };
  } else if (type === "delegation") disk.held[e.id] = plain(e);
  else for (const [name] of ordersOf(payload.intentId)) {
    if (!disk.orders[name].startedAt) finish(name, "cancelled", failure(new Refused("cancelled", payload.reason)));
  }
}
const ordersOf = (intentId) => Object.entries(disk.orders).filter(([, order]) => order.document.id === intentId);
const plain = ({ document, bytes, raw, digest, sender, ...value }) => value;

// ---- the actions ------------------------------------------------------------------------------------------------

const workspace = fs.realpathSync(options.workspace ?? ".");
const ACTIONS = {
  echo: { capability: "echo", description: "Gives its params back.", params: isObject, run: async (params) => params },
  "files.read": {
    capability: "files",
    description: "Reads a file of the workspace.",
    params: fields({ path: isString, "encoding?": (v) => v === "utf-8" || v === "base64" }),
    async run({ path, encoding }) {
      const target = fs.existsSync(resolve(workspace, path)) ? fs.realpathSync(resolve(workspace, path)) : resolve(workspace, path);
      const inside = relative(workspace, target);
      if (isAbsolute(path) || isAbsolute(inside) || inside.split(sep)[0] === "..") refuse("outside_workspace");
      if (!fs.existsSync(target)) refuse("not_found");
      const file = fs.openSync(target, fs.constants.O_RDONLY | fs.constants.O_NOFOLLOW | fs.constants.O_NONBLOCK);
      try {
        const { size } = fs.fstatSync(file);
        if (!fs.fstatSync(file).isFile()) refuse("not_a_file");
        if (size > 262_144) refuse("output_too_big");
        const data = fs.readFileSync(file);
        // U+0000 has no place in the JSON profile: a result with it would never be taken.
        const isText = !data.includes(0) && data.equals(Buffer.from(data.toString("utf-8")));
        if (encoding === "utf-8" && !isText) refuse("not_text");
        encoding ??= isText ? "utf-8" : "base64";
        return { content: data.toString(encoding), encoding, bytes: data.length, sha256: sha256(data).toString("hex") };
      } finally { fs.closeSync(file); }
    },
  },
};

// ---- 8: orders, at most once, and their results until the hub has them ---------------------------------------------

let link = null; // the connection that is online, if any
let working = Promise.resolve();
const running = new Set();

function finish(name, status, rest = {}) {
  const order = disk.orders[name];
  if (order.result) return;
  const code = rest.error?.code;
  order.payload = {
    intentId: order.document.id, intentDigest: order.digest, status, ...rest, finishedAt: isoTime(now()), usage: {},
    decision: order.decision ?? { policyVersion: disk.policy?.payload.version ?? null, rule: null }, sandbox: {}, approvals: [], progressCount: 0,
  };
  order.result = true;
  save();
  say({ intent: order.document.id, action: order.document.payload.action, status, ...(code && { code }) });
  link?.sendResult(order);
}

const failure = (error) => ({ error: { code: error.code?.match?.(/^[a-z][a-z0-9_]*$/) ? error.code : "failed", message: String(error.message).slice(0, 4000) } });

/** Do one order that is on the disk; everything is checked again, for it may have waited. */
async function work(name) {
  const order = disk.orders[name], { payload, expires } = order.document;
  const wait = () => Date.parse(payload.notBefore ?? 0) - now();
  while (wait() > 0) await sleep(Math.min(wait(), 60_000));
  if (order.result) return;
  try {
    if (now() >= Date.parse(expires)) refuse("expired");
    const grant = authorize(readEnvelope(order.document), order.hub);
    order.decision = grant.decision;
    if (!order.startedAt) checkLimits(grant);
  } catch (error) { return finish(name, "refused", failure(error)); }
  order.startedAt ??= isoTime(now()); // both actions are idempotent: after a crash they may run again
  save();
  running.add(order.document.id);
  const clock = new AbortController();
  try {
    const late = sleep(payload.timeoutSeconds * 1000, null, { signal: clock.signal }).then(() => refuse("timed_out"), () => {});
    const output = await Promise.race([ACTIONS[payload.action].run(payload.params), late]);
    if (Buffer.byteLength(canonical(output)) > 262_144) refuse("output_too_big");
    finish(name, "succeeded", { output, startedAt: order.startedAt });
  } catch (error) {
    finish(name, error.code === "timed_out" ? "timed_out" : "failed", { ...failure(error), startedAt: order.startedAt });
  } finally {
    clock.abort();
    running.delete(order.document.id);
  }
}
const start = (name) => {
  const held = disk.orders[name].document.payload.notBefore;
  if (held) work(name); // what waits for its hour keeps nobody else waiting
  else working = working.then(() => work(name));
};

// ---- 4: one connection --------------------------------------------------------------------------------------------

class Connection {
  constructor(url, token) {
    Object.assign(this, { token, state: "connecting", hub: null, session: null, next: 1, sent: 0, outcome: {} });
    this.socket = new WebSocket(url, ["writ.v1"], { perMessageDeflate: false, maxPayload: 1_048_576, handshakeTimeout: 10_000 });
    this.over = new Promise((done) => this.socket.once("close", (code) => done(code)));
    this.socket.on("error", () => {}); // a close follows
    this.socket.on("message", (data, binary) => this.receive(data, binary));
    this.heard = Date.now();
    this.socket.on("ping", () => (this.heard = Date.now())).on("pong", () => (this.heard = Date.now()));
    this.beat = setInterval(() => this.live(), 1000);
    this.beats = this.pings = Date.now();
    this.every = 30_000;
  }

  live() {
    if (Date.now() - this.heard > 2 * this.every) this.socket.terminate();
    if (this.socket.readyState !== WebSocket.OPEN) return;
    if (Date.now() - this.pings >= 20_000) this.socket.ping(), (this.pings = Date.now());
    if (Date.now() - this.beats < this.every || !["pending", "online"].includes(this.state)) return;
    this.beats = Date.now();
    this.send("heartbeat", { uptimeSeconds: Math.floor(process.uptime()), load: loadavg()[0], memoryBytes: process.memoryUsage.rss(), running: [...running], tokenUsage: {} });
    if (this.state === "online") this.resend();
  }

  send(type, payload) {
    this.socket.send(seal(type, this.hub?.did ?? "*", payload, { session: this.session, sequence: ++this.sent }));
  }
  error(code, inReplyTo) {
    if (this.session) this.send("error", { code, message: code === "auth_failed" ? "authentication failed" : code, ...(inReplyTo && { inReplyTo }) });
  }
  /** Rows 2 to 8 end the connection; before registration with one answer for everything. */
  end(code, inReplyTo) {
    const introduced = ["pending", "online"].includes(this.state);
    this.error(introduced ? code : "auth_failed", inReplyTo);
    say({ state: "refused", code });
    this.socket.close(introduced ? 4400 : 4401);
    this.state = "closed";
  }

  receive(data, binary) {
    this.heard = Date.now();
    if (this.state === "closed") return;
    let e;
    if (binary) return this.socket.close(1003);
    if (this.state === "connecting" && data.length > 65_536) return this.socket.close(1009);
    try { e = readEnvelope(parseJson(data.toString())); } catch (error) { return this.end(error.code ?? "bad_envelope"); }
    if (this.state !== "online" && e.type !== "register_ack" && data.length > 65_536) return this.socket.close(1009);
    try {
      if (e.document) this.document(e);
      else this.control(e);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      if (error.fatal || !["pending", "online"].includes(this.state)) return this.end(error.code, e.id);
      if (e.type !== "error") this.error(error.code, e.id);
    }
  }

  control(e) {
    const fatal = (code) => { throw Object.assign(new Refused(code), { fatal: true }); };
    this.session ??= e.session; // so far only for an `error` to name; `hello` decides
    if (this.hub ? e.sender !== this.hub.did : e.type !== "hello") fatal("wrong_key"); // row 4
    if (!isSigned(e)) fatal("bad_signature");
    const toAll = e.audience === "*" && (this.hub ? e.type === "error" && this.state === "registering" : true);
    if (e.audience !== me.did && !toAll) fatal("wrong_audience");
    if (Math.abs(Date.parse(e.timestamp) - Date.now()) > 60_000) fatal(Date.parse(e.timestamp) < Date.now() ? "stale" : "future");
    if (e.session !== this.session) fatal("wrong_session");
    if (e.sequence !== this.next) fatal(e.sequence < this.next ? "replay" : "bad_sequence");
    this.next++;
    if (!(e.type in CONTROL)) refuse(["register", "heartbeat", "intent_ack"].includes(e.type) ? "forbidden_type" : "unknown_type");
    const decisions = ["registration_pending", "registration_rejected", "register_ack", "error", "drain"];
    const allowed = { connecting: ["hello"], registering: decisions, pending: [...decisions.slice(1), "pong"] }[this.state];
    if (e.type === "hello" && this.hub) fatal("forbidden_type");
    if (allowed ? !allowed.includes(e.type) : decisions.slice(0, 3).includes(e.type)) refuse("forbidden_type");
    if (!CONTROL[e.type](e.payload)) refuse("bad_payload");
    this[`on_${e.type}`]?.(e.payload, e);
  }

  /** Believe a hub only through one valid delegation straight from the pinned root. */
  on_hello(payload, e) {
    if (!payload.versions.includes("v1") || payload.root !== disk.root || disk.sessions.includes(e.session)) refuse("auth_failed");
    const given = readEnvelope(payload.delegation), { subject, parent, conditions, capabilities, notBefore } = given.payload;
    checkDocument(given);
    checkContent(given);
    const routes = (item) => item.action === "writ.route" && (!item.agents || item.agents.includes(me.did));
    const gone = disk.revocations?.payload ?? { keys: [], delegations: [] };
    const believed = given.type === "delegation" && given.sender === disk.root && e.sender !== disk.root && subject === e.sender && parent === null &&
      Date.parse(notBefore) <= now() && conditions.length === 0 && capabilities.some(routes) && !gone.keys.includes(subject) && !gone.delegations.includes(given.id);
    if (!believed) refuse("auth_failed");
    this.hub = { did: e.sender, delegation: given.id };
    this.every = payload.limits.heartbeatSeconds * 1000;
    this.state = "registering";
    disk.held[given.id] = plain(given); // proofs may name it
    disk.sessions = [...disk.sessions, e.session].slice(-10_000);
    save();
    this.send("register", this.registration(payload.challenge));
  }

  registration(challenge) {
    const open = Object.values(disk.orders).filter((order) => !order.acked);
    const register = {
      challenge, name: options.name ?? "node-agent", version: "0.1.0", labels: {}, host: { system: platform(), architecture: arch() },
      capabilities: [...new Set(Object.values(ACTIONS).map(({ capability }) => capability))],
      actions: Object.entries(ACTIONS).map(([name, { capability, description }]) => ({ name, capability, description, paramsSchema: { type: "object" }, idempotent: true })),
      holds: { policyVersion: disk.policy?.payload.version ?? null, revocationEpoch: disk.revocations?.payload.epoch ?? null, delegations: Object.keys(disk.held).slice(0, 400), checkpoint: null, intents: open.map((order) => order.document.id).slice(0, 800) },
    };
    if (!this.token) return register;
    const unproved = { ...register, join: { tokenId: this.token.id } }; // 5: the secret itself never travels
    const key = sha256(Buffer.from(this.token.secret, "base64url"));
    return { ...register, join: { ...unproved.join, proof: createHmac("sha256", key).update(canonical(unproved)).digest("base64") } };
  }

  on_registration_pending({ registrationId }) {
    this.state = "pending";
    this.greeted = true;
    say({ state: "pending", registrationId, fingerprint: fingerprint(rawKey(disk.root.slice(8)), ownRaw) });
  }
  on_registration_rejected({ reason }) { this.outcome = { waitSeconds: 600, reason }; }
  on_drain({ retryAfterSeconds }) { this.outcome = { waitSeconds: retryAfterSeconds * (1 + Math.random() / 2) }; }
  on_error({ code, message, inReplyTo }) {
    say({ error: code, message, inReplyTo });
    // 8: a result the hub will not have is kept, and offered again only on another connection.
    for (const order of Object.values(disk.orders)) if (order.wire && JSON.parse(order.wire).id === inReplyTo) order.turnedDown = this.session;
  }

  on_register_ack({ agentId, name, delegations, revocations, policy, log }) {
    if (agentId !== me.did) refuse("bad_payload");
    this.state = "online";
    this.greeted = true;
    link = this;
    this.take([...delegations, revocations, policy, log].filter(isObject)); // in this order
    say({ state: "online", name });
    this.resend();
  }
  on_delegation_update({ added, removed }) {
    for (const id of removed) if (id !== this.hub.delegation) delete disk.held[id];
    this.take(added);
  }
  on_result_ack({ results }) {
    for (const { intentId } of results) for (const [, order] of ordersOf(intentId)) if (order.result) order.acked = true;
    save();
  }

  /** Steering documents, each answered in one `document_ack`. */
  take(values) {
    const documents = [], waiting = [...values];
    for (let value, left = waiting.length ** 2; (value = waiting.shift()); ) {
      let e;
      try {
        e = readEnvelope(value);
        checkDocument(e);
        this.remember(e);
        if (e.type === "intent") refuse("forbidden_type"); // orders come by themselves
        steer(e, this.hub);
        documents.push({ id: e.id, digest: e.digest, state: "accepted" });
      } catch (error) {
        if (!(error instanceof Refused)) throw error;
        if (e?.type === "delegation" && error.code === "not_authorised" && waiting.length && left-- > 0) {
          waiting.push(value); // its parent may come later in the same frame
          continue;
        }
        const inAck = ["old_version", "old_epoch", "not_authorised", "forbidden_lift"].includes(error.code);
        if (inAck) documents.push({ id: e.id, digest: e.digest, state: "refused", code: error.code });
        else this.error(error.code, isId(value.id) ? value.id : undefined);
      }
    }
    save();
    if (documents.length) this.send("document_ack", { documents });
  }
  /** Row 8: the same bytes again are the same document, other bytes under its id are not. */
  remember(e) {
    const name = `${e.publicKey} ${e.id}`, known = disk.seen[name];
    if (known && known.digest !== e.digest) refuse("id_reuse");
    checkContent(e);
    disk.seen[name] = { digest: e.digest, expires: Date.parse(e.expires) };
    return { name, known: Boolean(known) };
  }

  document(e) {
    if (e.type !== "intent" || this.state !== "online") {
      checkDocument(e);
      if (this.state !== "online") refuse("forbidden_type");
      return this.take([plain(e)]);
    }
    checkDocument(e);
    const { name, known } = this.remember(e);
    if (known && disk.orders[name]) {
      this.send("intent_ack", { intents: [{ intentId: e.id, state: "duplicate" }] });
      return disk.orders[name].result && this.sendResult(disk.orders[name]);
    }
    const order = { document: plain(e), digest: e.digest, hub: this.hub, expires: Date.parse(e.expires), result: false, acked: false };
    let verdict = null;
    try { order.decision = authorize(e, this.hub).decision; } catch (error) {
      if (!(error instanceof Refused)) throw error;
      if (error.stranger) { delete disk.seen[name]; throw error; } // an `error`, and nothing stored
      order.decision = error.decision;
      verdict = error;
    }
    disk.orders[name] = order;
    if (verdict) return finish(name, "refused", failure(verdict));
    save(); // on the disk first, then the ack, then the work
    this.send("intent_ack", { intents: [{ intentId: e.id, state: "accepted" }] });
    start(name);
  }

  /** The same bytes every time, unless they expired or the hub has another key. */
  sendResult(order) {
    const sealed = order.wire && JSON.parse(order.wire);
    if (!sealed || sealed.audience !== this.hub.did || now() >= Date.parse(sealed.expires)) {
      order.wire = seal("result", this.hub.did, order.payload, { expires: isoTime(now() + 90 * 86_400_000) });
      save();
    }
    if (this.socket.readyState === WebSocket.OPEN) this.socket.send(order.wire);
  }
  resend() {
    for (const order of Object.values(disk.orders)) if (order.result && !order.acked && order.turnedDown !== this.session) this.sendResult(order);
  }
}

// ---- 4: and again, for ever ---------------------------------------------------------------------------------------

const token = options.join && JSON.parse(Buffer.from(options.join.replace(/^writ-join:/, ""), "base64url"));
const pin = options.root ?? token?.root ?? disk.root;
if (!isDid(pin)) throw new Error("pin the root: --root DID or --join TOKEN");
if (disk.root && disk.root !== pin) throw new Error("this data folder belongs to another root");
disk.root = pin;
const url = new URL(options.hub ?? token?.hub ?? "");
if (url.pathname === "/") url.pathname = "/ws/agent";
if (url.protocol !== "wss:" && !options.insecure && !["127.0.0.1", "localhost", "[::1]"].includes(url.hostname)) throw new Error("plain ws:// is for loopback only");
save();
say({ agentDid: me.did, fingerprint: fingerprint(rawKey(pin.slice(8)), ownRaw) });
for (const [name, order] of Object.entries(disk.orders)) if (!order.result) start(name);

for (let failures = 1; ; failures++) {
  say({ state: "connecting" });
  const connection = new Connection(url, token);
  const code = await connection.over;
  clearInterval(connection.beat);
  link = null;
  if (connection.greeted) failures = 1;
  const backoff = 0.5 + Math.random() * (Math.min(60, 2 ** failures) - 0.5);
  const seconds = code === 4403 ? 600 : Math.max(backoff, connection.outcome.waitSeconds ?? 0);
  say({ state: "offline", code, retryInSeconds: Math.round(seconds * 10) / 10 });
  await sleep(seconds * 1000);
}
