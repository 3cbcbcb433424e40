// A new API key: for whom, what it may do, where, until when; shown once.
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { api } from "../../api/client.ts";
import { useCan, useMe } from "../../api/me.ts";
import { allRealms } from "../../people/realms.ts";
import { Field, Select, TextInput } from "../../ui/field.tsx";
import { FormDialog } from "../../ui/form_dialog.tsx";
import { inert } from "../../ui/inert.ts";
import { LifetimeField, type Lifetimes } from "../../ui/lifetime.tsx";
import { Note } from "../../ui/notes.tsx";
import { ShownOnce } from "../../ui/shown_once.tsx";
import { Ago } from "../../ui/time.tsx";
import { EVERYWHERE, services, useRoleMatrix } from "./queries.ts";
import { RoleBoxes } from "./role_boxes.tsx";
import { ScopeBoxes } from "./scope_boxes.tsx";
import { mayIn, rolesToGive } from "./standing.ts";

const LIFETIMES: Lifetimes = [
  [86_400, "1 day"],
  [2_592_000, "30 days"],
  [7_776_000, "90 days"],
  [31_536_000, "1 year"],
  [0, "until it is revoked"],
];

/** For whom a key acts; a service account by its name behind a colon. */
type Owner = "me" | "machine" | `service:${string}`;

export function MakeKeyDialog({
  service,
  onClose,
}: {
  /** The service account it is for, where somebody came for that. */
  service: string | null;
  onClose: () => void;
}) {
  const client = useQueryClient();
  const me = useMe();
  const matrix = useRoleMatrix();
  const mayService = useCan("users.write");
  const accounts = useQuery({ ...services, enabled: mayService }).data?.items ?? [];
  const realms = useQuery(allRealms).data?.items.map((one) => one.id) ?? [];
  const [name, setName] = useState("");
  const [chosen, setChosen] = useState<Owner>(service === null ? "me" : `service:${service}`);
  const [place, setPlace] = useState(EVERYWHERE);
  const realm = place === EVERYWHERE ? null : place;
  const [roles, setRoles] = useState<readonly string[]>([]);
  // null: everything; none ticked yet is not everything.
  const [scopes, setScopes] = useState<readonly string[] | null>(null);
  const [seconds, setSeconds] = useState(7_776_000);
  const mayMachine = useCan("keys.machine");
  const owner = chosen === "machine" && !mayMachine ? "me" : chosen;
  const isMachine = owner === "machine";
  const narrow = isMachine ? mayIn(matrix, me, "keys.machine", realm) : true;
  const make = useMutation({
    mutationFn: () =>
      api.post("/api/v1/api-keys", {
        body: {
          name: name.trim(),
          scopes: [...(scopes ?? [])],
          ...(realm === null ? {} : { realm }),
          ...(seconds === 0 ? {} : { expiresInSeconds: seconds }),
          ...(isMachine ? { machine: true, roles: [...roles] } : {}),
          ...(owner.startsWith("service:") ? { user: owner.slice("service:".length) } : {}),
        },
      }),
    onSuccess: () => client.invalidateQueries({ queryKey: ["people", "keys"] }),
  });
  if (make.data?.key)
    return (
      <ShownOnce title="The new key" label="key" secret={make.data.key} onClose={onClose}>
        It is shown only now: the hub keeps a hash of it. Programs send it as{" "}
        <code className="text-xs">Authorization: Bearer</code>. It ends{" "}
        <Ago at={make.data.expiresAt} empty="when it is revoked" />.
      </ShownOnce>
    );
  return (
    <FormDialog
      wide
      title="New API key"
      dismissible={name === ""}
      verb="Make it"
      sending={make}
      ready={scopes === null ? !isMachine || roles.length > 0 : scopes.length > 0}
      onClose={onClose}
    >
      <Field label="What it is for" required>
        {(props) => (
          <TextInput
            {...props}
            required
            autoComplete="off"
            maxLength={100}
            placeholder="nightly build"
            value={name}
            onChange={(event) => setName(event.target.value)}
          />
        )}
      </Field>
      <div className="grid gap-4 sm:grid-cols-3">
        <Field label="It acts for">
          {(props) => (
            <Select
              {...props}
              value={owner}
              onChange={(event) => setChosen(event.target.value as Owner)}
            >
              <option value="me">{me.name} (you)</option>
              {mayMachine && <option value="machine">a machine, with roles of its own</option>}
              {accounts.map((one) => (
                <option key={one.id} value={`service:${one.name}`}>
                  {`service ${inert(one.name)}`}
                </option>
              ))}
            </Select>
          )}
        </Field>
        <Field label="In realm">
          {(props) => (
            <Select {...props} value={place} onChange={(event) => setPlace(event.target.value)}>
              <option value={EVERYWHERE}>any</option>
              {realms.map((one) => (
                <option key={one} value={one}>
                  {inert(one)}
                </option>
              ))}
            </Select>
          )}
        </Field>
        <LifetimeField
          label="It counts for"
          lifetimes={LIFETIMES}
          seconds={seconds}
          onChange={setSeconds}
        />
      </div>
      {!narrow && (
        <Note>You make keys for machines only in your own realms: choose one above.</Note>
      )}
      {isMachine && (
        <RoleBoxes
          legend="Its roles"
          roles={rolesToGive(matrix, me, realm)}
          held={[]}
          chosen={roles}
          onChange={setRoles}
        />
      )}
      <ScopeBoxes
        permissions={matrix.permissions.filter((one) => me.permissions.includes(one.name))}
        chosen={scopes}
        onChange={setScopes}
        all={isMachine ? "All its roles permit" : "All its owner may"}
      />
    </FormDialog>
  );
}
