// Lending: whom, which actions, where, while what, until when. The hub signs inside its own rights.
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { api } from "../../api/client.ts";
import { useCan } from "../../api/me.ts";
import type { IssueBody } from "../../api/schema.gen.ts";
import { CodeField, Field, Select, TextInput } from "../../ui/field.tsx";
import { FormDialog } from "../../ui/form_dialog.tsx";
import { inert } from "../../ui/inert.ts";
import { Note } from "../../ui/notes.tsx";
import { toast } from "../../ui/toasts.tsx";
import type { Facts } from "./authority.ts";

const DAY_SECONDS = 86_400;
const LIFETIMES = [
  [1, "a day"],
  [7, "a week"],
  [30, "30 days"],
  [90, "90 days"],
  [365, "a year"],
] as const;

const split = (text: string): string[] => text.split(/[\s,]+/).filter(Boolean);

export function LendDialog({
  facts,
  onClose,
  onDone,
}: {
  facts: Facts;
  onClose: () => void;
  onDone: (id: string) => void;
}) {
  const client = useQueryClient();
  const anybody = useCan("delegations.write.any");
  const people = [...(facts.people ?? [])]
    .filter(([, one]) => one.state === "active")
    .sort(([, a], [, b]) => a.name.localeCompare(b.name));
  const [subject, setSubject] = useState(people[0]?.[0] ?? "");
  const [other, setOther] = useState("");
  const [actions, setActions] = useState("");
  const [realm, setRealm] = useState(anybody ? "" : (facts.realms[0] ?? ""));
  const [agents, setAgents] = useState("");
  const [conditions, setConditions] = useState("");
  const [days, setDays] = useState(30);
  const [depth, setDepth] = useState(0);
  const toOther = subject === "";
  const body: IssueBody = {
    subject: toOther ? other.trim() : subject,
    capabilities: split(actions).map((action) => ({
      action,
      ...(realm === "" ? {} : { realms: [realm] }),
      ...(split(agents).length === 0 ? {} : { agents: split(agents) }),
    })),
    conditions: conditions
      .split("\n")
      .map((line) => line.trim())
      .filter(Boolean),
    expiresInSeconds: days * DAY_SECONDS,
    maxDepth: toOther ? depth : 0,
  };
  const issue = useMutation({
    mutationFn: () => api.post("/api/v1/delegations", { body }),
    onSuccess: async (made) => {
      toast("Lent: the agents it concerns are told");
      await client.invalidateQueries({ queryKey: ["delegations"] });
      onDone(made.id);
    },
  });
  const wide = body.capabilities.some((one) => one.action === "*");
  const powers = body.capabilities.some((one) => one.action.startsWith("writ."));
  const ready = body.subject !== "" && body.capabilities.length > 0;
  return (
    <FormDialog
      dismissible={actions === ""}
      title="Delegate"
      description="The hub signs it, and no wider than the root has lent to the hub itself."
      verb="Delegate"
      sending={issue}
      ready={ready}
      onClose={onClose}
    >
      <Field label="To" required>
        {(props) => (
          <Select {...props} value={subject} onChange={(event) => setSubject(event.target.value)}>
            {people.map(([id, one]) => (
              <option key={id} value={id}>
                {inert(one.name)}
              </option>
            ))}
            {anybody && <option value="">a key or an agent…</option>}
          </Select>
        )}
      </Field>
      {toOther && (
        <Field label="DID of the key or agent" required>
          {(props) => (
            <TextInput
              {...props}
              required
              spellCheck={false}
              placeholder="did:key:z6Mk…"
              value={other}
              onChange={(event) => setOther(event.target.value)}
            />
          )}
        </Field>
      )}
      <Field
        label="Actions"
        required
        hint="Names or patterns, such as files.read or files.*; several with spaces between."
      >
        {(props) => (
          <TextInput
            {...props}
            required
            spellCheck={false}
            autoComplete="off"
            placeholder="files.read"
            value={actions}
            onChange={(event) => setActions(event.target.value)}
          />
        )}
      </Field>
      <div className="grid gap-3 sm:grid-cols-2">
        <Field label="In realm">
          {(props) => (
            <Select {...props} value={realm} onChange={(event) => setRealm(event.target.value)}>
              {anybody && <option value="">every realm</option>}
              {facts.realms.map((one) => (
                <option key={one} value={one}>
                  {one}
                </option>
              ))}
            </Select>
          )}
        </Field>
        <Field label="Until">
          {(props) => (
            <Select
              {...props}
              value={days}
              onChange={(event) => setDays(Number(event.target.value))}
            >
              {LIFETIMES.map(([length, says]) => (
                <option key={length} value={length}>
                  {`${says} from now`}
                </option>
              ))}
            </Select>
          )}
        </Field>
      </div>
      <Field label="Only at these agents" hint="Names or DIDs. Empty: at every agent there.">
        {(props) => (
          <TextInput
            {...props}
            spellCheck={false}
            value={agents}
            onChange={(event) => setAgents(event.target.value)}
          />
        )}
      </Field>
      <CodeField
        label="Only while"
        hint="CEL, one condition a line; all have to be true."
        rows={2}
        placeholder={'params.path.startsWith("reports/")'}
        value={conditions}
        onChange={setConditions}
      />
      {toOther && (
        <Field label="May be lent on" hint="How many links deep; 0: not at all.">
          {(props) => (
            <TextInput
              {...props}
              type="number"
              min={0}
              max={16}
              value={depth}
              onChange={(event) => setDepth(Number(event.target.value))}
            />
          )}
        </Field>
      )}
      {wide && <Note tone="wait">“*” is every action there is and every one to come.</Note>}
      {powers && (
        <Note tone="wait">
          Actions that begin with <code>writ.</code> steer agents: they approve, cancel or change
          what agents obey.
        </Note>
      )}
    </FormDialog>
  );
}
