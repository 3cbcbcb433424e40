// Invitations: those that still count, those that were used or withdrawn.
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { MailPlus, UserPlus } from "lucide-react";
import { useState } from "react";
import { api } from "../../api/client.ts";
import { useCan } from "../../api/me.ts";
import { asProblem } from "../../api/problem.ts";
import type { InvitationView } from "../../api/schema.gen.ts";
import { Fact, Facts } from "../../app/page.tsx";
import { Who } from "../../people/who.tsx";
import { State, type Tone } from "../../ui/badge.tsx";
import { Button } from "../../ui/button.tsx";
import { Drawer } from "../../ui/dialog.tsx";
import { inert } from "../../ui/inert.ts";
import { Empty, Failed, ProblemNote, Waiting } from "../../ui/notes.tsx";
import { type Column, DataTable } from "../../ui/table.tsx";
import { Ago } from "../../ui/time.tsx";
import { toast } from "../../ui/toasts.tsx";
import { PeopleFrame } from "./frame.tsx";
import { InviteDialog } from "./invite.tsx";
import { useInvitations } from "./queries.ts";

function standingOf(one: InvitationView): [Tone, string] {
  if (one.usedAt !== null) return ["good", "used"];
  if (one.revokedAt !== null) return ["idle", "withdrawn"];
  return Date.parse(one.expiresAt) > Date.now() ? ["wait", "open"] : ["idle", "expired"];
}

function Standing({ invitation }: { invitation: InvitationView }) {
  const [tone, word] = standingOf(invitation);
  return <State tone={tone}>{word}</State>;
}

const COLUMNS: ReadonlyArray<Column<InvitationView>> = [
  {
    key: "role",
    header: "As",
    width: "minmax(5rem, 1fr)",
    cell: (one) => <span className="font-medium">{one.role}</span>,
  },
  {
    key: "realm",
    header: "Into",
    width: "minmax(5rem, 1fr)",
    cell: (one) => (one.realm === null ? "every realm" : inert(one.realm)),
  },
  {
    key: "state",
    header: "State",
    width: "6.5rem",
    cell: (one) => <Standing invitation={one} />,
  },
  {
    key: "email",
    header: "Sent to",
    width: "minmax(6rem, 2fr)",
    from: "md",
    cell: (one) => <span className="text-muted">{inert(one.email ?? "")}</span>,
  },
  {
    key: "by",
    header: "By",
    width: "minmax(6rem, 1fr)",
    from: "md",
    cell: (one) => <Who id={one.createdBy} />,
  },
  {
    key: "made",
    header: "Made",
    width: "5.5rem",
    align: "end",
    from: "sm",
    cell: (one) => <Ago at={one.createdAt} />,
  },
];

export function InvitationsPage() {
  const mayInvite = useCan("invitations.write");
  const [inviting, setInviting] = useState(false);
  const [open, setOpen] = useState<InvitationView | null>(null);
  const { items, more, isPending, isError, error, data, refetch } = useInvitations();
  const button = mayInvite && (
    <Button look="primary" icon={UserPlus} onClick={() => setInviting(true)}>
      Invite
    </Button>
  );
  return (
    <PeopleFrame actions={button}>
      {isPending && <Waiting lines={5} />}
      {isError && !data && <Failed error={error} onRetry={() => void refetch()} />}
      {data && items.length === 0 && (
        <Empty icon={MailPlus} title="Nobody is invited">
          An invitation is a link that works once. Who opens it chooses a name and a way to sign in.
        </Empty>
      )}
      {items.length > 0 && (
        <DataTable
          label="Invitations"
          rows={items}
          columns={COLUMNS}
          rowKey={(one) => one.id}
          onOpen={setOpen}
          chosen={open?.id ?? null}
          onEnd={more}
        />
      )}
      {inviting && <InviteDialog onClose={() => setInviting(false)} />}
      {open && (
        <InvitationDrawer
          invitation={items.find((one) => one.id === open.id) ?? open}
          onClose={() => setOpen(null)}
        />
      )}
    </PeopleFrame>
  );
}

function InvitationDrawer({
  invitation,
  onClose,
}: {
  invitation: InvitationView;
  onClose: () => void;
}) {
  const client = useQueryClient();
  const mayWithdraw = useCan("invitations.write");
  const isOpen = standingOf(invitation)[1] === "open";
  const withdraw = useMutation({
    mutationFn: () => api.delete("/api/v1/invitations/{id}", { path: { id: invitation.id } }),
    onSuccess: async () => {
      await client.invalidateQueries({ queryKey: ["people", "invitations"] });
      toast("The invitation is withdrawn");
      onClose();
    },
  });
  return (
    <Drawer
      open
      onOpenChange={onClose}
      title={`An invitation as ${invitation.role}`}
      footer={
        mayWithdraw &&
        isOpen && (
          <Button look="danger" busy={withdraw.isPending} onClick={() => withdraw.mutate()}>
            Withdraw it
          </Button>
        )
      }
    >
      <div className="flex flex-col gap-4 pb-4">
        <Facts>
          <Fact name="State">
            <Standing invitation={invitation} />
          </Fact>
          <Fact name="Into">
            {invitation.realm === null ? "every realm" : inert(invitation.realm)}
          </Fact>
          <Fact name="Sent to">
            {invitation.email ? (
              inert(invitation.email)
            ) : (
              <span className="text-faint">nobody</span>
            )}
          </Fact>
          <Fact name="Made by">
            <Who id={invitation.createdBy} />
          </Fact>
          <Fact name="Made">
            <Ago at={invitation.createdAt} />
          </Fact>
          <Fact name="Ends">
            <Ago at={invitation.expiresAt} />
          </Fact>
          {invitation.usedAt !== null && (
            <Fact name="Used by">
              <Who id={invitation.usedBy && asUser(invitation.usedBy)} />
            </Fact>
          )}
        </Facts>
        {isOpen && (
          <p className="text-muted">
            The link itself was shown to whoever made it, and to nobody since. Lost it? Withdraw
            this one and make another.
          </p>
        )}
        {withdraw.error && <ProblemNote problem={asProblem(withdraw.error)} />}
      </div>
    </Drawer>
  );
}

const asUser = (id: string) => (id.includes(":") ? id : `user:${id}`);
