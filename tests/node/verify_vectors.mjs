// Judges every file in protocol/vectors with an implementation that shares no line with the Python one.
//
//   node tests/node/verify_vectors.mjs [protocol/vectors] [../shared/vectors]
//
// Prints one JSON line per file {file, passed, failed: [names]}; exits 1 when anything failed.
import { createHmac, createPrivateKey, createPublicKey } from "node:crypto";
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { checkChain, readHeld } from "./chain.mjs";
import { checkContent, checkControl, checkDocument, isSigned, parseEnvelope } from "./envelope.mjs";
import { play } from "./handshake.mjs";
import { Refused, canonical, parseJson } from "./json.mjs";
import { didOf, encodeMultikey, fingerprint, holds, isEnrollable, parseMultikey, sha256 } from "./keys.mjs";
import { isConsistent, isIncluded, leafHash, readCheckpoint, treeRoot } from "./record.mjs";

const HERE = dirname(fileURLToPath(import.meta.url));
const FOLDER = resolve(process.argv[2] ?? join(HERE, "../../protocol/vectors"));
const SHARED = resolve(process.argv[3] ?? join(HERE, "../../../shared/vectors"));
const fromHex = (text) => Buffer.from(text, "hex");
const readJson = (path) => JSON.parse(readFileSync(path, "utf-8"));

let anyFailed = false;

/** Judge named cases; a case passes when `judge` returns true. */
function report(file, cases) {
  const failed = [];
  for (const [name, judge] of cases) {
    let found = false;
    try {
      found = judge() === true;
    } catch (error) {
      failed.push(`${name}: ${error.stack}`);
      continue;
    }
    if (!found) failed.push(name);
  }
  anyFailed ||= failed.length > 0 || cases.length === 0;
  console.log(JSON.stringify({ file, passed: cases.length - failed.length, failed }));
}

/** The code that `judge` refuses with; null when it does not. */
function codeOf(judge) {
  try {
    judge();
    return null;
  } catch (error) {
    if (error instanceof Refused) return error.code;
    throw error;
  }
}

function publicKeyOf(seed) {
  const der = Buffer.concat([fromHex("302e020100300506032b657004220420"), seed]);
  const key = createPublicKey(createPrivateKey({ key: der, format: "der", type: "pkcs8" }));
  return key.export({ format: "der", type: "spki" }).subarray(-32);
}

const JUDGES = {
  "keys.json": (file) => [
    ...file.keys.map((item) => [
      item.did,
      () =>
        publicKeyOf(fromHex(item.seedHex)).toString("hex") === item.publicKeyHex &&
        encodeMultikey(fromHex(item.publicKeyHex)) === item.multikey &&
        parseMultikey(item.multikey).toString("hex") === item.publicKeyHex &&
        didOf(item.multikey) === item.did &&
        isEnrollable(fromHex(item.publicKeyHex)),
    ]),
    ...file.fingerprints.map((item) => [
      item.fingerprint,
      () => fingerprint(parseMultikey(item.root), parseMultikey(item.agent)) === item.fingerprint,
    ]),
  ],

  "json_profile.json": (cases) =>
    cases.map((item) => [
      item.name,
      () => {
        const data = "hex" in item ? fromHex(item.hex) : Buffer.from(item.text);
        if ("canonical" in item) return canonical(parseJson(data)) === item.canonical;
        return codeOf(() => parseJson(data)) === item.code;
      },
    ]),

  "envelopes.json": (file) =>
    file.cases.map((item) => [
      item.name,
      () => {
        const now = Date.parse(file.now);
        const judge = () => {
          const envelope = parseEnvelope(item.text);
          if (envelope.isDocument) {
            checkDocument(envelope, { audience: file.agent, now });
            checkContent(envelope, "hub");
            return envelope;
          }
          const { peer, session, nextSequence: next } = file.control;
          checkControl(envelope, { peer, session, next, audience: file.hub, everyone: false, now, skewSeconds: 60 });
          checkContent(envelope, "agent");
          return envelope;
        };
        if (item.code !== null) return codeOf(judge) === item.code;
        const envelope = judge();
        return envelope.signedBytes.toString("hex") === item.signedBytesHex && envelope.digest === item.digest;
      },
    ]),

  "chains.json": (file) =>
    file.cases.map((item) => [
      item.name,
      () => {
        const { root, hub, agent } = file;
        const question = { ...item, root, hub, agent, now: Date.parse(file.now), held: readHeld(item.held) };
        return codeOf(() => checkChain(question)) === item.code;
      },
    ]),

  "handshakes.json": (file) =>
    file.cases.map((item) => [
      item.name,
      () => {
        const verdict = play(file, item);
        const same = (name) => verdict[name] === item.expect[name];
        // Before registration only the generic answer is told, so `auth_failed` stands for every cause.
        const code = same("code") || (item.expect.code === "auth_failed" && verdict.told === "auth_failed");
        return code && same("state") && same("told") && same("close");
      },
    ]),

  "audit.json": (file) => {
    const hashes = file.leavesHex.map((leaf) => leafHash(fromHex(leaf)));
    const roots = file.rootsHex.map(fromHex);
    const note = file.checkpoint;
    return [
      ...roots.map((root, size) => [`root of ${size}`, () => treeRoot(hashes.slice(0, size)).equals(root)]),
      ...file.inclusion.map(({ index, size, proofHex }) => [
        `${index} is in ${size}`,
        () => {
          const proof = proofHex.map(fromHex);
          const wrong = hashes[(index + 1) % hashes.length];
          return isIncluded(hashes[index], index, size, proof, roots[size]) && !isIncluded(wrong, index, size, proof, roots[size]);
        },
      ]),
      ...file.consistency.map(({ from, to, proofHex }) => [
        `${to} begins with ${from}`,
        () => isConsistent(from, to, roots[from], roots[to], proofHex.map(fromHex)),
      ]),
      [
        "checkpoint",
        () => {
          const read = readCheckpoint(note.text, parseMultikey(note.logKey));
          return read.size === hashes.length && read.root.equals(roots.at(-1));
        },
      ],
    ];
  },
};

