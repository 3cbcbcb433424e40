// The orders of one agent, newest first, live.
import { Send } from "lucide-react";
import { api } from "../../../api/client.ts";
import { usePages } from "../../../api/pages.ts";
import type { AgentView, IntentView } from "../../../api/schema.gen.ts";
import { StateWord } from "../../../ui/badge.tsx";
import { inert } from "../../../ui/inert.ts";
import { Empty, Failed, Waiting } from "../../../ui/notes.tsx";
import { type Column, DataTable } from "../../../ui/table.tsx";
import { Ago } from "../../../ui/time.tsx";

const COLUMNS: ReadonlyArray<Column<IntentView>> = [
  {
    key: "action",
    header: "Action",
    width: "minmax(5rem, 1fr)",
    cell: (one) => <code className="text-xs font-medium">{inert(one.action)}</code>,
  },
  {
    key: "params",
    header: "Parameters",
    width: "minmax(10rem, 3fr)",
    from: "md",
    cell: (one) => (
      <code className="text-xs text-muted">{inert(JSON.stringify(one.params).slice(0, 200))}</code>
    ),
  },
  { key: "state", header: "State", width: "7rem", cell: (one) => <StateWord state={one.state} /> },
  {
    key: "given",
    header: "Given",
    width: "4.5rem",
    align: "end",
    cell: (one) => <Ago at={one.createdAt} />,
  },
];

export function AgentOrders({ agent }: { agent: AgentView }) {
  const { items, more, isPending, isError, error, data, refetch } = usePages(
    ["intents", "of", agent.did],
    (page, signal) => api.get("/api/v1/intents", { query: { ...page, agent: agent.did }, signal }),
    { limit: 100 },
  );
  if (isPending) return <Waiting lines={6} />;
  if (isError && !data) return <Failed error={error} onRetry={() => void refetch()} />;
  if (items.length === 0) return <Empty icon={Send} title="It was never ordered anything" />;
  return (
    <DataTable
      label={`Orders of ${agent.name}`}
      rows={items}
      columns={COLUMNS}
      rowKey={(one) => one.id}
      href={(one) => `/orders/${one.id}`}
      onEnd={more}
    />
  );
}
