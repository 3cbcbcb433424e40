// One agent's policy: what it holds, what that is made of, a change of it, and a try.

import { Scale } from "lucide-react";
import { useState } from "react";
import { useCan } from "../../api/me.ts";
import type { PolicyView } from "../../api/schema.gen.ts";
import { Fact, Facts, Page, Section } from "../../app/page.tsx";
import { Badge } from "../../ui/badge.tsx";
import { CodeBlock } from "../../ui/code.tsx";
import { CopyField } from "../../ui/copy.tsx";
import { inert } from "../../ui/inert.ts";
import { Empty, Failed, Note, Waiting } from "../../ui/notes.tsx";
import { Ago } from "../../ui/time.tsx";
import { Change } from "./change.tsx";
import { type Content, textOf, useAgents, useStanding } from "./queries.ts";
import { Trial } from "./trial.tsx";

export function AgentPolicy({ did }: { did: string }) {
  const standing = useStanding(did);
  const agents = useAgents();
  const may = useCan("policies.write");
  const [typed, setTyped] = useState<Content | null>(null);
  const name = agents.items.find((one) => one.did === did)?.name ?? did;
  const { data } = standing;
  return (
    <Page title={`Policy of ${inert(name)}`} back={{ to: "/policies", label: "Policies" }}>
      {standing.isPending ? (
        <Waiting lines={6} />
      ) : standing.isError ? (
        <Failed error={standing.error} onRetry={() => void standing.refetch()} />
      ) : (
        <div className="grid gap-4 lg:grid-cols-[minmax(0,1.6fr)_minmax(18rem,1fr)]">
          <div className="flex min-w-0 flex-col gap-4">
            <RuleList policy={data?.own ?? null} />
            {may && data && (
              <Change
                key={data.policy?.documentId ?? "none"}
                target={{ agent: did }}
                before={data.own}
                onTest={setTyped}
              />
            )}
          </div>
          <div className="flex min-w-0 flex-col gap-4">
            <InForce data={data} />
            <Trial agent={did} realms={data?.realms ?? []} content={typed} />
            {(data?.layers ?? []).map((layer) => (
              <Section key={layer.id} title={`Narrowed by: ${inert(layer.layer)}`}>
                <CodeBlock text={textOf(layer)} label={`policy of ${layer.layer}`} json />
              </Section>
            ))}
          </div>
        </div>
      )}
    </Page>
  );
}

export function RuleList({ policy }: { policy: PolicyView | null }) {
  return (
    <Section title="Rules" flush>
      {policy === null || policy.rules.length === 0 ? (
        <Empty icon={Scale} title="No rule, so nothing is allowed" />
      ) : (
        <ol>
          {policy.rules.map((rule) => (
            <li key={rule.id} className="border-b border-line px-4 py-2.5 last:border-0">
              <div className="flex flex-wrap items-center gap-2">
                <code className="font-medium">{inert(rule.id)}</code>
                <Badge tone={rule.effect === "allow" ? "good" : "bad"}>{rule.effect}</Badge>
                {rule.approval && (
                  <Badge tone="wait">{`asks ${rule.approval.people} of ${inert(rule.approval.from.join(", "))}`}</Badge>
                )}
                {rule.sandbox && <Badge>{`sandbox ${inert(rule.sandbox)}`}</Badge>}
              </div>
              <p className="mt-1 font-mono text-xs text-muted">{inert(rule.actions.join("  "))}</p>
              {rule.when && (
                <p className="mt-0.5 font-mono text-xs">
                  <span className="text-muted">when </span>
                  {inert(rule.when)}
                </p>
              )}
            </li>
          ))}
        </ol>
      )}
    </Section>
  );
}

function InForce({ data }: { data: ReturnType<typeof useStanding>["data"] }) {
  const policy = data?.policy ?? null;
  return (
    <Section title="In force">
      {policy === null ? (
        <Note tone="wait">The agent holds no policy: it refuses everything.</Note>
      ) : (
        <Facts>
          <Fact name="Version">{policy.version}</Fact>
          <Fact name="Realms">{inert((data?.realms ?? []).join(", "))}</Fact>
          <Fact name="Signed by">
            <CopyField value={policy.signer} label="signer" short />
          </Fact>
          <Fact name="Ends">
            <Ago at={policy.expiresAt} />
          </Fact>
          <Fact name="Digest">
            <CopyField value={policy.digest} label="digest" short />
          </Fact>
        </Facts>
      )}
    </Section>
  );
}
