// Name, address and roles of somebody, changed over the version one has seen.
import { useMutation } from "@tanstack/react-query";
import { useId, useState } from "react";
import { api } from "../../api/client.ts";
import { useMe } from "../../api/me.ts";
import { asProblem } from "../../api/problem.ts";
import type { UserView } from "../../api/schema.gen.ts";
import { session } from "../../api/session.ts";
import { Button } from "../../ui/button.tsx";
import { Dialog } from "../../ui/dialog.tsx";
import { Field, TextInput } from "../../ui/field.tsx";
import { inert } from "../../ui/inert.ts";
import { Note, ProblemNote } from "../../ui/notes.tsx";
import { useRoleMatrix } from "./queries.ts";
import { RoleBoxes } from "./role_boxes.tsx";
import { rolesToGive } from "./standing.ts";

export function EditUserDialog({
  user,
  onClose,
  onDone,
}: {
  user: UserView;
  onClose: () => void;
  onDone: () => void;
}) {
  const form = useId();
  const me = useMe();
  const own = user.id === me.id;
  // What was seen when this opened: a change by somebody else meanwhile is not written over.
  const [seen] = useState(user);
  const [name, setName] = useState(seen.name);
  const [email, setEmail] = useState(seen.email ?? "");
  const [roles, setRoles] = useState<readonly string[]>(seen.roles);
  const matrix = useRoleMatrix();
  // Anybody may step down by themselves.
  const free = matrix.items.filter(
    (role) =>
      rolesToGive(matrix, me, null).includes(role) || (own && seen.roles.includes(role.name)),
  );
  const emptied = seen.email !== null && email.trim() === "";
  const changed = [...roles].sort().join() !== [...seen.roles].sort().join();
  const save = useMutation({
    mutationFn: () =>
      api.patch("/api/v1/users/{id}", {
        path: { id: seen.id },
        ifMatch: seen.etag,
        body: {
          ...(name.trim() === seen.name ? {} : { name: name.trim() }),
          ...(email.trim() === (seen.email ?? "") ? {} : { email: email.trim() }),
          ...(changed ? { roles: [...roles] } : {}),
        },
      }),
    onSuccess: () => {
      if (own) void session.refresh();
      onDone();
    },
  });
  return (
    <Dialog
      open
      onOpenChange={onClose}
      title={`Edit ${inert(seen.name)}`}
      dismissible={!changed && name === seen.name && email === (seen.email ?? "")}
      footer={
        <>
          <Button onClick={onClose}>Cancel</Button>
          <Button type="submit" form={form} look="primary" busy={save.isPending} disabled={emptied}>
            Save
          </Button>
        </>
      }
    >
      <form
        id={form}
        className="flex flex-col gap-4 pb-3"
        onSubmit={(event) => {
          event.preventDefault();
          save.mutate();
        }}
      >
        <Field label="Name" hint="Also what they sign in with.">
          {(props) => (
            <TextInput
              {...props}
              required
              autoComplete="off"
              autoCapitalize="none"
              spellCheck={false}
              maxLength={100}
              value={name}
              onChange={(event) => setName(event.target.value)}
            />
          )}
        </Field>
        <Field
          label="E-mail"
          error={emptied ? "An address can be replaced, not taken away." : null}
        >
          {(props) => (
            <TextInput
              {...props}
              type="email"
              autoComplete="off"
              value={email}
              onChange={(event) => setEmail(event.target.value)}
            />
          )}
        </Field>
        <RoleBoxes
          legend="Roles in every realm"
          roles={free}
          held={seen.roles}
          chosen={roles}
          onChange={setRoles}
        />
        {own && changed && (
          <Note tone="wait">These are your own: what you take from yourself others give back.</Note>
        )}
        {save.error && <ProblemNote problem={asProblem(save.error)} />}
      </form>
    </Dialog>
  );
}
