// Somebody new without an invitation: who comes by a provider, or an account for a program.
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { api } from "../../api/client.ts";
import { useMe } from "../../api/me.ts";
import type { UserView } from "../../api/schema.gen.ts";
import { Field, Select } from "../../ui/field.tsx";
import { FormDialog } from "../../ui/form_dialog.tsx";
import { toast } from "../../ui/toasts.tsx";
import { EmailField, NameField } from "./fields.tsx";
import { type UserKind, useRoleMatrix } from "./queries.ts";
import { RoleBoxes } from "./role_boxes.tsx";
import { rolesToGive } from "./standing.ts";

const HINTS: Record<UserKind, string> = {
  person: "Signs in by a provider under this name. Everybody else is better invited.",
  service: "Never signs in: it has API keys, and they do what its roles allow.",
};

export function AddUserDialog({
  onClose,
  onAdded,
}: {
  onClose: () => void;
  onAdded: (user: UserView) => void;
}) {
  const client = useQueryClient();
  const me = useMe();
  const [kind, setKind] = useState<UserKind>("service");
  const [name, setName] = useState("");
  const [email, setEmail] = useState("");
  const [roles, setRoles] = useState<readonly string[]>([]);
  const add = useMutation({
    mutationFn: () =>
      api.post("/api/v1/users", {
        body: {
          kind,
          name: name.trim(),
          roles: [...roles],
          ...(kind === "person" && email.trim() ? { email: email.trim() } : {}),
        },
      }),
    onSuccess: (user) => {
      void client.invalidateQueries({ queryKey: ["people"] });
      toast(`${user.name} is added`);
      onAdded(user);
    },
  });
  return (
    <FormDialog
      title="Add somebody"
      dismissible={name === ""}
      verb="Add"
      sending={add}
      onClose={onClose}
    >
      <Field label="What it is" hint={HINTS[kind]}>
        {(props) => (
          <Select
            {...props}
            value={kind}
            onChange={(event) => setKind(event.target.value as UserKind)}
          >
            <option value="service">A service account</option>
            <option value="person">A person</option>
          </Select>
        )}
      </Field>
      <NameField hint="Letters, digits and . _ @ + -" required value={name} onChange={setName} />
      {kind === "person" && <EmailField value={email} onChange={setEmail} />}
      <RoleBoxes
        legend="Roles in every realm"
        roles={rolesToGive(useRoleMatrix(), me, null)}
        held={[]}
        chosen={roles}
        onChange={setRoles}
      />
    </FormDialog>
  );
}
