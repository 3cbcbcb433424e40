import assert from "node:assert/strict";
import { test } from "node:test";
import type { AgentView, DelegationView, UserView } from "../../api/schema.gen.ts";
import type { Facts } from "./authority.ts";
import { graphOf, layOut } from "./graph.ts";
import { waysTo } from "./ways.ts";

const NOW = Date.parse("2026-01-10T00:00:00Z");
const [ROOT, HUB, LOG] = ["did:key:root", "did:key:hub", "did:key:log"];

function lend(id: string, issuer: string, subject: string, more: Partial<DelegationView> = {}) {
  return {
    id,
    issuer,
    subject,
    digest: `digest of ${id}`,
    parent: issuer === ROOT ? null : "digest of hub",
    capabilities: [{ action: "*" }],
    conditions: [],
    maxDepth: 0,
    budget: null,
    source: "grant",
    notBefore: "2026-01-01T00:00:00Z",
    expiresAt: "2027-01-01T00:00:00Z",
    revoked: false,
    revokedAt: null,
    document: "",
    ...more,
  } satisfies DelegationView;
}

const agent = (name: string, realms = ["default"]) =>
  ({ did: `did:key:${name}`, name, realms, state: "active", status: "online" }) as AgentView;
const person = (name: string, roles: string[] = []) =>
  ({ id: name, name, kind: "person", state: "active", roles }) as unknown as UserView;

function factsOf(more: Partial<Facts> = {}, delegations: readonly DelegationView[] = []): Facts {
  const agents = [agent("worker"), agent("helper")];
  return {
    root: ROOT,
    hub: HUB,
    log: LOG,
    delegations: [lend("hub", ROOT, HUB), ...delegations],
    allDelegations: true,
    agents: new Map(agents.map((one) => [one.did, one])),
    allAgents: true,
    agentCount: agents.length,
    people: new Map(),
    realms: ["default"],
    ownKeys: new Map(),
    operators: new Set(),
    revokedKeys: new Set(),
    ...more,
  };
}

const CHOICE = { ended: false, focus: null, now: NOW };
const titles = (facts: Facts, choice = {}) =>
  graphOf(facts, { ...CHOICE, ...choice }).nodes.map((one) => one.title);

test("a small fleet is drawn from the root to each agent, left to right", () => {
  const ann = lend("ann", HUB, "user:ann", {
    capabilities: [{ action: "echo", realms: ["default"] }],
  });
  const people = new Map([["user:ann", person("ann")]]);
  const graph = graphOf(factsOf({ people }, [ann]), CHOICE);
  const places = layOut(graph);
  const path = [ROOT, HUB, "user:ann", "realm:default", "did:key:worker"];
  const xs = path.map((id) => places.get(id)?.x ?? -1);
  assert.deepEqual(
    [...xs].sort((a, b) => a - b),
    xs,
  );
  assert.equal(new Set([...places.values()].map(({ x, y }) => `${x} ${y}`)).size, places.size);
});

test("thousands of people and keys become a few", () => {
  const many = Array.from({ length: 3_000 }, (_, at) =>
    lend(`d${at}`, HUB, at % 2 === 0 ? `user:${at}` : `did:key:k${at}`, {
      capabilities: [{ action: `a${at % 40}.do`, realms: ["default"] }],
    }),
  );
  const graph = graphOf(factsOf({}, many), CHOICE);
  assert.ok(graph.nodes.length < 40, String(graph.nodes.length));
  assert.ok(graph.edges.length < 80, String(graph.edges.length));
  const stood = graph.nodes.flatMap((one) => one.members);
  assert.equal(new Set(stood).size, 3_000);
});

test("a focus draws its own paths only, and is never hidden in a group", () => {
  const many = Array.from({ length: 60 }, (_, at) => lend(`d${at}`, HUB, `user:${at}`));
  const people = new Map([["user:7", person("ann")]]);
  const shown = titles(factsOf({ people }, many), { focus: "user:7" });
  assert.ok(shown.includes("ann"));
  assert.ok(!shown.some((one) => one.includes("people")), shown.join());
});

