// "Who can make this agent do X?": the paths, what the policy says to each, and what nobody here knows.
import { useQueries, useQuery } from "@tanstack/react-query";
import { HelpCircle } from "lucide-react";
import { useMemo, useState } from "react";
import { api } from "../../api/client.ts";
import { useCan } from "../../api/me.ts";
import { asProblem } from "../../api/problem.ts";
import type { AgentView, ExplanationView } from "../../api/schema.gen.ts";
import { useAddress } from "../../app/address.ts";
import { Section } from "../../app/page.tsx";
import { Badge } from "../../ui/badge.tsx";
import { Button } from "../../ui/button.tsx";
import { CodeField, Field, Select, TextInput } from "../../ui/field.tsx";
import { inert } from "../../ui/inert.ts";
import { Empty, Note, ProblemNote, Waiting } from "../../ui/notes.tsx";
import { isObject } from "../../ui/schema.ts";
import { type Facts, nameOf } from "./authority.ts";
import { useMachineKeys, useMembers, useRoles } from "./queries.ts";
import { type Rights, type Way, waysTo } from "./ways.ts";

/** Each is a question to the hub. */
const MOST_ASKED = 24;
const MOST_SHOWN = 50;
/** The permission by which machines order. */
const ORDER_ANYTHING = "intents.submit.any";

export function WhoCan({ facts, onOpen }: { facts: Facts; onOpen: (link: string) => void }) {
  const { params, change } = useAddress();
  const name = params.get("agent") ?? "";
  const action = params.get("action") ?? "";
  const known = [...facts.agents.values()].filter((one) => one.state !== "revoked");
  const near = known.find((one) => one.name === name || one.did === name);
  const asked = useQuery({
    queryKey: ["agents", "named", name],
    enabled: near === undefined && name !== "" && !facts.allAgents,
    queryFn: ({ signal }) =>
      api.get("/api/v1/agents", { query: { q: name.toLowerCase(), limit: 20 }, signal }),
  });
  const agent = near ?? asked.data?.items.find((one) => one.name === name || one.did === name);
  const realm = params.get("realm") ?? agent?.realms[0] ?? "";
  const [text, setText] = useState("{}");
  const given = readObject(text);
  return (
    <div className="grid items-start gap-4 lg:grid-cols-[minmax(16rem,1fr)_minmax(0,2.4fr)]">
      <Section title="Who can make…">
        <div className="flex flex-col gap-3">
          <Field
            label="This agent"
            required
            error={
              name !== "" && !agent && !asked.isFetching ? "No agent has this name or DID" : null
            }
          >
            {(props) => (
              <>
                <TextInput
                  {...props}
                  list="trust-agents"
                  spellCheck={false}
                  autoComplete="off"
                  placeholder="its name or DID"
                  value={name}
                  onChange={(event) => change({ agent: event.target.value.trim(), realm: "" })}
                />
                <datalist id="trust-agents">
                  {known.slice(0, 200).map((one) => (
                    <option key={one.did} value={one.name} />
                  ))}
                </datalist>
              </>
            )}
          </Field>
          <Field
            label="Do this"
            required
            hint={agent && `${agent.actions.length} actions are offered there`}
          >
            {(props) => (
              <>
                <TextInput
                  {...props}
                  list="trust-actions"
                  spellCheck={false}
                  autoComplete="off"
                  placeholder="files.read"
                  value={action}
                  onChange={(event) => change({ action: event.target.value.trim() })}
                />
                <datalist id="trust-actions">
                  {agent?.actions.map((one) => (
                    <option key={one.name} value={one.name} />
                  ))}
                </datalist>
              </>
            )}
          </Field>
          {agent && agent.realms.length > 1 && (
            <Field label="In realm">
              {(props) => (
                <Select
                  {...props}
                  value={realm}
                  onChange={(event) => change({ realm: event.target.value })}
                >
                  {agent.realms.map((one) => (
                    <option key={one} value={one}>
                      {one}
                    </option>
                  ))}
                </Select>
              )}
            </Field>
          )}
          <CodeField
            label="With these parameters"
            hint="Rules may look at them. {} asks about none."
            error={given === null ? "This is not a JSON object" : null}
            rows={3}
            value={text}
            onChange={setText}
          />
        </div>
      </Section>
      {agent && action !== "" ? (
        <Answer {...{ agent, action, realm, facts, onOpen }} params={given ?? {}} />
      ) : (
        <Empty icon={HelpCircle} title="Choose an agent and an action">
          Every person, key and agent that can is listed, with the path by which it can.
        </Empty>
      )}
    </div>
  );
}