/** The worked examples of SPEC section 12. */
function workedExamples() {
  const spec = readFileSync(join(FOLDER, "../SPEC.md"), "utf-8");
  const block = (name) => spec.match(new RegExp("```text " + name + "\\n(.*)\\n```"))[1];
  const raw = (seed) => publicKeyOf(Buffer.alloc(32, seed));
  const token = () => JSON.parse(Buffer.from(block("join-token").replace("writ-join:", ""), "base64url"));
  const unproved = { join: { tokenId: "019b7959-a200-7000-8000-000000000004" }, name: "worker-1" };
  return [
    ...[["root", 1], ["hub", 2], ["agent", 3]].map(([name, seed]) => [
      name,
      () => didOf(encodeMultikey(raw(seed))) === block(name),
    ]),
    ["fingerprint", () => fingerprint(raw(1), raw(3)) === block("fingerprint")],
    ["intent", () => isSigned(parseEnvelope(block("intent")))],
    ["intent-digest", () => parseEnvelope(block("intent")).digest === block("intent-digest")],
    [
      "intent-signed-bytes",
      () => parseEnvelope(block("intent")).signedBytes.toString().replace("\0", "\\0") === block("intent-signed-bytes"),
    ],
    ["heartbeat", () => isSigned(parseEnvelope(block("heartbeat")))],
    ["join-key", () => sha256(Buffer.from(token().secret, "base64url")).toString("hex") === block("join-key")],
    [
      "join-proof",
      () => createHmac("sha256", fromHex(block("join-key"))).update(canonical(unproved)).digest("base64") === block("join-proof"),
    ],
    [
      "key-rotation",
      () => {
        const { newKey, proof } = JSON.parse(block("key-rotation"));
        const message = Buffer.concat([Buffer.from("writ.v1/rotate\0"), raw(3), parseMultikey(newKey)]);
        return holds(parseMultikey(newKey), Buffer.from(proof, "base64"), message);
      },
    ],
  ];
}

/** Vectors from elsewhere, where they lie beside the checkout. */
function sharedVectors() {
  const names = readdirSync(join(SHARED, "jcs/input"));
  report("jcs", names.map((name) => [
    name,
    () => {
      const value = parseJson(readFileSync(join(SHARED, "jcs/input", name)), { anyNumber: true });
      return canonical(value) === readFileSync(join(SHARED, "jcs/output", name), "utf-8");
    },
  ]));
  const groups = readJson(join(SHARED, "wycheproof_ed25519.json")).testGroups;
  report("wycheproof_ed25519.json", groups.flatMap((group) => group.tests.map((test) => [
    `case ${test.tcId}`,
    () => holds(fromHex(group.publicKey.pk), fromHex(test.sig), fromHex(test.msg)) === (test.result === "valid"),
  ])));
  report("ed25519_speccheck.json", readJson(join(SHARED, "ed25519_speccheck.json")).map((test, index) => [
    `case ${index}`,
    () => {
      const key = fromHex(test.pub_key);
      const accepted = holds(key, fromHex(test.signature), fromHex(test.message));
      return accepted === (index === 3) && !(accepted && isEnrollable(key));
    },
  ]));
}

for (const name of readdirSync(FOLDER).filter((file) => file.endsWith(".json")).sort()) {
  // A file nobody here can read is a failure: a vector that is not judged proves nothing.
  report(name, JUDGES[name]?.(readJson(join(FOLDER, name))) ?? []);
}
report("SPEC.md", workedExamples());
if (existsSync(SHARED)) sharedVectors();
process.exitCode = anyFailed ? 1 : 0;
