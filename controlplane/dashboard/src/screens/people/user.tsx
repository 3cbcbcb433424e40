// One person or service account: what they may do where, and what can be done about them.
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Ban, KeyRound, Pencil, RotateCcw, Trash2 } from "lucide-react";
import { useState } from "react";
import { Link, useLocation } from "wouter";
import { api } from "../../api/client.ts";
import { useCan, useMe } from "../../api/me.ts";
import { asProblem } from "../../api/problem.ts";
import type { UserView } from "../../api/schema.gen.ts";
import { Fact, Facts, Page, Section } from "../../app/page.tsx";
import { UnloadedPage } from "../../app/unloaded_page.tsx";
import { Who } from "../../people/who.tsx";
import { Button, ButtonLink } from "../../ui/button.tsx";
import { Confirm } from "../../ui/confirm.tsx";
import { CopyField } from "../../ui/copy.tsx";
import { inert } from "../../ui/inert.ts";
import { Note } from "../../ui/notes.tsx";
import { Ago } from "../../ui/time.tsx";
import { toast } from "../../ui/toasts.tsx";
import { EditUserDialog } from "./edit_user.tsx";
import { useRoleMatrix, userOf } from "./queries.ts";
import { outranks } from "./standing.ts";
import { UserState } from "./users.tsx";

export function UserPage({ id }: { id: string }) {
  const query = useQuery(userOf(id));
  const user = query.data;
  const back = { to: "/people", label: "People" };
  if (!user) return <UnloadedPage title="Somebody" back={back} query={query} lines={6} />;
  return (
    <Page
      title={inert(user.name)}
      back={back}
      about={
        <span className="inline-flex flex-wrap items-center gap-x-3">
          <UserState state={user.state} />
          <span>{user.kind === "service" ? "service account" : "person"}</span>
        </span>
      }
      actions={<UserActions user={user} />}
    >
      <div className="grid gap-4 lg:grid-cols-2">
        <RolesOf user={user} />
        <Section title="About">
          <Facts>
            <Fact name="E-mail">
              {user.email ? inert(user.email) : <span className="text-faint">none</span>}
            </Fact>
            <Fact name="Added">
              <Ago at={user.createdAt} />
            </Fact>
            <Fact name="By">
              <Who id={user.createdBy} />
            </Fact>
            <Fact name="Changed">
              <Ago at={user.updatedAt} />
            </Fact>
            <Fact name="Id">
              <CopyField value={user.id} label="id" short />
            </Fact>
          </Facts>
        </Section>
        <WayIn user={user} />
      </div>
    </Page>
  );
}

function RolesOf({ user }: { user: UserView }) {
  const realms = Object.entries(user.realmRoles ?? {}).sort(([one], [other]) =>
    one.localeCompare(other),
  );
  return (
    <Section title="Roles">
      <Facts>
        <Fact name="Everywhere">
          {user.roles.join(", ") || <span className="text-faint">none</span>}
        </Fact>
        {realms.map(([realm, role]) => (
          <Fact
            key={realm}
            name={
              <Link
                to={`/people/realms/${encodeURIComponent(realm)}`}
                className="underline decoration-line-strong underline-offset-2 hover:text-ink"
              >
                {inert(realm)}
              </Link>
            }
          >
            {role}
          </Fact>
        ))}
      </Facts>
      {realms.length === 0 && user.roles.length === 0 && (
        <p className="mt-3 text-muted">
          Without a role nothing is shown to them. Give one in a realm, under Realms.
        </p>
      )}
    </Section>
  );
}

/** How they come in, and what helps who no longer can. */
function WayIn({ user }: { user: UserView }) {
  const mayManage = useCan("users.write");
  if (!mayManage) return null;
  if (user.kind === "service")
    return (
      <Section title="API keys">
        <p className="mb-3 text-muted">
          A service account never signs in: its keys act for it, and stop when it is disabled.
        </p>
        <ButtonLink to={`/people/keys?make=${encodeURIComponent(user.name)}`} icon={KeyRound}>
          Make a key
        </ButtonLink>
      </Section>
    );
  return (
    <Section title="Signing in">
      <p className="mb-3 text-muted">
        Passkeys and passwords are their own: nobody else sees or sets them. For who has lost
        theirs, make a link on the hub's machine; it works once.
      </p>
      <CopyField value={`writ hub sign-in-link --user ${user.name}`} label="command" block />
    </Section>
  );
}

type Asked = "edit" | "disable" | "remove";

function UserActions({ user }: { user: UserView }) {
  const client = useQueryClient();
  const [, navigate] = useLocation();
  const me = useMe();
  const mayManage = useCan("users.write");
  const above = outranks(useRoleMatrix(), me, user.roles, null);
  const [asked, setAsked] = useState<Asked | null>(null);
  const close = () => setAsked(null);
  const done = async (text: string) => {
    await client.invalidateQueries({ queryKey: ["people"] });
    toast(text);
    close();
  };
  const path = { id: user.id };
  const name = inert(user.name);
  const setState = useMutation({
    mutationFn: (state: "active" | "disabled") =>
      api.patch("/api/v1/users/{id}", { path, ifMatch: user.etag, body: { state } }),
    onSuccess: (changed) =>
      done(changed.state === "active" ? `${name} may come in again` : `${name} is signed out`),
  });
  const remove = useMutation({
    mutationFn: () => api.delete("/api/v1/users/{id}", { path }),
    onSuccess: () => {
      toast(`${name} is removed`);
      navigate("/people");
      void client.invalidateQueries({ queryKey: ["people"], refetchType: "none" });
    },
  });
  const own = user.id === me.id;
  if (!own && !(mayManage && above)) return null;
  return (
    <>
      <Button icon={Pencil} onClick={() => setAsked("edit")}>
        Edit
      </Button>
      {!own &&
        (user.state === "active" ? (
          <Button icon={Ban} onClick={() => setAsked("disable")}>
            Disable
          </Button>
        ) : (
          <Button
            icon={RotateCcw}
            busy={setState.isPending}
            onClick={() => setState.mutate("active")}
          >
            Enable
          </Button>
        ))}
      {!own && (
        <Button icon={Trash2} onClick={() => setAsked("remove")}>
          Remove
        </Button>
      )}
      {asked === "edit" && (
        <EditUserDialog user={user} onClose={close} onDone={() => void done("Saved")} />
      )}
      <Confirm
        open={asked === "disable"}
        onOpenChange={close}
        title={`Disable ${name}?`}
        verb="Disable"
        danger
        busy={setState.isPending}
        problem={setState.error ? asProblem(setState.error) : null}
        onConfirm={() => setState.mutate("disabled")}
      >
        <p>
          Every session ends now, every key stops, and what the hub has lent them is revoked. Roles
          stay, for when they are enabled again.
        </p>
      </Confirm>
      <Confirm
        open={asked === "remove"}
        onOpenChange={close}
        title={`Remove ${name} for good?`}
        typed={user.name}
        verb="Remove"
        danger
        busy={remove.isPending}
        problem={remove.error ? asProblem(remove.error) : null}
        onConfirm={() => remove.mutate()}
      >
        <p>
          Roles, sessions, passkeys and keys go with them. The record keeps what they did, and
          forgets their name.
        </p>
      </Confirm>
      {setState.error && asked === null && (
        <div className="basis-full">
          <Note tone="bad">{asProblem(setState.error).detail ?? "That did not work."}</Note>
        </div>
      )}
    </>
  );
}