function Answer({
  agent,
  action,
  realm,
  params,
  facts,
  onOpen,
}: {
  agent: AgentView;
  action: string;
  realm: string;
  params: Record<string, unknown>;
  facts: Facts;
  onOpen: (link: string) => void;
}) {
  const { rights, waiting } = useRights(facts, realm);
  const ways = useMemo(
    () => waysTo({ agent: agent.did, action, realm }, facts, rights, Date.now()),
    [agent, action, realm, facts, rights],
  );
  const [all, setAll] = useState(false);
  const verdicts = useVerdicts(ways, { agent: agent.did, action, realm, params });
  if (waiting) return <Waiting lines={6} />;
  const offered = agent.actions.some((one) => one.name === action);
  const shown = all ? ways : ways.slice(0, MOST_SHOWN);
  return (
    <div className="flex min-w-0 flex-col gap-4">
      {!offered && (
        <Note tone="wait">{`${inert(agent.name)} offers no action of this name now: it would refuse it from everybody.`}</Note>
      )}
      {agent.state === "quarantined" && (
        <Note tone="wait">It is in quarantine now, and refuses all work.</Note>
      )}
      {verdicts.error !== null && <ProblemNote problem={asProblem(verdicts.error)} />}
      {verdicts.paramsMatter && Object.keys(params).length === 0 && (
        <Note>Rules of this agent look at parameters: give some to ask about a real order.</Note>
      )}
      <Section title={`${ways.length} whose chain covers it`} flush>
        <ul aria-label={`Who can make ${inert(agent.name)} do ${inert(action)}`}>
          {shown.map((way) => (
            <WayRow
              key={`${way.how} ${way.who}`}
              way={way}
              facts={facts}
              verdict={verdicts.of(way)}
              onOpen={onOpen}
            />
          ))}
        </ul>
        {ways.length > shown.length && (
          <div className="border-t border-line p-2">
            <Button size="sm" onClick={() => setAll(true)}>{`Show all ${ways.length}`}</Button>
          </div>
        )}
      </Section>
      <Limits rights={rights} facts={facts} paramsMatter={verdicts.paramsMatter} />
    </div>
  );
}

const HOW: Record<Way["how"], string> = {
  root: "whoever holds the root's key, with any order it signs",
  hub: "in the hub's own name, as an administrator",
  machine: "an API key that orders in the hub's own name",
  person: "on the hub's word that it is them",
  key: "with orders that this key signs",
  agent: "as another agent that orders this one",
};

function WayRow({
  way,
  facts,
  verdict,
  onOpen,
}: {
  way: Way;
  facts: Facts;
  verdict: ExplanationView | undefined;
  onOpen: (link: string) => void;
}) {
  const last = way.chain?.links.at(-1);
  const path = [facts.root, ...(way.chain?.links.map((one) => one.subject) ?? [])];
  return (
    <li className="flex flex-col gap-1 border-line px-4 py-3 not-first:border-t">
      <div className="flex flex-wrap items-center gap-x-3 gap-y-1">
        <b className="font-medium">
          {way.how === "machine" ? inert(way.who) : nameOf(way.who, facts)}
        </b>
        <span className="text-muted">{HOW[way.how]}</span>
        <span className="ml-auto">
          <VerdictBadge verdict={verdict} />
        </span>
      </div>
      {way.conditions.map((one) => (
        <p key={one} className="text-xs">
          <span className="text-muted">only while </span>
          <code>{inert(one)}</code>
        </p>
      ))}
      {verdict && <p className="text-xs text-muted">{inert(verdict.summary)}</p>}
      {last && (
        <p className="flex flex-wrap items-center gap-x-2 text-xs text-muted">
          <button
            type="button"
            className="text-accent-ink underline underline-offset-2"
            onClick={() => onOpen(last.id)}
          >
            {`Path: ${path.map((id) => nameOf(id, facts)).join(" → ")}`}
          </button>
          {way.more > 0 && <span>{`and ${way.more} more`}</span>}
        </p>
      )}
    </li>
  );
}

function VerdictBadge({ verdict }: { verdict: ExplanationView | undefined }) {
  if (verdict === undefined) return <Badge>not asked</Badge>;
  if (verdict.effect !== "allow") return <Badge tone="bad">refused by the policy</Badge>;
  const { approval } = verdict;
  if (!approval) return <Badge tone="good">allowed</Badge>;
  const from = approval.from
    .map((one) => (one === "*" ? "anybody who may" : inert(one)))
    .join(" or ");
  return <Badge tone="wait">{`asks ${approval.people} first: ${from}`}</Badge>;
}

function Limits({
  rights,
  facts,
  paramsMatter,
}: {
  rights: Rights;
  facts: Facts;
  paramsMatter: boolean;
}) {
  return (
    <Section title="What this does not know">
      <ul className="flex list-disc flex-col gap-1 pl-4 text-muted">
        {paramsMatter && (
          <li>
            Rules here look at parameters or at the caller: other ones can be answered otherwise.
          </li>
        )}
        {rights.submit === null && (
          <li>
            You may not see who belongs to this realm: people are listed by what they were lent
            alone.
          </li>
        )}
        <li>
          API keys of machines that you may not see, and whoever runs the hub's machine: they order
          in the hub's name.
        </li>
        <li>Managers of the realm may also order on behalf of the people listed.</li>
        <li>Delegations that the hub was never shown, and those of realms you do not see.</li>
        <li>
          The agent's own configuration: with <code>requireOperatorSignature</code> every path
          through the hub counts for nothing.
        </li>
        <li>
          Conditions of delegations, rates and budgets: the agent judges them when the order comes.
        </li>
        {facts.people === null && <li>Names of people: you may not see them.</li>}
      </ul>
    </Section>
  );
}

