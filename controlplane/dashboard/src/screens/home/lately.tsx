// The newest orders, live.
import { useQuery } from "@tanstack/react-query";
import { Link } from "wouter";
import { Section } from "../../app/page.tsx";
import { StateWord } from "../../ui/badge.tsx";
import { inert } from "../../ui/inert.ts";
import { Failed, Waiting } from "../../ui/notes.tsx";
import { Ago } from "../../ui/time.tsx";
import { lateOrders } from "./queries.ts";

export function Lately() {
  const orders = useQuery(lateOrders);
  return (
    <Section title="Lately" flush>
      {orders.isPending && <Waiting lines={6} />}
      {orders.isError && !orders.data && (
        <Failed error={orders.error} onRetry={() => void orders.refetch()} />
      )}
      {orders.data?.items.length === 0 && (
        <p className="px-4 py-6 text-muted">No order was given yet.</p>
      )}
      <ul>
        {orders.data?.items.map((one) => (
          <li key={one.id} className="border-line not-first:border-t">
            <Link
              to={`/orders/${one.id}`}
              className="grid grid-cols-[minmax(0,1fr)_7rem_4.5rem] items-center gap-3 px-4 py-1.5 -outline-offset-2 hover:bg-hover"
            >
              <span className="min-w-0 truncate">
                <code className="text-xs font-medium">{inert(one.action)}</code>{" "}
                <span className="text-muted">{inert(one.agentName)}</span>
              </span>
              <StateWord state={one.state} />
              <span className="text-right text-xs text-muted">
                <Ago at={one.createdAt} />
              </span>
            </Link>
          </li>
        ))}
      </ul>
    </Section>
  );
}
