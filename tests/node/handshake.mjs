// One end of a connection, as far as judging the other end goes: SPEC sections 3 and 4.
import {
  checkContent,
  checkDocument,
  checkSignature,
  parseEnvelope,
  readEnvelope,
} from "../../controlplane/dashboard/src/proof/envelope.ts";
import { Refused } from "../../controlplane/dashboard/src/proof/json.ts";
import { MESSAGES } from "./messages.mjs";

const SMALL_BYTES = 65_536;
const LARGE_BYTES = 1_048_576;
const HANDSHAKE = ["hello", "registration_pending", "registration_rejected", "register_ack"];
const DECISIONS = ["registration_pending", "registration_rejected", "register_ack", "error", "drain"];
const bytesOf = (text) => new TextEncoder().encode(text).length;
const refuse = (code) => {
  throw new Refused(code);
};

/** Rows 4 to 8 for a control frame. `everyone`: whether `*` may be its audience here and now. */
export async function checkControl(envelope, { peer, audience, everyone, now, skewSeconds, session, next }) {
  if (peer !== null && envelope.publicKey !== peer) refuse("wrong_key");
  await checkSignature(envelope);
  if (envelope.audience !== audience && !(envelope.audience === "*" && everyone)) refuse("wrong_audience");
  const ahead = Date.parse(envelope.timestamp) - now;
  if (ahead < -skewSeconds * 1000) refuse("stale");
  if (ahead > skewSeconds * 1000) refuse("future");
  if (session !== null && envelope.session !== session) refuse("wrong_session");
  if (envelope.sequence < next) refuse("replay");
  if (envelope.sequence > next) refuse("bad_sequence");
}

export class End {
  /** `side` is which end this is; `agent` says what an agent believes. */
  constructor({ side, own, now, skewSeconds, agent }) {
    Object.assign(this, { side, own, now, skewSeconds, agent });
    this.other = side === "hub" ? "agent" : "hub";
    this.state = "connecting";
    this.peer = this.session = this.told = this.close = this.code = null;
    this.next = 1;
    this.registerSent = false;
  }

  /** Take note of a frame this end has sent. */
  said(text) {
    const { type, session, payload } = parseEnvelope(text, MESSAGES);
    if (type === "hello") Object.assign(this, { state: "registering", session, challenge: payload.challenge });
    if (type === "register") this.registerSent = true;
    if (type === "registration_pending") this.state = "pending";
    if (type === "register_ack") this.state = "online";
  }

  /** Take one message of the other end. */
  async receive(text, { binary = false } = {}) {
    if (binary) return this.end(1003);
    const bytes = bytesOf(text);
    const large = this.state === "online" || (this.side === "agent" && this.registerSent);
    if (bytes > (large ? LARGE_BYTES : SMALL_BYTES)) return this.end(1009);
    let envelope;
    try {
      envelope = parseEnvelope(text, MESSAGES);
    } catch (error) {
      return this.fail(error);
    }
    if (this.state !== "online" && bytes > SMALL_BYTES && envelope.type !== "register_ack") return this.end(1009);
    return envelope.isDocument ? this.document(envelope) : this.control(envelope);
  }

  get introduced() {
    return this.state === "pending" || this.state === "online";
  }

  async document(envelope) {
    if (this.state === "online") return undefined; // rows 5 to 12 are its receiver's
    try {
      await checkDocument(envelope, { audience: this.own, now: this.now });
      refuse("forbidden_type");
    } catch (error) {
      return this.introduced ? this.answer(error, envelope) : this.fail(error, envelope);
    }
  }

  async control(envelope) {
    const opening = this.side === "hub" ? "register" : "hello";
    try {
      if (this.peer === null && envelope.type !== opening && !(this.side === "hub" && envelope.type === "error")) {
        refuse("auth_failed");
      }
      await checkControl(envelope, {
        peer: this.peer,
        audience: this.own,
        everyone: this.everyoneMayHear(envelope.type),
        now: this.now,
        skewSeconds: this.skewSeconds,
        session: this.session,
        next: this.next,
      });
    } catch (error) {
      return this.fail(error, envelope);
    }
    this.next++;
    try {
      checkContent(envelope, this.other, { allowed: this.mayReceive(envelope.type), kinds: MESSAGES });
      return await this.act(envelope);
    } catch (error) {
      const ends = !this.introduced || envelope.type === opening;
      return ends ? this.fail(error, envelope) : this.answer(error, envelope);
    }
  }

