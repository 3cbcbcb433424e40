// Where to send what: a new webhook, or a change of one over the version one has seen.
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { api } from "../../api/client.ts";
import { asProblem } from "../../api/problem.ts";
import type { WebhookView } from "../../api/schema.gen.ts";
import { allRealms } from "../../people/realms.ts";
import { Field, Select, TextInput } from "../../ui/field.tsx";
import { FormDialog } from "../../ui/form_dialog.tsx";
import { inert } from "../../ui/inert.ts";
import { EventPicker } from "./event_picker.tsx";
import { EVERYTHING } from "./events.ts";

const WHOLE_HUB = "";

export function WebhookForm({
  webhook,
  onClose,
  onDone,
}: {
  /** What is changed; null to make a new one. */
  webhook: WebhookView | null;
  onClose: () => void;
  onDone: (webhook: WebhookView) => void;
}) {
  const client = useQueryClient();
  // What was seen when this opened: a change by somebody else meanwhile is not written over.
  const [seen] = useState(webhook);
  const [url, setUrl] = useState(seen?.url ?? "");
  const [description, setDescription] = useState(seen?.description ?? "");
  const [realm, setRealm] = useState(WHOLE_HUB);
  const [events, setEvents] = useState<readonly string[]>(seen?.events ?? [EVERYTHING]);
  const save = useMutation({
    mutationFn: () => {
      const fields = { url: url.trim(), description, events: [...events] };
      return seen === null
        ? api.post("/api/v1/webhooks", {
            body: { ...fields, ...(realm === WHOLE_HUB ? {} : { realm }) },
          })
        : api.patch("/api/v1/webhooks/{id}", {
            path: { id: seen.id },
            ifMatch: seen.etag,
            body: fields,
          });
    },
    onSuccess: async (kept) => {
      await client.invalidateQueries({ queryKey: ["webhooks"] });
      onDone(kept);
    },
  });
  const problem = save.error ? asProblem(save.error) : null;
  const faultOf = (pointer: string) =>
    problem?.fields.find((one) => one.pointer.startsWith(pointer))?.detail;
  const told = ["/url", "/events", "/realm"].some((one) => faultOf(one) !== undefined);
  return (
    <FormDialog
      wide
      title={seen === null ? "New webhook" : "Change the webhook"}
      dismissible={url === (seen?.url ?? "") && description === (seen?.description ?? "")}
      verb={seen === null ? "Make it" : "Save"}
      sending={save}
      ready={events.length > 0 && url.trim() !== ""}
      toldInside={told}
      onClose={onClose}
    >
      <Field
        label="Address"
        hint="The hub goes to public addresses only, and to networks its settings allow."
        error={faultOf("/url")}
        required
      >
        {(props) => (
          <TextInput
            {...props}
            required
            type="url"
            inputMode="url"
            autoComplete="off"
            spellCheck={false}
            placeholder="https://ops.example.org/writ"
            value={url}
            onChange={(event) => setUrl(event.target.value)}
          />
        )}
      </Field>
      <div className="grid gap-4 sm:grid-cols-2">
        {seen === null && (
          <RealmChoice realm={realm} onChange={setRealm} error={faultOf("/realm")} />
        )}
        <Field label="What it is for" hint="For whoever finds it here later.">
          {(props) => (
            <TextInput
              {...props}
              autoComplete="off"
              maxLength={500}
              value={description}
              onChange={(event) => setDescription(event.target.value)}
            />
          )}
        </Field>
      </div>
      <EventPicker patterns={events} onChange={setEvents} error={faultOf("/events")} />
    </FormDialog>
  );
}

function RealmChoice({
  realm,
  onChange,
  error,
}: {
  realm: string;
  onChange: (realm: string) => void;
  error: string | undefined;
}) {
  const realms = useQuery(allRealms);
  return (
    <Field label="Of" hint="A realm's webhook is told of that realm only." error={error}>
      {(props) => (
        <Select {...props} value={realm} onChange={(event) => onChange(event.target.value)}>
          <option value={WHOLE_HUB}>the whole hub</option>
          {realms.data?.items.map((one) => (
            <option key={one.id} value={one.id}>
              {`realm ${inert(one.id)}`}
            </option>
          ))}
        </Select>
      )}
    </Field>
  );
}
