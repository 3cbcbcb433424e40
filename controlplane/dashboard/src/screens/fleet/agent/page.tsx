// One agent in full. Its parts have addresses of their own below it.
import { useQuery } from "@tanstack/react-query";
import { NotFound } from "../../../app/not_found.tsx";
import { Page } from "../../../app/page.tsx";
import { UnloadedPage } from "../../../app/unloaded_page.tsx";
import { StateWord } from "../../../ui/badge.tsx";
import { inert } from "../../../ui/inert.ts";
import { LinkTabs } from "../../../ui/link_tabs.tsx";
import { Note } from "../../../ui/notes.tsx";
import { Ago } from "../../../ui/time.tsx";
import { agentOf } from "../queries.ts";
import { AgentActions } from "./actions.tsx";
import { AgentDelegations } from "./delegations.tsx";
import { AgentFacts } from "./facts.tsx";
import { AgentLog } from "./log.tsx";
import { AgentOrders } from "./orders.tsx";
import { AgentPolicy } from "./policy.tsx";
import { QuarantineNote } from "./quarantine_note.tsx";

const PARTS = [
  ["", "Overview", AgentFacts],
  ["orders", "Orders", AgentOrders],
  ["log", "Live log", AgentLog],
  ["policy", "Policy", AgentPolicy],
  ["delegations", "Delegations", AgentDelegations],
] as const;

export function AgentPage({ did, part }: { did: string; part: string }) {
  const query = useQuery(agentOf(did));
  const agent = query.data;
  const chosen = PARTS.find(([name]) => name === part);
  if (!chosen) return <NotFound />;
  const back = { to: "/fleet", label: "Fleet" };
  if (!agent) return <UnloadedPage title="Agent" back={back} query={query} />;
  const [, , Part] = chosen;
  return (
    <Page
      title={inert(agent.name)}
      back={back}
      about={
        <span className="inline-flex flex-wrap items-center gap-x-3">
          <StateWord state={agent.status} />
          {!agent.online && agent.state === "active" && (
            <span>
              last seen <Ago at={agent.lastSeenAt} />
            </span>
          )}
        </span>
      }
      actions={<AgentActions agent={agent} />}
    >
      <div className="mb-4 empty:hidden">
        <QuarantineNote agent={agent} />
      </div>
      {agent.state === "revoked" && (
        <div className="mb-4">
          <Note tone="bad">Its key is shut out for good. It cannot come back with it.</Note>
        </div>
      )}
      <LinkTabs
        label="Parts of this agent"
        tabs={PARTS.map(([name, label]) => ({
          to: name === "" ? `/fleet/${agent.did}` : `/fleet/${agent.did}/${name}`,
          label,
        }))}
      />
      <div className="pt-4">
        <Part agent={agent} />
      </div>
    </Page>
  );
}
