// Whose policies there are: the fleet's and realms' above, each agent's below.
import { Scale } from "lucide-react";
import { Link } from "wouter";
import { useCan } from "../../api/me.ts";
import type { AgentView } from "../../api/schema.gen.ts";
import { Page, Section } from "../../app/page.tsx";
import { StateWord } from "../../ui/badge.tsx";
import { ButtonLink } from "../../ui/button.tsx";
import { inert } from "../../ui/inert.ts";
import { Empty, Failed, Waiting } from "../../ui/notes.tsx";
import { type Column, DataTable } from "../../ui/table.tsx";
import { Ago } from "../../ui/time.tsx";
import { useAgents, useLayers } from "./queries.ts";

const COLUMNS: ReadonlyArray<Column<AgentView>> = [
  {
    key: "name",
    header: "Agent",
    width: "minmax(8rem, 2fr)",
    cell: (agent) => <span className="font-medium">{inert(agent.name)}</span>,
    sort: (agent) => agent.name,
  },
  {
    key: "realms",
    header: "Realms",
    width: "minmax(6rem, 2fr)",
    from: "sm",
    cell: (agent) => inert(agent.realms.join(", ")),
  },
  {
    key: "status",
    header: "State",
    width: "8rem",
    cell: (agent) => <StateWord state={agent.status} />,
  },
];

const nameOf = (layer: string) => (layer === "fleet" ? "Every agent" : layer.replace(":", " "));

export function PolicyList() {
  const agents = useAgents();
  const layers = useLayers();
  const may = useCan("policies.write");
  return (
    <Page
      title="Policies"
      about="An agent does what its one signed policy allows. Layers above it only narrow."
      actions={
        may && (
          <ButtonLink to="/policies/layers/fleet" icon={Scale}>
            Policy for every agent
          </ButtonLink>
        )
      }
    >
      <div className="flex flex-col gap-5">
        {layers.data && layers.data.length > 0 && (
          <Section title="Layers" flush>
            <ul>
              {layers.data.map((one) => (
                <li key={one.id} className="border-b border-line last:border-0">
                  <Link
                    to={`/policies/layers/${encodeURIComponent(one.layer)}`}
                    className="flex flex-wrap items-center gap-x-3 px-4 py-2 hover:bg-hover"
                  >
                    <span className="font-medium">{inert(nameOf(one.layer))}</span>
                    <span className="text-muted">{`${one.rules.length} rules, version ${one.version}`}</span>
                    <span className="ml-auto text-muted">
                      <Ago at={one.createdAt} />
                    </span>
                  </Link>
                </li>
              ))}
            </ul>
          </Section>
        )}
        {agents.isPending ? (
          <Waiting lines={5} />
        ) : agents.isError ? (
          <Failed error={agents.error} onRetry={() => void agents.refetch()} />
        ) : agents.items.length === 0 ? (
          <Empty icon={Scale} title="No agents yet">
            <p>An agent gets its first policy when it is let in.</p>
          </Empty>
        ) : (
          <DataTable
            label="Agents"
            rows={agents.items}
            columns={COLUMNS}
            rowKey={(agent) => agent.did}
            href={(agent) => `/policies/agents/${encodeURIComponent(agent.did)}`}
            onEnd={agents.more}
          />
        )}
      </div>
    </Page>
  );
}
