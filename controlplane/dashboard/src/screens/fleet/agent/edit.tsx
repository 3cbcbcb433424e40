// Name, labels and realms of an agent, changed over the version one has seen.
import { useMutation, useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { api } from "../../../api/client.ts";
import type { AgentView } from "../../../api/schema.gen.ts";
import { allRealms } from "../../../people/realms.ts";
import { CodeField, Field, TextInput } from "../../../ui/field.tsx";
import { FormDialog } from "../../../ui/form_dialog.tsx";
import { inert } from "../../../ui/inert.ts";
import { RealmsField } from "../realms_field.tsx";

export function EditDialog({
  agent,
  onClose,
  onDone,
}: {
  agent: AgentView;
  onClose: () => void;
  onDone: (text: string) => void;
}) {
  // What was seen when this opened: a change by somebody else meanwhile is not written over.
  const [seen] = useState(agent);
  const realms = useQuery(allRealms).data?.items.map((one) => one.id) ?? seen.realms;
  const [name, setName] = useState(seen.name);
  const [labels, setLabels] = useState(() => textOf(seen.labels));
  const [chosen, setChosen] = useState<readonly string[]>(seen.realms);
  const parsed = parseLabels(labels);
  const save = useMutation({
    mutationFn: () =>
      api.patch("/api/v1/agents/{did}", {
        path: { did: seen.did },
        ifMatch: seen.etag,
        body: {
          ...(name === seen.name ? {} : { name }),
          ...(parsed === null ? {} : { labels: parsed }),
          ...(same(chosen, seen.realms) ? {} : { realms: [...chosen] }),
        },
      }),
    onSuccess: () => onDone("Saved"),
  });
  return (
    <FormDialog
      title={`Edit ${inert(seen.name)}`}
      dismissible={name === seen.name && labels === textOf(seen.labels)}
      verb="Save"
      sending={save}
      ready={parsed !== null && chosen.length > 0}
      onClose={onClose}
    >
      <Field label="Name">
        {(props) => (
          <TextInput
            {...props}
            required
            spellCheck={false}
            value={name}
            onChange={(event) => setName(event.target.value)}
          />
        )}
      </Field>
      <CodeField
        label="Labels"
        hint="One key=value a line; orders can be addressed to them."
        error={parsed === null ? "Each line is key=value." : null}
        rows={4}
        value={labels}
        onChange={setLabels}
      />
      <RealmsField realms={realms} chosen={chosen} onChange={setChosen} />
    </FormDialog>
  );
}

function textOf(labels: Record<string, string>): string {
  return Object.entries(labels)
    .map(([key, value]) => `${key}=${value}`)
    .join("\n");
}

function parseLabels(text: string): Record<string, string> | null {
  const labels: Record<string, string> = {};
  for (const line of text.split("\n").map((one) => one.trim())) {
    if (line === "") continue;
    const at = line.indexOf("=");
    if (at < 1) return null;
    labels[line.slice(0, at).trim()] = line.slice(at + 1).trim();
  }
  return labels;
}

function same(one: readonly string[], other: readonly string[]): boolean {
  return [...one].sort().join() === [...other].sort().join();
}
