// Orders, newest first; what is filtered stands in the address, so that it can be sent to somebody.
import { Plus, Send, X } from "lucide-react";
import { useId } from "react";
import { useLocation } from "wouter";
import { useCan } from "../../api/me.ts";
import type { IntentView } from "../../api/schema.gen.ts";
import { chosen, useAddress } from "../../app/address.ts";
import { useHotkeys } from "../../app/hotkeys.ts";
import { Page } from "../../app/page.tsx";
import { StateWord, wordOf } from "../../ui/badge.tsx";
import { Button, ButtonLink } from "../../ui/button.tsx";
import { Select, TextInput } from "../../ui/field.tsx";
import { inert } from "../../ui/inert.ts";
import { Empty, Failed, Waiting } from "../../ui/notes.tsx";
import { type Column, DataTable } from "../../ui/table.tsx";
import { Ago } from "../../ui/time.tsx";
import { FILTERS, STATES, useOrders } from "./queries.ts";

const COLUMNS: ReadonlyArray<Column<IntentView>> = [
  {
    key: "action",
    header: "Action",
    width: "minmax(0, 2fr)",
    cell: (order) => (
      <>
        <span className="font-medium">{inert(order.action)}</span>
        <span className="text-muted sm:hidden">{` on ${inert(order.agentName)}`}</span>
      </>
    ),
  },
  {
    key: "params",
    header: "Parameters",
    width: "minmax(0, 3fr)",
    from: "lg",
    cell: (order) => (
      <code className="text-xs text-muted">
        {inert(JSON.stringify(order.params).slice(0, 300))}
      </code>
    ),
  },
  {
    key: "agent",
    header: "Agent",
    width: "minmax(0, 1fr)",
    from: "sm",
    cell: (order) => inert(order.agentName),
  },
  {
    key: "state",
    header: "State",
    width: "6.5rem",
    cell: (order) => <StateWord state={order.state} />,
  },
  {
    key: "created",
    header: "Given",
    width: "4.5rem",
    align: "end",
    cell: (order) => <Ago at={order.createdAt} />,
  },
];

export function OrderList() {
  const [, go] = useLocation();
  const { params, change, clear } = useAddress();
  const filters = chosen(params, FILTERS);
  const orders = useOrders(filters);
  const may = useCan("intents.submit");
  const filtered = Object.keys(filters).length > 0;
  useHotkeys(may ? [{ keys: "n", does: "new order", run: () => go("/orders/new") }] : []);
  const fresh = may && (
    <ButtonLink to="/orders/new" icon={Plus} look="primary">
      New order
    </ButtonLink>
  );
  return (
    <Page title="Orders" actions={fresh} flush>
      <div className="grid grid-cols-2 items-end gap-2 px-4 pb-3 sm:flex sm:flex-wrap sm:px-3">
        <Labelled label="State">
          {(id) => (
            <Select
              id={id}
              value={filters.state ?? ""}
              onChange={(event) => change({ state: event.target.value })}
            >
              <option value="">any</option>
              {filters.state?.includes(",") && (
                <option value={filters.state}>
                  {filters.state.split(",").map(wordOf).join(", ")}
                </option>
              )}
              {STATES.map((state) => (
                <option key={state} value={state}>
                  {wordOf(state)}
                </option>
              ))}
            </Select>
          )}
        </Labelled>
        {(["agent", "action", "realm"] as const).map((name) => (
          <Labelled key={name} label={name}>
            {(id) => (
              <TextInput
                id={id}
                key={filters[name] ?? ""}
                className="sm:max-w-40"
                placeholder="any"
                spellCheck={false}
                defaultValue={filters[name] ?? ""}
                onBlur={(event) => change({ [name]: event.target.value.trim() })}
                onKeyDown={(event) => {
                  if (event.key === "Enter") change({ [name]: event.currentTarget.value.trim() });
                }}
              />
            )}
          </Labelled>
        ))}
        {filtered && (
          <Button look="quiet" icon={X} onClick={clear}>
            Clear
          </Button>
        )}
      </div>
      {orders.isPending ? (
        <Waiting lines={6} />
      ) : orders.isError ? (
        <Failed error={orders.error} onRetry={() => void orders.refetch()} />
      ) : orders.items.length === 0 ? (
        <Empty
          icon={Send}
          title={filtered ? "No order is like that" : "No orders yet"}
          action={fresh}
        >
          {filtered ? null : (
            <p>An order is one action for one agent, signed and kept until it ends.</p>
          )}
        </Empty>
      ) : (
        <DataTable
          label="Orders"
          rows={orders.items}
          columns={COLUMNS}
          rowKey={(order) => order.id}
          href={(order) => `/orders/${order.id}`}
          onEnd={orders.more}
        />
      )}
    </Page>
  );
}

function Labelled({
  label,
  children,
}: {
  label: string;
  children: (id: string) => React.ReactNode;
}) {
  const id = useId();
  return (
    <div className="flex min-w-0 flex-col gap-1 *:w-full">
      <label htmlFor={id} className="text-xs text-muted capitalize">
        {label}
      </label>
      {children(id)}
    </div>
  );
}