test("agents of a large fleet are drawn only where somebody names them", () => {
  const agents = Array.from({ length: 200 }, (_, at) => agent(`a${at}`));
  const one = lend("one", HUB, "user:ann", {
    capabilities: [{ action: "echo", agents: ["did:key:a7"] }],
  });
  const facts = factsOf(
    { agents: new Map(agents.map((each) => [each.did, each])), allAgents: false },
    [one],
  );
  const graph = graphOf(facts, CHOICE);
  assert.deepEqual(
    graph.nodes.filter((each) => each.kind === "agent").map((each) => each.title),
    ["a7"],
  );
});

test("what was revoked, has run out, or hangs under such is not drawn unless asked for", () => {
  const gone = lend("gone", HUB, "did:key:gone", { revoked: true, maxDepth: 1 });
  const under = lend("under", "did:key:gone", "user:under", { parent: "digest of gone" });
  const late = lend("late", HUB, "user:late", { expiresAt: "2026-01-02T00:00:00Z" });
  const facts = factsOf({}, [gone, under, late]);
  const ids = (ended: boolean) =>
    new Set(graphOf(facts, { ...CHOICE, ended }).nodes.map((one) => one.id));
  for (const id of ["did:key:gone", "user:under", "user:late"]) {
    assert.ok(!ids(false).has(id), id);
    assert.ok(ids(true).has(id), id);
  }
});

test("a circle of parents, which no agent would take, does not hang", () => {
  const one = lend("one", "did:key:b", "did:key:a", { parent: "digest of two" });
  const two = lend("two", "did:key:a", "did:key:b", { parent: "digest of one" });
  assert.ok(graphOf(factsOf({}, [one, two]), { ...CHOICE, ended: true }).nodes.length > 0);
});

const ASKED = { agent: "did:key:worker", action: "files.read", realm: "default" };
const RIGHTS = {
  own: new Set(["user:boss"]),
  submit: new Set(["user:ann", "user:boss"]),
  machines: ["ci"],
};
const who = (facts: Facts) =>
  waysTo(ASKED, facts, RIGHTS, NOW).map((one) => `${one.how} ${one.who}`);

test("everybody whose chain covers the order is found, and nobody else", () => {
  const here = { capabilities: [{ action: "files.*", realms: ["default"] }] };
  const facts = factsOf({}, [
    lend("ann", HUB, "user:ann", here),
    lend("bob", HUB, "user:bob", here),
    lend("eve", HUB, "user:eve", { capabilities: [{ action: "files.read", realms: ["other"] }] }),
    lend("key", HUB, "did:key:key", here),
    lend("peer", HUB, "did:key:helper", here),
    lend("write", HUB, "did:key:write", { capabilities: [{ action: "files.write" }] }),
    lend("gone", HUB, "did:key:gone", { ...here, revoked: true }),
  ]);
  assert.deepEqual(who(facts), [
    `root ${ROOT}`,
    "hub user:boss",
    "machine ci",
    "person user:ann",
    "key did:key:key",
    "agent did:key:helper",
  ]);
});

test("a delegation with a condition says so, and one without is preferred", () => {
  const bound = { conditions: ['params.path.startsWith("in/")'] };
  const facts = factsOf({}, [
    lend("bound", HUB, "did:key:key", bound),
    lend("free", HUB, "did:key:key"),
    lend("only", HUB, "did:key:other", bound),
  ]);
  const ways = waysTo(ASKED, facts, RIGHTS, NOW);
  assert.deepEqual(ways.find((one) => one.who === "did:key:key")?.conditions, []);
  assert.deepEqual(ways.find((one) => one.who === "did:key:other")?.conditions, bound.conditions);
});

test("who may submit but was lent nothing is not among them", () => {
  assert.ok(!who(factsOf()).includes("person user:ann"));
});
