// Somebody's role in a realm: given, changed, ended.
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useId, useState } from "react";
import { api } from "../../api/client.ts";
import { useMe } from "../../api/me.ts";
import { asProblem } from "../../api/problem.ts";
import type { MemberView } from "../../api/schema.gen.ts";
import { session } from "../../api/session.ts";
import { Fact, Facts } from "../../app/page.tsx";
import { Button, ButtonLink } from "../../ui/button.tsx";
import { Confirm } from "../../ui/confirm.tsx";
import { Drawer } from "../../ui/dialog.tsx";
import { Field, Select } from "../../ui/field.tsx";
import { FormDialog } from "../../ui/form_dialog.tsx";
import { inert } from "../../ui/inert.ts";
import { ProblemNote } from "../../ui/notes.tsx";
import { Ago } from "../../ui/time.tsx";
import { toast } from "../../ui/toasts.tsx";
import { NameField, RoleField } from "./fields.tsx";
import { useCanIn, useRoleMatrix } from "./queries.ts";
import { outranks, rolesToGive } from "./standing.ts";

export function MemberDrawer({ member, onClose }: { member: MemberView; onClose: () => void }) {
  const client = useQueryClient();
  const me = useMe();
  const matrix = useRoleMatrix();
  const form = useId();
  const own = member.user === me.id;
  const mayChange =
    useCanIn("members.write", member.realm) &&
    (own || outranks(matrix, me, [member.role], member.realm));
  const roles = rolesToGive(matrix, me, member.realm).map((role) => role.name);
  const [role, setRole] = useState(member.role);
  const [ending, setEnding] = useState(false);
  const path = { id: member.realm, user: member.user };
  const done = async (text: string) => {
    if (own) void session.refresh();
    await client.invalidateQueries({ queryKey: ["people"] });
    toast(text);
    onClose();
  };
  const name = inert(member.name);
  const save = useMutation({
    mutationFn: () => api.put("/api/v1/realms/{id}/members/{user}", { path, body: { role } }),
    onSuccess: () => done(`${name} is ${role} there`),
  });
  const end = useMutation({
    mutationFn: () => api.delete("/api/v1/realms/{id}/members/{user}", { path }),
    onSuccess: () => done(`${name} does not belong to it any more`),
  });
  return (
    <Drawer
      open
      onOpenChange={onClose}
      title={name}
      description={`In realm ${inert(member.realm)}`}
      dismissible={role === member.role}
      footer={
        (own || mayChange) && (
          <>
            <Button onClick={() => setEnding(true)}>{own ? "Leave" : "Take out"}</Button>
            {mayChange && (
              <Button
                type="submit"
                form={form}
                look="primary"
                busy={save.isPending}
                disabled={role === member.role}
              >
                Save
              </Button>
            )}
          </>
        )
      }
    >
      <form
        id={form}
        className="flex flex-col gap-4 pb-4"
        onSubmit={(event) => {
          event.preventDefault();
          save.mutate();
        }}
      >
        {mayChange && (
          <Field label="Role" hint="Counts from the next thing they do.">
            {(props) => (
              <Select {...props} value={role} onChange={(event) => setRole(event.target.value)}>
                {(roles.includes(member.role) ? roles : [member.role, ...roles]).map((one) => (
                  <option key={one} value={one}>
                    {one}
                  </option>
                ))}
              </Select>
            )}
          </Field>
        )}
        <Facts>
          {!mayChange && <Fact name="Role">{member.role}</Fact>}
          <Fact name="Since">
            <Ago at={member.since} />
          </Fact>
          <Fact name="State">{member.state}</Fact>
        </Facts>
        <span>
          <ButtonLink to={`/people/users/${member.user}`} size="sm">
            What they are elsewhere
          </ButtonLink>
        </span>
        {save.error && <ProblemNote problem={asProblem(save.error)} />}
      </form>
      <Confirm
        open={ending}
        onOpenChange={setEnding}
        title={own ? "Leave this realm?" : `Take ${name} out of ${inert(member.realm)}?`}
        verb={own ? "Leave" : "Take out"}
        danger
        busy={end.isPending}
        problem={end.error ? asProblem(end.error) : null}
        onConfirm={() => end.mutate()}
      >
        <p>What their role allowed there ends at once, at every agent too.</p>
      </Confirm>
    </Drawer>
  );
}

export function AddMemberDialog({ realm, onClose }: { realm: string; onClose: () => void }) {
  const client = useQueryClient();
  const me = useMe();
  const roles = rolesToGive(useRoleMatrix(), me, realm);
  const [user, setUser] = useState("");
  const [role, setRole] = useState("member");
  const add = useMutation({
    mutationFn: () =>
      api.post("/api/v1/realms/{id}/members", {
        path: { id: realm },
        body: { user: user.trim(), role },
      }),
    onSuccess: async (made) => {
      await client.invalidateQueries({ queryKey: ["people"] });
      toast(`${inert(made.name)} is ${made.role} there`);
      onClose();
    },
  });
  return (
    <FormDialog
      title="Add a member"
      description="Somebody you see under People. Everybody else is invited."
      dismissible={user === ""}
      verb="Add"
      sending={add}
      onClose={onClose}
    >
      <NameField required value={user} onChange={setUser} />
      <RoleField roles={roles} value={role} onChange={setRole} />
    </FormDialog>
  );
}
