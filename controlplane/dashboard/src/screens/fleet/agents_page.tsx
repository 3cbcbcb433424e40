// The list of agents: filters in the address, thousands of rows, requests to join above them.
import { useQuery } from "@tanstack/react-query";
import { Plus, Search, Server, Ticket } from "lucide-react";
import { useDeferredValue, useEffect, useState } from "react";
import { useLocation } from "wouter";
import { api } from "../../api/client.ts";
import { useCan } from "../../api/me.ts";
import { usePages } from "../../api/pages.ts";
import type { AgentView } from "../../api/schema.gen.ts";
import { useAddress } from "../../app/address.ts";
import { useHotkeys } from "../../app/hotkeys.ts";
import { Page } from "../../app/page.tsx";
import { allRealms } from "../../people/realms.ts";
import { StateWord } from "../../ui/badge.tsx";
import { Button, ButtonLink } from "../../ui/button.tsx";
import { Select, TextInput } from "../../ui/field.tsx";
import { inert } from "../../ui/inert.ts";
import { Empty, Failed, Waiting } from "../../ui/notes.tsx";
import { type Column, DataTable } from "../../ui/table.tsx";
import { Ago } from "../../ui/time.tsx";
import { EnrolDialog } from "./enrol.tsx";
import { Labels } from "./labels.tsx";
import type { AgentFilter } from "./queries.ts";
import { RequestDrawer } from "./request_drawer.tsx";
import { Requests } from "./requests.tsx";

const COLUMNS: ReadonlyArray<Column<AgentView>> = [
  {
    key: "name",
    header: "Name",
    width: "minmax(8rem, 2fr)",
    cell: (agent) => <span className="font-medium">{inert(agent.name)}</span>,
    sort: (agent) => agent.name,
  },
  {
    key: "status",
    header: "State",
    width: "minmax(6.5rem, 1fr)",
    cell: (agent) => <StateWord state={agent.status} />,
    sort: (agent) => agent.status,
  },
  {
    key: "realms",
    header: "Realms",
    width: "minmax(6rem, 1fr)",
    from: "md",
    cell: (agent) => inert(agent.realms.join(", ")),
    sort: (agent) => agent.realms.join(),
  },
  {
    key: "labels",
    header: "Labels",
    width: "minmax(8rem, 2fr)",
    from: "lg",
    cell: (agent) => <Labels labels={agent.labels} />,
  },
  {
    key: "version",
    header: "Version",
    width: "5rem",
    from: "lg",
    cell: (agent) => inert(agent.version),
    sort: (agent) => agent.version,
  },
  {
    key: "running",
    header: "Working",
    width: "4.5rem",
    from: "xl",
    align: "end",
    cell: (agent) => runningOf(agent) || "",
    sort: runningOf,
  },
  {
    key: "seen",
    header: "Last seen",
    width: "5.5rem",
    align: "end",
    cell: (agent) =>
      agent.online ? <span className="text-muted">now</span> : <Ago at={agent.lastSeenAt} />,
    sort: (agent) => (agent.online ? "~" : (agent.lastSeenAt ?? "")),
  },
];
const STATUSES = ["online", "offline", "quarantined", "revoked"];

const didOf = (agent: AgentView): string => agent.did;
const addressOf = (agent: AgentView): string => `/fleet/${agent.did}`;

function runningOf(agent: AgentView): number {
  return agent.online ? (agent.heartbeat?.running.length ?? 0) : 0;
}

