// What the agent may do: the policy it holds, and how much of its limits is used.
import { useQuery } from "@tanstack/react-query";
import { ShieldOff } from "lucide-react";
import { useMemo } from "react";
import { Link } from "wouter";
import type { AgentView } from "../../../api/schema.gen.ts";
import { Fact, Facts, Section } from "../../../app/page.tsx";
import { Badge } from "../../../ui/badge.tsx";
import { JsonView } from "../../../ui/code.tsx";
import { CopyField } from "../../../ui/copy.tsx";
import { inert } from "../../../ui/inert.ts";
import { Empty, Failed, Waiting } from "../../../ui/notes.tsx";
import { isObject, wordsOf } from "../../../ui/schema.ts";
import { Ago } from "../../../ui/time.tsx";
import { standingOf } from "../queries.ts";

export function AgentPolicy({ agent }: { agent: AgentView }) {
  const standing = useQuery(standingOf(agent.did));
  const held = standing.data?.policy ?? null;
  const payload = useMemo(() => payloadOf(held?.document), [held]);
  if (standing.isPending) return <Waiting lines={6} />;
  if (standing.isError && !standing.data)
    return <Failed error={standing.error} onRetry={() => void standing.refetch()} />;
  if (held === null)
    return (
      <Empty icon={ShieldOff} title="It holds no policy">
        Without one it refuses every order.
      </Empty>
    );
  const rules = Array.isArray(payload.rules) ? payload.rules.filter(isObject) : [];
  const limits = isObject(payload.limits) ? Object.entries(payload.limits) : [];
  return (
    <div className="grid items-start gap-4 lg:grid-cols-[minmax(0,2fr)_minmax(0,1fr)]">
      <Section title="Rules, first match first" flush>
        <ol>
          {rules.map((rule, at) => (
            <Rule key={String(rule.id ?? at)} rule={rule} />
          ))}
        </ol>
        <p className="border-t border-line px-4 py-2 text-muted">
          Whatever no rule allows is denied.
        </p>
      </Section>
      <div className="flex min-w-0 flex-col gap-4">
        <Section title="In force">
          <Facts>
            <Fact name="Version">{held.version}</Fact>
            <Fact name="Signed by">
              <CopyField value={held.signer} label="signer" short />
            </Fact>
            <Fact name="Until">
              <Ago at={held.expiresAt} />
            </Fact>
            <Fact name="Made of">
              {standing.data?.layers.length
                ? `its own and ${standing.data.layers.map((one) => inert(one.layer)).join(", ")}`
                : "its own"}
            </Fact>
          </Facts>
          <Link
            to={`/policies`}
            className="mt-3 inline-block text-accent-ink underline-offset-2 hover:underline"
          >
            Policies
          </Link>
        </Section>
        <Section title="Limits">
          {limits.length === 0 ? (
            <p className="text-muted">None.</p>
          ) : (
            <Facts>
              {limits.map(([name, value]) => (
                <Fact key={name} name={wordsOf(name)}>
                  <Limit most={Number(value)} used={usedOf(agent, name)} />
                </Fact>
              ))}
            </Facts>
          )}
        </Section>
      </div>
      <details className="text-muted lg:col-span-2">
        <summary className="w-fit text-xs hover:text-ink">The signed document</summary>
        <div className="mt-2">
          <JsonView value={payload} label="The policy as signed" />
        </div>
      </details>
    </div>
  );
}

/** What the agent last said it has used of each limit; its own count is the one that decides. */
const USED: Record<string, string> = {
  ordersPerHour: "ordersThisHour",
  ordersPerDay: "ordersToday",
  tokensPerDay: "tokensToday",
  centsPerDay: "centsToday",
};
const NEAR = 0.8;

function usedOf(agent: AgentView, limit: string): number | null {
  if (limit === "concurrent") return agent.heartbeat?.running.length ?? null;
  const used = agent.heartbeat?.tokenUsage[USED[limit] ?? ""];
  return typeof used === "number" ? used : null;
}

function Limit({ most, used }: { most: number; used: number | null }) {
  if (used === null) return <span className="tabular">{most.toLocaleString()}</span>;
  const part = most > 0 ? used / most : 1;
  return (
    <span className="inline-flex flex-wrap items-center gap-2">
      <span className="tabular">{`${used.toLocaleString()} of ${most.toLocaleString()}`}</span>
      {part >= 1 ? (
        <Badge tone="bad">used up</Badge>
      ) : (
        part >= NEAR && <Badge tone="wait">nearly used up</Badge>
      )}
    </span>
  );
}

function Rule({ rule }: { rule: Record<string, unknown> }) {
  const actions = Array.isArray(rule.actions) ? rule.actions.map(String) : [];
  const approval = isObject(rule.approval) ? rule.approval : null;
  return (
    <li className="flex flex-wrap items-baseline gap-x-3 gap-y-1 border-line px-4 py-2 not-first:border-t">
      <Badge tone={rule.effect === "deny" ? "bad" : approval ? "wait" : "good"}>
        {rule.effect === "deny" ? "deny" : approval ? "ask" : "allow"}
      </Badge>
      <code className="text-xs font-medium">{inert(actions.join("  "))}</code>
      <span className="text-xs text-faint">{inert(String(rule.id ?? ""))}</span>
      {typeof rule.when === "string" && (
        <code className="basis-full text-xs text-muted">when {inert(rule.when)}</code>
      )}
      {approval && (
        <span className="basis-full text-muted">
          needs {String(approval.people)} {approval.people === 1 ? "yes" : "times yes"} from{" "}
          {Array.isArray(approval.from)
            ? inert(approval.from.join(", ").replace("*", "anybody"))
            : "nobody known"}
        </span>
      )}
    </li>
  );
}

function payloadOf(document: string | undefined): Record<string, unknown> {
  try {
    const parsed: unknown = JSON.parse(document ?? "{}");
    return isObject(parsed) && isObject(parsed.payload) ? parsed.payload : {};
  } catch {
    return {};
  }
}
