// Lifting a quarantine: the hub cannot, so this says who can and takes what they have signed.
import { useMutation } from "@tanstack/react-query";
import { useState } from "react";
import { api } from "../../../api/client.ts";
import type { AgentView } from "../../../api/schema.gen.ts";
import { CopyField } from "../../../ui/copy.tsx";
import { Field, TextArea } from "../../../ui/field.tsx";
import { FormDialog } from "../../../ui/form_dialog.tsx";
import { inert } from "../../../ui/inert.ts";

export function ReleaseDialog({
  agent,
  onClose,
  onDone,
}: {
  agent: AgentView;
  onClose: () => void;
  onDone: (text: string) => void;
}) {
  const [document, setDocument] = useState("");
  const release = useMutation({
    mutationFn: () =>
      api.post("/api/v1/agents/{did}/release", {
        path: { did: agent.did },
        body: { document: document.trim() },
      }),
    onSuccess: () => onDone(`${inert(agent.name)} may work again`),
  });
  return (
    <FormDialog
      title={`Release ${inert(agent.name)}`}
      description="The agent believes only an operator or the root: a hub that was taken over must not be able to let a stopped agent go."
      dismissible={document === ""}
      verb="Hand it in"
      cancel="Close"
      sending={release}
      ready={document.trim() !== ""}
      onClose={onClose}
    >
      <div className="flex flex-col gap-1.5">
        <p>Whoever holds an operator's key file runs this, and it is released at once:</p>
        <CopyField
          value={`writ agents release ${agent.name} --sign OPERATOR-KEY.pem`}
          label="command"
          block
        />
      </div>
      <Field
        label="Or the document, signed where no hub is reached"
        hint="One line of JSON, as it was signed."
      >
        {(props) => (
          <TextArea
            {...props}
            rows={4}
            spellCheck={false}
            className="font-mono text-xs"
            value={document}
            onChange={(event) => setDocument(event.target.value)}
          />
        )}
      </Field>
    </FormDialog>
  );
}