export function AgentsPage({ request }: { request: string | null }) {
  const [, navigate] = useLocation();
  const { params, change, clear } = useAddress();
  const mayEnrol = useCan("enrolment.manage");
  const [enrolling, setEnrolling] = useState(() => params.has("enrol"));
  const filter: AgentFilter = {
    q: params.get("q") ?? "",
    status: params.get("status") ?? "",
    realm: params.get("realm") ?? "",
    label: params.get("label") ?? "",
  };
  const asked = useDeferredValue(filter);
  const { items, more, isPending, isError, error, data, refetch } = usePages(
    ["agents", "list", asked],
    (page, signal) =>
      api.get("/api/v1/agents", {
        query: {
          ...page,
          q: asked.q.toLowerCase(),
          status: asked.status,
          realm: asked.realm,
          label: asked.label,
        },
        signal,
      }),
  );
  const filtered = Object.values(filter).some((one) => one !== "");
  useHotkeys(
    mayEnrol ? [{ keys: "e", does: "Enrol an agent", run: () => setEnrolling(true) }] : [],
  );
  return (
    <Page
      title="Fleet"
      flush
      actions={
        mayEnrol && (
          <>
            <ButtonLink to="/fleet/tokens" icon={Ticket}>
              Join tokens
            </ButtonLink>
            <Button look="primary" icon={Plus} onClick={() => setEnrolling(true)}>
              Enrol
            </Button>
          </>
        )
      }
    >
      <Requests />
      <Filters filter={filter} onChange={change} />
      {isPending && <Waiting lines={9} />}
      {isError && !data && <Failed error={error} onRetry={() => void refetch()} />}
      {data && items.length === 0 && (
        <Empty
          icon={Server}
          title={filtered ? "No agent is like that" : "No agent is here yet"}
          action={
            filtered ? (
              <Button onClick={clear}>Show all</Button>
            ) : (
              mayEnrol && (
                <Button look="primary" onClick={() => setEnrolling(true)}>
                  Enrol an agent
                </Button>
              )
            )
          }
        >
          {!filtered && "Agents dial out to this hub from where the work is."}
        </Empty>
      )}
      {items.length > 0 && (
        <DataTable
          label="Agents"
          rows={items}
          columns={COLUMNS}
          rowKey={didOf}
          href={addressOf}
          onEnd={more}
        />
      )}
      <EnrolDialog open={enrolling} onOpenChange={setEnrolling} />
      {request !== null && (
        <RequestDrawer
          id={request}
          onClose={() => navigate("/fleet")}
          onEnrolled={(did) => navigate(`/fleet/${did}`)}
        />
      )}
    </Page>
  );
}

function Filters({
  filter,
  onChange,
}: {
  filter: AgentFilter;
  onChange: (part: Partial<AgentFilter>) => void;
}) {
  const realms = useQuery(allRealms);
  const [typed, setTyped] = useState(filter.q);
  useEffect(() => setTyped(filter.q), [filter.q]);
  return (
    <search className="flex flex-wrap items-center gap-2 px-3 pb-3">
      <span className="relative min-w-40 flex-1 sm:max-w-72">
        <Search
          aria-hidden
          className="pointer-events-none absolute top-1/2 left-2.5 size-3.5 -translate-y-1/2 text-faint"
        />
        <TextInput
          type="search"
          aria-label="Find by name or DID"
          placeholder="Name or DID"
          className="pl-8"
          value={typed}
          onChange={(event) => {
            setTyped(event.target.value);
            onChange({ q: event.target.value });
          }}
        />
      </span>
      <Select
        aria-label="State"
        value={filter.status}
        onChange={(event) => onChange({ status: event.target.value })}
      >
        <option value="">Any state</option>
        {STATUSES.map((one) => (
          <option key={one} value={one}>
            {one}
          </option>
        ))}
      </Select>
      {(realms.data?.items.length ?? 0) > 1 && (
        <Select
          aria-label="Realm"
          value={filter.realm}
          onChange={(event) => onChange({ realm: event.target.value })}
        >
          <option value="">Any realm</option>
          {realms.data?.items.map((one) => (
            <option key={one.id} value={one.id}>
              {inert(one.id)}
            </option>
          ))}
        </Select>
      )}
      <TextInput
        aria-label="Label"
        placeholder="label or label=value"
        className="max-w-44"
        value={filter.label}
        onChange={(event) => onChange({ label: event.target.value })}
      />
    </search>
  );
}
