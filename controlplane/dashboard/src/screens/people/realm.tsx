// One realm: what it is for, who belongs to it as what, and its end.
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Pencil, Trash2, UserPlus, Users } from "lucide-react";
import { useState } from "react";
import { useLocation } from "wouter";
import { api } from "../../api/client.ts";
import { useCan } from "../../api/me.ts";
import { asProblem } from "../../api/problem.ts";
import type { MemberView, RealmView } from "../../api/schema.gen.ts";
import { Page } from "../../app/page.tsx";
import { UnloadedPage } from "../../app/unloaded_page.tsx";
import { Badge } from "../../ui/badge.tsx";
import { Button } from "../../ui/button.tsx";
import { Confirm } from "../../ui/confirm.tsx";
import { inert } from "../../ui/inert.ts";
import { Empty, Failed, Waiting } from "../../ui/notes.tsx";
import { type Column, DataTable } from "../../ui/table.tsx";
import { Ago } from "../../ui/time.tsx";
import { toast } from "../../ui/toasts.tsx";
import { EditRealmDialog } from "./edit_realm.tsx";
import { InviteDialog } from "./invite.tsx";
import { AddMemberDialog, MemberDrawer } from "./member.tsx";
import { membersOf, realmOf, useCanIn } from "./queries.ts";
import { UserState } from "./users.tsx";

const COLUMNS: ReadonlyArray<Column<MemberView>> = [
  {
    key: "name",
    header: "Member",
    width: "minmax(8rem, 2fr)",
    cell: (member) => (
      <span className="inline-flex max-w-full items-center gap-2">
        <span className="truncate font-medium">{inert(member.name)}</span>
        {member.kind === "service" && <Badge>service</Badge>}
      </span>
    ),
    sort: (member) => member.name,
  },
  {
    key: "role",
    header: "As",
    width: "minmax(5rem, 1fr)",
    cell: (member) => member.role,
    sort: (member) => member.role,
  },
  {
    key: "state",
    header: "State",
    width: "6.5rem",
    from: "sm",
    cell: (member) => <UserState state={member.state} />,
    sort: (member) => member.state,
  },
  {
    key: "since",
    header: "Since",
    width: "5.5rem",
    align: "end",
    cell: (member) => <Ago at={member.since} />,
    sort: (member) => member.since,
  },
];

export function RealmPage({ id }: { id: string }) {
  const query = useQuery(realmOf(id));
  const realm = query.data;
  const back = { to: "/people/realms", label: "Realms" };
  if (!realm) return <UnloadedPage title="Realm" back={back} query={query} lines={6} />;
  return (
    <Page
      title={`Realm ${inert(realm.id)}`}
      back={back}
      about={inert(realm.description)}
      actions={<RealmActions realm={realm} />}
      flush
    >
      <Members realm={realm.id} />
    </Page>
  );
}

type Asked = "edit" | "remove" | "add" | "invite";

function RealmActions({ realm }: { realm: RealmView }) {
  const client = useQueryClient();
  const [, navigate] = useLocation();
  const mayEdit = useCanIn("realms.edit", realm.id);
  const mayAdd = useCanIn("members.write", realm.id);
  const mayInvite = useCanIn("invitations.write", realm.id);
  const mayRemove = useCan("realms.write");
  const [asked, setAsked] = useState<Asked | null>(null);
  const close = () => setAsked(null);
  const remove = useMutation({
    mutationFn: () => api.delete("/api/v1/realms/{id}", { path: { id: realm.id } }),
    onSuccess: () => {
      toast(`Realm ${inert(realm.id)} is gone`);
      navigate("/people/realms");
      // Not fetched by this page any more: it asks for what is gone. The next one asks when it shows.
      void client.invalidateQueries({ queryKey: ["people"], refetchType: "none" });
    },
  });
  return (
    <>
      {mayEdit && (
        <Button icon={Pencil} onClick={() => setAsked("edit")}>
          Edit
        </Button>
      )}
      {mayRemove && (
        <Button icon={Trash2} onClick={() => setAsked("remove")}>
          Delete
        </Button>
      )}
      {mayAdd && (
        <Button icon={Users} onClick={() => setAsked("add")}>
          Add member
        </Button>
      )}
      {mayInvite && (
        <Button look="primary" icon={UserPlus} onClick={() => setAsked("invite")}>
          Invite
        </Button>
      )}
      {asked === "edit" && <EditRealmDialog realm={realm} onClose={close} />}
      {asked === "add" && <AddMemberDialog realm={realm.id} onClose={close} />}
      {asked === "invite" && <InviteDialog realm={realm.id} onClose={close} />}
      <Confirm
        open={asked === "remove"}
        onOpenChange={close}
        title={`Delete realm ${inert(realm.id)}?`}
        typed={realm.id}
        verb="Delete"
        danger
        busy={remove.isPending}
        problem={remove.error ? asProblem(remove.error) : null}
        onConfirm={() => remove.mutate()}
      >
        <p>
          Its members lose their roles there and its secrets become unreadable. It must have no
          agents any more. Nothing brings it back.
        </p>
      </Confirm>
    </>
  );
}

function Members({ realm }: { realm: string }) {
  const { data, error, isPending, refetch } = useQuery(membersOf(realm));
  const [open, setOpen] = useState<MemberView | null>(null);
  if (isPending) return <Waiting lines={5} />;
  if (!data) return <Failed error={error} onRetry={() => void refetch()} />;
  if (data.items.length === 0)
    return (
      <Empty icon={Users} title="Nobody belongs to it">
        Who has a role everywhere reaches it all the same.
      </Empty>
    );
  return (
    <>
      <DataTable
        label="Members"
        rows={data.items}
        columns={COLUMNS}
        rowKey={(member) => member.user}
        onOpen={setOpen}
        chosen={open?.user ?? null}
      />
      {open && <MemberDrawer member={open} onClose={() => setOpen(null)} />}
    </>
  );
}