/** Who may order here by their roles, from members and the hub's table of roles. */
function useRights(facts: Facts, realm: string): { rights: Rights; waiting: boolean } {
  const may = useCan("members.read");
  const members = useMembers(realm, may);
  const roles = useRoles();
  const keys = useMachineKeys();
  const rights = useMemo((): Rights => {
    const orderers = new Set(
      roles.data?.items.flatMap((one) =>
        one.permissions.includes(ORDER_ANYTHING) ? one.name : [],
      ),
    );
    const machines = (keys.data?.items ?? [])
      .filter((one) => one.kind === "machine" && one.revokedAt === null)
      .filter((one) => one.expiresAt === null || Date.parse(one.expiresAt) > Date.now())
      .filter((one) => one.realm === null || one.realm === realm)
      .filter(
        ({ roles: held, scopes }) =>
          (held.length === 0 || held.some((role) => orderers.has(role))) &&
          (scopes.length === 0
            ? held.length > 0
            : scopes.some((one) => one === "*" || `${ORDER_ANYTHING}.`.startsWith(`${one}.`))),
      )
      .map((one) => one.name);
    const holders = new Set(
      roles.data?.items.flatMap((one) =>
        one.permissions.includes("intents.submit") ? one.name : [],
      ),
    );
    const people = [...(facts.people ?? [])].filter(([, one]) => one.state === "active");
    const own = people
      .filter(([, one]) => one.roles.some((role) => role === "owner" || role === "admin"))
      .map(([id]) => id);
    if (!members.data || !roles.data || facts.people === null)
      return { own: new Set(own), submit: null, machines };
    const everywhere = people
      .filter(([, one]) => one.roles.some((role) => holders.has(role)))
      .map(([id]) => id);
    const here = members.data.items
      .filter((one) => one.state === "active" && holders.has(one.role))
      .map((one) => `user:${one.user}`);
    return { own: new Set(own), submit: new Set([...everywhere, ...here]), machines };
  }, [facts, realm, members.data, roles.data, keys.data]);
  return { rights, waiting: (members.isPending && members.isFetching) || roles.isPending };
}

interface Asked {
  agent: string;
  action: string;
  realm: string;
  params: Record<string, unknown>;
}

/** What the policy in force says to each way; one question where it does not look at the caller. */
function useVerdicts(ways: readonly Way[], asked: Asked) {
  const standing = useQuery({
    queryKey: ["policies", "standing", asked.agent],
    queryFn: ({ signal }) =>
      api.get("/api/v1/agents/{did}/policy", { path: { did: asked.agent }, signal }),
  });
  const rules = rulesOf(standing.data?.policy?.document);
  const when = rules.map((rule) => (typeof rule.when === "string" ? rule.when : ""));
  const looksAtCaller = when.some((one) => one.includes("caller"));
  const keyOf = (way: Way) => (looksAtCaller ? `${way.caller} ${way.onBehalfOf ?? ""}` : "");
  const questions = new Map(ways.map((way) => [keyOf(way), way] as const));
  const wanted = [...questions].slice(0, MOST_ASKED);
  const answers = useQueries({
    queries: wanted.map(([key, way]) => ({
      queryKey: ["policies", "explain", asked, key],
      enabled: standing.isSuccess,
      retry: false,
      queryFn: () =>
        api.post("/api/v1/policies/explain", {
          body: { ...asked, caller: way.caller, onBehalfOf: way.onBehalfOf } as never,
        }),
    })),
    combine: (results) => ({
      data: new Map(
        results.flatMap((one, at) =>
          one.data ? [[wanted[at]?.[0] ?? "", one.data] as const] : [],
        ),
      ),
      error: results.find((one) => one.isError)?.error ?? null,
    }),
  });
  return {
    of: (way: Way): ExplanationView | undefined => answers.data.get(keyOf(way)),
    error: standing.error ?? answers.error,
    paramsMatter: when.some((one) => one.includes("params") || one.includes("caller")),
  };
}

function rulesOf(document: string | undefined): Record<string, unknown>[] {
  try {
    const parsed: unknown = JSON.parse(document ?? "{}");
    const payload = isObject(parsed) && isObject(parsed.payload) ? parsed.payload : {};
    return Array.isArray(payload.rules) ? payload.rules.filter(isObject) : [];
  } catch {
    return [];
  }
}

function readObject(text: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : null;
  } catch {
    return null;
  }
}
