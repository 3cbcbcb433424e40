// Who the agent is, where it runs, how it does, what it can do.
import type { ReactNode } from "react";
import type { AgentView } from "../../../api/schema.gen.ts";
import { Fact, Facts, Section } from "../../../app/page.tsx";
import { JsonView } from "../../../ui/code.tsx";
import { CopyField } from "../../../ui/copy.tsx";
import { inert } from "../../../ui/inert.ts";
import { Ago, shortLength } from "../../../ui/time.tsx";
import { Labels } from "../labels.tsx";

export function AgentFacts({ agent }: { agent: AgentView }) {
  return (
    <div className="grid items-start gap-4 lg:grid-cols-2">
      <Section title="Identity">
        <Facts>
          <Fact name="DID">
            <CopyField value={agent.did} label="DID" short />
          </Fact>
          <Fact name="Fingerprint">
            <CopyField value={agent.fingerprint} label="fingerprint" />
          </Fact>
          <Fact name="Realms">{inert(agent.realms.join(", ")) || "none"}</Fact>
          <Fact name="Labels">
            {Object.keys(agent.labels).length > 0 ? <Labels labels={agent.labels} /> : "none"}
          </Fact>
          <Fact name="Enrolled">
            <Ago at={agent.enrolledAt} />
          </Fact>
        </Facts>
      </Section>
      <div className="flex min-w-0 flex-col gap-4">
        <Health agent={agent} />
        <Section title="Host">
          <Facts>
            <Fact name="Writ">{inert(agent.version)}</Fact>
            {Object.entries(agent.host).map(([name, value]) =>
              typeof value === "string" || typeof value === "number" ? (
                <Fact key={name} name={inert(name)}>
                  {inert(String(value))}
                </Fact>
              ) : null,
            )}
          </Facts>
        </Section>
      </div>
      <div className="min-w-0 lg:col-span-2">
        <Actions agent={agent} />
      </div>
    </div>
  );
}

function Health({ agent }: { agent: AgentView }) {
  const beat = agent.heartbeat;
  return (
    <Section title="Health">
      {beat === null ? (
        <p className="text-muted">It has not told how it does yet.</p>
      ) : (
        <dl className="grid grid-cols-2 gap-y-3 sm:grid-cols-4">
          <Measure name="Working on">{beat.running.length}</Measure>
          <Measure name="Load">{beat.load.toFixed(2)}</Measure>
          <Measure name="Memory">{`${Math.round(beat.memoryBytes / 2 ** 20)} MiB`}</Measure>
          <Measure name="Up">{shortLength(beat.uptimeSeconds * 1000)}</Measure>
        </dl>
      )}
    </Section>
  );
}

function Measure({ name, children }: { name: string; children: ReactNode }) {
  return (
    <div className="flex flex-col-reverse">
      <dt className="text-xs text-muted">{name}</dt>
      <dd className="tabular text-lg font-semibold">{children}</dd>
    </div>
  );
}

function Actions({ agent }: { agent: AgentView }) {
  const named = agent.actions.flatMap((one) =>
    typeof one.name === "string" ? [{ ...one, name: one.name }] : [],
  );
  return (
    <Section title={`${named.length} actions`} flush>
      <ul>
        {named.map((one) => (
          <li key={one.name} className="border-line not-first:border-t">
            <details>
              <summary className="flex min-h-9 flex-wrap items-center gap-x-3 px-4 py-1.5 -outline-offset-2 hover:bg-hover">
                <code className="text-xs font-medium">{inert(one.name)}</code>
                <span className="text-muted">
                  {"description" in one ? inert(String(one.description ?? "")) : ""}
                </span>
              </summary>
              <div className="px-4 pb-3">
                <JsonView value={one} label={`${one.name} as it describes itself`} />
              </div>
            </details>
          </li>
        ))}
      </ul>
      {named.length === 0 && <p className="p-4 text-muted">It offers no action.</p>}
    </Section>
  );
}