  everyoneMayHear(type) {
    if (this.side === "hub") return type === "error" && this.peer === null;
    return (type === "hello" && this.peer === null) || (type === "error" && !this.introduced);
  }

  mayReceive(type) {
    if (this.side === "hub") {
      if (this.state === "online") return type !== "register";
      if (this.state === "pending") return type === "heartbeat" || type === "error";
      return type === "error" || (type === "register" && this.peer === null);
    }
    if (this.state === "online") return !HANDSHAKE.includes(type);
    if (this.state === "pending") return type !== "registration_pending" && [...DECISIONS, "pong"].includes(type);
    if (this.state === "registering") return this.registerSent ? DECISIONS.includes(type) : type === "error";
    return type === "hello";
  }

  async act(envelope) {
    const { type, payload } = envelope;
    if (type === "register") {
      if (payload.challenge !== this.challenge) refuse("auth_failed");
      this.peer = envelope.publicKey;
    } else if (type === "hello") {
      await this.believe(envelope);
      Object.assign(this, { peer: envelope.publicKey, session: envelope.session, state: "registering" });
    } else if (type === "error" && this.side === "hub" && this.peer === null) {
      this.code = payload.code;
      this.end(4401);
    } else if (type === "registration_pending") this.state = "pending";
    else if (type === "register_ack") {
      if (payload.agentId !== this.own) refuse("bad_payload");
      this.state = "online";
    }
  }

  /** The three conditions of SPEC section 4 on `hello`. */
  async believe({ payload, session, sender }) {
    const { root, trustFirstHub, seenSessions, revokedKeys, revokedDelegations } = this.agent;
    const pin = root ?? (trustFirstHub ? payload.root : null);
    const link = readEnvelope(payload.delegation, MESSAGES);
    const { subject, parent, conditions, capabilities, notBefore } = link.payload;
    const routes = (item) => item.action === "writ.route" && (!item.agents || item.agents.includes(this.own));
    const holds =
      !seenSessions.includes(session) &&
      payload.versions.includes("v1") &&
      payload.root === pin &&
      link.type === "delegation" &&
      link.sender === pin &&
      sender !== pin;
    if (!holds) refuse("auth_failed");
    try {
      await checkDocument(link, { audience: this.own, now: this.now });
      checkContent(link, "hub");
    } catch {
      refuse("auth_failed");
    }
    const good =
      Date.parse(notBefore) <= this.now &&
      subject === sender &&
      parent === null &&
      conditions.length === 0 &&
      capabilities.some(routes) &&
      !revokedKeys.includes(subject) &&
      !revokedDelegations.includes(link.id);
    if (!good) refuse("auth_failed");
  }

  /** Rows 2 to 8, and everything before registration: an `error`, then the close. */
  fail(error, envelope) {
    this.code = codeOf(error);
    const session = this.session ?? envelope?.session ?? null;
    if (session !== null) this.told = this.introduced ? this.code : "auth_failed";
    this.end(this.introduced ? 4400 : 4401);
  }

  /** An `error`, and the connection lives; never in answer to an `error`. */
  answer(error, envelope) {
    this.code = codeOf(error);
    if (envelope.type !== "error") this.told = this.code;
  }

  end(close) {
    this.close = close;
    this.state = "closed";
  }

  get verdict() {
    return { state: this.state, code: this.code, told: this.told, close: this.close };
  }
}

function codeOf(error) {
  if (error instanceof Refused) return error.code;
  throw error;
}

/** Play a published transcript and return the judge's verdict. */
export async function play(file, { judge, agent, frames }) {
  const end = new End({
    side: judge,
    own: file[judge],
    now: Date.parse(file.now),
    skewSeconds: file.clockSkewSeconds,
    agent,
  });
  for (const { from, text, padToBytes = 0, binary } of frames) {
    if (from === judge) end.said(text);
    else await end.receive(text + " ".repeat(Math.max(0, padToBytes - bytesOf(text))), { binary });
  }
  return end.verdict;
}

