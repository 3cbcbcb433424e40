// Judges published vectors with the library that proves things in the browser. Knows no files: what to
// judge comes in, so it runs in Node and in a page alike.
import { concat, decodeBase64, encodeBase64, equalBytes, fromHex, sha256, toHex, utf8 } from "../../controlplane/dashboard/src/proof/bytes.ts";
import { checkChain, readHeld } from "../../controlplane/dashboard/src/proof/chain.ts";
import { checkContent, checkDocument, digestOf, isSigned, parseEnvelope } from "../../controlplane/dashboard/src/proof/envelope.ts";
import { canonicalJson, parseStrictJson, plainOf, Refused } from "../../controlplane/dashboard/src/proof/json.ts";
import { didOf, encodeMultikey, fingerprint, isSignedBy, parseMultikey, SMALL_ORDER_Y } from "../../controlplane/dashboard/src/proof/keys.ts";
import { isConsistent, isIncluded, leafHash, treeRoot, verifyCheckpoint } from "../../controlplane/dashboard/src/proof/record.ts";
import { checkControl, play } from "./handshake.mjs";
import { MESSAGES } from "./messages.mjs";
import { isEnrollable, isSmallOrderY } from "./points.mjs";

/** The code that `judge` refuses with; null when it does not. */
async function codeOf(judge) {
  try {
    await judge();
    return null;
  } catch (error) {
    if (error instanceof Refused) return error.code;
    throw error;
  }
}

async function publicKeyOf(seed) {
  const der = concat(fromHex("302e020100300506032b657004220420"), seed);
  const key = await crypto.subtle.importKey("pkcs8", der, "Ed25519", true, ["sign"]);
  const { x } = await crypto.subtle.exportKey("jwk", key);
  return fromBase64Url(x);
}

const fromBase64Url = (text) => {
  const plain = text.replaceAll("-", "+").replaceAll("_", "/");
  return decodeBase64(plain + "=".repeat((4 - (plain.length % 4)) % 4));
};

/** What a token says to the service `audience` that has these keys; null when it proves nothing. */
async function claimsOf(token, { jwks, issuer, audience, now }) {
  const [head, body, signature, ...more] = token.split(".");
  if (!head || !body || !signature || more.length > 0) return null;
  const read = (part) => JSON.parse(new TextDecoder().decode(fromBase64Url(part)));
  // Which algorithm is known beforehand; the token's own word is only compared with it.
  const { alg, kid } = read(head);
  const key = jwks.keys.find((one) => one.kid === kid && one.crv === "Ed25519");
  if (alg !== "EdDSA" || key === undefined) return null;
  const signed = utf8(`${head}.${body}`);
  if (!(await isSignedBy(fromBase64Url(key.x), fromBase64Url(signature), signed))) return null;
  const claims = read(body);
  const lives = Number.isInteger(claims.exp) && claims.exp * 1000 > Date.parse(now);
  return lives && claims.iss === issuer && claims.aud === audience ? claims : null;
}

