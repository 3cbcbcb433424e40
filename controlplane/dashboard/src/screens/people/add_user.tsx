// Somebody new without an invitation: who comes by a provider, or an account for a program.
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useId, useState } from "react";
import { api } from "../../api/client.ts";
import { useMe } from "../../api/me.ts";
import { asProblem } from "../../api/problem.ts";
import type { UserView } from "../../api/schema.gen.ts";
import { Button } from "../../ui/button.tsx";
import { Dialog } from "../../ui/dialog.tsx";
import { Field, Select, TextInput } from "../../ui/field.tsx";
import { ProblemNote } from "../../ui/notes.tsx";
import { toast } from "../../ui/toasts.tsx";
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
  const form = useId();
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
    <Dialog
      open
      onOpenChange={onClose}
      title="Add somebody"
      dismissible={name === ""}
      footer={
        <>
          <Button onClick={onClose}>Cancel</Button>
          <Button type="submit" form={form} look="primary" busy={add.isPending}>
            Add
          </Button>
        </>
      }
    >
      <form
        id={form}
        className="flex flex-col gap-4 pb-3"
        onSubmit={(event) => {
          event.preventDefault();
          add.mutate();
        }}
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
        <Field label="Name" hint="Letters, digits and . _ @ + -" required>
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
        {kind === "person" && (
          <Field label="E-mail">
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
        )}
        <RoleBoxes
          legend="Roles in every realm"
          roles={rolesToGive(useRoleMatrix(), me, null)}
          held={[]}
          chosen={roles}
          onChange={setRoles}
        />
        {add.error && <ProblemNote problem={asProblem(add.error)} />}
      </form>
    </Dialog>
  );
}
