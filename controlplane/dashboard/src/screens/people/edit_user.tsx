// Name, address and roles of somebody, changed over the version one has seen.
import { useMutation } from "@tanstack/react-query";
import { useState } from "react";
import { api } from "../../api/client.ts";
import { useMe } from "../../api/me.ts";
import type { UserView } from "../../api/schema.gen.ts";
import { session } from "../../api/session.ts";
import { FormDialog } from "../../ui/form_dialog.tsx";
import { inert } from "../../ui/inert.ts";
import { Note } from "../../ui/notes.tsx";
import { EmailField, NameField } from "./fields.tsx";
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
    <FormDialog
      title={`Edit ${inert(seen.name)}`}
      dismissible={!changed && name === seen.name && email === (seen.email ?? "")}
      verb="Save"
      sending={save}
      ready={!emptied}
      onClose={onClose}
    >
      <NameField hint="Also what they sign in with." value={name} onChange={setName} />
      <EmailField
        error={emptied ? "An address can be replaced, not taken away." : null}
        value={email}
        onChange={setEmail}
      />
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
    </FormDialog>
  );
}
