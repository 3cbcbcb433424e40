// Everybody the person may see, found by a part of the name, and service accounts among them.
import { Plus, Search, UserPlus, Users } from "lucide-react";
import { useDeferredValue, useState } from "react";
import { useLocation } from "wouter";
import { useCan } from "../../api/me.ts";
import type { UserView } from "../../api/schema.gen.ts";
import { useAddress } from "../../app/address.ts";
import { Badge, State } from "../../ui/badge.tsx";
import { Button } from "../../ui/button.tsx";
import { Select, TextInput } from "../../ui/field.tsx";
import { inert } from "../../ui/inert.ts";
import { Empty, Failed, Waiting } from "../../ui/notes.tsx";
import { type Column, DataTable } from "../../ui/table.tsx";
import { Ago } from "../../ui/time.tsx";
import { AddUserDialog } from "./add_user.tsx";
import { PeopleFrame } from "./frame.tsx";
import { InviteDialog } from "./invite.tsx";
import { type UserKind, useUsers } from "./queries.ts";

const COLUMNS: ReadonlyArray<Column<UserView>> = [
  {
    key: "name",
    header: "Name",
    width: "minmax(8rem, 2fr)",
    cell: (user) => (
      <span className="inline-flex max-w-full items-center gap-2">
        <span className="truncate font-medium">{inert(user.name)}</span>
        {user.kind === "service" && <Badge>service</Badge>}
      </span>
    ),
    sort: (user) => user.name,
  },
  {
    key: "state",
    header: "State",
    width: "6.5rem",
    cell: (user) => <UserState state={user.state} />,
    sort: (user) => user.state,
  },
  {
    key: "roles",
    header: "Everywhere",
    width: "minmax(6rem, 1fr)",
    from: "sm",
    cell: (user) => user.roles.join(", ") || <span className="text-faint">no role</span>,
    sort: (user) => user.roles.join(),
  },
  {
    key: "email",
    header: "E-mail",
    width: "minmax(8rem, 2fr)",
    from: "md",
    cell: (user) => <span className="text-muted">{inert(user.email ?? "")}</span>,
    sort: (user) => user.email ?? "",
  },
  {
    key: "added",
    header: "Added",
    width: "5.5rem",
    align: "end",
    from: "sm",
    cell: (user) => <Ago at={user.createdAt} />,
    sort: (user) => user.createdAt,
  },
];

export function UserState({ state }: { state: string }) {
  return <State tone={state === "active" ? "good" : "idle"}>{state}</State>;
}

export function UsersPage() {
  const { params, change } = useAddress();
  const [, navigate] = useLocation();
  const mayAdd = useCan("users.write");
  const mayInvite = useCan("invitations.write");
  const [open, setOpen] = useState<"add" | "invite" | null>(null);
  const filter = { q: params.get("q") ?? "", kind: readKind(params.get("kind")) };
  const { items, more, isPending, isError, error, data, refetch } = useUsers(
    useDeferredValue(filter),
  );
  return (
    <PeopleFrame
      actions={
        <>
          {mayAdd && (
            <Button icon={Plus} onClick={() => setOpen("add")}>
              Add
            </Button>
          )}
          {mayInvite && (
            <Button look="primary" icon={UserPlus} onClick={() => setOpen("invite")}>
              Invite
            </Button>
          )}
        </>
      }
    >
      <search className="flex flex-wrap items-center gap-2 px-4 pb-3 sm:px-3">
        <span className="relative min-w-40 flex-1 sm:max-w-72">
          <Search
            aria-hidden
            className="pointer-events-none absolute top-1/2 left-2.5 size-3.5 -translate-y-1/2 text-faint"
          />
          <TextInput
            type="search"
            aria-label="Find by name or e-mail"
            placeholder="Name or e-mail"
            className="pl-8"
            maxLength={200}
            value={filter.q}
            onChange={(event) => change({ q: event.target.value })}
          />
        </span>
        <Select
          aria-label="Kind"
          value={filter.kind}
          onChange={(event) => change({ kind: event.target.value })}
        >
          <option value="">People and services</option>
          <option value="person">People</option>
          <option value="service">Service accounts</option>
        </Select>
      </search>
      {isPending && <Waiting lines={6} />}
      {isError && !data && <Failed error={error} onRetry={() => void refetch()} />}
      {data && items.length === 0 && (
        <Empty icon={Users} title="Nobody is like that">
          Only people of your realms are shown here.
        </Empty>
      )}
      {items.length > 0 && (
        <DataTable
          label="People"
          rows={items}
          columns={COLUMNS}
          rowKey={(user) => user.id}
          href={(user) => `/people/users/${user.id}`}
          onEnd={more}
        />
      )}
      {open === "add" && (
        <AddUserDialog
          onClose={() => setOpen(null)}
          onAdded={(user) => navigate(`/people/users/${user.id}`)}
        />
      )}
      {open === "invite" && <InviteDialog onClose={() => setOpen(null)} />}
    </PeopleFrame>
  );
}

function readKind(text: string | null): UserKind | "" {
  return text === "person" || text === "service" ? text : "";
}