const JUDGES = {
  "keys.json": (file) => [
    ...file.keys.map((item) => [
      item.did,
      async () =>
        toHex(await publicKeyOf(fromHex(item.seedHex))) === item.publicKeyHex &&
        encodeMultikey(fromHex(item.publicKeyHex)) === item.multikey &&
        toHex(parseMultikey(item.multikey)) === item.publicKeyHex &&
        didOf(item.multikey) === item.did &&
        isEnrollable(fromHex(item.publicKeyHex)),
    ]),
    ...file.fingerprints.map((item) => [
      item.fingerprint,
      async () => (await fingerprint(parseMultikey(item.root), parseMultikey(item.agent))) === item.fingerprint,
    ]),
    ["every point of small order is known", () => SMALL_ORDER_Y.length === 5 && SMALL_ORDER_Y.every(isSmallOrderY)],
  ],

  "json_profile.json": (cases) =>
    cases.map((item) => [
      item.name,
      async () => {
        const data = "hex" in item ? fromHex(item.hex) : utf8(item.text);
        if (!("canonical" in item)) return (await codeOf(() => parseStrictJson(data))) === item.code;
        const value = parseStrictJson(data);
        return canonicalJson(value) === item.canonical && canonicalJson(plainOf(value)) === item.canonical;
      },
    ]),

  "envelopes.json": (file) =>
    file.cases.map((item) => [
      item.name,
      async () => {
        const now = Date.parse(file.now);
        const judge = async () => {
          const envelope = parseEnvelope(item.text, MESSAGES);
          if (envelope.isDocument) {
            await checkDocument(envelope, { audience: file.agent, now });
            checkContent(envelope, "hub", { kinds: MESSAGES });
            return envelope;
          }
          const { peer, session, nextSequence: next } = file.control;
          const own = { audience: file.hub, everyone: false, now, skewSeconds: 60 };
          await checkControl(envelope, { peer, session, next, ...own });
          checkContent(envelope, "agent", { kinds: MESSAGES });
          return envelope;
        };
        if (item.code !== null) return (await codeOf(judge)) === item.code;
        const envelope = await judge();
        return toHex(envelope.signedBytes) === item.signedBytesHex && (await digestOf(envelope)) === item.digest;
      },
    ]),

  "chains.json": (file) =>
    file.cases.map((item) => [
      item.name,
      async () => {
        const { root, hub, agent } = file;
        const held = await readHeld(item.held);
        const question = { ...item, root, hub, agent, now: Date.parse(file.now), held };
        return (await codeOf(() => checkChain(question))) === item.code;
      },
    ]),

  "handshakes.json": (file) =>
    file.cases.map((item) => [
      item.name,
      async () => {
        const verdict = await play(file, item);
        const same = (name) => verdict[name] === item.expect[name];
        // Before registration only the generic answer is told, so `auth_failed` stands for every cause.
        const code = same("code") || (item.expect.code === "auth_failed" && verdict.told === "auth_failed");
        return code && same("state") && same("told") && same("close");
      },
    ]),

  "tokens.json": (file) =>
    file.cases.map((item) => [
      item.name,
      async () => canonicalJson(await claimsOf(item.token, file)) === canonicalJson(item.claims),
    ]),

  "audit.json": (file) => {
    const hashes = Promise.all(file.leavesHex.map((leaf) => leafHash(fromHex(leaf))));
    const roots = file.rootsHex.map(fromHex);
    const note = file.checkpoint;
    return [
      ...roots.map((root, size) => [
        `root of ${size}`,
        async () => equalBytes(await treeRoot((await hashes).slice(0, size)), root),
      ]),
      ...file.inclusion.map(({ index, size, proofHex }) => [
        `${index} is in ${size}`,
        async () => {
          const leaves = await hashes;
          const where = { index, size, proof: proofHex.map(fromHex), root: roots[size] };
          const wrong = leaves[(index + 1) % leaves.length];
          return (await isIncluded(leaves[index], where)) && !(await isIncluded(wrong, where));
        },
      ]),
      ...file.consistency.map(({ from, to, proofHex }) => [
        `${to} begins with ${from}`,
        async () => {
          const [older, newer] = [{ size: from, root: roots[from] }, { size: to, root: roots[to] }];
          const proof = proofHex.map(fromHex);
          const other = { size: to, root: roots[(to + 1) % roots.length] };
          const forked = from > 0 && (await isConsistent(older, other, proof));
          return (await isConsistent(older, newer, proof)) && !forked;
        },
      ]),
      [
        "checkpoint",
        async () => {
          const key = parseMultikey(note.logKey);
          const read = await verifyCheckpoint(note.text, key);
          const changed = note.text.replace(`\n${file.leavesHex.length}\n`, "\n7\n");
          return (
            read?.size === file.leavesHex.length &&
            equalBytes(read.rootHash, roots.at(-1)) &&
            (await verifyCheckpoint(changed, key)) === null &&
            (await verifyCheckpoint(note.text, await publicKeyOf(new Uint8Array(32)))) === null
          );
        },
      ],
    ];
  },

  /** The worked examples of SPEC section 12. */
  "SPEC.md": (spec) => {
    const block = (name) => spec.match(new RegExp("```text " + name + "\\n(.*)\\n```"))[1];
    const raw = (seed) => publicKeyOf(new Uint8Array(32).fill(seed));
    const token = () =>
      JSON.parse(new TextDecoder().decode(fromBase64Url(block("join-token").replace("writ-join:", ""))));
    const unproved = { join: { tokenId: "019b7959-a200-7000-8000-000000000004" }, name: "worker-1" };
    return [
      ...[["root", 1], ["hub", 2], ["agent", 3]].map(([name, seed]) => [
        name,
        async () => didOf(encodeMultikey(await raw(seed))) === block(name),
      ]),
      ["fingerprint", async () => (await fingerprint(await raw(1), await raw(3))) === block("fingerprint")],
      ["intent", () => isSigned(parseEnvelope(block("intent")))],
      ["intent-digest", async () => (await digestOf(parseEnvelope(block("intent")))) === block("intent-digest")],
      [
        "intent-signed-bytes",
        () => {
          const { signedBytes } = parseEnvelope(block("intent"));
          return new TextDecoder().decode(signedBytes).replace("\0", "\\0") === block("intent-signed-bytes");
        },
      ],
      ["heartbeat", () => isSigned(parseEnvelope(block("heartbeat"), MESSAGES))],
      ["join-key", async () => toHex(await sha256(fromBase64Url(token().secret))) === block("join-key")],
      [
        "join-proof",
        async () => {
          const mac = { name: "HMAC", hash: "SHA-256" };
          const key = await crypto.subtle.importKey("raw", fromHex(block("join-key")), mac, false, ["sign"]);
          const proof = await crypto.subtle.sign(mac, key, utf8(canonicalJson(unproved)));
          return encodeBase64(new Uint8Array(proof)) === block("join-proof");
        },
      ],
      [
        "key-rotation",
        async () => {
          const { newKey, proof } = JSON.parse(block("key-rotation"));
          const message = concat(utf8("writ.v1/rotate\0"), await raw(3), parseMultikey(newKey));
          return isSignedBy(parseMultikey(newKey), decodeBase64(proof), message);
        },
      ],
    ];
  },

  // Vectors from elsewhere.
  jcs: (cases) =>
    cases.map(({ name, input, output }) => [
      name,
      () => canonicalJson(parseStrictJson(input, { anyNumber: true })) === output,
    ]),

  "wycheproof_ed25519.json": ({ testGroups }) =>
    testGroups.flatMap((group) =>
      group.tests.map((test) => [
        `case ${test.tcId}`,
        async () => {
          const holds = await isSignedBy(fromHex(group.publicKey.pk), fromHex(test.sig), fromHex(test.msg));
          return holds === (test.result === "valid");
        },
      ]),
    ),

  "ed25519_speccheck.json": (cases) =>
    cases.map((test, index) => [
      `case ${index}`,
      async () => {
        const key = fromHex(test.pub_key);
        const accepted = await isSignedBy(key, fromHex(test.signature), fromHex(test.message));
        return accepted === (index === 3) && !(accepted && isEnrollable(key));
      },
    ]),
};

/** Judge one file's content; a file nobody here can read passes nothing, and so fails. */
export async function judge(file, content) {
  const cases = JUDGES[file]?.(content) ?? [];
  const failed = [];
  for (const [name, verdict] of cases) {
    try {
      if ((await verdict()) !== true) failed.push(name);
    } catch (error) {
      failed.push(`${name}: ${error.stack}`);
    }
  }
  return { file, passed: cases.length - failed.length, failed };
}
